/* SPDX-License-Identifier: Apache-2.0
 *
 * https - DNS over HTTPS (RFC 8484) as a framing of connections: questions and answers become
 * requests and responses of an HTTP/2 session.
 *
 * Questions have id 0 and are posted. A server that wants no more of them on a connection (GOAWAY)
 * may still answer what is open; but as soon as another question waits, a new connection is opened
 * and what is open is asked again there: a question asked twice does no harm.
 */
#include <stdio.h>

#include "base/endian.h"
#include "resolver/https_session.h"
#include "resolver/internal.h"

#define IDLE (30 * MF_SEC)

enum { HTTPS_PORT = 443, AUTHORITY_MAX = 300 };

static_assert((int)MF_HTTPS_QUESTION_MAX >= (int)MF_TRANSPORT_QUESTION_MAX,
	      "every question fits into a request");

/* ---- Sessions -------------------------------------------------------------------------------- */

static bool write_stream(void *ctx, struct mf_span bytes)
{
	struct mf_dns_conn *c = ctx;

	return mf_dns_stream_write(&c->stream, &bytes, 1);
}

/* RFC 3986 3.2.2: an IPv6 address stands in brackets, and the usual port is left out. */
static void authority_of(const struct mf_dns_server *server, const struct mf_endpoint *to,
			 char out[AUTHORITY_MAX])
{
	struct mf_endpoint shown = *to;
	char text[MF_ENDPOINT_STRLEN];
	bool usual = !to->port || to->port == HTTPS_PORT;

	shown.scope_id = 0;
	if (server->name && usual)
		snprintf(out, AUTHORITY_MAX, "%s", server->name);
	else if (server->name)
		snprintf(out, AUTHORITY_MAX, "%s:%u", server->name, to->port);
	else
		snprintf(out, AUTHORITY_MAX, "%s", mf_endpoint_format(&shown, text));
	if (!server->name && usual)
		*strrchr(out, ':') = 0;
}

static void begin(struct mf_dns_conn *c)
{
	const struct mf_dns_server *server = c->stream.transport->server;
	char authority[AUTHORITY_MAX];
	struct mf_https_options o = {
		.authority = authority,
		.path = server->path,
		.write = write_stream,
		.ctx = c,
	};

	authority_of(server, &server->addr[c->which], authority);
	c->session = mf_https_session_new(&o);
	if (!c->session)
		mf_dns_stream_fail(&c->stream, MF_TRANSPORT_RESOURCES);
}

/* The connection's session; NULL: there is none yet, or there will be none. */
static struct mf_https_session *session_of(struct mf_dns_conn *c)
{
	if (c->session || c->stream.state != MF_DNS_STREAM_READY)
		return c->session;
	if (!strcmp(mf_tls_alpn(c->stream.tls), "h2"))
		begin(c);
	else
		mf_dns_stream_fail(&c->stream, MF_TRANSPORT_HTTP); /* it speaks no HTTP/2 */
	return c->session;
}

/* Says that we go, if anybody is there to hear it. */
static void end(struct mf_dns_conn *c)
{
	if (!c->session)
		return;
	if (c->stream.state == MF_DNS_STREAM_READY) {
		mf_https_session_leave(c->session);
		if (mf_https_session_send(c->session) != MF_E_MALFORMED)
			mf_dns_stream_run(&c->stream);
	}
	mf_https_session_free(c->session);
	c->session = NULL;
}

/* ---- Questions ------------------------------------------------------------------------------- */

static bool send_question(struct mf_dns_conn *c, struct mf_ask *a)
{
	struct mf_https_session *s = session_of(c);
	uint8_t question[MF_TRANSPORT_QUESTION_MAX];
	struct mf_https_request *r = NULL;

	if (s)
		r = mf_https_session_ask(
			s,
			mf_span(question,
				mf_transport_question(c->stream.transport, a, 0, true, question)),
			a);
	if (!r)
		return false;
	a->stream_id = r->stream;
	if (mf_https_session_send(s) != MF_OK)
		mf_dns_stream_fail(&c->stream, MF_TRANSPORT_BROKEN);
	return true;
}

/* Of a question that ends here the stream's number has been taken away before, and of a connection
 * that was lost the session: then there is nothing to forget. */
static void forget(struct mf_dns_conn *c, struct mf_ask *a)
{
	if (a->stream_id && c->session)
		mf_https_request_abandon(mf_https_session_find(c->session, a->stream_id));
	a->stream_id = 0;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* A cache has had it for so long (RFC 8484 5.1). */
static void grow_old(struct mf_https_request *r)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	if (!r->age || mf_dns_walk_begin(&w, mf_span(r->answer, r->n_answer)) != MF_OK)
		return;
	while (mf_dns_walk_next(&w, &rr))
		if (rr.type != MF_DNS_OPT)
			mf_store_be32(r->answer + rr.ttl_at, rr.ttl > r->age ? rr.ttl - r->age : 0);
}

static void hand_out(struct mf_dns_conn *c, struct mf_https_request *r, mf_nsec now)
{
	struct mf_transport *t = c->stream.transport;
	struct mf_ask *a = r->owner;

	a->stream_id = 0;
	switch (r->outcome) {
	case MF_HTTPS_ANSWERED:
		grow_old(r);
		mf_dns_conn_answer(c, a, mf_span(r->question, r->n_question),
				   mf_span(r->answer, r->n_answer), now);
		break;
	case MF_HTTPS_NOT_ASKED:
		mf_dns_conn_again(c, a, MF_TRANSPORT_UNREACHABLE);
		break;
	case MF_HTTPS_STATUS:
		mf_logf(t->env->log, MF_LOG_DEBUG, "DNS server %s: HTTP status %u%s",
			t->server->text, r->status, r->status == 200 ? ", but no DNS message" : "");
		mf_transport_fail(t, a, MF_TRANSPORT_HTTP);
		break;
	default:
		mf_transport_fail(t, a, MF_TRANSPORT_BROKEN);
		break;
	}
}

static void hand_out_all(struct mf_dns_conn *c, mf_nsec now)
{
	struct mf_https_request *r;

	while (c->session && (r = mf_https_session_ended(c->session))) {
		if (r->owner)
			hand_out(c, r, now);
		mf_https_request_free(r);
	}
}

/* After GOAWAY: nothing is open, or somebody waits. */
static bool is_over(const struct mf_dns_conn *c)
{
	return mf_https_session_going(c->session) &&
	       (!mf_https_session_running(c->session) || (c->n_queued && c->worked));
}

static bool take_answers(struct mf_dns_conn *c, mf_nsec now)
{
	struct mf_dns_stream *x = &c->stream;
	struct mf_https_session *s = session_of(c);
	struct mf_span in = mf_dns_stream_peek(x);
	size_t waited = mf_dns_stream_waiting(x).n;
	mf_err err;

	if (!s)
		return false;
	err = mf_https_session_feed(s, in);
	mf_dns_stream_take(x, in.n);
	hand_out_all(c, now);
	if (err == MF_OK)
		err = mf_https_session_send(s);
	hand_out_all(c, now); /* what could not be sent has ended, too */
	if (x->state == MF_DNS_STREAM_FAILED)
		return false;
	if (err && err != MF_E_GONE)
		mf_dns_stream_fail(x, MF_TRANSPORT_BROKEN);
	else if (err || is_over(c))
		mf_dns_stream_fail(x, MF_TRANSPORT_UNREACHABLE);
	return mf_dns_stream_waiting(x).n > waited;
}

const struct mf_dns_framing mf_dns_framing_https = {
	.layer = &mf_dns_layer_tls,
	.alpn = "\2h2",
	.idle = IDLE,
	.send = send_question,
	.take = take_answers,
	.forget = forget,
	.end = end,
};
