/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_file - the cache as bytes that outlive the program. What is read back is as untrusted as an
 * answer, and goes the same way: whatever can be found in the message is not taken from elsewhere.
 *
 *   file:  "mfdns" 0 version(2)   wall(8)   world(8)   entry ...
 *   entry: length(2) flags(1) 0(1) age(4)   hop(4)   message
 *
 * Numbers are big-endian; wall: when it was saved, seconds since 1970; age: since the answer came,
 * seconds.
 */
#include "base/cursor.h"
#include "proto/dns/cache_internal.h"

enum {
	FILE_HEADER = 24,
	ENTRY_HEADER = 12,
	VERSION = 2,
	KEY_FLAGS = MF_DNS_KEY_DO | MF_DNS_KEY_CD,
	IS_PROTECTED = 0x80,
};
static const uint8_t magic[6] = { 'm', 'f', 'd', 'n', 's', 0 };

/* ---- save ---- */

static bool is_saved(const struct mf_dns_cache *c, const struct mf_dns_entry *e, mf_nsec now)
{
	return !(e->flags & MF_DNS_ENTRY_FAILURE) &&
	       mf_dns_cache_may_serve(c, e, mf_dns_cache_age(e, now));
}

/* Rounded up: nothing may be served for longer because of a restart. */
static uint32_t age_of(const struct mf_dns_entry *e, mf_nsec now)
{
	return (uint32_t)((mf_dns_cache_age(e, now) + MF_SEC - 1) / MF_SEC);
}

static void save_entry(const struct mf_dns_cache *c, const struct mf_dns_entry *e, uint8_t *out,
		       mf_nsec now)
{
	uint8_t flags = e->key_flags;

	if (e->segment == MF_DNS_PROTECTED)
		flags |= IS_PROTECTED;
	mf_store_be16(out, e->n_msg);
	out[2] = flags;
	out[3] = 0;
	mf_store_be32(out + 4, age_of(e, now));
	mf_store_be32(out + 8, e->note.hop);
	mf_dns_store_read(&c->store, e);
	memcpy(out + ENTRY_HEADER, mf_dns_store_msg(&c->store, e).p, e->n_msg);
}

/* Goes over all that is saved, the most popular first; `out` NULL: only counts. */
static size_t save(const struct mf_dns_cache *c, uint8_t *out, mf_nsec now)
{
	size_t n = FILE_HEADER;

	for (unsigned i = MF_DNS_SEGMENTS; i-- > 0;) {
		const struct mf_dns_entry *e = NULL;

		while ((e = mf_dns_store_next(&c->store, (enum mf_dns_segment)i, e))) {
			if (!is_saved(c, e, now))
				continue;
			if (out)
				save_entry(c, e, out + n, now);
			n += ENTRY_HEADER + e->n_msg;
		}
	}
	return n;
}

size_t mf_dns_cache_save(const struct mf_dns_cache *c, uint8_t *out, size_t cap,
			 const struct mf_dns_cache_when *when)
{
	size_t n = save(c, NULL, when->now);

	if (n > cap)
		return n;
	memcpy(out, magic, sizeof(magic));
	mf_store_be16(out + 6, VERSION);
	mf_store_be64(out + 8, when->wall);
	mf_store_be64(out + 16, when->world);
	return save(c, out, when->now);
}

/* ---- load ---- */

static mf_err load_header(struct mf_rd *r, const struct mf_dns_cache_when *when, uint64_t *since)
{
	const uint8_t *m = mf_rd_bytes(r, sizeof(magic));
	uint16_t version = mf_rd_be16(r);
	uint64_t saved = mf_rd_be64(r), world = mf_rd_be64(r);

	if (r->failed || memcmp(m, magic, sizeof(magic)) != 0 || version != VERSION)
		return MF_E_MALFORMED;
	if (world != when->world)
		return MF_E_CONFLICT;
	if (saved > when->wall)
		return MF_E_RANGE;
	*since = when->wall - saved;
	return MF_OK;
}

static bool read_key(struct mf_span msg, struct mf_dns_name *name, struct mf_dns_key *k)
{
	size_t at = MF_DNS_HEADER;

	if (mf_dns_name_read(msg, &at, name) || msg.n - at < 4 ||
	    mf_load_be16(msg.p + at + 2) != MF_DNS_IN)
		return false;
	k->name = name;
	k->type = mf_load_be16(msg.p + at);
	return true;
}

/* What stands before a message. */
struct head {
	uint8_t flags;
	uint64_t age;
	uint32_t hop;
};

/* False: it is damaged, or there is no more room. What is over, or known better, is passed by. */
static bool load_message(struct mf_dns_cache *c, struct mf_span msg, const struct head *h, mf_nsec now)
{
	struct mf_dns_entry init = {
		.segment = h->flags & IS_PROTECTED ? MF_DNS_PROTECTED : MF_DNS_PROBATION,
		.key_flags = h->flags & KEY_FLAGS,
		.note = { .hop = h->hop, .rule = UINT32_MAX, .upstream = UINT8_MAX },
		.quiet = now,
	};
	struct mf_dns_key k = { .flags = init.key_flags };
	struct mf_dns_name name;
	struct mf_dns_facts facts;
	struct mf_dns_kept kept;

	if (h->flags & ~(KEY_FLAGS | IS_PROTECTED) || mf_dns_facts_read(msg, &facts) ||
	    !facts.cacheable || !read_key(msg, &name, &k))
		return false;
	init.hash = mf_dns_store_hash(&c->store, &k);
	init.ttl = mf_dns_cache_ttl(c, &facts);
	if (!init.ttl || h->age >= (uint64_t)init.ttl + c->cfg.stale ||
	    mf_dns_store_find(&c->store, &k, init.hash))
		return true;
	init.born = now - h->age * MF_SEC;
	if (!mf_dns_cache_prepare(c, &kept, msg, &facts) ||
	    !mf_dns_store_fits(&c->store, kept.n, kept.n_ttls))
		return false;
	mf_dns_cache_add(c, &init, &kept, false);
	return true;
}

mf_err mf_dns_cache_load(struct mf_dns_cache *c, struct mf_span in,
			 const struct mf_dns_cache_when *when)
{
	struct mf_rd r = mf_rd_init(in);
	uint64_t since;
	mf_err err = load_header(&r, when, &since);
	bool sound = true;

	while (!err && sound && mf_rd_left(&r)) {
		uint16_t n = mf_rd_be16(&r), flags = mf_rd_be16(&r);
		uint32_t age = mf_rd_be32(&r), hop = mf_rd_be32(&r);
		const uint8_t *msg = mf_rd_bytes(&r, n);
		struct head h = { (uint8_t)(flags >> 8), since + age, hop };

		sound = msg && !(flags & 0xff) && since <= UINT32_MAX &&
			load_message(c, mf_span(msg, n), &h, when->now);
	}
	return err;
}
