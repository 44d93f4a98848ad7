/* SPDX-License-Identifier: Apache-2.0
 *
 * trojan - the client of Trojan, without I/O: sessions, and datagrams to any target. It encrypts
 * nothing: it runs inside TLS.
 *
 * The server has no answer of its own: what comes is what the target says. To who has a wrong
 * password its web server answers instead, which cannot be told from a target that is one, but in
 * one case, which is the most frequent: what answers TLS with HTTP is no target that an app meant.
 * (An app that speaks TLS to a port without is mistaken for it. It sees a reset where it would see
 * an error.)
 */
#ifndef MF_PROTO_TROJAN_H
#define MF_PROTO_TROJAN_H

#include "proto/proxy/codec.h"

enum {
	MF_TROJAN_HASH_LEN = 56,
	MF_TROJAN_DGRAM_MAX = 8192, /* what the first server's buffer holds */
};

/* Secret: the hexadecimal SHA-224 of the password is as good as the password. */
struct mf_trojan_config {
	char hash[MF_TROJAN_HASH_LEN];
};
void mf_trojan_config_set(struct mf_trojan_config *c, const char *password);

struct mf_trojan {
	struct mf_codec codec;
	const struct mf_trojan_config *config;
	bool udp;
	bool tls; /* what we send begins as TLS does */
};

/* `cfg` and `env` outlive it. */
void mf_trojan_init(struct mf_trojan *t, const struct mf_trojan_config *cfg,
		    const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp);

#endif
