/* SPDX-License-Identifier: Apache-2.0
 *
 * options - the options of a TCP header: MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323),
 * SACK permitted and SACK blocks (RFC 2018).
 */
#ifndef MF_TCP_OPTIONS_H
#define MF_TCP_OPTIONS_H

#include "base/err.h"
#include "wire/tcp.h"

enum { MF_TCP_SACK_MAX = 4, MF_TCP_WSCALE_MAX = 14, MF_TCP_OPTIONS_MAX = 40 };

struct mf_tcp_range {
	uint32_t start, end; /* sequence numbers, end exclusive */
};

struct mf_tcp_options {
	uint16_t mss;   /* 0: not there */
	uint8_t wscale; /* at most 14 */
	bool has_wscale, sack_permitted, has_ts;
	uint32_t ts_val, ts_ecr;
	uint8_t n_sack;
	struct mf_tcp_range sack[MF_TCP_SACK_MAX];
};

/* Of a header that is whole (mf_tcp_hdr_len bytes at t). Unknown options are skipped (RFC 9293 3.1);
 * options of a wrong length, or that do not fit, make it MF_E_MALFORMED, with what came before them in
 * *o. MSS, scale and SACK-permitted count in a SYN only. */
MF_MUST_CHECK mf_err mf_tcp_options_parse(struct mf_tcp_options *o, const struct mf_tcp_hdr *t);

/* Writes them, padded with NOPs to a multiple of four, in the order that Linux uses; returns the length, at
 * most MF_TCP_OPTIONS_MAX: as many SACK blocks as fit. `syn`: the header has SYN. */
size_t mf_tcp_options_write(uint8_t *out, const struct mf_tcp_options *o, bool syn);

#endif
