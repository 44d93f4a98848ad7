/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dns.h"

#include <stdlib.h>

#include "base/count.h"
#include "daemon/dns_clients.h"
#include "daemon/workers.h"
#include "nodes/host_port.h"
#include "platform/listen.h"

enum { QUESTION_MAX = 1500, BATCHES = 4 };

/* X(name, "text") */
#define COUNTER_LIST(X)                                                         \
	X(udp_queries, "datagrams with questions")                              \
	X(udp_answers, "datagrams with answers")                                \
	X(udp_lost, "answers that the socket did not take")                     \
	X(foreign, "questions of public addresses at a wildcard, not answered") \
	X(tcp_accepted, "connections accepted")                                 \
	X(tcp_refused, "connections refused: too many, or a public address")
struct counters {
#define X(name, text) uint64_t name;
	COUNTER_LIST(X)
#undef X
};

/* One address of dns.listen. */
struct place {
	struct mf_input udp; /* first */
	struct mf_input tcp;
	struct mf_dns_door *door;
	bool wildcard;
};

struct mf_dns_door {
	struct mf_daemon *daemon;
	struct mf_worker *worker;
	struct place *place;
	uint32_t n;
	struct mf_dns_clients conns;
	struct counters count;
	struct mf_listen_datagram in[MF_LISTEN_BATCH], out[MF_LISTEN_BATCH];
	uint8_t question[MF_LISTEN_BATCH][QUESTION_MAX];
	uint8_t answer[MF_LISTEN_BATCH][MF_DNS_UDP_MAX];
};

/* ---- Datagrams ------------------------------------------------------------------------------- */

static bool welcome(const struct place *p, const struct mf_addr *a)
{
	return !p->wildcard || mf_addr_is_private(a);
}

/* A later answer needs the socket, and the device of a link-local client. */
static uint64_t ref_of(const struct mf_dns_door *x, const struct place *p, uint32_t ifindex)
{
	return (uint64_t)(p - x->place) << 32 | ifindex;
}

static void ask(struct mf_dns_door *x, struct place *p, struct mf_resolver *r,
		const struct mf_listen_datagram *q, size_t *n_out, mf_nsec now)
{
	struct mf_dns_client c = {
		.addr = q->remote,
		.local = { .addr = q->local },
		.tag = MF_DNS_TAG_SOCKET,
		.ctx = x,
		.ref = ref_of(x, p, q->ifindex),
	};
	struct mf_listen_datagram *out = &x->out[*n_out];

	mf_count(&x->count.udp_queries, 1);
	if (!welcome(p, &q->remote.addr)) {
		mf_count(&x->count.foreign, 1);
		return;
	}
	*out = *q;
	out->data = x->answer[*n_out];
	if (mf_resolver_query(r, &c, (struct mf_span){ q->data, q->n }, out->data, MF_DNS_UDP_MAX,
			      &out->n, now) == MF_DNS_ANSWERED)
		(*n_out)++;
}

static void reply(struct mf_dns_door *x, struct place *p, size_t n)
{
	size_t sent = n ? mf_listen_send(p->udp.fd, x->out, n) : 0;

	mf_count(&x->count.udp_answers, sent);
	mf_count(&x->count.udp_lost, n - sent);
}

static uint32_t serve_udp(struct mf_dns_door *x, struct place *p, struct mf_resolver *r, mf_nsec now)
{
	uint32_t asked = 0;

	for (int batch = 0; batch < BATCHES && p->udp.hot; batch++) {
		size_t n, n_out = 0;
		bool drained;

		for (size_t i = 0; i < MF_LISTEN_BATCH; i++)
			x->in[i] = (struct mf_listen_datagram){ .data = x->question[i],
								.n = QUESTION_MAX };
		n = mf_listen_recv(p->udp.fd, x->in, MF_LISTEN_BATCH, &drained);
		for (size_t i = 0; i < n; i++)
			ask(x, p, r, &x->in[i], &n_out, now);
		reply(x, p, n_out);
		asked += (uint32_t)n;
		p->udp.hot = !drained;
	}
	return asked;
}

static void answer(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n)
{
	struct mf_dns_door *x = ctx;
	struct mf_listen_datagram d = {
		.data = (uint8_t *)(uintptr_t)msg,
		.n = n,
		.remote = c->addr,
		.local = c->local.addr,
		.ifindex = (uint32_t)c->ref,
	};
	size_t sent = mf_listen_send(x->place[c->ref >> 32].udp.fd, &d, 1);

	mf_count(&x->count.udp_answers, sent);
	mf_count(&x->count.udp_lost, 1 - sent);
}

/* ---- Connections ----------------------------------------------------------------------------- */

static uint32_t accept_some(struct mf_dns_door *x, struct place *p)
{
	struct mf_endpoint remote, local;
	uint32_t n = 0;
	int fd;

	while (p->tcp.hot && n < MF_LISTEN_BATCH) {
		fd = mf_listen_accept(p->tcp.fd, &remote, &local);
		p->tcp.hot = fd >= 0;
		if (fd < 0)
			break;
		n++;
		if (welcome(p, &remote.addr) && mf_dns_client_open(&x->conns, fd, &remote, &local)) {
			mf_count(&x->count.tcp_accepted, 1);
		} else {
			mf_count(&x->count.tcp_refused, 1);
			mf_listen_close(fd);
		}
	}
	return n;
}

static uint32_t poll_all(void *ctx, struct mf_resolver *r, mf_nsec now)
{
	struct mf_dns_door *x = ctx;
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n; i++) {
		if (x->place[i].udp.hot)
			n += serve_udp(x, &x->place[i], r, now);
		if (x->place[i].tcp.hot)
			n += accept_some(x, &x->place[i]);
	}
	return n + mf_dns_clients_run(&x->conns, now);
}

/* ---- A life ---------------------------------------------------------------------------------- */

static mf_err open_place(struct mf_dns_door *x, const struct mf_endpoint *at, struct mf_errbuf *eb)
{
	struct place *p = &x->place[x->n++];
	struct mf_worker_thread *t = &x->daemon->workers[0];

	p->door = x;
	p->wildcard = mf_addr_is_unspecified(&at->addr);
	p->udp.fd = mf_listen_udp(at, 0, eb);
	p->tcp.fd = p->udp.fd < 0 ? -1 : mf_listen_tcp(at, 0, eb);
	if (p->tcp.fd < 0)
		return MF_E_SYSTEM;
	if (mf_input_add(&p->udp, t, p->udp.fd) || mf_input_add(&p->tcp, t, p->tcp.fd))
		return mf_fail(eb, MF_E_SYSTEM, "dns.listen: cannot watch the sockets");
	return MF_OK;
}

static uint32_t wanted(const struct mf_config_dns *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_listen; i++)
		n += !c->listen[i].in_tunnel;
	return n;
}

mf_err mf_dns_sockets_open(struct mf_daemon *d, struct mf_errbuf *eb)
{
	const struct mf_config_dns *c = &d->config->dns;
	struct mf_dns_sockets sockets = { .poll = poll_all, .answer = answer };
	struct mf_dns_door *x;
	mf_err err = MF_OK;

	if (!wanted(c))
		return MF_OK;
	x = d->dns_door = calloc(1, sizeof(*x));
	if (!x || !(x->place = calloc(wanted(c), sizeof(*x->place))))
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	x->daemon = d;
	x->worker = mf_engine_worker(d->engine, 0);
	mf_dns_clients_init(&x->conns, &d->workers[0], x->worker);
	for (uint32_t i = 0; i < c->n_listen && !err; i++)
		if (!c->listen[i].in_tunnel)
			err = open_place(x, &c->listen[i].at, eb);
	sockets.ctx = x;
	if (!err)
		mf_worker_set_dns_sockets(x->worker, &sockets);
	return err;
}

void mf_dns_sockets_close(struct mf_daemon *d)
{
	struct mf_dns_door *x = d->dns_door;

	if (!x)
		return;
	mf_dns_clients_close(&x->conns);
	for (uint32_t i = 0; x->place && i < x->n; i++) {
		mf_listen_close(x->place[i].udp.fd);
		mf_listen_close(x->place[i].tcp.fd);
	}
	free(x->place);
	free(x);
	d->dns_door = NULL;
}

static bool any_encrypted(const struct mf_config_dns_servers *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].scheme == MF_CONFIG_DNS_TLS || s->v[i].scheme == MF_CONFIG_DNS_HTTPS)
			return true;
	return false;
}

bool mf_dns_is_encrypted(const struct mf_config_dns *dns)
{
	return any_encrypted(&dns->vpn_servers) || any_encrypted(&dns->direct_servers) ||
	       any_encrypted(&dns->servers);
}

void mf_dns_sockets_counters(void *ctx, mf_control_counter_fn *add, void *to)
{
	struct mf_daemon *d = ctx;
	const struct mf_dns_door *x = d->dns_door;

	if (!x)
		return;
#define X(name, text) add(to, "dns.listen", #name, mf_counter_read(&x->count.name), text);
	COUNTER_LIST(X)
#undef X
}
