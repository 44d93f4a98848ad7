/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reload.h"

#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/ports.h"
#include "daemon/sockets.h"
#include "daemon/system_dns.h"
#include "daemon/workers.h"
#include "platform/notify.h"

static bool same_offload(const struct mf_config_offload *a, const struct mf_config_offload *b)
{
	return a->checksum == b->checksum && a->tso == b->tso && a->uso == b->uso &&
	       a->gso == b->gso && a->gro == b->gro && a->coalesce == b->coalesce;
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
	err = mf_network_change(d, old, &eb);
	if (err)
		mf_text_printf(report, "the new profile is in force, but: %s\n", eb.text);
	mf_system_dns_follow(d->system_dns);
	mf_sockets_sync_uapi(d);
	mf_endpoint_names_forget(d->names);
	mf_config_free(old);
	return err;
}

static mf_err load_and_apply(struct mf_daemon *d, bool drop_sessions, mf_nsec now,
			     struct mf_apply_report *changes, struct mf_text *report)
{
	struct mf_config_errors errors = { 0 };
	struct mf_config *cfg = NULL;
	uint32_t old_mark = d->mark;
	struct mf_errbuf eb;
	mf_err err = mf_config_load(d->options.profile, &cfg, &errors);

	if (err) {
		mf_config_errors_print(&errors, report);
		mf_config_errors_free(&errors);
		return err;
	}
	if (needs_restart(d, cfg, report)) {
		mf_config_free(cfg);
		return MF_E_CONFLICT;
	}
	/* The sockets that the new profile opens need the new mark; the others get it afterwards. */
	d->mark = cfg->tunnel.auto_route ? (uint32_t)MF_ROUTE_MARK : 0;
	mf_engine_drop_sessions(d->engine, drop_sessions);
	err = mf_engine_apply(d->engine, cfg, now, changes, &eb);
	if (err) {
		mf_text_printf(report, "%s\n", eb.text);
		d->mark = old_mark;
		mf_config_free(cfg);
		return err;
	}
	if (d->mark != old_mark)
		mf_ports_new_mark(d);
	describe(changes, report);
	return follow(d, cfg, report);
}

mf_err mf_reload(struct mf_daemon *d, bool drop_sessions, mf_nsec now,
		 struct mf_apply_report *changes, struct mf_text *report)
{
	mf_err err;

	(void)mf_notify_reloading();
	err = load_and_apply(d, drop_sessions, now, changes, report);
	if (err)
		mf_logf(&d->log, MF_LOG_ERROR,
			"reload: the profile is not in force as it is written:");
	else
		mf_logf(&d->log, MF_LOG_INFO, "reloaded %s", d->options.profile);
	mf_log_lines(&d->log, err ? MF_LOG_ERROR : MF_LOG_INFO, report->s);
	(void)mf_notify_ready(err ? "running; the last reload was refused" : "running");
	return err;
}
