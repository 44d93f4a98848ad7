/* SPDX-License-Identifier: Apache-2.0
 *
 * idn - names in any script as DNS has them: IDNA 2008 with the mapping of UTS 46, non-transitional
 * (libidn2). Pure; any thread. Takes memory.
 */
#ifndef MF_IDN_H
#define MF_IDN_H

#include "base/err.h"

enum { MF_IDN_MAX = 1024 }; /* bytes of UTF-8 */

/* Writes the ASCII form of a name of n bytes of UTF-8, in lower case and with a NUL, to `out`,
 * of `cap` bytes. MF_E_MALFORMED (`eb` says why), MF_E_RANGE (too long), MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_idn_to_ascii(const char *name, size_t n, char *out, size_t cap,
				     struct mf_errbuf *eb);

#endif
