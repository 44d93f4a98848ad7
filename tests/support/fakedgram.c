/* SPDX-License-Identifier: Apache-2.0
 *
 * fakedgram - see fakedgram.h.
 */
#include "fakedgram.h"

#include <stdlib.h>

static void *grow(void *p, size_t n)
{
	p = realloc(p, n);
	MF_ASSERT(p);
	return p;
}

static uint8_t *copy(const void *bytes, size_t n)
{
	uint8_t *p = grow(NULL, n + !n);

	memcpy(p, bytes, n);
	return p;
}

static struct fake_dgram *of(const struct mf_dgram *d)
{
	struct fake_dgram *x = d->impl;

	MF_ASSERT(x && x->d == d);
	return x;
}

static mf_err open_dgram(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct fakedgrams *f = o->ctx;
	struct fake_dgram *x;

	MF_ASSERT(!d->impl && d->wake && d->out == o);
	MF_ASSERT(d->family == to->addr.addr.family && d->family == to->app.addr.family);
	if (f->refuse) {
		d->error = (uint8_t)f->refuse;
		return MF_E_GONE;
	}
	x = calloc(1, sizeof(*x));
	MF_ASSERT(x);
	*x = (struct fake_dgram){ .next = f->last, .out = f, .d = d, .dst = to->addr, .app = to->app };
	d->impl = x;
	f->last = x;
	f->n_opened++;
	f->n_open++;
	return MF_OK;
}

static void too_big(struct fake_dgram *x, const struct mf_pkt *p)
{
	struct mf_dgram_error e = { .remote = p->remote, .type = 3, .code = 4, .mtu = 1400 };

	if (x->d->family == MF_AF_IP6)
		e.type = 2, e.code = 0;
	fakedgram_error(x, &e);
}

static void send_dgrams(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct fake_dgram *x = of(d);

	MF_ASSERT(n > 0);
	x->calls++;
	for (size_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];

		MF_ASSERT(p->remote.addr.family == d->family && !(p->flags & MF_PKT_NEEDS_CSUM));
		MF_ASSERT((p->gso_type == MF_GSO_UDP) == (p->gso_size > 0));
		p->drop = (uint16_t)x->out->drop;
		if (p->drop == MF_DROP_TOO_BIG && x->out->too_big_told)
			too_big(x, p);
		x->sent = grow(x->sent, (x->n_sent + 1) * sizeof(*x->sent));
		x->sent[x->n_sent++] = (struct fake_sent){
			.pkt = p,
			.at = p->data,
			.remote = p->remote,
			.tos = p->tos,
			.ttl = p->ttl,
			.gso_type = p->gso_type,
			.gso_size = p->gso_size,
			.flags = p->flags,
			.call = x->calls,
			.n = p->len,
			.bytes = copy(p->data, p->len),
		};
	}
}

/* As little headroom as the contract allows. */
static struct mf_pkt *receive(struct mf_pkt_pool *pool, const struct fake_waiting *w)
{
	struct mf_pkt *p = w->n <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	p->data = p->room_start + MF_PKT_HEADROOM - 16;
	p->len = (uint32_t)w->n;
	memcpy(p->data, w->bytes, w->n);
	p->remote = w->remote;
	p->tos = w->tos;
	p->ttl = w->ttl;
	p->gso_type = w->gso_size ? MF_GSO_UDP : MF_GSO_NONE;
	p->gso_size = w->gso_size;
	return p;
}

static size_t recv_dgrams(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out,
			  size_t max)
{
	struct fake_dgram *x = of(d);
	size_t n = 0;

	MF_ASSERT(max > 0);
	x->recvs++;
	while (n < max && x->given < x->n_waiting) {
		out[n] = receive(pool, &x->waiting[x->given]);
		MF_ASSERT(out[n]); /* sessions ask for what the pool can give */
		x->given++;
		n++;
	}
	return n;
}

static bool dgram_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	struct fake_dgram *x = of(d);

	if (x->told == x->n_errors)
		return false;
	*e = x->error[x->told++];
	return true;
}

static void close_dgram(struct mf_dgram *d)
{
	struct fake_dgram *x = of(d);

	x->d = NULL;
	x->out->n_open--;
	d->impl = NULL;
}

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct fakedgrams *f = o->ctx;

	(void)to;
	s->impl = f;
	f->n_streams++;
	return MF_OK;
}

static void close_stream(struct mf_stream *s, bool reset)
{
	struct fakedgrams *f = s->impl;

	(void)reset;
	f->n_streams--;
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	(void)s;
	*out = (struct mf_stream_info){ 0 };
}

static const struct mf_outbound_ops ops = {
	.name = "fake",
	.stream_open = open_stream,
	.stream_close = close_stream,
	.stream_info = stream_info,
	.dgram_open = open_dgram,
	.dgram_send = send_dgrams,
	.dgram_recv = recv_dgrams,
	.dgram_error = dgram_error,
	.dgram_close = close_dgram,
};

void fakedgrams_init(struct fakedgrams *f)
{
	*f = (struct fakedgrams){ .out = { .ops = &ops, .ctx = f } };
}

static void free_dgram(struct fake_dgram *x)
{
	for (size_t i = 0; i < x->n_sent; i++)
		free(x->sent[i].bytes);
	for (size_t i = 0; i < x->n_waiting; i++)
		free(x->waiting[i].bytes);
	free(x->sent);
	free(x->waiting);
	free(x);
}

void fakedgrams_fini(struct fakedgrams *f)
{
	struct fake_dgram *x = f->last, *next;

	MF_ASSERT(!f->n_streams);
	for (; x; x = next) {
		MF_ASSERT(!x->d);
		next = x->next;
		free_dgram(x);
	}
	f->last = NULL;
}

void fakedgram_give(struct fake_dgram *x, const struct mf_endpoint *remote, const void *bytes,
		    size_t n, uint16_t gso_size, uint8_t tos)
{
	bool dry = x->given == x->n_waiting;

	MF_ASSERT(x->d);
	x->waiting = grow(x->waiting, (x->n_waiting + 1) * sizeof(*x->waiting));
	x->waiting[x->n_waiting++] = (struct fake_waiting){
		.remote = *remote,
		.tos = tos,
		.gso_size = gso_size,
		.n = n,
		.bytes = copy(bytes, n),
	};
	if (dry) /* an edge: nobody says it twice */
		mf_dgram_notify(x->d, MF_STREAM_READABLE);
}

void fakedgram_error(struct fake_dgram *x, const struct mf_dgram_error *e)
{
	bool dry = x->told == x->n_errors;

	MF_ASSERT(x->d);
	if (x->told == x->n_errors)
		x->told = x->n_errors = 0;
	MF_ASSERT(x->n_errors < MF_ARRAY_LEN(x->error));
	x->error[x->n_errors++] = *e;
	if (dry)
		mf_dgram_notify(x->d, MF_STREAM_READABLE);
}

void fakedgram_fail(struct fake_dgram *x)
{
	x->d->error = MF_STREAM_E_NO_DEVICE;
	mf_dgram_notify(x->d, MF_STREAM_FAILED);
}

const struct fake_sent *fakedgram_sent(const struct fake_dgram *x)
{
	MF_ASSERT(x->n_sent);
	return &x->sent[x->n_sent - 1];
}
