/* SPDX-License-Identifier: Apache-2.0
 *
 * How a TCP session begins: the app hears what the far side has answered, and nothing before; who may begin
 * one, and what happens to those that may not.
 */
#include "hostnet.h"

#include "unit.h"
#include "wire/icmp.h"
#include "wire/ip.h"

#define APP "10.0.0.2:1000"
#define DST "192.0.2.1:80"

static struct hostnet net;

static void open_net(const struct hostnet_options *o)
{
	struct hostnet_options with = *o;

	with.seed = unit_prng("hostnet").state;
	hostnet_open(&net, &with);
}

static struct fake_stream *begin_session(void)
{
	struct fake_stream *before = net.out.last;

	hostnet_connect(&net, APP, DST, NULL);
	hostnet_settle(&net);
	assert_ptr_not_equal(net.out.last, before);
	return net.out.last;
}

/* Raw packets that nobody's app has got. */
static unsigned count_raw(void)
{
	struct hostnet_wire *w;
	unsigned n = 0;

	for (; (w = hostnet_raw(&net)); n++)
		free(w);
	return n;
}

static void test_accepted(void **state)
{
	struct mf_session_facts f;
	struct fake_stream *st;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	st = begin_session();
	assert_int_equal(st->dst.port, 80);
	assert_int_equal(st->app.port, 1000);
	assert_int_equal(net.emitted, 0);
	f = hostnet_facts(&net);
	assert_int_equal(f.state, MF_SESSION_OPENING);
	assert_int_equal(f.hop, HOSTNET_HOP);
	assert_true(mf_endpoint_equal(&f.app, &net.apps->local));
	assert_true(mf_endpoint_equal(&f.dst, &net.apps->remote));
	/* However long it takes: the app asks again, and only the far side's answer is one. */
	hostnet_advance(&net, 20 * MF_SEC);
	assert_int_equal(net.emitted, 0);
	assert_int_equal(net.out.n_opened, 1);
	fake_open(st);
	hostnet_settle(&net);
	assert_true(net.apps->connected);
	f = hostnet_facts(&net);
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.rtt_far, MF_MSEC);
	assert_int_equal(mf_host_counters(net.host)->tcp_established, 1);
	assert_int_equal(mf_host_counters(net.host)->sessions, 1);
	hostnet_close(&net);
}

/* What the app sees of each failure. */
struct outcome {
	enum mf_stream_error why;
	bool reset;
	uint8_t type4, code4, type6, code6; /* 0: no ICMP error */
	size_t counter;
};

#define COUNTER(name) offsetof(struct mf_host_counters, name)
static const struct outcome outcomes[] = {
	{ MF_STREAM_E_REFUSED, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
	{ MF_STREAM_E_RESET, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
	{ MF_STREAM_E_TIMED_OUT, false, 0, 0, 0, 0, COUNTER(tcp_timed_out) },
	{ MF_STREAM_E_HOST_UNREACHABLE, false, 3, 1, 1, 3, COUNTER(tcp_unreachable) },
	{ MF_STREAM_E_NET_UNREACHABLE, false, 3, 0, 1, 0, COUNTER(tcp_unreachable) },
	{ MF_STREAM_E_PROHIBITED, false, 3, 13, 1, 1, COUNTER(tcp_unreachable) },
	{ MF_STREAM_E_NO_DEVICE, false, 3, 0, 1, 0, COUNTER(tcp_unreachable) },
	{ MF_STREAM_E_NO_RESOURCES, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
	{ MF_STREAM_E_UNSUPPORTED, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
	{ MF_STREAM_E_PROXY, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
	{ MF_STREAM_E_OTHER, true, 0, 0, 0, 0, COUNTER(tcp_refused) },
};
static_assert(MF_ARRAY_LEN(outcomes) == MF_STREAM_ERROR_COUNT - 1, "all but NONE");

/* The one raw packet is the ICMP error about the SYN of net.apps. */
static void check_icmp(uint8_t type, uint8_t code, bool v4)
{
	struct hostnet_wire *w = hostnet_raw(&net);
	const struct hostnet_app *a = net.apps;
	size_t ip = v4 ? 20 : 40;
	const struct mf_icmp_hdr *i;
	const struct mf_tcp_hdr *t;

	assert_non_null(w);
	i = (const void *)(w->bytes + ip);
	assert_int_equal(i->type, type);
	assert_int_equal(i->code, code);
	assert_memory_equal(w->bytes + (v4 ? 12 : 8), a->remote.addr.b, v4 ? 4 : 16);
	assert_memory_equal(w->bytes + (v4 ? 16 : 24), a->local.addr.b, v4 ? 4 : 16);
	/* The quote: from the app, with its ports and its sequence number. */
	const uint8_t *q = w->bytes + ip + 8;
	assert_memory_equal(q + (v4 ? 12 : 8), a->local.addr.b, v4 ? 4 : 16);
	assert_memory_equal(q + (v4 ? 16 : 24), a->remote.addr.b, v4 ? 4 : 16);
	t = (const void *)(q + ip);
	assert_int_equal(mf_be16_get(t->sport), a->local.port);
	assert_int_equal(mf_be16_get(t->dport), a->remote.port);
	assert_int_equal(mf_be32_get(t->seq), a->tcp.iss);
	free(w);
	assert_int_equal(count_raw(), 0);
}

static uint64_t counter(size_t at)
{
	return *(const uint64_t *)(const void *)((const char *)mf_host_counters(net.host) + at);
}

/* `how`: stream_open returns the error, it notifies it at once, or it does later. */
static void try_outcome(const struct outcome *o, unsigned how, bool v4)
{
	open_net(&(struct hostnet_options){ 0 });
	net.out.refuse = how == 0 ? o->why : MF_STREAM_E_NONE;
	net.out.fail = how == 1 ? o->why : MF_STREAM_E_NONE;
	if (v4)
		hostnet_connect(&net, APP, DST, NULL);
	else
		hostnet_connect(&net, "[fd00::2]:1000", "[2001:db8::1]:80", NULL);
	hostnet_settle(&net);
	if (how == 2) {
		hostnet_advance(&net, MF_SEC / 2);
		fake_fail(net.out.last, o->why);
		hostnet_settle(&net);
	}
	if (o->reset) {
		assert_true(net.apps->closed);
		assert_int_equal(net.apps->end, MF_TCP_END_REFUSED);
	} else {
		assert_false(net.apps->closed);
	}
	if (o->type4)
		check_icmp(v4 ? o->type4 : o->type6, v4 ? o->code4 : o->code6, v4);
	assert_int_equal(net.emitted, o->reset || o->type4 ? 1 : 0);
	assert_int_equal(counter(o->counter), 1);
	assert_int_equal(mf_host_counters(net.host)->sessions, 0);
	assert_int_equal(net.out.n_open, 0);
	hostnet_close(&net);
}

static void test_outcomes(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(outcomes); i++)
		for (unsigned how = 0; how < 3; how++) {
			try_outcome(&outcomes[i], how, true);
			try_outcome(&outcomes[i], how, false);
		}
}

static void test_interface_down(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	net.down = true;
	hostnet_connect(&net, APP, DST, NULL);
	hostnet_settle(&net);
	check_icmp(3, 0, true);
	assert_int_equal(net.drops[MF_DROP_OUTBOUND_DOWN], 1);
	assert_int_equal(mf_host_counters(net.host)->sessions, 0);
	hostnet_close(&net);
}

static void test_fast_open(void **state)
{
	struct fake_stream *st;

	(void)state;
	open_net(&(struct hostnet_options){ .cfg = { .fast_open = true } });
	st = begin_session();
	assert_true(net.apps->connected);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_OPENING);
	hostnet_write(net.apps, 5000);
	hostnet_settle(&net);
	assert_int_equal(st->n_got, 0);
	fake_open(st);
	hostnet_settle(&net);
	assert_int_equal(st->n_got, 5000);
	hostnet_check_got(st, net.apps);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_ESTABLISHED);
	hostnet_close(&net);

	/* A failure that comes too late to be honest is a reset. */
	open_net(&(struct hostnet_options){ .cfg = { .fast_open = true } });
	st = begin_session();
	fake_fail(st, MF_STREAM_E_HOST_UNREACHABLE);
	hostnet_settle(&net);
	assert_int_equal(net.apps->end, MF_TCP_END_RESET);
	assert_int_equal(mf_host_counters(net.host)->tcp_unreachable, 1);
	hostnet_close(&net);
}

/* The app gives up while the far side has not answered. */
static void test_app_gives_up(void **state)
{
	struct fake_stream *st;
	uint8_t rst[64];

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	st = begin_session();
	hostnet_send(&net, rst,
		     hostnet_tcp(rst, APP, DST, net.apps->tcp.iss + 1, 0, MF_TCP_RST, NULL, 0));
	hostnet_settle(&net);
	assert_null(st->s);
	assert_int_equal(mf_host_counters(net.host)->tcp_reset_app, 1);
	assert_int_equal(mf_host_counters(net.host)->sessions, 0);
	hostnet_close(&net);
}

/* ---- Who may begin one ----------------------------------------------------------------------------- */

static void connect_from(const char *src, unsigned port)
{
	char local[80];

	snprintf(local, sizeof(local), "%s:%u", src, port);
	hostnet_connect(&net, local, DST, NULL);
	hostnet_settle(&net);
}

static void test_source_cap(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ .cfg = { .per_source = 3 } });
	net.out.open_at_once = true;
	for (unsigned i = 0; i < 4; i++)
		connect_from("10.0.0.2", 1000 + i);
	assert_int_equal(net.drops[MF_DROP_SESSIONS_SOURCE], 1);
	assert_int_equal(net.apps->end, MF_TCP_END_REFUSED);
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 3);
	/* Another source is not concerned; and where one ends, another may begin. */
	connect_from("10.0.0.3", 1000);
	assert_true(net.apps->connected);
	hostnet_abort(net.apps->next->next);
	hostnet_settle(&net);
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 3);
	connect_from("10.0.0.2", 1009);
	assert_true(net.apps->connected);
	hostnet_close(&net);
}

static void test_half_open_cap(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ .cfg = { .half_open_per_source = 2 } });
	for (unsigned i = 0; i < 3; i++)
		connect_from("10.0.0.2", 1000 + i);
	/* Silently: the address may be forged. */
	assert_int_equal(net.drops[MF_DROP_HALF_OPEN_SOURCE], 1);
	assert_int_equal(net.emitted, 0);
	assert_int_equal(net.out.n_opened, 2);
	/* One is established, so the third gets its turn when it asks again. */
	fake_open(net.out.last);
	hostnet_advance(&net, 2 * MF_SEC);
	assert_int_equal(net.out.n_opened, 3);
	assert_int_equal(hostnet_count(&net, MF_SESSION_OPENING), 2);
	hostnet_close(&net);
}

static void test_table_full(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ .cfg = { .max = 3, .per_source = 9 } });
	net.out.open_at_once = true;
	for (unsigned i = 0; i < 4; i++)
		connect_from("10.0.0.2", 1000 + i);
	assert_int_equal(net.drops[MF_DROP_SESSIONS_FULL], 1);
	assert_int_equal(net.apps->end, MF_TCP_END_REFUSED);
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 3);
	hostnet_close(&net);
}

/* The far side closes first, so the session waits. */
static void close_far_first(struct hostnet_app *a)
{
	fake_end(net.out.last);
	hostnet_settle(&net);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_true(a->closed);
}

static void test_time_wait_goes_first(void **state)
{
	unsigned wait;

	(void)state;
	open_net(&(struct hostnet_options){ .cfg = { .max = 8, .per_source = 3 } });
	net.out.open_at_once = true;
	/* Those that wait do not count for their source, and are at most a part of the table. */
	for (unsigned i = 0; i < 20; i++) {
		connect_from("10.0.0.2", 1000 + i);
		assert_true(net.apps->connected);
		close_far_first(net.apps);
	}
	wait = hostnet_count(&net, MF_SESSION_TIME_WAIT);
	assert_in_range(wait, 2, 4);
	/* They make room: all eight places for others. */
	for (unsigned i = 0; i < 8; i++) {
		char src[16];

		snprintf(src, sizeof(src), "10.0.1.%u", i);
		connect_from(src, 5);
		assert_true(net.apps->connected);
	}
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 8);
	assert_int_equal(net.drops[MF_DROP_SESSIONS_FULL], 0);
	hostnet_close(&net);
}

static void test_time_wait_ends(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	net.out.open_at_once = true;
	connect_from("10.0.0.2", 1000);
	close_far_first(net.apps);
	assert_int_equal(hostnet_count(&net, MF_SESSION_TIME_WAIT), 1);
	assert_int_equal(net.out.n_open, 0);
	/* The same ports again: a new session in the old one's place (RFC 6191). */
	hostnet_forget(net.apps);
	hostnet_advance(&net, 2 * MF_SEC);
	struct hostnet_app *old = net.apps;
	old->local.port = 1;
	connect_from("10.0.0.2", 1000);
	assert_true(net.apps->connected);
	assert_int_equal(hostnet_count(&net, MF_SESSION_TIME_WAIT), 0);
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 1);
	close_far_first(net.apps);
	hostnet_advance(&net, 61 * MF_SEC);
	assert_int_equal(mf_host_counters(net.host)->sessions, 0);
	hostnet_close(&net);
}

/* ---- ICMP from the app's side ---------------------------------------------------------------------- */

/* A router towards the app says "fragmentation needed" (RFC 1191) about a segment with this number. */
static void send_too_big(uint32_t seq, uint16_t mtu)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(2, 0);
	struct mf_addr router;
	struct mf_pkt *p = mf_pkt_small(pool), *error;

	assert_int_equal(mf_addr_parse(&router, "10.0.0.1"), MF_OK);
	p->len = (uint32_t)hostnet_tcp(p->data, DST, APP, seq, 0, MF_TCP_ACK, NULL, 0);
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	error = mf_icmp_error(pool, p, &router, MF_ICMP_TOO_BIG, mtu);
	assert_non_null(error);
	hostnet_send(&net, error->data, error->len);
	mf_pkt_free(p);
	mf_pkt_free(error);
	mf_pkt_pool_free(pool);
	hostnet_settle(&net);
}

/* The MSS that the host keeps to, as the app sees it. */
static uint16_t seen_mss(struct fake_stream *st)
{
	hostnet_give(st, net.apps, 4000);
	hostnet_advance(&net, MF_SEC);
	hostnet_read(net.apps, SIZE_MAX);
	return net.apps->tcp.rcv_mss;
}

static void test_path_mtu(void **state)
{
	struct fake_stream *st;
	uint16_t before;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	net.out.open_at_once = true;
	st = begin_session();
	before = seen_mss(st);
	/* About what was never sent: ignored (RFC 5927). */
	send_too_big(net.apps->tcp.rcv_nxt + 100000, 1300);
	net.apps->tcp.rcv_mss = 0;
	assert_int_equal(seen_mss(st), before);
	/* About what is in flight: the app is deaf for a moment. */
	hostnet_forget(net.apps);
	hostnet_give(st, net.apps, 4000);
	hostnet_settle(&net);
	net.apps->deaf = false;
	send_too_big(net.apps->tcp.rcv_nxt, 1300);
	net.apps->tcp.rcv_mss = 0;
	assert_int_equal(seen_mss(st), before - 200);
	hostnet_close(&net);
}

/* ---- What belongs to no session -------------------------------------------------------------------- */

static void test_no_session(void **state)
{
	static const struct {
		uint8_t flags;
		bool reset;
	} cases[] = {
		{ MF_TCP_ACK, true },
		{ MF_TCP_FIN | MF_TCP_ACK, true },
		{ MF_TCP_SYN | MF_TCP_ACK, true },
		{ MF_TCP_SYN | MF_TCP_FIN, true },
		{ 0, true },
		{ MF_TCP_RST, false },
		{ MF_TCP_RST | MF_TCP_ACK, false },
	};
	uint8_t b[64];

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	for (unsigned i = 0; i < MF_ARRAY_LEN(cases); i++) {
		hostnet_send(&net, b, hostnet_tcp(b, APP, DST, 100, 200, cases[i].flags, NULL, 0));
		hostnet_settle(&net);
		assert_int_equal(net.drops[MF_DROP_NO_SESSION], i + 1);
		assert_int_equal(count_raw(), cases[i].reset);
	}
	assert_int_equal(net.out.n_opened, 0);
	hostnet_close(&net);
}

static void test_damaged(void **state)
{
	uint8_t b[80];
	size_t n;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	n = hostnet_tcp(b, APP, DST, 1, 0, MF_TCP_SYN, "x", 1);
	b[n - 1] ^= 1;
	hostnet_send(&net, b, n);
	hostnet_settle(&net);
	assert_int_equal(net.drops[MF_DROP_L4_CHECKSUM], 1);
	b[20 + 12] = 4 << 4; /* a header shorter than a header */
	hostnet_send(&net, b, n);
	b[20 + 12] = 15 << 4; /* longer than the packet */
	hostnet_send(&net, b, n);
	hostnet_settle(&net);
	assert_int_equal(net.drops[MF_DROP_L4_TRUNCATED], 2);
	assert_int_equal(net.emitted, 0);
	assert_int_equal(net.out.n_opened, 0);
	hostnet_close(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_interface_down),
		cmocka_unit_test(test_fast_open),
		cmocka_unit_test(test_app_gives_up),
		cmocka_unit_test(test_source_cap),
		cmocka_unit_test(test_half_open_cap),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_time_wait_goes_first),
		cmocka_unit_test(test_time_wait_ends),
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_no_session),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
