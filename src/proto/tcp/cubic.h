/* SPDX-License-Identifier: Apache-2.0
 *
 * cubic - congestion control: CUBIC (RFC 9438) with HyStart++ (RFC 9406) in slow start. Knows bytes,
 * time and round trips, nothing of segments.
 */
#ifndef MF_TCP_CUBIC_H
#define MF_TCP_CUBIC_H

#include "base/base.h"

struct mf_tcp_cubic {
	uint32_t cwnd, ssthresh; /* bytes; ssthresh UINT32_MAX: none yet */
	uint32_t mss;
	/* of RFC 9438 */
	uint32_t w_max, w_est, cwnd_prior;
	mf_nsec epoch_start; /* 0: none */
	mf_nsec k;
	uint32_t cwnd_epoch;
	uint32_t acked; /* bytes acknowledged that have not made cwnd grow yet */
	/* of RFC 9406 */
	mf_nsec round_min_rtt, last_round_min_rtt;
	uint32_t round_end; /* sequence number */
	uint8_t rtt_samples, css_rounds;
	bool round_valid, in_css;
	mf_nsec css_baseline;
	/* for undo */
	uint32_t undo_cwnd, undo_ssthresh, undo_w_max;
	bool can_undo;
};

/* RFC 6928: min(10 MSS, max(2 MSS, 14600)). */
void mf_tcp_cubic_init(struct mf_tcp_cubic *c, uint32_t mss);
/* n new bytes were acknowledged (not in recovery). `una` is the new SND.UNA, `nxt` SND.NXT; `rtt` the
 * latest sample or 0; `limited`: the sender was not held up by cwnd (RFC 9438 5.8: then no growth). */
void mf_tcp_cubic_acked(struct mf_tcp_cubic *c, uint32_t n, uint32_t una, uint32_t nxt, mf_nsec rtt,
			mf_nsec srtt, bool limited, mf_nsec now);
/* Loss was found, once for each window: sets ssthresh (beta 0.7, fast convergence) and remembers what it
 * was. cwnd follows ssthresh under control of PRR, which is the caller's, or at once: the caller sets it. */
void mf_tcp_cubic_loss(struct mf_tcp_cubic *c, uint32_t in_flight, mf_nsec now);
/* The timer expired: the same and cwnd is one MSS. */
void mf_tcp_cubic_timeout(struct mf_tcp_cubic *c, uint32_t in_flight, mf_nsec now);
/* Nothing had been lost (D-SACK, Eifel): takes the last loss or timeout back. */
void mf_tcp_cubic_undo(struct mf_tcp_cubic *c);
/* Nothing was sent for a while (RFC 9438 4.10? RFC 2861): restart from min(cwnd, initial window). */
void mf_tcp_cubic_idle(struct mf_tcp_cubic *c, mf_nsec idle, mf_nsec rto);
/* The MSS changed: cwnd stays in bytes, never below 2 MSS. */
void mf_tcp_cubic_set_mss(struct mf_tcp_cubic *c, uint32_t mss);

#endif
