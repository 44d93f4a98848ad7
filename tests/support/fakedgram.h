/* SPDX-License-Identifier: Apache-2.0
 *
 * fakedgram - the datagram half of an outbound, for tests: remembers what sessions send, gives them what a
 * test says, and stops the program when a session breaks a rule of host/outbound.h. Streams can be opened
 * and closed, no more (fakeout.h has them).
 */
#ifndef MF_FAKEDGRAM_H
#define MF_FAKEDGRAM_H

#include "host/outbound.h"

/* One packet that was sent, super-packets as one. */
struct fake_sent {
	const struct mf_pkt *pkt; /* only to compare with: it is gone */
	const uint8_t *at;        /* where the payload was, the same */
	struct mf_endpoint remote;
	uint8_t tos, ttl, gso_type, flags;
	uint16_t gso_size;
	uint32_t call; /* which call of dgram_send it came with */
	size_t n;
	uint8_t *bytes;
};

/* One packet that waits to be received. */
struct fake_waiting {
	struct mf_endpoint remote;
	uint8_t tos, ttl;
	uint16_t gso_size;
	size_t n;
	uint8_t *bytes;
};

struct fake_dgram {
	struct fake_dgram *next; /* the one opened before */
	struct fakedgrams *out;
	struct mf_dgram *d; /* NULL: the session has closed it */
	struct mf_endpoint dst, app;
	struct fake_sent *sent;
	size_t n_sent;
	struct fake_waiting *waiting;
	size_t n_waiting, given;
	struct mf_dgram_error error[64];
	size_t n_errors, told;
	uint32_t calls; /* of dgram_send */
	uint32_t recvs; /* of dgram_recv */
};

struct fakedgrams {
	struct mf_outbound out;
	struct fake_dgram *last;     /* opened last */
	unsigned n_opened, n_open;   /* datagrams */
	unsigned n_streams;          /* open now */
	enum mf_stream_error refuse; /* dgram_open fails with that */
	enum mf_drop drop;           /* what becomes of what is sent */
	bool too_big_told;           /* dropping TOO_BIG leaves an error that says MTU 1400 */
};

void fakedgrams_init(struct fakedgrams *f);
/* All have been closed (asserted). */
void fakedgrams_fini(struct fakedgrams *f);

/* A datagram from this remote, or with gso_size several of that size. */
void fakedgram_give(struct fake_dgram *x, const struct mf_endpoint *remote, const void *bytes,
		    size_t n, uint16_t gso_size, uint8_t tos);
void fakedgram_error(struct fake_dgram *x, const struct mf_dgram_error *e);
void fakedgram_fail(struct fake_dgram *x);
/* What was sent last. */
const struct fake_sent *fakedgram_sent(const struct fake_dgram *x);

#endif
