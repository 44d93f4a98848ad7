/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/idn.h"

#include <idn2.h>

mf_err mf_idn_to_ascii(const char *name, size_t n, char *out, size_t cap, struct mf_errbuf *eb)
{
	char text[MF_IDN_MAX + 1], *ascii = NULL;
	size_t len;
	int rc;

	if (n > MF_IDN_MAX)
		return mf_fail(eb, MF_E_RANGE, "the name is longer than %d bytes", MF_IDN_MAX);
	if (memchr(name, '\0', n))
		return mf_fail(eb, MF_E_MALFORMED, "the name has a NUL byte");
	memcpy(text, name, n);
	text[n] = '\0';
	rc = idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc == IDN2_MALLOC)
		return MF_E_NO_MEMORY;
	if (rc != IDN2_OK)
		return mf_fail(eb, MF_E_MALFORMED, "no internationalised name: %s",
			       idn2_strerror(rc));
	len = strlen(ascii);
	if (len < cap)
		memcpy(out, ascii, len + 1);
	idn2_free(ascii);
	return len < cap ? MF_OK
			 : mf_fail(eb, MF_E_RANGE, "the name is longer than %zu bytes", cap - 1);
}
