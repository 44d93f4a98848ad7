/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - datagrams with AEAD ciphers (SIP004): each is a salt and a single message, of address
 * and payload, with a key of its own. The 2022 edition is in packets_2022.c.
 */
#include "proto/shadowsocks/internal.h"

/* A key is used for one message. */
static const uint8_t zero_nonce[MF_CIPHER_NONCE_LEN];

static const struct mf_ss_packets *self(const struct mf_packet_codec *c)
{
	return MF_CONTAINER_OF(c, const struct mf_ss_packets, codec);
}

static size_t seal(struct mf_packet_codec *c, const struct mf_proxy_target *to,
		   struct mf_span payload, uint8_t *out, size_t room)
{
	const struct mf_ss_config *cfg = self(c)->config;
	size_t salt = mf_ss_key_len(cfg), overhead = salt + mf_target_len(to) + SS_TAG;
	uint8_t target[MF_TARGET_LEN_MAX];
	struct mf_span v[] = { { target, 0 }, payload };
	struct mf_cipher_key k;

	if (room < overhead || payload.n > room - overhead)
		return 0;
	v[0].n = mf_target_put_socks(to, target);
	c->env->rng.fill(c->env->rng.ctx, out, salt);
	mf_ss_session_key(&k, cfg, mf_span(out, salt), true);
	mf_cipher_seal(c->env->cipher, &k, zero_nonce, mf_span(NULL, 0), v, 2, out + salt);
	mf_cipher_key_wipe(&k);
	return overhead + payload.n;
}

static mf_err open(struct mf_packet_codec *c, uint8_t *in, size_t n, struct mf_span *payload,
		   struct mf_endpoint *from)
{
	const struct mf_ss_config *cfg = self(c)->config;
	size_t salt = mf_ss_key_len(cfg);
	struct mf_cipher_key k;
	struct mf_room plain;
	bool ok;

	if (n < salt + SS_TAG)
		return mf_packet_fail(c, MF_E_SHORT, MF_PROXY_PROTOCOL);
	plain = (struct mf_room){ in + salt, n - salt - SS_TAG };
	mf_ss_session_key(&k, cfg, mf_span(in, salt), true);
	ok = mf_cipher_open(c->env->cipher, &k, zero_nonce, mf_span(NULL, 0), plain.p, n - salt,
			    &plain, 1);
	mf_cipher_key_wipe(&k);
	if (!ok)
		return mf_packet_fail(c, MF_E_AUTH, MF_PROXY_AUTH);
	if (!mf_ss_read_packet(mf_span(plain.p, plain.n), from, payload))
		return mf_packet_fail(c, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	return MF_OK;
}

static void wipe(struct mf_packet_codec *c)
{
	(void)c; /* it keeps no keys */
}

static const struct mf_packet_ops ops = {
	.name = "shadowsocks",
	.seal = seal,
	.open = open,
	.wipe = wipe,
};

void mf_ss_packets_init(struct mf_ss_packets *s, const struct mf_ss_config *cfg,
			const struct mf_codec_env *env)
{
	*s = (struct mf_ss_packets){ .codec = { .ops = &ops, .env = env }, .config = cfg };
	if (mf_ss_is_2022(cfg))
		mf_ss_packets_init_2022(s);
}
