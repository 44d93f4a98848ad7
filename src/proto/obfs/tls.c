/* SPDX-License-Identifier: Apache-2.0
 *
 * tls - a ClientHello (RFC 8446 4.1.2) whose session ticket (RFC 5077 3.2) is the first payload,
 * then records of application data. The server answers with a ServerHello and a ChangeCipherSpec,
 * then records with payload.
 */
#include "proto/obfs/internal.h"

#include "base/endian.h"

enum {
	RECORD_HEAD = 5, /* type, version, length */
	RECORD_MAX = 1 << 14,
	HANDSHAKE = 22,
	CHANGE_CIPHER_SPEC = 20,
	APPLICATION_DATA = 23,
	CLIENT_HELLO = 1,
	SESSION_ID_LEN = 32,
	TICKET = 0x23,
	SERVER_NAME = 0,
	/* More payload than a ticket holds in practice goes into a record of its own. */
	TICKET_MAX = 1024,
	HELLO_MAX = 400 + MF_OBFS_HOST_MAX + TICKET_MAX,
	SERVER_RECORDS = 2, /* without payload, in front */
};
static_assert((int)HELLO_MAX <= (int)MF_CODEC_OUT_MIN, "the hello fits in any room");

/* What OpenSSL 1.1.0 offers; compression: none. */
static const uint8_t suites[] = {
	0x00, 0x38, 0xc0, 0x2c, 0xc0, 0x30, 0x00, 0x9f, 0xcc, 0xa9, 0xcc, 0xa8, 0xcc, 0xaa, 0xc0,
	0x2b, 0xc0, 0x2f, 0x00, 0x9e, 0xc0, 0x24, 0xc0, 0x28, 0x00, 0x6b, 0xc0, 0x23, 0xc0, 0x27,
	0x00, 0x67, 0xc0, 0x0a, 0xc0, 0x14, 0x00, 0x39, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x33, 0x00,
	0x9d, 0x00, 0x9c, 0x00, 0x3d, 0x00, 0x3c, 0x00, 0x35, 0x00, 0x2f, 0x00, 0xff, 0x01, 0x00,
};
static_assert(sizeof(suites) == 2 + 28 * 2 + 2, "28 cipher suites");

/* Its other extensions: formats of points, groups, signature algorithms, encrypt-then-MAC,
 * extended master secret. */
static const uint8_t extensions[] = {
	0x00, 0x0b, 0x00, 0x04, 0x03, 0x01, 0x00, 0x02, /* ec_point_formats */
	0x00, 0x0a, 0x00, 0x0a, 0x00, 0x08, 0x00, 0x1d, 0x00, 0x17, 0x00, 0x19, 0x00,
	0x18, 0x00, 0x0d, 0x00, 0x20, 0x00, 0x1e, 0x06, 0x01, 0x06, 0x02, 0x06, 0x03,
	0x05, 0x01, 0x05, 0x02, 0x05, 0x03, 0x04, 0x01, 0x04, 0x02, 0x04, 0x03, 0x03,
	0x01, 0x03, 0x02, 0x03, 0x03, 0x02, 0x01, 0x02, 0x02, 0x02, 0x03, /* signature_algorithms */
	0x00, 0x16, 0x00, 0x00, 0x00, 0x17, 0x00, 0x00,
};
static_assert(sizeof(extensions) == 66, "as the program writes them");

/* ---- What we send ---------------------------------------------------------------------------- */

static uint8_t *put16(uint8_t *p, size_t v)
{
	mf_store_be16(p, (uint16_t)v);
	return p + 2;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static uint8_t *put_record_head(uint8_t *p, uint8_t type, uint8_t minor, size_t n)
{
	*p++ = type;
	*p++ = 3;
	*p++ = minor;
	return put16(p, n);
}

/* RFC 6066 3 */
static uint8_t *put_server_name(uint8_t *p, const char *host)
{
	size_t n = strlen(host);

	p = put16(p, SERVER_NAME);
	p = put16(p, n + 5);
	p = put16(p, n + 3);
	*p++ = 0; /* a host name */
	p = put16(p, n);
	return put(p, host, n);
}

/* Time, 28 random bytes, and a session. */
static uint8_t *put_random(const struct mf_codec_env *env, uint8_t *p)
{
	mf_store_be32(p, (uint32_t)env->wall(env->ctx));
	env->rng.fill(env->rng.ctx, p + 4, 28);
	p[32] = SESSION_ID_LEN;
	env->rng.fill(env->rng.ctx, p + 33, SESSION_ID_LEN);
	return p + 33 + SESSION_ID_LEN;
}

/* Writes the hello with the first of the payload in it; returns how much that is. */
static size_t put_hello(const struct mf_obfs *o, const struct mf_span *v, size_t n, uint8_t **out)
{
	uint8_t *record = *out, *hello = record + RECORD_HEAD, *body = hello + 4, *p = body, *list;
	size_t taken;

	p = put16(p, 0x0303);
	p = put_random(o->codec.env, p);
	p = put(p, suites, sizeof(suites));
	list = p;
	p += 2; /* the length of the extensions */
	p = put16(p, TICKET);
	taken = mf_codec_gather(v, n, p + 2, TICKET_MAX);
	p = put16(p, taken) + taken;
	p = put_server_name(p, o->config->host);
	p = put(p, extensions, sizeof(extensions));
	put16(list, (size_t)(p - list) - 2);
	hello[0] = CLIENT_HELLO;
	hello[1] = 0;
	put16(hello + 2, (size_t)(p - body));
	put_record_head(record, HANDSHAKE, 1, (size_t)(p - hello));
	*out = p;
	return taken;
}

/* Payload from byte `at` of the spans on. */
static size_t gather(const struct mf_span *v, size_t n, size_t at, uint8_t *out, size_t room)
{
	struct mf_span first;
	size_t k;

	for (; n && at >= v->n; n--)
		at -= v++->n;
	if (!n)
		return 0;
	first = mf_span(v->p + at, v->n - at);
	k = mf_codec_gather(&first, 1, out, room);
	return k + mf_codec_gather(v + 1, n - 1, out + k, room - k);
}

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	uint8_t *p = out, *end = out + room;
	size_t taken = 0, k;

	if (!codec->begun) {
		codec->begun = true;
		taken = put_hello(mf_obfs_of(codec), v, n, &p);
	}
	while (end - p > RECORD_HEAD) {
		k = gather(v, n, taken, p + RECORD_HEAD,
			   mf_min((size_t)(end - p) - RECORD_HEAD, RECORD_MAX));
		if (!k)
			break;
		p = put_record_head(p, APPLICATION_DATA, 3, k) + k;
		taken += k;
	}
	*len = (size_t)(p - out);
	return taken;
}

/* ---- What comes ------------------------------------------------------------------------------ */

/* The next record's header. The first two are what the server puts in front; later ones may have
 * any type. */
static mf_err next_record(struct mf_obfs *o, struct mf_codec_in *in)
{
	static const uint8_t types[SERVER_RECORDS] = { HANDSHAKE, CHANGE_CIPHER_SPEC };

	if (in->p[1] != 3 || (o->records < SERVER_RECORDS && in->p[0] != types[o->records]))
		return mf_codec_fail(&o->codec, MF_E_MALFORMED, MF_PROXY_TRANSPORT);
	o->left = mf_load_be16(in->p + 3);
	o->records = (uint8_t)mf_min(o->records + 1u, SERVER_RECORDS + 1);
	mf_codec_skip(in, RECORD_HEAD);
	return MF_OK;
}

/* Up to n bytes of `in` into the rooms, from byte `at` of them on; how many. */
static size_t scatter(struct mf_codec_in *in, size_t n, const struct mf_room *v, size_t n_rooms,
		      size_t at)
{
	struct mf_codec_in part = { in->p, mf_min(n, in->n) };
	size_t done = 0;

	for (size_t i = 0; i < n_rooms; i++) {
		if (at >= v[i].n) {
			at -= v[i].n;
			continue;
		}
		done += mf_codec_scatter(&part, &(struct mf_room){ v[i].p + at, v[i].n - at }, 1);
		at = 0;
	}
	mf_codec_skip(in, done);
	return done;
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	struct mf_obfs *o = mf_obfs_of(codec);
	size_t used = 1;

	*got = 0;
	while (used) {
		used = 0;
		if (o->left && o->records <= SERVER_RECORDS) {
			used = mf_min(o->left, in->n);
			mf_codec_skip(in, used);
		} else if (o->left) {
			used = scatter(in, o->left, v, n, *got);
			*got += used;
		}
		o->left -= (uint32_t)used;
		if (!o->left && in->n >= RECORD_HEAD) {
			mf_err e = next_record(o, in);

			if (e) {
				*got = 0;
				return e;
			}
			used = RECORD_HEAD;
		}
	}
	return MF_OK;
}

const struct mf_codec_ops mf_obfs_tls = {
	.name = "obfs-tls",
	.seal = seal,
	.open = open,
	.wipe = mf_codec_no_keys,
};
