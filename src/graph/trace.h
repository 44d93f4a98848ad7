/* SPDX-License-Identifier: Apache-2.0
 *
 * trace - follows chosen packets through the graph: what they looked like at the first edge that was
 * watched, which nodes they went through, and how they ended. The same record serves `mintflow capture`
 * (as pcapng with the verdict in a comment), `mintflow show log` of packets, and tests.
 *
 * One trace for each worker. The control thread makes it, hands it to the worker at a quiet point, and
 * reads finished records; the worker fills records. Two rings of slot numbers pass ownership: free
 * slots one way, finished ones the other. When no slot is free the packet goes on unwatched and is
 * counted. The worker never waits for the reader.
 */
#ifndef MF_TRACE_H
#define MF_TRACE_H

#include "graph/graph.h"

enum { MF_TRACE_PATH_MAX = 12, MF_TRACE_NOTE = 48 };

struct mf_trace_record {
	mf_nsec time;    /* boot-time clock, at the first watched edge */
	uint32_t len;    /* of the packet there */
	uint32_t caplen; /* of bytes[] */
	uint32_t segments;
	uint16_t gso_size;
	uint16_t drop;   /* enum mf_drop, if verdict is MF_DROPPED */
	uint8_t verdict; /* enum mf_verdict */
	uint8_t n_path;
	uint8_t path[MF_TRACE_PATH_MAX]; /* node indices, in order */
	char note[MF_TRACE_NOTE];        /* a node's remark: interface, peer, route */
	uint8_t bytes[];
};

struct mf_trace_filter {
	uint32_t node; /* index of the node before which packets are chosen; UINT32_MAX: wherever an
	                  IP packet first shows (ip-input, and tun-output for what comes out of a tunnel) */
	/* NULL chooses all. Called by the worker with an IP packet; must be pure. */
	bool (*match)(void *ctx, const uint8_t *packet, uint32_t len);
	void *ctx;
};

/* `slots` is a power of two below 65536; each holds up to `snaplen` bytes. NULL: out of memory. The filter's ctx
 * must outlive the trace. Free only after the worker has let go of it; packets that still carry a record
 * of it are known by the trace's id and go on unwatched. */
struct mf_trace *mf_trace_new(const struct mf_graph *g, const struct mf_trace_filter *filter,
			      uint32_t slots, uint32_t snaplen);
void mf_trace_free(struct mf_trace *t);

/* Control thread: the oldest finished record, or NULL; give it back with mf_trace_release. */
const struct mf_trace_record *mf_trace_take(struct mf_trace *t, uint32_t *slot);
void mf_trace_release(struct mf_trace *t, uint32_t slot);
/* Packets that would have been recorded had a slot been free. */
uint64_t mf_trace_missed(const struct mf_trace *t);
/* Records that packets still carry: their verdict is not known yet. */
uint32_t mf_trace_open(const struct mf_trace *t);

/* Worker, through mf_graph_watch: the packets of this trace carry `id`. */
void mf_trace_begin(struct mf_trace *t, uint16_t id);
/* Worker: before a node runs on a frame; when a packet ends; a remark for a watched packet. The last
 * three do nothing for a packet that another trace was watching, also when `t` is NULL. */
void mf_trace_frame(struct mf_trace *t, const struct mf_node *node, struct mf_pkt **pkts,
		    uint32_t n, mf_nsec now);
void mf_trace_end(struct mf_trace *t, struct mf_pkt *p, enum mf_verdict verdict);
/* The same for a packet that is gone: `trace` is what it carried. */
void mf_trace_end_record(struct mf_trace *t, uint32_t trace, enum mf_verdict verdict,
			 enum mf_drop drop);
void mf_trace_note(struct mf_trace *t, const struct mf_pkt *p, const char *note);
/* `to` continues `from` (its record moves over). */
void mf_trace_move(struct mf_pkt *to, struct mf_pkt *from);

#endif
