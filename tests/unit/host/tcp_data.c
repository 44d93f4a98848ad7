/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes through a TCP session: bytes both ways in any portions, ends and resets of either side, and what
 * happens when one side or the pool of packets is slow.
 */
#include "hostnet.h"

#include "unit.h"

#define APP "10.0.0.2:1000"
#define DST "192.0.2.1:80"

static struct hostnet net;

static struct hostnet_app *open_session(const struct hostnet_options *o)
{
	struct hostnet_options with = *o;

	with.seed = unit_prng("hostnet").state;
	hostnet_open(&net, &with);
	net.out.open_at_once = true;
	hostnet_connect(&net, APP, DST, NULL);
	hostnet_settle(&net);
	assert_true(net.apps->connected);
	return net.apps;
}

static const struct mf_host_counters *counters(void)
{
	return mf_host_counters(net.host);
}

/* Until the app has read so many bytes in all. */
static void read_up_to(struct hostnet_app *a, uint64_t total)
{
	for (unsigned i = 0; a->down < total; i++) {
		assert_in_range(i, 0, 1000);
		hostnet_advance(&net, 10 * MF_MSEC);
		hostnet_read(a, SIZE_MAX);
	}
	assert_int_equal(a->down, total);
}

/* ---- Bytes ----------------------------------------------------------------------------------------- */

/* How a transfer is cut up; 0: as much as there is room for. */
struct shape {
	size_t up, down;
	size_t app_write, app_read, far_write, far_read;
	bool random_parts;
	uint32_t lose_per_1000;
	bool ip6;
};

static size_t some(size_t max, size_t left)
{
	size_t n = max ? 1 + mf_prng_below(&net.prng, max) : left;

	return mf_min(n, left);
}

/* One move of each of the four hands; true: all has been moved. */
static bool step(const struct shape *s, struct hostnet_app *a, struct fake_stream *st)
{
	hostnet_write(a, some(s->app_write, s->up - a->up));
	hostnet_read(a, some(s->app_read, s->down));
	hostnet_give(st, a, some(s->far_write, s->down - st->n_give));
	fake_take(st, some(s->far_read, s->up));
	return st->n_got == s->up && a->down == s->down;
}

static void transfer(const struct shape *s)
{
	struct hostnet_options o = { .seed = unit_prng("transfer").state };
	struct hostnet_app *a;
	struct fake_stream *st;
	unsigned steps = 0;

	hostnet_open(&net, &o);
	net.out.open_at_once = true;
	net.out.may_write = 0;
	net.out.prng = s->random_parts ? &net.prng : NULL;
	net.lose_per_1000 = s->lose_per_1000;
	a = s->ip6 ? hostnet_connect(&net, "[fd00::9]:7", "[2001:db8::1]:80", NULL)
		   : hostnet_connect(&net, APP, DST, NULL);
	while (!a->connected)
		hostnet_advance(&net, MF_SEC);
	st = net.out.last;
	while (!step(s, a, st)) {
		hostnet_advance(&net, MF_MSEC);
		assert_true(++steps < 2000000);
	}
	hostnet_check_got(st, a);
	assert_int_equal(counters()->bytes_up, s->up);
	assert_int_equal(counters()->bytes_down, s->down);
	hostnet_close(&net);
}

static void test_bytes(void **state)
{
	static const struct shape shapes[] = {
		{ .up = 3000000 },
		{ .down = 3000000 },
		{ .up = 2000000, .down = 2000000 },
		{ .up = 2000000, .down = 2000000, .random_parts = true },
		{ .up = 300000, .down = 300000, .app_write = 100, .far_write = 3000 },
		{ .up = 20000, .down = 20000, .app_write = 9, .app_read = 9, .far_write = 9, .far_read = 9 },
		{ .up = 900000, .far_read = 5000 },
		{ .down = 900000, .app_read = 5000 },
		{ .up = 1000000,
		  .down = 1000000,
		  .app_write = 90000,
		  .app_read = 90000,
		  .far_write = 90000,
		  .far_read = 90000,
		  .random_parts = true },
		{ .up = 500000,
		  .down = 500000,
		  .app_write = 20000,
		  .far_write = 20000,
		  .lose_per_1000 = 20 },
		{ .up = 700000, .down = 700000, .random_parts = true, .ip6 = true },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(shapes); i++)
		transfer(&shapes[i]);
}

/* A reader that does not read stops the writer, with bounded memory between them. */
static void test_backpressure_up(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ .budget = 1 << 20 });
	struct fake_stream *st = net.out.last;

	(void)state;
	st->may_write = 0;
	for (unsigned i = 0; i < 300; i++) {
		hostnet_write(a, 1 << 20);
		hostnet_advance(&net, 100 * MF_MSEC);
	}
	assert_int_equal(st->n_got, 0);
	assert_true(a->up - mf_tcp_send_queued(&a->tcp) < 1 << 20);
	assert_in_range(mf_pkt_pool_free_large(net.pool), 128 / 8, 128);
	/* Still alive after half a minute, and all of it comes. */
	fake_take(st, SIZE_MAX);
	hostnet_advance(&net, 10 * MF_SEC);
	assert_int_equal(st->n_got, a->up);
	hostnet_check_got(st, a);
	hostnet_close(&net);
}

static void test_backpressure_down(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ .budget = 1 << 20 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_give(st, a, 20 << 20);
	hostnet_advance(&net, 60 * MF_SEC);
	assert_true(st->given < 8 << 20);
	read_up_to(a, 20 << 20);
	hostnet_close(&net);
}

/* Without packets for a session the rest goes on; when there are some again, so does the session. */
static void test_no_packets(void **state)
{
	struct hostnet_app *a =
		open_session(&(struct hostnet_options){ .n_small = 64, .n_large = 16 });
	struct fake_stream *st = net.out.last;
	struct mf_pkt *hog[16];
	unsigned n = 0;

	(void)state;
	while (mf_pkt_pool_free_large(net.pool) > 2)
		hog[n++] = mf_pkt_large(net.pool);
	hostnet_give(st, a, 100000);
	hostnet_advance(&net, 100 * MF_MSEC);
	assert_int_equal(st->given, 0);
	assert_int_equal(mf_pkt_pool_free_large(net.pool), 2);
	/* It is asleep, not spinning. */
	assert_false(mf_host_pending(net.host));
	assert_true(mf_host_deadline(net.host) > net.now);
	while (n)
		mf_pkt_free(hog[--n]);
	read_up_to(a, 100000);
	hostnet_close(&net);
}

/* Many sessions and few packets: each gets its part. */
static void test_fair(void **state)
{
	enum { SESSIONS = 40, BYTES = 400000 };
	struct hostnet_app *first[SESSIONS];
	struct fake_stream *st[SESSIONS];
	unsigned done = 0, rounds = 0;
	uint64_t least = 0, most = 0;

	(void)state;
	open_session(&(struct hostnet_options){ .n_small = 512, .n_large = 16, .budget = 1 << 20 });
	for (unsigned i = 0; i < SESSIONS; i++) {
		char local[32];

		snprintf(local, sizeof(local), "10.0.0.2:%u", 2000 + i);
		first[i] = hostnet_connect(&net, local, DST, NULL);
		hostnet_settle(&net);
		st[i] = net.out.last;
		hostnet_give(st[i], first[i], BYTES);
	}
	while (done < SESSIONS) {
		hostnet_advance(&net, MF_MSEC);
		done = 0;
		least = UINT64_MAX;
		most = 0;
		for (unsigned i = 0; i < SESSIONS; i++) {
			hostnet_read(first[i], SIZE_MAX);
			done += first[i]->down == BYTES;
			least = mf_min(least, first[i]->down);
			most = mf_max(most, first[i]->down);
		}
		/* When the first one is through, nobody has been left behind. */
		if (most == BYTES && !rounds++)
			assert_true(least > BYTES / 10);
		assert_true(net.now < 5000 * MF_SEC);
	}
	hostnet_close(&net);
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

static void test_app_closes_first(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	st->may_write = 0;
	hostnet_write(a, 50000);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_false(st->shut); /* not before all has been written */
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_APP_CLOSED);
	fake_take(st, SIZE_MAX);
	hostnet_settle(&net);
	assert_true(st->shut);
	assert_int_equal(st->n_got, 50000);
	hostnet_check_got(st, a);
	/* The other direction goes on. */
	hostnet_give(st, a, 70000);
	read_up_to(a, 70000);
	assert_false(a->eof);
	fake_end(st);
	hostnet_settle(&net);
	assert_true(a->eof);
	assert_null(st->s);
	assert_false(st->reset);
	/* Its own TIME-WAIT is the app's; ours is over. */
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

static void test_far_closes_first(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_give(st, a, 70000);
	fake_end(st);
	read_up_to(a, 70000);
	hostnet_settle(&net);
	assert_true(a->eof);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_FAR_CLOSED);
	hostnet_write(a, 50000);
	hostnet_advance(&net, MF_SEC);
	assert_int_equal(st->n_got, 50000);
	hostnet_check_got(st, a);
	assert_false(st->shut);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_true(st->shut);
	assert_null(st->s);
	assert_false(st->reset);
	assert_true(a->closed);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_TIME_WAIT);
	hostnet_close(&net);
}

/* The app has closed in both directions and is gone; what it sent before still waits for the far side. */
static void test_far_side_is_late(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;
	uint8_t b[64];

	(void)state;
	st->may_write = 1000;
	hostnet_write(a, 50000);
	fake_end(st);
	hostnet_shutdown(a);
	hostnet_advance(&net, 5 * MF_SEC);
	assert_true(a->eof);
	assert_int_equal(st->n_got, 1000);
	assert_int_equal(hostnet_facts(&net).state, MF_SESSION_CLOSING);
	/* A late segment of it is answered with a reset, as after the end. */
	hostnet_forget(a);
	hostnet_send(&net, b, hostnet_tcp(b, APP, DST, 77, 78, MF_TCP_ACK, NULL, 0));
	hostnet_settle(&net);
	fake_take(st, SIZE_MAX);
	hostnet_advance(&net, MF_SEC);
	assert_int_equal(st->n_got, 50000);
	hostnet_check_got(st, a);
	assert_true(st->shut);
	assert_null(st->s);
	assert_false(st->reset);
	hostnet_close(&net);
}

static void test_app_resets(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_abort(a);
	hostnet_settle(&net);
	assert_null(st->s);
	assert_true(st->reset);
	assert_int_equal(counters()->tcp_reset_app, 1);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

static void test_far_resets(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_write(a, 1000);
	hostnet_settle(&net);
	fake_fail(st, MF_STREAM_E_RESET);
	hostnet_settle(&net);
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_null(st->s);
	assert_int_equal(counters()->tcp_reset_far, 1);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

/* Both the reset and what a read finds: the session hears it once, whatever it hears first. */
static void test_far_resets_half_closed(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_true(st->shut);
	fake_fail(st, MF_STREAM_E_TIMED_OUT);
	hostnet_settle(&net);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_int_equal(counters()->tcp_reset_far, 1);
	hostnet_close(&net);
}

static void test_app_vanishes(void **state)
{
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });
	struct fake_stream *st = net.out.last;

	(void)state;
	hostnet_forget(a);
	hostnet_give(st, a, 1000);
	hostnet_advance(&net, 1000 * MF_SEC);
	assert_null(st->s);
	assert_true(st->reset);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

static void test_idle(void **state)
{
	struct hostnet_app *a =
		open_session(&(struct hostnet_options){ .cfg = { .tcp_idle = 100 * MF_SEC } });
	struct fake_stream *st = net.out.last;
	struct mf_host_config shorter;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		hostnet_advance(&net, 90 * MF_SEC);
		hostnet_write(a, 10);
		hostnet_settle(&net);
		assert_int_equal(st->n_got, 10 * (i + 1));
	}
	/* A new time-out holds for a session that there is. */
	shorter = net.cfg;
	shorter.tcp_idle = 20 * MF_SEC;
	mf_host_configure(net.host, &shorter);
	hostnet_advance(&net, 19 * MF_SEC);
	assert_false(a->closed);
	hostnet_advance(&net, 2 * MF_SEC);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_true(st->reset);
	assert_int_equal(counters()->idle_ended, 1);
	hostnet_close(&net);
}

/* An established session that has nothing to do has no packet and no work. */
static void test_idle_costs_nothing(void **state)
{
	enum { SESSIONS = 500 };
	struct hostnet_app *a = open_session(&(struct hostnet_options){ 0 });

	(void)state;
	for (unsigned i = 0; i < SESSIONS; i++) {
		char local[32];

		snprintf(local, sizeof(local), "10.0.%u.2:%u", i % 7, 2000 + i);
		a = hostnet_connect(&net, local, DST, NULL);
		hostnet_settle(&net);
		hostnet_write(a, 300);
		hostnet_give(net.out.last, a, 300);
		hostnet_advance(&net, MF_MSEC);
		assert_int_equal(hostnet_read(a, SIZE_MAX), 300);
	}
	hostnet_advance(&net, 10 * MF_SEC);
	assert_int_equal(mf_pkt_pool_free_small(net.pool), 1024);
	assert_int_equal(mf_pkt_pool_free_large(net.pool), 128);
	/* No turn in a whole minute. */
	for (unsigned i = 0; i < 60; i++) {
		net.now += MF_SEC;
		mf_host_begin(net.host, net.now);
		assert_int_equal(mf_host_run(net.host, net.now), 0);
	}
	hostnet_close(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_backpressure_up),
		cmocka_unit_test(test_backpressure_down),
		cmocka_unit_test(test_no_packets),
		cmocka_unit_test(test_fair),
		cmocka_unit_test(test_app_closes_first),
		cmocka_unit_test(test_far_closes_first),
		cmocka_unit_test(test_far_side_is_late),
		cmocka_unit_test(test_app_resets),
		cmocka_unit_test(test_far_resets),
		cmocka_unit_test(test_far_resets_half_closed),
		cmocka_unit_test(test_app_vanishes),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
