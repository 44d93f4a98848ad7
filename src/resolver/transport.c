/* SPDX-License-Identifier: Apache-2.0
 *
 * transport - what all transports share: the open questions, their ids, their deadlines, and how
 * they end.
 *
 * A question is in exactly one list: a bucket of `open`, by id, or `ended` after it has failed,
 * until its asker has been told in mf_transport_run. Its timer stands at its deadline or at what
 * the scheme wants to be reminded of, whichever comes first.
 */
#include <stdlib.h>

#include "resolver/internal.h"

const char *mf_transport_error_text(enum mf_transport_error e)
{
	static const char *const text[] = {
		[MF_TRANSPORT_OK] = "no error",
		[MF_TRANSPORT_UNREACHABLE] = "unreachable",
		[MF_TRANSPORT_TIMEOUT] = "no answer in time",
		[MF_TRANSPORT_TLS] = "TLS failed",
		[MF_TRANSPORT_HTTP] = "no DNS over HTTPS there",
		[MF_TRANSPORT_BROKEN] = "malformed answer",
		[MF_TRANSPORT_RESOURCES] = "out of ports or memory",
	};

	return (size_t)e < MF_ARRAY_LEN(text) ? text[e] : "unknown error";
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static void link_at(struct mf_ask **at, struct mf_ask *a)
{
	a->next = *at;
	if (a->next)
		a->next->prev = &a->next;
	a->prev = at;
	*at = a;
}

static void unlink_ask(struct mf_ask *a)
{
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->next = NULL;
	a->prev = NULL;
}

static struct mf_ask **bucket(struct mf_transport *t, uint16_t id)
{
	return &t->open[id % MF_TRANSPORT_BUCKETS];
}

struct mf_ask *mf_transport_find(struct mf_transport *t, uint16_t id)
{
	struct mf_ask *a = *bucket(t, id);

	while (a && a->id != id)
		a = a->next;
	return a;
}

void mf_transport_each(struct mf_transport *t,
		       void (*each)(struct mf_transport *t, struct mf_ask *a, void *arg), void *arg)
{
	struct mf_ask *a, *next;

	for (size_t i = 0; i < MF_TRANSPORT_BUCKETS && t->n_open; i++) {
		for (a = t->open[i]; a; a = next) {
			next = a->next;
			each(t, a, arg);
		}
	}
}

/* At most 256 of 65536 are taken, so this is over at once. */
static uint16_t new_id(struct mf_transport *t)
{
	uint32_t bits;

	do {
		bits = mf_rng_u32(&t->env->rng);
	} while (mf_transport_find(t, (uint16_t)bits));
	return (uint16_t)bits;
}

/* ---- The life of a question ------------------------------------------------------------------ */

static void expire(struct mf_timer *timer, void *ctx, mf_nsec now)
{
	struct mf_ask *a = MF_CONTAINER_OF(timer, struct mf_ask, timer);
	struct mf_transport *t = ctx;

	if (now >= a->deadline) {
		mf_transport_fail(t, a, MF_TRANSPORT_TIMEOUT);
		return;
	}
	mf_timer_arm(&t->wheel, &a->timer, a->deadline);
	t->ops->due(t, a, now);
}

void mf_transport_remind(struct mf_transport *t, struct mf_ask *a, mf_nsec when)
{
	mf_timer_arm(&t->wheel, &a->timer, mf_min(when, a->deadline));
}

static void begin(struct mf_transport *t, struct mf_ask *a, mf_nsec now)
{
	/* An empty wheel has nothing to fire: this only brings it to the present. */
	if (!t->wheel.armed)
		mf_wheel_run(&t->wheel, now, t);
	a->transport = t;
	a->id = new_id(t);
	a->sockets = 0;
	a->state = a->tries = a->err = 0;
	a->stream_id = 0;
	a->conn = NULL;
	a->timer = (struct mf_timer){ .fire = expire };
	link_at(bucket(t, a->id), a);
	t->n_open++;
	mf_timer_arm(&t->wheel, &a->timer, a->deadline);
	t->ops->ask(t, a, now);
	/* Its deadline may come before whatever mf_transport_run has returned last. */
	t->env->wake(t->env->ctx);
}

/* Out of the open ones. */
static void leave(struct mf_transport *t, struct mf_ask *a)
{
	if (t->ops->forget)
		t->ops->forget(t, a);
	mf_timer_disarm(&t->wheel, &a->timer);
	unlink_ask(a);
	t->n_open--;
}

mf_err mf_transport_ask(struct mf_transport *t, struct mf_ask *a, unsigned which, mf_nsec now)
{
	MF_ASSERT(!a->transport && which < t->server->n_addrs);
	if (t->n_open >= MF_TRANSPORT_OPEN_MAX)
		return MF_E_FULL;
	a->asked = now;
	a->which = (uint8_t)which;
	t->env->rng.fill(t->env->rng.ctx, a->mix, sizeof(a->mix));
	begin(t, a, now);
	return MF_OK;
}

void mf_transport_move(struct mf_transport *to, struct mf_ask *a, mf_nsec now)
{
	if (to->n_open >= MF_TRANSPORT_OPEN_MAX) {
		mf_transport_fail(a->transport, a, MF_TRANSPORT_RESOURCES);
		return;
	}
	leave(a->transport, a);
	begin(to, a, now);
}

void mf_transport_cancel(struct mf_transport *t, struct mf_ask *a)
{
	/* It may have moved. */
	t = a->transport;
	if (!t)
		return;
	if (a->err)
		unlink_ask(a);
	else
		leave(t, a);
	a->transport = NULL;
}

void mf_transport_answer(struct mf_transport *t, struct mf_ask *a, struct mf_span answer, mf_nsec now)
{
	leave(t, a);
	a->transport = NULL;
	mf_count(&t->count->answered, 1);
	a->done(a, MF_TRANSPORT_OK, answer, now);
}

void mf_transport_fail(struct mf_transport *t, struct mf_ask *a, enum mf_transport_error err)
{
	MF_ASSERT(err != MF_TRANSPORT_OK && !a->err);
	leave(t, a);
	a->err = (uint8_t)err;
	link_at(&t->ended, a);
	mf_count(&t->count->errors, 1);
	t->env->wake(t->env->ctx);
}

/* Who fails meanwhile waits for the next run: an asker that asks again and again gets no loop. */
static void tell(struct mf_transport *t, mf_nsec now)
{
	struct mf_ask *list = t->ended;

	if (!list)
		return;
	t->ended = NULL;
	list->prev = &list;
	while (list) {
		struct mf_ask *a = list;
		enum mf_transport_error err = a->err;

		unlink_ask(a);
		a->transport = NULL;
		a->err = 0;
		a->done(a, err, mf_span(NULL, 0), now);
	}
}

size_t mf_transport_question(const struct mf_transport *t, const struct mf_ask *a, uint16_t id,
			     bool pad, uint8_t *out)
{
	bool mix = t->ops == &mf_transport_udp && t->env->mix_case;

	return mf_dns_question_write(out, id, a->name, a->type, a->dnssec_ok, a->cd,
				     mix ? a->mix : NULL, pad);
}

/* ---- Transports ------------------------------------------------------------------------------ */

struct mf_transport *mf_transport_make(const struct mf_transport_ops *ops,
				       const struct mf_transport_env *env,
				       const struct mf_dns_server *server, uint32_t hop,
				       struct mf_transport_counters *count)
{
	struct mf_transport *t = calloc(1, ops->size);

	if (!t)
		return NULL;
	t->ops = ops;
	t->env = env;
	t->server = server;
	t->hop = hop;
	t->count = count;
	mf_wheel_init(&t->wheel, MF_MSEC, 0);
	if (ops->init(t) == MF_OK)
		return t;
	free(t);
	return NULL;
}

struct mf_transport *mf_transport_new(const struct mf_transport_env *env,
				      const struct mf_dns_server *server, uint32_t hop,
				      struct mf_transport_counters *count)
{
	static const struct mf_transport_ops *const by_scheme[] = {
		[MF_DNS_OVER_UDP] = &mf_transport_udp,
		[MF_DNS_OVER_TCP] = &mf_transport_stream,
		[MF_DNS_OVER_TLS] = &mf_transport_stream,
		[MF_DNS_OVER_HTTPS] = &mf_transport_stream,
	};

	MF_ASSERT(server->scheme < MF_ARRAY_LEN(by_scheme));
	return mf_transport_make(by_scheme[server->scheme], env, server, hop, count);
}

static void forget(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	(void)arg;
	mf_transport_cancel(t, a);
}

void mf_transport_free(struct mf_transport *t)
{
	if (!t)
		return;
	mf_transport_each(t, forget, NULL);
	while (t->ended)
		mf_transport_cancel(t, t->ended);
	t->ops->fini(t);
	free(t);
}

mf_nsec mf_transport_run(struct mf_transport *t, mf_nsec now)
{
	mf_nsec next;

	mf_wheel_run(&t->wheel, now, t);
	next = t->ops->run(t, now);
	tell(t, now);
	if (t->ended)
		return now;
	return mf_min(next, mf_wheel_next(&t->wheel));
}

void mf_transport_reset(struct mf_transport *t, mf_nsec now)
{
	t->ops->reset(t, now);
}
