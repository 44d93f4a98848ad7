/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole engines with a live session: any packet from an app, any datagram from the network, any
 * plaintext from an authenticated peer. Nothing may crash, leak or stall, and the books must balance.
 *
 * byte 0: what (0 app, 1 datagram, 2 datagram batch, 3 plaintext of the peer); app packets continue with
 * 8 bytes of offload metadata.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/testnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct testnet net;

static void open_once(void)
{
	static bool done;
	uint8_t pkt[64];

	if (done)
		return;
	done = true;
	testnet_open(&net, &(struct testnet_options){ .seed = 1 });
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
	/* What the platform does before a packet gets here. */
	p->segments = p->gso_type ? data[7] + 1u : 1;
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
	for (int s = 0; s < TESTNET_SIDES; s++) {
		while ((i = testnet_app_recv(&net.side[s])) != NULL)
			free(i);
		if (!testnet_balanced(&net.side[s]))
			abort();
	}
	return 0;
}
