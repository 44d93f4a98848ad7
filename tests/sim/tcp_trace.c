/* SPDX-License-Identifier: Apache-2.0
 *
 * Congestion windows over time, as golden files: what a change to congestion control or recovery does to
 * them is to be seen before it is accepted. Beside that each scenario is held to what it is for: the
 * bottleneck is used, loss is repaired without the timer, two flows share.
 *
 *	tcp-trace DIRECTORY [--update]
 *
 * A line: milliseconds since the start; cwnd, ssthresh (- for none) and bytes in flight, in bytes.
 */
#include "tcp_sim.h"

#define MBIT ((uint64_t)1000 * 1000)

static const char *directory;
static bool update;

/* ---- a trace as text ---- */

struct trace {
	char *text;
	size_t n, room;
	mf_nsec start;
};

static void print(struct trace *t, const char *fmt, ...) MF_PRINTF(2, 3);

static void print(struct trace *t, const char *fmt, ...)
{
	va_list args;

	if (t->room - t->n < 512) {
		t->room = t->room ? 2 * t->room : 8192;
		t->text = realloc(t->text, t->room);
		assert_non_null(t->text);
	}
	va_start(args, fmt);
	t->n += (size_t)vsnprintf(t->text + t->n, t->room - t->n, fmt, args);
	va_end(args);
}

static void sample(struct trace *t, const struct sim_end *e)
{
	struct mf_tcp_info i = sim_info(e);

	print(t, "%8.1f %9u ", (double)(e->sim->now - t->start) / 1e6, i.cwnd);
	if (i.ssthresh == UINT32_MAX)
		print(t, "%9s", "-");
	else
		print(t, "%9u", i.ssthresh);
	print(t, " %9u\n", i.in_flight);
}

/* Lets `span` pass and takes a line every `step`. */
static void watch(struct trace *t, struct sim_end *e, mf_nsec span, mf_nsec step)
{
	for (mf_nsec until = e->sim->now + span; e->sim->now < until;) {
		sim_run(e->sim, step);
		sample(t, e);
	}
}

/* ---- against the golden file ---- */

static FILE *golden(const char *name, const char *mode)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.txt", directory, name);
	return fopen(path, mode);
}

static void write_golden(const char *name, const struct trace *t)
{
	FILE *f = golden(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(t->text, 1, t->n, f), t->n);
	assert_int_equal(fclose(f), 0);
}

/* Names the first line that differs. */
static void compare(const char *name, const struct trace *t)
{
	FILE *f = golden(name, "r");
	const char *at = t->text, *end = t->text + t->n;
	char line[512];

	if (!f)
		fail_msg("%s/%s.txt is missing: tools/refresh-golden", directory, name);
	for (int n = 1; fgets(line, sizeof(line), f); n++) {
		size_t len = strlen(line);

		if ((size_t)(end - at) < len || memcmp(at, line, len) != 0)
			fail_msg("%s.txt:%d: expected %.*s, is %.*s", name, n,
				 (int)strcspn(line, "\n"), line, (int)strcspn(at, "\n"), at);
		at += len;
	}
	fclose(f);
	if (at != end)
		fail_msg("%s.txt ends before: %.*s", name, (int)strcspn(at, "\n"), at);
}

static void settle(const char *name, struct trace *t)
{
	if (update)
		write_golden(name, t);
	else
		compare(name, t);
	free(t->text);
}

/* ---- scenarios ---- */

/* Two ends with a bottleneck from the first to the second; `queue` in packets. */
static struct sim_end *path(uint64_t rate, mf_nsec rtt, unsigned queue)
{
	struct sim *s = sim_new(7);
	struct sim_end *f = sim_flow(s);

	s->link[0].rate = rate;
	s->link[0].queue = queue * 1500;
	s->link[0].delay = s->link[1].delay = rtt / 2;
	f[0].app.total = (uint64_t)1 << 40;
	f[0].cfg.pacing = true;
	return f;
}

static struct trace begin(struct sim_end *f, const char *what)
{
	struct trace t = { .start = f->sim->now };

	print(&t, "# %s\n#     ms      cwnd  ssthresh in flight\n", what);
	return t;
}

/* The share of the bottleneck that payload and headers took since `bytes` and `from`, in percent. */
static unsigned used(const struct sim *s, uint64_t bytes, mf_nsec from)
{
	return (unsigned)((s->link[0].bytes - bytes) * 8 * 100 /
			  ((s->now - from) / MF_MSEC * s->link[0].rate / 1000));
}

static void test_slow_start(void **state)
{
	struct sim_end *f = path(50 * MBIT, 40 * MF_MSEC, 1333);
	struct trace t = begin(
		f, "50 Mbit/s, 40 ms, a deep queue: HyStart++ ends slow start before it is full");

	(void)state;
	sim_start(f);
	watch(&t, &f[0], 1200 * MF_MSEC, 10 * MF_MSEC);
	/* It stops before the queue is full, and after the path is. */
	assert_int_equal(f->sim->link[0].n_overflowed, 0);
	assert_true(sim_info(&f[0]).ssthresh != UINT32_MAX);
	assert_in_range(sim_info(&f[0]).ssthresh, 250000, 1800000);
	assert_true(used(f->sim, 0, t.start) > 70);
	settle("slow-start", &t);
	sim_free(f->sim);
}

/* Once it has found its rate, 90 % of the path is used for so long, and nobody waits for the timer. */
static void assert_full(struct trace *t, struct sim_end *f, mf_nsec span)
{
	uint64_t bytes;
	mf_nsec from;

	watch(t, &f[0], 5 * MF_SEC, 100 * MF_MSEC);
	bytes = f->sim->link[0].bytes;
	from = f->sim->now;
	watch(t, &f[0], span, 100 * MF_MSEC);
	assert_true(used(f->sim, bytes, from) >= 90);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
}

static void test_epochs(void **state)
{
	struct sim_end *f = path(20 * MBIT, 50 * MF_MSEC, 84);
	struct trace t = begin(f, "20 Mbit/s, 50 ms, a queue of one more: epochs of CUBIC");

	(void)state;
	sim_start(f);
	assert_full(&t, f, 55 * MF_SEC);
	assert_true(sim_counters(&f[0])->fast_recoveries >= 2);
	assert_int_equal(f[0].n_again, f->sim->link[0].n_overflowed);
	settle("epochs", &t);
	sim_free(f->sim);
}

/* A queue of a fifth of the path: CUBIC's gentle way down still leaves it nearly full. */
static void test_shallow_queue(void **state)
{
	struct sim_end *f = path(100 * MBIT, 30 * MF_MSEC, 50);
	struct trace t = begin(f, "100 Mbit/s, 30 ms, a queue of a fifth of that");

	(void)state;
	sim_start(f);
	assert_full(&t, f, 20 * MF_SEC);
	settle("shallow-queue", &t);
	sim_free(f->sim);
}

static bool lose_burst(void *ctx, const struct sim_seg *g)
{
	unsigned *left = ctx;

	if (!*left || !g->len || g->again)
		return true;
	--*left;
	return false;
}

static void test_recovery(void **state)
{
	struct sim_end *f = path(50 * MBIT, 40 * MF_MSEC, 1333);
	struct trace t =
		begin(f, "50 Mbit/s, 40 ms: twenty segments lost at 2000 ms; PRR, then CUBIC");
	unsigned left = 20, again, bytes;

	(void)state;
	sim_start(f);
	sim_run(f->sim, 2 * MF_SEC);
	again = f[0].n_again;
	bytes = sim_info(&f[0]).in_flight;
	f->sim->link[0].filter = lose_burst;
	f->sim->link[0].ctx = &left;
	watch(&t, &f[0], 300 * MF_MSEC, 2 * MF_MSEC);
	assert_int_equal(f[0].n_again - again, 20);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_int_equal(sim_counters(&f[0])->fast_recoveries, 1);
	assert_in_range(sim_info(&f[0]).ssthresh, bytes * 6 / 10, bytes * 8 / 10);
	settle("recovery", &t);
	sim_free(f->sim);
}

static void test_rto(void **state)
{
	struct sim_end *f = path(20 * MBIT, 50 * MF_MSEC, 84);
	struct trace t = begin(f, "20 Mbit/s, 50 ms: nothing passes from 3000 to 4200 ms");

	(void)state;
	sim_start(f);
	sim_run(f->sim, 3 * MF_SEC);
	f->sim->link[0].dead = true;
	watch(&t, &f[0], 1200 * MF_MSEC, 20 * MF_MSEC);
	assert_int_equal(sim_info(&f[0]).cwnd, sim_info(&f[0]).mss);
	f->sim->link[0].dead = false;
	watch(&t, &f[0], 3 * MF_SEC, 20 * MF_MSEC);
	assert_in_range(sim_counters(&f[0])->rtos, 1, 3);
	assert_true(sim_info(&f[0]).cwnd >= sim_info(&f[0]).ssthresh);
	settle("rto", &t);
	sim_free(f->sim);
}

/* Segments overtake each other for a while: cwnd goes down and comes back. */
static void test_undo(void **state)
{
	struct sim_end *f = path(50 * MBIT, 40 * MF_MSEC, 1333);
	struct trace t = begin(
		f, "50 Mbit/s, 40 ms: segments overtake each other from 2000 to 2010 ms; undo");
	uint32_t before;

	(void)state;
	sim_start(f);
	sim_run(f->sim, 2 * MF_SEC);
	before = sim_info(&f[0]).cwnd;
	f->sim->link[0].reorder = 5000;
	f->sim->link[0].reorder_by = 40 * MF_MSEC;
	watch(&t, &f[0], 10 * MF_MSEC, 2 * MF_MSEC);
	f->sim->link[0].reorder = 0;
	watch(&t, &f[0], 290 * MF_MSEC, 2 * MF_MSEC);
	assert_true(sim_counters(&f[0])->undos >= 1);
	assert_int_equal(sim_counters(&f[0])->rtos, 0);
	assert_true(sim_info(&f[0]).cwnd >= before);
	settle("undo", &t);
	sim_free(f->sim);
}

/* The second comes when the first has all, and gets its part. */
static void test_two_flows(void **state)
{
	struct sim_end *f = path(40 * MBIT, 30 * MF_MSEC, 100), *g = sim_flow(f->sim);
	struct trace t = begin(f, "40 Mbit/s, 30 ms: a second flow from 5000 ms on; lines in turn");
	struct sim *s = f->sim;
	uint64_t one, two, bytes;
	mf_nsec from;

	(void)state;
	g[0].app.total = f[0].app.total;
	g[0].cfg.pacing = true;
	sim_start(f);
	sim_run(s, 5 * MF_SEC);
	sim_start(g);
	for (int i = 0; i < 50; i++) {
		watch(&t, &f[0], 500 * MF_MSEC, 500 * MF_MSEC);
		sample(&t, &g[0]);
	}
	one = f[1].received;
	two = g[1].received;
	bytes = s->link[0].bytes;
	from = s->now;
	sim_run(s, 40 * MF_SEC);
	one = f[1].received - one;
	two = g[1].received - two;
	print_message("two flows: %.1f and %.1f Mbit/s\n", (double)one * 8 / 40e6,
		      (double)two * 8 / 40e6);
	assert_true(one * 2 <= two * 3 && two * 2 <= one * 3);
	assert_true(used(s, bytes, from) >= 90);
	settle("two-flows", &t);
	sim_free(s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_start),    cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_shallow_queue), cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_rto),           cmocka_unit_test(test_undo),
		cmocka_unit_test(test_two_flows),
	};

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--update") != 0)) {
		fprintf(stderr, "usage: %s DIRECTORY [--update]\n", argv[0]);
		return 2;
	}
	directory = argv[1];
	update = argc == 3;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
