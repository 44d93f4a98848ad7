/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm - updates and reads of prefix tables: which blocks a change makes anew, and when the old ones
 * go. Every change, of one prefix or a million, is one pass: make all new blocks aside, then swap
 * them in, which cannot fail.
 */
#include "policy/lpm.h"

#include <stdlib.h>

#include "policy/lpm_block.h"

enum {
	GROW_AT = 4096,   /* prefixes with which a table may get 16 direct bits */
	GROW_SPREAD = 16, /* if they begin with that many different 16 bits */
	SHRINK_BELOW = 512,
};

/* A change in the making. Bucket i is slot first + i; bucket n_slots is the wide prefixes. */
struct change {
	const struct mf_lpm_entry *e;
	size_t n, first, n_slots;
	uint64_t *slot;    /* [n_slots]: as they will be */
	uint32_t *start;   /* [n_slots + 2]: where the bucket begins in `order` */
	uint32_t *order;   /* indices into e, by bucket */
	uint64_t wide;     /* as it will be */
	uint32_t fallback; /* as it will be */
	struct mf_lpm_entry *work;
	size_t work_cap;
};

static size_t slots(const struct mf_lpm_top *top)
{
	return (size_t)1 << top->bits;
}

static size_t slot_number(const struct mf_lpm_top *top, const uint8_t *addr)
{
	return top->bits ? mf_load_be16(addr) : 0;
}

static uint64_t slot_load(const struct mf_lpm_top *top, size_t i)
{
	return __atomic_load_n(&top->slot[i], __ATOMIC_RELAXED);
}

static uint32_t fallback_load(const struct mf_lpm_top *top)
{
	return __atomic_load_n(&top->fallback, __ATOMIC_RELAXED);
}

/* The value that prefixes shorter than a slot give it. */
static uint32_t inherited(uint64_t wide, size_t slot)
{
	uint8_t b[4] = { (uint8_t)(slot >> 8), (uint8_t)slot };

	return wide & MF_LPM_DIRECT ? (uint32_t)(wide >> 32) : mf_lpm_descend(wide, b);
}

/* A copy with host bits cleared. */
static struct mf_lpm_entry masked(const uint8_t *addr, unsigned len)
{
	struct mf_lpm_entry e = { .len = (uint8_t)len };

	memcpy(e.addr, addr, (len + 7) / 8);
	if (len % 8)
		e.addr[len / 8] &= (uint8_t)(0xff00 >> len % 8);
	return e;
}

/* What of the prefix lies below the slot; wide prefixes as they are. */
static struct mf_lpm_entry below_slot(const struct mf_lpm_top *top, const uint8_t *addr, unsigned len)
{
	unsigned skip = len > top->bits ? top->bits / 8 : 0;

	return masked(addr + skip, len - 8 * skip);
}

static void release(const struct mf_lpm *t, void *obj)
{
	if (!obj)
		return;
	if (t->reclaim.defer)
		t->reclaim.defer(t->reclaim.ctx, free, obj);
	else
		free(obj);
}

static void account(struct mf_lpm *t, uint64_t old, uint64_t new)
{
	struct mf_lpm_size was = mf_lpm_block_size(old), is = mf_lpm_block_size(new);

	t->count += is.n - was.n;
	t->rib_bytes += is.rib_bytes - was.rib_bytes;
	t->bytes += (is.bytes - is.rib_bytes) - (was.bytes - was.rib_bytes);
}

static size_t top_bytes(const struct mf_lpm_top *top)
{
	return mf_lpm_malloced(sizeof(*top) + slots(top) * sizeof(top->slot[0]));
}

static struct mf_lpm_top *top_new(uint32_t bits)
{
	struct mf_lpm_top *top = malloc(sizeof(*top) + sizeof(top->slot[0]) * ((size_t)1 << bits));

	if (!top)
		return NULL;
	top->bits = bits;
	top->fallback = MF_LPM_NONE;
	for (size_t i = 0; i < slots(top); i++)
		top->slot[i] = mf_lpm_direct(MF_LPM_NONE);
	return top;
}

struct mf_lpm *mf_lpm_new(unsigned addr_bits, unsigned direct_bits,
			  const struct mf_lpm_reclaim *reclaim)
{
	struct mf_lpm *t = calloc(1, sizeof(*t));

	MF_ASSERT(addr_bits == 32 || addr_bits == 128);
	MF_ASSERT(direct_bits == 0 || direct_bits == 16);
	if (!t)
		return NULL;
	t->top = top_new(direct_bits);
	if (!t->top) {
		free(t);
		return NULL;
	}
	if (reclaim)
		t->reclaim = *reclaim;
	t->addr_bits = (uint8_t)addr_bits;
	t->grows = direct_bits == 0;
	t->wide = mf_lpm_direct(MF_LPM_NONE);
	t->bytes = mf_lpm_malloced(sizeof(*t)) + top_bytes(t->top);
	return t;
}

void mf_lpm_free(struct mf_lpm *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < slots(t->top); i++)
		free(mf_lpm_block_start(t->top->slot[i]));
	free(mf_lpm_block_start(t->wide));
	free(t->top);
	free(t);
}

/* Room for n entries to work on; earlier contents are lost. */
static bool work_room(struct change *c, size_t n)
{
	if (n <= c->work_cap)
		return true;
	free(c->work);
	c->work_cap = 0;
	c->work = malloc(sizeof(*c->work) * 2 * n);
	if (c->work)
		c->work_cap = 2 * n;
	return c->work != NULL;
}

/* Merges two sorted runs; of equals, those of the first come first. */
static void merge_runs(struct mf_lpm_entry *to, const struct mf_lpm_entry *a, size_t na,
		       const struct mf_lpm_entry *b, size_t nb)
{
	while (na && nb) {
		if (mf_lpm_entry_cmp(b, a) < 0) {
			*to++ = *b++;
			nb--;
		} else {
			*to++ = *a++;
			na--;
		}
	}
	memmove(to, a, na * sizeof(*a));
	memmove(to + na, b, nb * sizeof(*b));
}

/* Stable merge sort; the result is in `e`. */
static void sort(struct mf_lpm_entry *e, struct mf_lpm_entry *spare, size_t n)
{
	size_t half = n / 2;

	if (n <= 8) {
		for (size_t i = 1; i < n; i++)
			for (size_t k = i; k && mf_lpm_entry_cmp(&e[k], &e[k - 1]) < 0; k--) {
				struct mf_lpm_entry swap = e[k];

				e[k] = e[k - 1];
				e[k - 1] = swap;
			}
		return;
	}
	sort(e, spare, half);
	sort(e + half, spare, n - half);
	if (mf_lpm_entry_cmp(&e[half], &e[half - 1]) >= 0)
		return;
	memcpy(spare, e, half * sizeof(*e));
	merge_runs(e, spare, half, e + half, n - half);
}

/* Takes the additions (sorted; value 0 removes; the last of equals counts) into the n prefixes of an
 * old slot. Returns how many are in `out`. */
static size_t take_in(struct mf_lpm_entry *out, uint64_t old, const struct mf_lpm_entry *add,
		      size_t n_add)
{
	size_t n_old = mf_lpm_block_size(old).n, n = 0;

	for (size_t i = 0, k = 0; i < n_old || k < n_add;) {
		int order = 1;

		if (i < n_old) {
			mf_lpm_block_entry(old, i, &out[n]);
			order = k < n_add ? mf_lpm_entry_cmp(&out[n], &add[k]) : -1;
		}
		i += order <= 0;
		if (order >= 0) {
			while (k + 1 < n_add && mf_lpm_entry_cmp(&add[k], &add[k + 1]) == 0)
				k++;
			out[n] = add[k++];
		}
		n += out[n].value != MF_LPM_NONE;
	}
	return n;
}

/* Makes the slot that results from `old` and the additions in a bucket. */
static mf_err remake(struct change *c, const struct mf_lpm_top *top, size_t bucket, uint64_t old,
		     uint32_t inherit, uint64_t *new)
{
	const uint32_t *order = c->order + c->start[bucket];
	size_t n_add = c->start[bucket + 1] - c->start[bucket];
	size_t n_old = mf_lpm_block_size(old).n, n;
	struct mf_lpm_entry *add, *spare, *out;

	if (!work_room(c, n_old + 3 * n_add + 1))
		return MF_E_NO_MEMORY;
	add = c->work;
	spare = add + n_add;
	out = spare + n_add;
	for (size_t i = 0; i < n_add; i++) {
		const struct mf_lpm_entry *e = &c->e[order[i]];

		add[i] = below_slot(top, e->addr, e->len);
		add[i].value = e->value;
	}
	sort(add, spare, n_add);
	n = take_in(out, old, add, n_add);
	return mf_lpm_block_make(new, out, n, inherit);
}

/* Which slots the entries concern. */
static void find_range(struct change *c, const struct mf_lpm_top *top)
{
	size_t first = SIZE_MAX, last = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct mf_lpm_entry *e = &c->e[i];
		struct mf_lpm_entry m = masked(e->addr, e->len);
		size_t s = slot_number(top, m.addr), end = s;

		if (e->len == 0) {
			c->fallback = e->value;
			continue;
		}
		if (e->len < top->bits)
			end = s + (((size_t)1 << (top->bits - e->len)) - 1);
		first = mf_min(first, s);
		last = mf_max(last, end);
	}
	c->first = first;
	c->n_slots = first == SIZE_MAX ? 0 : last - first + 1;
}

static size_t bucket_of(const struct change *c, const struct mf_lpm_top *top,
			const struct mf_lpm_entry *e)
{
	return e->len <= top->bits ? c->n_slots : slot_number(top, e->addr) - c->first;
}

/* Counting sort of the entries by bucket, keeping their order within it. */
static void fill_buckets(struct change *c, const struct mf_lpm_top *top)
{
	uint32_t at = 0;

	for (size_t i = 0; i < c->n; i++)
		if (c->e[i].len)
			c->start[bucket_of(c, top, &c->e[i])]++;
	for (size_t b = 0; b <= c->n_slots; b++) {
		uint32_t n = c->start[b];

		c->start[b] = at;
		at += n;
	}
	c->start[c->n_slots + 1] = at;
	for (size_t i = 0; i < c->n; i++)
		if (c->e[i].len)
			c->order[c->start[bucket_of(c, top, &c->e[i])]++] = (uint32_t)i;
	for (size_t b = c->n_slots; b > 0; b--)
		c->start[b] = c->start[b - 1];
	c->start[0] = 0;
}

static mf_err remake_all(struct change *c, const struct mf_lpm *t)
{
	const struct mf_lpm_top *top = t->top;
	mf_err err;

	if (c->start[c->n_slots + 1] != c->start[c->n_slots]) {
		err = remake(c, top, c->n_slots, t->wide, MF_LPM_NONE, &c->wide);
		if (err)
			return err;
	}
	for (size_t i = 0; i < c->n_slots; i++) {
		size_t s = c->first + i;
		uint32_t inherit = inherited(c->wide, s);

		if (c->start[i + 1] == c->start[i] &&
		    (c->wide == t->wide || inherit == inherited(t->wide, s)))
			continue;
		err = remake(c, top, i, c->slot[i], inherit, &c->slot[i]);
		if (err)
			return err;
	}
	return MF_OK;
}

static mf_err prepare(struct change *c, const struct mf_lpm *t)
{
	c->wide = t->wide;
	c->fallback = fallback_load(t->top);
	find_range(c, t->top);
	if (c->n_slots == 0)
		return MF_OK;
	c->slot = malloc(c->n_slots * sizeof(*c->slot));
	c->start = calloc(c->n_slots + 2, sizeof(*c->start));
	c->order = malloc(c->n * sizeof(*c->order));
	if (!c->slot || !c->start || !c->order) {
		c->n_slots = 0;
		return MF_E_NO_MEMORY;
	}
	for (size_t i = 0; i < c->n_slots; i++)
		c->slot[i] = slot_load(t->top, c->first + i);
	fill_buckets(c, t->top);
	return remake_all(c, t);
}

static void commit(const struct change *c, struct mf_lpm *t)
{
	t->count += (c->fallback != MF_LPM_NONE);
	t->count -= (fallback_load(t->top) != MF_LPM_NONE);
	__atomic_store_n(&t->top->fallback, c->fallback, __ATOMIC_RELAXED);
	if (c->wide != t->wide) {
		account(t, t->wide, c->wide);
		free(mf_lpm_block_start(t->wide)); /* no lookup reads it */
		t->wide = c->wide;
	}
	for (size_t i = 0; i < c->n_slots; i++) {
		uint64_t *slot = &t->top->slot[c->first + i], old = *slot;

		if (c->slot[i] == old)
			continue;
		account(t, old, c->slot[i]);
		__atomic_store_n(slot, c->slot[i], __ATOMIC_RELEASE);
		release(t, mf_lpm_block_start(old));
	}
}

static void abandon(const struct change *c, const struct mf_lpm *t)
{
	if (c->wide != t->wide)
		free(mf_lpm_block_start(c->wide));
	for (size_t i = 0; i < c->n_slots; i++)
		if (c->slot[i] != t->top->slot[c->first + i])
			free(mf_lpm_block_start(c->slot[i]));
}

/* Entries with value 0 are removed. */
static mf_err apply(struct mf_lpm *t, const struct mf_lpm_entry *e, size_t n)
{
	struct change c = { .e = e, .n = n };
	mf_err err = prepare(&c, t);

	if (err)
		abandon(&c, t);
	else
		commit(&c, t);
	free(c.slot);
	free(c.start);
	free(c.order);
	free(c.work);
	return err;
}

/* All prefixes of a table in an array, for moving them. */
struct dump {
	struct mf_lpm_entry *e;
	size_t n;
};

static bool dump_one(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct dump *d = ctx;
	struct mf_lpm_entry e = masked(addr, len);

	e.value = value;
	d->e[d->n++] = e;
	return true;
}

/* Changes how many bits choose the slot. The table is as it was if memory is short: only its speed
 * depends on it. */
static void rebase(struct mf_lpm *t, uint32_t bits)
{
	struct dump d = { .e = malloc(mf_max(t->count, 1) * sizeof(*d.e)) };
	struct mf_lpm *fresh = mf_lpm_new(t->addr_bits, bits, NULL), old = *t;

	if (d.e && fresh) {
		mf_lpm_walk(t, dump_one, &d);
		if (apply(fresh, d.e, d.n) == MF_OK) {
			t->wide = fresh->wide;
			t->bytes = fresh->bytes;
			t->rib_bytes = fresh->rib_bytes;
			__atomic_store_n(&t->top, fresh->top, __ATOMIC_RELEASE);
			for (size_t i = 0; i < slots(old.top); i++)
				release(t, mf_lpm_block_start(old.top->slot[i]));
			release(t, old.top);
			free(mf_lpm_block_start(old.wide));
			free(fresh);
			fresh = NULL;
		}
	}
	mf_lpm_free(fresh);
	free(d.e);
}

/* Would 16 direct bits spread these prefixes? */
static bool spread(const struct mf_lpm_entry *e, size_t n)
{
	uint8_t *seen = calloc(1, 65536 / 8);
	size_t different = 0;

	for (size_t i = 0; seen && i < n && different < GROW_SPREAD; i++) {
		uint16_t s = mf_load_be16(e[i].addr);

		if (e[i].len <= 16)
			continue;
		different += !(seen[s / 8] & 1 << s % 8);
		seen[s / 8] |= (uint8_t)(1 << s % 8);
	}
	free(seen);
	return different >= GROW_SPREAD;
}

static void check_entry(const struct mf_lpm *t, unsigned len, uint32_t value)
{
	MF_ASSERT(len <= t->addr_bits);
	MF_ASSERT(value != MF_LPM_NONE && value <= MF_LPM_VALUE_MAX);
}

mf_err mf_lpm_insert(struct mf_lpm *t, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct mf_lpm_entry e;
	size_t before = t->count;
	mf_err err;

	check_entry(t, len, value);
	e = masked(addr, len);
	e.value = value;
	err = apply(t, &e, 1);
	if (t->grows && t->top->bits == 0 && t->count > before && t->count >= GROW_AT &&
	    mf_is_pow2(t->count)) {
		struct dump d = { .e = malloc(t->count * sizeof(*d.e)) };

		if (d.e)
			mf_lpm_walk(t, dump_one, &d);
		if (spread(d.e, d.n))
			rebase(t, 16);
		free(d.e);
	}
	return err;
}

mf_err mf_lpm_remove(struct mf_lpm *t, const uint8_t *addr, unsigned len)
{
	struct mf_lpm_entry e;
	mf_err err;

	if (mf_lpm_get(t, addr, len) == MF_LPM_NONE)
		return MF_E_NOT_FOUND;
	e = masked(addr, len);
	err = apply(t, &e, 1);
	if (t->grows && t->top->bits && t->count < SHRINK_BELOW)
		rebase(t, 0);
	return err;
}

mf_err mf_lpm_load(struct mf_lpm *t, const struct mf_lpm_entry *entry, size_t n)
{
	MF_ASSERT(n <= UINT32_MAX);
	for (size_t i = 0; i < n; i++)
		check_entry(t, entry[i].len, entry[i].value);
	if (t->grows && t->top->bits == 0 && n >= GROW_AT && spread(entry, n))
		rebase(t, 16);
	return n ? apply(t, entry, n) : MF_OK;
}

uint32_t mf_lpm_get(const struct mf_lpm *t, const uint8_t *addr, unsigned len)
{
	const struct mf_lpm_top *top = t->top;
	struct mf_lpm_entry e;
	uint64_t slot;
	size_t i;
	bool found;

	MF_ASSERT(len <= t->addr_bits);
	if (len == 0)
		return fallback_load(top);
	e = below_slot(top, addr, len);
	slot = len <= top->bits ? t->wide : slot_load(top, slot_number(top, addr));
	i = mf_lpm_block_find(slot, &e, &found);
	if (!found)
		return MF_LPM_NONE;
	mf_lpm_block_entry(slot, i, &e);
	return e.value;
}

uint32_t mf_lpm_match(const struct mf_lpm *t, const uint8_t *addr, unsigned *len)
{
	for (unsigned l = t->addr_bits + 1u; l-- > 0;) {
		uint32_t v = mf_lpm_get(t, addr, l);

		if (v != MF_LPM_NONE) {
			*len = l;
			return v;
		}
	}
	*len = 0;
	return MF_LPM_NONE;
}

typedef bool walk_fn(void *ctx, const uint8_t *addr, unsigned len, uint32_t value);

static bool walk_slot(const struct mf_lpm_top *top, size_t s, walk_fn *fn, void *ctx)
{
	uint64_t slot = slot_load(top, s);
	size_t n = mf_lpm_block_size(slot).n, skip = top->bits / 8;

	for (size_t i = 0; i < n; i++) {
		struct mf_lpm_entry e;
		uint8_t addr[32] = { (uint8_t)(s >> 8), (uint8_t)s };

		mf_lpm_block_entry(slot, i, &e);
		memcpy(addr + skip, e.addr, sizeof(e.addr));
		if (!fn(ctx, addr, e.len + top->bits, e.value))
			return false;
	}
	return true;
}

void mf_lpm_walk(const struct mf_lpm *t, walk_fn *fn, void *ctx)
{
	const struct mf_lpm_top *top = t->top;
	size_t n_wide = mf_lpm_block_size(t->wide).n, next = 0;
	static const uint8_t zero[16];
	struct mf_lpm_entry wide;

	if (fallback_load(top) && !fn(ctx, zero, 0, fallback_load(top)))
		return;
	for (size_t s = 0; s < slots(top); s++) {
		for (; next < n_wide; next++) {
			mf_lpm_block_entry(t->wide, next, &wide);
			if (mf_load_be16(wide.addr) > s)
				break;
			if (!fn(ctx, wide.addr, wide.len, wide.value))
				return;
		}
		if (!walk_slot(top, s, fn, ctx))
			return;
	}
}
