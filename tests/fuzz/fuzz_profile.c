/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the profile loader: no crash, and what loads prints as what loads to the same again.
 */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct mf_config *load(const char *text, size_t n)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;
	struct mf_text said = { 0 };
	mf_err err = mf_config_parse(text, n, "fuzz.yaml", MF_CONFIG_NO_FILES, &cfg, &errs);

	MF_ASSERT((err == MF_OK) == (cfg != NULL));
	MF_ASSERT((err == MF_OK) == (errs.n == 0));
	mf_config_errors_print(&errs, &said);
	mf_text_free(&said);
	mf_config_errors_free(&errs);
	return cfg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mf_config *cfg = load((const char *)data, n), *again;
	struct mf_text once = { 0 }, twice = { 0 };

	if (!cfg)
		return 0;
	mf_config_print(cfg, &once, true);
	again = load(once.s, once.len);
	/* printing may be longer than what it came from, and so too long */
	if (once.len <= MF_CONFIG_MAX_BYTES) {
		MF_ASSERT(again);
		MF_ASSERT(again->n_rules == cfg->n_rules);
		mf_config_print(again, &twice, true);
		MF_ASSERT(!strcmp(once.s, twice.s));
	}
	mf_config_free(again);
	mf_config_free(cfg);
	mf_text_free(&once);
	mf_text_free(&twice);
	return 0;
}
