/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lookup.h"

#include <stdlib.h>

struct lookup {
	struct lookup *next, **prev; /* all of the main thread's */
	struct lookup *next_done;
	struct mf_lookups *all;
	mf_lookup_fn *fn;
	uint64_t tag;
	uint32_t hop;
	struct mf_found found; /* the worker's until it is done */
	char name[];
};

struct mf_lookups {
	struct mf_daemon *daemon;
	struct lookup *list;
	_Atomic(struct lookup *) done; /* the last first */
};

/* ---- The worker's thread --------------------------------------------------------------------- */

static void push(struct lookup *k)
{
	struct mf_lookups *l = k->all;

	k->next_done = atomic_load(&l->done);
	while (!atomic_compare_exchange_weak(&l->done, &k->next_done, k))
		continue;
	mf_poller_wake(l->daemon->poller);
}

static void answered(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now)
{
	struct lookup *k = ctx;

	(void)now;
	k->found.n = mf_min(n, MF_LOOKUP_ADDRS);
	memcpy(k->found.addr, addr, k->found.n * sizeof(*addr));
	k->found.err = k->found.n ? MF_OK : MF_E_NOT_FOUND;
	push(k);
}

static void ask(struct mf_worker *w, void *ctx)
{
	struct lookup *k = ctx;

	k->found.err =
		mf_resolver_lookup(w->dns->resolver, k->name, k->hop, answered, k, w->graph.now);
	w->dns->due = true;
	if (k->found.err)
		push(k);
}

/* ---- The main thread ------------------------------------------------------------------------- */

mf_err mf_lookup(struct mf_daemon *d, const char *name, uint32_t hop, mf_lookup_fn *done, uint64_t tag)
{
	struct mf_lookups *l = d->lookups;
	size_t len = strlen(name) + 1;
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { .fn = ask } };
	struct lookup *k;

	if (!d->workers_run)
		return MF_E_UNSUPPORTED;
	k = calloc(1, sizeof(*k) + len);
	if (!k)
		return MF_E_NO_MEMORY;
	memcpy(k->name, name, len);
	k->all = l;
	k->fn = done;
	k->tag = tag;
	k->hop = hop;
	k->next = l->list;
	k->prev = &l->list;
	if (k->next)
		k->next->prev = &k->next;
	l->list = k;
	o.call.ctx = k;
	mf_engine_order(d->engine, 0, &o);
	return MF_OK;
}

static void drop(struct lookup *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	free(k);
}

void mf_lookups_tick(struct mf_lookups *l)
{
	struct lookup *k = atomic_exchange(&l->done, NULL), *next;

	for (; k; k = next) {
		next = k->next_done;
		k->fn(l->daemon, k->tag, k->name, &k->found);
		drop(k);
	}
}

struct mf_lookups *mf_lookups_new(struct mf_daemon *d)
{
	struct mf_lookups *l = calloc(1, sizeof(*l));

	if (l)
		l->daemon = d;
	return l;
}

void mf_lookups_free(struct mf_lookups *l)
{
	while (l && l->list)
		drop(l->list);
	free(l);
}
