/* SPDX-License-Identifier: Apache-2.0
 *
 * obfs_layer - see obfs_layer.h. codec_layer.c drives codecs, too, but those of proxies: it says
 * what the proxy's silence means, and does not wait for the app's first bytes for ever.
 */
#include "proxy/obfs_layer.h"

#include "proto/http/head.h"

enum { RECORD_ROOM = 256 }; /* more than what the server puts in front of a record (tls) */

struct obfs_layer {
	struct mf_layer l;
	struct mf_obfs obfs;
};

static struct obfs_layer *obfs_of(struct mf_layer *l)
{
	return (struct obfs_layer *)l;
}

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	(void)to;
	mf_obfs_init(&obfs_of(l)->obfs, l->of->config, &l->of->layers->env);
	return MF_OK;
}

static size_t write_layer(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	struct mf_codec *c = &obfs_of(l)->obfs.codec;
	size_t taken, len;
	uint8_t *out;

	if (c->raw_up)
		return mf_layer_pass(l, v, n);
	out = mf_layer_out(l);
	if (!out)
		return 0;
	taken = c->ops->seal(c, v, n, out, MF_LAYER_OUT_MAX, &len);
	mf_layer_send(l, out, len);
	return taken;
}

/* Bytes to ask for: not much more than the rooms take, so that little is held; and always the rest
 * of a head. */
static size_t wanted(const struct obfs_layer *o, const struct mf_room *v, size_t n)
{
	size_t want = o->obfs.config->mode == MF_OBFS_HTTP ? MF_HTTP_HEAD_MAX : RECORD_ROOM;

	if (o->obfs.codec.raw_down)
		return 0;
	for (size_t i = 0; i < n; i++)
		want += v[i].n;
	return want - mf_min(want, o->l.rest.n);
}

static ptrdiff_t read_layer(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	struct obfs_layer *o = obfs_of(l);
	struct mf_codec *c = &o->obfs.codec;
	struct mf_codec_in in;
	ptrdiff_t end;
	size_t got;
	mf_err e;

	if (c->raw_down && !l->rest.n)
		return mf_layer_take(l, v, n);
	in = mf_layer_fill(l, wanted(o, v, n), &end);
	if (!in.p)
		return MF_STREAM_ERR;
	e = c->ops->open(c, &in, v, n, &got);
	if (e != MF_OK) {
		(void)mf_layer_fault(l, c->fault, "obfs");
		return MF_STREAM_ERR;
	}
	if (!mf_layer_keep(l, in))
		return MF_STREAM_ERR;
	if (got)
		return (ptrdiff_t)got;
	return end > 0 ? MF_STREAM_AGAIN : end;
}

static const struct mf_layer_ops ops = {
	.name = "obfs",
	.size = sizeof(struct obfs_layer),
	.begin = begin,
	.write = write_layer,
	.read = read_layer,
};

void mf_obfs_layer_init(struct mf_layer_outbound *o, const struct mf_obfs_config *cfg,
			struct mf_layers *ls, struct mf_outbound *below,
			struct mf_proxy_health *health, const char *iface)
{
	mf_layer_outbound_init(o, &ops, ls, below, cfg, health, iface, 0);
}
