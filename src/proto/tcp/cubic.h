/* SPDX-License-Identifier: Apache-2.0
 *
 * cubic - congestion control: CUBIC (RFC 9438) with HyStart++ (RFC 9406) in slow start. Knows bytes,
 * time and round trips, nothing of segments.
 */
#ifndef MF_TCP_CUBIC_H
#define MF_TCP_CUBIC_H

#include "base/base.h"

/* RFC 9438 4.1: the curve that cwnd follows from one loss to the next. */
struct mf_tcp_cubic_curve {
	mf_nsec start; /* when congestion avoidance began; 0: it has not, or was interrupted */
	mf_nsec k;     /* how long after the start W_cubic is w_max again */
	uint32_t w_max, cwnd_prior;
	uint64_t w_est; /* 1/65536 bytes: what Reno would have */
};

struct mf_tcp_cubic {
	uint32_t cwnd, ssthresh; /* bytes; ssthresh UINT32_MAX: none yet */
	uint32_t mss;
	uint32_t rest; /* of the division that made cwnd grow last; less than cwnd was */
	struct mf_tcp_cubic_curve curve;
	mf_nsec last_acked; /* when mf_tcp_cubic_acked came last */
	/* of RFC 9406 */
	mf_nsec round_min_rtt, last_round_min_rtt;
	uint32_t round_end; /* sequence number */
	uint8_t rtt_samples, css_rounds;
	bool round_valid, in_css;
	mf_nsec css_baseline;
	/* for undo */
	uint32_t undo_cwnd, undo_ssthresh;
	struct mf_tcp_cubic_curve undo_curve;
	bool can_undo; /* the caller may clear it: it is sure of the loss */
};

/* RFC 6928: min(10 MSS, max(2 MSS, 14600)). */
void mf_tcp_cubic_init(struct mf_tcp_cubic *c, uint32_t mss);
/* n new bytes were acknowledged (not in recovery). `una` is the new SND.UNA, `nxt` SND.NXT; `rtt` the
 * latest sample or 0; `limited`: the sender was not held up by cwnd (RFC 9438 5.8: then no growth, and
 * the curve stands still). */
void mf_tcp_cubic_acked(struct mf_tcp_cubic *c, uint32_t n, uint32_t una, uint32_t nxt, mf_nsec rtt,
			mf_nsec srtt, bool limited, mf_nsec now);
/* Loss was found, once for each window: sets ssthresh (beta 0.7, fast convergence) and remembers what it
 * was. cwnd follows ssthresh under control of PRR, which is the caller's, or at once: the caller sets it.
 * `in_flight` is SND.NXT - SND.UNA. */
void mf_tcp_cubic_loss(struct mf_tcp_cubic *c, uint32_t in_flight);
/* The timer expired: the same and cwnd is one MSS. Again before anything new was acknowledged: nothing
 * more changes (RFC 5681 3.1). */
void mf_tcp_cubic_timeout(struct mf_tcp_cubic *c, uint32_t in_flight);
/* Nothing had been lost (D-SACK, Eifel): takes the last loss or timeout back (RFC 9438 4.9). */
void mf_tcp_cubic_undo(struct mf_tcp_cubic *c);
/* Nothing was in flight for `idle`: after an RTO, restart from min(cwnd, initial window) (RFC 5681 4.1),
 * with slow start up to three quarters of what cwnd was (RFC 2861 3.1). */
void mf_tcp_cubic_idle(struct mf_tcp_cubic *c, mf_nsec idle, mf_nsec rto);
/* The MSS changed: cwnd stays in bytes, never below 2 MSS. */
void mf_tcp_cubic_set_mss(struct mf_tcp_cubic *c, uint32_t mss);

#endif
