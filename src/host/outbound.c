/* SPDX-License-Identifier: Apache-2.0
 *
 * outbound - see outbound.h: the words for what can go wrong.
 */
#include "host/outbound.h"

const char *mf_stream_error_text(enum mf_stream_error e)
{
	static const char *const text[] = {
#define X(name, t) [MF_STREAM_E_##name] = t,
		MF_STREAM_ERROR_LIST(X)
#undef X
	};

	return e < MF_STREAM_ERROR_COUNT ? text[e] : "unknown error";
}
