/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_layer - see tls_layer.h.
 *
 * Payload is sealed from the writer's memory into that of the layer, 64 KiB as four records and one
 * write below, and opened from there into the reader's: no byte is copied but those of a record
 * that does not fit the rooms, and of one whose end has not come.
 *
 * The end of what we send is close_notify and not a FIN. Under TLS a FIN alone says that something
 * has been cut off, and servers take one that follows close_notify at once for the end of
 * everything: they stop sending. Many do so at close_notify, too (trojan, and TLS 1.2 has asked for
 * it: RFC 5246 7.2.1), which we cannot help.
 *
 * The end of what a server sends: v2ray (VLESS, Trojan) and trojan were seen to say close_notify,
 * with TLS 1.2 and 1.3, when the target has ended in order. So an end without it is a server that
 * was killed or somebody in between. Only before the first byte it passes for an end: nothing can
 * be missing, and the codec knows better what it means that a proxy closes instead of answering.
 */
#include "proxy/tls_layer.h"

enum { READ_MAX = 64 * 1024 }; /* bytes that are asked of the layer below at once */

static_assert(MF_TLS_SEALED(MF_LAYER_PART) <= (int)MF_LAYER_OUT_MAX,
	      "all that one write is given fits");
static_assert((int)MF_LAYER_SPANS <= MF_TLS_SEAL_SPANS, "... in as few records as can be");

struct tls_layer {
	struct mf_layer l;
	struct mf_tls *tls; /* NULL: the layer below has not opened */
	bool heard;         /* payload has come */
};

static struct tls_layer *tls_of(struct mf_layer *l)
{
	return (struct tls_layer *)l;
}

static const struct mf_tls_layer_config *config_of(const struct tls_layer *x)
{
	return x->l.of->config;
}

/* What TLS has to say itself: its handshake, alerts. */
static void flush(struct tls_layer *x)
{
	struct mf_span out = mf_tls_outgoing(x->tls);

	mf_layer_send(&x->l, out.p, out.n);
	mf_tls_sent(x->tls, out.n);
}

static mf_err fault(struct tls_layer *x, mf_err err)
{
	enum mf_proxy_fault f = MF_PROXY_TLS;

	if (err == MF_E_AUTH)
		f = MF_PROXY_CERTIFICATE;
	else if (err == MF_E_CONFLICT)
		f = MF_PROXY_PIN;
	else if (err == MF_E_NO_MEMORY)
		f = MF_PROXY_RESOURCES;
	return mf_layer_fault(&x->l, f, mf_tls_error(x->tls));
}

/* ---- The handshake --------------------------------------------------------------------------- */

static mf_err start(struct tls_layer *x)
{
	const struct mf_tls_layer_config *cfg = config_of(x);

	x->tls = mf_tls_new(cfg->context, cfg->name, cfg->alpn);
	return x->tls ? MF_OK : mf_layer_fault(&x->l, MF_PROXY_RESOURCES, "memory for TLS");
}

static void done(struct tls_layer *x, mf_nsec now)
{
	mf_proxy_health_took(x->l.of->health, MF_PROXY_SPAN_TLS, now - x->l.began);
	mf_layer_opened(&x->l);
}

/* With what has come. MF_E_AGAIN: more must come. */
static mf_err shake_hands(struct tls_layer *x, ptrdiff_t *end)
{
	struct mf_codec_in in = mf_layer_fill(&x->l, READ_MAX, end);
	struct mf_room room = { in.p, in.n };
	mf_err err;

	if (!in.p)
		return MF_E_GONE;
	err = mf_tls_handshake_from(x->tls, &room);
	flush(x);
	if (err != MF_OK && err != MF_E_AGAIN)
		return fault(x, err);
	in = (struct mf_codec_in){ room.p, room.n };
	return mf_layer_keep(&x->l, in) ? err : MF_E_GONE;
}

static mf_err work(struct mf_layer *l, mf_nsec now)
{
	struct tls_layer *x = tls_of(l);
	ptrdiff_t end = 1;
	mf_err err = MF_OK;

	if (l->state == MF_LAYER_OPEN)
		return MF_OK;
	if (!x->tls)
		err = start(x);
	if (err != MF_OK)
		return err;
	do {
		err = shake_hands(x, &end);
	} while (err == MF_E_AGAIN && end > 0 && !l->error);
	if (err == MF_OK) {
		done(x, now);
		return MF_OK;
	}
	if (err != MF_E_AGAIN || end == MF_STREAM_ERR)
		return MF_E_GONE;
	if (end == MF_STREAM_EOF)
		return mf_layer_fault(l, MF_PROXY_TLS, "the server closes during the handshake");
	return MF_OK;
}

static void failed(struct mf_layer *l)
{
	if (l->state == MF_LAYER_WORKING && l->error == MF_STREAM_E_RESET)
		(void)mf_layer_fault(l, MF_PROXY_TLS, "the server resets during the handshake");
}

static enum mf_proxy_fault late(struct mf_layer *l)
{
	return l->state == MF_LAYER_WORKING ? MF_PROXY_TLS : MF_PROXY_TIMED_OUT;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static size_t write_layer(struct mf_layer *l, const struct mf_span *v, size_t n)
{
	struct tls_layer *x = tls_of(l);
	uint8_t *out = mf_layer_out(l);
	size_t taken, len;

	if (!out)
		return 0;
	taken = mf_tls_seal(x->tls, v, n, out, MF_LAYER_OUT_MAX, &len);
	if (!taken) {
		(void)fault(x, MF_E_MALFORMED); /* it has failed */
		return 0;
	}
	mf_layer_send(l, out, len);
	return taken;
}

/* The transport has ended, close_notify has not come. `rest`: a record's beginning has. */
static ptrdiff_t cut_off(struct tls_layer *x, bool rest)
{
	if (!rest && (config_of(x)->cut_is_end || !x->heard))
		return MF_STREAM_EOF;
	x->l.error = MF_STREAM_E_RESET;
	return MF_STREAM_ERR;
}

/* No more than there is room for, because what is left over must be copied twice, and held; but so
 * much that with what is held it is a record. */
static size_t wanted(const struct tls_layer *x, const struct mf_room *v, size_t n)
{
	size_t want = 0;

	for (size_t i = 0; i < n; i++)
		want += v[i].n;
	want = mf_min(mf_max(want, MF_TLS_RECORD_MAX), READ_MAX);
	if (mf_layer_pressed(&x->l))
		return mf_tls_missing(x->tls, mf_span(x->l.rest.p + x->l.rest.at, x->l.rest.n));
	return want - mf_min(want, x->l.rest.n);
}

/* *err: what mf_tls_open said; *end: what the layer below did. False: it has failed. */
static bool open_some(struct tls_layer *x, const struct mf_room *v, size_t n, size_t *got,
		      mf_err *err, ptrdiff_t *end)
{
	struct mf_codec_in in = mf_layer_fill(&x->l, wanted(x, v, n), end);
	struct mf_room room = { in.p, in.n };

	if (!in.p)
		return false;
	*err = mf_tls_open(x->tls, &room, v, n, got);
	flush(x);
	if (*err != MF_OK && *err != MF_E_GONE) {
		(void)fault(x, *err);
		return false;
	}
	return mf_layer_keep(&x->l, (struct mf_codec_in){ room.p, room.n });
}

static ptrdiff_t read_layer(struct mf_layer *l, const struct mf_room *v, size_t n)
{
	struct tls_layer *x = tls_of(l);
	ptrdiff_t end;
	size_t got;
	mf_err err;

	do {
		if (!open_some(x, v, n, &got, &err, &end))
			return MF_STREAM_ERR;
		if (got) {
			x->heard = true;
			/* Whatever ends it is said when it is read once more. */
			l->more = err == MF_E_GONE || *mf_tls_error(x->tls);
			return (ptrdiff_t)got;
		}
		if (err == MF_E_GONE)
			return MF_STREAM_EOF;
	} while (end > 0);
	return end == MF_STREAM_EOF ? cut_off(x, l->rest.n) : end;
}

/* ---- The end --------------------------------------------------------------------------------- */

static bool shut(struct mf_layer *l)
{
	struct tls_layer *x = tls_of(l);

	mf_tls_close(x->tls);
	flush(x);
	return false;
}

static void end_layer(struct mf_layer *l, bool reset)
{
	struct tls_layer *x = tls_of(l);

	if (x->tls && !reset) {
		mf_tls_close(x->tls);
		flush(x);
	}
	mf_tls_free(x->tls);
	x->tls = NULL;
}

static const struct mf_layer_ops ops = {
	.name = "tls",
	.ends_both = true,
	.size = sizeof(struct tls_layer),
	.work = work,
	.write = write_layer,
	.read = read_layer,
	.shutdown = shut,
	.end = end_layer,
	.failed = failed,
	.late = late,
};

void mf_tls_layer_init(struct mf_layer_outbound *o, const struct mf_tls_layer_config *cfg,
		       struct mf_layers *ls, struct mf_outbound *below,
		       struct mf_proxy_health *health, const char *iface, mf_nsec patience)
{
	mf_layer_outbound_init(o, &ops, ls, below, cfg, health, iface, patience);
}
