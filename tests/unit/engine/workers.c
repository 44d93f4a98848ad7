/* SPDX-License-Identifier: Apache-2.0
 *
 * Several workers on one peer's packets, with real threads: nothing is lost, nothing overtakes, and (under
 * TSan) nothing races. Worker 0 of each side has the ports; the others only help.
 */
#include "unit.h"

#include <pthread.h>

#include "support/testnet.h"

enum { WORKERS = 3, ROUNDS = 300, BURST = 200 };

static uint32_t stop;

static void *help(void *arg)
{
	struct mf_worker *w = arg;
	mf_nsec deadline;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		if (!mf_worker_pass(w, 1000 * MF_SEC) && mf_worker_sleep(w, &deadline)) {
			sched_yield(); /* wake-ups are lost on purpose: sleeping is only a state here */
			mf_worker_wake(w);
		}
	return NULL;
}

static uint64_t helped(struct testnet *t)
{
	uint64_t n = 0;

	for (int s = 0; s < TESTNET_SIDES; s++)
		n += mf_counter_read(&mf_engine_worker(t->side[s].engine, 0)->jobs.helped);
	return n;
}

static void burst(struct testnet_side *s, uint32_t *seq, int count)
{
	uint8_t pkt[1500], payload[1300] = { 0 };

	for (int i = 0; i < count; i++) {
		uint32_t n = 4 + (*seq * 7919) % 1200;

		mf_store_be32(payload, (*seq)++);
		testnet_app_send(s, pkt,
				 testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1000, 2000, payload, n),
				 0, 0, false, 0, 0);
	}
}

/* Packets of one flow, merged or not: each starts with its number. */
static void check_order(struct testnet_side *s, uint32_t *expected)
{
	struct testnet_item *i;

	while ((i = testnet_app_recv(s)) != NULL) {
		uint32_t stride = i->gso_type == MF_GSO_UDP ? i->gso_size : i->len - 28;

		for (uint32_t at = 28; at < i->len; at += stride)
			assert_int_equal(mf_load_be32(i->bytes + at), (*expected)++);
		free(i);
	}
}

static void test_helpers_keep_the_order(void **state)
{
	struct testnet t;
	pthread_t thread[TESTNET_SIDES * (WORKERS - 1)];
	uint32_t sent = 0, got = 0;
	int n = 0;

	(void)state;
	/* Little memory: while a helper that has the oldest job does not run, packets run out. */
	testnet_open(&t, &(struct testnet_options){
				 .seed = 1, .n_workers = WORKERS, .memory = 16 << 20 });
	t.only_worker_0 = true;
	for (int s = 0; s < TESTNET_SIDES; s++)
		for (unsigned w = 1; w < WORKERS; w++)
			assert_int_equal(pthread_create(&thread[n++], NULL, help,
							mf_engine_worker(t.side[s].engine, w)),
					 0);
	for (int round = 0; round < ROUNDS; round++) {
		/* The first ones wait for the handshake, and only 128 may. */
		burst(&t.side[0], &sent, round ? BURST : 100);
		testnet_settle(&t);
		check_order(&t.side[1], &got);
	}
	for (int i = 0; i < 1000 && got < sent; i++) {
		testnet_settle(&t);
		check_order(&t.side[1], &got);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	while (n)
		pthread_join(thread[--n], NULL);
	testnet_settle(&t);
	check_order(&t.side[1], &got);
	assert_int_equal(got, sent);
	assert_true(testnet_balanced(&t.side[0]));
	assert_true(testnet_balanced(&t.side[1]));
	print_message("%llu jobs of %u packets were done by helpers\n",
		      (unsigned long long)helped(&t), sent);
	testnet_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_helpers_keep_the_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
