/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const err_text[] = {
#define X(name, text) [MF_ORD_##name] = text,
	MF_ERR_LIST(X)
#undef X
};
static_assert(MF_ARRAY_LEN(err_text) == MF_ERR_COUNT, "text table is out of step with enum mf_err");

const char *mf_err_text(mf_err e)
{
	int ordinal = -(int)e;

	return ordinal >= 0 && ordinal < MF_ERR_COUNT ? err_text[ordinal] : "unknown error";
}

mf_err mf_fail(struct mf_errbuf *eb, mf_err e, const char *fmt, ...)
{
	va_list ap;

	if (!eb)
		return e;
	va_start(ap, fmt);
	vsnprintf(eb->text, sizeof(eb->text), fmt, ap);
	va_end(ap);
	return e;
}
