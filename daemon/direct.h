/* SPDX-License-Identifier: Apache-2.0
 *
 * direct - the built-in interface `direct`: sessions of the host stack over sockets of our own.
 *
 * Each worker has one, which is a struct mf_outbound: it owns the sockets, has them watched by its
 * worker's poller, and looks up which device leads to a destination (platform/egress.h). When the network
 * changes, new connections and every next datagram take the new way; a TCP connection whose device or
 * address has gone is ended with MF_STREAM_E_NET_UNREACHABLE, so that its app connects again at once
 * instead of waiting for a time-out. A device that is merely down is left alone: it may come back.
 */
#ifndef MF_DAEMON_DIRECT_H
#define MF_DAEMON_DIRECT_H

#include "daemon/internal.h"

struct mf_direct;
struct mf_worker_thread;

/* ---- Main thread --------------------------------------------------------------------------------- */

/* Makes d->egress and one for each of d->n_workers workers (struct mf_worker_thread.direct), as d->config
 * says, and raises the limit of descriptors. `max` sockets at a time, of all workers together. After
 * mf_network_open, before the workers run. */
MF_MUST_CHECK mf_err mf_direct_open(struct mf_daemon *d, uint32_t max, struct mf_errbuf *eb);
/* The outbound of worker i, for mf_worker_set_direct. */
struct mf_outbound *mf_direct_outbound(struct mf_daemon *d, unsigned worker);
/* d->config has changed. */
void mf_direct_configure(struct mf_daemon *d);
/* `kinds`: what the monitor said (enum mf_netmon_kind). */
void mf_direct_network_changed(struct mf_daemon *d, uint32_t kinds);
/* The workers have stopped: kept packets go back to their pools, before the engine ends. */
void mf_direct_release(struct mf_daemon *d);
/* After the engine, whose sessions have streams here. */
void mf_direct_close(struct mf_daemon *d);

/* As mf_ports_counters. */
void mf_direct_counters(void *ctx, mf_control_counter_fn *add, void *to);

/* ---- One worker's; its thread, or any when it does not run ---------------------------------------- */

/* For at most `max` sockets at a time. Uses d->egress, d->config and the worker's poller. NULL: `eb`. */
struct mf_direct *mf_direct_new(struct mf_worker_thread *t, uint32_t max, struct mf_errbuf *eb);
/* Closes what is open. NULL is fine. */
void mf_direct_free(struct mf_direct *x);
/* After each look at the poller: takes notice of what the main thread has found. Cheap. NULL is fine. */
void mf_direct_look(struct mf_direct *x);

/* X(name, "text") */
#define MF_DIRECT_COUNTER_LIST(X)                                                         \
	X(tcp_opened, "TCP connections begun")                                            \
	X(tcp_connected, "TCP connections that the far side accepted")                    \
	X(tcp_failed, "TCP connections that failed before that")                          \
	X(tcp_lost, "TCP connections ended because their device or address has gone")     \
	X(udp_opened, "UDP sockets opened")                                               \
	X(echo_opened, "echo sockets opened")                                             \
	X(refused_device, "refused: no device leads there beside the tunnel")             \
	X(refused_route, "refused: the system has no route there, or forbids it")         \
	X(refused_resources, "refused: out of descriptors, ports, memory or places")      \
	X(refused_echo, "refused: net.ipv4.ping_group_range does not allow echo sockets") \
	X(refused_other, "refused by the system for another reason")                      \
	X(route_lookups, "times the system was asked for a route")                        \
	X(sockets, "sockets that are open")
struct mf_direct_counters {
#define X(name, text) uint64_t name;
	MF_DIRECT_COUNTER_LIST(X)
#undef X
};

#endif
