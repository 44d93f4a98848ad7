/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/subscribe.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/bridge.h"
#include "daemon/copies.h"
#include "daemon/fetch.h"
#include "daemon/lookup.h"
#include "daemon/reload.h"
#include "daemon/set.h"
#include "daemon/sets.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "platform/thread.h"

enum { REDIRECTS_MAX = 5, AT_ONCE = 4 };

enum state { WAITING, ASKING, FETCHING };

/* One list. While it is FETCHING the part marked so is the thread's. */
struct sub {
	struct sub *next;
	struct mf_subscriptions *all;
	uint64_t id;
	bool domains; /* else of prefixes */
	char *name, *via, *url;
	uint32_t every;
	uint64_t max_bytes;
	bool lenient;
	char path[MF_COPY_PATH_MAX];
	bool wanted; /* while profiles are compared */
	bool has_copy, tried;
	enum state state;
	mf_nsec due, began;
	unsigned failures, redirects, turns;
	char at[MF_FETCH_URL_MAX + 1]; /* where redirects have led */
	struct mf_fetch_place place;
	uint32_t hop;
	struct mf_thread *thread;
	atomic_bool done, stop;
	/* The thread's. */
	struct mf_fetch fetch;
	char *ca_file, *profile, bridge[MF_BRIDGE_NAME_MAX];
	enum mf_fetch_result result;
	mf_err verdict; /* of a new list */
	struct mf_errbuf why;
};

struct mf_subscriptions {
	struct mf_daemon *daemon;
	struct sub *list;
	uint64_t ids;
};

/* ---- The thread ------------------------------------------------------------------------------ */

struct trial {
	const char *url, *path;
};

static const char *trial_path(void *ctx, const char *tunnel, const char *url,
			      char out[MF_CONFIG_COPY_MAX])
{
	const struct trial *t = ctx;

	return strcmp(url, t->url) ? mf_copy_path(tunnel, url, out) : t->path;
}

/* Prefixes are part of the profile, which may contradict them: it is loaded as it would be with
 * them. */
static mf_err try_prefixes(struct sub *k)
{
	char path[MF_COPY_PATH_MAX + 8], facts[MF_COPY_PATH_MAX + 16];
	struct trial trial = { k->url, path };
	struct mf_config_errors errors = { 0 };
	struct mf_config *cfg = NULL;
	struct mf_text said = { 0 };
	mf_err err;

	snprintf(path, sizeof(path), "%s.trial", k->path);
	snprintf(facts, sizeof(facts), "%s.facts", path);
	err = mf_copy_write(path, mf_span(k->fetch.text, k->fetch.n), &k->fetch.facts, &k->why);
	if (err)
		return err;
	err = mf_config_load_copies(k->profile, trial_path, &trial, &cfg, &errors);
	if (err) {
		mf_config_errors_print(&errors, &said);
		(void)mf_fail(&k->why, err, "the profile cannot take it: %.*s",
			      said.s ? (int)strcspn(said.s, "\n") : 0, said.s ? said.s : "");
	}
	mf_text_free(&said);
	mf_config_errors_free(&errors);
	mf_config_free(cfg);
	(void)unlink(path);
	(void)unlink(facts);
	return err;
}

static void run(void *arg)
{
	struct sub *k = arg;
	struct mf_fetch *f = &k->fetch;
	struct mf_span text;

	k->result = mf_fetch(f, &k->why);
	f->facts.fetched = mf_clock_wall().sec;
	text = mf_span(f->text ? f->text : "", f->n);
	if (k->result == MF_FETCH_NEW) {
		k->verdict = mf_set_judge(text, k->domains, k->lenient, &k->why);
		if (!k->verdict && !k->domains)
			k->verdict = try_prefixes(k);
		if (!k->verdict)
			k->verdict = mf_copy_write(k->path, text, &f->facts, &k->why);
	} else if (k->result == MF_FETCH_SAME) {
		f->have.fetched = f->facts.fetched;
		/* If that fails it is asked for again after the next start. */
		(void)!mf_copy_write(k->path, (struct mf_span){ 0 }, &f->have, NULL);
	}
	free(f->text);
	f->text = NULL;
	atomic_store(&k->done, true);
	mf_poller_wake(k->all->daemon->poller);
}

/* ---- Ways ------------------------------------------------------------------------------------ */

static const char *hop_name(const struct mf_subscriptions *s, uint32_t hop)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(s->daemon->engine);

	return hop < snap->n_hops ? snap->hop[hop].name : "?";
}

/* The interface that the server is reached through; with app routing off its address decides,
 * once it is known. */
static uint32_t choose_hop(const struct sub *k)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(k->all->daemon->engine);
	const struct mf_name_rule *rule = NULL;
	char host[sizeof(k->place.host)];
	size_t n = strlen(k->place.host);

	if (k->via)
		return mf_snapshot_hop_named(snap, k->via);
	for (size_t i = 0; i <= n; i++)
		host[i] = (char)(k->place.host[i] |
				 (k->place.host[i] >= 'A' && k->place.host[i] <= 'Z' ? 0x20 : 0));
	if (snap->names)
		rule = mf_names_find(snap->names, host, n);
	if (rule)
		return rule->hop;
	return k->all->daemon->config->app_routing.enabled ? MF_HOP_ID_DIRECT : MF_HOP_ID_NONE;
}

/* ---- Results --------------------------------------------------------------------------------- */

static void wait(struct sub *k, mf_nsec after)
{
	k->state = WAITING;
	k->tried = true;
	k->due = mf_clock_now() + after;
}

static void failed(struct sub *k, const char *why)
{
	struct mf_rng rng = mf_random();
	mf_nsec after = mf_subscription_retry(k->every, ++k->failures, &rng);

	mf_logf(&k->all->daemon->log, MF_LOG_WARN, "list %s: %s: %s; %s; trying again in %llu s",
		k->name, k->place.shown, why,
		k->has_copy ? "the copy stays in force" : "there is no copy",
		(unsigned long long)(after / MF_SEC));
	wait(k, after);
}

static void succeeded(struct sub *k)
{
	struct mf_rng rng = mf_random();

	k->failures = 0;
	wait(k, mf_subscription_every(k->every, &rng));
}

/* Whoever has this list, as there may be several. */
static void spread(struct sub *k)
{
	struct mf_subscriptions *s = k->all;

	for (struct sub *o = s->list; o; o = o->next) {
		if (strcmp(o->path, k->path) != 0)
			continue;
		o->has_copy = true;
		if (o->domains)
			mf_sets_refresh(s->daemon->sets, o->name);
		else
			mf_reload_soon(s->daemon, "there is another list of a CIDR set");
	}
}

static void ask(struct sub *k);

static void follow(struct sub *k)
{
	bool tls = k->place.tls;
	struct mf_errbuf why;

	if (++k->redirects > REDIRECTS_MAX) {
		failed(k, "it is always somewhere else");
		return;
	}
	strcpy(k->at, k->fetch.moved);
	if (mf_fetch_place(k->at, &k->place, &why))
		failed(k, why.text);
	else if (tls && !k->place.tls)
		failed(k, "the server sends us on to where nothing is encrypted");
	else
		ask(k);
}

static void finish(struct sub *k)
{
	const struct mf_log *log = &k->all->daemon->log;
	mf_nsec took = mf_clock_now() - k->began;

	mf_thread_join(k->thread);
	k->thread = NULL;
	k->state = WAITING;
	switch (k->result) {
	case MF_FETCH_NEW:
		if (k->verdict) {
			failed(k, k->why.text);
			break;
		}
		mf_logf(log, MF_LOG_INFO, "list %s: %s: %zu KiB through %s in %llu ms", k->name,
			k->place.shown, (k->fetch.n + 1023) >> 10, hop_name(k->all, k->hop),
			(unsigned long long)(took / MF_MSEC));
		succeeded(k);
		spread(k);
		break;
	case MF_FETCH_SAME:
		mf_logf(log, MF_LOG_INFO, "list %s: %s: it has not changed", k->name, k->place.shown);
		succeeded(k);
		break;
	case MF_FETCH_MOVED:
		follow(k);
		break;
	case MF_FETCH_FAILED:
		failed(k, k->why.text);
		break;
	}
}

/* ---- A fetch --------------------------------------------------------------------------------- */

static bool set_text(char **to, const char *text)
{
	free(*to);
	*to = text ? strdup(text) : NULL;
	return !text || *to;
}

static void begin(struct sub *k, const struct mf_addr *addr)
{
	struct mf_daemon *d = k->all->daemon;
	struct mf_target to = { .addr = { .addr = *addr, .port = k->place.port } };

	if (k->hop == MF_HOP_ID_NONE)
		k->hop = mf_route_table_lookup(mf_engine_routes(d->engine), addr);
	if (k->hop == MF_HOP_ID_NONE)
		k->hop = MF_HOP_ID_DIRECT;
	k->fetch = (struct mf_fetch){
		.url = k->at,
		.bridge = k->bridge,
		.max_bytes = k->max_bytes,
		.stop = &k->stop,
	};
	if (!mf_copy_facts(k->path, &k->fetch.have))
		k->fetch.have = (struct mf_copy_facts){ 0 };
	if (!set_text(&k->ca_file, d->config->dns.ca_path) ||
	    !set_text(&k->profile, d->options.profile)) {
		failed(k, "not enough memory");
		return;
	}
	k->fetch.ca_file = k->ca_file;
	if (!mf_bridge_open(d, k->hop, &to, NULL, k->bridge)) {
		failed(k, "no connection can be made now");
		return;
	}
	atomic_store(&k->done, false);
	k->state = FETCHING;
	k->thread = mf_thread_start("mf-list", -1, run, k);
	if (!k->thread)
		failed(k, "no thread can be started now");
}

static struct sub *asking(const struct mf_subscriptions *s, uint64_t id, const char *name)
{
	for (struct sub *k = s->list; k; k = k->next)
		if (k->id == id && k->state == ASKING && !strcmp(k->place.host, name))
			return k;
	return NULL;
}

/* Another one each time, as the one before may not answer. */
static void take_address(struct sub *k, const struct mf_addr *addr, size_t n, const char *why)
{
	if (n)
		begin(k, &addr[k->turns++ % n]);
	else
		failed(k, why);
}

static void found(struct mf_daemon *d, uint64_t tag, const char *name, const struct mf_found *found)
{
	struct sub *k = asking(d->subscriptions, tag, name);

	if (k)
		take_address(k, found->addr, found->n, found->why);
}

static void ask(struct sub *k)
{
	struct mf_daemon *d = k->all->daemon;
	struct mf_addr literal;
	mf_err err;

	k->state = ASKING;
	k->began = mf_clock_now();
	k->hop = choose_hop(k);
	if (k->hop == MF_HOP_ID_DROP || k->hop == MF_HOP_ID_REJECT) {
		failed(k, "the profile routes its name to nowhere; name an interface with `via`");
		return;
	}
	if (!mf_addr_parse(&literal, k->place.host)) {
		begin(k, &literal);
		return;
	}
	err = mf_lookup_anyway(d, k->place.host, k->via ? k->hop : 0, found, k->id);
	if (err)
		failed(k, mf_err_text(err));
}

static bool may_start(const struct mf_subscriptions *s, const struct sub *k)
{
	unsigned n = 0;

	for (const struct sub *o = s->list; o; o = o->next) {
		if (o->state != WAITING && o != k && !strcmp(o->path, k->path))
			return false; /* it is on its way */
		n += o->state != WAITING;
	}
	return n < AT_ONCE;
}

mf_nsec mf_subscriptions_tick(struct mf_subscriptions *s, mf_nsec now)
{
	mf_nsec next = MF_NEVER;

	for (struct sub *k = s->list; k; k = k->next) {
		if (k->state == FETCHING && atomic_load(&k->done))
			finish(k);
		if (k->state == WAITING && k->due <= now && s->daemon->workers_run &&
		    may_start(s, k)) {
			struct mf_errbuf why;

			k->redirects = 0;
			strcpy(k->at, k->url);
			if (mf_fetch_place(k->at, &k->place, &why))
				failed(k, why.text);
			else
				ask(k);
		}
		/* One that is due and may not start is looked at when another one ends. */
		if (k->state == WAITING && k->due > now)
			next = mf_min(next, k->due);
	}
	return next;
}

bool mf_subscriptions_missing(const struct mf_subscriptions *s)
{
	for (const struct sub *k = s->list; k; k = k->next)
		if (!k->has_copy && !k->tried)
			return true;
	return false;
}

void mf_subscriptions_network_changed(struct mf_subscriptions *s)
{
	mf_nsec soon = mf_clock_now() + 2 * MF_SEC;

	for (struct sub *k = s->list; k; k = k->next)
		if (k->state == WAITING && k->failures)
			k->due = mf_min(k->due, soon);
}

/* ---- Profiles -------------------------------------------------------------------------------- */

static void free_sub(struct sub *k)
{
	atomic_store(&k->stop, true);
	mf_thread_join(k->thread);
	free(k->name);
	free(k->via);
	free(k->url);
	free(k->ca_file);
	free(k->profile);
	free(k);
}

static struct sub *find(struct mf_subscriptions *s, bool domains, const char *name, const char *url)
{
	for (struct sub *k = s->list; k; k = k->next)
		if (k->domains == domains && !strcmp(k->name, name) && !strcmp(k->url, url))
			return k;
	return NULL;
}

static struct sub *add(struct mf_subscriptions *s, bool domains, const char *name,
		       const struct mf_config_subscription *c)
{
	struct sub *k = calloc(1, sizeof(*k));
	struct mf_rng rng = mf_random();
	struct mf_copy_facts facts;

	if (!k)
		return NULL;
	k->all = s;
	k->id = ++s->ids;
	k->domains = domains;
	if (!set_text(&k->name, name) || !set_text(&k->url, c->url) ||
	    !mf_copy_path(s->daemon->config->tunnel.name, c->url, k->path)) {
		free_sub(k);
		return NULL;
	}
	k->has_copy = mf_copy_facts(k->path, &facts);
	k->due = k->has_copy ? mf_clock_now() + mf_subscription_left(c->every, facts.fetched,
								     mf_clock_wall().sec, &rng)
			     : 0;
	k->next = s->list;
	s->list = k;
	return k;
}

static void take_up(struct mf_subscriptions *s, bool domains, const char *name, bool lenient,
		    const struct mf_config_subscription *c)
{
	struct sub *k;

	if (!c->url)
		return;
	k = find(s, domains, name, c->url);
	if (!k)
		k = add(s, domains, name, c);
	if (!k || !set_text(&k->via, c->via)) {
		mf_logf(&s->daemon->log, MF_LOG_ERROR, "list %s: not enough memory", name);
		return;
	}
	k->wanted = true;
	k->every = c->every;
	k->max_bytes = c->max_bytes;
	if (k->state != FETCHING)
		k->lenient = lenient;
}

static void end_others(struct mf_subscriptions *s)
{
	struct sub **at = &s->list, *k;

	while ((k = *at)) {
		if (k->wanted) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		free_sub(k);
	}
}

static void make_ready(struct mf_subscriptions *s)
{
	struct mf_errbuf why;

	if (mf_copies_open(s->daemon->config->tunnel.name, &why))
		mf_logf(&s->daemon->log, MF_LOG_WARN, "lists: %s: no copies are kept", why.text);
}

void mf_subscriptions_follow(struct mf_subscriptions *s)
{
	const struct mf_config *cfg = s->daemon->config;

	for (struct sub *k = s->list; k; k = k->next)
		k->wanted = false;
	for (uint32_t i = 0; i < cfg->n_domain_sets; i++) {
		const struct mf_config_domain_set *c = &cfg->domain_sets[i];

		take_up(s, true, c->name, c->lenient, &c->subscription);
	}
	for (uint32_t i = 0; i < cfg->n_cidr_sets; i++) {
		const struct mf_config_cidr_set *c = &cfg->cidr_sets[i];

		take_up(s, false, c->name, c->lenient, &c->subscription);
	}
	end_others(s);
	if (s->list)
		make_ready(s);
}

struct mf_subscriptions *mf_subscriptions_new(struct mf_daemon *d)
{
	struct mf_subscriptions *s = calloc(1, sizeof(*s));

	if (s)
		s->daemon = d;
	return s;
}

void mf_subscriptions_free(struct mf_subscriptions *s)
{
	if (!s)
		return;
	for (struct sub *k = s->list; k; k = k->next)
		k->wanted = false;
	end_others(s);
	free(s);
}
