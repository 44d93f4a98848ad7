/* SPDX-License-Identifier: Apache-2.0
 *
 * https_session - callbacks around nghttp2, which does the framing, the compression of headers, the
 * server's limits (a request beyond them waits inside) and the acknowledgements.
 *
 * What a server can make us keep is bounded: streams by what we ask, an answer by the longest DNS
 * message, all that are not whole by MF_HTTPS_ANSWERS_MAX, headers by our SETTINGS (of a response
 * only three are looked at, none is kept), acknowledgements by ACKS_MAX. It cannot push.
 */
#include "resolver/https_session.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	AUTHORITY_MAX = 270,
	PATH_MAX_LEN = 1024,
	ABANDONED_MAX = 64, /* that run on; the next ones are reset */
	ACKS_MAX = 64,
	HEADERS_MAX = 8192, /* of a response, bytes */
};

struct mf_https_session {
	nghttp2_session *h2;
	struct mf_https_options o;
	struct mf_https_request *open;
	struct mf_https_request *ended, **ended_last;
	uint32_t n_open, n_abandoned;
	size_t n_answers; /* bytes of answers in `open` */
	bool going;       /* the server has said GOAWAY, or we leave */
	char authority[AUTHORITY_MAX], path[PATH_MAX_LEN];
};

/* ---- Requests -------------------------------------------------------------------------------- */

/* An open request has `prev`, one that has ended has not. */
static void link_open(struct mf_https_session *s, struct mf_https_request *r)
{
	r->session = s;
	r->prev = &s->open;
	r->next = s->open;
	if (r->next)
		r->next->prev = &r->next;
	s->open = r;
	s->n_open++;
}

static void unlink_open(struct mf_https_session *s, struct mf_https_request *r)
{
	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	r->next = NULL;
	r->prev = NULL;
	s->n_open--;
	s->n_answers -= r->n_answer;
	s->n_abandoned -= r->owner == NULL;
}

static enum mf_https_outcome judge(const struct mf_https_request *r, uint32_t error)
{
	if (r->outcome != MF_HTTPS_OPEN)
		return r->outcome;
	if (error == NGHTTP2_REFUSED_STREAM || (error && !r->n_sent))
		return MF_HTTPS_NOT_ASKED;
	if (error || !r->status)
		return MF_HTTPS_BROKEN;
	return r->status == 200 && r->right_type ? MF_HTTPS_ANSWERED : MF_HTTPS_STATUS;
}

static void end(struct mf_https_session *s, struct mf_https_request *r, uint32_t error)
{
	unlink_open(s, r);
	r->outcome = (uint8_t)judge(r, error);
	*s->ended_last = r;
	s->ended_last = &r->next;
}

struct mf_https_request *mf_https_session_ended(struct mf_https_session *s)
{
	struct mf_https_request *r = s->ended;

	if (!r)
		return NULL;
	s->ended = r->next;
	if (!s->ended)
		s->ended_last = &s->ended;
	r->next = NULL;
	r->session = NULL;
	return r;
}

void mf_https_request_free(struct mf_https_request *r)
{
	if (!r)
		return;
	free(r->answer);
	free(r);
}

struct mf_https_request *mf_https_session_find(struct mf_https_session *s, int32_t stream)
{
	struct mf_https_request *r = s->open;

	while (r && r->stream != stream)
		r = r->next;
	if (r)
		return r;
	r = s->ended;
	while (r && r->stream != stream)
		r = r->next;
	return r;
}

/* Most of them are answered soon, and a reset costs as much. */
void mf_https_request_abandon(struct mf_https_request *r)
{
	struct mf_https_session *s = r->session;

	MF_ASSERT(r->owner);
	r->owner = NULL;
	if (r->prev && ++s->n_abandoned > ABANDONED_MAX)
		(void)nghttp2_submit_rst_stream(s->h2, NGHTTP2_FLAG_NONE, r->stream, NGHTTP2_CANCEL);
}

/* ---- What nghttp2 calls ---------------------------------------------------------------------- */

static ssize_t on_send(nghttp2_session *h2, const uint8_t *bytes, size_t n, int flags, void *ctx)
{
	struct mf_https_session *s = ctx;

	(void)h2, (void)flags;
	return s->o.write(s->o.ctx, mf_span(bytes, n)) ? (ssize_t)n : NGHTTP2_ERR_WOULDBLOCK;
}

/* The body of a request. */
static ssize_t on_body(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t cap,
		       uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct mf_https_request *r = source->ptr;
	size_t n = mf_min(cap, (size_t)(r->n_question - r->n_sent));

	(void)h2, (void)stream, (void)ctx;
	memcpy(out, r->question + r->n_sent, n);
	r->n_sent = (uint16_t)(r->n_sent + n);
	if (r->n_sent == r->n_question)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* Digits up to 999999999; anything else is 0. */
static uint32_t number(const uint8_t *p, size_t n)
{
	uint32_t v = 0;

	if (n > 9)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(p[i] - '0');
	}
	return v;
}

/* "application/dns-message", maybe with parameters. */
static bool is_dns_message(const uint8_t *p, size_t n)
{
	static const char type[] = "application/dns-message";
	size_t len = sizeof(type) - 1;

	if (n < len || strncasecmp((const char *)p, type, len) != 0)
		return false;
	return n == len || p[len] == ';' || p[len] == ' ' || p[len] == '\t';
}

static bool is(const uint8_t *p, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(p, text, n);
}

/* Names are in lower case, and :status comes first and is a number (nghttp2 checks that). A status
 * anew belongs to the response proper, after an interim one. */
static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
	struct mf_https_request *r = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	(void)flags, (void)ctx;
	if (!r || r->n_answer)
		return 0;
	if (is(name, name_n, ":status")) {
		r->status = (uint16_t)number(value, mf_min(value_n, 3));
		r->right_type = false;
		r->age = 0;
	} else if (is(name, name_n, "content-type")) {
		r->right_type = is_dns_message(value, value_n);
	} else if (is(name, name_n, "age")) {
		r->age = number(value, value_n);
	}
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *bytes,
		   size_t n, void *ctx)
{
	struct mf_https_request *r = nghttp2_session_get_stream_user_data(h2, stream);
	struct mf_https_session *s = ctx;
	uint8_t *p;

	(void)flags;
	if (!r || !n || r->outcome != MF_HTTPS_OPEN || r->status != 200 || !r->right_type)
		return 0;
	p = n > MF_HTTPS_ANSWER_MAX - r->n_answer || n > MF_HTTPS_ANSWERS_MAX - s->n_answers
		    ? NULL
		    : realloc(r->answer, r->n_answer + n);
	if (!p) {
		r->outcome = MF_HTTPS_BROKEN;
		return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
	}
	r->answer = p;
	memcpy(r->answer + r->n_answer, bytes, n);
	r->n_answer += n;
	s->n_answers += n;
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t stream, uint32_t error, void *ctx)
{
	struct mf_https_request *r = nghttp2_session_get_stream_user_data(h2, stream);

	if (r)
		end(ctx, r, error);
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *ctx)
{
	struct mf_https_session *s = ctx;

	(void)h2;
	s->going |= frame->hd.type == NGHTTP2_GOAWAY;
	return 0;
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static int make(struct mf_https_session *s, nghttp2_session_callbacks *calls, nghttp2_option *option)
{
	nghttp2_session_callbacks_set_send_callback(calls, on_send);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
	nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
	nghttp2_option_set_max_reserved_remote_streams(option, 0);
	return nghttp2_session_client_new2(&s->h2, calls, s, option);
}

/* Windows stay at their first size, 65535 bytes for a stream and for the connection: an answer is
 * no longer. */
static bool start(struct mf_https_session *s)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADERS_MAX },
	};
	nghttp2_session_callbacks *calls = NULL;
	nghttp2_option *option = NULL;
	bool ok;

	ok = nghttp2_session_callbacks_new(&calls) == 0 && nghttp2_option_new(&option) == 0 &&
	     make(s, calls, option) == 0 &&
	     nghttp2_submit_settings(s->h2, NGHTTP2_FLAG_NONE, settings, MF_ARRAY_LEN(settings)) == 0;
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(calls);
	return ok;
}

struct mf_https_session *mf_https_session_new(const struct mf_https_options *o)
{
	struct mf_https_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->o = *o;
	s->ended_last = &s->ended;
	if (snprintf(s->authority, AUTHORITY_MAX, "%s", o->authority) < AUTHORITY_MAX &&
	    snprintf(s->path, PATH_MAX_LEN, "%s", o->path) < PATH_MAX_LEN && start(s))
		return s;
	mf_https_session_free(s);
	return NULL;
}

void mf_https_session_free(struct mf_https_session *s)
{
	struct mf_https_request *r;

	if (!s)
		return;
	while ((r = s->open)) {
		unlink_open(s, r);
		mf_https_request_free(r);
	}
	while ((r = mf_https_session_ended(s)))
		mf_https_request_free(r);
	nghttp2_session_del(s->h2); /* calls nothing back */
	free(s);
}

/* nghttp2 copies it, and changes neither. */
static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

/* The length is said because some servers insist. */
static int32_t submit(struct mf_https_session *s, struct mf_https_request *r)
{
	nghttp2_data_provider body = { .source.ptr = r, .read_callback = on_body };
	char length[8];
	nghttp2_nv headers[] = {
		header(":method", "POST"),
		header(":scheme", "https"),
		header(":authority", s->authority),
		header(":path", s->path),
		header("accept", "application/dns-message"),
		header("content-type", "application/dns-message"),
		header("content-length", ""),
	};
	size_t n = MF_ARRAY_LEN(headers);

	headers[n - 1].value = (uint8_t *)length;
	headers[n - 1].valuelen = (size_t)snprintf(length, sizeof(length), "%u", r->n_question);
	return nghttp2_submit_request(s->h2, NULL, headers, n, &body, r);
}

struct mf_https_request *mf_https_session_ask(struct mf_https_session *s, struct mf_span question,
					      void *owner)
{
	struct mf_https_request *r;

	MF_ASSERT(question.n && question.n <= MF_HTTPS_QUESTION_MAX && owner);
	if (mf_https_session_going(s))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->owner = owner;
	r->n_question = (uint16_t)question.n;
	memcpy(r->question, question.p, question.n);
	r->stream = submit(s, r);
	if (r->stream < 0) {
		mf_https_request_free(r);
		return NULL;
	}
	link_open(s, r);
	return r;
}

static mf_err error_of(int r)
{
	return r == NGHTTP2_ERR_NOMEM ? MF_E_NO_MEMORY : MF_E_MALFORMED;
}

mf_err mf_https_session_feed(struct mf_https_session *s, struct mf_span in)
{
	ssize_t n = nghttp2_session_mem_recv(s->h2, in.p, in.n);

	return n < 0 ? error_of((int)n) : MF_OK;
}

mf_err mf_https_session_send(struct mf_https_session *s)
{
	int r = nghttp2_session_send(s->h2);

	if (r < 0)
		return error_of(r);
	if (nghttp2_session_want_read(s->h2) || nghttp2_session_want_write(s->h2))
		return MF_OK;
	/* It is over: as somebody wanted, or by nghttp2, which has told the server what is wrong
	 * with it. */
	return s->going ? MF_E_GONE : MF_E_MALFORMED;
}

bool mf_https_session_going(const struct mf_https_session *s)
{
	return !nghttp2_session_check_request_allowed(s->h2);
}

uint32_t mf_https_session_running(const struct mf_https_session *s)
{
	return s->n_open;
}

void mf_https_session_leave(struct mf_https_session *s)
{
	s->going = true;
	(void)nghttp2_session_terminate_session(s->h2, NGHTTP2_NO_ERROR);
}
