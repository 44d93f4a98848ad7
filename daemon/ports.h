/* SPDX-License-Identifier: Apache-2.0
 *
 * ports - the TUN queues and UDP sockets of the platform, as the engine's ports.
 */
#ifndef MF_DAEMON_PORTS_H
#define MF_DAEMON_PORTS_H

#include "daemon/internal.h"

/* Gives each worker its queue of d->tun. Before the workers run. */
MF_MUST_CHECK mf_err mf_ports_add_tun(struct mf_daemon *d, struct mf_errbuf *eb);

/* As struct mf_engine_host wants them; ctx is the daemon. */
mf_err mf_ports_udp_open(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
			 uint32_t n_workers, void **handle, struct mf_errbuf *eb);
void mf_ports_udp_close(void *ctx, void *handle);
void mf_ports_udp_set_mark(void *ctx, void *handle, uint32_t mark);

/* d->mark has changed: sockets without a mark of their own get it. */
void mf_ports_new_mark(struct mf_daemon *d);
/* Closes sockets that every worker has let go of. Cheap; in each round of the main loop. */
void mf_ports_sweep(struct mf_daemon *d);
/* The workers have stopped: kept packets go back to their pools, before the engine ends. */
void mf_ports_release(struct mf_daemon *d);
void mf_ports_fini(struct mf_daemon *d);

/* As struct mf_control_host wants it; ctx is the daemon. */
void mf_ports_counters(void *ctx, mf_control_counter_fn *add, void *to);

#endif
