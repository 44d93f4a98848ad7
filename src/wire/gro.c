/* SPDX-License-Identifier: Apache-2.0
 *
 * gro - who may be merged with whom, and where the bytes go.
 *
 * Every packet of a batch is an entry of one list, in the order in which entries began. A slot is an
 * entry that may still grow; a flow has at most one, and loses it as soon as one of its packets
 * cannot be appended. That packet begins a later entry: so packets of a flow cannot overtake.
 *
 * The merged packet must be cut again into exactly the packets it was made of, by whoever gets it
 * (but for the ids of IPv4 packets that must not be fragmented: RFC 6864 4.1 gives them no meaning).
 * Checksums are verified before: the sum of the merged packet is made anew further on, which would
 * give a damaged packet a right one.
 */
#include "wire/gro.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum id_mode { ID_UNDECIDED, ID_COUNTS, ID_STAYS };

enum {
	LEN_MAX = 65535, /* of a super-packet, by its length field */
	/* Packets shorter than this do not start in a large packet. */
	LARGE_WORTH = 256,
};

/* The packet that is being committed. */
struct item {
	const uint8_t *hd; /* its first hd_n bytes, out of the way of what was saved */
	size_t hd_n;
	const uint8_t *body; /* its bytes from hd_n on are at body + hd_n */
	size_t len;
	uint16_t hdr_len; /* IP and L4 header, if mergeable */
	uint16_t l4_off;
	uint8_t version, l4_proto;
	bool flow;      /* has ports */
	bool mergeable; /* may be appended, or be appended to */
	enum { CSUM_UNKNOWN, CSUM_OK, CSUM_BAD } csum;
	void *owner;
};

void mf_gro_init(struct mf_gro *g, struct mf_pkt_pool *pool, bool merge_tcp, bool merge_udp)
{
	*g = (struct mf_gro){ .pool = pool, .merge_tcp = merge_tcp, .merge_udp = merge_udp };
	g->last = -1;
	g->out_tail = &g->out_head;
}

void mf_gro_fini(struct mf_gro *g)
{
	struct mf_pkt *p, *next;

	for (p = g->out_head; p; p = next) {
		next = p->next;
		mf_pkt_free(p);
	}
	if (g->small)
		mf_pkt_free(g->small);
	if (g->large)
		mf_pkt_free(g->large);
	mf_gro_init(g, g->pool, g->merge_tcp, g->merge_udp);
}

/* A packet that holds n bytes, of the wanted class if there is one, left in g->small or g->large. */
static struct mf_pkt *fresh_packet(struct mf_gro *g, size_t n, bool large)
{
	if (n > MF_PKT_SMALL_MAX)
		large = true;
	if (!large) {
		if (!g->small)
			g->small = mf_pkt_small(g->pool);
		if (g->small)
			return g->small;
	}
	if (!g->large)
		g->large = mf_pkt_large(g->pool);
	if (g->large || n > MF_PKT_SMALL_MAX)
		return g->large;
	if (!g->small)
		g->small = mf_pkt_small(g->pool);
	return g->small;
}

static bool reserve_at_slot(struct mf_gro *g, size_t n)
{
	const struct mf_gro_slot *s = &g->slot[g->last];
	struct mf_pkt *p = s->pkt;
	uint8_t *place = p->data + p->len - s->hdr_len;

	/* Longer than any packet that could follow, padding to 16 included: no need to look. */
	if (n > s->hdr_len + s->gso_size + 15u)
		return false;
	if ((size_t)(p->room_end - place) < n + MF_PKT_TAILROOM)
		return false;
	memcpy(g->saved, place, s->hdr_len);
	g->saved_n = s->hdr_len;
	g->in_slot = g->last;
	g->fresh = NULL;
	g->place = place;
	return true;
}

uint8_t *mf_gro_reserve(struct mf_gro *g, size_t n)
{
	MF_ASSERT(!g->reserved && n <= MF_PKT_LARGE_MAX);
	if (g->last < 0 || !reserve_at_slot(g, n)) {
		g->in_slot = -1;
		g->saved_n = 0;
		g->fresh = fresh_packet(g, n, g->want_large && n >= LARGE_WORTH);
		if (!g->fresh) {
			g->n_no_buffer++;
			return NULL;
		}
		g->place = g->fresh->data;
	}
	g->reserved = true;
	g->reserved_n = (uint32_t)n;
	return g->place;
}

void mf_gro_cancel(struct mf_gro *g)
{
	MF_ASSERT(g->reserved);
	g->reserved = false;
	g->fresh = NULL;
	memcpy(g->place, g->saved, g->saved_n);
}

/* The item's bytes from `off` on. */
static void copy_out(const struct item *it, size_t off, uint8_t *to)
{
	if (off < it->hd_n) {
		memcpy(to, it->hd + off, it->hd_n - off);
		to += it->hd_n - off;
		off = it->hd_n;
	}
	memcpy(to, it->body + off, it->len - off);
}

static bool tcp_mergeable(const struct mf_pkt *v, size_t *l4_len)
{
	const struct mf_tcp_hdr *t = (const void *)(v->data + v->l4_off);
	size_t n = v->len - v->l4_off;

	if (n < sizeof(*t))
		return false;
	*l4_len = mf_tcp_hdr_len(t);
	return *l4_len >= sizeof(*t) && *l4_len < n && (t->flags & ~MF_TCP_PSH) == MF_TCP_ACK;
}

static bool udp_mergeable(const struct mf_pkt *v, size_t *l4_len)
{
	const struct mf_udp_hdr *u = (const void *)(v->data + v->l4_off);
	size_t n = v->len - v->l4_off;

	*l4_len = sizeof(*u);
	/* A datagram without a checksum would get one. */
	return n > sizeof(*u) && mf_be16_get(u->len) == n && u->csum.raw;
}

static void classify(const struct mf_gro *g, struct item *it)
{
	const struct mf_pkt *v = &g->view;
	size_t ip_len = v->ip_version == 4 ? sizeof(struct mf_ip4_hdr) : sizeof(struct mf_ip6_hdr);
	size_t l4_len = 0;

	it->version = v->ip_version;
	it->l4_off = v->l4_off;
	it->l4_proto = v->l4_proto;
	it->mergeable = false;
	it->hdr_len = 0;
	if ((v->l4_proto != MF_IPPROTO_TCP && v->l4_proto != MF_IPPROTO_UDP) ||
	    v->len < v->l4_off + 4u || v->l4_off + 4u > MF_GRO_HDR_MAX || mf_ip_is_fragment(v)) {
		it->flow = false;
		return;
	}
	it->flow = true;
	if (v->l4_off != ip_len)
		return;
	if (v->l4_proto == MF_IPPROTO_TCP ? !g->merge_tcp || !tcp_mergeable(v, &l4_len)
					  : !g->merge_udp || !udp_mergeable(v, &l4_len))
		return;
	it->hdr_len = (uint16_t)(ip_len + l4_len);
	it->mergeable = true;
}

static bool same_flow(const struct mf_pkt *p, const struct item *it)
{
	if (p->ip_version != it->version || p->l4_proto != it->l4_proto)
		return false;
	/* Slots have plain headers; the item may have options before its ports. */
	if (memcmp(p->data + p->l4_off, it->hd + it->l4_off, 4) != 0)
		return false;
	return it->version == 4 ? !memcmp(p->data + 12, it->hd + 12, 8)
				: !memcmp(p->data + 8, it->hd + 8, 32);
}

/* Header fields that all packets of a super-packet share. */
static bool same_ip4(const struct mf_gro_slot *s, const struct mf_ip4_hdr *a,
		     const struct mf_ip4_hdr *b)
{
	uint16_t id = mf_be16_get(b->id);

	if (a->tos != b->tos || a->frag.raw != b->frag.raw || a->ttl != b->ttl)
		return false;
	if (s->id_mode != ID_STAYS && id == s->next_id)
		return true;
	return s->id_mode != ID_COUNTS && id == mf_be16_get(a->id) &&
	       (mf_be16_get(a->frag) & MF_IP4_DF);
}

static bool same_ip6(const struct mf_ip6_hdr *a, const struct mf_ip6_hdr *b)
{
	return a->version_class_flow.raw == b->version_class_flow.raw && a->hop_limit == b->hop_limit;
}

static bool same_tcp(const struct mf_gro_slot *s, const struct mf_tcp_hdr *a,
		     const struct mf_tcp_hdr *b, size_t l4_len)
{
	return mf_be32_get(b->seq) == s->next_seq && a->ack.raw == b->ack.raw && a->off == b->off &&
	       a->window.raw == b->window.raw && a->urgent.raw == b->urgent.raw &&
	       !memcmp(a + 1, b + 1, l4_len - sizeof(*a));
}

/* Everything but the checksums. */
static bool may_append(const struct mf_gro_slot *s, const struct item *it)
{
	const struct mf_pkt *p = s->pkt;
	size_t payload = it->len - it->hdr_len;

	if (!it->mergeable || it->hdr_len != s->hdr_len || p->owner != it->owner ||
	    payload > s->gso_size || p->len + payload > LEN_MAX || !same_flow(p, it))
		return false;
	if (it->version == 4 ? !same_ip4(s, (const void *)p->data, (const void *)it->hd)
			     : !same_ip6((const void *)p->data, (const void *)it->hd))
		return false;
	if (it->l4_proto == MF_IPPROTO_UDP)
		return p->segments < MF_UDP_SEGMENTS_MAX;
	return same_tcp(s, (const void *)(p->data + p->l4_off), (const void *)(it->hd + it->l4_off),
			it->hdr_len - it->l4_off);
}

/* Makes the headers of a merged packet say so. */
static void finish_merged(const struct mf_gro_slot *s)
{
	struct mf_pkt *p = s->pkt;
	uint32_t l4_len = p->len - p->l4_off;
	uint64_t pseudo;

	if (p->ip_version == 4) {
		struct mf_ip4_hdr *h = (void *)p->data;

		h->len = mf_be16_of((uint16_t)p->len);
		h->csum = mf_be16_of(0);
		mf_csum_store(&h->csum, mf_csum_finish(mf_csum_add_small(h, sizeof(*h), 0)));
		pseudo = mf_csum_pseudo4(h->src, p->l4_proto, l4_len);
	} else {
		struct mf_ip6_hdr *h = (void *)p->data;

		h->payload_len = mf_be16_of((uint16_t)(p->len - sizeof(*h)));
		pseudo = mf_csum_pseudo6(h->src, p->l4_proto, l4_len);
	}
	p->csum_start = p->l4_off;
	if (p->l4_proto == MF_IPPROTO_TCP) {
		p->csum_offset = MF_TCP_CSUM_OFF;
		p->gso_type = p->ip_version == 4 ? MF_GSO_TCP4 : MF_GSO_TCP6;
	} else {
		p->csum_offset = MF_UDP_CSUM_OFF;
		p->gso_type = MF_GSO_UDP;
		mf_store_be16(p->data + p->l4_off + offsetof(struct mf_udp_hdr, len),
			      (uint16_t)l4_len);
	}
	mf_csum_store(p->data + p->csum_start + p->csum_offset, mf_csum_fold(pseudo));
	p->flags |= MF_PKT_NEEDS_CSUM;
	p->gso_size = s->gso_size;
}

static void close_slot(struct mf_gro *g, int i)
{
	struct mf_gro_slot *s = &g->slot[i];

	if (s->pkt->segments > 1)
		finish_merged(s);
	s->pkt = NULL;
	if (g->last == i)
		g->last = -1;
}

/* A slot's packet is in small memory and must grow beyond it. */
static bool move_to_large(struct mf_gro *g, struct mf_gro_slot *s)
{
	struct mf_pkt *small = s->pkt, *large, **link;

	if (small->flags & MF_PKT_LARGE)
		return false;
	if (g->large && g->large != g->fresh) {
		large = g->large;
		g->large = NULL;
	} else {
		large = mf_pkt_large(g->pool);
	}
	if (!large)
		return false;
	memcpy(large->data, small->data, small->len);
	large->len = small->len;
	large->owner = small->owner;
	mf_pkt_copy_meta(large, small);
	for (link = &g->out_head; *link != small; link = &(*link)->next)
		;
	*link = large;
	large->next = small->next;
	if (g->out_tail == &small->next)
		g->out_tail = &large->next;
	mf_pkt_free(small);
	s->pkt = large;
	return true;
}

static bool has_room(const struct mf_pkt *p, size_t more)
{
	return mf_pkt_tailroom(p) >= more + MF_PKT_TAILROOM;
}

/* Both packets' checksums: the first one's has waited until now, in case it stays alone. */
static bool checksums_ok(const struct mf_gro *g, struct mf_gro_slot *s, struct item *it)
{
	if (!s->verified && !mf_ip_l4_csum_ok(s->pkt))
		return false;
	s->verified = true;
	if (it->csum == CSUM_UNKNOWN)
		it->csum = mf_ip_l4_csum_ok(&g->view) ? CSUM_OK : CSUM_BAD;
	return it->csum == CSUM_OK;
}

/* The payload is behind the slot's packet or has been copied there: account for it. */
static void appended(struct mf_gro *g, int i, const struct item *it)
{
	struct mf_gro_slot *s = &g->slot[i];
	struct mf_pkt *p = s->pkt;
	size_t payload = it->len - it->hdr_len;
	bool ends = payload < s->gso_size;

	p->len += (uint32_t)payload;
	p->segments++;
	if (it->version == 4) {
		const struct mf_ip4_hdr *h = (const void *)p->data;
		const struct mf_ip4_hdr *n = (const void *)it->hd;

		if (s->id_mode == ID_UNDECIDED)
			s->id_mode = n->id.raw == h->id.raw ? ID_STAYS : ID_COUNTS;
		s->next_id++;
	}
	if (it->l4_proto == MF_IPPROTO_TCP) {
		const struct mf_tcp_hdr *n = (const void *)(it->hd + it->l4_off);
		struct mf_tcp_hdr *t = (void *)(p->data + p->l4_off);

		s->next_seq += (uint32_t)payload;
		/* On cutting, PSH goes to the last segment: nothing may follow. */
		t->flags |= n->flags & MF_TCP_PSH;
		ends |= n->flags & MF_TCP_PSH;
	}
	g->n_merged++;
	g->merged = true;
	g->want_large = true;
	g->last = (int8_t)i;
	s->used = ++g->clock;
	if (ends)
		close_slot(g, i);
}

/* Copies the payload to the end of slot i; false: there is no room and no larger packet. */
static bool append_copy(struct mf_gro *g, int i, const struct item *it)
{
	struct mf_gro_slot *s = &g->slot[i];

	if (!has_room(s->pkt, it->len - it->hdr_len) && !move_to_large(g, s))
		return false;
	copy_out(it, it->hdr_len, s->pkt->data + s->pkt->len);
	return true;
}

/* mf_flow_hash looks at the headers only, and they are all in hd. */
static uint32_t hash_item(const struct mf_gro *g, const struct item *it)
{
	struct mf_pkt v = g->view;

	v.data = (uint8_t *)(uintptr_t)it->hd;
	return mf_flow_hash(&v);
}

/* The slot of the item's flow, or -1. */
static int find_slot(const struct mf_gro *g, const struct item *it, uint32_t hash)
{
	for (int i = 0; i < MF_GRO_SLOTS; i++)
		if (g->hash[i] == hash && g->slot[i].pkt && same_flow(g->slot[i].pkt, it))
			return i;
	return -1;
}

/* A free slot, or the one that has waited longest, closed. */
static int free_slot(struct mf_gro *g)
{
	int oldest = 0;

	for (int i = 0; i < MF_GRO_SLOTS; i++) {
		if (!g->slot[i].pkt)
			return i;
		if ((int32_t)(g->slot[i].used - g->slot[oldest].used) < 0)
			oldest = i;
	}
	close_slot(g, oldest);
	return oldest;
}

/* A fragment (or what hides its ports) may be of any flow between its two hosts. */
static void close_slots_between(struct mf_gro *g, const struct item *it)
{
	size_t at = it->version == 4 ? 12 : 8, n = it->version == 4 ? 8 : 32;

	for (int i = 0; i < MF_GRO_SLOTS; i++) {
		const struct mf_pkt *p = g->slot[i].pkt;

		if (p && p->ip_version == it->version && !memcmp(p->data + at, it->hd + at, n))
			close_slot(g, i);
	}
}

static void open_slot(struct mf_gro *g, int i, struct mf_pkt *p, const struct item *it, uint32_t hash)
{
	struct mf_gro_slot *s = &g->slot[i];
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

	*s = (struct mf_gro_slot){ .pkt = p, .hdr_len = it->hdr_len, .used = ++g->clock };
	s->gso_size = (uint16_t)(it->len - it->hdr_len);
	if (it->version == 4)
		s->next_id = (uint16_t)(mf_load_be16(p->data + 4) + 1);
	if (it->l4_proto == MF_IPPROTO_TCP)
		s->next_seq = mf_be32_get(t->seq) + s->gso_size;
	g->hash[i] = hash;
	g->last = (int8_t)i;
}

/* Can anything be appended to a packet that begins an entry? */
static bool worth_a_slot(const struct item *it)
{
	const struct mf_tcp_hdr *t = (const void *)(it->hd + it->l4_off);

	return it->mergeable && !(it->l4_proto == MF_IPPROTO_TCP && t->flags & MF_TCP_PSH);
}

/* Makes the item an entry of its own; NULL: no packet for it. */
static struct mf_pkt *begin_entry(struct mf_gro *g, const struct item *it)
{
	bool large = g->want_large && it->len >= LARGE_WORTH && worth_a_slot(it);
	struct mf_pkt *p = g->fresh;

	/* Where it is now is right, unless it takes up a large packet for no reason. */
	if (!p || (p->flags & MF_PKT_LARGE && !large && it->len <= MF_PKT_SMALL_MAX)) {
		struct mf_pkt *to = fresh_packet(g, it->len, large);

		if (to && to != p)
			copy_out(it, 0, to->data);
		p = to;
	}
	if (!p)
		return NULL;
	if (p == g->small)
		g->small = NULL;
	else
		g->large = NULL;
	p->len = (uint32_t)it->len;
	p->ip_version = it->version;
	p->l4_off = it->l4_off;
	p->l4_proto = it->l4_proto;
	p->owner = it->owner;
	p->next = NULL;
	*g->out_tail = p;
	g->out_tail = &p->next;
	g->n_alone++;
	return p;
}

/* Not appended by guess: look for the flow, or begin an entry. */
static enum mf_drop settle(struct mf_gro *g, struct item *it)
{
	uint32_t hash = 0;
	struct mf_pkt *p;
	int i = -1;

	if (it->flow) {
		hash = hash_item(g, it);
		i = find_slot(g, it, hash);
		if (i >= 0 && may_append(&g->slot[i], it) && checksums_ok(g, &g->slot[i], it) &&
		    append_copy(g, i, it)) {
			appended(g, i, it);
			return MF_DROP_NONE;
		}
	}
	p = begin_entry(g, it);
	if (!p) {
		g->n_no_buffer++;
		return MF_DROP_BUFFERS;
	}
	if (i >= 0)
		close_slot(g, i);
	if (!it->flow)
		close_slots_between(g, it);
	else if (worth_a_slot(it))
		open_slot(g, i >= 0 ? i : free_slot(g), p, it, hash);
	return MF_DROP_NONE;
}

/* Takes the item's first bytes out of the way and puts back what they covered. Its checksum is
 * verified before, while it is in one piece. */
static void lift(struct mf_gro *g, struct item *it, uint8_t head[MF_GRO_HDR_MAX])
{
	size_t n = mf_max(g->saved_n, mf_min(it->l4_off + 4u, MF_GRO_HDR_MAX));

	if (it->mergeable)
		it->csum = mf_ip_l4_csum_ok(&g->view) ? CSUM_OK : CSUM_BAD;
	it->hd_n = mf_min(it->len, mf_max(n, it->hdr_len));
	memcpy(head, g->place, it->hd_n);
	memcpy(g->place, g->saved, g->saved_n);
	it->hd = head;
}

enum mf_drop mf_gro_commit(struct mf_gro *g, size_t len, void *owner)
{
	uint8_t head[MF_GRO_HDR_MAX];
	struct item it = { .owner = owner, .body = g->place };
	enum mf_drop r;

	MF_ASSERT(g->reserved && len <= g->reserved_n);
	g->view.data = g->place;
	g->view.len = (uint32_t)len;
	r = mf_ip_input(&g->view);
	if (r) {
		mf_gro_cancel(g);
		return r;
	}
	it.len = g->view.len;
	classify(g, &it);
	if (g->in_slot >= 0) {
		struct mf_gro_slot *s = &g->slot[g->in_slot];

		lift(g, &it, head);
		if (may_append(s, &it) && checksums_ok(g, s, &it)) {
			appended(g, g->in_slot, &it);
			g->n_predicted++;
		} else {
			r = settle(g, &it);
		}
	} else {
		it.hd = g->place;
		it.hd_n = it.len;
		r = settle(g, &it);
	}
	g->reserved = false;
	g->fresh = NULL;
	return r;
}

size_t mf_gro_flush(struct mf_gro *g, struct mf_pkt **out, size_t max)
{
	size_t n = 0;

	MF_ASSERT(!g->reserved);
	for (int i = 0; i < MF_GRO_SLOTS; i++)
		if (g->slot[i].pkt)
			close_slot(g, i);
	for (; n < max && g->out_head; n++) {
		out[n] = g->out_head;
		g->out_head = out[n]->next;
		out[n]->next = NULL;
	}
	if (!g->out_head) {
		g->out_tail = &g->out_head;
		g->want_large = g->merged;
		g->merged = false;
	}
	return n;
}
