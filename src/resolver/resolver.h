/* SPDX-License-Identifier: Apache-2.0
 *
 * resolver - the internal DNS server: a client's question becomes an answer, out of local data,
 * rules, the cache or an upstream, and the addresses in it become learned routes before the client
 * sees it.
 *
 * It runs on one worker (the first) and uses that worker's outbounds; questions that enter
 * elsewhere are handed to it. No sockets, no clock. A question:
 *
 *   local data (hosts, special names) -> rule of the name
 *     -> block answer
 *     -> cache -> learned -> answered
 *     -> servers of the rule, or of the fallback -> checked, stripped (private addresses, AAAA)
 *        -> learned -> kept -> answered
 *
 * One question in flight for all who ask the same; bounded in everything.
 */
#ifndef MF_RESOLVER_H
#define MF_RESOLVER_H

#include "host/outbound.h"
#include "policy/learned.h"
#include "policy/names.h"
#include "proto/dns/cache.h"
#include "resolver/upstream.h"

struct mf_resolver;

/* How names that are routed to drop or reject are answered. */
enum mf_block_answer { MF_BLOCK_NXDOMAIN, MF_BLOCK_ZERO, MF_BLOCK_REFUSED, MF_BLOCK_ROUTE };

/* One line of dns.hosts. */
struct mf_dns_host {
	struct mf_dns_name name;
	bool wildcard; /* stands for all names below it, but not for itself */
	uint8_t n;
	const struct mf_addr *addr;
};

/* The order in which struct mf_resolver_config wants them; for qsort. */
int mf_dns_host_compare(const void *a, const void *b);

/* Immutable, and so is what it points to; lives until the next mf_resolver_configure has
 * returned. */
struct mf_resolver_config {
	const struct mf_names *names; /* NULL: app routing is off, or has no domain sets */
	const struct mf_dns_server *vpn,
		*direct; /* servers; without app routing `direct` is dns.servers */
	uint8_t n_vpn, n_direct;
	/* For names without a rule: direct, an interface's, drop or reject. */
	uint32_t fallback_hop;
	uint32_t direct_hop, drop_hop, reject_hop; /* what these are called in nodes/snapshot.h */
	bool off_asks_by_route; /* app routing is off: a server is asked as its address is routed */
	enum mf_block_answer block;
	uint32_t block_ttl;
	const struct mf_dns_host *hosts;
	uint32_t n_hosts, hosts_ttl;
	bool rebind_protection;
	const struct mf_dns_name *rebind_allow; /* names below which private addresses are right */
	uint32_t n_rebind_allow;
	const uint8_t *strip_aaaa_hops; /* by hop id < n_hops: 1 where the interface has no IPv6 */
	uint32_t n_hops;
	bool mix_case;
	mf_nsec budget, race_min, race_max;
	struct mf_dns_cache_config cache;
	/* The same number as before: what was kept under the last configuration may be served
	 * under this one. It depends on servers, interfaces, and what is taken out of answers. */
	uint64_t world;
	uint32_t learned_ttl_min; /* 60 s */
	mf_nsec learned_idle;     /* a route that packets use stays so long after the last one */
	bool log_queries;
	uint32_t per_client; /* questions of one client that may be open; 0: 256 */
};

/* Who asks. Copied; goes back with the answer. */
struct mf_dns_client {
	struct mf_endpoint addr, local; /* local: the address that was asked */
	uint8_t tag;                    /* the asker's, tells its front ends apart */
	bool stream;                    /* TCP: 65535 bytes fit */
	void *ctx;
	uint64_t ref;
};

struct mf_resolver_port {
	void *ctx;
	struct mf_outbound *(*outbound)(void *ctx, uint32_t hop);
	/* The hop of the static routes to an address, 0: none; *full: a route of full length.
	 * Learned routes do not count. */
	uint32_t (*route)(void *ctx, const struct mf_addr *a, bool *full);
	/* An answer to a question that mf_resolver_query has kept. The bytes live during the
	 * call, which comes from mf_resolver_run or mf_resolver_configure and must not call the
	 * resolver. The routes of its addresses are in force. */
	void (*answer)(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n);
	/* Call mf_resolver_run soon: something has happened. */
	void (*wake)(void *ctx);
	/* What people call a hop. */
	const char *(*hop_name)(void *ctx, uint32_t hop);
	struct mf_log log;
};

/* `learned` belongs to the caller, and this is its writer. cache_bytes: reserved. NULL: out of
 * memory. `tls` NULL: no encrypted servers. Any thread before the worker runs. */
struct mf_resolver *mf_resolver_new(const struct mf_resolver_port *port, struct mf_pkt_pool *pool,
				    struct mf_learned *learned, uint64_t cache_bytes,
				    struct mf_tls_context *tls, const struct mf_rng *rng,
				    mf_nsec now);
void mf_resolver_free(struct mf_resolver *r);
/* Bytes of one besides its cache, when all questions are open. */
uint64_t mf_resolver_bytes(void);
/* A new configuration: open questions are asked under the new rules, learned routes are judged
 * anew, kept answers that belong elsewhere now are not served. NULL: no DNS, everything is refused.
 * MF_E_NO_MEMORY, MF_E_FULL (too many interfaces): some names cannot be asked, the rest works. */
MF_MUST_CHECK mf_err mf_resolver_configure(struct mf_resolver *r,
					   const struct mf_resolver_config *cfg, mf_nsec now);

/* What became of a question. */
enum mf_dns_outcome {
	MF_DNS_ANSWERED,  /* the answer is in `out`, *n bytes */
	MF_DNS_KEPT_OPEN, /* port.answer comes later */
	MF_DNS_IGNORED,   /* not even worth an error: shorter than a header, or itself an answer */
};
/* A question. `out` holds `cap` bytes (what the client's transport takes: 65535 for a stream;
 * for UDP the client's own limit is found in the question), and may not overlap msg. */
enum mf_dns_outcome mf_resolver_query(struct mf_resolver *r, const struct mf_dns_client *c,
				      struct mf_span msg, uint8_t *out, size_t cap, size_t *n,
				      mf_nsec now);
/* The client has gone (its TCP session ended): its open questions are answered to nobody. */
void mf_resolver_forget(struct mf_resolver *r, uint8_t tag, const void *ctx, uint64_t ref);
/* Serves what has happened and what is due; returns when it wants to be called next. */
mf_nsec mf_resolver_run(struct mf_resolver *r, mf_nsec now);
/* Addresses of a name for ourselves (endpoints of peers, subscriptions): like a question of a
 * client, A and AAAA together, but through `hop` (0: as the rules say). done is never called
 * from here; it may look up another name, or the same, and call nothing else. n 0: no answer.
 * MF_E_MALFORMED, MF_E_FULL; MF_E_UNSUPPORTED: no DNS; MF_E_GONE: nobody can be asked. */
typedef void mf_resolver_found(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now);
MF_MUST_CHECK mf_err mf_resolver_lookup(struct mf_resolver *r, const char *name, uint32_t hop,
					mf_resolver_found *done, void *ctx, mf_nsec now);
/* The network has changed: connections begin anew, the cache is emptied (answers may depend on
 * the network). */
void mf_resolver_network_changed(struct mf_resolver *r, mf_nsec now);

/* ---- For people: on the worker's thread ------------------------------------------------------ */

struct mf_dns_cache *mf_resolver_cache(struct mf_resolver *r);
/* Where a question for this name would go. */
struct mf_resolver_why {
	struct mf_name_verdict verdict;
	bool local;                     /* answered from dns.hosts or as a special name */
	const struct mf_dns_host *host; /* the line of dns.hosts, NULL: none */
	bool blocked;
	uint32_t hop;      /* of the name's rule, or the fallback's */
	uint8_t n_servers; /* that would be asked */
	const struct mf_dns_server *server;
	uint32_t via; /* through this hop */
};
void mf_resolver_explain(struct mf_resolver *r, const struct mf_dns_name *name,
			 struct mf_resolver_why *out);
/* The servers of group g (0 ...; false: no more). */
bool mf_resolver_upstream(const struct mf_resolver *r, unsigned g, unsigned server,
			  struct mf_upstream_info *out);
/* Who has given a kept answer, as the profile calls it; NULL: nobody, or nobody of this
 * configuration. */
const char *mf_resolver_server(const struct mf_resolver *r, const struct mf_dns_entry_note *note);
/* The sum over all servers since the start. */
void mf_resolver_transports(const struct mf_resolver *r, struct mf_transport_counters *sum);
/* Names asked for most, the first of them first; counts fade over an hour. Bounded memory
 * (space-saving, Metwally 2005). */
struct mf_dns_top {
	char name[MF_LEARNED_NAME_MAX + 1];
	uint32_t count;
	uint32_t rule;
};
enum { MF_DNS_TOP_MAX = 256 };
size_t mf_resolver_top(const struct mf_resolver *r, struct mf_dns_top out[MF_DNS_TOP_MAX]);

/* Questions by rule, since the last mf_resolver_configure: of the profile's routes by index, and
 * the last one for names without a rule (and for rules beyond). mf_counter_read. */
enum { MF_DNS_RULES_MAX = 256 };
const uint64_t *mf_resolver_by_rule(const struct mf_resolver *r); /* MF_DNS_RULES_MAX + 1 */

/* X(name, "text") */
#define MF_RESOLVER_COUNTER_LIST(X)                                                \
	X(queries, "questions that came in")                                       \
	X(malformed, "questions that are malformed; answered FORMERR if possible") \
	X(refused, "questions refused: class, opcode, or no DNS configured")       \
	X(local, "questions answered from dns.hosts and special names")            \
	X(blocked, "questions for names routed to drop or reject")                 \
	X(cached, "questions answered from the cache")                             \
	X(stale, "of those, with an answer that had ended (RFC 8767)")             \
	X(joined, "questions that waited for another's answer")                    \
	X(forwarded, "questions that went to a server")                            \
	X(prefetched, "answers asked for again before they ended")                 \
	X(failed, "questions that no server answered")                             \
	X(too_many, "questions refused because too many are open")                 \
	X(rebound, "private addresses taken out of answers of public servers")     \
	X(stripped, "IPv6 addresses taken out where the interface has none")       \
	X(open, "questions that wait for a server now")
struct mf_resolver_counters {
#define X(name, text) uint64_t name;
	MF_RESOLVER_COUNTER_LIST(X)
#undef X
};
/* Any thread, with mf_counter_read. */
const struct mf_resolver_counters *mf_resolver_counters(const struct mf_resolver *r);

#endif
