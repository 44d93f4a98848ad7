/* SPDX-License-Identifier: Apache-2.0
 *
 * The model keeps deadlines in an array and looks at all of them. Ticks are small numbers so that
 * every level and the far end of the wheel are reached.
 */
#include "base/wheel.h"

#include "unit.h"

enum { TIMERS = 200 };

struct node {
	struct mf_timer timer;
	struct model *model;
	mf_nsec want; /* the model's deadline, MF_NEVER: not armed */
	bool held;    /* armed for the past within a callback: due only at the next run */
};

struct model {
	struct mf_wheel wheel;
	struct mf_prng prng;
	struct node node[TIMERS];
	mf_nsec now;
	size_t fired;
};

static mf_nsec due_time(const struct model *m, mf_nsec deadline)
{
	mf_nsec tick = m->wheel.tick;

	return (deadline + tick - 1) / tick * tick;
}

/* Spread over all magnitudes: the next tick, the levels, far beyond the top, and the past. */
static mf_nsec random_deadline(struct model *m)
{
	uint64_t span = 1ull << mf_prng_below(&m->prng, 36);
	mf_nsec ahead = mf_prng_below(&m->prng, span);

	if (mf_prng_below(&m->prng, 10) == 0)
		return m->now > ahead ? m->now - ahead : 0;
	return m->now + ahead;
}

static void arm(struct model *m, struct node *n, mf_nsec deadline, bool inside)
{
	mf_timer_arm(&m->wheel, &n->timer, deadline);
	n->want = deadline;
	n->held = inside && due_time(m, deadline) <= m->now;
	assert_int_equal(mf_timer_armed(&n->timer), deadline != MF_NEVER);
}

static void disarm(struct model *m, struct node *n)
{
	mf_timer_disarm(&m->wheel, &n->timer);
	n->want = MF_NEVER;
	assert_false(mf_timer_armed(&n->timer));
}

static void fire(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct node *n = MF_CONTAINER_OF(t, struct node, timer);
	struct model *m = ctx;
	struct node *other = &m->node[mf_prng_below(&m->prng, TIMERS)];

	assert_ptr_equal(n->model, m);
	assert_true(now == m->now);
	assert_false(mf_timer_armed(t));
	assert_true(n->want != MF_NEVER);
	assert_false(n->held);
	assert_true(due_time(m, n->want) <= now); /* not early; late ones are found after the run */
	n->want = MF_NEVER;
	m->fired++;
	switch (mf_prng_below(&m->prng, 6)) {
	case 0:
		arm(m, n, random_deadline(m), true);
		break;
	case 1:
		disarm(m, other);
		break;
	case 2:
		arm(m, other, random_deadline(m), true);
		break;
	default:
		break;
	}
}

static uint64_t armed_in_model(const struct model *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < TIMERS; i++)
		n += m->node[i].want != MF_NEVER;
	return n;
}

static mf_nsec earliest(const struct model *m)
{
	mf_nsec best = MF_NEVER;

	for (size_t i = 0; i < TIMERS; i++) {
		mf_nsec want = m->node[i].want;

		if (want != MF_NEVER && due_time(m, want) < best)
			best = due_time(m, want);
	}
	return best;
}

static void run_to(struct model *m, mf_nsec now)
{
	size_t before = m->fired, said;

	m->now = now;
	for (size_t i = 0; i < TIMERS; i++)
		m->node[i].held = false;
	said = mf_wheel_run(&m->wheel, now, m);
	assert_int_equal(said, m->fired - before);
	for (size_t i = 0; i < TIMERS; i++) {
		struct node *n = &m->node[i];

		if (n->want != MF_NEVER && !n->held)
			assert_true(due_time(m, n->want) > now);
	}
	assert_int_equal(m->wheel.armed, armed_in_model(m));
}

static void step(struct model *m)
{
	struct node *n = &m->node[mf_prng_below(&m->prng, TIMERS)];
	mf_nsec next;

	switch (mf_prng_below(&m->prng, 8)) {
	case 0:
		disarm(m, n);
		break;
	case 1:
		run_to(m, m->now + mf_prng_below(&m->prng, 1ull << mf_prng_below(&m->prng, 34)));
		break;
	case 2: /* exactly as an event loop would: sleep until told */
		next = mf_wheel_next(&m->wheel);
		assert_true(next <= earliest(m) || next <= m->now);
		assert_int_equal(next == MF_NEVER, armed_in_model(m) == 0);
		if (next != MF_NEVER)
			run_to(m, next > m->now ? next : m->now);
		break;
	case 3: /* a tick, and one nanosecond less than a tick */
		run_to(m, m->now + m->wheel.tick - mf_prng_below(&m->prng, 2));
		break;
	default:
		arm(m, n, random_deadline(m), false);
	}
}

static void run_model(mf_nsec tick, mf_nsec start)
{
	struct model *m = calloc(1, sizeof(*m));

	m->prng = unit_prng("wheel");
	m->now = start;
	mf_wheel_init(&m->wheel, tick, start);
	for (size_t i = 0; i < TIMERS; i++)
		m->node[i] = (struct node){ .timer.fire = fire, .model = m, .want = MF_NEVER };
	for (int i = 0; i < 60000; i++)
		step(m);
	assert_true(m->fired > 1000);
	free(m);
}

static void test_random_tick_1(void **state)
{
	(void)state;
	run_model(1, 0);
}

static void test_random_odd_tick(void **state)
{
	(void)state;
	run_model(997, 123456789);
}

static void test_random_late_clock(void **state)
{
	(void)state;
	run_model(1, (1ull << 62) - 77);
}

static void note(struct mf_timer *t, void *ctx, mf_nsec now)
{
	mf_nsec *last = ctx;

	assert_true(t->deadline <= now);
	assert_true(t->deadline >= *last);
	*last = t->deadline;
}

static void test_one_run_fires_in_order(void **state)
{
	struct mf_prng g = unit_prng("wheel order");
	static struct mf_timer t[500];
	struct mf_wheel w;
	mf_nsec last = 0;

	(void)state;
	mf_wheel_init(&w, 1, 0);
	for (size_t i = 0; i < MF_ARRAY_LEN(t); i++) {
		t[i].fire = note;
		mf_timer_arm(&w, &t[i], 1 + mf_prng_below(&g, 1ull << mf_prng_below(&g, 30)));
	}
	assert_int_equal(mf_wheel_run(&w, 1ull << 31, &last), MF_ARRAY_LEN(t));
	assert_int_equal(mf_wheel_next(&w), MF_NEVER);
}

static void count(struct mf_timer *t, void *ctx, mf_nsec now)
{
	(void)t;
	(void)now;
	++*(unsigned *)ctx;
}

static void test_rounding_and_never(void **state)
{
	struct mf_timer t = { .fire = count };
	struct mf_wheel w;
	unsigned n = 0;

	(void)state;
	mf_wheel_init(&w, 10, 1000);
	assert_int_equal(mf_wheel_next(&w), MF_NEVER);
	mf_timer_disarm(&w, &t); /* not armed: nothing happens */
	mf_timer_arm(&w, &t, 1011);
	assert_int_equal(mf_wheel_next(&w), 1020);
	assert_int_equal(mf_wheel_run(&w, 1019, &n), 0);
	assert_int_equal(mf_wheel_run(&w, 1020, &n), 1);
	mf_timer_arm(&w, &t, 5); /* long past */
	assert_true(mf_wheel_next(&w) <= 1020);
	assert_int_equal(mf_wheel_run(&w, 1020, &n), 1);
	assert_int_equal(mf_wheel_run(&w, 1020, &n), 0);
	mf_timer_arm(&w, &t, 2000);
	mf_timer_arm(&w, &t, MF_NEVER);
	assert_false(mf_timer_armed(&t));
	assert_int_equal(w.armed, 0);
	mf_timer_arm(&w, &t, MF_NEVER - 1);
	assert_true(mf_timer_armed(&t));
	assert_int_equal(mf_wheel_run(&w, 3000, &n), 0);
	mf_timer_disarm(&w, &t);
	assert_int_equal(mf_wheel_next(&w), MF_NEVER);
	assert_int_equal(n, 2);
}

/* A slot's number says when only together with `now`: a clock that steps back must not move it. */
static void test_clock_that_steps_back(void **state)
{
	struct mf_timer t = { .fire = count };
	struct mf_wheel w;
	unsigned n = 0;

	(void)state;
	mf_wheel_init(&w, 1, 1000);
	mf_timer_arm(&w, &t, 1060);
	assert_int_equal(mf_wheel_run(&w, 950, &n), 0);
	assert_int_equal(mf_wheel_run(&w, 1059, &n), 0);
	assert_int_equal(mf_wheel_run(&w, 1060, &n), 1);
}

struct again {
	struct mf_wheel wheel;
	struct mf_timer timer;
	unsigned fired;
};

static void rearm_at_once(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct again *a = ctx;

	a->fired++;
	mf_timer_arm(&a->wheel, t, now);
}

static void test_rearming_for_now_does_not_spin(void **state)
{
	static struct again a = { .timer.fire = rearm_at_once };

	(void)state;
	mf_wheel_init(&a.wheel, 1, 0);
	mf_timer_arm(&a.wheel, &a.timer, 50);
	assert_int_equal(mf_wheel_run(&a.wheel, 100, &a), 1);
	assert_int_equal(mf_wheel_run(&a.wheel, 100, &a), 1);
	assert_int_equal(a.fired, 2);
	assert_true(mf_timer_armed(&a.timer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_tick_1),
		cmocka_unit_test(test_random_odd_tick),
		cmocka_unit_test(test_random_late_clock),
		cmocka_unit_test(test_one_run_fires_in_order),
		cmocka_unit_test(test_rounding_and_never),
		cmocka_unit_test(test_clock_that_steps_back),
		cmocka_unit_test(test_rearming_for_now_does_not_spin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
