/* SPDX-License-Identifier: Apache-2.0 */
#include "support/vserver.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/endian.h"

enum { TAG = 16, BLOCK = 64, LEVELS_MAX = 4, TEXT_MAX = BLOCK + 256, REQUEST_MAX = 1024 };
enum { CHUNKS = 1, MASKED = 4, PADDED = 8, SEALED_LENGTH = 16 };
enum { AES = 3, CHACHA = 4, NONE = 5 };

/* ---- Bytes ----------------------------------------------------------------------------------- */

void vserver_bytes_add(struct vserver_bytes *b, const void *p, size_t n)
{
	if (b->at == b->n)
		b->at = b->n = 0;
	if (!b->p || b->cap - b->n < n) {
		b->cap = 2 * (b->n + n) + 64;
		b->p = realloc(b->p, b->cap);
		MF_ASSERT(b->p);
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

struct mf_span vserver_bytes_take(struct vserver_bytes *b, size_t most)
{
	struct mf_span s = mf_span(NULL, mf_min(most, b->n - b->at));

	if (s.n)
		s.p = b->p + b->at;
	b->at += s.n;
	return s;
}

/* ---- Primitives ------------------------------------------------------------------------------ */

static void digest(const EVP_MD *md, const void *p, size_t n, uint8_t *out)
{
	MF_ASSERT(EVP_Digest(p, n, out, NULL, md, NULL) == 1);
}

static void hash(const struct mf_span *key, size_t n, struct mf_span msg, uint8_t out[32]);

/* The inner or outer hash of HMAC with the last key, over the hash function of the keys before. */
static void half(const struct mf_span *key, size_t n, uint8_t pad, struct mf_span msg,
		 uint8_t out[32])
{
	const struct mf_span k = key[n - 1];
	uint8_t text[TEXT_MAX] = { 0 };

	MF_ASSERT(BLOCK + msg.n <= sizeof(text));
	if (k.n > BLOCK)
		hash(key, n - 1, k, text);
	else
		memcpy(text, k.p, k.n);
	for (size_t i = 0; i < BLOCK; i++)
		text[i] ^= pad;
	memcpy(text + BLOCK, msg.p, msg.n);
	hash(key, n - 1, mf_span(text, BLOCK + msg.n), out);
}

static void hash(const struct mf_span *key, size_t n, struct mf_span msg, uint8_t out[32])
{
	uint8_t inner[32];

	if (!n) {
		digest(EVP_sha256(), msg.p, msg.n, out);
		return;
	}
	half(key, n, 0x36, msg, inner);
	half(key, n, 0x5c, mf_span(inner, sizeof(inner)), out);
}

void vserver_kdf(uint8_t out[32], struct mf_span msg, const struct mf_span *path, size_t n)
{
	struct mf_span key[LEVELS_MAX] = { mf_span("VMess AEAD KDF", 14) };

	MF_ASSERT(n < LEVELS_MAX);
	for (size_t i = 0; i < n; i++)
		key[1 + i] = path[i];
	hash(key, 1 + n, msg, out);
}

static void kdf(uint8_t out[32], const uint8_t key[16], const char *purpose, struct mf_span a,
		struct mf_span b)
{
	const struct mf_span path[] = { mf_span(purpose, strlen(purpose)), a, b };

	vserver_kdf(out, mf_span(key, 16), path, a.n ? 3 : 1);
}

static const EVP_CIPHER *cipher_of(uint8_t security)
{
	return security == CHACHA ? EVP_chacha20_poly1305() : EVP_aes_128_gcm();
}

static void seal(uint8_t security, const uint8_t *key, const uint8_t *nonce, struct mf_span aad,
		 struct mf_span in, struct vserver_bytes *to)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *out = malloc(in.n + TAG);
	int n = 0;

	MF_ASSERT(c && out);
	MF_ASSERT(EVP_EncryptInit_ex(c, cipher_of(security), NULL, key, nonce) == 1);
	MF_ASSERT(!aad.n || EVP_EncryptUpdate(c, NULL, &n, aad.p, (int)aad.n) == 1);
	MF_ASSERT(!in.n || EVP_EncryptUpdate(c, out, &n, in.p, (int)in.n) == 1);
	MF_ASSERT(EVP_EncryptFinal_ex(c, out + in.n, &n) == 1);
	MF_ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, out + in.n) == 1);
	vserver_bytes_add(to, out, in.n + TAG);
	EVP_CIPHER_CTX_free(c);
	free(out);
}

/* `in` has the tag; `out` takes in.n - TAG bytes. */
static bool open(uint8_t security, const uint8_t *key, const uint8_t *nonce, struct mf_span aad,
		 struct mf_span in, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t plain = in.n - TAG;
	uint8_t tag[TAG];
	int n = 0;
	bool ok;

	MF_ASSERT(c && in.n >= TAG);
	memcpy(tag, in.p + plain, TAG);
	MF_ASSERT(EVP_DecryptInit_ex(c, cipher_of(security), NULL, key, nonce) == 1);
	MF_ASSERT(!aad.n || EVP_DecryptUpdate(c, NULL, &n, aad.p, (int)aad.n) == 1);
	MF_ASSERT(!plain || EVP_DecryptUpdate(c, out, &n, in.p, (int)plain) == 1);
	MF_ASSERT(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1);
	ok = EVP_DecryptFinal_ex(c, out + plain, &n) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

/* The next 16 bits of SHAKE128 of the IV, which is made again, twice as long, when it is used
 * up. */
static uint16_t draw(struct vserver_way *w)
{
	EVP_MD_CTX *c;

	if (w->mask_at == w->mask_n) {
		w->mask_n = w->mask_n ? 2 * w->mask_n : 1024;
		free(w->mask);
		w->mask = malloc(w->mask_n);
		c = EVP_MD_CTX_new();
		MF_ASSERT(w->mask && c && EVP_DigestInit_ex(c, EVP_shake128(), NULL) == 1);
		MF_ASSERT(EVP_DigestUpdate(c, w->iv, sizeof(w->iv)) == 1);
		MF_ASSERT(EVP_DigestFinalXOF(c, w->mask, w->mask_n) == 1);
		EVP_MD_CTX_free(c);
	}
	w->mask_at += 2;
	return mf_load_be16(w->mask + w->mask_at - 2);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void body_key(uint8_t out[32], uint8_t security, const uint8_t key[16])
{
	memcpy(out, key, 16);
	if (security != CHACHA)
		return;
	digest(EVP_md5(), key, 16, out);
	digest(EVP_md5(), out, 16, out + 16);
}

static void begin_way(struct vserver *s, struct vserver_way *w, const uint8_t key[16],
		      const uint8_t iv[16])
{
	body_key(w->key, s->security, key);
	memcpy(w->iv, iv, 16);
}

static void answer_key(uint8_t out[16], const uint8_t in[16])
{
	uint8_t sha[32];

	digest(EVP_sha256(), in, 16, sha);
	memcpy(out, sha, 16);
}

static void make_nonce(uint8_t nonce[12], uint16_t count, const uint8_t iv[16])
{
	memcpy(nonce, iv, 12);
	mf_store_be16(nonce, count);
}

/* Key and nonce of a sealed length: of the request in both directions. */
static void length_keys(const struct vserver *s, const struct vserver_way *w, uint8_t key[32],
			uint8_t nonce[12])
{
	uint8_t derived[32];

	kdf(derived, s->key, "auth_len", mf_span(NULL, 0), mf_span(NULL, 0));
	body_key(key, s->security, derived);
	make_nonce(nonce, w->count, s->iv);
}

/* ---- The request ----------------------------------------------------------------------------- */

static bool refuse(struct vserver *s, const char *why)
{
	s->why = why;
	return false;
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = 0;

	/* Bit by bit, most significant first, on reversed bits. */
	for (size_t i = 0; i < 8 * n + 32; i++) {
		uint32_t in = i < 8 * n ? p[i / 8] >> i % 8 & 1 : 0;
		bool out = crc >> 31;

		if (i < 32)
			in ^= 1;
		crc = (crc << 1 | in) ^ (out ? 0x04c11db7u : 0);
	}
	for (uint32_t i = 0, back = crc; i < 32; i++, back >>= 1)
		crc = crc << 1 | (back & 1);
	return ~crc;
}

static bool open_auth_id(struct vserver *s, const uint8_t id[16])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t key[32], plain[32];
	int n = 0;

	kdf(key, s->cmd_key, "AES Auth ID Encryption", mf_span(NULL, 0), mf_span(NULL, 0));
	MF_ASSERT(c && EVP_DecryptInit_ex(c, EVP_aes_128_ecb(), NULL, key, NULL) == 1);
	MF_ASSERT(EVP_CIPHER_CTX_set_padding(c, 0) == 1);
	MF_ASSERT(EVP_DecryptUpdate(c, plain, &n, id, 16) == 1 && n == 16);
	EVP_CIPHER_CTX_free(c);
	s->stamp = mf_load_be64(plain);
	return mf_load_be32(plain + 12) == crc32(plain, 12) || refuse(s, "auth id");
}

static bool open_part(struct vserver *s, const char *key_path, const char *nonce_path,
		      struct mf_span in, uint8_t *out)
{
	const uint8_t *id = s->in.p + s->in.at;
	struct mf_span a = mf_span(id, 16), b = mf_span(id + 34, 8);
	uint8_t key[32], nonce[32];

	kdf(key, s->cmd_key, key_path, a, b);
	kdf(nonce, s->cmd_key, nonce_path, a, b);
	return open(AES, key, nonce, a, in, out) || refuse(s, key_path);
}

static bool parse_target(struct vserver *s, const uint8_t *p, size_t n)
{
	size_t len = n < 4 ? 0 : p[2] == 1 ? 4 : p[2] == 3 ? 16 : p[2] == 2 ? 1u + p[3] : 0;

	if (s->command == 3)
		return n == 0 || refuse(s, "a target for Mux");
	if (!len || n != 3 + len)
		return refuse(s, "target");
	memcpy(s->target, p, n);
	s->target_n = n;
	return true;
}

static bool parse_request(struct vserver *s, const uint8_t *p, size_t n)
{
	uint32_t fnv = 2166136261u;
	size_t padding;

	if (n < 42)
		return refuse(s, "short request");
	for (size_t i = 0; i < n - 4; i++)
		fnv = (fnv ^ p[i]) * 16777619u;
	if (fnv != mf_load_be32(p + n - 4) || p[0] != 1 || p[36] != 0)
		return refuse(s, "request");
	memcpy(s->iv, p + 1, 16);
	memcpy(s->key, p + 17, 16);
	s->verify = p[33];
	s->option = p[34];
	padding = p[35] >> 4;
	s->security = p[35] & 15;
	s->command = p[37];
	if (s->security < AES || s->security > NONE || s->command < 1 || s->command > 3)
		return refuse(s, "security or command");
	if (n < 42 + padding)
		return refuse(s, "padding of the request");
	return parse_target(s, p + 38, n - 42 - padding);
}

/* Reads the request if all of it is there. */
static bool hear_request(struct vserver *s)
{
	const uint8_t *p = s->in.p + s->in.at;
	size_t have = s->in.n - s->in.at, n;
	uint8_t length[2], plain[REQUEST_MAX], key[16], iv[16];

	if (have < 42)
		return true;
	if (!open_auth_id(s, p) ||
	    !open_part(s, "VMess Header AEAD Key_Length", "VMess Header AEAD Nonce_Length",
		       mf_span(p + 16, 18), length))
		return false;
	n = mf_load_be16(length);
	if (n > sizeof(plain))
		return refuse(s, "long request");
	if (have < 42 + n + TAG)
		return true;
	if (!open_part(s, "VMess Header AEAD Key", "VMess Header AEAD Nonce",
		       mf_span(p + 42, n + TAG), plain) ||
	    !parse_request(s, plain, n))
		return false;
	s->in.at += 42 + n + TAG;
	begin_way(s, &s->up, s->key, s->iv);
	answer_key(key, s->key);
	answer_key(iv, s->iv);
	begin_way(s, &s->down, key, iv);
	s->begun = true;
	return true;
}

/* ---- Payload from the client ----------------------------------------------------------------- */

static size_t tag_of(const struct vserver *s)
{
	return s->security == NONE ? 0 : TAG;
}

/* Reads a chunk at `p`, of `have` bytes; *used 0: it is not whole, and nothing has changed. */
static bool hear_chunk(struct vserver *s, const uint8_t *p, size_t have, size_t *used)
{
	size_t mask_at = s->up.mask_at, field = s->option & SEALED_LENGTH ? 18 : 2;
	size_t tail = tag_of(s), len, size;
	uint8_t key[32], nonce[12], value[2];

	*used = 0;
	if (have < field)
		return true;
	if (s->option & PADDED)
		tail += draw(&s->up) % 64;
	len = mf_load_be16(p);
	if (s->option & SEALED_LENGTH) {
		length_keys(s, &s->up, key, nonce);
		if (!open(s->security, key, nonce, mf_span(NULL, 0), mf_span(p, field), value))
			return refuse(s, "length");
		len = (size_t)mf_load_be16(value) + TAG;
	} else if (s->option & MASKED) {
		len ^= draw(&s->up);
	}
	if (len < tail)
		return refuse(s, "short chunk");
	size = len - tail;
	if (have < field + len) {
		s->up.mask_at = mask_at;
		return true;
	}
	make_nonce(nonce, s->up.count++, s->up.iv);
	vserver_bytes_add(&s->payload, p + field, size);
	if (s->security != NONE &&
	    !open(s->security, s->up.key, nonce, mf_span(NULL, 0), mf_span(p + field, size + TAG),
		  s->payload.p + s->payload.n - size))
		return refuse(s, "chunk");
	vserver_bytes_add(&s->sizes, &size, sizeof(size));
	s->ended = !size;
	*used = field + len;
	return true;
}

bool vserver_hear(struct vserver *s, const uint8_t *p, size_t n)
{
	struct mf_span raw;
	size_t used = 1;

	if (s->why)
		return false;
	vserver_bytes_add(&s->in, p, n);
	if (!s->begun && !hear_request(s))
		return false;
	if (!s->begun)
		return true;
	if (!(s->option & CHUNKS)) {
		raw = vserver_bytes_take(&s->in, SIZE_MAX);
		vserver_bytes_add(&s->payload, raw.p, raw.n);
		return true;
	}
	while (used && !s->ended) {
		if (!hear_chunk(s, s->in.p + s->in.at, s->in.n - s->in.at, &used))
			return false;
		s->in.at += used;
	}
	return !s->ended || s->in.at == s->in.n || refuse(s, "bytes behind the end");
}

/* ---- For the client -------------------------------------------------------------------------- */

static void answer_part(struct vserver *s, const char *key_path, const char *nonce_path,
			const uint8_t *p, size_t n)
{
	uint8_t base[16], key[32], nonce[32];

	answer_key(base, s->key);
	kdf(key, base, key_path, mf_span(NULL, 0), mf_span(NULL, 0));
	answer_key(base, s->iv);
	kdf(nonce, base, nonce_path, mf_span(NULL, 0), mf_span(NULL, 0));
	seal(AES, key, nonce, mf_span(NULL, 0), mf_span(p, n), &s->wire);
}

void vserver_answer(struct vserver *s, const uint8_t *p, size_t n, size_t len)
{
	uint8_t length[2];

	MF_ASSERT(s->begun && !s->answered);
	s->answered = true;
	mf_store_be16(length, (uint16_t)len);
	answer_part(s, "AEAD Resp Header Len Key", "AEAD Resp Header Len IV", length, 2);
	answer_part(s, "AEAD Resp Header Key", "AEAD Resp Header IV", p, n);
}

void vserver_raw(struct vserver *s, const uint8_t *p, size_t n)
{
	vserver_bytes_add(&s->wire, p, n);
}

void vserver_lie(struct vserver *s, const uint8_t *p, size_t n, int more)
{
	const uint8_t header[] = { s->verify, 0, 0, 0 };
	uint8_t b[64], key[32], nonce[12];
	size_t padding, len = n + tag_of(s);

	if (!s->answered)
		vserver_answer(s, header, sizeof(header), sizeof(header));
	if (!(s->option & CHUNKS)) {
		vserver_raw(s, p, n);
		return;
	}
	padding = s->option & PADDED ? draw(&s->down) % 64u : 0;
	len = (size_t)((ptrdiff_t)(len + padding) + more);
	if (s->option & SEALED_LENGTH) {
		length_keys(s, &s->down, key, nonce);
		mf_store_be16(b, (uint16_t)(len - TAG));
		seal(s->security, key, nonce, mf_span(NULL, 0), mf_span(b, 2), &s->wire);
	} else {
		mf_store_be16(b, (uint16_t)(len ^ (s->option & MASKED ? draw(&s->down) : 0)));
		vserver_raw(s, b, 2);
	}
	make_nonce(nonce, s->down.count++, s->down.iv);
	if (s->security == NONE)
		vserver_raw(s, p, n);
	else
		seal(s->security, s->down.key, nonce, mf_span(NULL, 0), mf_span(p, n), &s->wire);
	mf_prng_fill(&s->prng, b, padding);
	vserver_raw(s, b, padding);
}

void vserver_say(struct vserver *s, const uint8_t *p, size_t n)
{
	vserver_lie(s, p, n, 0);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void vserver_init(struct vserver *s, const uint8_t uuid[16], uint64_t seed)
{
	uint8_t text[16 + 36];

	*s = (struct vserver){ .prng = { .state = seed } };
	memcpy(text, uuid, 16);
	memcpy(text + 16, "c48619fe-8f02-49e0-b9e9-edf763e17e21", 36);
	digest(EVP_md5(), text, sizeof(text), s->cmd_key);
}

void vserver_free(struct vserver *s)
{
	free(s->up.mask);
	free(s->down.mask);
	free(s->in.p);
	free(s->payload.p);
	free(s->sizes.p);
	free(s->wire.p);
	*s = (struct vserver){ .begun = false };
}
