/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of layer.h, with layers that do as little as a layer can: one that changes every byte,
 * one that passes bytes on as they are, one that waits for a greeting.
 */
#include "proxy/layer.h"

#include "host/steps.h"
#include "support/layerlab.h"
#include "unit.h"

enum { BULK = 300 * 1000 };

static struct layerlab lab;
static struct lab_user user;
static uint8_t bulk[BULK];
static struct mf_layer_outbound o, stack[MF_LAYER_DEPTH_MAX + 1];

static int open_lab(void **state)
{
	struct mf_prng g = unit_prng("layer");

	(void)state;
	layerlab_open(&lab, g.state, false);
	mf_prng_fill(&lab.prng, bulk, sizeof(bulk));
	memset(&user, 0, sizeof(user));
	user.closed = true;
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_user_fini(&user);
	layerlab_close(&lab);
	return 0;
}

/* ---- Layers ---------------------------------------------------------------------------------- */

enum { GREETING = '!' };

struct small {
	struct mf_layer l;
	bool greeted;
};
static unsigned n_begun, n_ended, n_reset, n_worked;

static struct small *small_of(struct mf_layer *l)
{
	return (struct small *)l;
}

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	assert_int_equal(to->addr.port, 443);
	assert_false(small_of(l)->greeted);
	n_begun++;
	return MF_OK;
}

static void end(struct mf_layer *l, bool reset)
{
	assert_null(l->above);
	n_ended++;
	n_reset += reset;
}

static uint8_t key_of(const struct mf_layer *l)
{
	return *(const uint8_t *)l->of->config;
}

static size_t write_changed(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	uint8_t *out = mf_layer_out(l);
	size_t at = 0;

	assert_true(n > 0 && n <= MF_LAYER_SPANS);
	assert_int_equal(l->state, MF_LAYER_OPEN);
	for (size_t i = 0; i < n; i++) {
		assert_true(v[i].n > 0);
		for (size_t k = 0; k < v[i].n; k++)
			out[at++] = v[i].p[k] ^ key_of(l);
	}
	assert_true(at <= MF_LAYER_PART);
	mf_layer_send(l, out, at);
	return at;
}

/* Asks for more than there is room for, so that something is left over. */
static ptrdiff_t read_changed(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	struct mf_codec_in in;
	ptrdiff_t last;
	size_t done = 0;

	in = mf_layer_fill(l, 3000, &last);
	assert_non_null(in.p);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].n && in.n; k++, done++) {
			v[i].p[k] = *in.p++ ^ key_of(l);
			in.n--;
		}
	if (!mf_layer_keep(l, in))
		return MF_STREAM_ERR;
	return done ? (ptrdiff_t)done : last > 0 ? MF_STREAM_AGAIN : last;
}

static const struct mf_layer_ops changes = {
	.name = "changes",
	.size = sizeof(struct small),
	.begin = begin,
	.write = write_changed,
	.read = read_changed,
	.end = end,
};

static const struct mf_layer_ops passes = {
	.name = "passes",
	.size = sizeof(struct mf_layer),
	.write = mf_layer_pass,
	.read = mf_layer_take,
};

static mf_err greet(struct mf_layer *l, mf_nsec now)
{
	struct mf_codec_in in;
	ptrdiff_t last;

	assert_true(l->state >= MF_LAYER_WORKING && now == lab.now && !l->pending.n);
	n_worked++;
	if (l->state == MF_LAYER_OPEN)
		return MF_OK;
	if (!small_of(l)->greeted)
		mf_layer_send(l, "hello", 5);
	small_of(l)->greeted = true;
	in = mf_layer_fill(l, 1, &last);
	if (last == MF_STREAM_EOF)
		return mf_layer_fault(l, MF_PROXY_TLS, "no greeting");
	if (last < 0)
		return MF_E_GONE;
	if (in.n && in.p[0] != GREETING)
		return mf_layer_fault(l, MF_PROXY_TRANSPORT, NULL);
	if (in.n)
		mf_layer_opened(l);
	return MF_OK;
}

static enum mf_proxy_fault late(struct mf_layer *l)
{
	assert_int_equal(l->state, MF_LAYER_WORKING);
	return MF_PROXY_HTTP_STATUS;
}

static const struct mf_layer_ops greets = {
	.name = "greets",
	.size = sizeof(struct small),
	.begin = begin,
	.work = greet,
	.write = mf_layer_pass,
	.read = mf_layer_take,
	.end = end,
	.late = late,
};

static void make_layer(struct mf_layer_outbound *x, const struct mf_layer_ops *ops,
		       struct mf_outbound *below, mf_nsec patience)
{
	static const uint8_t key = 0x21;

	mf_layer_outbound_init(x, ops, &lab.layers, below, &key, &lab.health, "hk", patience);
	n_begun = n_ended = n_reset = n_worked = 0;
}

/* A user over one layer, open, as the far side is. */
static struct fake_stream *open_over(struct mf_layer_outbound *x, const struct mf_layer_ops *ops)
{
	make_layer(x, ops, &lab.far.out, 0);
	assert_int_equal(lab_user_open(&user, &lab, &x->out, "192.0.2.1:443"), MF_OK);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	lab_user_turn(&user);
	return lab.far.last;
}

static void expect_changed(const struct fake_stream *st, const uint8_t *p, size_t n)
{
	assert_int_equal(st->n_got, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(st->got[i] ^ 0x21, p[i]);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void test_it_opens_when_the_one_below_has(void **state)
{
	(void)state;
	make_layer(&o, &changes, &lab.far.out, MF_SEC);
	assert_int_equal(lab_user_open(&user, &lab, &o.out, "192.0.2.1:443"), MF_OK);
	assert_int_equal(n_begun, 1);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_false(user.opened);
	layerlab_pass(&lab, 100 * MF_SEC); /* patience has not begun */
	fake_open(lab.far.last);
	lab_user_turn(&user);
	assert_false(user.opened);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.opened);
	layerlab_pass(&lab, 100 * MF_SEC); /* patience is over */
	assert_false(user.failed);
}

static void test_it_opens_with_what_came_with_its_handshake(void **state)
{
	(void)state;
	open_over(&o, &greets);
	assert_false(user.opened);
	assert_memory_equal(lab.far.last->got, "hello", 5);
	fake_give(lab.far.last, "!abc", 4);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.opened);
	assert_int_equal(user.n_got, 3);
	assert_memory_equal(user.got, "abc", 3);
}

static void test_patience_ends_with_the_fault_of_the_layer(void **state)
{
	(void)state;
	make_layer(&o, &greets, &lab.far.out, 3 * MF_SEC);
	assert_int_equal(lab_user_open(&user, &lab, &o.out, "192.0.2.1:443"), MF_OK);
	layerlab_pass(&lab, 10 * MF_SEC);
	fake_open(lab.far.last);
	layerlab_pass(&lab, 2900 * MF_MSEC);
	lab_user_turn(&user);
	assert_false(user.failed);
	layerlab_pass(&lab, 101 * MF_MSEC);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_PROXY);
	assert_int_equal(lab.health.count.fault[MF_PROXY_HTTP_STATUS], 1);
	assert_int_equal(lab.health.count.failed, 1);
	assert_null(lab.far.last->s);
	assert_true(lab.far.last->reset);
}

static void test_what_refuses_below_refuses_above(void **state)
{
	(void)state;
	lab.far.refuse = MF_STREAM_E_NET_UNREACHABLE;
	make_layer(&o, &changes, &lab.far.out, 0);
	assert_int_not_equal(lab_user_open(&user, &lab, &o.out, "192.0.2.1:443"), MF_OK);
	assert_int_equal(user.s.error, MF_STREAM_E_NET_UNREACHABLE);
	assert_null(user.s.impl);
	assert_int_equal(o.n_streams, 0);
	assert_int_equal(n_ended, 1);
}

static void test_a_failure_below_goes_up_once(void **state)
{
	(void)state;
	make_layer(&stack[0], &passes, &lab.far.out, 0);
	make_layer(&stack[1], &changes, &stack[0].out, 0);
	assert_int_equal(lab_user_open(&user, &lab, &stack[1].out, "192.0.2.1:443"), MF_OK);
	fake_fail(lab.far.last, MF_STREAM_E_TIMED_OUT);
	layerlab_run(&lab);
	assert_int_equal(user.wakes, 1);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_TIMED_OUT);
	layerlab_pass(&lab, MF_SEC);
	assert_int_equal(user.wakes, 1);
	assert_int_equal(lab.health.count.failed, 0); /* nobody has called it the proxy's */
}

static void expect_step(const struct mf_steps *s, unsigned i, const char *what, mf_nsec took)
{
	assert_true(i < s->n);
	assert_string_equal(s->step[i].what, what);
	assert_int_equal(s->step[i].took, took);
}

/* The way of a stream whose owner wants to know it; layers that are open at once are no steps. */
static void test_steps(void **state)
{
	struct mf_steps steps = { 0 };
	struct fake_stream *st;

	(void)state;
	lab.steps = &steps;
	make_layer(&stack[0], &greets, &lab.far.out, 0);
	make_layer(&stack[1], &passes, &stack[0].out, 0);
	make_layer(&stack[2], &greets, &stack[1].out, 0);
	assert_int_equal(lab_user_open(&user, &lab, &stack[2].out, "192.0.2.1:443"), MF_OK);
	st = lab.far.last;
	layerlab_pass(&lab, MF_SEC);
	fake_open(st);
	layerlab_pass(&lab, 30 * MF_MSEC);
	fake_give(st, "!", 1);
	layerlab_pass(&lab, 20 * MF_MSEC);
	assert_int_equal(steps.n, 1);
	expect_step(&steps, 0, "greets", 30 * MF_MSEC);
	fake_give(st, "!", 1);
	layerlab_run(&lab);
	assert_int_equal(steps.n, 2);
	expect_step(&steps, 1, "greets", 20 * MF_MSEC);
	assert_null(steps.failed);
	lab_user_fini(&user);
}

static void test_steps_end_at_the_fault(void **state)
{
	struct mf_steps steps = { 0 };
	struct fake_stream *st;

	(void)state;
	lab.steps = &steps;
	make_layer(&stack[0], &greets, &lab.far.out, 0);
	make_layer(&stack[1], &greets, &stack[0].out, 0);
	assert_int_equal(lab_user_open(&user, &lab, &stack[1].out, "192.0.2.1:443"), MF_OK);
	st = lab.far.last;
	fake_open(st);
	layerlab_pass(&lab, MF_MSEC);
	fake_give(st, "!", 1);
	layerlab_run(&lab);
	fake_end(st);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(steps.n, 1);
	assert_string_equal(steps.failed, "greets");
	assert_int_equal(steps.fault, MF_PROXY_TLS);
	assert_string_equal(steps.detail, "no greeting");
	lab_user_fini(&user);
}

static void test_a_handshake_that_fails_says_why(void **state)
{
	struct fake_stream *st = open_over(&o, &greets);

	(void)state;
	fake_give(st, "?", 1);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(lab.health.count.fault[MF_PROXY_TRANSPORT], 1);
	lab_user_fini(&user);

	st = open_over(&o, &greets);
	fake_end(st);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_PROXY);
	assert_string_equal(lab.health.facts.detail, "no greeting");
	assert_string_equal(
		layerlab_last_line(&lab),
		"hk: the server does not speak this transport; look at `tls`, `websocket` "
		"and `obfs`, and at the server's settings");
}

static void test_too_many_layers_are_refused(void **state)
{
	struct mf_outbound *below = &lab.far.out;

	(void)state;
	for (unsigned i = 0; i <= MF_LAYER_DEPTH_MAX; i++) {
		make_layer(&stack[i], &changes, below, 0);
		below = &stack[i].out;
	}
	assert_int_not_equal(lab_user_open(&user, &lab, below, "192.0.2.1:443"), MF_OK);
	assert_int_equal(user.s.error, MF_STREAM_E_NO_RESOURCES);
	assert_int_equal(lab.far.n_opened, 0);
	assert_int_equal(
		lab_user_open(&user, &lab, &stack[MF_LAYER_DEPTH_MAX - 1].out, "192.0.2.1:443"),
		MF_OK);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	lab_user_turn(&user);
	lab_user_write(&user, bulk, 10);
	assert_int_equal(lab.far.last->n_got, 10);
	assert_memory_equal(lab.far.last->got, bulk, 10); /* an even number of layers */
}

/* ---- Bytes that wait ------------------------------------------------------------------------- */

static void test_what_is_not_taken_goes_first(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	st->may_write = 1000;
	lab_user_write(&user, bulk, 1500);
	assert_int_equal(user.given, 1500); /* 500 are held back */
	assert_true(mf_layers_held(&lab.layers) >= 500);
	lab_user_write(&user, bulk + 1500, 100);
	assert_int_equal(user.given, 1500);
	fake_take(st, 400);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_int_equal(user.given, 1500); /* still 100 */
	fake_take(st, SIZE_MAX);
	layerlab_run(&lab);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
	lab_user_turn(&user);
	expect_changed(st, bulk, 1600);
}

static void test_only_one_layer_of_a_stack_holds_back(void **state)
{
	struct fake_stream *st;

	(void)state;
	make_layer(&stack[0], &changes, &lab.far.out, 0);
	make_layer(&stack[1], &changes, &stack[0].out, 0);
	make_layer(&stack[2], &changes, &stack[1].out, 0);
	lab.far.open_at_once = true;
	assert_int_equal(lab_user_open(&user, &lab, &stack[2].out, "192.0.2.1:443"), MF_OK);
	st = lab.far.last;
	st->may_write = 1000;
	layerlab_run(&lab);
	lab_user_write(&user, bulk, BULK);
	assert_int_equal(user.given, MF_LAYER_PART);
	assert_true(mf_layers_held(&lab.layers) <= 2 * MF_LAYER_PART);
	for (unsigned i = 0; i < BULK / 1000; i++) {
		fake_take(st, 1000);
		layerlab_run(&lab);
		lab_user_turn(&user);
	}
	expect_changed(st, bulk, BULK);
}

static void test_the_end_waits_for_what_is_held_back(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	st->may_write = 10;
	lab_user_write(&user, bulk, 100);
	lab_user_shutdown(&user);
	layerlab_run(&lab);
	assert_false(st->shut);
	fake_take(st, 50);
	layerlab_run(&lab);
	assert_false(st->shut);
	fake_take(st, 50);
	layerlab_run(&lab);
	assert_true(st->shut);
	assert_int_equal(st->n_got, 100);
	fake_give(st, "answer", 6);
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_int_equal(user.n_got, 6);
}

static void test_a_closed_connection_sends_what_it_holds(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	st->may_write = 10;
	lab_user_write(&user, bulk, 100);
	lab_user_close(&user, false);
	assert_int_equal(n_ended, 1);
	assert_non_null(st->s);
	fake_give(st, "late", 4); /* nobody reads it */
	layerlab_run(&lab);
	assert_int_equal(o.n_streams, 1);
	fake_take(st, 90);
	layerlab_run(&lab);
	assert_null(st->s);
	assert_false(st->reset);
	assert_int_equal(o.n_streams, 0);
	expect_changed(st, bulk, 100);
	assert_int_equal(n_ended, 1);
}

static void test_it_does_not_wait_for_ever(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	st->may_write = 10;
	lab_user_write(&user, bulk, 100);
	lab_user_close(&user, false);
	layerlab_pass(&lab, 60 * MF_SEC);
	assert_null(st->s);
	assert_true(st->reset);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
}

static void test_a_reset_waits_for_nothing(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	st->may_write = 10;
	lab_user_write(&user, bulk, 100);
	lab_user_close(&user, true);
	assert_null(st->s);
	assert_true(st->reset);
	assert_int_equal(n_reset, 1);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
}

/* Many of them: pressure.c. */
static void test_who_finds_no_memory_waits(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);
	struct lab_user other;

	(void)state;
	lab.layers.held[MF_LAYER_TO_SEND].max = 64 * 1024;
	assert_int_equal(lab_user_open(&other, &lab, &o.out, "192.0.2.1:443"), MF_OK);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	st->may_write = lab.far.last->may_write = 10;
	lab_user_write(&user, bulk, BULK);
	lab_user_turn(&other);
	lab_user_write(&other, bulk, BULK);
	assert_in_range(user.given, 1, 5000);
	assert_in_range(other.given, 1, user.given);
	layerlab_pass(&lab, 5 * MF_SEC);
	lab_user_turn(&other);
	assert_false(other.failed);
	fake_take(st, SIZE_MAX);
	layerlab_run(&lab);
	lab_user_turn(&user);
	expect_changed(st, bulk, BULK);
	lab_user_fini(&other);
}

static void test_all_fail_when_their_outbound_ends(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	mf_layer_outbound_end(&o, MF_STREAM_E_NO_DEVICE);
	assert_null(st->s);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_NO_DEVICE);
	assert_int_equal(o.n_streams, 1);
	lab_user_fini(&user);
	assert_int_equal(o.n_streams, 0);

	st = open_over(&o, &changes);
	st->may_write = 0;
	lab_user_write(&user, bulk, 100);
	lab_user_close(&user, false);
	assert_int_equal(o.n_streams, 1);
	mf_layer_outbound_end(&o, MF_STREAM_E_NO_DEVICE);
	assert_int_equal(o.n_streams, 0);
}

static unsigned n_wakes;

static void count_wake(void *ctx)
{
	assert_ptr_equal(ctx, &n_wakes);
	n_wakes++;
}

static void test_its_owner_is_woken_when_it_must_run(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);

	(void)state;
	lab.layers.wake = count_wake;
	lab.layers.ctx = &n_wakes;
	n_wakes = 0;
	fake_give(st, "abc", 3);
	assert_int_equal(n_wakes, 1);
	fake_give(st, "def", 3);
	assert_int_equal(n_wakes, 1);
	assert_true(mf_layers_pending(&lab.layers));
	layerlab_run(&lab);
	assert_false(mf_layers_pending(&lab.layers));
	lab_user_turn(&user);
	assert_int_equal(user.n_got, 6);
	fake_give(st, "ghi", 3);
	assert_int_equal(n_wakes, 2);
}

static unsigned n_emptied;

static void emptied(struct mf_layer_outbound *x)
{
	assert_int_equal(x->n_streams, 0);
	n_emptied++;
}

static void test_the_last_stream_is_told(void **state)
{
	struct lab_user other;

	(void)state;
	n_emptied = 0;
	open_over(&o, &changes);
	o.emptied = emptied;
	assert_int_equal(lab_user_open(&other, &lab, &o.out, "192.0.2.1:443"), MF_OK);
	lab_user_close(&user, false);
	assert_int_equal(n_emptied, 0);
	lab_user_fini(&other);
	assert_int_equal(n_emptied, 1);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void test_what_is_left_over_is_said_again(void **state)
{
	struct fake_stream *st = open_over(&o, &changes);
	uint8_t b[100];
	struct mf_room v = { b, sizeof(b) };

	(void)state;
	fake_give(st, bulk, 250);
	fake_end(st);
	layerlab_run(&lab);
	assert_true(user.s.ready & MF_STREAM_READABLE);
	user.s.ready = 0;
	assert_int_equal(user.s.out->ops->stream_read(&user.s, &v, 1), 100);
	assert_int_equal(user.s.out->ops->stream_read(&user.s, &v, 1), 100);
	assert_int_equal(user.s.out->ops->stream_read(&user.s, &v, 1), 50);
	layerlab_run(&lab); /* less than there was room for: so the end is said */
	assert_true(user.s.ready & MF_STREAM_READABLE);
	assert_int_equal(user.s.out->ops->stream_read(&user.s, &v, 1), MF_STREAM_EOF);
}

/* Streams end to end through three layers, in random pieces, with a far side that takes and
 * gives at random. */
static void run_random(unsigned round)
{
	static const struct mf_layer_ops *const kinds[] = { &changes, &passes };
	struct mf_outbound *below = &lab.far.out;
	size_t n_up = mf_prng_below(&lab.prng, BULK), n_down = mf_prng_below(&lab.prng, BULK);
	size_t up = 0, down = 0;
	uint8_t key = 0;
	struct fake_stream *st;

	for (unsigned i = 0; i < 3; i++) {
		unsigned kind = mf_prng_below(&lab.prng, 2) & 1;

		make_layer(&stack[i], kinds[kind], below, 0);
		below = &stack[i].out;
		key ^= kind ? 0 : 0x21;
	}
	lab.far.prng = &lab.prng;
	lab.far.open_at_once = round & 1;
	assert_int_equal(lab_user_open(&user, &lab, below, "192.0.2.1:443"), MF_OK);
	user.prng = &lab.prng;
	st = lab.far.last;
	st->may_write = 0;
	if (!st->opened)
		fake_open(st);
	for (unsigned i = 0; st->n_got < n_up || user.n_got < n_down; i++) {
		size_t a = mf_min(mf_prng_below(&lab.prng, 40000), n_up - up);
		size_t b = mf_min(mf_prng_below(&lab.prng, 40000), n_down - down);

		assert_true(i < 10000);
		if (user.opened)
			lab_user_write(&user, bulk + up, a);
		up += user.opened ? a : 0;
		for (size_t k = 0; k < b; k++) {
			uint8_t byte = bulk[down + k] ^ key;

			fake_give(st, &byte, 1);
		}
		down += b;
		if (i % 3)
			fake_take(st, mf_prng_below(&lab.prng, 30000));
		layerlab_run(&lab);
		lab_user_turn(&user);
	}
	assert_int_equal(st->n_got, n_up);
	for (size_t i = 0; i < n_up; i++)
		assert_int_equal(st->got[i] ^ key, bulk[i]);
	assert_int_equal(user.n_got, n_down);
	if (n_down)
		assert_memory_equal(user.got, bulk, n_down);
	lab_user_fini(&user);
}

static void test_streams_come_through_bit_for_bit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++)
		run_random(i);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
	const struct CMUnitTest tests[] = {
		T(test_it_opens_when_the_one_below_has),
		T(test_it_opens_with_what_came_with_its_handshake),
		T(test_patience_ends_with_the_fault_of_the_layer),
		T(test_what_refuses_below_refuses_above),
		T(test_a_failure_below_goes_up_once),
		T(test_a_handshake_that_fails_says_why),
		T(test_steps),
		T(test_steps_end_at_the_fault),
		T(test_too_many_layers_are_refused),
		T(test_what_is_not_taken_goes_first),
		T(test_only_one_layer_of_a_stack_holds_back),
		T(test_the_end_waits_for_what_is_held_back),
		T(test_a_closed_connection_sends_what_it_holds),
		T(test_it_does_not_wait_for_ever),
		T(test_a_reset_waits_for_nothing),
		T(test_who_finds_no_memory_waits),
		T(test_all_fail_when_their_outbound_ends),
		T(test_its_owner_is_woken_when_it_must_run),
		T(test_the_last_stream_is_told),
		T(test_what_is_left_over_is_said_again),
		T(test_streams_come_through_bit_for_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
