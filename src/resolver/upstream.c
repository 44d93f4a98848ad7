/* SPDX-License-Identifier: Apache-2.0
 *
 * upstream - see upstream.h.
 *
 * A question has one try for each server, so nothing is allocated when it is asked: tries are told
 * apart by the server's index, and sets of them are bit masks. What has been answered stays while a
 * try is open that only measures.
 */
#include "resolver/upstream.h"

#include <stdlib.h>

#include "base/count.h"
#include "base/endian.h"

#define BACKOFF_MIN  MF_SEC
#define BACKOFF_MAX  (60 * MF_SEC)
#define PATIENCE_MIN (250 * MF_MSEC)
#define PATIENCE_MAX MF_SEC

enum {
	FAILURES_MAX = 3, /* in a row; then it is left alone */
	MEASURE_ONE_IN = 32,
	BAD_MAX = 512, /* bytes of a bad answer that are kept */
};

struct server {
	struct mf_dns_server desc;
	struct mf_transport *transport;
	bool by_name;           /* its addresses had to be looked up */
	uint8_t which;          /* of its addresses */
	mf_nsec usual, varies;  /* smoothed latency and its mean deviation; 0: unknown */
	uint32_t failures;      /* in a row */
	mf_nsec backoff, until; /* until: left alone so long; 0: healthy */
	bool measured;          /* a try is open that measures it */
	mf_nsec last;           /* when it was asked last */
	uint64_t asked, answered, failed;
	enum mf_transport_error last_error;
	struct mf_log_limit limit;
};

/* A question to one server. */
struct
try {
	struct mf_ask ask;
	struct mf_upstream_ask *question;
	uint8_t server;
};

struct mf_upstream_ask {
	struct mf_upstream *upstream;
	struct mf_upstream_ask *next, **prev; /* of those that are not answered, or free */
	struct mf_timer timer;                /* when the next server is to be asked, or the end */
	struct mf_dns_name name;
	mf_upstream_done *done;
	void *ctx;
	mf_nsec end;
	bool answered;
	/* Sets of servers: asked, being asked, being asked only to measure, answered badly. */
	uint8_t tried, open, measuring, bad;
	/* How it ends if nobody has a good answer. */
	struct mf_upstream_result worst;
	uint16_t n_bad; /* bytes of the last bad answer, 0: there was none */
	uint8_t bad_answer[BAD_MAX];
	struct try try[]; /* one for each server */
};
static_assert(MF_UPSTREAM_SERVERS_MAX <= 8, "a set of servers is a byte");

struct mf_upstream {
	struct mf_transport_env env;
	mf_nsec budget, race_min, race_max;
	uint32_t hop;
	struct mf_transport_counters count;
	struct mf_wheel wheel;
	struct mf_upstream_ask *open, *free;
	/* Of `max` questions of `size` bytes, the first `made` of which have been in use. */
	uint8_t *memory;
	size_t size;
	uint32_t max, made;
	uint8_t n;
	struct server server[MF_UPSTREAM_SERVERS_MAX];
};

/* ---- What is known of a server --------------------------------------------------------------- */

/* RFC 6298 2, without the granularity of a clock. `gain`: an eighth as usual, or a half for what
 * comes rarely. */
enum gain { EIGHTH = 8, HALF = 2 };
static void learn(struct server *s, mf_nsec latency, enum gain gain)
{
	mf_nsec off = latency > s->usual ? latency - s->usual : s->usual - latency;

	latency += !latency;
	if (!s->usual) {
		s->usual = latency;
		s->varies = latency / 2;
		return;
	}
	s->varies += off / 4 - s->varies / 4;
	s->usual += latency / gain - s->usual / gain;
	s->usual += !s->usual;
}

static mf_nsec clamp(mf_nsec x, mf_nsec low, mf_nsec high)
{
	return x < low ? low : x > high ? high : x;
}

/* How long it may be silent before another is asked. */
static mf_nsec race_after(const struct mf_upstream *u, const struct server *s)
{
	mf_nsec most = mf_max(u->race_min, u->race_max);

	return s->usual ? clamp(2 * s->usual, u->race_min, most) : most;
}

/* How long until a datagram to it counts as lost. */
static mf_nsec patience(const struct server *s)
{
	return s->usual ? clamp(s->usual + 4 * s->varies, PATIENCE_MIN, PATIENCE_MAX) : PATIENCE_MAX;
}

static void rest(struct mf_upstream *u, struct server *s, mf_nsec now)
{
	uint32_t jitter = mf_rng_u32(&u->env.rng) % 512;

	s->backoff = s->until ? clamp(2 * s->backoff, BACKOFF_MIN, BACKOFF_MAX) : BACKOFF_MIN;
	/* Three to five quarters of it. */
	s->until = now + s->backoff / 4 * 3 + s->backoff / 1024 * jitter;
	mf_logf_limited(u->env.log, &s->limit, now, MF_LOG_INFO,
			"DNS server %s is left alone for %u s: %s", s->desc.text,
			(unsigned)(s->backoff / MF_SEC), mf_transport_error_text(s->last_error));
	/* It may have moved. */
	if (s->by_name && s->backoff == BACKOFF_MAX)
		s->desc.n_addrs = 0;
}

/* While it is left alone it is asked only if all are, and more failures are no news. */
static void blame(struct mf_upstream *u, struct server *s, mf_nsec now)
{
	if (++s->failures >= FAILURES_MAX && now >= s->until)
		rest(u, s, now);
}

static void failed(struct mf_upstream *u, struct server *s, enum mf_transport_error err, mf_nsec now)
{
	s->last_error = err;
	mf_count(&s->failed, 1);
	if (s->desc.n_addrs)
		s->which = (uint8_t)((s->which + 1u) % s->desc.n_addrs);
	blame(u, s, now);
}

static void did_well(struct mf_upstream *u, struct server *s, mf_nsec now)
{
	if (s->until)
		mf_logf_limited(u->env.log, &s->limit, now, MF_LOG_INFO,
				"DNS server %s answers again", s->desc.text);
	s->failures = 0;
	s->until = 0;
}

/* ---- Whom to ask ----------------------------------------------------------------------------- */

/* True: a is to be asked before b. */
static bool better(const struct mf_upstream *u, const struct server *a, const struct server *b)
{
	mf_nsec unknown = mf_max(u->race_min, u->race_max);

	if (a->until || b->until)
		return a->until < b->until;
	return (a->usual ? a->usual : unknown) < (b->usual ? b->usual : unknown);
}

/* The best server that is not among `without`; NULL: none has an address. */
static struct server *best(struct mf_upstream *u, uint8_t without)
{
	struct server *found = NULL;

	for (unsigned i = 0; i < u->n; i++) {
		struct server *s = &u->server[i];

		if (!(without >> i & 1) && s->desc.n_addrs && (!found || better(u, s, found)))
			found = s;
	}
	return found;
}

static bool any_known(const struct mf_upstream *u)
{
	for (unsigned i = 0; i < u->n; i++)
		if (u->server[i].usual)
			return true;
	return false;
}

/* Is there something to be found out about it at once? Whether it is well again, whether its
 * last failure was more than chance, how fast it is. */
static bool is_open_question(const struct server *s, bool known, mf_nsec now)
{
	if (s->until)
		return now >= s->until;
	return s->failures || (known && !s->usual);
}

/* A server to ask though the question does not need it; NULL: none. */
static struct server *to_measure(struct mf_upstream *u, uint8_t without, mf_nsec now)
{
	bool known = any_known(u), any = known && !(mf_rng_u32(&u->env.rng) % MEASURE_ONE_IN);
	struct server *s, *found = NULL;

	for (unsigned i = 0; i < u->n; i++) {
		s = &u->server[i];
		if (without >> i & 1 || s->measured || !s->desc.n_addrs)
			continue;
		if (is_open_question(s, known, now))
			return s;
		if (any && !s->until && (!found || s->last < found->last))
			found = s;
	}
	return found;
}

/* ---- Tries ----------------------------------------------------------------------------------- */

static void try_done(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer,
		     mf_nsec now);

/* False: it has too many open. */
static bool try_server(struct mf_upstream_ask *q, struct server *s, mf_nsec now)
{
	size_t i = (size_t)(s - q->upstream->server);
	struct mf_ask *a = &q->try[i].ask;

	q->tried |= (uint8_t)(1u << i);
	a->deadline = q->end;
	a->patience = patience(s);
	if (mf_transport_ask(s->transport, a, s->which, now) != MF_OK) {
		if (!q->n_bad)
			q->worst.err = MF_TRANSPORT_RESOURCES;
		return false;
	}
	q->open |= (uint8_t)(1u << i);
	s->last = now;
	mf_count(&s->asked, 1);
	return true;
}

/* Asks the next server; false: all have been asked. */
static bool try_next(struct mf_upstream_ask *q, mf_nsec now)
{
	struct mf_upstream *u = q->upstream;
	struct server *s;

	while (now < q->end && (s = best(u, q->tried))) {
		if (!try_server(q, s, now))
			continue;
		mf_timer_arm(&u->wheel, &q->timer, mf_min(q->end, now + race_after(u, s)));
		return true;
	}
	mf_timer_arm(&u->wheel, &q->timer, q->end);
	return false;
}

static void measure(struct mf_upstream_ask *q, mf_nsec now)
{
	struct server *s = to_measure(q->upstream, q->tried, now);

	if (!s || !try_server(q, s, now))
		return;
	s->measured = true;
	q->measuring |= (uint8_t)(1u << (s - q->upstream->server));
}

/* Takes back those of the open tries that are in the set. */
static void take_back(struct mf_upstream_ask *q, uint8_t set)
{
	struct mf_upstream *u = q->upstream;

	for (unsigned i = 0; i < u->n; i++) {
		if (!((q->open & set) >> i & 1))
			continue;
		mf_transport_cancel(u->server[i].transport, &q->try[i].ask);
		if (q->measuring >> i & 1)
			u->server[i].measured = false;
	}
	q->open &= (uint8_t)~set;
	q->measuring &= (uint8_t)~set;
}

/* ---- The life of a question ------------------------------------------------------------------ */

static void link_question(struct mf_upstream_ask **at, struct mf_upstream_ask *q)
{
	q->next = *at;
	if (q->next)
		q->next->prev = &q->next;
	q->prev = at;
	*at = q;
}

static void unlink_question(struct mf_upstream_ask *q)
{
	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
}

/* Nobody waits for it any more: it is not among the open ones, and has no timer. */
static void leave(struct mf_upstream_ask *q)
{
	mf_timer_disarm(&q->upstream->wheel, &q->timer);
	unlink_question(q);
	q->answered = true;
}

static void release(struct mf_upstream_ask *q)
{
	q->next = q->upstream->free;
	q->upstream->free = q;
}

/* Calls the asker. What else is open is taken back, but for what measures. */
static void finish(struct mf_upstream_ask *q, const struct mf_upstream_result *r, mf_nsec now)
{
	take_back(q, (uint8_t)~q->measuring);
	leave(q);
	q->done(q->ctx, r, now);
	if (!q->open)
		release(q);
}

/* Of those that are still silent when another has answered: one that was given its time has lost
 * more than a race. */
static void judge_losers(struct mf_upstream_ask *q, mf_nsec now)
{
	struct mf_upstream *u = q->upstream;

	for (unsigned i = 0; i < u->n; i++) {
		struct server *s = &u->server[i];
		mf_nsec silent = now - q->try[i].ask.asked;

		if ((q->open & ~q->measuring) >> i & 1 && silent >= race_after(u, s)) {
			if (s->usual)
				learn(s, silent, EIGHTH);
			failed(u, s, MF_TRANSPORT_TIMEOUT, now);
		} else if (q->bad >> i & 1) {
			blame(u, s, now);
		}
	}
}

static void finish_badly(struct mf_upstream_ask *q, mf_nsec now)
{
	if (q->n_bad)
		q->worst.answer = mf_span(q->bad_answer, q->n_bad);
	finish(q, &q->worst, now);
}

static void time_out(struct mf_timer *timer, void *ctx, mf_nsec now)
{
	struct mf_upstream_ask *q = MF_CONTAINER_OF(timer, struct mf_upstream_ask, timer);
	struct mf_upstream *u = ctx;

	if (now >= q->end) {
		for (unsigned i = 0; i < u->n; i++)
			if (q->open >> i & 1)
				failed(u, &u->server[i], MF_TRANSPORT_TIMEOUT, now);
		if (q->open && !q->n_bad)
			q->worst.err = MF_TRANSPORT_TIMEOUT;
		take_back(q, 0xff);
		finish_badly(q, now);
	} else if (!try_next(q, now) && !q->open && q->tried) {
		finish_badly(q, now);
	}
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool is_bad(struct mf_span answer)
{
	switch (mf_load_be16(answer.p + 2) & MF_DNS_RCODE) {
	case MF_DNS_FORMERR:
	case MF_DNS_SERVFAIL:
	case MF_DNS_NOTIMP:
	case MF_DNS_REFUSED:
		return true;
	default:
		return false;
	}
}

/* A bad answer carries little. One that is longer than what is kept loses everything behind its
 * question. */
static void keep_bad(struct mf_upstream_ask *q, const struct mf_upstream_result *r)
{
	size_t n = r->answer.n, at = MF_DNS_HEADER;

	q->worst = *r;
	if (n > BAD_MAX) {
		n = at;
		if (mf_load_be16(r->answer.p + 4) == 1 &&
		    mf_dns_name_read(r->answer, &at, NULL) == MF_OK && at + 4 <= BAD_MAX)
			n = at + 4;
	}
	memcpy(q->bad_answer, r->answer.p, n);
	q->n_bad = (uint16_t)n;
	if (n == r->answer.n)
		return;
	memset(q->bad_answer + 6, 0, 6);
	if (n == MF_DNS_HEADER)
		memset(q->bad_answer + 4, 0, 2);
}

/* What the answer, or the lack of one, says about the server. True: it is a good answer. */
static bool judge(struct mf_upstream_ask *q, unsigned i, const struct mf_upstream_result *r,
		  mf_nsec now)
{
	struct mf_upstream *u = q->upstream;
	struct server *s = &u->server[i];

	if (r->err) {
		failed(u, s, r->err, now);
		return false;
	}
	mf_count(&s->answered, 1);
	learn(s, r->latency, q->measuring >> i & 1 ? HALF : EIGHTH);
	if (is_bad(r->answer)) {
		q->bad |= (uint8_t)(1u << i);
		return false;
	}
	did_well(u, s, now);
	return true;
}

static void try_done(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer, mf_nsec now)
{
	struct try *t = MF_CONTAINER_OF(a, struct try, ask);
	struct mf_upstream_ask *q = t->question;
	struct mf_upstream_result r = {
		.err = err,
		.answer = answer,
		.server = t->server,
		.latency = now - a->asked,
	};
	bool good = judge(q, t->server, &r, now), extra = q->measuring >> t->server & 1;

	q->open &= (uint8_t) ~(1u << t->server);
	q->measuring &= (uint8_t) ~(1u << t->server);
	if (extra)
		q->upstream->server[t->server].measured = false;
	if (q->answered) {
		if (!q->open)
			release(q);
		return;
	}
	if (good) {
		judge_losers(q, now);
		finish(q, &r, now);
		return;
	}
	if (!err)
		keep_bad(q, &r);
	else if (!q->n_bad)
		q->worst = r;
	if (extra && q->open)
		return; /* the others still have their time */
	if (!try_next(q, now) && !q->open)
		finish_badly(q, now);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static struct mf_upstream_ask *take_question(struct mf_upstream *u)
{
	struct mf_upstream_ask *q = u->free;

	if (q)
		u->free = q->next;
	else if (u->made < u->max)
		q = (struct mf_upstream_ask *)(void *)(u->memory + u->made++ * u->size);
	return q;
}

struct mf_upstream_ask *mf_upstream_ask(struct mf_upstream *u, const struct mf_dns_name *name,
					uint16_t type, bool dnssec_ok, bool cd,
					mf_upstream_done *done, void *ctx, mf_nsec now)
{
	struct mf_upstream_ask *q = take_question(u);

	if (!q)
		return NULL;
	memset(q, 0, offsetof(struct mf_upstream_ask, bad_answer));
	q->upstream = u;
	q->timer.fire = time_out;
	q->name = *name;
	q->done = done;
	q->ctx = ctx;
	q->end = now + u->budget;
	q->worst.err = MF_TRANSPORT_UNREACHABLE;
	for (unsigned i = 0; i < u->n; i++)
		q->try[i] = (struct try){
			.question = q,
			.server = (uint8_t)i,
			.ask = { .name = &q->name,
				 .type = type,
				 .dnssec_ok = dnssec_ok,
				 .cd = cd,
				 .done = try_done },
		};
	link_question(&u->open, q);
	/* An empty wheel has nothing to fire: this only brings it to the present. */
	if (!u->wheel.armed)
		mf_wheel_run(&u->wheel, now, u);
	if (try_next(q, now))
		measure(q, now);
	else if (q->tried)
		mf_timer_arm(&u->wheel, &q->timer, 0); /* all are full: it ends with the next run */
	u->env.wake(u->env.ctx);
	return q;
}

void mf_upstream_cancel(struct mf_upstream *u, struct mf_upstream_ask *q)
{
	MF_ASSERT(q->upstream == u && !q->answered);
	take_back(q, 0xff);
	leave(q);
	release(q);
}

/* ---- Upstreams ------------------------------------------------------------------------------- */

static mf_err open_server(struct mf_upstream *u, struct server *s, const struct mf_dns_server *desc)
{
	s->desc = *desc;
	s->by_name = !desc->n_addrs;
	s->transport = mf_transport_new(&u->env, &s->desc, desc->hop ? desc->hop : u->hop, &u->count);
	return s->transport ? MF_OK : MF_E_NO_MEMORY;
}

struct mf_upstream *mf_upstream_new(const struct mf_transport_env *env,
				    const struct mf_upstream_config *cfg, uint32_t max)
{
	struct mf_upstream *u = calloc(1, sizeof(*u));

	MF_ASSERT(cfg->n > 0 && cfg->n <= MF_UPSTREAM_SERVERS_MAX && max > 0);
	if (!u)
		return NULL;
	u->env = *env;
	u->budget = cfg->budget;
	u->race_min = cfg->race_min;
	u->race_max = cfg->race_max;
	u->hop = cfg->hop;
	u->max = max;
	u->size = mf_round_up(sizeof(struct mf_upstream_ask) + cfg->n * sizeof(struct try),
			      _Alignof(max_align_t));
	u->memory = malloc(max * u->size);
	mf_wheel_init(&u->wheel, MF_MSEC, 0);
	for (; u->memory && u->n < cfg->n; u->n++)
		if (open_server(u, &u->server[u->n], &cfg->server[u->n]) != MF_OK)
			break;
	if (u->n == cfg->n)
		return u;
	mf_upstream_free(u);
	return NULL;
}

void mf_upstream_free(struct mf_upstream *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < u->n; i++)
		mf_transport_free(u->server[i].transport);
	free(u->memory);
	free(u);
}

mf_nsec mf_upstream_run(struct mf_upstream *u, mf_nsec now)
{
	mf_nsec next = MF_NEVER;

	for (unsigned i = 0; i < u->n; i++)
		next = mf_min(next, mf_transport_run(u->server[i].transport, now));
	/* After the transports: what has come in time is not too late. */
	mf_wheel_run(&u->wheel, now, u);
	return mf_min(next, mf_wheel_next(&u->wheel));
}

void mf_upstream_reset(struct mf_upstream *u, mf_nsec now)
{
	for (unsigned i = 0; i < u->n; i++) {
		struct server *s = &u->server[i];

		s->usual = s->varies = 0;
		s->failures = 0;
		s->until = 0;
		mf_transport_reset(s->transport, now);
	}
	u->env.wake(u->env.ctx);
}

/* ---- Servers that are known by name ---------------------------------------------------------- */

bool mf_upstream_needs(const struct mf_upstream *u, unsigned server, const char **name, uint16_t *port)
{
	const struct mf_dns_server *d = &u->server[server].desc;

	MF_ASSERT(server < u->n);
	*name = d->name;
	*port = d->addr[0].port;
	return !d->n_addrs;
}

void mf_upstream_set_addrs(struct mf_upstream *u, unsigned server, const struct mf_endpoint *addr,
			   size_t n)
{
	struct server *s = &u->server[server];

	MF_ASSERT(server < u->n && !s->desc.n_addrs);
	n = mf_min(n, MF_DNS_BOOTSTRAP_MAX);
	for (size_t i = 0; i < n; i++)
		s->desc.addr[i] = addr[i];
	s->desc.n_addrs = (uint8_t)n;
	s->which = 0;
	/* Questions that nobody is asked now: their timers are due with the next run. */
	for (struct mf_upstream_ask *q = u->open; q; q = q->next)
		if (!q->open)
			mf_timer_arm(&u->wheel, &q->timer, 0);
	u->env.wake(u->env.ctx);
}

/* ---- For people ------------------------------------------------------------------------------ */

unsigned mf_upstream_count(const struct mf_upstream *u)
{
	return u->n;
}

void mf_upstream_info(const struct mf_upstream *u, unsigned server, struct mf_upstream_info *out)
{
	const struct server *s = &u->server[server];

	MF_ASSERT(server < u->n);
	*out = (struct mf_upstream_info){
		.text = s->desc.text,
		.hop = s->desc.hop ? s->desc.hop : u->hop,
		.latency = s->usual,
		.asked = mf_counter_read(&s->asked),
		.answered = mf_counter_read(&s->answered),
		.failed = mf_counter_read(&s->failed),
		.healthy = !s->until,
		.last_error = s->last_error,
	};
}

const struct mf_transport_counters *mf_upstream_counters(const struct mf_upstream *u)
{
	return &u->count;
}
