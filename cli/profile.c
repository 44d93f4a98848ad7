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

static mf_err import_stdin(struct mf_import *im, struct mf_config_errors *errs)
{
	char *text = malloc(MF_CONFIG_MAX_BYTES + 1);
	size_t n;
	mf_err err;

	if (!text)
		return MF_E_NO_MEMORY;
	n = fread(text, 1, MF_CONFIG_MAX_BYTES + 1, stdin);
	err = n > MF_CONFIG_MAX_BYTES ? MF_E_RANGE : mf_import_wireguard(text, n, "stdin", im, errs);
	mf_wipe(text, MF_CONFIG_MAX_BYTES + 1);
	free(text);
	return err;
}

static void print_import(const struct mf_import *im, const char *name, bool json)
{
	struct mf_text text = { 0 };
	struct mf_json j = mf_json_init(&text);

	if (json) {
		mf_json_object(&j);
		mf_json_kv_string(&j, "profile", im->profile.s ? im->profile.s : "");
		mf_json_key(&j, "notes");
		mf_import_notes_json(im, &j);
		mf_json_end(&j);
		puts(text.s ? text.s : "");
	} else {
		fputs(im->profile.s ? im->profile.s : "", stdout);
		mf_import_notes_print(im, name, &text);
		if (text.s)
			fputs(text.s, stderr);
	}
	if (text.s)
		mf_wipe(text.s, text.cap);
	mf_text_free(&text);
}

/* True: the operands are no good, and it has been said why. */
static bool wrong_operands(const struct cli_args *a)
{
	const char *what = a->rest[0];

	if (a->n_rest == 2 && !strcmp(what, "wireguard"))
		return false;
	if (a->n_rest == 2)
		cli_fail("import: only `wireguard` can be imported, not %s", what);
	else if (!strcmp(what, "wireguard"))
		cli_fail("import: which file? `mintflow import wireguard FILE`");
	else
		cli_fail("import: say what it is: `mintflow import wireguard %s`", what);
	return true;
}

int cli_import(const struct cli_args *a)
{
	struct mf_config_errors errs = { 0 };
	struct mf_import im = { 0 };
	const char *file;
	mf_err err;

	if (wrong_operands(a))
		return CLI_USAGE;
	file = a->rest[1];
	err = strcmp(file, "-") ? mf_import_wireguard_file(file, &im, &errs)
				: import_stdin(&im, &errs);
	if (!err)
		print_import(&im, file, a->json);
	else if (errs.n)
		print_errors(&errs);
	else
		cli_fail("%s: %s", file, mf_err_text(err));
	mf_import_free(&im);
	mf_config_errors_free(&errs);
	return err ? CLI_FAILED : CLI_OK;
}
