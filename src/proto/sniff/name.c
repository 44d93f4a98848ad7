/* SPDX-License-Identifier: Apache-2.0
 *
 * name - host names as strangers write them, in the one form in which rules look them up.
 */
#include "proto/sniff/internal.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX = 63 };

/* The character in lower case, 0 if host names do not have it. RFC 1123 2.1, and the underscore, which names
 * in use have. */
static char host_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return c;
	return 0;
}

/* A name whose last label is a number is an IPv4 address in one of the forms that programs take for one (as in
 * the URL standard of WHATWG). */
static bool is_number(const char *label, size_t n)
{
	bool hex = n >= 2 && label[0] == '0' && label[1] == 'x';

	for (size_t i = hex ? 2 : 0; i < n; i++) {
		bool digit = label[i] >= '0' && label[i] <= '9';

		if (!digit && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	}
	return true;
}

/* Copies in lower case; false: not a host name. */
static bool copy_labels(char *to, const char *text, size_t n)
{
	size_t label = 0; /* where it begins */

	for (size_t i = 0; i <= n; i++) {
		if (i == n || text[i] == '.') {
			if (i == label || i - label > LABEL_MAX)
				return false;
			if (i == n)
				return !is_number(to + label, i - label);
			label = i + 1;
			to[i] = '.';
			continue;
		}
		to[i] = host_char(text[i]);
		if (!to[i])
			return false;
	}
	return false;
}

bool mf_sniff_name_set(struct mf_sniff_name *out, const char *text, size_t n, const char *protocol)
{
	*out = (struct mf_sniff_name){ .protocol = protocol };
	if (n && text[n - 1] == '.')
		n--;
	out->n = (uint16_t)n;
	if (n <= NAME_MAX_BYTES && copy_labels(out->text, text, n))
		return true;
	*out = (struct mf_sniff_name){ 0 };
	return false;
}
