/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_LEN = 1024 };

static bool wanted(const struct mf_log *log, enum mf_log_level level)
{
	return log && log->write && level <= log->level;
}

/* Names and texts in a line come from profiles and peers: nothing in them may start a line of its own
 * or reach a terminal as a control sequence. */
static void emit(const struct mf_log *log, enum mf_log_level level, char *line)
{
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	log->write(log->ctx, level, line);
}

void mf_logf(const struct mf_log *log, enum mf_log_level level, const char *fmt, ...)
{
	char line[LINE_LEN];
	va_list ap;

	if (!wanted(log, level))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	emit(log, level, line);
}

void mf_logf_limited(const struct mf_log *log, struct mf_log_limit *limit, mf_nsec now,
		     enum mf_log_level level, const char *fmt, ...)
{
	char line[LINE_LEN];
	va_list ap;
	size_t n;

	if (!wanted(log, level))
		return;
	if (now < limit->next) {
		limit->held_back++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	n = strlen(line);
	if (limit->held_back)
		snprintf(line + n, sizeof(line) - n, " (and %u more like it)", limit->held_back);
	limit->held_back = 0;
	limit->next = now + MF_SEC;
	emit(log, level, line);
}
