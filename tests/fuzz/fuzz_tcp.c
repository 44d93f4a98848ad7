/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary segments into a live TCP connection. The input chooses a configuration and a state, then it is
 * a script: segments with numbers relative to the connection's own (so that most of them are nearly
 * right), raw options, time, an app that writes, reads and closes, ICMP, and a pool that runs dry.
 *
 * The peer's stream is the same bytes at the same place in every segment, and so is ours. Hence, whatever
 * comes: what is delivered is a prefix of the peer's stream, what is sent is ours and within the
 * window, the right edge never moves back, timers do not spin, and no packet is lost.
 */
#include "base/prng.h"
#include "proto/tcp/conn.h"
#include "wire/ip.h"
#include "wire/reply.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	N_SMALL = 96,
	N_LARGE = 12,
	PEER_ISS = 0xfffff000, /* wraps soon */
	MTU = 600,
	HUNGER = N_SMALL + N_LARGE,
	SPIN = 64,
};

enum step {
	SEGMENT,
	IN_ORDER,
	AHEAD,
	ACK_SOME,
	ACK_ALL,
	SACK,
	OPTIONS,
	TIME,
	SEND,
	READ,
	SHUTDOWN,
	ICMP,
	HUNGRY,
	FED,
	SUPER,
	QUIET, /* several inputs before one output */
	ABORT,
	ACCEPT,
	STEPS
};

struct input {
	const uint8_t *p;
	size_t n;
};

static struct mf_pkt_pool *pool;
static struct mf_tcp_env env;
static struct mf_prng prng;
static struct mf_tcp tcp;
static mf_nsec now;
static struct mf_endpoint ours, theirs;
static struct mf_pkt *hostage[HUNGER];
static unsigned n_hostages;
static bool quiet;

static uint32_t edge;      /* the right edge that we have offered last */
static bool edge_known;    /* ... since the handshake */
static uint32_t peer_edge; /* the furthest that the peer has ever offered */
static bool peer_edge_known;
static uint64_t written, delivered;

static uint8_t byte(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->p++;
}

static uint16_t word(struct input *in)
{
	uint16_t high = byte(in);

	return (uint16_t)(high << 8 | byte(in));
}

/* Small numbers of either sign mostly, now and then large ones. */
static uint32_t near_zero(struct input *in)
{
	uint8_t how = byte(in);

	if (how == 0xff)
		return (uint32_t)word(in) << 16 | word(in);
	if (how & 0x80)
		return (uint32_t)(int32_t)(int16_t)word(in);
	return (uint32_t)((int32_t)(how & 0x7f) - 64);
}

static uint8_t peer_byte(uint32_t at)
{
	return (uint8_t)(at * 31 + (at >> 7));
}

static uint8_t our_byte(uint64_t at)
{
	return (uint8_t)(at * 13 + (at >> 9));
}

/* ---- what the connection sends ---- */

static void check_payload(uint32_t seq, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = seq + i - (tcp.iss + 1);

		MF_ASSERT(at < written && p[i] == our_byte(at));
	}
}

static void emit(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct mf_tcp_options o;
	const struct mf_tcp_hdr *t;
	uint32_t window, seq;

	(void)ctx;
	MF_ASSERT(c == &tcp);
	t = (const void *)(p->data + p->l4_off);
	MF_ASSERT(p->l4_proto == MF_IPPROTO_TCP && p->len >= p->l4_off + sizeof(*t));
	MF_ASSERT(mf_tcp_hdr_len(t) == p->len - p->l4_off);
	MF_ASSERT(mf_tcp_options_parse(&o, t) == MF_OK);
	MF_ASSERT((size_t)p->len + p->tail_len <= MF_PKT_LARGE_MAX);
	MF_ASSERT(!p->tail_len || p->tail);
	seq = mf_be32_get(t->seq);
	if (!(t->flags & MF_TCP_RST))
		check_payload(seq, p->tail, p->tail_len);
	if (p->tail_len)
		MF_ASSERT(peer_edge_known && mf_seq_leq(seq + p->tail_len, peer_edge + 1));
	if (t->flags & MF_TCP_ACK && !(t->flags & (MF_TCP_RST | MF_TCP_SYN))) {
		window = (uint32_t)mf_be16_get(t->window)
			 << (tcp.flags & MF_TCP_F_WSCALE ? tcp.rcv_wscale : 0);
		MF_ASSERT(!edge_known || mf_seq_leq(edge, mf_be32_get(t->ack) + window));
		edge = mf_be32_get(t->ack) + window;
		edge_known = true;
	}
	mf_pkt_free(p);
}

static void output(void)
{
	if (!quiet)
		mf_tcp_output(&env, &tcp, now);
	mf_tcp_env_sweep(&env);
	(void)mf_tcp_events(&tcp);
}

/* ---- what the peer sends ---- */

struct crafted {
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint32_t len;
	uint8_t options[MF_TCP_OPTIONS_MAX];
	size_t n_options;
	bool super;
};

static struct mf_pkt *build(const struct crafted *s)
{
	size_t hdr = sizeof(struct mf_tcp_hdr) + s->n_options;
	struct mf_pkt *p =
		mf_reply_start(pool, &theirs.addr, &ours.addr, MF_IPPROTO_TCP, hdr + s->len, 0);
	struct mf_tcp_hdr *t;

	if (!p)
		return NULL;
	t = (void *)(p->data + p->l4_off);
	*t = (struct mf_tcp_hdr){
		.sport = mf_be16_of(theirs.port),
		.dport = mf_be16_of(ours.port),
		.seq = mf_be32_of(s->seq),
		.ack = mf_be32_of(s->ack),
		.off = (uint8_t)(hdr / 4 << 4),
		.flags = s->flags,
		.window = mf_be16_of(s->window),
	};
	memcpy(t + 1, s->options, s->n_options);
	for (uint32_t i = 0; i < s->len; i++)
		((uint8_t *)t)[hdr + i] = peer_byte(s->seq + i + (s->flags & MF_TCP_SYN ? 1 : 0));
	mf_reply_finish(p, MF_TCP_CSUM_OFF);
	if (s->super && s->len > 100) {
		p->gso_type = MF_GSO_TCP4;
		p->gso_size = 100;
		p->segments = (s->len + 99) / 100;
	}
	return p;
}

/* The peer's window may have been offered with a segment that is not taken: it only widens what we
 * may do at most. */
static void note_window(const struct crafted *s)
{
	uint32_t window = s->window;
	uint32_t to;

	if (!(s->flags & MF_TCP_ACK) && !(s->flags & MF_TCP_SYN))
		return;
	/* Before the handshake is over the scale is not known: take the largest that may come. */
	if (!(s->flags & MF_TCP_SYN))
		window <<= tcp.state >= MF_TCP_ESTABLISHED ? tcp.snd_wscale : MF_TCP_WSCALE_MAX;
	/* A SYN has no ACK that counts, if it has none: what we send begins behind our own SYN. */
	to = (s->flags & MF_TCP_ACK ? s->ack : tcp.iss + 1) + window;
	if (!mf_seq_leq(tcp.snd_una, s->ack) && s->flags & MF_TCP_ACK)
		return;
	if (!mf_seq_leq(s->ack, tcp.snd_nxt) && s->flags & MF_TCP_ACK)
		return;
	if (!peer_edge_known || mf_seq_lt(peer_edge, to))
		peer_edge = to;
	peer_edge_known = true;
}

static void deliver(const struct crafted *s)
{
	struct mf_pkt *p = build(s);

	if (!p)
		return;
	note_window(s);
	if (mf_tcp_input(&env, &tcp, p, now))
		mf_pkt_free(p);
	output();
}

static void put_ts(struct crafted *s, uint32_t val, uint32_t ecr)
{
	struct mf_tcp_options o = { .has_ts = true, .ts_val = val, .ts_ecr = ecr };

	s->n_options = mf_tcp_options_write(s->options, &o, false);
}

static uint32_t peer_ts(void)
{
	return (uint32_t)(now / MF_MSEC);
}

/* A segment as the peer would send it now. */
static struct crafted genuine(uint32_t len)
{
	struct crafted s = {
		.seq = tcp.rcv_nxt, .ack = tcp.snd_nxt, .window = 0xf000, .flags = MF_TCP_ACK, .len = len
	};

	if (tcp.flags & MF_TCP_F_TS)
		put_ts(&s, peer_ts(), (uint32_t)(now / MF_MSEC) + tcp.ts_offset);
	return s;
}

static void random_options(struct crafted *s, struct input *in)
{
	uint8_t how = byte(in);

	switch (how % 5) {
	case 0:
		break; /* as they are */
	case 1:
		put_ts(s, peer_ts() + near_zero(in),
		       (uint32_t)(now / MF_MSEC) + tcp.ts_offset + near_zero(in));
		break;
	case 2:
		s->n_options = 0;
		break;
	case 3: {
		struct mf_tcp_options o = { .mss = word(in),
					    .has_wscale = true,
					    .wscale = byte(in),
					    .sack_permitted = how & 0x40,
					    .has_ts = how & 0x80,
					    .ts_val = peer_ts() };

		s->n_options = mf_tcp_options_write(s->options, &o, true);
		break;
	}
	default:
		s->n_options = (size_t)4 * (byte(in) % 11);
		for (size_t i = 0; i < s->n_options; i++)
			s->options[i] = byte(in);
	}
}

static void step_segment(struct input *in)
{
	struct crafted s = genuine(0);

	s.flags = byte(in);
	s.seq += near_zero(in);
	s.ack = (byte(in) & 1 ? tcp.snd_una : tcp.snd_nxt) + near_zero(in);
	s.window = word(in);
	s.len = word(in) % 1500;
	random_options(&s, in);
	deliver(&s);
}

static void step_sack(struct input *in)
{
	struct crafted s = genuine(0);
	struct mf_tcp_options o = { .has_ts = tcp.flags & MF_TCP_F_TS,
				    .ts_val = peer_ts(),
				    .ts_ecr = (uint32_t)(now / MF_MSEC) + tcp.ts_offset };

	s.ack = tcp.snd_una + byte(in);
	o.n_sack = (uint8_t)(1 + byte(in) % 4);
	for (uint8_t i = 0; i < o.n_sack; i++) {
		o.sack[i].start = tcp.snd_una + near_zero(in) + 64;
		o.sack[i].end = o.sack[i].start + word(in) % 2000;
	}
	s.n_options = mf_tcp_options_write(s.options, &o, false);
	deliver(&s);
}

/* ---- time and the app ---- */

/* Whatever is due is done; it must not be due again and again at the same moment. */
static void run_timers(void)
{
	unsigned spins = 0;

	while (mf_tcp_deadline(&tcp) <= now) {
		MF_ASSERT(++spins < SPIN);
		mf_tcp_timeout(&env, &tcp, now);
		mf_tcp_output(&env, &tcp, now);
		mf_tcp_env_sweep(&env);
	}
}

static void step_time(struct input *in)
{
	uint8_t how = byte(in);
	mf_nsec at = mf_tcp_deadline(&tcp);

	quiet = false;
	if (how < 128 || at == MF_NEVER)
		now += (mf_nsec)how * how * MF_MSEC / 4;
	else
		now = at > now ? at : now;
	run_timers();
}

static void step_send(struct input *in)
{
	uint32_t n = 1 + word(in) % 3000;
	struct mf_pkt *p;

	if ((tcp.state != MF_TCP_ESTABLISHED && tcp.state != MF_TCP_CLOSE_WAIT) ||
	    tcp.flags & MF_TCP_F_FIN_QUEUED || !mf_tcp_send_room(&tcp))
		return;
	p = n > MF_PKT_SMALL_MAX ? mf_pkt_large(pool) : mf_pkt_small(pool);
	if (!p)
		return;
	p->len = n;
	for (uint32_t i = 0; i < n; i++)
		p->data[i] = our_byte(written++);
	mf_tcp_send(&env, &tcp, p);
	output();
}

static void step_read(struct input *in)
{
	struct mf_span v[4];
	size_t bytes, n = mf_tcp_recv_spans(&tcp, v, MF_ARRAY_LEN(v), &bytes);
	size_t want = mf_min(bytes, word(in));

	for (size_t i = 0, left = want; i < n && left; i++) {
		for (size_t k = 0; k < v[i].n && left; k++, left--) {
			MF_ASSERT(v[i].p[k] == peer_byte(tcp.irs + 1 + (uint32_t)delivered));
			delivered++;
		}
	}
	mf_tcp_recv_done(&env, &tcp, want);
	output();
}

static void step_icmp(struct input *in)
{
	uint8_t how = byte(in);
	uint32_t seq = tcp.snd_una + near_zero(in);

	if (how & 1)
		mf_tcp_path_mtu(&env, &tcp, word(in), seq, now);
	else
		mf_tcp_unreachable(&env, &tcp, seq);
	output();
}

static void feed(void)
{
	while (n_hostages)
		mf_pkt_free(hostage[--n_hostages]);
}

static void starve(struct input *in)
{
	unsigned leave = byte(in) % 4;
	struct mf_pkt *p;

	while (mf_pkt_pool_free_small(pool) > leave && (p = mf_pkt_small(pool)))
		hostage[n_hostages++] = p;
	while ((p = mf_pkt_large(pool)))
		hostage[n_hostages++] = p;
}

static void step(struct input *in)
{
	uint8_t what = byte(in);
	struct crafted s;

	switch ((enum step)(what % STEPS)) {
	case SEGMENT:
	case OPTIONS:
	case STEPS:
		step_segment(in);
		break;
	case IN_ORDER:
		s = genuine(1 + word(in) % 1400);
		s.flags |= byte(in) & 1 ? MF_TCP_FIN : MF_TCP_PSH;
		deliver(&s);
		break;
	case AHEAD:
		s = genuine(1 + byte(in));
		s.seq += word(in) % 4000;
		deliver(&s);
		break;
	case ACK_SOME:
		s = genuine(0);
		s.ack = tcp.snd_una + word(in) % 3000;
		s.window = word(in);
		deliver(&s);
		break;
	case ACK_ALL:
		s = genuine(0);
		s.window = word(in);
		deliver(&s);
		break;
	case SACK:
		step_sack(in);
		break;
	case TIME:
		step_time(in);
		break;
	case SEND:
		step_send(in);
		break;
	case READ:
		step_read(in);
		break;
	case SHUTDOWN:
		if (tcp.state == MF_TCP_ESTABLISHED || tcp.state == MF_TCP_CLOSE_WAIT)
			mf_tcp_shutdown(&tcp);
		output();
		break;
	case ICMP:
		step_icmp(in);
		break;
	case HUNGRY:
		feed();
		starve(in);
		break;
	case FED:
		feed();
		break;
	case SUPER:
		s = genuine(1 + word(in) % 30000);
		s.seq += near_zero(in);
		s.super = true;
		deliver(&s);
		break;
	case QUIET:
		quiet = byte(in) & 1;
		break;
	case ABORT:
		if (byte(in) == 0xab && tcp.state != MF_TCP_CLOSED)
			mf_tcp_abort(&env, &tcp, byte(in) & 1, now);
		break;
	case ACCEPT:
		if (tcp.state == MF_TCP_SYN_HELD)
			mf_tcp_accept(&env, &tcp, now);
		output();
		break;
	}
}

/* ---- into a state ---- */

static void hold(const struct mf_tcp_config *cfg)
{
	struct mf_tcp_options o = { .mss = 1460,
				    .has_wscale = true,
				    .wscale = 3,
				    .sack_permitted = true,
				    .has_ts = true,
				    .ts_val = peer_ts() };
	struct crafted s = { .seq = PEER_ISS, .window = 0xf000, .flags = MF_TCP_SYN };
	struct mf_pkt *p;

	s.n_options = mf_tcp_options_write(s.options, &o, true);
	p = build(&s);
	MF_ASSERT(p && mf_tcp_hold(&env, &tcp, cfg, p, now) == MF_OK);
	mf_pkt_free(p);
	peer_edge = tcp.iss + 1 + 0xf000;
	peer_edge_known = true;
}

static void dial(const struct mf_tcp_config *cfg)
{
	MF_ASSERT(mf_tcp_connect(&env, &tcp, cfg, &ours, &theirs, now) == MF_OK);
	output();
}

static void answer_syn(void)
{
	struct mf_tcp_options o = { .mss = 1460,
				    .has_wscale = true,
				    .wscale = 3,
				    .sack_permitted = true,
				    .has_ts = true,
				    .ts_val = peer_ts(),
				    .ts_ecr = (uint32_t)(now / MF_MSEC) + tcp.ts_offset };
	struct crafted s = { .seq = PEER_ISS,
			     .ack = tcp.snd_nxt,
			     .window = 0xf000,
			     .flags = MF_TCP_SYN | MF_TCP_ACK };

	s.n_options = mf_tcp_options_write(s.options, &o, true);
	deliver(&s);
}

static void ack_it(uint8_t flags)
{
	struct crafted s = genuine(0);

	s.flags |= flags;
	deliver(&s);
}

static void establish(const struct mf_tcp_config *cfg, bool active)
{
	if (active) {
		dial(cfg);
		answer_syn();
	} else {
		hold(cfg);
		mf_tcp_accept(&env, &tcp, now);
		output();
		ack_it(0);
	}
	MF_ASSERT(tcp.state == MF_TCP_ESTABLISHED);
}

static void shut(void)
{
	mf_tcp_shutdown(&tcp);
	output();
}

/* From ESTABLISHED. */
static void closing_state(enum mf_tcp_state want)
{
	bool peer_first = want == MF_TCP_CLOSE_WAIT || want == MF_TCP_LAST_ACK;

	if (peer_first)
		ack_it(MF_TCP_FIN);
	if (want != MF_TCP_CLOSE_WAIT)
		shut();
	if (want == MF_TCP_FIN_WAIT_2 || want == MF_TCP_TIME_WAIT)
		ack_it(0);
	if (want == MF_TCP_TIME_WAIT)
		ack_it(MF_TCP_FIN);
	if (want == MF_TCP_CLOSING) {
		struct crafted s = genuine(0);

		s.ack = tcp.snd_una;
		s.flags |= MF_TCP_FIN;
		deliver(&s);
	}
}

static void reach(enum mf_tcp_state want, const struct mf_tcp_config *cfg, bool active)
{
	switch (want) {
	case MF_TCP_CLOSED:
	case MF_TCP_STATE_COUNT:
		return;
	case MF_TCP_SYN_HELD:
		hold(cfg);
		break;
	case MF_TCP_SYN_SENT:
		dial(cfg);
		break;
	case MF_TCP_SYN_RECEIVED:
		hold(cfg);
		mf_tcp_accept(&env, &tcp, now);
		output();
		break;
	case MF_TCP_ESTABLISHED:
		establish(cfg, active);
		break;
	default:
		establish(cfg, active);
		closing_state(want);
	}
	MF_ASSERT(tcp.state == want);
}

static void setup(struct input *in, struct mf_tcp_config *cfg)
{
	uint8_t bits = byte(in);

	now = 1000 * MF_SEC;
	prng.state = 1;
	written = delivered = 0;
	edge_known = peer_edge_known = quiet = false;
	ours = (struct mf_endpoint){ .addr = { .b = { 10, 0, 0, 1 }, .family = MF_AF_IP4 },
				     .port = 1 };
	theirs = (struct mf_endpoint){ .addr = { .b = { 10, 0, 0, 2 }, .family = MF_AF_IP4 },
				       .port = 2 };
	pool = mf_pkt_pool_new(N_SMALL, N_LARGE);
	MF_ASSERT(pool);
	env = (struct mf_tcp_env){
		.pool = pool,
		.rng = { .fill = mf_prng_fill, .ctx = &prng },
		.emit = emit,
		.n_records = bits & 1 ? 4 : 64,
		.rx_budget = bits & 2 ? 100000 : 0,
		.tx_budget = bits & 4 ? 100000 : 0,
	};
	MF_ASSERT(mf_tcp_env_init(&env) == MF_OK);
	*cfg = (struct mf_tcp_config){
		.mtu = MTU,
		.rcv_wnd_max = bits & 8 ? 3000 : 200000,
		.keepalive_idle = bits & 16 ? 10 * MF_SEC : 0,
		.pacing = bits & 32,
		.no_sack = bits & 64,
		.no_timestamps = bits & 128,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct mf_tcp_config cfg;
	uint8_t state;

	setup(&in, &cfg);
	state = byte(&in);
	reach((enum mf_tcp_state)((state & 0x7f) % MF_TCP_STATE_COUNT), &cfg, state & 0x80);
	while (in.n && tcp.state != MF_TCP_CLOSED)
		step(&in);
	quiet = false;
	output();
	feed();
	mf_tcp_free(&env, &tcp);
	mf_tcp_env_sweep(&env);
	MF_ASSERT(!mf_tcp_env_rx_held(&env) && !mf_tcp_env_tx_held(&env));
	mf_tcp_env_fini(&env);
	MF_ASSERT(mf_pkt_pool_free_small(pool) == N_SMALL && mf_pkt_pool_free_large(pool) == N_LARGE);
	mf_pkt_pool_free(pool);
	return 0;
}
