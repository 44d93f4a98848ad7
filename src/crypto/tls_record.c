/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_record - see tls_record.h.
 *
 * The two versions differ in little: 1.3 says a record's type behind what it carries, inside the
 * seal, with zeros after it that hide the length; 1.2 says it outside, authenticates the sequence
 * number with it, and with AES-GCM sends eight bytes of the nonce.
 */
#include "crypto/tls_record.h"
#include "base/endian.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { EXPLICIT_LEN = 8, SALT_LEN = MF_CIPHER_NONCE_LEN - EXPLICIT_LEN, MASTER_LEN = 48 };

/* ---- Keys ------------------------------------------------------------------------------------ */

static bool derive(const char *kdf, const OSSL_PARAM *params, uint8_t *out, size_t n)
{
	EVP_KDF *k = EVP_KDF_fetch(NULL, kdf, NULL);
	EVP_KDF_CTX *ctx = k ? EVP_KDF_CTX_new(k) : NULL;
	bool ok = ctx && EVP_KDF_derive(ctx, out, n, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(k);
	ERR_clear_error();
	return ok;
}

/* HKDF-Expand-Label without a context (RFC 8446 7.1). */
static bool expand(const struct mf_tls_half *h, const char *label, uint8_t *out, size_t n)
{
	char digest[] = "SHA2-256", prefix[] = "tls13 ", text[16];
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	uint8_t secret[MF_TLS_SECRET_MAX];
	OSSL_PARAM params[6];
	bool ok;

	if (h->secret_len == MF_TLS_SECRET_MAX)
		memcpy(digest, "SHA2-384", sizeof(digest));
	memcpy(secret, h->secret, sizeof(secret));
	MF_ASSERT(strlen(label) < sizeof(text));
	memcpy(text, label, strlen(label) + 1);
	params[0] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, h->secret_len);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, strlen(prefix));
	params[4] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, text, strlen(text));
	params[5] = OSSL_PARAM_construct_end();
	ok = derive("TLS13-KDF", params, out, n);
	mf_wipe(secret, sizeof(secret));
	return ok;
}

/* The key and IV of its secret (RFC 8446 7.3). */
static bool load_secret(struct mf_tls_half *h, enum mf_cipher_alg alg)
{
	uint8_t key[MF_CIPHER_KEY_MAX];
	bool ok = expand(h, "key", key, mf_cipher_key_len(alg)) &&
		  expand(h, "iv", h->iv, sizeof(h->iv));

	if (ok)
		mf_cipher_key_init(&h->key, alg, key);
	h->seq = 0;
	mf_wipe(key, sizeof(key));
	return ok;
}

bool mf_tls_half_init(struct mf_tls_half *h, enum mf_cipher_alg alg, const uint8_t *secret, size_t n)
{
	MF_ASSERT(n == 32 || n == MF_TLS_SECRET_MAX);
	*h = (struct mf_tls_half){ .secret_len = (uint8_t)n };
	memcpy(h->secret, secret, n);
	return load_secret(h, alg);
}

bool mf_tls_half_update(struct mf_tls_half *h)
{
	uint8_t next[MF_TLS_SECRET_MAX];
	bool ok = expand(h, "traffic upd", next, h->secret_len);

	if (ok)
		memcpy(h->secret, next, h->secret_len);
	mf_wipe(next, sizeof(next));
	return ok && load_secret(h, h->key.alg);
}

static void init_12(struct mf_tls_half *h, enum mf_cipher_alg alg, const uint8_t *key,
		    const uint8_t *iv, size_t iv_len)
{
	*h = (struct mf_tls_half){ .seq = 1 };
	mf_cipher_key_init(&h->key, alg, key);
	memcpy(h->iv, iv, iv_len);
}

/* The key block (RFC 5246 6.3) is ours, the server's key, ours, the server's IV; it has no keys for
 * MACs. */
bool mf_tls_halves_init_12(struct mf_tls_half *tx, struct mf_tls_half *rx, enum mf_cipher_alg alg,
			   bool sha384, const uint8_t *master, const uint8_t *client_random,
			   const uint8_t *server_random, uint64_t nonce)
{
	size_t key_len = mf_cipher_key_len(alg);
	size_t iv_len = alg == MF_CHACHA20_POLY1305 ? MF_CIPHER_NONCE_LEN : SALT_LEN;
	uint8_t block[2 * MF_CIPHER_KEY_MAX + 2 * MF_CIPHER_NONCE_LEN];
	char digest[] = "SHA2-256", label[] = "key expansion";
	uint8_t secret[MASTER_LEN], seed[sizeof(label) - 1 + 64];
	OSSL_PARAM params[4];
	bool ok;

	if (sha384)
		memcpy(digest, "SHA2-384", sizeof(digest));
	memcpy(secret, master, sizeof(secret));
	memcpy(seed, label, sizeof(label) - 1);
	memcpy(seed + sizeof(label) - 1, server_random, 32);
	memcpy(seed + sizeof(label) - 1 + 32, client_random, 32);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, secret, sizeof(secret));
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed));
	params[3] = OSSL_PARAM_construct_end();
	ok = derive("TLS1-PRF", params, block, 2 * key_len + 2 * iv_len);
	if (ok) {
		init_12(tx, alg, block, block + 2 * key_len, iv_len);
		init_12(rx, alg, block + key_len, block + 2 * key_len + iv_len, iv_len);
		tx->nonce = nonce + 1;
	}
	mf_wipe(secret, sizeof(secret));
	mf_wipe(block, sizeof(block));
	return ok;
}

void mf_tls_half_wipe(struct mf_tls_half *h)
{
	mf_wipe(h, sizeof(*h));
}

/* ---- What both directions need --------------------------------------------------------------- */

static bool is_13(const struct mf_tls_half *h)
{
	return h->secret_len;
}

/* How many bytes of the nonce stand between header and ciphertext. */
static size_t explicit_len(const struct mf_tls_half *h)
{
	return is_13(h) || h->key.alg == MF_CHACHA20_POLY1305 ? 0 : EXPLICIT_LEN;
}

/* `sent`: the explicit part, where there is one (RFC 5288 3); else the sequence number is mixed in
 * (RFC 8446 5.3, RFC 7905 2). */
static void make_nonce(const struct mf_tls_half *h, const uint8_t *sent,
		       uint8_t nonce[MF_CIPHER_NONCE_LEN])
{
	memcpy(nonce, h->iv, MF_CIPHER_NONCE_LEN);
	if (explicit_len(h))
		memcpy(nonce + SALT_LEN, sent, EXPLICIT_LEN);
	else
		mf_store_be64(nonce + SALT_LEN, mf_load_be64(h->iv + SALT_LEN) ^ h->seq);
}

/* What is authenticated with a record: its header (RFC 8446 5.2), or its number, type, version and
 * the length of what it carries (RFC 5246 6.2.3.3). */
struct aad {
	uint8_t b[13];
	size_t n;
};
static_assert(MF_TLS_HEADER_LEN <= sizeof(((struct aad *)0)->b), "a header fits");

static struct aad make_aad(const struct mf_tls_half *h, const uint8_t *header, size_t carried)
{
	struct aad a;

	if (is_13(h)) {
		memcpy(a.b, header, MF_TLS_HEADER_LEN);
		a.n = MF_TLS_HEADER_LEN;
		return a;
	}
	mf_store_be64(a.b, h->seq);
	memcpy(a.b + 8, header, 3);
	mf_store_be16(a.b + 11, (uint16_t)carried);
	a.n = 13;
	return a;
}

/* ---- Sealing --------------------------------------------------------------------------------- */

size_t mf_tls_record_seal(struct mf_cipher *c, struct mf_tls_half *h, enum mf_tls_type type,
			  const struct mf_span *v, size_t n, uint8_t *out)
{
	uint8_t inner = (uint8_t)type, nonce[MF_CIPHER_NONCE_LEN];
	size_t carried = 0, sealed, before = explicit_len(h);
	struct mf_span part[MF_TLS_SPANS];
	struct aad aad;

	MF_ASSERT(n < MF_TLS_SPANS);
	for (size_t i = 0; i < n; i++) {
		part[i] = v[i];
		carried += v[i].n;
	}
	MF_ASSERT(carried <= MF_TLS_PLAIN_MAX);
	if (is_13(h))
		part[n++] = mf_span(&inner, 1);
	sealed = before + carried + is_13(h) + MF_CIPHER_TAG_LEN;
	out[0] = is_13(h) ? MF_TLS_DATA : inner;
	mf_store_be16(out + 1, 0x0303);
	mf_store_be16(out + 3, (uint16_t)sealed);
	if (before)
		mf_store_be64(out + MF_TLS_HEADER_LEN, h->nonce++);
	aad = make_aad(h, out, carried);
	make_nonce(h, out + MF_TLS_HEADER_LEN, nonce);
	mf_cipher_seal(c, &h->key, nonce, mf_span(aad.b, aad.n), part, n,
		       out + MF_TLS_HEADER_LEN + before);
	h->seq++;
	return MF_TLS_HEADER_LEN + sealed;
}

/* ---- Opening --------------------------------------------------------------------------------- */

mf_err mf_tls_record_check(const struct mf_tls_half *h, const uint8_t *p, size_t n, size_t *len)
{
	size_t sealed, least = explicit_len(h) + is_13(h) + MF_CIPHER_TAG_LEN;

	if (n < MF_TLS_HEADER_LEN)
		return MF_E_SHORT;
	if (is_13(h) ? p[0] != MF_TLS_DATA : p[0] < MF_TLS_CHANGE_CIPHER_SPEC || p[0] > MF_TLS_DATA)
		return MF_E_MALFORMED;
	if (mf_load_be16(p + 1) != 0x0303)
		return MF_E_MALFORMED;
	sealed = mf_load_be16(p + 3);
	if (sealed > MF_TLS_SEALED_MAX)
		return MF_E_RANGE;
	if (sealed < least)
		return MF_E_MALFORMED;
	*len = MF_TLS_HEADER_LEN + sealed;
	return n < *len ? MF_E_SHORT : MF_OK;
}

size_t mf_tls_record_room(const struct mf_tls_half *h, size_t len)
{
	return len - MF_TLS_HEADER_LEN - explicit_len(h) - is_13(h) - MF_CIPHER_TAG_LEN;
}

/* Into rooms that have space for the type of 1.3, too. */
static bool unseal(struct mf_cipher *c, struct mf_tls_half *h, const uint8_t *record, size_t len,
		   const struct mf_room *v, size_t n)
{
	size_t before = MF_TLS_HEADER_LEN + explicit_len(h);
	struct aad aad = make_aad(h, record, mf_tls_record_room(h, len));
	uint8_t nonce[MF_CIPHER_NONCE_LEN];

	make_nonce(h, record + MF_TLS_HEADER_LEN, nonce);
	if (!mf_cipher_open(c, &h->key, nonce, mf_span(aad.b, aad.n), record + before, len - before,
			    v, n))
		return false;
	h->seq++;
	return true;
}

/* Finds the type behind what a record of 1.3 carries and in front of the zeros: the last byte in
 * the n rooms that is none. *len becomes how many bytes are in front of it. */
static mf_err find_type(const struct mf_room *v, size_t n, enum mf_tls_type *type, size_t *len)
{
	while (n--)
		for (size_t i = v[n].n; i--; (*len)--)
			if (v[n].p[i]) {
				*type = v[n].p[i];
				(*len)--;
				return *len <= MF_TLS_PLAIN_MAX ? MF_OK : MF_E_RANGE;
			}
	return MF_E_MALFORMED;
}

mf_err mf_tls_record_open(struct mf_cipher *c, struct mf_tls_half *h, const uint8_t *record,
			  size_t len, const struct mf_room *v, size_t n, enum mf_tls_type *type,
			  size_t *got)
{
	size_t left = mf_tls_record_room(h, len), n_part = 0;
	struct mf_room part[MF_TLS_SPANS];
	uint8_t inner;

	*type = record[0];
	*got = left;
	for (size_t i = 0; left; i++) {
		MF_ASSERT(i < n && n_part < MF_TLS_SPANS - 1);
		part[n_part] = (struct mf_room){ v[i].p, mf_min(v[i].n, left) };
		left -= part[n_part++].n;
	}
	if (is_13(h)) {
		part[n_part++] = (struct mf_room){ &inner, 1 };
		*got += 1;
	}
	if (!unseal(c, h, record, len, part, n_part))
		return MF_E_AUTH;
	if (is_13(h))
		return find_type(part, n_part, type, got);
	return *got <= MF_TLS_PLAIN_MAX ? MF_OK : MF_E_RANGE;
}

mf_err mf_tls_record_open_in_place(struct mf_cipher *c, struct mf_tls_half *h, uint8_t *record,
				   size_t len, enum mf_tls_type *type, struct mf_span *plain)
{
	uint8_t *p = record + MF_TLS_HEADER_LEN + explicit_len(h);
	struct mf_room whole = { p, mf_tls_record_room(h, len) + is_13(h) };
	mf_err err = MF_OK;

	*type = record[0];
	if (!unseal(c, h, record, len, &whole, 1))
		return MF_E_AUTH;
	*plain = mf_span(p, whole.n);
	if (is_13(h))
		err = find_type(&whole, 1, type, &plain->n);
	else if (plain->n > MF_TLS_PLAIN_MAX)
		err = MF_E_RANGE;
	return err;
}
