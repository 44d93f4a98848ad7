/* SPDX-License-Identifier: Apache-2.0
 *
 * fakedns - see fakedns.h.
 */
#include "fakedns.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/endian.h"

enum { EVENT_OPEN, EVENT_FAIL, EVENT_BYTES, EVENT_END, EVENT_DGRAM, EVENT_ICMP };

struct fakedns_event {
	struct fakedns_event *next;
	mf_nsec at;
	int what;
	struct fake_stream *st;
	struct fake_dgram *x;
	struct mf_endpoint from;
	enum mf_stream_error error;
	size_t n;
	uint8_t bytes[];
};

static void *checked(void *p)
{
	MF_ASSERT(p);
	return p;
}

/* ---- Events ---------------------------------------------------------------------------------- */

/* Behind all that happen at the same time. */
static struct fakedns_event *add_event(struct fakedns *f, mf_nsec at, int what, const void *bytes,
				       size_t n)
{
	struct fakedns_event *e = checked(calloc(1, sizeof(*e) + n)), **link = &f->events;

	e->at = at;
	e->what = what;
	e->n = n;
	if (n)
		memcpy(e->bytes, bytes, n);
	while (*link && (*link)->at <= at)
		link = &(*link)->next;
	e->next = *link;
	*link = e;
	return e;
}

static void happen_stream(struct fakedns_event *e)
{
	struct fake_stream *st = e->st;

	if (!st->s || st->failed)
		return;
	if (e->what == EVENT_OPEN)
		fake_open(st);
	else if (e->what == EVENT_FAIL)
		fake_fail(st, e->error);
	else if (e->what == EVENT_BYTES)
		fake_give(st, e->bytes, e->n);
	else
		fake_end(st);
}

static void happen(struct fakedns_event *e)
{
	struct mf_dgram_error error = { .remote = e->from, .offender = e->from.addr };

	if (e->st) {
		happen_stream(e);
		return;
	}
	if (!e->x->d || e->x->n_errors == MF_ARRAY_LEN(e->x->error))
		return; /* the port is closed */
	if (e->what == EVENT_DGRAM) {
		fakedgram_give(e->x, &e->from, e->bytes, e->n, 0, 0);
		return;
	}
	error.type = e->from.addr.family == MF_AF_IP4 ? 3 : 1;
	error.code = e->from.addr.family == MF_AF_IP4 ? 3 : 4;
	fakedgram_error(e->x, &error);
}

mf_nsec fakedns_next(const struct fakedns *f)
{
	return f->events ? f->events->at : MF_NEVER;
}

/* ---- Answers --------------------------------------------------------------------------------- */

size_t fakedns_reply(struct mf_span query, uint8_t rcode, unsigned n, uint8_t last, uint8_t *out)
{
	const uint8_t rr[] = { 0xc0, 12, 0, MF_DNS_A, 0,   MF_DNS_IN, 0, 0,
			       1,    44, 0, 4,        192, 0,         2, last };
	struct mf_dns_query q;
	size_t at;

	MF_ASSERT(mf_dns_query_read(query, &q) == MF_OK);
	memcpy(out, query.p, q.question_end);
	mf_store_be16(out + 2, (uint16_t)(MF_DNS_QR | MF_DNS_RA | (q.flags & MF_DNS_RD) | rcode));
	mf_store_be16(out + 6, (uint16_t)n);
	memset(out + 8, 0, 4);
	for (at = q.question_end; n; n--, at += sizeof(rr))
		memcpy(out + at, rr, sizeof(rr));
	return at;
}

/* Makes it `size` bytes long with a record of a type that nobody knows. */
static size_t fill_up(uint8_t *msg, size_t n, size_t size)
{
	uint8_t rr[12] = { 0xc0, 12, 0xff, 0x01, 0, MF_DNS_IN, 0, 0, 1, 44 };

	if (size < n + sizeof(rr))
		return n;
	mf_store_be16(rr + 10, (uint16_t)(size - n - sizeof(rr)));
	memcpy(msg + n, rr, sizeof(rr));
	memset(msg + n + sizeof(rr), 'x', size - n - sizeof(rr));
	mf_store_be16(msg + 6, (uint16_t)(mf_load_be16(msg + 6) + 1));
	return size;
}

static void lower_case(uint8_t *msg, size_t end)
{
	for (size_t i = MF_DNS_HEADER; i < end; i++)
		msg[i] = (uint8_t)tolower(msg[i]);
}

/* Spoils the right answer; returns its new length. */
static size_t spoil(struct fakedns *f, enum fakedns_twist twist, const struct mf_dns_query *q,
		    uint8_t *msg, size_t n)
{
	size_t end = q->question_end;

	switch (twist) {
	case FAKEDNS_WRONG_ID:
		msg[0] ^= (uint8_t)(1 + mf_prng_below(&f->prng, 255));
		return n;
	case FAKEDNS_WRONG_NAME:
		msg[MF_DNS_HEADER + 1] ^= 1;
		return n;
	case FAKEDNS_WRONG_TYPE:
		msg[end - 3] ^= 2;
		return n;
	case FAKEDNS_LOWER_CASE:
		lower_case(msg, end - 4);
		return n;
	case FAKEDNS_TRUNCATED:
		memset(msg + 6, 0, 6);
		msg[2] |= MF_DNS_TC >> 8;
		return end;
	case FAKEDNS_CUT:
		msg[2] |= MF_DNS_TC >> 8;
		return n - 3;
	case FAKEDNS_GARBAGE:
		mf_prng_fill(&f->prng, msg + 2, n - 2);
		return n;
	case FAKEDNS_SHORT:
		return 5;
	default:
		return n;
	}
}

/* The answer to a question; 0: none. */
static size_t make(struct fakedns *f, struct fakedns_server *s, enum fakedns_twist twist, bool tcp,
		   struct mf_span query, uint8_t *out)
{
	size_t n;

	if (mf_dns_query_read(query, &s->last) != MF_OK) {
		s->n_malformed++;
		return 0;
	}
	if (twist == FAKEDNS_SILENT)
		return 0;
	if (s->answer)
		n = s->answer(s, query, tcp, out);
	else
		n = fakedns_reply(query, s->rcode, s->rcode == MF_DNS_NOERROR,
				  (uint8_t)(s - f->server + 1), out);
	if (tcp && n)
		n = fill_up(out, n, s->size);
	return n ? spoil(f, twist, &s->last, out, n) : 0;
}

static struct fakedns_server *server_at(struct fakedns *f, const struct mf_endpoint *addr)
{
	for (unsigned i = 0; i < f->n; i++)
		if (mf_endpoint_equal(&f->server[i].addr, addr))
			return &f->server[i];
	return NULL;
}

/* ---- UDP ------------------------------------------------------------------------------------- */

static enum fakedns_twist next_twist(struct fakedns_server *s)
{
	enum fakedns_twist twist = s->twist;

	if (s->twists && !--s->twists)
		s->twist = FAKEDNS_RIGHT;
	return twist;
}

static void hear_dgram(struct fakedns *f, struct fake_dgram *x, const struct fake_sent *sent,
		       mf_nsec now)
{
	struct fakedns_server *s = server_at(f, &sent->remote);
	static uint8_t out[FAKEDNS_MESSAGE];
	struct mf_endpoint from = sent->remote;
	enum fakedns_twist twist;
	struct fakedns_event *e;
	size_t n;

	if (!s)
		return;
	s->n_udp++;
	twist = next_twist(s);
	n = make(f, s, twist, false, mf_span(sent->bytes, sent->n), out);
	from.port = (uint16_t)(from.port + (twist == FAKEDNS_WRONG_PORT));
	from.addr.b[3] ^= twist == FAKEDNS_WRONG_FROM;
	for (int i = 0; i < (twist == FAKEDNS_TWICE ? 2 : 1) && n; i++) {
		e = add_event(f, now + s->delay, twist == FAKEDNS_ICMP ? EVENT_ICMP : EVENT_DGRAM,
			      out, n);
		e->x = x;
		e->from = from;
	}
}

void fakedns_inject(struct fakedns *f, struct fake_dgram *x, const struct mf_endpoint *from,
		    const void *bytes, size_t n)
{
	(void)f;
	if (x->d)
		fakedgram_give(x, from, bytes, n, 0, 0);
}

static void look_at_dgrams(struct fakedns *f, mf_nsec now)
{
	size_t i = f->dgrams.n_opened;

	f->dgrams_seen = checked(realloc(f->dgrams_seen, (i + 1) * sizeof(*f->dgrams_seen)));
	while (f->n_dgrams_seen < i)
		f->dgrams_seen[f->n_dgrams_seen++] = 0;
	for (struct fake_dgram *x = f->dgrams.last; x; x = x->next) {
		size_t *seen = &f->dgrams_seen[--i];

		while (*seen < x->n_sent)
			hear_dgram(f, x, &x->sent[(*seen)++], now);
	}
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static void send_down(struct fakedns *f, struct fakedns_server *s, struct fake_stream *st,
		      struct fakedns_stream *x, struct mf_span bytes, mf_nsec at)
{
	size_t piece = s->piece ? s->piece : bytes.n;

	x->busy = mf_max(x->busy, at);
	for (size_t k; bytes.n; bytes.p += k, bytes.n -= k) {
		k = mf_min(piece, bytes.n);
		add_event(f, x->busy, EVENT_BYTES, bytes.p, k)->st = st;
		x->busy += s->piece ? MF_MSEC : 0;
	}
}

static void answer_stream(struct fakedns *f, struct fakedns_server *s, struct fake_stream *st,
			  struct fakedns_stream *x, struct mf_span query, mf_nsec now)
{
	static uint8_t out[2 + FAKEDNS_MESSAGE];
	struct fakedns_event *e;
	size_t n;

	s->n_tcp++;
	if (s->ends_after && x->answers >= s->ends_after)
		return;
	n = make(f, s, s->tcp_twist, true, query, out + 2);
	if (!n)
		return;
	mf_store_be16(out, (uint16_t)n);
	for (int i = 0; i < (s->tcp_twist == FAKEDNS_TWICE ? 2 : 1); i++)
		send_down(f, s, st, x, mf_span(out, n + 2), now + s->delay);
	if (++x->answers != s->ends_after)
		return;
	/* A reset takes away what has not been read. */
	e = add_event(f, x->busy + (s->resets ? MF_MSEC : 0), s->resets ? EVENT_FAIL : EVENT_END,
		      NULL, 0);
	e->st = st;
	e->error = MF_STREAM_E_RESET;
}

/* The whole messages that have come. */
static void hear_stream(struct fakedns *f, struct fakedns_server *s, struct fake_stream *st,
			struct fakedns_stream *x, mf_nsec now)
{
	struct mf_span query[300];
	size_t n = 0, at = x->seen;

	while (n < MF_ARRAY_LEN(query) && st->n_got - at >= 2 &&
	       st->n_got - at - 2 >= mf_load_be16(st->got + at)) {
		query[n++] = mf_span(st->got + at + 2, mf_load_be16(st->got + at));
		at += 2u + mf_load_be16(st->got + at);
	}
	x->seen = at;
	for (size_t i = 0; i < n; i++)
		answer_stream(f, s, st, x, query[s->backwards ? n - 1 - i : i], now);
}

static void accept_stream(struct fakedns *f, struct fakedns_server *s, struct fake_stream *st,
			  mf_nsec now)
{
	struct fakedns_event *e;

	if (!s || s->deaf)
		return;
	s->n_conns++;
	e = add_event(f, now + s->delay, s->refuses ? EVENT_FAIL : EVENT_OPEN, NULL, 0);
	e->st = st;
	e->error = s->refuses;
}

static void look_at_streams(struct fakedns *f, mf_nsec now)
{
	size_t i = f->streams.n_opened, old = f->n_streams_seen;

	f->streams_seen = checked(realloc(f->streams_seen, (i + 1) * sizeof(*f->streams_seen)));
	while (f->n_streams_seen < i)
		f->streams_seen[f->n_streams_seen++] = (struct fakedns_stream){ 0 };
	for (struct fake_stream *st = f->streams.last; st; st = st->next) {
		struct fakedns_server *s = server_at(f, &st->dst);

		if (--i >= old)
			accept_stream(f, s, st, now);
		if (s && st->s && !st->failed)
			hear_stream(f, s, st, &f->streams_seen[i], now);
	}
}

/* ---- The outbound ---------------------------------------------------------------------------- */

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct fakedns *f = o->ctx;

	s->out = &f->streams.out;
	return s->out->ops->stream_open(s->out, s, to);
}

static mf_err open_dgram(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct fakedns *f = o->ctx;

	d->out = &f->dgrams.out;
	return d->out->ops->dgram_open(d->out, d, to);
}

void fakedns_init(struct fakedns *f, uint64_t seed)
{
	memset(f, 0, sizeof(*f));
	fakeout_init(&f->streams);
	fakedgrams_init(&f->dgrams);
	f->prng.state = seed;
	f->ops = (struct mf_outbound_ops){
		.name = "fakedns",
		.stream_open = open_stream,
		.dgram_open = open_dgram,
	};
	f->out = (struct mf_outbound){ .ops = &f->ops, .ctx = f };
}

void fakedns_fini(struct fakedns *f)
{
	while (f->events) {
		struct fakedns_event *e = f->events;

		f->events = e->next;
		free(e);
	}
	free(f->dgrams_seen);
	free(f->streams_seen);
	fakeout_fini(&f->streams);
	fakedgrams_fini(&f->dgrams);
}

struct fakedns_server *fakedns_add(struct fakedns *f, const char *addr)
{
	struct fakedns_server *s = &f->server[f->n++];

	MF_ASSERT(f->n <= FAKEDNS_SERVERS);
	MF_ASSERT(mf_endpoint_parse(&s->addr, addr) == MF_OK);
	return s;
}

void fakedns_run(struct fakedns *f, mf_nsec now)
{
	look_at_dgrams(f, now);
	look_at_streams(f, now);
	while (f->events && f->events->at <= now) {
		struct fakedns_event *e = f->events;

		f->events = e->next;
		happen(e);
		free(e);
	}
}
