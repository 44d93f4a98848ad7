/* SPDX-License-Identifier: Apache-2.0
 *
 * limits.memory from the least to plenty, with 1 to 16 workers: it is refused with a reason, or it works;
 * and the least works under the heaviest load.
 */
#include "unit.h"

#include "support/testnet.h"

enum { MIB = 1 << 20 };

static uint8_t pkt[65536], payload[65536];

static mf_err open_port(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
			uint32_t n_workers, void **handle, struct mf_errbuf *eb)
{
	(void)ctx, (void)port, (void)mark, (void)slots, (void)n_workers, (void)handle, (void)eb;
	return MF_E_UNSUPPORTED;
}

static void test_any_memory_any_workers(void **state)
{
	struct mf_prng prng = { .state = 1 };
	struct mf_engine_host host = { .rng = { mf_prng_fill, &prng }, .udp_open = open_port };

	(void)state;
	for (unsigned i = 2; i < 2 * (MF_WORKERS_MAX + 1); i++)
		for (uint64_t mib = 0; mib <= 1024; mib = mib ? mib * 2 : 1) {
			unsigned workers = i / 2;
			struct mf_engine_options o = { .n_workers = workers,
						       .memory = mib * MIB,
						       .proxies = i % 2 };
			struct mf_engine *e = NULL;
			struct mf_errbuf eb;
			mf_err err = mf_engine_new(&e, &o, &host, 1, &eb);

			if (err) {
				assert_int_equal(err, MF_E_RANGE);
				assert_non_null(strstr(eb.text, "limits.memory"));
				/* The least that a profile can ask for is enough for one. */
				assert_true(mib < 16 * workers);
				continue;
			}
			assert_true(mf_engine_memory(e) <= mib * MIB);
			mf_engine_free(e);
		}
}

static void super(struct testnet_side *s, const char *src, const char *dst, uint16_t port,
		  uint16_t mss)
{
	uint32_t n = testnet_tcp4(pkt, src, dst, port, 2, 3, 4, 0x10, payload, 64000);

	testnet_app_send(s, pkt, n, MF_GSO_TCP4, mss, true, testnet_unfinish(pkt, n), 16);
}

/* Both directions at once, more than fits: what does not is dropped by name, and when it is over every
 * packet is back. */
static void check_load(unsigned workers, uint32_t mib, bool split)
{
	struct testnet_item *item;
	uint32_t small[TESTNET_SIDES], large[TESTNET_SIDES];
	struct testnet t;

	testnet_open(&t, &(struct testnet_options){
				 .seed = 1, .n_workers = workers, .memory = (uint64_t)mib * MIB });
	t.side[1].split_gso = split;
	for (int round = 0; round < 4; round++) {
		for (uint16_t k = 0; k < 200; k++) {
			super(&t.side[0], "10.9.0.1", "10.9.0.2", k, (uint16_t)(100 + k * 5));
			super(&t.side[1], "10.9.0.2", "10.9.0.1", k, 1300);
		}
		testnet_advance(&t, 10 * MF_SEC);
		for (int s = 0; s < TESTNET_SIDES; s++) {
			struct mf_worker *w = mf_engine_worker(t.side[s].engine, 0);

			while ((item = testnet_app_recv(&t.side[s])) != NULL)
				free(item);
			assert_int_equal(t.side[s].tun_in.n, 0);
			assert_int_equal(t.side[s].udp_in.n, 0);
			assert_true(testnet_balanced(&t.side[s]));
			assert_int_equal(w->graph.ledger.held, 0);
			/* The merger keeps one of each ready. */
			if (!round) {
				small[s] = mf_pkt_pool_free_small(w->pool);
				large[s] = mf_pkt_pool_free_large(w->pool);
			}
			assert_in_range(mf_pkt_pool_free_small(w->pool), small[s] - 1, small[s] + 1);
			assert_in_range(mf_pkt_pool_free_large(w->pool), large[s] - 1, large[s] + 1);
		}
	}
	testnet_close(&t);
}

static void test_least_memory_under_load(void **state)
{
	(void)state;
	check_load(1, 16, false);
	check_load(1, 16, true);
	check_load(3, 16, false);
	check_load(4, 48, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_memory_any_workers),
		cmocka_unit_test(test_least_memory_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
