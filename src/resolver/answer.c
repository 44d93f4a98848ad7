/* SPDX-License-Identifier: Apache-2.0
 *
 * answer - what becomes of what an upstream says: checked, stripped, kept, learned, and handed to
 * all who wait.
 */
#include "resolver/state.h"

#include <stdio.h>

/* ---- Learned routes -------------------------------------------------------------------------- */

static void conflict(struct mf_resolver *r, const struct mf_addr *a, const char *name,
		     const char *winner)
{
	char text[MF_ADDR_STRLEN];

	mf_logf_limited(&r->port.log, &r->conflict_limit, r->now, MF_LOG_INFO,
			"dns: %s is an address of %s and of %s, which have different routes: the "
			"route that comes first in the profile is taken for packets; sessions that "
			"show a name go its way",
			mf_addr_format(a, text), name, winner);
}

static void learn_one(struct mf_resolver *r, const struct mf_addr *a,
		      const struct mf_name_route *route, mf_nsec until)
{
	struct mf_learned_route l = {
		.addr = *a,
		.hop = route->hop,
		.rule = route->number,
		.until = until,
		.name = route->text,
	};
	const char *winner = NULL;
	bool full = false;

	(void)r->port.route(r->port.ctx, a, &full);
	if (mf_learned_put(r->learned, &l, full, r->now, &winner) == MF_E_EXISTS)
		conflict(r, a, route->text, winner ? winner : "another name");
}

/* For ttl seconds at least. */
static void learn(struct mf_resolver *r, const struct mf_dns_facts *f,
		  const struct mf_name_route *route, uint32_t ttl)
{
	mf_nsec until = r->now + mf_max(ttl, r->cfg->learned_ttl_min) * MF_SEC;

	/* Who looks after their end may be waiting for a later one, or for none. */
	if (route->rule && f->n_addrs && until < r->learned_next) {
		r->learned_next = until;
		r->port.wake(r->port.ctx);
	}
	for (uint16_t i = 0; i < f->n_addrs; i++) {
		if (route->rule)
			learn_one(r, &f->addr[i], route, until);
		else if (route->n)
			(void)mf_learned_shared(r->learned, &f->addr[i], route->text);
	}
}

void mf_answer_learn(struct mf_resolver *r, struct mf_span msg, const struct mf_name_route *route,
		     uint32_t ttl)
{
	struct mf_dns_facts f;

	if (!mf_dns_facts_read(msg, &f))
		learn(r, &f, route, ttl);
}

/* ---- What must not be in an answer ----------------------------------------------------------- */

struct sieve {
	const struct mf_dns_facts *only; /* these addresses and no others; NULL: all */
	bool no_private, no_ip6;
	uint32_t private, ip6; /* taken out */
};

static bool is_among(const struct mf_dns_facts *f, const struct mf_addr *a)
{
	for (uint16_t i = 0; i < f->n_addrs; i++)
		if (mf_addr_equal(&f->addr[i], a))
			return true;
	return false;
}

static bool keep(void *ctx, const struct mf_addr *a)
{
	struct sieve *s = ctx;

	if (s->no_private && mf_addr_is_private(a)) {
		s->private ++;
		return false;
	}
	if (s->no_ip6 && a->family == MF_AF_IP6) {
		s->ip6++;
		return false;
	}
	return !s->only || is_among(s->only, a);
}

/* Rebinding protection is for what public servers say outside of every VPN: a name that is
 * routed to a VPN is there to be looked up inside. */
static bool guards(const struct mf_resolver *r, const struct mf_question *q)
{
	return r->cfg->rebind_protection && r->group[q->group].hop == r->cfg->direct_hop &&
	       !mf_local_may_be_private(r, &q->name);
}

static void tell_rebound(struct mf_resolver *r, const struct mf_dns_name *name)
{
	char text[MF_DNS_TEXT_MAX];

	mf_logf_limited(&r->port.log, &r->rebind_limit, r->now, MF_LOG_WARN,
			"dns: a private address for the public name %s was taken out of the answer "
			"(dns.rebind_allow makes exceptions)",
			mf_dns_name_format(name, text));
}

/* The answer without them, in r->work if anything had to go; n 0: malformed. An address that is
 * not learned must not reach a client whose name has a rule: of more than fit the facts the rest
 * goes. */
static struct mf_span sift(struct mf_question *q, struct mf_span answer, struct mf_dns_facts *f)
{
	struct mf_resolver *r = q->resolver;
	struct sieve s = {
		.only = q->rule != UINT32_MAX && f->n_addrs == MF_DNS_ADDRS_MAX ? f : NULL,
		.no_private = guards(r, q),
		.no_ip6 = q->hop < r->cfg->n_hops && r->cfg->strip_aaaa_hops[q->hop],
	};
	struct mf_span sifted = { .p = r->work };
	struct mf_dns_facts left;

	if (!s.only && !s.no_private && !s.no_ip6)
		return answer;
	sifted.n = mf_dns_strip(r->work, sizeof(r->work), answer, keep, &s);
	mf_count(&r->count.rebound, s.private);
	mf_count(&r->count.stripped, s.ip6);
	if (s.private)
		tell_rebound(r, &q->name);
	if (!sifted.n || mf_dns_facts_read(sifted, &left))
		return (struct mf_span){ 0 };
	/* That there is nothing left is our answer, and may be kept like any other. */
	if (left.nodata && !f->nodata) {
		left.cacheable = true;
		left.ttl = f->ttl;
	}
	*f = left;
	return sifted;
}

/* ---- Handing out ----------------------------------------------------------------------------- */

void mf_query_log(struct mf_resolver *r, const struct mf_dns_client *c,
		  const struct mf_dns_name *name, uint16_t type, const struct mf_name_route *route,
		  const char *how, unsigned rcode)
{
	char client[MF_ADDR_STRLEN], text[MF_DNS_TEXT_MAX], t[16], rc[16], rule[64] = "no rule";

	if (route && route->rule)
		snprintf(rule, sizeof(rule), "route %u, set %.40s", route->number + 1,
			 route->rule->set_name);
	mf_logf(&r->port.log, MF_LOG_INFO, "query: %s %s from %s: %s, %s, %s (%s)",
		mf_dns_name_format(name, text), mf_dns_type_format(type, t),
		mf_addr_format(&c->addr.addr, client), how, mf_dns_rcode_format(rcode, rc),
		route ? r->port.hop_name(r->port.ctx, route->hop) : "here", rule);
}

void mf_lookup_found(struct mf_resolver *r, struct mf_lookup *l, const struct mf_dns_facts *f)
{
	struct mf_lookup ended;

	for (uint16_t i = 0; f && i < f->n_addrs && l->n < MF_ARRAY_LEN(l->addr); i++)
		l->addr[l->n++] = f->addr[i];
	if (--l->pending)
		return;
	ended = *l;
	l->done = NULL; /* its place may be taken by the next one, which begins here */
	ended.done(ended.ctx, ended.addr, ended.n, r->now);
}

size_t mf_waiter_cap(const struct mf_waiter *w)
{
	return w->client.stream ? MF_DNS_MESSAGE_MAX : mf_min(w->query.udp_size, MF_DNS_UDP_MAX);
}

static void hand(struct mf_resolver *r, struct mf_waiter *w, const uint8_t *msg, size_t n)
{
	if (!w->gone)
		r->port.answer(r->port.ctx, &w->client, msg, n);
}

static void log_answer(struct mf_question *q, const struct mf_waiter *w, const char *how,
		       unsigned rcode)
{
	struct mf_resolver *r = q->resolver;
	struct mf_name_route route;

	if (!r->cfg || !r->cfg->log_queries)
		return;
	mf_resolver_route(r, &q->name, &route);
	mf_query_log(r, &w->client, &q->name, q->type, &route, how, rcode);
}

/* The same answer for everybody, with each one's own question. */
static void hand_out(struct mf_question *q, const struct mf_dns_kept *k,
		     const struct mf_dns_facts *f, uint32_t fixed_ttl, int ede, const char *how)
{
	struct mf_resolver *r = q->resolver;
	struct mf_waiter *w = mf_question_waiters(q), *next;

	for (; w; w = next) {
		struct mf_span msg = { w->msg, w->n };
		size_t n;

		next = w->next;
		if (w->lookup) {
			mf_lookup_found(r, w->lookup, f);
		} else {
			n = mf_dns_reply_kept(r->out, mf_waiter_cap(w), msg, &w->query,
					      (struct mf_span){ k->msg, k->n }, k->ttl_at,
					      k->n_ttls, 0, fixed_ttl, ede);
			log_answer(q, w, how, f->rcode);
			hand(r, w, r->out, n);
		}
		mf_waiter_free(r, w);
	}
}

/* Everybody who waits gets this error. */
static void fail(struct mf_question *q, unsigned rcode, int ede)
{
	struct mf_resolver *r = q->resolver;
	struct mf_waiter *w = mf_question_waiters(q), *next;

	for (; w; w = next) {
		next = w->next;
		if (w->lookup) {
			mf_lookup_found(r, w->lookup, NULL);
		} else {
			log_answer(q, w, "failed", rcode);
			hand(r, w, r->out,
			     mf_dns_reply_empty(r->out, mf_waiter_cap(w),
						(struct mf_span){ w->msg, w->n }, &w->query, rcode,
						ede, 0));
		}
		mf_waiter_free(r, w);
	}
}

/* 0: it was kept over a restart, and nobody knows: it is taken for right. */
bool mf_note_fits(struct mf_dns_entry_note *note, uint32_t hop)
{
	if (!note->hop)
		note->hop = hop;
	return note->hop == hop;
}

/* Anything else is a failure (RFC 8767 5). */
static bool is_success(unsigned rcode)
{
	return rcode == MF_DNS_NOERROR || rcode == MF_DNS_NXDOMAIN;
}

bool mf_question_serve_stale(struct mf_question *q)
{
	struct mf_resolver *r = q->resolver;
	struct mf_dns_key key = { .name = &q->name, .type = q->type, .flags = q->flags };
	struct mf_dns_facts f;
	struct mf_dns_kept k;
	struct mf_dns_hit hit;
	struct mf_name_route route;

	if (!q->waiters || q->uncached || !mf_dns_cache_get(r->cache, &key, r->now, &hit) ||
	    !mf_note_fits(hit.note, q->hop) || !is_success(hit.rcode) ||
	    mf_dns_facts_read(hit.msg, &f) || mf_dns_keep(&k, r->kept, hit.msg, 0, UINT32_MAX))
		return false;
	q->answered_stale = true;
	mf_resolver_route(r, &q->name, &route);
	learn(r, &f, &route, STALE_TTL);
	for (struct mf_waiter *w = q->waiters; w; w = w->next)
		mf_count(&r->count.stale, 1);
	hand_out(q, &k, &f, STALE_TTL, MF_DNS_EDE_STALE, "stale");
	return true;
}

/* ---- An upstream has answered, or will not --------------------------------------------------- */

/* For how long the servers are left alone after a failure: longer if there is an answer that has
 * ended, which is served meanwhile. */
static uint32_t pause_of(const struct mf_question *q)
{
	return q->answered_stale ? STALE_TTL : FAILED_TTL;
}

static void note_failure(struct mf_question *q)
{
	struct mf_resolver *r = q->resolver;
	struct mf_dns_key key = { .name = &q->name, .type = q->type, .flags = q->flags };
	struct mf_dns_facts f = { .rcode = MF_DNS_SERVFAIL };
	struct mf_dns_entry_note note = { .hop = q->hop, .rule = q->rule, .group = q->group };
	uint8_t question[600];
	struct mf_dns_query query;
	struct mf_span msg = { .p = question };

	msg.n = mf_dns_question_write(question, 0, &q->name, q->type, false, false, NULL, false);
	if (q->uncached || mf_dns_query_read(msg, &query))
		return;
	msg.n = mf_dns_reply_empty(r->work, sizeof(r->work), msg, &query, MF_DNS_SERVFAIL,
				   MF_DNS_EDE_NONE, 0);
	msg.p = r->work;
	(void)mf_dns_cache_put(r->cache, &key, msg, &f, &note, pause_of(q), r->now);
}

static void failed(struct mf_question *q, const struct mf_upstream_result *res)
{
	struct mf_resolver *r = q->resolver;
	char name[MF_DNS_TEXT_MAX];

	mf_count(&r->count.failed, 1);
	mf_logf_limited(&r->port.log, &r->fail_limit, r->now, MF_LOG_WARN,
			"dns: %s: no answer through %s: %s", mf_dns_name_format(&q->name, name),
			r->port.hop_name(r->port.ctx, r->group[q->group].hop),
			mf_transport_error_text(res->err));
	if (mf_question_serve_stale(q))
		return;
	note_failure(q);
	fail(q, MF_DNS_SERVFAIL,
	     res->err == MF_TRANSPORT_UNREACHABLE ? MF_DNS_EDE_NETWORK : MF_DNS_EDE_NO_REACHABLE);
}

static struct mf_dns_entry_note note_of(const struct mf_question *q,
					const struct mf_upstream_result *res)
{
	return (struct mf_dns_entry_note){
		.hop = q->hop,
		.rule = q->rule,
		.latency_us = (uint32_t)(res->latency / MF_USEC),
		.upstream = res->server,
		.group = q->group,
		.flags = q->resolver->epoch,
	};
}

static void answered(struct mf_question *q, struct mf_span answer, const struct mf_dns_facts *f,
		     const struct mf_upstream_result *res)
{
	struct mf_resolver *r = q->resolver;
	const struct mf_dns_cache_config *limits = &r->cfg->cache;
	struct mf_dns_key key = { .name = &q->name, .type = q->type, .flags = q->flags };
	struct mf_dns_entry_note note = note_of(q, res);
	struct mf_name_route route;
	struct mf_dns_kept k;
	mf_err err;

	/* Before anybody hears of the addresses, and for as long as we let anybody believe in
	 * them. */
	if (!q->uncached) {
		mf_resolver_route(r, &q->name, &route);
		learn(r, f, &route, (uint32_t)mf_max(f->ttl, limits->ttl_min));
		(void)mf_dns_cache_put(r->cache, &key, answer, f, &note,
				       f->cacheable ? 0 : pause_of(q), r->now);
	}
	err = mf_dns_keep(&k, r->kept, answer, limits->ttl_min, limits->ttl_max);
	if (err == MF_E_RANGE)
		k.n_ttls = 0; /* too many to count down, which a new answer needs not */
	if (err && err != MF_E_RANGE)
		fail(q, MF_DNS_SERVFAIL, MF_DNS_EDE_NONE);
	else
		hand_out(q, &k, f, 0, MF_DNS_EDE_NONE, "asked");
}

static void take(struct mf_question *q, const struct mf_upstream_result *res)
{
	struct mf_resolver *r = q->resolver;
	struct mf_upstream_result broken = *res;
	struct mf_span answer = { 0 };
	struct mf_dns_facts f;

	broken.err = MF_TRANSPORT_BROKEN;
	if (!mf_dns_facts_read(res->answer, &f))
		answer = sift(q, res->answer, &f);
	if (!answer.n)
		failed(q, &broken);
	else if (!is_success(f.rcode) && mf_question_serve_stale(q))
		mf_count(&r->count.failed, 1);
	else
		answered(q, answer, &f, res);
}

void mf_question_done(void *ctx, const struct mf_upstream_result *res, mf_nsec now)
{
	struct mf_question *q = ctx;

	q->resolver->now = now;
	q->ask = NULL;
	mf_question_close(q);
	if (res->err)
		failed(q, res);
	else
		take(q, res);
	mf_question_free(q);
}
