/* SPDX-License-Identifier: Apache-2.0
 *
 * sniffed - what must be true of whatever a sniffer says.
 */
#ifndef MF_FUZZ_SNIFFED_H
#define MF_FUZZ_SNIFFED_H

#include "proto/sniff/sniff.h"

static inline void check_label(const char *p, size_t n)
{
	MF_ASSERT(n >= 1 && n <= 63);
	for (size_t i = 0; i < n; i++)
		MF_ASSERT((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
			  p[i] == '-' || p[i] == '_');
}

static inline void check_sniffed(enum mf_sniff_verdict v, const struct mf_sniff_name *name)
{
	bool shown = v == MF_SNIFF_NAME || v == MF_SNIFF_HIDDEN;

	MF_ASSERT(shown == (name->protocol != NULL));
	MF_ASSERT(v != MF_SNIFF_NAME || name->n);
	MF_ASSERT(shown || !name->n);
	MF_ASSERT(name->n <= 253 && strlen(name->text) == name->n);
	for (size_t i = 0, label = 0; name->n && i <= name->n; i++)
		if (i == name->n || name->text[i] == '.') {
			check_label(name->text + label, i - label);
			label = i + 1;
		}
}

#endif
