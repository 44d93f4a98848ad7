/* SPDX-License-Identifier: Apache-2.0
 *
 * profile-doc - prints docs/profile.md from the schema of the profile (src/config/schema.c):
 *
 *	profile-doc > docs/profile.md
 */
#include "config/config.h"

#include <stdio.h>

int main(void)
{
	struct mf_text page = { 0 };
	bool ok;

	mf_config_print_reference(&page);
	ok = !page.failed && fwrite(page.s, 1, page.len, stdout) == page.len && !fflush(stdout);
	mf_text_free(&page);
	return ok ? 0 : 1;
}
