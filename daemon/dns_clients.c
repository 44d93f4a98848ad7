/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dns_clients.h"

#include <stdlib.h>

#include "nodes/host_port.h"
#include "platform/listen.h"
#include "platform/socket.h"

enum { BUFFER = 4096 };
#define IDLE_AFTER (30 * MF_SEC) /* RFC 7766 6.2.3: seconds, more than a few */

struct mf_tcp_client {
	struct mf_input in; /* first */
	struct mf_dns_clients *all;
	struct mf_tcp_client *next, **prev; /* open ones */
	struct mf_tcp_client *next_ready;
	struct mf_stream stream;
	bool listed, readable, far_end, ended;
	mf_nsec last;
	/* On the way to the resolver, and to the client. */
	size_t in_n, out_at, out_n;
	uint8_t in_buf[BUFFER], out_buf[BUFFER];
};

void mf_dns_clients_init(struct mf_dns_clients *c, struct mf_worker_thread *t, struct mf_worker *w)
{
	*c = (struct mf_dns_clients){ .thread = t, .worker = w };
}

static void list(struct mf_tcp_client *k)
{
	if (k->listed)
		return;
	k->listed = true;
	k->next_ready = k->all->ready;
	k->all->ready = k;
}

static void wake(struct mf_stream *s)
{
	struct mf_tcp_client *k = (void *)((uint8_t *)s - offsetof(struct mf_tcp_client, stream));

	list(k);
	k->all->worker->dns->due = true;
}

static void socket_ready(struct mf_input *in, uint32_t events)
{
	struct mf_tcp_client *k = (void *)in;

	k->readable |= (events & (MF_POLL_READ | MF_POLL_END | MF_POLL_ERROR)) != 0;
	list(k);
	k->all->worker->dns->due = true;
}

static void unlink_conn(struct mf_tcp_client *k)
{
	*k->prev = k->next;
	if (k->next)
		k->next->prev = k->prev;
	k->all->n--;
}

bool mf_dns_client_open(struct mf_dns_clients *c, int fd, const struct mf_endpoint *remote,
			const struct mf_endpoint *local)
{
	struct mf_target to = { .addr = *local, .app = *remote };
	struct mf_outbound *out = mf_host_port_outbound(c->worker, MF_HOP_ID_DNS);
	struct mf_tcp_client *k = c->n < MF_DNS_CLIENTS_MAX && out ? calloc(1, sizeof(*k)) : NULL;

	if (!k)
		return false;
	k->all = c;
	k->last = c->worker->graph.now;
	k->stream.out = out;
	k->stream.wake = wake;
	k->in.ready = socket_ready;
	if (out->ops->stream_open(out, &k->stream, &to)) {
		free(k);
		return false;
	}
	if (mf_input_watch(&k->in, c->thread, fd,
			   MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE)) {
		out->ops->stream_close(&k->stream, true);
		free(k);
		return false;
	}
	k->next = c->open;
	k->prev = &c->open;
	if (k->next)
		k->next->prev = &k->next;
	c->open = k;
	c->n++;
	k->readable = true;
	list(k);
	return true;
}

/* What it did last may have listed it again. */
static void unlist(struct mf_tcp_client *k)
{
	struct mf_tcp_client **at = &k->all->ready;

	while (k->listed && *at != k)
		at = &(*at)->next_ready;
	if (k->listed)
		*at = k->next_ready;
}

static void drop(struct mf_tcp_client *k)
{
	if (k->stream.impl)
		k->stream.out->ops->stream_close(&k->stream, false);
	mf_socket_close(k->in.fd, false);
	unlist(k);
	unlink_conn(k);
	free(k);
}

/* From the socket to the resolver. False: the connection is over. */
static bool pull(struct mf_tcp_client *k, mf_nsec now)
{
	const struct mf_outbound_ops *ops = k->stream.out->ops;
	enum mf_stream_error why = MF_STREAM_E_NONE;

	for (;;) {
		struct mf_span span = { k->in_buf, k->in_n };
		size_t taken = k->in_n ? ops->stream_write(&k->stream, &span, 1) : 0;
		struct mf_room room;
		ptrdiff_t got;

		k->in_n -= taken;
		memmove(k->in_buf, k->in_buf + taken, k->in_n);
		if (k->in_n || !k->readable || k->far_end)
			return true;
		room = (struct mf_room){ k->in_buf, sizeof(k->in_buf) };
		got = mf_socket_recv(k->in.fd, &room, 1, &why);
		if (got == MF_STREAM_ERR)
			return false;
		if (got == MF_STREAM_EOF) {
			k->far_end = true;
			ops->stream_shutdown(&k->stream);
			return true;
		}
		if (got == MF_STREAM_AGAIN) {
			k->readable = false;
			return true;
		}
		k->in_n = (size_t)got;
		k->last = now;
	}
}

/* From the resolver to the socket. False: the connection is over. */
static bool push(struct mf_tcp_client *k)
{
	const struct mf_outbound_ops *ops = k->stream.out->ops;
	enum mf_stream_error why = MF_STREAM_E_NONE;

	for (;;) {
		struct mf_span span = { k->out_buf + k->out_at, k->out_n - k->out_at };
		struct mf_room room = { k->out_buf, sizeof(k->out_buf) };
		ptrdiff_t got;

		k->out_at += span.n ? mf_socket_send(k->in.fd, &span, 1, &why) : 0;
		if (why)
			return false;
		if (k->out_at < k->out_n)
			return true;
		got = ops->stream_read(&k->stream, &room, 1);
		if (got == MF_STREAM_AGAIN)
			return true;
		if (got < 0)
			return false; /* the end, after everything has been sent */
		k->out_at = 0;
		k->out_n = (size_t)got;
	}
}

static void serve(struct mf_tcp_client *k, mf_nsec now)
{
	uint32_t ready = k->stream.ready;

	/* What it is told from here on lists it again. */
	k->listed = false;
	k->stream.ready = 0;
	if (ready & MF_STREAM_FAILED || !pull(k, now) || !push(k))
		drop(k);
}

uint32_t mf_dns_clients_run(struct mf_dns_clients *c, mf_nsec now)
{
	struct mf_tcp_client *k, *next;
	uint32_t n = 0;

	/* No more than there can be: one that is listed again has its next turn in the next pass. */
	for (; (k = c->ready) && n < MF_DNS_CLIENTS_MAX; n++) {
		c->ready = k->next_ready;
		serve(k, now);
	}
	for (k = c->open; k; k = next) {
		next = k->next;
		if (now >= k->last + IDLE_AFTER && !k->listed)
			drop(k);
	}
	return n;
}

void mf_dns_clients_close(struct mf_dns_clients *c)
{
	while (c->open) {
		c->open->stream.impl = NULL; /* went with the resolver */
		drop(c->open);
	}
}
