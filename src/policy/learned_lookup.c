/* SPDX-License-Identifier: Apache-2.0
 *
 * learned_lookup - what any thread may do with learned routes: find them, hold them, show them.
 *
 * The hash is multiply-shift with random coefficients, two multiplications for IPv6 (Thorup 2015, "High speed
 * hashing for integers and strings"): strongly universal, so whoever chooses addresses cannot choose collisions.
 */
#include "base/endian.h"
#include "policy/learned_table.h"

/* ---- The index ------------------------------------------------------------------------------------- */

static struct mf_learned_key key4(const struct mf_learned *t, uint32_t addr)
{
	struct mf_learned_key k = { .hash = (uint32_t)((t->seed4[0] * addr + t->seed4[1]) >> 32),
				    .family = MF_AF_IP4 };

	mf_store_be32(k.addr, addr);
	return k;
}

static struct mf_learned_key key6(const struct mf_learned *t, const uint8_t addr[16])
{
	struct mf_learned_key k = { .family = MF_AF_IP6 };
	uint64_t h = t->seed6[4];

	memcpy(k.addr, addr, sizeof(k.addr));
	for (unsigned i = 0; i < 4; i += 2)
		h += (t->seed6[i] + mf_load_be32(addr + 4 * i + 4)) *
		     (t->seed6[i + 1] + mf_load_be32(addr + 4 * i));
	k.hash = (uint32_t)(h >> 32);
	return k;
}

struct mf_learned_key mf_learned_key(const struct mf_learned *t, const struct mf_addr *a)
{
	MF_ASSERT(a->family == MF_AF_IP4 || a->family == MF_AF_IP6);
	return a->family == MF_AF_IP4 ? key4(t, mf_load_be32(a->b)) : key6(t, a->b);
}

/* Does a route for this address live here? `*life` and `*found` are its. */
static bool lives(const struct mf_learned_place *p, const struct mf_learned_key *k, uint32_t *life,
		  uint32_t *found)
{
	bool same;

	*life = __atomic_load_n(&p->life, __ATOMIC_ACQUIRE);
	same = MF_LOAD(&p->addr[0]) == k->addr[0] && MF_LOAD(&p->addr[1]) == k->addr[1] &&
	       MF_LOAD(&p->family) == k->family;
	*found = MF_LOAD(&p->found);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return same && *life & 1 && MF_LOAD(&p->life) == *life;
}

static struct mf_learned_place *search(const struct mf_learned *t, const struct mf_learned_key *k,
				       uint32_t *life, uint32_t *found)
{
	for (uint32_t b = k->hash >> t->shift;; b = (b + 1) & t->mask) {
		const struct mf_learned_bucket *u = &t->bucket[b];

		for (unsigned i = 0; i < MF_LEARNED_CELLS; i++) {
			uint64_t c = __atomic_load_n(&u->cell[i], __ATOMIC_ACQUIRE);

			if (MF_UNLIKELY(c >> 32 == k->hash) && (uint32_t)c &&
			    lives(&t->place[(uint32_t)c - 1], k, life, found))
				return &t->place[(uint32_t)c - 1];
		}
		if (MF_LIKELY(!MF_LOAD(&u->passed)))
			return NULL;
	}
}

struct mf_learned_place *mf_learned_place(const struct mf_learned *t, const struct mf_learned_key *k)
{
	uint32_t life, found;

	return MF_LOAD(&t->some) ? search(t, k, &life, &found) : NULL;
}

/* ---- Lookups --------------------------------------------------------------------------------------- */

static uint32_t lookup(const struct mf_learned *t, const struct mf_learned_key *k)
{
	uint32_t life, found;
	struct mf_learned_place *p = search(t, k, &life, &found);

	if (!p)
		return 0;
	/* Should another route live there by now, that one counts as used: little harm. */
	if (found && !MF_LOAD(&p->used))
		MF_STORE(&p->used, 1);
	return found;
}

uint32_t mf_learned_lookup4(const struct mf_learned *t, uint32_t addr)
{
	struct mf_learned_key k;

	if (!MF_LOAD(&t->some))
		return 0;
	k = key4(t, addr);
	return lookup(t, &k);
}

uint32_t mf_learned_lookup6(const struct mf_learned *t, const uint8_t addr[16])
{
	struct mf_learned_key k;

	if (!MF_LOAD(&t->some))
		return 0;
	k = key6(t, addr);
	return lookup(t, &k);
}

static void let_go(uint32_t *held)
{
	MF_ASSERT(__atomic_fetch_sub(held, 1, __ATOMIC_RELEASE) > 1);
}

bool mf_learned_hold(struct mf_learned *t, const struct mf_addr *a)
{
	struct mf_learned_key k = mf_learned_key(t, a);
	uint32_t life, found, n, *held;
	struct mf_learned_place *p = MF_LOAD(&t->some) ? search(t, &k, &life, &found) : NULL;

	if (!p || MF_LOAD(&p->gone))
		return false;
	held = &t->held[mf_learned_number(t, p)];
	n = MF_LOAD(held);
	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(held, &n, n + 1, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	if (MF_LOAD(&p->life) == life)
		return true;
	let_go(held);
	return false;
}

void mf_learned_release(struct mf_learned *t, const struct mf_addr *a)
{
	struct mf_learned_key k = mf_learned_key(t, a);
	struct mf_learned_place *p = mf_learned_place(t, &k);

	/* What is held stays where it is. */
	MF_ASSERT(p);
	let_go(&t->held[mf_learned_number(t, p)]);
}

/* ---- For people ------------------------------------------------------------------------------------ */

uint32_t mf_learned_places(const struct mf_learned *t)
{
	return t->max;
}

static void copy_out(const struct mf_learned *t, const struct mf_learned_place *p,
		     struct mf_learned_info *out)
{
	const uint64_t *from = (const void *)&p->facts;
	struct mf_learned_facts f;
	uint64_t *to = (void *)&f;

	for (unsigned i = 0; i < MF_LEARNED_FACT_WORDS; i++)
		to[i] = MF_LOAD(&from[i]);
	out->addr = mf_learned_addr(p);
	out->hop = f.hop;
	out->rule = f.rule;
	out->until = f.until;
	out->used = f.was_used || MF_LOAD(&p->used);
	out->overridden = f.overridden;
	out->is_shared = f.is_shared;
	mf_texts_get(&t->texts, f.name, out->name);
	mf_texts_get(&t->texts, f.shared, out->shared);
}

bool mf_learned_info(const struct mf_learned *t, uint32_t place, struct mf_learned_info *out)
{
	const struct mf_learned_place *p = &t->place[place];
	uint32_t life, seq, held;
	bool same;

	MF_ASSERT(place < t->max);
	do {
		life = __atomic_load_n(&p->life, __ATOMIC_ACQUIRE);
		seq = __atomic_load_n(&p->seq, __ATOMIC_ACQUIRE);
		if (!(life & 1) || MF_LOAD(&p->gone))
			return false;
		copy_out(t, p, out);
		held = MF_LOAD(&t->held[place]);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		same = MF_LOAD(&p->seq) == seq && MF_LOAD(&p->life) == life;
	} while (seq & 1 || !same);
	out->held = held ? held - 1 : 0;
	return true;
}

bool mf_learned_find(const struct mf_learned *t, const struct mf_addr *a, struct mf_learned_info *out)
{
	struct mf_learned_key k = mf_learned_key(t, a);
	const struct mf_learned_place *p = mf_learned_place(t, &k);

	return p && mf_learned_info(t, mf_learned_number(t, p), out) && mf_addr_equal(&out->addr, a);
}

const struct mf_learned_counters *mf_learned_counters(const struct mf_learned *t)
{
	return &t->count;
}
