/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vmess/body.h"

#include "base/endian.h"
#include "proto/vmess/header.h"

bool mf_vmess_body_sealed(const struct mf_vmess_body *b)
{
	return b->cipher != MF_VMESS_CIPHER_NONE;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* ChaCha20 wants 32 bytes: MD5 of the key, and MD5 of that. */
static void expand(struct mf_cipher_key *k, const uint8_t key[MF_VMESS_KEY_LEN])
{
	uint8_t twice[2 * MF_MD5_LEN];
	struct mf_span v = mf_span(key, MF_VMESS_KEY_LEN);

	mf_digest(MF_MD5, &v, 1, twice);
	v = mf_span(twice, MF_MD5_LEN);
	mf_digest(MF_MD5, &v, 1, twice + MF_MD5_LEN);
	mf_cipher_key_init(k, MF_CHACHA20_POLY1305, twice);
	mf_wipe(twice, sizeof(twice));
}

static void set_key(struct mf_cipher_key *k, uint8_t cipher, const uint8_t key[MF_VMESS_KEY_LEN])
{
	if (cipher == MF_VMESS_CIPHER_CHACHA20_POLY1305)
		expand(k, key);
	else
		mf_cipher_key_init(k, MF_AES_128_GCM, key);
}

/* ---- Directions ------------------------------------------------------------------------------ */

static void begin(const struct mf_vmess_body *b, struct mf_vmess_chunks *c, const uint8_t *key,
		  const uint8_t *iv)
{
	c->count = 0;
	memcpy(c->iv, iv + 2, sizeof(c->iv));
	if (mf_vmess_body_sealed(b))
		set_key(&c->key, b->cipher, key);
	if (b->option & (MF_VMESS_MASKED | MF_VMESS_PADDED))
		mf_shake128_init(&c->mask, iv, MF_VMESS_KEY_LEN);
}

void mf_vmess_body_init(struct mf_vmess_body *b, enum mf_vmess_cipher cipher, uint8_t option,
			const uint8_t key[MF_VMESS_KEY_LEN], const uint8_t iv[MF_VMESS_KEY_LEN])
{
	uint8_t length_key[MF_VMESS_KDF_LEN];

	b->cipher = (uint8_t)cipher;
	b->option = option;
	begin(b, &b->up, key, iv);
	if (!(option & MF_VMESS_SEALED_LENGTH))
		return;
	mf_vmess_kdf(length_key, key, "auth_len", NULL, 0);
	set_key(&b->length_key, b->cipher, length_key);
	memcpy(b->length_iv, iv + 2, sizeof(b->length_iv));
	mf_wipe(length_key, sizeof(length_key));
}

void mf_vmess_body_answer(struct mf_vmess_body *b, const uint8_t key[MF_VMESS_KEY_LEN],
			  const uint8_t iv[MF_VMESS_KEY_LEN])
{
	begin(b, &b->down, key, iv);
}

static uint16_t draw(struct mf_vmess_chunks *c)
{
	uint8_t b[2];

	mf_shake128_read(&c->mask, b, sizeof(b));
	return mf_load_be16(b);
}

/* The padding of the next chunk; drawn before the mask of its length. */
static size_t draw_padding(const struct mf_vmess_body *b, struct mf_vmess_chunks *c)
{
	return b->option & MF_VMESS_PADDED ? draw(c) % (MF_VMESS_PADDING_MAX + 1) : 0;
}

static void make_nonce(uint8_t nonce[MF_CIPHER_NONCE_LEN], uint16_t count, const uint8_t *iv)
{
	mf_store_be16(nonce, count);
	memcpy(nonce + 2, iv, MF_CIPHER_NONCE_LEN - 2);
}

static size_t tag_len(const struct mf_vmess_body *b)
{
	return mf_vmess_body_sealed(b) ? MF_CIPHER_TAG_LEN : 0;
}

/* ---- Sealing --------------------------------------------------------------------------------- */

size_t mf_vmess_body_length_len(const struct mf_vmess_body *b)
{
	return b->option & MF_VMESS_SEALED_LENGTH ? MF_VMESS_LENGTH_MAX : 2;
}

/* `len`: all that follows. A sealed length leaves out the tag, which is always there. */
static size_t put_length(struct mf_vmess_body *b, struct mf_cipher *cipher, size_t len, uint8_t *out)
{
	struct mf_span plain = mf_span(out, 2);
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	if (b->option & MF_VMESS_SEALED_LENGTH) {
		mf_store_be16(out, (uint16_t)(len - MF_CIPHER_TAG_LEN));
		make_nonce(nonce, b->up.count, b->length_iv);
		mf_cipher_seal(cipher, &b->length_key, nonce, mf_span(NULL, 0), &plain, 1, out);
	} else {
		mf_store_be16(out,
			      (uint16_t)(len ^ (b->option & MF_VMESS_MASKED ? draw(&b->up) : 0)));
	}
	return mf_vmess_body_length_len(b);
}

static size_t put_payload(struct mf_vmess_body *b, struct mf_cipher *cipher,
			  const struct mf_span *v, size_t n, size_t size, uint8_t *out)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	if (!mf_vmess_body_sealed(b))
		return mf_codec_gather(v, n, out, size);
	make_nonce(nonce, b->up.count, b->up.iv);
	mf_cipher_seal(cipher, &b->up.key, nonce, mf_span(NULL, 0), v, n, out);
	return size + MF_CIPHER_TAG_LEN;
}

size_t mf_vmess_body_seal(struct mf_vmess_body *b, struct mf_cipher *cipher, const struct mf_rng *rng,
			  const struct mf_span *v, size_t n, size_t size, uint8_t *out)
{
	size_t padding = draw_padding(b, &b->up), at;

	MF_ASSERT(size <= MF_VMESS_PAYLOAD_MAX);
	at = put_length(b, cipher, size + tag_len(b) + padding, out);
	at += put_payload(b, cipher, v, n, size, out + at);
	b->up.count++;
	if (padding)
		rng->fill(rng->ctx, out + at, padding);
	return at + padding;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static mf_err get_sealed_length(struct mf_vmess_body *b, struct mf_cipher *cipher,
				const uint8_t *in, size_t *len)
{
	uint8_t plain[2], nonce[MF_CIPHER_NONCE_LEN];
	const struct mf_room room = { .p = plain, .n = sizeof(plain) };

	make_nonce(nonce, b->down.count, b->length_iv);
	if (!mf_cipher_open(cipher, &b->length_key, nonce, mf_span(NULL, 0), in,
			    MF_VMESS_LENGTH_MAX, &room, 1))
		return MF_E_AUTH;
	*len = (size_t)mf_load_be16(plain) + MF_CIPHER_TAG_LEN;
	return MF_OK;
}

mf_err mf_vmess_body_length(struct mf_vmess_body *b, struct mf_cipher *cipher, const uint8_t *in,
			    struct mf_vmess_chunk *out)
{
	size_t tail = tag_len(b) + draw_padding(b, &b->down), len;
	mf_err e = MF_OK;

	if (b->option & MF_VMESS_SEALED_LENGTH)
		e = get_sealed_length(b, cipher, in, &len);
	else
		len = mf_load_be16(in) ^ (b->option & MF_VMESS_MASKED ? draw(&b->down) : 0u);
	if (e)
		return e;
	if (len < tail)
		return MF_E_MALFORMED;
	out->payload = (uint32_t)(len - tail);
	out->tail = (uint32_t)tail;
	return MF_OK;
}

bool mf_vmess_body_open(struct mf_vmess_body *b, struct mf_cipher *cipher, const uint8_t *src,
			struct mf_vmess_chunk chunk, const struct mf_room *v, size_t n)
{
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	make_nonce(nonce, b->down.count++, b->down.iv);
	return mf_cipher_open(cipher, &b->down.key, nonce, mf_span(NULL, 0), src,
			      chunk.payload + MF_CIPHER_TAG_LEN, v, n);
}
