/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher - OpenSSL's EVP interface, with a context for each algorithm and direction that keeps the
 * key it was used with last: a message of the same session costs an initialisation with the nonce
 * alone.
 *
 * Of ChaCha20-Poly1305 EVP makes several hundred nanoseconds a message, however short. Short ones
 * (lengths of chunks, questions to name servers) go to libsodium, at half the price.
 */
#include "crypto/cipher.h"
#include "crypto/sodium_ready.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Bytes of plaintext up to which libsodium's ChaCha20-Poly1305 is faster, with AVX-512. */
enum { SODIUM_MAX = 768 };

/* A library context and the key it holds; serial 0: none. */
struct loaded {
	EVP_CIPHER_CTX *ctx;
	uint64_t serial;
};

struct mf_cipher {
	struct loaded seal[MF_CIPHER_ALGS], open[MF_CIPHER_ALGS];
	struct loaded encrypt[MF_CIPHER_ALGS], decrypt[MF_CIPHER_ALGS]; /* blocks; not of ChaCha20 */
};

static const struct {
	const char *aead, *block;
	size_t key_len;
} algs[MF_CIPHER_ALGS] = {
	[MF_AES_128_GCM] = { "AES-128-GCM", "AES-128-ECB", 16 },
	[MF_AES_256_GCM] = { "AES-256-GCM", "AES-256-ECB", 32 },
	[MF_CHACHA20_POLY1305] = { "ChaCha20-Poly1305", NULL, 32 },
};

size_t mf_cipher_key_len(enum mf_cipher_alg alg)
{
	return algs[alg].key_len;
}

void mf_cipher_key_init(struct mf_cipher_key *k, enum mf_cipher_alg alg, const uint8_t *bytes)
{
	static _Atomic uint64_t last;

	mf_cipher_key_init_once(k, alg, bytes);
	k->serial = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

void mf_cipher_key_init_once(struct mf_cipher_key *k, enum mf_cipher_alg alg, const uint8_t *bytes)
{
	*k = (struct mf_cipher_key){ .alg = (uint8_t)alg };
	memcpy(k->b, bytes, algs[alg].key_len);
}

void mf_cipher_key_wipe(struct mf_cipher_key *k)
{
	mf_wipe(k, sizeof(*k));
}

/* ---- Contexts -------------------------------------------------------------------------------- */

/* Blocks are whole: padding would hold back the last one of a decryption. */
static bool prepare(struct loaded *l, const char *name, bool encrypt)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	bool ok;

	l->ctx = EVP_CIPHER_CTX_new();
	ok = cipher && l->ctx && EVP_CipherInit_ex2(l->ctx, cipher, NULL, NULL, encrypt, NULL) == 1 &&
	     EVP_CIPHER_CTX_set_padding(l->ctx, 0) == 1;
	EVP_CIPHER_free(cipher); /* the context holds on to it */
	return ok;
}

struct mf_cipher *mf_cipher_new(void)
{
	struct mf_cipher *c = calloc(1, sizeof(*c));
	bool ok = c;

	mf_sodium_ready();
	for (size_t i = 0; ok && i < MF_CIPHER_ALGS; i++) {
		ok = prepare(&c->seal[i], algs[i].aead, true) &&
		     prepare(&c->open[i], algs[i].aead, false);
		if (ok && algs[i].block)
			ok = prepare(&c->encrypt[i], algs[i].block, true) &&
			     prepare(&c->decrypt[i], algs[i].block, false);
	}
	if (ok)
		return c;
	mf_cipher_free(c);
	return NULL;
}

void mf_cipher_free(struct mf_cipher *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < MF_CIPHER_ALGS; i++) {
		EVP_CIPHER_CTX_free(c->seal[i].ctx);
		EVP_CIPHER_CTX_free(c->open[i].ctx);
		EVP_CIPHER_CTX_free(c->encrypt[i].ctx);
		EVP_CIPHER_CTX_free(c->decrypt[i].ctx);
	}
	free(c);
}

/* The context with this key and, but for blocks, this nonce. */
static EVP_CIPHER_CTX *load(struct loaded *l, const struct mf_cipher_key *k, const uint8_t *nonce)
{
	bool have = k->serial && l->serial == k->serial;

	if (have && !nonce)
		return l->ctx;
	MF_ASSERT(EVP_CipherInit_ex2(l->ctx, NULL, have ? NULL : k->b, nonce, -1, NULL) == 1);
	l->serial = k->serial;
	return l->ctx;
}

/* ---- Messages by libsodium ------------------------------------------------------------------- */

static size_t total(const struct mf_span *v, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i].n;
	return sum;
}

static bool is_short(const struct mf_cipher_key *k, size_t plain)
{
	return k->alg == MF_CHACHA20_POLY1305 && plain <= SODIUM_MAX;
}

static void seal_short(const struct mf_cipher_key *k, const uint8_t *nonce, struct mf_span aad,
		       const struct mf_span *src, size_t n, uint8_t *dst)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; sum += src[i++].n)
		if (src[i].n)
			memmove(dst + sum, src[i].p, src[i].n);
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, dst, sum, aad.p, aad.n, NULL, nonce,
						  k->b);
}

/* Puts `plain` bytes into the rooms; from NULL: zeros. */
static void spread(const uint8_t *from, size_t plain, const struct mf_room *dst, size_t n_dst)
{
	for (size_t i = 0, part; plain; i++, plain -= part) {
		MF_ASSERT(i < n_dst);
		part = mf_min(plain, dst[i].n);
		if (!from) {
			mf_wipe(dst[i].p, part);
		} else if (part) {
			memcpy(dst[i].p, from, part);
			from += part;
		}
	}
}

static bool open_short(const struct mf_cipher_key *k, const uint8_t *nonce, struct mf_span aad,
		       const uint8_t *src, size_t n, const struct mf_room *dst, size_t n_dst)
{
	uint8_t plain[SODIUM_MAX];
	bool ok = crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, src, n, aad.p, aad.n,
							    nonce, k->b) == 0;

	spread(ok ? plain : NULL, n - MF_CIPHER_TAG_LEN, dst, n_dst);
	mf_wipe(plain, n - MF_CIPHER_TAG_LEN);
	return ok;
}

/* ---- Messages -------------------------------------------------------------------------------- */

static bool update(EVP_CIPHER_CTX *e, uint8_t *dst, const uint8_t *src, size_t n)
{
	int done;

	MF_ASSERT(n <= INT_MAX);
	return n == 0 || EVP_CipherUpdate(e, dst, &done, src, (int)n) == 1;
}

void mf_cipher_seal(struct mf_cipher *c, const struct mf_cipher_key *k,
		    const uint8_t nonce[MF_CIPHER_NONCE_LEN], struct mf_span aad,
		    const struct mf_span *src, size_t n, uint8_t *dst)
{
	EVP_CIPHER_CTX *e;
	int done = 0;
	bool ok;

	if (is_short(k, total(src, n))) {
		seal_short(k, nonce, aad, src, n, dst);
		return;
	}
	e = load(&c->seal[k->alg], k, nonce);
	ok = update(e, NULL, aad.p, aad.n);
	for (size_t i = 0; ok && i < n; dst += src[i++].n)
		ok = update(e, dst, src[i].p, src[i].n);
	ok = ok && EVP_CipherFinal_ex(e, dst, &done) == 1 &&
	     EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_GET_TAG, MF_CIPHER_TAG_LEN, dst) == 1;
	MF_ASSERT(ok);
}

/* Decrypts n bytes; false: the library refuses. */
static bool scatter(EVP_CIPHER_CTX *e, const uint8_t *src, size_t n, const struct mf_room *dst,
		    size_t n_dst)
{
	for (size_t i = 0, part; n; i++, src += part, n -= part) {
		MF_ASSERT(i < n_dst);
		part = mf_min(n, dst[i].n);
		if (!update(e, dst[i].p, src, part))
			return false;
	}
	return true;
}

bool mf_cipher_open(struct mf_cipher *c, const struct mf_cipher_key *k,
		    const uint8_t nonce[MF_CIPHER_NONCE_LEN], struct mf_span aad,
		    const uint8_t *src, size_t n, const struct mf_room *dst, size_t n_dst)
{
	uint8_t tag[MF_CIPHER_TAG_LEN], none[MF_CIPHER_BLOCK];
	EVP_CIPHER_CTX *e;
	size_t plain;
	int done = 0;

	if (n < MF_CIPHER_TAG_LEN)
		return false;
	plain = n - MF_CIPHER_TAG_LEN;
	if (is_short(k, plain))
		return open_short(k, nonce, aad, src, n, dst, n_dst);
	e = load(&c->open[k->alg], k, nonce);
	memcpy(tag, src + plain, sizeof(tag));
	MF_ASSERT(EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_SET_TAG, MF_CIPHER_TAG_LEN, tag) == 1);
	if (MF_LIKELY(update(e, NULL, aad.p, aad.n) && scatter(e, src, plain, dst, n_dst) &&
		      EVP_CipherFinal_ex(e, none, &done) == 1))
		return true;
	ERR_clear_error(); /* must not show up in somebody's TLS */
	spread(NULL, plain, dst, n_dst);
	return false;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void block(struct loaded *l, const struct mf_cipher_key *k, const uint8_t *in, uint8_t *out)
{
	int n = 0;

	MF_ASSERT(k->alg != MF_CHACHA20_POLY1305);
	load(l, k, NULL);
	MF_ASSERT(EVP_CipherUpdate(l->ctx, out, &n, in, MF_CIPHER_BLOCK) == 1 && n == MF_CIPHER_BLOCK);
}

void mf_cipher_block_encrypt(struct mf_cipher *c, const struct mf_cipher_key *k,
			     const uint8_t in[MF_CIPHER_BLOCK], uint8_t out[MF_CIPHER_BLOCK])
{
	block(&c->encrypt[k->alg], k, in, out);
}

void mf_cipher_block_decrypt(struct mf_cipher *c, const struct mf_cipher_key *k,
			     const uint8_t in[MF_CIPHER_BLOCK], uint8_t out[MF_CIPHER_BLOCK])
{
	block(&c->decrypt[k->alg], k, in, out);
}

bool mf_cipher_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__ARM_FEATURE_CRYPTO) || defined(__ARM_FEATURE_AES)
	return true;
#else
	return false;
#endif
}
