/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram - see dgram.h.
 */
#include "proxy/dgram.h"

#include <stdlib.h>

#include "proxy/mapping.h"

static struct mf_mapping *make(struct mf_dgrams *x, struct mf_dgram *d)
{
	struct mf_mapping *m = calloc(1, mf_mapping_size(x->proto));

	if (!m)
		return NULL;
	m->above = d;
	m->of = x;
	m->kind = x->proto->kind;
	return m;
}

static void link_in(struct mf_mapping *m)
{
	struct mf_dgrams *x = m->of;

	m->next = x->first;
	m->prev = &x->first;
	if (m->next)
		m->next->prev = &m->next;
	x->first = m;
	x->n++;
}

static mf_err refuse(struct mf_dgram *d, mf_err e, enum mf_stream_error why)
{
	d->error = (uint8_t)why;
	return e;
}

mf_err mf_dgrams_open(struct mf_dgrams *x, struct mf_outbound *o, struct mf_dgram *d,
		      const struct mf_target *to)
{
	struct mf_mapping *m;
	mf_err e;

	(void)to; /* each datagram says where it goes */
	if (d->kind != MF_DGRAM_UDP || !x->proto)
		return refuse(d, MF_E_UNSUPPORTED, MF_STREAM_E_UNSUPPORTED);
	m = make(x, d);
	if (!m)
		return refuse(d, MF_E_NO_MEMORY, MF_STREAM_E_NO_RESOURCES);
	e = m->kind->begin(m);
	if (e) {
		free(m);
		return e;
	}
	d->out = o;
	d->impl = m;
	link_in(m);
	return MF_OK;
}

void mf_dgrams_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct mf_mapping *m = d->impl;

	m->kind->send(m, pkts, n);
}

size_t mf_dgrams_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct mf_mapping *m = d->impl;
	size_t n;
	uint32_t datagrams = 0;

	MF_ASSERT(pool == m->of->pool);
	n = m->kind->recv(m, out, max);
	for (size_t i = 0; i < n; i++)
		datagrams += out[i]->segments;
	if (n)
		mf_count(&m->of->health->count.datagrams_down, datagrams);
	return n;
}

/* What is wrong between us and the server is no error about what the app has sent; that the server
 * carries no datagrams is. */
bool mf_dgrams_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	struct mf_mapping *m = d->impl;

	if (m->kind->heed)
		m->kind->heed(m);
	return mf_mapping_tell(m, e);
}

void mf_dgrams_close(struct mf_dgram *d)
{
	struct mf_mapping *m = d->impl;
	struct mf_dgrams *x;

	if (!m)
		return;
	x = m->of;
	m->kind->end(m);
	*m->prev = m->next;
	if (m->next)
		m->next->prev = m->prev;
	free(m);
	d->impl = NULL;
	if (!--x->n && x->idle)
		x->idle(x->ctx);
}

void mf_dgrams_resolved(struct mf_dgrams *x, bool known)
{
	x->which = 0;
	for (struct mf_mapping *m = x->first; m; m = m->next)
		if (m->kind->resolved)
			m->kind->resolved(m, known);
}

void mf_dgrams_end(struct mf_dgrams *x)
{
	for (struct mf_mapping *m = x->first; m; m = m->next)
		mf_mapping_fail(m);
}
