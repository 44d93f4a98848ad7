/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake - messages of types 1 to 3: making ours, judging theirs. Control thread.
 */
#ifndef MF_WG_HANDSHAKE_H
#define MF_WG_HANDSHAKE_H

#include "proto/wg/peer.h"

/* Makes and sends a new initiation; an earlier one can no longer be answered. False: impossible with
 * these keys, no path, or out of memory. */
bool mf_wg_handshake_initiate(struct mf_wg_peer *p, mf_nsec now);

#endif
