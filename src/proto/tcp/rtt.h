/* SPDX-License-Identifier: Apache-2.0
 *
 * rtt - round-trip time and retransmission timeout (RFC 6298), and the minimum that RACK and CUBIC want.
 */
#ifndef MF_TCP_RTT_H
#define MF_TCP_RTT_H

#include "base/base.h"

/* Least that is added to SRTT, as Linux does: a peer may hold its ACK back for as long, and with several
 * samples in each round trip RTTVAR forgets that it did. (RFC 6298 2.4 would say 1 s in all.) */
#define MF_TCP_RTO_MIN  (200 * MF_MSEC)
#define MF_TCP_RTO_MAX  (120 * MF_SEC)
#define MF_TCP_RTO_INIT (1 * MF_SEC)

struct mf_tcp_rtt {
	mf_nsec srtt, rttvar; /* 0: no sample yet */
	mf_nsec latest;
	mf_nsec min;                      /* of the last two windows of 5 s; MF_NEVER: none */
	mf_nsec min_window[2], min_since; /* this window's and the one's before; when this one began */
	uint8_t backoff;                  /* how often the timeout has doubled */
};

void mf_tcp_rtt_init(struct mf_tcp_rtt *r);
/* A sample from a segment that was sent once (Karn), or by timestamps. Undoes the backing off. */
void mf_tcp_rtt_sample(struct mf_tcp_rtt *r, mf_nsec rtt, mf_nsec now);
/* The timeout now: SRTT + max(MF_TCP_RTO_MIN, 4 RTTVAR), doubled `backoff` times, at most
 * MF_TCP_RTO_MAX. MF_TCP_RTO_INIT in place of the sum before the first sample. */
mf_nsec mf_tcp_rtt_rto(const struct mf_tcp_rtt *r);
void mf_tcp_rtt_backoff(struct mf_tcp_rtt *r);

#endif
