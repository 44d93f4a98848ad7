/* SPDX-License-Identifier: Apache-2.0
 *
 * datagram - see datagram.h.
 *
 * Out: a packet's data moves behind its headers, and the outbound sends from where the packet was read.
 * Back: headers are written in front of what was received; only what is longer than the way to the app
 * takes is copied, into fragments.
 *
 * TTL: the TUN is a link and takes nothing from it, so one machine is one hop, as it is with WireGuard. A
 * TTL below TTL_TOLD is meant by somebody (traceroute) and goes out as it is; the first router answers it.
 * Any other becomes the system's own: a socket cannot be given one for each datagram at no cost.
 */
#include "host/settle.h"

#include "wire/fragment.h"
#include "wire/gso.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/reply.h"
#include "wire/udp.h"

enum {
	TTL_TOLD = 32,
	/* One session's share of a turn: packets in all, and in one call. */
	SHARE = 128,
	BURST = 32,
	ERRORS = 16,
	/* A link with less is no link for this day and age; RFC 791 demands 68, and a forger would take
	 * it to have us make a thousand fragments of an answer. */
	MTU4_MIN = 576,
};

static const struct mf_datagram_kind *kind_of(const struct mf_session *s)
{
	return MF_CONTAINER_OF(s->ops, const struct mf_datagram_kind, ops);
}

/* ---- Errors to the app --------------------------------------------------------------------------- */

/* Quotes the start of the packet as the app has sent it, made anew. */
static void tell_app(struct mf_host *h, const struct mf_session *s, const struct mf_dgram_error *e)
{
	uint8_t l4[8];

	if (e->remote.addr.family != s->flow.key.family)
		return;
	kind_of(s)->quote(s, e, l4);
	mf_host_icmp_about(h, s, &e->remote.addr, l4, sizeof(l4), &e->offender, e->type, e->code,
			   e->mtu);
}

static bool is_too_big(const struct mf_session *s, const struct mf_dgram_error *e)
{
	return s->flow.key.family == MF_AF_IP4 ? e->type == MF_ICMP4_UNREACHABLE && e->code == 4
					       : e->type == MF_ICMP6_TOO_BIG;
}

/* Passes on what has come in; returns true if there may be more. */
static bool pass_errors(struct mf_host *h, struct mf_session *s, bool *too_big)
{
	struct mf_dgram *d = &s->datagram.dgram;
	struct mf_dgram_error e = { 0 };

	for (unsigned i = 0; i < ERRORS; i++) {
		if (!d->out->ops->dgram_error(d, &e))
			return false;
		*too_big |= is_too_big(s, &e);
		tell_app(h, s, &e);
		e = (struct mf_dgram_error){ 0 };
	}
	return true;
}

/* `e` names a packet that was too big for the way out. The outbound knows the MTU and says so as an error; if
 * not, what every path takes is the only honest number. */
static void tell_too_big(struct mf_host *h, struct mf_session *s, struct mf_dgram_error e)
{
	bool v4 = s->flow.key.family == MF_AF_IP4, told = false;

	e.type = v4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_TOO_BIG;
	e.code = v4 ? 4 : 0;
	e.mtu = v4 ? MTU4_MIN : MF_IP6_MIN_MTU;
	if (pass_errors(h, s, &told))
		mf_session_ready(s);
	if (!told)
		tell_app(h, s, &e);
}

/* An app's packet to `remote` as an error about it names it. */
static struct mf_dgram_error about(const struct mf_session *s, const struct mf_endpoint *remote,
				   const uint8_t *l4)
{
	struct mf_dgram_error e = { .remote = *remote };

	if (kind_of(s)->kind == MF_DGRAM_ECHO)
		e.echo_seq = mf_load_be16(l4 + offsetof(struct mf_icmp_hdr, rest) + 2);
	return e;
}

/* ---- Opening ------------------------------------------------------------------------------------- */

static void wake(struct mf_dgram *d)
{
	mf_session_ready(MF_CONTAINER_OF(d, struct mf_session, datagram.dgram));
}

/* Type and code for an app whose datagram cannot go; false: it may try again and need not know. */
static bool unreachable(const struct mf_session *s, enum mf_stream_error why,
			struct mf_dgram_error *e)
{
	bool v4 = s->flow.key.family == MF_AF_IP4;

	e->type = v4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_UNREACHABLE;
	switch (why) {
	case MF_STREAM_E_NET_UNREACHABLE:
	case MF_STREAM_E_NO_DEVICE:
		e->code = 0;
		return true;
	case MF_STREAM_E_PROHIBITED:
	case MF_STREAM_E_UNSUPPORTED:
		e->code = v4 ? 13 : 1;
		return true;
	case MF_STREAM_E_REFUSED:
		e->code = v4 ? 3 : 4;
		return true;
	case MF_STREAM_E_NO_RESOURCES:
		return false;
	default:
		e->code = v4 ? 1 : 3;
		return true;
	}
}

static enum mf_stream_error try_open(struct mf_host *h, struct mf_session *s)
{
	struct mf_outbound *o = h->port.outbound(h->port.ctx, s->facts.hop);
	struct mf_target to = { .addr = s->facts.dst, .app = s->facts.app };
	struct mf_dgram *d = &s->datagram.dgram;

	if (!o)
		return MF_STREAM_E_NO_DEVICE;
	if (!o->ops->dgram_open)
		return MF_STREAM_E_UNSUPPORTED;
	*d = (struct mf_dgram){
		.out = o,
		.kind = (uint8_t)kind_of(s)->kind,
		.family = s->flow.key.family,
		.wake = wake,
	};
	if (!o->ops->dgram_open(o, d, &to))
		return MF_STREAM_E_NONE;
	return d->error ? (enum mf_stream_error)d->error : MF_STREAM_E_OTHER;
}

/* False: the far half could not be opened, the app has been told, p dropped and the session is gone. */
static bool open_far(struct mf_host *h, struct mf_session *s, struct mf_pkt *p)
{
	enum mf_stream_error why = try_open(h, s);
	struct mf_dgram_error e = about(s, &s->facts.dst, p->data + p->l4_off);

	if (!why) {
		mf_count(kind_of(s)->kind == MF_DGRAM_UDP ? &h->count.udp_opened
							  : &h->count.echo_opened,
			 1);
		return true;
	}
	if (unreachable(s, why, &e))
		tell_app(h, s, &e);
	mf_host_drop(h, p, MF_DROP_OUTBOUND_DOWN);
	mf_session_free(h, s);
	return false;
}

void mf_datagram_close(struct mf_host *h, struct mf_session *s, bool app)
{
	(void)h;
	(void)app; /* nobody tells an app that its mapping has ended */
	s->datagram.dgram.out->ops->dgram_close(&s->datagram.dgram);
}

/* ---- Out ----------------------------------------------------------------------------------------- */

/* Long after a question that only DNS would ask nobody waits; but a mapping that is used for anything else
 * lives as long as that needs. */
static enum mf_session_kind udp_kind(const struct mf_session *s, uint16_t port)
{
	bool quic = s->facts.remotes && s->facts.kind == MF_SESSION_QUIC;
	bool dns = !s->facts.remotes || s->facts.kind == MF_SESSION_DNS;

	if (quic || port == 443)
		return MF_SESSION_QUIC;
	return dns && port == 53 ? MF_SESSION_DNS : MF_SESSION_UDP;
}

bool mf_datagram_remembers(const struct mf_session *s, const struct mf_endpoint *to)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(s->datagram.remote); i++)
		if (mf_endpoint_equal(&s->datagram.remote[i], to))
			return true;
	return false;
}

bool mf_datagram_knows(const struct mf_session *s, const struct mf_pkt *p)
{
	struct mf_endpoint to = { .addr = mf_ip_dst(p) };

	if (p->l4_proto == MF_IPPROTO_UDP)
		to.port = mf_load_be16(p->data + p->l4_off + offsetof(struct mf_udp_hdr, dport));
	return mf_datagram_remembers(s, &to);
}

bool mf_datagram_has_moved(const struct mf_host *h, const struct mf_session *s)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(s->datagram.remote); i++) {
		const struct mf_endpoint *to = &s->datagram.remote[i];

		if (to->addr.family &&
		    h->port.route(h->port.ctx, &to->addr) != mf_settle_route(h, s, to))
			return true;
	}
	return false;
}

/* Remembers the last few remotes: whoever speaks to more of them in turns is counted more than once. */
static void note_remote(struct mf_session *s, const struct mf_endpoint *to)
{
	if (s->facts.remotes && mf_endpoint_equal(to, &s->facts.dst))
		return;
	s->facts.dst = *to;
	if (s->facts.proto == MF_IPPROTO_UDP)
		s->facts.kind = (uint8_t)udp_kind(s, to->port);
	mf_session_arm(s, MF_NEVER);
	if (!mf_datagram_remembers(s, to))
		s->datagram.remote[s->facts.remotes++ % MF_ARRAY_LEN(s->datagram.remote)] = *to;
}

static void strip(struct mf_pkt *p, size_t n)
{
	p->data += n;
	p->len -= (uint32_t)n;
}

/* Did its sender say so? (What came in fragments is marked already, host/reass.c.) */
static bool may_fragment(const struct mf_pkt *p)
{
	const struct mf_ip4_hdr *h = (const void *)p->data;

	return p->ip_version == 4 && !(mf_be16_get(h->frag) & MF_IP4_DF);
}

static void put(struct mf_host *h, struct mf_datagram_batch *b, struct mf_session *s,
		struct mf_pkt *p, uint16_t port)
{
	uint8_t ttl = mf_ip_ttl(p->data);

	if (b->s != s || b->n == MF_ARRAY_LEN(b->pkts))
		mf_datagram_flush(h, b);
	p->remote = (struct mf_endpoint){ .addr = mf_ip_dst(p), .port = port };
	p->tos = mf_ip_tos(p->data);
	p->ttl = ttl < TTL_TOLD ? ttl : 0;
	p->flags &= (uint8_t)~MF_PKT_NEEDS_CSUM;
	if (may_fragment(p))
		p->flags |= MF_PKT_MAY_FRAGMENT;
	strip(p, p->l4_off + kind_of(s)->hdr_len);
	note_remote(s, &p->remote);
	b->s = s;
	b->pkts[b->n++] = p;
}

struct mf_session *mf_datagram_input(struct mf_host *h, struct mf_datagram_batch *b,
				     const struct mf_datagram_kind *kind, struct mf_pkt *p,
				     uint16_t port)
{
	struct mf_session *s;
	bool fresh;

	s = mf_host_session(h, p, true, &kind->ops, &fresh);
	if (!s || (fresh && !open_far(h, s, p)))
		return NULL;
	put(h, b, s, p, port);
	return s;
}

void mf_datagram_flush(struct mf_host *h, struct mf_datagram_batch *b)
{
	struct mf_session *s = b->s;
	struct mf_dgram *d = s ? &s->datagram.dgram : NULL;
	struct mf_dgram_error e;
	bool too_big = false;
	uint32_t packets = 0;
	size_t bytes = 0;

	if (!b->n)
		return;
	d->out->ops->dgram_send(d, b->pkts, b->n);
	for (uint32_t i = 0; i < b->n; i++) {
		struct mf_pkt *p = b->pkts[i];

		if (!p->drop) {
			bytes += p->len;
			packets += p->segments;
		} else if (p->drop == MF_DROP_TOO_BIG && !too_big) {
			too_big = true;
			e = about(s, &p->remote, p->data);
		}
		/* Whoever looks at it at its end wants to see the packet. */
		p->data -= p->l4_off + kind_of(s)->hdr_len;
		p->len += (uint32_t)(p->l4_off + kind_of(s)->hdr_len);
		if (p->drop)
			mf_host_drop(h, p, (enum mf_drop)p->drop);
		else
			mf_host_consume(h, p);
	}
	b->n = 0;
	mf_session_up(s, bytes, packets);
	mf_session_ready(s);
	if (too_big)
		tell_too_big(h, s, e);
}

/* ---- Back ---------------------------------------------------------------------------------------- */

void mf_datagram_path_mtu(struct mf_session *s, uint32_t mtu)
{
	uint32_t min = s->flow.key.family == MF_AF_IP4 ? MTU4_MIN : MF_IP6_MIN_MTU;

	if (mtu < min) /* RFC 8200 5: says nothing that would help */
		return;
	if (!s->datagram.mtu || mtu < s->datagram.mtu)
		s->datagram.mtu = mtu;
}

static uint32_t mtu_of(const struct mf_host *h, const struct mf_session *s)
{
	uint32_t mtu = h->cfg.mtu;

	if (s->datagram.mtu)
		mtu = (uint32_t)mf_min(mtu, s->datagram.mtu);
	return (uint32_t)mf_max(mtu,
				s->flow.key.family == MF_AF_IP4 ? MF_IP4_MIN_MTU : MF_IP6_MIN_MTU);
}

static bool fits(const struct mf_host *h, const struct mf_session *s, const struct mf_pkt *p)
{
	if (p->gso_type != MF_GSO_NONE && h->cfg.no_uso)
		return false;
	return mf_gso_max_len(p) <= mtu_of(h, s);
}

void mf_datagram_cut(struct mf_host *h, struct mf_pkt *p, uint32_t mtu,
		     void (*emit)(void *ctx, struct mf_pkt *p), void *ctx)
{
	struct mf_gso g;
	uint8_t *seg;
	size_t n;

	if (mf_gso_begin(&g, p))
		return;
	while ((n = mf_gso_next(&g, &seg))) {
		/* RFC 7739 5.3: a number that nobody can guess */
		uint32_t id = mf_rng_u32(&h->tcp.rng);
		struct mf_pkt *f = mf_fragment_cut(h->pool, seg, n, mtu, id), *next;

		if (!f)
			mf_host_lost(h, 1, MF_DROP_BUFFERS);
		for (; f; f = next) {
			next = f->next;
			emit(ctx, f);
		}
	}
}

static void emit_to_app(void *ctx, struct mf_pkt *p)
{
	mf_host_emit(ctx, p);
}

static void deliver(struct mf_host *h, struct mf_session *s, struct mf_pkt *p)
{
	size_t bytes = p->len;

	if (p->remote.addr.family != s->flow.key.family || !kind_of(s)->wrap(s, p)) {
		mf_host_lost(h, p->segments, MF_DROP_TOO_BIG);
		mf_pkt_free(p);
		return;
	}
	s->facts.state = MF_SESSION_ESTABLISHED;
	mf_session_down(s, bytes, p->segments);
	if (MF_LIKELY(fits(h, s, p))) {
		mf_host_emit(h, p);
		return;
	}
	mf_datagram_cut(h, p, mtu_of(h, s), emit_to_app, h);
	mf_pkt_free(p);
}

/* Up to a fair share of what has come in; returns true if there may be more. */
static bool receive(struct mf_host *h, struct mf_session *s)
{
	struct mf_dgram *d = &s->datagram.dgram;
	struct mf_pkt *pkts[BURST];

	for (uint32_t got = 0; got < SHARE;) {
		size_t spare = mf_min(mf_host_spare_small(h), mf_host_spare_large(h));
		size_t max = mf_min(mf_min(BURST, SHARE - got), spare), n;

		if (!max) {
			d->ready |= MF_STREAM_READABLE;
			mf_session_starve(s);
			return false;
		}
		n = d->out->ops->dgram_recv(d, h->pool, pkts, max);
		if (!n)
			return false;
		for (size_t i = 0; i < n; i++)
			deliver(h, s, pkts[i]);
		got += (uint32_t)n;
	}
	return true;
}

bool mf_datagram_turn(struct mf_host *h, struct mf_session *s)
{
	struct mf_dgram *d = &s->datagram.dgram;
	bool more = false, too_big = false;

	if (d->ready & MF_STREAM_FAILED) {
		mf_session_end(h, s, true);
		return false;
	}
	if (d->ready & MF_STREAM_READABLE) {
		d->ready = 0; /* what is told from here on is news */
		more = pass_errors(h, s, &too_big);
		more |= receive(h, s);
		if (more)
			d->ready |= MF_STREAM_READABLE;
	}
	mf_session_publish(s);
	return more;
}
