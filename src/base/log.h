/* SPDX-License-Identifier: Apache-2.0
 *
 * log - lines for people, handed to whoever embeds the engine. Never called per packet; never with
 * a secret. Repeating messages go through a struct mf_log_limit.
 */
#ifndef MF_LOG_H
#define MF_LOG_H

#include "base/base.h"

enum mf_log_level { MF_LOG_ERROR, MF_LOG_WARN, MF_LOG_INFO, MF_LOG_DEBUG };

struct mf_log {
	/* `line` has no newline and is only valid during the call. May be called from any thread. */
	void (*write)(void *ctx, enum mf_log_level level, const char *line);
	void *ctx;
	enum mf_log_level level; /* lines above it are not made */
};

/* At most one line a second from one place; says how many were held back. One thread. */
struct mf_log_limit {
	mf_nsec next;
	uint32_t held_back;
};

void mf_logf(const struct mf_log *log, enum mf_log_level level, const char *fmt, ...) MF_PRINTF(3, 4);
void mf_logf_limited(const struct mf_log *log, struct mf_log_limit *limit, mf_nsec now,
		     enum mf_log_level level, const char *fmt, ...) MF_PRINTF(5, 6);

#endif
