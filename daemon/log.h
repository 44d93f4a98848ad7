/* SPDX-License-Identifier: Apache-2.0
 *
 * log - where the lines of the engine and of the program go: standard error, and a ring of the latest
 * ones for `mintflow show log`. Any thread may write; whoever reads does so on the control thread.
 */
#ifndef MF_DAEMON_LOG_H
#define MF_DAEMON_LOG_H

#include "base/log.h"
#include "control/control.h"

struct mf_logger;

/* `json`: one object a line. Under a service manager that reads our standard error, text lines carry
 * the priority (sd-daemon(3)) and no time of their own. NULL: out of memory. */
struct mf_logger *mf_logger_new(bool json, enum mf_log_level level);
void mf_logger_free(struct mf_logger *l);
struct mf_log mf_logger_log(struct mf_logger *l);
/* Calls `line` for up to `max` of the latest lines, the oldest first. */
void mf_logger_read(struct mf_logger *l, uint32_t max, mf_control_log_fn *line, void *to);
/* Several lines of text, one call for each. */
void mf_log_lines(const struct mf_log *log, enum mf_log_level level, const char *text);

#endif
