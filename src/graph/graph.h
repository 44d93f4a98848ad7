/* SPDX-License-Identifier: Apache-2.0
 *
 * graph - the vector engine: nodes that work on frames of up to 256 packets, one graph for each worker.
 *
 * A node is a function over a frame. It writes next[i] for each packet and returns; the graph hands the
 * packets on in bulk. Edges only lead forward in the node table, so one pass over the table drains
 * everything, and a frame that fills up on the way can be run at once without ever coming back to a
 * node that is still running. Nothing here allocates after mf_graph_init, locks, or reads a clock.
 *
 * Every packet ends exactly once: sent, delivered, consumed (a message for ourselves) or dropped with
 * a reason. The ledger counts both sides of that equation.
 */
#ifndef MF_GRAPH_H
#define MF_GRAPH_H

#include "base/count.h"
#include "base/pkt.h"

enum { MF_FRAME_MAX = 256, MF_NEXT_MAX = 8, MF_NODE_MAX = 32 };

struct mf_graph;
struct mf_node;
struct mf_trace;
struct mf_worker;

/* Works on pkts[0..n). For an internal node: writes next[i], a slot of its def's `next`, and returns
 * how many packets go on (they are pkts[0..returned), it may have moved them down over the ones it
 * ended itself). An input node is called with n = 0 and fills pkts and next, at most MF_FRAME_MAX. */
typedef uint32_t mf_node_fn(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			    uint16_t *next, uint32_t n);

struct mf_node_def {
	const char *name;
	mf_node_fn *run;
	bool input;                    /* polled once in each pass */
	const char *next[MF_NEXT_MAX]; /* by slot */
	const char *does;              /* one sentence for `mintflow show nodes` and the docs */
};

/* A node in one worker's graph. The counters are written by the worker alone and may be read by any
 * thread (mf_counter_read). */
struct mf_node {
	const struct mf_node_def *def;
	uint16_t index;
	uint16_t next[MF_NEXT_MAX]; /* slot to node index */
	uint64_t calls, packets, cycles;
	uint32_t n;
	struct mf_pkt *frame[MF_FRAME_MAX];
};

enum mf_verdict { MF_SENT, MF_DELIVERED, MF_CONSUMED, MF_DROPPED, MF_VERDICT_COUNT };

/* All in wire packets: a super-packet counts as many times as it has segments.
 * received[tun] + received[udp] + created = ended[...] + held, at every quiet point. */
struct mf_ledger {
	uint64_t received_tun, received_udp, created;
	uint64_t ended[MF_VERDICT_COUNT];
	uint64_t drops[MF_DROP_COUNT];
	/* Staged for a handshake, in a job that is under way, or not ended by the host stack yet (a
	 * fragment). What one worker gives to another is held by the one and ends with the other
	 * (nodes/handoff.h), so that this is right only in the sum over all workers, modulo 2^64. */
	uint64_t held;
	uint64_t bytes_tun_in, bytes_tun_out, bytes_udp_in, bytes_udp_out;
};

struct mf_graph {
	struct mf_worker *worker; /* whose graph this is */
	struct mf_trace *trace;   /* NULL when nobody watches: one branch per frame */
	uint16_t n_traces;        /* how many there have been */
	mf_nsec now;              /* set by the worker for each pass */
	struct mf_ledger ledger;
	uint32_t n_nodes;
	struct mf_node *node; /* n_nodes of them, in the order of the table */
};

/* Builds the graph from a table that lists every node before the nodes it leads to (asserted, as are
 * unknown names). MF_E_NO_MEMORY. mf_graph_fini accepts a zeroed graph. */
MF_MUST_CHECK mf_err mf_graph_init(struct mf_graph *g, const struct mf_node_def *const *defs,
				   uint32_t n_defs, struct mf_worker *worker);
void mf_graph_fini(struct mf_graph *g);

/* NULL if there is no such node. */
struct mf_node *mf_graph_find(struct mf_graph *g, const char *name);

/* One pass: polls the inputs, then runs every node that has packets. Returns how many packets the
 * inputs brought in. */
uint32_t mf_graph_pass(struct mf_graph *g, mf_nsec now);

/* Runs a node that makes packets of its own accord now, whatever its place in the table; what it puts waits
 * in the frames of others. Not from inside a node. */
void mf_graph_poll(struct mf_graph *g, struct mf_node *node);

/* Runs every node that has packets, without polling inputs. */
void mf_graph_drain(struct mf_graph *g);

/* Hands one packet (or n) to a node; for nodes that make packets, and for whoever injects some. Runs
 * the node when its frame is full. */
void mf_graph_put(struct mf_graph *g, struct mf_node *to, struct mf_pkt *p);
void mf_graph_put_n(struct mf_graph *g, struct mf_node *to, struct mf_pkt **pkts, uint32_t n);

/* Watches packets with `t` from now on, NULL: with nothing. The worker's thread. */
void mf_graph_watch(struct mf_graph *g, struct mf_trace *t);

/* The packet went on inside another one (it was sealed into a batch): completes its trace and frees it;
 * the other one is counted when it ends. */
void mf_graph_absorb(struct mf_graph *g, struct mf_pkt *p, enum mf_verdict verdict);

/* A packet has been consumed and its memory is somebody else's now (payload that waits in a session): counts
 * it and completes its trace. `segments`: wire packets that it stood for; `trace`: what it carried. */
void mf_graph_take(struct mf_graph *g, uint32_t segments, uint32_t trace);

/* Counts n wire packets that were dropped before they had a packet of their own: one message of a batch
 * of datagrams. */
void mf_graph_lose(struct mf_graph *g, enum mf_drop reason, uint32_t n);

static inline struct mf_node *mf_node_next(struct mf_graph *g, const struct mf_node *node,
					   unsigned slot)
{
	return &g->node[node->next[slot]];
}

/* The packet has ended: counts it, completes its trace and frees it. Only the drop node passes
 * MF_DROPPED (with p->drop set), so that there is one way to drop. */
void mf_graph_end(struct mf_graph *g, struct mf_pkt *p, enum mf_verdict verdict);

/* How many wire packets a packet stands for. */
static inline uint32_t mf_pkt_wire_count(const struct mf_pkt *p)
{
	return p->gso_type == MF_GSO_NONE ? 1 : p->segments;
}

#endif
