/* SPDX-License-Identifier: Apache-2.0
 *
 * mapping - see mapping.h.
 */
#include "proxy/mapping.h"

#include <stdlib.h>

#include "wire/icmp.h"

enum {
	FAULTS_FREE = 2,    /* in a row, before new tries have to wait */
	BACK_OFF_SHIFT = 3, /* at most 1 s << that */
};
#define BACK_OFF MF_SEC

static size_t codec_at(const struct mf_mapping_kind *kind)
{
	return mf_round_up(kind->size, _Alignof(max_align_t));
}

size_t mf_mapping_size(const struct mf_dgram_proto *proto)
{
	return codec_at(proto->kind) + (proto->packets ? proto->codec_size : 0);
}

void *mf_mapping_codec(struct mf_mapping *m)
{
	return (uint8_t *)m + codec_at(m->kind);
}

void mf_mapping_notify(struct mf_mapping *m)
{
	mf_dgram_notify(m->above, MF_STREAM_READABLE);
}

void mf_mapping_count_lost(struct mf_mapping *m, uint32_t datagrams)
{
	mf_count(&m->of->health->count.datagrams_dropped, datagrams);
}

void mf_mapping_refuse(struct mf_mapping *m, struct mf_pkt **pkts, size_t n, enum mf_drop why)
{
	for (size_t i = 0; i < n; i++) {
		pkts[i]->drop = (uint16_t)why;
		mf_mapping_count_lost(m, mf_mapping_datagrams(pkts[i]));
	}
}

void mf_mapping_forbid(struct mf_mapping *m, const struct mf_endpoint *remote)
{
	m->untold = *remote;
	mf_mapping_notify(m);
}

/* RFC 1812 5.2.7.1, RFC 4443 3.1 */
bool mf_mapping_tell(struct mf_mapping *m, struct mf_dgram_error *e)
{
	bool v4 = m->untold.addr.family == MF_AF_IP4;

	if (!m->untold.addr.family)
		return false;
	*e = (struct mf_dgram_error){
		.remote = m->untold,
		.type = v4 ? MF_ICMP4_UNREACHABLE : MF_ICMP6_UNREACHABLE,
		.code = v4 ? 13 : 1,
	};
	m->untold.addr.family = MF_AF_NONE;
	return true;
}

/* RFC 4291 2.5.5.2 */
static bool is_mapped(const struct mf_addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == MF_AF_IP6 && !memcmp(a->b, prefix, sizeof(prefix));
}

bool mf_mapping_from(const struct mf_mapping *m, struct mf_endpoint *from)
{
	if (MF_UNLIKELY(is_mapped(&from->addr)))
		from->addr = mf_addr_ip4(from->addr.b + 12);
	return from->addr.family == m->above->family;
}

void mf_mapping_fail(struct mf_mapping *m)
{
	m->above->error = MF_STREAM_E_NO_DEVICE;
	mf_dgram_notify(m->above, MF_STREAM_FAILED);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

void mf_mapping_back_off(struct mf_mapping *m)
{
	uint32_t extra;

	if (++m->faults < FAULTS_FREE)
		return;
	extra = (uint32_t)mf_min(m->faults - FAULTS_FREE, BACK_OFF_SHIFT);
	m->not_before = m->of->layers->now + (BACK_OFF << extra);
}

void mf_mapping_fault(struct mf_mapping *m, enum mf_proxy_fault f, const char *detail)
{
	struct mf_dgrams *x = m->of;

	if (f == MF_PROXY_COMMAND)
		mf_proxy_health_cannot(x->health, f, x->layers->log, x->config->name, x->layers->now);
	else if (f)
		mf_proxy_health_fault(x->health, f, detail, x->layers->log, x->config->name,
				      x->layers->now);
	if (x->retired)
		mf_mapping_fail(m);
	mf_mapping_back_off(m);
}

void mf_mapping_ok(struct mf_mapping *m, bool fresh)
{
	struct mf_proxy_health *h = m->of->health;
	mf_nsec now = m->of->layers->now;

	m->faults = 0;
	m->not_before = 0;
	mf_proxy_life_note(m->of->life, now);
	if (fresh || h->facts.failing)
		mf_proxy_health_ok(h, m->of->layers->log, m->of->config->name, now);
}

bool mf_mapping_may_try(const struct mf_mapping *m)
{
	return m->of->layers->now >= m->not_before;
}

enum mf_proxy_fault mf_mapping_fault_of(enum mf_stream_error e)
{
	switch (e) {
	case MF_STREAM_E_REFUSED:
		return MF_PROXY_REFUSED;
	case MF_STREAM_E_NO_RESOURCES:
		return MF_PROXY_RESOURCES;
	case MF_STREAM_E_PROXY:
	case MF_STREAM_E_UNSUPPORTED:
		return MF_PROXY_VIA;
	default:
		return MF_PROXY_UNREACHABLE;
	}
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Three quarters of a pool may wait, and no more: the rest is for what is on its way. */
static struct mf_pkt *take_spare(struct mf_pkt_pool *pool, size_t n)
{
	if (n <= MF_PKT_SMALL_MAX && mf_pkt_pool_free_small(pool) > pool->small.n_total / 4)
		return mf_pkt_small(pool);
	if (n <= MF_PKT_LARGE_MAX && mf_pkt_pool_free_large(pool) > pool->large.n_total / 4)
		return mf_pkt_large(pool);
	return NULL;
}

enum mf_drop mf_waiting_put(struct mf_waiting *w, struct mf_mapping *m, const struct mf_pkt *p)
{
	struct mf_dgrams *x = m->of;
	struct mf_pkt *c;

	if (w->n == MF_WAITING_MAX || p->len > MF_WAITING_BYTES - w->bytes ||
	    x->n_waiting == MF_WAITING_ALL)
		return MF_DROP_PROXY_QUEUE_FULL;
	c = take_spare(x->pool, p->len);
	if (!c)
		return MF_DROP_BUFFERS;
	memcpy(c->data, p->data, p->len);
	c->len = p->len;
	c->gso_type = p->gso_type;
	c->gso_size = p->gso_size;
	c->remote = p->remote;
	c->next = NULL;
	if (w->last)
		w->last->next = c;
	else
		w->first = c;
	w->last = c;
	w->n++;
	w->bytes += c->len;
	x->n_waiting++;
	return MF_DROP_NONE;
}

void mf_waiting_put_all(struct mf_waiting *w, struct mf_mapping *m, struct mf_pkt **pkts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum mf_drop why = mf_waiting_put(w, m, pkts[i]);

		pkts[i]->drop = MF_DROP_NONE;
		if (why)
			mf_mapping_refuse(m, &pkts[i], 1, why);
	}
}

size_t mf_waiting_take(struct mf_waiting *w, struct mf_mapping *m, struct mf_pkt **out, size_t max)
{
	size_t n = 0;

	for (struct mf_pkt *p; n < max && (p = w->first); n++) {
		w->first = p->next;
		w->n--;
		w->bytes -= p->len;
		m->of->n_waiting--;
		out[n] = p;
	}
	if (!w->first)
		w->last = NULL;
	return n;
}

void mf_waiting_drop(struct mf_waiting *w, struct mf_mapping *m)
{
	struct mf_pkt *p;

	while (mf_waiting_take(w, m, &p, 1)) {
		mf_mapping_count_lost(m, mf_mapping_datagrams(p));
		mf_pkt_free(p);
	}
}

/* ---- Streams --------------------------------------------------------------------------------- */

bool mf_mapping_work(struct mf_mapping *m, struct mf_mapping_work *w)
{
	struct mf_layers *ls = m->of->layers;
	unsigned i = ls->nest;

	if (i >= MF_LAYER_DEPTH_MAX)
		return false;
	if (!ls->in[i])
		ls->in[i] = malloc(MF_CODEC_IN_MAX);
	if (!ls->out[i])
		ls->out[i] = malloc(MF_LAYER_OUT_MAX);
	*w = (struct mf_mapping_work){ .in = ls->in[i], .out = ls->out[i] };
	if (!w->in || !w->out)
		return false;
	ls->nest++;
	return true;
}

void mf_mapping_done(struct mf_mapping *m)
{
	m->of->layers->nest--;
}

/* The first n, from what is held. */
static void let_go(struct mf_mapping *m, struct mf_held *h, size_t n)
{
	struct mf_held_pool *pool = &m->of->layers->pool;
	size_t before = pool->held;

	mf_held_drop(pool, h, n);
	m->of->held -= before - pool->held;
}

void mf_mapping_let_go(struct mf_mapping *m, struct mf_held *h)
{
	let_go(m, h, h->n);
}

bool mf_mapping_hold(struct mf_mapping *m, struct mf_held *h, const void *bytes, size_t n)
{
	struct mf_held_pool *pool = &m->of->layers->pool;
	size_t before = pool->held;
	bool ok;

	if (n && m->of->held + n > pool->max - pool->held)
		return false;
	ok = mf_held_put(pool, h, bytes, n);
	m->of->held += pool->held - before;
	return ok;
}

/* How many bytes; a stream is not asked to take none. */
static size_t write_some(struct mf_stream *s, const void *p, size_t n)
{
	struct mf_span v = mf_span(p, n);

	return n ? s->out->ops->stream_write(s, &v, 1) : 0;
}

bool mf_mapping_write(struct mf_mapping *m, struct mf_stream *s, struct mf_held *h,
		      struct mf_span bytes)
{
	size_t taken = 0;

	if (h->n)
		let_go(m, h, write_some(s, h->p + h->at, h->n));
	if (!h->n)
		taken = write_some(s, bytes.p, bytes.n);
	return mf_mapping_hold(m, h, bytes.p + taken, bytes.n - taken);
}
