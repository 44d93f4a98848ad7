/* SPDX-License-Identifier: Apache-2.0
 *
 * settle_quic - QUIC connections between the end of an app and a remote: what waits for its name, and what was
 * decided of those that have shown it.
 *
 * A decision must outlast the datagrams that it was made by, for those that follow (short headers) show nothing.
 * It is remembered for as long as the ends are in use, of more than there is room for the most recent. The memory
 * for all this is small and fixed: a few connections that wait, a few datagrams of each.
 */
#include "host/settle.h"

#include <stdlib.h>

#include "wire/ip.h"
#include "wire/udp.h"

enum {
	FLOWS_MAX = 2048,
	WAITING_MAX = 64,
	/* A datagram that is not looked at any more need not wait for what others show. */
	KEPT_MAX = MF_SNIFF_INITIALS_MAX,
};
static_assert(FLOWS_MAX > WAITING_MAX, "there is one that may be forgotten");

/* One that has not shown its name yet. */
struct waiting {
	struct quic_flow *flow; /* NULL: free */
	mf_nsec until;
	uint32_t n;
	struct mf_pkt *pkt[KEPT_MAX];
	struct mf_sniff_quic sniff;
};

struct quic_flow {
	struct mf_flow flow;             /* first; its key names both ends */
	struct quic_flow *older, *newer; /* by use */
	struct waiting *waiting;         /* NULL: decided */
	mf_nsec used;
	uint32_t hop;   /* that carries it */
	uint32_t route; /* that its address said at first */
	uint32_t fate;  /* enum mf_host_fate */
	uint32_t pad;
};
static_assert(sizeof(struct quic_flow) % 8 == 0, "an object of a flow table");

struct mf_quic_flows {
	struct mf_flow_table *table;
	struct quic_flow *oldest, *newest;
	struct mf_sniffer *sniffer;
	struct mf_timer timer; /* when the first of those that wait has waited enough */
	uint32_t n_waiting;
	struct waiting waiting[WAITING_MAX];
};

struct mf_quic_flows *mf_quic_flows_new(const uint8_t hash_key[16])
{
	struct mf_quic_flows *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->table = mf_flow_table_new(FLOWS_MAX, sizeof(struct quic_flow), sizeof(struct mf_flow),
				     hash_key);
	t->sniffer = mf_sniffer_new();
	if (t->table && t->sniffer)
		return t;
	mf_flow_table_free(t->table);
	mf_sniffer_free(t->sniffer);
	free(t);
	return NULL;
}

void mf_quic_flows_free(struct mf_host *h, struct mf_quic_flows *t)
{
	if (!t)
		return;
	mf_quic_flows_clear(h);
	mf_timer_disarm(&h->wheel, &t->timer);
	mf_flow_table_free(t->table);
	mf_sniffer_free(t->sniffer);
	free(t);
}

/* ---- Which one ------------------------------------------------------------------------------------- */

static void key_between(const struct mf_endpoint *app, const struct mf_endpoint *remote,
			struct mf_flow_key *k)
{
	size_t n = mf_addr_len(&app->addr);

	memset(k, 0, sizeof(*k));
	memcpy(k->src, app->addr.b, n);
	memcpy(k->dst, remote->addr.b, n);
	k->sport = app->port;
	k->dport = remote->port;
	k->family = app->addr.family;
	k->proto = MF_IPPROTO_UDP;
}

static void key_of(const struct mf_pkt *p, struct mf_flow_key *k)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);
	struct mf_endpoint app = { .addr = mf_ip_src(p), .port = mf_be16_get(u->sport) };
	struct mf_endpoint remote = { .addr = mf_ip_dst(p), .port = mf_be16_get(u->dport) };

	key_between(&app, &remote, k);
}

static void unlink_flow(struct mf_quic_flows *t, struct quic_flow *f)
{
	*(f->older ? &f->older->newer : &t->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &t->newest) = f->older;
	f->older = f->newer = NULL;
}

static void link_newest(struct mf_quic_flows *t, struct quic_flow *f)
{
	f->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = f;
	t->newest = f;
}

static void touch(struct mf_host *h, struct quic_flow *f)
{
	struct mf_quic_flows *t = h->quic;

	f->used = h->now;
	if (f == t->newest)
		return;
	unlink_flow(t, f);
	link_newest(t, f);
}

static void forget(struct mf_quic_flows *t, struct quic_flow *f)
{
	unlink_flow(t, f);
	mf_flow_remove(t->table, f);
}

static struct quic_flow *find(const struct mf_quic_flows *t, const struct mf_flow_key *k)
{
	if (!mf_flow_count(t->table))
		return NULL;
	return mf_flow_find(t->table, k, mf_flow_hash_key(t->table, k));
}

/* A key of its app's port, as a mapping has it. */
static struct mf_flow_key port_key(const struct quic_flow *f)
{
	struct mf_flow_key k = f->flow.key;

	memset(k.dst, 0, sizeof(k.dst));
	k.dport = 0;
	k.hop = (uint8_t)f->route;
	return k;
}

/* What was decided does not hold for ever: the ends may speak of something else after so long; and where the
 * routes lead elsewhere now, it holds only while the mapping is there that carries it. */
static bool is_stale(const struct mf_host *h, const struct quic_flow *f, const struct mf_pkt *p)
{
	struct mf_flow_key k;

	if (f->waiting)
		return false;
	if (h->now - f->used >= h->cfg.udp_quic)
		return true;
	if (MF_LIKELY(p->next_hop == f->route) || f->fate != MF_FATE_CARRY)
		return false;
	k = port_key(f);
	k.hop = (uint8_t)f->hop;
	return !mf_flow_find(h->table, &k, mf_flow_hash_key(h->table, &k));
}

/* ---- What it shows --------------------------------------------------------------------------------- */

/* Datagram i of p, which may be several of one size; empty: there is none. */
static struct mf_span datagram_at(const struct mf_pkt *p, uint32_t i)
{
	uint32_t at = p->l4_off + (uint32_t)sizeof(struct mf_udp_hdr), n = p->len - at;
	uint32_t size = p->gso_type == MF_GSO_UDP && p->gso_size ? p->gso_size : n;
	uint64_t from = (uint64_t)i * size;

	if (from >= n)
		return mf_span(p->data, 0);
	return mf_span(p->data + at + from, mf_min(size, n - (uint32_t)from));
}

static enum mf_sniff_verdict look(struct mf_quic_flows *t, struct waiting *w,
				  const struct mf_pkt *p, struct mf_sniff_name *name)
{
	enum mf_sniff_verdict v = MF_SNIFF_MORE;
	struct mf_span d;

	for (uint32_t i = 0; v == MF_SNIFF_MORE && (d = datagram_at(p, i)).n; i++)
		if (mf_sniff_quic_begins(d)) /* what does not may come before its time (0-RTT) */
			v = mf_sniff_quic(t->sniffer, &w->sniff, d, name);
	return v;
}

/* ---- Waiting --------------------------------------------------------------------------------------- */

static void await(struct mf_host *h);

bool mf_settle_waits(const struct mf_host *h, const struct mf_flow_key *k)
{
	const struct mf_quic_flows *t = h->quic;

	for (uint32_t i = 0; t->n_waiting && i < WAITING_MAX; i++) {
		const struct quic_flow *f = t->waiting[i].flow;

		if (f && f->flow.key.sport == k->sport && f->flow.key.family == k->family &&
		    f->flow.key.proto == k->proto && k->side == MF_SIDE_APP &&
		    !memcmp(f->flow.key.src, k->src, sizeof(k->src)))
			return true;
	}
	return false;
}

static bool drop_blocked(struct mf_host *h, const struct quic_flow *f, struct mf_pkt *p)
{
	if (MF_LIKELY(f->fate == MF_FATE_CARRY))
		return false;
	mf_host_drop(h, p, f->fate == MF_FATE_DROP ? MF_DROP_NAME_DROP : MF_DROP_NAME_REJECT);
	return true;
}

/* It waits no longer; nobody keeps its packets any more. */
static void leave(struct mf_host *h, struct waiting *w)
{
	struct mf_flow_key port = port_key(w->flow);

	w->flow->waiting = NULL;
	w->flow = NULL;
	w->n = 0;
	h->quic->n_waiting--;
	mf_host_disown(h, &port);
}

void mf_quic_flows_clear(struct mf_host *h)
{
	struct mf_quic_flows *t = h->quic;

	for (struct waiting *w = t->waiting; t->n_waiting && w < t->waiting + WAITING_MAX; w++) {
		if (!w->flow)
			continue;
		for (uint32_t i = 0; i < w->n; i++)
			mf_host_drop(h, w->pkt[i], MF_DROP_SHUTDOWN);
		leave(h, w);
	}
	while (t->oldest)
		forget(t, t->oldest);
}

/* Its wait is over: what has waited goes where all that follows will. */
static void decide(struct mf_host *h, struct mf_datagram_batch *b, struct quic_flow *f,
		   enum mf_sniff_verdict v, const struct mf_sniff_name *name)
{
	struct mf_addr dst = { .family = f->flow.key.family };
	struct waiting *w = f->waiting;
	struct mf_settlement to;

	memcpy(dst.b, f->flow.key.dst, sizeof(dst.b));
	mf_settle_decide(h, &dst, f->route, v, name, &to);
	f->hop = to.hop;
	f->fate = to.fate;
	for (uint32_t i = 0; i < w->n; i++) {
		struct mf_session *s;

		if (drop_blocked(h, f, w->pkt[i]))
			continue;
		w->pkt[i]->next_hop = f->hop;
		s = mf_datagram_input(h, b, &mf_datagram_udp, w->pkt[i], f->flow.key.dport);
		if (s && v == MF_SNIFF_NAME)
			mf_settle_name(s, name, to.rule);
	}
	leave(h, w);
}

static struct waiting *first_waiting(struct mf_quic_flows *t)
{
	struct waiting *first = NULL;

	for (struct waiting *w = t->waiting; t->n_waiting && w < t->waiting + WAITING_MAX; w++)
		if (w->flow && (!first || w->until < first->until))
			first = w;
	return first;
}

static void expire(struct mf_timer *timer, void *ctx, mf_nsec now)
{
	struct mf_sniff_name none = { .n = 0 };
	struct mf_datagram_batch b = { .n = 0 };
	struct mf_host *h = ctx;
	struct waiting *w;

	(void)timer;
	while ((w = first_waiting(h->quic)) && w->until <= now)
		decide(h, &b, w->flow, MF_SNIFF_MORE, &none);
	mf_datagram_flush(h, &b);
	await(h);
}

static void await(struct mf_host *h)
{
	struct waiting *w = first_waiting(h->quic);

	h->quic->timer.fire = expire;
	mf_timer_arm(&h->wheel, &h->quic->timer, w ? w->until : MF_NEVER);
}

/* A place to wait in. When all are taken whoever has waited longest goes where its address says. */
static struct waiting *take_place(struct mf_host *h, struct mf_datagram_batch *b)
{
	struct mf_sniff_name none = { .n = 0 };
	struct mf_quic_flows *t = h->quic;
	struct waiting *w = t->waiting;

	if (t->n_waiting == WAITING_MAX) {
		w = first_waiting(t);
		decide(h, b, w->flow, MF_SNIFF_NONE, &none);
	}
	while (w->flow)
		w++;
	return w;
}

static struct quic_flow *add(struct mf_quic_flows *t, const struct mf_flow_key *k)
{
	if (mf_flow_count(t->table) == mf_flow_max(t->table)) {
		struct quic_flow *f = t->oldest;

		while (f->waiting)
			f = f->newer;
		forget(t, f);
	}
	return mf_flow_add(t->table, k, mf_flow_hash_key(t->table, k));
}

static struct quic_flow *begin(struct mf_host *h, struct mf_datagram_batch *b,
			       const struct mf_flow_key *k, const struct mf_pkt *p)
{
	struct mf_quic_flows *t = h->quic;
	struct waiting *w = take_place(h, b);
	struct quic_flow *f = add(t, k);

	MF_ASSERT(f);
	link_newest(t, f);
	f->used = h->now;
	f->route = f->hop = p->next_hop;
	f->waiting = w;
	w->flow = f;
	w->until = h->now + h->cfg.settle_wait;
	memset(&w->sniff, 0, offsetof(struct mf_sniff_quic, hello));
	if (!t->n_waiting++)
		await(h);
	return f;
}

static bool pool_is_short(const struct mf_host *h, const struct mf_pkt *p)
{
	return p->flags & MF_PKT_LARGE ? !mf_host_spare_large(h) : !mf_host_spare_small(h);
}

static void keep(struct mf_host *h, struct mf_datagram_batch *b, struct quic_flow *f,
		 struct mf_pkt *p)
{
	struct mf_sniff_name name = { .n = 0 };
	struct waiting *w = f->waiting;
	enum mf_sniff_verdict v = look(h->quic, w, p, &name);

	w->pkt[w->n++] = p;
	touch(h, f);
	if (v == MF_SNIFF_MORE && (w->n == KEPT_MAX || pool_is_short(h, p)))
		v = MF_SNIFF_NONE;
	if (v != MF_SNIFF_MORE)
		decide(h, b, f, v, &name);
}

/* ---- Packets --------------------------------------------------------------------------------------- */

static bool may_begin(const struct mf_host *h, const struct mf_pkt *p, uint16_t dport)
{
	struct mf_endpoint dst = { .addr = mf_ip_dst(p), .port = dport };

	return mf_sniff_quic_begins(datagram_at(p, 0)) && mf_settle_wants(h, &dst);
}

bool mf_settle_datagram(struct mf_host *h, struct mf_datagram_batch *b, struct mf_pkt *p)
{
	struct mf_flow_key k, port;
	struct quic_flow *f;

	key_of(p, &k);
	f = find(h->quic, &k);
	if (f && is_stale(h, f, p)) {
		forget(h->quic, f);
		f = NULL;
	}
	if (!f) {
		if (!may_begin(h, p, k.dport) || !mf_host_key(p, &port))
			return false;
		if (!mf_host_own(h, p, &port))
			return true;
		f = begin(h, b, &k, p);
	}
	if (f->waiting) {
		keep(h, b, f, p);
		return true;
	}
	touch(h, f);
	p->next_hop = f->hop;
	return drop_blocked(h, f, p);
}

uint32_t mf_settle_route(const struct mf_host *h, const struct mf_session *s,
			 const struct mf_endpoint *remote)
{
	const struct quic_flow *f;
	struct mf_flow_key k;

	if (s->facts.proto != MF_IPPROTO_UDP)
		return s->facts.hop;
	key_between(&s->facts.app, remote, &k);
	f = find(h->quic, &k);
	return f && !f->waiting && f->hop == s->facts.hop ? f->route : s->facts.hop;
}

void mf_settle_routes_changed(struct mf_host *h)
{
	struct quic_flow *next;

	for (struct quic_flow *f = h->quic->oldest; f; f = next) {
		next = f->newer;
		if (!f->waiting && f->fate != MF_FATE_CARRY)
			forget(h->quic, f);
	}
}
