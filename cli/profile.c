/* SPDX-License-Identifier: Apache-2.0
 *
 * profile - the commands that work on files alone: check and import.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/import.h"

static void print_errors(const struct mf_config_errors *errs)
{
	struct mf_text text = { 0 };

	mf_config_errors_print(errs, &text);
	if (text.s)
		cli_fail_lines(text.s);
	mf_text_free(&text);
}

static void print_check_json(const char *path, const struct mf_config *cfg,
			     const struct mf_config_errors *errs, bool print)
{
	struct mf_text text = { 0 }, profile = { 0 };
	struct mf_json j = mf_json_init(&text);

	mf_json_object(&j);
	mf_json_kv_string(&j, "profile", path);
	mf_json_kv_bool(&j, "ok", cfg != NULL);
	mf_json_key(&j, "errors");
	mf_config_errors_json(errs, &j);
	if (cfg && print) {
		mf_config_print(cfg, &profile, false);
		mf_json_kv_string(&j, "text", profile.s ? profile.s : "");
	}
	mf_json_end(&j);
	puts(text.s ? text.s : "");
	mf_text_free(&profile);
	mf_text_free(&text);
}

static void print_summary(const struct mf_config *cfg, const char *path)
{
	/* As written; without app routing the allowed IPs are the routes. */
	uint32_t routes = cfg->app_routing.enabled ? cfg->app_routing.n_routes : cfg->n_rules;
	uint32_t peers = 0;

	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		peers += cfg->interfaces[i].n_peers;
	printf("%s: good: tunnel %s, %u interface%s, %u peer%s, %u route%s\n", path,
	       cfg->tunnel.name, cfg->n_interfaces, cfg->n_interfaces == 1 ? "" : "s", peers,
	       peers == 1 ? "" : "s", routes, routes == 1 ? "" : "s");
}

int cli_check(const struct cli_args *a)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text profile = { 0 };
	struct mf_config *cfg = NULL;
	mf_err err;

	if (!a->config) {
		cli_fail("check: -c PROFILE is missing");
		return CLI_USAGE;
	}
	err = mf_config_load(a->config, &cfg, &errs);
	if (a->json) {
		print_check_json(a->config, cfg, &errs, a->print);
	} else if (err) {
		print_errors(&errs);
	} else if (a->print) {
		mf_config_print(cfg, &profile, false);
		fputs(profile.s ? profile.s : "", stdout);
		mf_text_free(&profile);
	} else {
		print_summary(cfg, a->config);
	}
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	return err ? CLI_FAILED : CLI_OK;
}

/* ---- import ------------------------------------------------------------------------------------- */

typedef mf_err import_fn(const char *text, size_t n, struct mf_import *im,
			 struct mf_config_errors *errs);

static mf_err wireguard_text(const char *text, size_t n, struct mf_import *im,
			     struct mf_config_errors *errs)
{
	return mf_import_wireguard(text, n, "stdin", im, errs);
}

static mf_err links_text(const char *text, size_t n, struct mf_import *im,
			 struct mf_config_errors *errs)
{
	(void)errs;
	return mf_import_links(text, n, im);
}

static mf_err import_stdin(import_fn *import, struct mf_import *im, struct mf_config_errors *errs)
{
	char *text = malloc(MF_CONFIG_MAX_BYTES + 1);
	size_t n;
	mf_err err;

	if (!text)
		return MF_E_NO_MEMORY;
	n = fread(text, 1, MF_CONFIG_MAX_BYTES + 1, stdin);
	if (n > MF_CONFIG_MAX_BYTES) {
		err = MF_E_RANGE;
		mf_config_error(errs, (struct mf_config_pos){ 0 },
				"stdin is longer than %d KiB; shorten or split it",
				MF_CONFIG_MAX_BYTES >> 10);
	} else {
		err = import(text, n, im, errs);
	}
	mf_wipe(text, MF_CONFIG_MAX_BYTES + 1);
	free(text);
	return err;
}

static mf_err import_link(const char *what, struct mf_import *im, struct mf_config_errors *errs)
{
	return strcmp(what, "-") ? mf_import_links(what, strlen(what), im)
				 : import_stdin(links_text, im, errs);
}

static mf_err import_subscription(const char *what, struct mf_import *im,
				  struct mf_config_errors *errs)
{
	return strcmp(what, "-") ? mf_import_links_file(what, im, errs)
				 : import_stdin(links_text, im, errs);
}

static mf_err import_wireguard(const char *what, struct mf_import *im, struct mf_config_errors *errs)
{
	return strcmp(what, "-") ? mf_import_wireguard_file(what, im, errs)
				 : import_stdin(wireguard_text, im, errs);
}

static const struct kind {
	const char *name, *operand;
	mf_err (*import)(const char *what, struct mf_import *im, struct mf_config_errors *errs);
	const char *place; /* instead of the operand, in messages: a link is half a secret */
	bool links;
} kinds[] = {
	{ "wireguard", "FILE", import_wireguard, NULL, false },
	{ "link", "LINK", import_link, "link", true },
	{ "subscription", "FILE", import_subscription, NULL, true },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static void print_import_json(const struct mf_import *im, bool links, struct mf_text *text)
{
	struct mf_json j = mf_json_init(text);

	mf_json_object(&j);
	mf_json_kv_string(&j, "profile", im->profile.s ? im->profile.s : "");
	mf_json_key(&j, "notes");
	mf_import_notes_json(im, false, &j);
	if (links) {
		mf_json_kv_u64(&j, "taken", im->n_taken);
		mf_json_key(&j, "not_taken");
		mf_import_notes_json(im, true, &j);
	}
	mf_json_end(&j);
}

static void print_import(const struct mf_import *im, const char *name, bool links, bool json)
{
	struct mf_text text = { 0 };

	if (json) {
		print_import_json(im, links, &text);
		puts(text.s ? text.s : "");
	} else {
		fputs(im->profile.s ? im->profile.s : "", stdout);
		mf_import_notes_print(im, name, &text);
		fflush(stdout);
		if (text.s)
			fputs(text.s, stderr);
	}
	if (text.s)
		mf_wipe(text.s, text.cap);
	mf_text_free(&text);
}

/* NULL: the operands are no good, and it has been said why. */
static const struct kind *check_operands(const struct cli_args *a)
{
	const char *what = a->rest[0];
	const struct kind *k = find_kind(what);

	if (a->n_rest == 2 && k)
		return k;
	if (k)
		cli_fail("import: which %s? `mintflow import %s %s`",
			 k->links && !strcmp(k->operand, "LINK") ? "link" : "file", k->name,
			 k->operand);
	else if (a->n_rest == 2)
		cli_fail("import: only `wireguard`, `link` and `subscription` can be imported, not "
			 "%s",
			 what);
	else if (strstr(what, "://"))
		cli_fail("import: say what it is: `mintflow import link '...'`");
	else
		cli_fail("import: say what it is: `mintflow import wireguard %s`, or `mintflow "
			 "import "
			 "subscription %s`",
			 what, what);
	return NULL;
}

int cli_import(const struct cli_args *a)
{
	struct mf_config_errors errs = { 0 };
	const struct kind *k = check_operands(a);
	struct mf_import im = { 0 };
	const char *place;
	mf_err err;

	if (!k)
		return CLI_USAGE;
	err = k->import(a->rest[1], &im, &errs);
	place = !strcmp(a->rest[1], "-") ? "stdin" : k->place ? k->place : a->rest[1];
	if (!err || (k->links && err == MF_E_NOT_FOUND && !errs.n))
		print_import(&im, place, k->links, a->json);
	if (errs.n)
		print_errors(&errs);
	else if (err == MF_E_NOT_FOUND)
		cli_fail("%s: nothing was taken", place);
	else if (err)
		cli_fail("%s: %s", place, mf_err_text(err));
	mf_import_free(&im);
	mf_config_errors_free(&errs);
	return err ? CLI_FAILED : CLI_OK;
}
