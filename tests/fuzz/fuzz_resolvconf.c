/* SPDX-License-Identifier: Apache-2.0
 *
 * Any resolv.conf, as a DHCP client may have written it: ours begins as ours, has one name server
 * and no other, is text, fits, and what it keeps of the original it keeps of itself.
 */
#include <stdlib.h>

#include "platform/linux/sysdns_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

static struct mf_addr server = { .b = { 10, 66, 0, 1 }, .family = MF_AF_IP4 };

static size_t count(const char *text, size_t n, const char *word)
{
	size_t found = 0, len = strlen(word);

	for (size_t i = 0; i + len <= n; i++)
		found += !memcmp(text + i, word, len);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	char *once, *twice;
	size_t a, b;

	if (n > MF_RESOLVCONF_MAX)
		return 0;
	(void)mf_resolvconf_is_stub(mf_span(in, n));
	once = malloc(n + MF_RESOLVCONF_HEAD);
	a = mf_resolvconf_compose(once, "mint0", &server, "rm /etc/resolv.conf", mf_span(in, n));
	MF_ASSERT(a <= n + MF_RESOLVCONF_HEAD);
	MF_ASSERT(mf_resolvconf_is_ours(mf_span(once, a)));
	MF_ASSERT(!mf_resolvconf_is_stub(mf_span(once, a)));
	MF_ASSERT(count(once, a, "\nnameserver") == 1 && once[a - 1] == '\n');
	for (size_t i = 0; i < a; i++)
		MF_ASSERT((uint8_t)once[i] >= ' ' || once[i] == '\n' || once[i] == '\t');
	twice = malloc(a + MF_RESOLVCONF_HEAD);
	b = mf_resolvconf_compose(twice, "mint0", &server, "rm /etc/resolv.conf", mf_span(once, a));
	MF_ASSERT(a == b && !memcmp(once, twice, a));
	free(twice);
	free(once);
	return 0;
}
