/* SPDX-License-Identifier: Apache-2.0
 *
 * cookie - mac1, which proves that the sender knows whom it is talking to, and mac2, which proves that
 * it owns its source address (white paper, sections 5.3 and 5.4.4, 5.4.7).
 *
 * A *checker* belongs to a device: it verifies macs and hands out cookies, keeping no state per
 * source. A *maker* belongs to a peer: it adds macs to what we send and remembers the peer's cookie.
 */
#ifndef MF_WG_COOKIE_H
#define MF_WG_COOKIE_H

#include "base/addr.h"
#include "base/key.h"
#include "crypto/blake2s.h"
#include "proto/wg/messages.h"

struct mf_wg_cookie_checker {
	uint8_t mac1_key[MF_WG_KEY_LEN], cookie_key[MF_WG_KEY_LEN];
	uint8_t secret[MF_WG_KEY_LEN]; /* renewed when older than MF_WG_COOKIE_TIME */
	mf_nsec secret_birth;
	bool has_secret;
};

struct mf_wg_cookie_maker {
	uint8_t mac1_key[MF_WG_KEY_LEN], cookie_key[MF_WG_KEY_LEN]; /* of the peer */
	uint8_t last_mac1[MF_WG_MAC_LEN]; /* of the last message we sent */
	bool sent_mac1;                   /* and a cookie reply to it has not come yet */
	uint8_t cookie[MF_WG_COOKIE_LEN];
	mf_nsec cookie_birth;
	bool has_cookie;
};

/* `public_key` is the device's own. Forgets the secret. */
void mf_wg_cookie_checker_init(struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			       const struct mf_key *public_key);
/* `public_key` is the peer's. */
void mf_wg_cookie_maker_init(struct mf_wg_cookie_maker *m, struct mf_blake2s *h,
			     const struct mf_key *public_key);

/* `msg` is a whole initiation or response; its last 32 bytes are the macs. */
bool mf_wg_cookie_mac1_ok(const struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			  const uint8_t *msg, size_t n);
bool mf_wg_cookie_mac2_ok(const struct mf_wg_cookie_checker *c, struct mf_blake2s *h, mf_nsec now,
			  const struct mf_endpoint *from, const uint8_t *msg, size_t n);
/* The reply to a message with a good mac1: a cookie for its source address and port. */
void mf_wg_cookie_reply(struct mf_wg_cookie_checker *c, struct mf_blake2s *h,
			const struct mf_rng *rng, mf_nsec now, const struct mf_endpoint *from,
			const uint8_t *msg, size_t n, struct mf_wg_msg_cookie *reply);

/* Fills in both macs; mac2 is zero without a fresh cookie. */
void mf_wg_cookie_add_macs(struct mf_wg_cookie_maker *m, struct mf_blake2s *h, mf_nsec now,
			   uint8_t *msg, size_t n);
/* False: not an answer to our last message, or not made by our peer; nothing has changed then. */
bool mf_wg_cookie_consume(struct mf_wg_cookie_maker *m, mf_nsec now,
			  const struct mf_wg_msg_cookie *reply);

#endif
