/* SPDX-License-Identifier: Apache-2.0
 *
 * session - the keys of sessions and datagrams, and what else both have in common.
 */
#include "crypto/blake3.h"
#include "crypto/hkdf_sha1.h"
#include "proto/shadowsocks/internal.h"

/* SIP022: BLAKE3's derivation from a key and a salt. */
static void derive(uint8_t out[MF_BLAKE3_LEN], const char *context, const uint8_t *key, size_t n,
		   struct mf_span salt)
{
	uint8_t material[2 * MF_SS_KEY_MAX];

	MF_ASSERT(n + salt.n <= sizeof(material));
	memcpy(material, key, n);
	memcpy(material + n, salt.p, salt.n);
	mf_blake3_derive(out, context, material, n + salt.n);
	mf_wipe(material, sizeof(material));
}

void mf_ss_session_key(struct mf_cipher_key *k, const struct mf_ss_config *c, struct mf_span salt,
		       bool once)
{
	uint8_t key[MF_BLAKE3_LEN];
	size_t n = mf_ss_key_len(c);

	if (mf_ss_is_2022(c))
		derive(key, "shadowsocks 2022 session subkey", c->key, n, salt);
	else
		mf_hkdf_sha1(key, n, mf_span(c->key, n), salt, mf_span("ss-subkey", 9));
	(once ? mf_cipher_key_init_once : mf_cipher_key_init)(k, mf_ss_alg(c), key);
	mf_wipe(key, sizeof(key));
}

void mf_ss_identity_key(struct mf_cipher_key *k, const struct mf_ss_config *c, unsigned i,
			const uint8_t *salt)
{
	uint8_t key[MF_BLAKE3_LEN];
	size_t n = mf_ss_key_len(c);

	derive(key, "shadowsocks 2022 identity subkey", c->identity[i], n, mf_span(salt, n));
	mf_cipher_key_init_once(k, mf_ss_alg(c), key);
	mf_wipe(key, sizeof(key));
}

int32_t mf_ss_skew(uint64_t server, uint64_t now)
{
	return server >= now ? (int32_t)mf_min(server - now, INT32_MAX)
			     : -(int32_t)mf_min(now - server, INT32_MAX);
}

bool mf_ss_read_packet(struct mf_span in, struct mf_endpoint *from, struct mf_span *payload)
{
	struct mf_proxy_target t;
	size_t used;

	if (mf_target_get_socks(in, &t, &used))
		return false;
	*from = t.addr;
	*payload = mf_span(in.p + used, in.n - used);
	return true;
}
