/* SPDX-License-Identifier: Apache-2.0
 *
 * shadowsocks - the client of Shadowsocks with AEAD ciphers (SIP004, SIP007) and of its 2022
 * edition (SIP022, with identity headers, SIP023), without I/O: sessions and datagrams.
 *
 * Sessions: what each side sends is a salt and then messages sealed with a key that is made of the
 * salt and the password's key; the nonce counts them. Messages come in pairs, a length and so much
 * payload. The 2022 edition begins with headers that carry the time and, of an answer, the salt
 * that it is the answer to, so that neither can be played back.
 */
#ifndef MF_PROTO_SHADOWSOCKS_H
#define MF_PROTO_SHADOWSOCKS_H

#include "base/err.h"
#include "proto/proxy/codec.h"

enum mf_ss_method {
	MF_SS_AES_128_GCM,
	MF_SS_AES_256_GCM,
	MF_SS_CHACHA20_IETF_POLY1305,
	MF_SS_2022_BLAKE3_AES_128_GCM,
	MF_SS_2022_BLAKE3_AES_256_GCM,
	MF_SS_2022_BLAKE3_CHACHA20_POLY1305,
	MF_SS_METHODS
};
enum { MF_SS_KEY_MAX = 32, MF_SS_IDENTITIES_MAX = 4, MF_SS_IDENTITY_LEN = 16 };

/* Secret. The same method and password make the same bytes. */
struct mf_ss_config {
	uint8_t method;       /* enum mf_ss_method */
	uint8_t n_identities; /* 2022: keys before the last one */
	uint8_t key[MF_SS_KEY_MAX];
	uint8_t identity[MF_SS_IDENTITIES_MAX][MF_SS_KEY_MAX];
	/* What the server behind each of them knows the next key by: the beginning of its hash. */
	uint8_t next[MF_SS_IDENTITIES_MAX][MF_SS_IDENTITY_LEN];
};

/* "aes-256-gcm" and so on, also by the other names that people give them, in any case. False:
 * unknown; the old stream ciphers (rc4-md5, aes-256-cfb ...) are unknown. */
bool mf_ss_method_find(const char *name, enum mf_ss_method *out);
const char *mf_ss_method_name(enum mf_ss_method m);
/* The key from a password (2022: keys in base64, joined by ':'). MF_E_MALFORMED: `eb` says what is
 * wrong with it, without showing it. */
MF_MUST_CHECK mf_err mf_ss_config_set(struct mf_ss_config *c, enum mf_ss_method m,
				      const char *password, struct mf_errbuf *eb);

/* ---- Sessions -------------------------------------------------------------------------------- */

/* One direction of a session. */
struct mf_ss_half {
	struct mf_cipher_key key;
	uint64_t count; /* messages so far: the next nonce */
};

struct mf_ss_stream {
	struct mf_codec codec;
	const struct mf_ss_config *config;
	/* The rest belongs to stream.c and stream_open.c. */
	struct mf_ss_half up, down;
	uint8_t salt[MF_SS_KEY_MAX]; /* ours */
	uint8_t expect;              /* what comes next */
	int8_t broken;               /* mf_err that comes after payload that came before it */
	uint32_t length;             /* of the next message, without its tag */
	uint32_t plain; /* bytes of payload that did not fit the rooms: in front of `in` */
};
static_assert(sizeof(struct mf_ss_stream) <= 256, "a session is small");

/* `cfg`, `env` and `to` live longer (to: until codec.begun). */
void mf_ss_stream_init(struct mf_ss_stream *s, const struct mf_ss_config *cfg,
		       const struct mf_codec_env *env, const struct mf_proxy_target *to);

/* ---- Datagrams ------------------------------------------------------------------------------- */

enum { MF_SS_WINDOW_WORDS = 16 };

/* A session of the server's: a new one after it was restarted. */
struct mf_ss_server {
	bool known;
	uint64_t id;
	uint64_t heard; /* seconds of env.wall */
	struct mf_cipher_key key;
	uint64_t next, seen[MF_SS_WINDOW_WORDS]; /* base/replay.h */
};

/* Datagrams of one local port of an app: a session of ours, in the 2022 edition. */
struct mf_ss_packets {
	struct mf_packet_codec codec;
	const struct mf_ss_config *config;
	/* The rest belongs to packets_2022.c. */
	uint64_t id, count;               /* our session; datagrams so far */
	struct mf_cipher_key key;         /* of our session */
	struct mf_cipher_key up, down;    /* of the headers */
	struct mf_ss_server current, old; /* the server's sessions */
};
/* `cfg` and `env` live longer. */
void mf_ss_packets_init(struct mf_ss_packets *s, const struct mf_ss_config *cfg,
			const struct mf_codec_env *env);

#endif
