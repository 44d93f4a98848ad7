/* SPDX-License-Identifier: Apache-2.0
 *
 * hello - the server name in a ClientHello (RFC 8446 4.1.2, RFC 6066 3), read where it lies: nothing is copied
 * but numbers and the name. All extensions must be there before there is a verdict: one of them may say that
 * the name is hidden, and their order is random.
 */
#include "base/endian.h"
#include "proto/sniff/internal.h"

enum {
	CONTENT_HANDSHAKE = 22,
	RECORD_MAX = 16384,
	CLIENT_HELLO = 1,
	EXT_SERVER_NAME = 0,
	EXT_ENCRYPTED_CLIENT_HELLO = 0xfe0d,
	NAME_TYPE_HOST = 0,
	ECH_OUTER = 0,
};

struct hello {
	struct mf_hello_carrier *c;
	size_t left; /* of what is being read: nothing in it may reach further */
	/* Set once, then everything reads as zero. */
	bool stopped;
	enum mf_sniff_verdict why;
	bool named, hidden;
	size_t n;
	char name[MF_SNIFF_NAME_MAX + 1];
};

static void stop(struct hello *h, enum mf_sniff_verdict why)
{
	if (!h->stopped)
		h->why = why;
	h->stopped = true;
}

/* The header of the next record. */
static void next_record(struct hello *h)
{
	struct mf_hello_carrier *c = h->c;
	uint8_t b[5];

	if (!mf_pieces_take(&c->in, b, sizeof(b))) {
		stop(h, MF_SNIFF_MORE);
		return;
	}
	c->record_left = mf_load_be16(b + 3);
	if (b[0] != CONTENT_HANDSHAKE || b[1] != 3 || !c->record_left || c->record_left > RECORD_MAX)
		stop(h, MF_SNIFF_NONE);
}

/* The next n bytes of the message to `to`, which may be NULL. */
static void get(struct hello *h, void *to, size_t n)
{
	uint8_t *o = to;

	if (n > h->left)
		stop(h, MF_SNIFF_NONE);
	while (n && !h->stopped) {
		struct mf_hello_carrier *c = h->c;
		size_t k = n;

		if (c->records) {
			if (!c->record_left)
				next_record(h);
			k = h->stopped ? 0 : mf_min(n, c->record_left);
			c->record_left -= k;
		}
		if (!h->stopped && !mf_pieces_take(&c->in, o, k))
			stop(h, MF_SNIFF_MORE);
		n -= k;
		h->left -= k;
		if (o)
			o += k;
	}
}

/* A number of so many bytes. */
static size_t number(struct hello *h, size_t bytes)
{
	uint8_t b[3] = { 0 };
	size_t v = 0;

	get(h, b, bytes);
	for (size_t i = 0; i < bytes && !h->stopped; i++)
		v = v << 8 | b[i];
	return v;
}

/* Passes over what begins with its length. */
static void skip_vector(struct hello *h, size_t bytes)
{
	get(h, NULL, number(h, bytes));
}

/* The first name of type host_name. */
static void server_name(struct hello *h)
{
	size_t list = number(h, 2);

	if (list != h->left)
		stop(h, MF_SNIFF_NONE);
	while (h->left && !h->stopped) {
		size_t type = number(h, 1), n = number(h, 2);
		bool ours = type == NAME_TYPE_HOST && !h->named && !h->stopped;

		if (ours && n > sizeof(h->name))
			stop(h, MF_SNIFF_NONE);
		get(h, ours ? h->name : NULL, n);
		if (ours) {
			h->named = true;
			h->n = n;
		}
	}
}

static void extension(struct hello *h)
{
	size_t type = number(h, 2), n = number(h, 2), behind = h->left - n;

	if (n > h->left)
		stop(h, MF_SNIFF_NONE);
	if (h->stopped)
		return;
	h->left = n;
	if (type == EXT_SERVER_NAME)
		server_name(h);
	else if (type == EXT_ENCRYPTED_CLIENT_HELLO && n)
		h->hidden |= number(h, 1) == ECH_OUTER;
	get(h, NULL, h->left);
	h->left = behind;
}

static void body(struct hello *h)
{
	size_t extensions;

	get(h, NULL, 2 + 32); /* legacy_version, random */
	skip_vector(h, 1);    /* legacy_session_id */
	skip_vector(h, 2);    /* cipher_suites */
	skip_vector(h, 1);    /* legacy_compression_methods */
	if (h->stopped || !h->left)
		return;
	extensions = number(h, 2);
	if (extensions != h->left)
		stop(h, MF_SNIFF_NONE);
	while (h->left && !h->stopped)
		extension(h);
}

enum mf_sniff_verdict mf_sniff_hello(struct mf_hello_carrier *c, struct mf_sniff_name *out)
{
	struct hello h = { .c = c, .left = 4 };
	bool good;

	*out = (struct mf_sniff_name){ 0 };
	if (number(&h, 1) != CLIENT_HELLO)
		stop(&h, MF_SNIFF_NONE);
	h.left = number(&h, 3);
	if (h.left > c->max - 4)
		stop(&h, MF_SNIFF_NONE);
	body(&h);
	if (h.stopped)
		return h.why;
	good = h.named && mf_sniff_name_set(out, h.name, h.n, c->protocol);
	if (!h.hidden)
		return good ? MF_SNIFF_NAME : MF_SNIFF_NONE;
	out->protocol = c->protocol;
	return MF_SNIFF_HIDDEN;
}

enum mf_sniff_verdict mf_sniff_tls(struct mf_pieces in, struct mf_sniff_name *out)
{
	struct mf_hello_carrier c = {
		.in = in, .records = true, .max = MF_SNIFF_STREAM_MAX, .protocol = "tls"
	};

	return mf_sniff_hello(&c, out);
}
