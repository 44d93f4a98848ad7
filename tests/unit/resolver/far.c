/* SPDX-License-Identifier: Apache-2.0
 *
 * far - see far.h.
 */
#include "far.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/endian.h"

void far_open(struct far *f, const struct tlslab_ca *ca, const struct tlslab_cert *cert,
	      const char *alpn)
{
	memset(f, 0, sizeof(*f));
	fakeout_init(&f->out);
	f->out.open_at_once = true;
	f->ctx = tlslab_server(ca, cert, alpn);
}

void far_close(struct far *f)
{
	struct far_conn *c = f->last, *next;
	struct far_body *b = f->bodies, *next_body;

	for (; c; c = next) {
		next = c->next;
		nghttp2_session_del(c->h2);
		SSL_free(c->ssl);
		free(c);
	}
	for (; b; b = next_body) {
		next_body = b->next;
		free(b);
	}
	SSL_CTX_free(f->ctx);
	fakeout_fini(&f->out);
}

static void write_tls(struct far_conn *c, const void *p, size_t n)
{
	size_t done;

	MF_ASSERT(!n || SSL_write_ex(c->ssl, p, n, &done) == 1);
}

/* ---- HTTP/2 ---------------------------------------------------------------------------------- */

static struct far_question *question_of(struct far_conn *c, int32_t stream)
{
	for (size_t i = 0; i < c->far->n_asked; i++)
		if (c->far->asked[i].conn == c && c->far->asked[i].stream == stream)
			return &c->far->asked[i];
	return NULL;
}

static struct far_question *begin_question(struct far_conn *c, int32_t stream)
{
	struct far_question *q = &c->far->asked[c->far->n_asked++];

	MF_ASSERT(c->far->n_asked <= FAR_QUESTIONS);
	*q = (struct far_question){ .conn = c, .stream = stream };
	return q;
}

static ssize_t on_send(nghttp2_session *h2, const uint8_t *p, size_t n, int flags, void *ctx)
{
	(void)h2, (void)flags;
	write_tls(ctx, p, n);
	return (ssize_t)n;
}

static int on_begin(nghttp2_session *h2, const nghttp2_frame *frame, void *ctx)
{
	struct far_conn *c = ctx;

	(void)h2;
	begin_question(c, frame->hd.stream_id);
	if (++c->n_open > c->n_open_max)
		c->n_open_max = c->n_open;
	return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *ctx)
{
	struct far_question *q = question_of(ctx, frame->hd.stream_id);
	size_t n = strlen(q->headers);

	(void)h2, (void)flags;
	snprintf(q->headers + n, sizeof(q->headers) - n, "%.*s: %.*s\n", (int)name_n,
		 (const char *)name, (int)value_n, (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *p, size_t n,
		   void *ctx)
{
	struct far_question *q = question_of(ctx, stream);

	(void)h2, (void)flags;
	MF_ASSERT(q->n + n <= sizeof(q->msg));
	memcpy(q->msg + q->n, p, n);
	q->n += n;
	return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *ctx)
{
	struct far_conn *c = ctx;

	(void)h2;
	c->said_goodbye |= frame->hd.type == NGHTTP2_GOAWAY;
	c->n_resets += frame->hd.type == NGHTTP2_RST_STREAM;
	return 0;
}

static int on_close(nghttp2_session *h2, int32_t stream, uint32_t error, void *ctx)
{
	struct far_conn *c = ctx;

	(void)h2, (void)stream, (void)error;
	c->n_open--;
	return 0;
}

static void begin_h2(struct far_conn *c)
{
	nghttp2_settings_entry limit = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
					 c->far->max_streams };
	nghttp2_session_callbacks *calls;

	MF_ASSERT(nghttp2_session_callbacks_new(&calls) == 0);
	nghttp2_session_callbacks_set_send_callback(calls, on_send);
	nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_close);
	MF_ASSERT(nghttp2_session_server_new(&c->h2, calls, c) == 0);
	nghttp2_session_callbacks_del(calls);
	MF_ASSERT(nghttp2_submit_settings(c->h2, 0, &limit, limit.value ? 1 : 0) == 0);
}

static ssize_t on_body(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t cap,
		       uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct far_body *b = source->ptr;
	size_t n = mf_min(cap, b->n - b->sent);

	(void)h2, (void)stream, (void)ctx;
	memcpy(out, b->b + b->sent, n);
	b->sent += n;
	if (b->sent == b->n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

void far_reply(struct far_question *q, const char *status, const char *type, const char *age,
	       struct mf_span body)
{
	struct far_body *b = malloc(sizeof(*b) + body.n);
	nghttp2_data_provider data = { .source.ptr = b, .read_callback = on_body };
	nghttp2_nv headers[] = {
		header(":status", status),
		header("content-type", type),
		header("age", age ? age : ""),
	};

	MF_ASSERT(b);
	*b = (struct far_body){ .next = q->conn->far->bodies, .n = body.n };
	memcpy(b->b, body.n ? body.p : (const uint8_t *)"", body.n);
	q->conn->far->bodies = b;
	MF_ASSERT(nghttp2_submit_response(q->conn->h2, q->stream, headers, age ? 3 : 2, &data) == 0);
}

void far_reset(struct far_question *q, uint32_t error)
{
	MF_ASSERT(nghttp2_submit_rst_stream(q->conn->h2, 0, q->stream, error) == 0);
}

void far_goaway(struct far_conn *c)
{
	MF_ASSERT(nghttp2_submit_goaway(c->h2, 0, nghttp2_session_get_last_proc_stream_id(c->h2),
					NGHTTP2_NO_ERROR, NULL, 0) == 0);
}

/* ---- Connections ----------------------------------------------------------------------------- */

void far_answer(struct far_question *q, struct mf_span msg)
{
	uint8_t length[2];

	if (q->conn->far->https) {
		far_reply(q, "200", "application/dns-message", NULL, msg);
		return;
	}
	mf_store_be16(length, (uint16_t)msg.n);
	write_tls(q->conn, length, 2);
	write_tls(q->conn, msg.p, msg.n);
}

void far_hang_up(struct far_conn *c, bool in_order)
{
	uint8_t buf[4096];
	size_t n;

	if (in_order)
		SSL_shutdown(c->ssl);
	while ((n = tlslab_take(c->ssl, buf, sizeof(buf))))
		fake_give(c->st, buf, n);
	fake_end(c->st);
}

static void take_messages(struct far_conn *c)
{
	while (c->n_in >= 2) {
		size_t n = mf_load_be16(c->in);
		struct far_question *q;

		if (c->n_in < 2 + n)
			return;
		q = begin_question(c, 0);
		MF_ASSERT(n <= sizeof(q->msg));
		memcpy(q->msg, c->in + 2, n);
		q->n = n;
		c->n_in -= 2 + n;
		memmove(c->in, c->in + 2 + n, c->n_in);
	}
}

static void read_tls(struct far_conn *c)
{
	uint8_t buf[2048];
	size_t n;

	while (SSL_read_ex(c->ssl, buf, sizeof(buf), &n) == 1) {
		if (c->h2) {
			MF_ASSERT(nghttp2_session_mem_recv(c->h2, buf, n) == (ssize_t)n);
			continue;
		}
		MF_ASSERT(n <= sizeof(c->in) - c->n_in);
		memcpy(c->in + c->n_in, buf, n);
		c->n_in += n;
		take_messages(c);
	}
	c->closed |= (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static void serve(struct far_conn *c)
{
	bool fresh = !SSL_is_init_finished(c->ssl);

	if (SSL_do_handshake(c->ssl) != 1) {
		ERR_clear_error();
		return;
	}
	if (fresh && c->far->garbage)
		write_tls(c, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	if (c->far->garbage)
		return;
	if (fresh && c->far->https)
		begin_h2(c);
	read_tls(c);
	if (c->h2)
		MF_ASSERT(nghttp2_session_send(c->h2) == 0);
	ERR_clear_error();
}

static bool turn(struct far_conn *c)
{
	bool moved = c->st->n_got > c->taken;
	struct mf_span in = { 0 };
	uint8_t buf[4096];
	size_t n;

	if (c->far->dead)
		return false;
	if (moved)
		in = mf_span(c->st->got + c->taken, c->st->n_got - c->taken);
	c->taken += in.n;
	tlslab_feed(c->ssl, in);
	serve(c);
	while ((n = tlslab_take(c->ssl, buf, sizeof(buf)))) {
		fake_give(c->st, buf, n);
		moved = true;
	}
	return moved;
}

/* Streams that have been opened since. */
static void accept_new(struct far *f, struct fake_stream *st)
{
	struct far_conn *c;

	if (!st || (f->last && f->last->st == st))
		return;
	accept_new(f, st->next);
	c = calloc(1, sizeof(*c));
	MF_ASSERT(c);
	c->next = f->last;
	c->far = f;
	c->st = st;
	c->ssl = tlslab_accept(f->ctx);
	f->last = c;
	f->n_conns++;
}

bool far_turn(struct far *f)
{
	bool moved = false;

	accept_new(f, f->out.last);
	for (struct far_conn *c = f->last; c; c = c->next)
		moved |= turn(c);
	return moved;
}
