/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reload.h"

#include "daemon/copies.h"
#include "daemon/dns.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/ports.h"
#include "daemon/sets.h"
#include "daemon/sockets.h"
#include "daemon/subscribe.h"
#include "daemon/system_dns.h"
#include "daemon/workers.h"
#include "platform/clock.h"
#include "platform/notify.h"

static bool same_offload(const struct mf_config_offload *a, const struct mf_config_offload *b)
{
	return a->checksum == b->checksum && a->tso == b->tso && a->uso == b->uso &&
	       a->gso == b->gso && a->gro == b->gro && a->coalesce == b->coalesce;
}

static bool same_listen(const struct mf_config_dns *a, const struct mf_config_dns *b)
{
	uint32_t i = 0, k = 0;

	/* Of those inside the tunnel there are no sockets. */
	for (;; i++, k++) {
		while (i < a->n_listen && a->listen[i].in_tunnel)
			i++;
		while (k < b->n_listen && b->listen[k].in_tunnel)
			k++;
		if (i == a->n_listen || k == b->n_listen)
			return i == a->n_listen && k == b->n_listen;
		if (!mf_endpoint_equal(&a->listen[i].at, &b->listen[k].at))
			return false;
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* Sockets, memory and certificates of the DNS server are there from the start. */
static void dns_needs_restart(const struct mf_daemon *d, const struct mf_config *cfg,
			      struct mf_text *report)
{
	const struct mf_config_dns *old = &d->config->dns, *dns = &cfg->dns;

	if (!same_listen(old, dns))
		mf_text_printf(report, "dns.listen: a change needs a restart\n");
	if (mf_dns_is_encrypted(dns) && !d->tls)
		mf_text_printf(report,
			       "dns: the first tls:// or https:// server needs a restart\n");
	else if (d->tls && !same_text(old->ca_path, dns->ca_path))
		mf_text_printf(report, "dns.ca_file: a change needs a restart\n");
	if (!old->enabled || !dns->enabled)
		return;
	if (old->cache_bytes != dns->cache_bytes)
		mf_text_printf(report, "dns.cache_size: a change needs a restart\n");
	if (d->config->app_routing.max_learned != cfg->app_routing.max_learned)
		mf_text_printf(report, "app_routing.max_learned: from %u to %u needs a restart\n",
			       d->config->app_routing.max_learned, cfg->app_routing.max_learned);
}

static bool needs_restart(const struct mf_daemon *d, const struct mf_config *cfg,
			  struct mf_text *report)
{
	const struct mf_config *old = d->config;
	size_t before = report->len;

	if (strcmp(old->tunnel.name, cfg->tunnel.name) != 0)
		mf_text_printf(report, "tunnel.name: from %s to %s needs a restart\n",
			       old->tunnel.name, cfg->tunnel.name);
	if (!same_offload(&old->tunnel.offload, &cfg->tunnel.offload))
		mf_text_printf(report, "tunnel.offload: a change needs a restart\n");
	if (old->limits.workers != cfg->limits.workers && mf_workers_wanted(d, cfg) != d->n_workers)
		mf_text_printf(report, "limits.workers: from %u to %u needs a restart\n",
			       d->n_workers, mf_workers_wanted(d, cfg));
	if (old->limits.memory != cfg->limits.memory)
		mf_text_printf(report, "limits.memory: a change needs a restart\n");
	if (old->sessions.max != cfg->sessions.max)
		mf_text_printf(report, "sessions.max: from %u to %u needs a restart\n",
			       old->sessions.max, cfg->sessions.max);
	dns_needs_restart(d, cfg, report);
	return report->len != before;
}

static void describe(const struct mf_apply_report *r, struct mf_text *report)
{
	mf_text_printf(report, "interfaces: %u added, %u kept, %u removed\n", r->interfaces_added,
		       r->interfaces_changed, r->interfaces_removed);
	mf_text_printf(report, "peers: %u added, %u kept, %u removed\n", r->peers_added,
		       r->peers_changed, r->peers_removed);
	mf_text_printf(report, "routes: %u\n", r->routes);
	mf_text_printf(report, "sessions: %u kept, %u stay though their route has moved, %u closed\n",
		       r->sessions_kept, r->sessions_moved, r->sessions_closed);
}

/* The engine runs on `cfg`; now everything around it. */
static mf_err follow(struct mf_daemon *d, struct mf_config *cfg, struct mf_text *report)
{
	struct mf_config *old = d->config;
	struct mf_errbuf eb;
	mf_err err;

	d->config = cfg;
	mf_sets_settle(d->sets, true);
	err = mf_network_change(d, old, &eb);
	if (err)
		mf_text_printf(report, "the new profile is in force, but: %s\n", eb.text);
	mf_system_dns_follow(d->system_dns);
	mf_sockets_sync_uapi(d);
	mf_endpoint_names_forget(d->names);
	mf_subscriptions_follow(d->subscriptions);
	mf_config_free(old);
	return err;
}

static const char *copy_of(void *ctx, const char *tunnel, const char *url,
			   char out[MF_CONFIG_COPY_MAX])
{
	(void)ctx;
	return mf_copy_path(tunnel, url, out);
}

mf_err mf_load_profile(const struct mf_daemon *d, struct mf_config **out,
		       struct mf_config_errors *errs)
{
	return mf_config_load_copies(d->options.profile, copy_of, NULL, out, errs);
}

/* The sets are read; nothing has changed yet. */
static mf_err apply(struct mf_daemon *d, struct mf_config *cfg, struct mf_apply_report *changes,
		    struct mf_text *report)
{
	uint32_t old_mark = d->mark;
	struct mf_errbuf eb;
	mf_err err = mf_sets_stage(d->sets);

	/* The sockets that the new profile opens need the new mark; the others get it
	 * afterwards. */
	d->mark = cfg->tunnel.auto_route ? (uint32_t)MF_ROUTE_MARK : 0;
	mf_engine_drop_sessions(d->engine, d->reload.drop_sessions);
	if (err)
		(void)mf_fail(&eb, err, "domain sets: %s", mf_err_text(err));
	else
		err = mf_engine_apply(d->engine, cfg, mf_clock_now(), changes, &eb);
	if (err) {
		mf_text_printf(report, "%s\n", eb.text);
		d->mark = old_mark;
		mf_sets_settle(d->sets, false);
		mf_config_free(cfg);
		return err;
	}
	if (d->mark != old_mark)
		mf_ports_new_mark(d);
	describe(changes, report);
	return follow(d, cfg, report);
}

/* The reload has come to its end: tells the log and whoever waits. */
static void finish(struct mf_daemon *d, mf_err err)
{
	struct mf_reload *r = &d->reload;

	if (err)
		mf_logf(&d->log, MF_LOG_ERROR,
			"reload: the profile is not in force as it is written:");
	else
		mf_logf(&d->log, MF_LOG_INFO, "reloaded %s", d->options.profile);
	mf_log_lines(&d->log, err ? MF_LOG_ERROR : MF_LOG_INFO, r->report.s);
	(void)mf_notify_ready(err ? "running; the last reload was refused" : "running");
	r->running = false;
	r->err = err;
	/* Who has asked meanwhile wants to know about the next one. */
	if (!r->again && d->control)
		mf_control_reloaded(d->control, err, &r->changes, r->report.s);
}

static void sets_are_read(struct mf_daemon *d, mf_err err, const char *said)
{
	struct mf_reload *r = &d->reload;
	struct mf_config *cfg = r->cfg;

	r->cfg = NULL;
	if (err) {
		mf_text_add(&r->report, said, strlen(said));
		mf_config_free(cfg);
	} else {
		err = apply(d, cfg, &r->changes, &r->report);
	}
	finish(d, err);
}

static void begin(struct mf_daemon *d, bool drop_sessions)
{
	struct mf_reload *r = &d->reload;
	struct mf_config_errors errors = { 0 };
	struct mf_config *cfg = NULL;
	mf_err err;

	mf_text_free(&r->report);
	r->report = (struct mf_text){ 0 };
	r->changes = (struct mf_apply_report){ 0 };
	r->running = true;
	r->drop_sessions = drop_sessions;
	(void)mf_notify_reloading();
	err = mf_load_profile(d, &cfg, &errors);
	if (err) {
		mf_config_errors_print(&errors, &r->report);
		mf_config_errors_free(&errors);
	} else if (needs_restart(d, cfg, &r->report)) {
		mf_config_free(cfg);
		err = MF_E_CONFLICT;
	}
	if (err) {
		finish(d, err);
		return;
	}
	r->cfg = cfg;
	mf_sets_prepare(d->sets, cfg, sets_are_read);
}

mf_err mf_reload(struct mf_daemon *d, bool drop_sessions, struct mf_apply_report *changes,
		 struct mf_text *report)
{
	struct mf_reload *r = &d->reload;

	if (d->stopping) {
		/* The last answers are on their way, and routes that are gone must not come back. */
		mf_text_printf(report, "mintflow is stopping\n");
		return MF_E_GONE;
	}
	if (r->running || !d->control) {
		/* What is loaded now may not be what is meant. */
		r->again = true;
		r->again_drop |= drop_sessions;
		return MF_E_AGAIN;
	}
	begin(d, drop_sessions);
	if (r->running)
		return MF_E_AGAIN;
	*changes = r->changes;
	mf_text_add(report, r->report.s ? r->report.s : "", r->report.len);
	return r->err;
}

void mf_reload_soon(struct mf_daemon *d, const char *why)
{
	mf_logf(&d->log, MF_LOG_INFO, "%s: the profile is loaded again", why);
	d->reload.again = true;
	mf_poller_wake(d->poller);
}

void mf_reload_tick(struct mf_daemon *d)
{
	struct mf_reload *r = &d->reload;
	bool drop = r->again_drop;

	if (!r->again || r->running)
		return;
	r->again = r->again_drop = false;
	begin(d, drop);
}

void mf_reload_end(struct mf_daemon *d)
{
	mf_config_free(d->reload.cfg);
	mf_text_free(&d->reload.report);
}
