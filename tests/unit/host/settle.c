/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP sessions that are settled by the name that they show (host/settle.h): in whatever pieces it comes, or
 * not at all.
 */
#include "hostnet.h"
#include "shown.h"

#include "proto/sniff/sniff.h"
#include "unit.h"

#define APP "10.0.0.2:1000"
#define TLS "192.0.2.1:443"
#define WEB "192.0.2.1:80"

static const mf_nsec patience = 300 * MF_MSEC;

static struct hostnet net;
static struct mf_prng prng;
static uint8_t hello[SHOWN_MAX];

static void open_with(const struct mf_host_config *cfg)
{
	struct hostnet_options o = { .cfg = *cfg };

	prng = unit_prng("settle");
	o.seed = prng.state;
	o.cfg.settle_wait = patience;
	o.cfg.settle_port[0] = 80;
	o.cfg.settle_port[1] = 443;
	o.cfg.n_settle_ports = 2;
	hostnet_open(&net, &o);
	net.settles = true;
	net.rules[0] = (struct hostnet_rule){ "other.example", HOSTNET_OTHER };
	net.rules[1] = (struct hostnet_rule){ "ads.example", HOSTNET_DROP };
	net.rules[2] = (struct hostnet_rule){ "bad.example", HOSTNET_REJECT };
}

static void open_net(void)
{
	open_with(&(struct mf_host_config){ 0 });
}

/* An app that has connected, while nobody knows yet where to. */
static struct hostnet_app *connect_to(const char *local, const char *remote)
{
	unsigned before = net.out.n_opened + net.other.n_opened;

	hostnet_connect(&net, local, remote, NULL);
	hostnet_settle(&net);
	assert_true(net.apps->connected);
	assert_int_equal(net.out.n_opened + net.other.n_opened, before);
	return net.apps;
}

static const struct mf_host_counters *counters(void)
{
	return mf_host_counters(net.host);
}

/* The stream has got these bytes and no others. */
static void assert_got(const struct fake_stream *st, const void *bytes, size_t n)
{
	assert_int_equal(st->n_got, n);
	assert_memory_equal(st->got, bytes, n);
}

/* ---- Names ----------------------------------------------------------------------------------------- */

static void test_goes_where_its_name_says(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);
	struct mf_session_facts f;
	struct hostnet_app *a;

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_OPENING);
	assert_int_equal(hostnet_facts(&net).rule, UINT32_MAX);
	hostnet_say(a, hello, n);
	hostnet_settle(&net);
	assert_int_equal(net.out.n_opened, 0);
	assert_int_equal(net.other.n_opened, 1);
	assert_string_equal(net.other.last->name, "other.example");
	assert_true(mf_endpoint_equal(&net.other.last->dst, &a->remote));
	fake_open(net.other.last);
	hostnet_settle(&net);
	assert_got(net.other.last, hello, n);
	f = hostnet_facts(&net);
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.hop, HOSTNET_OTHER);
	assert_int_equal(f.rule, 0);
	assert_string_equal(f.name, "other.example");
	assert_int_equal(counters()->settled_tls, 1);
	assert_int_equal(counters()->settle_moved, 1);
	assert_int_equal(counters()->tcp_established, 1);
	assert_int_equal(mf_host_hop(net.host, HOSTNET_HOP)->sessions, 0);
	assert_int_equal(mf_host_hop(net.host, HOSTNET_OTHER)->sessions, 1);
	assert_int_equal(mf_host_hop(net.host, HOSTNET_OTHER)->bytes_up, n);
	/* From here on it is a session like any other. */
	hostnet_give(net.other.last, a, 50000);
	fake_end(net.other.last);
	hostnet_settle(&net);
	assert_int_equal(hostnet_read(a, 50000), 50000);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_true(a->eof);
	assert_true(net.other.last->shut);
	hostnet_close(&net);
}

static void test_web(void **state)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: Other.example:80\r\n\r\n";

	(void)state;
	open_net();
	net.other.open_at_once = true;
	hostnet_say(connect_to(APP, WEB), get, sizeof(get) - 1);
	hostnet_settle(&net);
	assert_int_equal(net.other.n_opened, 1);
	assert_got(net.other.last, get, sizeof(get) - 1);
	assert_string_equal(hostnet_facts(&net).name, "other.example");
	assert_int_equal(counters()->settled_http, 1);
	hostnet_close(&net);
}

/* Its address decides, but the name is seen. Of a long one the end. */
static void test_name_without_a_rule(void **state)
{
	static const char name[] = "a-label-that-is-as-long-as-such-labels-are-nowadays."
				   "which-makes-the-name-long.example.org";
	size_t n = shown_tls(hello, name, 0, false);
	struct mf_session_facts f;

	(void)state;
	open_net();
	net.out.open_at_once = true;
	hostnet_say(connect_to(APP, TLS), hello, n);
	hostnet_settle(&net);
	assert_got(net.out.last, hello, n);
	assert_string_equal(net.out.last->name, name);
	f = hostnet_facts(&net);
	assert_int_equal(strlen(f.name), 63);
	assert_string_equal(f.name, name + strlen(name) - 63);
	assert_int_equal(f.rule, UINT32_MAX);
	assert_int_equal(counters()->settled_tls, 1);
	assert_int_equal(counters()->settle_moved, 0);
	hostnet_close(&net);
}

/* Where nothing is to be settled, set-up is honest. */
static void test_not_asked(void **state)
{
	static const char *const remote[] = { "192.0.2.1:444", TLS };

	(void)state;
	open_net();
	for (unsigned i = 0; i < 2; i++) {
		net.settles = i == 0;
		hostnet_connect(&net, i ? "10.0.0.2:1001" : APP, remote[i], NULL);
		hostnet_settle(&net);
		assert_false(net.apps->connected);
		assert_int_equal(net.out.n_opened, i + 1);
		assert_string_equal(net.out.last->name, "");
	}
	hostnet_close(&net);
}

/* ---- Pieces ---------------------------------------------------------------------------------------- */

/* A connection by hand, so that its segments may come as they like. */
static uint32_t by_hand(void)
{
	uint8_t b[128];
	struct hostnet_wire *w;
	uint32_t seq;

	hostnet_send(&net, b, hostnet_tcp(b, APP, TLS, 1000, 0, MF_TCP_SYN, NULL, 0));
	hostnet_settle(&net);
	w = hostnet_raw(&net);
	assert_non_null(w);
	seq = mf_load_be32(w->bytes + 24);
	free(w);
	hostnet_send(&net, b, hostnet_tcp(b, APP, TLS, 1001, seq + 1, MF_TCP_ACK, NULL, 0));
	hostnet_settle(&net);
	return seq + 1;
}

static void send_part(uint32_t ack, size_t from, size_t n)
{
	uint8_t b[2048];

	hostnet_send(
		&net, b,
		hostnet_tcp(b, APP, TLS, 1001 + (uint32_t)from, ack, MF_TCP_ACK, hello + from, n));
}

static void clear_raw(void)
{
	struct hostnet_wire *w;

	while ((w = hostnet_raw(&net)))
		free(w);
}

static void test_byte_by_byte(void **state)
{
	size_t n = shown_tls(hello, "other.example", 2500, false);
	uint32_t ack;

	(void)state;
	open_net();
	net.other.open_at_once = true;
	ack = by_hand();
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(net.other.n_opened, 0);
		send_part(ack, i, 1);
		hostnet_settle(&net);
	}
	assert_int_equal(net.other.n_opened, 1);
	assert_got(net.other.last, hello, n);
	clear_raw();
	hostnet_close(&net);
}

/* In any order, each piece as often as it likes. */
static void test_any_order(void **state)
{
	size_t n = shown_tls(hello, "other.example", 1500, false);

	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		size_t cut[64], order[64], pieces = 1;
		uint32_t ack;

		open_net();
		net.other.open_at_once = true;
		for (unsigned i = 0; i < round; i++)
			(void)mf_prng_u64(&prng);
		ack = by_hand();
		cut[0] = 0;
		while (cut[pieces - 1] < n && pieces < 63) {
			cut[pieces] = mf_min(n, cut[pieces - 1] + 1 + mf_prng_below(&prng, 200));
			pieces++;
		}
		pieces--;
		for (size_t i = 0; i < pieces; i++) {
			size_t k = mf_prng_below(&prng, i + 1);

			order[i] = order[k];
			order[k] = i;
		}
		for (size_t i = 0; i < pieces; i++) {
			size_t k = order[i], again = order[mf_prng_below(&prng, i + 1)];

			assert_int_equal(net.other.n_opened, 0);
			send_part(ack, cut[k], cut[k + 1] - cut[k]);
			if (mf_prng_below(&prng, 2))
				hostnet_settle(&net);
			send_part(ack, cut[again], cut[again + 1] - cut[again]);
		}
		hostnet_settle(&net);
		assert_int_equal(net.other.n_opened, 1);
		assert_int_equal(net.out.n_opened, 0);
		assert_got(net.other.last, hello, cut[pieces]);
		clear_raw();
		hostnet_close(&net);
	}
}

/* More bytes than a name may take. */
static void test_too_much(void **state)
{
	static uint8_t endless[MF_SNIFF_STREAM_MAX + 4000];

	(void)state;
	open_net();
	net.out.open_at_once = true;
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, "GET /", 5);
	hostnet_say(connect_to(APP, WEB), endless, sizeof(endless));
	hostnet_settle(&net);
	assert_int_equal(net.out.n_opened, 1);
	assert_int_equal(counters()->settle_none, 1);
	assert_got(net.out.last, endless, sizeof(endless));
	hostnet_close(&net);
}

/* ---- No name --------------------------------------------------------------------------------------- */

static void test_none(void **state)
{
	static const char other[] = "SSH-2.0-none\r\n";
	size_t n;

	(void)state;
	open_net();
	net.out.open_at_once = true;
	hostnet_say(connect_to(APP, TLS), other, sizeof(other) - 1);
	hostnet_settle(&net);
	assert_got(net.out.last, other, sizeof(other) - 1);
	assert_int_equal(counters()->settle_none, 1);
	n = shown_tls(hello, NULL, 0, false);
	hostnet_say(connect_to("10.0.0.2:1001", TLS), hello, n);
	hostnet_settle(&net);
	assert_got(net.out.last, hello, n);
	assert_int_equal(counters()->settle_none, 2);
	assert_int_equal(counters()->settle_moved, 0);
	hostnet_close(&net);
}

/* What is outside of an encrypted ClientHello decides nothing and is not said to be the name. */
static void test_hidden(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, true);

	(void)state;
	open_net();
	net.out.open_at_once = true;
	hostnet_say(connect_to(APP, TLS), hello, n);
	hostnet_settle(&net);
	assert_got(net.out.last, hello, n);
	assert_string_equal(net.out.last->name, "");
	assert_string_equal(hostnet_facts(&net).name, "");
	assert_int_equal(hostnet_facts(&net).rule, UINT32_MAX);
	assert_int_equal(counters()->settle_hidden, 1);
	hostnet_close(&net);
}

/* The app says nothing, or not enough. */
static void test_in_time(void **state)
{
	struct hostnet_app *a;
	size_t n;

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	hostnet_advance(&net, patience - 1);
	assert_int_equal(net.out.n_opened, 0);
	hostnet_advance(&net, 1);
	assert_int_equal(net.out.n_opened, 1);
	assert_int_equal(counters()->settle_timed_out, 1);
	/* The server speaks first. */
	fake_open(net.out.last);
	hostnet_give(net.out.last, a, 100);
	hostnet_settle(&net);
	assert_int_equal(hostnet_read(a, 1000), 100);
	a = connect_to("10.0.0.2:1001", TLS);
	n = shown_tls(hello, "other.example", 0, false);
	hostnet_say(a, hello, n - 1);
	hostnet_advance(&net, patience);
	assert_int_equal(net.out.n_opened, 2);
	assert_int_equal(counters()->settle_timed_out, 2);
	/* Too late. */
	hostnet_say(a, hello + n - 1, 1);
	fake_open(net.out.last);
	hostnet_settle(&net);
	assert_got(net.out.last, hello, n);
	hostnet_close(&net);
}

/* Who does not finish his handshake costs no connection outside. */
static void test_flood(void **state)
{
	uint8_t b[128];

	(void)state;
	open_net();
	hostnet_send(&net, b, hostnet_tcp(b, APP, TLS, 1000, 0, MF_TCP_SYN, NULL, 0));
	hostnet_advance(&net, 200 * MF_SEC);
	assert_int_equal(net.out.n_opened, 0);
	assert_int_equal(counters()->sessions, 0);
	clear_raw();
	hostnet_close(&net);
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

static void test_reset_before(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);
	struct hostnet_app *a;

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	hostnet_say(a, hello, n / 2);
	hostnet_settle(&net);
	hostnet_abort(a);
	hostnet_advance(&net, 2 * patience);
	assert_int_equal(net.out.n_opened + net.other.n_opened, 0);
	assert_int_equal(counters()->tcp_reset_app, 1);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

/* Nothing will follow: there is nothing to wait for. */
static void test_end_before(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);
	struct hostnet_app *a;

	(void)state;
	open_net();
	net.out.open_at_once = true;
	a = connect_to(APP, TLS);
	hostnet_say(a, hello, n / 2);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_int_equal(net.out.n_opened, 1);
	assert_got(net.out.last, hello, n / 2);
	assert_true(net.out.last->shut);
	assert_int_equal(counters()->settle_none, 1);
	/* The name and the end in one. */
	net.other.open_at_once = true;
	a = connect_to("10.0.0.2:1001", TLS);
	hostnet_say(a, hello, n);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_got(net.other.last, hello, n);
	assert_true(net.other.last->shut);
	hostnet_close(&net);
}

static void test_closed_by_hand(void **state)
{
	struct hostnet_app *a;

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	assert_true(mf_host_close(net.host, hostnet_facts(&net).ref));
	hostnet_settle(&net);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	hostnet_close(&net);
}

/* The app has been answered already: what goes wrong now is a reset. */
static void test_failures(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct hostnet_app *a;

		open_net();
		a = connect_to(APP, TLS);
		net.down = i == 0;
		net.other.refuse = i == 1 ? MF_STREAM_E_NO_RESOURCES : MF_STREAM_E_NONE;
		net.other.fail = i == 2 ? MF_STREAM_E_HOST_UNREACHABLE : MF_STREAM_E_NONE;
		hostnet_say(a, hello, n);
		hostnet_settle(&net);
		if (i == 3) {
			fake_fail(net.other.last, MF_STREAM_E_TIMED_OUT);
			hostnet_settle(&net);
		}
		assert_int_equal(a->end, MF_TCP_END_RESET);
		assert_int_equal(counters()->sessions, 0);
		assert_null(hostnet_raw(&net));
		hostnet_close(&net);
	}
}

/* ---- Blocked --------------------------------------------------------------------------------------- */

static void test_rejected(void **state)
{
	size_t n = shown_tls(hello, "bad.example", 0, false);
	struct hostnet_app *a;

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	hostnet_say(a, hello, n);
	hostnet_settle(&net);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_int_equal(net.out.n_opened + net.other.n_opened, 0);
	assert_int_equal(counters()->settle_blocked, 1);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

static void test_dropped(void **state)
{
	size_t n = shown_tls(hello, "ads.example", 0, false);
	struct mf_session_facts f;
	struct hostnet_app *a;
	uint64_t emitted;
	uint8_t b[128];

	(void)state;
	open_net();
	a = connect_to(APP, TLS);
	hostnet_say(a, hello, n);
	hostnet_settle(&net);
	emitted = net.emitted;
	hostnet_advance(&net, 300 * MF_SEC);
	/* It tries again, and hears nothing. */
	assert_int_equal(net.emitted, emitted);
	assert_false(a->closed);
	assert_true(net.drops[MF_DROP_NAME_DROP] > 3);
	assert_int_equal(counters()->settle_blocked, 1);
	assert_int_equal(net.out.n_opened + net.other.n_opened, 0);
	f = hostnet_facts(&net);
	assert_int_equal(f.hop, HOSTNET_DROP);
	assert_int_equal(f.rule, 1);
	assert_string_equal(f.name, "ads.example");
	/* A new connection of the same port may be for something else. */
	hostnet_forget(a);
	hostnet_send(&net, b, hostnet_tcp(b, APP, TLS, 77000, 0, MF_TCP_SYN, NULL, 0));
	hostnet_settle(&net);
	assert_int_equal(net.emitted, emitted + 1);
	assert_int_equal(hostnet_facts(&net).hop, HOSTNET_HOP);
	clear_raw();
	hostnet_close(&net);
}

/* Those that are dropped take nobody's place: they are not half open, and go when they have been silent or when
 * there is no room. */
static void test_many_dropped(void **state)
{
	size_t n = shown_tls(hello, "ads.example", 0, false);

	(void)state;
	open_with(&(struct mf_host_config){ .max = 40, .per_source = 20, .half_open_per_source = 4 });
	for (unsigned i = 0; i < 100; i++) {
		struct hostnet_app *a;
		char local[32];

		snprintf(local, sizeof(local), "10.0.0.2:%u", 2000 + i);
		a = connect_to(local, TLS);
		hostnet_say(a, hello, n);
		hostnet_settle(&net);
		hostnet_forget(a);
	}
	assert_int_equal(counters()->settle_blocked, 100);
	assert_in_range(counters()->sessions, 1, 40);
	hostnet_advance(&net, 131 * MF_SEC);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

/* ---- Routes ---------------------------------------------------------------------------------------- */

static void test_routes_change(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);

	(void)state;
	open_net();
	net.other.open_at_once = true;
	hostnet_say(connect_to(APP, TLS), hello, n);
	hostnet_settle(&net);
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 0);
	net.route = 9; /* its address leads elsewhere: its packets are to be caught */
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 1);
	net.route = HOSTNET_HOP;
	net.rules[0].hop = HOSTNET_HOP;
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 1);
	net.rules[0].hop = HOSTNET_OTHER;
	mf_host_routes_changed(net.host, true);
	assert_int_equal(counters()->sessions, 1);
	hostnet_close(&net);
}

/* A learned route is in use while the session is. */
static void test_learned(void **state)
{
	size_t n = shown_tls(hello, "other.example", 0, false);
	struct hostnet_app *a;

	(void)state;
	open_net();
	net.other.open_at_once = net.learned = true;
	a = connect_to(APP, TLS);
	assert_int_equal(net.held, 1);
	hostnet_say(a, hello, n);
	hostnet_settle(&net);
	assert_int_equal(net.held, 1);
	hostnet_connect(&net, "10.0.0.2:1001", "192.0.2.1:22", NULL);
	hostnet_settle(&net);
	assert_int_equal(net.held, 2);
	net.learned = false; /* it has gone: whoever has not held does not release */
	hostnet_connect(&net, "10.0.0.2:1002", "192.0.2.1:22", NULL);
	hostnet_settle(&net);
	assert_int_equal(net.held, 2);
	mf_host_close_all(net.host);
	hostnet_settle(&net);
	assert_int_equal(net.held, 0);
	hostnet_close(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_where_its_name_says),
		cmocka_unit_test(test_web),
		cmocka_unit_test(test_name_without_a_rule),
		cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_in_time),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_reset_before),
		cmocka_unit_test(test_end_before),
		cmocka_unit_test(test_closed_by_hand),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_many_dropped),
		cmocka_unit_test(test_routes_change),
		cmocka_unit_test(test_learned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
