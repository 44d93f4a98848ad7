/* SPDX-License-Identifier: Apache-2.0
 *
 * vpn - connections of our own through an L3VPN interface, as an outbound: the app's end of our TCP core is
 * here ourselves, the other end is a server inside the VPN.
 *
 * The local address is the TUN's, which is translated on its way into the VPN as an app's is; the port lies
 * above those that the system gives to apps, so that no app can be using it towards the same server. Bytes
 * are copied between the user's buffers and packets: there are few of them (DNS), or they are copied by
 * encryption anyway (proxies).
 */
#include "host/internal.h"

#include "wire/ip.h"

enum { PORT_FIRST = 61000, PORT_TRIES = 16, SPANS = 16 };

static struct mf_session *session_of(const struct mf_stream *st)
{
	return st->impl;
}

/* ---- The user's side --------------------------------------------------------------------------------- */

static struct mf_session *take_port(struct mf_vpn *v, struct mf_flow_key *k,
				    const struct mf_session_ops *ops)
{
	struct mf_host *h = v->host;

	for (int i = 0; i < PORT_TRIES; i++) {
		struct mf_session *s;

		k->dport = (uint16_t)(PORT_FIRST +
				      mf_rng_u32(&h->tcp.rng) % (UINT16_MAX + 1 - PORT_FIRST));
		s = mf_host_own_session(h, k, v->hop, ops);
		if (s)
			return s;
	}
	return NULL;
}

static void fill_facts(struct mf_session *s, const struct mf_addr *local, const struct mf_endpoint *to)
{
	s->facts.kind = MF_SESSION_TCP;
	s->facts.state = MF_SESSION_OPENING;
	s->facts.app = (struct mf_endpoint){ .addr = *local, .port = s->flow.key.dport };
	s->facts.dst = *to;
}

static const struct mf_session_ops session_ops;

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *st, const struct mf_target *to)
{
	struct mf_vpn *v = o->ctx;
	struct mf_host *h = v->host;
	const struct mf_addr *local = to->addr.addr.family == MF_AF_IP4 ? &h->cfg.tunnel4
									: &h->cfg.tunnel6;
	struct mf_tcp_config cfg = { .mtu = v->mtu, .pacing = true };
	struct mf_flow_key k = {
		.sport = to->addr.port,
		.family = to->addr.addr.family,
		.proto = MF_IPPROTO_TCP,
		.side = MF_SIDE_OURS,
	};
	struct mf_session *s;

	if (!local->family) {
		st->error = MF_STREAM_E_NET_UNREACHABLE;
		return MF_E_UNSUPPORTED;
	}
	memcpy(k.src, to->addr.addr.b, sizeof(k.src));
	memcpy(k.dst, local->b, sizeof(k.dst));
	s = take_port(v, &k, &session_ops);
	if (!s) {
		st->error = MF_STREAM_E_NO_RESOURCES;
		return MF_E_FULL;
	}
	h->n_own++;
	fill_facts(s, local, &to->addr);
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

static size_t write_stream(struct mf_stream *st, const struct mf_span *v, size_t n)
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
	mf_session_up(s, done, 0);
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

static ptrdiff_t read_stream(struct mf_stream *st, const struct mf_room *v, size_t n)
{
	struct mf_session *s = session_of(st);
	struct mf_tcp *c = &s->tcp.conn;
	struct mf_span spans[SPANS];
	size_t n_spans = mf_tcp_recv_spans(c, spans, SPANS, NULL);
	size_t got = scatter(v, n, spans, n_spans);

	if (got) {
		mf_tcp_recv_done(&s->host->tcp, c, got);
		mf_session_down(s, got, 0);
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

static void shutdown_stream(struct mf_stream *st)
{
	struct mf_session *s = session_of(st);

	mf_tcp_shutdown(&s->tcp.conn);
	mf_session_ready(s);
}

/* Without a user the connection ends by itself, when all has been said. */
static void close_stream(struct mf_stream *st, bool reset)
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

static void info_stream(const struct mf_stream *st, struct mf_stream_info *out)
{
	struct mf_tcp_info info;

	*out = (struct mf_stream_info){ 0 };
	if (!st->impl)
		return;
	mf_tcp_info(&session_of(st)->tcp.conn, &info);
	out->rtt = info.srtt;
}

static const struct mf_outbound_ops vpn_ops = {
	.name = "vpn",
	.stream_open = open_stream,
	.stream_write = write_stream,
	.stream_read = read_stream,
	.stream_shutdown = shutdown_stream,
	.stream_close = close_stream,
	.stream_info = info_stream,
};

void mf_vpn_init(struct mf_vpn *v, struct mf_host *h, uint32_t hop, uint32_t mtu)
{
	*v = (struct mf_vpn){ .out = { &vpn_ops, v }, .host = h, .hop = hop, .mtu = mtu };
}

/* ---- The VPN's side ---------------------------------------------------------------------------------- */

bool mf_host_claims(const struct mf_host *h, struct mf_pkt *p)
{
	struct mf_flow_key k;
	uint64_t hash;

	if (MF_LIKELY(!h->n_own && !h->owners) || p->l4_proto != MF_IPPROTO_TCP ||
	    mf_ip_is_fragment(p))
		return false;
	p->flags |= MF_PKT_FROM_VPN;
	if (mf_host_key(p, &k) && k.dport >= PORT_FIRST) {
		hash = mf_flow_hash_key(h->table, &k);
		if (mf_flow_find(h->table, &k, hash) ||
		    (h->owners && mf_owners_find(h->owners, hash) != MF_OWNER_NONE))
			return true;
	}
	p->flags &= (uint8_t)~MF_PKT_FROM_VPN;
	return false;
}

void mf_session_vpn_emit(struct mf_host *h, struct mf_session *s, struct mf_pkt *p)
{
	mf_session_up(s, 0, p->segments);
	p->next_hop = s->facts.hop;
	h->port.into_vpn(h->port.ctx, p);
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
