/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a saved cache: whatever of them is taken can be found under its own question, fits
 * the limit, and is saved and taken again as it is.
 */
#include "proto/dns/cache.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Corpus files were saved a little before WALL. */
enum { BYTES = 128 << 10, ROOM = 2 * BYTES };
#define WALL 2000000000u
#define NOW  (100 * MF_SEC)

static const struct mf_dns_cache_when when = { NOW, WALL, 1 };

static const struct mf_dns_cache_config cfg = { .bytes = BYTES,
						.ttl_max = 86400,
						.negative_max = 3600,
						.stale = 86400 };

static struct mf_dns_cache *load(struct mf_span file, mf_err *err)
{
	static const uint8_t key[16] = "0123456789abcdef";
	struct mf_dns_cache *c = mf_dns_cache_new(&cfg, key);

	MF_ASSERT(c);
	*err = mf_dns_cache_load(c, file, &when);
	return c;
}

static size_t save(const struct mf_dns_cache *c, uint8_t *out)
{
	size_t n = mf_dns_cache_save(c, out, ROOM, &when);

	MF_ASSERT(n <= ROOM);
	return n;
}

/* Asking changes the order, so this is last. */
static void ask_all(struct mf_dns_cache *c, uint64_t want)
{
	struct mf_dns_entry_info info;
	uint64_t found = 0;

	for (uint32_t slot = 0; slot < mf_dns_cache_slots(c); slot++) {
		struct mf_dns_key k = { .name = &info.name };
		struct mf_dns_hit hit;

		if (!mf_dns_cache_info(c, slot, NOW, &info))
			continue;
		k.type = info.type;
		k.flags = info.key_flags;
		MF_ASSERT(mf_dns_cache_get(c, &k, NOW, &hit));
		MF_ASSERT(hit.rcode == info.rcode && hit.msg.n == info.msg.n);
		MF_ASSERT(hit.stale == (info.ttl_left <= 0));
		for (uint16_t i = 0; i < hit.n_ttls; i++)
			MF_ASSERT(hit.ttl_at[i] + 4u <= hit.msg.n);
		found++;
	}
	MF_ASSERT(found == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t one[ROOM], two[ROOM];
	mf_err err, again;
	struct mf_dns_cache *c = load(mf_span(data, size), &err), *d;
	const struct mf_dns_cache_counters *count = mf_dns_cache_counters(c);
	size_t n = save(c, one);

	MF_ASSERT(!err || !count->entries);
	MF_ASSERT(count->bytes <= BYTES);
	d = load(mf_span(one, n), &again);
	MF_ASSERT(!again && save(d, two) == n && memcmp(one, two, n) == 0);
	ask_all(d, count->entries);
	MF_ASSERT(mf_dns_cache_flush(c) == mf_dns_cache_counters(d)->entries);
	mf_dns_cache_free(c);
	mf_dns_cache_free(d);
	return 0;
}
