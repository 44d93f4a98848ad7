/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole engines with a live session: any packet from an app, any datagram from the network, any
 * plaintext from an authenticated peer. Part of the addresses is routed `direct`, to a far side that answers each
 * byte with a zero, and to proxies behind it: to VLESS that is an answer, to Shadowsocks nonsense. Nothing may crash,
 * leak or stall, and the books must balance.
 *
 * byte 0: what, modulo 4 (0 app, 1 datagram, 2 datagram batch, 3 plaintext of the peer), and how much time
 * passes then (the high half, in tenths of a second); app packets continue with 8 bytes of offload metadata.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/testnet.h"
#include "wire/ip.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct testnet net;

/* ---- The far side ---------------------------------------------------------------------------------- */

/* Bytes written and not read yet; which they are is of no interest here. */
static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	(void)o;
	(void)to;
	s->impl = calloc(1, sizeof(size_t));
	if (!s->impl)
		abort();
	mf_stream_notify(s, MF_STREAM_OPENED | MF_STREAM_READABLE | MF_STREAM_WRITABLE);
	return MF_OK;
}

static size_t write_stream(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].n;
	*(size_t *)s->impl += bytes;
	mf_stream_notify(s, MF_STREAM_READABLE);
	return bytes;
}

static ptrdiff_t read_stream(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	size_t *left = s->impl, bytes = 0;

	for (size_t i = 0; i < n; i++) {
		size_t part = mf_min(v[i].n, *left - bytes);

		memset(v[i].p, 0, part);
		bytes += part;
	}
	*left -= bytes;
	return bytes ? (ptrdiff_t)bytes : MF_STREAM_AGAIN;
}

static void shutdown_stream(struct mf_stream *s)
{
	(void)s;
}

static void close_stream(struct mf_stream *s, bool reset)
{
	(void)reset;
	free(s->impl);
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	(void)s;
	*out = (struct mf_stream_info){ 0 };
}

/* Where the last datagram went; one comes back from there. */
struct answer {
	struct mf_endpoint from;
	size_t len;
};

static mf_err open_dgram(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	(void)o;
	(void)to;
	d->impl = calloc(1, sizeof(struct answer));
	if (!d->impl)
		abort();
	return MF_OK;
}

static void send_dgram(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pkts[i]->drop = MF_DROP_NONE;
		*(struct answer *)d->impl = (struct answer){ pkts[i]->remote, pkts[i]->len };
	}
	mf_dgram_notify(d, MF_STREAM_READABLE);
}

static size_t recv_dgram(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct answer *a = d->impl;
	struct mf_pkt *p;

	if (!a->len || !max)
		return 0;
	p = a->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);
	if (!p)
		return 0;
	p->len = (uint32_t)a->len;
	memset(p->data, 0, p->len);
	p->remote = a->from;
	a->len = 0;
	out[0] = p;
	return 1;
}

static bool dgram_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	(void)d;
	(void)e;
	return false;
}

static void close_dgram(struct mf_dgram *d)
{
	free(d->impl);
	d->impl = NULL;
}

static const struct mf_outbound_ops far_ops = {
	.name = "far",
	.stream_open = open_stream,
	.stream_write = write_stream,
	.stream_read = read_stream,
	.stream_shutdown = shutdown_stream,
	.stream_close = close_stream,
	.stream_info = stream_info,
	.dgram_open = open_dgram,
	.dgram_send = send_dgram,
	.dgram_recv = recv_dgram,
	.dgram_error = dgram_error,
	.dgram_close = close_dgram,
};
static struct mf_outbound far = { .ops = &far_ops };

/* ---- The engines ----------------------------------------------------------------------------------- */

static void open_once(void)
{
	static bool done;
	uint8_t pkt[64];

	if (done)
		return;
	done = true;
	testnet_open(&net,
		     &(struct testnet_options){
			     .seed = 1,
			     .routes = "    - { cidr: 0.0.0.0/0, to: wg0 }\n"
				       "    - { cidr: \"::/0\", to: wg0 }\n"
				       "    - { cidr: 203.0.0.0/8, to: direct }\n"
				       "    - { cidr: \"2001::/16\", to: direct }\n"
				       "    - { cidr: 198.51.0.0/16, to: vless }\n"
				       "    - { cidr: 198.18.0.0/15, to: ss }\n",
			     .interfaces = "  - { name: vless, type: vless, cleartext: true, "
					   "server: \"203.0.113.7:80\", "
					   "uuid: b831381d-6324-4d53-ad4f-8cda48b30811 }\n"
					   "  - { name: ss, type: shadowsocks, password: x, "
					   "server: \"203.0.113.8:8388\", method: aes-128-gcm }\n",
		     });
	mf_worker_set_direct(mf_engine_worker(net.side[0].engine, 0), &far);
	testnet_app_send(&net.side[0], pkt, testnet_udp4(pkt, "10.9.0.1", "10.9.0.2", 1, 2, NULL, 0),
			 0, 0, false, 0, 0);
	testnet_settle(&net);
}

static struct mf_pkt *packet(struct mf_worker *w, const uint8_t *data, size_t size)
{
	struct mf_pkt *p = size <= MF_PKT_SMALL_MAX ? mf_pkt_small(w->pool) : mf_pkt_large(w->pool);

	if (!p || size > MF_PKT_LARGE_MAX - 1)
		abort();
	memcpy(p->data, data, size);
	p->len = (uint32_t)size;
	return p;
}

static void from_app(struct mf_worker *w, const uint8_t *data, size_t size, const char *node)
{
	struct mf_pkt *p;

	if (size < 8)
		return;
	p = packet(w, data + 8, size - 8);
	p->gso_type = data[0] % 4;
	p->gso_size = p->gso_type ? mf_load_le16(data + 1) : 0;
	p->csum_start = mf_load_le16(data + 3);
	p->csum_offset = data[5];
	if (data[6] & 1)
		p->flags |= MF_PKT_NEEDS_CSUM;
	/* A port counts segments, and ip-input counts them again. */
	if (p->gso_type && (mf_ip_input(p) || mf_vnet_check(p)))
		p->segments = data[7] + 1u;
	p->l4_off = 0;
	mf_count(&w->graph.ledger.created, mf_pkt_wire_count(p));
	mf_graph_put(&w->graph, mf_graph_find(&w->graph, node), p);
}

static void from_network(struct mf_worker *w, const uint8_t *data, size_t size, bool batch)
{
	struct mf_pkt *p;

	if (!size)
		return;
	p = packet(w, data, size);
	if (batch && size > 64) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = (uint16_t)(1 + data[0] % 64 + size / 64);
		p->segments = (uint32_t)((size + p->gso_size - 1) / p->gso_size);
	}
	p->remote = (struct mf_endpoint){ .addr = net.side[0].address, .port = net.side[0].port };
	mf_count(&w->graph.ledger.received_udp, mf_pkt_wire_count(p));
	mf_graph_put(&w->graph, w->wg_input, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_worker *a, *b;
	struct testnet_item *i;

	open_once();
	a = mf_engine_worker(net.side[0].engine, 0);
	b = mf_engine_worker(net.side[1].engine, 0);
	if (size < 1 || size > 60000)
		return 0;
	mf_worker_pass(a, net.now);
	mf_worker_pass(b, net.now);
	switch (data[0] % 4) {
	case 0:
		from_app(a, data + 1, size - 1, "ip-input");
		break;
	case 1:
	case 2:
		from_network(b, data + 1, size - 1, data[0] % 4 == 2);
		break;
	default:
		/* Sealed as it is: the route says where it goes, nobody looks at it before. */
		if (size > 2 && size < 1400) {
			struct mf_pkt *p = packet(a, data + 1, size - 1);

			p->ip_version = 4;
			if (p->len < 20)
				p->len = 20;
			p->next_hop = MF_HOP_ID_FIRST_INTERFACE;
			mf_count(&a->graph.ledger.created, 1);
			mf_graph_put(&a->graph, a->wg_output, p);
		}
	}
	testnet_settle(&net);
	if (data[0] >> 4)
		testnet_advance(&net, (mf_nsec)(data[0] >> 4) * 100 * MF_MSEC);
	for (int s = 0; s < TESTNET_SIDES; s++) {
		while ((i = testnet_app_recv(&net.side[s])) != NULL)
			free(i);
		if (!testnet_balanced(&net.side[s]))
			abort();
	}
	return 0;
}
