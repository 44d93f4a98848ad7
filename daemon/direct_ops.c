/* SPDX-License-Identifier: Apache-2.0
 *
 * direct_ops - what sessions call, and what the poller says of their sockets.
 *
 * A connection costs the kernel socket, setsockopt three times, connect and one epoll_ctl; from then on edges
 * tell what has changed, and a read that does not fill its room is the last one until the next edge. That is
 * not so when the end, an error or an urgent byte lies behind what was read: then the socket is `careful`,
 * and the session is told at once that there is more.
 */
#include <unistd.h>

#include "base/count.h"
#include "daemon/direct_priv.h"
#include "platform/clock.h"

static struct mf_direct *direct_of(const struct direct_socket *k)
{
	return k->in.thread->direct;
}

/* ---- Refusals ---------------------------------------------------------------------------------- */

static void count_refusal(struct mf_direct *x, enum mf_stream_error why)
{
	struct mf_direct_counters *c = &x->count;

	switch (why) {
	case MF_STREAM_E_NO_DEVICE:
		mf_count(&c->refused_device, 1);
		break;
	case MF_STREAM_E_NET_UNREACHABLE:
	case MF_STREAM_E_HOST_UNREACHABLE:
	case MF_STREAM_E_PROHIBITED:
		mf_count(&c->refused_route, 1);
		break;
	case MF_STREAM_E_NO_RESOURCES:
		mf_count(&c->refused_resources, 1);
		mf_logf_limited(&x->thread->daemon->log, &x->limit, mf_clock_now(), MF_LOG_WARN,
				"direct: a session was refused: %s",
				mf_stream_error_text(MF_STREAM_E_NO_RESOURCES));
		break;
	default:
		mf_count(&c->refused_other, 1);
		break;
	}
}

static void count_echo_refusal(struct mf_direct *x)
{
	struct mf_daemon *d = x->thread->daemon;

	mf_count(&x->count.refused_echo, 1);
	if (!atomic_exchange(&d->echo_refused, true))
		mf_logf(&d->log, MF_LOG_WARN,
			"direct: the system does not let us send echo requests: set the sysctl "
			"net.ipv4.ping_group_range to a range with our group (%u), such as \"0 "
			"2147483647\"",
			(unsigned)getegid());
}

/* ---- Streams: events --------------------------------------------------------------------------- */

/* All that came before the error is the app's; it is told by the read after that, if there will be one. */
static void stream_error(struct direct_socket *k, enum mf_stream_error why)
{
	if (!k->error)
		k->error = (uint8_t)why;
	if (k->error && k->eof)
		mf_stream_fail(k->stream, k->error);
	else
		k->careful = true;
}

static void connect_failed(struct direct_socket *k)
{
	enum mf_stream_error why = mf_socket_error(k->in.fd);

	mf_count(&direct_of(k)->count.tcp_failed, 1);
	mf_stream_fail(k->stream, why ? why : MF_STREAM_E_OTHER);
}

static void stream_ready(struct mf_input *in, uint32_t events)
{
	struct direct_socket *k = (struct direct_socket *)in;
	uint32_t tell = 0;

	if (k->connecting) {
		if (events & MF_POLL_FAULT)
			connect_failed(k);
		if (!(events & MF_POLL_WRITE) || (events & MF_POLL_FAULT))
			return;
		k->connecting = false;
		mf_count(&direct_of(k)->count.tcp_connected, 1);
		tell = MF_STREAM_OPENED;
	}
	if (events & (MF_POLL_END | MF_POLL_URGENT))
		k->careful = true;
	if (events & MF_POLL_URGENT)
		mf_socket_urgent_inline(in->fd);
	if (events & MF_POLL_FAULT)
		stream_error(k, mf_socket_error(in->fd));
	if (events & (MF_POLL_READ | MF_POLL_END | MF_POLL_URGENT | MF_POLL_ERROR)) {
		in->hot = true;
		tell |= MF_STREAM_READABLE;
	}
	if ((events & MF_POLL_WRITE) && k->write_blocked) {
		k->write_blocked = false;
		tell |= MF_STREAM_WRITABLE;
	}
	if (tell)
		mf_stream_notify(k->stream, tell);
}

/* ---- Streams: operations ----------------------------------------------------------------------- */

static enum mf_stream_error open_stream(struct mf_direct *x, struct direct_socket *k,
					const struct mf_endpoint *to)
{
	struct mf_socket_options o = { .mark = MF_ROUTE_MARK };
	enum mf_stream_error why = mf_egress_find(x->egress, &to->addr, &o.ifindex);
	int fd;

	if (why)
		return why;
	fd = mf_socket_connect(&o, to, &why);
	if (fd < 0)
		return why;
	k->ifindex = o.ifindex;
	k->connecting = true;
	k->in.ready = stream_ready;
	if (!mf_input_watch(&k->in, x->thread, fd,
			    MF_POLL_READ | MF_POLL_WRITE | MF_POLL_END | MF_POLL_EDGE))
		return MF_STREAM_E_NONE;
	mf_socket_close(fd, true);
	return MF_STREAM_E_NO_RESOURCES;
}

static mf_err stream_open(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	struct mf_direct *x = o->ctx;
	struct direct_socket *k = mf_direct_take(x);
	enum mf_stream_error why = k ? open_stream(x, k, &to->addr) : MF_STREAM_E_NO_RESOURCES;

	if (why) {
		if (k)
			mf_direct_give(x, k);
		count_refusal(x, why);
		s->error = (uint8_t)why;
		return MF_E_SYSTEM;
	}
	k->stream = s;
	s->out = o;
	s->impl = k;
	mf_count(&x->count.tcp_opened, 1);
	return MF_OK;
}

static size_t stream_write(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	struct direct_socket *k = s->impl;
	enum mf_stream_error why;
	size_t taken = mf_socket_send(k->in.fd, v, n, &why), want = 0;

	if (MF_UNLIKELY(why)) {
		stream_error(k, why);
		k->in.hot = true;
		mf_stream_notify(s, MF_STREAM_READABLE);
		return taken;
	}
	for (size_t i = 0; i < n; i++)
		want += v[i].n;
	k->write_blocked = taken < want;
	return taken;
}

static ptrdiff_t end_of(struct direct_socket *k, struct mf_stream *s, enum mf_stream_error why)
{
	k->in.hot = false;
	if (k->error)
		why = k->error;
	if (why) {
		s->error = (uint8_t)why;
		return MF_STREAM_ERR;
	}
	k->eof = true;
	return MF_STREAM_EOF;
}

static ptrdiff_t stream_read(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	struct direct_socket *k = s->impl;
	enum mf_stream_error why;
	size_t room = 0;
	ptrdiff_t r;

	if (!k->in.hot)
		return MF_STREAM_AGAIN;
	r = mf_socket_recv(k->in.fd, v, n, &why);
	if (r == MF_STREAM_EOF || r == MF_STREAM_ERR)
		return end_of(k, s, why);
	if (r == MF_STREAM_AGAIN) {
		k->in.hot = false;
		return r;
	}
	for (size_t i = 0; i < n; i++)
		room += v[i].n;
	if ((size_t)r == room)
		return r;
	if (k->careful)
		mf_stream_notify(s, MF_STREAM_READABLE);
	else
		k->in.hot = false;
	return r;
}

static void stream_shutdown(struct mf_stream *s)
{
	struct direct_socket *k = s->impl;

	mf_socket_shutdown(k->in.fd);
}

static void stream_close(struct mf_stream *s, bool reset)
{
	struct direct_socket *k = s->impl;

	if (!k)
		return;
	mf_socket_close(k->in.fd, reset);
	mf_direct_give(direct_of(k), k);
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	const struct direct_socket *k = s->impl;

	*out = (struct mf_stream_info){ 0 };
	if (!k)
		return;
	out->rtt = mf_socket_rtt(k->in.fd);
	/* All that is behind the name is zeros. */
	strncpy(out->device, mf_egress_name(direct_of(k)->egress, k->ifindex),
		sizeof(out->device) - 1);
}

/* ---- Datagrams --------------------------------------------------------------------------------- */

static void dgram_ready(struct mf_input *in, uint32_t events)
{
	struct direct_socket *k = (struct direct_socket *)in;

	k->d.errors |= (events & MF_POLL_ERROR) != 0;
	in->hot |= (events & MF_POLL_READ) != 0;
	mf_dgram_notify(k->dgram, MF_STREAM_READABLE);
}

static enum mf_stream_error open_dgram(struct mf_direct *x, struct direct_socket *k,
				       const struct mf_dgram *d)
{
	enum mf_stream_error why =
		mf_dgram_socket_open(&k->d, x->io, d->kind, d->family, MF_ROUTE_MARK);

	if (why)
		return why;
	k->in.ready = dgram_ready;
	if (!mf_input_watch(&k->in, x->thread, k->d.fd, MF_POLL_READ | MF_POLL_EDGE))
		return MF_STREAM_E_NONE;
	mf_dgram_socket_close(&k->d);
	return MF_STREAM_E_NO_RESOURCES;
}

static mf_err dgram_open(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct mf_direct *x = o->ctx;
	struct direct_socket *k = mf_direct_take(x);
	enum mf_stream_error why = k ? open_dgram(x, k, d) : MF_STREAM_E_NO_RESOURCES;

	(void)to; /* each datagram says where it goes */
	if (why) {
		if (k)
			mf_direct_give(x, k);
		if (d->kind == MF_DGRAM_ECHO && why == MF_STREAM_E_PROHIBITED)
			count_echo_refusal(x);
		else
			count_refusal(x, why);
		d->error = (uint8_t)why;
		return MF_E_SYSTEM;
	}
	k->dgram = d;
	d->out = o;
	d->impl = k;
	mf_count(d->kind == MF_DGRAM_ECHO ? &x->count.echo_opened : &x->count.udp_opened, 1);
	return MF_OK;
}

/* Names the device for each packet; returns how many from the first on may go. */
static size_t find_ways(struct mf_direct *x, struct direct_socket *k, struct mf_pkt **pkts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];
		enum mf_stream_error why;

		if (i && mf_addr_equal(&p->remote.addr, &pkts[i - 1]->remote.addr)) {
			p->local_if = pkts[i - 1]->local_if;
			continue;
		}
		why = mf_egress_find(x->egress, &p->remote.addr, &p->local_if);
		if (!why)
			continue;
		count_refusal(x, why);
		mf_dgram_socket_refuse(&k->d, p, why);
		return i;
	}
	return n;
}

static void dgram_send(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct direct_socket *k = d->impl;
	struct mf_direct *x = direct_of(k);

	for (size_t ok; n; pkts += ok, n -= ok) {
		ok = find_ways(x, k, pkts, n);
		mf_dgram_socket_send(&k->d, x->io, pkts, ok);
		ok += ok < n; /* the one that was refused */
	}
	if (k->d.has_own || k->d.errors)
		mf_dgram_notify(d, MF_STREAM_READABLE);
}

static size_t dgram_recv(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct direct_socket *k = d->impl;
	bool more;
	size_t n;

	if (!k->in.hot)
		return 0;
	n = mf_dgram_socket_recv(&k->d, direct_of(k)->io, pool, out, max, &more);
	k->in.hot = more;
	if (more && n < max) /* no packet was free: later */
		mf_dgram_notify(d, MF_STREAM_READABLE);
	return n;
}

static bool dgram_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	struct direct_socket *k = d->impl;

	return mf_dgram_socket_error(&k->d, e);
}

static void dgram_close(struct mf_dgram *d)
{
	struct direct_socket *k = d->impl;

	if (!k)
		return;
	mf_dgram_socket_close(&k->d);
	mf_direct_give(direct_of(k), k);
	d->impl = NULL;
}

const struct mf_outbound_ops mf_direct_ops = {
	.name = "direct",
	.stream_open = stream_open,
	.stream_write = stream_write,
	.stream_read = stream_read,
	.stream_shutdown = stream_shutdown,
	.stream_close = stream_close,
	.stream_info = stream_info,
	.dgram_open = dgram_open,
	.dgram_send = dgram_send,
	.dgram_recv = dgram_recv,
	.dgram_error = dgram_error,
	.dgram_close = dgram_close,
};
