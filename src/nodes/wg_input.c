/* SPDX-License-Identifier: Apache-2.0
 *
 * wg-input - what comes in on a WireGuard port: data messages are opened, checked and merged, the rest
 * goes to the control thread.
 *
 * A message is opened straight into the place where it would continue the super-packet before it
 * (wire/gro.h), so that a bulk transfer's payload is written once. Only after its tag has been verified
 * does anything else look at it, in this order: replay window, keepalive, congestion mark, source
 * address, merging.
 */
#include "nodes/host_port.h"
#include "nodes/worker.h"

#include "proto/wg/keypair.h"
#include "proto/wg/messages.h"
#include "wire/ip.h"
#include "wire/mss.h"
#include "wire/nat.h"

enum { NEXT_TUN_OUTPUT, NEXT_HOST_TCP, NEXT_HOST_UDP, NEXT_HOST_ICMP, NEXT_DROP };

/* One message ends; a trace shows of its datagram why. */
static void lose(struct mf_worker *w, struct mf_pkt *from, enum mf_drop reason)
{
	from->drop = (uint16_t)reason;
	mf_graph_lose(&w->graph, reason, 1);
}

/* A datagram is done with; what was in it has been counted message by message. */
static void finish(struct mf_worker *w, struct mf_pkt *p)
{
	mf_graph_absorb(&w->graph, p, p->drop ? MF_DROPPED : MF_CONSUMED);
}

/* ---- The node: sorting messages into jobs -------------------------------------------------- */

static void post_handshake(struct mf_worker *w, struct mf_pkt *p, const uint8_t *bytes, size_t n)
{
	struct mf_event e = {
		.kind = MF_EVENT_HANDSHAKE,
		.udp_slot = p->rx_port,
		.len = (uint16_t)n,
		.remote = p->remote,
		.local = p->local,
		.local_if = p->local_if,
	};

	memcpy(e.bytes, bytes, n);
	if (mf_worker_post(w, &e))
		mf_count(&w->graph.ledger.ended[MF_CONSUMED], 1);
	else
		lose(w, p, MF_DROP_WG_HANDSHAKE_QUEUE);
}

static const size_t handshake_len[] = {
	[MF_WG_MSG_INITIATION] = sizeof(struct mf_wg_msg_initiation),
	[MF_WG_MSG_RESPONSE] = sizeof(struct mf_wg_msg_response),
	[MF_WG_MSG_COOKIE] = sizeof(struct mf_wg_msg_cookie),
};

/* Adds a data message to the job, or deals with whatever else it is. */
static void sort(struct mf_worker *w, struct mf_job *job, struct mf_pkt *p, uint8_t *bytes, size_t n)
{
	struct mf_wg_keypair *k = NULL;
	enum mf_drop drop;
	uint32_t type;

	if (n < sizeof(uint32_t)) {
		lose(w, p, MF_DROP_WG_SHORT);
		return;
	}
	type = mf_load_le32(bytes);
	if (type != MF_WG_MSG_DATA) {
		if (type < MF_WG_MSG_INITIATION || type > MF_WG_MSG_COOKIE)
			lose(w, p, MF_DROP_WG_TYPE);
		else if (n != handshake_len[type])
			lose(w, p, MF_DROP_WG_LENGTH);
		else
			post_handshake(w, p, bytes, n);
		return;
	}
	if (n < MF_WG_DATA_OVERHEAD) {
		lose(w, p, MF_DROP_WG_LENGTH);
		return;
	}
	if (job->n_messages) {
		struct mf_open_message *last = &job->message[job->n_messages - 1];

		if (memcmp(last->bytes + 4, bytes + 4, 4) == 0)
			k = last->keypair;
	}
	if (!k)
		k = mf_wg_find(w->wg, mf_load_le32(bytes + 4));
	drop = k ? mf_wg_receive_check(k, w->graph.now, mf_load_le64(bytes + 8)) : MF_DROP_WG_INDEX;
	if (drop) {
		lose(w, p, drop);
		return;
	}
	job->message[job->n_messages++] = (struct mf_open_message){
		.bytes = bytes, .keypair = k, .len = (uint32_t)n, .in = job->n_in
	};
}

static void publish(struct mf_worker *w, struct mf_job *job)
{
	mf_count(&w->graph.ledger.held, job->n_messages);
	mf_jobs_publish(w);
}

static struct mf_job *begin(struct mf_worker *w)
{
	struct mf_job *job = mf_jobs_next(w);

	job->kind = MF_JOB_OPEN;
	job->n_in = 0;
	job->n_messages = 0;
	return job;
}

/* Adds a datagram, or batch of them, to the job; returns the job to go on with. A batch of more messages
 * than a job holds goes into several: the last of them, which is completed last, frees it. */
static struct mf_job *take(struct mf_worker *w, struct mf_job *job, struct mf_pkt *p)
{
	uint32_t stride = p->gso_type == MF_GSO_NONE ? p->len : p->gso_size;
	uint32_t before, at = 0;
	bool shared = false;

	if (job->n_in == MF_JOB_PACKETS ||
	    (job->n_in && job->n_messages + mf_pkt_wire_count(p) > MF_JOB_SEGMENTS)) {
		publish(w, job);
		job = begin(w);
	}
	before = job->n_messages;
	do {
		if (job->n_messages == MF_JOB_SEGMENTS) {
			job->in[job->n_in] = p;
			publish(w, job);
			job = begin(w);
			shared = true;
		}
		sort(w, job, p, p->data + at, mf_min(stride, p->len - at));
		at += stride;
	} while (at < p->len);
	if (shared || job->n_messages != before)
		job->in[job->n_in++] = p;
	else
		finish(w, p);
	return job;
}

static uint32_t wg_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			     uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	struct mf_job *job = begin(w);

	(void)node;
	(void)next;
	for (uint32_t i = 0; i < n; i++)
		job = take(w, job, pkts[i]);
	if (job->n_in)
		publish(w, job);
	mf_jobs_work(w);
	return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

void mf_open_run(struct mf_job *job, struct mf_aead *aead)
{
	for (uint32_t i = 0; i < job->n_messages; i++) {
		struct mf_open_message *m = &job->message[i];
		uint8_t *text = m->bytes + MF_WG_DATA_HEADER;
		size_t n = m->len - MF_WG_DATA_HEADER;

		m->plain = mf_aead_open(aead, &m->keypair->recv, mf_load_le64(m->bytes + 8), text,
					n, text)
				   ? (int32_t)(n - MF_WG_TAG_LEN)
				   : -1;
	}
	job->opened = true;
}

/* What has been accepted from one session since it was last reported. */
struct receipt {
	struct mf_wg_keypair *keypair;
	struct mf_wg_tally tally;
	const struct mf_pkt *from; /* datagram of the last accepted packet */
};

static void report(struct mf_worker *w, struct receipt *r)
{
	struct mf_wg_peer *peer;
	struct mf_wg_path from;
	struct mf_event e;
	unsigned what;

	if (!r->keypair || !(r->tally.n_data + r->tally.n_keepalive))
		return;
	from = (struct mf_wg_path){ r->from->remote, r->from->local, r->from->local_if };
	what = mf_wg_received(r->keypair, w->index + 1, w->graph.now, &r->tally, &from);
	r->tally = (struct mf_wg_tally){ 0 };
	if (MF_LIKELY(!what))
		return;
	peer = r->keypair->peer;
	e = (struct mf_event){
		.kind = MF_EVENT_ROAM,
		.peer = mf_wg_peer_ref(peer),
		.remote = from.remote,
		.local = from.local,
		.local_if = from.local_if,
	};
	if (what & MF_WG_POST_ROAM && !mf_worker_post(w, &e))
		mf_wg_post_failed(peer, MF_WG_POST_ROAM);
	e.kind = MF_EVENT_POKE;
	if (what & MF_WG_POST_POKE && !mf_worker_post(w, &e))
		mf_wg_post_failed(peer, MF_WG_POST_POKE);
}

/* The outer congestion mark goes to the inner packet (RFC 6040); false: it must be dropped. */
static bool carry_ecn(uint8_t *ip, uint8_t outer_tos)
{
	uint8_t outer = outer_tos & 3, inner;
	int ecn;

	if (MF_LIKELY(outer == MF_ECN_NOT_ECT))
		return true;
	inner = mf_ip_ecn(ip);
	ecn = mf_ecn_decap(inner, outer);
	if (ecn == MF_ECN_DROP)
		return false;
	if (ecn != inner)
		mf_ip_set_ecn(ip, (uint8_t)ecn);
	return true;
}

/* Judges an authenticated plaintext of n bytes at `ip` (n > 0). Returns the packet's length, or 0 and
 * the reason. */
static size_t judge(const struct mf_open_message *m, const struct mf_pkt *outer, uint8_t *ip,
		    size_t n, enum mf_drop *drop)
{
	size_t len = mf_ip_peek_len(ip, n);
	bool ip4 = ip[0] >> 4 == 4;

	if (!len)
		*drop = MF_DROP_IP_HEADER;
	else if (!mf_wg_source_ok(m->keypair->peer,
				  ip + (ip4 ? offsetof(struct mf_ip4_hdr, src)
					    : offsetof(struct mf_ip6_hdr, src)),
				  ip4 ? MF_AF_IP4 : MF_AF_IP6))
		*drop = MF_DROP_WG_SOURCE;
	else if (!carry_ecn(ip, outer->tos))
		*drop = MF_DROP_WG_ECN;
	else
		return len;
	return 0;
}

/* Accepts one opened plaintext that lies in the place that gro gave. */
static void accept(struct mf_worker *w, const struct mf_open_message *m, struct mf_pkt *outer,
		   uint8_t *ip, size_t n, struct receipt *r)
{
	enum mf_drop drop = MF_DROP_NONE;
	size_t len;

	if (!mf_wg_replay_accept(m->keypair, mf_load_le64(m->bytes + 8))) {
		mf_gro_cancel(&w->gro);
		lose(w, outer, MF_DROP_WG_REPLAY);
		return;
	}
	r->from = outer;
	r->tally.bytes += m->len;
	if (n == 0) {
		mf_gro_cancel(&w->gro);
		r->tally.n_keepalive++;
		mf_count(&w->graph.ledger.ended[MF_CONSUMED], 1);
		return;
	}
	r->tally.n_data++;
	len = judge(m, outer, ip, n, &drop);
	if (len)
		drop = mf_gro_commit(&w->gro, len, m->keypair->peer);
	else
		mf_gro_cancel(&w->gro);
	if (drop)
		lose(w, outer, drop);
}

static void open_one(struct mf_worker *w, struct mf_job *job, struct mf_open_message *m,
		     struct receipt *r)
{
	const uint8_t *text = m->bytes + MF_WG_DATA_HEADER;
	size_t n = m->len - MF_WG_DATA_OVERHEAD;
	uint8_t *place = mf_gro_reserve(&w->gro, n);

	if (!place) {
		lose(w, job->in[m->in], MF_DROP_BUFFERS);
		return;
	}
	if (job->opened ? m->plain < 0
			: !mf_aead_open(w->aead, &m->keypair->recv, mf_load_le64(m->bytes + 8),
					text, n + MF_WG_TAG_LEN, place)) {
		mf_gro_cancel(&w->gro);
		lose(w, job->in[m->in], MF_DROP_WG_AUTH);
		return;
	}
	if (job->opened)
		memcpy(place, text, n);
	accept(w, m, job->in[m->in], place, n, r);
}

void mf_open_complete(struct mf_worker *w, struct mf_job *job)
{
	struct receipt r = { 0 };

	for (uint32_t i = 0; i < job->n_messages; i++) {
		struct mf_open_message *m = &job->message[i];

		if (m->keypair != r.keypair) {
			report(w, &r);
			r.keypair = m->keypair;
		}
		open_one(w, job, m, &r);
	}
	report(w, &r);
	mf_uncount(&w->graph.ledger.held, job->n_messages);
	for (uint32_t i = 0; i < job->n_in; i++)
		finish(w, job->in[i]);
}

/* ---- Merged packets go on ------------------------------------------------------------------- */

/* Our address inside the VPN becomes the tunnel's own. */
static void translate(const struct mf_snapshot *snap, const struct mf_next_hop *hop, struct mf_pkt *p)
{
	struct mf_translation t = mf_translation_of(snap, hop, p->ip_version);

	if (t.inside && memcmp(mf_ip_dst_bytes(p), t.inside->b, mf_addr_len(t.inside)) == 0)
		mf_nat_destination(p, t.own);
}

void mf_open_flush(struct mf_worker *w)
{
	struct mf_node *tun = mf_node_next(&w->graph, w->wg_input, NEXT_TUN_OUTPUT);
	struct mf_pkt *out[MF_JOB_PACKETS];
	size_t n;

	do {
		n = mf_gro_flush(&w->gro, out, MF_ARRAY_LEN(out));
		for (size_t i = 0; i < n; i++) {
			const struct mf_next_hop *hop = mf_worker_hop(w, out[i]->owner);

			if (MF_UNLIKELY(!hop)) {
				mf_worker_drop(w, out[i], MF_DROP_INTERFACE_DOWN);
				continue;
			}
			mf_mss_clamp(out[i], hop->path_mtu);
			translate(w->snap, hop, out[i]);
			out[i]->next_hop = (uint32_t)(hop - w->snap->hop);
			mf_graph_put(&w->graph,
				     mf_host_claims(w->stack, out[i]) ? mf_host_port_node(w, out[i])
								      : tun,
				     out[i]);
		}
	} while (n == MF_ARRAY_LEN(out));
}

const struct mf_node_def mf_node_wg_input = {
	.name = "wg-input",
	.run = wg_input_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output",
		  [NEXT_HOST_TCP] = "host-tcp",
		  [NEXT_HOST_UDP] = "host-udp",
		  [NEXT_HOST_ICMP] = "host-icmp",
		  [NEXT_DROP] = "drop" },
	.does = "opens data messages, checks replay and source, merges; handshakes go to control",
};
