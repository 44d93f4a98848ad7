/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/host.h"

#include <stdio.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "daemon/direct.h"
#include "daemon/dns.h"
#include "daemon/names.h"
#include "daemon/ports.h"
#include "daemon/prober.h"
#include "daemon/reload.h"
#include "daemon/workers.h"
#include "platform/clock.h"
#include "platform/egress.h"
#include "platform/random.h"
#include "platform/route.h"

static struct mf_wg_wall wall_clock(void *ctx)
{
	struct mf_wall now = mf_clock_wall();

	(void)ctx;
	return (struct mf_wg_wall){ .sec = (uint64_t)now.sec, .nsec = now.nsec };
}

static void wake_control(void *ctx)
{
	struct mf_daemon *d = ctx;

	mf_poller_wake(d->poller);
}

/* A call on a worker takes some microseconds once it is awake. */
static bool wait_worker(void *ctx, unsigned index)
{
	struct mf_daemon *d = ctx;

	if (!d->workers_run)
		return false;
	mf_workers_wake(d, index);
	mf_clock_sleep(50 * MF_USEC);
	return true;
}

struct mf_engine_host mf_host_engine(struct mf_daemon *d)
{
	return (struct mf_engine_host){
		.ctx = d,
		.log = d->log,
		.rng = mf_random(),
		.wall_clock = wall_clock,
		.udp_open = mf_ports_udp_open,
		.udp_close = mf_ports_udp_close,
		.udp_set_mark = mf_ports_udp_set_mark,
		.resolve = mf_endpoint_names_resolve,
		.wake_control = wake_control,
		.wake_worker = mf_workers_wake,
		.wait_worker = wait_worker,
	};
}

/* The second number of /proc/self/statm: resident pages (proc(5)). */
static uint64_t rss(void)
{
	unsigned long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void facts(void *ctx, struct mf_control_facts *out)
{
	static char features[80]; /* read by the caller during the call only */
	struct mf_daemon *d = ctx;

	out->name = d->config->tunnel.name;
	out->profile = d->options.profile;
	out->pid = (uint64_t)getpid();
	out->started = d->started;
	out->rss = rss();
	out->memory_limit = d->config->limits.memory;
	out->tun = mf_tun_name(d->tun);
	out->tun_mtu = d->mtu;
	out->tun_queues = mf_tun_queue_count(d->tun);
	out->tun_features = mf_tun_features_format(mf_tun_features(d->tun), features);
	out->aead = mf_aead_backend(mf_engine_worker(d->engine, 0)->aead);
	out->auto_route = d->route != NULL;
}

static mf_err reload(void *ctx, bool drop_sessions, mf_nsec now, struct mf_apply_report *changes,
		     struct mf_text *report)
{
	(void)now;
	return mf_reload(ctx, drop_sessions, changes, report);
}

static void stop(void *ctx)
{
	struct mf_daemon *d = ctx;

	mf_logf(&d->log, MF_LOG_INFO, "stopping, as asked by `mintflow stop`");
	mf_daemon_stop(d, 0);
}

static void log_lines(void *ctx, uint32_t max, mf_control_log_fn *line, void *to)
{
	struct mf_daemon *d = ctx;

	mf_logger_read(d->logger, max, line, to);
}

static void device_for(void *ctx, const struct mf_addr *dst, char name[MF_CONTROL_DEVICE_STRLEN])
{
	struct mf_route_path path;

	(void)ctx;
	name[0] = '\0';
	if (mf_route_lookup(dst, 0, &path) == MF_OK)
		snprintf(name, MF_CONTROL_DEVICE_STRLEN, "%s", path.ifname);
}

static void direct(void *ctx, struct mf_control_direct *out)
{
	struct mf_daemon *d = ctx;
	struct mf_egress_now now = { 0 };

	if (d->egress)
		mf_egress_now(d->egress, &now);
	snprintf(out->device4, sizeof(out->device4), "%s", now.ip4);
	snprintf(out->device6, sizeof(out->device6), "%s", now.ip6);
}

/* Asks as a worker does before it connects. */
static enum mf_stream_error direct_for(void *ctx, const struct mf_addr *dst,
				       char name[MF_CONTROL_DEVICE_STRLEN])
{
	struct mf_daemon *d = ctx;
	struct mf_egress_view *view = d->egress ? mf_egress_view_new(d->egress) : NULL;
	enum mf_stream_error why;
	uint32_t ifindex;

	if (!view)
		return MF_STREAM_E_NO_RESOURCES;
	why = mf_egress_find(view, dst, &ifindex);
	if (!why)
		snprintf(name, MF_CONTROL_DEVICE_STRLEN, "%s", mf_egress_name(view, ifindex));
	mf_egress_view_free(view);
	return why;
}

static mf_err probe(void *ctx, uint32_t hop, const char *url, struct mf_errbuf *eb)
{
	struct mf_daemon *d = ctx;

	return mf_prober_begin(d->prober, hop, url, eb);
}

static void probe_end(void *ctx)
{
	struct mf_daemon *d = ctx;

	mf_prober_end(d->prober);
}

/* Of the device and the sockets, of tunnels and of `direct`. */
static void counters(void *ctx, mf_control_counter_fn *add, void *to)
{
	mf_ports_counters(ctx, add, to);
	mf_direct_counters(ctx, add, to);
	mf_dns_sockets_counters(ctx, add, to);
}

struct mf_control_host mf_host_control(struct mf_daemon *d)
{
	return (struct mf_control_host){
		.ctx = d,
		.wall_clock = wall_clock,
		.facts = facts,
		.reload = reload,
		.stop = stop,
		.log = log_lines,
		.counters = counters,
		.device_for = device_for,
		.direct = direct,
		.direct_for = direct_for,
		.probe = probe,
		.probe_end = probe_end,
	};
}
