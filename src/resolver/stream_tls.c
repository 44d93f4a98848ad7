/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_tls - TLS between a stream of DNS and its server, for DNS over TLS (RFC 7858) and over
 * HTTPS (RFC 8484).
 *
 * Bytes are fetched only when all that came before has been read, so that at the end of a stream
 * nothing is left behind; and no more of them than `in` has room for, so that a server cannot make
 * us keep what nobody takes. A stream that ends without close_notify has just ended: what is on top
 * has lengths of its own and sees whether something is missing.
 */
#include "crypto/tls.h"
#include "resolver/internal.h"

enum { PIECE = 4096 };

static void fail(struct mf_dns_stream *x)
{
	const struct mf_transport *t = x->transport;

	mf_count(&t->count->tls_failed, 1);
	mf_logf(t->env->log, MF_LOG_WARN, "DNS server %s: %s", t->server->text, mf_tls_error(x->tls));
	mf_dns_stream_fail(x, MF_TRANSPORT_TLS);
}

static bool open_tls(struct mf_dns_stream *x, const char *name, const char *alpn)
{
	struct mf_tls_context *c = x->transport->env->tls;

	x->tls = c ? mf_tls_new(c, name, alpn) : NULL;
	return x->tls;
}

/* What is outgoing leaves as far as the outbound takes it. */
static void flush(struct mf_dns_stream *x)
{
	struct mf_span out = mf_tls_outgoing(x->tls);

	if (out.n)
		mf_tls_sent(x->tls, mf_dns_stream_put(x, out));
}

static void close_tls(struct mf_dns_stream *x)
{
	if (!x->tls)
		return;
	if (x->state == MF_DNS_STREAM_READY) {
		mf_tls_close(x->tls);
		flush(x);
	}
	mf_tls_free(x->tls);
	x->tls = NULL;
}

static bool alive(const struct mf_dns_stream *x)
{
	return x->state == MF_DNS_STREAM_HANDSHAKE || x->state == MF_DNS_STREAM_READY;
}

/* False: nothing has come. */
static bool fetch(struct mf_dns_stream *x)
{
	bool handshake = x->state == MF_DNS_STREAM_HANDSHAKE;
	uint8_t piece[PIECE];
	size_t n = mf_dns_stream_get(x, (struct mf_room){ piece, sizeof(piece) });

	if (x->state == MF_DNS_STREAM_ENDED && handshake)
		mf_dns_stream_fail(x, MF_TRANSPORT_TLS);
	if (!n)
		return false;
	if (mf_tls_feed(x->tls, mf_span(piece, n)) != MF_OK)
		mf_dns_stream_fail(x, MF_TRANSPORT_RESOURCES);
	return true;
}

/* False: it is not done yet, or has failed. */
static bool shake_hands(struct mf_dns_stream *x)
{
	mf_err err;

	if (x->state == MF_DNS_STREAM_READY)
		return true;
	err = mf_tls_handshake(x->tls);
	if (err == MF_OK) {
		x->state = MF_DNS_STREAM_READY;
		return true;
	}
	if (err != MF_E_AGAIN) {
		flush(x); /* the alert */
		fail(x);
	}
	return false;
}

/* True: all that has been fetched has been read, and there is room for more. */
static bool decrypt(struct mf_dns_stream *x)
{
	struct mf_room room;

	while ((room = mf_dns_stream_room(x)).n) {
		bool end;
		ptrdiff_t n = mf_tls_read(x->tls, room.p, room.n, &end);

		if (n > 0) {
			mf_dns_stream_filled(x, (size_t)n);
			continue;
		}
		if (end)
			x->state = MF_DNS_STREAM_ENDED;
		else if (n < 0)
			fail(x);
		return !end && n == 0;
	}
	return false;
}

static void encrypt(struct mf_dns_stream *x)
{
	struct mf_span waiting = mf_dns_stream_waiting(x);

	if (!waiting.n || mf_tls_write(x->tls, waiting) != MF_OK)
		return; /* until something has left; that it has failed is seen when it is read */
	mf_dns_stream_written(x, waiting.n);
}

static void run_tls(struct mf_dns_stream *x)
{
	bool more = true;

	while (more && alive(x)) {
		more = !shake_hands(x) || decrypt(x);
		if (!alive(x))
			break;
		if (x->state == MF_DNS_STREAM_READY)
			encrypt(x);
		flush(x);
		more = more && fetch(x);
	}
}

const struct mf_dns_layer mf_dns_layer_tls = {
	.open = open_tls,
	.close = close_tls,
	.run = run_tls,
};
