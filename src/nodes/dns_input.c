/* SPDX-License-Identifier: Apache-2.0
 *
 * dns-input - questions about names in datagrams that enter the tunnel, to whatever address:
 * answered here, from that address. Only the first worker has the resolver; the others hand their
 * packets to it.
 */
#include "nodes/dns.h"

#include "nodes/host_port.h"
#include "wire/ip.h"
#include "wire/reply.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum { NEXT_TUN_OUTPUT, NEXT_HOST_TCP, NEXT_DROP };

bool mf_dns_is_asked(const struct mf_worker *w, const struct mf_pkt *p)
{
	const struct mf_dns_catch *c = &w->snap->dns_catch;
	const uint8_t *l4 = p->data + p->l4_off;
	struct mf_addr dst;

	/* Source and destination ports stand at the same place in both. */
	if ((p->l4_proto != MF_IPPROTO_UDP && p->l4_proto != MF_IPPROTO_TCP) ||
	    p->len < p->l4_off + 4u)
		return false;
	if (c->all && mf_load_be16(l4 + 2) == MF_DNS_PORT)
		return true;
	for (uint8_t i = 0; i < c->n; i++) {
		dst = mf_ip_dst(p);
		if (mf_load_be16(l4 + 2) == c->at[i].port && mf_addr_equal(&c->at[i].addr, &dst))
			return true;
	}
	return false;
}

/* The reply takes the question's way back. p has the message, nothing in front of it. */
static void send(struct mf_dns *d, struct mf_pkt *p, const struct mf_dns_client *c)
{
	struct mf_worker *w = d->worker;
	struct mf_udp_hdr *u;

	p->data -= sizeof(*u);
	p->len += (uint32_t)sizeof(*u);
	u = (void *)p->data;
	*u = (struct mf_udp_hdr){
		.sport = mf_be16_of(c->local.port),
		.dport = mf_be16_of(c->addr.port),
		.len = mf_be16_of((uint16_t)p->len),
	};
	mf_reply_wrap(p, &c->local.addr, &c->addr.addr, MF_IPPROTO_UDP, 0, 0);
	mf_reply_finish(p, MF_UDP_CSUM_OFF);
	p->next_hop = MF_HOP_ID_DNS;
	mf_count(&w->graph.ledger.created, 1);
	mf_graph_put(&w->graph, w->tun_output, p);
}

void mf_dns_input_answer(struct mf_dns *d, const struct mf_dns_client *c, const uint8_t *msg, size_t n)
{
	struct mf_pkt *p = mf_pkt_small(d->worker->pool);

	MF_ASSERT(n <= MF_PKT_SMALL_MAX);
	if (!p) {
		mf_count(&d->count.no_buffer, 1);
		return;
	}
	memcpy(p->data, msg, n);
	p->len = (uint32_t)n;
	send(d, p, c);
}

static void ask(struct mf_dns *d, const struct mf_dns_client *c, struct mf_span msg)
{
	struct mf_pkt *p = mf_pkt_small(d->worker->pool);
	enum mf_dns_outcome outcome;
	size_t n;

	mf_count(&d->count.tunnel_queries, 1);
	if (!p) {
		mf_count(&d->count.no_buffer, 1);
		return;
	}
	outcome = mf_resolver_query(d->resolver, c, msg, p->data, MF_DNS_UDP_MAX, &n,
				    d->worker->graph.now);
	if (outcome != MF_DNS_ANSWERED) {
		mf_pkt_free(p);
		d->due |= outcome == MF_DNS_KEPT_OPEN;
		return;
	}
	p->len = (uint32_t)n;
	send(d, p, c);
}

/* One packet may be several datagrams of one size. */
static enum mf_drop take(struct mf_dns *d, struct mf_pkt *p)
{
	const struct mf_udp_hdr *u = (const void *)(p->data + p->l4_off);
	enum mf_drop why = mf_udp_input(p);
	struct mf_dns_client c = { .tag = MF_DNS_TAG_TUNNEL };
	struct mf_span left, one;

	if (why)
		return why;
	c.addr = (struct mf_endpoint){ .addr = mf_ip_src(p), .port = mf_be16_get(u->sport) };
	c.local = (struct mf_endpoint){ .addr = mf_ip_dst(p), .port = mf_be16_get(u->dport) };
	left = (struct mf_span){ p->data + p->l4_off + sizeof(*u), p->len - p->l4_off - sizeof(*u) };
	do {
		one = left;
		if (p->gso_type == MF_GSO_UDP && p->gso_size)
			one.n = mf_min(one.n, p->gso_size);
		ask(d, &c, one);
		left.p += one.n;
		left.n -= one.n;
	} while (left.n);
	return MF_DROP_NONE;
}

static void to_first_worker(struct mf_worker *w, struct mf_pkt *p)
{
	mf_count(&w->graph.ledger.held, mf_pkt_wire_count(p));
	mf_handoff_give(w, p, 0);
}

static uint32_t dns_input_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			      uint16_t *next, uint32_t n)
{
	struct mf_worker *w = g->worker;
	uint32_t on = 0;

	(void)node;
	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = pkts[i];
		enum mf_drop why = MF_DROP_NONE;

		if (!w->dns) {
			to_first_worker(w, p);
			continue;
		}
		if (mf_ip_is_fragment(p)) {
			why = MF_DROP_DNS_FRAGMENT;
		} else if (p->l4_proto == MF_IPPROTO_TCP) {
			p->next_hop = MF_HOP_ID_DNS;
			next[on] = NEXT_HOST_TCP;
			pkts[on++] = p;
			continue;
		} else {
			why = take(w->dns, p);
		}
		if (why) {
			p->drop = (uint8_t)why;
			next[on] = NEXT_DROP;
			pkts[on++] = p;
		} else {
			mf_graph_end(g, p, MF_CONSUMED);
		}
	}
	return on;
}

const struct mf_node_def mf_node_dns_input = {
	.name = "dns-input",
	.run = dns_input_run,
	.next = { [NEXT_TUN_OUTPUT] = "tun-output", [NEXT_HOST_TCP] = "host-tcp", [NEXT_DROP] = "drop" },
	.does = "answers questions about names, whatever server they are sent to",
};
