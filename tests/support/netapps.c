/* SPDX-License-Identifier: Apache-2.0
 *
 * netapps - see netapps.h.
 */
#include "support/netapps.h"

#include <stdlib.h>

#include "support/salted.h"
#include "wire/ip.h"
#include "wire/tcp.h"

enum { MAX_ROUNDS = 100000, SMALL = 1024, LARGE = 128 };

/* ---- Segments -------------------------------------------------------------------------------------- */

static void emit(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct netapps *n = ctx;
	uint8_t *bytes = malloc(mf_pkt_len(p));
	size_t len = bytes ? mf_pkt_gather(p, bytes, mf_pkt_len(p)) : 0;

	(void)c;
	MF_ASSERT(len);
	testnet_app_send(n->side, bytes, (uint32_t)len, p->gso_type, p->gso_size,
			 p->flags & MF_PKT_NEEDS_CSUM, p->csum_start, p->csum_offset);
	free(bytes);
	mf_pkt_free(p);
}

static struct mf_pkt *packet_of(struct netapps *n, const struct testnet_item *i)
{
	struct mf_pkt *p = i->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(n->pool) : mf_pkt_large(n->pool);

	MF_ASSERT(p);
	memcpy(p->data, i->bytes, i->len);
	p->len = i->len;
	p->gso_type = i->gso_type;
	p->gso_size = i->gso_size;
	p->segments = i->segments;
	if (i->needs_csum) {
		p->flags |= MF_PKT_NEEDS_CSUM;
		p->csum_start = i->csum_start;
		p->csum_offset = i->csum_offset;
	}
	return p;
}

static struct netapp *app_of(const struct netapps *n, const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	struct mf_addr src = mf_ip_src(p), dst = mf_ip_dst(p);

	if (p->l4_proto != MF_IPPROTO_TCP)
		return NULL;
	for (struct netapp *a = n->first; a; a = a->next)
		if (mf_be16_get(t->dport) == a->local.port &&
		    mf_be16_get(t->sport) == a->remote.port &&
		    mf_addr_equal(&dst, &a->local.addr) && mf_addr_equal(&src, &a->remote.addr))
			return a;
	return NULL;
}

/* A new one for a SYN to the port that is listened on, NULL: it is none. */
static struct netapp *accept_app(struct netapps *n, const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	struct mf_tcp_config cfg = { .mtu = 1420 };
	struct netapp *a;

	if (!n->listen || p->l4_proto != MF_IPPROTO_TCP || mf_be16_get(t->dport) != n->listen ||
	    t->flags != MF_TCP_SYN)
		return NULL;
	a = calloc(1, sizeof(*a));
	MF_ASSERT(a && mf_tcp_hold(&n->env, &a->tcp, &cfg, p, n->net->now) == MF_OK);
	mf_tcp_accept(&n->env, &a->tcp, n->net->now);
	a->all = n;
	a->local = (struct mf_endpoint){ .addr = mf_ip_dst(p), .port = mf_be16_get(t->dport) };
	a->remote = (struct mf_endpoint){ .addr = mf_ip_src(p), .port = mf_be16_get(t->sport) };
	a->salt = mf_prng_u64(&n->net->prng);
	a->next = n->first;
	n->first = a;
	return a;
}

static void look(struct netapp *a)
{
	uint32_t ev = mf_tcp_events(&a->tcp);
	struct mf_tcp_info info;

	a->connected |= (ev & MF_TCP_EV_CONNECTED) != 0;
	a->eof |= (ev & MF_TCP_EV_EOF) != 0;
	if (!(ev & MF_TCP_EV_CLOSED))
		return;
	mf_tcp_info(&a->tcp, &info);
	a->closed = true;
	a->end = info.end;
}

static void deliver(struct netapps *n, struct testnet_item *i)
{
	struct mf_pkt *p = packet_of(n, i);
	struct netapp *a;

	MF_ASSERT(mf_ip_input(p) == MF_DROP_NONE && p->len == i->len);
	MF_ASSERT(p->flags & MF_PKT_NEEDS_CSUM || p->l4_proto == MF_IPPROTO_ICMP ||
		  mf_ip_is_fragment(p) || mf_ip_l4_csum_ok(p));
	a = app_of(n, p);
	if (!a && accept_app(n, p)) {
		mf_pkt_free(p);
		free(i);
		return;
	}
	if (!a) {
		mf_pkt_free(p);
		*n->other_last = i;
		n->other_last = &i->next;
		return;
	}
	free(i);
	if (mf_tcp_input(&n->env, &a->tcp, p, n->net->now) != MF_DROP_NONE)
		mf_pkt_free(p);
	look(a);
}

static void run_apps(struct netapps *n)
{
	mf_tcp_env_sweep(&n->env);
	for (struct netapp *a = n->first; a; a = a->next) {
		if (mf_tcp_deadline(&a->tcp) <= n->net->now)
			mf_tcp_timeout(&n->env, &a->tcp, n->net->now);
		mf_tcp_output(&n->env, &a->tcp, n->net->now);
		look(a);
	}
}

void netapps_settle(struct netapps *n)
{
	unsigned rounds = 0;

	do {
		struct testnet_item *i;

		run_apps(n);
		testnet_settle(n->net);
		while ((i = testnet_app_recv(n->side)) != NULL)
			deliver(n, i);
		run_apps(n);
		MF_ASSERT(testnet_balanced(n->side) && ++rounds < MAX_ROUNDS);
	} while (n->side->tun_in.n);
}

void netapps_advance(struct netapps *n, mf_nsec by)
{
	mf_nsec end = n->net->now + by;

	netapps_settle(n);
	while (n->net->now < end) {
		mf_nsec next = end;

		for (struct netapp *a = n->first; a; a = a->next)
			next = mf_min(next, mf_tcp_deadline(&a->tcp));
		testnet_advance(n->net, next > n->net->now ? next - n->net->now : 1);
		netapps_settle(n);
	}
}

struct testnet_item *netapps_other(struct netapps *n)
{
	struct testnet_item *i = n->other;

	if (!i)
		return NULL;
	n->other = i->next;
	if (!n->other)
		n->other_last = &n->other;
	return i;
}

/* ---- Apps ------------------------------------------------------------------------------------------ */

struct netapp *netapp_connect(struct netapps *n, const char *local, const char *remote)
{
	struct mf_tcp_config cfg = { .mtu = 1420 };
	struct netapp *a = calloc(1, sizeof(*a));

	MF_ASSERT(a && mf_endpoint_parse(&a->local, local) == MF_OK &&
		  mf_endpoint_parse(&a->remote, remote) == MF_OK);
	a->all = n;
	a->salt = mf_prng_u64(&n->net->prng);
	a->next = n->first;
	n->first = a;
	MF_ASSERT(mf_tcp_connect(&n->env, &a->tcp, &cfg, &a->local, &a->remote, n->net->now) == MF_OK);
	return a;
}

size_t netapp_write(struct netapp *a, size_t n)
{
	return salted_send(&a->all->env, &a->tcp, a->salt, &a->up, n);
}

size_t netapp_read(struct netapp *a, size_t n)
{
	return salted_read(&a->all->env, &a->tcp, a->salt + 1, &a->down, n);
}

void netapp_shutdown(struct netapp *a)
{
	mf_tcp_shutdown(&a->tcp);
}

void netapp_abort(struct netapp *a)
{
	mf_tcp_abort(&a->all->env, &a->tcp, false, a->all->net->now);
	look(a);
}

void netapp_far_bytes(const struct netapp *a, uint64_t from, uint8_t *out, size_t n)
{
	salted_fill(out, a->salt + 1, from, n);
}

bool netapp_far_right(const struct netapp *a, uint64_t from, const uint8_t *bytes, size_t n)
{
	return salted_right(bytes, a->salt, from, n);
}

/* ---- Life ------------------------------------------------------------------------------------------ */

void netapps_open(struct netapps *n, struct testnet *t, unsigned side)
{
	*n = (struct netapps){ .net = t, .side = &t->side[side] };
	n->other_last = &n->other;
	n->pool = mf_pkt_pool_new(SMALL, LARGE);
	MF_ASSERT(n->pool);
	n->env = (struct mf_tcp_env){
		.pool = n->pool,
		.rng = { mf_prng_fill, &t->prng },
		.ctx = n,
		.emit = emit,
		.rx_budget = 4 << 20,
		.tx_budget = 4 << 20,
	};
	MF_ASSERT(mf_tcp_env_init(&n->env) == MF_OK);
}

void netapps_close(struct netapps *n)
{
	struct testnet_item *i;

	while (n->first) {
		struct netapp *a = n->first;

		n->first = a->next;
		mf_tcp_free(&n->env, &a->tcp);
		free(a);
	}
	while ((i = netapps_other(n)) != NULL)
		free(i);
	mf_tcp_env_fini(&n->env);
	mf_pkt_pool_free(n->pool);
}
