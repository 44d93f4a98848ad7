/* SPDX-License-Identifier: Apache-2.0
 *
 * A bridge is made on the main thread and belongs to the first worker until it is over; then the
 * main thread frees it. Its stream and its socket only say that something has happened; what
 * there is to do is done when a timer fires that is due at once, so never from inside a function
 * of the stream.
 */
#include "daemon/bridge.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/pump.h"
#include "nodes/host_port.h"
#include "platform/clock.h"
#include "platform/socket.h"

#define COME_WITHIN (30 * MF_SEC)

enum { BUFFER = 16384, BACKLOG = 4 };

struct bridge {
	struct mf_input in; /* first; listens, and then is the user's connection */
	struct mf_daemon *daemon;
	struct bridge *next; /* of the main thread's list */
	struct mf_timer turn;
	struct mf_pump pump;
	uint32_t hop;
	struct mf_endpoint to;
	char *name;                    /* to be connected to; NULL: the address */
	struct mf_bridge_story *story; /* the worker's until it is over; NULL: nobody wants it */
	mf_nsec until;                 /* the user has to come */
	bool come;                     /* the user has connected */
	bool opened;                   /* the far side has answered */
	bool broken;                   /* it cannot be watched */
	atomic_bool over;              /* the main thread may free it */
	uint8_t up[BUFFER], down[BUFFER];
};

struct mf_bridges {
	struct mf_daemon *daemon;
	struct bridge *list;
	uint32_t n;
};

/* ---- The worker's thread --------------------------------------------------------------------- */

static void drop(struct bridge *k)
{
	struct mf_worker *w = k->daemon->workers[0].worker;

	if (k->story)
		k->story->error = k->pump.stream.error;
	mf_timer_disarm(&w->wheel, &k->turn);
	if (k->pump.stream.impl)
		k->pump.stream.out->ops->stream_close(&k->pump.stream, true);
	mf_socket_close(k->in.fd, false);
	k->in.fd = -1;
	atomic_store(&k->over, true);
}

static void failed(struct bridge *k, struct mf_worker *w, enum mf_stream_error why)
{
	char to[MF_ENDPOINT_STRLEN];

	mf_logf(&k->daemon->log, MF_LOG_INFO, "connection of our own to %s through %s: %s",
		k->name ? k->name : mf_endpoint_format(&k->to, to),
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
	soon(MF_CONTAINER_OF(s, struct bridge, pump.stream));
}

/* Strangers may find the name, too. */
static bool is_ours(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) && who.pid == getpid();
}

static void socket_happened(struct mf_input *in, uint32_t events)
{
	struct bridge *k = (struct bridge *)in;

	k->pump.readable |= (events & (MF_POLL_READ | MF_POLL_END | MF_POLL_ERROR)) != 0;
	soon(k);
}

static bool watch(struct bridge *k, int fd)
{
	return !mf_input_watch(&k->in, &k->daemon->workers[0], fd,
			       MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE);
}

static void user_comes(struct mf_input *in, uint32_t events)
{
	struct bridge *k = (struct bridge *)in;
	int listener = in->fd, fd;

	(void)events;
	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (is_ours(fd))
			break;
		close(fd);
	}
	close(listener);
	k->come = k->pump.readable = true;
	in->ready = socket_happened;
	k->broken = !watch(k, fd);
	soon(k);
}

static void turn(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct bridge *k = MF_CONTAINER_OF(t, struct bridge, turn);
	uint32_t ready = k->pump.stream.ready;
	bool moved;

	k->pump.stream.ready = 0;
	k->opened |= (ready & MF_STREAM_OPENED) != 0;
	if (k->story && k->opened && !k->story->opened)
		k->story->opened = now;
	if (ready & MF_STREAM_FAILED)
		failed(k, ctx, k->pump.stream.error);
	else if (k->broken || (!k->come && now >= k->until))
		drop(k);
	else if (!k->come)
		mf_timer_arm(&((struct mf_worker *)ctx)->wheel, t, k->until);
	else if (k->opened && (!mf_pump_up(&k->pump, &moved) || !mf_pump_down(&k->pump)))
		drop(k);
}

static void connect_it(struct mf_worker *w, void *ctx)
{
	struct bridge *k = ctx;
	struct mf_outbound *out = mf_host_port_outbound(w, k->hop);
	struct mf_target to = { .addr = k->to, .name = k->name };
	struct mf_stream *s = &k->pump.stream;

	k->until = w->graph.now + COME_WITHIN;
	*s = (struct mf_stream){ .out = out, .wake = stream_happened };
	k->in.ready = user_comes;
	if (k->story) {
		k->story->began = w->graph.now;
		s->steps = &k->story->steps;
	}
	if (!out)
		s->error = MF_STREAM_E_NO_DEVICE;
	else if (!out->ops->stream_open(out, s, &to) && !watch(k, k->in.fd))
		s->error = MF_STREAM_E_NO_RESOURCES;
	if (s->error)
		failed(k, w, s->error);
	else
		soon(k);
}

/* ---- The main thread ------------------------------------------------------------------------- */

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
		free(k->name);
		free(k);
	}
}

/* A listening socket whose name the kernel has chosen; -1: none to be had. */
static int listen_somewhere(char name[MF_BRIDGE_NAME_MAX])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t n = sizeof(at), head = offsetof(struct sockaddr_un, sun_path) + 1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at.sun_family)) &&
	    !listen(fd, BACKLOG) && !getsockname(fd, (struct sockaddr *)&at, &n) && n > head &&
	    n - head < MF_BRIDGE_NAME_MAX) {
		memcpy(name, at.sun_path + 1, n - head);
		name[n - head] = '\0';
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct bridge *make(struct mf_daemon *d, const struct mf_target *to,
			   char name[MF_BRIDGE_NAME_MAX])
{
	struct bridge *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->name = to->name ? strdup(to->name) : NULL;
	if ((to->name && !k->name) || (k->in.fd = listen_somewhere(name)) < 0) {
		free(k->name);
		free(k);
		return NULL;
	}
	k->daemon = d;
	k->to = to->addr;
	k->turn.fire = turn;
	k->pump = (struct mf_pump){ .in = &k->in, .size = BUFFER, .up = k->up, .down = k->down };
	return k;
}

bool mf_bridge_open(struct mf_daemon *d, uint32_t hop, const struct mf_target *to,
		    struct mf_bridge_story *story, char name[MF_BRIDGE_NAME_MAX])
{
	struct mf_bridges *b = d->bridges;
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { .fn = connect_it } };
	struct bridge *k;

	sweep(b);
	k = d->workers_run && b->n < MF_BRIDGES_MAX ? make(d, to, name) : NULL;
	if (!k)
		return false;
	k->hop = hop;
	k->story = story;
	k->next = b->list;
	b->list = k;
	b->n++;
	o.call.ctx = k;
	mf_engine_order(d->engine, 0, &o);
	return true;
}

static void end_it(struct mf_worker *w, void *ctx)
{
	struct bridge *k = ctx;

	(void)w;
	if (!atomic_load(&k->over))
		drop(k);
}

void mf_bridge_end(struct mf_daemon *d, const struct mf_bridge_story *story)
{
	for (struct bridge *k = d->bridges->list; k; k = k->next)
		if (k->story == story && !atomic_load(&k->over))
			mf_engine_call(d->engine, 0, end_it, k, mf_clock_now());
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
