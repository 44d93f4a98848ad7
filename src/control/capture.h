/* SPDX-License-Identifier: Apache-2.0
 *
 * capture - watches packets on every worker and turns the records into pcapng, each packet with how it
 * ended, why, and which way it took as a comment. One capture at a time: the graph has one trace.
 *
 * Threads: the control thread; the filter is run by the workers.
 */
#ifndef MF_CAPTURE_H
#define MF_CAPTURE_H

#include "control/request.h"
#include "engine/engine.h"

struct mf_capture;

/* Appends how a packet ended, why, and which way it took, in one line: "dropped wg-no-peer (no peer has
 * ...); home-vpn; ip-input > route-lookup > wg-output > drop; 12 segments of 1380 bytes". `g` is any
 * worker's graph, for the names of nodes. */
void mf_capture_describe(const struct mf_graph *g, const struct mf_trace_record *rec,
			 struct mf_text *out);

/* Begins watching as the request says. `wall` is the time of day at `now`. NULL: `eb` says why not. */
struct mf_capture *mf_capture_new(struct mf_engine *e, const struct mf_request *q, const char *tunnel,
				  mf_nsec now, struct mf_wg_wall wall, struct mf_errbuf *eb);
/* Ends watching. What workers may still write to is freed by the engine, later. NULL is fine. */
void mf_capture_free(struct mf_capture *c);

/* Appends the blocks of packets that have ended, as long as `out` stays below `max` bytes (it may end
 * up longer by one packet). False: all packets that were wanted have been written. */
bool mf_capture_read(struct mf_capture *c, struct mf_text *out, size_t max);
/* Packets that matched but found no free record. */
uint64_t mf_capture_missed(const struct mf_capture *c);
/* Appends the block that closes the file: how many packets were missed. */
void mf_capture_finish(struct mf_capture *c, struct mf_text *out);

#endif
