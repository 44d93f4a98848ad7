/* SPDX-License-Identifier: Apache-2.0
 *
 * egress_priv - what egress.c (the state and its views) and egress_nl.c (asking the kernel) share.
 */
#ifndef MF_PLATFORM_LINUX_EGRESS_PRIV_H
#define MF_PLATFORM_LINUX_EGRESS_PRIV_H

#include "platform/linux/nl.h"

/* More than that are not kept, and then nothing counts as gone. */
enum { EGRESS_LINKS = 512, EGRESS_ADDRS = 1024 };

struct egress_link {
	uint32_t ifindex;
	uint32_t flags; /* IFF_* */
	char name[16];
};

struct egress_devices {
	uint32_t n_links, n_addrs;
	bool incomplete;
	struct egress_link link[EGRESS_LINKS];
	struct mf_addr addr[EGRESS_ADDRS];
};

struct egress_question {
	const struct mf_addr *dst;
	uint32_t mark;
	uint32_t oif;    /* through this device only; 0: any */
	bool must_match; /* only a route that is in a table: not "then it must be on the wire" */
};

struct egress_answer {
	uint32_t oif;
	uint32_t metric;
	uint8_t type; /* RTN_* */
};

/* 0 or -errno; -ENETUNREACH and the like: there is no way. */
int mf_egress_nl_route(struct mf_nl *nl, const struct egress_question *q, struct egress_answer *a);
/* Every device and every address but those of the device `tun`. */
int mf_egress_nl_devices(struct mf_nl *nl, uint32_t tun, struct egress_devices *d);

#endif
