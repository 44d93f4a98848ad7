/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream - a group of servers that know the same (vpn_servers through one interface, direct_servers): which is asked
 * first, when a second one is asked, and when all hope is lost.
 *
 * The fastest healthy server is asked (smoothed latency; a few questions go to others to keep their figures true); if it has not answered after `race`
 * (twice its usual time, within bounds) the next one is asked, too, and the first good answer counts. SERVFAIL, REFUSED and silence move on to the next server at once. A server that fails several times is
 * left alone for a while that grows, and tried again with a real question. One thread.
 */
#ifndef MF_RESOLVER_UPSTREAM_H
#define MF_RESOLVER_UPSTREAM_H

#include "resolver/transport.h"

enum { MF_UPSTREAM_SERVERS_MAX = 8 };

struct mf_upstream_config {
	uint32_t hop; /* whose outbound carries the questions */
	uint8_t n;
	const struct mf_dns_server *server; /* the first is preferred while nothing is known */
	mf_nsec budget;                     /* for one question, all tries together */
	mf_nsec race_min, race_max;
};

struct mf_upstream;
struct mf_upstream_ask;

/* An answer, or the last error; `server`: whose. */
struct mf_upstream_result {
	enum mf_transport_error err;
	struct mf_span answer; /* during the call */
	uint8_t server;
	mf_nsec latency; /* of that server for this question */
};
typedef void mf_upstream_done(void *ctx, const struct mf_upstream_result *r, mf_nsec now);

/* `max` questions open at a time. */
struct mf_upstream *mf_upstream_new(const struct mf_transport_env *env,
				    const struct mf_upstream_config *cfg, uint32_t max);
void mf_upstream_free(struct mf_upstream *u);
/* Asks. NULL: too many are open. `name` is copied. `done` is never called from here. */
struct mf_upstream_ask *mf_upstream_ask(struct mf_upstream *u, const struct mf_dns_name *name,
					uint16_t type, bool dnssec_ok, bool cd,
					mf_upstream_done *done, void *ctx, mf_nsec now);
void mf_upstream_cancel(struct mf_upstream *u, struct mf_upstream_ask *a);
mf_nsec mf_upstream_run(struct mf_upstream *u, mf_nsec now);
void mf_upstream_reset(struct mf_upstream *u, mf_nsec now);
/* Addresses of a server whose name had to be resolved first. */
void mf_upstream_set_addrs(struct mf_upstream *u, unsigned server, const struct mf_endpoint *addr,
			   size_t n);
/* True while a server waits for its addresses (the resolver asks for them); `*server` is which. */
bool mf_upstream_needs(const struct mf_upstream *u, unsigned *server, const char **name,
		       uint16_t *port);

struct mf_upstream_info {
	const char *text;
	uint32_t hop;
	mf_nsec latency; /* smoothed; 0: unknown */
	uint64_t asked, answered, failed;
	bool healthy;
	enum mf_transport_error last_error;
};
unsigned mf_upstream_count(const struct mf_upstream *u);
void mf_upstream_info(const struct mf_upstream *u, unsigned server, struct mf_upstream_info *out);
const struct mf_transport_counters *mf_upstream_counters(const struct mf_upstream *u);

#endif
