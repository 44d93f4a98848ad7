/* SPDX-License-Identifier: Apache-2.0
 *
 * hello - see hello.h.
 */
#include "support/hello.h"

#include "base/endian.h"
#include "crypto/cipher.h"
#include "crypto/hkdf.h"

void hello_add(struct hello_bytes *o, const void *p, size_t n)
{
	MF_ASSERT(n <= sizeof(o->b) - o->n);
	if (n)
		memcpy(o->b + o->n, p, n);
	o->n += n;
}

void hello_number(struct hello_bytes *o, uint64_t v, size_t bytes)
{
	uint8_t b[8];

	mf_store_be64(b, v);
	hello_add(o, b + 8 - bytes, bytes);
}

static void zeros(struct hello_bytes *o, size_t n)
{
	MF_ASSERT(n <= sizeof(o->b) - o->n);
	memset(o->b + o->n, 0, n);
	o->n += n;
}

/* Where a length of so many bytes will stand; `close` writes it. */
static size_t open_vector(struct hello_bytes *o, size_t bytes)
{
	zeros(o, bytes);
	return o->n;
}

static void close_vector(struct hello_bytes *o, size_t begin, size_t bytes)
{
	uint8_t b[8];

	mf_store_be64(b, o->n - begin);
	memcpy(o->b + begin - bytes, b + 8 - bytes, bytes);
}

static void server_name(struct hello_bytes *o, const struct hello_shape *s)
{
	size_t n = s->name_len ? s->name_len : strlen(s->name);

	hello_number(o, 0, 2);
	hello_number(o, n + 5, 2);
	hello_number(o, n + 3, 2);
	hello_number(o, s->name_type, 1);
	hello_number(o, n, 2);
	hello_add(o, s->name, n);
}

static void extensions(struct hello_bytes *o, const struct hello_shape *s)
{
	static const uint8_t versions[] = { 0, 43, 0, 7, 6, 0x8a, 0x8a, 3, 4, 3, 3 };

	hello_number(o, 0x1a1a0000, 4); /* GREASE, empty */
	if (s->name && !s->name_last)
		server_name(o, s);
	hello_add(o, versions, sizeof(versions));
	hello_number(o, 51, 2); /* key_share */
	hello_number(o, s->key_share + 6, 2);
	hello_number(o, s->key_share + 4, 2);
	hello_number(o, 0x11ec, 2); /* X25519MLKEM768 */
	hello_number(o, s->key_share, 2);
	zeros(o, s->key_share);
	if (s->ech || s->ech_inner) {
		hello_number(o, 0xfe0d, 2);
		hello_number(o, s->ech ? 100 : 1, 2);
		hello_number(o, !s->ech, 1);
		zeros(o, s->ech ? 99 : 0);
	}
	if (s->name && s->name_last)
		server_name(o, s);
}

void hello_make(struct hello_bytes *o, const struct hello_shape *s)
{
	static const uint8_t ciphers[] = { 0, 6, 0x2a, 0x2a, 0x13, 1, 0x13, 2 };
	size_t begin, ext;

	o->n = 0;
	hello_number(o, 1, 1);
	begin = open_vector(o, 3);
	hello_number(o, 0x0303, 2);
	zeros(o, 32);
	hello_number(o, 32, 1);
	zeros(o, 32);
	hello_add(o, ciphers, sizeof(ciphers));
	hello_number(o, 0x0100, 2); /* no compression */
	if (!s->no_extensions) {
		ext = open_vector(o, 2);
		extensions(o, s);
		close_vector(o, ext, 2);
	}
	close_vector(o, begin, 3);
}

void hello_records(struct hello_bytes *o, const struct hello_bytes *hello, size_t max)
{
	o->n = 0;
	for (size_t at = 0; at < hello->n;) {
		size_t n = mf_min(max, hello->n - at);

		hello_number(o, 0x160301, 3);
		hello_number(o, n, 2);
		hello_add(o, hello->b + at, n);
		at += n;
	}
}

void hello_varint(struct hello_bytes *o, uint64_t v)
{
	size_t bytes = v < 64 ? 1 : v < 16384 ? 2 : v < 1u << 30 ? 4 : 8;
	uint64_t log = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;

	hello_number(o, v | log << (8 * bytes - 2), bytes);
}

void hello_crypto(struct hello_bytes *o, const struct hello_bytes *hello, size_t at, size_t n)
{
	MF_ASSERT(at + n <= hello->n);
	hello_varint(o, 6);
	hello_varint(o, at);
	hello_varint(o, n);
	hello_add(o, hello->b + at, n);
}

/* The client's keys, said once more and in another way than src/proto/sniff does. */
struct keys {
	uint8_t key[16], iv[12], hp[16];
};

static void derive(struct keys *k, uint32_t version, struct mf_span dcid)
{
	static const uint8_t salt1[] = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17"
				       "\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
	static const uint8_t salt2[] = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93"
				       "\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
	bool one = version == HELLO_QUIC_V1;
	struct mf_hkdf_key prepared;
	uint8_t secret[MF_HKDF_LEN];

	mf_hkdf_key_init(&prepared, one ? salt1 : salt2, 20);
	mf_hkdf_hmac(secret, &prepared, dcid.p, dcid.n);
	mf_hkdf_key_init(&prepared, secret, sizeof(secret));
	mf_hkdf_expand_label(secret, sizeof(secret), &prepared, "client in");
	mf_hkdf_key_init(&prepared, secret, sizeof(secret));
	mf_hkdf_expand_label(k->key, 16, &prepared, one ? "quic key" : "quicv2 key");
	mf_hkdf_expand_label(k->iv, 12, &prepared, one ? "quic iv" : "quicv2 iv");
	mf_hkdf_expand_label(k->hp, 16, &prepared, one ? "quic hp" : "quicv2 hp");
}

static void protect(const struct keys *k, uint8_t *packet, size_t number_off, size_t number_len,
		    uint32_t number, size_t payload)
{
	struct mf_cipher *c = mf_cipher_new();
	uint8_t mask[16], iv[12], *text = packet + number_off + number_len;
	struct mf_span plain = mf_span(text, payload);
	struct mf_cipher_key key, hp;

	MF_ASSERT(c);
	mf_cipher_key_init(&key, MF_AES_128_GCM, k->key);
	mf_cipher_key_init(&hp, MF_AES_128_GCM, k->hp);
	memcpy(iv, k->iv, sizeof(iv));
	mf_store_be32(iv + 8, mf_load_be32(iv + 8) ^ number);
	mf_cipher_seal(c, &key, iv, mf_span(packet, number_off + number_len), &plain, 1, text);
	mf_cipher_block_encrypt(c, &hp, packet + number_off + 4, mask);
	packet[0] ^= mask[0] & 0x0f;
	for (size_t i = 0; i < number_len; i++)
		packet[number_off + i] ^= mask[1 + i];
	mf_cipher_free(c);
}

void hello_initial(struct hello_bytes *o, const struct hello_initial *p)
{
	size_t begin = o->n, payload = mf_max(p->payload, p->frames.n), number_off;
	uint8_t type = p->version == HELLO_QUIC_V1 ? 0xc0 : 0xd0;
	struct keys k;

	hello_number(o, type | (p->number_len - 1u), 1);
	hello_number(o, p->version, 4);
	hello_number(o, p->dcid.n, 1);
	hello_add(o, p->dcid.p, p->dcid.n);
	hello_number(o, p->scid.n, 1);
	hello_add(o, p->scid.p, p->scid.n);
	hello_varint(o, p->token.n);
	hello_add(o, p->token.p, p->token.n);
	hello_number(o, 0x4000 | (p->number_len + payload + MF_CIPHER_TAG_LEN), 2);
	number_off = o->n - begin;
	hello_number(o, p->number, p->number_len);
	hello_add(o, p->frames.p, p->frames.n);
	zeros(o, payload - p->frames.n + MF_CIPHER_TAG_LEN);
	derive(&k, p->version, p->keys_from);
	protect(&k, o->b + begin, number_off, p->number_len, p->number, payload);
}
