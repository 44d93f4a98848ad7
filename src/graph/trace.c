/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/trace.h"

#include <stdlib.h>

#include "base/ring.h"

struct mf_trace {
	struct mf_trace_filter filter;
	uint32_t slots, snaplen;
	uint16_t id; /* tells its packets from those of a trace before it */
	size_t stride;
	bool entry[MF_NODE_MAX]; /* nodes before which a packet may be chosen */
	struct mf_ring *idle, *done;
	uint64_t missed;
	uint32_t open; /* atomic: written by the worker, read by the control thread */
	uint8_t *memory;
	uint8_t *gathered; /* a packet that has a tail, in one piece for the filter */
};

/* A packet carries its trace's id and its record's number, from 1. */
enum { SLOT_BITS = 16 };

static uint32_t slot_of(uint32_t trace)
{
	return (trace & ((1u << SLOT_BITS) - 1)) - 1;
}

/* Packets stay in the engine for as long as a handshake takes; a trace may be gone by then. */
static bool owns(const struct mf_trace *t, uint32_t trace)
{
	return t && trace && trace >> SLOT_BITS == t->id;
}

static struct mf_trace_record *record(const struct mf_trace *t, uint32_t slot)
{
	return (struct mf_trace_record *)(void *)(t->memory + slot * t->stride);
}

static void choose_entries(struct mf_trace *t, const struct mf_graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const char *name = g->node[i].def->name;

		if (t->filter.node != UINT32_MAX)
			t->entry[i] = i == t->filter.node;
		else
			t->entry[i] = !strcmp(name, "ip-input") || !strcmp(name, "tun-output");
	}
}

struct mf_trace *mf_trace_new(const struct mf_graph *g, const struct mf_trace_filter *filter,
			      uint32_t slots, uint32_t snaplen)
{
	struct mf_trace *t = calloc(1, sizeof(*t));

	MF_ASSERT(slots < 1u << SLOT_BITS);
	if (!t)
		return NULL;
	t->filter = *filter;
	t->slots = slots;
	t->snaplen = snaplen;
	t->stride = mf_round_up(sizeof(struct mf_trace_record) + snaplen, MF_CACHE_LINE);
	t->memory = aligned_alloc(MF_CACHE_LINE, t->stride * slots);
	t->gathered = malloc(MF_PKT_LARGE_MAX);
	t->idle = mf_ring_new(slots, sizeof(uint32_t));
	t->done = mf_ring_new(slots, sizeof(uint32_t));
	if (!t->memory || !t->gathered || !t->idle || !t->done) {
		mf_trace_free(t);
		return NULL;
	}
	choose_entries(t, g);
	for (uint32_t i = 0; i < slots; i++)
		mf_ring_push(t->idle, &i);
	return t;
}

void mf_trace_begin(struct mf_trace *t, uint16_t id)
{
	t->id = id;
}

void mf_trace_free(struct mf_trace *t)
{
	if (!t)
		return;
	mf_ring_free(t->idle);
	mf_ring_free(t->done);
	if (t->memory)
		mf_wipe(t->memory, t->stride * t->slots);
	if (t->gathered)
		mf_wipe(t->gathered, MF_PKT_LARGE_MAX);
	free(t->memory);
	free(t->gathered);
	free(t);
}

const struct mf_trace_record *mf_trace_take(struct mf_trace *t, uint32_t *slot)
{
	return mf_ring_pop(t->done, slot) ? record(t, *slot) : NULL;
}

void mf_trace_release(struct mf_trace *t, uint32_t slot)
{
	mf_ring_push(t->idle, &slot);
}

uint64_t mf_trace_missed(const struct mf_trace *t)
{
	return mf_counter_read(&t->missed);
}

uint32_t mf_trace_open(const struct mf_trace *t)
{
	return __atomic_load_n(&t->open, __ATOMIC_ACQUIRE);
}

/* The packet in one piece. */
static const uint8_t *whole(struct mf_trace *t, const struct mf_pkt *p, uint32_t *len)
{
	if (!p->tail_len) {
		*len = p->len;
		return p->data;
	}
	*len = (uint32_t)mf_pkt_gather(p, t->gathered, MF_PKT_LARGE_MAX);
	return t->gathered;
}

static void begin(struct mf_trace *t, struct mf_pkt *p, mf_nsec now)
{
	struct mf_trace_record *r;
	uint32_t slot, len;
	const uint8_t *bytes = whole(t, p, &len);

	if (t->filter.match && !t->filter.match(t->filter.ctx, bytes, len))
		return;
	if (!mf_ring_pop(t->idle, &slot)) {
		mf_count(&t->missed, 1);
		return;
	}
	r = record(t, slot);
	*r = (struct mf_trace_record){
		.time = now,
		.len = len,
		.caplen = (uint32_t)mf_min(len, t->snaplen),
		.segments = mf_pkt_wire_count(p),
		.gso_size = p->gso_size,
	};
	memcpy(r->bytes, bytes, r->caplen);
	p->trace = (uint32_t)t->id << SLOT_BITS | (slot + 1);
	__atomic_store_n(&t->open, t->open + 1, __ATOMIC_RELEASE);
}

void mf_trace_frame(struct mf_trace *t, const struct mf_node *node, struct mf_pkt **pkts,
		    uint32_t n, mf_nsec now)
{
	bool entry = t->entry[node->index];

	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];
		struct mf_trace_record *r;

		if (!owns(t, p->trace)) {
			p->trace = 0;
			if (entry)
				begin(t, p, now);
			if (!p->trace)
				continue;
		}
		r = record(t, slot_of(p->trace));
		if (r->n_path < MF_TRACE_PATH_MAX)
			r->path[r->n_path++] = (uint8_t)node->index;
	}
}

void mf_trace_end_record(struct mf_trace *t, uint32_t trace, enum mf_verdict verdict,
			 enum mf_drop drop)
{
	uint32_t slot = slot_of(trace);
	struct mf_trace_record *r;

	if (!owns(t, trace))
		return;
	r = record(t, slot);
	r->verdict = (uint8_t)verdict;
	r->drop = (uint16_t)drop;
	__atomic_store_n(&t->open, t->open - 1, __ATOMIC_RELEASE);
	mf_ring_push(t->done, &slot);
}

void mf_trace_end(struct mf_trace *t, struct mf_pkt *p, enum mf_verdict verdict)
{
	mf_trace_end_record(t, p->trace, verdict, (enum mf_drop)p->drop);
	p->trace = 0;
}

void mf_trace_note(struct mf_trace *t, const struct mf_pkt *p, const char *note)
{
	struct mf_trace_record *r;
	size_t n = mf_min(strlen(note), MF_TRACE_NOTE - 1);

	if (!owns(t, p->trace))
		return;
	r = record(t, slot_of(p->trace));
	memcpy(r->note, note, n);
	r->note[n] = '\0';
}

void mf_trace_move(struct mf_pkt *to, struct mf_pkt *from)
{
	to->trace = from->trace;
	from->trace = 0;
}
