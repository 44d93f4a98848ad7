/* SPDX-License-Identifier: Apache-2.0
 *
 * wsfar - see wsfar.h.
 */
#include "wsfar.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

void wsfar_append(struct wsfar_bytes *b, const void *p, size_t n)
{
	if (!n)
		return;
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->p = realloc(b->p, b->cap);
		MF_ASSERT(b->p);
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void wsfar_drop(struct wsfar_bytes *b, size_t n)
{
	MF_ASSERT(n <= b->n);
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}

static ssize_t take(wslay_event_context_ptr ws, uint8_t *buf, size_t n, int flags, void *ctx)
{
	struct wsfar *f = ctx;

	(void)flags;
	n = mf_min(n, f->in.n);
	if (!n) {
		wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	memcpy(buf, f->in.p, n);
	wsfar_drop(&f->in, n);
	return (ssize_t)n;
}

static ssize_t give(wslay_event_context_ptr ws, const uint8_t *p, size_t n, int flags, void *ctx)
{
	struct wsfar *f = ctx;

	(void)ws;
	(void)flags;
	wsfar_append(&f->out, p, n);
	return (ssize_t)n;
}

static void heard(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *m, void *ctx)
{
	struct wsfar *f = ctx;

	(void)ws;
	MF_ASSERT(!f->closed);
	switch (m->opcode) {
	case WSLAY_BINARY_FRAME:
		wsfar_append(&f->got, m->msg, m->msg_length);
		f->frames++;
		break;
	case WSLAY_PONG:
		if (m->msg_length)
			memcpy(f->pong, m->msg, m->msg_length);
		f->n_pong = m->msg_length;
		f->pongs++;
		break;
	case WSLAY_CONNECTION_CLOSE:
		f->code = m->status_code;
		f->closed = true;
		break;
	default: /* we send nothing else */
		MF_ASSERT(false);
	}
}

void wsfar_init(struct wsfar *f, struct mf_prng *prng, bool upgraded)
{
	static const struct wslay_event_callbacks calls = {
		.recv_callback = take,
		.send_callback = give,
		.on_msg_recv_callback = heard,
	};

	*f = (struct wsfar){ .prng = prng, .upgraded = upgraded };
	MF_ASSERT(wslay_event_context_server_init(&f->ws, &calls, f) == 0);
}

void wsfar_fini(struct wsfar *f)
{
	wslay_event_context_free(f->ws);
	free(f->in.p);
	free(f->out.p);
	free(f->got.p);
	free(f->request.p);
	free(f->source.p);
}

/* Answers the request when all of it has come (RFC 6455 4.2.2). */
static void answer(struct wsfar *f)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
			  field[] = "Sec-WebSocket-Key: ";
	unsigned char text[128], digest[EVP_MAX_MD_SIZE], accept[64];
	char head[512], *end, *key;
	size_t n;

	wsfar_append(&f->in, "", 1);
	end = strstr((char *)f->in.p, "\r\n\r\n");
	f->in.n--;
	if (!end)
		return;
	n = (size_t)(end - (char *)f->in.p) + 4;
	wsfar_append(&f->request, f->in.p, n);
	wsfar_append(&f->request, "", 1);
	wsfar_drop(&f->in, n);
	key = strstr((char *)f->request.p, field);
	MF_ASSERT(key);
	memcpy(text, key + strlen(field), 24);
	memcpy(text + 24, guid, strlen(guid));
	MF_ASSERT(EVP_Digest(text, 24 + strlen(guid), digest, NULL, EVP_sha1(), NULL));
	EVP_EncodeBlock(accept, digest, 20);
	n = (size_t)snprintf(head, sizeof(head),
			     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
			     (char *)accept, f->extra);
	MF_ASSERT(n < sizeof(head));
	wsfar_append(&f->out, head, n);
	f->upgraded = true;
}

void wsfar_input(struct wsfar *f, const void *p, size_t n)
{
	wsfar_append(&f->in, p, n);
	if (!f->upgraded)
		answer(f);
	if (!f->upgraded)
		return;
	MF_ASSERT(wslay_event_recv(f->ws) == 0);
	MF_ASSERT(wslay_event_send(f->ws) == 0);
	/* wslay answers what breaks the protocol with a close frame of its own. */
	MF_ASSERT(f->closed || wslay_event_get_read_enabled(f->ws));
}

/* 0 would mean "not now", but at the end. */
static ssize_t fragment(wslay_event_context_ptr ws, uint8_t *buf, size_t n,
			const union wslay_event_msg_source *source, int *eof, void *ctx)
{
	struct wsfar *f = ctx;

	(void)ws;
	(void)source;
	if (mf_prng_below(f->prng, 2))
		n = mf_min(n, 1 + mf_prng_below(f->prng, 300));
	n = mf_min(n, f->source.n);
	if (n)
		memcpy(buf, f->source.p, n);
	wsfar_drop(&f->source, n);
	*eof = f->source.n == 0;
	return (ssize_t)n;
}

void wsfar_send(struct wsfar *f, uint8_t opcode, const void *p, size_t n, bool fragments)
{
	struct wslay_event_msg whole = { .opcode = opcode, .msg = p, .msg_length = n };
	struct wslay_event_fragmented_msg pieces = { .opcode = opcode, .read_callback = fragment };

	MF_ASSERT(f->upgraded);
	if (opcode == WSLAY_PING)
		f->pings++;
	if (fragments) {
		wsfar_append(&f->source, p, n);
		MF_ASSERT(wslay_event_queue_fragmented_msg(f->ws, &pieces) == 0);
	} else {
		MF_ASSERT(wslay_event_queue_msg(f->ws, &whole) == 0);
	}
	MF_ASSERT(wslay_event_send(f->ws) == 0 && !f->source.n);
}

void wsfar_close(struct wsfar *f, uint16_t code)
{
	MF_ASSERT(wslay_event_queue_close(f->ws, code, NULL, 0) == 0);
	MF_ASSERT(wslay_event_send(f->ws) == 0);
}
