/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/direct.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/count.h"
#include "daemon/direct_priv.h"

/* Descriptors that are not sessions': TUN queues, sockets of interfaces, control connections. */
enum { OTHER_DESCRIPTORS = 256 };

/* ---- One worker's ------------------------------------------------------------------------------ */

struct mf_direct *mf_direct_new(struct mf_worker_thread *t, uint32_t max, struct mf_errbuf *eb)
{
	const struct mf_config_offload *off = &t->daemon->config->tunnel.offload;
	struct mf_direct *x = calloc(1, sizeof(*x));

	if (!x) {
		(void)mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
		return NULL;
	}
	x->out = (struct mf_outbound){ .ops = &mf_direct_ops, .ctx = x };
	x->thread = t;
	x->n_total = max;
	x->egress = mf_egress_view_new(t->daemon->egress);
	x->io = mf_dgram_io_new((off->gso ? MF_UDP_GSO : 0u) | (off->gro ? MF_UDP_GRO : 0u));
	/* Untouched until used: large allocations are pages of zeros. */
	x->sockets = calloc(max ? max : 1, sizeof(*x->sockets));
	if (x->egress && x->io && x->sockets)
		return x;
	(void)mf_fail(eb, MF_E_NO_MEMORY, "not enough memory for %u sessions", max);
	mf_direct_free(x);
	return NULL;
}

void mf_direct_free(struct mf_direct *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->n_made; i++)
		if (x->sockets[i].in.fd >= 0)
			mf_socket_close(x->sockets[i].in.fd, true);
	mf_egress_view_free(x->egress);
	if (x->io)
		mf_dgram_io_flush(x->io);
	mf_dgram_io_free(x->io);
	free(x->sockets);
	free(x);
}

struct direct_socket *mf_direct_take(struct mf_direct *x)
{
	struct direct_socket *k = x->free;

	if (k)
		x->free = k->next;
	else if (x->n_made < x->n_total)
		k = &x->sockets[x->n_made++];
	else
		return NULL;
	*k = (struct direct_socket){ .in.fd = -1 };
	mf_count(&x->count.sockets, 1);
	return k;
}

void mf_direct_give(struct mf_direct *x, struct direct_socket *k)
{
	k->in.fd = -1;
	k->next = x->free;
	x->free = k;
	mf_uncount(&x->count.sockets, 1);
}

/* Connections whose device or own address is no more cannot be answered. */
static void end_lost(struct mf_direct *x)
{
	for (uint32_t i = 0; i < x->n_made; i++) {
		struct direct_socket *k = &x->sockets[i];
		struct mf_addr local;

		if (k->in.fd < 0 || !k->stream)
			continue;
		local = mf_socket_local(k->in.fd);
		if (!local.family || mf_egress_has(x->egress, k->ifindex, &local))
			continue;
		mf_count(&x->count.tcp_lost, 1);
		mf_stream_fail(k->stream, MF_STREAM_E_NET_UNREACHABLE);
	}
}

void mf_direct_look(struct mf_direct *x)
{
	uint32_t news = x ? mf_egress_news(x->egress) : 0;

	if (MF_LIKELY(!news))
		return;
	mf_dgram_io_retry_offloads(x->io);
	if (news & MF_EGRESS_LOST)
		end_lost(x);
}

/* ---- All of them ------------------------------------------------------------------------------- */

/* How many sockets a worker may have open. Where the system allows fewer descriptors than there may be sessions,
 * the last ones are not for sessions: without them nobody could even ask us what is going on. */
static uint32_t share_of_limit(struct mf_daemon *d, uint32_t max)
{
	uint64_t limit = mf_socket_raise_limit();
	uint64_t others = mf_min(limit / 4, OTHER_DESCRIPTORS);

	if (!limit || limit >= (uint64_t)max + OTHER_DESCRIPTORS)
		return max;
	mf_logf(&d->log, MF_LOG_WARN,
		"sessions.max: %u sessions need as many file descriptors, and this process "
		"may have %llu: raise its limit (LimitNOFILE= of the service, ulimit -Hn)",
		max, (unsigned long long)limit);
	return (uint32_t)(limit - others) / d->n_workers;
}

static void allow_echo(struct mf_daemon *d)
{
	if (mf_dgram_allow_echo())
		mf_logf(&d->log, MF_LOG_INFO,
			"direct: the sysctl net.ipv4.ping_group_range let nobody ping; it lets our "
			"group (%u) now",
			(unsigned)getegid());
}

static void tell_device(struct mf_daemon *d)
{
	const char *fixed = d->config->direct.device;
	struct mf_egress_now now;

	mf_egress_now(d->egress, &now);
	if (fixed && !*now.ip4 && !*now.ip6) {
		mf_logf(&d->log, MF_LOG_WARN,
			"direct: %s is not there, is down or leads nowhere; what goes direct is "
			"refused until that changes",
			fixed);
		return;
	}
	mf_logf(&d->log, MF_LOG_INFO, "direct: IPv4 through %s, IPv6 through %s",
		*now.ip4 ? now.ip4 : "no device", *now.ip6 ? now.ip6 : "no device");
}

mf_err mf_direct_open(struct mf_daemon *d, uint32_t max, struct mf_errbuf *eb)
{
	max = share_of_limit(d, max);
	allow_echo(d);
	/* The mark also with routes of the user's own, whose rules may know it. */
	d->egress =
		mf_egress_new(d->config->direct.device, MF_ROUTE_MARK, mf_tun_ifindex(d->tun), eb);
	if (!d->egress)
		return MF_E_SYSTEM;
	for (unsigned i = 0; i < d->n_workers; i++) {
		d->workers[i].direct = mf_direct_new(&d->workers[i], max, eb);
		if (!d->workers[i].direct)
			return MF_E_NO_MEMORY;
	}
	tell_device(d);
	return MF_OK;
}

struct mf_outbound *mf_direct_outbound(struct mf_daemon *d, unsigned worker)
{
	return &d->workers[worker].direct->out;
}

/* Idle workers are to take notice now. */
static void wake_workers(struct mf_daemon *d)
{
	for (unsigned i = 0; i < d->n_workers; i++)
		mf_workers_wake(d, i);
}

void mf_direct_configure(struct mf_daemon *d)
{
	if (!d->egress)
		return;
	mf_egress_set_device(d->egress, d->config->direct.device);
	mf_direct_network_changed(d, MF_NETMON_LINK);
}

void mf_direct_network_changed(struct mf_daemon *d, uint32_t kinds)
{
	static const uint32_t look = MF_NETMON_DEFAULT_ROUTE | MF_NETMON_ADDRESS | MF_NETMON_LINK |
				     MF_NETMON_OVERRUN;

	if (!d->egress)
		return;
	if (kinds & look) {
		if (mf_egress_look(d->egress))
			tell_device(d);
		wake_workers(d);
	} else if (kinds & MF_NETMON_ROUTES) {
		mf_egress_routes_changed(d->egress);
	}
}

void mf_direct_release(struct mf_daemon *d)
{
	for (unsigned i = 0; d->workers && i < d->n_workers; i++)
		if (d->workers[i].direct)
			mf_dgram_io_flush(d->workers[i].direct->io);
}

void mf_direct_close(struct mf_daemon *d)
{
	for (unsigned i = 0; d->workers && i < d->n_workers; i++) {
		mf_direct_free(d->workers[i].direct);
		d->workers[i].direct = NULL;
	}
	mf_egress_free(d->egress);
	d->egress = NULL;
}

/* ---- Counters ---------------------------------------------------------------------------------- */

void mf_direct_counters(void *ctx, mf_control_counter_fn *add, void *to)
{
	struct mf_daemon *d = ctx;
	struct mf_direct_counters sum = { 0 };
	struct mf_udp_counters udp = { 0 };

	for (unsigned i = 0; i < d->n_workers; i++) {
		const struct mf_direct *x = d->workers[i].direct;

		if (!x)
			return;
		mf_counters_add(&sum, &x->count, sizeof(sum));
		sum.route_lookups += mf_egress_lookups(x->egress);
		mf_counters_add(&udp, mf_dgram_io_counters(x->io), sizeof(udp));
	}
#define X(name, text) add(to, "direct", #name, sum.name, text);
	MF_DIRECT_COUNTER_LIST(X)
#undef X
#define X(name, text) add(to, "direct udp", #name, udp.name, text);
	MF_UDP_COUNTER_LIST(X)
#undef X
}
