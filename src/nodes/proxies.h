/* SPDX-License-Identifier: Apache-2.0
 *
 * proxies - the interfaces of a worker that are proxies (proxy/proxy.h): made, replaced and ended
 * as snapshots come and go.
 */
#ifndef MF_NODES_PROXIES_H
#define MF_NODES_PROXIES_H

#include "crypto/random_pool.h"
#include "host/host.h"
#include "proxy/proxy.h"

struct mf_worker;

/* The addresses of a server; n 0: it has none. Whose it is: the hop may be another one's by now, or
 * have other settings. */
struct mf_proxy_addrs {
	uint64_t id; /* of struct mf_proxy_config */
	uint32_t hop, n;
	struct mf_addr addr[MF_PROXY_ADDRS_MAX];
};

/* Belongs to the worker, is made when the first proxy is wanted, and lives as long as the worker:
 * `health`, by hop, is read by others (mf_proxy_report_add). */
struct mf_proxies {
	struct mf_worker *worker;
	struct mf_layers layers;
	struct mf_random_pool random;
	struct mf_proxy *proxy[MF_HOST_HOPS]; /* NULL: the hop is no proxy */
	struct mf_proxy_health health[MF_HOST_HOPS];
};

/* There is another snapshot (w->snap): proxies that it does not have end with their sessions, those
 * that it has in another way carry the sessions that there are to their end. */
void mf_proxies_configure(struct mf_worker *w);
/* What carries sessions of this hop; NULL: it is no proxy, or out of memory. */
struct mf_outbound *mf_proxies_outbound(struct mf_worker *w, uint32_t hop);
/* A pass begins. */
void mf_proxies_begin(struct mf_worker *w, mf_nsec now);
/* Once in a pass, before the sessions' turn: what has happened on connections. Returns how much
 * that was. */
uint32_t mf_proxies_run(struct mf_worker *w);
/* Is there more to do? When does it want to run though nothing happens (MF_NEVER: never)? */
bool mf_proxies_pending(const struct mf_worker *w);
mf_nsec mf_proxies_deadline(const struct mf_worker *w);
/* From the control thread. */
void mf_proxies_resolved(struct mf_worker *w, const struct mf_proxy_addrs *a);
void mf_proxies_network_changed(struct mf_worker *w);
/* Ends all of them, after the sessions. */
void mf_proxies_free(struct mf_worker *w);

#endif
