/* SPDX-License-Identifier: Apache-2.0
 *
 * vmess - the client of VMess with AEAD headers (alterId 0), without I/O: sessions, and datagrams
 * to one target.
 */
#ifndef MF_PROTO_VMESS_H
#define MF_PROTO_VMESS_H

#include "proto/proxy/codec.h"
#include "proto/proxy/uuid.h"
#include "proto/vmess/body.h"

enum mf_vmess_security {
	MF_VMESS_AUTO, /* AES where the CPU has it, else ChaCha20 */
	MF_VMESS_AES_128_GCM,
	MF_VMESS_CHACHA20_POLY1305,
	MF_VMESS_NONE, /* in chunks, but not encrypted */
	MF_VMESS_ZERO, /* raw bytes; datagrams as with none, for they need their bounds */
	MF_VMESS_SECURITIES
};

/* Secret. */
struct mf_vmess_config {
	uint8_t key[MF_VMESS_KEY_LEN];    /* "CmdKey": from the uuid */
	struct mf_cipher_key auth_id_key; /* from `key` */
	uint8_t security;                 /* enum mf_vmess_security */
	/* Hides the length of each chunk. On unless the profile says otherwise: v2ray's own clients
	 * do it, so every server knows it, and it costs 32 bytes a chunk. */
	bool global_padding;
	/* Seals lengths instead of masking them. Off unless the profile says otherwise: v2ray 4
	 * does not know it, and hangs. */
	bool authenticated_length;
};

/* "auto", "aes-128-gcm", ...; false: unknown. */
bool mf_vmess_security_find(const char *name, enum mf_vmess_security *out);
const char *mf_vmess_security_name(enum mf_vmess_security s);
/* Both keys. Any thread. */
void mf_vmess_config_set_uuid(struct mf_vmess_config *c, const uint8_t uuid[MF_UUID_LEN]);

/* What lies behind `config` is vmess.c's. */
struct mf_vmess {
	struct mf_codec codec;
	const struct mf_vmess_config *config;
	struct mf_vmess_body body;
	uint8_t answer_key[MF_VMESS_KEY_LEN], answer_iv[MF_VMESS_KEY_LEN]; /* until it has come */
	uint8_t verify;  /* what its header has to repeat */
	uint8_t command; /* enum mf_vmess_command */
	uint8_t awaits;  /* what comes next from the server */
	uint16_t reply;  /* bytes of its header */
	struct mf_vmess_chunk chunk;
};
/* `udp`: datagrams to `to`, else a session. `cfg`, `env` and `to` live longer (to: until
 * codec.begun). */
void mf_vmess_init(struct mf_vmess *v, const struct mf_vmess_config *cfg,
		   const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp);

#endif
