/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/dns.h"

#include <stdlib.h>

#include "nodes/host_port.h"

/* ---- What the resolver needs ----------------------------------------------------------------- */

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	struct mf_dns *d = ctx;

	return mf_host_port_outbound(d->worker, hop);
}

static uint32_t route(void *ctx, const struct mf_addr *a, bool *full)
{
	struct mf_dns *d = ctx;

	return mf_snapshot_match(d->worker->snap, a, full);
}

static void answer(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n)
{
	struct mf_dns *d = ctx;

	switch ((enum mf_dns_tag)c->tag) {
	case MF_DNS_TAG_TUNNEL:
		mf_dns_input_answer(d, c, msg, n);
		break;
	case MF_DNS_TAG_STREAM:
		mf_dns_stream_answer(d, c, msg, n);
		break;
	case MF_DNS_TAG_SOCKET:
		if (d->sockets.answer)
			d->sockets.answer(d->sockets.ctx, c, msg, n);
		break;
	}
}

static void wake(void *ctx)
{
	struct mf_dns *d = ctx;

	d->due = true;
}

static const char *hop_name(void *ctx, uint32_t hop)
{
	struct mf_dns *d = ctx;
	const struct mf_snapshot *snap = d->worker->snap;

	return hop < snap->n_hops && snap->hop[hop].name[0] ? snap->hop[hop].name : "nobody";
}

/* ---- A life ---------------------------------------------------------------------------------- */

mf_err mf_dns_open(struct mf_dns **out, struct mf_worker *w, struct mf_learned *learned,
		   uint64_t cache_bytes, struct mf_tls_context *tls, const struct mf_rng *rng,
		   const struct mf_log *log, mf_nsec now)
{
	struct mf_dns *d = calloc(1, sizeof(*d));
	struct mf_resolver_port port = {
		.ctx = d,
		.outbound = outbound,
		.route = route,
		.answer = answer,
		.wake = wake,
		.hop_name = hop_name,
		.log = *log,
	};

	if (!d)
		return MF_E_NO_MEMORY;
	d->worker = w;
	d->next = MF_NEVER;
	d->log = *log;
	mf_dns_stream_init(d);
	d->resolver = mf_resolver_new(&port, w->pool, learned, cache_bytes, tls, rng, now);
	if (!d->resolver) {
		free(d);
		return MF_E_NO_MEMORY;
	}
	*out = d;
	return MF_OK;
}

void mf_dns_close(struct mf_dns *d)
{
	if (!d)
		return;
	mf_resolver_free(d->resolver);
	mf_dns_stream_fini(d);
	free(d);
}

void mf_dns_configure(struct mf_dns *d, mf_nsec now)
{
	const struct mf_snapshot *snap = d->worker->snap;

	/* A snapshot may be new for other reasons: an MTU, a port. */
	if (snap->dns != d->config) {
		mf_err err = mf_resolver_configure(d->resolver, snap->dns, now);

		if (err)
			mf_logf(&d->log, MF_LOG_ERROR, "dns: not all servers can be asked: %s",
				mf_err_text(err));
		d->config = snap->dns;
		d->due = true;
	}
	__atomic_store_n(&d->adopted, snap->generation, __ATOMIC_RELEASE);
}

uint32_t mf_dns_run(struct mf_dns *d, mf_nsec now)
{
	bool due = d->due;
	uint32_t asked;

	/* What happens from here on wants another run. */
	d->due = false;
	asked = d->sockets.poll ? d->sockets.poll(d->sockets.ctx, d->resolver, now) : 0;
	if (!asked && !due && now < d->next)
		return 0;
	d->next = mf_resolver_run(d->resolver, now);
	return asked + 1;
}
