/* SPDX-License-Identifier: Apache-2.0
 *
 * open - how a connection begins and ends: a SYN that is held until the far side has answered, one of our
 * own, what both sides agree on; and giving everything back.
 */
#include "proto/tcp/internal.h"
#include "wire/ip.h"

enum {
	TCP_HDR = sizeof(struct mf_tcp_hdr),
	TS_OPTION = 12,
	/* What a peer that names no MSS takes (RFC 9293 3.7.1), and the least that we believe. */
	DEFAULT_MSS4 = 536,
	DEFAULT_MSS6 = 1220,
	MIN_MSS = 88,
	MAX_UNSCALED = 65535,
};

static uint32_t ms_of(mf_nsec t, mf_nsec otherwise)
{
	t = t ? t : otherwise;
	return (uint32_t)mf_min((t + MF_MSEC - 1) / MF_MSEC, UINT32_MAX);
}

static uint32_t ip_hdr_len(const struct mf_tcp *c)
{
	return c->local.addr.family == MF_AF_IP4 ? sizeof(struct mf_ip4_hdr)
						 : sizeof(struct mf_ip6_hdr);
}

static void take_config(struct mf_tcp *c, const struct mf_tcp_config *cfg)
{
	c->cfg = (struct mf_tcp_limits){
		.rcv_wnd_max = cfg->rcv_wnd_max ? cfg->rcv_wnd_max : 4 << 20,
		.snd_buf_max = cfg->snd_buf_max ? cfg->snd_buf_max : 4 << 20,
		.keepalive_idle = ms_of(cfg->keepalive_idle, 0),
		.keepalive_interval = ms_of(cfg->keepalive_interval, 75 * MF_SEC),
		.keepalive_count =
			(uint16_t)mf_min(cfg->keepalive_count ? cfg->keepalive_count : 9, UINT8_MAX),
		.user_timeout = ms_of(cfg->user_timeout, 900 * MF_SEC),
		.syn_timeout = ms_of(cfg->syn_timeout, 127 * MF_SEC),
		.time_wait = ms_of(cfg->time_wait, 60 * MF_SEC),
		.tos = cfg->tos,
		.pacing = cfg->pacing,
		.no_tso = cfg->no_tso,
		.no_sack = cfg->no_sack,
		.no_ts = cfg->no_timestamps,
		.no_wscale = cfg->no_window_scale,
	};
	/* RFC 7323 2.3: more than this cannot be offered. */
	c->cfg.rcv_wnd_max = (uint32_t)mf_min(c->cfg.rcv_wnd_max, 1u << 30);
	c->rcv_buf = cfg->rcv_wnd_init ? cfg->rcv_wnd_init : 64 << 10;
	c->rcv_buf = (uint32_t)mf_min(c->rcv_buf, c->cfg.rcv_wnd_max);
	c->mtu = (uint16_t)mf_min(cfg->mtu ? cfg->mtu : 1500, UINT16_MAX);
}

/* What both ways of opening have in common. Addresses are set. */
static void begin(struct mf_tcp_env *env, struct mf_tcp *c, const struct mf_tcp_config *cfg,
		  mf_nsec now)
{
	MF_ASSERT(c->state == MF_TCP_CLOSED && !c->env);
	c->env = env;
	env->s->n_conns++;
	take_config(c, cfg);
	mf_tcp_choose_numbers(c, now);
	c->snd_una = c->snd_nxt = c->iss;
	c->snd_end = c->iss + 1;
	c->peer_mss = c->local.addr.family == MF_AF_IP4 ? DEFAULT_MSS4 : DEFAULT_MSS6;
	c->rcv_mss = DEFAULT_MSS4;
	while (!c->cfg.no_wscale && c->rcv_wscale < MF_TCP_WSCALE_MAX &&
	       c->cfg.rcv_wnd_max >> c->rcv_wscale > MAX_UNSCALED)
		c->rcv_wscale++;
	c->xmit_at = c->ack_at = c->idle_at = c->pace_at = MF_NEVER;
	c->heard = c->una_since = now;
	mf_tcp_rtt_init(&c->rtt);
	c->reo_mult = 1;
}

static void set_mss(struct mf_tcp *c)
{
	uint32_t room = c->mtu - ip_hdr_len(c) - TCP_HDR;
	uint32_t mss = (uint32_t)mf_min(c->peer_mss, room);

	c->mss = (uint32_t)mf_max(mss, MIN_MSS) - (c->flags & MF_TCP_F_TS ? TS_OPTION : 0);
}

void mf_tcp_set_mtu(struct mf_tcp *c, uint32_t mtu)
{
	c->mtu = (uint16_t)mtu;
	set_mss(c);
	mf_tcp_cubic_set_mss(&c->cubic, c->mss);
}

bool mf_tcp_read_seg(struct mf_tcp_seg *s, const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

	s->seq = mf_be32_get(t->seq);
	s->ack = mf_be32_get(t->ack);
	s->len = p->len - p->l4_off - (uint32_t)mf_tcp_hdr_len(t);
	s->wnd = mf_be16_get(t->window);
	s->flags = t->flags;
	if (mf_tcp_hdr_len(t) == TCP_HDR) {
		s->o.has_ts = false;
		s->o.n_sack = 0;
		/* The rest counts in a SYN only. */
		if (MF_LIKELY(!(s->flags & MF_TCP_SYN)))
			return true;
	}
	return mf_tcp_options_parse(&s->o, t) == MF_OK;
}

/* The SYN's side of the bargain, once our own is known (RFC 7323 2.2, 3.2; RFC 2018 2). */
void mf_tcp_take_syn(struct mf_tcp *c, const struct mf_tcp_seg *s, mf_nsec now)
{
	const struct mf_tcp_options *o = &s->o;

	c->irs = s->seq;
	c->rcv_nxt = c->ack_sent = s->seq + 1;
	c->flags &= ~(uint32_t)(MF_TCP_F_SACK | MF_TCP_F_TS | MF_TCP_F_WSCALE);
	if (o->mss)
		c->peer_mss = o->mss;
	if (o->sack_permitted && !c->cfg.no_sack)
		c->flags |= MF_TCP_F_SACK;
	if (o->has_ts && !c->cfg.no_ts) {
		c->flags |= MF_TCP_F_TS;
		c->ts_recent = o->ts_val;
	}
	if (o->has_wscale && !c->cfg.no_wscale) {
		c->flags |= MF_TCP_F_WSCALE;
		c->snd_wscale = o->wscale;
	} else {
		c->snd_wscale = 0;
		c->rcv_buf = (uint32_t)mf_min(c->rcv_buf, MAX_UNSCALED);
	}
	/* Nothing in a handshake is scaled. */
	c->rcv_adv = c->rcv_nxt + (uint32_t)mf_min(c->rcv_buf, MAX_UNSCALED);
	c->snd_wnd = c->max_wnd = s->wnd;
	c->snd_wl1 = s->seq;
	c->snd_wl2 = s->ack;
	c->heard = now;
	set_mss(c);
	mf_tcp_cubic_init(&c->cubic, c->mss);
}

mf_err mf_tcp_hold(struct mf_tcp_env *env, struct mf_tcp *c, const struct mf_tcp_config *cfg,
		   const struct mf_pkt *syn, mf_nsec now)
{
	const struct mf_tcp_hdr *t = (const void *)(syn->data + syn->l4_off);
	struct mf_tcp_seg s;

	if ((t->flags & (MF_TCP_SYN | MF_TCP_ACK | MF_TCP_RST | MF_TCP_FIN)) != MF_TCP_SYN ||
	    !mf_tcp_read_seg(&s, syn))
		return MF_E_MALFORMED;
	c->local = (struct mf_endpoint){ .addr = mf_ip_dst(syn), .port = mf_be16_get(t->dport) };
	c->remote = (struct mf_endpoint){ .addr = mf_ip_src(syn), .port = mf_be16_get(t->sport) };
	begin(env, c, cfg, now);
	c->flags |= MF_TCP_F_PASSIVE;
	c->state = MF_TCP_SYN_HELD;
	mf_tcp_take_syn(c, &s, now);
	return MF_OK;
}

void mf_tcp_accept(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now)
{
	(void)env;
	MF_ASSERT(c->state == MF_TCP_SYN_HELD);
	c->state = MF_TCP_SYN_RECEIVED;
	c->snd_nxt = c->iss + 1;
	c->syn_since = now;
	c->todo |= MF_TCP_TODO_SYN;
}

mf_err mf_tcp_connect(struct mf_tcp_env *env, struct mf_tcp *c, const struct mf_tcp_config *cfg,
		      const struct mf_endpoint *local, const struct mf_endpoint *remote, mf_nsec now)
{
	if (local->addr.family != remote->addr.family || local->addr.family == MF_AF_NONE ||
	    !local->port || !remote->port)
		return MF_E_RANGE;
	c->local = *local;
	c->remote = *remote;
	begin(env, c, cfg, now);
	c->state = MF_TCP_SYN_SENT;
	c->snd_nxt = c->iss + 1;
	set_mss(c);
	mf_tcp_cubic_init(&c->cubic, c->mss);
	c->syn_since = now;
	c->todo |= MF_TCP_TODO_SYN;
	return MF_OK;
}

/* The handshake is complete; snd_una stands behind our SYN. */
void mf_tcp_establish(struct mf_tcp *c, mf_nsec now)
{
	c->state = MF_TCP_ESTABLISHED;
	c->events |= MF_TCP_EV_CONNECTED | MF_TCP_EV_ROOM;
	c->todo &= (uint8_t)~MF_TCP_TODO_SYN;
	c->xmit_at = MF_NEVER;
	c->xmit_kind = MF_TCP_XMIT_NONE;
	c->una_since = c->drs_at = now;
	c->fack = c->rack_end = c->snd_una;
	if (!(c->flags & MF_TCP_F_SYN_AGAIN))
		mf_tcp_rtt_sample(&c->rtt, now - c->syn_at, now);
	if (c->flags & MF_TCP_F_FIN_QUEUED)
		c->state = MF_TCP_FIN_WAIT_1;
	mf_tcp_set_idle_timer(c, now);
}

void mf_tcp_shutdown(struct mf_tcp *c)
{
	if (c->flags & MF_TCP_F_FIN_QUEUED || c->state == MF_TCP_CLOSED)
		return;
	c->flags |= MF_TCP_F_FIN_QUEUED;
	if (c->state == MF_TCP_ESTABLISHED)
		c->state = MF_TCP_FIN_WAIT_1;
	else if (c->state == MF_TCP_CLOSE_WAIT)
		c->state = MF_TCP_LAST_ACK;
}

void mf_tcp_end(struct mf_tcp *c, enum mf_tcp_end why)
{
	c->state = MF_TCP_CLOSED;
	c->end = (uint8_t)why;
	c->events |= MF_TCP_EV_CLOSED;
	c->todo &= MF_TCP_TODO_RST;
	c->xmit_at = c->ack_at = c->idle_at = c->pace_at = MF_NEVER;
	mf_tcp_sndq_clear(c);
	mf_tcp_reass_drop(c);
	mf_tcp_recv_end(c);
}

void mf_tcp_abort(struct mf_tcp_env *env, struct mf_tcp *c, bool silent, mf_nsec now)
{
	(void)env, (void)now;
	switch (c->state) {
	case MF_TCP_CLOSED:
		return;
	case MF_TCP_SYN_HELD:
		/* As a closed port would answer. */
		if (!silent)
			mf_tcp_emit_rst(c, 0, true);
		break;
	case MF_TCP_SYN_SENT:
	case MF_TCP_TIME_WAIT:
		break;
	default:
		mf_tcp_emit_rst(c, c->snd_nxt, true);
	}
	mf_tcp_end(c, MF_TCP_END_ABORTED);
}

void mf_tcp_free(struct mf_tcp_env *env, struct mf_tcp *c)
{
	if (c->env) {
		MF_ASSERT(c->env == env);
		mf_tcp_sndq_clear(c);
		mf_tcp_recv_clear(c);
		env->s->n_conns--;
	}
	memset(c, 0, sizeof(*c));
}
