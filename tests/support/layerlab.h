/* SPDX-License-Identifier: Apache-2.0
 *
 * layerlab - what layers of a proxy's connection are tested with: a worker's struct mf_layers on
 * virtual time, a far side that does what the test says (fakeout.h), and users of streams that keep
 * the edge rule of host/outbound.h to the letter: they read and write only while they may, and stop
 * the program when they are told less than they must be.
 */
#ifndef MF_LAYERLAB_H
#define MF_LAYERLAB_H

#include "proxy/layer.h"
#include "support/fakeout.h"

enum { LAB_LINES = 8, LAB_HELD_MAX = 4 << 20 };

struct layerlab {
	struct mf_prng prng;
	struct mf_layers layers;
	struct mf_proxy_health health;
	struct fakeout far;
	struct mf_log log;
	mf_nsec now;
	uint64_t wall;          /* seconds since 1970 */
	struct mf_steps *steps; /* of streams that are opened; NULL: they have none */
	char line[LAB_LINES][256];
	unsigned n_lines; /* of the log, in all; line[i % LAB_LINES] */
};

/* `cipher` is made only if a codec needs one. The time begins at a second. */
void layerlab_open(struct layerlab *lab, uint64_t seed, bool cipher);
/* All streams have been closed. */
void layerlab_close(struct layerlab *lab);
/* Runs until nothing is left to be done. */
void layerlab_run(struct layerlab *lab);
/* Lets time go on, timer by timer. */
void layerlab_pass(struct layerlab *lab, mf_nsec span);
/* The last line of the log; "" if there is none. */
const char *layerlab_last_line(const struct layerlab *lab);

/* The owner of a stream. */
struct lab_user {
	struct mf_stream s;
	struct layerlab *lab;
	bool opened, failed, eof;
	bool may_read, may_write; /* has not been told "no more" since the last edge */
	bool shut, closed;
	/* What it wants to write, and what it has read. */
	uint8_t *give, *got;
	size_t n_give, given, n_got;
	struct mf_prng *prng; /* NULL: reads and writes all at once; else in random pieces */
	unsigned wakes;
};

/* Opens a stream to host:port (a name or an address; "name=ADDR:PORT" gives both). What
 * stream_open says. */
mf_err lab_user_open(struct lab_user *u, struct layerlab *lab, struct mf_outbound *o, const char *to);
/* Adds to what it wants to write, and writes what is taken. */
void lab_user_write(struct lab_user *u, const void *bytes, size_t n);
/* One turn of its session: takes over what was notified, writes and reads what it may. */
void lab_user_turn(struct lab_user *u);
/* When all has been written (asserted). */
void lab_user_shutdown(struct lab_user *u);
void lab_user_close(struct lab_user *u, bool reset);
/* Frees its memory; closes with a reset if that has not been done. */
void lab_user_fini(struct lab_user *u);

#endif
