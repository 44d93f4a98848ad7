/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_list - a copy of what the DNS cache holds, all of it or what is of a name: made by the DNS server's
 * worker in small portions, so that no question and no packet waits long. The cache goes on changing between
 * two portions: each entry is as it was at one moment.
 */
#ifndef MF_CACHE_LIST_H
#define MF_CACHE_LIST_H

#include "base/json.h"
#include "engine/engine.h"

struct mf_cache_entry {
	size_t at;          /* in the list's bytes: */
	const char *name;   /* as text, */
	struct mf_span msg; /* and the answer */
	const char *server; /* who has given it, NULL: not known; lasts until the next profile */
	struct mf_dns_entry_note note;
	uint16_t type, rcode;
	uint8_t key_flags;
	int64_t ttl_left; /* seconds; 0 or less: stale for so long */
	uint32_t hits;
};

struct mf_cache_list {
	struct mf_cache_entry *v;
	size_t n, cap;
	size_t total;         /* entries that there are, also of other names */
	struct mf_text bytes; /* what the entries point into */
};

/* Which entries: of this name and all below it, or with `exact` of the name alone; NULL: all. */
struct mf_cache_choice {
	const struct mf_dns_name *name;
	bool exact;
};

/* Sorted: asked for most often first, then by name and type. Control thread. False: out of memory, and the
 * list is empty. Free it in either case. */
MF_MUST_CHECK bool mf_cache_list_read(struct mf_cache_list *l, struct mf_engine *e,
				      const struct mf_cache_choice *choice, mf_nsec now);
void mf_cache_list_free(struct mf_cache_list *l);

/* What is at the end of an answer's chain of CNAMEs, as text; "": it has none. */
void mf_cache_entry_cname(const struct mf_cache_entry *e, char out[MF_DNS_TEXT_MAX]);

#endif
