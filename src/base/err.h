/* SPDX-License-Identifier: Apache-2.0
 *
 * err - the one error enum. Functions that can fail return it (or a pointer, NULL on error) and are
 * MF_MUST_CHECK. What the user reads is built by whoever knows the object (see struct mf_errbuf).
 */
#ifndef MF_ERR_H
#define MF_ERR_H

#include "base/base.h"

#define MF_ERR_LIST(X)                              \
	X(OK, "ok")                                 \
	X(E_SHORT, "truncated input")               \
	X(E_MALFORMED, "malformed input")           \
	X(E_AUTH, "authentication failed")          \
	X(E_RANGE, "value out of range")            \
	X(E_UNSUPPORTED, "not supported")           \
	X(E_EXISTS, "already exists")               \
	X(E_NOT_FOUND, "not found")                 \
	X(E_FULL, "no room left")                   \
	X(E_NO_MEMORY, "not enough memory")         \
	X(E_AGAIN, "nothing to do now")             \
	X(E_CONFLICT, "contradicts something else") \
	X(E_PERMISSION, "permission denied")        \
	X(E_GONE, "the other side has gone")        \
	X(E_SYSTEM, "the operating system refused")

/* MF_OK is 0, every error is negative, in the order of the list. */
enum mf_err_ordinal {
#define X(name, text) MF_ORD_##name,
	MF_ERR_LIST(X)
#undef X
		MF_ERR_COUNT
};

typedef enum mf_err {
#define X(name, text) MF_##name = -(int)MF_ORD_##name,
	MF_ERR_LIST(X)
#undef X
} mf_err;

/* A short English text, never NULL. */
const char *mf_err_text(mf_err e);

/* A sentence for the user: what was wrong, where, what to do. The caller owns it. */
struct mf_errbuf {
	char text[512];
};

/* Formats the sentence and returns `e`, so that a failing path is one line. `eb` may be NULL. */
mf_err mf_fail(struct mf_errbuf *eb, mf_err e, const char *fmt, ...) MF_PRINTF(3, 4);

#endif
