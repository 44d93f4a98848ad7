/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vmess/header.h"

#include "base/endian.h"

enum { VERSION = 1, KDF_MORE_MAX = MF_NESTED_HMAC_KEYS_MAX - 2 };

void mf_vmess_kdf(uint8_t out[MF_VMESS_KDF_LEN], const uint8_t key[MF_VMESS_KEY_LEN],
		  const char *purpose, const struct mf_span *more, size_t n)
{
	struct mf_span keys[MF_NESTED_HMAC_KEYS_MAX] = { mf_span("VMess AEAD KDF", 14),
							 mf_span(purpose, strlen(purpose)) };

	MF_ASSERT(n <= KDF_MORE_MAX);
	for (size_t i = 0; i < n; i++)
		keys[2 + i] = more[i];
	mf_nested_hmac(out, keys, 2 + n, mf_span(key, MF_VMESS_KEY_LEN));
}

/* ---- Keys of one message --------------------------------------------------------------------- */

struct once {
	struct mf_cipher_key key;
	uint8_t nonce[MF_CIPHER_NONCE_LEN];
};

/* What key and nonce are made of: 16 bytes and a purpose each. */
struct origin {
	const uint8_t *bytes;
	const char *purpose;
};

static void derive(struct once *o, struct origin key, struct origin nonce,
		   const struct mf_span *more, size_t n)
{
	uint8_t out[MF_VMESS_KDF_LEN];

	mf_vmess_kdf(out, key.bytes, key.purpose, more, n);
	mf_cipher_key_init_once(&o->key, MF_AES_128_GCM, out);
	mf_vmess_kdf(out, nonce.bytes, nonce.purpose, more, n);
	memcpy(o->nonce, out, sizeof(o->nonce));
	mf_wipe(out, sizeof(out));
}

/* ---- The request ----------------------------------------------------------------------------- */

/* CRC-32 of IEEE 802.3, of so few bytes that a table does not pay. */
static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* FNV-1a. */
static uint32_t fnv32(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

/* One block of AES: the time, four random bytes, and a checksum of both. */
static void put_auth_id(const struct mf_vmess_request *r, const struct mf_vmess_config *cfg,
			struct mf_cipher *cipher, uint8_t out[MF_VMESS_AUTH_ID_LEN])
{
	mf_store_be64(out, r->wall);
	memcpy(out + 8, r->fresh.auth, sizeof(r->fresh.auth));
	mf_store_be32(out + 12, crc32(out, 12));
	mf_cipher_block_encrypt(cipher, &cfg->auth_id_key, out, out);
}

static size_t put_plain(const struct mf_vmess_request *r, uint8_t *out)
{
	size_t padding = r->fresh.padding_n & 15, at = 0;

	out[at++] = VERSION;
	memcpy(out + at, r->fresh.iv, MF_VMESS_KEY_LEN);
	at += MF_VMESS_KEY_LEN;
	memcpy(out + at, r->fresh.key, MF_VMESS_KEY_LEN);
	at += MF_VMESS_KEY_LEN;
	out[at++] = r->fresh.verify;
	out[at++] = r->option;
	out[at++] = (uint8_t)(padding << 4 | r->cipher);
	out[at++] = 0;
	out[at++] = r->command;
	at += mf_target_put_v2(r->to, out + at);
	memcpy(out + at, r->fresh.padding, padding);
	at += padding;
	mf_store_be32(out + at, fnv32(out, at));
	return at + 4;
}

/* Seals n bytes in place. */
static void seal(const struct once *o, struct mf_cipher *cipher, struct mf_span aad, uint8_t *p,
		 size_t n)
{
	const struct mf_span plain = mf_span(p, n);

	mf_cipher_seal(cipher, &o->key, o->nonce, aad, &plain, 1, p);
}

size_t mf_vmess_request_seal(const struct mf_vmess_request *r, const struct mf_vmess_config *cfg,
			     struct mf_cipher *cipher, uint8_t *out)
{
	uint8_t *length = out + MF_VMESS_AUTH_ID_LEN, *nonce = length + 2 + MF_CIPHER_TAG_LEN;
	uint8_t *header = nonce + MF_VMESS_NONCE_LEN;
	const struct mf_span id = mf_span(out, MF_VMESS_AUTH_ID_LEN);
	const struct mf_span more[] = { id, mf_span(nonce, MF_VMESS_NONCE_LEN) };
	size_t n = put_plain(r, header);
	struct once o;

	put_auth_id(r, cfg, cipher, out);
	memcpy(nonce, r->fresh.nonce, MF_VMESS_NONCE_LEN);
	mf_store_be16(length, (uint16_t)n);
	derive(&o, (struct origin){ cfg->key, "VMess Header AEAD Key_Length" },
	       (struct origin){ cfg->key, "VMess Header AEAD Nonce_Length" }, more, 2);
	seal(&o, cipher, id, length, 2);
	derive(&o, (struct origin){ cfg->key, "VMess Header AEAD Key" },
	       (struct origin){ cfg->key, "VMess Header AEAD Nonce" }, more, 2);
	seal(&o, cipher, id, header, n);
	mf_wipe(&o, sizeof(o));
	return (size_t)(header - out) + n + MF_CIPHER_TAG_LEN;
}

/* ---- The answer ------------------------------------------------------------------------------ */

void mf_vmess_answer_key(uint8_t out[MF_VMESS_KEY_LEN], const uint8_t in[MF_VMESS_KEY_LEN])
{
	const struct mf_span v = mf_span(in, MF_VMESS_KEY_LEN);
	uint8_t hash[MF_SHA256_LEN];

	mf_digest(MF_SHA256, &v, 1, hash);
	memcpy(out, hash, MF_VMESS_KEY_LEN);
	mf_wipe(hash, sizeof(hash));
}

/* Opens n bytes and a tag in place. */
static bool open(struct mf_cipher *cipher, struct origin key, struct origin iv, uint8_t *p, size_t n)
{
	const struct mf_room room = { .p = p, .n = n };
	struct once o;
	bool ok;

	derive(&o, key, iv, NULL, 0);
	ok = mf_cipher_open(cipher, &o.key, o.nonce, mf_span(NULL, 0), p, n + MF_CIPHER_TAG_LEN,
			    &room, 1);
	mf_wipe(&o, sizeof(o));
	return ok;
}

mf_err mf_vmess_reply_length(struct mf_cipher *cipher, const uint8_t key[MF_VMESS_KEY_LEN],
			     const uint8_t iv[MF_VMESS_KEY_LEN], uint8_t *in, size_t *len)
{
	if (!open(cipher, (struct origin){ key, "AEAD Resp Header Len Key" },
		  (struct origin){ iv, "AEAD Resp Header Len IV" }, in, 2))
		return MF_E_AUTH;
	*len = mf_load_be16(in);
	return *len < MF_VMESS_REPLY_MIN || *len > MF_VMESS_REPLY_MAX ? MF_E_MALFORMED : MF_OK;
}

/* V, options, the command and how long it is. Commands are for clients that let the server choose
 * their next port: they are left out. */
mf_err mf_vmess_reply_open(struct mf_cipher *cipher, const uint8_t key[MF_VMESS_KEY_LEN],
			   const uint8_t iv[MF_VMESS_KEY_LEN], uint8_t *in, size_t len,
			   uint8_t verify)
{
	if (!open(cipher, (struct origin){ key, "AEAD Resp Header Key" },
		  (struct origin){ iv, "AEAD Resp Header IV" }, in, len))
		return MF_E_AUTH;
	return in[0] == verify && in[3] <= len - MF_VMESS_REPLY_MIN ? MF_OK : MF_E_MALFORMED;
}
