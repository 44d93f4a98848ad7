/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ports.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/workers.h"
#include "platform/udp.h"

/* With more sockets than this on a worker none of them keeps packets to land in while it is idle: they
 * would be missing where there is traffic. */
enum { KEEP_WITH_INPUTS = 6 };

struct mf_tun_input {
	struct mf_input in; /* first */
	struct mf_tun_queue *queue;
};

struct udp_input {
	struct mf_input in; /* first */
	struct mf_udp *udp; /* NULL: no such family here */
	struct mf_udp_handle *handle;
	bool released;
};

struct mf_udp_handle {
	struct mf_udp_handle *next;
	uint32_t mark; /* as the engine wants it; 0: the daemon's */
	uint16_t port;
	bool closed;        /* by the engine */
	atomic_uint in_use; /* inputs that workers have not let go of */
	uint32_t n_inputs;  /* two for each worker: IPv4, IPv6 */
	struct udp_input input[];
};

/* ---- TUN --------------------------------------------------------------------------------------- */

static size_t tun_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
		       size_t budget)
{
	struct mf_tun_input *t = ctx;
	size_t n, bytes = 0;

	if (!t->in.hot)
		return 0;
	n = mf_tun_recv(t->queue, pool, out, max, budget);
	for (size_t i = 0; i < n; i++)
		bytes += out[i]->len;
	t->in.hot = n == max || bytes >= budget;
	return n;
}

static void tun_send(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	struct mf_tun_input *t = ctx;

	(void)mf_tun_send(t->queue, pool, pkts, n);
}

/* The device was deleted under us: the main thread ends the program. */
static void tun_broken(struct mf_input *in)
{
	struct mf_daemon *d = in->thread->daemon;

	mf_poller_remove(in->thread->poller, in->fd);
	atomic_store(&d->tun_gone, true);
	mf_poller_wake(d->poller);
}

mf_err mf_ports_add_tun(struct mf_daemon *d, struct mf_errbuf *eb)
{
	for (unsigned i = 0; i < d->n_workers; i++) {
		struct mf_tun_input *t = calloc(1, sizeof(*t));
		struct mf_tun_port port = { .ctx = t, .recv = tun_recv, .send = tun_send };

		if (!t)
			return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
		t->queue = mf_tun_queue(d->tun, i);
		t->in.broken = tun_broken;
		d->tun_inputs[i] = t;
		mf_worker_set_tun(mf_engine_worker(d->engine, i), &port);
		if (mf_input_add(&t->in, &d->workers[i], mf_tun_queue_fd(t->queue)))
			return mf_fail(eb, MF_E_SYSTEM, "tunnel %s: cannot watch its queue",
				       mf_tun_name(d->tun));
	}
	return MF_OK;
}

/* ---- UDP --------------------------------------------------------------------------------------- */

static size_t udp_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct udp_input *u = ctx;
	size_t n;

	if (!u->in.hot)
		return 0;
	n = mf_udp_recv(u->udp, pool, out, max);
	u->in.hot = n == max;
	if (!u->in.hot &&
	    atomic_load_explicit(&u->in.thread->n_inputs, memory_order_relaxed) > KEEP_WITH_INPUTS)
		mf_udp_flush(u->udp);
	return n;
}

static void udp_send(void *ctx, struct mf_pkt **pkts, size_t n)
{
	struct udp_input *u = ctx;

	(void)mf_udp_send(u->udp, pkts, n);
}

static void udp_release(void *ctx)
{
	struct udp_input *u = ctx;

	if (u->released)
		return;
	u->released = true;
	mf_input_remove(&u->in);
	mf_udp_flush(u->udp);
	atomic_fetch_sub_explicit(&u->handle->in_use, 1, memory_order_release);
}

static void free_handle(struct mf_udp_handle *h)
{
	for (uint32_t i = 0; i < h->n_inputs; i++)
		if (h->input[i].udp) {
			udp_release(&h->input[i]);
			mf_udp_close(h->input[i].udp);
		}
	free(h);
}

static mf_err add_input(struct mf_daemon *d, struct mf_udp_handle *h, uint32_t i,
			struct mf_udp *udp, struct mf_udp_port *port)
{
	struct udp_input *u = &h->input[i];

	if (!udp)
		return MF_OK;
	u->udp = udp;
	u->handle = h;
	atomic_fetch_add(&h->in_use, 1);
	*port = (struct mf_udp_port){ u, udp_recv, udp_send, udp_release };
	return mf_input_add(&u->in, &d->workers[i / 2], mf_udp_fd(udp));
}

mf_err mf_ports_udp_open(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
			 uint32_t n_workers, void **handle, struct mf_errbuf *eb)
{
	struct mf_daemon *d = ctx;
	const struct mf_config_offload *off = &d->config->tunnel.offload;
	struct mf_udp *v4[MF_WORKERS_MAX], *v6[MF_WORKERS_MAX];
	struct mf_udp_options o = {
		.port = *port,
		.mark = mark ? mark : d->mark,
		.features = (off->gso ? MF_UDP_GSO : 0u) | (off->gro ? MF_UDP_GRO : 0u),
	};
	struct mf_udp_handle *h = calloc(1, sizeof(*h) + 2 * n_workers * sizeof(h->input[0]));
	mf_err err;

	if (!h)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	h->n_inputs = 2 * n_workers;
	err = mf_udp_open_all(&o, n_workers, v4, v6, &h->port, eb);
	if (err) {
		free(h);
		return err;
	}
	h->mark = mark;
	for (uint32_t i = 0; i < n_workers; i++) {
		mf_err err4 = add_input(d, h, 2 * i, v4[i], &slots[i].port[0]);
		mf_err err6 = add_input(d, h, 2 * i + 1, v6[i], &slots[i].port[1]);

		err = err ? err : err4 ? err4 : err6;
	}
	if (err) {
		free_handle(h);
		return mf_fail(eb, err, "UDP port %u: cannot watch its sockets", *port);
	}
	h->next = d->udp;
	d->udp = h;
	*port = h->port;
	*handle = h;
	return MF_OK;
}

void mf_ports_udp_close(void *ctx, void *handle)
{
	struct mf_udp_handle *h = handle;

	h->closed = true;
	mf_ports_sweep(ctx);
}

void mf_ports_sweep(struct mf_daemon *d)
{
	for (struct mf_udp_handle **at = &d->udp; *at;) {
		struct mf_udp_handle *h = *at;

		if (h->closed && !atomic_load_explicit(&h->in_use, memory_order_acquire)) {
			*at = h->next;
			free_handle(h);
		} else {
			at = &h->next;
		}
	}
}

static void set_mark(struct mf_daemon *d, struct mf_udp_handle *h)
{
	for (uint32_t i = 0; i < h->n_inputs; i++)
		if (h->input[i].udp && mf_udp_set_mark(h->input[i].udp, h->mark ? h->mark : d->mark))
			mf_logf(&d->log, MF_LOG_WARN, "UDP port %u: cannot set its mark", h->port);
}

void mf_ports_udp_set_mark(void *ctx, void *handle, uint32_t mark)
{
	struct mf_udp_handle *h = handle;
	struct mf_daemon *d = ctx;

	h->mark = mark;
	set_mark(d, h);
	d->marks_changed = true;
}

void mf_ports_new_mark(struct mf_daemon *d)
{
	for (struct mf_udp_handle *h = d->udp; h; h = h->next)
		if (!h->mark)
			set_mark(d, h);
}

/* ---- End --------------------------------------------------------------------------------------- */

void mf_ports_release(struct mf_daemon *d)
{
	for (struct mf_udp_handle *h = d->udp; h; h = h->next)
		for (uint32_t i = 0; i < h->n_inputs; i++)
			if (h->input[i].udp)
				udp_release(&h->input[i]);
	for (unsigned i = 0; i < d->n_workers; i++)
		if (d->tun_inputs[i])
			mf_tun_queue_flush(d->tun_inputs[i]->queue);
}

void mf_ports_fini(struct mf_daemon *d)
{
	while (d->udp) {
		struct mf_udp_handle *h = d->udp;

		d->udp = h->next;
		free_handle(h);
	}
	for (unsigned i = 0; i < d->n_workers; i++)
		free(d->tun_inputs[i]);
}

/* ---- Counters ---------------------------------------------------------------------------------- */

/* Written by their workers meanwhile; 64-bit counters do not tear. */
static void count_tun(struct mf_daemon *d, mf_control_counter_fn *add, void *to)
{
	struct mf_tun_counters sum = { 0 };

	for (unsigned i = 0; i < d->n_workers; i++)
		mf_counters_add(&sum, mf_tun_queue_counters(mf_tun_queue(d->tun, i)), sizeof(sum));
#define X(name, text) add(to, mf_tun_name(d->tun), #name, sum.name, text);
	MF_TUN_COUNTER_LIST(X)
#undef X
}

static void count_udp(const struct mf_udp_handle *h, mf_control_counter_fn *add, void *to)
{
	struct mf_udp_counters sum = { 0 };
	char group[16];

	for (uint32_t i = 0; i < h->n_inputs; i++)
		if (h->input[i].udp)
			mf_counters_add(&sum, mf_udp_counters(h->input[i].udp), sizeof(sum));
	snprintf(group, sizeof(group), "udp %u", h->port);
#define X(name, text) add(to, group, #name, sum.name, text);
	MF_UDP_COUNTER_LIST(X)
#undef X
}

void mf_ports_counters(void *ctx, mf_control_counter_fn *add, void *to)
{
	struct mf_daemon *d = ctx;

	if (d->tun)
		count_tun(d, add, to);
	for (const struct mf_udp_handle *h = d->udp; h; h = h->next)
		if (!h->closed)
			count_udp(h, add, to);
}
