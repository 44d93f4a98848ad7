/* SPDX-License-Identifier: Apache-2.0
 *
 * run - from the command line to the main loop and back: options, the order of starting and of stopping.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/count.h"
#include "crypto/aead.h"
#include "crypto/openssl_memory.h"
#include "daemon/bridge.h"
#include "daemon/daemon.h"
#include "daemon/direct.h"
#include "daemon/dns.h"
#include "daemon/dns_file.h"
#include "daemon/host.h"
#include "daemon/lookup.h"
#include "daemon/names.h"
#include "daemon/network.h"
#include "daemon/ports.h"
#include "daemon/prober.h"
#include "daemon/reload.h"
#include "daemon/sets.h"
#include "daemon/sockets.h"
#include "daemon/subscribe.h"
#include "daemon/system_dns.h"
#include "daemon/workers.h"
#include "platform/clock.h"
#include "platform/notify.h"
#include "platform/sandbox.h"

#define NAMES_WAIT (5 * MF_SEC)
#define LISTS_WAIT (10 * MF_SEC)
/* After the machine's resolver was put back. */
#define LAST_QUESTIONS (100 * MF_MSEC)
#define LAST_ANSWERS   MF_SEC
#define WORKERS_TURN   (10 * MF_MSEC)

enum { EVENTS = 32, EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct mf_grave {
	struct mf_grave *next;
	void *obj;
};

/* ---- Options ----------------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: mintflow run -c PROFILE [--log-level error|warn|info|debug] [--log-json]\n"
	"                    [--workers N]\n";

static int usage(const char *why, const char *what)
{
	if (why)
		fprintf(stderr, "mintflow run: %s%s%s\n", why, what ? ": " : "", what ? what : "");
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

static bool parse_level(const char *text, enum mf_log_level *out)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*out = (enum mf_log_level)i;
			return true;
		}
	return false;
}

static bool parse_workers(const char *text, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (unsigned)n;
	return *text && !*end && n >= 1 && n <= MF_WORKERS_MAX;
}

static bool is_backend(const char *name)
{
	for (const char *const *b = mf_aead_backends(); *b; b++)
		if (strcmp(*b, name) == 0)
			return true;
	return false;
}

static int parse_options(int argc, char **argv, struct mf_daemon_options *o)
{
	enum { LOG_JSON = 256, LOG_LEVEL, WORKERS, AEAD };
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "log-json", no_argument, NULL, LOG_JSON },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "workers", required_argument, NULL, WORKERS },
		{ "aead", required_argument, NULL, AEAD }, /* for benchmarks */
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	o->level = MF_LOG_INFO;
	optind = 0; /* whoever called us may have used it */
	for (int c; (c = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1;) {
		if (c == 'c')
			o->profile = optarg;
		else if (c == LOG_JSON)
			o->json_log = true;
		else if (c == AEAD && is_backend(optarg))
			o->aead = optarg;
		else if (c == AEAD)
			return usage("--aead: no such back-end", optarg);
		else if (c == LOG_LEVEL && !parse_level(optarg, &o->level))
			return usage("--log-level: error, warn, info or debug, not", optarg);
		else if (c == WORKERS && !parse_workers(optarg, &o->workers))
			return usage("--workers: a number from 1 to 16, not", optarg);
		else if (c == 'h')
			return fputs(usage_text, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
		else if (c == '?')
			return usage(NULL, NULL);
	}
	if (optind < argc)
		return usage(o->profile ? "nothing but options, please" : "a profile is named with -c",
			     argv[optind]);
	if (!o->profile)
		return usage("-c PROFILE is missing", NULL);
	return -1;
}

/* ---- What the main thread waits for ------------------------------------------------------------ */

mf_err mf_daemon_watch(struct mf_daemon *d, struct mf_source *s, uint32_t want)
{
	return mf_poller_add(d->poller, s->fd, (uint64_t)(uintptr_t)s, want);
}

void mf_daemon_unwatch(struct mf_daemon *d, struct mf_source *s)
{
	mf_poller_remove(d->poller, s->fd);
	s->ready = NULL;
}

void mf_daemon_bury(struct mf_daemon *d, void *obj)
{
	struct mf_grave *g = malloc(sizeof(*g));

	if (!g)
		return; /* rather a leak than a dangling pointer */
	g->obj = obj;
	g->next = d->graves;
	d->graves = g;
}

static void empty_graves(struct mf_daemon *d)
{
	while (d->graves) {
		struct mf_grave *g = d->graves;

		d->graves = g->next;
		free(g->obj);
		free(g);
	}
}

void mf_daemon_stop(struct mf_daemon *d, int status)
{
	if (!d->stopping)
		d->status = status;
	d->stopping = true;
}

static void reload(struct mf_daemon *d)
{
	struct mf_apply_report changes;
	struct mf_text report = { 0 };

	(void)!mf_reload(d, false, &changes, &report); /* it tells the log */
	mf_text_free(&report);
}

static void signals_ready(struct mf_daemon *d, struct mf_source *s, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(d);
			continue;
		}
		mf_logf(&d->log, MF_LOG_INFO, "stopping, because of SIG%s",
			sigabbrev_np((int)info.ssi_signo));
		mf_daemon_stop(d, EXIT_OK);
	}
}

static sigset_t our_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

static mf_err watch_signals(struct mf_daemon *d, struct mf_errbuf *eb)
{
	sigset_t set = our_signals();

	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals =
		(struct mf_source){ signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), signals_ready };
	if (d->signals.fd < 0 || mf_daemon_watch(d, &d->signals, MF_POLL_READ))
		return mf_fail(eb, MF_E_SYSTEM, "cannot watch signals: %s", strerror(errno));
	return MF_OK;
}

/* From here on a signal ends the program the hard way: the user has had enough of waiting. */
static void give_signals_back(struct mf_daemon *d)
{
	sigset_t set = our_signals();

	if (d->signals.fd >= 0) {
		mf_daemon_unwatch(d, &d->signals);
		close(d->signals.fd);
		d->signals.fd = -1;
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- Main loop --------------------------------------------------------------------------------- */

static mf_nsec tick(struct mf_daemon *d)
{
	mf_nsec now = mf_clock_now(), next;

	if (atomic_load_explicit(&d->tun_gone, memory_order_relaxed)) {
		mf_logf(&d->log, MF_LOG_ERROR,
			"tunnel %s: the TUN device was deleted by somebody else",
			d->config->tunnel.name);
		mf_daemon_stop(d, EXIT_FAILED);
	}
	next = mf_engine_control(d->engine, now);
	next = mf_min(next, mf_endpoint_names_tick(d->names, now));
	mf_lookups_tick(d->lookups);
	mf_prober_tick(d->prober);
	next = mf_min(next, mf_subscriptions_tick(d->subscriptions, now));
	mf_reload_tick(d);
	next = mf_min(next, mf_sets_tick(d->sets, now));
	next = mf_min(next, mf_sockets_tick(d, now));
	next = mf_min(next, mf_dns_file_tick(d, now));
	mf_ports_sweep(d);
	if (d->marks_changed)
		mf_network_new_marks(d);
	if (d->watchdog != MF_NEVER && now >= d->watchdog_next) {
		(void)mf_notify("WATCHDOG=1");
		d->watchdog_next = now + d->watchdog;
	}
	return mf_min(next, d->watchdog_next);
}

/* Waits until something happens, `next` at the latest, and handles it. */
static void handle_events(struct mf_daemon *d, mf_nsec next)
{
	struct mf_poll_event ev[EVENTS];
	mf_nsec now = mf_clock_now();
	size_t n = mf_poller_wait(d->poller, ev, EVENTS,
				  next == MF_NEVER ? MF_NEVER
				  : next > now     ? next - now
						   : 0);

	for (size_t i = 0; i < n; i++) {
		struct mf_source *s = (struct mf_source *)(uintptr_t)ev[i].token;

		if (s->ready)
			s->ready(d, s, ev[i].ready);
	}
	empty_graves(d);
}

static void loop(struct mf_daemon *d)
{
	for (;;) {
		mf_nsec next = tick(d);

		if (d->stopping)
			return;
		handle_events(d, next);
	}
}

/* ---- Start ------------------------------------------------------------------------------------- */

/* What names a place in the profile needs no name of ours in front. */
static void print_errors(const struct mf_config_errors *errors, const char *text)
{
	static const char word[] = "error: ";
	bool placed = errors->n && errors->v[0].pos.file;

	if (!placed && !strncmp(text, word, sizeof(word) - 1))
		text += sizeof(word) - 1;
	fprintf(stderr, "%s%s", placed ? "" : "mintflow: ", text);
}

static int load(struct mf_daemon *d)
{
	struct mf_config_errors errors = { 0 };
	struct mf_text text = { 0 };
	mf_err err = mf_load_profile(d, &d->config, &errors);

	if (!err)
		return EXIT_OK;
	mf_config_errors_print(&errors, &text);
	if (d->options.json_log)
		mf_log_lines(&d->log, MF_LOG_ERROR, text.s);
	else
		print_errors(&errors, text.s ? text.s : "not enough memory\n");
	mf_text_free(&text);
	mf_config_errors_free(&errors);
	return EXIT_FAILED;
}

/* Certificates are read while files can be. */
static mf_err open_tls(struct mf_daemon *d, struct mf_errbuf *eb)
{
	const struct mf_config_dns *c = &d->config->dns;
	struct mf_tls_options o = { .ca_file = c->ca_path, .session_reuse = true };

	return !mf_dns_is_encrypted(c) ? MF_OK : mf_tls_context_new(&d->tls, &o, eb);
}

static void first_sets_are_read(struct mf_daemon *d, mf_err err, const char *said)
{
	if (err)
		mf_log_lines(&d->log, MF_LOG_ERROR, said);
	d->reload.err = err;
	d->reload.running = false;
}

/* Nobody slips past a list that is still being read: there is no way before they all have been. */
static mf_err read_sets(struct mf_daemon *d, struct mf_errbuf *eb)
{
	d->sets = mf_sets_new(d);
	d->lookups = mf_lookups_new(d);
	d->bridges = mf_bridges_new(d);
	d->subscriptions = mf_subscriptions_new(d);
	d->prober = mf_prober_new(d);
	if (!d->sets || !d->lookups || !d->bridges || !d->subscriptions || !d->prober)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	d->reload.running = true; /* another one has to wait */
	mf_sets_prepare(d->sets, d->config, first_sets_are_read);
	while (d->reload.running && !d->stopping) {
		mf_nsec next = mf_sets_tick(d->sets, mf_clock_now());

		if (d->reload.running)
			handle_events(d, next);
	}
	if (d->stopping)
		return MF_OK;
	if (d->reload.err)
		return mf_fail(
			eb, d->reload.err,
			"a domain set is wrong: correct its list, or set `lenient: true` to use "
			"the lines that are right");
	return mf_sets_stage(d->sets);
}

static mf_err start_engine(struct mf_daemon *d, struct mf_errbuf *eb)
{
	struct mf_engine_options o = {
		.n_workers = d->n_workers,
		.memory = d->config->limits.memory,
		.sessions = d->config->sessions.max,
		.aead = d->options.aead,
		.proxies = mf_config_has_proxies(d->config),
		.mark = 0, /* sockets without a mark get d->mark, which can change */
		.merge_tcp = mf_network_takes_tcp(d),
		.merge_udp = mf_network_takes_udp(d),
		.dns_cache = d->config->dns.enabled ? d->config->dns.cache_bytes : 0,
		.learned = d->config->dns.enabled ? d->config->app_routing.max_learned : 0,
		.default_mtu = d->mtu,
	};
	struct mf_engine_host host = mf_host_engine(d);
	struct mf_control_host control = mf_host_control(d);
	struct mf_apply_report report;
	mf_err err = open_tls(d, eb);

	o.tls = d->tls;
	if (!err)
		err = mf_engine_new(&d->engine, &o, &host, mf_clock_now(), eb);
	if (!err)
		err = mf_ports_add_tun(d, eb);
	if (!err)
		err = mf_dns_sockets_open(d, eb);
	if (!err)
		err = mf_direct_open(d, mf_engine_sessions_max(d->engine), eb);
	for (unsigned i = 0; i < d->n_workers && !err; i++)
		mf_worker_set_direct(mf_engine_worker(d->engine, i), mf_direct_outbound(d, i));
	if (!err)
		err = read_sets(d, eb);
	if (!err)
		err = mf_engine_apply(d->engine, d->config, mf_clock_now(), &report, eb);
	if (err)
		return err;
	mf_sets_settle(d->sets, true);
	mf_subscriptions_follow(d->subscriptions);
	d->control = mf_control_new(d->engine, &control);
	return d->control ? MF_OK : mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
}

/* Once the machine's routes lead into the tunnel so do its questions about names, and there is no tunnel
 * before they are answered. */
static void wait_for_names(struct mf_daemon *d)
{
	mf_nsec end = mf_clock_now() + NAMES_WAIT;

	while (d->config->tunnel.auto_route && !d->stopping) {
		mf_nsec now = mf_clock_now(), next = mf_endpoint_names_tick(d->names, now);

		if (!mf_endpoint_names_pending(d->names) || now >= end)
			return;
		handle_events(d, mf_min(next, end));
	}
}

/* Lists of which there is no copy yet come in now, through what is up by now; but not for ever. */
static void wait_for_lists(struct mf_daemon *d)
{
	mf_nsec end = mf_clock_now() + LISTS_WAIT;

	while (!d->stopping && mf_clock_now() < end &&
	       (mf_subscriptions_missing(d->subscriptions) || mf_sets_busy(d->sets) ||
		d->reload.again || d->reload.running)) {
		mf_nsec next = tick(d);

		handle_events(d, mf_min(next, end));
	}
}

static mf_err drop_privileges(struct mf_daemon *d, struct mf_errbuf *eb)
{
	struct mf_sandbox_options o = { .net_admin = true };

	for (uint32_t i = 0; i < d->config->n_interfaces; i++) {
		uint16_t port = d->config->interfaces[i].listen_port;

		o.net_bind_service |= port && port < 1024;
	}
	return mf_sandbox_enter(&o, eb);
}

static mf_err start(struct mf_daemon *d, struct mf_errbuf *eb)
{
	mf_err err;

	d->n_workers = mf_workers_wanted(d, d->config);
	d->mark = d->config->tunnel.auto_route ? (uint32_t)MF_ROUTE_MARK : 0;
	d->poller = mf_poller_new();
	if (!d->poller)
		return mf_fail(eb, MF_E_SYSTEM, "out of file descriptors");
	err = watch_signals(d, eb);
	/* First the name: whoever has it is alone from here on. */
	if (!err)
		err = mf_sockets_listen(d, eb);
	if (!err)
		err = mf_workers_init(d, eb);
	if (!err)
		err = mf_network_open(d, eb);
	if (!err)
		err = mf_network_up(d, eb);
	if (!err && !(d->names = mf_endpoint_names_new(d)))
		err = mf_fail(eb, MF_E_SYSTEM, "cannot start the resolver");
	if (!err)
		err = start_engine(d, eb);
	if (!err) {
		wait_for_names(d);
		err = mf_network_watch(d, eb);
	}
	if (!err)
		err = mf_sockets_serve(d, eb);
	if (err)
		return err;
	mf_sockets_sync_uapi(d);
	err = drop_privileges(d, eb);
	if (!err)
		err = mf_workers_start(d, eb);
	if (err)
		return err;
	mf_dns_file_load(d);
	wait_for_lists(d);
	err = mf_network_routes(d, eb);
	if (!err)
		err = mf_system_dns_watch(d->system_dns, eb);
	if (err)
		return err;
	mf_system_dns_follow(d->system_dns);
	mf_system_dns_settle(d->system_dns);
	return MF_OK;
}

static void announce(struct mf_daemon *d)
{
	uint32_t n = mf_engine_iface_count(d->engine);
	char features[80];

	mf_logf(&d->log, MF_LOG_INFO, "tunnel %s is up: MTU %u, %u worker%s, %u interface%s, %s; %s",
		mf_tun_name(d->tun), d->mtu, d->n_workers, d->n_workers == 1 ? "" : "s", n,
		n == 1 ? "" : "s", mf_aead_backend(mf_engine_worker(d->engine, 0)->aead),
		mf_tun_features_format(mf_tun_features(d->tun), features));
	d->watchdog = mf_notify_watchdog();
	d->watchdog_next = d->watchdog == MF_NEVER ? MF_NEVER : 0;
	(void)mf_notify_ready("running");
}

/* ---- Stop -------------------------------------------------------------------------------------- */

static bool has_questions(const struct mf_daemon *d)
{
	const struct mf_resolver *r = mf_engine_resolver(d->engine);

	return mf_counter_read(&mf_resolver_counters(r)->open) > 0;
}

/* Programs that have read a moment ago whom to ask still ask us, and wait for seconds if nobody
 * answers. As long as `wait`, and until everybody who has asked has an answer. */
static void answer_the_last(struct mf_daemon *d, mf_nsec wait)
{
	mf_nsec now = mf_clock_now(), quiet = now + wait, end = now + LAST_ANSWERS;

	if (!d->workers_run || !d->config->dns.enabled ||
	    d->config->dns.system == MF_CONFIG_DNS_SYSTEM_OFF)
		return;
	while (now < quiet || (now < end && has_questions(d))) {
		mf_nsec next = mf_engine_control(d->engine, now);

		handle_events(d, mf_min(next, now + WORKERS_TURN));
		now = mf_clock_now();
	}
}

/* Accepts whatever part of the start has happened. */
static void stop(struct mf_daemon *d)
{
	(void)mf_notify_stopping();
	give_signals_back(d);
	/* While its answers still come. */
	mf_system_dns_free(d->system_dns);
	d->system_dns = NULL;
	answer_the_last(d, LAST_QUESTIONS);
	/* Routes first: from now on the machine's packets take their old way. */
	mf_route_down(d->route);
	d->route = NULL;
	answer_the_last(d, WORKERS_TURN); /* what is in the device's queue */
	if (d->workers_run)
		mf_dns_file_save(d);
	mf_workers_stop(d);
	mf_bridges_close(d->bridges);
	mf_ports_release(d);
	mf_direct_release(d);
	if (d->control)
		mf_sockets_flush(d);
	mf_sockets_close(d);
	mf_control_free(d->control);
	mf_subscriptions_free(d->subscriptions);
	mf_prober_free(d->prober);
	mf_engine_free(d->engine);
	mf_lookups_free(d->lookups);
	mf_bridges_free(d->bridges);
	mf_sets_free(d->sets);
	mf_reload_end(d);
	mf_dns_sockets_close(d);
	mf_tls_context_free(d->tls);
	mf_direct_close(d);
	mf_endpoint_names_free(d->names);
	mf_ports_fini(d);
	mf_network_close(d);
	mf_workers_fini(d);
	empty_graves(d);
	mf_poller_free(d->poller);
	mf_config_free(d->config);
}

int mf_daemon_run(int argc, char **argv)
{
	struct mf_daemon d = { .signals.fd = -1, .watchdog_next = MF_NEVER };
	struct mf_errbuf eb = { .text = "" };
	int status = parse_options(argc, argv, &d.options);

	if (status >= 0)
		return status;
	(void)mf_openssl_memory_count(); /* if it is too late, nobody counts */
	d.logger = mf_logger_new(d.options.json_log, d.options.level);
	if (!d.logger)
		return EXIT_FAILED;
	d.log = mf_logger_log(d.logger);
	d.started = mf_clock_now();
	if (mf_sandbox_no_dumps(&eb))
		mf_logf(&d.log, MF_LOG_WARN, "%s", eb.text);
	d.system_dns = mf_system_dns_new(&d);
	d.status = load(&d);
	if (!d.status) {
		if (start(&d, &eb)) {
			mf_logf(&d.log, MF_LOG_ERROR, "%s", eb.text);
			d.status = EXIT_FAILED;
		} else {
			announce(&d);
			loop(&d);
		}
		stop(&d);
	}
	mf_system_dns_free(d.system_dns);
	mf_logger_free(d.logger);
	return d.status;
}
