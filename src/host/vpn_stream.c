/* SPDX-License-Identifier: Apache-2.0
 *
 * vpn_stream - TCP connections of our own through an L3VPN interface: the app's end of our TCP core is here
 * ourselves, the other end is a server inside the VPN.
 *
 * Bytes are copied between the user's buffers and packets: there are few of them (DNS), or they are copied by
 * encryption anyway (proxies).
 */
#include "host/vpn.h"

#include "wire/ip.h"

enum { SPANS = 16 };

static struct mf_session *session_of(const struct mf_stream *st)
{
	return st->impl;
}

/* ---- The user's side --------------------------------------------------------------------------------- */

static const struct mf_session_ops session_ops;

mf_err mf_vpn_stream_open(struct mf_outbound *o, struct mf_stream *st, const struct mf_target *to)
{
	struct mf_vpn *v = o->ctx;
	struct mf_host *h = v->host;
	struct mf_tcp_config cfg = { .mtu = v->mtu, .pacing = true };
	struct mf_session *s = mf_vpn_session(v, MF_IPPROTO_TCP, to, &session_ops, &st->error);

	if (!s)
		return MF_E_GONE;
	s->facts.kind = MF_SESSION_TCP;
	s->facts.state = MF_SESSION_OPENING;
	if (mf_tcp_connect(&h->tcp, &s->tcp.conn, &cfg, &s->facts.app, &s->facts.dst, h->now)) {
		mf_session_end(h, s, false);
		st->error = MF_STREAM_E_NO_RESOURCES;
		return MF_E_NO_MEMORY;
	}
	s->tcp.user = st;
	st->impl = s;
	mf_session_ready(s);
	return MF_OK;
}

/* Copies up to n bytes from *v, *at bytes of which are used up. */
static size_t gather(uint8_t *to, size_t n, const struct mf_span **v, size_t *at)
{
	size_t done = 0;

	while (done < n) {
		size_t part = mf_min(n - done, (*v)->n - *at);

		memcpy(to + done, (*v)->p + *at, part);
		done += part;
		*at += part;
		if (*at == (*v)->n) {
			(*v)++;
			*at = 0;
		}
	}
	return done;
}

size_t mf_vpn_stream_write(struct mf_stream *st, const struct mf_span *v, size_t n)
{
	struct mf_session *s = session_of(st);
	struct mf_host *h = s->host;
	size_t want = 0, at = 0, done = 0, room;

	for (size_t i = 0; i < n; i++)
		want += v[i].n;
	while (done < want && (room = mf_tcp_send_room(&s->tcp.conn)) > 0) {
		size_t part = mf_min(mf_min(want - done, room), mf_tcp_send_chunk(&s->tcp.conn));
		struct mf_pkt *p = NULL;

		if (part > MF_PKT_SMALL_MAX && mf_host_spare_large(h))
			p = mf_pkt_large(h->pool);
		else if (mf_host_spare_small(h))
			p = mf_pkt_small(h->pool);
		if (!p) {
			mf_session_starve(s);
			break;
		}
		part = mf_min(part, p->flags & MF_PKT_LARGE ? MF_PKT_LARGE_MAX : MF_PKT_SMALL_MAX);
		p->len = (uint32_t)gather(p->data, part, &v, &at);
		mf_tcp_send(&h->tcp, &s->tcp.conn, p);
		done += part;
	}
	s->tcp.write_blocked = done < want;
	mf_vpn_up(s, done, 0);
	if (done)
		mf_session_ready(s);
	return done;
}

static enum mf_stream_error error_of(const struct mf_session *s)
{
	struct mf_tcp_info info;

	mf_tcp_info(&s->tcp.conn, &info);
	switch (info.end) {
	case MF_TCP_END_REFUSED:
		return MF_STREAM_E_REFUSED;
	case MF_TCP_END_TIMEOUT:
		return MF_STREAM_E_TIMED_OUT;
	case MF_TCP_END_UNREACHABLE:
		return MF_STREAM_E_HOST_UNREACHABLE;
	default:
		return MF_STREAM_E_RESET;
	}
}

static size_t scatter(const struct mf_room *v, size_t n, const struct mf_span *from, size_t n_from)
{
	size_t at = 0, i = 0, done = 0;

	for (size_t k = 0; k < n_from; k++)
		for (size_t used = 0; used < from[k].n && i < n;) {
			size_t part = mf_min(from[k].n - used, v[i].n - at);

			memcpy(v[i].p + at, from[k].p + used, part);
			used += part;
			done += part;
			at += part;
			if (at == v[i].n) {
				i++;
				at = 0;
			}
		}
	return done;
}

ptrdiff_t mf_vpn_stream_read(struct mf_stream *st, const struct mf_room *v, size_t n)
{
	struct mf_session *s = session_of(st);
	struct mf_tcp *c = &s->tcp.conn;
	struct mf_span spans[SPANS];
	size_t n_spans = mf_tcp_recv_spans(c, spans, SPANS, NULL);
	size_t got = scatter(v, n, spans, n_spans);

	if (got) {
		mf_tcp_recv_done(&s->host->tcp, c, got);
		mf_vpn_down(s, got, 0);
		/* The window opens; and a read of less than there is says "no more" to the reader. */
		mf_session_ready(s);
		s->tcp.read_blocked = false;
		return (ptrdiff_t)got;
	}
	if (mf_tcp_eof(c))
		return MF_STREAM_EOF;
	if (mf_tcp_state(c) != MF_TCP_CLOSED)
		return MF_STREAM_AGAIN;
	st->error = (uint8_t)error_of(s);
	return MF_STREAM_ERR;
}

void mf_vpn_stream_shutdown(struct mf_stream *st)
{
	struct mf_session *s = session_of(st);

	mf_tcp_shutdown(&s->tcp.conn);
	mf_session_ready(s);
}

/* Without a user the connection ends by itself, when all has been said. */
void mf_vpn_stream_close(struct mf_stream *st, bool reset)
{
	struct mf_session *s = session_of(st);
	enum mf_tcp_state state;
	struct mf_host *h;
	struct mf_tcp *c;

	if (!s) /* it has ended, and said so */
		return;
	h = s->host;
	c = &s->tcp.conn;
	state = mf_tcp_state(c);
	st->impl = NULL;
	s->tcp.user = NULL;
	if (reset || state < MF_TCP_ESTABLISHED || mf_tcp_recv_queued(c)) {
		mf_tcp_abort(&h->tcp, c, false, h->now);
		mf_session_end(h, s, false);
		return;
	}
	if (state == MF_TCP_ESTABLISHED || state == MF_TCP_CLOSE_WAIT)
		mf_tcp_shutdown(c);
	mf_session_ready(s);
}

void mf_vpn_stream_info(const struct mf_stream *st, struct mf_stream_info *out)
{
	struct mf_tcp_info info;

	*out = (struct mf_stream_info){ 0 };
	if (!st->impl)
		return;
	mf_tcp_info(&session_of(st)->tcp.conn, &info);
	out->rtt = info.srtt;
}

/* ---- A turn ------------------------------------------------------------------------------------------ */

/* What has happened, as the user of a stream is to hear it. */
static uint32_t news(struct mf_session *s, uint32_t events)
{
	uint32_t tell = 0;

	if (events & MF_TCP_EV_CONNECTED)
		tell |= MF_STREAM_OPENED | MF_STREAM_WRITABLE;
	if (events & (MF_TCP_EV_READABLE | MF_TCP_EV_EOF) || mf_tcp_recv_queued(&s->tcp.conn))
		tell |= MF_STREAM_READABLE;
	if (s->tcp.write_blocked && mf_tcp_send_room(&s->tcp.conn) && mf_host_spare_small(s->host)) {
		s->tcp.write_blocked = false;
		tell |= MF_STREAM_WRITABLE;
	}
	return tell;
}

static enum mf_session_state state_of(enum mf_tcp_state st)
{
	switch (st) {
	case MF_TCP_ESTABLISHED:
		return MF_SESSION_ESTABLISHED;
	case MF_TCP_FIN_WAIT_1:
	case MF_TCP_FIN_WAIT_2:
		return MF_SESSION_APP_CLOSED;
	case MF_TCP_CLOSE_WAIT:
		return MF_SESSION_FAR_CLOSED;
	case MF_TCP_TIME_WAIT:
		return MF_SESSION_TIME_WAIT;
	default:
		return st < MF_TCP_ESTABLISHED ? MF_SESSION_OPENING : MF_SESSION_CLOSING;
	}
}

/* The connection is over. The user of the stream closes it when it has heard of that; nobody else waits. */
static void over(struct mf_host *h, struct mf_session *s)
{
	struct mf_stream *st = s->tcp.user;

	if (!st) {
		mf_session_end(h, s, false);
		return;
	}
	if (mf_tcp_recv_queued(&s->tcp.conn) || mf_tcp_eof(&s->tcp.conn))
		mf_stream_notify(st, MF_STREAM_READABLE);
	else
		mf_stream_fail(st, error_of(s));
}

static bool turn(struct mf_host *h, struct mf_session *s)
{
	struct mf_tcp *c = &s->tcp.conn;
	uint32_t tell;

	if (mf_tcp_deadline(c) <= h->now)
		mf_tcp_timeout(&h->tcp, c, h->now);
	tell = news(s, mf_tcp_events(c));
	if (!s->tcp.user && mf_tcp_recv_queued(c)) /* nobody will read it (RFC 9293 3.10.7.4) */
		mf_tcp_abort(&h->tcp, c, false, h->now);
	mf_tcp_output(&h->tcp, c, h->now);
	s->facts.state = (uint8_t)state_of(mf_tcp_state(c));
	if (mf_tcp_state(c) == MF_TCP_CLOSED) {
		over(h, s);
		return false;
	}
	if (tell && s->tcp.user)
		mf_stream_notify(s->tcp.user, tell);
	mf_session_arm(s, mf_tcp_deadline(c));
	mf_session_publish(s);
	return false;
}

/* By hand, by time, or at the end of everything. */
static void close_session(struct mf_host *h, struct mf_session *s, bool tell_server)
{
	if (tell_server)
		mf_tcp_abort(&h->tcp, &s->tcp.conn, false, h->now);
	if (s->tcp.user) {
		s->tcp.user->impl = NULL;
		mf_stream_fail(s->tcp.user, MF_STREAM_E_RESET);
	}
	mf_tcp_free(&h->tcp, &s->tcp.conn);
	h->n_own--;
}

static const struct mf_session_ops session_ops = { .turn = turn, .close = close_session };
