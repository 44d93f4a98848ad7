/* SPDX-License-Identifier: Apache-2.0
 *
 * config - methods, and the keys that come from passwords.
 */
#include "crypto/blake3.h"
#include "crypto/password.h"
#include "proto/shadowsocks/internal.h"

#include <strings.h>

static const struct {
	const char *name;
	const char *also[2]; /* of the first documents, and of configurations that people have */
	enum mf_cipher_alg alg;
	bool is_2022;
} methods[MF_SS_METHODS] = {
	[MF_SS_AES_128_GCM] = { "aes-128-gcm", { "aead_aes_128_gcm" }, MF_AES_128_GCM, false },
	[MF_SS_AES_256_GCM] = { "aes-256-gcm", { "aead_aes_256_gcm" }, MF_AES_256_GCM, false },
	[MF_SS_CHACHA20_IETF_POLY1305] = { "chacha20-ietf-poly1305",
					   { "chacha20-poly1305", "aead_chacha20_poly1305" },
					   MF_CHACHA20_POLY1305,
					   false },
	[MF_SS_2022_BLAKE3_AES_128_GCM] = { "2022-blake3-aes-128-gcm", { 0 }, MF_AES_128_GCM, true },
	[MF_SS_2022_BLAKE3_AES_256_GCM] = { "2022-blake3-aes-256-gcm", { 0 }, MF_AES_256_GCM, true },
	[MF_SS_2022_BLAKE3_CHACHA20_POLY1305] = { "2022-blake3-chacha20-poly1305",
						  { 0 },
						  MF_CHACHA20_POLY1305,
						  true },
};

enum mf_cipher_alg mf_ss_alg(const struct mf_ss_config *c)
{
	return methods[c->method].alg;
}

bool mf_ss_is_2022(const struct mf_ss_config *c)
{
	return methods[c->method].is_2022;
}

const char *mf_ss_method_name(enum mf_ss_method m)
{
	return methods[m].name;
}

static bool has_name(enum mf_ss_method m, const char *name)
{
	if (!strcasecmp(name, methods[m].name))
		return true;
	for (size_t i = 0; i < MF_ARRAY_LEN(methods[m].also); i++)
		if (methods[m].also[i] && !strcasecmp(name, methods[m].also[i]))
			return true;
	return false;
}

bool mf_ss_method_find(const char *name, enum mf_ss_method *out)
{
	for (unsigned m = 0; m < MF_SS_METHODS; m++)
		if (has_name(m, name)) {
			*out = m;
			return true;
		}
	return false;
}

/* ---- Passwords ------------------------------------------------------------------------------- */

/* The keys of the 2022 edition, the last of which is the user's. */
static mf_err read_keys(struct mf_ss_config *c, const char *text, struct mf_errbuf *eb)
{
	size_t want = mf_ss_key_len(c);
	uint8_t hash[MF_BLAKE3_LEN];

	for (;; c->n_identities++) {
		size_t n = strcspn(text, ":");

		if (!mf_password_base64(c->key, want, mf_span(text, n)))
			return mf_fail(eb, MF_E_MALFORMED,
				       "key %d of the password is not %zu bytes in base64 "
				       "(make one with `openssl rand -base64 %zu`)",
				       c->n_identities + 1, want, want);
		if (c->n_identities) {
			mf_blake3_hash(hash, c->key, want);
			memcpy(c->next[c->n_identities - 1], hash, MF_SS_IDENTITY_LEN);
		}
		if (!text[n])
			return MF_OK;
		if (mf_ss_alg(c) == MF_CHACHA20_POLY1305)
			return mf_fail(eb, MF_E_MALFORMED,
				       "%s has no identity headers: it takes one key",
				       mf_ss_method_name(c->method));
		if (c->n_identities == MF_SS_IDENTITIES_MAX)
			return mf_fail(eb, MF_E_MALFORMED, "the password has more than %d keys",
				       MF_SS_IDENTITIES_MAX + 1);
		memcpy(c->identity[c->n_identities], c->key, want);
		text += n + 1;
	}
}

mf_err mf_ss_config_set(struct mf_ss_config *c, enum mf_ss_method m, const char *password,
			struct mf_errbuf *eb)
{
	uint8_t key[MF_PASSWORD_KEY_LEN];
	mf_err e = MF_OK;

	*c = (struct mf_ss_config){ .method = (uint8_t)m };
	if (mf_ss_is_2022(c)) {
		e = read_keys(c, password, eb);
	} else if (!*password) {
		e = mf_fail(eb, MF_E_MALFORMED, "the password is empty");
	} else {
		mf_password_md5(key, password);
		memcpy(c->key, key, mf_ss_key_len(c));
		mf_wipe(key, sizeof(key));
	}
	if (e)
		mf_wipe(c, sizeof(*c));
	return e;
}
