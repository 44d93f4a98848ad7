/* SPDX-License-Identifier: Apache-2.0
 *
 * messages - the WireGuard wire format and the protocol's numbers, on one page (white paper, sections
 * 5.4 and 6.1). The three reserved bytes after the type are part of the type here, so a message with
 * other reserved bytes is of an unknown type.
 */
#ifndef MF_WG_MESSAGES_H
#define MF_WG_MESSAGES_H

#include "base/endian.h"

enum mf_wg_msg_type {
	MF_WG_MSG_INITIATION = 1,
	MF_WG_MSG_RESPONSE = 2,
	MF_WG_MSG_COOKIE = 3,
	MF_WG_MSG_DATA = 4,
};

enum {
	MF_WG_KEY_LEN = 32,
	MF_WG_HASH_LEN = 32,
	MF_WG_TAG_LEN = 16,
	MF_WG_MAC_LEN = 16,
	MF_WG_COOKIE_LEN = 16,
	MF_WG_COOKIE_NONCE_LEN = 24,
	MF_WG_TIMESTAMP_LEN = 12,
	MF_WG_PADDING = 16, /* plaintexts are padded with zeros to a multiple of this */
};

struct mf_wg_macs {
	uint8_t mac1[MF_WG_MAC_LEN];
	uint8_t mac2[MF_WG_MAC_LEN];
};

struct mf_wg_msg_initiation {
	mf_le32 type;
	mf_le32 sender;
	uint8_t ephemeral[MF_WG_KEY_LEN];
	uint8_t enc_static[MF_WG_KEY_LEN + MF_WG_TAG_LEN];
	uint8_t enc_timestamp[MF_WG_TIMESTAMP_LEN + MF_WG_TAG_LEN];
	struct mf_wg_macs macs;
};
static_assert(sizeof(struct mf_wg_msg_initiation) == 148, "handshake initiation");

struct mf_wg_msg_response {
	mf_le32 type;
	mf_le32 sender;
	mf_le32 receiver;
	uint8_t ephemeral[MF_WG_KEY_LEN];
	uint8_t enc_nothing[MF_WG_TAG_LEN];
	struct mf_wg_macs macs;
};
static_assert(sizeof(struct mf_wg_msg_response) == 92, "handshake response");

struct mf_wg_msg_cookie {
	mf_le32 type;
	mf_le32 receiver;
	uint8_t nonce[MF_WG_COOKIE_NONCE_LEN];
	uint8_t enc_cookie[MF_WG_COOKIE_LEN + MF_WG_TAG_LEN];
};
static_assert(sizeof(struct mf_wg_msg_cookie) == 64, "cookie reply");

struct mf_wg_msg_data {
	mf_le32 type;
	mf_le32 receiver;
	mf_le64 counter;
};
static_assert(sizeof(struct mf_wg_msg_data) == 16, "transport data header");

enum {
	MF_WG_DATA_HEADER = sizeof(struct mf_wg_msg_data),
	MF_WG_DATA_OVERHEAD = MF_WG_DATA_HEADER + MF_WG_TAG_LEN,
	MF_WG_KEEPALIVE_LEN = MF_WG_DATA_OVERHEAD, /* a data message without data */
};

/* Limits: white paper, section 6.1; times in seconds. */
#define MF_WG_REKEY_AFTER_MESSAGES  ((uint64_t)1 << 60)
#define MF_WG_REJECT_AFTER_MESSAGES (UINT64_MAX - ((uint64_t)1 << 13))
enum {
	MF_WG_REKEY_AFTER_TIME = 120,
	MF_WG_REJECT_AFTER_TIME = 180,
	MF_WG_REKEY_ATTEMPT_TIME = 90,
	MF_WG_REKEY_TIMEOUT = 5,
	MF_WG_KEEPALIVE_TIMEOUT = 10,
	/* Old enough on receive that the sender's next keepalive could come too late to renew. */
	MF_WG_REKEY_ON_RECEIVE_TIME =
		MF_WG_REJECT_AFTER_TIME - MF_WG_KEEPALIVE_TIMEOUT - MF_WG_REKEY_TIMEOUT,
	MF_WG_NEW_HANDSHAKE_TIME = MF_WG_KEEPALIVE_TIMEOUT + MF_WG_REKEY_TIMEOUT,
	MF_WG_ZERO_KEYS_TIME = 3 * MF_WG_REJECT_AFTER_TIME,
	MF_WG_COOKIE_TIME = 120,  /* a cookie's secret lives this long */
	MF_WG_COOKIE_LATENCY = 5, /* and its receiver counts this much off */
	MF_WG_MAX_TRIES = MF_WG_REKEY_ATTEMPT_TIME / MF_WG_REKEY_TIMEOUT,
	MF_WG_JITTER_MSEC = 333,        /* added to retransmissions */
	MF_WG_INITIATION_GAP_MSEC = 20, /* a peer's initiations closer than this are ignored */
	MF_WG_LOAD_HOLD_SEC = 1,
	MF_WG_LOAD_QUEUE = 128,
};

#endif
