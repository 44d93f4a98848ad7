/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_internal - what cache.c and cache_file.c share; nobody else includes it.
 */
#ifndef MF_DNS_CACHE_INTERNAL_H
#define MF_DNS_CACHE_INTERNAL_H

#include "proto/dns/store.h"

struct mf_dns_cache {
	struct mf_dns_store store;
	struct mf_dns_cache_config cfg;
	struct mf_dns_cache_counters count;
};

/* For how long the answer may be served, in seconds: after floor and ceiling; 0: not at all. */
uint32_t mf_dns_cache_ttl(const struct mf_dns_cache *c, const struct mf_dns_facts *f);
/* Makes what is kept of an answer, in the store's space; false: it cannot be kept. */
bool mf_dns_cache_prepare(struct mf_dns_cache *c, struct mf_dns_kept *kept, struct mf_span answer,
			  const struct mf_dns_facts *f);
/* Since it came, in nanoseconds. */
mf_nsec mf_dns_cache_age(const struct mf_dns_entry *e, mf_nsec now);
/* Whether an entry of that age is neither over nor too long over. */
bool mf_dns_cache_may_serve(const struct mf_dns_cache *c, const struct mf_dns_entry *e, mf_nsec age);
void mf_dns_cache_add(struct mf_dns_cache *c, const struct mf_dns_entry *init,
		      const struct mf_dns_kept *kept, bool newest);

#endif
