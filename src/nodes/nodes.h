/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes - the definitions of all nodes, one for each file of this folder.
 */
#ifndef MF_NODES_H
#define MF_NODES_H

#include "graph/graph.h"

extern const struct mf_node_def mf_node_pg_input;
extern const struct mf_node_def mf_node_tun_input;
extern const struct mf_node_def mf_node_udp_input;
extern const struct mf_node_def mf_node_ip_input;
extern const struct mf_node_def mf_node_route_lookup;
extern const struct mf_node_def mf_node_wg_input;
extern const struct mf_node_def mf_node_wg_output;
extern const struct mf_node_def mf_node_dns_input;
extern const struct mf_node_def mf_node_host_tcp;
extern const struct mf_node_def mf_node_host_udp;
extern const struct mf_node_def mf_node_host_icmp;
extern const struct mf_node_def mf_node_host_input;
extern const struct mf_node_def mf_node_reject;
extern const struct mf_node_def mf_node_icmp_error;
extern const struct mf_node_def mf_node_udp_output;
extern const struct mf_node_def mf_node_tun_output;
extern const struct mf_node_def mf_node_drop;

/* Every node before those it leads to. */
extern const struct mf_node_def *const mf_node_table[];
extern const uint32_t mf_node_table_len;

#endif
