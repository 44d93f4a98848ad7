/* SPDX-License-Identifier: Apache-2.0
 *
 * cli - the `mintflow` command: a table of subcommands, each with its options, from which the help is
 * made. The man page and the shell completions are compared with it by a test.
 */
#ifndef MF_CLI_H
#define MF_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* What the options of all commands together may set. */
struct cli_args {
	const char *name; /* of the tunnel; NULL: the only one */
	const char *config, *interface, *node, *file;
	uint64_t count, snaplen;
	double watch; /* seconds between repetitions; 0: once */
	bool json, all, print, drop_sessions;
	char **rest; /* what is not an option */
	int n_rest;
};

enum cli_kind {
	CLI_FLAG,    /* bool */
	CLI_TEXT,    /* const char * */
	CLI_NUMBER,  /* uint64_t */
	CLI_SECONDS, /* double; the value may be left out */
};

struct cli_option {
	char letter; /* 0: none */
	const char *name;
	const char *value; /* what the value is called, NULL: takes none */
	enum cli_kind kind;
	size_t at; /* in struct cli_args */
	const char *help;
};

enum { CLI_OPTIONS_MAX = 8 };

struct cli_command {
	const char *name;
	const char *operands;   /* "" or e.g. "TABLE" */
	int min_rest, max_rest; /* how many operands; max -1: any number */
	const char *summary;
	const char *more; /* further lines of the help, or NULL */
	struct cli_option option[CLI_OPTIONS_MAX];
	/* NULL: `whole` runs it and parses its options itself (argv[0] is the command's name). */
	int (*run)(const struct cli_args *args);
	int (*whole)(int argc, char **argv);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

/* Returns CLI_OK, and `help` says whether only help was asked for; or CLI_USAGE, having said why. */
int cli_parse(const struct cli_command *c, int argc, char **argv, struct cli_args *out, bool *help);
void cli_print_help(const struct cli_command *c);

/* "mintflow: " and the sentence on stderr. Returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Errors, one a line. Those that name a place in a file stand as they are, as a compiler's do; the others
 * get "mintflow: " in front. Returns CLI_FAILED. */
int cli_fail_lines(const char *text);

int cli_status(const struct cli_args *a);
int cli_show(const struct cli_args *a);
int cli_why(const struct cli_args *a);
int cli_close(const struct cli_args *a);
int cli_flush(const struct cli_args *a);
int cli_test(const struct cli_args *a);
int cli_reload(const struct cli_args *a);
int cli_stop(const struct cli_args *a);
int cli_capture(const struct cli_args *a);
int cli_check(const struct cli_args *a);
int cli_import(const struct cli_args *a);
int cli_genkey(const struct cli_args *a);
int cli_pubkey(const struct cli_args *a);
int cli_genpsk(const struct cli_args *a);

#endif
