/* SPDX-License-Identifier: Apache-2.0
 *
 * A proxy is given the name in the URL as it is. For everything else the name is asked for first,
 * through the interface as far as our own resolver can, and its addresses are tried in turn.
 */
#include "daemon/prober.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/control.h"
#include "control/probe.h"
#include "daemon/bridge.h"
#include "daemon/fetch.h"
#include "daemon/lookup.h"
#include "daemon/visit.h"
#include "platform/clock.h"
#include "platform/thread.h"

enum state { IDLE, ASKING, VISITING };

struct mf_prober {
	struct mf_daemon *daemon;
	enum state state;
	uint64_t id; /* of this test: answers to earlier ones are not for it */
	bool unwanted;
	uint32_t hop;
	bool proxy; /* what the hop is */
	char interface[16];
	char url[MF_FETCH_URL_MAX + 1];
	struct mf_fetch_place place;
	struct mf_addr addr[MF_LOOKUP_ADDRS]; /* of the URL's host; n 0: it goes by name */
	size_t n, tried;
	mf_nsec began, resolved; /* the latter 0: there was nothing to resolve */
	struct mf_endpoint to;
	struct mf_bridge_story story; /* the worker's while a bridge is open */
	char bridge[MF_BRIDGE_NAME_MAX];
	char *ca_file;
	struct mf_thread *thread;
	atomic_bool done, stop;
	struct mf_visit visit; /* the thread's while it runs */
};

/* ---- What came of it ------------------------------------------------------------------------- */

static void add(struct mf_probe *r, const char *what, mf_nsec from, mf_nsec to)
{
	if (r->n < MF_PROBE_STAGES_MAX)
		r->stage[r->n++] = (struct mf_probe_stage){ what, to > from ? to - from : 0 };
}

/* Until bytes could be written. */
static void tell_way(const struct mf_prober *p, struct mf_probe *r)
{
	const struct mf_bridge_story *s = &p->story;
	mf_nsec at = s->began;

	if (p->proxy)
		r->server = s->steps.server;
	else if (s->opened)
		r->server = p->to;
	if (p->resolved)
		add(r, "resolve", p->began, p->resolved);
	/* Addresses that did not answer are part of it. */
	if (!p->proxy && s->opened)
		add(r, "connect", p->resolved ? p->resolved : s->began, s->opened);
	for (unsigned i = 0; i < s->steps.n; i++) {
		add(r, s->steps.step[i].what, at, at + s->steps.step[i].took);
		at += s->steps.step[i].took;
	}
}

static void tell_visit(const struct mf_prober *p, struct mf_probe *r)
{
	const struct mf_visit *v = &p->visit;
	mf_nsec at = p->story.opened;

	if (v->secured) {
		add(r, "target tls", at, v->secured);
		at = v->secured;
	}
	if (!v->first)
		return;
	add(r, "first byte", at, v->first);
	if (v->good)
		add(r, "download", v->first, v->ended);
	r->status = v->status;
	r->bytes = v->bytes;
	r->download = v->ended - v->first;
	r->cut = v->cut;
}

static const char *failed_stage(const struct mf_prober *p)
{
	if (!p->story.opened && p->story.steps.fault == MF_PROXY_NAME)
		return "resolve";
	if (!p->story.opened)
		return p->story.steps.failed ? p->story.steps.failed : "connect";
	if (p->place.tls && !p->visit.secured)
		return "target tls";
	return p->visit.first ? "download" : "first byte";
}

/* The proxy's fault says most, then why the connection has ended, then what that has led to. */
static void tell_failure(const struct mf_prober *p, struct mf_probe *r)
{
	const struct mf_bridge_story *s = &p->story;

	r->failed = failed_stage(p);
	r->fault = s->steps.fault;
	r->detail = s->steps.detail;
	if (s->steps.fault)
		r->why = mf_proxy_fault_text(s->steps.fault);
	else if (s->error)
		r->why = mf_stream_error_text(s->error);
	else if (p->visit.silent)
		r->why = p->proxy ? "the connection has ended without an answer; the target has "
				    "closed it, or the proxy cannot reach it"
				  : "the connection has ended without an answer";
	else
		r->why = p->visit.why;
}

static void answer(struct mf_prober *p, const struct mf_probe *r)
{
	p->state = IDLE;
	if (!p->unwanted)
		mf_control_probed(p->daemon->control, r);
}

static void nowhere_to_go(struct mf_prober *p, const char *why)
{
	answer(p, &(struct mf_probe){
			  .interface = p->interface,
			  .url = p->place.shown,
			  .total = mf_clock_now() - p->began,
			  .failed = "resolve",
			  .why = why,
		  });
}

/* ---- The visit ------------------------------------------------------------------------------- */

static void run(void *arg)
{
	struct mf_prober *p = arg;

	mf_visit(&p->visit);
	atomic_store(&p->done, true);
	mf_poller_wake(p->daemon->poller);
}

/* It could not even begin: told as all else is, later. */
static void fail(struct mf_prober *p, const char *why)
{
	(void)snprintf(p->visit.why, sizeof(p->visit.why), "%s", why);
	p->visit.ended = mf_clock_now();
	atomic_store(&p->done, true);
	mf_poller_wake(p->daemon->poller);
}

/* To the next address, or by name. */
static void visit(struct mf_prober *p)
{
	struct mf_target to = { .addr.port = p->place.port };

	if (p->n)
		to.addr.addr = p->addr[p->tried++];
	else
		to.name = p->place.host;
	p->to = to.addr;
	p->story = (struct mf_bridge_story){ 0 };
	p->visit = (struct mf_visit){
		.url = p->url,
		.bridge = p->bridge,
		.ca_file = p->ca_file,
		.stop = &p->stop,
	};
	p->state = VISITING;
	atomic_store(&p->done, false);
	atomic_store(&p->stop, false);
	if (!mf_bridge_open(p->daemon, p->hop, &to, &p->story, p->bridge)) {
		fail(p, "no connection can be made now");
		return;
	}
	p->thread = mf_thread_start("mf-test", -1, run, p);
	if (!p->thread)
		fail(p, "no thread can be started now");
}

static void finish(struct mf_prober *p)
{
	struct mf_probe r = { .interface = p->interface, .url = p->place.shown };

	mf_thread_join(p->thread);
	p->thread = NULL;
	mf_bridge_end(p->daemon, &p->story);
	if (!p->visit.good && !p->story.opened && p->tried < p->n && !p->unwanted) {
		visit(p);
		return;
	}
	tell_way(p, &r);
	tell_visit(p, &r);
	if (!p->visit.good)
		tell_failure(p, &r);
	r.total = p->visit.ended - p->began;
	answer(p, &r);
}

void mf_prober_tick(struct mf_prober *p)
{
	if (p->state == VISITING && atomic_load(&p->done))
		finish(p);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static void found(struct mf_daemon *d, uint64_t tag, const char *name, const struct mf_found *found)
{
	struct mf_prober *p = d->prober;

	(void)name;
	if (p->state != ASKING || tag != p->id)
		return;
	p->resolved = mf_clock_now();
	p->n = found->n;
	memcpy(p->addr, found->addr, found->n * sizeof(p->addr[0]));
	if (p->n)
		visit(p);
	else
		nowhere_to_go(p, found->why);
}

/* A name for what is no proxy has to become an address. */
static mf_err ask(struct mf_prober *p, struct mf_errbuf *eb)
{
	mf_err err = mf_lookup_anyway(p->daemon, p->place.host, p->hop, found, p->id);

	if (err)
		return mf_fail(eb, err, "%s", mf_err_text(err));
	p->state = ASKING;
	return MF_OK;
}

static mf_err prepare(struct mf_prober *p, uint32_t hop, const char *url, struct mf_errbuf *eb)
{
	const struct mf_next_hop *h = &mf_engine_snapshot(p->daemon->engine)->hop[hop];
	const char *ca_file = p->daemon->config->dns.ca_path;
	mf_err err = mf_fetch_place(url, &p->place, eb);

	if (err)
		return err;
	free(p->ca_file);
	p->ca_file = ca_file ? strdup(ca_file) : NULL;
	if (ca_file && !p->ca_file)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	strcpy(p->url, url); /* no URL is longer */
	memcpy(p->interface, h->name, sizeof(p->interface));
	p->hop = hop;
	p->proxy = h->proxy != NULL;
	p->id++;
	p->n = p->tried = 0;
	p->resolved = 0;
	p->unwanted = false;
	p->began = mf_clock_now();
	return MF_OK;
}

mf_err mf_prober_begin(struct mf_prober *p, uint32_t hop, const char *url, struct mf_errbuf *eb)
{
	mf_err err;

	if (p->state != IDLE)
		return mf_fail(eb, MF_E_EXISTS, "another test is running");
	err = prepare(p, hop, url, eb);
	if (err)
		return err;
	if (!mf_addr_parse(&p->addr[0], p->place.host))
		p->n = 1;
	else if (!p->proxy)
		return ask(p, eb);
	visit(p);
	return MF_OK;
}

void mf_prober_end(struct mf_prober *p)
{
	p->unwanted = true;
	if (p->state == ASKING)
		p->state = IDLE;
	if (p->state != VISITING)
		return;
	atomic_store(&p->stop, true);
	mf_bridge_end(p->daemon, &p->story);
}

struct mf_prober *mf_prober_new(struct mf_daemon *d)
{
	struct mf_prober *p = calloc(1, sizeof(*p));

	if (p)
		p->daemon = d;
	return p;
}

void mf_prober_free(struct mf_prober *p)
{
	if (!p)
		return;
	atomic_store(&p->stop, true);
	mf_thread_join(p->thread);
	free(p->ca_file);
	free(p);
}
