/* SPDX-License-Identifier: Apache-2.0
 *
 * transport_stream - DNS over connections: TCP (RFC 7766) and TLS (RFC 7858), where messages stand
 * behind their length, and HTTPS (https.c). There is one for each address of the server. Questions
 * are pipelined, answers come in any order, and the connection stays for a while after the last
 * one.
 *
 * A server may end a connection at any time. Questions that are open then are asked once more on a
 * new one if the old one has ever carried an answer; a server that takes connections and ends them
 * is not asked forever.
 *
 * A connection on which nothing comes for SILENCE after a question is dead, whatever TCP believes:
 * something in between has forgotten it. Questions that were taken back count, too, else a dead
 * connection would live for as long as another server is faster.
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

struct streams {
	struct mf_transport t;
	struct mf_dns_conn conn[MF_DNS_BOOTSTRAP_MAX]; /* by address */
};

static struct streams *streams_of(struct mf_transport *t)
{
	return MF_CONTAINER_OF(t, struct streams, t);
}

/* ---- Time ------------------------------------------------------------------------------------ */

/* When the connection is to be given up if nothing happens. */
static mf_nsec end_of(const struct mf_dns_conn *c)
{
	if (c->stream.state < MF_DNS_STREAM_READY)
		return c->heard + CONNECT;
	return c->unheard ? c->unheard + SILENCE : c->heard + c->framing->idle;
}

static void set_timer(struct mf_dns_conn *c)
{
	mf_timer_arm(&c->stream.transport->wheel, &c->timer, end_of(c));
}

static void lose(struct mf_dns_conn *c, enum mf_transport_error why, mf_nsec now);

static void time_out(struct mf_timer *timer, void *ctx, mf_nsec now)
{
	struct mf_dns_conn *c = MF_CONTAINER_OF(timer, struct mf_dns_conn, timer);

	(void)ctx;
	if (now < end_of(c))
		set_timer(c);
	else
		lose(c, MF_TRANSPORT_TIMEOUT, now);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void open_conn(struct mf_dns_conn *c, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;

	c->worked = false;
	c->heard = now;
	c->unheard = 0;
	mf_dns_stream_open(&c->stream, &t->server->addr[c->which], c->framing->layer,
			   t->server->name, c->framing->alpn);
	set_timer(c);
	/* It may have failed already; the next run sees it. */
	t->env->wake(t->env->ctx);
}

static void close_conn(struct mf_dns_conn *c)
{
	mf_timer_disarm(&c->stream.transport->wheel, &c->timer);
	if (c->framing->end)
		c->framing->end(c);
	mf_dns_stream_close(&c->stream);
}

static void send_one(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	struct mf_dns_conn *c = arg;

	if (a->conn != c || a->state != MF_DNS_QUEUED || !c->framing->send(c, a))
		return;
	a->state = MF_DNS_SENT;
	a->tries++;
	c->n_queued--;
	mf_count(&t->count->asked, 1);
}

/* True: some went into the queue. */
static bool send_queued(struct mf_dns_conn *c, mf_nsec now)
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
	struct mf_dns_conn *c;
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
	} else if (a->state == MF_DNS_SENT) {
		a->state = MF_DNS_QUEUED;
		l->c->n_queued++;
	}
}

void mf_dns_conn_again(struct mf_dns_conn *c, struct mf_ask *a, enum mf_transport_error why)
{
	struct loss l = { .c = c, .why = why, .again = true };

	lose_one(c->stream.transport, a, &l);
	c->stream.transport->env->wake(c->stream.transport->env->ctx);
}

/* The connection has ended, or is given up. */
static void lose(struct mf_dns_conn *c, enum mf_transport_error why, mf_nsec now)
{
	struct loss l = { .c = c, .why = why, .again = c->worked };

	close_conn(c);
	mf_transport_each(c->stream.transport, lose_one, &l);
	if (c->n_open)
		open_conn(c, now);
}

/* ---- Answers --------------------------------------------------------------------------------- */

void mf_dns_conn_answer(struct mf_dns_conn *c, struct mf_ask *a, struct mf_span question,
			struct mf_span answer, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;
	mf_err err = mf_dns_answer_check(question, answer, false);

	if (err == MF_OK && !(mf_load_be16(answer.p + 2) & MF_DNS_TC)) {
		c->worked = true;
		mf_transport_answer(t, a, answer, now);
		return;
	}
	mf_count(err == MF_E_CONFLICT ? &t->count->spoofed : &t->count->malformed, 1);
	mf_transport_fail(t, a, MF_TRANSPORT_BROKEN);
}

static void note_time(struct mf_dns_conn *c, bool was_ready, mf_nsec now)
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
static bool serve(struct mf_dns_conn *c, mf_nsec now)
{
	struct mf_dns_stream *x = &c->stream;
	bool was_ready = x->state == MF_DNS_STREAM_READY, more = true;

	x->heard = false;
	for (unsigned i = 0; i < ROUNDS && more; i++) {
		more = send_queued(c, now);
		mf_dns_stream_run(x);
		more |= c->framing->take(c, now);
		more |= mf_dns_stream_more(x);
	}
	note_time(c, was_ready, now);
	if (x->state == MF_DNS_STREAM_ENDED)
		lose(c, MF_TRANSPORT_UNREACHABLE, now);
	else if (x->state == MF_DNS_STREAM_FAILED)
		lose(c, x->error, now);
	return more;
}

/* ---- Messages behind their length (RFC 1035 4.2.2) ------------------------------------------- */

static size_t write_question(const struct mf_dns_conn *c, const struct mf_ask *a,
			     uint8_t out[MF_TRANSPORT_QUESTION_MAX])
{
	return mf_transport_question(c->stream.transport, a, a->id, c->framing->layer != NULL, out);
}

static bool send_question(struct mf_dns_conn *c, struct mf_ask *a)
{
	uint8_t question[MF_TRANSPORT_QUESTION_MAX], length[2];
	struct mf_span v[2] = { { length, 2 }, { question, 0 } };

	v[1].n = write_question(c, a, question);
	mf_store_be16(length, (uint16_t)v[1].n);
	return mf_dns_stream_write(&c->stream, v, 2);
}

static void take_answer(struct mf_dns_conn *c, struct mf_span msg, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;
	struct mf_ask *a = mf_transport_find(t, mf_load_be16(msg.p));
	uint8_t question[MF_TRANSPORT_QUESTION_MAX];

	if (a && a->conn == c && a->state == MF_DNS_SENT)
		mf_dns_conn_answer(c, a, mf_span(question, write_question(c, a, question)), msg, now);
	else
		mf_count(&t->count->unexpected, 1);
}

static bool take_answers(struct mf_dns_conn *c, mf_nsec now)
{
	struct mf_span in;

	while ((in = mf_dns_stream_peek(&c->stream)).n >= 2) {
		size_t n = mf_load_be16(in.p);

		if (n < MF_DNS_HEADER) {
			mf_count(&c->stream.transport->count->malformed, 1);
			mf_dns_stream_fail(&c->stream, MF_TRANSPORT_BROKEN);
			break;
		}
		if (in.n - 2 < n)
			break;
		take_answer(c, mf_span(in.p + 2, n), now);
		mf_dns_stream_take(&c->stream, 2 + n);
	}
	return false;
}

static const struct mf_dns_framing tcp = {
	.idle = IDLE,
	.send = send_question,
	.take = take_answers,
};

static const struct mf_dns_framing tls = {
	.layer = &mf_dns_layer_tls,
	.alpn = "\3dot",
	.idle = IDLE,
	.send = send_question,
	.take = take_answers,
};

/* Of UDP servers it is what truncated answers are asked for over. */
static const struct mf_dns_framing *framing_of(enum mf_dns_scheme scheme)
{
	switch (scheme) {
	case MF_DNS_OVER_TLS:
		return &tls;
	case MF_DNS_OVER_HTTPS:
		return &mf_dns_framing_https;
	default:
		return &tcp;
	}
}

/* ---- Operations ------------------------------------------------------------------------------ */

static mf_err init(struct mf_transport *t)
{
	struct streams *s = streams_of(t);

	for (size_t i = 0; i < MF_ARRAY_LEN(s->conn); i++) {
		s->conn[i].stream.transport = t;
		s->conn[i].which = (uint8_t)i;
		s->conn[i].framing = framing_of(t->server->scheme);
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

/* Questions of one turn leave together, with the next run, which mf_transport_ask has asked for. */
static void ask(struct mf_transport *t, struct mf_ask *a, mf_nsec now)
{
	struct mf_dns_conn *c = &streams_of(t)->conn[a->which];

	a->conn = c;
	a->state = MF_DNS_QUEUED;
	c->n_open++;
	c->n_queued++;
	if (c->stream.state == MF_DNS_STREAM_CLOSED)
		open_conn(c, now);
	else
		mf_count(&t->count->reused, 1);
}

static void forget(struct mf_transport *t, struct mf_ask *a)
{
	struct mf_dns_conn *c = a->conn;

	(void)t;
	c->n_open--;
	if (a->state == MF_DNS_QUEUED)
		c->n_queued--;
	else if (c->framing->forget)
		c->framing->forget(c, a);
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
	struct mf_dns_conn *c = a->conn;

	(void)t, (void)arg;
	c->n_queued += a->state == MF_DNS_SENT;
	a->state = MF_DNS_QUEUED;
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
