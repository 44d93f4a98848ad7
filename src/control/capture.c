/* SPDX-License-Identifier: Apache-2.0 */
#include "control/capture.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/pcapng.h"

/* Records of one worker's trace: memory that is only touched while packets are watched. */
enum { TRACE_BYTES = 4 << 20, TRACE_SLOTS_MIN = 64, TRACE_SLOTS_MAX = 4096 };

/* What workers use. It outlives the capture until they have let go of it. */
struct watch {
	unsigned n;
	struct mf_trace *traces[MF_WORKERS_MAX];
	struct mf_bpf_insn filter[];
};

struct mf_capture {
	struct mf_engine *engine;
	struct watch *watch;
	const struct mf_graph *graph; /* any worker's: for the names of nodes */
	char interface[MF_REQUEST_NAME];
	char tunnel[16];
	int64_t wall_offset; /* from the boot-time clock to the time of day, ns */
	mf_nsec last;
	uint64_t left; /* packets still wanted */
	uint32_t snaplen;
	bool started;   /* the header has been written */
	bool datagrams; /* what is watched are WireGuard messages, not IP packets */
	unsigned next;  /* worker to look at next */
};

/* What a packet looks like before these nodes: a WireGuard message, or a batch of them. */
static bool sees_datagrams(const char *node)
{
	return !strcmp(node, "wg-input") || !strcmp(node, "udp-output");
}

static bool match(void *ctx, const uint8_t *packet, uint32_t len)
{
	return mf_bpf_run(ctx, packet, len) != 0;
}

static void free_watch(void *obj)
{
	struct watch *w = obj;

	for (unsigned i = 0; i < w->n; i++)
		mf_trace_free(w->traces[i]);
	free(w);
}

/* The index of the node, UINT32_MAX for "wherever packets enter". */
static mf_err find_node(const struct mf_graph *g, const struct mf_request *q, uint32_t *out,
			struct mf_errbuf *eb)
{
	*out = UINT32_MAX;
	if (!q->node[0])
		return MF_OK;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (!strcmp(g->node[i].def->name, q->node))
			*out = i;
	if (*out == UINT32_MAX)
		return mf_fail(eb, MF_E_NOT_FOUND,
			       "there is no node %s; `mintflow show nodes --all` lists them",
			       q->node);
	if (g->node[*out].def->input)
		return mf_fail(eb, MF_E_UNSUPPORTED,
			       "%s is where packets are read; capture at the node after it", q->node);
	if (sees_datagrams(q->node) && q->n_filter)
		return mf_fail(eb, MF_E_UNSUPPORTED,
			       "packets at %s are encrypted: a filter cannot look into them",
			       q->node);
	return MF_OK;
}

static mf_err find_interface(const struct mf_engine *e, const char *name, struct mf_errbuf *eb)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(e);

	if (!*name || mf_hop_carries(&snap->hop[mf_snapshot_hop_named(snap, name)]))
		return MF_OK;
	return mf_fail(eb, MF_E_NOT_FOUND, "there is no interface %s that carries anything", name);
}

static uint32_t slots_for(uint32_t snaplen)
{
	uint32_t n = TRACE_SLOTS_MIN;

	while (n < TRACE_SLOTS_MAX &&
	       (n * 2) * (snaplen + sizeof(struct mf_trace_record)) <= TRACE_BYTES)
		n *= 2;
	return n;
}

static mf_err start(struct mf_capture *c, const struct mf_request *q, uint32_t node,
		    struct mf_errbuf *eb)
{
	struct mf_trace_filter filter = { .node = node };
	mf_err err;

	c->watch = calloc(1, sizeof(*c->watch) + q->n_filter * sizeof(q->filter[0]));
	if (!c->watch)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory to capture");
	if (q->n_filter) {
		memcpy(c->watch->filter, q->filter, q->n_filter * sizeof(q->filter[0]));
		filter.match = match;
		filter.ctx = c->watch->filter;
	}
	err = mf_engine_trace(c->engine, &filter, slots_for(q->snaplen), q->snaplen,
			      c->watch->traces);
	if (err) {
		free(c->watch);
		return mf_fail(eb, err, "%s",
			       err == MF_E_EXISTS ? "another capture is running"
						  : "not enough memory to capture");
	}
	c->watch->n = mf_engine_worker_count(c->engine);
	return MF_OK;
}

struct mf_capture *mf_capture_new(struct mf_engine *e, const struct mf_request *q, const char *tunnel,
				  mf_nsec now, struct mf_wg_wall wall, struct mf_errbuf *eb)
{
	const struct mf_graph *g = &mf_engine_worker(e, 0)->graph;
	struct mf_capture *c;
	uint32_t node;

	if (find_node(g, q, &node, eb) || find_interface(e, q->interface, eb))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		(void)mf_fail(eb, MF_E_NO_MEMORY, "not enough memory to capture");
		return NULL;
	}
	c->engine = e;
	c->graph = g;
	strcpy(c->interface, q->interface);
	snprintf(c->tunnel, sizeof(c->tunnel), "%s", tunnel);
	c->wall_offset = (int64_t)(wall.sec * MF_SEC + wall.nsec - now);
	c->last = now;
	c->left = q->count ? q->count : UINT64_MAX;
	c->snaplen = q->snaplen;
	c->datagrams = sees_datagrams(q->node);
	if (start(c, q, node, eb)) {
		free(c);
		return NULL;
	}
	return c;
}

void mf_capture_free(struct mf_capture *c)
{
	if (!c)
		return;
	mf_engine_untrace(c->engine, free_watch, c->watch);
	free(c);
}

uint64_t mf_capture_missed(const struct mf_capture *c)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < c->watch->n; i++)
		n += mf_trace_missed(c->watch->traces[i]);
	return n;
}

void mf_capture_describe(const struct mf_graph *g, const struct mf_trace_record *rec,
			 struct mf_text *out)
{
	static const char *const verdict[] = { "sent", "delivered", "consumed", "dropped" };
	enum mf_drop drop = (enum mf_drop)rec->drop;

	mf_text_printf(out, "%s", rec->verdict < MF_VERDICT_COUNT ? verdict[rec->verdict] : "?");
	if (rec->verdict == MF_DROPPED)
		mf_text_printf(out, " %s (%s)", mf_drop_name(drop), mf_drop_text(drop));
	if (rec->note[0])
		mf_text_printf(out, "; %s", rec->note);
	for (uint32_t i = 0; i < rec->n_path; i++)
		mf_text_printf(out, "%s%s", i ? " > " : "; ", g->node[rec->path[i]].def->name);
	if (rec->segments > 1)
		mf_text_printf(out, "; %u segments of %u bytes", rec->segments, rec->gso_size);
}

/* A dissector's name and the end of the list, as LINKTYPE_WIRESHARK_UPPER_PDU wants it in front. */
static const uint8_t wg_head[] = { 0, 12, 0, 4, 'w', 'g', 0, 0, 0, 0, 0, 0 };

static void write_record(struct mf_capture *c, const struct mf_trace_record *rec, struct mf_text *out)
{
	struct mf_text comment = { 0 };

	mf_capture_describe(c->graph, rec, &comment);
	c->last = rec->time;
	mf_pcapng_packet(out, &(struct mf_pcapng_packet){
				      .time = rec->time + (uint64_t)c->wall_offset,
				      .len = rec->len,
				      .head = mf_span(wg_head, c->datagrams ? sizeof(wg_head) : 0),
				      .bytes = mf_span(rec->bytes, rec->caplen),
				      .comment = comment.s,
			      });
	mf_text_free(&comment);
}

/* One record of any worker, in turn; false: there is none. */
static bool read_one(struct mf_capture *c, struct mf_text *out)
{
	for (unsigned i = 0; i < c->watch->n; i++) {
		struct mf_trace *t = c->watch->traces[c->next++ % c->watch->n];
		const struct mf_trace_record *rec;
		uint32_t slot;

		rec = mf_trace_take(t, &slot);
		if (!rec)
			continue;
		if (!c->interface[0] || !strcmp(rec->note, c->interface)) {
			write_record(c, rec, out);
			c->left--;
		}
		mf_trace_release(t, slot);
		return true;
	}
	return false;
}

bool mf_capture_read(struct mf_capture *c, struct mf_text *out, size_t max)
{
	if (!c->started) {
		mf_pcapng_begin(out, "MintFlow " MF_VERSION);
		mf_pcapng_interface(out,
				    c->datagrams ? MF_LINKTYPE_WIRESHARK_UPPER_PDU : MF_LINKTYPE_RAW,
				    c->snaplen, c->tunnel, "MintFlow NetStack");
		c->started = true;
	}
	while (c->left && out->len < max && read_one(c, out))
		;
	return c->left != 0;
}

void mf_capture_finish(struct mf_capture *c, struct mf_text *out)
{
	mf_pcapng_statistics(out, 0, c->last + (uint64_t)c->wall_offset, mf_capture_missed(c));
}
