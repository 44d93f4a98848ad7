/* SPDX-License-Identifier: Apache-2.0
 *
 * tun - the TUN device that the operating system routes into: one device, one queue a worker.
 *
 * With a virtio-net header before each packet (virtio 1.2, 5.1.6) the kernel hands over TCP and UDP
 * super-packets of up to 64 KiB whole and takes such from us. What a kernel offers is probed one by
 * one at open; what it refuses later is done in software from then on.
 */
#ifndef MF_PLATFORM_TUN_H
#define MF_PLATFORM_TUN_H

#include "base/pkt.h"

enum mf_tun_feature {
	MF_TUN_VNET = 1 << 0, /* virtio-net header; without it none of the others */
	MF_TUN_CSUM = 1 << 1, /* unfinished L4 checksums; without it no TSO and USO */
	MF_TUN_TSO4 = 1 << 2,
	MF_TUN_TSO6 = 1 << 3,
	MF_TUN_TSO_ECN = 1 << 4, /* TSO of segments with CWR */
	MF_TUN_USO4 = 1 << 5,    /* Linux 6.2 */
	MF_TUN_USO6 = 1 << 6,
	MF_TUN_MULTI_QUEUE = 1 << 7, /* implied by queues > 1 */
	MF_TUN_ALL_OFFLOADS = (1 << 7) - 1,
};

struct mf_tun_options {
	const char *name;  /* 1..15 bytes; "%d" in it is replaced by a free number */
	uint32_t queues;   /* 1.. MF_TUN_QUEUES_MAX */
	uint32_t features; /* enum mf_tun_feature that may be used; usually MF_TUN_ALL_OFFLOADS */
	uint32_t txqueuelen; /* packets the kernel keeps per queue until we read; 0: its default, 500 */
};

enum { MF_TUN_QUEUES_MAX = 64, MF_TUN_NAME_MAX = 16 };

/* Counts of one queue; only its worker writes, others may read a torn-free, slightly old value. */
#define MF_TUN_COUNTER_LIST(X)                                                                 \
	X(rx_packets, "read from the device, a super-packet counts once")                      \
	X(rx_segments, "packets on the wire that those stand for")                             \
	X(rx_bytes, "bytes read, headers included")                                            \
	X(rx_super, "super-packets read")                                                      \
	X(rx_bad_meta, "read and dropped: offload metadata contradicts the packet")            \
	X(rx_empty, "read and dropped: no byte after the virtio header")                       \
	X(rx_no_buffer, "reading stopped because no packet buffer was free")                   \
	X(rx_errors, "reads that failed")                                                      \
	X(tx_packets, "written to the device, a super-packet counts once")                     \
	X(tx_segments, "packets on the wire that those stand for")                             \
	X(tx_bytes, "bytes written, headers included")                                         \
	X(tx_super, "super-packets written whole")                                             \
	X(tx_software, "super-packets that were segmented in software")                        \
	X(tx_refused, "offloaded packets that the kernel refused and took after segmentation") \
	X(tx_drop_busy, "dropped: the device's queue was full")                                \
	X(tx_drop_down, "dropped: the device is down or deleted")                              \
	X(tx_drop_invalid, "dropped: the kernel calls the packet invalid")

struct mf_tun_counters {
#define X(name, text) uint64_t name;
	MF_TUN_COUNTER_LIST(X)
#undef X
};

struct mf_tun;
struct mf_tun_queue;

/* Creates the device (it ends with the last descriptor) and opens all its queues. It is down and has
 * no address yet. Needs CAP_NET_ADMIN and /dev/net/tun. NULL: `eb` says why. Control thread. */
struct mf_tun *mf_tun_open(const struct mf_tun_options *o, struct mf_errbuf *eb);
/* Closes every queue, which deletes the device. No worker may use a queue any more. */
void mf_tun_close(struct mf_tun *t);

const char *mf_tun_name(const struct mf_tun *t);
uint32_t mf_tun_ifindex(const struct mf_tun *t);
/* What reading uses: enum mf_tun_feature. */
uint32_t mf_tun_features(const struct mf_tun *t);
/* Fills `out` with names such as "vnet csum tso4"; returns `out`. */
const char *mf_tun_features_format(uint32_t features, char out[80]);
uint32_t mf_tun_queue_count(const struct mf_tun *t);
struct mf_tun_queue *mf_tun_queue(struct mf_tun *t, uint32_t i);

/* Settings; any time, control thread. */
MF_MUST_CHECK mf_err mf_tun_set_mtu(struct mf_tun *t, uint32_t mtu, struct mf_errbuf *eb);
/* IPv6 without duplicate address detection: nobody else is on this link. Adding twice is MF_OK. */
MF_MUST_CHECK mf_err mf_tun_add_address(struct mf_tun *t, const struct mf_prefix *p,
					struct mf_errbuf *eb);
MF_MUST_CHECK mf_err mf_tun_remove_address(struct mf_tun *t, const struct mf_prefix *p,
					   struct mf_errbuf *eb);
MF_MUST_CHECK mf_err mf_tun_set_up(struct mf_tun *t, bool up, struct mf_errbuf *eb);
/* Waits until the kernel takes packets to this address for its own, a second at most; false: not yet.
 * An IPv6 address gets its route in table local from a work queue, after the request has been answered:
 * until then apps that have it as their source hear nothing. */
MF_MUST_CHECK bool mf_tun_await_address(struct mf_tun *t, const struct mf_addr *a);
/* The largest super-packet the kernel may hand over: bytes (headers included, 64 KiB at most) and
 * segments. A super-packet that fills exactly one UDP_SEGMENT batch once encrypted costs one sendmsg.
 * TCP keeps to it; longer batches of an application's UDP_SEGMENT then come as single packets
 * (tests/assume/tun_super_packets.c), so do not set it lower than needed. */
MF_MUST_CHECK mf_err mf_tun_set_gso_max(struct mf_tun *t, uint32_t bytes, uint32_t segments,
					struct mf_errbuf *eb);
/* Switches reading's offloads off or on again (those not offered stay off). The change applies to what
 * the kernel queues from now on. */
MF_MUST_CHECK mf_err mf_tun_set_features(struct mf_tun *t, uint32_t features, struct mf_errbuf *eb);

/* One queue belongs to one worker from here on. */

/* For the poller; readable: mf_tun_recv has something; error: the device was deleted. */
int mf_tun_queue_fd(const struct mf_tun_queue *q);
const struct mf_tun_counters *mf_tun_queue_counters(const struct mf_tun_queue *q);
/* What writing still uses, as enum mf_tun_feature. */
uint32_t mf_tun_queue_tx_features(const struct mf_tun_queue *q);
/* Forbids offloads in writing (tests, and the profile). Cannot bring back what was refused. */
void mf_tun_queue_limit_tx(struct mf_tun_queue *q, uint32_t features);
/* MF_OK, or MF_E_GONE once the device was deleted under us. */
mf_err mf_tun_queue_state(const struct mf_tun_queue *q);

/* Reads until nothing is left, `max` packets are there or `byte_budget` bytes have been read, never
 * waits, and puts packets of `pool` into `out` for the caller to own. Sets what mf_vnet_decode sets,
 * and `drop`: not MF_DROP_NONE when header and packet contradict each other; such a packet has no
 * offload metadata and is for the drop node. Returns how many. Few because the pool ran dry: the rest
 * stays in the kernel (rx_no_buffer). The queue keeps up to two packets of the pool for the next call
 * until mf_tun_queue_flush. */
size_t mf_tun_recv(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt **out,
		   size_t max, size_t byte_budget);

/* Writes all packets, with their tails, never waits. The packets stay the caller's; `drop` of each
 * becomes MF_DROP_NONE (sent) or why not: MF_DROP_TUN_SEND, MF_DROP_BUFFERS. Returns how many were sent.
 * A packet that the kernel does not take whole is segmented in place (wire/gso.h): the packet and the 10
 * bytes before data may be overwritten. One with a tail is copied into a large packet of `pool` before
 * that. */
size_t mf_tun_send(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt *const *pkts,
		   size_t n);

/* Gives kept packets back to their pool; before mf_pkt_pool_free and when memory is short. */
void mf_tun_queue_flush(struct mf_tun_queue *q);

#endif
