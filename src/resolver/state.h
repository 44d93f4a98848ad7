/* SPDX-License-Identifier: Apache-2.0
 *
 * state - the resolver as its own files see it: resolver.c (a question's way), question.c (what is
 * open), answer.c (what becomes of an upstream's answer), group.c (the upstreams), local.c (what
 * needs none), top.c (statistics).
 */
#ifndef MF_RESOLVER_STATE_H
#define MF_RESOLVER_STATE_H

#include "base/count.h"
#include "resolver/resolver.h"

enum {
	QUESTIONS = 1024,      /* different ones that may be open */
	WAITERS = 2048,        /* clients that wait for them */
	CLIENT_BUCKETS = 1024, /* a client's open questions are counted by a hash of its address */
	PER_CLIENT = 256,      /* of these, unless the configuration says otherwise */
	GROUPS_MAX = 16,       /* interfaces through which names are asked */
	LOOKUPS = 64,          /* of our own, at a time */
	TOP_NAMES = MF_DNS_TOP_MAX,
	/* Seconds (RFC 8767 5): how long a client keeps an answer that has ended, and how long
	 * nobody is asked again when that was all there was. */
	STALE_TTL = 30,
	FAILED_TTL = 2, /* seconds for which a failure is kept (RFC 9520 3.2) */
};
/* After that long a client gets an answer that has ended, if there is one (RFC 8767 5). */
#define STALE_AFTER (1800 * MF_MSEC)

struct mf_question;

/* Somebody who waits for an answer: a client, or a lookup of ours. */
struct mf_waiter {
	struct mf_waiter *next;
	struct mf_dns_client client;
	struct mf_lookup *lookup; /* NULL: a client */
	bool gone;                /* the client has */
	uint16_t bucket;
	/* Its question as it came: the reply carries it to the letter. */
	struct mf_dns_query query;
	uint16_t n;
	uint8_t msg[MF_DNS_HEADER + MF_DNS_NAME_MAX + 4];
};

/* A question that is open at a group of servers. */
struct mf_question {
	struct mf_question *next, **prev; /* all that are open, oldest first */
	struct mf_question *chain;        /* of its hash, or of the free ones */
	struct mf_resolver *resolver;
	struct mf_dns_name name;
	uint16_t type;
	uint8_t flags; /* MF_DNS_KEY_* */
	uint8_t group;
	bool overdue;        /* STALE_AFTER is over */
	bool answered_stale; /* some who waited have got an answer that had ended */
	bool uncached;       /* a lookup through an interface of its own choice: for nobody else */
	uint32_t hop, rule;  /* as the rules said when it was asked */
	mf_nsec began;
	struct mf_upstream_ask *ask;
	struct mf_waiter *waiters, **last;
};

/* A lookup of our own: A and AAAA of one name. */
struct mf_lookup {
	mf_resolver_found *done; /* NULL: the place is free */
	void *ctx;
	uint8_t pending; /* questions that are open */
	uint8_t n;
	struct mf_addr addr[16];
};

/* Servers that are asked through one interface. */
struct mf_group {
	struct mf_resolver *resolver;
	uint32_t hop;
	const struct mf_dns_server *server;
	uint8_t n;
	struct mf_upstream *upstream;
	uint8_t waits_for;                         /* a server whose name is being looked up, + 1 */
	mf_nsec retry_at[MF_UPSTREAM_SERVERS_MAX]; /* of the names that were not found */
};

/* Names asked for most: a fixed number of counters (Metwally, Agrawal, El Abbadi 2005). What is
 * looked through for each question lies close together. */
struct mf_top {
	mf_nsec halved; /* when counts were halved last */
	uint32_t hash[TOP_NAMES], count[TOP_NAMES], rule[TOP_NAMES];
	char name[TOP_NAMES][MF_LEARNED_NAME_MAX + 1];
};

struct mf_resolver {
	struct mf_resolver_port port;
	struct mf_pkt_pool *pool;
	struct mf_learned *learned;
	struct mf_dns_cache *cache;
	struct mf_tls_context *tls;
	struct mf_rng rng;
	uint8_t key[16];
	const struct mf_resolver_config *cfg; /* NULL: none yet */
	mf_nsec now;
	struct mf_group group[GROUPS_MAX];
	uint8_t n_groups;

	struct mf_question *question, *free_question;
	uint32_t questions_used, waiters_used; /* from here on they have never been used */
	struct mf_waiter *waiter, *free_waiter;
	struct mf_question *open, **open_last;
	struct mf_question *hash[QUESTIONS];
	uint16_t per_client[CLIENT_BUCKETS];
	struct mf_lookup lookup[LOOKUPS];

	struct mf_top top;
	mf_nsec learned_next; /* when learned routes want to be looked through */
	struct mf_log_limit conflict_limit, rebind_limit, fail_limit;
	struct mf_resolver_counters count;
	struct mf_transport_counters closed; /* of upstreams that are gone */
	uint8_t epoch; /* of the configuration, not 0: in the notes of what was answered under it */
	uint64_t by_rule[MF_DNS_RULES_MAX + 1];
	uint8_t out[MF_DNS_MESSAGE_MAX], work[MF_DNS_MESSAGE_MAX], kept[MF_DNS_MESSAGE_MAX];
};

/* What the rules say about a name. */
struct mf_name_route {
	const struct mf_name_rule *rule; /* NULL: none */
	uint32_t hop;
	uint32_t number; /* of the rule, UINT32_MAX: none */
	size_t n;
	char text[MF_DNS_NAME_MAX]; /* n 0: no host name */
};
void mf_resolver_route(const struct mf_resolver *r, const struct mf_dns_name *name,
		       struct mf_name_route *out);

/* ---- question.c: what is open ---------------------------------------------------------------- */

MF_MUST_CHECK mf_err mf_questions_init(struct mf_resolver *r);
void mf_questions_fini(struct mf_resolver *r);
/* The open question, NULL: nobody asks that now. */
struct mf_question *mf_question_find(struct mf_resolver *r, const struct mf_dns_key *k);
/* Asks upstream. NULL: too many are open. */
struct mf_question *mf_question_new(struct mf_resolver *r, const struct mf_dns_key *k,
				    const struct mf_name_route *route, struct mf_group *g,
				    bool uncached);
/* Nobody finds it and joins it any more; before those who wait are answered for good, because a
 * lookup of ours that has been answered may ask the same again. */
void mf_question_close(struct mf_question *q);
/* It is closed, and nobody waits. */
void mf_question_free(struct mf_question *q);

/* One more who may wait for an answer. NULL: too many do, or this client asks too much. */
struct mf_waiter *mf_waiter_new(struct mf_resolver *r, const struct mf_dns_client *c,
				struct mf_span msg, const struct mf_dns_query *query);
struct mf_waiter *mf_waiter_new_lookup(struct mf_resolver *r, struct mf_lookup *l);
void mf_waiter_free(struct mf_resolver *r, struct mf_waiter *w);
/* How many bytes of an answer its client takes. */
size_t mf_waiter_cap(const struct mf_waiter *w);
void mf_question_join(struct mf_question *q, struct mf_waiter *w);
/* Takes all who wait off the question: the caller answers and frees each. */
struct mf_waiter *mf_question_waiters(struct mf_question *q);

/* ---- answer.c -------------------------------------------------------------------------------- */

/* As mf_upstream_done; ctx is the question. */
void mf_question_done(void *ctx, const struct mf_upstream_result *res, mf_nsec now);
/* Answers all who wait with what is in the cache though it has ended; false: nothing is. */
bool mf_question_serve_stale(struct mf_question *q);
/* Is an answer that was kept with this note one for names that go to `hop` now? */
bool mf_note_fits(struct mf_dns_entry_note *note, uint32_t hop);
/* A lookup of ours has got what one of its questions found; `f` NULL: nothing. */
void mf_lookup_found(struct mf_resolver *r, struct mf_lookup *l, const struct mf_dns_facts *f);
/* Puts the addresses of an answer in force for a name, for `ttl` seconds at least. */
void mf_answer_learn(struct mf_resolver *r, struct mf_span msg, const struct mf_name_route *route,
		     uint32_t ttl);
/* Logs a question, if that is asked for. `how`: "cached" and so on. */
void mf_query_log(struct mf_resolver *r, const struct mf_dns_client *c,
		  const struct mf_dns_name *name, uint16_t type, const struct mf_name_route *route,
		  const char *how, unsigned rcode);

/* ---- group.c --------------------------------------------------------------------------------- */

/* Groups for what the configuration may ask; old ones must be gone. */
MF_MUST_CHECK mf_err mf_groups_open(struct mf_resolver *r);
void mf_groups_close(struct mf_resolver *r);
/* The network has changed. */
void mf_groups_reset(struct mf_resolver *r, mf_nsec now);
/* Who is asked for names that go there; NULL: nobody. */
struct mf_group *mf_group_of(struct mf_resolver *r, uint32_t hop);
/* Servers that are known by name want their addresses; runs all upstreams. Returns the next
 * deadline. */
mf_nsec mf_groups_run(struct mf_resolver *r, mf_nsec now);

/* ---- local.c --------------------------------------------------------------------------------- */

/* Answers from dns.hosts, and names that are not for public servers (RFC 6761, RFC 6762, RFC 7686,
 * RFC 6303, RFC 9462, the canary of browsers that would go round us). Returns the length, 0: it is
 * none of these. */
size_t mf_local_answer(struct mf_resolver *r, struct mf_span msg, const struct mf_dns_query *q,
		       uint8_t *out, size_t cap);
/* True if mf_local_answer would answer A of it. *host, if not NULL: the line of dns.hosts, or
 * NULL. */
bool mf_local_knows(const struct mf_resolver *r, const struct mf_dns_name *name,
		    const struct mf_dns_host **host);
/* May answers for this name have such addresses? */
bool mf_local_may_be_private(const struct mf_resolver *r, const struct mf_dns_name *name);

/* ---- top.c ----------------------------------------------------------------------------------- */

void mf_top_note(struct mf_top *t, const char *name, size_t n, uint32_t hash, uint32_t rule,
		 mf_nsec now);

#endif
