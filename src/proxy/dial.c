/* SPDX-License-Identifier: Apache-2.0
 *
 * dial - see dial.h.
 *
 * A connection keeps its attempts until one has won, for their addresses have been tried; the list
 * of addresses may change meanwhile. `below` of the layer is the stream of the attempt that has
 * won.
 */
#include "proxy/dial.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/count.h"
#include "host/steps.h"

enum {
	NEXT_ATTEMPT = 250, /* milliseconds, RFC 8305 5 */
	FRESH = 60,         /* seconds that addresses are used without asking again */
	ASK_AGAIN = 5, /* seconds after which a question that is not answered is asked again ... */
	ASK_AGAIN_FAILED = 2, /* ... and one that had no answer, or only addresses that do not */
};

struct attempt {
	struct mf_stream s;
	struct attempt *next; /* begun before */
	struct dial *of;
	struct mf_addr addr;
	mf_nsec began;
	bool over;
};

struct dial {
	struct mf_layer l;
	struct attempt *attempts;
	unsigned running;
	mf_nsec next; /* attempt */
	uint8_t why;  /* enum mf_proxy_fault: the most telling of those that failed */
	bool waited;  /* for addresses */
};

static struct dial *dial_of(struct mf_layer *l)
{
	return (struct dial *)l;
}

static struct mf_dial *place_of(const struct mf_layer *l)
{
	return MF_CONTAINER_OF(l->of, struct mf_dial, out);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static mf_nsec now_of(const struct mf_dial *d)
{
	return d->out.layers->now;
}

static void ask(struct mf_dial *d, mf_nsec pause)
{
	mf_nsec now = now_of(d);

	if (!d->cfg.name || d->cfg.by_name)
		return;
	if (d->asked && now < d->asked + (d->asking ? ASK_AGAIN * MF_SEC : pause))
		return;
	d->asking = true;
	d->asked = now;
	d->cfg.resolve(d->cfg.ctx);
}

void mf_dial_refresh(struct mf_dial *d)
{
	ask(d, 0);
}

/* Of both families in turn, that of the first one first (RFC 8305 4). */
static uint8_t interleave(struct mf_addr *to, const struct mf_addr *from, size_t n)
{
	bool used[MF_DIAL_ADDRS_MAX] = { false };
	uint8_t family = n ? from[0].family : MF_AF_NONE, done = 0;

	n = mf_min(n, MF_DIAL_ADDRS_MAX);
	while (done < n) {
		size_t i = 0, any;

		while (i < n && (used[i] || from[i].family != family))
			i++;
		for (any = 0; i == n && used[any]; any++)
			;
		i = i == n ? any : i;
		used[i] = true;
		to[done++] = from[i];
		family = from[i].family == MF_AF_IP4 ? MF_AF_IP6 : MF_AF_IP4;
	}
	return done;
}

/* To the front, if it is there. */
static void prefer(struct mf_dial *d, const struct mf_addr *a)
{
	struct mf_addr best = *a;
	uint8_t i = 0;

	while (i < d->n && !mf_addr_equal(&d->addr[i], &best))
		i++;
	if (i == d->n)
		return;
	memmove(&d->addr[1], &d->addr[0], i * sizeof(d->addr[0]));
	d->addr[0] = best;
}

void mf_dial_resolved(struct mf_dial *d, const struct mf_addr *addr, size_t n)
{
	struct mf_addr best = d->addr[0];
	bool had = d->n > 0;

	d->asking = false;
	if (n) {
		d->n = interleave(d->addr, addr, n);
		d->known = now_of(d);
		if (had)
			prefer(d, &best);
	}
	for (struct mf_layer *l = d->out.streams; l; l = l->sibling)
		if (l->state == MF_LAYER_BELOW)
			mf_layer_again(l);
}

static void look_at_age(struct mf_dial *d)
{
	if (!d->n)
		ask(d, ASK_AGAIN_FAILED * MF_SEC);
	else if (now_of(d) >= d->known + FRESH * MF_SEC)
		ask(d, ASK_AGAIN * MF_SEC);
}

bool mf_dial_address(struct mf_dial *d, uint32_t i, struct mf_endpoint *out)
{
	*out = d->cfg.addr;
	if (!d->cfg.name)
		return true;
	look_at_age(d);
	if (!d->n)
		return false;
	out->addr = d->addr[i % d->n];
	return true;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

static void wake(struct mf_stream *s)
{
	mf_layer_again(&MF_CONTAINER_OF(s, struct attempt, s)->of->l);
}

static enum mf_proxy_fault fault_of(const struct mf_dial *d, uint8_t error)
{
	switch (error) {
	case MF_STREAM_E_REFUSED:
	case MF_STREAM_E_RESET:
		return MF_PROXY_REFUSED;
	case MF_STREAM_E_TIMED_OUT:
		return MF_PROXY_TIMED_OUT;
	case MF_STREAM_E_NO_RESOURCES:
		return MF_PROXY_RESOURCES;
	case MF_STREAM_E_NO_DEVICE:
	case MF_STREAM_E_PROXY:
	case MF_STREAM_E_UNSUPPORTED:
		return d->cfg.local ? MF_PROXY_UNREACHABLE : MF_PROXY_VIA;
	default:
		return MF_PROXY_UNREACHABLE;
	}
}

/* Of several reasons the one that says most. */
static void note_failure(struct dial *c, enum mf_proxy_fault f)
{
	static const uint8_t weight[MF_PROXY_FAULTS] = {
		[MF_PROXY_UNREACHABLE] = 1, [MF_PROXY_VIA] = 2,     [MF_PROXY_RESOURCES] = 3,
		[MF_PROXY_TIMED_OUT] = 4,   [MF_PROXY_REFUSED] = 5,
	};

	if (weight[f] > weight[c->why])
		c->why = (uint8_t)f;
}

static void give_up(struct attempt *a, bool reset)
{
	if (a->over)
		return;
	a->over = true;
	a->of->running--;
	if (a->s.impl)
		a->s.out->ops->stream_close(&a->s, reset);
}

/* False: it has failed at once. Without memory the address counts as not tried, which *none tells. */
static bool try(struct dial *c, const struct mf_addr *addr, bool *none)
{
	struct mf_dial *d = place_of(&c->l);
	struct mf_target to = { .addr = d->cfg.addr };
	struct mf_outbound *via = d->cfg.via(d->cfg.ctx);
	struct attempt *a = calloc(1, sizeof(*a));

	*none = !a;
	if (!a) {
		note_failure(c, MF_PROXY_RESOURCES);
		return false;
	}
	*a = (struct attempt){ .next = c->attempts, .of = c, .addr = *addr, .began = now_of(d) };
	c->attempts = a;
	to.addr.addr = *addr;
	/* An inner connection: the app's session is what is shown. */
	to.app.addr.family = addr->family;
	if (d->cfg.by_name)
		to.name = d->cfg.name;
	a->s = (struct mf_stream){ .out = via, .wake = wake };
	a->over = true;
	if (!via) {
		note_failure(c, fault_of(d, MF_STREAM_E_NO_DEVICE));
		return false;
	}
	if (via->ops->stream_open(via, &a->s, &to) != MF_OK) {
		note_failure(c, fault_of(d, a->s.error));
		return false;
	}
	a->over = false;
	c->running++;
	return true;
}

static bool tried(const struct dial *c, const struct mf_addr *addr)
{
	const struct attempt *a = c->attempts;

	while (a && !mf_addr_equal(&a->addr, addr))
		a = a->next;
	return a != NULL;
}

/* The next address; false: there is none that has not been tried. */
static bool next_address(const struct dial *c, struct mf_addr *out)
{
	const struct mf_dial *d = place_of(&c->l);
	bool given = !d->cfg.name || d->cfg.by_name;
	const struct mf_addr *from = given ? &d->cfg.addr.addr : d->addr;
	unsigned n = given ? 1 : d->n;

	for (unsigned i = 0; i < n; i++)
		if (!tried(c, &from[i])) {
			*out = from[i];
			return true;
		}
	return false;
}

/* Until the first attempt it has waited for addresses. */
static void note_steps(struct dial *c, const struct attempt *best)
{
	struct mf_steps *s = c->l.above->steps;
	mf_nsec first = best->began;

	if (!s)
		return;
	for (const struct attempt *a = c->attempts; a; a = a->next)
		first = mf_min(first, a->began);
	mf_steps_add(s, "resolve", first - c->l.began);
	c->l.began = first;
	s->server = place_of(&c->l)->cfg.addr;
	s->server.addr = best->addr;
}

static void win(struct dial *c, struct attempt *best)
{
	struct mf_dial *d = place_of(&c->l);
	struct attempt *a = c->attempts, *next;

	note_steps(c, best);
	for (; a; a = next) {
		next = a->next;
		if (a != best) {
			give_up(a, true);
			free(a);
		}
	}
	c->attempts = best;
	best->next = NULL;
	c->l.below = &best->s;
	prefer(d, &best->addr);
	mf_count(&d->out.health->count.connected, 1);
	mf_proxy_health_took(d->out.health, MF_PROXY_SPAN_TCP, now_of(d) - best->began);
	mf_layer_at(&c->l, MF_NEVER);
	mf_layer_opened(&c->l);
}

/* True: one has won. */
static bool look_at_attempts(struct dial *c)
{
	for (struct attempt *a = c->attempts; a; a = a->next) {
		if (a->over)
			continue;
		if (a->s.ready & MF_STREAM_FAILED) {
			note_failure(c, fault_of(place_of(&c->l), a->s.error));
			give_up(a, true);
			c->next = 0;
		} else if (a->s.ready & MF_STREAM_OPENED) {
			win(c, a);
			return true;
		}
	}
	return false;
}

static mf_err lose(struct dial *c)
{
	struct mf_dial *d = place_of(&c->l);
	const struct attempt *last = c->attempts;
	char detail[MF_PROXY_DETAIL_MAX] = "", text[MF_ENDPOINT_STRLEN];
	struct mf_endpoint e = d->cfg.addr;

	if (d->cfg.by_name) {
		(void)snprintf(detail, sizeof(detail), "%s:%u", d->cfg.name, e.port);
	} else if (last) {
		e.addr = last->addr;
		(void)snprintf(detail, sizeof(detail), "%s", mf_endpoint_format(&e, text));
	}
	ask(d, ASK_AGAIN_FAILED * MF_SEC);
	return mf_layer_fault(&c->l, c->why, detail);
}

static mf_err await_addresses(struct dial *c)
{
	struct mf_dial *d = place_of(&c->l);

	if (c->waited && !d->asking)
		return mf_layer_fault(&c->l, MF_PROXY_NAME, d->cfg.name);
	c->waited = true;
	return MF_OK;
}

static mf_err work(struct mf_layer *l, mf_nsec now)
{
	struct mf_dial *d = place_of(l);
	struct dial *c = dial_of(l);
	struct mf_addr addr;
	bool no_memory = false;

	if (l->state != MF_LAYER_BELOW || look_at_attempts(c))
		return MF_OK;
	if (d->cfg.name && !d->cfg.by_name && !d->n && !c->attempts)
		return await_addresses(c);
	while ((!c->running || now >= c->next) && !no_memory && next_address(c, &addr))
		if (try(c, &addr, &no_memory) || no_memory)
			c->next = now + NEXT_ATTEMPT * MF_MSEC;
	if (!c->running)
		return lose(c);
	mf_layer_at(l, next_address(c, &addr) ? c->next : MF_NEVER);
	return MF_OK;
}

/* ---- The layer ------------------------------------------------------------------------------- */

static mf_err begin(struct mf_layer *l, const struct mf_target *to)
{
	struct mf_dial *d = place_of(l);

	(void)to;
	mf_count(&d->out.health->count.dialled, 1);
	if (d->cfg.name && !d->cfg.by_name)
		look_at_age(d);
	dial_of(l)->waited = !d->n;
	return MF_OK;
}

static enum mf_proxy_fault late(struct mf_layer *l)
{
	struct mf_dial *d = place_of(l);

	if (!dial_of(l)->attempts)
		return MF_PROXY_NAME;
	for (struct attempt *a = dial_of(l)->attempts; a; a = a->next)
		give_up(a, true);
	ask(d, ASK_AGAIN_FAILED * MF_SEC);
	return MF_PROXY_TIMED_OUT;
}

static void end(struct mf_layer *l, bool reset)
{
	struct attempt *a = dial_of(l)->attempts, *next;

	l->below = &l->own;
	for (; a; a = next) {
		next = a->next;
		give_up(a, reset);
		free(a);
	}
}

static const struct mf_layer_ops ops = {
	.name = "dial",
	.step = "connect",
	.size = sizeof(struct dial),
	.lowest = true,
	.begin = begin,
	.work = work,
	.write = mf_layer_pass,
	.read = mf_layer_take,
	.end = end,
	.late = late,
};

void mf_dial_init(struct mf_dial *d, const struct mf_dial_config *cfg, struct mf_layers *ls,
		  struct mf_proxy_health *health, const char *iface, mf_nsec patience)
{
	*d = (struct mf_dial){ .cfg = *cfg };
	mf_layer_outbound_init(&d->out, &ops, ls, NULL, NULL, health, iface, patience);
}
