/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp - a TCP session: a connection of an app, which our TCP core speaks with, and a stream of an outbound.
 *
 * Honest set-up: the app's SYN is held until the far side has answered, and what the far side answers is what
 * the app gets. With fast_open it is answered at once, and a failure is a reset; so it is where the name that the
 * app is to show decides where the session goes (settle.h). After that an end on one side is an end on the other:
 * a FIN becomes a FIN when all before it has gone through, a reset a reset.
 */
#include "host/settle.h"

#include "wire/icmp.h"
#include "wire/ip.h"

enum {
	/* Longer than between two tries of an app (Linux: 120 s). */
	DEAD_SECONDS = 130,
};

/* ---- Ends ------------------------------------------------------------------------------------------ */

static bool has_far(const struct mf_session *s)
{
	return s->tcp.far != MF_FAR_NONE && s->tcp.far != MF_FAR_SETTLING;
}

static void close_far(struct mf_session *s, bool reset)
{
	struct mf_stream *st = &s->tcp.stream;

	if (has_far(s))
		st->out->ops->stream_close(st, reset);
	s->tcp.far = MF_FAR_NONE;
	st->ready = 0;
}

static void close_session(struct mf_host *h, struct mf_session *s, bool tell_app)
{
	if (s->tcp.dead)
		return;
	if (tell_app)
		mf_tcp_abort(&h->tcp, &s->tcp.conn, false, h->now);
	close_far(s, true);
	mf_tcp_free(&h->tcp, &s->tcp.conn);
}

/* ---- What the far side's failure means to the app -------------------------------------------------- */

/* Type and code of the ICMP error that says it; without one it is a reset. */
struct verdict {
	bool icmp;
	uint8_t type4, code4, type6, code6;
};

static const struct verdict verdicts[MF_STREAM_ERROR_COUNT] = {
	[MF_STREAM_E_HOST_UNREACHABLE] = { true, MF_ICMP4_UNREACHABLE, 1, MF_ICMP6_UNREACHABLE, 3 },
	[MF_STREAM_E_NET_UNREACHABLE] = { true, MF_ICMP4_UNREACHABLE, 0, MF_ICMP6_UNREACHABLE, 0 },
	[MF_STREAM_E_NO_DEVICE] = { true, MF_ICMP4_UNREACHABLE, 0, MF_ICMP6_UNREACHABLE, 0 },
	[MF_STREAM_E_PROHIBITED] = { true, MF_ICMP4_UNREACHABLE, 13, MF_ICMP6_UNREACHABLE, 1 },
};

/* The SYN as far as it is known: enough for the app's stack to find its socket. */
static struct mf_tcp_hdr syn_of(const struct mf_session *s)
{
	struct mf_tcp_info info;

	mf_tcp_info(&s->tcp.conn, &info);
	return (struct mf_tcp_hdr){ .sport = mf_be16_of(s->facts.app.port),
				    .dport = mf_be16_of(s->facts.dst.port),
				    .seq = mf_be32_of(info.syn_seq) };
}

/* The app has had no answer yet: it gets the one that the far side gave. */
static void answer_syn(struct mf_host *h, struct mf_session *s, enum mf_stream_error why)
{
	const struct verdict *v = &verdicts[why < MF_STREAM_ERROR_COUNT ? why : MF_STREAM_E_OTHER];
	bool silent = v->icmp || why == MF_STREAM_E_TIMED_OUT;

	if (v->icmp) {
		bool v4 = s->facts.app.addr.family == MF_AF_IP4;
		struct mf_addr from_dst = { .family = MF_AF_NONE };
		struct mf_tcp_hdr syn = syn_of(s);

		mf_host_icmp_about(h, s, &s->facts.dst.addr, &syn, sizeof(syn), &from_dst,
				   v4 ? v->type4 : v->type6, v4 ? v->code4 : v->code6, 0);
	}
	mf_tcp_abort(&h->tcp, &s->tcp.conn, silent, h->now);
}

static uint64_t *failure_counter(struct mf_host *h, enum mf_stream_error why, bool opening)
{
	if (!opening)
		return &h->count.tcp_reset_far;
	if (why == MF_STREAM_E_TIMED_OUT)
		return &h->count.tcp_timed_out;
	if (why < MF_STREAM_ERROR_COUNT && verdicts[why].icmp)
		return &h->count.tcp_unreachable;
	return &h->count.tcp_refused;
}

/* The far side could not be reached, or is gone before its time: the session ends. */
static void fail(struct mf_host *h, struct mf_session *s)
{
	enum mf_stream_error why = s->tcp.stream.error;
	bool opening = s->tcp.far != MF_FAR_OPEN && s->tcp.far != MF_FAR_EOF;

	mf_count(failure_counter(h, why, opening), 1);
	if (mf_tcp_state(&s->tcp.conn) == MF_TCP_SYN_HELD)
		answer_syn(h, s, why);
	else
		mf_tcp_abort(&h->tcp, &s->tcp.conn, false, h->now);
	close_far(s, false);
	mf_session_end(h, s, false);
}

/* ---- Beginning ------------------------------------------------------------------------------------- */

static void wake(struct mf_stream *st)
{
	mf_session_ready(MF_CONTAINER_OF(st, struct mf_session, tcp.stream));
}

/* The app is at the other end of the TUN, or behind a network: a machine for which we are the router. */
static bool is_local(const struct mf_host *h, const struct mf_addr *app)
{
	return mf_addr_equal(app, app->family == MF_AF_IP4 ? &h->cfg.tunnel4 : &h->cfg.tunnel6);
}

/* `out` NULL: nothing carries its hop; `name`: that it has shown, or NULL. False: the session has ended. */
static bool open_far(struct mf_host *h, struct mf_session *s, struct mf_outbound *out,
		     const char *name)
{
	struct mf_stream *st = &s->tcp.stream;
	struct mf_target to = { .addr = s->facts.dst, .app = s->facts.app, .name = name };

	if (!out) {
		st->error = MF_STREAM_E_NO_DEVICE;
		fail(h, s);
		return false;
	}
	st->out = out;
	st->wake = wake;
	s->tcp.read_blocked = true;
	s->tcp.far = MF_FAR_OPENING;
	if (out->ops->stream_open(out, st, &to) != MF_OK) {
		s->tcp.far = MF_FAR_NONE;
		fail(h, s);
		return false;
	}
	if (h->cfg.fast_open && mf_tcp_state(&s->tcp.conn) == MF_TCP_SYN_HELD) {
		mf_tcp_accept(&h->tcp, &s->tcp.conn, h->now);
		mf_session_ready(s);
	}
	mf_session_publish(s);
	return true;
}

/* The app is answered, so that it shows a name. */
static void await_name(struct mf_host *h, struct mf_session *s)
{
	s->tcp.far = MF_FAR_SETTLING;
	mf_tcp_accept(&h->tcp, &s->tcp.conn, h->now);
	mf_session_ready(s);
	mf_session_publish(s);
}

/* How much one session may let wait: a part of what all of them may. What is received takes more packets
 * than its bytes say, for the app chooses how full they are, so it gets half the part. */
static uint32_t most(uint64_t part)
{
	enum { LEAST = 64 << 10, MOST = 4 << 20 };

	return (uint32_t)mf_min(mf_max(part, LEAST), MOST);
}

/* `syn` is the first packet of this session. */
static void begin(struct mf_host *h, struct mf_session *s, struct mf_pkt *syn)
{
	struct mf_outbound *out;
	struct mf_tcp_config cfg = {
		.mtu = h->cfg.mtu,
		.rcv_wnd_max = most(h->tcp.rx_budget / 4),
		.snd_buf_max = most(h->tcp.tx_budget / 2),
		.no_tso = h->cfg.no_tso,
		.pacing = !is_local(h, &s->facts.app.addr),
	};

	if (mf_tcp_hold(&h->tcp, &s->tcp.conn, &cfg, syn, h->now) != MF_OK) {
		mf_host_drop(h, syn, MF_DROP_TCP_OPTIONS);
		mf_session_end(h, s, false);
		return;
	}
	mf_count(&h->count.tcp_opened, 1);
	mf_session_up(s, 0, 1);
	if (mf_settle_wants(h, &s->facts.dst)) {
		mf_host_consume(h, syn);
		await_name(h, s);
		return;
	}
	out = h->port.outbound(h->port.ctx, s->facts.hop);
	if (out)
		mf_host_consume(h, syn);
	else
		mf_host_drop(h, syn, MF_DROP_OUTBOUND_DOWN);
	(void)open_far(h, s, out, NULL);
}

/* ---- The name that it shows ------------------------------------------------------------------------- */

/* Without a word: what the app still sends meets the same fate, until it gives up. */
static void bury(struct mf_host *h, struct mf_session *s)
{
	mf_tcp_free(&h->tcp, &s->tcp.conn);
	s->tcp.far = MF_FAR_NONE;
	s->tcp.dead = true;
	s->facts.state = MF_SESSION_TIME_WAIT;
	mf_session_publish(s);
	mf_session_arm(s, h->now + DEAD_SECONDS * MF_SEC);
	mf_session_wait(s);
}

static bool dead_turn(struct mf_host *h, struct mf_session *s)
{
	mf_nsec end = s->facts.last + DEAD_SECONDS * MF_SEC;

	if (h->now >= end) {
		mf_session_end(h, s, false);
		return false;
	}
	mf_session_arm(s, end);
	mf_session_wait(s);
	return false;
}

/* False: the session has ended, or is dead. */
static bool look_at_name(struct mf_host *h, struct mf_session *s)
{
	struct mf_settlement to;
	struct mf_sniff_name name;

	if (!s->tcp.connected || mf_tcp_state(&s->tcp.conn) == MF_TCP_CLOSED ||
	    !mf_settle_stream(h, s, &name, &to))
		return true;
	s->tcp.route = (uint8_t)s->facts.hop;
	mf_session_move(h, s, to.hop);
	switch (to.fate) {
	case MF_FATE_REJECT:
		mf_session_end(h, s, true);
		return false;
	case MF_FATE_DROP:
		bury(h, s);
		return false;
	default:
		return open_far(h, s, h->port.outbound(h->port.ctx, to.hop),
				name.n ? name.text : NULL);
	}
}

/* ---- Packets --------------------------------------------------------------------------------------- */

static enum mf_drop check(const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	size_t n = p->len - p->l4_off;

	if (n < sizeof(*t) || mf_tcp_hdr_len(t) < sizeof(*t) || mf_tcp_hdr_len(t) > n)
		return MF_DROP_L4_TRUNCATED;
	if (!(p->flags & MF_PKT_NEEDS_CSUM) && !mf_ip_l4_csum_ok(p))
		return MF_DROP_L4_CHECKSUM;
	return MF_DROP_NONE;
}

static bool is_lone_syn(const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

	return (t->flags & (MF_TCP_SYN | MF_TCP_ACK | MF_TCP_RST | MF_TCP_FIN)) == MF_TCP_SYN;
}

bool mf_session_tcp_gives_way(const struct mf_session *s, const struct mf_pkt *p)
{
	if (s->flow.key.side != MF_SIDE_APP || s->tcp.far != MF_FAR_NONE || !is_lone_syn(p) ||
	    check(p))
		return false;
	return s->tcp.dead ||
	       (mf_tcp_state(&s->tcp.conn) == MF_TCP_TIME_WAIT && mf_tcp_may_reuse(&s->tcp.conn, p));
}

/* For a session whose app has no connection any more. */
static void receive_late(struct mf_host *h, struct mf_session *s, struct mf_pkt *p)
{
	if (!s->tcp.dead) { /* the far side still takes what it sent */
		mf_host_refuse(h, p, MF_DROP_NO_SESSION);
		return;
	}
	s->facts.last = h->now;
	mf_host_drop(h, p, MF_DROP_NAME_DROP);
}

static void receive(struct mf_host *h, struct mf_session *s, struct mf_pkt *p)
{
	struct mf_tcp *c = &s->tcp.conn;
	uint32_t segments = p->segments, trace = p->trace;
	enum mf_drop why;

	if (mf_tcp_state(c) == MF_TCP_CLOSED) {
		receive_late(h, s, p);
		return;
	}
	why = mf_tcp_input(&h->tcp, c, p, h->now);
	if (why) {
		mf_host_drop(h, p, why);
	} else {
		mf_host_taken(h, segments, trace);
		mf_session_up(s, 0, segments);
	}
	mf_session_ready(s);
}

static void handle(struct mf_host *h, struct mf_pkt *p)
{
	enum mf_drop why = check(p);
	struct mf_session *s;
	bool may_open, fresh;

	if (why) {
		mf_host_drop(h, p, why);
		return;
	}
	may_open = is_lone_syn(p) && !(p->flags & MF_PKT_FROM_VPN);
	s = mf_host_session(h, p, may_open, &mf_session_tcp, &fresh);
	if (s && !fresh && mf_session_tcp_gives_way(s, p)) {
		mf_session_end(h, s, false);
		s = mf_host_session(h, p, true, &mf_session_tcp, &fresh);
	}
	if (!s)
		return;
	if (fresh)
		begin(h, s, p);
	else
		receive(h, s, p);
}

void mf_host_tcp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = mf_host_whole(h, pkts[i]);

		if (MF_LIKELY(p && p->l4_proto == MF_IPPROTO_TCP))
			handle(h, p);
		else if (p)
			mf_host_other(h, p);
	}
}

void mf_session_tcp_icmp(struct mf_host *h, struct mf_session *s, const struct mf_pkt *error,
			 const struct mf_pkt *quoted)
{
	const struct mf_icmp_hdr *icmp = (const void *)(error->data + error->l4_off);
	const struct mf_tcp_hdr *t = (const void *)(quoted->data + quoted->l4_off);
	uint32_t mtu = mf_icmp_path_mtu(error), seq = mf_be32_get(t->seq);

	if (s->tcp.dead)
		return;
	if (mtu)
		mf_tcp_path_mtu(&h->tcp, &s->tcp.conn, mtu, seq, h->now);
	else if (icmp->type == (error->ip_version == 4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_UNREACHABLE))
		mf_tcp_unreachable(&h->tcp, &s->tcp.conn, seq);
	mf_session_ready(s);
}

/* ---- A turn ---------------------------------------------------------------------------------------- */

static void note_readiness(struct mf_host *h, struct mf_session *s, uint32_t ready)
{
	if (ready & MF_STREAM_READABLE)
		s->tcp.read_blocked = false;
	if (ready & MF_STREAM_WRITABLE)
		s->tcp.write_blocked = false;
	if (!(ready & MF_STREAM_OPENED) || s->tcp.far != MF_FAR_OPENING)
		return;
	s->tcp.far = MF_FAR_OPEN;
	if (mf_tcp_state(&s->tcp.conn) == MF_TCP_SYN_HELD)
		mf_tcp_accept(&h->tcp, &s->tcp.conn, h->now);
}

static bool may_send(enum mf_tcp_state st)
{
	return st == MF_TCP_ESTABLISHED || st == MF_TCP_CLOSE_WAIT;
}

/* To the far side first: what follows from it, acknowledgments, goes out at the end of the turn. Returns
 * whether there is more to move at once. */
static bool move_data(struct mf_host *h, struct mf_session *s)
{
	struct mf_tcp *c = &s->tcp.conn;
	struct mf_stream *st = &s->tcp.stream;
	bool more = false;

	if (s->tcp.far != MF_FAR_OPEN && s->tcp.far != MF_FAR_EOF)
		return false;
	if (!s->tcp.shut) {
		more = mf_session_tcp_push(h, s);
		if (mf_tcp_eof(c) && !mf_tcp_recv_queued(c)) {
			st->out->ops->stream_shutdown(st);
			s->tcp.shut = true;
		}
	}
	if (s->tcp.far == MF_FAR_OPEN && may_send(mf_tcp_state(c))) {
		more |= mf_session_tcp_pull(h, s);
		if (s->tcp.far == MF_FAR_EOF)
			mf_tcp_shutdown(c);
	}
	if (s->tcp.far == MF_FAR_EOF && s->tcp.shut)
		close_far(s, false);
	return more;
}

static enum mf_session_state state_of(const struct mf_session *s)
{
	bool app_eof = mf_tcp_eof(&s->tcp.conn);
	bool far_eof = s->tcp.far == MF_FAR_EOF || s->tcp.far == MF_FAR_NONE;

	if (s->tcp.far == MF_FAR_SETTLING || s->tcp.far == MF_FAR_OPENING)
		return MF_SESSION_OPENING;
	if (!s->tcp.connected)
		return MF_SESSION_ACCEPTING;
	if (mf_tcp_state(&s->tcp.conn) == MF_TCP_TIME_WAIT && s->tcp.far == MF_FAR_NONE)
		return MF_SESSION_TIME_WAIT;
	if (app_eof && far_eof)
		return MF_SESSION_CLOSING;
	return app_eof   ? MF_SESSION_APP_CLOSED
	       : far_eof ? MF_SESSION_FAR_CLOSED
			 : MF_SESSION_ESTABLISHED;
}

static void measure(struct mf_session *s)
{
	struct mf_stream *st = &s->tcp.stream;
	struct mf_stream_info far = { 0 };
	struct mf_tcp_info app;

	mf_tcp_info(&s->tcp.conn, &app);
	s->facts.rtt_app = app.srtt;
	if (!has_far(s))
		return;
	st->out->ops->stream_info(st, &far);
	s->facts.rtt_far = far.rtt;
}

/* The app's connection is over. True: so is the session; what the app sent before it closed has still to
 * reach the far side. */
static bool app_is_gone(struct mf_host *h, struct mf_session *s)
{
	struct mf_tcp_info info;

	mf_tcp_info(&s->tcp.conn, &info);
	if (info.end == MF_TCP_END_DONE && s->tcp.far != MF_FAR_NONE)
		return false;
	if (info.end == MF_TCP_END_RESET)
		mf_count(&h->count.tcp_reset_app, 1);
	mf_session_end(h, s, false);
	return true;
}

/* What is true when all has been done; false: the session has ended. */
static bool conclude(struct mf_host *h, struct mf_session *s)
{
	struct mf_tcp *c = &s->tcp.conn;
	bool settling = s->tcp.far == MF_FAR_SETTLING;
	bool established = s->half_open && s->tcp.connected && !settling &&
			   s->tcp.far != MF_FAR_OPENING;

	if (s->tcp.stream.ready & MF_STREAM_FAILED && has_far(s)) {
		fail(h, s);
		return false;
	}
	if (mf_tcp_state(c) == MF_TCP_CLOSED && app_is_gone(h, s))
		return false;
	if (established) {
		mf_session_opened(s);
		mf_count(&h->count.tcp_established, 1);
	}
	if (established || mf_session_due(s))
		measure(s);
	s->facts.state = (uint8_t)state_of(s);
	mf_session_arm(s, mf_tcp_deadline(c));
	if (settling && s->tcp.settle_until)
		mf_session_arm(s, s->tcp.settle_until);
	mf_session_publish(s);
	return true;
}

static bool turn(struct mf_host *h, struct mf_session *s)
{
	struct mf_tcp *c = &s->tcp.conn;
	uint32_t ready = s->tcp.stream.ready;
	bool more = false;

	if (MF_UNLIKELY(s->tcp.dead))
		return dead_turn(h, s);
	if (!(ready & MF_STREAM_FAILED)) {
		s->tcp.stream.ready = 0;
		note_readiness(h, s, ready);
		if (mf_tcp_deadline(c) <= h->now)
			mf_tcp_timeout(&h->tcp, c, h->now);
		s->tcp.connected |= (mf_tcp_events(c) & MF_TCP_EV_CONNECTED) != 0;
		if (MF_UNLIKELY(s->tcp.far == MF_FAR_SETTLING) && !look_at_name(h, s))
			return false;
		more = move_data(h, s);
		mf_tcp_output(&h->tcp, c, h->now);
	}
	if (!conclude(h, s))
		return false;
	if (s->facts.state == MF_SESSION_TIME_WAIT)
		mf_session_wait(s);
	return more;
}

const struct mf_session_ops mf_session_tcp = { .turn = turn, .close = close_session };
