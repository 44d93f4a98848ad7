/* SPDX-License-Identifier: Apache-2.0
 *
 * quic - the ClientHello in a client's Initial packets (RFC 9000 17.2.2, RFC 9001 5, RFC 9369 3). They are
 * encrypted, with keys that everybody can derive from the connection id that the client chose first.
 *
 * After a Retry the client begins anew with the id that the server gave it, and the keys come from that one: an
 * Initial that the keys of the first id do not open is tried with those of its own.
 */
#include "base/cursor.h"
#include "crypto/cipher.h"
#include "crypto/hkdf.h"
#include "proto/sniff/internal.h"

#include <stdlib.h>

enum {
	PACKET_MAX = 9216, /* a jumbo frame */
	DATAGRAM_MIN = 1200,
	FIRST_DCID_MIN = 8, /* RFC 9000 7.2 */
	SAMPLE_OFF = 4,     /* from the packet number, RFC 9001 5.4.2 */
	KEY_LEN = 16,       /* AEAD_AES_128_GCM, RFC 9001 5.2 */
};

enum packet { INITIAL, ZERO_RTT, HANDSHAKE, RETRY };

enum frame {
	PADDING = 0x00,
	PING = 0x01,
	ACK = 0x02,
	ACK_ECN = 0x03,
	CRYPTO = 0x06,
	CONNECTION_CLOSE = 0x1c,
};

struct version {
	uint32_t number;
	uint8_t types[4]; /* enum packet by the type bits of a long header */
	uint8_t salt[20];
	const char *key, *iv, *hp; /* labels */
};

static const struct version versions[] = {
	{ 0x00000001,
	  { INITIAL, ZERO_RTT, HANDSHAKE, RETRY },
	  { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
	    0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a },
	  "quic key",
	  "quic iv",
	  "quic hp" },
	{ 0x6b3343cf,
	  { RETRY, INITIAL, ZERO_RTT, HANDSHAKE },
	  { 0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
	    0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9 },
	  "quicv2 key",
	  "quicv2 iv",
	  "quicv2 hp" },
};

struct mf_sniffer {
	struct mf_cipher *cipher;
	struct mf_hkdf_key salt[MF_ARRAY_LEN(versions)];
	/* The keys, and what they come from: most Initials of a connection come right after each other. */
	struct mf_cipher_key packet, header;
	const struct version *version;
	uint8_t dcid_len, dcid[MF_SNIFF_CID_MAX];
	uint8_t iv[MF_CIPHER_NONCE_LEN];
	uint8_t plain[PACKET_MAX]; /* a packet without its protection */
};

struct mf_sniffer *mf_sniffer_new(void)
{
	struct mf_sniffer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->cipher = mf_cipher_new();
	if (!s->cipher) {
		mf_sniffer_free(s);
		return NULL;
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(versions); i++)
		mf_hkdf_key_init(&s->salt[i], versions[i].salt, sizeof(versions[i].salt));
	return s;
}

void mf_sniffer_free(struct mf_sniffer *s)
{
	if (!s)
		return;
	mf_cipher_free(s->cipher);
	free(s);
}

/* ---- Headers --------------------------------------------------------------------------------------- */

/* A packet with a long header. */
struct packet_view {
	const struct version *version;
	enum packet type;
	struct mf_span dcid;
	struct mf_span whole;
	size_t number_off; /* where its number and all that is protected begins */
};

/* RFC 9000 16. */
static uint64_t varint(struct mf_rd *r)
{
	const uint8_t *first = mf_rd_bytes(r, 1);
	unsigned more = first ? (1u << (*first >> 6)) - 1 : 0;
	const uint8_t *p = mf_rd_bytes(r, more);
	uint64_t v = first ? *first & 0x3f : 0;

	for (unsigned i = 0; p && i < more; i++)
		v = v << 8 | p[i];
	return r->failed ? 0 : v;
}

static const uint8_t *bytes(struct mf_rd *r, uint64_t n)
{
	if (n > mf_rd_left(r)) {
		r->failed = true;
		return NULL;
	}
	return mf_rd_bytes(r, (size_t)n);
}

static const struct version *find_version(uint32_t number)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(versions); i++)
		if (versions[i].number == number)
			return &versions[i];
	return NULL;
}

static struct mf_span connection_id(struct mf_rd *r)
{
	size_t n = mf_rd_u8(r);

	if (n > MF_SNIFF_CID_MAX)
		r->failed = true;
	return mf_span(mf_rd_bytes(r, n), n);
}

/* The first packet in `in`; false: not one with a long header of a version that we know, or it lies about its
 * length. The bit that is fixed in RFC 9000 may be anything (RFC 9287). */
static bool parse(struct packet_view *p, struct mf_span in)
{
	struct mf_rd r = mf_rd_init(in);
	uint8_t first = mf_rd_u8(&r);
	uint64_t left;

	*p = (struct packet_view){ .version = find_version(mf_rd_be32(&r)) };
	if (r.failed || !(first & 0x80) || !p->version)
		return false;
	p->type = p->version->types[first >> 4 & 3];
	p->dcid = connection_id(&r);
	(void)connection_id(&r);
	if (p->type == INITIAL)
		(void)bytes(&r, varint(&r)); /* token */
	left = varint(&r);
	if (r.failed || p->type == RETRY || left > mf_rd_left(&r))
		return false;
	p->number_off = (size_t)(r.p - in.p);
	p->whole = mf_span(in.p, p->number_off + (size_t)left);
	return true;
}

bool mf_sniff_quic_begins(struct mf_span datagram)
{
	struct packet_view p;

	return datagram.n >= DATAGRAM_MIN && parse(&p, datagram) && p.type == INITIAL &&
	       p.dcid.n >= FIRST_DCID_MIN;
}

/* ---- Protection ------------------------------------------------------------------------------------ */

/* RFC 9001 5.2: the client's keys. */
static void load_keys(struct mf_sniffer *s, const struct version *v, struct mf_span dcid)
{
	struct mf_hkdf_key k;
	uint8_t secret[MF_HKDF_LEN], key[KEY_LEN], hp[KEY_LEN];

	if (s->version == v && s->dcid_len == dcid.n && !memcmp(s->dcid, dcid.p, dcid.n))
		return;
	mf_hkdf_hmac(secret, &s->salt[v - versions], dcid.p, dcid.n);
	mf_hkdf_key_init(&k, secret, sizeof(secret));
	mf_hkdf_expand_label(secret, sizeof(secret), &k, "client in");
	mf_hkdf_key_init(&k, secret, sizeof(secret));
	mf_hkdf_expand_label(key, sizeof(key), &k, v->key);
	mf_hkdf_expand_label(s->iv, sizeof(s->iv), &k, v->iv);
	mf_hkdf_expand_label(hp, sizeof(hp), &k, v->hp);
	mf_cipher_key_init(&s->packet, MF_AES_128_GCM, key);
	mf_cipher_key_init(&s->header, MF_AES_128_GCM, hp);
	s->version = v;
	s->dcid_len = (uint8_t)dcid.n;
	memcpy(s->dcid, dcid.p, dcid.n);
}

/* Opens the packet into s->plain with the keys of that id; *payload is its frames. */
static bool unseal(struct mf_sniffer *s, const struct packet_view *p, struct mf_span dcid,
		   struct mf_span *payload)
{
	uint8_t mask[MF_CIPHER_BLOCK], iv[MF_CIPHER_NONCE_LEN];
	size_t header = p->number_off;
	struct mf_room text;
	unsigned number_len;

	if (p->whole.n > sizeof(s->plain) || p->whole.n - p->number_off < SAMPLE_OFF + MF_CIPHER_BLOCK)
		return false;
	load_keys(s, p->version, dcid);
	mf_cipher_block_encrypt(s->cipher, &s->header, p->whole.p + p->number_off + SAMPLE_OFF, mask);
	memcpy(s->plain, p->whole.p, p->number_off + SAMPLE_OFF);
	s->plain[0] ^= mask[0] & 0x0f;
	number_len = (s->plain[0] & 3) + 1u;
	memcpy(iv, s->iv, sizeof(iv));
	/* The numbers of Initials are small: what is not sent of them is zero. */
	for (unsigned i = 0; i < number_len; i++, header++) {
		s->plain[header] ^= mask[1 + i];
		iv[sizeof(iv) - number_len + i] ^= s->plain[header];
	}
	text = (struct mf_room){ s->plain + header, p->whole.n - header - MF_CIPHER_TAG_LEN };
	*payload = mf_span(text.p, text.n);
	return mf_cipher_open(s->cipher, &s->packet, iv, mf_span(s->plain, header),
			      p->whole.p + header, p->whole.n - header, &text, 1);
}

static bool open_initial(struct mf_sniffer *s, struct mf_sniff_quic *q, const struct packet_view *p,
			 struct mf_span *payload)
{
	struct mf_span first = mf_span(q->dcid, q->dcid_len);

	if (first.n && unseal(s, p, first, payload))
		return true;
	if (first.n && first.n == p->dcid.n && !memcmp(first.p, p->dcid.p, first.n))
		return false;
	if (p->dcid.n < FIRST_DCID_MIN || !unseal(s, p, p->dcid, payload))
		return false;
	q->dcid_len = (uint8_t)p->dcid.n;
	memcpy(q->dcid, p->dcid.p, p->dcid.n);
	q->n_ranges = 0;
	return true;
}

/* ---- Frames ---------------------------------------------------------------------------------------- */

/* Notes that the bytes from `begin` to `end` are there. False: too many pieces. */
static bool note_range(struct mf_sniff_quic *q, size_t begin, size_t end)
{
	unsigned i = 0, n = q->n_ranges, join;

	while (i < n && q->have[i][1] < begin)
		i++;
	/* i .. join - 1 touch it. */
	for (join = i; join < n && q->have[join][0] <= end; join++) {
		begin = mf_min(begin, q->have[join][0]);
		end = mf_max(end, q->have[join][1]);
	}
	if (join == i && n == MF_SNIFF_RANGES)
		return false;
	memmove(q->have[i + 1], q->have[join], (n - join) * sizeof(q->have[0]));
	q->have[i][0] = (uint16_t)begin;
	q->have[i][1] = (uint16_t)end;
	q->n_ranges = (uint8_t)(n + 1 - (join - i));
	return true;
}

static bool crypto_frame(struct mf_sniff_quic *q, struct mf_rd *r)
{
	uint64_t at = varint(r), n = varint(r);
	const uint8_t *data = bytes(r, n);

	if (!data || n > sizeof(q->hello) || at > sizeof(q->hello) - n)
		return false;
	if (!n)
		return true;
	memcpy(q->hello + at, data, (size_t)n);
	return note_range(q, (size_t)at, (size_t)(at + n));
}

static void ack_frame(struct mf_rd *r, bool ecn)
{
	uint64_t ranges;

	(void)varint(r); /* largest acknowledged */
	(void)varint(r); /* delay */
	ranges = varint(r);
	(void)varint(r); /* first range */
	for (uint64_t i = 0; i < ranges && !r->failed; i++) {
		(void)varint(r); /* gap */
		(void)varint(r); /* range */
	}
	for (unsigned i = 0; ecn && i < 3; i++)
		(void)varint(r);
}

static void close_frame(struct mf_rd *r)
{
	(void)varint(r); /* error */
	(void)varint(r); /* type of frame */
	(void)bytes(r, varint(r));
}

/* PADDING frames are most of an Initial. */
static void skip_padding(struct mf_rd *r)
{
	uint64_t word = 0;

	for (; mf_rd_left(r) >= sizeof(word); r->p += sizeof(word)) {
		memcpy(&word, r->p, sizeof(word));
		if (word)
			break;
	}
	while (mf_rd_left(r) && *r->p == PADDING)
		r->p++;
}

/* The frames that an Initial may have (RFC 9000 12.4). False: others, or broken ones. */
static bool frames(struct mf_sniff_quic *q, struct mf_span in)
{
	struct mf_rd r = mf_rd_init(in);

	for (;;) {
		uint64_t type;

		skip_padding(&r);
		if (!mf_rd_left(&r))
			return !r.failed;
		type = varint(&r);
		if (type == CRYPTO) {
			if (!crypto_frame(q, &r))
				return false;
		} else if (type == ACK || type == ACK_ECN) {
			ack_frame(&r, type == ACK_ECN);
		} else if (type == CONNECTION_CLOSE) {
			close_frame(&r);
		} else if (type != PADDING && type != PING) {
			return false;
		}
	}
}

/* ---- Datagrams ------------------------------------------------------------------------------------- */

static enum mf_sniff_verdict read_hello(const struct mf_sniff_quic *q, struct mf_sniff_name *out)
{
	struct mf_span v = mf_span(q->hello, q->have[0][1]);
	struct mf_hello_carrier c = { .in = mf_pieces(&v, 1, v.n),
				      .max = sizeof(q->hello),
				      .protocol = "quic" };

	if (!q->n_ranges || q->have[0][0])
		return MF_SNIFF_MORE;
	return mf_sniff_hello(&c, out);
}

enum mf_sniff_verdict mf_sniff_quic(struct mf_sniffer *s, struct mf_sniff_quic *q,
				    struct mf_span datagram, struct mf_sniff_name *out)
{
	bool more = false; /* this may be only a part of it */
	struct packet_view p;
	enum mf_sniff_verdict v;

	*out = (struct mf_sniff_name){ 0 };
	if (q->datagrams == MF_SNIFF_INITIALS_MAX)
		return MF_SNIFF_NONE;
	q->datagrams++;
	while (datagram.n && parse(&p, datagram)) {
		struct mf_span payload;

		datagram = mf_span(datagram.p + p.whole.n, datagram.n - p.whole.n);
		more |= p.type == ZERO_RTT && q->dcid_len;
		if (p.type != INITIAL || !open_initial(s, q, &p, &payload))
			continue;
		more = true;
		if (!frames(q, payload))
			return MF_SNIFF_NONE;
	}
	if (!more)
		return MF_SNIFF_NONE;
	v = read_hello(q, out);
	return v == MF_SNIFF_MORE && q->datagrams == MF_SNIFF_INITIALS_MAX ? MF_SNIFF_NONE : v;
}
