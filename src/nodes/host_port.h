/* SPDX-License-Identifier: Apache-2.0
 *
 * host_port - what joins a worker's host stack (host/host.h) to its graph: packets go in through three
 * nodes, and come out of host-input.
 *
 * What the host has been given is `held` in the ledger until it says how the packet ended; what it emits is
 * `created`.
 */
#ifndef MF_NODES_HOST_PORT_H
#define MF_NODES_HOST_PORT_H

#include "host/host.h"
#include "nodes/worker.h"

/* The functions that the host calls; ctx is the worker. */
struct mf_host_port mf_host_port_of(struct mf_worker *w);

/* What carries sessions of this hop now; NULL: nothing does. */
struct mf_outbound *mf_host_port_outbound(struct mf_worker *w, uint32_t hop);

/* Packets of a frame are on their way into the host: before it gets them. */
void mf_host_port_give(struct mf_worker *w, struct mf_pkt **pkts, uint32_t n);

/* The node that takes what came out of a VPN and the host claims. */
struct mf_node *mf_host_port_node(const struct mf_worker *w, const struct mf_pkt *p);

#endif
