/* SPDX-License-Identifier: Apache-2.0
 *
 * cache - see cache.h: for how long an answer may be served, and what has to go. Where entries lie
 * and how they are found is store.h's.
 */
#include "base/count.h"
#include "proto/dns/cache_internal.h"

#include <stdlib.h>

enum {
	BYTES_MIN = 64 << 10,
	TTL_MAX = INT32_MAX, /* RFC 2181 8 */
	FAILURE_MAX = 300,   /* RFC 9520 3.2: seconds */
	/* The part of its life in which an answer is asked for anew. */
	PREFETCH_PART = 10,
};
/* How often one may try to replace a stale answer (RFC 8767 5, failure recheck timer). */
#define RECHECK (30 * MF_SEC)

/* ---- life ---- */

void mf_dns_cache_configure(struct mf_dns_cache *c, const struct mf_dns_cache_config *cfg)
{
	uint64_t bytes = c->cfg.bytes;

	c->cfg = *cfg;
	c->cfg.bytes = bytes;
	c->cfg.ttl_max = (uint32_t)mf_min(cfg->ttl_max, TTL_MAX);
	c->cfg.negative_max = (uint32_t)mf_min(cfg->negative_max, c->cfg.ttl_max);
	c->cfg.stale = (uint32_t)mf_min(cfg->stale, TTL_MAX);
}

struct mf_dns_cache *mf_dns_cache_new(const struct mf_dns_cache_config *cfg, const uint8_t key[16])
{
	struct mf_dns_cache *c;

	if (cfg->bytes < BYTES_MIN || cfg->bytes > SIZE_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	if (mf_dns_store_init(&c->store, (size_t)cfg->bytes - sizeof(*c), key)) {
		free(c);
		return NULL;
	}
	c->cfg.bytes = cfg->bytes;
	mf_dns_cache_configure(c, cfg);
	return c;
}

void mf_dns_cache_free(struct mf_dns_cache *c)
{
	if (!c)
		return;
	mf_dns_store_fini(&c->store);
	free(c);
}

const struct mf_dns_cache_counters *mf_dns_cache_counters(const struct mf_dns_cache *c)
{
	return &c->count;
}

/* ---- time ---- */

mf_nsec mf_dns_cache_age(const struct mf_dns_entry *e, mf_nsec now)
{
	return mf_dns_earlier(e->born, now) ? now - e->born : 0;
}

static mf_nsec life(const struct mf_dns_entry *e)
{
	return e->ttl * MF_SEC;
}

bool mf_dns_cache_may_serve(const struct mf_dns_cache *c, const struct mf_dns_entry *e, mf_nsec age)
{
	mf_nsec stale = e->flags & MF_DNS_ENTRY_FAILURE ? 0 : c->cfg.stale * MF_SEC;

	return age < life(e) + stale;
}

/* Is it time to ask again? A stale answer's time comes again and again, a fresh one's once. */
static bool refresh_due(const struct mf_dns_cache *c, struct mf_dns_entry *e, mf_nsec age, mf_nsec now)
{
	if (age >= life(e)) {
		if (mf_dns_earlier(now, e->quiet))
			return false;
		e->quiet = now + RECHECK;
		return true;
	}
	if (!c->cfg.prefetch || !(e->flags & MF_DNS_ENTRY_ASKED) ||
	    e->flags & (MF_DNS_ENTRY_REFRESH | MF_DNS_ENTRY_FAILURE) ||
	    age < life(e) - life(e) / PREFETCH_PART)
		return false;
	e->flags |= MF_DNS_ENTRY_REFRESH;
	return true;
}

/* ---- room ---- */

static void count_use(struct mf_dns_cache *c)
{
	mf_count(&c->count.entries, c->store.n_entries - c->count.entries);
	mf_count(&c->count.bytes, (uint64_t)c->store.n_used * MF_DNS_PIECE - c->count.bytes);
}

static void forget(struct mf_dns_cache *c, struct mf_dns_entry *e)
{
	mf_dns_store_remove(&c->store, e);
	count_use(c);
}

/* What is over goes before what is not. */
static void evict_one(struct mf_dns_cache *c, mf_nsec now)
{
	struct mf_dns_entry *e = mf_dns_store_first_to_end(&c->store);
	bool over = mf_dns_cache_age(e, now) >= life(e);

	if (!over)
		e = mf_dns_store_least_used(&c->store);
	mf_count(mf_dns_cache_may_serve(c, e, mf_dns_cache_age(e, now)) ? &c->count.evicted
									: &c->count.expired,
		 1);
	forget(c, e);
}

void mf_dns_cache_add(struct mf_dns_cache *c, const struct mf_dns_entry *init,
		      const struct mf_dns_kept *kept, bool newest)
{
	mf_dns_store_add(&c->store, init, kept, newest);
	count_use(c);
}

/* ---- get ---- */

bool mf_dns_cache_get(struct mf_dns_cache *c, const struct mf_dns_key *k, mf_nsec now,
		      struct mf_dns_hit *hit)
{
	struct mf_dns_entry *e = mf_dns_store_find(&c->store, k, mf_dns_store_hash(&c->store, k));
	mf_nsec age = e ? mf_dns_cache_age(e, now) : 0;

	if (e && !mf_dns_cache_may_serve(c, e, age)) {
		mf_count(&c->count.expired, 1);
		forget(c, e);
		e = NULL;
	}
	if (!e) {
		mf_count(&c->count.misses, 1);
		return false;
	}
	hit->msg = mf_dns_store_msg(&c->store, e);
	hit->ttl_at = mf_dns_store_ttls(&c->store);
	hit->n_ttls = e->n_ttls;
	hit->rcode = mf_load_be16(hit->msg.p + 2) & MF_DNS_RCODE;
	hit->age = (uint32_t)(age / MF_SEC);
	hit->ttl = e->ttl;
	hit->stale = age >= life(e);
	hit->refresh = refresh_due(c, e, age, now);
	hit->note = &e->note;
	e->flags |= MF_DNS_ENTRY_ASKED;
	e->hits += e->hits < UINT32_MAX;
	mf_dns_store_touch(&c->store, e);
	mf_count(hit->stale ? &c->count.stale_hits : &c->count.hits, 1);
	return true;
}

/* ---- put ---- */

static bool is_negative(const struct mf_dns_facts *f)
{
	return f->nodata || f->rcode == MF_DNS_NXDOMAIN;
}

static uint32_t ceiling(const struct mf_dns_cache *c, const struct mf_dns_facts *f)
{
	return is_negative(f) ? c->cfg.negative_max : c->cfg.ttl_max;
}

/* The same as mf_dns_keep does with each TTL in the message. */
uint32_t mf_dns_cache_ttl(const struct mf_dns_cache *c, const struct mf_dns_facts *f)
{
	return (uint32_t)mf_min(mf_max(f->ttl, c->cfg.ttl_min), ceiling(c, f));
}

bool mf_dns_cache_prepare(struct mf_dns_cache *c, struct mf_dns_kept *kept, struct mf_span answer,
			  const struct mf_dns_facts *f)
{
	mf_err err = MF_E_RANGE;

	if (answer.n <= c->store.msg_max)
		err = mf_dns_keep(kept, mf_dns_store_space(&c->store), answer, c->cfg.ttl_min,
				  ceiling(c, f));
	if (err == MF_E_RANGE)
		mf_count(&c->count.too_big, 1);
	return err == MF_OK;
}

/* It is kept under its own question, or not at all. */
static bool answers(const struct mf_dns_kept *kept, const struct mf_dns_key *k)
{
	const uint8_t *at = kept->msg + MF_DNS_HEADER;
	size_t n = k->name->n;

	return kept->n >= MF_DNS_HEADER + n + 4 && memcmp(at, k->name->b, n) == 0 &&
	       mf_load_be16(at + n) == k->type && mf_load_be16(at + n + 2) == MF_DNS_IN;
}

/* In place of `old`, if there is one. */
static bool keep(struct mf_dns_cache *c, struct mf_dns_entry *old, struct mf_dns_entry *init,
		 struct mf_span answer, const struct mf_dns_key *k,
		 const struct mf_dns_facts *facts, mf_nsec now)
{
	struct mf_dns_kept kept;

	if (old) { /* as popular as it was */
		init->segment = old->segment;
		init->hits = old->hits;
		forget(c, old);
	}
	if (!init->ttl || !mf_dns_cache_prepare(c, &kept, answer, facts) || !answers(&kept, k))
		return false;
	while (!mf_dns_store_fits(&c->store, kept.n, kept.n_ttls))
		evict_one(c, now);
	mf_dns_cache_add(c, init, &kept, true);
	mf_count(&c->count.kept, 1);
	return true;
}

/* A failure takes the place of nothing that can be served. */
static bool keep_failure(struct mf_dns_cache *c, struct mf_dns_entry *old, struct mf_dns_entry *init,
			 struct mf_span answer, const struct mf_dns_key *k,
			 const struct mf_dns_facts *facts, uint32_t failed_for, mf_nsec now)
{
	if (old && !(old->flags & MF_DNS_ENTRY_FAILURE) &&
	    mf_dns_cache_may_serve(c, old, mf_dns_cache_age(old, now))) {
		old->quiet = now + failed_for * MF_SEC;
		return false;
	}
	init->flags = MF_DNS_ENTRY_FAILURE;
	init->ttl = failed_for;
	return keep(c, old, init, answer, k, facts, now);
}

bool mf_dns_cache_put(struct mf_dns_cache *c, const struct mf_dns_key *k, struct mf_span answer,
		      const struct mf_dns_facts *facts, const struct mf_dns_entry_note *note,
		      uint32_t failed_for, mf_nsec now)
{
	struct mf_dns_entry init = {
		.hash = mf_dns_store_hash(&c->store, k),
		.segment = MF_DNS_PROBATION,
		.key_flags = k->flags,
		.ttl = mf_dns_cache_ttl(c, facts),
		.born = now,
		.quiet = now,
		.note = *note,
	};
	struct mf_dns_entry *old;

	if (!facts->cacheable && !failed_for)
		return false;
	old = mf_dns_store_find(&c->store, k, init.hash);
	if (facts->cacheable)
		return keep(c, old, &init, answer, k, facts, now);
	return keep_failure(c, old, &init, answer, k, facts,
			    (uint32_t)mf_min(failed_for, FAILURE_MAX), now);
}

/* ---- flush and show ---- */

static void name_of(const struct mf_dns_cache *c, const struct mf_dns_entry *e,
		    struct mf_dns_name *name, uint16_t *type)
{
	struct mf_span msg;
	size_t at = MF_DNS_HEADER;
	mf_err err;

	mf_dns_store_read(&c->store, e);
	msg = mf_dns_store_msg(&c->store, e);
	err = mf_dns_name_read(msg, &at, name);
	MF_ASSERT(!err);
	*type = mf_load_be16(msg.p + at);
}

uint32_t mf_dns_cache_flush_name(struct mf_dns_cache *c, const struct mf_dns_name *name, bool below)
{
	struct mf_dns_name own;
	uint32_t gone = 0;
	uint16_t type;

	for (uint32_t n = 1; n <= c->store.n_made; n++) {
		struct mf_dns_entry *e = mf_dns_store_at(&c->store, n);

		if (!e)
			continue;
		name_of(c, e, &own, &type);
		if (!(below ? mf_dns_name_below(&own, name) : mf_dns_name_equal(&own, name)))
			continue;
		forget(c, e);
		gone++;
	}
	return gone;
}

uint32_t mf_dns_cache_flush(struct mf_dns_cache *c)
{
	uint32_t gone = c->store.n_entries;
	struct mf_dns_entry *e;

	while ((e = mf_dns_store_least_used(&c->store)))
		mf_dns_store_remove(&c->store, e);
	count_use(c);
	return gone;
}

uint32_t mf_dns_cache_slots(const struct mf_dns_cache *c)
{
	return c->store.n_made;
}

bool mf_dns_cache_info(const struct mf_dns_cache *c, uint32_t slot, mf_nsec now,
		       struct mf_dns_entry_info *out)
{
	const struct mf_dns_entry *e = slot < c->store.n_made ? mf_dns_store_at(&c->store, slot + 1)
							      : NULL;
	mf_nsec age;

	if (!e)
		return false;
	age = mf_dns_cache_age(e, now);
	if (!mf_dns_cache_may_serve(c, e, age))
		return false;
	name_of(c, e, &out->name, &out->type);
	out->msg = mf_dns_store_msg(&c->store, e);
	out->rcode = mf_load_be16(out->msg.p + 2) & MF_DNS_RCODE;
	out->key_flags = e->key_flags;
	out->ttl_left = (int64_t)e->ttl - (int64_t)(age / MF_SEC);
	out->hits = e->hits;
	out->note = e->note;
	return true;
}
