/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream - a group of servers that know the same (vpn_servers through one interface,
 * direct_servers): which is asked first, when a second one is asked, and when all hope is lost.
 *
 * The fastest healthy server is asked, by smoothed latency (Jacobson 1988). If it has not answered
 * after a while (twice its usual time, within bounds) the next one is asked, too, and the first
 * good answer counts. SERVFAIL, REFUSED, NOTIMP, FORMERR and errors move on to the next server at
 * once; such an answer is passed on if no server has a better one.
 *
 * A server that fails three times in a row is left alone for a second, then two, up to a minute,
 * and proves itself with a question while nobody waits for it: now and then a question is asked of
 * one server more than it needs. That is one that may be well again, one that has just failed, one
 * whose latency is not known, or, with 3 in 100, the one that has not been asked for longest, so
 * that all figures stay true.
 *
 * One thread: the worker's.
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

/* `max` questions open at a time. What `env` and `cfg` point to lives as long, they themselves are
 * copied. NULL: out of memory. */
struct mf_upstream *mf_upstream_new(const struct mf_transport_env *env,
				    const struct mf_upstream_config *cfg, uint32_t max);
/* Questions that are open are forgotten. Not from within `done`. */
void mf_upstream_free(struct mf_upstream *u);
/* Asks. NULL: too many are open. `name` is copied. `done` is called once, from mf_upstream_run,
 * and not after mf_upstream_cancel; the question is gone then. */
struct mf_upstream_ask *mf_upstream_ask(struct mf_upstream *u, const struct mf_dns_name *name,
					uint16_t type, bool dnssec_ok, bool cd,
					mf_upstream_done *done, void *ctx, mf_nsec now);
void mf_upstream_cancel(struct mf_upstream *u, struct mf_upstream_ask *a);
/* Does what can be done now; returns when it wants to be called though nothing happens. */
mf_nsec mf_upstream_run(struct mf_upstream *u, mf_nsec now);
/* The network has changed: connections begin anew, open questions are asked anew, nothing is
 * known of any server. Not from within `done`. */
void mf_upstream_reset(struct mf_upstream *u, mf_nsec now);
/* Addresses of a server whose name had to be resolved first, up to MF_DNS_BOOTSTRAP_MAX;
 * questions that have waited for them are asked. */
void mf_upstream_set_addrs(struct mf_upstream *u, unsigned server, const struct mf_endpoint *addr,
			   size_t n);
/* True while this server waits for its addresses: the resolver looks its name up. */
bool mf_upstream_needs(const struct mf_upstream *u, unsigned server, const char **name,
		       uint16_t *port);

struct mf_upstream_info {
	const char *text;
	uint32_t hop;
	mf_nsec latency; /* smoothed; 0: unknown */
	uint64_t asked, answered, failed;
	bool healthy; /* asked in its turn */
	enum mf_transport_error last_error;
};
unsigned mf_upstream_count(const struct mf_upstream *u);
void mf_upstream_info(const struct mf_upstream *u, unsigned server, struct mf_upstream_info *out);
const struct mf_transport_counters *mf_upstream_counters(const struct mf_upstream *u);

#endif
