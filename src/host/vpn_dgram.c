/* SPDX-License-Identifier: Apache-2.0
 *
 * vpn_dgram - datagrams of our own through an L3VPN interface: UDP from a port of ours to any remote, and
 * from whoever writes to it.
 *
 * Out, payload is copied behind new headers, for packets stay their sender's. Back, a packet waits as it was
 * decrypted until it is asked for, and is handed on as it is. Fragments never come here: they go to the TUN,
 * for nobody could put them together before it is known whose they are.
 */
#include "host/datagram.h"
#include "host/vpn.h"

#include "wire/gso.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/udp.h"

/* Of what one port holds until it is read. A super-packet is one. */
enum { QUEUE_MAX = 64 };

static struct mf_session *session_of(const struct mf_dgram *d)
{
	return d->impl;
}

/* ---- The user's side --------------------------------------------------------------------------------- */

static const struct mf_session_ops session_ops;

mf_err mf_vpn_dgram_open(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct mf_vpn *v = o->ctx;
	struct mf_session *s;

	if (d->kind != MF_DGRAM_UDP) {
		d->error = MF_STREAM_E_UNSUPPORTED;
		return MF_E_UNSUPPORTED;
	}
	s = mf_vpn_session(v, MF_IPPROTO_UDP, to, &session_ops, &d->error);
	if (!s)
		return MF_E_GONE;
	s->facts.kind = MF_SESSION_UDP;
	s->facts.state = MF_SESSION_UNREPLIED;
	s->own.user = d;
	s->own.last = &s->own.first;
	s->own.mtu = v->mtu;
	d->impl = s;
	mf_session_ready(s);
	return MF_OK;
}

static void note_error(struct mf_session *s, const struct mf_dgram_error *e)
{
	if (s->own.n_errors < MF_ARRAY_LEN(s->own.error))
		s->own.error[s->own.n_errors++] = *e;
	mf_dgram_notify(s->own.user, MF_STREAM_READABLE);
}

static void note_too_big(struct mf_session *s, const struct mf_endpoint *remote)
{
	bool v4 = s->flow.key.family == MF_AF_IP4;
	struct mf_dgram_error e = {
		.remote = *remote,
		.type = v4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_TOO_BIG,
		.code = v4 ? 4 : 0,
		.mtu = s->own.mtu,
	};

	note_error(s, &e);
}

/* The payload with all that goes with it, behind room for its headers; NULL: no packet is free. */
static struct mf_pkt *copy(struct mf_host *h, const struct mf_pkt *p, size_t headers)
{
	struct mf_pkt *c = NULL;

	if (p->len + headers <= MF_PKT_SMALL_MAX && mf_host_spare_small(h))
		c = mf_pkt_small(h->pool);
	else if (mf_host_spare_large(h))
		c = mf_pkt_large(h->pool);
	if (!c)
		return NULL;
	c->data += headers;
	memcpy(c->data, p->data, p->len);
	c->len = p->len;
	c->gso_type = p->gso_type;
	c->gso_size = p->gso_size;
	c->tos = p->tos;
	c->ttl = p->ttl;
	return c;
}

static void emit(void *ctx, struct mf_pkt *p)
{
	mf_vpn_emit(ctx, p);
}

static enum mf_drop send(struct mf_session *s, const struct mf_pkt *p)
{
	bool v4 = s->flow.key.family == MF_AF_IP4;
	size_t headers = (v4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr)) +
			 sizeof(struct mf_udp_hdr);
	uint32_t mtu = (uint32_t)mf_max(s->own.mtu, v4 ? MF_IP4_MIN_MTU : MF_IP6_MIN_MTU);
	struct mf_pkt *c;

	if (p->remote.addr.family != s->flow.key.family)
		return MF_DROP_OUTBOUND_REFUSED;
	if (p->len + headers > MF_PKT_LARGE_MAX)
		return MF_DROP_TOO_BIG;
	c = copy(s->host, p, headers);
	if (!c)
		return MF_DROP_BUFFERS;
	if (!mf_datagram_wrap_udp(c, &s->facts.app, &p->remote)) {
		mf_pkt_free(c);
		return MF_DROP_TOO_BIG;
	}
	if (MF_LIKELY(mf_gso_max_len(c) <= mtu)) {
		mf_vpn_emit(s, c);
		return MF_DROP_NONE;
	}
	if (p->flags & MF_PKT_MAY_FRAGMENT)
		mf_datagram_cut(s->host, c, mtu, emit, s);
	else
		note_too_big(s, &p->remote);
	mf_pkt_free(c);
	return p->flags & MF_PKT_MAY_FRAGMENT ? MF_DROP_NONE : MF_DROP_TOO_BIG;
}

void mf_vpn_dgram_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct mf_session *s = session_of(d);

	for (size_t i = 0; i < n; i++) {
		pkts[i]->drop = s ? (uint16_t)send(s, pkts[i]) : MF_DROP_OUTBOUND_DOWN;
		if (pkts[i]->drop)
			continue;
		mf_vpn_up(s, pkts[i]->len, pkts[i]->segments);
		s->facts.dst = pkts[i]->remote;
		mf_session_ready(s);
	}
}

size_t mf_vpn_dgram_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct mf_session *s = session_of(d);
	size_t n = 0;

	if (!s)
		return 0;
	MF_ASSERT(pool == s->host->pool);
	while (n < max && s->own.first) {
		out[n] = s->own.first;
		s->own.first = out[n++]->next;
	}
	if (!s->own.first)
		s->own.last = &s->own.first;
	s->own.n -= (uint32_t)n;
	return n;
}

bool mf_vpn_dgram_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	struct mf_session *s = session_of(d);

	if (!s || !s->own.n_errors)
		return false;
	*e = s->own.error[0];
	s->own.n_errors--;
	memmove(s->own.error, s->own.error + 1, s->own.n_errors * sizeof(s->own.error[0]));
	return true;
}

void mf_vpn_dgram_close(struct mf_dgram *d)
{
	struct mf_session *s = session_of(d);

	if (!s) /* it has ended, and said so */
		return;
	s->own.user = NULL;
	d->impl = NULL;
	mf_session_end(s->host, s, false);
}

/* ---- The VPN's side ---------------------------------------------------------------------------------- */

/* Its payload, as dgram_recv hands it on. */
static void unwrap(struct mf_pkt *p)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);
	uint32_t n = p->l4_off + (uint32_t)sizeof(*u);

	p->remote = (struct mf_endpoint){ .addr = mf_ip_src(p), .port = mf_be16_get(u->sport) };
	p->tos = mf_ip_tos(p->data);
	p->ttl = mf_ip_ttl(p->data);
	p->flags &= (uint8_t) ~(MF_PKT_NEEDS_CSUM | MF_PKT_FROM_VPN | MF_PKT_CAPTURED);
	p->owner = NULL;
	p->next_hop = 0;
	p->trace = 0;
	p->next = NULL;
	p->data += n;
	p->len -= n;
}

static bool pool_is_short(const struct mf_host *h, const struct mf_pkt *p)
{
	return p->flags & MF_PKT_LARGE ? !mf_host_spare_large(h) : !mf_host_spare_small(h);
}

void mf_vpn_dgram_input(struct mf_host *h, struct mf_pkt *p)
{
	struct mf_session *s;
	uint32_t segments = p->segments, trace = p->trace;
	bool fresh;

	s = mf_host_session(h, p, false, &session_ops, &fresh);
	if (!s)
		return;
	if (s->own.n == QUEUE_MAX || pool_is_short(h, p)) {
		mf_host_drop(h, p, s->own.n == QUEUE_MAX ? MF_DROP_OWN_QUEUE_FULL : MF_DROP_BUFFERS);
		return;
	}
	unwrap(p);
	mf_host_taken(h, segments, trace);
	*s->own.last = p;
	s->own.last = &p->next;
	s->own.n++;
	s->facts.state = MF_SESSION_ESTABLISHED;
	mf_vpn_down(s, p->len, segments);
	mf_session_ready(s);
	mf_dgram_notify(s->own.user, MF_STREAM_READABLE);
}

void mf_vpn_dgram_icmp(struct mf_session *s, const struct mf_pkt *error, const struct mf_pkt *quoted)
{
	const struct mf_icmp_hdr *icmp = (const void *)(error->data + error->l4_off);
	struct mf_dgram_error e = {
		.remote = { .addr = mf_ip_dst(quoted),
			    .port = mf_load_be16(quoted->data + quoted->l4_off +
						 offsetof(struct mf_udp_hdr, dport)) },
		.offender = mf_ip_src(error),
		.type = icmp->type,
		.code = icmp->code,
		.mtu = mf_icmp_path_mtu(error),
	};

	note_error(s, &e);
}

/* ---- Its end ----------------------------------------------------------------------------------------- */

static bool turn(struct mf_host *h, struct mf_session *s)
{
	(void)h;
	mf_session_publish(s);
	return false;
}

/* By its user, by hand, or at the end of everything. */
static void close_session(struct mf_host *h, struct mf_session *s, bool tell_server)
{
	struct mf_dgram *d = s->own.user;

	(void)tell_server; /* nobody would listen */
	for (struct mf_pkt *p; (p = s->own.first);) {
		s->own.first = p->next;
		mf_pkt_free(p);
	}
	if (d) {
		d->impl = NULL;
		d->error = MF_STREAM_E_NO_DEVICE;
		mf_dgram_notify(d, MF_STREAM_FAILED);
	}
	h->n_own--;
}

static const struct mf_session_ops session_ops = { .turn = turn, .close = close_session };
