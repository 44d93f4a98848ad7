/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/capture.h"
#include "control/internal.h"
#include "control/show_probe.h"

/* A client that reads its capture slower than packets come gets at most this much ahead of itself; the
 * rest is missed by the capture, and counted. */
enum { CAPTURE_AHEAD = 1 << 20, CAPTURE_EVERY_MS = 20 };

struct mf_control_conn {
	struct mf_control *control;
	struct mf_control_conn *next;
	char *in; /* the request so far; MF_CONTROL_REQUEST_MAX bytes once there is one */
	size_t n_in;
	struct mf_text out;
	size_t sent;
	bool closing;
};

struct mf_control *mf_control_new(struct mf_engine *e, const struct mf_control_host *host)
{
	struct mf_control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	MF_ASSERT(host->wall_clock && host->facts);
	c->engine = e;
	c->host = *host;
	return c;
}

void mf_control_free(struct mf_control *c)
{
	if (!c)
		return;
	while (c->conns)
		mf_control_close(c->conns);
	free(c->samples);
	free(c);
}

struct mf_control_conn *mf_control_open(struct mf_control *c)
{
	struct mf_control_conn *conn;

	if (c->n_conns == MF_CONTROL_CONNS_MAX)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->control = c;
	conn->next = c->conns;
	c->conns = conn;
	c->n_conns++;
	return conn;
}

static void end_capture(struct mf_control *c)
{
	mf_capture_free(c->capture);
	c->capture = NULL;
	c->capture_conn = NULL;
}

void mf_control_close(struct mf_control_conn *conn)
{
	struct mf_control *c = conn->control;
	struct mf_control_conn **at = &c->conns;

	if (c->capture_conn == conn)
		end_capture(c);
	for (uint32_t i = 0; i < c->n_reloads; i++)
		if (c->reload[i].conn == conn)
			c->reload[i--] = c->reload[--c->n_reloads];
	if (c->probe.conn == conn) {
		c->probe.conn = NULL;
		c->host.probe_end(c->host.ctx);
	}
	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	c->n_conns--;
	free(conn->in);
	mf_text_free(&conn->out);
	free(conn);
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static void answer_ok(struct mf_text *out)
{
	mf_text_printf(out, "{\"ok\":true}\n");
}

static void answer_string(struct mf_text *out, const char *key, const char *value)
{
	struct mf_json j = mf_json_init(out);

	mf_json_object(&j);
	mf_json_kv_string(&j, key, value ? value : "");
	mf_json_end(&j);
	mf_text_add(out, "\n", 1);
}

static void put_report(const struct mf_report *r, bool json, struct mf_text *out)
{
	struct mf_text text = { 0 };

	if (json) {
		struct mf_json j = mf_json_init(out);

		mf_json_object(&j);
		mf_json_key(&j, "json");
		mf_report_json(r, &j);
		mf_json_end(&j);
		mf_text_add(out, "\n", 1);
	} else {
		mf_report_print(r, &text);
		out->failed |= text.failed;
		answer_string(out, "text", text.s);
		mf_text_free(&text);
	}
}

static void answer_report(const struct mf_report *r, bool json, struct mf_text *out)
{
	put_report(r, json, out);
	answer_ok(out);
}

static void fill_table(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
		       mf_nsec now)
{
	switch (q->table) {
	case MF_SHOW_INTERFACES:
		mf_report_interfaces(c, r, now);
		break;
	case MF_SHOW_PEERS:
		mf_report_peers(c, r, q->json || q->all, now);
		break;
	case MF_SHOW_ROUTES:
		mf_report_routes(c, r, q->all, now);
		break;
	case MF_SHOW_NODES:
		mf_report_nodes(c, r, q->all, now);
		break;
	case MF_SHOW_DROPS:
		mf_report_drops(c, r, q->all);
		break;
	case MF_SHOW_LOG:
		mf_report_log(c, r, q->all);
		break;
	case MF_SHOW_SESSIONS:
		mf_report_sessions(c, r, q, now);
		break;
	case MF_SHOW_DNS:
		mf_report_dns(c, r, q->all, q->json, now);
		break;
	case MF_SHOW_DNS_CACHE:
		mf_report_dns_cache(c, r, q, now);
		break;
	case MF_SHOW_COUNT:
		break;
	}
}

/* NULL, or why there is no answer. */
static const char *fill_why(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			    mf_nsec now)
{
	struct mf_session_facts s;

	if (*q->name)
		return mf_report_why_name(c, r, q->name, now)
			       ? NULL
			       : "the profile has no DNS server: nothing is known of names";
	if (!q->n_ids)
		mf_report_why(c, r, &q->address, now);
	else if (mf_session_lookup(c, &q->id[0], &s))
		mf_report_why_session(c, r, &s, now);
	else
		return "there is no such session; it has ended, or never was";
	return NULL;
}

static const char *fill(struct mf_control *c, struct mf_report *r, const struct mf_request *q,
			mf_nsec now)
{
	if (q->command == MF_REQUEST_WHY)
		return fill_why(c, r, q, now);
	if (q->command == MF_REQUEST_STATUS)
		mf_report_status(c, r, now);
	else
		fill_table(c, r, q, now);
	return NULL;
}

static void tell(struct mf_control *c, const struct mf_request *q, mf_nsec now, struct mf_text *out)
{
	struct mf_report *r = mf_report_new();
	const char *wrong = r ? fill(c, r, q, now) : NULL;

	if (wrong)
		answer_string(out, "error", wrong);
	else if (!r || mf_report_failed(r))
		answer_string(out, "error", "not enough memory for the answer");
	else
		answer_report(r, q->json, out);
	mf_report_free(r);
}

/* How many of something have gone: a number for programs, a sentence for people. */
static void answer_count(const struct mf_request *q, const char *verb, uint32_t n, const char *what,
			 struct mf_text *out)
{
	char text[64];

	if (q->json) {
		struct mf_json j = mf_json_init(out);

		mf_json_object(&j);
		mf_json_key(&j, "json");
		mf_json_object(&j);
		mf_json_kv_u64(&j, verb, n);
		mf_json_end(&j);
		mf_json_end(&j);
		mf_text_add(out, "\n", 1);
	} else {
		snprintf(text, sizeof(text), "%s %u %s%s\n", verb, n, what, n == 1 ? "" : "s");
		answer_string(out, "text", text);
	}
	answer_ok(out);
}

static void close_sessions(struct mf_control *c, const struct mf_request *q, struct mf_text *out)
{
	struct mf_text missing = { 0 };
	uint32_t closed = mf_sessions_close(c, q, &missing);

	if (missing.len) {
		if (closed)
			mf_text_printf(&missing, "closed %u other%s\n", closed,
				       closed == 1 ? "" : "s");
		answer_string(out, "error", missing.s);
	} else {
		answer_count(q, "closed", closed, "session", out);
	}
	mf_text_free(&missing);
}

static void answer_reload(const struct mf_apply_report *a, const char *report, struct mf_text *out)
{
	const struct {
		const char *key;
		uint32_t n;
	} counts[] = {
		{ "interfaces_added", a->interfaces_added },
		{ "interfaces_kept", a->interfaces_changed },
		{ "interfaces_removed", a->interfaces_removed },
		{ "peers_added", a->peers_added },
		{ "peers_kept", a->peers_changed },
		{ "peers_removed", a->peers_removed },
		{ "routes", a->routes },
		{ "sessions_kept", a->sessions_kept },
		{ "sessions_moved", a->sessions_moved },
		{ "sessions_closed", a->sessions_closed },
	};
	struct mf_json j = mf_json_init(out);

	mf_json_object(&j);
	mf_json_key(&j, "json");
	mf_json_object(&j);
	mf_json_kv_string(&j, "report", report);
	for (size_t i = 0; i < MF_ARRAY_LEN(counts); i++)
		mf_json_kv_u64(&j, counts[i].key, counts[i].n);
	mf_json_end(&j);
	mf_json_end(&j);
	mf_text_add(out, "\n", 1);
}

static void tell_reload(struct mf_text *out, bool json, mf_err err,
			const struct mf_apply_report *changes, const char *report)
{
	if (err) {
		answer_string(out, "error", report ? report : mf_err_text(err));
		return;
	}
	if (json)
		answer_reload(changes, report ? report : "", out);
	else
		answer_string(out, "text", report);
	answer_ok(out);
}

static void reload(struct mf_control_conn *conn, const struct mf_request *q, mf_nsec now)
{
	struct mf_control *c = conn->control;
	struct mf_apply_report changes = { 0 };
	struct mf_text report = { 0 };
	mf_err err;

	if (!c->host.reload) {
		answer_string(&conn->out, "error", "this program cannot reload");
		return;
	}
	err = c->host.reload(c->host.ctx, q->drop_sessions, now, &changes, &report);
	if (err == MF_E_AGAIN) {
		MF_ASSERT(c->n_reloads < MF_CONTROL_CONNS_MAX); /* a connection is in it once */
		c->reload[c->n_reloads++] = (struct mf_control_wait){ conn, q->json };
	} else {
		tell_reload(&conn->out, q->json, err, &changes, report.s);
	}
	mf_text_free(&report);
}

void mf_control_reloaded(struct mf_control *c, mf_err err, const struct mf_apply_report *changes,
			 const char *report)
{
	while (c->n_reloads) {
		struct mf_control_wait *w = &c->reload[--c->n_reloads];

		tell_reload(&w->conn->out, w->json, err, changes, report);
	}
}

/* ---- Tests of interfaces ------------------------------------------------------------------------ */

/* Of those that carry something; MF_HOP_ID_NONE: there is none of that name. */
static uint32_t carrier_named(const struct mf_control *c, const char *name)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(c->engine);
	uint32_t i = mf_snapshot_hop_named(snap, name);

	return i != MF_HOP_ID_DNS && mf_hop_carries(&snap->hop[i]) ? i : MF_HOP_ID_NONE;
}

static void probe(struct mf_control_conn *conn, const struct mf_request *q)
{
	struct mf_control *c = conn->control;
	uint32_t hop = carrier_named(c, q->interface);
	struct mf_errbuf eb = { .text = "" };

	if (!c->host.probe)
		(void)mf_fail(&eb, MF_E_UNSUPPORTED, "this program cannot test interfaces");
	else if (!hop)
		(void)mf_fail(&eb, MF_E_NOT_FOUND,
			      "there is no interface %s that carries anything; `mintflow show "
			      "interfaces` lists them",
			      q->interface);
	else if (c->probe.conn)
		(void)mf_fail(&eb, MF_E_EXISTS, "another test is running");
	else if (!c->host.probe(c->host.ctx, hop, q->url, &eb))
		c->probe = (struct mf_control_wait){ conn, q->json };
	if (*eb.text)
		answer_string(&conn->out, "error", eb.text);
}

void mf_control_probed(struct mf_control *c, const struct mf_probe *p)
{
	struct mf_control_conn *conn = c->probe.conn;
	struct mf_report *r = conn ? mf_report_new() : NULL;
	struct mf_text why = { 0 };

	if (!conn)
		return;
	c->probe.conn = NULL;
	if (r)
		mf_report_probe(c, r, p);
	if (p->failed)
		mf_probe_say(p, &why);
	if (!r || mf_report_failed(r) || why.failed) {
		answer_string(&conn->out, "error", "not enough memory for the answer");
	} else {
		put_report(r, c->probe.json, &conn->out);
		if (p->failed)
			answer_string(&conn->out, "error", why.s);
		else
			answer_ok(&conn->out);
	}
	mf_text_free(&why);
	mf_report_free(r);
}

static void stop(struct mf_control *c, struct mf_text *out)
{
	if (!c->host.stop) {
		answer_string(out, "error", "this program cannot be stopped from here");
		return;
	}
	c->host.stop(c->host.ctx);
	answer_ok(out);
}

static void capture(struct mf_control_conn *conn, const struct mf_request *q, mf_nsec now)
{
	struct mf_control *c = conn->control;
	struct mf_control_facts f = { 0 };
	struct mf_errbuf eb;

	c->host.facts(c->host.ctx, &f);
	c->capture = mf_capture_new(c->engine, q, f.name ? f.name : "mintflow", now,
				    c->host.wall_clock(c->host.ctx), &eb);
	if (!c->capture) {
		answer_string(&conn->out, "error", eb.text);
		return;
	}
	c->capture_conn = conn;
	answer_ok(&conn->out);
	/* The head of the file goes out at once: who watches sees that it works. */
	(void)mf_capture_read(c->capture, &conn->out, 0);
}

/* A misspelt name would list nothing, as if there were no sessions. */
static mf_err check_via(const struct mf_control *c, const char *via, struct mf_errbuf *eb)
{
	if (mf_snapshot_hop_named(mf_engine_snapshot(c->engine), via))
		return MF_OK;
	return mf_fail(eb, MF_E_NOT_FOUND,
		       "there is no interface %s; `mintflow show interfaces` lists them", via);
}

static void answer(struct mf_control_conn *conn, const char *line, size_t n, mf_nsec now)
{
	struct mf_control *c = conn->control;
	struct mf_request *q = &c->request;
	struct mf_errbuf eb;

	if (mf_request_parse(line, n, q, &eb) ||
	    (*q->sessions.via && check_via(c, q->sessions.via, &eb))) {
		answer_string(&conn->out, "error", eb.text);
		return;
	}
	switch (q->command) {
	case MF_REQUEST_CAPTURE:
		if (c->capture)
			answer_string(&conn->out, "error", "another capture is running");
		else
			capture(conn, q, now);
		break;
	case MF_REQUEST_RELOAD:
		reload(conn, q, now);
		break;
	case MF_REQUEST_TEST:
		probe(conn, q);
		break;
	case MF_REQUEST_STOP:
		stop(c, &conn->out);
		break;
	case MF_REQUEST_CLOSE:
		close_sessions(c, q, &conn->out);
		break;
	case MF_REQUEST_FLUSH:
		answer_count(q, "flushed", mf_dns_cache_forget(c, q->name, now), "answer",
			     &conn->out);
		break;
	case MF_REQUEST_STATUS:
	case MF_REQUEST_SHOW:
	case MF_REQUEST_WHY:
		tell(c, q, now, &conn->out);
		break;
	}
}

/* ---- The stream --------------------------------------------------------------------------------- */

static size_t waiting(const struct mf_control_conn *conn)
{
	return conn->out.len - conn->sent;
}

static bool captures(const struct mf_control_conn *conn)
{
	return conn->control->capture_conn == conn;
}

/* It waits for a reload, or for a test. */
static bool waits(const struct mf_control_conn *conn)
{
	const struct mf_control *c = conn->control;

	if (c->probe.conn == conn)
		return true;
	for (uint32_t i = 0; i < c->n_reloads; i++)
		if (c->reload[i].conn == conn)
			return true;
	return false;
}

/* Answers the requests that are complete, one at a time: the next when the answer has been taken. */
static void work(struct mf_control_conn *conn, mf_nsec now)
{
	while (!conn->closing && !captures(conn) && !waits(conn) && !waiting(conn)) {
		char *nl = conn->n_in ? memchr(conn->in, '\n', conn->n_in) : NULL;
		size_t n;

		if (!nl) {
			if (conn->n_in == MF_CONTROL_REQUEST_MAX) {
				answer_string(&conn->out, "error",
					      "a request is at most 64 KiB long");
				conn->closing = true;
			}
			break;
		}
		n = (size_t)(nl - conn->in);
		answer(conn, conn->in, n, now);
		conn->n_in -= n + 1;
		memmove(conn->in, nl + 1, conn->n_in);
	}
	conn->closing |= conn->out.failed;
}

bool mf_control_wants(const struct mf_control_conn *conn)
{
	return !conn->closing && (captures(conn) || waits(conn) || !waiting(conn));
}

bool mf_control_input(struct mf_control_conn *conn, const void *bytes, size_t n, mf_nsec now)
{
	/* While its capture runs a client has nothing to say; saying something ends it. */
	if (captures(conn)) {
		mf_capture_finish(conn->control->capture, &conn->out);
		end_capture(conn->control);
		conn->closing = true;
	}
	if (!conn->in && !conn->closing) {
		conn->in = malloc(MF_CONTROL_REQUEST_MAX);
		conn->closing = !conn->in;
	}
	while (n && !conn->closing) {
		size_t k = mf_min(n, MF_CONTROL_REQUEST_MAX - conn->n_in);

		/* Requests that came before the answer was taken: as many as fit, not more. */
		if (!k) {
			answer_string(&conn->out, "error", "too many requests at once");
			conn->closing = true;
			break;
		}
		memcpy(conn->in + conn->n_in, bytes, k);
		conn->n_in += k;
		bytes = (const char *)bytes + k;
		n -= k;
		work(conn, now);
	}
	return !conn->closing;
}

struct mf_span mf_control_output(const struct mf_control_conn *conn)
{
	return mf_span(conn->out.s ? conn->out.s + conn->sent : "", waiting(conn));
}

bool mf_control_sent(struct mf_control_conn *conn, size_t n, mf_nsec now)
{
	MF_ASSERT(n <= waiting(conn));
	conn->sent += n;
	if (!waiting(conn)) {
		mf_text_free(&conn->out);
		conn->sent = 0;
		work(conn, now);
	}
	return !conn->closing;
}

/* Takes what has been sent away from the front, so that a capture does not grow for ever. */
static void compact(struct mf_control_conn *conn)
{
	if (!conn->sent)
		return;
	memmove(conn->out.s, conn->out.s + conn->sent, waiting(conn));
	conn->out.len -= conn->sent;
	conn->sent = 0;
}

mf_nsec mf_control_tick(struct mf_control *c, mf_nsec now)
{
	struct mf_control_conn *conn = c->capture_conn;

	if (!conn)
		return MF_NEVER;
	compact(conn);
	if (mf_capture_read(c->capture, &conn->out, CAPTURE_AHEAD) && !conn->out.failed)
		return now + CAPTURE_EVERY_MS * MF_MSEC;
	mf_capture_finish(c->capture, &conn->out);
	end_capture(c);
	conn->closing = true;
	return MF_NEVER;
}
