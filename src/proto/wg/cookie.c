/* SPDX-License-Identifier: Apache-2.0
 *
 * cookie - see cookie.h.
 */
#include "proto/wg/cookie.h"

#include "crypto/aead.h"

static void labelled(struct mf_blake2s *h, uint8_t *out, const char label[8], const struct mf_key *key)
{
	mf_blake2s_hash2(h, out, label, 8, key->b, sizeof(key->b));
}

void mf_wg_cookie_checker_init(struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			       const struct mf_key *public_key)
{
	mf_wipe(c, sizeof(*c));
	labelled(h, c->mac1_key, "mac1----", public_key);
	labelled(h, c->cookie_key, "cookie--", public_key);
}

void mf_wg_cookie_maker_init(struct mf_wg_cookie_maker *m, struct mf_blake2s *h,
			     const struct mf_key *public_key)
{
	mf_wipe(m, sizeof(*m));
	labelled(h, m->mac1_key, "mac1----", public_key);
	labelled(h, m->cookie_key, "cookie--", public_key);
}

static bool older_than(mf_nsec now, mf_nsec birth, unsigned seconds)
{
	return now > birth && now - birth >= seconds * MF_SEC;
}

/* A cookie is a MAC over the source: address, then port, both in network byte order. */
static void cookie_of(const uint8_t *secret, struct mf_blake2s *h, const struct mf_endpoint *from,
		      uint8_t *cookie)
{
	size_t n = mf_addr_len(&from->addr);
	uint8_t source[18];

	memcpy(source, from->addr.b, n);
	mf_store_be16(source + n, from->port);
	mf_blake2s_mac(h, cookie, secret, MF_WG_KEY_LEN, source, n + 2);
}

bool mf_wg_cookie_mac1_ok(const struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			  const uint8_t *msg, size_t n)
{
	size_t at = n - sizeof(struct mf_wg_macs);
	uint8_t mac[MF_WG_MAC_LEN];

	mf_blake2s_mac(h, mac, c->mac1_key, sizeof(c->mac1_key), msg, at);
	return mf_equal_secret(mac, msg + at, sizeof(mac));
}

bool mf_wg_cookie_mac2_ok(const struct mf_wg_cookie_checker *c, struct mf_blake2s *h, mf_nsec now,
			  const struct mf_endpoint *from, const uint8_t *msg, size_t n)
{
	size_t at = n - MF_WG_MAC_LEN;
	uint8_t cookie[MF_WG_COOKIE_LEN], mac[MF_WG_MAC_LEN];
	bool ok;

	if (!c->has_secret || older_than(now, c->secret_birth, MF_WG_COOKIE_TIME))
		return false;
	cookie_of(c->secret, h, from, cookie);
	mf_blake2s_mac(h, mac, cookie, sizeof(cookie), msg, at);
	ok = mf_equal_secret(mac, msg + at, sizeof(mac));
	mf_wipe(cookie, sizeof(cookie));
	return ok;
}

void mf_wg_cookie_reply(struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			const struct mf_rng *rng, mf_nsec now, const struct mf_endpoint *from,
			const uint8_t *msg, size_t n, struct mf_wg_msg_cookie *reply)
{
	const uint8_t *mac1 = msg + n - sizeof(struct mf_wg_macs);
	uint8_t cookie[MF_WG_COOKIE_LEN];

	if (!c->has_secret || older_than(now, c->secret_birth, MF_WG_COOKIE_TIME)) {
		rng->fill(rng->ctx, c->secret, sizeof(c->secret));
		c->secret_birth = now;
		c->has_secret = true;
	}
	*reply = (struct mf_wg_msg_cookie){ .type = mf_le32_of(MF_WG_MSG_COOKIE) };
	/* Both messages have their sender's index right after the type. */
	memcpy(&reply->receiver, msg + 4, 4);
	rng->fill(rng->ctx, reply->nonce, sizeof(reply->nonce));
	cookie_of(c->secret, h, from, cookie);
	mf_xaead_seal(c->cookie_key, reply->nonce, mac1, MF_WG_MAC_LEN, cookie, sizeof(cookie),
		      reply->enc_cookie);
	mf_wipe(cookie, sizeof(cookie));
}

void mf_wg_cookie_add_macs(struct mf_wg_cookie_maker *m, struct mf_blake2s *h, mf_nsec now,
			   uint8_t *msg, size_t n)
{
	struct mf_wg_macs *macs = (struct mf_wg_macs *)(msg + n - sizeof(*macs));

	mf_blake2s_mac(h, macs->mac1, m->mac1_key, sizeof(m->mac1_key), msg, n - sizeof(*macs));
	memcpy(m->last_mac1, macs->mac1, sizeof(m->last_mac1));
	m->sent_mac1 = true;
	if (m->has_cookie &&
	    older_than(now, m->cookie_birth, MF_WG_COOKIE_TIME - MF_WG_COOKIE_LATENCY)) {
		mf_wipe(m->cookie, sizeof(m->cookie));
		m->has_cookie = false;
	}
	if (m->has_cookie)
		mf_blake2s_mac(h, macs->mac2, m->cookie, sizeof(m->cookie), msg, n - MF_WG_MAC_LEN);
	else
		memset(macs->mac2, 0, sizeof(macs->mac2));
}

bool mf_wg_cookie_consume(struct mf_wg_cookie_maker *m, mf_nsec now,
			  const struct mf_wg_msg_cookie *reply)
{
	uint8_t cookie[MF_WG_COOKIE_LEN];

	if (!m->sent_mac1)
		return false;
	if (!mf_xaead_open(m->cookie_key, reply->nonce, m->last_mac1, sizeof(m->last_mac1),
			   reply->enc_cookie, sizeof(reply->enc_cookie), cookie))
		return false;
	memcpy(m->cookie, cookie, sizeof(m->cookie));
	mf_wipe(cookie, sizeof(cookie));
	m->cookie_birth = now;
	m->has_cookie = true;
	m->sent_mac1 = false;
	return true;
}
