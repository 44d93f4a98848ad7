/* SPDX-License-Identifier: Apache-2.0
 *
 * noise - the key exchange: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as the WireGuard white paper uses
 * it (sections 5.4.2 and 5.4.3).
 *
 * Both sides are functions over values. The responder needs no state between messages: it consumes an
 * initiation, and makes response and keys, in one go. The initiator keeps one struct
 * mf_wg_noise_initiator until the response comes. So a peer can initiate and respond at the same time
 * and both handshakes succeed. No function changes what it was given before the message is verified.
 *
 * macs are not this file's business (cookie.h): message structs come and go without them.
 */
#ifndef MF_WG_NOISE_H
#define MF_WG_NOISE_H

#include "base/key.h"
#include "crypto/blake2s.h"
#include "proto/wg/messages.h"

/* One per instance: the hasher and constants. Used by one thread. */
struct mf_wg_noise {
	struct mf_blake2s *hasher;
	struct mf_rng rng;
	uint8_t first_chain[MF_WG_HASH_LEN]; /* HASH(construction) */
	uint8_t first_hash[MF_WG_HASH_LEN];  /* HASH(first_chain || identifier) */
};

/* Ourselves. */
struct mf_wg_noise_self {
	struct mf_key private_key, public_key;
};

/* The other side. */
struct mf_wg_noise_remote {
	struct mf_key public_key, psk;
	uint8_t static_static[MF_WG_KEY_LEN]; /* DH of the two static keys, precomputed */
	bool usable;                          /* false: that DH is zero, no handshake is possible */
};

/* The running transcript. */
struct mf_wg_noise_symmetric {
	uint8_t chain[MF_WG_HASH_LEN], hash[MF_WG_HASH_LEN];
};

struct mf_wg_noise_initiator {
	struct mf_wg_noise_symmetric s;
	uint8_t ephemeral[MF_WG_KEY_LEN]; /* private */
};

/* An initiation on its way to be trusted. */
struct mf_wg_noise_responder {
	struct mf_wg_noise_symmetric s;
	uint8_t remote_ephemeral[MF_WG_KEY_LEN];
	struct mf_key remote_static;
	uint32_t remote_index;
};

struct mf_wg_noise_keys {
	uint8_t send[MF_WG_KEY_LEN], recv[MF_WG_KEY_LEN];
	uint32_t remote_index;
};

MF_MUST_CHECK mf_err mf_wg_noise_init(struct mf_wg_noise *n, const struct mf_rng *rng);
void mf_wg_noise_fini(struct mf_wg_noise *n);

/* Takes a private key and works out the public one. */
void mf_wg_noise_self_set(struct mf_wg_noise_self *self, const struct mf_key *private_key);
/* Works out what depends on both static keys; call again when either changes. */
void mf_wg_noise_remote_set(struct mf_wg_noise_remote *r, const struct mf_wg_noise_self *self);

/* False: this pair of keys cannot shake hands. */
MF_MUST_CHECK bool
mf_wg_noise_create_initiation(struct mf_wg_noise *n, const struct mf_wg_noise_self *self,
			      const struct mf_wg_noise_remote *r,
			      const uint8_t timestamp[MF_WG_TIMESTAMP_LEN], uint32_t local_index,
			      struct mf_wg_noise_initiator *state, struct mf_wg_msg_initiation *m);

/* First half: who claims to be calling? `r->remote_static` is only known to be well-formed after this;
 * anybody can make a message that comes this far. */
MF_MUST_CHECK bool mf_wg_noise_open_static(struct mf_wg_noise *n, const struct mf_wg_noise_self *self,
					   const struct mf_wg_msg_initiation *m,
					   struct mf_wg_noise_responder *r);
/* Second half: true proves that the owner of the static key made the message, at `timestamp`. The
 * caller sees to it that it is newer than the last one. */
MF_MUST_CHECK bool mf_wg_noise_open_timestamp(struct mf_wg_noise *n,
					      const struct mf_wg_noise_remote *remote,
					      const struct mf_wg_msg_initiation *m,
					      struct mf_wg_noise_responder *r,
					      uint8_t timestamp[MF_WG_TIMESTAMP_LEN]);
/* Answers, and wipes `r`. */
MF_MUST_CHECK bool mf_wg_noise_create_response(struct mf_wg_noise *n,
					       const struct mf_wg_noise_remote *remote,
					       struct mf_wg_noise_responder *r,
					       uint32_t local_index, struct mf_wg_msg_response *m,
					       struct mf_wg_noise_keys *keys);

/* True proves that the peer made the response to our initiation; wipes `state` then, and only then. */
MF_MUST_CHECK bool mf_wg_noise_consume_response(struct mf_wg_noise *n,
						const struct mf_wg_noise_self *self,
						const struct mf_wg_noise_remote *remote,
						struct mf_wg_noise_initiator *state,
						const struct mf_wg_msg_response *m,
						struct mf_wg_noise_keys *keys);

#endif
