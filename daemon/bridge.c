/* SPDX-License-Identifier: Apache-2.0
 *
 * A bridge is made on the main thread and belongs to the first worker until it is over; then the main thread
 * frees it. Its stream and its socket only say that something has happened; what there is to do is done when
 * a timer fires that is due at once, so never from inside a function of the stream.
 */
#include "daemon/bridge.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/workers.h"
#include "nodes/host_port.h"
#include "platform/socket.h"

enum { BUFFER = 16384 };

struct bridge {
	struct mf_input in; /* first; the far end of the pair */
	struct mf_daemon *daemon;
	struct bridge *next; /* of the main thread's list */
	struct mf_timer turn;
	struct mf_stream stream;
	uint32_t hop;
	struct mf_endpoint to;
	bool opened;      /* the far side has answered */
	bool readable;    /* the socket may have bytes */
	bool near_end;    /* the user sends no more */
	atomic_bool over; /* the main thread may free it */
	size_t up_n, down_at, down_n;
	uint8_t up[BUFFER], down[BUFFER];
};

struct mf_bridges {
	struct mf_daemon *daemon;
	struct bridge *list;
	uint32_t n;
};

/* ---- The worker's thread -------------------------------------------------------------------------------- */

static void drop(struct bridge *k)
{
	struct mf_worker *w = k->daemon->workers[0].worker;

	mf_timer_disarm(&w->wheel, &k->turn);
	if (k->stream.impl)
		k->stream.out->ops->stream_close(&k->stream, true);
	mf_socket_close(k->in.fd, false);
	k->in.fd = -1;
	atomic_store(&k->over, true);
}

static void failed(struct bridge *k, struct mf_worker *w, enum mf_stream_error why)
{
	char to[MF_ENDPOINT_STRLEN];

	mf_logf(&k->daemon->log, MF_LOG_INFO, "connection of our own to %s through %s: %s",
		mf_endpoint_format(&k->to, to),
		k->hop < w->snap->n_hops ? w->snap->hop[k->hop].name : "nobody",
		mf_stream_error_text(why));
	drop(k);
}

static void soon(struct bridge *k)
{
	mf_timer_arm(&k->daemon->workers[0].worker->wheel, &k->turn, 0);
}

static void stream_happened(struct mf_stream *s)
{
	soon(MF_CONTAINER_OF(s, struct bridge, stream));
}

static void socket_happened(struct mf_input *in, uint32_t events)
{
	struct bridge *k = (struct bridge *)in;

	k->readable |= (events & (MF_POLL_READ | MF_POLL_END | MF_POLL_ERROR)) != 0;
	soon(k);
}

/* From the user to the far side. False: the user has gone. */
static bool pull(struct bridge *k)
{
	const struct mf_outbound_ops *ops = k->stream.out->ops;
	enum mf_stream_error why;

	for (;;) {
		struct mf_span span = { k->up, k->up_n };
		struct mf_room room = { k->up, sizeof(k->up) };
		size_t taken = k->up_n ? ops->stream_write(&k->stream, &span, 1) : 0;
		ptrdiff_t got;

		k->up_n -= taken;
		memmove(k->up, k->up + taken, k->up_n);
		if (k->up_n || !k->readable || k->near_end)
			return true;
		got = mf_socket_recv(k->in.fd, &room, 1, &why);
		if (got == MF_STREAM_ERR)
			return false;
		if (got == MF_STREAM_EOF) {
			k->near_end = true;
			ops->stream_shutdown(&k->stream);
			return true;
		}
		if (got == MF_STREAM_AGAIN) {
			k->readable = false;
			return true;
		}
		k->up_n = (size_t)got;
	}
}

/* From the far side to the user. False: that was all. */
static bool push(struct bridge *k)
{
	const struct mf_outbound_ops *ops = k->stream.out->ops;
	enum mf_stream_error why = MF_STREAM_E_NONE;

	for (;;) {
		struct mf_span span = { k->down + k->down_at, k->down_n - k->down_at };
		struct mf_room room = { k->down, sizeof(k->down) };
		ptrdiff_t got;

		k->down_at += span.n ? mf_socket_send(k->in.fd, &span, 1, &why) : 0;
		if (why)
			return false;
		if (k->down_at < k->down_n)
			return true;
		got = ops->stream_read(&k->stream, &room, 1);
		if (got == MF_STREAM_AGAIN)
			return true;
		if (got < 0)
			return false;
		k->down_at = 0;
		k->down_n = (size_t)got;
	}
}

static void turn(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct bridge *k = MF_CONTAINER_OF(t, struct bridge, turn);
	uint32_t ready = k->stream.ready;

	(void)now;
	k->stream.ready = 0;
	k->opened |= (ready & MF_STREAM_OPENED) != 0;
	if (ready & MF_STREAM_FAILED)
		failed(k, ctx, k->stream.error);
	else if (k->opened && (!pull(k) || !push(k)))
		drop(k);
}

static void connect_it(struct mf_worker *w, void *ctx)
{
	struct bridge *k = ctx;
	struct mf_outbound *out = mf_host_port_outbound(w, k->hop);
	struct mf_target to = { .addr = k->to };

	k->stream.out = out;
	k->stream.wake = stream_happened;
	k->stream.error = MF_STREAM_E_NET_UNREACHABLE;
	k->in.ready = socket_happened;
	if (!out || out->ops->stream_open(out, &k->stream, &to))
		failed(k, w, k->stream.error);
	else if (mf_input_watch(&k->in, &k->daemon->workers[0], k->in.fd,
				MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE))
		failed(k, w, MF_STREAM_E_NO_RESOURCES);
}

/* ---- The main thread ------------------------------------------------------------------------------------ */

static void sweep(struct mf_bridges *b)
{
	struct bridge **at = &b->list, *k;

	while ((k = *at)) {
		if (!atomic_load(&k->over)) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		b->n--;
		free(k);
	}
}

int mf_bridge_open(struct mf_daemon *d, uint32_t hop, const struct mf_endpoint *to)
{
	struct mf_bridges *b = d->bridges;
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { .fn = connect_it } };
	struct bridge *k;
	int fd[2];

	sweep(b);
	k = d->workers_run && b->n < MF_BRIDGES_MAX ? calloc(1, sizeof(*k)) : NULL;
	if (!k || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd)) {
		free(k);
		return -1;
	}
	k->daemon = d;
	k->in.fd = fd[1];
	k->hop = hop;
	k->to = *to;
	k->turn.fire = turn;
	k->readable = true;
	k->next = b->list;
	b->list = k;
	b->n++;
	o.call.ctx = k;
	mf_engine_order(d->engine, 0, &o);
	return fd[0];
}

struct mf_bridges *mf_bridges_new(struct mf_daemon *d)
{
	struct mf_bridges *b = calloc(1, sizeof(*b));

	if (b)
		b->daemon = d;
	return b;
}

void mf_bridges_close(struct mf_bridges *b)
{
	for (struct bridge *k = b ? b->list : NULL; k; k = k->next)
		if (!atomic_load(&k->over))
			drop(k);
}

void mf_bridges_free(struct mf_bridges *b)
{
	if (b)
		sweep(b);
	free(b);
}
