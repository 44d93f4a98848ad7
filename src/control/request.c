/* SPDX-License-Identifier: Apache-2.0 */
#include "control/request.h"

#include <jansson.h>

static const char *const show_name[] = {
#define X(name, word, text) word,
	MF_SHOW_LIST(X)
#undef X
};

const char *mf_show_name(enum mf_show table)
{
	return show_name[table];
}

enum {
	STATUS = 1 << MF_REQUEST_STATUS,
	SHOW = 1 << MF_REQUEST_SHOW,
	WHY = 1 << MF_REQUEST_WHY,
	CAPTURE = 1 << MF_REQUEST_CAPTURE,
	RELOAD = 1 << MF_REQUEST_RELOAD,
	STOP = 1 << MF_REQUEST_STOP,
	CLOSE = 1 << MF_REQUEST_CLOSE,
	FLUSH = 1 << MF_REQUEST_FLUSH,
	TEST = 1 << MF_REQUEST_TEST,
};

static const char *const command_name[] = {
	[MF_REQUEST_STATUS] = "status", [MF_REQUEST_SHOW] = "show",
	[MF_REQUEST_WHY] = "why",       [MF_REQUEST_CAPTURE] = "capture",
	[MF_REQUEST_RELOAD] = "reload", [MF_REQUEST_STOP] = "stop",
	[MF_REQUEST_CLOSE] = "close",   [MF_REQUEST_FLUSH] = "flush",
	[MF_REQUEST_TEST] = "test",
};

static mf_err not_a(struct mf_errbuf *eb, const char *key, const char *what)
{
	return mf_fail(eb, MF_E_MALFORMED, "\"%s\" must be %s", key, what);
}

static mf_err set_command(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < MF_ARRAY_LEN(command_name); i++)
		if (!strcmp(s, command_name[i])) {
			r->command = (enum mf_request_command)i;
			return MF_OK;
		}
	return not_a(eb, "cmd",
		     "one of status, show, why, capture, reload, stop, close, flush, test");
}

static mf_err set_json(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->json = json_is_true(v);
	return json_is_boolean(v) ? MF_OK : not_a(eb, "json", "true or false");
}

static mf_err set_all(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->all = json_is_true(v);
	return json_is_boolean(v) ? MF_OK : not_a(eb, "all", "true or false");
}

static mf_err set_table(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s && i < MF_SHOW_COUNT; i++)
		if (!strcmp(s, show_name[i])) {
			r->table = (enum mf_show)i;
			return MF_OK;
		}
	return not_a(
		eb, "table",
		"one of interfaces, peers, routes, sessions, dns, dns-cache, nodes, drops, log");
}

static mf_err set_drop_sessions(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->drop_sessions = json_is_true(v);
	return json_is_boolean(v) ? MF_OK : not_a(eb, "drop_sessions", "true or false");
}

static mf_err set_address(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	return s && !mf_addr_parse(&r->address, s) ? MF_OK : not_a(eb, "address", "an IP address");
}

static mf_err set_host(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	if (s && strlen(s) == json_string_length(v) && !mf_host_parse(r->name, s))
		return MF_OK;
	return not_a(eb, "name", "the name of a host");
}

/* A short text without anything that a terminal would obey. */
static mf_err set_name(char out[MF_REQUEST_NAME], const char *key, const json_t *v,
		       struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	if (!s || strlen(s) >= MF_REQUEST_NAME)
		return not_a(eb, key, "a name of up to 31 bytes");
	for (size_t i = 0; s[i]; i++)
		if (s[i] <= ' ' || s[i] == 0x7f)
			return not_a(eb, key, "a name");
	strcpy(out, s);
	return MF_OK;
}

/* ---- Sessions ----------------------------------------------------------------------------------- */

static mf_err add_id(struct mf_request *r, const char *key, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);
	struct mf_session_id id;

	if (!s || !mf_session_id_parse(&id, s))
		return not_a(eb, key, "the name of a session, such as 0-17-3");
	for (size_t i = 0; i < r->n_ids; i++)
		if (mf_session_id_equal(&r->id[i], &id))
			return MF_OK;
	r->id[r->n_ids++] = id;
	return MF_OK;
}

static mf_err set_session(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	return add_id(r, "session", v, eb);
}

static mf_err set_sessions(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	size_t n = json_array_size(v);

	if (!n || n > MF_REQUEST_IDS_MAX)
		return not_a(eb, "sessions", "a list of 1 to 1024 names");
	for (size_t i = 0; i < n; i++) {
		mf_err err = add_id(r, "sessions", json_array_get(v, i), eb);

		if (err)
			return err;
	}
	return MF_OK;
}

static mf_err set_proto(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	r->filtered = true;
	return s && mf_session_proto_parse(&r->sessions.proto, s)
		       ? MF_OK
		       : not_a(eb, "proto", "tcp, udp or icmp");
}

static mf_err set_via(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	static_assert(sizeof(r->sessions.via) == MF_REQUEST_NAME, "holds any name");
	r->filtered = true;
	return set_name(r->sessions.via, "via", v, eb);
}

static mf_err set_end(struct mf_session_end *end, const char *key, const json_t *v,
		      struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	return s && !mf_session_end_parse(end, s)
		       ? MF_OK
		       : not_a(eb, key, "ADDRESS, PREFIX, ADDRESS:PORT or :PORT");
}

static mf_err set_app(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->filtered = true;
	return set_end(&r->sessions.app, "app", v, eb);
}

static mf_err set_to(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->filtered = true;
	return set_end(&r->sessions.to, "to", v, eb);
}

static mf_err set_state(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	r->filtered = true;
	return s && mf_session_state_parse(&r->sessions.state, s)
		       ? MF_OK
		       : not_a(eb, "state",
			       "one of opening, accepting, established, unreplied, app-closed, "
			       "far-closed, closing, time-wait");
}

static mf_err set_kept(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	r->filtered = r->sessions.kept = json_is_true(v);
	return r->filtered ? MF_OK : not_a(eb, "kept", "true");
}

/* ---- Capture ------------------------------------------------------------------------------------ */

static mf_err set_interface(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	return set_name(r->interface, "interface", v, eb);
}

static mf_err set_node(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	return set_name(r->node, "node", v, eb);
}

static mf_err set_snaplen(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < MF_REQUEST_SNAPLEN_MIN || n > MF_REQUEST_SNAPLEN_MAX)
		return not_a(eb, "snaplen", "a number 64..65535");
	r->snaplen = (uint32_t)n;
	return MF_OK;
}

static mf_err set_count(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1)
		return not_a(eb, "count", "a number of packets");
	r->count = (uint64_t)n;
	return MF_OK;
}

/* The value of a list's entry, if it is a number 0..max. */
static bool number_at(const json_t *list, size_t i, uint32_t max, uint32_t *out)
{
	const json_t *v = json_array_get(list, i);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > (json_int_t)max)
		return false;
	*out = (uint32_t)n;
	return true;
}

static mf_err set_filter(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	uint32_t code, jt, jf, k;

	if (!json_is_array(v) || json_array_size(v) > MF_BPF_MAX)
		return not_a(eb, "filter", "a list of up to 4096 instructions");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *insn = json_array_get(v, i);

		if (json_array_size(insn) != 4 || !number_at(insn, 0, UINT16_MAX, &code) ||
		    !number_at(insn, 1, UINT8_MAX, &jt) || !number_at(insn, 2, UINT8_MAX, &jf) ||
		    !number_at(insn, 3, UINT32_MAX, &k))
			return not_a(eb, "filter", "a list of [code, jt, jf, k]");
		r->filter[i] = (struct mf_bpf_insn){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	}
	r->n_filter = json_array_size(v);
	if (r->n_filter && !mf_bpf_valid(r->filter, r->n_filter))
		return mf_fail(eb, MF_E_RANGE, "the filter is no valid BPF program");
	return MF_OK;
}

/* ---- Test --------------------------------------------------------------------------------------- */

/* What it is made of its reader finds out. */
static mf_err set_url(struct mf_request *r, const json_t *v, struct mf_errbuf *eb)
{
	const char *s = json_string_value(v);

	if (!s || !*s || strlen(s) != json_string_length(v) || strlen(s) > MF_REQUEST_URL_MAX)
		return not_a(eb, "url", "a URL of up to 2048 bytes");
	for (size_t i = 0; s[i]; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return not_a(eb, "url", "a URL, without blanks");
	strcpy(r->url, s);
	return MF_OK;
}

/* ---- All of them --------------------------------------------------------------------------------- */

/* Every key, for which commands it means something, and where it has to be. */
static const struct key {
	const char *name;
	unsigned commands, required;
	mf_err (*set)(struct mf_request *r, const json_t *v, struct mf_errbuf *eb);
} keys[] = {
	{ "cmd", ~0u, ~0u, set_command },
	{ "json", STATUS | SHOW | WHY | RELOAD | STOP | CLOSE | FLUSH | TEST, 0, set_json },
	{ "all", SHOW | CLOSE, 0, set_all },
	{ "table", SHOW | FLUSH, SHOW | FLUSH, set_table },
	{ "address", WHY, 0, set_address },
	{ "name", SHOW | WHY | CLOSE | FLUSH, 0, set_host },
	{ "session", WHY, 0, set_session },
	{ "sessions", CLOSE, 0, set_sessions },
	{ "proto", SHOW | CLOSE, 0, set_proto },
	{ "via", SHOW | CLOSE, 0, set_via },
	{ "app", SHOW | CLOSE, 0, set_app },
	{ "to", SHOW | CLOSE, 0, set_to },
	{ "state", SHOW | CLOSE, 0, set_state },
	{ "kept", SHOW | CLOSE, 0, set_kept },
	{ "drop_sessions", RELOAD, 0, set_drop_sessions },
	{ "interface", CAPTURE | TEST, TEST, set_interface },
	{ "url", TEST, TEST, set_url },
	{ "node", CAPTURE, 0, set_node },
	{ "snaplen", CAPTURE, 0, set_snaplen },
	{ "count", CAPTURE, 0, set_count },
	{ "filter", CAPTURE, 0, set_filter },
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static mf_err read_object(json_t *object, struct mf_request *out, struct mf_errbuf *eb)
{
	const char *name;
	json_t *v;
	mf_err err;

	/* The command first: it says which other keys make sense. */
	err = set_command(out, json_object_get(object, "cmd"), eb);
	if (err)
		return err;
	json_object_foreach(object, name, v)
	{
		const struct key *key = find_key(name);

		if (!key || !(key->commands >> out->command & 1))
			return mf_fail(eb, MF_E_MALFORMED, "\"%s\" has no key \"%.40s\"",
				       command_name[out->command], name);
		err = key->set(out, v, eb);
		if (err)
			return err;
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(keys); i++)
		if (keys[i].required >> out->command & 1 && !json_object_get(object, keys[i].name))
			return mf_fail(eb, MF_E_MALFORMED, "\"%s\" needs a key \"%s\"",
				       command_name[out->command], keys[i].name);
	return MF_OK;
}

/* What no single key can tell. */
static mf_err check_whole(struct mf_request *r, struct mf_errbuf *eb)
{
	bool named = *r->name;

	if (r->command == MF_REQUEST_WHY &&
	    (r->address.family != MF_AF_NONE) + named + (r->n_ids != 0) != 1)
		return mf_fail(eb, MF_E_MALFORMED,
			       "\"why\" needs one of the keys \"address\", \"name\" and "
			       "\"session\"");
	if (r->command == MF_REQUEST_FLUSH && r->table != MF_SHOW_DNS_CACHE)
		return mf_fail(eb, MF_E_MALFORMED, "only \"dns-cache\" can be flushed");
	if (named && (r->command == MF_REQUEST_CLOSE ||
		      (r->command == MF_REQUEST_SHOW && r->table != MF_SHOW_DNS_CACHE))) {
		strcpy(r->sessions.name, r->name);
		r->filtered = true;
	}
	if (r->command == MF_REQUEST_SHOW && r->filtered && r->table != MF_SHOW_SESSIONS)
		return mf_fail(
			eb, MF_E_MALFORMED,
			"only \"sessions\" can be chosen from, and \"dns-cache\" by \"name\"");
	if (r->command == MF_REQUEST_CLOSE && (r->n_ids != 0) + r->filtered + r->all != 1)
		return mf_fail(eb, MF_E_MALFORMED,
			       "\"close\" needs either \"sessions\", or keys that choose some, or "
			       "\"all\"");
	return MF_OK;
}

mf_err mf_request_parse(const char *line, size_t n, struct mf_request *out, struct mf_errbuf *eb)
{
	json_error_t why;
	json_t *v;
	mf_err err;

	*out = (struct mf_request){ .snaplen = MF_REQUEST_SNAPLEN_MAX };
	v = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		return mf_fail(eb, MF_E_MALFORMED, "a request is one JSON object on a line: %s",
			       why.text);
	err = json_is_object(v) ? read_object(v, out, eb)
				: mf_fail(eb, MF_E_MALFORMED, "a request is a JSON object");
	json_decref(v);
	return err ? err : check_whole(out, eb);
}
