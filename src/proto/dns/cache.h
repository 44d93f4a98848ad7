/* SPDX-License-Identifier: Apache-2.0
 *
 * cache - answers by question: positive and negative (RFC 2308), counted down, kept a while beyond
 * their end (RFC 8767), bounded in bytes. One thread.
 *
 * All memory is reserved at the start and touched only where it is used. An entry is a header, the
 * places of the TTLs and the message with the question in it, in pieces of one slab (store.h). What
 * is over goes first; then what was asked for least recently, by segmented LRU: names asked for
 * once cannot push out those asked for often.
 */
#ifndef MF_DNS_CACHE_H
#define MF_DNS_CACHE_H

#include "proto/dns/message.h"

struct mf_dns_cache;

struct mf_dns_cache_config {
	uint64_t bytes;                          /* of everything; fixed at the start */
	uint32_t ttl_min, ttl_max, negative_max; /* seconds; where they contradict, the least */
	uint32_t stale; /* how long an answer may be served after its end, seconds; 0: not at all */
	bool prefetch;  /* ask again in the last tenth of its life, if asked for since it came */
};

/* What is said about an entry besides the answer. The resolver's; the cache keeps and returns
 * it. */
struct mf_dns_entry_note {
	uint32_t hop;  /* that the name belongs to */
	uint32_t rule; /* of the profile, UINT32_MAX: none */
	uint32_t latency_us;
	uint8_t upstream; /* index of the server in its group, */
	uint8_t group;    /* and of the group */
	uint8_t flags;    /* the resolver's */
};

/* DO and CD make other answers. */
enum { MF_DNS_KEY_DO = 1, MF_DNS_KEY_CD = 2 };
struct mf_dns_key {
	const struct mf_dns_name *name;
	uint16_t type;
	uint8_t flags;
};

/* An answer that was found; valid until the next call to this cache. */
struct mf_dns_hit {
	struct mf_span msg;
	const uint16_t *ttl_at;
	uint16_t n_ttls;
	uint16_t rcode;
	uint32_t age; /* seconds since it came */
	uint32_t ttl; /* of the whole, as it came; after floor and ceiling */
	bool stale;   /* its time is over, it may be served all the same */
	/* Now is the time to ask again. Said once of what is about to end (prefetch); of what is
	 * stale every 30 s (RFC 8767 5), and not while a failure lasts that mf_dns_cache_put was
	 * told of. */
	bool refresh;
	struct mf_dns_entry_note *note; /* may be written */
};

/* `key` seeds the hash (a stranger must not choose collisions). NULL: out of memory, or too few
 * bytes (64 KiB at least). */
struct mf_dns_cache *mf_dns_cache_new(const struct mf_dns_cache_config *cfg, const uint8_t key[16]);
void mf_dns_cache_free(struct mf_dns_cache *c);
/* New limits but `bytes`; how long an answer lives is settled when it comes. */
void mf_dns_cache_configure(struct mf_dns_cache *c, const struct mf_dns_cache_config *cfg);

/* False: nothing that may be served. Counts hit, stale hit or miss. */
bool mf_dns_cache_get(struct mf_dns_cache *c, const struct mf_dns_key *k, mf_nsec now,
		      struct mf_dns_hit *hit);
/* Keeps an answer (facts: of it) in place of an older one, with the question in lower case. What is
 * cacheable supersedes the older one even if it cannot be kept itself: its TTL is 0, it is
 * malformed or longer than a sixteenth of the cache, or its question is not `k`. A failure, for
 * which `facts->cacheable` is false, is kept for failed_for seconds, but 5 minutes at most (RFC
 * 9520), unless an answer is there that may be served: that one stays, and nobody is told to
 * refresh it for so long. With failed_for 0 what is not cacheable is not kept. `answer` is not of
 * this cache. Returns true if it is kept. */
bool mf_dns_cache_put(struct mf_dns_cache *c, const struct mf_dns_key *k, struct mf_span answer,
		      const struct mf_dns_facts *facts, const struct mf_dns_entry_note *note,
		      uint32_t failed_for, mf_nsec now);
/* Forgets a name, all below it if `below`; forgets everything. Returns how many. */
uint32_t mf_dns_cache_flush_name(struct mf_dns_cache *c, const struct mf_dns_name *name, bool below);
uint32_t mf_dns_cache_flush(struct mf_dns_cache *c);

/* For `show dns-cache`: the entry in a slot, 0 .. slots - 1; false: none there, or it is gone. An
 * entry stays in its slot. msg is valid until the next call. */
struct mf_dns_entry_info {
	struct mf_dns_name name;
	uint16_t type, rcode;
	uint8_t key_flags;
	int64_t ttl_left; /* seconds; 0 or less: stale for so long */
	uint32_t hits;
	struct mf_dns_entry_note note;
	struct mf_span msg;
};
uint32_t mf_dns_cache_slots(const struct mf_dns_cache *c);
bool mf_dns_cache_info(const struct mf_dns_cache *c, uint32_t slot, mf_nsec now,
		       struct mf_dns_entry_info *out);

/* Over a restart: as bytes that mf_dns_cache_load takes back, the most popular first. Times are of
 * a wall clock (`wall`: seconds since 1970), so that what ended meanwhile is stale or gone. `world`
 * is any number that stands for what hops mean and where the answers are true. save returns how
 * many bytes it wants; it has written only if that is at most `cap`. Failures are not saved. load:
 * untrusted bytes; takes what is sound and fits beside what is there, a damaged entry ends it. Of a
 * note the hop is kept; flags are 0, the upstream is UINT8_MAX. MF_E_MALFORMED: it is no such file;
 * MF_E_RANGE: it was saved later than `wall`, so nobody knows how old it is; MF_E_CONFLICT: it is
 * of another world. Nothing was taken then. */
struct mf_dns_cache_when {
	mf_nsec now;
	uint64_t wall, world;
};
size_t mf_dns_cache_save(const struct mf_dns_cache *c, uint8_t *out, size_t cap,
			 const struct mf_dns_cache_when *when);
MF_MUST_CHECK mf_err mf_dns_cache_load(struct mf_dns_cache *c, struct mf_span in,
				       const struct mf_dns_cache_when *when);

/* X(name, "text"): written by the owner, mf_counter_read by others. */
#define MF_DNS_CACHE_COUNTER_LIST(X)                               \
	X(hits, "answers served from the cache")                   \
	X(stale_hits, "answers served after their end")            \
	X(misses, "questions that the cache could not answer")     \
	X(kept, "answers kept")                                    \
	X(evicted, "answers given up for room")                    \
	X(expired, "answers given up because their time was over") \
	X(too_big, "answers too big to keep")                      \
	X(entries, "answers that are there")                       \
	X(bytes, "bytes in use")
struct mf_dns_cache_counters {
#define X(name, text) uint64_t name;
	MF_DNS_CACHE_COUNTER_LIST(X)
#undef X
};
const struct mf_dns_cache_counters *mf_dns_cache_counters(const struct mf_dns_cache *c);

#endif
