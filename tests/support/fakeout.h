/* SPDX-License-Identifier: Apache-2.0
 *
 * fakeout - an outbound that does what a test says, and stops the program when a session breaks a rule of
 * host/outbound.h: writes before OPENED or after its shutdown, calls anything but close after FAILED, closes
 * twice, or never.
 */
#ifndef MF_FAKEOUT_H
#define MF_FAKEOUT_H

#include "base/prng.h"
#include "host/outbound.h"

struct fakeout;

struct fake_stream {
	struct fake_stream *next; /* the one opened before */
	struct fakeout *out;
	struct mf_stream *s; /* NULL: the session has closed it */
	struct mf_endpoint dst, app;
	char name[256]; /* that came with them, "": none */
	bool opened, failed, shut, reset;

	/* What the session has written. */
	uint8_t *got;
	size_t n_got, cap_got;
	size_t may_write; /* takes so many bytes more */
	bool full;        /* has said "no more" */

	/* What it is to read: bytes, and the end of them. */
	uint8_t *give;
	size_t n_give, given;
	bool eof, dry; /* dry: has said "no more" */
};

struct fakeout {
	struct mf_outbound out;
	struct fake_stream *last; /* opened last */
	unsigned n_opened, n_open, n_shut;
	enum mf_stream_error refuse; /* stream_open fails with that */
	enum mf_stream_error fail;   /* stream_open works, FAILED is notified before it returns */
	bool open_at_once;           /* OPENED, READABLE and WRITABLE are, too */
	size_t may_write;            /* of a new stream; SIZE_MAX after fakeout_init */
	struct mf_prng *prng;        /* reads and writes take random parts; NULL: all they can */
	mf_nsec rtt;
};

void fakeout_init(struct fakeout *f);
/* Every stream has been closed (asserted). */
void fakeout_fini(struct fakeout *f);

void fake_open(struct fake_stream *st);
void fake_fail(struct fake_stream *st, enum mf_stream_error why);
/* More to read, in one piece or as the end. */
void fake_give(struct fake_stream *st, const void *bytes, size_t n);
void fake_end(struct fake_stream *st);
/* Takes n bytes more. */
void fake_take(struct fake_stream *st, size_t n);

#endif
