/* SPDX-License-Identifier: Apache-2.0
 *
 * stream - bytes to and from a server: an mf_stream of the outbound below, a layer (TLS) in between
 * if there is one, two queues of bytes in the clear on top. Nobody is called back: who reads the
 * queues looks at the state.
 */
#include <stdlib.h>

#include "resolver/internal.h"

static void wake(struct mf_stream *s)
{
	const struct mf_transport_env *env =
		MF_CONTAINER_OF(s, struct mf_dns_stream, s)->transport->env;

	env->wake(env->ctx);
}

static enum mf_transport_error error_of(uint8_t why)
{
	switch (why) {
	case MF_STREAM_E_TIMED_OUT:
		return MF_TRANSPORT_TIMEOUT;
	case MF_STREAM_E_NO_RESOURCES:
		return MF_TRANSPORT_RESOURCES;
	default:
		return MF_TRANSPORT_UNREACHABLE;
	}
}

void mf_dns_stream_fail(struct mf_dns_stream *x, enum mf_transport_error why)
{
	x->state = MF_DNS_STREAM_FAILED;
	x->error = (uint8_t)why;
	x->readable = x->writable = false;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static bool take_memory(struct mf_dns_stream *x)
{
	uint8_t *p = malloc(MF_DNS_STREAM_IN + MF_DNS_STREAM_OUT);

	if (!p)
		return false;
	x->in = (struct mf_dns_bytes){ .p = p, .cap = MF_DNS_STREAM_IN };
	x->out = (struct mf_dns_bytes){ .p = p + MF_DNS_STREAM_IN, .cap = MF_DNS_STREAM_OUT };
	return true;
}

static void connect_to(struct mf_dns_stream *x, const struct mf_endpoint *to)
{
	struct mf_target target = { .addr = *to, .app.addr.family = to->addr.family };
	struct mf_outbound *o = mf_transport_outbound(x->transport);

	if (!o) {
		mf_dns_stream_fail(x, MF_TRANSPORT_UNREACHABLE);
		return;
	}
	x->s = (struct mf_stream){ .out = o, .wake = wake };
	if (o->ops->stream_open(o, &x->s, &target) != MF_OK)
		mf_dns_stream_fail(x, error_of(x->s.error));
	else
		mf_count(&x->transport->count->connections, 1);
}

void mf_dns_stream_open(struct mf_dns_stream *x, const struct mf_endpoint *to,
			const struct mf_dns_layer *layer, const char *name, const char *alpn)
{
	char addr[MF_ADDR_STRLEN];

	MF_ASSERT(x->state == MF_DNS_STREAM_CLOSED);
	if (!name)
		name = mf_addr_format(&to->addr, addr);
	*x = (struct mf_dns_stream){ .transport = x->transport, .state = MF_DNS_STREAM_OPENING };
	if (!take_memory(x) || (layer && !layer->open(x, name, alpn))) {
		mf_dns_stream_fail(x, MF_TRANSPORT_RESOURCES);
		return;
	}
	x->layer = layer;
	connect_to(x, to);
}

void mf_dns_stream_close(struct mf_dns_stream *x)
{
	if (x->layer)
		x->layer->close(x);
	if (x->s.impl)
		x->s.out->ops->stream_close(&x->s, false);
	free(x->in.p);
	*x = (struct mf_dns_stream){ .transport = x->transport };
}

/* ---- The queues ------------------------------------------------------------------------------ */

/* Moves what is there to the front, unless there is nothing to gain. */
static void pack(struct mf_dns_bytes *b)
{
	if (b->begin && b->begin < b->end)
		memmove(b->p, b->p + b->begin, b->end - b->begin);
	b->end -= b->begin;
	b->begin = 0;
}

struct mf_room mf_dns_stream_room(struct mf_dns_stream *x)
{
	if (x->in.begin == x->in.end || x->in.end == x->in.cap)
		pack(&x->in);
	return (struct mf_room){ x->in.p + x->in.end, x->in.cap - x->in.end };
}

void mf_dns_stream_filled(struct mf_dns_stream *x, size_t n)
{
	MF_ASSERT(n <= x->in.cap - x->in.end);
	x->in.end += n;
	x->heard |= n > 0;
}

void mf_dns_stream_take(struct mf_dns_stream *x, size_t n)
{
	MF_ASSERT(n <= x->in.end - x->in.begin);
	x->in.begin += n;
}

bool mf_dns_stream_write(struct mf_dns_stream *x, const struct mf_span *v, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += v[i].n;
	if (x->state == MF_DNS_STREAM_CLOSED || x->state >= MF_DNS_STREAM_ENDED)
		return false;
	if (total > x->out.cap - x->out.end)
		pack(&x->out);
	if (total > x->out.cap - x->out.end)
		return false;
	for (size_t i = 0; i < n; i++) {
		memcpy(x->out.p + x->out.end, v[i].p, v[i].n);
		x->out.end += v[i].n;
	}
	return true;
}

struct mf_span mf_dns_stream_waiting(const struct mf_dns_stream *x)
{
	return mf_span(x->out.p + x->out.begin, x->out.end - x->out.begin);
}

void mf_dns_stream_written(struct mf_dns_stream *x, size_t n)
{
	MF_ASSERT(n <= x->out.end - x->out.begin);
	x->out.begin += n;
}

/* ---- The wire -------------------------------------------------------------------------------- */

size_t mf_dns_stream_put(struct mf_dns_stream *x, struct mf_span v)
{
	size_t n;

	if (!x->writable || !v.n)
		return 0;
	n = x->s.out->ops->stream_write(&x->s, &v, 1);
	x->writable = n == v.n;
	return n;
}

size_t mf_dns_stream_get(struct mf_dns_stream *x, struct mf_room v)
{
	ptrdiff_t n;

	if (!x->readable || !v.n)
		return 0;
	n = x->s.out->ops->stream_read(&x->s, &v, 1);
	if (n > 0) {
		x->readable = (size_t)n == v.n;
		return (size_t)n;
	}
	x->readable = false;
	if (n == MF_STREAM_EOF)
		x->state = MF_DNS_STREAM_ENDED;
	else if (n == MF_STREAM_ERR)
		mf_dns_stream_fail(x, error_of(x->s.error));
	return 0;
}

static void hear(struct mf_dns_stream *x)
{
	uint32_t ready = x->s.ready;

	x->s.ready = 0;
	if (ready & MF_STREAM_FAILED) {
		mf_dns_stream_fail(x, error_of(x->s.error));
		return;
	}
	if (ready & MF_STREAM_OPENED && x->state == MF_DNS_STREAM_OPENING) {
		x->state = x->layer ? MF_DNS_STREAM_HANDSHAKE : MF_DNS_STREAM_READY;
		x->readable = x->writable = true;
	}
	x->readable |= (ready & MF_STREAM_READABLE) != 0;
	x->writable |= (ready & MF_STREAM_WRITABLE) != 0;
}

/* Without a layer the queues are the wire's. */
static void run_plain(struct mf_dns_stream *x)
{
	size_t n;

	while ((n = mf_dns_stream_put(x, mf_dns_stream_waiting(x))))
		mf_dns_stream_written(x, n);
	while ((n = mf_dns_stream_get(x, mf_dns_stream_room(x))))
		mf_dns_stream_filled(x, n);
}

static bool is_up(const struct mf_dns_stream *x)
{
	return x->state == MF_DNS_STREAM_HANDSHAKE || x->state == MF_DNS_STREAM_READY;
}

void mf_dns_stream_run(struct mf_dns_stream *x)
{
	if (x->state == MF_DNS_STREAM_OPENING || is_up(x))
		hear(x);
	if (!is_up(x))
		return;
	if (x->layer)
		x->layer->run(x);
	else
		run_plain(x);
	x->full = !mf_dns_stream_room(x).n;
}

bool mf_dns_stream_more(const struct mf_dns_stream *x)
{
	return is_up(x) && x->full;
}
