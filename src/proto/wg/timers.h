/* SPDX-License-Identifier: Apache-2.0
 *
 * timers - what a peer does by itself: when to shake hands, to send keepalives, to forget keys. Control
 * thread. `now` has been through mf_wg_clock.
 */
#ifndef MF_WG_TIMERS_H
#define MF_WG_TIMERS_H

#include "proto/wg/peer.h"

/* Does what is due and arms the peer's timer for what will be. */
void mf_wg_timers_run(struct mf_wg_peer *p, mf_nsec now);
/* The device has come up. */
void mf_wg_timers_start(struct mf_wg_peer *p, mf_nsec now);
/* Nothing will happen by itself any more: the device went down, or the peer is being removed. */
void mf_wg_timers_stop(struct mf_wg_peer *p);
/* struct mf_timer.fire */
void mf_wg_timers_fire(struct mf_timer *t, void *ctx, mf_nsec now);

/* The following change what is due: call mf_wg_timers_run after them. */

/* A handshake is wanted: starts one unless one is going on, now or as soon as it is allowed. */
void mf_wg_timers_want_handshake(struct mf_wg_peer *p, mf_nsec now);
/* A handshake has succeeded: keys are in place and may be used for sending. */
void mf_wg_timers_session_up(struct mf_wg_peer *p, mf_nsec now);
/* The peer has a path now, or another one: what waited for it goes on. */
void mf_wg_timers_path_set(struct mf_wg_peer *p, mf_nsec now);
/* The machine has other addresses now. */
void mf_wg_timers_network_changed(struct mf_wg_peer *p, mf_nsec now);
/* Keys were agreed upon. */
void mf_wg_timers_session_derived(struct mf_wg_peer *p, mf_nsec now);
/* We have sent (received) n bytes of an authenticated message that is not data. */
void mf_wg_timers_control_sent(struct mf_wg_peer *p, mf_nsec now, size_t n);
void mf_wg_timers_control_received(struct mf_wg_peer *p, mf_nsec now, size_t n);

/* An empty packet, if there is a session; else asks for a handshake. */
void mf_wg_timers_keepalive(struct mf_wg_peer *p, mf_nsec now);

#endif
