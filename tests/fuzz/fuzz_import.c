/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the import of wg-quick files: no crash, and whatever is imported is a profile that loads. The
 * first line is the file's name, the rest its text.
 */
#include "config/import.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *newline = n ? memchr(data, '\n', n) : NULL;
	struct mf_config_errors errs = { 0 };
	struct mf_text said = { 0 };
	struct mf_config *cfg;
	struct mf_import im;
	char name[64] = "";
	size_t skip = newline ? (size_t)(newline - data) + 1 : 0;

	if (skip)
		memcpy(name, data, mf_min(skip - 1, sizeof(name) - 1));
	if (mf_import_wireguard((const char *)data + skip, n - skip, name, &im, &errs) == MF_OK) {
		MF_ASSERT(errs.n == 0);
		MF_ASSERT(mf_config_parse(im.profile.s, im.profile.len, name, 0, &cfg, &errs) ==
			  MF_OK);
		mf_config_free(cfg);
	} else {
		MF_ASSERT(errs.n > 0);
	}
	mf_import_notes_print(&im, name, &said);
	mf_config_errors_print(&errs, &said);
	mf_text_free(&said);
	mf_config_errors_free(&errs);
	mf_import_free(&im);
	return 0;
}
