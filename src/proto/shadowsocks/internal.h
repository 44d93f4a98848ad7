/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this protocol share.
 */
#ifndef MF_PROTO_SHADOWSOCKS_INTERNAL_H
#define MF_PROTO_SHADOWSOCKS_INTERNAL_H

#include "base/endian.h"
#include "proto/shadowsocks/shadowsocks.h"

enum {
	SS_TAG = MF_CIPHER_TAG_LEN,
	SS_LENGTH = 2,     /* bytes that say the length of a chunk */
	SS_CHUNK = 0x3fff, /* bytes of payload in one, at most */
	SS_CHUNK_2022 = 0xffff,
	SS_CLOCK = 30,  /* seconds that a timestamp may be off */
	SS_FORGET = 60, /* seconds for which a former session of the server's is kept */
	SS_PIECES = 32, /* spans or rooms that one message is cut into, at most */
};

/* The first byte of headers of the 2022 edition. */
enum { SS_REQUEST = 0, SS_RESPONSE = 1 };

enum mf_cipher_alg mf_ss_alg(const struct mf_ss_config *c);
bool mf_ss_is_2022(const struct mf_ss_config *c);

/* Of key, salt and session key alike. */
static inline size_t mf_ss_key_len(const struct mf_ss_config *c)
{
	return mf_cipher_key_len(mf_ss_alg(c));
}

/* The key of a session, or (`once`) of a single datagram. */
void mf_ss_session_key(struct mf_cipher_key *k, const struct mf_ss_config *c, struct mf_span salt,
		       bool once);
/* The key that a session's identity header i is made with (SIP023). For one message. */
void mf_ss_identity_key(struct mf_cipher_key *k, const struct mf_ss_config *c, unsigned i,
			const uint8_t *salt);

/* How far the server's clock is ahead of `now`, cut off at what an int32_t holds. */
int32_t mf_ss_skew(uint64_t server, uint64_t now);
static inline bool mf_ss_in_time(int32_t skew)
{
	return skew >= -SS_CLOCK && skew <= SS_CLOCK;
}

/* Sender and payload of a datagram that is in the clear; the sender's family is 0 if it has a name.
 * False: it is malformed. */
bool mf_ss_read_packet(struct mf_span in, struct mf_endpoint *from, struct mf_span *payload);

static inline void mf_ss_nonce(uint8_t nonce[MF_CIPHER_NONCE_LEN], uint64_t count)
{
	memset(nonce + sizeof(count), 0, MF_CIPHER_NONCE_LEN - sizeof(count));
	mf_store_le64(nonce, count);
}

/* ops.open of sessions. */
mf_err mf_ss_stream_open(struct mf_codec *c, struct mf_codec_in *in, const struct mf_room *v,
			 size_t n, size_t *got);
/* Makes `s` one of the 2022 edition. */
void mf_ss_packets_init_2022(struct mf_ss_packets *s);

#endif
