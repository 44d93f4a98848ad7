/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sockets of ours over loopback in a namespace of the test's own: 127.0.0.1, ::1 and 10.99.0.1.
 */
#include "platform/linux/udp_priv.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>

#include "netns.h"
#include "unit.h"

enum { BURST = 64, SMALL = 512, LARGE = 40 };

static const char *cannot;

struct pair {
	struct mf_udp *a, *b;
	struct mf_pkt_pool *pool;
	uint8_t family;
};

static void need_netns(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static struct mf_udp *open_one(uint8_t family, uint32_t features)
{
	struct mf_udp_options o = { .family = family, .features = features, .mark = 0x4d460000 };
	struct mf_errbuf eb = { "" };
	mf_err err;
	struct mf_udp *u = mf_udp_open(&o, &err, &eb);

	if (!u)
		fail_msg("%s", eb.text);
	return u;
}

static void open_pair(struct pair *p, uint8_t family, uint32_t features_a, uint32_t features_b)
{
	p->family = family;
	p->a = open_one(family, features_a);
	p->b = open_one(family, features_b);
	p->pool = mf_pkt_pool_new(SMALL, LARGE);
}

static void close_pair(struct pair *p)
{
	mf_udp_close(p->a);
	mf_udp_close(p->b);
	mf_pkt_pool_free(p->pool);
}

static struct mf_endpoint to(const struct mf_udp *u)
{
	struct mf_endpoint e = { .port = mf_udp_port(u) };

	assert_int_equal(mf_addr_parse(&e.addr, mf_udp_family(u) == MF_AF_IP4 ? "127.0.0.1" : "::1"),
			 MF_OK);
	return e;
}

/* A packet of `len` bytes whose byte at position i is known; stride 0: one datagram. */
static struct mf_pkt *make(struct pair *p, size_t len, uint16_t stride, uint8_t seed)
{
	struct mf_pkt *k = len > MF_PKT_SMALL_MAX ? mf_pkt_large(p->pool) : mf_pkt_small(p->pool);

	assert_non_null(k);
	for (size_t i = 0; i < len; i++)
		k->data[i] = (uint8_t)(i * 31 + i / 256 + seed);
	k->len = (uint32_t)len;
	if (stride) {
		k->gso_type = MF_GSO_UDP;
		k->gso_size = stride;
		k->segments = (uint32_t)((len + stride - 1) / stride);
	}
	k->remote = to(p->b);
	return k;
}

static size_t receive(struct pair *p, struct mf_pkt **out, size_t max)
{
	struct pollfd pfd = { .fd = mf_udp_fd(p->b), .events = POLLIN };

	if (poll(&pfd, 1, 2000) != 1)
		return 0;
	return mf_udp_recv(p->b, p->pool, out, max);
}

/* Everything that `len` bytes in datagrams of `stride` become must arrive in order. Returns in how
 * many packets. */
static size_t expect(struct pair *p, size_t len, uint16_t stride, uint8_t seed)
{
	struct mf_pkt *k[BURST];
	size_t total = 0, packets = 0, n;

	while (total < len) {
		n = receive(p, k, BURST);
		if (!n)
			fail_msg("%zu of %zu bytes arrived", total, len);
		for (size_t i = 0; i < n; i++, packets++) {
			assert_int_equal(k[i]->remote.port, mf_udp_port(p->a));
			assert_int_equal(k[i]->gso_size, k[i]->segments > 1 ? stride : 0);
			assert_int_equal(k[i]->gso_type,
					 k[i]->segments > 1 ? MF_GSO_UDP : MF_GSO_NONE);
			if (k[i]->segments == 1)
				assert_int_equal(k[i]->len, mf_min(stride, len - total));
			for (size_t j = 0; j < k[i]->len; j++, total++)
				assert_int_equal(k[i]->data[j],
						 (uint8_t)(total * 31 + total / 256 + seed));
			mf_pkt_free(k[i]);
		}
	}
	assert_int_equal(total, len);
	return packets;
}

static void transfer(struct pair *p, size_t len, uint16_t stride)
{
	struct mf_pkt *k = make(p, len, stride, (uint8_t)len);

	assert_int_equal(mf_udp_send(p->a, &k, 1), 1);
	assert_int_equal(k->drop, MF_DROP_NONE);
	expect(p, len, stride ? stride : (uint16_t)len, (uint8_t)len);
	mf_pkt_free(k);
}

static void test_any_size_and_stride(void **state)
{
	struct mf_prng g = unit_prng("udp");
	struct pair p;

	(void)state;
	need_netns();
	for (uint32_t f = 0; f < 8; f++) {
		open_pair(&p, f & 4 ? MF_AF_IP6 : MF_AF_IP4, f & 1 ? MF_UDP_ALL_OFFLOADS : 0,
			  f & 2 ? MF_UDP_ALL_OFFLOADS : 0);
		transfer(&p, 1, 0);
		transfer(&p, MF_PKT_SMALL_MAX, 0);
		transfer(&p, MF_PKT_SMALL_MAX + 1, 0);
		transfer(&p, p.family == MF_AF_IP4 ? 65507 : 65527, 0);
		transfer(&p, 64 * 1000, 1000);
		transfer(&p, 64 * 1000 + 1, 1000);
		transfer(&p, 65536, 1024);
		transfer(&p, 65536, 100);
		for (int i = 0; i < 50; i++) {
			uint16_t stride = (uint16_t)(20 + mf_prng_below(&g, 1450));

			transfer(&p, 1 + mf_prng_below(&g, mf_min(65536, stride * 100u)), stride);
		}
		assert_int_equal(mf_udp_counters(p.a)->tx_datagrams,
				 mf_udp_counters(p.b)->rx_datagrams);
		assert_int_equal(mf_udp_counters(p.a)->tx_bytes, mf_udp_counters(p.b)->rx_bytes);
		assert_int_equal(mf_udp_counters(p.b)->rx_overflow, 0);
		close_pair(&p);
	}
}

static void test_batches_travel_whole(void **state)
{
	struct pair p;
	struct mf_pkt *k;

	(void)state;
	need_netns();
	open_pair(&p, MF_AF_IP4, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
	if (mf_udp_features(p.a) == MF_UDP_ALL_OFFLOADS) {
		k = make(&p, 44 * 1452, 1452, 9);
		assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
		assert_int_equal(expect(&p, 44 * 1452, 1452, 9), 1);
		assert_int_equal(mf_udp_counters(p.a)->tx_messages, 1);
		mf_pkt_free(k);
	}
	close_pair(&p);
}

static void test_many_packets_in_one_call(void **state)
{
	enum { N = 200 };
	struct pair p;
	struct mf_pkt *k[N], *got[N];
	size_t n = 0, r;

	(void)state;
	need_netns();
	open_pair(&p, MF_AF_IP6, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
	for (size_t i = 0; i < N; i++)
		k[i] = make(&p, 100 + i, 0, (uint8_t)i);
	assert_int_equal(mf_udp_send(p.a, k, N), N);
	while (n < N && (r = receive(&p, got, N)) != 0) {
		for (size_t i = 0; i < r; i++, n++) {
			assert_int_equal(got[i]->len, 100 + n);
			assert_int_equal(got[i]->data[0], (uint8_t)n);
			mf_pkt_free(got[i]);
		}
	}
	assert_int_equal(n, N);
	for (size_t i = 0; i < N; i++)
		mf_pkt_free(k[i]);
	close_pair(&p);
}

static void test_tos_and_local_address(void **state)
{
	struct pair p;
	struct mf_pkt *k, *got;

	(void)state;
	need_netns();
	for (uint8_t f = MF_AF_IP4; f <= MF_AF_IP6; f = (uint8_t)(f + MF_AF_IP6 - MF_AF_IP4)) {
		open_pair(&p, f, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
		k = make(&p, 100, 0, 0);
		k->tos = 0xb9;
		assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
		assert_int_equal(receive(&p, &got, 1), 1);
		assert_int_equal(got->tos, 0xb9);
		assert_true(mf_addr_equal(&got->local, &k->remote.addr));
		assert_int_equal(got->local_if, if_nametoindex("lo"));
		assert_true(mf_addr_equal(&got->remote.addr, &k->remote.addr));
		mf_pkt_free(got);
		k->tos = 0;
		assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
		assert_int_equal(receive(&p, &got, 1), 1);
		assert_int_equal(got->tos, 0);
		mf_pkt_free(got);
		mf_pkt_free(k);
		close_pair(&p);
	}
}

static void test_sticky_source(void **state)
{
	struct pair p;
	struct mf_pkt *k, *got;
	struct mf_addr mine, gone;

	(void)state;
	need_netns();
	assert_int_equal(mf_addr_parse(&mine, "127.0.0.9"), MF_OK);
	assert_int_equal(mf_addr_parse(&gone, "192.0.2.77"), MF_OK);
	open_pair(&p, MF_AF_IP4, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
	k = make(&p, 100, 0, 0);
	k->local = mine;
	assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
	assert_true(mf_addr_equal(&k->local, &mine));
	assert_int_equal(receive(&p, &got, 1), 1);
	assert_true(mf_addr_equal(&got->remote.addr, &mine));
	mf_pkt_free(got);
	/* an address that is not ours any more */
	k->local = gone;
	assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
	assert_int_equal(k->local.family, MF_AF_NONE);
	assert_int_equal(mf_udp_counters(p.a)->tx_source_lost, 1);
	assert_int_equal(receive(&p, &got, 1), 1);
	mf_pkt_free(got);
	mf_pkt_free(k);
	/* the same for a batch that needs more than one message */
	k = make(&p, 60000, 500, 3);
	k->local = gone;
	assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
	assert_int_equal(k->local.family, MF_AF_NONE);
	expect(&p, 60000, 500, 3);
	mf_pkt_free(k);
	close_pair(&p);
}

/* EMSGSIZE or EINVAL: the datagrams of a batch must fit the MTU, single ones are fragmented. */
static void test_batch_longer_than_mtu_goes_as_fragments(void **state)
{
	struct pair p;
	struct mf_pkt *k;

	(void)state;
	need_netns();
	if (system("ip link set lo mtu 1400") != 0)
		skip();
	open_pair(&p, MF_AF_IP4, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
	k = make(&p, 40 * 1500, 1500, 1);
	assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
	expect(&p, 40 * 1500, 1500, 1);
	if (mf_udp_features(p.a) & MF_UDP_GSO)
		assert_int_equal(mf_udp_counters(p.a)->tx_gso_split, 1);
	assert_int_equal(mf_udp_counters(p.a)->tx_gso_off, 0);
	mf_pkt_free(k);
	close_pair(&p);
	assert_int_equal(system("ip link set lo mtu 65536"), 0);
}

static void test_unreachable_has_its_name(void **state)
{
	struct pair p;
	struct mf_pkt *k[3];

	(void)state;
	need_netns();
	open_pair(&p, MF_AF_IP4, MF_UDP_ALL_OFFLOADS, MF_UDP_ALL_OFFLOADS);
	for (size_t i = 0; i < 3; i++)
		k[i] = make(&p, 100, 0, 0);
	assert_int_equal(mf_addr_parse(&k[1]->remote.addr, "192.0.2.1"), MF_OK);
	assert_int_equal(mf_udp_send(p.a, k, 3), 2);
	assert_int_equal(k[0]->drop, MF_DROP_NONE);
	assert_int_equal(k[1]->drop, MF_DROP_UDP_UNREACHABLE);
	assert_int_equal(k[2]->drop, MF_DROP_NONE);
	assert_int_equal(mf_udp_counters(p.a)->tx_drop_unreachable, 1);
	for (size_t i = 0; i < 3; i++)
		mf_pkt_free(k[i]);
	close_pair(&p);
}

static void test_empty_datagrams_and_little_memory(void **state)
{
	struct pair p;
	struct mf_pkt *k, *got[4], *held[LARGE];
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t n = 0;

	(void)state;
	need_netns();
	open_pair(&p, MF_AF_IP4, 0, 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(mf_udp_port(p.b));
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	k = make(&p, 100, 0, 0);
	assert_int_equal(mf_udp_send(p.a, &k, 1), 1);
	while (n < LARGE && (held[n] = mf_pkt_large(p.pool)) != NULL)
		n++;
	assert_int_equal(mf_udp_recv(p.b, p.pool, got, 4), 0);
	assert_int_equal(mf_udp_counters(p.b)->rx_no_buffer, 1);
	while (n)
		mf_pkt_free(held[--n]);
	assert_int_equal(mf_udp_recv(p.b, p.pool, got, 4), 1);
	assert_int_equal(mf_udp_counters(p.b)->rx_empty, 1);
	mf_pkt_free(got[0]);
	mf_pkt_free(k);
	close_pair(&p);
}

static void test_one_port_for_all_workers(void **state)
{
	enum { WORKERS = 3 };
	struct mf_udp_options o = { .features = MF_UDP_ALL_OFFLOADS };
	struct mf_udp *v4[WORKERS], *v6[WORKERS];
	struct mf_errbuf eb = { "" };
	uint16_t port, again;

	(void)state;
	need_netns();
	assert_int_equal(mf_udp_open_all(&o, WORKERS, v4, v6, &port, &eb), MF_OK);
	assert_int_not_equal(port, 0);
	for (size_t i = 0; i < WORKERS; i++) {
		assert_int_equal(mf_udp_port(v4[i]), port);
		assert_int_equal(mf_udp_port(v6[i]), port);
		assert_int_equal(mf_udp_family(v6[i]), MF_AF_IP6);
	}
	/* nobody else may share it, not even with SO_REUSEPORT */
	o.port = port;
	{
		struct mf_udp *w4[2], *w6[2];

		assert_int_equal(mf_udp_open_all(&o, 2, w4, w6, &again, &eb), MF_E_EXISTS);
		assert_null(w4[0]);
		assert_null(w6[1]);
		assert_non_null(strstr(eb.text, "in use"));
	}
	for (size_t i = 0; i < WORKERS; i++) {
		mf_udp_close(v4[i]);
		mf_udp_close(v6[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_size_and_stride),
		cmocka_unit_test(test_batches_travel_whole),
		cmocka_unit_test(test_many_packets_in_one_call),
		cmocka_unit_test(test_tos_and_local_address),
		cmocka_unit_test(test_sticky_source),
		cmocka_unit_test(test_batch_longer_than_mtu_goes_as_fragments),
		cmocka_unit_test(test_unreachable_has_its_name),
		cmocka_unit_test(test_empty_datagrams_and_little_memory),
		cmocka_unit_test(test_one_port_for_all_workers),
	};

	cannot = netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
