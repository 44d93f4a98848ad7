/* SPDX-License-Identifier: Apache-2.0
 *
 * learned_model - learned routes as a list that is searched from end to end: what learned.h says, slow and
 * plain. Tables of at most 64 places, in which the search for something to give up sees all of them.
 */
#ifndef MF_LEARNED_MODEL_H
#define MF_LEARNED_MODEL_H

#include "policy/learned.h"

enum { MODEL_MAX = 64, MODEL_BLOCK = 28 };

struct model_route {
	bool there; /* a place is taken: by a route, or (gone) for sessions that hold it */
	bool gone;
	struct mf_learned_info i;
	bool used, was_used; /* since the last look, before it */
	mf_nsec due;
};

struct model {
	struct model_route r[MODEL_MAX];
	uint32_t max, blocks;
	struct mf_learned_counters count;
};

static struct model_route *model_find(struct model *m, const struct mf_addr *a)
{
	for (uint32_t i = 0; i < m->max; i++)
		if (m->r[i].there && mf_addr_equal(&m->r[i].i.addr, a))
			return &m->r[i];
	return NULL;
}

static size_t model_blocks_of(const char *text)
{
	return (strlen(text) + MODEL_BLOCK - 1) / MODEL_BLOCK;
}

static bool model_has_blocks(const struct model *m, const char *text)
{
	size_t n = model_blocks_of(text);

	for (uint32_t i = 0; i < m->max; i++)
		if (m->r[i].there)
			n += model_blocks_of(m->r[i].i.name) + model_blocks_of(m->r[i].i.shared);
	return n <= m->blocks;
}

static struct model_route *model_free_place(struct model *m)
{
	for (uint32_t i = 0; i < m->max; i++)
		if (!m->r[i].there)
			return &m->r[i];
	return NULL;
}

static bool model_idle(const struct model_route *r, mf_nsec now)
{
	return r->gone || r->i.until <= now || (!r->used && !r->was_used);
}

static bool model_give_up(struct model *m, const struct model_route *keep, mf_nsec now)
{
	struct model_route *least = NULL;

	for (uint32_t i = 0; i < m->max; i++) {
		struct model_route *r = &m->r[i];

		if (!r->there || r == keep || r->i.held)
			continue;
		if (!least || model_idle(r, now) > model_idle(least, now) ||
		    (model_idle(r, now) == model_idle(least, now) && r->i.until < least->i.until))
			least = r;
	}
	if (!least)
		return false;
	m->count.evicted += !least->gone;
	m->count.routes -= !least->gone;
	least->there = false;
	return true;
}

static bool model_make_room(struct model *m, const char *name, const struct model_route *keep,
			    mf_nsec now)
{
	while ((!keep && !model_free_place(m)) || !model_has_blocks(m, name))
		if (!model_give_up(m, keep, now)) {
			m->count.full++;
			return false;
		}
	return true;
}

static void model_share(struct model *m, struct model_route *r, const char *name)
{
	if (r->i.is_shared && !strcmp(r->i.shared, name))
		return;
	r->i.is_shared = true;
	strcpy(r->i.shared, model_has_blocks(m, name) ? name : "");
}

static mf_err model_put_new(struct model *m, struct model_route *r,
			    const struct mf_learned_route *in, bool overridden, mf_nsec now)
{
	uint32_t held = r ? r->i.held : 0;

	if (!model_make_room(m, in->name, r, now))
		return MF_E_FULL;
	if (!r)
		r = model_free_place(m);
	*r = (struct model_route){ .there = true, .due = in->until };
	r->i = (struct mf_learned_info){ .addr = in->addr,
					 .hop = in->hop,
					 .rule = in->rule,
					 .held = held,
					 .until = in->until,
					 .overridden = overridden };
	strcpy(r->i.name, in->name);
	m->count.learned++;
	m->count.routes++;
	m->count.overridden += overridden;
	return MF_OK;
}

static mf_err model_put(struct model *m, const struct mf_learned_route *in, bool overridden,
			mf_nsec now)
{
	struct model_route *r = model_find(m, &in->addr);
	bool elsewhere;

	if (!r || r->gone)
		return model_put_new(m, r, in, overridden, now);
	elsewhere = in->rule != r->i.rule && in->hop != r->i.hop;
	if (in->rule <= r->i.rule && strcmp(in->name, r->i.name)) {
		if (!model_make_room(m, in->name, r, now))
			return MF_E_FULL;
		if (elsewhere) {
			r->i.is_shared = true;
			strcpy(r->i.shared, r->i.name);
		}
		strcpy(r->i.name, in->name);
	} else if (in->rule > r->i.rule && elsewhere) {
		model_share(m, r, in->name);
	}
	r->i.until = mf_max(r->i.until, in->until);
	m->count.overridden += overridden && !r->i.overridden;
	r->i.overridden = overridden;
	if (elsewhere)
		m->count.conflicts++;
	else
		m->count.prolonged++;
	if (in->rule > r->i.rule)
		return elsewhere ? MF_E_EXISTS : MF_OK;
	r->i.hop = in->hop;
	r->i.rule = in->rule;
	return MF_OK;
}

static uint32_t model_lookup(struct model *m, const struct mf_addr *a)
{
	struct model_route *r = model_find(m, a);

	if (!r || r->gone || r->i.overridden)
		return 0;
	r->used = true;
	return r->i.hop;
}

static void model_end(struct model *m, struct model_route *r)
{
	m->count.routes--;
	r->there = r->i.held > 0;
	r->gone = r->there;
	r->due = 0;
}

static void model_look(struct model *m, struct model_route *r, mf_nsec now, mf_nsec idle)
{
	r->due = now + idle;
	if (!r->gone && r->i.until > now) {
		r->due = r->i.until;
	} else if (r->i.held) {
		return;
	} else if (r->gone) {
		r->there = false;
	} else if (r->used) {
		r->used = false;
		r->was_used = true;
	} else {
		model_end(m, r);
		m->count.expired++;
	}
}

static mf_nsec model_expire(struct model *m, mf_nsec now, mf_nsec idle)
{
	mf_nsec next = MF_NEVER;

	for (uint32_t i = 0; i < m->max; i++) {
		if (m->r[i].there && m->r[i].due <= now)
			model_look(m, &m->r[i], now, mf_max(idle, MF_SEC));
		if (m->r[i].there)
			next = mf_min(next, m->r[i].due);
	}
	return next;
}

#endif
