/* SPDX-License-Identifier: Apache-2.0
 *
 * move - copies a message without some of its parts. What stays moves forwards, so every name in it
 * that is compressed (RFC 1035 4.1.4) must point to where its rest is now; and if that rest is
 * gone, it is written out. Bytes are as they were otherwise, the case of letters included.
 *
 * Names are looked for in owners, and in the rdata of the types in which a sender may compress them
 * (RFC 3597 4) or has been seen to. All others pass as bytes.
 */
#ifndef MF_DNS_MOVE_H
#define MF_DNS_MOVE_H

#include "proto/dns/internal.h"

enum { MF_DNS_PIECES = 512 };

struct mf_dns_move {
	struct mf_span from;
	uint8_t *out;
	size_t cap, n;
	size_t done;        /* all before this old offset has been copied, or is gone */
	bool failed;        /* no room in `out`, too many pieces, or malformed; sticky */
	uint16_t counts[3]; /* records copied, by section */
	uint16_t fixed; /* where the fixed part of the record that is being copied is in `out` */
	/* Old offsets from `from` up to the next piece's are at `to` now, or nowhere. */
	unsigned n_pieces;
	struct {
		uint16_t from, to;
	} piece[MF_DNS_PIECES];
};

/* Copies header and questions; `w` has just begun. `out` holds `cap` bytes and does not overlap.
 * Then come the records that stay, in their order; those that are left out are gone. */
void mf_dns_move_begin(struct mf_dns_move *m, const struct mf_dns_walk *w, uint8_t *out, size_t cap);
void mf_dns_move_record(struct mf_dns_move *m, const struct mf_dns_rr *rr);
/* A record in parts: its head, then bytes and names of its rdata (offsets in the old message; what
 * is left out is gone), then its end, which sets its length. */
void mf_dns_move_head(struct mf_dns_move *m, const struct mf_dns_rr *rr);
void mf_dns_move_bytes(struct mf_dns_move *m, size_t at, size_t n);
/* The name at *at, which must end at `end` or before; *at moves behind it. */
void mf_dns_move_name(struct mf_dns_move *m, size_t *at, size_t end);
void mf_dns_move_end(struct mf_dns_move *m);
/* Sets the counts; returns the new length, 0 if anything has failed. */
size_t mf_dns_move_done(struct mf_dns_move *m);

/* A place to come back to: what has been copied since is gone then. */
struct mf_dns_mark {
	size_t n, done;
	uint16_t counts[3];
	unsigned n_pieces;
};
struct mf_dns_mark mf_dns_move_mark(const struct mf_dns_move *m);
void mf_dns_move_back(struct mf_dns_move *m, const struct mf_dns_mark *mark);

#endif
