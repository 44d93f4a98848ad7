/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cache_list.h"

#include <stdlib.h>

/* Of one portion: places of the cache that are looked at, and room for the answers found there. */
enum { PLACES = 256, ROOM = 128 * 1024 };

struct found {
	struct mf_dns_entry_info info; /* msg: in `bytes` */
	const char *server;
};

struct portion {
	struct mf_cache_choice choice;
	mf_nsec now;
	uint32_t place; /* to be looked at next */
	bool last;
	uint32_t total; /* entries that were there */
	uint32_t n;
	size_t used;
	struct found found[PLACES];
	uint8_t bytes[ROOM];
};
static_assert(ROOM >= (int)MF_DNS_MESSAGE_MAX, "or nothing would ever come of a long answer");

/* ---- On the worker --------------------------------------------------------------------------- */

static bool is_wanted(const struct mf_cache_choice *c, const struct mf_dns_name *name)
{
	return !c->name ||
	       (c->exact ? mf_dns_name_equal(name, c->name) : mf_dns_name_below(name, c->name));
}

/* False: no room; it comes first next time. */
static bool copy(struct portion *p, const struct mf_resolver *r, const struct mf_dns_entry_info *info)
{
	struct found *f = &p->found[p->n];

	if (info->msg.n > ROOM - p->used)
		return false;
	*f = (struct found){ *info, mf_resolver_server(r, &info->note) };
	f->info.msg.p = memcpy(p->bytes + p->used, info->msg.p, info->msg.n);
	p->used += info->msg.n;
	p->n++;
	return true;
}

static void fill(struct mf_worker *w, void *ctx)
{
	struct portion *p = ctx;
	struct mf_resolver *r = w->dns->resolver;
	const struct mf_dns_cache *cache = mf_resolver_cache(r);
	uint32_t end = mf_dns_cache_slots(cache);
	struct mf_dns_entry_info info;

	for (unsigned left = PLACES; left && p->place < end; left--, p->place++) {
		if (!mf_dns_cache_info(cache, p->place, p->now, &info))
			continue;
		if (is_wanted(&p->choice, &info.name) && !copy(p, r, &info))
			return;
		p->total++;
	}
	p->last = p->place >= end;
}

/* ---- On the control thread ------------------------------------------------------------------- */

/* The bytes move while they grow: pointers into them are set when all are there. */
static bool add(struct mf_cache_list *l, const struct found *f)
{
	char name[MF_DNS_TEXT_MAX];
	struct mf_cache_entry *e;
	size_t at = l->bytes.len;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;

		e = reallocarray(l->v, cap, sizeof(*e));
		if (!e)
			return false;
		l->v = e;
		l->cap = cap;
	}
	mf_dns_name_format(&f->info.name, name);
	mf_text_add(&l->bytes, name, strlen(name) + 1);
	mf_text_add(&l->bytes, (const char *)f->info.msg.p, f->info.msg.n);
	l->v[l->n++] = (struct mf_cache_entry){
		.at = at,
		.msg.n = f->info.msg.n,
		.server = f->server,
		.note = f->info.note,
		.type = f->info.type,
		.rcode = f->info.rcode,
		.key_flags = f->info.key_flags,
		.ttl_left = f->info.ttl_left,
		.hits = f->info.hits,
	};
	return !l->bytes.failed;
}

static void point(struct mf_cache_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct mf_cache_entry *e = &l->v[i];

		e->name = l->bytes.s + e->at;
		e->msg.p = (const uint8_t *)e->name + strlen(e->name) + 1;
	}
}

static int compare(const void *a, const void *b)
{
	const struct mf_cache_entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (x->hits != y->hits)
		return x->hits > y->hits ? -1 : 1;
	return order ? order : (int)x->type - (int)y->type;
}

bool mf_cache_list_read(struct mf_cache_list *l, struct mf_engine *e,
			const struct mf_cache_choice *choice, mf_nsec now)
{
	struct portion *p = calloc(1, sizeof(*p));
	bool ok = p != NULL;

	*l = (struct mf_cache_list){ 0 };
	if (ok) {
		p->choice = *choice;
		p->now = now;
	}
	while (ok && !p->last) {
		p->n = 0;
		p->used = 0;
		mf_engine_call(e, 0, fill, p, now);
		for (uint32_t i = 0; i < p->n && ok; i++)
			ok = add(l, &p->found[i]);
	}
	if (ok) {
		l->total = p->total;
		point(l);
		if (l->n)
			qsort(l->v, l->n, sizeof(*l->v), compare);
	} else {
		l->n = 0;
	}
	free(p);
	return ok;
}

void mf_cache_list_free(struct mf_cache_list *l)
{
	free(l->v);
	mf_text_free(&l->bytes);
}

/* ---- An answer ------------------------------------------------------------------------------- */

/* The CNAME of `name` in the answer section. */
static bool follow(struct mf_span msg, struct mf_dns_name *name)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	if (mf_dns_walk_begin(&w, msg))
		return false;
	while (mf_dns_walk_next(&w, &rr) && rr.section == MF_DNS_ANSWER) {
		struct mf_dns_name owner, target;
		size_t at = rr.name, to = rr.rdata;

		if (rr.type == MF_DNS_CNAME && !mf_dns_name_read(msg, &at, &owner) &&
		    mf_dns_name_equal(&owner, name) && !mf_dns_name_read(msg, &to, &target)) {
			*name = target;
			return true;
		}
	}
	return false;
}

void mf_cache_entry_cname(const struct mf_cache_entry *e, char out[MF_DNS_TEXT_MAX])
{
	struct mf_dns_facts f;
	struct mf_dns_name name;
	size_t at = MF_DNS_HEADER;

	*out = '\0';
	if (e->type == MF_DNS_CNAME || mf_dns_facts_read(e->msg, &f) || !f.n_cnames ||
	    mf_dns_name_read(e->msg, &at, &name))
		return;
	for (unsigned i = 0; i < f.n_cnames && follow(e->msg, &name); i++)
		;
	mf_dns_name_format(&name, out);
}
