/* SPDX-License-Identifier: Apache-2.0
 *
 * options - parses a command's options as its table says, and prints that table.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const struct cli_option *find_option(const struct cli_command *c, const char *name, size_t n,
					    char letter)
{
	for (size_t i = 0; i < CLI_OPTIONS_MAX && c->option[i].name; i++) {
		const struct cli_option *o = &c->option[i];

		if (letter ? o->letter == letter : strlen(o->name) == n && !strncmp(o->name, name, n))
			return o;
	}
	return NULL;
}

static int usage(const struct cli_command *c, const char *what, const char *word)
{
	fprintf(stderr, "mintflow %s: %s%s; see `mintflow %s --help`\n", c->name, what, word,
		c->name);
	return CLI_USAGE;
}

static bool parse_seconds(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *text && !*end && isfinite(*out) && *out >= 0.05 && *out <= 86400;
}

static bool parse_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static int store(const struct cli_command *c, const struct cli_option *o, const char *value,
		 struct cli_args *out)
{
	void *at = (char *)out + o->at;

	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)at = true;
		return CLI_OK;
	case CLI_TEXT:
		*(const char **)at = value;
		return CLI_OK;
	case CLI_NUMBER:
		return parse_number(value, at) ? CLI_OK : usage(c, "not a number: ", value);
	case CLI_SECONDS:
		return parse_seconds(value, at) ? CLI_OK
						: usage(c, "not a number of seconds: ", value);
	}
	return CLI_FAILED;
}

/* One option whose value may be `inline_value`, or else the next argument; moves `*i` past that. */
static int take(const struct cli_command *c, const struct cli_option *o, const char *inline_value,
		int argc, char **argv, int *i, struct cli_args *out)
{
	const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
	double seconds;

	if (!o->value)
		return inline_value ? usage(c, "takes no value: --", o->name)
				    : store(c, o, NULL, out);
	if (inline_value)
		return store(c, o, inline_value, out);
	if (o->kind == CLI_SECONDS && (!next || !parse_seconds(next, &seconds)))
		return store(c, o, "2", out);
	if (!next)
		return usage(c, "a value is missing behind --", o->name);
	++*i;
	return store(c, o, next, out);
}

static int take_long(const struct cli_command *c, int argc, char **argv, int *i, struct cli_args *out)
{
	const char *name = argv[*i] + 2, *eq = strchr(name, '=');
	const struct cli_option *o =
		find_option(c, name, eq ? (size_t)(eq - name) : strlen(name), '\0');

	if (!o)
		return usage(c, "there is no option ", argv[*i]);
	return take(c, o, eq ? eq + 1 : NULL, argc, argv, i, out);
}

/* "-ac5" is "-a -c 5". */
static int take_letters(const struct cli_command *c, int argc, char **argv, int *i,
			struct cli_args *out)
{
	const char *word = argv[*i];

	for (const char *p = word + 1; *p; p++) {
		const struct cli_option *o = find_option(c, NULL, 0, *p);
		int status;

		if (!o)
			return usage(c, "there is no option ", word);
		if (o->value && p[1])
			return take(c, o, p + 1, argc, argv, i, out);
		status = take(c, o, NULL, argc, argv, i, out);
		if (status || o->value)
			return status;
	}
	return CLI_OK;
}

/* Operands move to the front of argv, so that `out->rest` is one piece. */
int cli_parse(const struct cli_command *c, int argc, char **argv, struct cli_args *out, bool *help)
{
	bool only_operands = false;
	int n = 0, status;

	for (int i = 1; i < argc; i++) {
		char *word = argv[i];

		if (only_operands || word[0] != '-' || !word[1]) {
			argv[n++] = word;
		} else if (!strcmp(word, "--")) {
			only_operands = true;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			*help = true;
			return CLI_OK;
		} else {
			status = word[1] == '-' ? take_long(c, argc, argv, &i, out)
						: take_letters(c, argc, argv, &i, out);
			if (status)
				return status;
		}
	}
	out->rest = argv;
	out->n_rest = n;
	if (n < c->min_rest)
		return usage(c, "missing: ", c->operands);
	if (c->max_rest >= 0 && n > c->max_rest)
		return usage(c,
			     find_option(c, NULL, 0, 'c') && !out->config && !c->max_rest
				     ? "a profile is named with -c: "
				     : "too much: ",
			     argv[c->max_rest]);
	return CLI_OK;
}

void cli_print_help(const struct cli_command *c)
{
	bool any = c->option[0].name != NULL;

	printf("usage: mintflow %s%s%s%s\n\n%s.\n", c->name, any ? " [OPTION]..." : "",
	       *c->operands ? " " : "", c->operands, c->summary);
	if (c->more)
		printf("%s", c->more);
	if (any)
		putchar('\n');
	for (size_t i = 0; i < CLI_OPTIONS_MAX && c->option[i].name; i++) {
		const struct cli_option *o = &c->option[i];
		bool optional = o->kind == CLI_SECONDS;
		char left[64], letter[8] = "    ";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s%s", letter, o->name,
			 !o->value  ? ""
			 : optional ? " ["
				    : " ",
			 o->value ? o->value : "", o->value && optional ? "]" : "");
		printf("  %-26s %s\n", left, o->help);
	}
}
