/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes - the graph, top to bottom: every node stands before those it leads to (checked at start).
 * A new node is one file, its definition declared in nodes.h and listed here.
 */
#include "nodes/nodes.h"

#include "nodes/worker.h"

const struct mf_node_def *const mf_node_table[] = {
	&mf_node_pg_input,     &mf_node_tun_input,  &mf_node_udp_input,  &mf_node_ip_input,
	&mf_node_route_lookup, &mf_node_dns_input,  &mf_node_wg_input,   &mf_node_host_tcp,
	&mf_node_host_udp,     &mf_node_host_icmp,  &mf_node_host_input, &mf_node_wg_output,
	&mf_node_reject,       &mf_node_icmp_error, &mf_node_udp_output, &mf_node_tun_output,
	&mf_node_drop,
};
const uint32_t mf_node_table_len = MF_ARRAY_LEN(mf_node_table);

bool mf_worker_post(struct mf_worker *w, const struct mf_event *e)
{
	if (!mf_ring_push(w->events, e))
		return false;
	if (!__atomic_exchange_n(&w->shared->events_waiting, 1, __ATOMIC_SEQ_CST))
		w->host.wake_control(w->host.ctx);
	return true;
}

const struct mf_next_hop *mf_worker_hop(const struct mf_worker *w, const struct mf_wg_peer *peer)
{
	const struct mf_wg_device *d = mf_wg_peer_device(peer);
	uint32_t id = ((const struct mf_wg_iface *)mf_wg_device_user(d))->hop;

	return id < w->snap->n_hops && w->snap->hop[id].device == d ? &w->snap->hop[id] : NULL;
}

void mf_worker_drop(struct mf_worker *w, struct mf_pkt *p, enum mf_drop reason)
{
	p->drop = (uint16_t)reason;
	mf_graph_put(&w->graph, w->drop, p);
}
