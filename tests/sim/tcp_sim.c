/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp_sim - see tcp_sim.h: the ends, their apps, and time.
 */
#include "tcp_sim.h"
#include "proto/tcp/invariants.h"
#include "wire/ip.h"

enum {
	/* Address space; what a test does not use is never touched. */
	N_SMALL = 32768,
	N_LARGE = 1024,
	/* What connections may hold of that, in each direction: so it never runs dry by itself. */
	BUDGET = 24 << 20,
	SPANS = 16,
	STUCK = 100000,
};

/* ---- building worlds ---- */

struct sim *sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->prng.state = seed;
	s->now = 1000 * MF_SEC;
	s->pool = mf_pkt_pool_new(4, 4);
	assert_non_null(s->pool);
	for (int i = 0; i < 2; i++) {
		s->link[i].delay = 10 * MF_MSEC;
		s->link[i].cut = true;
	}
	return s;
}

static void emit(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct sim_end *e = ctx;

	assert_ptr_equal(c, &e->tcp);
	assert_true(e->n_out < SIM_OUT);
	e->out[e->n_out++] = p;
}

static void end_init(struct sim *s, struct sim_end *e, unsigned side)
{
	static const char *const names[] = { "a", "b" };
	uint8_t v4[4] = { 10, 0, (uint8_t)s->flows, (uint8_t)(1 + side) };

	e->sim = s;
	e->side = side;
	e->name = names[side];
	e->passive = side == 1;
	e->at.addr = mf_addr_ip4(v4);
	e->at.port = side ? 80 : (uint16_t)(40000 + s->flows);
	e->prng.state = mf_prng_u64(&s->prng);
	e->rng.state = mf_prng_u64(&s->prng);
	e->salt = mf_prng_u64(&s->prng);
	e->min_window = UINT32_MAX;
	e->abort_at = e->accept_at = e->next_write = e->next_read = MF_NEVER;
	e->pool = mf_pkt_pool_new(N_SMALL, N_LARGE);
	assert_non_null(e->pool);
	e->env = (struct mf_tcp_env){
		.pool = e->pool,
		.rng = { .fill = mf_prng_fill, .ctx = &e->rng },
		.ctx = e,
		.emit = emit,
		.rx_budget = BUDGET,
		.tx_budget = BUDGET,
	};
	mf_gro_init(&e->gro, e->pool, true, false);
}

struct sim_end *sim_flow(struct sim *s)
{
	struct sim_end *f = s->end[s->flows];

	assert_true(s->flows < SIM_FLOWS);
	end_init(s, &f[0], 0);
	end_init(s, &f[1], 1);
	f[0].peer = &f[1];
	f[1].peer = &f[0];
	s->flows++;
	return f;
}

static void end_free(struct sim_end *e)
{
	for (unsigned i = 0; i < e->n_out; i++)
		mf_pkt_free(e->out[i]);
	if (e->used && !e->freed)
		mf_tcp_free(&e->env, &e->tcp);
	mf_gro_fini(&e->gro);
	if (e->env.s) {
		mf_tcp_env_sweep(&e->env);
		assert_int_equal(mf_tcp_env_rx_held(&e->env), 0);
		assert_int_equal(mf_tcp_env_tx_held(&e->env), 0);
	}
	mf_tcp_env_fini(&e->env);
	assert_int_equal(mf_pkt_pool_free_small(e->pool), N_SMALL);
	assert_int_equal(mf_pkt_pool_free_large(e->pool), N_LARGE);
	mf_pkt_pool_free(e->pool);
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->flows; i++) {
		end_free(&s->end[i][0]);
		end_free(&s->end[i][1]);
	}
	sim_link_free(s);
	mf_pkt_pool_free(s->pool);
	free(s);
}

static void ready(struct sim_end *e)
{
	e->start = e->sim->now;
	if (e->app.abort_at)
		e->abort_at = e->start + e->app.abort_at;
	e->next_write = e->start;
	e->next_read = e->start + e->app.read_from;
	assert_int_equal(mf_tcp_env_init(&e->env), MF_OK);
}

static void dial(struct sim_end *e)
{
	e->used = true;
	assert_int_equal(
		mf_tcp_connect(&e->env, &e->tcp, &e->cfg, &e->at, &e->peer->at, e->sim->now), MF_OK);
	sim_turn(e);
}

void sim_start(struct sim_end *f)
{
	ready(&f[0]);
	ready(&f[1]);
	dial(&f[0]);
}

void sim_start_both(struct sim_end *f)
{
	f[1].passive = false;
	ready(&f[0]);
	ready(&f[1]);
	dial(&f[0]);
	dial(&f[1]);
}

const struct mf_tcp_counters *sim_counters(const struct sim_end *e)
{
	return mf_tcp_env_counters(&e->env);
}

struct mf_tcp_info sim_info(const struct sim_end *e)
{
	struct mf_tcp_info info;

	if (e->freed)
		return e->last;
	mf_tcp_info(&e->tcp, &info);
	return info;
}

/* ---- the app ---- */

/* The byte at place i of what an end sends: different for each end, and at each place. */
static uint8_t byte_at(const struct sim_end *sender, uint64_t i)
{
	uint64_t x = (i ^ sender->salt) * 0x9e3779b97f4a7c15u;

	return (uint8_t)(x >> 56);
}

static uint64_t random_size(struct sim_end *e, uint32_t max)
{
	return 1 + mf_prng_below(&e->prng, max);
}

static bool may_write(const struct sim_end *e)
{
	enum mf_tcp_state state = mf_tcp_state(&e->tcp);

	return !e->shut && e->sent < e->app.total && e->sim->now >= e->next_write &&
	       (state == MF_TCP_ESTABLISHED || state == MF_TCP_CLOSE_WAIT);
}

/* One packet; false: none is free. */
static bool write_one(struct sim_end *e)
{
	size_t n = e->app.write_max ? random_size(e, e->app.write_max) : mf_tcp_send_chunk(&e->tcp);
	struct mf_pkt *p;

	n = mf_min(n, e->app.total - e->sent);
	p = n > MF_PKT_SMALL_MAX ? mf_pkt_large(e->pool) : mf_pkt_small(e->pool);
	if (!p) {
		e->next_write = e->sim->now + MF_MSEC;
		return false;
	}
	for (size_t i = 0; i < n; i++)
		p->data[i] = byte_at(e, e->sent + i);
	p->len = (uint32_t)n;
	mf_tcp_send(&e->env, &e->tcp, p);
	e->sent += n;
	return true;
}

static void app_write(struct sim_end *e)
{
	while (may_write(e) && mf_tcp_send_room(&e->tcp)) {
		if (!write_one(e))
			break;
		if (e->app.write_every)
			e->next_write = e->sim->now + e->app.write_every;
	}
}

static void app_shut(struct sim_end *e)
{
	enum mf_tcp_state state = mf_tcp_state(&e->tcp);

	if (e->shut || e->sent < e->app.total || e->app.close == SIM_CLOSE_NEVER)
		return;
	if (state != MF_TCP_ESTABLISHED && state != MF_TCP_CLOSE_WAIT)
		return;
	if (e->app.close == SIM_CLOSE_EOF && !e->eof)
		return;
	mf_tcp_shutdown(&e->tcp);
	e->shut = true;
}

static void check_bytes(struct sim_end *e, const struct mf_span *v, size_t n)
{
	assert_true(e->received + n <= e->peer->sent);
	for (size_t at = 0; n; v++, at = 0) {
		for (; n && at < v->n; at++, n--, e->received++) {
			if (v->p[at] != byte_at(e->peer, e->received))
				fail_msg("%s: byte %llu is wrong", e->name,
					 (unsigned long long)e->received);
		}
	}
}

static void read_once(struct sim_end *e)
{
	struct mf_span v[SPANS];
	size_t bytes, n = mf_tcp_recv_spans(&e->tcp, v, SPANS, &bytes), want;

	assert_true(n <= SPANS && bytes <= mf_tcp_recv_queued(&e->tcp));
	want = e->app.read_max ? mf_min(random_size(e, e->app.read_max), bytes) : bytes;
	check_bytes(e, v, want);
	mf_tcp_recv_done(&e->env, &e->tcp, want);
	e->received_at = e->sim->now;
}

static void app_read(struct sim_end *e)
{
	while (e->sim->now >= e->next_read && mf_tcp_recv_queued(&e->tcp)) {
		read_once(e);
		if (e->app.read_every)
			e->next_read = e->sim->now + e->app.read_every;
	}
	if (!e->eof && mf_tcp_eof(&e->tcp) && !mf_tcp_recv_queued(&e->tcp))
		e->eof = true;
}

static void app_abort(struct sim_end *e)
{
	if (e->sim->now < e->abort_at)
		return;
	e->abort_at = MF_NEVER;
	if (mf_tcp_state(&e->tcp) != MF_TCP_CLOSED)
		mf_tcp_abort(&e->env, &e->tcp, e->app.silent_abort, e->sim->now);
}

static void app_accept(struct sim_end *e)
{
	if (e->sim->now < e->accept_at)
		return;
	e->accept_at = MF_NEVER;
	if (mf_tcp_state(&e->tcp) == MF_TCP_SYN_HELD)
		mf_tcp_accept(&e->env, &e->tcp, e->sim->now);
}

static void app_events(struct sim_end *e)
{
	uint32_t events = mf_tcp_events(&e->tcp);

	if (events & MF_TCP_EV_CONNECTED) {
		assert_false(e->connected);
		e->connected = true;
		e->connected_at = e->sim->now;
	}
	if (events & MF_TCP_EV_CLOSED) {
		assert_false(e->closed);
		e->closed = true;
		e->closed_at = e->sim->now;
		mf_tcp_info(&e->tcp, &e->last);
		e->why = e->last.end;
	}
	/* What it says last is not lost with it: let it go when all has been read. */
	if (e->closed && !mf_tcp_recv_queued(&e->tcp)) {
		mf_tcp_free(&e->env, &e->tcp);
		e->freed = true;
	}
}

/* ---- a turn ---- */

static void send_out(struct sim_end *e)
{
	unsigned n = e->n_out;

	for (unsigned i = 0; i < n; i++)
		sim_transmit(e, e->out[i]);
	e->n_out = 0;
	mf_tcp_env_sweep(&e->env);
}

/* One segment follows another by no more than a round trip; a probe of the tail may come on top. */
static void check_pace(const struct sim_end *e, mf_nsec before)
{
	if (e->tcp.pace_next != before && e->tcp.pace_next > e->sim->now + 2 * e->tcp.rtt.srtt)
		fail_msg("%s: paused for %.3f s, a round trip takes %.3f s", e->name,
			 (double)(e->tcp.pace_next - e->sim->now) / 1e9,
			 (double)e->tcp.rtt.srtt / 1e9);
}

void sim_turn(struct sim_end *e)
{
	mf_nsec pace;

	if (!e->used || e->freed) {
		if (e->env.s)
			send_out(e);
		return;
	}
	if (mf_tcp_deadline(&e->tcp) <= e->sim->now)
		mf_tcp_timeout(&e->env, &e->tcp, e->sim->now);
	app_accept(e);
	app_read(e);
	app_write(e);
	app_shut(e);
	app_abort(e);
	pace = e->tcp.pace_next;
	mf_tcp_output(&e->env, &e->tcp, e->sim->now);
	check_pace(e, pace);
	send_out(e);
	check_tcp(&e->tcp);
	app_events(e);
}

static bool is_lone_syn(const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

	return (t->flags & (MF_TCP_SYN | MF_TCP_ACK | MF_TCP_RST)) == MF_TCP_SYN;
}

/* Nobody is there: a reset, as ip-input's neighbours would send it. */
static void refuse(struct sim_end *e, struct mf_pkt *p)
{
	struct mf_pkt *rst = mf_tcp_reset(e->pool, p);

	mf_pkt_free(p);
	if (rst)
		emit(e, &e->tcp, rst);
}

void sim_receive(struct sim_end *e, struct mf_pkt *p)
{
	enum mf_drop drop;

	if (!e->used && e->passive && is_lone_syn(p)) {
		e->used = true;
		assert_int_equal(mf_tcp_hold(&e->env, &e->tcp, &e->cfg, p, e->sim->now), MF_OK);
		assert_int_equal(mf_tcp_state(&e->tcp), MF_TCP_SYN_HELD);
		e->accept_at = e->sim->now + e->app.accept_delay;
		mf_pkt_free(p);
		return;
	}
	if (!e->used || e->freed || mf_tcp_state(&e->tcp) == MF_TCP_CLOSED) {
		refuse(e, p);
		return;
	}
	drop = mf_tcp_input(&e->env, &e->tcp, p, e->sim->now);
	e->drops[drop]++;
	if (drop)
		mf_pkt_free(p);
}

/* ---- time ---- */

static mf_nsec sooner(mf_nsec a, mf_nsec b)
{
	return a < b ? a : b;
}

static mf_nsec wakes_at(const struct sim_end *e)
{
	mf_nsec at = MF_NEVER;

	if (!e->used || e->freed)
		return at;
	at = sooner(mf_tcp_deadline(&e->tcp), sooner(e->accept_at, e->abort_at));
	if (mf_tcp_recv_queued(&e->tcp))
		at = sooner(at, e->next_read);
	if (!e->shut && e->connected && !e->closed && e->sent < e->app.total &&
	    mf_tcp_send_room(&e->tcp))
		at = sooner(at, e->next_write);
	return at;
}

static mf_nsec next_thing(const struct sim *s)
{
	mf_nsec at = sim_next_arrival(s);

	for (unsigned i = 0; i < s->flows; i++)
		at = sooner(at, sooner(wakes_at(&s->end[i][0]), wakes_at(&s->end[i][1])));
	return at;
}

static void instant(struct sim *s)
{
	sim_arrive(s);
	for (unsigned i = 0; i < s->flows; i++) {
		sim_turn(&s->end[i][0]);
		sim_turn(&s->end[i][1]);
	}
	if (s->watch)
		s->watch(s);
}

/* Everything up to `at`, and one instant at least if one is due. */
static bool step(struct sim *s, mf_nsec at, unsigned *stuck)
{
	mf_nsec next = next_thing(s);

	if (next > at)
		return false;
	*stuck = next > s->now ? 0 : *stuck + 1;
	if (*stuck > STUCK)
		fail_msg("time stands still at %.6f", (double)s->now / 1e9);
	s->now = next > s->now ? next : s->now;
	instant(s);
	return true;
}

void sim_run_until(struct sim *s, mf_nsec at)
{
	unsigned stuck = 0;

	while (step(s, at, &stuck))
		;
	s->now = at > s->now ? at : s->now;
}

void sim_run(struct sim *s, mf_nsec span)
{
	sim_run_until(s, s->now + span);
}

/* A SYN may never have reached the other end. */
static bool ended(const struct sim_end *e)
{
	return e->freed || (!e->used && e->peer->freed);
}

static bool all_closed(const struct sim *s)
{
	for (unsigned i = 0; i < s->flows; i++)
		if (!ended(&s->end[i][0]) || !ended(&s->end[i][1]))
			return false;
	return true;
}

static void tell(const struct sim_end *e)
{
	struct mf_tcp_info i = sim_info(e);

	print_message(
		"%s: %s end %d sent %llu/%llu received %llu una.. in flight %u cwnd %u wnd %u "
		"rto %.3f retransmits %u drops:",
		e->name, mf_tcp_state_name(i.state), i.end, (unsigned long long)e->sent,
		(unsigned long long)e->app.total, (unsigned long long)e->received, i.in_flight,
		i.cwnd, i.snd_wnd, (double)i.rto / 1e9, i.retransmits);
	for (unsigned d = 1; d < MF_DROP_COUNT; d++)
		if (e->drops[d])
			print_message(" %s %u", mf_drop_name((enum mf_drop)d), e->drops[d]);
	print_message("\n");
}

static void give_up(const struct sim *s, mf_nsec span)
{
	for (unsigned i = 0; i < s->flows; i++) {
		tell(&s->end[i][0]);
		tell(&s->end[i][1]);
	}
	fail_msg("not at its end after %.1f s", (double)span / 1e9);
}

void sim_finish(struct sim *s, mf_nsec span)
{
	mf_nsec until = s->now + span;
	unsigned stuck = 0;

	while (!all_closed(s))
		if (!step(s, until, &stuck))
			give_up(s, span);
}

void sim_until_received(struct sim_end *e, uint64_t n, mf_nsec span)
{
	struct sim *s = e->sim;
	mf_nsec until = s->now + span;
	unsigned stuck = 0;

	while (e->received < n)
		if (!step(s, until, &stuck))
			give_up(s, span);
}

/* Its FIN came again when the other end's TIME_WAIT was over: that one knows it no more. */
static bool outlived(const struct sim_end *e)
{
	mf_nsec time_wait = e->peer->cfg.time_wait ? e->peer->cfg.time_wait : 60 * MF_SEC;

	return e->why == MF_TCP_END_RESET && e->peer->why == MF_TCP_END_DONE &&
	       sim_info(e).rto > time_wait;
}

void sim_assert_complete(const struct sim_end *f)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(f[i].sent, f[i].app.total);
		assert_int_equal(f[i].received, f[!i].app.total);
		assert_true(f[i].connected && f[i].eof && f[i].closed && f[i].freed);
		if (!outlived(&f[i]))
			assert_int_equal(f[i].why, MF_TCP_END_DONE);
	}
}
