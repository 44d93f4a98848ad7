/* SPDX-License-Identifier: Apache-2.0
 *
 * A TUN device of our own against the kernel's TCP and UDP:
 *
 *	kernel socket 10.99.0.1 / fd99::1 ── TUN ── this test, playing 10.99.0.2 / fd99::2
 */
#include "platform/linux/tun_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/endian.h"
#include "netns.h"
#include "unit.h"
#include "wire/csum.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO     104
#endif

enum { PORT = 4000, BURST = 64 };

static const char *cannot;

struct side {
	struct mf_tun *tun;
	struct mf_tun_queue *q;
	struct mf_pkt_pool *pool;
	int sock;
};

static void need_netns(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static struct mf_prefix prefix(const char *text)
{
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, text), MF_OK);
	return p;
}

static void open_side(struct side *s, uint32_t features, uint8_t family)
{
	struct mf_tun_options o = { .name = "mft%d", .queues = 1, .features = features };
	struct mf_prefix p4 = prefix("10.99.0.1/24"), p6 = prefix("fd99::1/64");
	struct mf_errbuf eb = { "" };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };

	s->tun = mf_tun_open(&o, &eb);
	if (!s->tun)
		fail_msg("%s", eb.text);
	assert_int_equal(mf_tun_add_address(s->tun, &p4, &eb), MF_OK);
	assert_int_equal(mf_tun_add_address(s->tun, &p4, &eb), MF_OK);
	assert_int_equal(mf_tun_add_address(s->tun, &p6, &eb), MF_OK);
	assert_int_equal(mf_tun_set_mtu(s->tun, 1420, &eb), MF_OK);
	assert_int_equal(mf_tun_set_up(s->tun, true, &eb), MF_OK);
	s->q = mf_tun_queue(s->tun, 0);
	s->pool = mf_pkt_pool_new(256, 16);
	assert_true(mf_tun_await_address(s->tun, &p4.addr));
	assert_true(mf_tun_await_address(s->tun, &p6.addr));
	s->sock = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(s->sock >= 0);
	assert_int_equal(family == 4 ? bind(s->sock, (struct sockaddr *)&a4, sizeof(a4))
				     : bind(s->sock, (struct sockaddr *)&a6, sizeof(a6)),
			 0);
}

static void close_side(struct side *s)
{
	close(s->sock);
	mf_tun_close(s->tun);
	mf_pkt_pool_free(s->pool);
}

/* What the kernel has for us, without what it says on its own account (multicast listener reports). */
static size_t recv_udp(struct side *s, struct mf_pkt **out, size_t max)
{
	struct pollfd pfd = { .fd = mf_tun_queue_fd(s->q), .events = POLLIN };
	size_t n = 0, kept = 0;

	poll(&pfd, 1, 1000);
	n = mf_tun_recv(s->q, s->pool, out, max, SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		uint8_t proto = out[i]->data[0] >> 4 == 4 ? out[i]->data[9] : out[i]->data[6];

		if (proto == IPPROTO_UDP)
			out[kept++] = out[i];
		else
			mf_pkt_free(out[i]);
	}
	return kept;
}

/* `count` times `size` bytes from the kernel's socket to us as one UDP_SEGMENT batch. */
static void kernel_sends_batch(struct side *s, uint8_t family, uint16_t size, size_t count)
{
	static uint8_t data[65536];
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(5000) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(5000) };
	int value = size;
	ssize_t r;

	for (size_t i = 0; i < size * count; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	inet_pton(AF_INET, "10.99.0.2", &a4.sin_addr);
	inet_pton(AF_INET6, "fd99::2", &a6.sin6_addr);
	assert_int_equal(setsockopt(s->sock, IPPROTO_UDP, UDP_SEGMENT, &value, sizeof(value)), 0);
	r = family == 4 ? sendto(s->sock, data, size * count, 0, (void *)&a4, sizeof(a4))
			: sendto(s->sock, data, size * count, 0, (void *)&a6, sizeof(a6));
	assert_int_equal(r, size * count);
}

/* Sends a packet back where it came from: swaps addresses and ports, which no checksum notices. */
static void turn_round(struct mf_pkt *p)
{
	bool v4 = p->data[0] >> 4 == 4;
	size_t at = v4 ? 12 : 8, n = v4 ? 4 : 16, l4 = v4 ? 20 : 40;
	uint8_t tmp[16];

	memcpy(tmp, p->data + at, n);
	memmove(p->data + at, p->data + at + n, n);
	memcpy(p->data + at + n, tmp, n);
	memcpy(tmp, p->data + l4, 2);
	memmove(p->data + l4, p->data + l4 + 2, 2);
	memcpy(p->data + l4 + 2, tmp, 2);
}

/* The kernel's socket must get exactly what it sent. */
static void check_echo(struct side *s, uint16_t size, size_t count)
{
	static uint8_t data[65536];
	size_t total = 0;

	while (total < size * count) {
		struct pollfd pfd = { .fd = s->sock, .events = POLLIN };
		ssize_t r;

		if (poll(&pfd, 1, 2000) != 1)
			fail_msg("%zu of %zu bytes came back", total, size * count);
		r = recv(s->sock, data, sizeof(data), 0);
		assert_int_equal(r, mf_min(size, size * count - total));
		for (size_t i = 0; i < (size_t)r; i++)
			assert_int_equal(data[i], (uint8_t)((total + i) * 7 + (total + i) / 256));
		total += (size_t)r;
	}
}

/* As the host stack does it: headers in a small packet, the payload behind them stays where it is. */
static struct mf_pkt *behead(struct side *s, struct mf_pkt *p)
{
	uint32_t n = p->l4_off + 8;
	struct mf_pkt *head = mf_pkt_small(s->pool);

	memcpy(head->data, p->data, n);
	head->len = n;
	mf_pkt_copy_meta(head, p);
	head->tail = p->data + n;
	head->tail_len = p->len - n;
	return head;
}

static void send_turned(struct side *s, struct mf_pkt **p, size_t n, bool tails)
{
	struct mf_pkt *heads[BURST];

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(p[i]->drop, MF_DROP_NONE);
		turn_round(p[i]);
		heads[i] = tails ? behead(s, p[i]) : p[i];
	}
	assert_int_equal(mf_tun_send(s->q, s->pool, heads, n), n);
	for (size_t i = 0; i < n; i++) {
		mf_pkt_free(p[i]);
		if (tails)
			mf_pkt_free(heads[i]);
	}
}

static void echo_once(uint8_t family, uint32_t features, uint32_t tx_features, size_t want_packets,
		      bool tails)
{
	enum { SIZE = 1000, COUNT = 20 };
	struct side s;
	struct mf_pkt *p[BURST];
	size_t n;

	open_side(&s, features, family);
	mf_tun_queue_limit_tx(s.q, tx_features);
	kernel_sends_batch(&s, family, SIZE, COUNT);
	n = recv_udp(&s, p, BURST);
	if (want_packets)
		assert_int_equal(n, want_packets);
	send_turned(&s, p, n, tails);
	check_echo(&s, SIZE, COUNT);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_segments, COUNT);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_bytes,
			 mf_tun_queue_counters(s.q)->tx_software
				 ? COUNT * (SIZE + (family == 4 ? 28 : 48))
				 : n * (family == 4 ? 28u : 48u) + SIZE * COUNT);
	assert_true(mf_tun_queue_counters(s.q)->tx_refused == 0);
	close_side(&s);
}

static void echo(uint8_t family, uint32_t features, uint32_t tx_features, size_t want_packets)
{
	echo_once(family, features, tx_features, want_packets, false);
	echo_once(family, features, tx_features, want_packets, true);
}

static bool has_uso(void)
{
	struct side s;
	bool yes;

	open_side(&s, MF_TUN_ALL_OFFLOADS, 4);
	yes = mf_tun_features(s.tun) & MF_TUN_USO4;
	close_side(&s);
	return yes;
}

static void test_udp_super_packets_come_and_go_whole(void **state)
{
	size_t want;

	(void)state;
	need_netns();
	want = has_uso() ? 1 : 20;
	echo(4, MF_TUN_ALL_OFFLOADS, MF_TUN_ALL_OFFLOADS, want);
	echo(6, MF_TUN_ALL_OFFLOADS, MF_TUN_ALL_OFFLOADS, want);
}

static void test_udp_super_packets_are_cut_when_writing_may_not(void **state)
{
	(void)state;
	need_netns();
	echo(4, MF_TUN_ALL_OFFLOADS, MF_TUN_VNET | MF_TUN_CSUM, 0);
	echo(6, MF_TUN_ALL_OFFLOADS, MF_TUN_VNET, 0);
	echo(6, MF_TUN_ALL_OFFLOADS, 0, 0);
}

static void test_every_offload_can_be_left_out(void **state)
{
	(void)state;
	need_netns();
	for (uint32_t off = 0; off <= 6; off++)
		echo(off & 1 ? 4 : 6, MF_TUN_ALL_OFFLOADS & ~(1u << off), MF_TUN_ALL_OFFLOADS,
		     off == 0 || off == 1 || off >= 5 ? 20 : 0);
	echo(4, 0, 0, 20);
}

/* No kernel takes 200 datagrams in one; the device's own limit keeps us from trying. */
static struct mf_pkt *long_batch(struct side *s)
{
	enum { N = 200, SIZE = 100, ALL = 28 + N * SIZE };
	struct mf_pkt *p = mf_pkt_large(s->pool);
	uint8_t *d = p->data;

	memset(d, 0, 28);
	d[0] = 0x45;
	mf_store_be16(d + 2, ALL);
	d[8] = 64;
	d[9] = IPPROTO_UDP;
	inet_pton(AF_INET, "10.99.0.2", d + 12);
	inet_pton(AF_INET, "10.99.0.1", d + 16);
	mf_csum_store(d + 10, mf_csum_finish(mf_csum_add(d, 20, 0)));
	mf_store_be16(d + 20, 5000);
	mf_store_be16(d + 22, PORT);
	mf_store_be16(d + 24, ALL - 20);
	mf_csum_store(d + 26, mf_csum_fold(mf_csum_pseudo4(d + 12, IPPROTO_UDP, ALL - 20)));
	for (size_t i = 0; i < N * SIZE; i++)
		d[28 + i] = (uint8_t)(i * 7 + i / 256);
	p->len = ALL;
	p->gso_type = MF_GSO_UDP;
	p->gso_size = SIZE;
	p->segments = N;
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off = 20;
	p->csum_offset = 6;
	p->ip_version = 4;
	p->l4_proto = IPPROTO_UDP;
	return p;
}

static void send_long_batch(struct side *s)
{
	struct mf_pkt *p = long_batch(s);

	assert_int_equal(mf_tun_send(s->q, s->pool, &p, 1), 1);
	check_echo(s, 100, 200);
	mf_pkt_free(p);
}

/* What must be cut needs one piece, and that needs a large packet. */
static void test_no_memory_for_one_piece(void **state)
{
	struct mf_pkt *p, *head, *large[16];
	struct side s;

	(void)state;
	need_netns();
	open_side(&s, MF_TUN_ALL_OFFLOADS, 4);
	mf_tun_queue_flush(s.q);
	mf_tun_queue_limit_tx(s.q, MF_TUN_VNET);
	p = long_batch(&s);
	head = behead(&s, p);
	for (size_t i = 0; i < 15; i++)
		assert_non_null(large[i] = mf_pkt_large(s.pool));
	assert_int_equal(mf_tun_send(s.q, s.pool, &head, 1), 0);
	assert_int_equal(head->drop, MF_DROP_BUFFERS);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_packets, 0);
	mf_pkt_free(large[0]);
	assert_int_equal(mf_tun_send(s.q, s.pool, &head, 1), 1);
	assert_int_equal(head->drop, MF_DROP_NONE);
	check_echo(&s, 100, 200);
	assert_int_equal(mf_pkt_pool_free_large(s.pool), 1);
	for (size_t i = 1; i < 15; i++)
		mf_pkt_free(large[i]);
	mf_pkt_free(head);
	mf_pkt_free(p);
	close_side(&s);
}

static void test_refused_offload_is_switched_off(void **state)
{
	struct side s;

	(void)state;
	need_netns();
	if (!has_uso())
		skip();
	open_side(&s, MF_TUN_ALL_OFFLOADS, 4);
	send_long_batch(&s);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_software, 1);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_refused, 0);
	assert_int_not_equal(mf_tun_queue_tx_features(s.q) & MF_TUN_USO4, 0);
	s.q->uso_segments = UINT16_MAX;
	send_long_batch(&s);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_software, 2);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_refused, 1);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_segments, 400);
	assert_int_equal(mf_tun_queue_tx_features(s.q), MF_TUN_ALL_OFFLOADS & ~(uint32_t)MF_TUN_USO4);
	close_side(&s);
}

static void test_reading_stops_at_limits(void **state)
{
	struct side s;
	struct mf_pkt *p[BURST], *held[BURST];
	size_t n_held = 0, n = 0;

	(void)state;
	need_netns();
	open_side(&s, 0, 4);
	kernel_sends_batch(&s, 4, 1000, 20);
	assert_int_equal(mf_tun_recv(s.q, s.pool, p, 3, SIZE_MAX), 3);
	n += 3;
	assert_int_equal(mf_tun_recv(s.q, s.pool, p + n, BURST - n, 2500), 3);
	n += 3;
	while (n_held < BURST && (held[n_held] = mf_pkt_large(s.pool)) != NULL)
		n_held++;
	mf_tun_queue_flush(s.q);
	held[n_held] = mf_pkt_large(s.pool);
	n_held += held[n_held] != NULL;
	assert_int_equal(mf_tun_recv(s.q, s.pool, p + n, BURST - n, SIZE_MAX), 0);
	assert_int_equal(mf_tun_queue_counters(s.q)->rx_no_buffer, 1);
	while (n_held)
		mf_pkt_free(held[--n_held]);
	/* nothing was lost */
	assert_int_equal(mf_tun_recv(s.q, s.pool, p + n, BURST - n, SIZE_MAX), 14);
	n += 14;
	while (n)
		mf_pkt_free(p[--n]);
	close_side(&s);
}

static void test_down_and_deleted_are_told_apart(void **state)
{
	struct side s;
	struct mf_pkt *p;
	struct mf_errbuf eb;
	char command[64];

	(void)state;
	need_netns();
	open_side(&s, MF_TUN_ALL_OFFLOADS, 4);
	kernel_sends_batch(&s, 4, 100, 1);
	assert_int_equal(recv_udp(&s, &p, 1), 1);
	turn_round(p);
	assert_int_equal(mf_tun_set_up(s.tun, false, &eb), MF_OK);
	assert_int_equal(mf_tun_send(s.q, s.pool, &p, 1), 0);
	assert_int_equal(p->drop, MF_DROP_TUN_SEND);
	assert_int_equal(mf_tun_queue_counters(s.q)->tx_drop_down, 1);
	assert_int_equal(mf_tun_queue_state(s.q), MF_OK);
	snprintf(command, sizeof(command), "ip link delete %s", mf_tun_name(s.tun));
	if (system(command) == 0) {
		assert_int_equal(mf_tun_send(s.q, s.pool, &p, 1), 0);
		assert_int_equal(mf_tun_queue_state(s.q), MF_E_GONE);
		assert_int_equal(mf_tun_set_mtu(s.tun, 1400, &eb), MF_E_GONE);
	}
	mf_pkt_free(p);
	close_side(&s);
}

/* Somebody adds it meanwhile. Once waited for, it gets the first datagram. */
static void test_an_address_is_waited_for(void **state)
{
	struct mf_tun_options o = { .name = "mfa0", .queues = 1 };
	struct mf_prefix p6 = prefix("fd99::5/64");
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	struct mf_errbuf eb;
	struct mf_tun *t;
	char byte = 1;
	int fd, status;
	pid_t pid;

	(void)state;
	need_netns();
	t = mf_tun_open(&o, &eb);
	assert_non_null(t);
	assert_int_equal(mf_tun_set_up(t, true, &eb), MF_OK);
	assert_false(mf_tun_await_address(t, &p6.addr));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(system("sleep 0.1; ip address add fd99::5/64 dev mfa0 nodad"));
	assert_true(mf_tun_await_address(t, &p6.addr));
	memcpy(&a6.sin6_addr, p6.addr.b, 16);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a6, sizeof(a6)), 0);
	assert_int_equal(sendto(fd, &byte, 1, 0, (struct sockaddr *)&a6, sizeof(a6)), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	mf_tun_close(t);
}

static void test_names_are_checked(void **state)
{
	struct mf_tun_options o = { .name = "a-name-of-16-byt", .queues = 1 };
	struct mf_tun *a, *b;
	struct mf_errbuf eb = { "" };

	(void)state;
	need_netns();
	assert_null(mf_tun_open(&o, &eb));
	assert_non_null(strstr(eb.text, "1 to 15"));
	o.name = "mfx0";
	a = mf_tun_open(&o, &eb);
	assert_non_null(a);
	assert_string_equal(mf_tun_name(a), "mfx0");
	b = mf_tun_open(&o, &eb);
	assert_null(b);
	assert_non_null(strstr(eb.text, "exists already"));
	mf_tun_close(a);
	b = mf_tun_open(&o, &eb);
	assert_non_null(b);
	mf_tun_close(b);
}

static void test_queues_and_features(void **state)
{
	struct mf_tun_options o = {
		.name = "mfq0", .queues = 4, .features = MF_TUN_ALL_OFFLOADS, .txqueuelen = 1000
	};
	struct mf_errbuf eb = { "" };
	struct mf_tun *t;
	char text[80];

	(void)state;
	need_netns();
	t = mf_tun_open(&o, &eb);
	if (!t)
		fail_msg("%s", eb.text);
	assert_int_equal(mf_tun_queue_count(t), 4);
	print_message("features: %s\n", mf_tun_features_format(mf_tun_features(t), text));
	assert_non_null(strstr(text, "vnet csum tso4 tso6"));
	assert_non_null(strstr(text, "multi-queue"));
	assert_int_equal(mf_tun_set_gso_max(t, 46000, 32, &eb), MF_OK);
	assert_int_equal(mf_tun_set_features(t, MF_TUN_CSUM | MF_TUN_TSO4, &eb), MF_OK);
	assert_string_equal(mf_tun_features_format(mf_tun_features(t), text), "vnet multi-queue");
	assert_int_equal(mf_tun_set_features(t, MF_TUN_VNET | MF_TUN_CSUM | MF_TUN_TSO4, &eb), MF_OK);
	assert_string_equal(mf_tun_features_format(mf_tun_features(t), text),
			    "vnet csum tso4 multi-queue");
	mf_tun_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_checked),
		cmocka_unit_test(test_an_address_is_waited_for),
		cmocka_unit_test(test_queues_and_features),
		cmocka_unit_test(test_udp_super_packets_come_and_go_whole),
		cmocka_unit_test(test_udp_super_packets_are_cut_when_writing_may_not),
		cmocka_unit_test(test_every_offload_can_be_left_out),
		cmocka_unit_test(test_no_memory_for_one_piece),
		cmocka_unit_test(test_refused_offload_is_switched_off),
		cmocka_unit_test(test_reading_stops_at_limits),
		cmocka_unit_test(test_down_and_deleted_are_told_apart),
	};

	cannot = netns_enter_with_tun();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
