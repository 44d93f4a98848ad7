/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections and datagrams of our own through a WireGuard interface (host/vpn.c): a user of the outbound on
 * one side, a server behind the other engine's TUN.
 */
#include "unit.h"

#include <stdlib.h>

#include "support/netapps.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/reply.h"

enum { PORT = 853, BUFFER = 1 << 20 };

/* Who uses a stream: writes `out` and reads into `in`, as readiness allows. */
struct user {
	struct mf_stream st; /* first */
	uint32_t heard;
	uint8_t *out, *in;
	size_t n_out, wrote, n_in;
	bool shut, eof;
};

/* Who uses datagrams. */
struct port {
	struct mf_dgram d; /* first */
	uint32_t heard;
};

struct lab {
	struct testnet net;
	struct netapps server;
	struct mf_vpn vpn;
	struct mf_worker *w; /* whose sessions they are */
	struct user u;
	struct port port;
};

static void wake(struct mf_stream *st)
{
	struct user *u = (struct user *)st;

	u->heard |= st->ready;
	st->ready = 0;
}

static void open_lab(struct lab *l, const struct testnet_options *o)
{
	memset(l, 0, sizeof(*l));
	testnet_open(&l->net, o);
	netapps_open(&l->server, &l->net, 1);
	l->server.listen = PORT;
	l->w = mf_engine_worker(l->net.side[0].engine, o->n_workers - 1);
	mf_vpn_init(&l->vpn, l->w->stack, MF_HOP_ID_FIRST_INTERFACE, 1420);
	l->u.out = malloc(BUFFER);
	l->u.in = malloc(BUFFER);
	assert_non_null(l->u.out);
	assert_non_null(l->u.in);
}

static void close_lab(struct lab *l)
{
	assert_true(testnet_balanced(&l->net.side[0]));
	testnet_close(&l->net);
	netapps_close(&l->server);
	free(l->u.out);
	free(l->u.in);
}

static mf_err dial(struct lab *l, const char *to)
{
	struct mf_target t = { 0 };

	assert_int_equal(mf_endpoint_parse(&t.addr, to), MF_OK);
	l->u.st.out = &l->vpn.out;
	l->u.st.wake = wake;
	return l->vpn.out.ops->stream_open(&l->vpn.out, &l->u.st, &t);
}

static void serve_user(struct user *u)
{
	const struct mf_outbound_ops *ops = u->st.out->ops;
	ptrdiff_t got;

	if (!(u->heard & MF_STREAM_OPENED) || !u->st.impl)
		return;
	if (u->wrote < u->n_out) {
		size_t half = (u->n_out - u->wrote + 1) / 2;
		struct mf_span v[] = { mf_span(u->out + u->wrote, half),
				       mf_span(u->out + u->wrote + half, u->n_out - u->wrote - half) };

		u->wrote += ops->stream_write(&u->st, v, 2);
	}
	do {
		struct mf_room v[] = { { u->in + u->n_in, 100 }, { u->in + u->n_in + 100, 5000 } };

		assert_true(u->n_in + 5100 <= BUFFER);
		got = u->eof ? 0 : ops->stream_read(&u->st, v, 2);
		u->eof |= got == MF_STREAM_EOF;
		u->n_in += got > 0 ? (size_t)got : 0;
	} while (got > 0);
}

static void run(struct lab *l, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		netapps_advance(&l->server, MF_MSEC);
		serve_user(&l->u);
		for (struct netapp *a = l->server.first; a; a = a->next)
			netapp_read(a, SIZE_MAX);
	}
}

static uint32_t own_sessions(struct lab *l, struct mf_session_facts *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < mf_engine_session_slots(l->net.side[0].engine, l->w->index); i++)
		n += mf_engine_session(l->net.side[0].engine, l->w->index, i, f);
	return n;
}

static void exchange(void **state, const char *to, const struct testnet_options *o)
{
	struct mf_session_facts f;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, o);
	assert_int_equal(dial(&l, to), MF_OK);
	run(&l, 1200);
	assert_int_equal(l.u.heard & (MF_STREAM_OPENED | MF_STREAM_FAILED), MF_STREAM_OPENED);
	a = l.server.first;
	assert_non_null(a);
	assert_int_equal(own_sessions(&l, &f), 1);
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.hop, MF_HOP_ID_FIRST_INTERFACE);
	assert_int_equal(f.dst.port, PORT);
	/* The server compares what it reads. */
	l.u.n_out = 300000;
	netapp_far_bytes(a, 0, l.u.out, l.u.n_out);
	for (size_t wrote = 0; wrote < 200000; run(&l, 1))
		wrote += netapp_write(a, 200000 - wrote);
	run(&l, 3000);
	assert_int_equal(a->down, 300000);
	assert_int_equal(l.u.n_in, 200000);
	/* The app says goodbye, we answer; what is left of it goes by itself. */
	netapp_shutdown(a);
	run(&l, 100);
	assert_true(l.u.eof);
	l.u.st.out->ops->stream_close(&l.u.st, false);
	assert_null(l.u.st.impl);
	run(&l, 100);
	assert_true(a->eof);
	assert_int_equal(mf_tcp_state(&a->tcp), MF_TCP_TIME_WAIT);
	netapps_advance(&l.server, 61 * MF_SEC);
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_DONE);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

static void test_exchange_ip4(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 1 };

	exchange(state, "10.9.0.2:853", &o);
}

static void test_exchange_ip6(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 2, .tunnel = { "fd09::1", "fd09::2" } };

	exchange(state, "[fd09::2]:853", &o);
}

static void test_refused(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 3 };
	struct testnet_item *syn;
	struct mf_session_facts f;
	uint8_t rst[64];
	struct lab l;
	uint32_t n;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(dial(&l, "10.9.0.2:1"), MF_OK);
	run(&l, 50);
	syn = netapps_other(&l.server);
	assert_non_null(syn);
	n = testnet_tcp4(rst, "10.9.0.2", "10.9.0.1", 1, mf_load_be16(syn->bytes + 20), 0,
			 mf_load_be32(syn->bytes + 24) + 1, MF_TCP_RST | MF_TCP_ACK, NULL, 0);
	testnet_app_send(&l.net.side[1], rst, n, 0, 0, false, 0, 0);
	free(syn);
	run(&l, 50);
	assert_true(l.u.heard & MF_STREAM_FAILED);
	assert_int_equal(l.u.st.error, MF_STREAM_E_REFUSED);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

/* Closed by hand: the user hears of it, and may close what is no longer there. */
static void test_closed_by_hand(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 4 };
	struct mf_session_facts f;
	struct lab l;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(dial(&l, "10.9.0.2:853"), MF_OK);
	run(&l, 1200);
	assert_int_equal(own_sessions(&l, &f), 1);
	assert_int_equal(mf_engine_session_close(l.net.side[0].engine, 0, f.ref), MF_OK);
	run(&l, 50);
	assert_true(l.u.heard & MF_STREAM_FAILED);
	assert_int_equal(l.server.first->end, MF_TCP_END_RESET);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

/* ---- Datagrams ------------------------------------------------------------------------------------- */

static void wake_port(struct mf_dgram *d)
{
	struct port *x = (struct port *)d;

	x->heard |= d->ready;
	d->ready = 0;
}

static mf_err open_port(struct lab *l, const char *to)
{
	struct mf_target t = { 0 };

	assert_int_equal(mf_endpoint_parse(&t.addr, to), MF_OK);
	l->port.d = (struct mf_dgram){ .out = &l->vpn.out,
				       .kind = MF_DGRAM_UDP,
				       .family = t.addr.addr.family,
				       .wake = wake_port };
	return l->vpn.out.ops->dgram_open(&l->vpn.out, &l->port.d, &t);
}

static const uint8_t words[4000] = "a question, or what is said in answer to it; the rest is zeros";

/* Sends n of `words`, several datagrams of gso_size if that is not 0; returns what became of it. */
static enum mf_drop say(struct lab *l, const char *to, size_t n, uint16_t gso_size, uint8_t flags)
{
	struct mf_pkt *p = n > MF_PKT_SMALL_MAX ? mf_pkt_large(l->w->pool) : mf_pkt_small(l->w->pool);
	enum mf_drop drop;

	assert_non_null(p);
	assert_int_equal(mf_endpoint_parse(&p->remote, to), MF_OK);
	memcpy(p->data, words, n);
	p->len = (uint32_t)n;
	p->gso_size = gso_size;
	p->gso_type = gso_size ? MF_GSO_UDP : MF_GSO_NONE;
	p->flags |= flags;
	l->vpn.out.ops->dgram_send(&l->port.d, &p, 1);
	drop = (enum mf_drop)p->drop;
	mf_pkt_free(p);
	netapps_settle(&l->server);
	return drop;
}

/* The server gets n bytes from our address and a port of ours, which is returned. */
static uint16_t hears(struct lab *l, uint8_t version, uint16_t at, size_t n)
{
	struct testnet_item *i = netapps_other(&l->server);
	size_t ip = version == 4 ? 20 : 40;
	uint16_t port;

	assert_non_null(i);
	assert_int_equal(i->bytes[0] >> 4, version);
	assert_int_equal(i->len, ip + 8 + n);
	assert_true(i->needs_csum || testnet_csum_ok(i->bytes, i->len));
	assert_int_equal(mf_load_be16(i->bytes + ip + 2), at);
	assert_memory_equal(i->bytes + ip + 8, words, n);
	port = mf_load_be16(i->bytes + ip);
	free(i);
	assert_true(port >= 61000);
	return port;
}

/* A server inside the VPN sends n bytes to a port of side 0. */
static void answer(struct lab *l, const char *from, uint16_t at, uint16_t port, uint32_t n)
{
	bool v4 = !strchr(from, ':');
	uint8_t b[4096];
	uint32_t len = v4 ? testnet_udp4(b, from, "10.9.0.1", at, port, words, n)
			  : testnet_udp6(b, from, "fd09::1", at, port, words, n);

	testnet_app_send(&l->net.side[1], b, len, 0, 0, false, 0, 0);
	netapps_settle(&l->server);
}

/* What has come in: n bytes from that remote. */
static void receives(struct lab *l, const char *from, size_t n)
{
	struct mf_endpoint e;
	struct mf_pkt *p;

	assert_int_equal(mf_endpoint_parse(&e, from), MF_OK);
	assert_int_equal(l->vpn.out.ops->dgram_recv(&l->port.d, l->w->pool, &p, 1), 1);
	assert_true(mf_endpoint_equal(&p->remote, &e));
	assert_true(mf_pkt_headroom(p) >= MF_PKT_HEADROOM - 16);
	assert_int_equal(p->len, n);
	assert_memory_equal(p->data, words, n);
	mf_pkt_free(p);
}

static void close_port(struct lab *l)
{
	struct mf_session_facts f;

	l->vpn.out.ops->dgram_close(&l->port.d);
	assert_null(l->port.d.impl);
	assert_int_equal(own_sessions(l, &f), 0);
}

static void converse(const struct testnet_options *o, uint8_t version)
{
	const char *remote = version == 4 ? "10.9.0.2:53" : "[fd09::2]:53";
	const char *server = version == 4 ? "10.9.0.2" : "fd09::2";
	const char *other = version == 4 ? "10.9.0.77:4000" : "[fd09::77]:4000";
	struct testnet_item *i;
	struct mf_pkt *none;
	uint16_t port;
	struct lab l;

	open_lab(&l, o);
	assert_int_equal(open_port(&l, remote), MF_OK);
	assert_int_equal(say(&l, remote, 50, 0, 0), MF_DROP_NONE);
	port = hears(&l, version, 53, 50);
	answer(&l, server, 53, port, 700);
	assert_int_equal(l.port.heard, MF_STREAM_READABLE);
	receives(&l, remote, 700);
	assert_int_equal(l.vpn.out.ops->dgram_recv(&l.port.d, l.w->pool, &none, 1), 0);
	/* Whoever writes to the port; the key is our end. */
	l.port.heard = 0;
	answer(&l, version == 4 ? "10.9.0.77" : "fd09::77", 4000, port, 0);
	assert_int_equal(l.port.heard, MF_STREAM_READABLE);
	receives(&l, other, 0);
	/* Another port is an app's. */
	answer(&l, server, 53, port == UINT16_MAX ? port - 1 : port + 1, 10);
	i = testnet_app_recv(&l.net.side[0]);
	assert_non_null(i);
	free(i);
	assert_null(testnet_app_recv(&l.net.side[0]));
	/* ... and so is this one when it has been closed. */
	close_port(&l);
	answer(&l, server, 53, port, 10);
	i = testnet_app_recv(&l.net.side[0]);
	assert_non_null(i);
	free(i);
	close_lab(&l);
}

static void test_datagrams_ip4(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 5 };

	(void)state;
	converse(&o, 4);
}

static void test_datagrams_ip6(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 6, .tunnel = { "fd09::1", "fd09::2" } };

	(void)state;
	converse(&o, 6);
}

/* What comes in on the first worker is the second one's. */
static void test_datagrams_other_worker(void **state)
{
	struct testnet_options o = { .n_workers = 2, .seed = 7 };

	(void)state;
	converse(&o, 4);
}

static void test_datagram_lengths(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 8 };
	const struct mf_outbound_ops *ops;
	struct testnet_item *i;
	struct mf_dgram_error e;
	struct lab l;
	size_t n = 0;

	(void)state;
	open_lab(&l, &o);
	ops = l.vpn.out.ops;
	assert_int_equal(open_port(&l, "10.9.0.2:53"), MF_OK);
	/* The longest, and one more. */
	assert_int_equal(say(&l, "10.9.0.2:53", 1392, 0, 0), MF_DROP_NONE);
	(void)hears(&l, 4, 53, 1392);
	assert_int_equal(say(&l, "10.9.0.2:53", 1393, 0, 0), MF_DROP_TOO_BIG);
	assert_true(ops->dgram_error(&l.port.d, &e));
	assert_int_equal(e.type, MF_ICMP4_UNREACHABLE);
	assert_int_equal(e.code, 4);
	assert_int_equal(e.mtu, 1420);
	assert_int_equal(e.remote.port, 53);
	assert_false(ops->dgram_error(&l.port.d, &e));
	/* It may go in pieces. */
	assert_int_equal(say(&l, "10.9.0.2:53", 1393, 0, MF_PKT_MAY_FRAGMENT), MF_DROP_NONE);
	for (; (i = netapps_other(&l.server)); free(i))
		n++;
	assert_int_equal(n, 2);
	/* Several of one size: all of them arrive. */
	assert_int_equal(say(&l, "10.9.0.2:53", 3500, 1000, 0), MF_DROP_NONE);
	for (n = 0; (i = netapps_other(&l.server)); free(i))
		n += i->len - 28;
	assert_int_equal(n, 3500);
	assert_null(testnet_app_recv(&l.net.side[0]));
	close_port(&l);
	close_lab(&l);
}

static void test_datagram_queue(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 9 };
	struct mf_pkt *p[100];
	uint16_t port;
	struct lab l;
	size_t n;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(open_port(&l, "10.9.0.2:53"), MF_OK);
	assert_int_equal(say(&l, "10.9.0.2:53", 1, 0, 0), MF_DROP_NONE);
	port = hears(&l, 4, 53, 1);
	for (uint32_t i = 0; i < 70; i++)
		answer(&l, "10.9.0.2", 53, port, i);
	assert_int_equal(l.w->graph.ledger.drops[MF_DROP_OWN_QUEUE_FULL], 6);
	n = l.vpn.out.ops->dgram_recv(&l.port.d, l.w->pool, p, 60);
	n += l.vpn.out.ops->dgram_recv(&l.port.d, l.w->pool, p + n, 40);
	assert_int_equal(n, 64);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(p[i]->len, i);
		mf_pkt_free(p[i]);
	}
	/* What nobody has asked for goes with the port. */
	answer(&l, "10.9.0.2", 53, port, 5);
	close_port(&l);
	close_lab(&l);
}

/* The server's machine says that nobody listens. */
static void test_datagram_error(void **state)
{
	struct testnet_options o = { .n_workers = 2, .seed = 10 };
	struct mf_pkt_pool *pool = mf_pkt_pool_new(8, 1);
	struct testnet_item *i;
	struct mf_pkt *about, *error;
	struct mf_dgram_error e;
	struct mf_addr router;
	struct lab l;

	(void)state;
	assert_non_null(pool);
	open_lab(&l, &o);
	assert_int_equal(open_port(&l, "10.9.0.2:53"), MF_OK);
	assert_int_equal(say(&l, "10.9.0.2:53", 40, 0, 0), MF_DROP_NONE);
	i = netapps_other(&l.server);
	assert_non_null(i);
	about = mf_pkt_small(pool);
	memcpy(about->data, i->bytes, i->len);
	about->len = i->len;
	free(i);
	assert_int_equal(mf_ip_input(about), MF_DROP_NONE);
	assert_int_equal(mf_addr_parse(&router, "10.9.0.9"), MF_OK);
	error = mf_icmp_error(pool, about, &router, MF_ICMP_PORT_UNREACHABLE, 0);
	assert_non_null(error);
	testnet_app_send(&l.net.side[1], error->data, error->len, 0, 0, false, 0, 0);
	mf_pkt_free(about);
	mf_pkt_free(error);
	netapps_settle(&l.server);
	assert_int_equal(l.port.heard, MF_STREAM_READABLE);
	assert_true(l.vpn.out.ops->dgram_error(&l.port.d, &e));
	assert_int_equal(e.type, 3);
	assert_int_equal(e.code, 3);
	assert_int_equal(e.remote.port, 53);
	assert_true(mf_addr_equal(&e.offender, &router));
	assert_null(testnet_app_recv(&l.net.side[0]));
	close_port(&l);
	close_lab(&l);
	mf_pkt_pool_free(pool);
}

static void test_datagrams_closed_by_hand(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 11 };
	struct mf_session_facts f;
	struct mf_dgram echo;
	struct mf_pkt *p;
	struct lab l;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(open_port(&l, "10.9.0.2:53"), MF_OK);
	echo = (struct mf_dgram){ .out = &l.vpn.out, .kind = MF_DGRAM_ECHO, .family = MF_AF_IP4 };
	assert_int_not_equal(l.vpn.out.ops->dgram_open(&l.vpn.out, &echo, &(struct mf_target){ 0 }),
			     MF_OK);
	assert_int_equal(echo.error, MF_STREAM_E_UNSUPPORTED);
	/* No idle time-out ends it. */
	netapps_advance(&l.server, 3600 * MF_SEC);
	assert_int_equal(say(&l, "10.9.0.2:53", 40, 0, 0), MF_DROP_NONE);
	assert_int_equal(own_sessions(&l, &f), 1);
	assert_int_equal(f.proto, MF_IPPROTO_UDP);
	assert_int_equal(f.bytes_up, 40);
	assert_int_equal(mf_engine_session_close(l.net.side[0].engine, 0, f.ref), MF_OK);
	netapps_settle(&l.server);
	assert_int_equal(l.port.heard, MF_STREAM_FAILED);
	assert_int_equal(say(&l, "10.9.0.2:53", 40, 0, 0), MF_DROP_OUTBOUND_DOWN);
	assert_int_equal(l.vpn.out.ops->dgram_recv(&l.port.d, l.w->pool, &p, 1), 0);
	close_port(&l);
	close_lab(&l);
}

/* ---- The VPN goes ---------------------------------------------------------------------------------- */

/* A profile without it. */
static void forget_vpn(struct lab *l)
{
	static const char text[] = "version: 1\n"
				   "tunnel: { name: tun0, address: [10.9.0.1/24] }\n"
				   "app_routing: { routes: [{ cidr: 0.0.0.0/0, to: direct }] }\n";
	struct testnet_options o = { 0 };
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;

	assert_int_equal(mf_config_parse(text, sizeof(text) - 1, "none.yaml", 0, &cfg, &errs), MF_OK);
	o.config[0] = cfg;
	assert_int_equal(testnet_apply(&l->net, 0, &o, NULL, NULL), MF_OK);
	mf_config_free(cfg);
	netapps_settle(&l->server);
}

static void test_vpn_removed(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 13 };
	struct mf_session_facts f;
	struct lab l;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(dial(&l, "10.9.0.2:853"), MF_OK);
	assert_int_equal(open_port(&l, "10.9.0.2:53"), MF_OK);
	run(&l, 1200);
	assert_true(l.u.heard & MF_STREAM_OPENED);
	assert_int_equal(testnet_apply(&l.net, 0, &o, NULL, NULL), MF_OK);
	run(&l, 50);
	assert_int_equal(own_sessions(&l, &f), 2);
	assert_false((l.u.heard | l.port.heard) & MF_STREAM_FAILED);
	forget_vpn(&l);
	assert_int_equal(own_sessions(&l, &f), 0);
	assert_true(l.u.heard & MF_STREAM_FAILED);
	assert_true(l.port.heard & MF_STREAM_FAILED);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	close_port(&l);
	close_lab(&l);
}

/* ---- For others -------------------------------------------------------------------------------------- */

/* What carries an app's session is not shown and counted a second time. */
static void test_inner(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 12 };
	struct mf_target t = { 0 };
	struct mf_session_facts f;
	struct lab l;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(mf_endpoint_parse(&t.addr, "10.9.0.2:853"), MF_OK);
	assert_int_equal(mf_endpoint_parse(&t.app, "10.9.0.1:4000"), MF_OK);
	l.u.st.out = &l.vpn.out;
	l.u.st.wake = wake;
	l.port.d = (struct mf_dgram){
		.out = &l.vpn.out, .kind = MF_DGRAM_UDP, .family = MF_AF_IP4, .wake = wake_port
	};
	assert_int_equal(l.vpn.out.ops->stream_open(&l.vpn.out, &l.u.st, &t), MF_OK);
	assert_int_equal(l.vpn.out.ops->dgram_open(&l.vpn.out, &l.port.d, &t), MF_OK);
	run(&l, 1200);
	l.u.n_out = 5000;
	netapp_far_bytes(l.server.first, 0, l.u.out, l.u.n_out);
	run(&l, 100);
	assert_int_equal(say(&l, "10.9.0.2:53", 100, 0, 0), MF_DROP_NONE);
	assert_int_equal(l.u.wrote, 5000);
	assert_int_equal(own_sessions(&l, &f), 0);
	assert_int_equal(mf_host_counters(l.w->stack)->sessions, 0);
	assert_int_equal(mf_host_counters(l.w->stack)->bytes_up, 0);
	assert_int_equal(mf_host_hop(l.w->stack, MF_HOP_ID_FIRST_INTERFACE)->opened, 0);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	close_port(&l);
	netapps_settle(&l.server);
	assert_int_equal(mf_host_counters(l.w->stack)->sessions, 0);
	close_lab(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange_ip4),
		cmocka_unit_test(test_exchange_ip6),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_closed_by_hand),
		cmocka_unit_test(test_datagrams_ip4),
		cmocka_unit_test(test_datagrams_ip6),
		cmocka_unit_test(test_datagrams_other_worker),
		cmocka_unit_test(test_datagram_lengths),
		cmocka_unit_test(test_datagram_queue),
		cmocka_unit_test(test_datagram_error),
		cmocka_unit_test(test_datagrams_closed_by_hand),
		cmocka_unit_test(test_vpn_removed),
		cmocka_unit_test(test_inner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
