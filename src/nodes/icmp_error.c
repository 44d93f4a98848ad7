/* SPDX-License-Identifier: Apache-2.0
 *
 * icmp-error - tells an app why its packet could not go, then drops the packet.
 *
 * The error comes from the packet's own destination: any other address of ours would be refused by the
 * kernel as its own, and reverse path filters accept the destination because it is routed to the TUN.
 * Errors are limited to 1000 a second and worker, 50 at once (as Linux's icmp_msgs_per_sec and
 * icmp_msgs_burst).
 */
#include "base/bucket.h"
#include "nodes/worker.h"

#include "wire/icmp.h"
#include "wire/ip.h"

enum { NEXT_TUN_OUTPUT, NEXT_DROP, BURST = 50 };
static const mf_nsec interval = MF_MSEC;

static bool allowed(struct mf_worker *w)
{
	if (!mf_bucket_has(w->icmp_full_at, w->graph.now, interval, BURST))
		return false;
	mf_bucket_take(&w->icmp_full_at, w->graph.now, interval);
	return true;
}

static enum mf_icmp_error kind_of(enum mf_drop reason)
{
	switch (reason) {
	case MF_DROP_TOO_BIG:
		return MF_ICMP_TOO_BIG;
	case MF_DROP_NO_ROUTE:
		return MF_ICMP_NO_ROUTE;
	case MF_DROP_PROTOCOL:
		return MF_ICMP_PROTO_UNREACHABLE;
	default:
		return MF_ICMP_HOST_UNREACHABLE;
	}
}

static struct mf_pkt *error_about(struct mf_worker *w, const struct mf_pkt *p)
{
	struct mf_addr from = mf_ip_dst(p);
	enum mf_icmp_error what = kind_of(p->drop);

	if (!mf_icmp_error_allowed(p, what))
		return NULL;
	if (!allowed(w)) {
		mf_count(&w->icmp_suppressed, 1);
		return NULL;
	}
	return mf_icmp_error(w->pool, p, &from, what, w->snap->hop[p->next_hop].mtu);
}

static uint32_t icmp_error_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			       uint16_t *next, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *e = error_about(g->worker, pkts[i]);

		if (e) {
			mf_count(&g->ledger.created, 1);
			mf_graph_put(g, mf_node_next(g, node, NEXT_TUN_OUTPUT), e);
		}
		next[i] = NEXT_DROP;
	}
	return n;
}

const struct mf_node_def mf_node_icmp_error = {
	.name = "icmp-error",
	.run = icmp_error_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_DROP] = "drop" },
	.does = "answers what cannot go with ICMP: no route, no peer, too big, no such protocol",
};
