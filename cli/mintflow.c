/* SPDX-License-Identifier: Apache-2.0
 *
 * mintflow - the program's main: finds the subcommand and hands over.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "daemon/daemon.h"

#define AT(member) offsetof(struct cli_args, member)

#define JSON                                                                             \
	{                                                                                \
		0, "json", NULL, CLI_FLAG, AT(json), "print JSON, numbers without units" \
	}
#define TUNNEL                                                                                       \
	{                                                                                            \
		'n', "name", "NAME", CLI_TEXT, AT(name), "the tunnel; default: the only one running" \
	}

#define SESSION_WORDS                                                                    \
	"FILTER is any of these words together, each once:\n"                            \
	"  tcp | udp | icmp   the protocol\n"                                            \
	"  via IFACE          carried by this interface\n"                               \
	"  app ADDRESS        the app's end: ADDR, PREFIX, ADDR:PORT or :PORT\n"         \
	"  to ADDRESS         the far end, in the same forms\n"                          \
	"  state STATE        opening, accepting, established, unreplied, app-closed,\n" \
	"                     far-closed, closing or time-wait\n"                        \
	"  name NAME          that have shown this name or one below it\n"               \
	"  kept               those that stay where they are though the route has changed\n"

const struct cli_command cli_commands[] = {
	{
		.name = "run",
		.operands = "",
		.summary = "run in the foreground until SIGTERM or SIGINT; SIGHUP reloads",
		.option = {
			{ 'c', "config", "PROFILE", CLI_TEXT, AT(config), "the profile (required)" },
			{ 0, "log-level", "LEVEL", CLI_TEXT, AT(file),
			  "error, warn, info or debug; default: info" },
			{ 0, "log-json", NULL, CLI_FLAG, AT(json), "log JSON objects, one a line" },
			{ 0, "workers", "N", CLI_NUMBER, AT(count), "instead of the profile's number" },
		},
		.whole = mf_daemon_run,
	},
	{
		.name = "check",
		.operands = "",
		.summary = "load and check a profile, print everything that is wrong",
		.option = {
			{ 'c', "config", "PROFILE", CLI_TEXT, AT(config), "the profile (required)" },
			{ 0, "print", NULL, CLI_FLAG, AT(print),
			  "print the profile with every default, without its keys" },
			JSON,
		},
		.run = cli_check,
	},
	{
		.name = "status",
		.operands = "",
		.summary = "up-time, interfaces with state and rates, sessions, memory",
		.option = {
			{ 'w', "watch", "SECONDS", CLI_SECONDS, AT(watch), "repeat, every 2 s by default" },
			TUNNEL,
			JSON,
		},
		.run = cli_status,
	},
	{
		.name = "show",
		.operands = "TABLE [FILTER]",
		.min_rest = 1,
		.max_rest = -1,
		.summary = "print a table, of sessions and kept answers all or some",
		.more = "Tables: interfaces, peers, routes, sessions, dns, dns-cache, nodes, drops, log\n"
			"Behind dns-cache FILTER is a name: what is kept of it and all below it.\n"
			"Behind sessions " SESSION_WORDS,
		.option = {
			{ 'a', "all", NULL, CLI_FLAG, AT(all),
			  "also what is zero, and long tables to their end" },
			{ 'w', "watch", "SECONDS", CLI_SECONDS, AT(watch), "repeat, every 2 s by default" },
			TUNNEL,
			JSON,
		},
		.run = cli_show,
	},
	{
		.name = "why",
		.operands = "DESTINATION | SESSION",
		.min_rest = 1,
		.max_rest = 1,
		.summary = "which way a packet to an address or a name goes, and who says so",
		.more = "SESSION is the id of one, from `mintflow show sessions`.\n",
		.option = { TUNNEL, JSON },
		.run = cli_why,
	},
	{
		.name = "close",
		.operands = "SESSION... | FILTER | all",
		.min_rest = 1,
		.max_rest = -1,
		.summary = "end sessions of the host stack",
		.more = "SESSION is the id of one, from `mintflow show sessions`.\n" SESSION_WORDS,
		.option = { TUNNEL, JSON },
		.run = cli_close,
	},
	{
		.name = "flush",
		.operands = "dns-cache [NAME]",
		.min_rest = 1,
		.max_rest = 2,
		.summary = "forget what the DNS server keeps, all or of a name and what is below it",
		.more = "Learned routes stay.\n",
		.option = { TUNNEL, JSON },
		.run = cli_flush,
	},
	{
		.name = "test",
		.operands = "INTERFACE [URL]",
		.min_rest = 1,
		.max_rest = 2,
		.summary = "fetch a page through an interface, and tell what took how long, or what is wrong",
		.more = "URL is of http:// or https://; default: https://example.com/\n",
		.option = { TUNNEL, JSON },
		.run = cli_test,
	},
	{
		.name = "capture",
		.operands = "[FILTER]",
		.max_rest = -1,
		.summary = "write packets as pcapng, with the verdict of each as a comment",
		.more = "FILTER is a libpcap expression, see pcap-filter(7).\n",
		.option = {
			{ 'i', "interface", "IFACE", CLI_TEXT, AT(interface),
			  "only packets of this interface of the profile" },
			{ 'n', "node", "NODE", CLI_TEXT, AT(node),
			  "packets as they are before this node; default: as they enter" },
			{ 'w', "write", "FILE", CLI_TEXT, AT(file), "instead of standard output; - is that" },
			{ 'c', "count", "COUNT", CLI_NUMBER, AT(count), "end after so many packets" },
			{ 's', "snaplen", "BYTES", CLI_NUMBER, AT(snaplen),
			  "keep so much of each packet, 64..65535; default: all" },
			{ 0, "name", "NAME", CLI_TEXT, AT(name),
			  "the tunnel; default: the only one running" },
		},
		.run = cli_capture,
	},
	{
		.name = "reload",
		.operands = "",
		.summary = "load the profile again, and tell what changed or what is wrong",
		.option = {
			{ 0, "drop-sessions", NULL, CLI_FLAG, AT(drop_sessions),
			  "end running sessions whose route leads elsewhere now" },
			TUNNEL,
			JSON,
		},
		.run = cli_reload,
	},
	{
		.name = "stop",
		.operands = "",
		.summary = "stop and wait for the end; remove what a killed run has left",
		.option = { TUNNEL, JSON },
		.run = cli_stop,
	},
	{
		.name = "import",
		.operands = "wireguard FILE | link LINK | subscription FILE",
		.min_rest = 1, /* a file alone gets a better answer than "missing" */
		.max_rest = 2,
		.summary = "print a wg-quick configuration, or links, as a profile",
		.more = "wireguard: a wg-quick file becomes a whole profile.\n"
			"link: ss, vmess, vless, trojan, socks5, http, https or wireguard://...\n"
			"subscription: a list of such links, plain or in base64, or SIP008.\n"
			"Links become the section `interfaces` of a profile. FILE and LINK may be - for standard\n"
			"input. What was not taken over is told on standard error.\n",
		.option = { JSON },
		.run = cli_import,
	},
	{
		.name = "genkey",
		.operands = "",
		.summary = "print a new private key",
		.run = cli_genkey,
	},
	{
		.name = "pubkey",
		.operands = "",
		.summary = "read a private key, print its public key",
		.run = cli_pubkey,
	},
	{
		.name = "genpsk",
		.operands = "",
		.summary = "print a new preshared key",
		.run = cli_genpsk,
	},
};
const size_t cli_n_commands = sizeof(cli_commands) / sizeof(cli_commands[0]);

int cli_fail(const char *fmt, ...)
{
	va_list ap;

	/* What is on its way to the terminal comes first. */
	fflush(stdout);
	fputs("mintflow: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_FAILED;
}

int cli_fail_lines(const char *text)
{
	static const char word[] = "error: ";

	fflush(stdout);
	for (const char *end; *text; text = *end ? end + 1 : end) {
		const char *place = strstr(text, ": error: ");

		end = strchrnul(text, '\n');
		if (end == text)
			continue;
		if (!place || place >= end) {
			fputs("mintflow: ", stderr);
			if (!strncmp(text, word, sizeof(word) - 1))
				text += sizeof(word) - 1;
		}
		fprintf(stderr, "%.*s\n", (int)(end - text), text);
	}
	return CLI_FAILED;
}

static int print_overview(void)
{
	printf("usage: mintflow COMMAND [OPTION]... [OPERAND]...\n\n");
	for (size_t i = 0; i < cli_n_commands; i++)
		printf("  %-8s %s\n", cli_commands[i].name, cli_commands[i].summary);
	printf("\n  --help     this text; behind a command: its options\n"
	       "  --version  the version\n");
	return CLI_OK;
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (!strcmp(cli_commands[i].name, name))
			return &cli_commands[i];
	return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int run_command(const struct cli_command *c, int argc, char **argv)
{
	struct cli_args args = { 0 };
	bool help = false;
	int status;

	if (c->whole) {
		if (!asks_for_help(argc, argv))
			return c->whole(argc, argv);
		cli_print_help(c);
		return CLI_OK;
	}
	status = cli_parse(c, argc, argv, &args, &help);
	if (status)
		return status;
	if (help) {
		cli_print_help(c);
		return CLI_OK;
	}
	return c->run(&args);
}

static int dispatch(int argc, char **argv)
{
	const struct cli_command *c;

	if (argc < 2) {
		fputs("mintflow: which command? `mintflow --help` lists them\n", stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("mintflow " MF_VERSION);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    (!strcmp(argv[1], "help") && argc == 2))
		return print_overview();
	c = find_command(!strcmp(argv[1], "help") ? argv[2] : argv[1]);
	if (!c) {
		fprintf(stderr, "mintflow: there is no command %s; `mintflow --help` lists them\n",
			!strcmp(argv[1], "help") ? argv[2] : argv[1]);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "help")) {
		cli_print_help(c);
		return CLI_OK;
	}
	return run_command(c, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status = dispatch(argc, argv);

	/* A full disk shows here; a reader that has gone has ended us with SIGPIPE. */
	if (fflush(stdout) || ferror(stdout))
		status = cli_fail("writing to standard output: %s", strerror(errno));
	return status;
}
