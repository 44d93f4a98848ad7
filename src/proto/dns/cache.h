/* SPDX-License-Identifier: Apache-2.0
 *
 * cache - answers by question: positive and negative (RFC 2308), counted down, kept a while beyond their end
 * (RFC 8767), bounded in bytes. One thread.
 *
 * All memory is reserved at start and touched only where it is used. An entry is a header, the name, the places of
 * the TTLs and the message, in pieces of one slab; what was asked for least recently goes first, but
 * stale before fresh (segmented LRU: names asked for once cannot push out those asked for often).
 */
#ifndef MF_DNS_CACHE_H
#define MF_DNS_CACHE_H

#include "proto/dns/message.h"

struct mf_dns_cache;

struct mf_dns_cache_config {
	uint64_t bytes;                          /* of everything; fixed at the start */
	uint32_t ttl_min, ttl_max, negative_max; /* seconds */
	uint32_t stale; /* how long an answer may be served after its end, seconds; 0: not at all */
	bool prefetch; /* ask again in the last tenth of its life, if it was asked for since it came */
};

/* What is said about an entry besides the answer. The resolver's; the cache keeps and returns it. */
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

/* An answer that was found; valid until the next call that changes the cache. */
struct mf_dns_hit {
	struct mf_span msg;
	const uint16_t *ttl_at;
	uint16_t n_ttls;
	uint16_t rcode;
	uint32_t age;                   /* seconds since it came */
	uint32_t ttl;                   /* of the whole, as it came; after floor and ceiling */
	bool stale;                     /* its time is over, it may be served all the same */
	bool refresh;                   /* now is the time to ask again (prefetch); said once */
	struct mf_dns_entry_note *note; /* may be written */
};

/* `key` seeds the hash (a stranger must not choose collisions). NULL: out of memory, or too few bytes (64 KiB at least). */
struct mf_dns_cache *mf_dns_cache_new(const struct mf_dns_cache_config *cfg, const uint8_t key[16]);
void mf_dns_cache_free(struct mf_dns_cache *c);
/* New limits but `bytes`. */
void mf_dns_cache_configure(struct mf_dns_cache *c, const struct mf_dns_cache_config *cfg);

/* False: nothing that may be served. Counts hit, stale hit or miss. */
bool mf_dns_cache_get(struct mf_dns_cache *c, const struct mf_dns_key *k, mf_nsec now,
		      struct mf_dns_hit *hit);
/* Keeps an answer (facts: of it); replaces an older one. What is not cacheable or does not fit is not kept. SERVFAIL and
 * the like: `facts->cacheable` is false; but failed_for > 0 keeps that for so many seconds (RFC 9520), unless a stale answer is there: that one stays,
 * and is served until then. Returns true if kept. */
bool mf_dns_cache_put(struct mf_dns_cache *c, const struct mf_dns_key *k, struct mf_span answer,
		      const struct mf_dns_facts *facts, const struct mf_dns_entry_note *note,
		      uint32_t failed_for, mf_nsec now);
/* Forgets a name, all below it if `below`; forgets everything. Returns how many. */
uint32_t mf_dns_cache_flush_name(struct mf_dns_cache *c, const struct mf_dns_name *name, bool below);
uint32_t mf_dns_cache_flush(struct mf_dns_cache *c);

/* For `show dns-cache`: the entry in a slot, 0 .. slots - 1; false: none there. */
struct mf_dns_entry_info {
	struct mf_dns_name name;
	uint16_t type, rcode;
	uint8_t key_flags;
	int64_t ttl_left; /* seconds, negative: stale for so long */
	uint32_t hits;
	struct mf_dns_entry_note note;
	struct mf_span msg;
};
uint32_t mf_dns_cache_slots(const struct mf_dns_cache *c);
bool mf_dns_cache_info(const struct mf_dns_cache *c, uint32_t slot, mf_nsec now,
		       struct mf_dns_entry_info *out);

/* Over a restart: as bytes that mf_dns_cache_load takes back, the most popular first. Times are of a wall clock (`wall`: seconds since 1970), so that
 * what ended meanwhile is stale or gone. save returns how many bytes it wants; it has written only if that is at most `cap`. load: untrusted bytes; takes what is
 * sound (MF_E_MALFORMED: nothing, it is no such file; a damaged entry ends it). Notes are reset: hop 0, so the resolver looks at them anew. */
size_t mf_dns_cache_save(const struct mf_dns_cache *c, uint8_t *out, size_t cap, mf_nsec now,
			 uint64_t wall);
MF_MUST_CHECK mf_err mf_dns_cache_load(struct mf_dns_cache *c, struct mf_span in, mf_nsec now,
				       uint64_t wall);

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
