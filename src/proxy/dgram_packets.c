/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_packets - datagrams as packets to the server itself (Shadowsocks). A server that is given
 * by name is waited for; when somebody says that it cannot be reached, its next address is tried.
 */
#include "proxy/packets.h"

struct plain {
	struct mf_mapping m;
	struct mf_packets path;
	struct mf_waiting waiting; /* for the server's address */
};

static struct plain *plain_of(struct mf_mapping *m)
{
	return MF_CONTAINER_OF(m, struct plain, m);
}

static bool server(struct mf_mapping *m, struct mf_endpoint *out)
{
	return m->of->server(m->of->ctx, m->of->which, out);
}

static mf_err begin(struct mf_mapping *m)
{
	struct plain *p = plain_of(m);
	struct mf_dgrams *x = m->of;
	struct mf_endpoint at;
	enum mf_stream_error why = MF_STREAM_E_NONE;

	mf_packets_init(&p->path, m,
			x->proto->packets(mf_mapping_codec(m), x->config, &x->layers->env));
	if (server(m, &at))
		why = mf_packets_aim(&p->path, &at);
	if (!why)
		return MF_OK;
	mf_packets_fini(&p->path);
	m->above->error = (uint8_t)why;
	return why == MF_STREAM_E_UNSUPPORTED ? MF_E_UNSUPPORTED : MF_E_GONE;
}

/* Is there a way to the address that counts now? */
static bool ready(struct plain *p, const struct mf_endpoint *at)
{
	if (!p->path.open && !mf_mapping_may_try(&p->m))
		return false;
	return mf_packets_aim(&p->path, at) == MF_STREAM_E_NONE;
}

static void send(struct mf_mapping *m, struct mf_pkt **pkts, size_t n)
{
	struct plain *p = plain_of(m);
	struct mf_endpoint at;

	if (!server(m, &at)) {
		mf_waiting_put_all(&p->waiting, m, pkts, n);
		return;
	}
	if (!ready(p, &at)) {
		mf_waiting_drop(&p->waiting, m);
		mf_mapping_refuse(m, pkts, n, MF_DROP_OUTBOUND_DOWN);
		return;
	}
	mf_packets_send_waiting(&p->path, &p->waiting);
	mf_packets_send(&p->path, pkts, n);
}

/* Of many mappings that are told of one address only the first changes it. */
static void heed(struct mf_mapping *m)
{
	struct plain *p = plain_of(m);
	struct mf_endpoint at;

	if (mf_packets_heed(&p->path) && server(m, &at) && mf_endpoint_equal(&at, &p->path.relay))
		m->of->which++;
}

static size_t recv(struct mf_mapping *m, struct mf_pkt **out, size_t max)
{
	struct plain *p = plain_of(m);
	struct mf_endpoint at;

	if (p->waiting.n && server(m, &at)) {
		if (ready(p, &at))
			mf_packets_send_waiting(&p->path, &p->waiting);
		else
			mf_waiting_drop(&p->waiting, m);
	}
	return mf_packets_recv(&p->path, out, max);
}

static void resolved(struct mf_mapping *m, bool known)
{
	struct plain *p = plain_of(m);

	if (!known)
		mf_waiting_drop(&p->waiting, m);
	else if (p->waiting.n)
		mf_mapping_notify(m);
}

static void end(struct mf_mapping *m)
{
	struct plain *p = plain_of(m);

	mf_waiting_drop(&p->waiting, m);
	mf_packets_fini(&p->path);
}

const struct mf_mapping_kind mf_mapping_packets = {
	.size = sizeof(struct plain),
	.begin = begin,
	.send = send,
	.recv = recv,
	.heed = heed,
	.resolved = resolved,
	.end = end,
};
