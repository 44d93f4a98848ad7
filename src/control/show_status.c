/* SPDX-License-Identifier: Apache-2.0
 *
 * show_status - the summary and the log.
 */
#include "control/internal.h"

#include <stdio.h>

#include "control/units.h"
#include "crypto/openssl_memory.h"

/* Days since 1970 to a date: Howard Hinnant's civil_from_days, in its form for days after 1970. */
const char *mf_wall_format(struct mf_wg_wall t, char out[MF_WALL_STRLEN])
{
	uint64_t days = t.sec / 86400 + 719468, era = days / 146097, doe = days % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	unsigned day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	unsigned year = (unsigned)(yoe + era * 400 + (month <= 2));
	unsigned s = (unsigned)(t.sec % 86400);

	snprintf(out, MF_WALL_STRLEN, "%04u-%02u-%02uT%02u:%02u:%02uZ", year, month, day, s / 3600,
		 s / 60 % 60, s % 60);
	return out;
}

/* ---- Status ------------------------------------------------------------------------------------ */

static void facts_of_program(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	struct mf_control_facts f = { 0 };
	char b[3][MF_UNIT_STRLEN];

	c->host.facts(c->host.ctx, &f);
	mf_fact_text(r, "name", "tunnel", f.name);
	mf_fact_text(r, "version", "version", MF_VERSION);
	mf_fact_text(r, "profile", "profile", f.profile);
	mf_fact_u64(r, "pid", "process", MF_CELL_NUMBER, f.pid);
	mf_fact_u64(r, "uptime", "up for", MF_CELL_DURATION, now > f.started ? now - f.started : 0);
	mf_fact_u64(r, "workers", "workers", MF_CELL_NUMBER, mf_engine_worker_count(c->engine));
	mf_fact_text(r, "aead", "cryptography", f.aead);
	mf_fact_text(r, "tun", NULL, f.tun);
	mf_fact_u64(r, "tun_mtu", NULL, MF_CELL_NUMBER, f.tun_mtu);
	mf_fact_u64(r, "tun_queues", NULL, MF_CELL_NUMBER, f.tun_queues);
	mf_fact_text(r, "tun_features", NULL, f.tun_features);
	mf_report_fact(r, "auto_route", NULL, MF_CELL_FLAG);
	mf_cell_flag(r, f.auto_route);
	if (f.tun) {
		mf_report_fact(r, NULL, "device", MF_CELL_TEXT);
		mf_cell_textf(r, "%s, mtu %u, %u queue%s, offloads: %s%s", f.tun, f.tun_mtu,
			      f.tun_queues, f.tun_queues == 1 ? "" : "s",
			      f.tun_features && *f.tun_features ? f.tun_features : "none",
			      f.auto_route ? ", takes the machine's traffic" : "");
	}
	mf_fact_u64(r, "rss", NULL, MF_CELL_BYTES, f.rss);
	mf_fact_u64(r, "memory_reserved", NULL, MF_CELL_BYTES, mf_engine_memory(c->engine));
	mf_fact_u64(r, "memory_limit", NULL, MF_CELL_BYTES, f.memory_limit);
	mf_fact_u64(r, "memory_openssl", NULL, MF_CELL_BYTES, mf_openssl_memory());
	mf_report_fact(r, NULL, "memory", MF_CELL_TEXT);
	mf_cell_textf(r, "%s resident; packets and tables %s of at most %s",
		      mf_unit_bytes(f.rss, b[0]), mf_unit_bytes(mf_engine_memory(c->engine), b[1]),
		      mf_unit_bytes(f.memory_limit, b[2]));
}

static void traffic_facts(struct mf_control *c, struct mf_report *r)
{
	char in[MF_UNIT_STRLEN], out[MF_UNIT_STRLEN];
	const struct mf_route_table *routes = mf_engine_routes(c->engine);
	struct mf_ledger l;

	mf_engine_ledger(c->engine, &l);
	mf_fact_u64(r, "routes", "routes", MF_CELL_COUNT, routes ? mf_route_table_count(routes) : 0);
	mf_fact_u64(r, "bytes_tun_in", NULL, MF_CELL_BYTES, l.bytes_tun_in);
	mf_fact_u64(r, "bytes_tun_out", NULL, MF_CELL_BYTES, l.bytes_tun_out);
	mf_fact_u64(r, "bytes_udp_in", NULL, MF_CELL_BYTES, l.bytes_udp_in);
	mf_fact_u64(r, "bytes_udp_out", NULL, MF_CELL_BYTES, l.bytes_udp_out);
	mf_report_fact(r, NULL, "traffic", MF_CELL_TEXT);
	mf_cell_textf(r, "%s into the tunnel, %s out of it", mf_unit_bytes(l.bytes_tun_in, in),
		      mf_unit_bytes(l.bytes_tun_out, out));
	mf_fact_u64(r, "dropped", "dropped", MF_CELL_COUNT, l.ended[MF_DROPPED]);
}

static void session_facts(struct mf_control *c, struct mf_report *r)
{
	uint32_t max = mf_engine_sessions_max(c->engine);
	struct mf_host_counters n;
	struct mf_tcp_counters tcp;
	uint64_t opened;
	char b[3][MF_UNIT_STRLEN];

	mf_engine_host_counters(c->engine, &n, &tcp);
	opened = n.tcp_opened + n.udp_opened + n.echo_opened;
	mf_fact_u64(r, "sessions", NULL, MF_CELL_COUNT, n.sessions);
	mf_fact_u64(r, "sessions_max", NULL, MF_CELL_COUNT, max);
	mf_fact_u64(r, "sessions_opened", NULL, MF_CELL_COUNT, opened);
	mf_report_fact(r, NULL, "sessions", MF_CELL_TEXT);
	mf_cell_textf(r, "%s of at most %s; %s since the start", mf_unit_count(n.sessions, b[0]),
		      mf_unit_count(max, b[1]), mf_unit_count(opened, b[2]));
}

void mf_report_status(struct mf_control *c, struct mf_report *r, mf_nsec now)
{
	facts_of_program(c, r, now);
	traffic_facts(c, r);
	session_facts(c, r);
	mf_report_dns_status(c, r, now);
	mf_report_heading(r, "Interfaces");
	mf_report_interfaces(c, r, now);
}

/* ---- Log --------------------------------------------------------------------------------------- */

enum { LOG_SHOWN = 100, LOG_SHOWN_ALL = 100000 };

static void log_row(void *to, const struct mf_control_log_line *line)
{
	static const char *const level[] = { "error", "warning", "info", "debug" };
	struct mf_report *r = to;
	char when[MF_WALL_STRLEN];

	mf_cell_text(r, mf_wall_format(line->time, when));
	mf_cell_text(r, (unsigned)line->level < MF_ARRAY_LEN(level) ? level[line->level] : "?");
	mf_cell_text(r, line->text);
}

void mf_report_log(struct mf_control *c, struct mf_report *r, bool all)
{
	static const struct mf_column column[] = {
		{ "time", "time", MF_CELL_TEXT },
		{ "level", "level", MF_CELL_TEXT },
		{ "text", "text", MF_CELL_TEXT },
	};

	mf_report_table(r, "log", NULL, column, MF_ARRAY_LEN(column), "nothing has been logged");
	if (c->host.log)
		c->host.log(c->host.ctx, all ? LOG_SHOWN_ALL : LOG_SHOWN, log_row, r);
}
