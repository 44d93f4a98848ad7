/* SPDX-License-Identifier: Apache-2.0
 *
 * reload - another profile while the program runs: all of it or nothing.
 */
#ifndef MF_DAEMON_RELOAD_H
#define MF_DAEMON_RELOAD_H

#include "daemon/internal.h"

/* Loads the profile again and puts it in force. `report` gets what changed, or everything that is wrong,
 * as lines for people, `changes` the former as numbers; after an error the old profile is still in force.
 * `drop_sessions`: running sessions whose route leads elsewhere now end; else they stay. */
MF_MUST_CHECK mf_err mf_reload(struct mf_daemon *d, bool drop_sessions, mf_nsec now,
			       struct mf_apply_report *changes, struct mf_text *report);

#endif
