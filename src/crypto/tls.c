/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - a connection's bytes once the handshake is done: records (tls_record.h) between the
 * caller's memory, or two queues of ours in place of a socket, and the few messages that come
 * between them.
 *
 * Nothing of an idle connection's buffers is kept: a proxy has many of them. What a server can make
 * us do without giving us payload is bounded: so many records in a row and no more.
 */
#include "crypto/tls_internal.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/endian.h"

enum {
	/* mf_tls_write wants less than this outgoing. */
	OUT_ENOUGH = 1 << 16,
	IDLE_MAX = 32, /* records in a row without payload */
	/* Records under one key (RFC 8446 5.5: 2^24.5 of AES-GCM). */
	REKEY_AFTER = 1 << 24,
	KEY_UPDATE_SEALED = MF_TLS_OVERHEAD + 5,
};

/* What tls.h promises. */
static_assert((int)MF_TLS_RECORD_MAX == MF_TLS_HEADER_LEN + MF_TLS_SEALED_MAX,
	      "the longest record");
static_assert(MF_TLS_SEALED(0) >= KEY_UPDATE_SEALED && MF_TLS_OVERHEAD <= 32 &&
		      KEY_UPDATE_SEALED + MF_TLS_OVERHEAD <= 64,
	      "room for a record of n bytes and a KeyUpdate");
static_assert((int)MF_TLS_SEAL_SPANS < MF_TLS_SPANS, "so many spans make one record");

enum message { HELLO_REQUEST = 0, NEW_SESSION_TICKET = 4, KEY_UPDATE = 24 };

/* RFC 8446 6. */
enum alert {
	CLOSE_NOTIFY = 0,
	UNEXPECTED_MESSAGE = 10,
	BAD_RECORD_MAC = 20,
	RECORD_OVERFLOW = 22,
	ILLEGAL_PARAMETER = 47,
	DECODE_ERROR = 50,
	INTERNAL_ERROR = 80,
	USER_CANCELED = 90,
	NO_RENEGOTIATION = 100,
};
enum { WARNING = 1, FATAL = 2 };

/* ---- Queues ---------------------------------------------------------------------------------- */

/* Makes room for n bytes behind those that are there. */
static bool queue_reserve(struct mf_tls_queue *q, size_t n)
{
	size_t cap;
	uint8_t *p;

	if (q->at + q->n + n <= q->cap)
		return true;
	if (q->n)
		memmove(q->p, q->p + q->at, q->n);
	q->at = 0;
	if (q->n + n <= q->cap)
		return true;
	cap = mf_max(q->n + n, (size_t)q->cap * 2);
	p = cap <= UINT32_MAX ? realloc(q->p, cap) : NULL;
	if (!p)
		return false;
	q->p = p;
	q->cap = (uint32_t)cap;
	return true;
}

bool mf_tls_queue_add(struct mf_tls_queue *q, const void *bytes, size_t n)
{
	if (!n)
		return true;
	if (!queue_reserve(q, n))
		return false;
	memcpy(q->p + q->at + q->n, bytes, n);
	q->n += (uint32_t)n;
	return true;
}

static void queue_drop(struct mf_tls_queue *q, size_t n)
{
	MF_ASSERT(n <= q->n);
	q->at += (uint32_t)n;
	q->n -= (uint32_t)n;
	if (q->n)
		return;
	free(q->p);
	*q = (struct mf_tls_queue){ 0 };
}

/* ---- Beginning, end and failure -------------------------------------------------------------- */

struct mf_tls *mf_tls_new(struct mf_tls_context *c, const char *name, const char *alpn)
{
	struct mf_tls *t = calloc(1, sizeof(*t));
	bool ok;

	if (!t)
		return NULL;
	t->context = c;
	ERR_clear_error();
	ok = mf_tls_shake_new(t, name, alpn);
	ERR_clear_error();
	if (ok)
		return t;
	mf_tls_free(t);
	return NULL;
}

void mf_tls_free(struct mf_tls *t)
{
	if (!t)
		return;
	mf_tls_shake_free(t);
	mf_tls_half_wipe(&t->tx);
	mf_tls_half_wipe(&t->rx);
	free(t->in.p);
	free(t->out.p);
	free(t->error);
	free(t);
}

mf_err mf_tls_fail(struct mf_tls *t, mf_err e, const char *fmt, ...)
{
	va_list ap;

	t->failed = true;
	if (!t->error)
		t->error = calloc(1, sizeof(*t->error));
	if (!t->error)
		return e;
	va_start(ap, fmt);
	(void)vsnprintf(t->error->text, sizeof(t->error->text), fmt, ap);
	va_end(ap);
	return e;
}

/* Without memory it is not said. */
static void say(struct mf_tls *t, uint8_t level, enum alert what)
{
	uint8_t alert[2] = { level, (uint8_t)what };
	struct mf_span v = mf_span(alert, sizeof(alert));

	if (queue_reserve(&t->out, sizeof(alert) + MF_TLS_OVERHEAD))
		t->out.n += (uint32_t)mf_tls_record_seal(t->context->cipher, &t->tx, MF_TLS_ALERT,
							 &v, 1, t->out.p + t->out.at + t->out.n);
}

/* The server has broken the protocol. */
static mf_err break_off(struct mf_tls *t, enum alert what, const char *why)
{
	if (!t->closed)
		say(t, FATAL, what);
	mf_tls_shake_free(t);
	return mf_tls_fail(t, MF_E_MALFORMED, "TLS failed: %s", why);
}

void mf_tls_close(struct mf_tls *t)
{
	if (!t->done || t->failed || t->closed)
		return;
	t->closed = true;
	say(t, WARNING, CLOSE_NOTIFY);
}

struct mf_span mf_tls_outgoing(const struct mf_tls *t)
{
	return t->out.n ? mf_span(t->out.p + t->out.at, t->out.n) : mf_span(NULL, 0);
}

void mf_tls_sent(struct mf_tls *t, size_t n)
{
	queue_drop(&t->out, n);
}

const char *mf_tls_alpn(const struct mf_tls *t)
{
	return t->alpn;
}

const char *mf_tls_error(const struct mf_tls *t)
{
	if (!t->failed)
		return "";
	return t->error ? t->error->text : "TLS failed: out of memory";
}

/* ---- Sealing --------------------------------------------------------------------------------- */

/* Where payload comes from. */
struct source {
	const struct mf_span *v;
	size_t n, at; /* spans left, and how many bytes of the first have gone */
};

/* Takes up to `max` bytes, as pieces. Returns how many bytes. */
static size_t take(struct source *s, size_t max, struct mf_span part[MF_TLS_SPANS], size_t *n_part)
{
	size_t total = 0;

	*n_part = 0;
	while (s->n && total < max && *n_part < MF_TLS_SPANS - 1) {
		size_t n = mf_min(s->v->n - s->at, max - total);

		if (n)
			part[(*n_part)++] = mf_span(s->v->p + s->at, n);
		total += n;
		s->at += n;
		if (s->at < s->v->n)
			continue;
		s->v++;
		s->n--;
		s->at = 0;
	}
	return total;
}

/* Our next generation of keys, said with the last one's (RFC 8446 4.6.3). */
static size_t seal_key_update(struct mf_tls *t, uint8_t *out)
{
	static const uint8_t message[] = { KEY_UPDATE, 0, 0, 1, 0 };
	struct mf_span v = mf_span(message, sizeof(message));
	size_t n = mf_tls_record_seal(t->context->cipher, &t->tx, MF_TLS_HANDSHAKE, &v, 1, out);

	t->owes_update = false;
	if (!mf_tls_half_update(&t->tx))
		(void)mf_tls_fail(t, MF_E_NO_MEMORY, "TLS failed: out of memory");
	return n;
}

static size_t seal(struct mf_tls *t, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len)
{
	struct source source = { v, n, 0 };
	struct mf_span part[MF_TLS_SPANS];
	size_t taken = 0, carried, n_part;

	*len = 0;
	while (!t->failed && source.n) {
		size_t left = room - *len;

		if (t->tx.secret_len && t->tx.seq >= REKEY_AFTER)
			t->owes_update = true;
		if (t->owes_update) {
			if (left < KEY_UPDATE_SEALED)
				break;
			*len += seal_key_update(t, out + *len);
			continue;
		}
		if (left <= MF_TLS_OVERHEAD)
			break;
		carried = take(&source, mf_min(left - MF_TLS_OVERHEAD, MF_TLS_PLAIN_MAX), part,
			       &n_part);
		if (!carried)
			break;
		*len += mf_tls_record_seal(t->context->cipher, &t->tx, MF_TLS_DATA, part, n_part,
					   out + *len);
		taken += carried;
	}
	return taken;
}

size_t mf_tls_seal(struct mf_tls *t, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		   size_t *len)
{
	*len = 0;
	if (t->failed || t->closed)
		return 0;
	MF_ASSERT(t->done && !t->out.n);
	return seal(t, v, n, out, room, len);
}

mf_err mf_tls_write(struct mf_tls *t, struct mf_span in)
{
	size_t room = MF_TLS_SEALED(in.n), len;

	if (t->failed || t->closed)
		return MF_E_GONE;
	if (in.n > MF_TLS_WRITE_MAX)
		return MF_E_RANGE;
	if (!t->done || t->out.n >= OUT_ENOUGH)
		return MF_E_AGAIN;
	if (!in.n)
		return MF_OK;
	if (!queue_reserve(&t->out, room))
		return MF_E_NO_MEMORY;
	if (seal(t, &in, 1, t->out.p + t->out.at + t->out.n, room, &len) != in.n)
		return MF_E_NO_MEMORY; /* it has failed */
	t->out.n += (uint32_t)len;
	return MF_OK;
}

/* ---- What is not payload --------------------------------------------------------------------- */

/* A record's content: pieces of memory, in their order. */
struct content {
	enum mf_tls_type type;
	struct mf_span v[MF_TLS_SPANS];
	size_t n, len;
};

static mf_err take_alert(struct mf_tls *t, const struct content *c)
{
	uint8_t b[2] = { 0 };
	size_t have = 0;

	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->v[i].n && have < sizeof(b); k++)
			b[have++] = c->v[i].p[k];
	if (c->len != sizeof(b))
		return break_off(t, DECODE_ERROR, "an alert has not two bytes");
	if (b[1] == CLOSE_NOTIFY) {
		t->ended = true;
		return MF_OK;
	}
	/* TLS 1.3 has no warnings but this one (RFC 8446 6.1). */
	if (b[1] == USER_CANCELED || (!t->tx.secret_len && b[0] == WARNING))
		return MF_OK;
	mf_tls_shake_free(t);
	return mf_tls_fail(t, MF_E_MALFORMED, "TLS failed: the server says \"%s\"",
			   SSL_alert_desc_string_long(b[1]));
}

/* `last`: the message's only byte is the record's last, too. */
static mf_err update_keys(struct mf_tls *t, uint8_t request, bool last)
{
	if (!last)
		return break_off(t, UNEXPECTED_MESSAGE, "bytes after a KeyUpdate");
	if (request > 1)
		return break_off(t, ILLEGAL_PARAMETER, "a KeyUpdate that says neither yes nor no");
	/* One answer is enough for any number of them. */
	t->owes_update = t->owes_update || request;
	return mf_tls_half_update(&t->rx) ? MF_OK : break_off(t, INTERNAL_ERROR, "out of memory");
}

/* A message's header is there. */
static mf_err begin_message(struct mf_tls *t)
{
	uint32_t len = mf_load_be32(t->header) & 0xffffff;
	bool is_13 = t->tx.secret_len;

	t->message_left = len;
	if (!is_13 && t->header[0] == HELLO_REQUEST && !len) {
		if (!t->closed)
			say(t, WARNING, NO_RENEGOTIATION);
		t->n_header = 0;
		return MF_OK;
	}
	if (is_13 && t->header[0] == KEY_UPDATE && len == 1)
		return MF_OK;
	if (is_13 && t->header[0] == NEW_SESSION_TICKET && len)
		return MF_OK;
	return break_off(t, UNEXPECTED_MESSAGE, "a message of the handshake after its end");
}

/* n bytes of messages, `more` than which are in their record. Tickets are skipped here. */
static mf_err take_messages(struct mf_tls *t, const uint8_t *p, size_t n, bool more)
{
	mf_err err = MF_OK;

	while (n && !err) {
		size_t skip = 1;

		if (t->n_header < sizeof(t->header)) {
			t->header[t->n_header++] = *p;
			if (t->n_header == sizeof(t->header))
				err = begin_message(t);
		} else {
			skip = mf_min(n, t->message_left);
			t->message_left -= (uint32_t)skip;
			if (!t->message_left)
				t->n_header = 0;
			if (t->header[0] == KEY_UPDATE)
				err = update_keys(t, *p, n == 1 && !more);
		}
		p += skip;
		n -= skip;
	}
	return err;
}

static mf_err take_content(struct mf_tls *t, const struct content *c)
{
	mf_err err = MF_OK;
	size_t seen = 0;

	t->idle = c->type == MF_TLS_DATA && c->len ? 0 : (uint8_t)(t->idle + 1);
	if (t->idle > IDLE_MAX)
		return break_off(t, UNEXPECTED_MESSAGE, "too many records without payload");
	if (c->type != MF_TLS_HANDSHAKE && t->n_header)
		return break_off(t, UNEXPECTED_MESSAGE, "a message is interrupted");
	switch (c->type) {
	case MF_TLS_DATA:
		return MF_OK;
	case MF_TLS_ALERT:
		return take_alert(t, c);
	case MF_TLS_HANDSHAKE:
		for (size_t i = 0; i < c->n && !err; i++) {
			seen += c->v[i].n;
			err = take_messages(t, c->v[i].p, c->v[i].n, seen < c->len);
		}
		return err;
	default:
		return break_off(t, UNEXPECTED_MESSAGE, "a record of an unknown type");
	}
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Where payload goes. */
struct sink {
	const struct mf_room *v;
	size_t n, at; /* rooms left, and how many bytes of the first are full */
	size_t got;
};

/* The first `want` bytes of what is free, as pieces. False: so much is not free, or in too many. */
static bool find_room(const struct sink *s, size_t want, struct mf_room part[MF_TLS_SPANS],
		      size_t *n_part)
{
	size_t at = s->at;

	*n_part = 0;
	for (size_t i = 0; i < s->n && want && *n_part < MF_TLS_SPANS - 1; i++, at = 0) {
		size_t n = mf_min(s->v[i].n - at, want);

		if (n)
			part[(*n_part)++] = (struct mf_room){ s->v[i].p + at, n };
		want -= n;
	}
	return !want;
}

static void fill(struct sink *s, size_t n)
{
	s->got += n;
	while (s->n && n >= s->v->n - s->at) {
		n -= s->v->n - s->at;
		s->at = 0;
		s->v++;
		s->n--;
	}
	s->at += n;
}

static size_t copy(struct sink *s, const uint8_t *p, size_t n)
{
	size_t done = 0;

	while (s->n && done < n) {
		size_t part = mf_min(n - done, s->v->n - s->at);

		memcpy(s->v->p + s->at, p + done, part);
		done += part;
		fill(s, part);
	}
	return done;
}

/* Payload that has been opened where it is. */
static void take_plain(struct mf_tls *t, struct mf_room *in, struct sink *s)
{
	size_t n = copy(s, in->p, t->plain);

	t->plain -= (uint32_t)n;
	if (!t->plain)
		n += t->useless;
	in->p += n;
	in->n -= n;
}

/* Opens the record of `len` bytes at the front of `in`, into the sink if it fits. */
static mf_err open_record(struct mf_tls *t, struct mf_room *in, size_t len, struct sink *s,
			  struct content *c)
{
	struct mf_cipher *cipher = t->context->cipher;
	struct mf_room part[MF_TLS_SPANS];
	size_t n;
	mf_err err;

	*c = (struct content){ .n = 1 };
	if (!find_room(s, mf_tls_record_room(&t->rx, len), part, &n)) {
		err = mf_tls_record_open_in_place(cipher, &t->rx, in->p, len, &c->type, &c->v[0]);
		c->len = c->v[0].n;
		if (!err && c->type == MF_TLS_DATA && c->len) {
			size_t before = (size_t)(c->v[0].p - in->p);

			t->plain = (uint32_t)c->len;
			t->useless = (uint32_t)(len - before - c->len);
			len = before;
		}
	} else {
		size_t left;

		err = mf_tls_record_open(cipher, &t->rx, in->p, len, part, n, &c->type, &c->len);
		left = err ? 0 : c->len;
		for (c->n = 0; left; left -= c->v[c->n++].n)
			c->v[c->n] = mf_span(part[c->n].p, mf_min(part[c->n].n, left));
		if (!err && c->type == MF_TLS_DATA)
			fill(s, c->len);
	}
	in->p += len;
	in->n -= len;
	return err;
}

/* The record is a ticket or part of one, as far as its first byte tells. */
static bool is_ticket(const struct mf_tls *t, const struct content *c)
{
	return c->type == MF_TLS_HANDSHAKE && !t->n_header && c->len &&
	       c->v[0].p[0] == NEW_SESSION_TICKET;
}

/* The same while tickets are waited for: a copy of the record is shown to OpenSSL. */
static mf_err open_watched(struct mf_tls *t, struct mf_room *in, size_t len, struct sink *s,
			   struct content *c)
{
	uint8_t record[4096];
	bool fits = len <= sizeof(record);
	mf_err err;

	if (fits)
		memcpy(record, in->p, len);
	err = open_record(t, in, len, s, c);
	if (!err && fits && is_ticket(t, c))
		mf_tls_shake_ticket(t, record, len);
	else
		mf_tls_shake_free(t);
	return err;
}

static mf_err refuse(struct mf_tls *t, mf_err err)
{
	switch (err) {
	case MF_E_AUTH:
		return break_off(t, BAD_RECORD_MAC, "a record has been tampered with");
	case MF_E_RANGE:
		return break_off(t, RECORD_OVERFLOW, "a record is too long");
	default:
		return break_off(t, UNEXPECTED_MESSAGE, "what comes is no record");
	}
}

static mf_err open_next(struct mf_tls *t, struct mf_room *in, struct sink *s)
{
	struct content c;
	size_t len;
	mf_err err = mf_tls_record_check(&t->rx, in->p, in->n, &len);

	if (err == MF_E_SHORT)
		return err;
	if (!err)
		err = t->shake ? open_watched(t, in, len, s, &c) : open_record(t, in, len, s, &c);
	return err ? refuse(t, err) : take_content(t, &c);
}

static mf_err open_all(struct mf_tls *t, struct mf_room *in, const struct mf_room *v, size_t n,
		       size_t *got)
{
	struct sink sink = { .v = v, .n = n };
	mf_err err = MF_OK;

	fill(&sink, 0);
	while (!err && !t->failed && sink.n) {
		if (t->plain)
			take_plain(t, in, &sink);
		else if (t->ended)
			err = MF_E_GONE;
		else if (t->done)
			err = open_next(t, in, &sink);
		else
			break;
	}
	*got = sink.got;
	/* What came before the mistake was good; what came after it is not asked for. */
	if (t->failed)
		return sink.got ? MF_OK : MF_E_MALFORMED;
	return err == MF_E_SHORT ? MF_OK : err;
}

mf_err mf_tls_open(struct mf_tls *t, struct mf_room *in, const struct mf_room *v, size_t n,
		   size_t *got)
{
	MF_ASSERT(!t->in.n); /* what has been fed comes before */
	return open_all(t, in, v, n, got);
}

size_t mf_tls_missing(const struct mf_tls *t, struct mf_span left)
{
	size_t want = MF_TLS_HEADER_LEN;

	if (t->plain)
		return 0;
	if (left.n >= MF_TLS_HEADER_LEN)
		want += mf_min(mf_load_be16(left.p + 3), MF_TLS_SEALED_MAX);
	return want - mf_min(want, left.n);
}

/* ---- With memory of its own ------------------------------------------------------------------ */

mf_err mf_tls_feed(struct mf_tls *t, struct mf_span in)
{
	if (t->failed)
		return MF_E_GONE;
	if (in.n > MF_TLS_BACKLOG_MAX - t->in.n)
		return MF_E_FULL;
	return mf_tls_queue_add(&t->in, in.p, in.n) ? MF_OK : MF_E_NO_MEMORY;
}

static struct mf_room fed(const struct mf_tls *t)
{
	return (struct mf_room){ t->in.n ? t->in.p + t->in.at : NULL, t->in.n };
}

mf_err mf_tls_handshake(struct mf_tls *t)
{
	struct mf_room in = fed(t);
	mf_err err = mf_tls_handshake_from(t, &in);

	queue_drop(&t->in, t->in.n - in.n);
	return err;
}

ptrdiff_t mf_tls_read(struct mf_tls *t, uint8_t *out, size_t n, bool *end)
{
	struct mf_room in = fed(t), room = { out, n };
	size_t got;
	mf_err err;

	*end = false;
	if (t->failed)
		return MF_E_GONE;
	err = open_all(t, &in, &room, 1, &got);
	queue_drop(&t->in, t->in.n - in.n);
	*end = err == MF_E_GONE && !got;
	return err && err != MF_E_GONE ? (ptrdiff_t)err : (ptrdiff_t)got;
}
