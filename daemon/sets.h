/* SPDX-License-Identifier: Apache-2.0
 *
 * sets - the domain sets of the profile in force, and those of the next one: read on a thread of
 * their own, given to the engine on the main thread, and read again when their files change.
 *
 * A set whose new file is wrong, or gone, stays as it is. Files of CIDR sets are watched, too,
 * but are part of the profile (config/config.h): a change of one makes it be loaded again.
 */
#ifndef MF_DAEMON_SETS_H
#define MF_DAEMON_SETS_H

#include "daemon/internal.h"

struct mf_sets;

/* NULL: out of memory. */
struct mf_sets *mf_sets_new(struct mf_daemon *d);
void mf_sets_free(struct mf_sets *s);

/* Called when all sets of a profile have been read; `said`: not MF_OK: everything that is wrong,
 * a line each. */
typedef void mf_sets_read_fn(struct mf_daemon *d, mf_err err, const char *said);
/* Reads those sets of `cfg` that are not in force already; calls `done` from here, if there are
 * none, or from mf_sets_tick. One at a time; cfg stays. After that, and MF_OK: mf_sets_stage,
 * mf_engine_apply, mf_sets_settle. */
void mf_sets_prepare(struct mf_sets *s, const struct mf_config *cfg, mf_sets_read_fn *done);
/* Gives them to the engine. */
MF_MUST_CHECK mf_err mf_sets_stage(struct mf_sets *s);
/* The profile is in force (it is d->config), or will not be. */
void mf_sets_settle(struct mf_sets *s, bool in_force);

/* What a subscription has brought for this set is to be read. */
void mf_sets_refresh(struct mf_sets *s, const char *name);

/* Something is being read, or is to be. */
bool mf_sets_busy(const struct mf_sets *s);
/* Takes what has been read, and looks at files that may have changed. Returns when it wants to
 * be called again; reading that ends wakes the main thread. */
mf_nsec mf_sets_tick(struct mf_sets *s, mf_nsec now);

#endif
