/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp_link - the network of tcp_sim.h: a bottleneck with a queue that drops what does not fit, then a
 * delay, with all that may happen on the way.
 */
#include "tcp_sim.h"
#include "wire/gso.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/vnet.h"

enum frame_kind { FRAME_SEGMENT, FRAME_TOO_BIG, FRAME_UNREACHABLE };

struct sim_frame {
	mf_nsec due;
	uint64_t order;
	struct sim_end *to;
	enum frame_kind kind;
	uint32_t mtu, seq; /* of ICMP */
	uint8_t gso_type, needs_csum;
	uint16_t gso_size, csum_start, csum_offset;
	size_t n;
	uint8_t bytes[];
};

/* ---- frames in the order in which they arrive ---- */

static bool before(const struct sim_frame *a, const struct sim_frame *b)
{
	return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void push(struct sim *s, struct sim_frame *f)
{
	size_t i = s->n_flying++;

	if (s->n_flying > s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		s->flying = realloc(s->flying, s->room * sizeof(struct sim_frame *));
		assert_non_null(s->flying);
	}
	for (; i && before(f, s->flying[(i - 1) / 2]); i = (i - 1) / 2)
		s->flying[i] = s->flying[(i - 1) / 2];
	s->flying[i] = f;
}

static struct sim_frame *pop(struct sim *s)
{
	struct sim_frame *top = s->flying[0], *f = s->flying[--s->n_flying];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < s->n_flying) {
		if (k + 1 < s->n_flying && before(s->flying[k + 1], s->flying[k]))
			k++;
		if (!before(s->flying[k], f))
			break;
		s->flying[i] = s->flying[k];
		i = k;
	}
	s->flying[i] = f;
	return top;
}

static void fly(struct sim *s, const struct sim_frame *f, mf_nsec due)
{
	struct sim_frame *copy = malloc(sizeof(*f) + f->n);

	assert_non_null(copy);
	memcpy(copy, f, sizeof(*f) + f->n);
	copy->due = due;
	copy->order = s->order++;
	push(s, copy);
}

static void icmp(struct sim_end *to, enum frame_kind kind, uint32_t mtu, uint32_t seq, mf_nsec delay)
{
	struct sim_frame f = { .to = to, .kind = kind, .mtu = mtu, .seq = seq };

	fly(to->sim, &f, to->sim->now + delay);
}

void sim_unreachable(struct sim_end *e, uint32_t seq)
{
	icmp(e, FRAME_UNREACHABLE, 0, seq, 0);
}

/* ---- looking at what passes ---- */

static const struct mf_tcp_hdr *header_of(const uint8_t *ip)
{
	return (const void *)(ip + (ip[0] >> 4 == 4 ? sizeof(struct mf_ip4_hdr)
						    : sizeof(struct mf_ip6_hdr)));
}

/* A window never takes back what it has promised. */
static void check_edge(struct sim_end *e, const struct mf_tcp_hdr *t)
{
	uint32_t window = mf_be16_get(t->window), edge;

	if (!(t->flags & MF_TCP_ACK) || t->flags & MF_TCP_RST)
		return;
	if (!(t->flags & MF_TCP_SYN))
		window <<= e->wscale;
	edge = mf_be32_get(t->ack) + window;
	if (e->edge_known && mf_seq_lt(edge, e->edge))
		fail_msg("%s: the right edge moved back by %u", e->name, e->edge - edge);
	e->edge = edge;
	e->edge_known = true;
	if (window < e->min_window && !(t->flags & MF_TCP_SYN))
		e->min_window = window;
}

static void check_syn(struct sim_end *e, const struct mf_tcp_hdr *t, const struct mf_tcp_options *o)
{
	if (!(t->flags & MF_TCP_SYN))
		return;
	if (e->iss_known)
		assert_int_equal(mf_be32_get(t->seq), e->iss);
	e->iss = mf_be32_get(t->seq);
	e->iss_known = true;
	/* The scale is in force when both have offered one. */
	if (t->flags & MF_TCP_ACK || !e->passive)
		e->wscale = o->has_wscale && !e->peer->cfg.no_window_scale ? o->wscale : 0;
}

static struct sim_seg look(struct sim_end *e, const uint8_t *ip, size_t n)
{
	const struct mf_tcp_hdr *t = header_of(ip);
	struct mf_tcp_options o;
	struct sim_seg g = { .at = e->sim->now, .from = e, .flags = t->flags };

	assert_int_equal(mf_tcp_options_parse(&o, t), MF_OK);
	check_syn(e, t, &o);
	g.seq = mf_be32_get(t->seq) - e->iss;
	g.ack = mf_be32_get(t->ack) - e->peer->iss;
	g.len = (uint32_t)(n - (size_t)((const uint8_t *)t - ip) - mf_tcp_hdr_len(t));
	g.window = (uint32_t)mf_be16_get(t->window) << (t->flags & MF_TCP_SYN ? 0 : e->wscale);
	g.n_sack = o.n_sack;
	return g;
}

static void account(struct sim_end *e, struct sim_seg *g)
{
	uint32_t end = g->seq + g->len;

	e->n_segs++;
	e->n_rst += (g->flags & MF_TCP_RST) != 0;
	if (!g->len)
		return;
	/* What the other has offered at any time, and one byte to probe a closed window with. */
	assert_true(e->peer->edge_known || !e->connected);
	if (e->peer->edge_known && mf_seq_lt(e->peer->edge + 1, end + e->iss))
		fail_msg("%s: sends %u beyond the window", e->name, end + e->iss - e->peer->edge);
	g->again = mf_seq_lt(g->seq, e->highest);
	e->n_data++;
	e->n_again += g->again;
	e->bytes_out += g->len;
	e->bytes_again += g->again ? mf_seq_min(end, e->highest) - g->seq : 0;
	e->highest = mf_seq_max(e->highest, end);
	e->max_segment = (uint32_t)mf_max(e->max_segment, g->len);
}

static void note(struct sim *s, const struct sim_seg *g)
{
	if (getenv("SIM_TRACE"))
		print_message("%12.6f %s %s%s%s%s seq %u len %u ack %u win %u sack %u%s\n",
			      (double)s->now / 1e9, g->from->name, g->flags & MF_TCP_SYN ? "S" : "",
			      g->flags & MF_TCP_FIN ? "F" : "", g->flags & MF_TCP_RST ? "R" : "",
			      g->flags & MF_TCP_ACK ? "." : "", g->seq, g->len, g->ack, g->window,
			      g->n_sack, g->again ? " again" : "");
	if (!s->log_on)
		return;
	if (s->n_log == s->log_room) {
		s->log_room = s->log_room ? 2 * s->log_room : 4096;
		s->log = realloc(s->log, s->log_room * sizeof(*s->log));
		assert_non_null(s->log);
	}
	s->log[s->n_log++] = *g;
}

unsigned sim_count(const struct sim *s, size_t from, const struct sim_end *e,
		   bool (*is)(const struct sim_seg *g))
{
	unsigned n = 0;

	for (size_t i = from; i < s->n_log; i++)
		n += s->log[i].from == e && (!is || is(&s->log[i]));
	return n;
}

/* ---- the way ---- */

static bool chance(struct sim *s, unsigned of_10000)
{
	return of_10000 && mf_prng_below(&s->prng, 10000) < of_10000;
}

/* Through the bottleneck; MF_NEVER: the queue was full. */
static mf_nsec leaves(struct sim *s, struct sim_link *l, size_t n)
{
	mf_nsec from = l->busy_until > s->now ? l->busy_until : s->now;

	if (!l->rate)
		return s->now;
	if ((from - s->now) * l->rate / (8 * MF_SEC) + n > l->queue && from > s->now) {
		l->n_overflowed++;
		return MF_NEVER;
	}
	l->busy_until = from + n * 8 * MF_SEC / l->rate;
	return l->busy_until;
}

static void carry(struct sim *s, struct sim_link *l, const struct sim_frame *f)
{
	mf_nsec due = leaves(s, l, f->n);

	if (due == MF_NEVER)
		return;
	l->bytes += f->n;
	due += l->delay + (l->jitter ? mf_prng_below(&s->prng, l->jitter) : 0);
	if (chance(s, l->reorder)) {
		due += mf_prng_below(&s->prng, l->reorder_by);
	} else {
		/* Jitter alone does not reorder. */
		due = due > l->last_due ? due : l->last_due;
		l->last_due = due;
	}
	if (l->merge)
		due = (due + l->merge - 1) / l->merge * l->merge;
	fly(s, f, due);
}

static void put(struct sim_end *e, const struct sim_frame *f)
{
	struct sim *s = e->sim;
	struct sim_link *l = &s->link[e->side];
	struct sim_seg g = look(e, f->bytes, f->n);
	size_t headers = f->n - g.len;

	account(e, &g);
	note(s, &g);
	if (l->dead || (l->filter && !l->filter(l->ctx, &g)))
		return;
	if (l->mtu && (f->gso_type ? headers + f->gso_size : f->n) > l->mtu) {
		l->n_too_big++;
		icmp(e, FRAME_TOO_BIG, l->mtu, g.seq + e->iss, l->delay);
		return;
	}
	if (chance(s, l->loss))
		l->n_lost++;
	else
		carry(s, l, f);
	if (chance(s, l->duplicate))
		carry(s, l, f);
}

static struct sim_frame *frame(struct sim_end *e, const uint8_t *bytes, size_t n)
{
	struct sim_frame *f = calloc(1, sizeof(*f) + n);

	assert_non_null(f);
	f->to = e->peer;
	f->n = n;
	memcpy(f->bytes, bytes, n);
	return f;
}

static void cut(struct sim_end *e, struct mf_pkt *p)
{
	struct mf_gso gso;
	uint8_t *at;
	size_t n;

	assert_int_equal(mf_gso_begin(&gso, p), MF_DROP_NONE);
	while ((n = mf_gso_next(&gso, &at))) {
		struct sim_frame *f = frame(e, at, n);

		put(e, f);
		free(f);
	}
}

static void whole(struct sim_end *e, const struct mf_pkt *p)
{
	struct sim_frame *f = frame(e, p->data, p->len);

	f->gso_type = p->gso_type;
	f->gso_size = p->gso_size;
	f->needs_csum = p->flags & MF_PKT_NEEDS_CSUM;
	f->csum_start = p->csum_start;
	f->csum_offset = p->csum_offset;
	put(e, f);
	free(f);
}

/* Headers and tail in one piece. */
static struct mf_pkt *linear(struct sim *s, const struct mf_pkt *p)
{
	struct mf_pkt *q = mf_pkt_large(s->pool);

	assert_non_null(q);
	assert_true((size_t)p->len + p->tail_len <= MF_PKT_LARGE_MAX);
	mf_pkt_copy_meta(q, p);
	memcpy(q->data, p->data, p->len);
	if (p->tail_len)
		memcpy(q->data + p->len, p->tail, p->tail_len);
	q->len = p->len + p->tail_len;
	return q;
}

void sim_transmit(struct sim_end *e, struct mf_pkt *p)
{
	struct mf_pkt *q = linear(e->sim, p);
	const struct mf_tcp_hdr *t = header_of(q->data);
	const struct sim_link *l = &e->sim->link[e->side];

	mf_pkt_free(p);
	assert_int_equal(mf_ip_input(q), MF_DROP_NONE);
	assert_int_equal(q->l4_proto, MF_IPPROTO_TCP);
	assert_int_equal(mf_vnet_check(q), MF_DROP_NONE);
	check_edge(e, t);
	if (l->cut || q->gso_type == MF_GSO_NONE)
		cut(e, q);
	else
		whole(e, q);
	mf_pkt_free(q);
}

/* ---- arriving ---- */

static void hand_over(struct sim_end *e, const struct sim_frame *f)
{
	struct mf_pkt *p = f->n > MF_PKT_SMALL_MAX ? mf_pkt_large(e->pool) : mf_pkt_small(e->pool);

	if (!p)
		return; /* as lost */
	memcpy(p->data, f->bytes, f->n);
	p->len = (uint32_t)f->n;
	p->gso_type = f->gso_type;
	p->gso_size = f->gso_size;
	p->csum_start = f->csum_start;
	p->csum_offset = f->csum_offset;
	p->flags |= f->needs_csum;
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	assert_int_equal(mf_vnet_check(p), MF_DROP_NONE);
	assert_true(p->flags & MF_PKT_NEEDS_CSUM || mf_ip_l4_csum_ok(p));
	sim_receive(e, p);
}

static void gro_add(struct sim_end *e, const struct sim_frame *f)
{
	uint8_t *at = mf_gro_reserve(&e->gro, f->n);

	if (!at)
		return;
	memcpy(at, f->bytes, f->n);
	(void)mf_gro_commit(&e->gro, f->n, NULL);
}

static void gro_flush(struct sim_end *e)
{
	struct mf_pkt *p[64];
	size_t n;

	do {
		n = mf_gro_flush(&e->gro, p, MF_ARRAY_LEN(p));
		for (size_t i = 0; i < n; i++)
			sim_receive(e, p[i]);
	} while (n == MF_ARRAY_LEN(p));
}

static void arrive(struct sim *s, const struct sim_frame *f)
{
	struct sim_end *e = f->to;

	if (f->kind == FRAME_TOO_BIG)
		mf_tcp_path_mtu(&e->env, &e->tcp, f->mtu, f->seq, s->now);
	else if (f->kind == FRAME_UNREACHABLE)
		mf_tcp_unreachable(&e->env, &e->tcp, f->seq);
	else if (s->link[e->peer->side].merge && f->gso_type == MF_GSO_NONE)
		gro_add(e, f);
	else
		hand_over(e, f);
}

mf_nsec sim_next_arrival(const struct sim *s)
{
	return s->n_flying ? s->flying[0]->due : MF_NEVER;
}

void sim_arrive(struct sim *s)
{
	while (s->n_flying && s->flying[0]->due <= s->now) {
		struct sim_frame *f = pop(s);

		arrive(s, f);
		free(f);
	}
	for (unsigned i = 0; i < s->flows; i++) {
		gro_flush(&s->end[i][0]);
		gro_flush(&s->end[i][1]);
	}
}

void sim_link_free(struct sim *s)
{
	for (size_t i = 0; i < s->n_flying; i++)
		free(s->flying[i]);
	free(s->flying);
	free(s->log);
}
