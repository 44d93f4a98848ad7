/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dns_clients.h"

#include <stdlib.h>

#include "daemon/pump.h"
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
	struct mf_pump pump;
	bool listed;
	mf_nsec last;
	uint8_t up[BUFFER], down[BUFFER]; /* on the way to the resolver, and to the client */
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
	struct mf_tcp_client *k = MF_CONTAINER_OF(s, struct mf_tcp_client, pump.stream);

	list(k);
	k->all->worker->dns->due = true;
}

static void socket_ready(struct mf_input *in, uint32_t events)
{
	struct mf_tcp_client *k = (void *)in;

	k->pump.readable |= (events & (MF_POLL_READ | MF_POLL_END | MF_POLL_ERROR)) != 0;
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
	k->pump = (struct mf_pump){ .in = &k->in, .size = BUFFER, .up = k->up, .down = k->down };
	k->pump.stream.out = out;
	k->pump.stream.wake = wake;
	k->in.ready = socket_ready;
	if (out->ops->stream_open(out, &k->pump.stream, &to)) {
		free(k);
		return false;
	}
	if (mf_input_watch(&k->in, c->thread, fd,
			   MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE)) {
		out->ops->stream_close(&k->pump.stream, true);
		free(k);
		return false;
	}
	k->next = c->open;
	k->prev = &c->open;
	if (k->next)
		k->next->prev = &k->next;
	c->open = k;
	c->n++;
	k->pump.readable = true;
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
	if (k->pump.stream.impl)
		k->pump.stream.out->ops->stream_close(&k->pump.stream, false);
	mf_socket_close(k->in.fd, false);
	unlist(k);
	unlink_conn(k);
	free(k);
}

static void serve(struct mf_tcp_client *k, mf_nsec now)
{
	uint32_t ready = k->pump.stream.ready;
	bool moved = false;

	/* What it is told from here on lists it again. */
	k->listed = false;
	k->pump.stream.ready = 0;
	if (ready & MF_STREAM_FAILED || !mf_pump_up(&k->pump, &moved) || !mf_pump_down(&k->pump))
		drop(k);
	else if (moved)
		k->last = now;
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
		c->open->pump.stream.impl = NULL; /* went with the resolver */
		drop(c->open);
	}
}
