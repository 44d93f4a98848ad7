/* SPDX-License-Identifier: Apache-2.0 */
#include "mirror.h"

static mf_err stream_open(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct mirror_stream *t = ((struct mirror *)o->ctx)->stream, *end = t + MIRROR_STREAMS;

	while (t < end && t->in_use)
		t++;
	if (t == end || to->addr.port != 7) {
		s->error = t == end ? MF_STREAM_E_NO_RESOURCES : MF_STREAM_E_REFUSED;
		return MF_E_GONE;
	}
	t->in_use = true;
	t->full = t->ended = false;
	t->n = 0;
	s->impl = t;
	mf_stream_notify(s, MF_STREAM_OPENED | MF_STREAM_WRITABLE);
	return MF_OK;
}

static size_t stream_write(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	struct mirror_stream *t = s->impl;
	size_t before = t->n, given = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = mf_min(v[i].n, MIRROR_BYTES - t->n);

		memcpy(t->bytes + t->n, v[i].p, k);
		t->n += k;
		given += v[i].n;
	}
	t->full = t->n - before < given; /* then it waits for WRITABLE */
	if (!before && t->n)
		mf_stream_notify(s, MF_STREAM_READABLE);
	return t->n - before;
}

static ptrdiff_t stream_read(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	struct mirror_stream *t = s->impl;
	size_t taken = 0;

	if (!t->n)
		return t->ended ? MF_STREAM_EOF : MF_STREAM_AGAIN;
	for (size_t i = 0; i < n; i++) {
		size_t k = mf_min(v[i].n, t->n - taken);

		memcpy(v[i].p, t->bytes + taken, k);
		taken += k;
	}
	t->n -= taken;
	memmove(t->bytes, t->bytes + taken, t->n);
	if (t->full && taken) {
		t->full = false;
		mf_stream_notify(s, MF_STREAM_WRITABLE);
	}
	return (ptrdiff_t)taken;
}

static void stream_shutdown(struct mf_stream *s)
{
	struct mirror_stream *t = s->impl;

	t->ended = true;
	mf_stream_notify(s, MF_STREAM_READABLE);
}

static void stream_close(struct mf_stream *s, bool reset)
{
	struct mirror_stream *t = s->impl;

	(void)reset; /* nobody is there to be told */
	t->in_use = false;
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	(void)s;
	*out = (struct mf_stream_info){ .device = "mirror" };
}

const struct mf_outbound_ops mirror_ops = {
	.name = "mirror",
	.stream_open = stream_open,
	.stream_write = stream_write,
	.stream_read = stream_read,
	.stream_shutdown = stream_shutdown,
	.stream_close = stream_close,
	.stream_info = stream_info,
};
