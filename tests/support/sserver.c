/* SPDX-License-Identifier: Apache-2.0
 *
 * sserver - put together from OpenSSL's and libsodium's one-shot functions: slow, and easy to
 * compare with SIP004, SIP022 and SIP023.
 */
#include "support/sserver.h"

#include "base/endian.h"
#include "crypto/blake3.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdlib.h>

enum { TAG = 16, NONCE = 12, XNONCE = 24, BLOCK = 16, PADDING_MAX = 900 };

/* ---- Bytes ----------------------------------------------------------------------------------- */

void sserver_add(struct sserver_bytes *b, const void *p, size_t n)
{
	if (b->n + n >= b->max) {
		b->max = 2 * (b->n + n) + 64;
		b->p = realloc(b->p, b->max);
		MF_ASSERT(b->p);
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void add_number(struct sserver_bytes *b, uint64_t v, size_t n)
{
	uint8_t be[8];

	mf_store_be64(be, v);
	sserver_add(b, be + 8 - n, n);
}

static void remove_front(struct sserver_bytes *b, size_t n)
{
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void sserver_free(struct sserver_bytes *b)
{
	free(b->p);
	*b = (struct sserver_bytes){ 0 };
}

/* ---- Primitives ------------------------------------------------------------------------------ */

static EVP_CIPHER_CTX *prepare(const struct sserver_keys *k, const uint8_t *key,
			       const uint8_t *nonce, int encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *alg = k->chacha    ? EVP_chacha20_poly1305()
				: k->n == 16 ? EVP_aes_128_gcm()
					     : EVP_aes_256_gcm();

	MF_ASSERT(c && EVP_CipherInit_ex(c, alg, NULL, key, nonce, encrypt) == 1);
	return c;
}

static void seal(const struct sserver_keys *k, const uint8_t *key, const uint8_t *nonce,
		 const uint8_t *p, size_t n, struct sserver_bytes *out)
{
	EVP_CIPHER_CTX *c = prepare(k, key, nonce, 1);
	uint8_t *b = malloc(n + TAG);
	int done = 0;

	MF_ASSERT(b && (!n || EVP_CipherUpdate(c, b, &done, p, (int)n) == 1));
	MF_ASSERT(EVP_CipherFinal_ex(c, b + n, &done) == 1 &&
		  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, b + n) == 1);
	sserver_add(out, b, n + TAG);
	free(b);
	EVP_CIPHER_CTX_free(c);
}

/* n bytes and a tag, to `out`. */
static bool unseal(const struct sserver_keys *k, const uint8_t *key, const uint8_t *nonce,
		   const uint8_t *p, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = prepare(k, key, nonce, 0);
	uint8_t tag[TAG];
	int done = 0;
	bool ok;

	memcpy(tag, p + n, TAG);
	ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
	     (!n || EVP_CipherUpdate(c, out, &done, p, (int)n) == 1) &&
	     EVP_CipherFinal_ex(c, tag, &done) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

/* A block of AES. */
static void block(const struct sserver_keys *k, const uint8_t *key, const uint8_t *in, uint8_t *out,
		  int encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *alg = k->n == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
	uint8_t b[2 * BLOCK];
	int n = 0;

	MF_ASSERT(c && EVP_CipherInit_ex(c, alg, NULL, key, NULL, encrypt) == 1 &&
		  EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
		  EVP_CipherUpdate(c, b, &n, in, BLOCK) == 1 && n == BLOCK);
	memcpy(out, b, BLOCK);
	EVP_CIPHER_CTX_free(c);
}

static void hkdf(const struct sserver_keys *k, const uint8_t *salt, uint8_t *out)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	char sha1[] = "SHA1", info[] = "ss-subkey";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha1, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)k->key, k->n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, k->n),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, strlen(info)),
		OSSL_PARAM_construct_end(),
	};

	MF_ASSERT(c && EVP_KDF_derive(c, out, k->n, params) == 1);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

/* The subkey of `salt`; identity: of that identity header, NULL: of the session. */
static void derive(const struct sserver_keys *k, const uint8_t *identity, const uint8_t *salt,
		   size_t salt_n, uint8_t *out)
{
	uint8_t material[2 * SSERVER_KEY_MAX], full[MF_BLAKE3_LEN];

	if (!k->edition_2022) {
		hkdf(k, salt, out);
		return;
	}
	memcpy(material, identity ? identity : k->key, k->n);
	memcpy(material + k->n, salt, salt_n);
	mf_blake3_derive(full,
			 identity ? "shadowsocks 2022 identity subkey"
				  : "shadowsocks 2022 session subkey",
			 material, k->n + salt_n);
	memcpy(out, full, k->n);
}

/* What the key behind identity i is known by. */
static void next_hash(const struct sserver_keys *k, unsigned i, uint8_t out[BLOCK])
{
	uint8_t full[MF_BLAKE3_LEN];

	mf_blake3_hash(full, i + 1 < k->n_identities ? k->identity[i + 1] : k->key, k->n);
	memcpy(out, full, BLOCK);
}

static void nonce_of(struct sserver_half *h, uint8_t nonce[NONCE])
{
	memset(nonce, 0, NONCE);
	for (unsigned i = 0; i < 8; i++)
		nonce[i] = (uint8_t)(h->count >> 8 * i);
	h->count++;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void decode(const char *text, size_t n, uint8_t *out, size_t want)
{
	size_t got = 0;

	MF_ASSERT(sodium_base642bin(out, want, text, n, NULL, &got, NULL,
				    sodium_base64_VARIANT_ORIGINAL) == 0 &&
		  got == want);
}

void sserver_keys(struct sserver_keys *k, const char *method, const char *password)
{
	const char *colon;
	uint8_t iv[EVP_MAX_IV_LENGTH];

	MF_ASSERT(sodium_init() >= 0);
	*k = (struct sserver_keys){ .edition_2022 = !strncmp(method, "2022-", 5),
				    .chacha = strstr(method, "chacha20"),
				    .n = strstr(method, "aes-128-gcm") ? 16 : 32 };
	MF_ASSERT(k->chacha || strstr(method, "aes-128-gcm") || strstr(method, "aes-256-gcm"));
	if (!k->edition_2022) {
		MF_ASSERT(EVP_BytesToKey(EVP_aes_256_cbc(), EVP_md5(), NULL, (const uint8_t *)password,
					 (int)strlen(password), 1, k->key, iv) == SSERVER_KEY_MAX);
		return;
	}
	for (; (colon = strchr(password, ':')); password = colon + 1) {
		MF_ASSERT(k->n_identities < SSERVER_IDENTITIES_MAX);
		decode(password, (size_t)(colon - password), k->identity[k->n_identities++], k->n);
	}
	decode(password, strlen(password), k->key, k->n);
}

/* ---- Requests -------------------------------------------------------------------------------- */

void sserver_init(struct sserver *s, const struct sserver_keys *k)
{
	*s = (struct sserver){ .keys = k };
}

void sserver_fini(struct sserver *s)
{
	sserver_free(&s->in);
	sserver_free(&s->got);
}

/* Bytes of an address of SOCKS; 0: it is none. */
static size_t address_len(const uint8_t *p, size_t n)
{
	size_t len = n < 2       ? 0
		     : p[0] == 1 ? 1 + 4 + 2
		     : p[0] == 4 ? 1 + 16 + 2
		     : p[0] == 3 ? 4u + p[1]
				 : 0;

	return len <= n && !(len && p[0] == 3 && !p[1]) ? len : 0;
}

/* The next message, n bytes, to `out`; all of it has come. */
static bool message(struct sserver *s, size_t n, uint8_t *out)
{
	uint8_t nonce[NONCE];

	nonce_of(&s->up, nonce);
	if (!unseal(s->keys, s->up.key, nonce, s->in.p, n, out))
		return false;
	remove_front(&s->in, n + TAG);
	return true;
}

/* What stands before the payload in the first message. */
static size_t read_target(struct sserver *s, const uint8_t *p, size_t n)
{
	size_t len = address_len(p, n), padding;

	if (!len)
		return 0;
	memcpy(s->target, p, len);
	s->target_n = len;
	s->has_target = true;
	if (!s->keys->edition_2022)
		return len;
	if (n - len < 2)
		return 0;
	padding = mf_load_be16(p + len);
	len += 2;
	if (padding > PADDING_MAX || padding > n - len || (!padding && len == n))
		return 0;
	s->padding = padding;
	return len + padding;
}

static bool read_payload(struct sserver *s)
{
	static uint8_t text[0x10000];
	size_t n = s->length, front = 0;

	if (!message(s, n, text))
		return false;
	s->length = 0;
	if (!s->has_target) {
		front = read_target(s, text, n);
		if (!front)
			return false;
		s->first_payload = n - front;
	}
	sserver_add(&s->got, text + front, n - front);
	s->longest = mf_max(s->longest, n - front);
	return true;
}

static bool check_identities(struct sserver *s)
{
	const struct sserver_keys *k = s->keys;

	for (unsigned i = 0; i < k->n_identities; i++) {
		uint8_t key[SSERVER_KEY_MAX], got[BLOCK], want[BLOCK];

		derive(k, k->identity[i], s->salt, k->n, key);
		block(k, key, s->in.p + (size_t)i * BLOCK, got, 0);
		next_hash(k, i, want);
		if (memcmp(got, want, BLOCK))
			return false;
	}
	remove_front(&s->in, (size_t)k->n_identities * BLOCK);
	return true;
}

/* Salt and, in the 2022 edition, identities and the fixed header. */
static bool read_begin(struct sserver *s)
{
	const struct sserver_keys *k = s->keys;
	uint8_t h[11];

	memcpy(s->salt, s->in.p, k->n);
	remove_front(&s->in, k->n);
	derive(k, NULL, s->salt, k->n, s->up.key);
	s->has_salt = true;
	if (!k->edition_2022)
		return true;
	if (!check_identities(s) || !message(s, sizeof(h), h) || h[0] != 0)
		return false;
	s->time = mf_load_be64(h + 1);
	s->length = mf_load_be16(h + 9);
	return s->length != 0;
}

static bool read_length(struct sserver *s)
{
	uint8_t h[2];

	if (!message(s, sizeof(h), h))
		return false;
	s->length = mf_load_be16(h);
	return s->length && (s->keys->edition_2022 || s->length <= 0x3fff);
}

bool sserver_take(struct sserver *s, const uint8_t *p, size_t n)
{
	const struct sserver_keys *k = s->keys;

	sserver_add(&s->in, p, n);
	for (;;) {
		size_t begin =
			k->n + (k->edition_2022 ? (size_t)k->n_identities * BLOCK + 11 + TAG : 0);
		size_t need = !s->has_salt ? begin : TAG + (s->length ? s->length : 2);

		if (s->in.n < need)
			return true;
		if (!(!s->has_salt ? read_begin : s->length ? read_payload : read_length)(s))
			return false;
	}
}

/* ---- Answers --------------------------------------------------------------------------------- */

void sserver_salt(struct sserver *s, const uint8_t *salt, struct sserver_bytes *out)
{
	s->down.count = 0;
	derive(s->keys, NULL, salt, s->keys->n, s->down.key);
	sserver_add(out, salt, s->keys->n);
}

void sserver_message(struct sserver *s, const uint8_t *p, size_t n, struct sserver_bytes *out)
{
	uint8_t nonce[NONCE];

	nonce_of(&s->down, nonce);
	seal(s->keys, s->down.key, nonce, p, n, out);
}

void sserver_header(struct sserver *s, const struct sserver_header *h, struct sserver_bytes *out)
{
	struct sserver_bytes b = { 0 };

	add_number(&b, h->type, 1);
	add_number(&b, h->time, 8);
	sserver_add(&b, h->salt, s->keys->n);
	add_number(&b, h->length, 2);
	sserver_message(s, b.p, b.n, out);
	sserver_free(&b);
}

void sserver_chunk(struct sserver *s, const uint8_t *p, size_t n, struct sserver_bytes *out)
{
	uint8_t length[2];

	mf_store_be16(length, (uint16_t)n);
	sserver_message(s, length, sizeof(length), out);
	sserver_message(s, p, n, out);
}

void sserver_answer(struct sserver *s, const uint8_t *salt, uint64_t time, const uint8_t *p,
		    size_t n, struct sserver_bytes *out)
{
	struct sserver_header h = { .type = 1, .time = time, .salt = s->salt, .length = (uint16_t)n };

	sserver_salt(s, salt, out);
	if (s->keys->edition_2022) {
		sserver_header(s, &h, out);
		sserver_message(s, p, n, out);
	} else if (n) {
		sserver_chunk(s, p, n, out);
	}
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* Reads what the message of a datagram says. */
static bool read_text(struct sserver_packet *p, const uint8_t *t, size_t n)
{
	if (n < 11)
		return false;
	p->type = t[0];
	p->time = mf_load_be64(t + 1);
	p->padding = mf_load_be16(t + 9);
	if (p->padding > n - 11 || n - 11 - p->padding > sizeof(p->text))
		return false;
	p->n = n - 11 - p->padding;
	memcpy(p->text, t + 11 + p->padding, p->n);
	return p->type == 0 && address_len(p->text, p->n);
}

static bool open_old(const struct sserver_keys *k, const uint8_t *in, size_t n,
		     struct sserver_packet *p)
{
	uint8_t key[SSERVER_KEY_MAX], nonce[NONCE] = { 0 };

	if (n < k->n + TAG || n - k->n - TAG > sizeof(p->text))
		return false;
	memcpy(p->salt, in, k->n);
	derive(k, NULL, in, k->n, key);
	p->n = n - k->n - TAG;
	return unseal(k, key, nonce, in + k->n, p->n, p->text) && address_len(p->text, p->n);
}

static bool open_xchacha(const struct sserver_keys *k, const uint8_t *in, size_t n,
			 struct sserver_packet *p)
{
	uint8_t text[4096];

	if (n < XNONCE + TAG + BLOCK || n > sizeof(text))
		return false;
	memcpy(p->salt, in, XNONCE);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(text, NULL, NULL, in + XNONCE, n - XNONCE,
						       NULL, 0, in, k->key))
		return false;
	memcpy(p->session, text, 8);
	p->number = mf_load_be64(text + 8);
	return read_text(p, text + BLOCK, n - XNONCE - TAG - BLOCK);
}

static bool open_aes(const struct sserver_keys *k, const uint8_t *in, size_t n,
		     struct sserver_packet *p)
{
	const uint8_t *first = k->n_identities ? k->identity[0] : k->key;
	size_t front = BLOCK + (size_t)k->n_identities * BLOCK;
	uint8_t header[BLOCK], key[SSERVER_KEY_MAX], text[4096];

	if (n < front + TAG || n > sizeof(text))
		return false;
	block(k, first, in, header, 0);
	memcpy(p->session, header, 8);
	p->number = mf_load_be64(header + 8);
	for (unsigned i = 0; i < k->n_identities; i++) {
		uint8_t got[BLOCK], want[BLOCK];

		block(k, k->identity[i], in + BLOCK + (size_t)i * BLOCK, got, 0);
		next_hash(k, i, want);
		for (unsigned j = 0; j < BLOCK; j++)
			if (want[j] != (got[j] ^ header[j]))
				return false;
	}
	derive(k, NULL, p->session, sizeof(p->session), key);
	n -= front + TAG;
	return unseal(k, key, header + 4, in + front, n, text) && read_text(p, text, n);
}

bool sserver_open_packet(const struct sserver_keys *k, const uint8_t *in, size_t n,
			 struct sserver_packet *p)
{
	*p = (struct sserver_packet){ 0 };
	return (!k->edition_2022 ? open_old : k->chacha ? open_xchacha : open_aes)(k, in, n, p);
}

static void seal_old(const struct sserver_keys *k, const struct sserver_packet *p,
		     struct sserver_bytes *out)
{
	uint8_t key[SSERVER_KEY_MAX], nonce[NONCE] = { 0 };

	derive(k, NULL, p->salt, k->n, key);
	sserver_add(out, p->salt, k->n);
	seal(k, key, nonce, p->text, p->n, out);
}

static void seal_xchacha(const struct sserver_keys *k, const struct sserver_packet *p,
			 const struct sserver_bytes *text, struct sserver_bytes *out)
{
	uint8_t *sealed = malloc(text->n + TAG);

	MF_ASSERT(sealed);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, text->p, text->n, NULL, 0, NULL,
						   p->salt, k->key);
	sserver_add(out, p->salt, XNONCE);
	sserver_add(out, sealed, text->n + TAG);
	free(sealed);
}

static void seal_aes(const struct sserver_keys *k, const struct sserver_packet *p,
		     const uint8_t *header, const struct sserver_bytes *text,
		     struct sserver_bytes *out)
{
	uint8_t key[SSERVER_KEY_MAX], sealed[BLOCK];

	derive(k, NULL, p->session, sizeof(p->session), key);
	block(k, k->key, header, sealed, 1);
	sserver_add(out, sealed, BLOCK);
	seal(k, key, header + 4, text->p, text->n, out);
}

void sserver_seal_packet(const struct sserver_keys *k, const struct sserver_packet *p,
			 struct sserver_bytes *out)
{
	static const uint8_t zeros[0x10000];
	struct sserver_bytes text = { 0 };
	uint8_t header[BLOCK];

	if (!k->edition_2022) {
		seal_old(k, p, out);
		return;
	}
	memcpy(header, p->session, 8);
	mf_store_be64(header + 8, p->number);
	sserver_add(&text, header, k->chacha ? BLOCK : 0);
	add_number(&text, p->type, 1);
	add_number(&text, p->time, 8);
	sserver_add(&text, p->client, 8);
	add_number(&text, p->padding, 2);
	sserver_add(&text, zeros, p->padding);
	sserver_add(&text, p->text, p->n);
	if (k->chacha)
		seal_xchacha(k, p, &text, out);
	else
		seal_aes(k, p, header, &text, out);
	sserver_free(&text);
}
