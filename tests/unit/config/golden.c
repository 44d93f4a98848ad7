/* SPDX-License-Identifier: Apache-2.0
 *
 * golden - profiles in, what `mintflow check` says or prints out; wg-quick files and lists of links in,
 * profiles out.
 *
 *	golden profile|import DIR            compares, exit status 1 if anything differs
 *	golden profile|import DIR --update   writes what it finds as what is expected (look at the diff)
 *
 * DIR/x.yaml has either x.errors or x.printed beside it, DIR/x.conf either x.errors, or x.yaml and
 * x.notes, DIR/x.links x.notes, and x.yaml unless nothing was taken.
 */
#include "config/config.h"
#include "config/import.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool update;
static unsigned passed, failed;

static char *slurp(const char *path, size_t *n)
{
	enum { LONGEST = 1 << 20 };
	FILE *f = fopen(path, "r");
	char *text = calloc(1, LONGEST + 1);

	*n = 0;
	if (!f || !text) {
		free(text);
		if (f)
			(void)fclose(f);
		return NULL;
	}
	*n = fread(text, 1, LONGEST, f);
	(void)fclose(f);
	return text;
}

static void spill(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f)) {
		perror(path);
		exit(2);
	}
}

/* base.suffix must hold `text`; NULL: must not be there. */
static void expect(const char *base, const char *suffix, const char *text)
{
	char path[512], *wanted;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s.%s", base, suffix);
	if (update) {
		if (text)
			spill(path, text);
		else
			(void)unlink(path);
		return;
	}
	wanted = slurp(path, &n);
	if ((!text && !wanted) || (text && wanted && !strcmp(text, wanted))) {
		passed++;
	} else {
		failed++;
		printf("%s differs\n--- expected\n%s--- got\n%s---\n", path,
		       wanted ? wanted : "(nothing)\n", text ? text : "(nothing)\n");
	}
	free(wanted);
}

static const char *text_of(const struct mf_text *t)
{
	return t->s ? t->s : "";
}

/* What a profile prints must parse, and print the same again. */
static void expect_stable(const char *name, const struct mf_text *printed)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;
	struct mf_text again = { 0 };

	if (mf_config_parse(printed->s, printed->len, name, 0, &cfg, &errs))
		mf_config_errors_print(&errs, &again);
	else
		mf_config_print(cfg, &again, true);
	if (!strcmp(text_of(&again), text_of(printed))) {
		passed++;
	} else {
		failed++;
		printf("%s does not print what parses back:\n%s---\n%s---\n", name,
		       text_of(printed), text_of(&again));
	}
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	mf_text_free(&again);
}

static void one_profile(const char *name, const char *base, const char *text, size_t n)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;
	struct mf_text out = { 0 };

	if (mf_config_parse(text, n, name, 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &out);
		expect(base, "errors", text_of(&out));
		expect(base, "printed", NULL);
	} else {
		mf_config_print(cfg, &out, true);
		expect(base, "printed", text_of(&out));
		expect(base, "errors", NULL);
		expect_stable(name, &out);
	}
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	mf_text_free(&out);
}

static void one_import(const char *name, const char *base, const char *text, size_t n)
{
	struct mf_config_errors errs = { 0 };
	struct mf_import im;
	struct mf_text out = { 0 };

	if (mf_import_wireguard(text, n, name, &im, &errs)) {
		mf_config_errors_print(&errs, &out);
		expect(base, "errors", text_of(&out));
		expect(base, "yaml", NULL);
		expect(base, "notes", NULL);
	} else {
		mf_import_notes_print(&im, name, &out);
		expect(base, "errors", NULL);
		expect(base, "yaml", text_of(&im.profile));
		expect(base, "notes", text_of(&out));
	}
	mf_import_free(&im);
	mf_config_errors_free(&errs);
	mf_text_free(&out);
}

/* What is printed must load in a profile. */
static void expect_loads(const char *name, const struct mf_import *im)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 }, said = { 0 };
	struct mf_config *cfg;

	mf_text_printf(&text, "version: 1\ntunnel: {}\napp_routing: {}\n%s", im->profile.s);
	if (mf_config_parse(text.s, text.len, name, 0, &cfg, &errs) == MF_OK &&
	    cfg->n_interfaces == im->n_taken) {
		passed++;
	} else {
		failed++;
		mf_config_errors_print(&errs, &said);
		printf("%s: what is printed does not load:\n%s", name, text_of(&said));
	}
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	mf_text_free(&text);
	mf_text_free(&said);
}

static void one_list(const char *name, const char *base, const char *text, size_t n)
{
	struct mf_import im;
	struct mf_text out = { 0 };
	mf_err err = mf_import_links(text, n, &im);

	mf_import_notes_print(&im, name, &out);
	expect(base, "notes", text_of(&out));
	expect(base, "yaml", err ? NULL : text_of(&im.profile));
	if (!err)
		expect_loads(name, &im);
	mf_import_free(&im);
	mf_text_free(&out);
}

static void one(const char *name, const char *suffix)
{
	size_t n, len = strlen(name), cut = strlen(suffix);
	char base[256], *text;

	if (len <= cut || len >= sizeof(base) || strcmp(name + len - cut, suffix) != 0)
		return;
	(void)snprintf(base, sizeof(base), "%.*s", (int)(len - cut), name);
	text = slurp(name, &n);
	if (!text) {
		perror(name);
		exit(2);
	}
	if (!strcmp(suffix, ".yaml"))
		one_profile(name, base, text, n);
	else if (!strcmp(suffix, ".links"))
		one_list(name, base, text, n);
	else
		one_import(name, base, text, n);
	free(text);
}

int main(int argc, char **argv)
{
	struct dirent **list;
	int n;

	if (argc < 3 || chdir(argv[2]) < 0) {
		(void)fprintf(stderr, "usage: golden profile|import DIR [--update]\n");
		return 2;
	}
	update = argc > 3 && !strcmp(argv[3], "--update");
	n = scandir(".", &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (!strcmp(argv[1], "profile")) {
			one(list[i]->d_name, ".yaml");
		} else {
			one(list[i]->d_name, ".conf");
			one(list[i]->d_name, ".links");
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || (!passed && !update);
}
