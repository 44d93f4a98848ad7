/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"
#include "control/uapi.h"
#include "platform/clock.h"

#define CONTROL_DIR "/run/mintflow"
#define UAPI_DIR    "/var/run/wireguard"

enum { CONNS_MAX = 64, BACKLOG = 16, READ_SIZE = 4096 };

struct mf_listener {
	struct mf_source source; /* first */
	struct mf_listener *next;
	bool uapi;
	bool wanted;    /* while interfaces are compared */
	char iface[16]; /* uapi: whose */
	struct sockaddr_un addr;
};

struct mf_conn {
	struct mf_source source; /* first */
	struct mf_conn *next;
	struct mf_control_conn *control; /* one of these */
	struct mf_uapi *uapi;
	bool done; /* read no more; close when all is sent */
	uint32_t want;
};

/* ---- Connections ------------------------------------------------------------------------------- */

static bool conn_wants(const struct mf_conn *c)
{
	return !c->done && (c->uapi ? mf_uapi_wants(c->uapi) : mf_control_wants(c->control));
}

static bool conn_input(struct mf_conn *c, const void *bytes, size_t n, mf_nsec now)
{
	return c->uapi ? mf_uapi_input(c->uapi, bytes, n, now)
		       : mf_control_input(c->control, bytes, n, now);
}

static struct mf_span conn_output(const struct mf_conn *c)
{
	return c->uapi ? mf_uapi_output(c->uapi) : mf_control_output(c->control);
}

static bool conn_sent(struct mf_conn *c, size_t n, mf_nsec now)
{
	return c->uapi ? mf_uapi_sent(c->uapi, n, now) : mf_control_sent(c->control, n, now);
}

static void conn_close(struct mf_daemon *d, struct mf_conn *c)
{
	struct mf_conn **at = &d->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	d->n_conns--;
	mf_daemon_unwatch(d, &c->source);
	close(c->source.fd);
	if (c->control)
		mf_control_close(c->control);
	mf_uapi_free(c->uapi);
	mf_daemon_bury(d, c);
}

/* False: the connection is broken. */
static bool send_some(struct mf_conn *c, mf_nsec now)
{
	for (;;) {
		struct mf_span out = conn_output(c);
		ssize_t n;

		if (!out.n)
			return true;
		n = send(c->source.fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!conn_sent(c, (size_t)n, now))
			c->done = true;
	}
}

static bool read_some(struct mf_conn *c, mf_nsec now)
{
	char buf[READ_SIZE];
	ssize_t n;

	if (!conn_wants(c))
		return true;
	n = recv(c->source.fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 || !conn_input(c, buf, (size_t)n, now))
		c->done = true;
	mf_wipe(buf, n > 0 ? (size_t)n : 0); /* wg set sends private keys */
	return true;
}

/* Closes the connection if that is due; else asks the poller for what it waits for. */
static void settle(struct mf_daemon *d, struct mf_conn *c, bool sound)
{
	bool waiting = sound && conn_output(c).n > 0;
	uint32_t want = 0;

	if (!sound || (c->done && !waiting)) {
		conn_close(d, c);
		return;
	}
	if (conn_wants(c))
		want |= MF_POLL_READ;
	if (waiting)
		want |= MF_POLL_WRITE;
	if (want != c->want &&
	    mf_poller_change(d->poller, c->source.fd, (uint64_t)(uintptr_t)&c->source, want))
		conn_close(d, c);
	else
		c->want = want;
}

static void conn_ready(struct mf_daemon *d, struct mf_source *s, uint32_t events)
{
	struct mf_conn *c = (struct mf_conn *)s;
	mf_nsec now = mf_clock_now();
	bool sound = true;

	if (events & (MF_POLL_READ | MF_POLL_ERROR))
		sound = read_some(c, now);
	sound = sound && send_some(c, now);
	/* Hung up: nobody will read what is left, and the poller would report it for ever. */
	if ((events & MF_POLL_ERROR) && !(events & MF_POLL_READ))
		sound = false;
	settle(d, c, sound);
}

static void conn_open(struct mf_daemon *d, const struct mf_listener *l, int fd)
{
	struct mf_conn *c = d->n_conns < CONNS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		close(fd);
		return;
	}
	c->source.fd = fd;
	c->source.ready = conn_ready;
	c->want = MF_POLL_READ;
	if (l->uapi)
		c->uapi = mf_uapi_new(d->engine, l->iface);
	else
		c->control = mf_control_open(d->control);
	if ((!c->uapi && !c->control) || mf_daemon_watch(d, &c->source, MF_POLL_READ)) {
		if (c->control)
			mf_control_close(c->control);
		mf_uapi_free(c->uapi);
		close(fd);
		free(c);
		return;
	}
	c->next = d->conns;
	d->conns = c;
	d->n_conns++;
}

/* ---- Listeners --------------------------------------------------------------------------------- */

static void listener_ready(struct mf_daemon *d, struct mf_source *s, uint32_t events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		conn_open(d, (struct mf_listener *)s, fd);
}

/* Whether somebody answers at this name. */
static bool is_alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return false;
	alive = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN;
	close(fd);
	return alive;
}

/* 0 or errno. */
static int bind_to(int fd, const struct sockaddr_un *addr)
{
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
}

static mf_err bind_name(int fd, const struct sockaddr_un *addr, struct mf_errbuf *eb)
{
	int err;

	/* The name takes its mode from the socket: there is no moment when others could connect. */
	err = fchmod(fd, 0600) < 0 ? errno : bind_to(fd, addr);
	if (err == EADDRINUSE) {
		if (is_alive(addr))
			return mf_fail(eb, MF_E_EXISTS, "%s: somebody listens there already",
				       addr->sun_path);
		err = unlink(addr->sun_path) < 0 ? errno : bind_to(fd, addr);
	}
	if (!err && listen(fd, BACKLOG) < 0) {
		err = errno;
		unlink(addr->sun_path);
	}
	return err ? mf_fail(eb, MF_E_SYSTEM, "%s: %s", addr->sun_path, strerror(err)) : MF_OK;
}

static struct mf_listener *listener_new(struct mf_daemon *d, const char *dir, mode_t mode,
					const char *name, mf_err *err, struct mf_errbuf *eb)
{
	struct mf_listener *l = calloc(1, sizeof(*l));

	if (!l) {
		*err = mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
		return NULL;
	}
	l->source.ready = listener_ready;
	l->addr.sun_family = AF_UNIX;
	snprintf(l->addr.sun_path, sizeof(l->addr.sun_path), "%s/%s.sock", dir, name);
	(void)mkdir(dir, mode); /* if it fails, so does bind, and that one tells */
	l->source.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->source.fd < 0)
		*err = mf_fail(eb, MF_E_SYSTEM, "cannot make a socket: %s", strerror(errno));
	else
		*err = bind_name(l->source.fd, &l->addr, eb);
	if (*err) {
		if (l->source.fd >= 0)
			close(l->source.fd);
		free(l);
		return NULL;
	}
	l->next = d->listeners;
	d->listeners = l;
	return l;
}

static void listener_free(struct mf_daemon *d, struct mf_listener *l)
{
	struct mf_listener **at = &d->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	unlink(l->addr.sun_path);
	mf_daemon_unwatch(d, &l->source);
	close(l->source.fd);
	mf_daemon_bury(d, l);
}

mf_err mf_sockets_listen(struct mf_daemon *d, struct mf_errbuf *eb)
{
	const char *name = d->config->tunnel.name;
	struct mf_errbuf why;
	mf_err err;

	if (listener_new(d, CONTROL_DIR, 0755, name, &err, &why))
		return MF_OK;
	if (err == MF_E_EXISTS)
		return mf_fail(
			eb, err,
			"tunnel.name %s: a mintflow of this name is running: `mintflow stop -n "
			"%s`, or choose another name",
			name, name);
	return mf_fail(eb, err, "control socket: %s", why.text);
}

mf_err mf_sockets_serve(struct mf_daemon *d, struct mf_errbuf *eb)
{
	for (struct mf_listener *l = d->listeners; l; l = l->next)
		if (!l->uapi && mf_daemon_watch(d, &l->source, MF_POLL_READ))
			return mf_fail(eb, MF_E_SYSTEM, "cannot watch the control socket");
	return MF_OK;
}

static void open_uapi(struct mf_daemon *d, const char *iface)
{
	struct mf_errbuf why;
	struct mf_listener *l;
	mf_err err;

	l = listener_new(d, UAPI_DIR, 0700, iface, &err, &why);
	if (!l) {
		mf_logf(&d->log, MF_LOG_WARN, "interface %s: `wg` will not find it: %s", iface,
			why.text);
		return;
	}
	l->uapi = true;
	l->wanted = true;
	snprintf(l->iface, sizeof(l->iface), "%s", iface);
	if (mf_daemon_watch(d, &l->source, MF_POLL_READ))
		listener_free(d, l);
}

void mf_sockets_sync_uapi(struct mf_daemon *d)
{
	struct mf_iface_info info;
	struct mf_listener *l, *next;

	for (l = d->listeners; l; l = l->next)
		l->wanted = !l->uapi;
	for (uint32_t i = 0; mf_engine_iface(d->engine, i, &info); i++) {
		if (!info.device)
			continue;
		for (l = d->listeners; l; l = l->next)
			if (l->uapi && strcmp(l->iface, info.name) == 0)
				break;
		if (l)
			l->wanted = true;
		else
			open_uapi(d, info.name);
	}
	for (l = d->listeners; l; l = next) {
		next = l->next;
		if (!l->wanted)
			listener_free(d, l);
	}
}

/* ---- Rounds and the end ------------------------------------------------------------------------ */

mf_nsec mf_sockets_tick(struct mf_daemon *d, mf_nsec now)
{
	mf_nsec next = mf_control_tick(d->control, now);
	struct mf_conn *c, *following;

	for (c = d->conns; c; c = following) {
		following = c->next;
		if (c->control && !(c->want & MF_POLL_WRITE) && conn_output(c).n)
			settle(d, c, send_some(c, now));
	}
	return next;
}

void mf_sockets_flush(struct mf_daemon *d)
{
	struct mf_conn *c, *following;

	for (c = d->conns; c; c = following) {
		following = c->next;
		settle(d, c, send_some(c, mf_clock_now()));
	}
}

void mf_sockets_close(struct mf_daemon *d)
{
	while (d->conns)
		conn_close(d, d->conns);
	while (d->listeners)
		listener_free(d, d->listeners);
}
