/* SPDX-License-Identifier: Apache-2.0
 *
 * transport_stream - DNS over TCP (RFC 7766) and TLS (RFC 7858): messages behind their length on one connection
 * for each address of the server. Questions are pipelined, answers come in any order, and the connection stays
 * for a while after the last one.
 *
 * A server may end a connection at any time. Questions that are open then are asked once more on a new one if the
 * old one has ever carried an answer; a server that takes connections and ends them is not asked forever.
 *
 * A connection on which nothing comes for SILENCE after a question is dead, whatever TCP believes: something in
 * between has forgotten it. Questions that were taken back count, too, else a dead connection would live for
 * as long as another server is faster.
 */
#include "base/endian.h"
#include "resolver/internal.h"

#define CONNECT (4 * MF_SEC)
#define SILENCE (4 * MF_SEC)
#define IDLE    (10 * MF_SEC)

enum {
	ROUNDS = 8, /* of reading and answering, before others get their turn */
	TRIES = 2,
};

/* Where a question is. */
enum { QUEUED, SENT };

struct conn {
	struct mf_dns_stream stream;
	struct mf_timer timer;
	uint32_t n_open, n_queued; /* questions */
	bool worked;               /* an answer has come */
	mf_nsec heard;             /* when bytes came last, or it was opened */
	mf_nsec unheard; /* when the first question was sent after which nothing came, 0: none */
};

struct streams {
	struct mf_transport t;
	struct conn conn[MF_DNS_BOOTSTRAP_MAX]; /* by address */
};

static struct streams *streams_of(struct mf_transport *t)
{
	return MF_CONTAINER_OF(t, struct streams, t);
}

static const struct mf_dns_layer *layer_of(const struct mf_transport *t)
{
	(void)t;
	return NULL;
}

/* ---- Time ------------------------------------------------------------------------------------------ */

/* When the connection is to be given up if nothing happens. */
static mf_nsec end_of(const struct conn *c)
{
	if (c->stream.state < MF_DNS_STREAM_READY)
		return c->heard + CONNECT;
	return c->unheard ? c->unheard + SILENCE : c->heard + IDLE;
}

static void set_timer(struct conn *c)
{
	mf_timer_arm(&c->stream.transport->wheel, &c->timer, end_of(c));
}

static void lose(struct conn *c, enum mf_transport_error why, mf_nsec now);

static void time_out(struct mf_timer *timer, void *ctx, mf_nsec now)
{
	struct conn *c = MF_CONTAINER_OF(timer, struct conn, timer);

	(void)ctx;
	if (now < end_of(c))
		set_timer(c);
	else
		lose(c, MF_TRANSPORT_TIMEOUT, now);
}

/* ---- Connections ----------------------------------------------------------------------------------- */

static void open_conn(struct conn *c, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;
	size_t which = (size_t)(c - streams_of(t)->conn);

	c->worked = false;
	c->heard = now;
	c->unheard = 0;
	mf_dns_stream_open(&c->stream, &t->server->addr[which], layer_of(t), t->server->name,
			   "\3dot");
	set_timer(c);
	/* It may have failed already; the next run sees it. */
	t->env->wake(t->env->ctx);
}

static void close_conn(struct conn *c)
{
	mf_timer_disarm(&c->stream.transport->wheel, &c->timer);
	mf_dns_stream_close(&c->stream);
}

/* Writes the question into the connection's queue, if there is room. */
static void send_one(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	struct conn *c = arg;
	uint8_t question[MF_TRANSPORT_QUESTION_MAX], length[2];
	struct mf_span v[2] = { { length, 2 }, { question, 0 } };

	if (a->conn != c || a->state != QUEUED)
		return;
	v[1].n = mf_transport_question(t, a, a->id, layer_of(t) != NULL, question);
	mf_store_be16(length, (uint16_t)v[1].n);
	if (!mf_dns_stream_write(&c->stream, v, 2))
		return;
	a->state = SENT;
	a->tries++;
	c->n_queued--;
	mf_count(&t->count->asked, 1);
}

/* True: some went into the queue. */
static bool send_queued(struct conn *c, mf_nsec now)
{
	uint32_t before = c->n_queued;

	if (!before)
		return false;
	mf_transport_each(c->stream.transport, send_one, c);
	if (c->n_queued == before)
		return false;
	if (!c->unheard) {
		c->unheard = now;
		set_timer(c);
	}
	return true;
}

struct loss {
	struct conn *c;
	enum mf_transport_error why;
	bool again;
};

static void lose_one(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	struct loss *l = arg;

	if (a->conn != l->c)
		return;
	if (!l->again || a->tries >= TRIES) {
		mf_transport_fail(t, a, l->why);
	} else if (a->state == SENT) {
		a->state = QUEUED;
		l->c->n_queued++;
	}
}

/* The connection has ended, or is given up. */
static void lose(struct conn *c, enum mf_transport_error why, mf_nsec now)
{
	struct loss l = { .c = c, .why = why, .again = c->worked };

	close_conn(c);
	mf_transport_each(c->stream.transport, lose_one, &l);
	if (c->n_open)
		open_conn(c, now);
}

/* ---- Answers --------------------------------------------------------------------------------------- */

/* A stream has no forgers and no limit of length, so what is wrong here is the server's own. */
static void take_answer(struct conn *c, struct mf_span msg, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;
	struct mf_ask *a = mf_transport_find(t, mf_load_be16(msg.p));
	uint8_t question[MF_TRANSPORT_QUESTION_MAX];
	mf_err err;
	size_t n;

	if (!a || a->conn != c || a->state != SENT) {
		mf_count(&t->count->unexpected, 1);
		return;
	}
	n = mf_transport_question(t, a, a->id, layer_of(t) != NULL, question);
	err = mf_dns_answer_check(mf_span(question, n), msg, false);
	if (err == MF_OK && !(mf_load_be16(msg.p + 2) & MF_DNS_TC)) {
		c->worked = true;
		mf_transport_answer(t, a, msg, now);
		return;
	}
	mf_count(err == MF_E_CONFLICT ? &t->count->spoofed : &t->count->malformed, 1);
	mf_transport_fail(t, a, MF_TRANSPORT_BROKEN);
}

static void take_answers(struct conn *c, mf_nsec now)
{
	struct mf_span in;

	while ((in = mf_dns_stream_peek(&c->stream)).n >= 2) {
		size_t n = mf_load_be16(in.p);

		if (n < MF_DNS_HEADER) {
			mf_count(&c->stream.transport->count->malformed, 1);
			mf_dns_stream_fail(&c->stream, MF_TRANSPORT_BROKEN);
			return;
		}
		if (in.n - 2 < n)
			return;
		take_answer(c, mf_span(in.p + 2, n), now);
		mf_dns_stream_take(&c->stream, 2 + n);
	}
}

static void note_time(struct conn *c, bool was_ready, mf_nsec now)
{
	if (c->stream.heard) {
		c->heard = now;
		c->unheard = 0;
	} else if (!was_ready && c->stream.state == MF_DNS_STREAM_READY && c->unheard) {
		c->unheard = now; /* from here on the server can hear us */
	} else {
		return;
	}
	set_timer(c);
}

/* Writes, reads, answers. True: there is more to do at once. */
static bool serve(struct conn *c, mf_nsec now)
{
	struct mf_dns_stream *x = &c->stream;
	bool was_ready = x->state == MF_DNS_STREAM_READY, sent = true;

	x->heard = false;
	for (unsigned i = 0; i < ROUNDS && (sent || mf_dns_stream_more(x)); i++) {
		sent = send_queued(c, now);
		mf_dns_stream_run(x);
		take_answers(c, now);
	}
	note_time(c, was_ready, now);
	if (x->state == MF_DNS_STREAM_ENDED)
		lose(c, MF_TRANSPORT_UNREACHABLE, now);
	else if (x->state == MF_DNS_STREAM_FAILED)
		lose(c, x->error, now);
	return mf_dns_stream_more(x);
}

/* ---- Operations ------------------------------------------------------------------------------------ */

static mf_err init(struct mf_transport *t)
{
	struct streams *s = streams_of(t);

	for (size_t i = 0; i < MF_ARRAY_LEN(s->conn); i++) {
		s->conn[i].stream.transport = t;
		s->conn[i].timer.fire = time_out;
	}
	return MF_OK;
}

static void fini(struct mf_transport *t)
{
	struct streams *s = streams_of(t);

	for (size_t i = 0; i < MF_ARRAY_LEN(s->conn); i++)
		close_conn(&s->conn[i]);
}

/* Questions of one turn leave together, with the next run. */
static void ask(struct mf_transport *t, struct mf_ask *a, mf_nsec now)
{
	struct conn *c = &streams_of(t)->conn[a->which];

	a->conn = c;
	a->state = QUEUED;
	c->n_open++;
	c->n_queued++;
	if (c->stream.state == MF_DNS_STREAM_CLOSED)
		open_conn(c, now);
	else
		mf_count(&t->count->reused, 1);
	t->env->wake(t->env->ctx);
}

static void forget(struct mf_transport *t, struct mf_ask *a)
{
	struct conn *c = a->conn;

	(void)t;
	c->n_open--;
	c->n_queued -= a->state == QUEUED;
}

static mf_nsec run(struct mf_transport *t, mf_nsec now)
{
	struct streams *s = streams_of(t);
	bool more = false;

	for (size_t i = 0; i < MF_ARRAY_LEN(s->conn); i++)
		if (s->conn[i].stream.state != MF_DNS_STREAM_CLOSED)
			more |= serve(&s->conn[i], now);
	return more ? now : MF_NEVER;
}

static void ask_anew(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	struct conn *c = a->conn;

	(void)t, (void)arg;
	c->n_queued += a->state == SENT;
	a->state = QUEUED;
	a->tries = 0;
}

static void reset(struct mf_transport *t, mf_nsec now)
{
	struct streams *s = streams_of(t);

	mf_transport_each(t, ask_anew, NULL);
	for (size_t i = 0; i < MF_ARRAY_LEN(s->conn); i++) {
		close_conn(&s->conn[i]);
		if (s->conn[i].n_open)
			open_conn(&s->conn[i], now);
	}
}

const struct mf_transport_ops mf_transport_stream = {
	.size = sizeof(struct streams),
	.init = init,
	.fini = fini,
	.ask = ask,
	.forget = forget,
	.run = run,
	.reset = reset,
};
