/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - what the files of this folder share: the control object and the reports it can make.
 */
#ifndef MF_CONTROL_INTERNAL_H
#define MF_CONTROL_INTERNAL_H

#include "control/control.h"
#include "control/request.h"
#include "control/table.h"

struct mf_capture;

/* Traffic of an interface when somebody last asked: two of them make a rate. */
struct mf_sample {
	char name[16];
	mf_nsec at;
	uint64_t rx, tx;
	double rx_rate, tx_rate; /* bytes a second, up to `at` */
};

enum { MF_CONTROL_CONNS_MAX = 32 };

/* A client that waits for the end of a reload, or of a test. */
struct mf_control_wait {
	struct mf_control_conn *conn;
	bool json;
};

struct mf_control {
	struct mf_engine *engine;
	struct mf_control_host host;
	struct mf_control_conn *conns;
	uint32_t n_conns;
	struct mf_sample *samples;
	uint32_t n_samples;
	struct mf_request request; /* the one being answered: too large for the stack */
	struct mf_capture *capture;
	struct mf_control_conn *capture_conn;
	struct mf_control_wait reload[MF_CONTROL_CONNS_MAX];
	uint32_t n_reloads;
	struct mf_control_wait probe; /* conn NULL: there is no test */
};

void mf_report_status(struct mf_control *c, struct mf_report *r, mf_nsec now);
void mf_report_interfaces(struct mf_control *c, struct mf_report *r, mf_nsec now);
/* `full`: long lists of allowed IPs to their end. */
void mf_report_peers(struct mf_control *c, struct mf_report *r, bool full, mf_nsec now);
/* Written ones and learned ones. */
void mf_report_routes(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now);
void mf_report_learned(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now);
void mf_report_nodes(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now);
void mf_report_drops(struct mf_control *c, struct mf_report *r, bool all);
void mf_report_log(struct mf_control *c, struct mf_report *r, bool all);
void mf_report_sessions(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			mf_nsec now);
/* A few of the sessions to one address, and how many there are. */
void mf_report_sessions_to(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst,
			   mf_nsec now);
void mf_report_why(struct mf_control *c, struct mf_report *r, const struct mf_addr *dst, mf_nsec now);
void mf_report_why_session(struct mf_control *c, struct mf_report *r,
			   const struct mf_session_facts *s, mf_nsec now);

/* False: there is no DNS server, or that is no name. */
bool mf_report_why_name(struct mf_control *c, struct mf_report *r, const char *name, mf_nsec now);

void mf_report_dns(struct mf_control *c, struct mf_report *r, bool all, bool json, mf_nsec now);
void mf_report_dns_cache(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			 mf_nsec now);
/* A table of the counters of all parts of the DNS server. */
void mf_report_dns_counters(struct mf_control *c, struct mf_report *r, bool all, mf_nsec now);
/* What `status` says of the DNS server and of learned routes. */
void mf_report_dns_status(struct mf_control *c, struct mf_report *r, mf_nsec now);
/* Forgets the kept answers about a name and all below it, or "": all. Returns how many. Learned routes
 * stay. */
uint32_t mf_dns_cache_forget(struct mf_control *c, const char *host, mf_nsec now);

/* Asks the workers to end the sessions that the request means; returns how many. `missing` gets a line for
 * each one that it names and that is not there. */
uint32_t mf_sessions_close(struct mf_control *c, const struct mf_request *q, struct mf_text *missing);
/* False: there is no such session (any more). */
bool mf_session_lookup(struct mf_control *c, const struct mf_session_id *id,
		       struct mf_session_facts *out);

/* Bytes a second at this moment: 0 once the traffic has stopped. */
struct mf_session_rates {
	double up, down;
};
struct mf_session_rates mf_session_rates(const struct mf_session_facts *s, mf_nsec now);

/* As routes and interfaces call it; "?" for one that is gone. */
const char *mf_hop_name(const struct mf_control *c, uint32_t hop);

/* "2026-11-21T20:13:05Z" */
enum { MF_WALL_STRLEN = 40 };
const char *mf_wall_format(struct mf_wg_wall t, char out[MF_WALL_STRLEN]);

#endif
