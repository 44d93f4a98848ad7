/* SPDX-License-Identifier: Apache-2.0
 *
 * egress - which device leads to a destination outside the tunnel.
 *
 * `auto`: the device that the system's routing gives for a packet with our mark, destination by
 * destination: the default route's for most, another one for what is connected to it or routed there. If
 * that is the tunnel itself (routes that the user has set by hand), it is the device of the best default
 * route beside the tunnel, and if there is none, no device. A fixed device is the device, and what the
 * routing says of it. Addresses of this machine are refused: what comes from the tunnel is a guest here.
 *
 * The control thread looks at devices and addresses when the network changes; each worker has a view that
 * asks the kernel once for a destination and remembers the answer until something has changed.
 */
#ifndef MF_PLATFORM_EGRESS_H
#define MF_PLATFORM_EGRESS_H

#include "host/outbound.h"

struct mf_egress;

/* `device` NULL: auto. `tun` is the tunnel's interface index. NULL: out of memory or no netlink. */
struct mf_egress *mf_egress_new(const char *device, uint32_t mark, uint32_t tun,
				struct mf_errbuf *eb);
/* After its views. NULL is fine. */
void mf_egress_free(struct mf_egress *e);

/* ---- Control thread ------------------------------------------------------------------------------ */

/* What holds for most destinations; for people. Empty names: none. */
struct mf_egress_now {
	char ip4[16], ip6[16];
};

/* Another device; NULL: auto. mf_egress_look follows. */
void mf_egress_set_device(struct mf_egress *e, const char *device);
/* Devices, addresses or default routes have changed: looks at them again. True: mf_egress_now has. */
bool mf_egress_look(struct mf_egress *e);
/* Other routes or rules have changed. */
void mf_egress_routes_changed(struct mf_egress *e);
void mf_egress_now(const struct mf_egress *e, struct mf_egress_now *now);

/* ---- A worker's thread --------------------------------------------------------------------------- */

struct mf_egress_view;

struct mf_egress_view *mf_egress_view_new(struct mf_egress *e);
void mf_egress_view_free(struct mf_egress_view *v);

enum mf_egress_news {
	MF_EGRESS_CHANGED = 1 << 0, /* other answers are possible now */
	MF_EGRESS_LOST = 1 << 1,    /* a device or an address has gone: see mf_egress_has */
};
/* What has happened since the last call; cheap when nothing has. */
uint32_t mf_egress_news(struct mf_egress_view *v);

/* The device for a destination; else 0 in `*ifindex` and why: NO_DEVICE, NET_UNREACHABLE, HOST_UNREACHABLE,
 * PROHIBITED (this machine itself, or a prohibiting route). */
enum mf_stream_error mf_egress_find(struct mf_egress_view *v, const struct mf_addr *dst,
				    uint32_t *ifindex);
/* Whether a connection from `local` through the device can still live: both are there. */
bool mf_egress_has(const struct mf_egress_view *v, uint32_t ifindex, const struct mf_addr *local);
/* Its name, "" when it has gone. Until the next mf_egress_news. */
const char *mf_egress_name(const struct mf_egress_view *v, uint32_t ifindex);
/* How often the kernel was asked. Any thread. */
uint64_t mf_egress_lookups(const struct mf_egress_view *v);

#endif
