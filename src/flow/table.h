/* SPDX-License-Identifier: Apache-2.0
 *
 * table - sessions of one worker by what identifies them: a fixed number of slots, found by key in O(1),
 * named from outside by (index, generation) so that a stale name finds nothing.
 *
 * The table knows keys and slots, not what is in them: struct mf_flow stands first in the owner's object,
 * and objects lie in one array that is reserved at start and touched only where it is used. The hash is
 * keyed: whoever chooses addresses and ports cannot choose collisions.
 */
#ifndef MF_FLOW_TABLE_H
#define MF_FLOW_TABLE_H

#include "base/addr.h"

/* A TCP session is named by both ends; a UDP mapping and an echo session only by the end on this side, which
 * is what makes mapping and filtering endpoint-independent (RFC 4787), and by the interface that carries it,
 * for an app may speak from one port with remotes that go different ways. */
struct mf_flow_key {
	uint8_t src[16], dst[16]; /* IPv4: the first four bytes, the rest zero */
	uint16_t sport, dport;    /* host order; echo: the identifier and 0 */
	uint8_t family;           /* enum mf_family */
	uint8_t proto;            /* IP protocol number */
	uint8_t side; /* 0: the app is behind the TUN; 1: our own connection through a VPN */
	uint8_t hop;  /* UDP and echo: the interface that carries it; TCP: 0 */
};
static_assert(sizeof(struct mf_flow_key) == 40, "hashed and compared as bytes: no holes");

enum mf_flow_side {
	MF_SIDE_APP,  /* the app is behind the TUN: `src` */
	MF_SIDE_OURS, /* a connection of our own through a VPN: `dst` is our end */
};

struct mf_flow_ref {
	uint32_t index : 20, generation : 12;
};
static_assert(sizeof(struct mf_flow_ref) == 4, "fits a token");

/* First member of whatever is in the table. */
struct mf_flow {
	struct mf_flow_key key;
	uint64_t hash;
	struct mf_flow_ref ref; /* generation is never 0 while in use */
	bool in_use;
};

struct mf_flow_table;

/* `size`: of an object, a multiple of 8; `keep`: so much at its beginning outlives what is in it, at least
 * struct mf_flow, and what other threads may be reading; `max`: objects, at most 2^20. NULL: the address
 * space is refused. Owned by one thread (but see mf_flow_slot). */
struct mf_flow_table *mf_flow_table_new(uint32_t max, size_t size, size_t keep,
					const uint8_t hash_key[16]);
/* What is still in it is the caller's business, before. NULL is fine. */
void mf_flow_table_free(struct mf_flow_table *t);

uint64_t mf_flow_hash_key(const struct mf_flow_table *t, const struct mf_flow_key *k);
/* NULL: not there. `hash` is mf_flow_hash_key of it. */
void *mf_flow_find(const struct mf_flow_table *t, const struct mf_flow_key *k, uint64_t hash);
/* An object, zeroed but for what is kept, under a key that is not in the table (asserted); NULL: full. */
void *mf_flow_add(struct mf_flow_table *t, const struct mf_flow_key *k, uint64_t hash);
void mf_flow_remove(struct mf_flow_table *t, void *obj);
/* NULL: stale. */
void *mf_flow_get(const struct mf_flow_table *t, struct mf_flow_ref ref);

uint32_t mf_flow_count(const struct mf_flow_table *t);
uint32_t mf_flow_max(const struct mf_flow_table *t);
/* Slots below this have been used at some time. Any thread (relaxed atomic). */
uint32_t mf_flow_high(const struct mf_flow_table *t);
/* The memory of slot i, whether it is in use or not (i < mf_flow_high): for walking over all, and for other
 * threads that read what is published in it. */
void *mf_flow_slot(const struct mf_flow_table *t, uint32_t i);
/* Bytes of address space. */
size_t mf_flow_table_bytes(uint32_t max, size_t size);

#endif
