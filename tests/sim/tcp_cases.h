/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp_cases - what the tests of single cases share: a flow with something to send, and a link that
 * loses exactly what the test says.
 */
#ifndef MF_TCP_CASES_H
#define MF_TCP_CASES_H

#include "tcp_sim.h"

enum { CASE_MSS = 1448, CASE_DROPS = 16 };

/* Loses data that holds the byte `seq` (the first byte of a stream is 1), as often as it says. */
struct case_drops {
	struct {
		uint32_t seq;
		unsigned times;
	} at[CASE_DROPS];
	unsigned n, hits;
};

/* The first byte of the n-th segment of a stream, from 0. */
static inline uint32_t case_segment(uint32_t n)
{
	return 1 + n * CASE_MSS;
}

static inline bool case_filter(void *ctx, const struct sim_seg *g)
{
	struct case_drops *d = ctx;

	for (unsigned i = 0; i < d->n; i++) {
		if (d->at[i].times && d->at[i].seq - g->seq < g->len) {
			d->at[i].times--;
			d->hits++;
			return false;
		}
	}
	return true;
}

static inline void case_drop(struct case_drops *d, uint32_t seq, unsigned times)
{
	assert_true(d->n < CASE_DROPS);
	d->at[d->n].seq = seq;
	d->at[d->n++].times = times;
}

/* A flow of which end 0 has `total` bytes to send, and end 1 closes when it has read them. */
static inline struct sim_end *case_flow(uint64_t total)
{
	struct sim *s = sim_new(1);
	struct sim_end *f = sim_flow(s);

	f[0].app.total = total;
	f[1].app.close = SIM_CLOSE_EOF;
	return f;
}

/* From `lose` on, link 0 loses what `d` says. */
static inline void case_lossy(struct sim_end *f, struct case_drops *d)
{
	f->sim->link[0].filter = case_filter;
	f->sim->link[0].ctx = d;
}

/* Runs to the end, looks that all is there. What the test still wants to know it asks before
 * case_free. */
static inline void case_finish(struct sim_end *f)
{
	sim_finish(f->sim, 600 * MF_SEC);
	sim_assert_complete(f);
}

static inline void case_free(struct sim_end *f)
{
	sim_free(f->sim);
}

#endif
