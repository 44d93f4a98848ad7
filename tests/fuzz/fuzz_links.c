/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the import of share links: no crash, and what it prints is a section that loads with as many
 * interfaces as were taken.
 */
#include "config/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_loads(const struct mf_import *im)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 };
	struct mf_config *cfg;

	mf_text_printf(&text, "version: 1\ntunnel: {}\napp_routing: {}\n%s", im->profile.s);
	MF_ASSERT(mf_config_parse(text.s, text.len, "fuzz.yaml", 0, &cfg, &errs) == MF_OK);
	MF_ASSERT(cfg->n_interfaces == im->n_taken);
	mf_config_free(cfg);
	mf_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mf_text said = { 0 };
	struct mf_json j = mf_json_init(&said);
	struct mf_import im;
	mf_err err = mf_import_links((const char *)data, n, &im);

	MF_ASSERT(err == MF_OK || err == MF_E_NOT_FOUND || err == MF_E_RANGE);
	MF_ASSERT((err == MF_OK) == (im.n_taken > 0));
	MF_ASSERT((err == MF_OK) == (im.profile.s != NULL));
	if (!err)
		check_loads(&im);
	mf_import_notes_print(&im, "links", &said);
	mf_text_free(&said);
	mf_import_notes_json(&im, true, &j);
	mf_text_free(&said);
	mf_import_free(&im);
	return 0;
}
