/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - the running program, shared by the files of this folder. Everything in it belongs to the
 * main thread, which is the engine's control thread; workers have a struct of their own (workers.h).
 */
#ifndef MF_DAEMON_INTERNAL_H
#define MF_DAEMON_INTERNAL_H

#include <stdatomic.h>

#include "daemon/log.h"
#include "engine/engine.h"
#include "platform/poller.h"
#include "platform/route.h"
#include "platform/tun.h"

struct mf_daemon;

/* A descriptor that the main thread watches; its address is the poller's token, so it stays where it is
 * until mf_daemon_unwatch, and its memory until the round is over (mf_daemon_bury). */
struct mf_source {
	int fd;
	void (*ready)(struct mf_daemon *d, struct mf_source *s, uint32_t events);
};

struct mf_daemon_options {
	const char *profile;
	const char *aead; /* back-end, NULL: the best */
	unsigned workers; /* 0: as the profile says */
	bool json_log;
	enum mf_log_level level;
};

struct mf_worker_thread;
struct mf_udp_handle;
struct mf_tun_input;
struct mf_listener;
struct mf_conn;
struct mf_dns_door;
struct mf_tls_context;
struct mf_endpoint_names;
struct mf_system_dns;
struct mf_grave;
struct mf_sets;
struct mf_lookups;
struct mf_bridges;
struct mf_subscriptions;
struct mf_prober;

/* Of reload.c: the one that is under way, or the last. */
struct mf_reload {
	bool running, drop_sessions;
	bool again, again_drop; /* somebody has asked for one more */
	struct mf_config *cfg;  /* while its domain sets are read */
	mf_err err;
	struct mf_apply_report changes;
	struct mf_text report;
};

struct mf_daemon {
	struct mf_daemon_options options;
	struct mf_config *config; /* the profile in force */
	struct mf_logger *logger;
	struct mf_log log;
	struct mf_poller *poller;
	struct mf_engine *engine;
	struct mf_control *control;
	mf_nsec started;
	mf_nsec watchdog, watchdog_next; /* of the service manager; MF_NEVER: none */

	/* network.c */
	struct mf_tun *tun;
	uint32_t mtu;       /* of the TUN device, in force */
	uint32_t mark;      /* SO_MARK of sockets that have no mark of their own; 0: none */
	bool marks_changed; /* of an interface, by `wg set` */
	struct mf_route *route;
	struct mf_netmon *netmon;
	struct mf_source netmon_source;
	uint64_t paths; /* fingerprint of how endpoints are reached */

	/* workers.c, ports.c */
	struct mf_worker_thread *workers;
	unsigned n_workers;
	bool workers_run;
	atomic_bool stop_workers;
	atomic_bool tun_gone;
	struct mf_udp_handle *udp;
	struct mf_tun_input *tun_inputs[MF_WORKERS_MAX];

	/* direct.c */
	struct mf_egress *egress;
	atomic_bool echo_refused; /* the log has been told */

	/* dns.c */
	struct mf_dns_door *dns_door; /* sockets of dns.listen; NULL: none */
	struct mf_tls_context *tls;   /* for encrypted upstreams; NULL: there are none */

	/* dns_file.c */
	mf_nsec dns_file_next; /* when it is saved */
	bool dns_file_failed;  /* the last time, and the log was told */

	/* sockets.c */
	struct mf_listener *listeners;
	struct mf_conn *conns;
	unsigned n_conns;

	struct mf_endpoint_names *names;  /* names.c */
	struct mf_system_dns *system_dns; /* NULL: there is no keeper */
	struct mf_grave *graves;

	struct mf_sets *sets;
	struct mf_reload reload;
	struct mf_lookups *lookups;
	struct mf_bridges *bridges;
	struct mf_subscriptions *subscriptions;
	struct mf_prober *prober;

	struct mf_source signals;
	bool stopping;
	int status; /* what the program ends with */
};

/* ---- run.c ------------------------------------------------------------------------------------- */

MF_MUST_CHECK mf_err mf_daemon_watch(struct mf_daemon *d, struct mf_source *s, uint32_t want);
void mf_daemon_unwatch(struct mf_daemon *d, struct mf_source *s);
/* Frees `obj` once no event of this round can refer to it any more. */
void mf_daemon_bury(struct mf_daemon *d, void *obj);
/* Ends the main loop; the first reason to fail counts. */
void mf_daemon_stop(struct mf_daemon *d, int status);

#endif
