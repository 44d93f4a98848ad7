/* SPDX-License-Identifier: Apache-2.0
 *
 * show - the commands that ask a running tunnel and print the answer: status, show, why, close, flush,
 * test, reload.
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "control/filter.h"

static int ask_and_print(struct cli_client *c, json_t *request, const struct cli_args *a,
			 bool one_line)
{
	json_t *value;
	char *text;
	int status = cli_ask(c, request, &text, &value);

	if (text)
		fputs(text, stdout);
	if (value)
		cli_print_json(value, one_line);
	if (a->watch > 0 && status == CLI_OK && fflush(stdout))
		status = CLI_FAILED;
	free(text);
	json_decref(value);
	return status;
}

static json_t *request_of(const char *cmd, const struct cli_args *a)
{
	return json_pack("{s:s, s:b}", "cmd", cmd, "json", (int)a->json);
}

static void wait_seconds(double s)
{
	struct timespec t = { (time_t)s, (long)((s - (double)(time_t)s) * 1e9) };

	nanosleep(&t, NULL);
}

/* Asks once, or again and again (and takes the request). Every repetition is a connection of its own, so
 * that a restart of the tunnel in between does not matter much. */
static int ask_repeatedly(const struct cli_args *a, json_t *request)
{
	bool first = true, screen = a->watch > 0 && !a->json && isatty(STDOUT_FILENO);
	int status;

	for (;; first = false) {
		struct cli_client c;

		status = CLI_FAILED;
		if (!cli_connect(&c, a->name))
			break;
		if (screen)
			fputs("\033[H\033[2J", stdout);
		else if (!first && !a->json)
			putchar('\n');
		status = ask_and_print(&c, json_incref(request), a, a->watch > 0);
		cli_disconnect(&c);
		if (status || a->watch <= 0)
			break;
		wait_seconds(a->watch);
	}
	json_decref(request);
	return status;
}

static int ask_once(const struct cli_args *a, json_t *request)
{
	struct cli_client c;
	int status;

	if (!cli_connect(&c, a->name)) {
		json_decref(request);
		return CLI_FAILED;
	}
	status = ask_and_print(&c, request, a, false);
	cli_disconnect(&c);
	return status;
}

int cli_status(const struct cli_args *a)
{
	return ask_repeatedly(a, request_of("status", a));
}

int cli_reload(const struct cli_args *a)
{
	json_t *request = request_of("reload", a);

	json_object_set_new(request, "drop_sessions", json_boolean(a->drop_sessions));
	return ask_once(a, request);
}

/* ---- Sessions ----------------------------------------------------------------------------------- */

static int usage(const char *command, const char *what, const char *word)
{
	fprintf(stderr, "mintflow %s: %s%s; see `mintflow %s --help`\n", command, what, word,
		command);
	return CLI_USAGE;
}

static bool is_end(const char *value)
{
	struct mf_session_end end;

	return !mf_session_end_parse(&end, value);
}

static bool is_state(const char *value)
{
	uint8_t state;

	return mf_session_state_parse(&state, value);
}

static bool is_name(const char *value)
{
	return *value;
}

static bool is_host(const char *value)
{
	char host[MF_HOST_STRLEN];

	return !mf_host_parse(host, value);
}

/* The words that want another one behind them. */
static const struct {
	const char *word;
	bool (*check)(const char *value);
	const char *wants;
} pairs[] = {
	{ "via", is_name, "an interface is missing behind via" },
	{ "app", is_end, "ADDR, PREFIX, ADDR:PORT or :PORT is wanted behind app, not " },
	{ "to", is_end, "ADDR, PREFIX, ADDR:PORT or :PORT is wanted behind to, not " },
	{ "state", is_state, "not a state: " },
	{ "name", is_host, "not a name: " },
};

/* Puts `key` into the request; each may stand there once. */
static int put(json_t *request, const char *command, const char *key, json_t *value)
{
	if (json_object_get(request, key)) {
		json_decref(value);
		return usage(command, "said twice: ", strcmp(key, "proto") ? key : "the protocol");
	}
	json_object_set_new(request, key, value);
	return CLI_OK;
}

static int put_pair(json_t *request, const char *command, char **words, int n, int *i)
{
	for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++) {
		if (strcmp(words[*i], pairs[k].word))
			continue;
		if (++*i == n)
			return usage(command, "something is missing behind ", pairs[k].word);
		if (!pairs[k].check(words[*i]))
			return usage(command, pairs[k].wants, words[*i]);
		return put(request, command, pairs[k].word, json_string(words[*i]));
	}
	return usage(command, "not understood: ", words[*i]);
}

/* Words that choose sessions, as keys of the request. */
static int put_filter(json_t *request, const char *command, char **words, int n)
{
	int status = CLI_OK;
	uint8_t proto;

	for (int i = 0; i < n && !status; i++) {
		if (mf_session_proto_parse(&proto, words[i]))
			status = put(request, command, "proto", json_string(words[i]));
		else if (!strcmp(words[i], "kept"))
			status = put(request, command, "kept", json_true());
		else
			status = put_pair(request, command, words, n, &i);
	}
	return status;
}

/* Ids, if the first word is one. */
static int put_ids(json_t *request, const char *command, char **words, int n)
{
	json_t *ids = json_array();
	struct mf_session_id id;
	int status = CLI_OK;

	for (int i = 0; i < n && !status; i++) {
		if (!mf_session_id_parse(&id, words[i]))
			status = usage(command, "not the id of a session: ", words[i]);
		json_array_append_new(ids, json_string(words[i]));
	}
	json_object_set_new(request, "sessions", ids);
	return status;
}

int cli_close(const struct cli_args *a)
{
	json_t *request = request_of("close", a);
	struct mf_session_id id;
	int status;

	if (mf_session_id_parse(&id, a->rest[0]))
		status = put_ids(request, "close", a->rest, a->n_rest);
	else if (a->n_rest == 1 && !strcmp(a->rest[0], "all"))
		status = put(request, "close", "all", json_true());
	else
		status = put_filter(request, "close", a->rest, a->n_rest);
	if (!status)
		return ask_once(a, request);
	json_decref(request);
	return status;
}

/* ---- The DNS server ----------------------------------------------------------------------------- */

/* The name that may stand behind the table. */
static int put_host(json_t *request, const char *command, const struct cli_args *a)
{
	if (a->n_rest > 2)
		return usage(command, "too much: ", a->rest[2]);
	if (a->n_rest < 2)
		return CLI_OK;
	if (!is_host(a->rest[1]))
		return usage(command, "not a name: ", a->rest[1]);
	return put(request, command, "name", json_string(a->rest[1]));
}

int cli_flush(const struct cli_args *a)
{
	json_t *request;
	int status;

	if (strcmp(a->rest[0], "dns-cache"))
		return usage("flush", "only dns-cache can be flushed, not ", a->rest[0]);
	request = request_of("flush", a);
	json_object_set_new(request, "table", json_string("dns-cache"));
	status = put_host(request, "flush", a);
	if (!status)
		return ask_once(a, request);
	json_decref(request);
	return status;
}

/* ---- Interfaces --------------------------------------------------------------------------------- */

int cli_test(const struct cli_args *a)
{
	/* Of IANA, and there for everybody's tests. */
	static const char example[] = "https://example.com/";
	json_t *request = request_of("test", a);

	json_object_set_new(request, "interface", json_string(a->rest[0]));
	json_object_set_new(request, "url", json_string(a->n_rest > 1 ? a->rest[1] : example));
	return ask_once(a, request);
}

/* ---- show --------------------------------------------------------------------------------------- */

int cli_show(const struct cli_args *a)
{
	static const char *const tables[] = { "interfaces", "peers", "routes", "sessions", "dns",
					      "dns-cache",  "nodes", "drops",  "log" };
	const char *table = a->rest[0];
	json_t *request;
	size_t i = 0;
	int status = CLI_OK;

	while (i < sizeof(tables) / sizeof(tables[0]) && strcmp(tables[i], table))
		i++;
	if (i == sizeof(tables) / sizeof(tables[0])) {
		cli_fail("there is no table %s; see `mintflow show --help`", table);
		return CLI_USAGE;
	}
	request = request_of("show", a);
	json_object_set_new(request, "table", json_string(table));
	json_object_set_new(request, "all", json_boolean(a->all));
	if (!strcmp(table, "sessions"))
		status = put_filter(request, "show", a->rest + 1, a->n_rest - 1);
	else if (!strcmp(table, "dns-cache"))
		status = put_host(request, "show", a);
	else if (a->n_rest > 1)
		status = usage("show", "too much: ", a->rest[1]);
	if (!status)
		return ask_repeatedly(a, request);
	json_decref(request);
	return status;
}

/* ---- why ---------------------------------------------------------------------------------------- */

/* `key` says what the text is: "address", "name" or "session". */
static int ask_why(struct cli_client *c, const char *key, const char *text,
		   const struct cli_args *a, json_t **out)
{
	json_t *request = request_of("why", a);
	char *answer;
	int status;

	json_object_set_new(request, key, json_string(text));
	status = cli_ask(c, request, &answer, out);
	if (answer)
		fputs(answer, stdout);
	free(answer);
	return status;
}

/* The addresses of a name, each once. */
static json_t *resolve(const char *name)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
	json_t *found = json_object(), *addresses = json_array();
	char text[NI_MAXHOST];
	int err = getaddrinfo(name, NULL, &hints, &list);

	if (err)
		cli_fail("%s: %s", name, gai_strerror(err));
	for (struct addrinfo *i = list; i; i = i->ai_next) {
		if (getnameinfo(i->ai_addr, i->ai_addrlen, text, sizeof(text), NULL, 0,
				NI_NUMERICHOST) ||
		    json_object_get(found, text))
			continue;
		json_object_set_new(found, text, json_true());
		json_array_append_new(addresses, json_string(text));
	}
	if (list)
		freeaddrinfo(list);
	json_decref(found);
	return addresses;
}

/* Without a DNS server of the tunnel: what the system says about a name, and then why for each address. */
static int why_resolved(struct cli_client *c, const struct cli_args *a)
{
	json_t *addresses = resolve(a->rest[0]), *answers = json_array(), *value;
	int status = json_array_size(addresses) ? CLI_OK : CLI_FAILED;

	if (!a->json && !status)
		printf("%s: %zu address%s, as the system resolves it now\n", a->rest[0],
		       json_array_size(addresses), json_array_size(addresses) == 1 ? "" : "es");
	for (size_t i = 0; i < json_array_size(addresses) && !status; i++) {
		if (!a->json)
			putchar('\n');
		status = ask_why(c, "address", json_string_value(json_array_get(addresses, i)), a,
				 &value);
		if (value)
			json_array_append_new(answers, value);
	}
	if (a->json && !status) {
		value = json_pack("{s:s, s:O}", "name", a->rest[0], "addresses", answers);
		cli_print_json(value, false);
		json_decref(value);
	}
	json_decref(addresses);
	json_decref(answers);
	return status;
}

/* Does the profile have a DNS server? It knows what names are about, then. */
static bool has_dns(struct cli_client *c)
{
	json_t *request = json_pack("{s:s, s:s, s:b}", "cmd", "show", "table", "dns", "json", 1);
	json_t *value = NULL;
	char *text = NULL;
	bool has = cli_ask(c, request, &text, &value) == CLI_OK &&
		   json_is_true(json_object_get(value, "configured"));

	free(text);
	json_decref(value);
	return has;
}

static int why_one(struct cli_client *c, const char *key, const struct cli_args *a)
{
	json_t *value = NULL;
	int status = ask_why(c, key, a->rest[0], a, &value);

	if (value)
		cli_print_json(value, false);
	json_decref(value);
	return status;
}

int cli_why(const struct cli_args *a)
{
	const char *what = a->rest[0];
	struct mf_session_id id;
	struct cli_client c;
	struct mf_addr literal;
	const char *key = !mf_addr_parse(&literal, what)   ? "address"
			  : mf_session_id_parse(&id, what) ? "session"
			  : is_host(what)                  ? "name"
							   : NULL;
	int status;

	if (!*what)
		return usage("why", "missing: ", "DESTINATION | SESSION");
	if (!key)
		return usage("why",
			     "neither an address, nor a name, nor the id of a session: ", what);
	if (!cli_connect(&c, a->name))
		return CLI_FAILED;
	if (!strcmp(key, "name") && !has_dns(&c))
		status = why_resolved(&c, a);
	else
		status = why_one(&c, key, a);
	cli_disconnect(&c);
	return status;
}
