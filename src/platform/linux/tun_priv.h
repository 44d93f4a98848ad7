/* SPDX-License-Identifier: Apache-2.0
 *
 * tun_priv - what tun.c (the device) and tun_io.c (its queues) share.
 */
#ifndef MF_PLATFORM_LINUX_TUN_PRIV_H
#define MF_PLATFORM_LINUX_TUN_PRIV_H

#include "base/count.h"
#include "platform/linux/nl.h"
#include "platform/tun.h"

/* UDP_MAX_SEGMENTS of Linux before 6.12; later ones take 128. */
enum { TUN_USO_SEGMENTS = 64 };

struct mf_tun_queue {
	int fd;
	uint32_t tx_features; /* enum mf_tun_feature */
	bool vnet;            /* a header precedes every packet */
	bool gone;
	uint16_t uso_segments;        /* more are cut; tests raise it to be refused */
	struct mf_pkt *small, *large; /* where the next read lands */
	struct mf_tun_counters count;
} MF_ALIGNED(MF_CACHE_LINE);

struct mf_tun {
	char name[MF_TUN_NAME_MAX];
	uint32_t ifindex;
	uint32_t offered; /* what the probe found */
	uint32_t features;
	struct mf_nl nl;
	uint32_t n_queues;
	struct mf_tun_queue *queue;
};

#endif
