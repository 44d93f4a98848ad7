/* SPDX-License-Identifier: Apache-2.0
 *
 * show - the commands that ask a running tunnel and print the answer: status, show, why, reload.
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

/* Asks once, or again and again. Every repetition is a connection of its own, so that a restart of the
 * tunnel in between does not matter much. */
static int ask_repeatedly(const struct cli_args *a, const char *cmd, const char *table)
{
	bool first = true, screen = a->watch > 0 && !a->json && isatty(STDOUT_FILENO);
	int status;

	for (;; first = false) {
		struct cli_client c;
		json_t *request;

		if (!cli_connect(&c, a->name))
			return CLI_FAILED;
		request = request_of(cmd, a);
		if (table) {
			json_object_set_new(request, "table", json_string(table));
			json_object_set_new(request, "all", json_boolean(a->all));
		}
		if (screen)
			fputs("\033[H\033[2J", stdout);
		else if (!first && !a->json)
			putchar('\n');
		status = ask_and_print(&c, request, a, a->watch > 0);
		cli_disconnect(&c);
		if (status || a->watch <= 0)
			return status;
		wait_seconds(a->watch);
	}
}

int cli_status(const struct cli_args *a)
{
	return ask_repeatedly(a, "status", NULL);
}

int cli_show(const struct cli_args *a)
{
	static const char *const tables[] = { "interfaces", "peers", "routes", "sessions",
					      "dns-cache",  "nodes", "drops",  "log" };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(tables[i], a->rest[0]))
			return ask_repeatedly(a, "show", a->rest[0]);
	cli_fail("there is no table %s; see `mintflow show --help`", a->rest[0]);
	return CLI_USAGE;
}

int cli_reload(const struct cli_args *a)
{
	struct cli_client c;
	int status;

	if (!cli_connect(&c, a->name))
		return CLI_FAILED;
	status = ask_and_print(&c, request_of("reload", a), a, false);
	cli_disconnect(&c);
	return status;
}

/* ---- why ---------------------------------------------------------------------------------------- */

static int why_address(struct cli_client *c, const char *text, const struct cli_args *a, json_t **out)
{
	json_t *request = request_of("why", a);
	char *answer;
	int status;

	json_object_set_new(request, "address", json_string(text));
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

static int why_name(struct cli_client *c, const struct cli_args *a)
{
	json_t *addresses = resolve(a->rest[0]), *answers = json_array(), *value;
	int status = json_array_size(addresses) ? CLI_OK : CLI_FAILED;

	if (!a->json && !status)
		printf("%s: %zu address%s, as the system resolves it now\n", a->rest[0],
		       json_array_size(addresses), json_array_size(addresses) == 1 ? "" : "es");
	for (size_t i = 0; i < json_array_size(addresses) && !status; i++) {
		if (!a->json)
			putchar('\n');
		status = why_address(c, json_string_value(json_array_get(addresses, i)), a, &value);
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

int cli_why(const struct cli_args *a)
{
	struct cli_client c;
	struct mf_addr literal;
	json_t *value = NULL;
	int status;

	if (!cli_connect(&c, a->name))
		return CLI_FAILED;
	if (mf_addr_parse(&literal, a->rest[0])) {
		status = why_name(&c, a);
	} else {
		status = why_address(&c, a->rest[0], a, &value);
		if (value)
			cli_print_json(value, false);
		json_decref(value);
	}
	cli_disconnect(&c);
	return status;
}
