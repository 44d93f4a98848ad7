/* SPDX-License-Identifier: Apache-2.0
 *
 * Any path, any apps, any configuration: both ends always get every byte, in bounded time, and give
 * everything back. MF_SEED=N repeats a run, MF_RUNS=N makes more of them.
 */
#include "tcp_sim.h"

enum { RUNS = 1000 };

static unsigned runs(void)
{
	const char *wish = getenv("MF_RUNS");

	return wish ? (unsigned)strtoul(wish, NULL, 0) : RUNS;
}

static uint64_t below(struct mf_prng *g, uint64_t n)
{
	return mf_prng_below(g, n);
}

static bool one_in(struct mf_prng *g, uint64_t n)
{
	return mf_prng_below(g, n) == 0;
}

/* From lo to hi, each order of magnitude as likely as the others. */
static uint64_t log_uniform(struct mf_prng *g, uint64_t lo, uint64_t hi)
{
	uint64_t span = hi - lo + 1;
	unsigned bits = 64 - (unsigned)__builtin_clzll(span);

	return lo + below(g, span >> below(g, bits));
}

static void random_link(struct sim_link *l, struct mf_prng *g)
{
	l->delay = log_uniform(g, 1000, 150 * MF_MSEC);
	l->jitter = one_in(g, 2) ? log_uniform(g, 1000, 40 * MF_MSEC) : 0;
	l->loss = one_in(g, 2) ? (unsigned)below(g, 500) : 0;
	l->duplicate = one_in(g, 3) ? (unsigned)below(g, 1000) : 0;
	l->reorder = one_in(g, 3) ? (unsigned)below(g, 2000) : 0;
	l->reorder_by = log_uniform(g, 1000, 100 * MF_MSEC);
	l->rate = one_in(g, 2) ? log_uniform(g, 500 * 1000, 1000 * 1000 * 1000) : 0;
	l->queue = (uint32_t)log_uniform(g, 10000, 1000000);
	l->cut = !one_in(g, 3);
	l->merge = l->cut && one_in(g, 3) ? log_uniform(g, 1000, 5 * MF_MSEC) : 0;
}

static void random_config(struct mf_tcp_config *c, struct mf_prng *g)
{
	static const uint32_t mtus[] = { 0, 576, 1280, 1500, 9000, 65535 };

	c->mtu = mtus[below(g, MF_ARRAY_LEN(mtus))];
	c->rcv_wnd_max = one_in(g, 2) ? (uint32_t)log_uniform(g, 500, 16 << 20) : 0;
	c->rcv_wnd_init = one_in(g, 4) ? (uint32_t)log_uniform(g, 500, 1 << 20) : 0;
	c->snd_buf_max = one_in(g, 3) ? (uint32_t)log_uniform(g, 1000, 8 << 20) : 0;
	c->pacing = one_in(g, 2);
	c->no_tso = one_in(g, 4);
	c->no_sack = one_in(g, 5);
	c->no_timestamps = one_in(g, 5);
	c->no_window_scale = one_in(g, 5);
	c->keepalive_idle = one_in(g, 4) ? log_uniform(g, MF_SEC, 100 * MF_SEC) : 0;
	c->keepalive_interval = 75 * MF_SEC;
	c->keepalive_count = 9;
}

static void random_app(struct sim_app *a, struct mf_prng *g)
{
	a->total = one_in(g, 6) ? below(g, 3) : log_uniform(g, 1, 600000);
	a->write_max = one_in(g, 2) ? (uint32_t)log_uniform(g, 1, MF_PKT_LARGE_MAX) : 0;
	/* Nobody writes half a million single bytes. */
	if (a->write_max && a->write_max < a->total / 1000)
		a->total = a->write_max * 1000;
	a->write_every = one_in(g, 4) ? log_uniform(g, 1000, 20 * MF_MSEC) : 0;
	a->read_max = one_in(g, 3) ? (uint32_t)log_uniform(g, 1, 100000) : 0;
	a->read_every = one_in(g, 3) ? log_uniform(g, 1000, 20 * MF_MSEC) : 0;
	a->read_from = one_in(g, 6) ? log_uniform(g, MF_MSEC, 30 * MF_SEC) : 0;
	a->accept_delay = one_in(g, 4) ? log_uniform(g, MF_MSEC, 5 * MF_SEC) : 0;
}

static void random_close(struct sim_end *f, struct mf_prng *g)
{
	uint64_t who = below(g, 3);

	f[0].app.close = who == 1 ? SIM_CLOSE_EOF : SIM_CLOSE_SENT;
	f[1].app.close = who == 2 ? SIM_CLOSE_EOF : SIM_CLOSE_SENT;
}

/* A small window, a small MSS or a slow reader takes its time: not more than a few thousand turns of it. */
static void keep_it_short(struct sim_end *f)
{
	for (int i = 0; i < 2; i++) {
		uint32_t window = f[!i].cfg.rcv_wnd_max ? f[!i].cfg.rcv_wnd_max : 1 << 20;
		uint64_t most = (uint64_t)window * 200;

		if (f[!i].app.read_every && f[!i].app.read_max)
			most = mf_min(most, (uint64_t)f[!i].app.read_max * 3000);
		f[i].app.total = mf_min(f[i].app.total, most);
	}
}

static struct sim_end *random_flow(struct sim *s, struct mf_prng *g)
{
	struct sim_end *f = sim_flow(s);
	bool v6 = one_in(g, 3);

	for (int i = 0; i < 2; i++) {
		random_config(&f[i].cfg, g);
		random_app(&f[i].app, g);
		if (v6)
			f[i].at.addr = (struct mf_addr){ .b = { 0xfd, 0, [15] = (uint8_t)(1 + i) },
							 .family = MF_AF_IP6 };
		if (v6 && f[i].cfg.mtu && f[i].cfg.mtu < 1280)
			f[i].cfg.mtu = 1280;
		if (one_in(g, 6))
			f[i].env.rx_budget = log_uniform(g, 200000, 8 << 20);
		if (one_in(g, 6))
			f[i].env.tx_budget = log_uniform(g, 200000, 8 << 20);
		f[i].env.n_records = one_in(g, 6) ? (uint32_t)log_uniform(g, 1, 1000) : 0;
	}
	random_close(f, g);
	keep_it_short(f);
	return f;
}

static void start(struct sim_end *f, struct mf_prng *g)
{
	if (one_in(g, 8))
		sim_start_both(f);
	else
		sim_start(f);
}

/* Sometimes the path becomes narrower on the way. */
static void maybe_shrink(struct sim *s, struct mf_prng *g)
{
	if (!one_in(g, 4))
		return;
	sim_run(s, log_uniform(g, MF_MSEC, MF_SEC));
	s->link[below(g, 2)].mtu = 1280 + (uint32_t)below(g, 200);
}

/* Runs with seeds of their own: the first is MF_SEED, so that MF_SEED=N MF_RUNS=1 repeats any of them. */
static void repeat(const char *what, unsigned times, void (*run)(struct mf_prng *g))
{
	struct mf_prng seeds = unit_prng(what), g = seeds;

	for (unsigned i = 0; i < times; i++) {
		if (getenv("MF_VERBOSE"))
			print_message("%s, run %u: MF_SEED=%llu\n", what, i,
				      (unsigned long long)g.state);
		run(&g);
		g.state = mf_prng_u64(&seeds);
	}
}

static struct sim *random_world(struct mf_prng *g)
{
	struct sim *s = sim_new(mf_prng_u64(g));

	random_link(&s->link[0], g);
	random_link(&s->link[1], g);
	return s;
}

static void any_path(struct mf_prng *g)
{
	struct sim *s = random_world(g);
	struct sim_end *f = random_flow(s, g);

	start(f, g);
	maybe_shrink(s, g);
	sim_finish(s, 3600 * MF_SEC);
	sim_assert_complete(f);
	sim_free(s);
}

/* Several flows over one link, each with its own wishes. */
static void many_flows(struct mf_prng *g)
{
	struct sim *s = random_world(g);

	for (int k = 0; k < SIM_FLOWS; k++)
		start(random_flow(s, g), g);
	sim_finish(s, 3600 * MF_SEC);
	for (int k = 0; k < SIM_FLOWS; k++)
		sim_assert_complete(s->end[k]);
	sim_free(s);
}

static void impatient(struct sim_end *f)
{
	for (int k = 0; k < 2; k++) {
		f[k].cfg.user_timeout = 30 * MF_SEC;
		f[k].cfg.keepalive_idle = 10 * MF_SEC;
		f[k].cfg.keepalive_interval = 2 * MF_SEC;
		f[k].cfg.keepalive_count = 5;
	}
}

/* Somebody gives up at a random moment: both ends end, and what was read is what was sent so far. */
static void abort_somewhere(struct mf_prng *g)
{
	struct sim *s = random_world(g);
	struct sim_end *f = random_flow(s, g);

	impatient(f);
	f[below(g, 2)].app.abort_at = log_uniform(g, 1, 10 * MF_SEC);
	start(f, g);
	sim_finish(s, 3600 * MF_SEC);
	sim_free(s);
}

/* The link dies for good at a random moment: both ends notice, and nothing is left over. */
static void link_dies(struct mf_prng *g)
{
	struct sim *s = random_world(g);
	struct sim_end *f = random_flow(s, g);

	impatient(f);
	start(f, g);
	sim_run(s, log_uniform(g, MF_MSEC, 3 * MF_SEC));
	s->link[below(g, 2)].dead = true;
	if (one_in(g, 2))
		s->link[0].dead = s->link[1].dead = true;
	sim_finish(s, 3600 * MF_SEC);
	sim_free(s);
}

/* Freed in the middle of everything: nothing is left over (sim_free looks). */
static void freed_at_any_time(struct mf_prng *g)
{
	struct sim *s = random_world(g);

	start(random_flow(s, g), g);
	sim_run(s, log_uniform(g, 1, 10 * MF_SEC));
	sim_free(s);
}

static void test_any_path(void **state)
{
	(void)state;
	repeat("tcp any path", runs(), any_path);
}

static void test_many_flows(void **state)
{
	(void)state;
	repeat("tcp many flows", runs() / 3, many_flows);
}

static void test_abort_somewhere(void **state)
{
	(void)state;
	repeat("tcp abort somewhere", runs(), abort_somewhere);
}

static void test_link_dies(void **state)
{
	(void)state;
	repeat("tcp link dies", runs() / 2, link_dies);
}

static void test_freed_at_any_time(void **state)
{
	(void)state;
	repeat("tcp freed", runs(), freed_at_any_time);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_path),          cmocka_unit_test(test_many_flows),
		cmocka_unit_test(test_abort_somewhere),   cmocka_unit_test(test_link_dies),
		cmocka_unit_test(test_freed_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
