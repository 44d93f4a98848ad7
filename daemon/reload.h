/* SPDX-License-Identifier: Apache-2.0
 *
 * reload - another profile while the program runs: all of it or nothing.
 */
#ifndef MF_DAEMON_RELOAD_H
#define MF_DAEMON_RELOAD_H

#include "daemon/internal.h"

/* Loads the profile again and puts it in force. `report` gets what changed, or everything that
 * is wrong, as lines for people, `changes` the former as numbers; after an error the old profile
 * is still in force. MF_E_AGAIN: it waits for its domain sets to be read; mf_control_reloaded
 * gets the result then. `drop_sessions`: running sessions whose route leads elsewhere now end;
 * else they stay. */
MF_MUST_CHECK mf_err mf_reload(struct mf_daemon *d, bool drop_sessions,
			       struct mf_apply_report *changes, struct mf_text *report);
/* With the next mf_reload_tick, which the main loop calls. `why` goes to the log. */
void mf_reload_soon(struct mf_daemon *d, const char *why);
void mf_reload_tick(struct mf_daemon *d);
/* Forgets one that is under way. */
void mf_reload_end(struct mf_daemon *d);

/* The profile as it is written now, with the copies of what it subscribes to. As mf_config_load. */
MF_MUST_CHECK mf_err mf_load_profile(const struct mf_daemon *d, struct mf_config **out,
				     struct mf_config_errors *errs);

#endif
