/* SPDX-License-Identifier: Apache-2.0
 *
 * x25519 - the raw form is libsodium's, which keeps nothing. A key object is OpenSSL's: its ladder
 * is faster (ADX), but it needs objects, which cost more than they win unless they are kept. Giving
 * OpenSSL the public key together with the private one saves the scalar multiplication by which it
 * would work it out; the peer's key object is written over in place.
 */
#include "crypto/x25519.h"
#include "crypto/sodium_ready.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct mf_x25519_key {
	EVP_PKEY_CTX *maker;  /* makes key objects from bytes */
	EVP_PKEY *peer;       /* whose public key is written anew for each secret */
	EVP_PKEY_CTX *derive; /* holds our private key */
	uint8_t pub[MF_X25519_LEN];
};

bool mf_x25519(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN],
	       const uint8_t pub[MF_X25519_LEN])
{
	mf_sodium_ready();
	if (MF_LIKELY(crypto_scalarmult_curve25519(out, priv, pub) == 0))
		return true;
	memset(out, 0, MF_X25519_LEN);
	return false;
}

void mf_x25519_base(uint8_t out[MF_X25519_LEN], const uint8_t priv[MF_X25519_LEN])
{
	mf_sodium_ready();
	crypto_scalarmult_curve25519_base(out, priv);
}

/* priv may be NULL. The caller owns the result; NULL on failure. */
static EVP_PKEY *import(EVP_PKEY_CTX *maker, const uint8_t *priv, const uint8_t *pub)
{
	OSSL_PARAM p[3], *end = p; /* only read, but their pointers are not to const */
	EVP_PKEY *key = NULL;

	*end++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)pub,
						   MF_X25519_LEN);
	if (priv)
		*end++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
							   (void *)(uintptr_t)priv, MF_X25519_LEN);
	*end = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata(maker, &key, priv ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, p) != 1)
		return NULL;
	return key;
}

bool mf_x25519_key_set(struct mf_x25519_key *key, const uint8_t priv[MF_X25519_LEN],
		       const uint8_t *pub)
{
	uint8_t computed[MF_X25519_LEN];
	EVP_PKEY_CTX *derive = NULL;
	EVP_PKEY *own;

	if (!pub) {
		mf_x25519_base(computed, priv);
		pub = computed;
	}
	own = import(key->maker, priv, pub);
	if (own)
		derive = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	EVP_PKEY_free(own); /* the context holds it now */
	if (!derive || EVP_PKEY_derive_init(derive) != 1) {
		EVP_PKEY_CTX_free(derive);
		return false;
	}
	EVP_PKEY_CTX_free(key->derive);
	key->derive = derive;
	memmove(key->pub, pub, MF_X25519_LEN);
	return true;
}

static bool prepare(struct mf_x25519_key *key)
{
	static const uint8_t base_point[MF_X25519_LEN] = { 9 };

	key->maker = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	if (!key->maker || EVP_PKEY_fromdata_init(key->maker) != 1)
		return false;
	key->peer = import(key->maker, NULL, base_point); /* any public key will do */
	return key->peer;
}

struct mf_x25519_key *mf_x25519_key_new(const uint8_t priv[MF_X25519_LEN])
{
	struct mf_x25519_key *key = calloc(1, sizeof(*key));

	if (!key)
		return NULL;
	if (prepare(key) && mf_x25519_key_set(key, priv, NULL))
		return key;
	mf_x25519_key_free(key);
	return NULL;
}

void mf_x25519_key_free(struct mf_x25519_key *key)
{
	if (!key)
		return;
	EVP_PKEY_CTX_free(key->derive);
	EVP_PKEY_free(key->peer);
	EVP_PKEY_CTX_free(key->maker);
	free(key);
}

const uint8_t *mf_x25519_key_public(const struct mf_x25519_key *key)
{
	return key->pub;
}

bool mf_x25519_key_shared(struct mf_x25519_key *key, uint8_t out[MF_X25519_LEN],
			  const uint8_t pub[MF_X25519_LEN])
{
	size_t n = MF_X25519_LEN;

	MF_ASSERT(EVP_PKEY_set1_encoded_public_key(key->peer, pub, n) == 1 &&
		  EVP_PKEY_derive_set_peer_ex(key->derive, key->peer, 0) == 1);
	if (MF_LIKELY(EVP_PKEY_derive(key->derive, out, &n) == 1))
		return true;
	/* Only an all-zero secret fails here. Its error must not show up in somebody's TLS. */
	memset(out, 0, MF_X25519_LEN);
	ERR_clear_error();
	return false;
}
