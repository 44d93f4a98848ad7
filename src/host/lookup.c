/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup - whose is a packet: a session's here, a session's on another worker, or may it begin one?
 */
#include "host/settle.h"

#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* ---- Fragments ------------------------------------------------------------------------------------- */

enum { FRAGMENT_SECONDS = 30 };

/* RFC 1122 3.3.2, RFC 8200 4.5: the sender is told, unless its first fragment is among the lost. */
static void drop_fragment(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	uint8_t exceeded = p->ip_version == 4 ? MF_ICMP4_TIME_EXCEEDED : MF_ICMP6_TIME_EXCEEDED;
	struct mf_addr us = mf_ip_dst(p);

	if (reason == MF_DROP_FRAGMENT_TIMEOUT)
		mf_host_icmp_error(ctx, p->data, p->len, &us, exceeded, 1, 0);
	mf_host_drop(ctx, p, reason);
}

static void consume_fragment(void *ctx, struct mf_pkt *p)
{
	mf_host_consume(ctx, p);
}

static void expire_fragments(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct mf_host *h = ctx;

	mf_timer_arm(&h->wheel, t, mf_reass_expire(h->reass, now, drop_fragment, h));
}

struct mf_pkt *mf_host_whole(struct mf_host *h, struct mf_pkt *p)
{
	if (MF_LIKELY(!mf_ip_is_fragment(p)))
		return p;
	if (!mf_timer_armed(&h->reass_timer)) {
		h->reass_timer.fire = expire_fragments;
		mf_timer_arm(&h->wheel, &h->reass_timer, h->now + FRAGMENT_SECONDS * MF_SEC);
	}
	p = mf_reass_add(h->reass, p, h->now, drop_fragment, h, consume_fragment);
	if (p)
		mf_count(&h->count.reassembled, 1);
	return p;
}

void mf_host_other(struct mf_host *h, struct mf_pkt *p)
{
	switch (p->l4_proto) {
	case MF_IPPROTO_TCP:
		mf_host_tcp(h, &p, 1);
		break;
	case MF_IPPROTO_UDP:
		mf_host_udp(h, &p, 1);
		break;
	case MF_IPPROTO_ICMP:
	case MF_IPPROTO_ICMP6:
		mf_host_icmp(h, &p, 1);
		break;
	default:
		mf_host_drop(h, p, MF_DROP_PROTOCOL);
	}
}

/* ---- Keys ------------------------------------------------------------------------------------------ */

static void put_src(const struct mf_pkt *p, struct mf_flow_key *k)
{
	memcpy(k->src, mf_ip_src_bytes(p), p->ip_version == 4 ? 4 : 16);
}

static void put_dst(const struct mf_pkt *p, struct mf_flow_key *k)
{
	memcpy(k->dst, mf_ip_dst_bytes(p), p->ip_version == 4 ? 4 : 16);
}

/* Only requests: what answers one does not come from an app's side. */
static bool echo_key(const struct mf_pkt *p, size_t n, struct mf_flow_key *k)
{
	const struct mf_icmp_hdr *i = (const void *)(p->data + p->l4_off);

	if (n < sizeof(*i) || i->type != (p->ip_version == 4 ? MF_ICMP4_ECHO : MF_ICMP6_ECHO))
		return false;
	put_src(p, k);
	k->sport = (uint16_t)(mf_be32_get(i->rest) >> 16);
	k->hop = (uint8_t)p->next_hop;
	return true;
}

static bool tcp_key(const struct mf_pkt *p, size_t n, struct mf_flow_key *k)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

	if (n < sizeof(*t))
		return false;
	put_src(p, k);
	put_dst(p, k);
	k->sport = mf_be16_get(t->sport);
	k->dport = mf_be16_get(t->dport);
	return true;
}

static bool udp_key(const struct mf_pkt *p, size_t n, struct mf_flow_key *k)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);

	if (n < sizeof(*u))
		return false;
	if (k->side == MF_SIDE_APP) {
		put_src(p, k);
		k->sport = mf_be16_get(u->sport);
	} else {
		put_dst(p, k);
		k->dport = mf_be16_get(u->dport);
	}
	k->hop = (uint8_t)p->next_hop;
	return true;
}

bool mf_host_key(const struct mf_pkt *p, struct mf_flow_key *k)
{
	size_t n = p->len - p->l4_off;

	memset(k, 0, sizeof(*k));
	k->family = p->ip_version == 4 ? MF_AF_IP4 : MF_AF_IP6;
	k->proto = p->l4_proto;
	k->side = p->flags & MF_PKT_FROM_VPN ? MF_SIDE_OURS : MF_SIDE_APP;
	switch (p->l4_proto) {
	case MF_IPPROTO_TCP:
		return tcp_key(p, n, k);
	case MF_IPPROTO_UDP:
		return udp_key(p, n, k);
	case MF_IPPROTO_ICMP:
		return p->ip_version == 4 && echo_key(p, n, k);
	case MF_IPPROTO_ICMP6:
		return p->ip_version == 6 && echo_key(p, n, k);
	default:
		return false;
	}
}

/* ---- Sessions -------------------------------------------------------------------------------------- */

void mf_host_refuse(struct mf_host *h, struct mf_pkt *p, enum mf_drop reason)
{
	/* What came out of a VPN cannot be answered here. */
	struct mf_pkt *reset = p->flags & MF_PKT_FROM_VPN ? NULL : mf_tcp_reset(h->pool, p);

	if (reset)
		mf_host_emit(h, reset);
	mf_host_drop(h, p, reason);
}

/* The hash by which workers know whose a port is. */
static uint64_t owner_hash(const struct mf_host *h, const struct mf_flow_key *k)
{
	struct mf_flow_key any = *k;

	any.hop = 0;
	return mf_flow_hash_key(h->table, &any);
}

static bool hand_over(struct mf_host *h, struct mf_pkt *p, int owner)
{
	if (owner == MF_OWNER_NONE || owner == (int)h->worker)
		return false;
	mf_count(&h->count.handed_over, 1);
	h->port.handoff(h->port.ctx, p, (unsigned)owner);
	return true;
}

bool mf_host_hand_over(struct mf_host *h, struct mf_pkt *p, const struct mf_flow_key *k)
{
	return h->owners && hand_over(h, p, mf_owners_find(h->owners, owner_hash(h, k)));
}

/* Claims a port for this worker; returns who has it. */
static int claim(struct mf_host *h, const struct mf_flow_key *k)
{
	return h->owners ? mf_owners_claim(h->owners, owner_hash(h, k), h->worker) : (int)h->worker;
}

/* The first mapping of the port in k with a hop from *hop on, which moves behind it; NULL: no more. */
static struct mf_session *next_mapping(const struct mf_host *h, const struct mf_flow_key *k,
				       uint8_t *hop)
{
	struct mf_flow_key at = *k;

	for (; *hop < MF_HOST_HOPS; (*hop)++) {
		struct mf_session *s;

		if (!h->mappings[*hop])
			continue;
		at.hop = *hop;
		s = mf_flow_find(h->table, &at, mf_flow_hash_key(h->table, &at));
		if (s) {
			(*hop)++;
			return s;
		}
	}
	return NULL;
}

void mf_host_disown(struct mf_host *h, const struct mf_flow_key *k)
{
	uint8_t hop = 1;

	if (h->owners && !(k->hop && (next_mapping(h, k, &hop) || mf_settle_waits(h, k))))
		mf_owners_release(h->owners, owner_hash(h, k), h->worker);
}

bool mf_host_own(struct mf_host *h, struct mf_pkt *p, const struct mf_flow_key *k)
{
	return !hand_over(h, p, claim(h, k));
}

struct mf_session *mf_host_find_quoted(const struct mf_host *h, const struct mf_flow_key *k,
				       const struct mf_endpoint *remote)
{
	struct mf_session *s = mf_flow_find(h->table, k, mf_flow_hash_key(h->table, k));
	uint8_t hop = 1;

	if (s || !k->hop || k->side != MF_SIDE_APP)
		return s;
	while ((s = next_mapping(h, k, &hop)) && !mf_datagram_remembers(s, remote))
		;
	return s;
}

/* Our part of the table is full only if nothing in it is in TIME-WAIT. */
static bool make_room(struct mf_host *h)
{
	if (mf_flow_count(h->table) < mf_flow_max(h->table))
		return true;
	if (!h->time_wait.first)
		return false;
	mf_session_end(h, h->time_wait.first, false);
	return true;
}

/* May this address open one more? Then it counts in *src. */
static enum mf_drop admit(struct mf_host *h, const struct mf_pkt *p, struct mf_source **src)
{
	struct mf_source_limits l = { h->cfg.max, h->cfg.per_source, h->cfg.half_open_per_source };
	struct mf_addr a = mf_ip_src(p);

	if (!make_room(h))
		return MF_DROP_SESSIONS_FULL;
	return mf_source_join(h->sources, &a, p->l4_proto == MF_IPPROTO_TCP, &l, src);
}

static void fill_facts(struct mf_session *s, const struct mf_pkt *p)
{
	const struct mf_flow_key *k = &s->flow.key;
	struct mf_session_facts *f = &s->facts;
	bool tcp = k->proto == MF_IPPROTO_TCP, udp = k->proto == MF_IPPROTO_UDP;

	f->state = tcp ? MF_SESSION_OPENING : MF_SESSION_UNREPLIED;
	f->kind = tcp ? MF_SESSION_TCP : udp ? MF_SESSION_UDP : MF_SESSION_ECHO;
	f->app.addr = mf_ip_src(p);
	f->app.port = k->sport;
	f->dst.addr = mf_ip_dst(p);
	if (udp)
		f->dst.port = mf_be16_get(((const struct mf_udp_hdr *)(p->data + p->l4_off))->dport);
	else
		f->dst.port = k->dport;
}

static void count(struct mf_host *h, uint32_t hop_id)
{
	struct mf_hop_totals *hop = mf_host_hop_of(h, hop_id);

	mf_count(&h->count.sessions, 1);
	mf_count(&hop->sessions, 1);
	mf_count(&hop->opened, 1);
}

/* Takes a slot. */
static struct mf_session *enter(struct mf_host *h, const struct mf_flow_key *k, uint64_t hash,
				const struct mf_session_ops *ops, uint32_t hop_id)
{
	struct mf_session *s;

	MF_ASSERT(k->hop < MF_HOST_HOPS);
	s = mf_flow_add(h->table, k, hash);
	MF_ASSERT(s); /* room has been made */
	h->mappings[k->hop] += k->hop != 0;
	s->host = h;
	s->ops = ops;
	s->wake_at = MF_NEVER;
	s->facts.worker = h->worker;
	s->facts.ref = s->flow.ref;
	s->facts.proto = k->proto;
	s->facts.hop = hop_id;
	s->facts.rule = UINT32_MAX;
	s->facts.started = s->facts.last = s->facts.rate_at = h->now;
	return s;
}

static struct mf_session *begin(struct mf_host *h, const struct mf_pkt *p,
				const struct mf_flow_key *k, uint64_t hash,
				const struct mf_session_ops *ops, struct mf_source *src)
{
	struct mf_session *s = enter(h, k, hash, ops, p->next_hop);

	count(h, p->next_hop);
	fill_facts(s, p);
	s->held = h->port.hold && h->port.hold(h->port.ctx, &s->facts.dst.addr);
	if (k->proto != MF_IPPROTO_TCP)
		s->datagram.first = s->facts.dst.addr;
	s->source = src;
	s->half_open = k->proto == MF_IPPROTO_TCP;
	mf_session_arm(s, MF_NEVER);
	return s;
}

struct mf_session *mf_host_own_session(struct mf_host *h, const struct mf_flow_key *k, uint32_t hop,
				       const struct mf_session_ops *ops, bool inner)
{
	uint64_t hash = mf_flow_hash_key(h->table, k);
	struct mf_session *s;

	if (mf_flow_find(h->table, k, hash) || !make_room(h) || claim(h, k) != (int)h->worker)
		return NULL;
	s = enter(h, k, hash, ops, hop);
	s->inner = inner;
	if (!inner)
		count(h, hop);
	return s;
}

bool mf_host_knows(const struct mf_host *h, const struct mf_flow_key *k)
{
	return mf_flow_find(h->table, k, mf_flow_hash_key(h->table, k)) ||
	       (h->owners && mf_owners_find(h->owners, owner_hash(h, k)) != MF_OWNER_NONE);
}

struct mf_session *mf_host_session(struct mf_host *h, struct mf_pkt *p, bool may_open,
				   const struct mf_session_ops *ops, bool *fresh)
{
	struct mf_source *src;
	struct mf_flow_key k;
	struct mf_session *s;
	enum mf_drop why;
	uint64_t hash;

	*fresh = false;
	if (!mf_host_key(p, &k)) {
		mf_host_drop(h, p, MF_DROP_L4_TRUNCATED);
		return NULL;
	}
	hash = mf_flow_hash_key(h->table, &k);
	s = mf_flow_find(h->table, &k, hash);
	if (MF_LIKELY(s))
		return s;
	if (may_open ? !mf_host_own(h, p, &k) : mf_host_hand_over(h, p, &k))
		return NULL;
	why = may_open ? admit(h, p, &src) : MF_DROP_NO_SESSION;
	*fresh = !why;
	if (*fresh)
		return begin(h, p, &k, hash, ops, src);
	if (may_open)
		mf_host_disown(h, &k);
	if (why == MF_DROP_HALF_OPEN_SOURCE) /* perhaps not the one whom an answer would reach */
		mf_host_drop(h, p, why);
	else
		mf_host_refuse(h, p, why);
	return NULL;
}

/* On another worker, which will look for itself. */
static bool is_elsewhere(const struct mf_host *h, const struct mf_flow_key *k)
{
	int owner = h->owners ? mf_owners_find(h->owners, owner_hash(h, k)) : MF_OWNER_NONE;

	return owner != MF_OWNER_NONE && owner != (int)h->worker;
}

/* Of the sessions all, or those only whose route leads elsewhere now. */
enum which { ALL, STRAYS };

static bool has_stream(struct mf_host *h, const struct mf_pkt *p, const struct mf_flow_key *k,
		       enum which which)
{
	struct mf_session *s = mf_flow_find(h->table, k, mf_flow_hash_key(h->table, k));

	if (!s)
		return is_elsewhere(h, k);
	if (which == STRAYS && !s->facts.stray)
		return false;
	if (!mf_session_tcp_gives_way(s, p))
		return true;
	mf_session_end(h, s, false);
	return false;
}

/* Of a mapping only what was said before: the rest has a route of its own. */
static bool has_mapping(struct mf_host *h, struct mf_pkt *p, const struct mf_flow_key *k,
			enum which which)
{
	struct mf_session *s;
	uint8_t hop = 1;

	while ((which == ALL || h->strays) && (s = next_mapping(h, k, &hop)))
		if ((which == ALL || s->facts.stray) && mf_datagram_knows(s, p)) {
			p->next_hop = s->facts.hop;
			return true;
		}
	return is_elsewhere(h, k);
}

static bool has(struct mf_host *h, struct mf_pkt *p, enum which which)
{
	struct mf_flow_key k;

	if (mf_ip_is_fragment(p) || !mf_host_key(p, &k))
		return false;
	return p->l4_proto == MF_IPPROTO_TCP ? has_stream(h, p, &k, which)
					     : has_mapping(h, p, &k, which);
}

bool mf_host_has(struct mf_host *h, struct mf_pkt *p)
{
	return MF_UNLIKELY(mf_host_strays(h)) && has(h, p, STRAYS);
}

bool mf_host_began(struct mf_host *h, struct mf_pkt *p)
{
	return (mf_flow_count(h->table) || h->owners) && has(h, p, ALL);
}
