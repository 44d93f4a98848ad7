/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_socks5 - datagrams beside a connection to a SOCKS5 server (RFC 1928 7): the connection asks
 * for an association and is told the address of a relay; packets go there and come from there for
 * as long as the connection lasts. When it ends, the next datagram asks for another association.
 *
 * Datagrams that come before the relay is known wait, within bounds.
 */
#include "proxy/packets.h"

enum {
	AT_ONCE = 2048,    /* bytes that are read */
	ANSWER_MAX = 2048, /* more than any answer of a handshake is long */
	ROUNDS = 16,       /* of reading, before others have their turn */
};
static_assert(ANSWER_MAX + AT_ONCE <= MF_CODEC_IN_MAX, "a handshake fits");

struct association {
	struct mf_mapping m;
	struct mf_packets path;
	struct mf_waiting waiting;
	struct mf_socks5 shake;
	struct mf_stream s;
	bool running;   /* there is a connection */
	bool open;      /* it has been established */
	bool ready;     /* the relay is known */
	bool forbidden; /* the server has said that it carries none */
	struct mf_held up, down;
	struct mf_timer patience;
};

static struct association *association_of(struct mf_mapping *m)
{
	return MF_CONTAINER_OF(m, struct association, m);
}

static struct mf_layers *layers_of(const struct association *a)
{
	return a->m.of->layers;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void wake(struct mf_stream *s)
{
	mf_mapping_notify(&MF_CONTAINER_OF(s, struct association, s)->m);
}

/* The connection, the relay, and what waits for them. */
static void hang_up(struct association *a, bool reset)
{
	mf_packets_close(&a->path);
	mf_waiting_drop(&a->waiting, &a->m);
	if (!a->running)
		return;
	a->s.out->ops->stream_close(&a->s, reset);
	mf_mapping_let_go(&a->m, &a->up);
	mf_mapping_let_go(&a->m, &a->down);
	mf_timer_disarm(&layers_of(a)->wheel, &a->patience);
	a->shake.codec.ops->wipe(&a->shake.codec);
	a->running = a->open = a->ready = false;
}

/* MF_PROXY_NONE: those below have said why. */
static void fail(struct association *a, enum mf_proxy_fault f, const char *detail)
{
	a->forbidden = f == MF_PROXY_COMMAND;
	if (a->forbidden && a->waiting.first)
		mf_mapping_forbid(&a->m, &a->waiting.first->remote);
	mf_mapping_fault(&a->m, f, detail);
	hang_up(a, true);
}

static void late(struct mf_timer *t, void *ctx, mf_nsec now)
{
	(void)ctx;
	(void)now;
	fail(MF_CONTAINER_OF(t, struct association, patience), MF_PROXY_SILENT, NULL);
}

static void arm(struct association *a)
{
	const struct mf_proxy_config *cfg = a->m.of->config;
	struct mf_layers *ls = layers_of(a);

	a->patience.fire = late;
	if (cfg->first_byte_timeout)
		mf_timer_arm(&ls->wheel, &a->patience,
			     ls->now + cfg->connect_timeout + cfg->first_byte_timeout);
}

/* False: not now. */
static bool dial(struct association *a)
{
	struct mf_dgrams *x = a->m.of;
	struct mf_target to = { .addr.addr.family = MF_AF_IP4, .app.addr.family = MF_AF_IP4 };

	if (!mf_mapping_may_try(&a->m))
		return false;
	a->s = (struct mf_stream){ .out = x->transport, .wake = wake };
	if (x->transport->ops->stream_open(x->transport, &a->s, &to)) {
		mf_mapping_fault(&a->m, MF_PROXY_NONE, NULL);
		return false;
	}
	mf_socks5_init(&a->shake, &x->config->socks5, &x->layers->env, NULL, true);
	a->running = true;
	arm(a);
	return true;
}

/* ---- Handshake ------------------------------------------------------------------------------- */

static bool is_loopback(const struct mf_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == MF_AF_IP4 ? a->b[0] == 127 : !memcmp(a->b, one, sizeof(one));
}

/* Of many: a datagram to it would go to everybody there. */
static bool is_group(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? a->b[0] >= 224 : a->b[0] == 0xff;
}

/* Is it good only nearer to where it belongs than the server is to us? */
static bool is_narrower(const struct mf_addr *a, const struct mf_addr *server)
{
	return (is_loopback(a) && !is_loopback(server)) ||
	       (mf_addr_is_private(a) && !mf_addr_is_private(server));
}

/* A server that does not know its own address says zeros, or one that is good only where it lives.
 * The latter would also let it point us at our own network. */
static bool relay_of(const struct association *a, struct mf_endpoint *relay)
{
	const struct mf_dgrams *x = a->m.of;
	struct mf_endpoint server;
	bool known = x->server(x->ctx, x->which, &server);

	*relay = a->shake.relay.addr;
	if (!relay->port || is_group(&relay->addr))
		return false;
	if (mf_addr_is_unspecified(&relay->addr) ||
	    (known && is_narrower(&relay->addr, &server.addr))) {
		relay->addr = server.addr;
		relay->scope_id = server.scope_id;
		return known;
	}
	return true;
}

/* False: it has failed. */
static bool associate(struct association *a)
{
	struct mf_endpoint relay;

	mf_timer_disarm(&layers_of(a)->wheel, &a->patience);
	if (!relay_of(a, &relay)) {
		fail(a, MF_PROXY_PROTOCOL, "no address of a relay");
		return false;
	}
	if (mf_packets_aim(&a->path, &relay)) {
		hang_up(a, false);
		return false;
	}
	a->ready = true;
	mf_proxy_life_note(a->m.of->life, layers_of(a)->now);
	mf_proxy_health_ok(a->m.of->health, layers_of(a)->log, a->m.of->config->name,
			   layers_of(a)->now);
	mf_packets_send_waiting(&a->path, &a->waiting);
	return true;
}

/* The handshake's next message, if it is our turn; false: it has failed. */
static bool say(struct association *a, uint8_t *out)
{
	struct mf_codec *c = &a->shake.codec;
	size_t n = 0;

	if (!a->up.n)
		(void)c->ops->seal(c, NULL, 0, out, MF_CODEC_OUT_MIN, &n);
	if (mf_mapping_write(&a->m, &a->s, &a->up, mf_span(out, n)))
		return true;
	fail(a, MF_PROXY_RESOURCES, NULL);
	return false;
}

/* What has come, of which the handshake uses what it understands; false: it has failed. */
static bool hear(struct association *a, struct mf_codec_in in)
{
	struct mf_codec *c = &a->shake.codec;
	size_t got;

	if (c->ops->open(c, &in, NULL, 0, &got)) {
		fail(a, c->fault, NULL);
		return false;
	}
	if (c->opened)
		return associate(a);
	if (in.n >= ANSWER_MAX) {
		fail(a, MF_PROXY_PROTOCOL, "an answer without end");
		return false;
	}
	if (mf_mapping_hold(&a->m, &a->down, in.p, in.n))
		return true;
	fail(a, MF_PROXY_RESOURCES, NULL);
	return false;
}

/* The connection has ended, and the association with it: that is no fault, but a server that does so again and again
 * without bringing anything is not dialled as fast as it can hang up. */
static void ended(struct association *a, ptrdiff_t how)
{
	if (a->ready) {
		mf_mapping_back_off(&a->m);
		hang_up(a, how == MF_STREAM_ERR);
	} else if (how == MF_STREAM_ERR && a->s.error == MF_STREAM_E_PROXY) {
		fail(a, MF_PROXY_NONE, NULL);
	} else {
		fail(a, MF_PROXY_CLOSED, NULL);
	}
}

/* Returns how many bytes have come; 0: none, or it has failed. Behind the handshake there is
 * nothing to be said. */
static size_t listen(struct association *a, uint8_t *in)
{
	size_t have = a->down.n;
	struct mf_room v = { .p = in + have, .n = AT_ONCE };
	ptrdiff_t r;

	if (have)
		memcpy(in, a->down.p + a->down.at, have);
	r = a->s.out->ops->stream_read(&a->s, &v, 1);
	if (r < 0)
		ended(a, r);
	if (r <= 0)
		return 0;
	if (a->ready)
		return (size_t)r;
	mf_mapping_let_go(&a->m, &a->down);
	return hear(a, (struct mf_codec_in){ .p = in, .n = have + (size_t)r }) ? (size_t)r : 0;
}

/* What has been told of the connection. */
static void attend(struct association *a)
{
	uint32_t ready = a->s.ready;
	struct mf_mapping_work w;
	unsigned round = 0;

	if (!a->running || !ready)
		return;
	a->s.ready = 0;
	a->open |= (ready & MF_STREAM_OPENED) != 0;
	if (ready & MF_STREAM_FAILED) {
		fail(a, MF_PROXY_NONE, NULL);
		return;
	}
	if (!a->open || !mf_mapping_work(&a->m, &w))
		return;
	while ((a->ready || say(a, w.out)) && listen(a, w.in))
		if (++round == ROUNDS) {
			mf_stream_notify(&a->s, MF_STREAM_READABLE);
			break;
		}
	mf_mapping_done(&a->m);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static mf_err refuse(struct mf_mapping *m, enum mf_stream_error why)
{
	m->above->error = (uint8_t)why;
	return why == MF_STREAM_E_UNSUPPORTED ? MF_E_UNSUPPORTED : MF_E_GONE;
}

/* The port below comes first: most often the relay is where the server is, and without a port it
 * would be of no use to ask for one. */
static mf_err begin(struct mf_mapping *m)
{
	struct association *a = association_of(m);
	struct mf_dgrams *x = m->of;
	enum mf_stream_error why;
	struct mf_endpoint at;

	if (!x->transport)
		return refuse(m, MF_STREAM_E_UNSUPPORTED);
	mf_packets_init(&a->path, m,
			x->proto->packets(mf_mapping_codec(m), x->config, &x->layers->env));
	if (!x->server(x->ctx, x->which, &at))
		return MF_OK;
	why = mf_packets_aim(&a->path, &at);
	if (!why)
		return MF_OK;
	mf_packets_fini(&a->path);
	return refuse(m, why);
}

static void heed(struct mf_mapping *m)
{
	struct association *a = association_of(m);

	attend(a);
	if (mf_packets_heed(&a->path))
		hang_up(a, false);
}

static void refuse_all(struct association *a, struct mf_pkt **pkts, size_t n)
{
	if (a->forbidden && n)
		mf_mapping_forbid(&a->m, &pkts[0]->remote);
	mf_mapping_refuse(&a->m, pkts, n, MF_DROP_OUTBOUND_DOWN);
}

static void send(struct mf_mapping *m, struct mf_pkt **pkts, size_t n)
{
	struct association *a = association_of(m);

	heed(m);
	if (a->ready)
		mf_packets_send(&a->path, pkts, n);
	else if (a->running || dial(a))
		mf_waiting_put_all(&a->waiting, m, pkts, n);
	else
		refuse_all(a, pkts, n);
}

static size_t recv(struct mf_mapping *m, struct mf_pkt **out, size_t max)
{
	struct association *a = association_of(m);

	attend(a);
	return mf_packets_recv(&a->path, out, max);
}

static void end(struct mf_mapping *m)
{
	struct association *a = association_of(m);

	hang_up(a, false);
	mf_packets_fini(&a->path);
}

const struct mf_mapping_kind mf_mapping_socks5 = {
	.size = sizeof(struct association),
	.begin = begin,
	.send = send,
	.recv = recv,
	.heed = heed,
	.end = end,
};
