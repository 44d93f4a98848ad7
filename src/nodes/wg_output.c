/* SPDX-License-Identifier: Apache-2.0
 *
 * wg-output - cryptokey routing and sealing: packets of an interface to datagrams of its peers.
 *
 * Packets of one peer that follow each other become a job (nodes/job.h). A job is planned before it is
 * published: which plaintexts go into which outgoing batch, all of one length but the last, so that
 * the kernel sends each batch with one call (UDP_SEGMENT). Sealing then cuts a super-packet and
 * encrypts straight into the batch, reading every byte once.
 */
#include "nodes/worker.h"

#include "nodes/stage.h"
#include "proto/wg/keypair.h"
#include "proto/wg/messages.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/mss.h"
#include "wire/nat.h"

enum { NEXT_ICMP_ERROR, NEXT_UDP_OUTPUT, NEXT_DROP };
enum {
	BATCH_SEGMENTS = 64,
	BATCH_BYTES = MF_WG_MTU_MAX + MF_WG_DATA_OVERHEAD,
	JOB_BYTES = MF_PKT_LARGE_MAX
};
static_assert((int)BATCH_BYTES <= (int)MF_PKT_LARGE_MAX, "a batch fits a packet");

/* Consecutive packets that go to one peer with one congestion mark. */
struct run {
	struct mf_wg_peer *peer;
	const struct mf_next_hop *hop;
	uint8_t ecn;
	uint32_t n;
	size_t bytes;
	struct mf_pkt *pkt[MF_JOB_PACKETS];
};

/* Outgoing batches while a job is planned. */
struct plan {
	uint32_t n, messages;
	bool full; /* the last batch has got its shorter last message */
	struct batch {
		uint32_t stride, segments, bytes;
	} batch[MF_JOB_PACKETS];
};

static size_t padded(size_t n, size_t mtu)
{
	size_t up = mf_round_up(n, MF_WG_PADDING);

	return n >= mtu ? n : mf_min(up, mtu);
}

/* Adds `count` messages of `len` bytes. False: they need more batches than a job can have. */
static bool plan_add(struct plan *p, uint32_t len, uint32_t count)
{
	p->messages += count;
	while (count) {
		uint32_t i = p->n - 1, room, k;

		if (p->n == 0 || p->full || len > p->batch[i].stride ||
		    p->batch[i].segments == BATCH_SEGMENTS || p->batch[i].bytes + len > BATCH_BYTES) {
			if (p->n == MF_JOB_PACKETS)
				return false;
			i = p->n++;
			p->batch[i].stride = len;
			p->batch[i].segments = 0;
			p->batch[i].bytes = 0;
			p->full = false;
		}
		room = BATCH_SEGMENTS - p->batch[i].segments;
		k = (BATCH_BYTES - p->batch[i].bytes) / len;
		k = k < room ? k : room;
		k = k < count ? k : count;
		if (len < p->batch[i].stride) {
			p->full = true;
			k = 1;
		}
		p->batch[i].segments += k;
		p->batch[i].bytes += k * len;
		count -= k;
	}
	return true;
}

static bool plan_packet(struct plan *plan, struct mf_pkt *p, size_t mtu)
{
	size_t full, header, payload, last;
	uint32_t count;

	if (p->gso_type == MF_GSO_NONE)
		return plan_add(plan, (uint32_t)(padded(p->len, mtu) + MF_WG_DATA_OVERHEAD), 1);
	full = mf_gso_max_len(p);
	count = p->segments;
	header = count > 1 ? full - p->gso_size : 0;
	payload = p->len - header;
	last = count > 1 ? header + payload - (count - 1) * (size_t)p->gso_size : full;
	return plan_add(plan, (uint32_t)(padded(full, mtu) + MF_WG_DATA_OVERHEAD), count - 1) &&
	       plan_add(plan, (uint32_t)(padded(last, mtu) + MF_WG_DATA_OVERHEAD), 1);
}

static void free_batches(struct mf_job *job)
{
	while (job->n_out)
		mf_pkt_free(job->out[--job->n_out]);
}

/* Takes the packets that the plan asks for. */
static bool allocate(struct mf_worker *w, struct mf_job *job, const struct plan *plan)
{
	job->n_out = 0;
	for (uint32_t i = 0; i < plan->n; i++) {
		struct mf_pkt *p = plan->batch[i].bytes <= MF_PKT_SMALL_MAX ? mf_pkt_small(w->pool)
									    : NULL;

		if (!p)
			p = mf_pkt_large(w->pool);
		if (!p) {
			free_batches(job);
			return false;
		}
		p->gso_size = (uint16_t)plan->batch[i].stride;
		p->segments = plan->batch[i].segments;
		p->gso_type = p->segments > 1 ? MF_GSO_UDP : MF_GSO_NONE;
		job->out[job->n_out++] = p;
	}
	return true;
}

/* The same; what unfinished jobs hold comes back first. A helper that is at the oldest will be done within
 * a job's time, or when it runs again. False: the packets are elsewhere. */
static bool allocate_when_free(struct mf_worker *w, struct mf_job *job, const struct plan *plan)
{
	while (!allocate(w, job, plan)) {
		if (!mf_jobs_pending(&w->jobs))
			return false;
		mf_jobs_work(w);
	}
	return true;
}

static void post(struct mf_worker *w, struct mf_wg_peer *peer, unsigned what)
{
	struct mf_event e = { .kind = MF_EVENT_POKE, .peer = mf_wg_peer_ref(peer) };

	if (what & MF_WG_POST_POKE && !mf_worker_post(w, &e))
		mf_wg_post_failed(peer, MF_WG_POST_POKE);
}

static void drop_all(struct mf_worker *w, struct mf_pkt **pkts, uint32_t n, enum mf_drop reason)
{
	for (uint32_t i = 0; i < n; i++)
		mf_worker_drop(w, pkts[i], reason);
}

/* No session: the packets wait for one, and the control thread is told. It may have come up in between,
 * then the control thread may have looked at the queue too early. */
static void stage(struct mf_worker *w, struct mf_wg_peer *peer, struct mf_pkt **pkts, uint32_t n,
		  unsigned what)
{
	struct mf_order flush = { .kind = MF_ORDER_FLUSH_STAGED, .peer = peer };

	mf_stage_put(w, peer, pkts, n);
	post(w, peer, what);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (mf_wg_has_session(peer, w->graph.now) && mf_stage_len(peer, w->index) &&
	    !mf_ring_push(w->orders, &flush))
		mf_stage_drop(w, peer, MF_DROP_WG_STAGED_FULL); /* or nobody would send them */
}

/* Plans a job for as many of the packets as it can hold; returns how many. */
static uint32_t make_plan(struct plan *p, struct mf_pkt **pkts, uint32_t n, size_t mtu)
{
	uint32_t i;

	p->n = p->messages = 0;
	p->full = false;
	for (i = 0; i < n; i++) {
		uint32_t was_n = p->n, was_messages = p->messages, last = was_n ? was_n - 1 : 0;
		struct batch was_last = p->batch[last];
		bool was_full = p->full;

		if (plan_packet(p, pkts[i], mtu))
			continue;
		p->n = was_n;
		p->messages = was_messages;
		p->full = was_full;
		p->batch[last] = was_last;
		break;
	}
	return i;
}

/* As many of a run's packets as it can hold become a job. Returns how many packets are dealt with. */
static uint32_t publish_some(struct mf_worker *w, const struct run *r, struct mf_pkt **pkts,
			     uint32_t n)
{
	struct mf_job *job = mf_jobs_next(w);
	struct mf_wg_claimed claimed;
	struct plan plan;
	uint32_t k = make_plan(&plan, pkts, n, r->hop->mtu);
	unsigned what = 0;

	if (!k) {
		mf_worker_drop(w, pkts[0], MF_DROP_OFFLOAD_META);
		return 1;
	}
	if (!allocate_when_free(w, job, &plan)) {
		drop_all(w, pkts, k, MF_DROP_BUFFERS);
		return k;
	}
	if (mf_wg_claim(r->peer, w->graph.now, plan.messages, &claimed, &what) != MF_WG_CLAIM_OK) {
		free_batches(job);
		stage(w, r->peer, pkts, n, what);
		return n;
	}
	post(w, r->peer, what);
	job->kind = MF_JOB_SEAL;
	job->peer = r->peer;
	job->keypair = claimed.keypair;
	job->first = claimed.first;
	job->n_messages = plan.messages;
	job->mtu = r->hop->mtu;
	job->n_in = (uint8_t)k;
	memcpy(job->in, pkts, k * sizeof(*pkts));
	for (uint32_t i = 0; i < job->n_out; i++)
		job->out[i]->tos = r->ecn;
	mf_count(&w->graph.ledger.held, plan.messages);
	mf_jobs_publish(w);
	return k;
}

/* A run becomes a job (rarely several), or is staged when there is no session. */
static void publish(struct mf_worker *w, struct run *r)
{
	struct mf_wg_claimed claimed;
	unsigned what = 0;

	if (!mf_wg_has_session(r->peer, w->graph.now)) {
		mf_wg_claim(r->peer, w->graph.now, 1, &claimed, &what);
		stage(w, r->peer, r->pkt, r->n, what);
		return;
	}
	for (uint32_t done = 0; done < r->n;)
		done += publish_some(w, r, r->pkt + done, r->n - done);
}

static void finish(struct mf_worker *w, struct run *r)
{
	if (r->n)
		publish(w, r);
	r->n = 0;
	r->bytes = 0;
}

static void add(struct mf_worker *w, struct run *r, struct mf_wg_peer *peer,
		const struct mf_next_hop *hop, struct mf_pkt *p)
{
	uint8_t ecn = mf_ecn_encap(mf_ip_ecn(p->data));

	if (r->n && (peer != r->peer || ecn != r->ecn || r->n == MF_JOB_PACKETS ||
		     r->bytes + p->len > JOB_BYTES))
		finish(w, r);
	r->peer = peer;
	r->hop = hop;
	r->ecn = ecn;
	r->bytes += p->len;
	r->pkt[r->n++] = p;
}

/* The packet's source becomes our address inside the VPN, if it is the tunnel's. */
static void translate(const struct mf_snapshot *snap, const struct mf_next_hop *hop, struct mf_pkt *p)
{
	struct mf_translation t = mf_translation_of(snap, hop, p->ip_version);

	if (t.inside && memcmp(mf_ip_src_bytes(p), t.own->b, mf_addr_len(t.own)) == 0)
		mf_nat_source(p, t.inside);
}

/* Which peer, or why not. */
static enum mf_drop choose(const struct mf_next_hop *hop, const struct mf_pkt *p,
			   struct mf_wg_peer **peer)
{
	*peer = mf_wg_route(hop->device, mf_ip_dst_bytes(p),
			    p->ip_version == 4 ? MF_AF_IP4 : MF_AF_IP6);
	if (!*peer)
		return MF_DROP_WG_NO_PEER;
	if (!mf_wg_peer_path(*peer))
		return MF_DROP_WG_NO_ENDPOINT;
	if (p->gso_type == MF_GSO_NONE) {
		if (p->len > hop->mtu)
			return MF_DROP_TOO_BIG;
	} else {
		size_t longest = mf_gso_max_len(p);

		if (longest > hop->mtu)
			return MF_DROP_TOO_BIG;
		if (longest - p->gso_size > MF_GSO_HDR_MAX)
			return MF_DROP_OFFLOAD_META;
	}
	return mf_wg_device_up(hop->device) ? MF_DROP_NONE : MF_DROP_INTERFACE_DOWN;
}

static uint32_t wg_output_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			      uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	struct run r = { 0 };
	uint32_t onward = 0;

	(void)node;
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];
		const struct mf_next_hop *hop = &w->snap->hop[p->next_hop];
		struct mf_wg_peer *peer;
		enum mf_drop drop = choose(hop, p, &peer);

		if (MF_UNLIKELY(p->trace != 0))
			mf_trace_note(g->trace, p, hop->name);
		if (drop) {
			p->drop = (uint16_t)drop;
			next[onward] = NEXT_ICMP_ERROR;
			pkts[onward++] = p;
			continue;
		}
		mf_mss_clamp(p, hop->path_mtu);
		translate(w->snap, hop, p);
		add(w, &r, peer, hop, p);
	}
	finish(w, &r);
	mf_jobs_work(w);
	return onward;
}

void mf_wg_output_flush(struct mf_worker *w, struct mf_wg_peer *peer)
{
	const struct mf_next_hop *hop = mf_worker_hop(w, peer);
	struct run r = { 0 };
	struct mf_pkt *p;

	if (!hop) {
		mf_stage_drop(w, peer, MF_DROP_INTERFACE_DOWN);
		return;
	}
	/* As many as there are now: without a session they are staged again. */
	for (uint32_t left = mf_stage_len(peer, w->index); left; left--) {
		if (!mf_stage_take(w, peer, &p, 1))
			break;
		add(w, &r, peer, hop, p);
	}
	finish(w, &r);
	mf_jobs_work(w);
}

/* Seals one plaintext of n bytes at `seg` into a message at `out`; returns the message's length. The
 * bytes behind the plaintext may be the next segment's payload: padding borrows them. */
static size_t seal_one(struct mf_job *job, struct mf_aead *aead, uint64_t counter, uint8_t *seg,
		       size_t n, uint8_t *out)
{
	size_t len = padded(n, job->mtu), pad = len - n;
	struct mf_wg_msg_data h = {
		.type = mf_le32_of(MF_WG_MSG_DATA),
		.receiver = mf_le32_of(job->keypair->remote_index),
		.counter = mf_le64_of(counter),
	};
	uint8_t kept[MF_WG_PADDING];

	memcpy(out, &h, sizeof(h));
	if (pad) {
		memcpy(kept, seg + n, pad);
		memset(seg + n, 0, pad);
	}
	mf_aead_seal(aead, &job->keypair->send, counter, seg, len, out + sizeof(h));
	if (pad)
		memcpy(seg + n, kept, pad);
	return len + MF_WG_DATA_OVERHEAD;
}

void mf_seal_run(struct mf_job *job, struct mf_aead *aead)
{
	struct mf_pkt **batch = job->out;
	uint64_t counter = job->first;
	uint32_t room = (*batch)->segments;
	uint8_t *at = (*batch)->data;

	for (uint32_t i = 0; i < job->n_in; i++) {
		struct mf_gso gso;
		uint8_t *seg;
		size_t n;

		if (mf_gso_begin(&gso, job->in[i]) != MF_DROP_NONE)
			continue; /* ip-input has checked what could be wrong */
		while ((n = mf_gso_next(&gso, &seg)) != 0) {
			if (room == 0) {
				(*batch)->len = (uint32_t)(at - (*batch)->data);
				batch++;
				at = (*batch)->data;
				room = (*batch)->segments;
			}
			at += seal_one(job, aead, counter++, seg, n, at);
			room--;
		}
	}
	(*batch)->len = (uint32_t)(at - (*batch)->data);
}

void mf_seal_complete(struct mf_worker *w, struct mf_job *job)
{
	const struct mf_wg_path *path = mf_wg_peer_path(job->peer);
	/* Which port, only now: it may have changed while a helper was at work. */
	const struct mf_next_hop *hop = mf_worker_hop(w, job->peer);
	struct mf_node *output = mf_node_next(&w->graph, w->wg_output, NEXT_UDP_OUTPUT);
	struct mf_wg_tally tally = { .n_data = job->n_messages };

	for (uint32_t i = 0; i < job->n_in; i++)
		mf_graph_absorb(&w->graph, job->in[i], MF_SENT);
	mf_uncount(&w->graph.ledger.held, job->n_messages);
	for (uint32_t i = 0; i < job->n_out; i++) {
		struct mf_pkt *p = job->out[i];

		tally.bytes += p->len;
		if (MF_UNLIKELY(!path || !hop)) {
			mf_worker_drop(w, p, hop ? MF_DROP_WG_NO_ENDPOINT : MF_DROP_INTERFACE_DOWN);
			continue;
		}
		p->rx_port = hop->udp_slot;
		p->remote = path->remote;
		p->local = path->local;
		p->local_if = path->local_if;
		mf_graph_put(&w->graph, output, p);
	}
	post(w, job->peer, mf_wg_sent(job->peer, w->index + 1, w->graph.now, &tally));
}

const struct mf_node_def mf_node_wg_output = {
	.name = "wg-output",
	.run = wg_output_run,
	.next = { [NEXT_ICMP_ERROR] = "icmp-error", [NEXT_UDP_OUTPUT] = "udp-output", [NEXT_DROP] = "drop" },
	.does = "chooses the peer by allowed IPs, cuts super-packets, seals",
};
