/* SPDX-License-Identifier: Apache-2.0
 *
 * errors - how the loader and the importer collect what is wrong.
 */
#ifndef MF_CONFIG_ERRORS_H
#define MF_CONFIG_ERRORS_H

#include "config/config.h"

/* Adds one; beyond MF_CONFIG_MAX_ERRORS they are counted only. */
void mf_config_error(struct mf_config_errors *errs, struct mf_config_pos pos, const char *fmt, ...)
	MF_PRINTF(3, 4);
/* By file (`first` before all others), line and column; equal ones stay in the order they came. */
void mf_config_errors_sort(struct mf_config_errors *errs, const char *first);

/* User text for a message: shortened, and nothing in it that a terminal would obey. Returns `out`. */
enum { MF_CONFIG_QUOTE_LEN = 84 };
const char *mf_config_quote(const char *s, char out[MF_CONFIG_QUOTE_LEN]);
/* What may be shown of a text that should be a host: not what stands before an @, which may be a password. */
const char *mf_config_behind_user(const char *text);

/* Keeps the name most like `word` of those it is shown; call it with each known name in turn. */
struct mf_config_nearest {
	const char *word;
	const char *name; /* the best so far, NULL: none is like it */
	size_t distance;
};
void mf_config_nearest_try(struct mf_config_nearest *near, const char *name);
/* `; did you mean "name"?`, or nothing. Returns `out`. */
enum { MF_CONFIG_HINT_LEN = 128 };
const char *mf_config_nearest_hint(const struct mf_config_nearest *near,
				   char out[MF_CONFIG_HINT_LEN]);

#endif
