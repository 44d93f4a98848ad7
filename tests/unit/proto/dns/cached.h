/* SPDX-License-Identifier: Apache-2.0
 *
 * cached - a cache, answers to put into it, and a clock, for its tests.
 */
#ifndef CACHED_H
#define CACHED_H

#include "maker.h"
#include "proto/dns/cache_internal.h"

#define START (5000 * MF_SEC)

static const uint8_t hash_key[16] = "0123456789abcdef";
static const struct mf_dns_entry_note note = { .hop = 3, .rule = 7, .latency_us = 900, .upstream = 1 };
static struct maker m;
static mf_nsec now;

static inline struct mf_dns_cache_config config(void)
{
	return (struct mf_dns_cache_config){ .bytes = 256 << 10,
					     .ttl_max = 86400,
					     .negative_max = 3600,
					     .stale = 86400,
					     .prefetch = true };
}

static inline struct mf_dns_cache *cache_with(const struct mf_dns_cache_config *cfg)
{
	struct mf_dns_cache *c = mf_dns_cache_new(cfg, hash_key);

	assert_non_null(c);
	now = START;
	return c;
}

static inline struct mf_dns_cache *new_cache(void)
{
	struct mf_dns_cache_config cfg = config();

	return cache_with(&cfg);
}

static inline bool put_flags(struct mf_dns_cache *c, const char *name, uint16_t type, uint8_t flags,
			     uint32_t failed_for)
{
	struct mf_dns_name n = maker_wire(name);
	struct mf_dns_key k = { .name = &n, .type = type, .flags = flags };
	struct mf_dns_facts facts;

	assert_int_equal(mf_dns_facts_read(maker_span(&m), &facts), MF_OK);
	return mf_dns_cache_put(c, &k, maker_span(&m), &facts, &note, failed_for, now);
}

static inline bool put(struct mf_dns_cache *c, const char *name, uint16_t type)
{
	return put_flags(c, name, type, 0, 0);
}

static inline bool get_flags(struct mf_dns_cache *c, const char *name, uint16_t type, uint8_t flags,
			     struct mf_dns_hit *hit)
{
	struct mf_dns_name n = maker_wire(name);
	struct mf_dns_key k = { .name = &n, .type = type, .flags = flags };

	return mf_dns_cache_get(c, &k, now, hit);
}

static inline bool get(struct mf_dns_cache *c, const char *name, struct mf_dns_hit *hit)
{
	return get_flags(c, name, MF_DNS_A, 0, hit);
}

static inline bool has(struct mf_dns_cache *c, const char *name)
{
	struct mf_dns_hit hit;

	return get(c, name, &hit);
}

static inline void pass(uint64_t seconds)
{
	now += seconds * MF_SEC;
}

static inline void tell_a(const char *name, uint32_t ttl)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA);
	maker_question(&m, name, MF_DNS_A);
	maker_address(&m, MF_DNS_ANSWER, name, ttl, "192.0.2.1");
}

static inline void tell_negative(const char *name, unsigned rcode, uint32_t ttl, uint32_t minimum)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RA | rcode);
	maker_question(&m, name, MF_DNS_A);
	maker_soa(&m, "example", ttl, minimum);
}

static inline void tell_failure(const char *name)
{
	maker_begin(&m, 77, MF_DNS_QR | MF_DNS_RA | MF_DNS_SERVFAIL);
	maker_question(&m, name, MF_DNS_A);
}

static inline bool put_a(struct mf_dns_cache *c, const char *name, uint32_t ttl)
{
	tell_a(name, ttl);
	return put(c, name, MF_DNS_A);
}

static inline bool put_failure(struct mf_dns_cache *c, const char *name, uint32_t failed_for)
{
	tell_failure(name);
	return put_flags(c, name, MF_DNS_A, 0, failed_for);
}

static inline const char *numbered(const char *what, unsigned i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%06u.example", what, i);
	return name;
}

#endif
