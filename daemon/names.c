/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/names.h"

#include <stdlib.h>

#include "daemon/lookup.h"
#include "platform/clock.h"
#include "platform/resolve.h"

/* Seconds between questions about a name that has no address: doubles. For a proxy apps are waiting. */
enum { RETRY_FIRST = 1, RETRY_MAX = 60, RETRY_MAX_PROXY = 8 };

enum { ADDRS_MAX = 16 };
static_assert((int)MF_LOOKUP_ADDRS <= ADDRS_MAX && (int)MF_RESOLVE_MAX <= ADDRS_MAX, "all fit");

enum state { IDLE, WANTED, ASKED };

struct entry {
	struct entry *next;
	uint64_t tag; /* the engine's: which peer or proxy */
	enum state state;
	mf_nsec due;      /* WANTED: when to ask */
	unsigned retry;   /* seconds until the next question after a failure; 0: none failed */
	unsigned answers; /* so far: which address is next */
	bool system;      /* the system's resolver is asked next, as ours has failed */
	uint16_t port;
	char name[];
};

struct mf_endpoint_names {
	struct mf_source source; /* first */
	struct mf_daemon *daemon;
	struct mf_system_resolver *resolver;
	struct entry *list;
};

static struct entry *find(struct mf_endpoint_names *n, uint64_t tag)
{
	for (struct entry *e = n->list; e; e = e->next)
		if (e->tag == tag)
			return e;
	return NULL;
}

static struct entry *add(struct mf_endpoint_names *n, const char *name, uint16_t port, uint64_t tag)
{
	size_t len = strlen(name) + 1;
	struct entry *e = calloc(1, sizeof(*e) + len);

	if (!e)
		return NULL;
	memcpy(e->name, name, len);
	e->port = port;
	e->tag = tag;
	e->next = n->list;
	n->list = e;
	return e;
}

static void drop(struct mf_endpoint_names *n, struct entry *gone)
{
	struct entry **at = &n->list;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone);
}

void mf_endpoint_names_resolve(void *ctx, const char *name, uint16_t port, uint64_t tag)
{
	struct mf_daemon *d = ctx;
	struct mf_endpoint_names *n = d->names;
	struct entry *e = n ? find(n, tag) : NULL;
	mf_nsec now = mf_clock_now();

	if (e && (strcmp(e->name, name) != 0 || e->port != port)) {
		drop(n, e); /* an answer under way finds no entry of this name */
		e = NULL;
	}
	if (!e && n)
		e = add(n, name, port, tag);
	if (!e)
		return;
	if (e->state == IDLE || (e->state == WANTED && !e->retry)) {
		e->state = WANTED;
		e->due = 0;
	} else if (e->state == WANTED && e->due > now && mf_engine_asks_for_proxy(tag)) {
		/* The last answer holds until the next question: whoever waits for it would do so in vain. */
		mf_engine_resolved(d->engine, tag, NULL, 0, now);
	}
}

static void failed(struct mf_endpoint_names *n, struct entry *e, const char *why, mf_nsec now)
{
	unsigned most = mf_engine_asks_for_proxy(e->tag) ? RETRY_MAX_PROXY : RETRY_MAX;

	mf_engine_resolved(n->daemon->engine, e->tag, NULL, 0, now);
	if (!e->retry)
		mf_logf(&n->daemon->log, MF_LOG_WARN,
			"endpoint %s: cannot be resolved: %s; trying again", e->name, why);
	e->retry = e->retry ? (unsigned)mf_min(e->retry * 2, most) : RETRY_FIRST;
	e->state = WANTED;
	e->due = now + e->retry * MF_SEC;
}

/* Each time another address comes first. */
static void succeeded(struct mf_endpoint_names *n, struct entry *e, const struct mf_endpoint *found,
		      size_t n_found, mf_nsec now)
{
	struct mf_endpoint addr[ADDRS_MAX];
	char text[MF_ENDPOINT_STRLEN];

	for (size_t i = 0; i < n_found; i++)
		addr[i] = found[(e->answers + i) % n_found];
	e->answers++;
	e->retry = 0;
	e->state = IDLE;
	e->system = false;
	mf_logf(&n->daemon->log, MF_LOG_INFO, "endpoint %s is %s", e->name,
		mf_endpoint_format(&addr[0], text));
	mf_engine_resolved(n->daemon->engine, e->tag, addr, n_found, now);
}

static struct entry *asked(struct mf_endpoint_names *n, uint64_t tag, const char *name)
{
	struct entry *e = find(n, tag);

	return e && e->state == ASKED && !strcmp(e->name, name) ? e : NULL;
}

/* ---- Our own resolver ------------------------------------------------------------------------ */

/* Once the machine's routes lead into the tunnel, so may the questions of the system's resolver,
 * or it is pointed at us. Outside every VPN: what leads into one cannot be asked of somebody in
 * it. */
static bool has_servers(const struct mf_config *cfg)
{
	return cfg->dns.enabled &&
	       (cfg->app_routing.enabled ? cfg->dns.direct_servers.n : cfg->dns.servers.n);
}

static bool asks_itself(const struct mf_daemon *d)
{
	return d->workers_run && has_servers(d->config);
}

/* Who needs a proxy may have a system's resolver that does not tell the truth about it. */
static bool waits_for_workers(const struct mf_endpoint_names *n, const struct entry *e)
{
	return !n->daemon->workers_run && has_servers(n->daemon->config) &&
	       mf_engine_asks_for_proxy(e->tag);
}

static void found(struct mf_daemon *d, uint64_t tag, const char *name, const struct mf_found *f)
{
	struct entry *e = asked(d->names, tag, name);
	struct mf_endpoint addr[ADDRS_MAX];

	if (!e)
		return;
	if (!f->n) {
		e->system = true;
		failed(d->names, e, "the servers of `dns` know no address of it", mf_clock_now());
		return;
	}
	for (size_t i = 0; i < f->n; i++)
		addr[i] = (struct mf_endpoint){ .addr = f->addr[i], .port = e->port };
	succeeded(d->names, e, addr, f->n, mf_clock_now());
}

/* ---- The system's ---------------------------------------------------------------------------- */

static void answered(struct mf_endpoint_names *n, const struct mf_resolved *r, mf_nsec now)
{
	struct entry *e = asked(n, r->tag, r->name);

	if (!e)
		return;
	e->system = false;
	if (r->err || !r->n)
		failed(n, e, r->why ? r->why : mf_err_text(r->err), now);
	else
		succeeded(n, e, r->addr, r->n, now);
}

/* MF_E_FULL: not now. */
static mf_err ask(struct mf_endpoint_names *n, struct entry *e)
{
	mf_err err = MF_E_UNSUPPORTED;

	if (!e->system && asks_itself(n->daemon))
		err = mf_lookup(n->daemon, e->name, MF_HOP_ID_DIRECT, found, e->tag);
	return err ? mf_system_resolver_ask(n->resolver, e->name, e->port, e->tag) : MF_OK;
}

mf_nsec mf_endpoint_names_tick(struct mf_endpoint_names *n, mf_nsec now)
{
	mf_nsec next = MF_NEVER;

	for (struct entry *e = n->list; e; e = e->next) {
		mf_err err;

		if (e->state != WANTED || waits_for_workers(n, e))
			continue;
		if (e->due > now) {
			next = mf_min(next, e->due);
			continue;
		}
		err = ask(n, e);
		if (err == MF_E_FULL)
			return next; /* an answer under way calls us again */
		e->state = err ? IDLE : ASKED;
		if (err)
			mf_logf(&n->daemon->log, MF_LOG_WARN,
				"endpoint %s: not a name that can be asked for", e->name);
	}
	return next;
}

static void ready(struct mf_daemon *d, struct mf_source *s, uint32_t events)
{
	struct mf_endpoint_names *n = d->names;
	struct mf_resolved *r = malloc(sizeof(*r));

	(void)s;
	(void)events;
	while (r && mf_system_resolver_take(n->resolver, r))
		answered(n, r, mf_clock_now());
	free(r);
}

struct mf_endpoint_names *mf_endpoint_names_new(struct mf_daemon *d)
{
	struct mf_endpoint_names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->daemon = d;
	n->resolver = mf_system_resolver_new();
	if (!n->resolver) {
		free(n);
		return NULL;
	}
	n->source.fd = mf_system_resolver_fd(n->resolver);
	n->source.ready = ready;
	if (mf_daemon_watch(d, &n->source, MF_POLL_READ)) {
		mf_system_resolver_free(n->resolver);
		free(n);
		return NULL;
	}
	return n;
}

void mf_endpoint_names_free(struct mf_endpoint_names *n)
{
	if (!n)
		return;
	mf_daemon_unwatch(n->daemon, &n->source);
	mf_system_resolver_free(n->resolver);
	while (n->list)
		drop(n, n->list);
	free(n);
}

bool mf_endpoint_names_pending(const struct mf_endpoint_names *n)
{
	for (const struct entry *e = n->list; e; e = e->next)
		if (e->state != IDLE && !e->retry && !e->answers && !waits_for_workers(n, e))
			return true;
	return false;
}

void mf_endpoint_names_network_changed(struct mf_endpoint_names *n)
{
	for (struct entry *e = n->list; e; e = e->next) {
		e->retry = 0;
		e->answers = 0;
		e->due = 0;
	}
}

void mf_endpoint_names_forget(struct mf_endpoint_names *n)
{
	for (struct entry *e = n->list, *next; e; e = next) {
		next = e->next;
		if (e->state == IDLE || !mf_engine_asks(n->daemon->engine, e->tag))
			drop(n, e);
	}
}
