/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lookup.h"

#include <stdlib.h>

#include "platform/resolve.h"

struct lookup {
	struct lookup *next, **prev; /* all of the main thread's */
	struct lookup *next_done;
	struct mf_lookups *all;
	mf_lookup_fn *fn;
	uint64_t tag;
	uint32_t hop;
	bool anyway;           /* ask the system if we cannot be asked */
	uint64_t id;           /* of the question to the system; 0: there is none */
	struct mf_found found; /* the worker's until it is done */
	char name[];
};

struct mf_lookups {
	struct mf_source source; /* of the system's resolver */
	struct mf_daemon *daemon;
	struct mf_system_resolver *system; /* NULL: not needed yet */
	uint64_t ids;
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

static struct lookup *make(struct mf_daemon *d, const char *name, uint32_t hop, mf_lookup_fn *done,
			   uint64_t tag)
{
	struct mf_lookups *l = d->lookups;
	size_t len = strlen(name) + 1;
	struct lookup *k = calloc(1, sizeof(*k) + len);

	if (!k)
		return NULL;
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
	return k;
}

static void ask_ours(struct lookup *k)
{
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { .fn = ask, .ctx = k } };

	mf_engine_order(k->all->daemon->engine, 0, &o);
}

static void drop(struct lookup *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	free(k);
}

static void finish(struct lookup *k)
{
	if (!k->found.n && !k->found.why)
		k->found.why = "its name cannot be resolved";
	k->fn(k->all->daemon, k->tag, k->name, &k->found);
	drop(k);
}

/* ---- The system's resolver ------------------------------------------------------------------- */

static struct lookup *asked_of_system(const struct mf_lookups *l, uint64_t id)
{
	struct lookup *k = l->list;

	while (k && k->id != id)
		k = k->next;
	return k;
}

static void system_answered(struct mf_daemon *d, struct mf_source *source, uint32_t events)
{
	struct mf_lookups *l = d->lookups;
	struct mf_resolved *r = malloc(sizeof(*r));

	(void)source;
	(void)events;
	while (r && mf_system_resolver_take(l->system, r)) {
		struct lookup *k = asked_of_system(l, r->tag);

		if (!k)
			continue;
		k->found = (struct mf_found){ .err = r->err, .why = r->why };
		k->found.n = mf_min(r->n, MF_LOOKUP_ADDRS);
		for (size_t i = 0; i < k->found.n; i++)
			k->found.addr[i] = r->addr[i].addr;
		finish(k);
	}
	free(r);
}

static bool open_system(struct mf_lookups *l)
{
	if (l->system)
		return true;
	l->system = mf_system_resolver_new();
	if (!l->system)
		return false;
	l->source = (struct mf_source){ mf_system_resolver_fd(l->system), system_answered };
	if (!mf_daemon_watch(l->daemon, &l->source, MF_POLL_READ))
		return true;
	mf_system_resolver_free(l->system);
	l->system = NULL;
	return false;
}

static void ask_system(struct lookup *k)
{
	struct mf_lookups *l = k->all;

	k->anyway = false;
	k->id = ++l->ids;
	if (open_system(l) && !mf_system_resolver_ask(l->system, k->name, 0, k->id))
		return;
	k->found.err = MF_E_AGAIN;
	k->found.why = "its name cannot be asked for now";
	push(k);
}

/* There is no DNS in the profile, or no server for this way. */
static bool is_for_system(const struct lookup *k)
{
	return k->anyway && (k->found.err == MF_E_UNSUPPORTED || k->found.err == MF_E_GONE);
}

/* ---- Questions and answers ------------------------------------------------------------------- */

mf_err mf_lookup(struct mf_daemon *d, const char *name, uint32_t hop, mf_lookup_fn *done, uint64_t tag)
{
	struct lookup *k;

	if (!d->workers_run)
		return MF_E_UNSUPPORTED;
	k = make(d, name, hop, done, tag);
	if (!k)
		return MF_E_NO_MEMORY;
	ask_ours(k);
	return MF_OK;
}

mf_err mf_lookup_anyway(struct mf_daemon *d, const char *name, uint32_t hop, mf_lookup_fn *done,
			uint64_t tag)
{
	struct lookup *k = make(d, name, hop, done, tag);

	if (!k)
		return MF_E_NO_MEMORY;
	k->anyway = true;
	if (d->workers_run)
		ask_ours(k);
	else
		ask_system(k);
	return MF_OK;
}

void mf_lookups_tick(struct mf_lookups *l)
{
	struct lookup *k = atomic_exchange(&l->done, NULL), *next;

	for (; k; k = next) {
		next = k->next_done;
		if (is_for_system(k))
			ask_system(k);
		else
			finish(k);
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
	if (l && l->system) {
		mf_daemon_unwatch(l->daemon, &l->source);
		mf_system_resolver_free(l->system);
	}
	free(l);
}
