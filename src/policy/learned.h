/* SPDX-License-Identifier: Apache-2.0
 *
 * learned - routes to single addresses that answers of the DNS have taught us: an address, where it leads,
 * the name and the rule that say so, and until when.
 *
 * Lookups are for every packet, on every thread, without locks: in a table with a fixed number of places, one
 * cache line says whether the address may be there, a second one where it leads. One thread at a time writes;
 * a route is in force for all threads when mf_learned_put returns. A place that is given up may be taken
 * again at once: a lookup that is still at it notices.
 *
 * How long: until `until`; after that for as long as packets have used it within the last `idle`, or sessions
 * hold it. When the table is full, what has ended or was never used goes first, what is held never: then a
 * new address is refused, with a counter.
 */
#ifndef MF_LEARNED_H
#define MF_LEARNED_H

#include "base/addr.h"
#include "base/count.h"

struct mf_learned;

enum {
	MF_LEARNED_NAME_MAX = 254, /* text of a host name, without NUL */
	MF_LEARNED_MAX = 1 << 24,  /* addresses in one table */
};

/* `max` addresses at most (1..MF_LEARNED_MAX, asserted); `key` seeds the hash. All memory that there will ever
 * be is reserved here, and touched when it is used. NULL: out of memory. */
struct mf_learned *mf_learned_new(uint32_t max, const uint8_t key[16]);
/* No lookup may be running. NULL is allowed. */
void mf_learned_free(struct mf_learned *t);
/* Bytes for so many. */
uint64_t mf_learned_bytes(uint32_t max);

struct mf_learned_route {
	struct mf_addr addr;
	uint32_t hop;     /* not 0 */
	uint32_t rule;    /* index in the profile's routes: the smaller one wins an address */
	mf_nsec until;    /* end of the TTL, at least 60 s after it came */
	const char *name; /* that was asked for; host name text, at most MF_LEARNED_NAME_MAX bytes */
};

/* ---- The writer's thread --------------------------------------------------------------------------- */

/* Puts a route in force. If the address has one already:
 * - of the same rule, or of another one that leads to the same hop: that one is prolonged; name and rule are
 *   those of the earlier rule, of one rule the latest name;
 * - of a later rule that leads elsewhere: this one takes its place, and that name is noted as sharing the
 *   address;
 * - of an earlier rule that leads elsewhere: that one stays, for as long as this one would have stayed, and
 *   this name is noted. MF_E_EXISTS; *winner (which may be NULL) is the name of that one until the next call.
 * MF_E_FULL: no room, and nothing that may go. `overridden`: a route of full length that the user wrote
 * decides: the learned one is kept and shown, but lookups do not find it. */
MF_MUST_CHECK mf_err mf_learned_put(struct mf_learned *t, const struct mf_learned_route *r,
				    bool overridden, mf_nsec now, const char **winner);
/* Notes that a name without a rule of its own has this address, too (it goes where CIDR routes say, unless
 * its session shows its name). False: the address is not there. */
bool mf_learned_shared(struct mf_learned *t, const struct mf_addr *a, const char *name);
/* After a reload: `judge` gets each route and may change hop, rule and `*overridden`; false: it goes. It must
 * not change the table otherwise. */
void mf_learned_judge(struct mf_learned *t,
		      bool (*judge)(void *ctx, struct mf_learned_route *r, bool *overridden),
		      void *ctx);
/* Takes out what has ended, at most some thousands a call. `idle`: how long after its end a route stays that
 * packets have used since it was last looked at (at least a second). Returns when it wants to be called again,
 * MF_NEVER for never. */
mf_nsec mf_learned_expire(struct mf_learned *t, mf_nsec now, mf_nsec idle);
/* Takes out one (false: not there), all, held or not. */
bool mf_learned_remove(struct mf_learned *t, const struct mf_addr *a);
void mf_learned_clear(struct mf_learned *t);

/* ---- Any thread ------------------------------------------------------------------------------------ */

/* The hop of an address (IPv4 in host byte order, as mf_lpm_lookup4), 0: nothing learned. Costs one load while
 * the table is empty. Marks the route as used. */
uint32_t mf_learned_lookup4(const struct mf_learned *t, uint32_t addr);
uint32_t mf_learned_lookup6(const struct mf_learned *t, const uint8_t addr[16]);
/* A session begins on the address, and has ended: while the count is above 0 the route stays (but for
 * mf_learned_remove and its like). hold returns false (and has not counted) if there is none: then no
 * release. */
bool mf_learned_hold(struct mf_learned *t, const struct mf_addr *a);
void mf_learned_release(struct mf_learned *t, const struct mf_addr *a);

/* What there is to see, by place (0 .. mf_learned_places - 1), or by address; copies, each consistent in
 * itself. False: nothing there. */
struct mf_learned_info {
	struct mf_addr addr;
	uint32_t hop, rule, held;
	mf_nsec until;
	bool used, overridden;
	bool is_shared; /* with another name that has another route, or none */
	/* `shared` is the latest such name, "" if there was no room for it. */
	char name[MF_LEARNED_NAME_MAX + 1], shared[MF_LEARNED_NAME_MAX + 1];
};
uint32_t mf_learned_places(const struct mf_learned *t);
bool mf_learned_info(const struct mf_learned *t, uint32_t place, struct mf_learned_info *out);
bool mf_learned_find(const struct mf_learned *t, const struct mf_addr *a,
		     struct mf_learned_info *out);

/* X(name, "text"): written by the writer, mf_counter_read by others. */
#define MF_LEARNED_COUNTER_LIST(X)                                              \
	X(routes, "learned routes that are there")                              \
	X(learned, "learned routes put in force")                               \
	X(prolonged, "learned routes prolonged by a later answer")              \
	X(expired, "learned routes that have ended")                            \
	X(evicted, "learned routes given up for room")                          \
	X(full, "addresses not learned because all places are held")            \
	X(conflicts, "addresses that two rules wanted; the earlier one got it") \
	X(shared, "addresses that a name without a rule has, too")              \
	X(overridden, "addresses that a route of full length decides")
struct mf_learned_counters {
#define X(name, text) uint64_t name;
	MF_LEARNED_COUNTER_LIST(X)
#undef X
};
const struct mf_learned_counters *mf_learned_counters(const struct mf_learned *t);

#endif
