/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept beside the copy of a list: whatever is read prints, and reads back as the same; nothing goes into
 * a header that could end it.
 */
#include "policy/subscription.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tag(const char *tag)
{
	MF_ASSERT(strlen(tag) <= MF_COPY_TAG_MAX);
	for (; *tag; tag++)
		MF_ASSERT(*tag >= ' ' && *tag <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_copy_facts a, b;
	char text[1024];
	size_t n;

	if (mf_copy_facts_parse(mf_span(data, size), &a))
		return 0;
	check_tag(a.etag);
	check_tag(a.modified);
	MF_ASSERT(a.fetched >= 0);
	n = mf_copy_facts_print(&a, text, sizeof(text));
	MF_ASSERT(!mf_copy_facts_parse(mf_span(text, n), &b));
	MF_ASSERT(!strcmp(a.etag, b.etag) && !strcmp(a.modified, b.modified) &&
		  a.fetched == b.fetched);
	return 0;
}
