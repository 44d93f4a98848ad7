/* SPDX-License-Identifier: Apache-2.0
 *
 * pg - packet generator: replays packets (from a pcap, or described) into any node, for tests and
 * benchmarks. VPP's pg, without its edit language: a callback changes what should differ.
 */
#ifndef MF_PG_H
#define MF_PG_H

#include "base/pkt.h"

struct mf_node;

struct mf_pg_template {
	const uint8_t *bytes;
	uint32_t len;
	uint8_t gso_type; /* enum mf_gso_type; 0 for an ordinary packet */
	uint16_t gso_size;
	uint16_t segments;
	bool needs_csum;
	uint16_t csum_start, csum_offset;
};

/* Owned by whoever made it, untouched by others while a worker has it (MF_ORDER_SET_PG). */
struct mf_pg {
	struct mf_node *to; /* a node of that worker's graph, behind pg-input in the table */
	const struct mf_pg_template *templates; /* sent in turn */
	uint32_t n_templates;
	uint64_t count;    /* packets to send in all */
	uint32_t per_pass; /* at most MF_FRAME_MAX */
	uint64_t sent;     /* atomic; done when it equals `count` */
	/* Changes a packet after it was copied from its template; `seq` counts from 0. May be NULL. */
	void (*edit)(void *ctx, struct mf_pkt *p, uint64_t seq);
	void *ctx;
};

#endif
