/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams between two namespaces: from our sockets to plain ones of the kernel, and back.
 */
#include "platform/dgram.h"

#include <netinet/udp.h>

#include "twonet.h"
#include "unit.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { MARK = 0x4d460000, BURST = 64, SMALL = 512, LARGE = 40, WAIT = 5000 };

static const char *cannot;
static struct mf_dgram_io *io;
static struct mf_pkt_pool *pool;
static struct mf_dgram_socket sock;

static void begin(enum mf_dgram_kind kind, uint8_t family, uint32_t features)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
	io = mf_dgram_io_new(features);
	pool = mf_pkt_pool_new(SMALL, LARGE);
	assert_int_equal(mf_dgram_socket_open(&sock, io, kind, family, MARK), MF_STREAM_E_NONE);
}

static void end(void)
{
	mf_dgram_socket_close(&sock);
	mf_dgram_io_flush(io);
	mf_dgram_io_free(io);
	mf_pkt_pool_free(pool);
}

static uint8_t pattern(size_t i, unsigned seed)
{
	return (uint8_t)(i * 7 + i / 251 + seed * 31);
}

static struct mf_pkt *make(const char *address, uint16_t port, size_t len, unsigned seed)
{
	struct mf_pkt *p = len > MF_PKT_SMALL_MAX ? mf_pkt_large(pool) : mf_pkt_small(pool);

	assert_non_null(p);
	for (size_t i = 0; i < len; i++)
		p->data[i] = pattern(i, seed);
	p->len = (uint32_t)len;
	p->remote = twonet_at(address, port);
	return p;
}

static enum mf_drop send_one(struct mf_pkt *p)
{
	enum mf_drop drop;

	mf_dgram_socket_send(&sock, io, &p, 1);
	drop = (enum mf_drop)p->drop;
	mf_pkt_free(p);
	return drop;
}

static bool readable(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, WAIT) == 1;
}

/* The next datagram there must be this one. */
static void expect(int fd, size_t len, unsigned seed)
{
	static uint8_t buf[65536];
	ssize_t n;

	assert_true(readable(fd, POLLIN));
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	assert_int_equal(n, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], pattern(i, seed));
}

static bool next_error(struct mf_dgram_error *e)
{
	if (!sock.has_own && !sock.errors)
		assert_true(readable(sock.fd, POLLERR));
	sock.errors = true;
	return mf_dgram_socket_error(&sock, e);
}

/* ---- Sending ----------------------------------------------------------------------------------- */

/* A random sequence of lengths, super-packets, types of service and two remotes, in one call: there they are
 * the same single datagrams in the same order, with as few messages as the rules allow. */
static void send_mixture(struct mf_prng *r, const char *address, const int fd[2],
			 const uint16_t port[2])
{
	struct mf_pkt *p[BURST];
	size_t n = 1 + mf_prng_below(r, BURST), len = 100;

	for (size_t i = 0; i < n; i++) {
		bool to = mf_prng_below(r, 8) == 0;

		if (mf_prng_below(r, 5) == 0)
			len = mf_prng_below(r, 1200);
		p[i] = make(address, port[to], len, (unsigned)i);
		p[i]->tos = mf_prng_below(r, 10) == 0 ? 0x20 : 0;
		p[i]->ttl = mf_prng_below(r, 10) == 0 ? 9 : 0;
		if (len && mf_prng_below(r, 6) == 0) {
			p[i]->gso_type = MF_GSO_UDP;
			p[i]->gso_size = (uint16_t)(len / 3 + 1);
		}
	}
	mf_dgram_socket_send(&sock, io, p, n);
	for (size_t i = 0; i < n; i++) {
		size_t step = p[i]->gso_size && p[i]->gso_size < p[i]->len ? p[i]->gso_size : 0;
		unsigned to = p[i]->remote.port == port[1];

		assert_int_equal(p[i]->drop, MF_DROP_NONE);
		for (size_t off = 0; off <= p[i]->len; off += step ? step : p[i]->len + 1) {
			static uint8_t buf[4096];
			size_t want = step ? mf_min(step, p[i]->len - off) : p[i]->len;

			if (step && !want)
				break;
			assert_true(readable(fd[to], POLLIN));
			assert_int_equal(recv(fd[to], buf, sizeof(buf), MSG_DONTWAIT), want);
			for (size_t k = 0; k < want; k++)
				assert_int_equal(buf[k], pattern(off + k, (unsigned)i));
		}
		mf_pkt_free(p[i]);
	}
	for (unsigned to = 0; to < 2; to++)
		assert_int_equal(recv(fd[to], (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
}

static void check_mixtures(const char *address, uint8_t family, uint32_t features)
{
	struct mf_prng r = unit_prng(address);
	uint16_t port[2];
	int fd[2];
	const struct mf_udp_counters *c;

	begin(MF_DGRAM_UDP, family, features);
	for (unsigned i = 0; i < 2; i++)
		fd[i] = twonet_server(SOCK_DGRAM, address, &port[i]);
	for (int i = 0; i < 200; i++)
		send_mixture(&r, address, fd, port);
	c = mf_dgram_io_counters(io);
	if (features & MF_UDP_GSO)
		assert_true(c->tx_messages < c->tx_datagrams);
	else
		assert_int_equal(c->tx_messages, c->tx_datagrams);
	assert_int_equal(c->tx_gso_off + c->tx_gso_split, 0);
	close(fd[0]);
	close(fd[1]);
	end();
}

static void test_neighbours_are_one_message_and_arrive_as_they_were(void **state)
{
	(void)state;
	check_mixtures("10.9.1.1", MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	check_mixtures("fd09:1::1", MF_AF_IP6, MF_UDP_ALL_OFFLOADS);
	check_mixtures("10.9.1.1", MF_AF_IP4, 0);
}

/* 64 to a message, the shorter last one in it, another remote not. */
static void test_what_is_gathered(void **state)
{
	struct mf_pkt *p[BURST * 2];
	uint16_t port[2];
	int fd[2];

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	for (unsigned i = 0; i < 2; i++)
		fd[i] = twonet_server(SOCK_DGRAM, "10.9.1.1", &port[i]);
	for (unsigned i = 0; i < 71; i++)
		p[i] = make("10.9.1.1", port[i == 70], i == 69 ? 3 : 500, i);
	mf_dgram_socket_send(&sock, io, p, 71);
	assert_int_equal(mf_dgram_io_counters(io)->tx_messages, 3);
	assert_int_equal(mf_dgram_io_counters(io)->tx_datagrams, 71);
	for (unsigned i = 0; i < 71; i++) {
		expect(fd[i == 70], i == 69 ? 3 : 500, i);
		mf_pkt_free(p[i]);
	}
	close(fd[0]);
	close(fd[1]);
	end();
}

/* A batch with datagrams longer than the MTU is refused by the kernel: each is judged alone. */
static void test_long_datagrams_are_refused_or_fragmented(void **state)
{
	struct mf_dgram_error e;
	struct mf_pkt *p[3];
	uint16_t port;
	int fd;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	fd = twonet_server(SOCK_DGRAM, "10.9.1.1", &port);
	for (unsigned i = 0; i < 3; i++)
		p[i] = make("10.9.1.1", port, 1600, i);
	p[1]->flags |= MF_PKT_MAY_FRAGMENT;
	mf_dgram_socket_send(&sock, io, p, 3);
	assert_int_equal(p[0]->drop, MF_DROP_OUTBOUND_REFUSED);
	assert_int_equal(p[1]->drop, MF_DROP_NONE);
	assert_int_equal(p[2]->drop, MF_DROP_OUTBOUND_REFUSED);
	expect(fd, 1600, 1);
	assert_true(next_error(&e));
	assert_true(mf_endpoint_equal(&e.remote, &p[0]->remote));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 4);
	assert_int_equal(e.mtu, 1500);
	assert_int_equal(e.offender.family, MF_AF_NONE);
	assert_false(mf_dgram_socket_error(&sock, &e));
	for (unsigned i = 0; i < 3; i++)
		mf_pkt_free(p[i]);
	/* the socket is as it was: don't fragment */
	assert_int_equal(send_one(make("10.9.1.1", port, 1600, 0)), MF_DROP_OUTBOUND_REFUSED);
	close(fd);
	end();
}

static int int_option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void test_tos_and_ttl_and_mark(void **state)
{
	uint8_t control[256], b;
	struct iovec iov = { &b, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct mf_pkt *p;
	int fd, one = 1, tos = -1, ttl = -1;
	uint16_t port;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	assert_int_equal(int_option(sock.fd, SOL_SOCKET, SO_MARK), MARK);
	fd = twonet_server(SOCK_DGRAM, "10.9.1.1", &port);
	setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one));
	p = make("10.9.1.1", port, 1, 0);
	p->tos = 0xb9; /* expedited, ECT(1) */
	p->ttl = 17;
	assert_int_equal(send_one(p), MF_DROP_NONE);
	assert_true(readable(fd, POLLIN));
	assert_int_equal(recvmsg(fd, &m, 0), 1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type == IP_TOS)
			tos = *CMSG_DATA(c);
		if (c->cmsg_type == IP_TTL)
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
	}
	assert_int_equal(tos, 0xb9);
	assert_int_equal(ttl, 17);
	close(fd);
	end();
}

/* The device that a packet names is the only one it takes. */
static void test_the_device_of_a_packet(void **state)
{
	struct mf_pkt *p;
	uint16_t port;
	int fd = -1;
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof(from);
	char b;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	fd = twonet_server(SOCK_DGRAM, "10.8.0.2", &port);
	p = make("10.8.0.2", port, 1, 0);
	p->local_if = if_nametoindex("w0");
	assert_int_equal(send_one(p), MF_DROP_NONE);
	assert_true(readable(fd, POLLIN));
	assert_int_equal(recvfrom(fd, &b, 1, 0, (struct sockaddr *)&from, &len), 1);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x0a080001);
	p = make("10.8.0.2", port, 1, 0);
	p->local_if = 999999;
	assert_int_equal(send_one(p), MF_DROP_OUTBOUND_DOWN);
	close(fd);
	end();
}

/* ---- Receiving --------------------------------------------------------------------------------- */

static void check_return(const char *address, uint8_t family)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	static uint8_t out[40 * 1000];
	int fd, size = 1000;
	struct mf_pkt *p[16];
	size_t got = 0, packets = 0;
	bool more = true;
	uint16_t port;
	char b;

	begin(MF_DGRAM_UDP, family, MF_UDP_ALL_OFFLOADS);
	fd = twonet_server(SOCK_DGRAM, address, &port);
	assert_int_equal(mf_dgram_socket_recv(&sock, io, pool, p, 16, &more), 0);
	assert_false(more);
	assert_int_equal(send_one(make(address, port, 1, 0)), MF_DROP_NONE);
	assert_true(readable(fd, POLLIN));
	assert_int_equal(recvfrom(fd, &b, 1, 0, (struct sockaddr *)&from, &len), 1);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = pattern(i, 5);
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(fd, out, sizeof(out), 0, (struct sockaddr *)&from, len), sizeof(out));
	while (got < sizeof(out)) {
		size_t n;

		assert_true(readable(sock.fd, POLLIN));
		n = mf_dgram_socket_recv(&sock, io, pool, p, 16, &more);
		for (size_t i = 0; i < n; i++, packets++) {
			struct mf_endpoint at = twonet_at(address, port);

			assert_true(mf_endpoint_equal(&p[i]->remote, &at));
			assert_true(mf_pkt_headroom(p[i]) >= MF_PKT_HEADROOM - 16);
			assert_int_equal(p[i]->gso_size, p[i]->len > 1000 ? 1000 : 0);
			for (size_t k = 0; k < p[i]->len; k++)
				assert_int_equal(p[i]->data[k], out[got + k]);
			got += p[i]->len;
			mf_pkt_free(p[i]);
		}
	}
	assert_true(packets < 40); /* GRO */
	size = 0;
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(fd, out, 0, 0, (struct sockaddr *)&from, len), 0);
	assert_true(readable(sock.fd, POLLIN));
	assert_int_equal(mf_dgram_socket_recv(&sock, io, pool, p, 16, &more), 1);
	assert_int_equal(p[0]->len, 0);
	mf_pkt_free(p[0]);
	close(fd);
	end();
}

static void test_batches_come_back_whole(void **state)
{
	(void)state;
	check_return("10.9.1.1", MF_AF_IP4);
	check_return("fd09:1::1", MF_AF_IP6);
}

static void test_without_packets_there_is_more(void **state)
{
	struct mf_pkt_pool *none;
	struct mf_pkt *p[16];
	bool more = false;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	none = mf_pkt_pool_new(1, 0);
	assert_int_equal(mf_dgram_socket_recv(&sock, io, none, p, 16, &more), 0);
	assert_true(more);
	mf_dgram_io_flush(io);
	mf_pkt_pool_free(none);
	end();
}

/* ---- Errors ------------------------------------------------------------------------------------ */

static void check_port_unreachable(const char *address, uint8_t family, uint8_t type, uint8_t code)
{
	struct mf_endpoint dead = twonet_at(address, 1), *to = &dead;
	struct mf_dgram_error e;
	uint16_t port;
	int fd;

	begin(MF_DGRAM_UDP, family, MF_UDP_ALL_OFFLOADS);
	fd = twonet_server(SOCK_DGRAM, address, &port);
	assert_int_equal(send_one(make(address, 1, 100, 0)), MF_DROP_NONE);
	assert_true(readable(sock.fd, POLLERR));
	/* the error that waits does not stop what follows, in either direction */
	assert_int_equal(send_one(make(address, port, 100, 1)), MF_DROP_NONE);
	expect(fd, 100, 1);
	assert_true(next_error(&e));
	assert_true(mf_endpoint_equal(&e.remote, to));
	assert_true(mf_addr_equal(&e.offender, &to->addr));
	assert_int_equal(e.type, type);
	assert_int_equal(e.code, code);
	assert_false(mf_dgram_socket_error(&sock, &e));
	close(fd);
	end();
}

static void test_icmp_errors_are_told(void **state)
{
	(void)state;
	check_port_unreachable("10.9.1.1", MF_AF_IP4, 3, 3);
	check_port_unreachable("fd09:1::1", MF_AF_IP6, 1, 4);
}

static void test_routers_on_the_way(void **state)
{
	struct mf_endpoint router = twonet_at("10.9.0.2", 0);
	struct mf_dgram_error e;
	struct mf_pkt *p;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	assert_int_equal(send_one(make("10.9.7.1", 9, 1, 0)), MF_DROP_NONE);
	assert_true(next_error(&e));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 1);
	assert_true(mf_addr_equal(&e.offender, &router.addr));
	assert_int_equal(e.remote.port, 9);
	p = make("10.9.6.1", 10, 1, 0);
	p->ttl = 1;
	assert_int_equal(send_one(p), MF_DROP_NONE);
	assert_true(next_error(&e));
	assert_int_equal(e.type, 11);
	assert_int_equal(e.remote.port, 10);
	end();
}

static void test_what_cannot_be_sent_is_told(void **state)
{
	struct mf_dgram_error e;
	struct mf_pkt *p;

	(void)state;
	begin(MF_DGRAM_UDP, MF_AF_IP4, MF_UDP_ALL_OFFLOADS);
	assert_true(twonet_run(twonet_here, "ip route add prohibit 192.0.2.0/24"));
	assert_int_equal(send_one(make("192.0.2.1", 9, 1, 0)), MF_DROP_OUTBOUND_REFUSED);
	assert_true(sock.has_own);
	assert_true(next_error(&e));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 13);
	assert_int_equal(e.offender.family, MF_AF_NONE);
	assert_int_equal(e.remote.port, 9);
	assert_true(twonet_run(twonet_here, "ip route del prohibit 192.0.2.0/24"));
	p = make("10.9.1.1", 9, 1, 0);
	mf_dgram_socket_refuse(&sock, p, MF_STREAM_E_NO_DEVICE);
	assert_int_equal(p->drop, MF_DROP_OUTBOUND_DOWN);
	mf_pkt_free(p);
	assert_true(next_error(&e));
	assert_int_equal(e.code, 0);
	/* another family's packet has come to the wrong socket */
	assert_int_equal(send_one(make("fd09:1::1", 9, 1, 0)), MF_DROP_OUTBOUND_REFUSED);
	end();
}

/* ---- Echo -------------------------------------------------------------------------------------- */

static struct mf_pkt *ping(const char *address, uint8_t type, size_t len, uint16_t seq)
{
	struct mf_pkt *p = make(address, 0, len, 3);

	memset(p->data, 0, 8);
	p->data[0] = type;
	p->data[4] = 0xab; /* the app's identifier; the kernel writes its own */
	p->data[6] = (uint8_t)(seq >> 8);
	p->data[7] = (uint8_t)seq;
	return p;
}

static void check_echo(const char *address, uint8_t family, uint8_t request, uint8_t reply)
{
	struct mf_pkt *p[4];
	bool more;

	begin(MF_DGRAM_ECHO, family, MF_UDP_ALL_OFFLOADS);
	assert_int_equal(send_one(ping(address, request, 64, 0x1234)), MF_DROP_NONE);
	assert_true(readable(sock.fd, POLLIN));
	assert_int_equal(mf_dgram_socket_recv(&sock, io, pool, p, 4, &more), 1);
	assert_int_equal(p[0]->len, 64);
	assert_int_equal(p[0]->data[0], reply);
	assert_int_equal(p[0]->data[6] << 8 | p[0]->data[7], 0x1234);
	for (size_t i = 8; i < 64; i++)
		assert_int_equal(p[0]->data[i], pattern(i, 3));
	mf_pkt_free(p[0]);
	end();
}

static void test_echo(void **state)
{
	struct mf_dgram_error e;

	(void)state;
	if (!cannot && !netns_sysctl("net/ipv4/ping_group_range", "0 2147483647"))
		skip();
	check_echo("10.9.1.1", MF_AF_IP4, 8, 0);
	check_echo("fd09:1::1", MF_AF_IP6, 128, 129);
	begin(MF_DGRAM_ECHO, MF_AF_IP4, 0);
	assert_int_equal(send_one(ping("10.9.7.1", 8, 64, 77)), MF_DROP_NONE);
	assert_true(next_error(&e));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 1);
	assert_int_equal(e.echo_seq, 77);
	end();
	assert_true(netns_sysctl("net/ipv4/ping_group_range", "1 0"));
	assert_int_equal(mf_dgram_socket_open(&sock, NULL, MF_DGRAM_ECHO, MF_AF_IP4, 0),
			 MF_STREAM_E_PROHIBITED);
	assert_int_equal(sock.fd, -1);
}

/* What somebody has chosen stays; the kernel's default lets nobody, and that is no choice. */
static void test_echo_is_allowed_where_nobody_may(void **state)
{
	static const char *const chosen[] = { "0 2147483647", "7 7" };

	(void)state;
	if (cannot)
		skip();
	for (size_t i = 0; i < MF_ARRAY_LEN(chosen); i++) {
		if (!netns_sysctl("net/ipv4/ping_group_range", chosen[i]))
			skip();
		assert_false(mf_dgram_allow_echo());
	}
	assert_int_equal(mf_dgram_socket_open(&sock, NULL, MF_DGRAM_ECHO, MF_AF_IP4, 0),
			 MF_STREAM_E_PROHIBITED);
	assert_true(netns_sysctl("net/ipv4/ping_group_range", "1 0"));
	assert_true(mf_dgram_allow_echo());
	assert_false(mf_dgram_allow_echo());
	begin(MF_DGRAM_ECHO, MF_AF_IP6, 0);
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_one_message_and_arrive_as_they_were),
		cmocka_unit_test(test_what_is_gathered),
		cmocka_unit_test(test_long_datagrams_are_refused_or_fragmented),
		cmocka_unit_test(test_tos_and_ttl_and_mark),
		cmocka_unit_test(test_the_device_of_a_packet),
		cmocka_unit_test(test_batches_come_back_whole),
		cmocka_unit_test(test_without_packets_there_is_more),
		cmocka_unit_test(test_icmp_errors_are_told),
		cmocka_unit_test(test_routers_on_the_way),
		cmocka_unit_test(test_what_cannot_be_sent_is_told),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_is_allowed_where_nobody_may),
	};

	cannot = twonet_make();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
