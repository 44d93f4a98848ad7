/* SPDX-License-Identifier: Apache-2.0
 *
 * `direct` of one worker, with a TUN device, towards servers in another namespace.
 */
#include "daemon/direct.h"

#include <sys/resource.h>

#include "daemon/direct_priv.h"
#include "twonet.h"
#include "unit.h"

enum { MAX = 8, ROUNDS = 500, SMALL = 64, LARGE = 24 };

static const char *cannot;
static struct mf_worker_thread thread;
static struct mf_config config;
static struct mf_daemon d;
static char last_line[256];

static void log_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx;
	if (level <= MF_LOG_WARN)
		snprintf(last_line, sizeof(last_line), "%s", line);
}

static void need(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static int begin(void **state)
{
	struct mf_errbuf eb = { "" };

	(void)state;
	if (cannot)
		return 0;
	config = (struct mf_config){ 0 };
	config.tunnel.offload.gso = config.tunnel.offload.gro = true;
	d.config = &config;
	d.log = (struct mf_log){ log_line, NULL, MF_LOG_INFO };
	d.workers = &thread;
	d.n_workers = 1;
	last_line[0] = '\0';
	thread = (struct mf_worker_thread){ .daemon = &d, .poller = mf_poller_new() };
	if (mf_direct_open(&d, MAX, &eb))
		fail_msg("%s", eb.text);
	return 0;
}

static int end(void **state)
{
	(void)state;
	if (cannot)
		return 0;
	assert_int_equal(thread.direct->count.sockets, 0);
	mf_direct_release(&d);
	mf_direct_close(&d);
	mf_poller_free(thread.poller);
	return 0;
}

static void run(const char *command)
{
	if (!twonet_run(twonet_here, command))
		fail_msg("%s", command);
}

/* ---- A session's half of a stream -------------------------------------------------------------- */

struct stream {
	struct mf_stream s; /* first */
	int far;            /* the accepted socket, there */
};

static void wake(struct mf_stream *s)
{
	(void)s;
}

static struct mf_outbound *out(void)
{
	return mf_direct_outbound(&d, 0);
}

/* Looks at the poller until `bits` have been notified; returns all that have. */
static uint32_t await(struct stream *t, uint32_t bits)
{
	uint32_t ready;

	for (int i = 0; i < ROUNDS && !(t->s.ready & bits); i++)
		mf_workers_look(&thread, 10 * MF_MSEC);
	ready = t->s.ready;
	t->s.ready = 0;
	assert_true(ready & bits);
	return ready;
}

static mf_err try_open(struct stream *t, const char *address, uint16_t port)
{
	struct mf_target to = { .addr = twonet_at(address, port) };

	*t = (struct stream){ .s.wake = wake, .far = -1 };
	return out()->ops->stream_open(out(), &t->s, &to);
}

static void connect_to(struct stream *t, const char *address)
{
	uint16_t port;
	int server = twonet_server(SOCK_STREAM, address, &port);

	assert_int_equal(try_open(t, address, port), MF_OK);
	assert_true(await(t, MF_STREAM_OPENED | MF_STREAM_FAILED) & MF_STREAM_OPENED);
	t->far = accept4(server, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(t->far >= 0);
	close(server);
}

static void close_both(struct stream *t, bool reset)
{
	t->s.out->ops->stream_close(&t->s, reset);
	assert_null(t->s.impl);
	if (t->far >= 0)
		close(t->far);
}

static size_t write_some(struct stream *t, const void *p, size_t n)
{
	struct mf_span v[2] = { { p, n / 3 }, { (const uint8_t *)p + n / 3, n - n / 3 } };

	return t->s.out->ops->stream_write(&t->s, v, 2);
}

static ptrdiff_t read_some(struct stream *t, void *p, size_t n)
{
	struct mf_room v[2] = { { p, n / 2 }, { (uint8_t *)p + n / 2, n - n / 2 } };

	return t->s.out->ops->stream_read(&t->s, v, 2);
}

/* As a session does: reads until it is told "no more", waits, goes on. Returns what ended it; the bytes
 * must be the pattern from *at on. */
static ptrdiff_t read_on(struct stream *t, size_t *at, size_t until)
{
	uint8_t buf[3000];

	while (*at < until) {
		ptrdiff_t r;

		t->s.ready = 0;
		r = read_some(t, buf, sizeof(buf));
		if (r == MF_STREAM_EOF || r == MF_STREAM_ERR)
			return r;
		for (ptrdiff_t i = 0; i < r; i++, ++*at)
			assert_int_equal(buf[i], (uint8_t)(*at * 13 + *at / 256));
		if (r < (ptrdiff_t)sizeof(buf) && *at < until)
			(void)await(t, MF_STREAM_READABLE);
	}
	return MF_STREAM_AGAIN;
}

static void fill(uint8_t *p, size_t n, size_t at)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) * 13 + (at + i) / 256);
}

static bool far_readable(const struct stream *t)
{
	struct pollfd pfd = { .fd = t->far, .events = POLLIN };

	return poll(&pfd, 1, 5000) == 1;
}

static void far_sends(const struct stream *t, size_t n, size_t at)
{
	uint8_t buf[4096];

	assert_true(n <= sizeof(buf));
	fill(buf, n, at);
	assert_int_equal(send(t->far, buf, n, MSG_NOSIGNAL), n);
}

/* ---- Streams ----------------------------------------------------------------------------------- */

/* Each side ends in its own time; the other direction goes on. */
static void check_half_close(const char *address, bool we_first)
{
	struct stream t;
	size_t at = 0;
	char buf[8];

	connect_to(&t, address);
	assert_int_equal(write_some(&t, "abcdef", 6), 6);
	assert_true(far_readable(&t));
	assert_int_equal(recv(t.far, buf, sizeof(buf), 0), 6);
	assert_memory_equal(buf, "abcdef", 6);
	far_sends(&t, 100, 0);
	(void)await(&t, MF_STREAM_READABLE);
	assert_int_equal(read_on(&t, &at, 100), MF_STREAM_AGAIN);
	if (we_first) {
		t.s.out->ops->stream_shutdown(&t.s);
		assert_true(far_readable(&t));
		assert_int_equal(recv(t.far, buf, sizeof(buf), 0), 0);
		far_sends(&t, 700, 100);
		shutdown(t.far, SHUT_WR);
		assert_int_equal(read_on(&t, &at, SIZE_MAX), MF_STREAM_EOF);
		assert_int_equal(at, 800);
	} else {
		far_sends(&t, 700, 100);
		shutdown(t.far, SHUT_WR);
		assert_int_equal(read_on(&t, &at, SIZE_MAX), MF_STREAM_EOF);
		assert_int_equal(at, 800);
		assert_int_equal(write_some(&t, "late", 4), 4);
		t.s.out->ops->stream_shutdown(&t.s);
		assert_true(far_readable(&t));
		assert_int_equal(recv(t.far, buf, sizeof(buf), MSG_WAITALL), 4);
		assert_true(far_readable(&t));
		assert_int_equal(recv(t.far, buf, sizeof(buf), 0), 0);
	}
	close_both(&t, false);
}

static void test_both_ways_and_half_closed(void **state)
{
	(void)state;
	need();
	check_half_close("10.9.1.1", true);
	check_half_close("10.9.1.1", false);
	check_half_close("fd09:1::1", true);
	check_half_close("fd09:1::1", false);
}

/* Random amounts in both directions, a far side that is slow to read: all bytes, in order, and nobody waits
 * for an edge that does not come. */
static void test_random_amounts(void **state)
{
	static uint8_t buf[200000];
	struct mf_prng r = unit_prng("direct");
	size_t sent = 0, got = 0, back = 0, at = 0, total = 8u << 20;
	struct stream t;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	while (got < total || at < back || back < total) {
		size_t n = mf_min(1 + mf_prng_below(&r, sizeof(buf)), total - sent), taken = 0;
		ssize_t k;

		if (n) {
			fill(buf, n, sent);
			taken = write_some(&t, buf, n);
			sent += taken;
		}
		k = recv(t.far, buf, 1 + mf_prng_below(&r, sizeof(buf)), MSG_DONTWAIT);
		for (ssize_t i = 0; i < k; i++, got++)
			assert_int_equal(buf[i], (uint8_t)(got * 13 + got / 256));
		n = mf_min(mf_prng_below(&r, 20000), total - back);
		fill(buf, n, back);
		k = send(t.far, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		back += k > 0 ? (size_t)k : 0;
		mf_workers_look(&thread, 0);
		if (t.s.ready & MF_STREAM_READABLE && mf_prng_below(&r, 3)) {
			t.s.ready = 0;
			do {
				n = 1 + mf_prng_below(&r, sizeof(buf) / 4);
				k = read_some(&t, buf, n);
				for (ssize_t i = 0; i < k; i++, at++)
					assert_int_equal(buf[i], (uint8_t)(at * 13 + at / 256));
			} while (k == (ssize_t)n);
			assert_true(k >= 0);
		}
	}
	assert_int_equal(got, total);
	assert_int_equal(at, total);
	close_both(&t, false);
}

static void test_a_slow_reader_stops_us_and_lets_us_go_on(void **state)
{
	static uint8_t buf[1 << 20];
	size_t sent = 0, n;
	struct stream t;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	t.s.ready = 0;
	do {
		n = write_some(&t, buf, sizeof(buf));
		sent += n;
		assert_true(sent < 256u << 20); /* the kernel's limits end this long before */
	} while (n == sizeof(buf));
	mf_workers_look(&thread, 0);
	while (!(t.s.ready & MF_STREAM_WRITABLE)) {
		ssize_t k = recv(t.far, buf, sizeof(buf), MSG_DONTWAIT);

		assert_true(k > 0 || errno == EAGAIN);
		sent -= k > 0 ? (size_t)k : 0;
		assert_true(sent > 0);
		mf_workers_look(&thread, MF_MSEC);
	}
	assert_true(write_some(&t, buf, 1000) > 0);
	close_both(&t, true);
}

static enum mf_stream_error opening_fails(const char *address, uint16_t port)
{
	struct stream t;
	enum mf_stream_error why;

	if (try_open(&t, address, port)) {
		assert_null(t.s.impl);
		return t.s.error;
	}
	assert_int_equal(await(&t, MF_STREAM_OPENED | MF_STREAM_FAILED), MF_STREAM_FAILED);
	why = t.s.error;
	close_both(&t, false);
	return why;
}

static void test_why_a_connection_fails(void **state)
{
	(void)state;
	need();
	assert_int_equal(opening_fails("10.9.1.1", 1), MF_STREAM_E_REFUSED);
	assert_int_equal(opening_fails("fd09:1::1", 1), MF_STREAM_E_REFUSED);
	/* a router says so */
	assert_int_equal(opening_fails("10.9.7.1", 80), MF_STREAM_E_HOST_UNREACHABLE);
	/* nobody there answers ARP */
	run("ip neigh replace 10.9.0.99 dev v0 nud failed");
	assert_int_equal(opening_fails("10.9.0.99", 80), MF_STREAM_E_HOST_UNREACHABLE);
	assert_int_equal(opening_fails("127.0.0.1", 80), MF_STREAM_E_PROHIBITED);
	assert_int_equal(opening_fails("10.9.0.1", 80), MF_STREAM_E_PROHIBITED);
	assert_int_equal(opening_fails("::ffff:10.9.1.1", 80), MF_STREAM_E_UNSUPPORTED);
	assert_int_equal(opening_fails("255.255.255.255", 80), MF_STREAM_E_NET_UNREACHABLE);
	assert_int_equal(thread.direct->count.tcp_connected, 0);
}

static void far_resets(struct stream *t)
{
	struct linger none = { .l_onoff = 1 };

	assert_int_equal(setsockopt(t->far, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	close(t->far);
	t->far = -1;
}

/* What came before the reset is the app's. */
static void test_a_reset_comes_after_what_was_sent(void **state)
{
	struct stream t;
	size_t at = 0;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	far_sends(&t, 1234, 0);
	far_resets(&t);
	(void)await(&t, MF_STREAM_READABLE);
	assert_int_equal(read_on(&t, &at, SIZE_MAX), MF_STREAM_ERR);
	assert_int_equal(at, 1234);
	assert_int_equal(t.s.error, MF_STREAM_E_RESET);
	close_both(&t, false);
}

static void test_a_write_finds_the_reset(void **state)
{
	struct stream t;
	size_t at = 0;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	far_sends(&t, 1234, 0);
	far_resets(&t);
	for (int i = 0; i < ROUNDS && !thread.direct->sockets[0].error; i++)
		(void)write_some(&t, "xyz", 3); /* before the poller could tell */
	assert_int_equal(read_on(&t, &at, SIZE_MAX), MF_STREAM_ERR);
	assert_int_equal(at, 1234);
	assert_int_equal(t.s.error, MF_STREAM_E_RESET);
	close_both(&t, false);
}

static void test_a_reset_after_the_end_is_told_at_once(void **state)
{
	struct stream t;
	size_t at = 0;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	shutdown(t.far, SHUT_WR);
	(void)await(&t, MF_STREAM_READABLE);
	assert_int_equal(read_on(&t, &at, SIZE_MAX), MF_STREAM_EOF);
	far_resets(&t);
	(void)await(&t, MF_STREAM_FAILED);
	assert_int_equal(t.s.error, MF_STREAM_E_RESET);
	close_both(&t, false);
}

static void test_our_reset_and_our_end(void **state)
{
	struct stream t;
	char b;

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	t.s.out->ops->stream_close(&t.s, true);
	assert_true(far_readable(&t));
	assert_int_equal(recv(t.far, &b, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(t.far);
	connect_to(&t, "10.9.1.1");
	assert_int_equal(write_some(&t, "bye", 3), 3);
	t.s.out->ops->stream_close(&t.s, false);
	assert_int_equal(recv(t.far, (char[3]){ 0 }, 3, MSG_WAITALL), 3);
	assert_true(far_readable(&t));
	assert_int_equal(recv(t.far, &b, 1, 0), 0);
	close(t.far);
}

/* Telnet's "interrupt": an urgent byte in the middle is a byte like others and stops nothing. */
static void test_urgent_bytes(void **state)
{
	struct stream t;
	size_t at = 0;
	uint8_t b[3];

	(void)state;
	need();
	connect_to(&t, "10.9.1.1");
	far_sends(&t, 10, 0);
	fill(b, 3, 10);
	assert_int_equal(send(t.far, b, 1, MSG_OOB), 1);
	assert_int_equal(send(t.far, b + 1, 2, 0), 2);
	(void)await(&t, MF_STREAM_READABLE);
	assert_int_equal(read_on(&t, &at, 13), MF_STREAM_AGAIN);
	close_both(&t, false);
}

static void test_places_are_limited_and_used_again(void **state)
{
	struct stream t[MAX], more;
	uint16_t port;
	int server = -1;

	(void)state;
	need();
	server = twonet_server(SOCK_STREAM, "10.9.1.1", &port);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MAX; i++)
			assert_int_equal(try_open(&t[i], "10.9.1.1", port), MF_OK);
		assert_int_not_equal(try_open(&more, "10.9.1.1", port), MF_OK);
		assert_int_equal(more.s.error, MF_STREAM_E_NO_RESOURCES);
		for (int i = 0; i < MAX; i++) {
			(void)await(&t[i], MF_STREAM_OPENED);
			close_both(&t[i], true);
		}
	}
	assert_int_equal(thread.direct->count.tcp_connected, 3 * MAX);
	close(server);
}

static void test_info(void **state)
{
	struct mf_stream_info info;
	struct stream t;

	(void)state;
	need();
	connect_to(&t, "10.8.0.2");
	t.s.out->ops->stream_info(&t.s, &info);
	assert_string_equal(info.device, "w0");
	assert_true(info.rtt > 0 && info.rtt < 10 * MF_SEC);
	((struct direct_socket *)t.s.impl)->ifindex = 4711; /* its device has gone */
	t.s.out->ops->stream_info(&t.s, &info);
	assert_string_equal(info.device, "");
	close_both(&t, true);
}

/* ---- The network changes ----------------------------------------------------------------------- */

static void changed(void)
{
	mf_direct_network_changed(&d, MF_NETMON_ADDRESS);
	mf_workers_look(&thread, 0);
}

static void test_a_connection_ends_with_its_address(void **state)
{
	struct stream v, w;

	(void)state;
	need();
	connect_to(&v, "10.9.1.1");
	connect_to(&w, "10.8.0.2");
	run("ip link set w0 down");
	changed();
	assert_false(w.s.ready & MF_STREAM_FAILED); /* it may come back */
	run("ip link set w0 up");
	changed();
	assert_false(w.s.ready & MF_STREAM_FAILED);
	assert_int_equal(write_some(&w, "still there", 11), 11);
	assert_true(far_readable(&w));
	run("ip addr del 10.8.0.1/24 dev w0");
	changed();
	assert_true(w.s.ready & MF_STREAM_FAILED);
	assert_int_equal(w.s.error, MF_STREAM_E_NET_UNREACHABLE);
	assert_false(v.s.ready & MF_STREAM_FAILED);
	run("ip addr add 10.8.0.1/24 dev w0");
	changed();
	close_both(&v, true);
	close_both(&w, true);
}

static void test_a_fixed_device_that_is_down(void **state)
{
	struct stream t;

	(void)state;
	need();
	config.direct.device = "w0";
	mf_direct_configure(&d);
	mf_workers_look(&thread, 0);
	connect_to(&t, "10.8.0.2");
	close_both(&t, true);
	run("ip link set w0 down");
	changed();
	assert_int_equal(opening_fails("10.8.0.2", 80), MF_STREAM_E_NO_DEVICE);
	run("ip link set w0 up");
	changed();
	connect_to(&t, "10.8.0.2");
	close_both(&t, true);
}

/* ---- Datagrams --------------------------------------------------------------------------------- */

struct dgram {
	struct mf_dgram g; /* first */
};

static void wake_dgram(struct mf_dgram *g)
{
	(void)g;
}

static mf_err open_dgram(struct mf_dgram *g, enum mf_dgram_kind kind, uint8_t family)
{
	struct mf_target to = { 0 };

	*g = (struct mf_dgram){ .kind = (uint8_t)kind, .family = family, .wake = wake_dgram };
	return out()->ops->dgram_open(out(), g, &to);
}

static void await_dgram(struct mf_dgram *g)
{
	for (int i = 0; i < ROUNDS && !g->ready; i++)
		mf_workers_look(&thread, 10 * MF_MSEC);
	assert_int_equal(g->ready, MF_STREAM_READABLE);
	g->ready = 0;
}

static struct mf_pkt *datagram(struct mf_pkt_pool *pool, const char *address, uint16_t port)
{
	struct mf_pkt *p = mf_pkt_small(pool);

	memcpy(p->data, "hello", 5);
	p->len = 5;
	p->remote = twonet_at(address, port);
	return p;
}

/* One socket, three remotes: on two devices, and this machine, which is none. */
static void test_datagrams(void **state)
{
	struct mf_pkt_pool *pool;
	struct mf_dgram_error e;
	struct sockaddr_in from;
	struct mf_pkt *p[3];
	struct mf_dgram g;
	uint16_t port[2];
	int fd[2];

	(void)state;
	need();
	pool = mf_pkt_pool_new(SMALL, LARGE);
	fd[0] = twonet_server(SOCK_DGRAM, "10.9.1.1", &port[0]);
	fd[1] = twonet_server(SOCK_DGRAM, "10.8.0.2", &port[1]);
	assert_int_equal(open_dgram(&g, MF_DGRAM_UDP, MF_AF_IP4), MF_OK);
	p[0] = datagram(pool, "10.9.1.1", port[0]);
	p[1] = datagram(pool, "127.0.0.1", 53);
	p[2] = datagram(pool, "10.8.0.2", port[1]);
	g.out->ops->dgram_send(&g, p, 3);
	assert_int_equal(p[0]->drop, MF_DROP_NONE);
	assert_int_equal(p[1]->drop, MF_DROP_OUTBOUND_REFUSED);
	assert_int_equal(p[2]->drop, MF_DROP_NONE);
	for (int i = 0; i < 3; i++)
		mf_pkt_free(p[i]);
	await_dgram(&g);
	assert_true(g.out->ops->dgram_error(&g, &e));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 13);
	assert_int_equal(e.remote.port, 53);
	assert_false(g.out->ops->dgram_error(&g, &e));
	for (unsigned i = 0; i < 2; i++) {
		socklen_t len = sizeof(from);
		char buf[8];

		assert_int_equal(
			recvfrom(fd[i], buf, sizeof(buf), 0, (struct sockaddr *)&from, &len), 5);
		assert_int_equal(ntohl(from.sin_addr.s_addr), i ? 0x0a080001 : 0x0a090001);
		assert_int_equal(sendto(fd[i], "back", 4, 0, (struct sockaddr *)&from, len), 4);
		await_dgram(&g);
		assert_int_equal(g.out->ops->dgram_recv(&g, pool, p, 3), 1);
		assert_int_equal(p[0]->len, 4);
		assert_int_equal(p[0]->remote.port, port[i]);
		mf_pkt_free(p[0]);
		assert_int_equal(g.out->ops->dgram_recv(&g, pool, p, 3), 0);
		close(fd[i]);
	}
	p[0] = datagram(pool, "10.9.1.1", port[0]); /* closed by now */
	g.out->ops->dgram_send(&g, p, 1);
	mf_pkt_free(p[0]);
	await_dgram(&g);
	assert_true(g.out->ops->dgram_error(&g, &e));
	assert_int_equal(e.code, 3);
	g.out->ops->dgram_close(&g);
	assert_null(g.impl);
	mf_direct_release(&d);
	mf_pkt_pool_free(pool);
}

static void test_echo_that_the_system_forbids(void **state)
{
	struct mf_dgram g;

	(void)state;
	need();
	assert_true(netns_sysctl("net/ipv4/ping_group_range", "1 0"));
	for (int i = 0; i < 2; i++) {
		assert_int_not_equal(open_dgram(&g, MF_DGRAM_ECHO, MF_AF_IP4), MF_OK);
		assert_int_equal(g.error, MF_STREAM_E_PROHIBITED);
		assert_int_equal(strstr(last_line, "net.ipv4.ping_group_range") != NULL, i == 0);
		last_line[0] = '\0';
	}
	assert_int_equal(thread.direct->count.refused_echo, 2);
}

/* The last test of all, because a limit does not go up again: some descriptors are not for sessions. */
static void test_few_descriptors(void **state)
{
	enum { LIMIT = 64, WANTED = 1000 };
	struct rlimit few = { LIMIT, LIMIT };
	struct mf_errbuf eb = { "" };

	(void)state;
	need();
	mf_direct_release(&d);
	mf_direct_close(&d);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(mf_direct_open(&d, WANTED, &eb), MF_OK);
	assert_non_null(strstr(last_line, "sessions.max"));
	assert_int_equal(thread.direct->n_total, LIMIT * 3 / 4);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	static const struct CMUnitTest tests[] = {
		TEST(test_both_ways_and_half_closed),
		TEST(test_random_amounts),
		TEST(test_a_slow_reader_stops_us_and_lets_us_go_on),
		TEST(test_why_a_connection_fails),
		TEST(test_a_reset_comes_after_what_was_sent),
		TEST(test_a_write_finds_the_reset),
		TEST(test_a_reset_after_the_end_is_told_at_once),
		TEST(test_our_reset_and_our_end),
		TEST(test_urgent_bytes),
		TEST(test_places_are_limited_and_used_again),
		TEST(test_info),
		TEST(test_a_connection_ends_with_its_address),
		TEST(test_a_fixed_device_that_is_down),
		TEST(test_datagrams),
		TEST(test_echo_that_the_system_forbids),
		TEST(test_few_descriptors),
	};
	struct mf_tun_options o = { .name = "mfd0", .queues = 1 };
	struct mf_errbuf eb;
	int failed;

	cannot = twonet_make();
	if (!cannot) {
		d.tun = mf_tun_open(&o, &eb);
		if (!d.tun || mf_tun_set_up(d.tun, true, &eb))
			cannot = "no TUN device";
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mf_tun_close(d.tun);
	return failed;
}
