/* SPDX-License-Identifier: Apache-2.0
 *
 * question - what is open at the upstreams, and who waits for it: each question once, whoever asks.
 */
#include "resolver/state.h"

#include <stdlib.h>

#include "crypto/siphash.h"

mf_err mf_questions_init(struct mf_resolver *r)
{
	/* Touched only where they are used: the lists of free ones begin as one each and grow
	 * upwards. */
	r->question = calloc(QUESTIONS, sizeof(*r->question));
	r->waiter = calloc(WAITERS, sizeof(*r->waiter));
	if (!r->question || !r->waiter)
		return MF_E_NO_MEMORY;
	r->open_last = &r->open;
	return MF_OK;
}

uint64_t mf_resolver_bytes(void)
{
	return sizeof(struct mf_resolver) + QUESTIONS * sizeof(struct mf_question) +
	       WAITERS * sizeof(struct mf_waiter);
}

void mf_questions_fini(struct mf_resolver *r)
{
	free(r->question);
	free(r->waiter);
}

static uint32_t place_of(const struct mf_resolver *r, const struct mf_dns_name *name)
{
	return (uint32_t)(mf_siphash(r->key, name->b, name->n) % QUESTIONS);
}

struct mf_question *mf_question_find(struct mf_resolver *r, const struct mf_dns_key *k)
{
	for (struct mf_question *q = r->hash[place_of(r, k->name)]; q; q = q->chain)
		if (q->type == k->type && q->flags == k->flags && !q->uncached &&
		    mf_dns_name_equal(&q->name, k->name))
			return q;
	return NULL;
}

static struct mf_question *take_question(struct mf_resolver *r)
{
	struct mf_question *q = r->free_question;

	if (q)
		r->free_question = q->chain;
	else if (r->questions_used < QUESTIONS)
		q = &r->question[r->questions_used++];
	return q;
}

static void give_question(struct mf_resolver *r, struct mf_question *q)
{
	q->chain = r->free_question;
	r->free_question = q;
}

static void enlist(struct mf_resolver *r, struct mf_question *q)
{
	struct mf_question **place = &r->hash[place_of(r, &q->name)];

	q->chain = *place;
	*place = q;
	q->prev = r->open_last;
	*r->open_last = q;
	r->open_last = &q->next;
	mf_count(&r->count.open, 1);
}

struct mf_question *mf_question_new(struct mf_resolver *r, const struct mf_dns_key *k,
				    const struct mf_name_route *route, struct mf_group *g,
				    bool uncached)
{
	struct mf_question *q = take_question(r);

	if (!q)
		return NULL;
	*q = (struct mf_question){
		.resolver = r,
		.name = *k->name,
		.type = k->type,
		.flags = k->flags,
		.group = (uint8_t)(g - r->group),
		.uncached = uncached,
		.hop = route->hop,
		.rule = route->number,
		.began = r->now,
	};
	q->last = &q->waiters;
	q->ask = mf_upstream_ask(g->upstream, &q->name, q->type, k->flags & MF_DNS_KEY_DO,
				 k->flags & MF_DNS_KEY_CD, mf_question_done, q, r->now);
	if (!q->ask) {
		give_question(r, q);
		return NULL;
	}
	enlist(r, q);
	return q;
}

void mf_question_close(struct mf_question *q)
{
	struct mf_resolver *r = q->resolver;
	struct mf_question **place = &r->hash[place_of(r, &q->name)];

	while (*place != q)
		place = &(*place)->chain;
	*place = q->chain;
	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	else
		r->open_last = q->prev;
	mf_uncount(&r->count.open, 1);
}

void mf_question_free(struct mf_question *q)
{
	MF_ASSERT(!q->waiters && !q->ask);
	give_question(q->resolver, q);
}

/* ---- Who waits ------------------------------------------------------------------------------- */

static struct mf_waiter *take_waiter(struct mf_resolver *r)
{
	struct mf_waiter *w = r->free_waiter;

	if (w)
		r->free_waiter = w->next;
	else if (r->waiters_used < WAITERS)
		w = &r->waiter[r->waiters_used++];
	return w;
}

static uint16_t bucket_of(const struct mf_resolver *r, const struct mf_dns_client *c)
{
	const struct mf_addr *a = &c->addr.addr;

	return (uint16_t)(mf_siphash(r->key, a->b, sizeof(a->b)) % CLIENT_BUCKETS);
}

struct mf_waiter *mf_waiter_new(struct mf_resolver *r, const struct mf_dns_client *c,
				struct mf_span msg, const struct mf_dns_query *query)
{
	uint32_t most = r->cfg->per_client ? r->cfg->per_client : PER_CLIENT;
	uint16_t bucket = bucket_of(r, c);
	struct mf_waiter *w = r->per_client[bucket] < most ? take_waiter(r) : NULL;

	if (!w)
		return NULL;
	w->client = *c;
	w->lookup = NULL;
	w->gone = false;
	w->bucket = bucket;
	w->query = *query;
	MF_ASSERT(query->question_end <= sizeof(w->msg));
	w->n = query->question_end;
	memcpy(w->msg, msg.p, w->n);
	r->per_client[bucket]++;
	return w;
}

struct mf_waiter *mf_waiter_new_lookup(struct mf_resolver *r, struct mf_lookup *l)
{
	struct mf_waiter *w = take_waiter(r);

	if (w) {
		w->lookup = l;
		w->gone = false;
	}
	return w;
}

void mf_question_join(struct mf_question *q, struct mf_waiter *w)
{
	w->next = NULL;
	*q->last = w;
	q->last = &w->next;
}

struct mf_waiter *mf_question_waiters(struct mf_question *q)
{
	struct mf_waiter *first = q->waiters;

	q->waiters = NULL;
	q->last = &q->waiters;
	return first;
}

void mf_waiter_free(struct mf_resolver *r, struct mf_waiter *w)
{
	if (!w->lookup)
		r->per_client[w->bucket]--;
	w->next = r->free_waiter;
	r->free_waiter = w;
}

void mf_resolver_forget(struct mf_resolver *r, uint8_t tag, const void *ctx, uint64_t ref)
{
	for (struct mf_question *q = r->open; q; q = q->next)
		for (struct mf_waiter *w = q->waiters; w; w = w->next)
			if (!w->lookup && w->client.tag == tag && w->client.ctx == ctx &&
			    w->client.ref == ref)
				w->gone = true;
}
