/* SPDX-License-Identifier: Apache-2.0
 *
 * reass - puts fragments together, within bounds that hold against anybody.
 *
 * Fragments wait in small packets, sorted, until none is missing; then they are copied once more.
 * Nobody can make a datagram ambiguous: fragments that overlap end it (RFC 5722, for IPv4 too), and so does
 * one that lies behind the end; what remains is a *tombstone* that turns the rest of it away until its time
 * is over. First fragments that hide the ports or flags of TCP are refused (RFC 1858, RFC 3128, RFC 7112).
 *
 * Nobody can take more than a share: a source has at most 1/SHARES of the datagrams and of the memory (but
 * the longest datagram that there can be fits always), and loses its own oldest datagram when it wants more.
 * Only when all is full with many sources the oldest of all goes. Datagrams are found through their source, so
 * a walk is never longer than a share; sources lie in a hash table that is not keyed, because as many as there
 * can be make a chain that can be walked.
 */
#include "host/internal.h"

#include <stdlib.h>

#include "wire/csum.h"
#include "wire/fragment.h"
#include "wire/ip.h"

enum {
	SHARES = 8,
	/* Behind the start of a TCP header nothing may be left to a second fragment. */
	TCP_MIN = sizeof(struct mf_tcp_hdr),
	L4_MIN = 8,
	/* What the longest datagram takes while it waits, cut for an MTU of 1280. */
	LONGEST = 56 * MF_PKT_SMALL_MAX,
};
static const mf_nsec wait_max = 30 * MF_SEC;
/* The longest packet: an IPv6 header and 65535 bytes. */
static_assert(sizeof(struct mf_ip6_hdr) + 65535 <= MF_PKT_LARGE_MAX + MF_PKT_TAILROOM,
	      "any packet fits a large one");

struct source {
	struct mf_addr addr;
	uint32_t datagrams;
	uint64_t bytes;
	struct datagram *first; /* in no order */
	struct source *next;    /* in its chain, or free */
};

struct datagram {
	struct datagram *older, *newer;
	struct datagram *next; /* of its source, or free */
	struct source *source;
	struct mf_addr dst;
	uint32_t id;
	uint8_t proto; /* RFC 791 counts it to the name, RFC 8200 does not: 0 */
	uint16_t dead; /* enum mf_drop: a tombstone, and why */
	mf_nsec until;
	struct mf_pkt *frags, *last; /* by place */
	uint32_t have;               /* bytes in them */
	uint64_t bytes;              /* of packet memory */
};

struct mf_reass {
	struct mf_pkt_pool *pool;
	struct datagram *datagrams, *free_datagram;
	struct source *sources, *free_source;
	struct source **chain;
	uint32_t chain_mask;
	struct datagram *oldest, *newest;
	uint32_t share_datagrams;
	uint64_t share_bytes, max_bytes, bytes;
	uint32_t held;
};

/* Where packets go; only for the time of a call. */
struct out {
	void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason);
	void *ctx;
	void (*absorb)(void *ctx, struct mf_pkt *p);
};

struct mf_reass *mf_reass_new(struct mf_pkt_pool *pool, uint32_t max_datagrams, uint64_t max_bytes)
{
	struct mf_reass *r = calloc(1, sizeof(*r));
	uint32_t chains = 1;

	MF_ASSERT(max_datagrams);
	if (!r)
		return NULL;
	while (chains < max_datagrams)
		chains *= 2;
	r->pool = pool;
	r->datagrams = calloc(max_datagrams, sizeof(*r->datagrams));
	r->sources = calloc(max_datagrams, sizeof(*r->sources));
	r->chain = calloc(chains, sizeof(struct source *));
	r->chain_mask = chains - 1;
	r->share_datagrams = (max_datagrams + SHARES - 1) / SHARES;
	r->max_bytes = mf_max(max_bytes, (uint64_t)2 * LONGEST);
	r->share_bytes = mf_max(r->max_bytes / SHARES, (uint64_t)LONGEST);
	if (!r->datagrams || !r->sources || !r->chain) {
		mf_reass_free(r);
		return NULL;
	}
	for (uint32_t i = 0; i < max_datagrams; i++) {
		r->datagrams[i].next = r->free_datagram;
		r->free_datagram = &r->datagrams[i];
		r->sources[i].next = r->free_source;
		r->free_source = &r->sources[i];
	}
	return r;
}

void mf_reass_free(struct mf_reass *r)
{
	if (!r)
		return;
	for (struct datagram *d = r->oldest; d; d = d->newer)
		while (d->frags) {
			struct mf_pkt *p = d->frags;

			d->frags = p->next;
			mf_pkt_free(p);
		}
	free(r->datagrams);
	free(r->sources);
	free(r->chain);
	free(r);
}

uint32_t mf_reass_held(const struct mf_reass *r)
{
	return r->held;
}

static uint64_t room_of(const struct mf_pkt *p)
{
	return p->flags & MF_PKT_LARGE ? MF_PKT_LARGE_MAX : MF_PKT_SMALL_MAX;
}

/* ---- Sources and their datagrams ----------------------------------------------------------------- */

static struct source **chain_of(struct mf_reass *r, const struct mf_addr *a)
{
	uint64_t h = (mf_load_be64(a->b) ^ mf_load_be64(a->b + 8) * 0x9e3779b97f4a7c15u) *
		     0xbf58476d1ce4e5b9u;

	return &r->chain[(h >> 32) & r->chain_mask];
}

static struct source *find_source(struct mf_reass *r, const struct mf_addr *a)
{
	struct source *s = *chain_of(r, a);

	while (s && !mf_addr_equal(&s->addr, a))
		s = s->next;
	return s;
}

/* There are as many as datagrams, so one is free whenever a datagram is. */
static struct source *make_source(struct mf_reass *r, const struct mf_addr *a)
{
	struct source **chain = chain_of(r, a), *s = r->free_source;

	r->free_source = s->next;
	*s = (struct source){ .addr = *a, .next = *chain };
	*chain = s;
	return s;
}

static void free_source(struct mf_reass *r, struct source *s)
{
	struct source **at = chain_of(r, &s->addr);

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->next = r->free_source;
	r->free_source = s;
}

/* Ends d, from which all packets have gone. */
static void free_datagram(struct mf_reass *r, struct datagram *d)
{
	struct source *s = d->source;
	struct datagram **at = &s->first;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	*(d->older ? &d->older->newer : &r->oldest) = d->newer;
	*(d->newer ? &d->newer->older : &r->newest) = d->older;
	d->next = r->free_datagram;
	r->free_datagram = d;
	if (!--s->datagrams)
		free_source(r, s);
}

/* The next packet of d leaves it. */
static struct mf_pkt *take_first(struct mf_reass *r, struct datagram *d)
{
	struct mf_pkt *p = d->frags;
	uint64_t n = p ? room_of(p) : 0;

	if (!p)
		return NULL;
	d->frags = p->next;
	d->bytes -= n;
	d->source->bytes -= n;
	r->bytes -= n;
	r->held--;
	return p;
}

static void drop_all(struct mf_reass *r, struct datagram *d, enum mf_drop why, const struct out *o)
{
	struct mf_pkt *p;

	while ((p = take_first(r, d)))
		o->drop(o->ctx, p, why);
}

static void end(struct mf_reass *r, struct datagram *d, enum mf_drop why, const struct out *o)
{
	drop_all(r, d, why, o);
	free_datagram(r, d);
}

static struct datagram *oldest_of(struct mf_reass *r, const struct source *s)
{
	struct datagram *d = r->oldest;

	while (d->source != s)
		d = d->newer;
	return d;
}

static struct datagram *find(struct mf_reass *r, const struct mf_pkt *p, const struct mf_fragment *f)
{
	struct mf_addr src = mf_ip_src(p), dst = mf_ip_dst(p);
	struct source *s = find_source(r, &src);
	uint8_t proto = p->ip_version == 4 ? f->proto : 0;
	struct datagram *d = s ? s->first : NULL;

	while (d && !(d->id == f->id && d->proto == proto && mf_addr_equal(&d->dst, &dst)))
		d = d->next;
	return d;
}

static struct datagram *begin(struct mf_reass *r, const struct mf_pkt *p,
			      const struct mf_fragment *f, mf_nsec now, const struct out *o)
{
	struct mf_addr src = mf_ip_src(p);
	struct source *s = find_source(r, &src);
	struct datagram *d;

	if (s && s->datagrams >= r->share_datagrams)
		end(r, oldest_of(r, s), MF_DROP_FRAGMENT_FULL, o);
	else if (!r->free_datagram)
		end(r, r->oldest, MF_DROP_FRAGMENT_FULL, o);
	s = find_source(r, &src);
	if (!s)
		s = make_source(r, &src);
	d = r->free_datagram;
	r->free_datagram = d->next;
	*d = (struct datagram){
		.older = r->newest,
		.next = s->first,
		.source = s,
		.dst = mf_ip_dst(p),
		.id = f->id,
		.proto = p->ip_version == 4 ? f->proto : 0,
		.until = now + wait_max,
	};
	*(r->newest ? &r->newest->newer : &r->oldest) = d;
	r->newest = d;
	s->first = d;
	s->datagrams++;
	return d;
}

/* ---- One datagram -------------------------------------------------------------------------------- */

/* Is the fragment possible by itself? That it ends within 65535 bytes mf_ip_input has seen to. */
static bool possible(const struct mf_pkt *p, const struct mf_fragment *f)
{
	size_t n = p->len - f->data_off;

	if (!n || (f->more && n % 8))
		return false;
	if (!f->place)
		return p->len - p->l4_off >= (p->l4_proto == MF_IPPROTO_TCP ? TCP_MIN : L4_MIN);
	return f->proto != MF_IPPROTO_TCP || f->place >= TCP_MIN;
}

/* A fragment that has been parsed before. */
static struct mf_fragment known(const struct mf_pkt *p)
{
	struct mf_fragment f;
	bool ok = mf_fragment_parse(p, &f);

	MF_ASSERT(ok);
	return f;
}

static size_t end_of(const struct mf_pkt *p, const struct mf_fragment *f)
{
	return f->place + (p->len - f->data_off);
}

static bool same(const struct mf_pkt *a, const struct mf_fragment *fa, const struct mf_pkt *b,
		 const struct mf_fragment *fb)
{
	return fa->place == fb->place && fa->more == fb->more && end_of(a, fa) == end_of(b, fb) &&
	       !memcmp(a->data + fa->data_off, b->data + fb->data_off, a->len - fa->data_off);
}

/* Which fragment p comes behind; NULL: it is the first. In order it is the last one. */
static struct mf_pkt *before(const struct datagram *d, const struct mf_fragment *f)
{
	struct mf_pkt *prev = NULL;

	if (d->frags && known(d->last).place <= f->place)
		return d->last;
	for (struct mf_pkt *p = d->frags; p && known(p).place <= f->place; p = p->next)
		prev = p;
	return prev;
}

enum verdict { ADDED, DUPLICATE, OVERLAPS, BEHIND_END };

static enum verdict insert(struct datagram *d, struct mf_pkt *p, const struct mf_fragment *f)
{
	struct mf_pkt *prev = before(d, f), *next = prev ? prev->next : d->frags;

	if (prev) {
		struct mf_fragment fp = known(prev);

		if (same(p, f, prev, &fp))
			return DUPLICATE;
		if (end_of(prev, &fp) > f->place)
			return OVERLAPS;
		if (!fp.more)
			return BEHIND_END;
	}
	if (next && end_of(p, f) > known(next).place)
		return OVERLAPS;
	if (next && !f->more)
		return BEHIND_END;
	p->next = next;
	*(prev ? &prev->next : &d->frags) = p;
	if (!next)
		d->last = p;
	d->have += (uint32_t)(p->len - f->data_off);
	return ADDED;
}

/* Nothing overlaps, so as many bytes as there must be are all of them. */
static bool complete(const struct datagram *d)
{
	struct mf_fragment f = known(d->last);

	return !f.more && d->have == end_of(d->last, &f);
}

/* ---- The whole ----------------------------------------------------------------------------------- */

/* RFC 3168 5.3: one fragment that met congestion marks the packet, unless its sender cannot tell. */
static bool join_ecn(const struct datagram *d, uint8_t *ip)
{
	unsigned seen = 0;

	for (const struct mf_pkt *p = d->frags; p; p = p->next)
		seen |= 1u << mf_ip_ecn(p->data);
	if (!(seen & 1u << MF_ECN_CE))
		return true;
	mf_ip_set_ecn(ip, MF_ECN_CE);
	return !(seen & 1u << MF_ECN_NOT_ECT);
}

static void fix_header(struct mf_pkt *p, const struct mf_fragment *first)
{
	struct mf_ip4_hdr *h4 = (void *)p->data;
	struct mf_ip6_hdr *h6 = (void *)p->data;

	p->data[first->next_at] = first->proto;
	if (p->ip_version == 6) {
		h6->payload_len = mf_be16_of((uint16_t)(p->len - sizeof(*h6)));
		return;
	}
	h4->len = mf_be16_of((uint16_t)p->len);
	h4->frag = h4->csum = mf_be16_of(0);
	mf_csum_store(&h4->csum, mf_csum_finish(mf_csum_add_small(h4, first->hdr_len, 0)));
}

/* Headers of the first fragment, bytes of all. NULL: *why. */
static struct mf_pkt *copy(struct mf_reass *r, const struct datagram *d, enum mf_drop *why)
{
	struct mf_fragment first = known(d->frags);
	size_t len = first.hdr_len + d->have;
	struct mf_pkt *w;

	*why = MF_DROP_FRAGMENT_INVALID;
	if (len - (d->frags->ip_version == 6 ? sizeof(struct mf_ip6_hdr) : 0) > 65535)
		return NULL;
	*why = MF_DROP_BUFFERS;
	w = len <= MF_PKT_SMALL_MAX ? mf_pkt_small(r->pool) : mf_pkt_large(r->pool);
	if (!w)
		return NULL;
	w->len = (uint32_t)len;
	w->ip_version = d->frags->ip_version;
	memcpy(w->data, d->frags->data, first.hdr_len);
	for (const struct mf_pkt *p = d->frags; p; p = p->next) {
		struct mf_fragment f = known(p);

		memcpy(w->data + first.hdr_len + f.place, p->data + f.data_off, p->len - f.data_off);
	}
	fix_header(w, &first);
	*why = MF_DROP_FRAGMENT_INVALID;
	/* A datagram in fragments of which the parts are fragments again is nobody's honest packet. */
	if (!join_ecn(d, w->data) || mf_ip_input(w) || mf_ip_is_fragment(w)) {
		mf_pkt_free(w);
		return NULL;
	}
	return w;
}

/* The whole packet stands for its last fragment, p: who counts packets sees one in, one out. */
static struct mf_pkt *finish(struct mf_reass *r, struct datagram *d, struct mf_pkt *p,
			     const struct out *o)
{
	enum mf_drop why;
	struct mf_pkt *w = copy(r, d, &why), *frag;

	if (!w) {
		end(r, d, why, o);
		return NULL;
	}
	w->flags |= (uint8_t)((p->flags & MF_PKT_CAPTURED) | MF_PKT_MAY_FRAGMENT);
	w->rx_port = p->rx_port;
	w->next_hop = p->next_hop;
	w->trace = p->trace;
	w->owner = p->owner;
	while ((frag = take_first(r, d))) {
		if (frag == p)
			mf_pkt_free(frag);
		else
			o->absorb(o->ctx, frag);
	}
	free_datagram(r, d);
	return w;
}

/* ---- All of them --------------------------------------------------------------------------------- */

/* Who reads the TUN does not know how much will come, so a fragment of 1500 bytes lies in room for a
 * super-packet, and a datagram's worth of those would be 3 MiB. What has to wait moves to a small packet, if
 * there is one. */
static struct mf_pkt *settle(struct mf_reass *r, struct mf_pkt *p)
{
	struct mf_pkt *q;

	if (!(p->flags & MF_PKT_LARGE) || p->len > MF_PKT_SMALL_MAX || !(q = mf_pkt_small(r->pool)))
		return p;
	memcpy(q->data, p->data, p->len);
	q->len = p->len;
	mf_pkt_copy_meta(q, p);
	q->rx_port = p->rx_port;
	q->next_hop = p->next_hop;
	q->trace = p->trace;
	q->owner = p->owner;
	mf_pkt_free(p);
	return q;
}

/* d has grown: whoever is over the limit gives. */
static void keep_limits(struct mf_reass *r, struct datagram *d, const struct out *o)
{
	struct source *s = d->source;

	while (s->datagrams && s->bytes > r->share_bytes)
		end(r, oldest_of(r, s), MF_DROP_FRAGMENT_FULL, o);
	while (r->bytes > r->max_bytes)
		end(r, r->oldest, MF_DROP_FRAGMENT_FULL, o);
}

static struct mf_pkt *add(struct mf_reass *r, struct datagram *d, struct mf_pkt *p,
			  const struct mf_fragment *f, const struct out *o)
{
	switch (insert(d, p, f)) {
	case DUPLICATE:
		o->absorb(o->ctx, p);
		return NULL;
	case OVERLAPS:
		d->dead = MF_DROP_FRAGMENT_OVERLAP;
		break;
	case BEHIND_END:
		d->dead = MF_DROP_FRAGMENT_INVALID;
		break;
	case ADDED:
		d->bytes += room_of(p);
		d->source->bytes += room_of(p);
		r->bytes += room_of(p);
		r->held++;
		if (complete(d))
			return finish(r, d, p, o);
		keep_limits(r, d, o);
		return NULL;
	}
	drop_all(r, d, d->dead, o);
	o->drop(o->ctx, p, d->dead);
	return NULL;
}

static mf_nsec expire(struct mf_reass *r, mf_nsec now, const struct out *o)
{
	while (r->oldest && r->oldest->until <= now)
		end(r, r->oldest, MF_DROP_FRAGMENT_TIMEOUT, o);
	return r->oldest ? r->oldest->until : MF_NEVER;
}

mf_nsec mf_reass_expire(struct mf_reass *r, mf_nsec now,
			void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason), void *ctx)
{
	struct out o = { .drop = drop, .ctx = ctx };

	return expire(r, now, &o);
}

struct mf_pkt *mf_reass_add(struct mf_reass *r, struct mf_pkt *p, mf_nsec now,
			    void (*drop)(void *ctx, struct mf_pkt *p, enum mf_drop reason),
			    void *ctx, void (*absorb)(void *ctx, struct mf_pkt *p))
{
	struct out o = { .drop = drop, .ctx = ctx, .absorb = absorb };
	struct mf_fragment f;
	struct datagram *d;

	if (!mf_fragment_parse(p, &f))
		return p;
	if (!possible(p, &f)) {
		drop(ctx, p, MF_DROP_FRAGMENT_INVALID);
		return NULL;
	}
	expire(r, now, &o);
	d = find(r, p, &f);
	if (!d)
		d = begin(r, p, &f, now, &o);
	if (d->dead) {
		drop(ctx, p, d->dead);
		return NULL;
	}
	return add(r, d, settle(r, p), &f, &o);
}
