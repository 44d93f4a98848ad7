/* SPDX-License-Identifier: Apache-2.0
 *
 * noise - see noise.h. Variable names follow the white paper where it has some: chain is C, hash is H.
 */
#include "proto/wg/noise.h"

#include "crypto/aead.h"
#include "crypto/x25519.h"

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

mf_err mf_wg_noise_init(struct mf_wg_noise *n, const struct mf_rng *rng)
{
	*n = (struct mf_wg_noise){ .rng = *rng };
	n->hasher = mf_blake2s_new();
	if (!n->hasher)
		return MF_E_NO_MEMORY;
	mf_blake2s_hash(n->hasher, n->first_chain, construction, sizeof(construction) - 1);
	mf_blake2s_hash2(n->hasher, n->first_hash, n->first_chain, sizeof(n->first_chain),
			 identifier, sizeof(identifier) - 1);
	return MF_OK;
}

void mf_wg_noise_fini(struct mf_wg_noise *n)
{
	mf_blake2s_free(n->hasher);
	*n = (struct mf_wg_noise){ 0 };
}

void mf_wg_noise_self_set(struct mf_wg_noise_self *self, const struct mf_key *private_key)
{
	self->private_key = *private_key;
	/* Clamped here so that dumps show the key as other implementations show it. */
	self->private_key.b[0] &= 248;
	self->private_key.b[31] = (uint8_t)((self->private_key.b[31] & 127) | 64);
	mf_x25519_base(self->public_key.b, self->private_key.b);
}

void mf_wg_noise_remote_set(struct mf_wg_noise_remote *r, const struct mf_wg_noise_self *self)
{
	r->usable = mf_x25519(r->static_static, self->private_key.b, r->public_key.b);
}

static void mix_hash(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, const void *data,
		     size_t len)
{
	mf_blake2s_hash2(n->hasher, s->hash, s->hash, sizeof(s->hash), data, len);
}

/* `key` may be NULL where the protocol needs no key at this place. */
static void mix_key(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, uint8_t *key,
		    const void *data, size_t len)
{
	mf_blake2s_kdf(n->hasher, s->chain, key, NULL, s->chain, data, len);
}

MF_MUST_CHECK static bool mix_dh(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s,
				 uint8_t *key, const uint8_t *priv, const uint8_t *pub)
{
	uint8_t dh[MF_X25519_LEN];
	bool ok = mf_x25519(dh, priv, pub);

	if (ok)
		mix_key(n, s, key, dh, sizeof(dh));
	mf_wipe(dh, sizeof(dh));
	return ok;
}

static void mix_ephemeral(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, const uint8_t *pub)
{
	mix_key(n, s, NULL, pub, MF_WG_KEY_LEN);
	mix_hash(n, s, pub, MF_WG_KEY_LEN);
}

static void mix_psk(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, uint8_t *key,
		    const struct mf_key *psk)
{
	uint8_t t[MF_WG_HASH_LEN];

	mf_blake2s_kdf(n->hasher, s->chain, t, key, s->chain, psk->b, sizeof(psk->b));
	mix_hash(n, s, t, sizeof(t));
	mf_wipe(t, sizeof(t));
}

static void seal(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, const uint8_t *key,
		 const void *src, size_t len, uint8_t *dst)
{
	mf_aead_seal_aad(key, 0, s->hash, sizeof(s->hash), src, len, dst);
	mix_hash(n, s, dst, len + MF_WG_TAG_LEN);
}

MF_MUST_CHECK static bool open(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s,
			       const uint8_t *key, const uint8_t *src, size_t len, uint8_t *dst)
{
	if (!mf_aead_open_aad(key, 0, s->hash, sizeof(s->hash), src, len, dst))
		return false;
	mix_hash(n, s, src, len);
	return true;
}

static void start(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s,
		  const struct mf_key *responder)
{
	memcpy(s->chain, n->first_chain, sizeof(s->chain));
	memcpy(s->hash, n->first_hash, sizeof(s->hash));
	mix_hash(n, s, responder->b, sizeof(responder->b));
}

/* Noise's Split(): the initiator sends with the first key. */
static void split(struct mf_wg_noise *n, struct mf_wg_noise_symmetric *s, uint8_t *initiator,
		  uint8_t *responder)
{
	mf_blake2s_kdf(n->hasher, initiator, responder, NULL, s->chain, NULL, 0);
}

static void make_ephemeral(struct mf_wg_noise *n, uint8_t *priv, uint8_t *pub)
{
	n->rng.fill(n->rng.ctx, priv, MF_WG_KEY_LEN);
	mf_x25519_base(pub, priv);
}

bool mf_wg_noise_create_initiation(struct mf_wg_noise *n, const struct mf_wg_noise_self *self,
				   const struct mf_wg_noise_remote *r,
				   const uint8_t timestamp[MF_WG_TIMESTAMP_LEN],
				   uint32_t local_index, struct mf_wg_noise_initiator *state,
				   struct mf_wg_msg_initiation *m)
{
	uint8_t key[MF_WG_KEY_LEN];
	bool ok = false;

	if (!r->usable)
		return false;
	*m = (struct mf_wg_msg_initiation){ .type = mf_le32_of(MF_WG_MSG_INITIATION),
					    .sender = mf_le32_of(local_index) };
	start(n, &state->s, &r->public_key);
	make_ephemeral(n, state->ephemeral, m->ephemeral);
	mix_ephemeral(n, &state->s, m->ephemeral);
	if (!mix_dh(n, &state->s, key, state->ephemeral, r->public_key.b))
		goto out;
	seal(n, &state->s, key, self->public_key.b, MF_WG_KEY_LEN, m->enc_static);
	mix_key(n, &state->s, key, r->static_static, sizeof(r->static_static));
	seal(n, &state->s, key, timestamp, MF_WG_TIMESTAMP_LEN, m->enc_timestamp);
	ok = true;
out:
	if (!ok)
		mf_wipe(state, sizeof(*state));
	mf_wipe(key, sizeof(key));
	return ok;
}

bool mf_wg_noise_open_static(struct mf_wg_noise *n, const struct mf_wg_noise_self *self,
			     const struct mf_wg_msg_initiation *m, struct mf_wg_noise_responder *r)
{
	uint8_t key[MF_WG_KEY_LEN];
	bool ok;

	memcpy(r->remote_ephemeral, m->ephemeral, sizeof(r->remote_ephemeral));
	r->remote_index = mf_le32_get(m->sender);
	start(n, &r->s, &self->public_key);
	mix_ephemeral(n, &r->s, m->ephemeral);
	ok = mix_dh(n, &r->s, key, self->private_key.b, m->ephemeral) &&
	     open(n, &r->s, key, m->enc_static, sizeof(m->enc_static), r->remote_static.b);
	mf_wipe(key, sizeof(key));
	if (!ok)
		mf_wipe(r, sizeof(*r));
	return ok;
}

bool mf_wg_noise_open_timestamp(struct mf_wg_noise *n, const struct mf_wg_noise_remote *remote,
				const struct mf_wg_msg_initiation *m, struct mf_wg_noise_responder *r,
				uint8_t timestamp[MF_WG_TIMESTAMP_LEN])
{
	uint8_t key[MF_WG_KEY_LEN];
	bool ok = remote->usable;

	if (ok) {
		mix_key(n, &r->s, key, remote->static_static, sizeof(remote->static_static));
		ok = open(n, &r->s, key, m->enc_timestamp, sizeof(m->enc_timestamp), timestamp);
	}
	mf_wipe(key, sizeof(key));
	if (!ok)
		mf_wipe(r, sizeof(*r));
	return ok;
}

bool mf_wg_noise_create_response(struct mf_wg_noise *n, const struct mf_wg_noise_remote *remote,
				 struct mf_wg_noise_responder *r, uint32_t local_index,
				 struct mf_wg_msg_response *m, struct mf_wg_noise_keys *keys)
{
	uint8_t ephemeral[MF_WG_KEY_LEN], key[MF_WG_KEY_LEN];
	bool ok;

	*m = (struct mf_wg_msg_response){ .type = mf_le32_of(MF_WG_MSG_RESPONSE),
					  .sender = mf_le32_of(local_index),
					  .receiver = mf_le32_of(r->remote_index) };
	make_ephemeral(n, ephemeral, m->ephemeral);
	mix_ephemeral(n, &r->s, m->ephemeral);
	ok = mix_dh(n, &r->s, NULL, ephemeral, r->remote_ephemeral) &&
	     mix_dh(n, &r->s, NULL, ephemeral, r->remote_static.b);
	if (ok) {
		mix_psk(n, &r->s, key, &remote->psk);
		seal(n, &r->s, key, NULL, 0, m->enc_nothing);
		split(n, &r->s, keys->recv, keys->send);
		keys->remote_index = r->remote_index;
	}
	mf_wipe(r, sizeof(*r));
	mf_wipe(ephemeral, sizeof(ephemeral));
	mf_wipe(key, sizeof(key));
	return ok;
}

bool mf_wg_noise_consume_response(struct mf_wg_noise *n, const struct mf_wg_noise_self *self,
				  const struct mf_wg_noise_remote *remote,
				  struct mf_wg_noise_initiator *state,
				  const struct mf_wg_msg_response *m, struct mf_wg_noise_keys *keys)
{
	struct mf_wg_noise_symmetric s = state->s; /* a forged response must not spoil the real one */
	uint8_t key[MF_WG_KEY_LEN], nothing[1];
	bool ok;

	mix_ephemeral(n, &s, m->ephemeral);
	ok = mix_dh(n, &s, NULL, state->ephemeral, m->ephemeral) &&
	     mix_dh(n, &s, NULL, self->private_key.b, m->ephemeral);
	if (ok) {
		mix_psk(n, &s, key, &remote->psk);
		ok = open(n, &s, key, m->enc_nothing, sizeof(m->enc_nothing), nothing);
	}
	if (ok) {
		split(n, &s, keys->send, keys->recv);
		keys->remote_index = mf_le32_get(m->sender);
		mf_wipe(state, sizeof(*state));
	}
	mf_wipe(&s, sizeof(s));
	mf_wipe(key, sizeof(key));
	return ok;
}
