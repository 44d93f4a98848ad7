/* SPDX-License-Identifier: Apache-2.0
 *
 * uapi_set - one `set=1` request: its lines are collected and checked, then applied as a whole.
 */
#ifndef MF_UAPI_SET_H
#define MF_UAPI_SET_H

#include "engine/engine.h"

enum { MF_UAPI_PEERS_MAX = MF_WG_MAX_PEERS, MF_UAPI_ALLOWED_MAX = 1 << 18 };

/* A section that began with public_key. */
struct mf_uapi_peer {
	struct mf_wg_peer_config config; /* `allowed` is filled in when the request is complete */
	bool remove;
	size_t first_allowed;
};

/* Zeroed: an empty request. */
struct mf_uapi_set {
	bool has_private_key, has_listen_port, has_fwmark, replace_peers;
	struct mf_key private_key;
	uint16_t listen_port;
	uint32_t fwmark;
	struct mf_uapi_peer *peers;
	size_t n_peers, cap_peers;
	struct mf_wg_allowed *allowed;
	size_t n_allowed, cap_allowed;
};

/* Takes one line key=value (NUL-terminated; it may be written to). 0, or an errno. */
int mf_uapi_set_line(struct mf_uapi_set *s, char *line);
/* Does what all the lines say. 0, or an errno; then the listen port was not free and nothing has
 * changed, or there was not enough memory for everything. */
int mf_uapi_set_apply(struct mf_uapi_set *s, struct mf_engine *e, struct mf_wg_device *d,
		      mf_nsec now);
/* Wipes, frees, and is empty again. */
void mf_uapi_set_clear(struct mf_uapi_set *s);

#endif
