/* SPDX-License-Identifier: Apache-2.0
 *
 * watch - tells when something has happened to files of other people's: written, replaced,
 * removed.
 *
 * Directories are watched, not files: that way a file that somebody renames over the old one is
 * seen, one that is not there yet, and a link that points elsewhere now. What exactly happened
 * is not told; whoever cares looks at the files again. One thread.
 */
#ifndef MF_PLATFORM_WATCH_H
#define MF_PLATFORM_WATCH_H

#include "base/err.h"

struct mf_watch;

/* NULL: the system has none to give. */
struct mf_watch *mf_watch_new(void);
void mf_watch_free(struct mf_watch *w);
/* Readable: something has happened. */
int mf_watch_fd(const struct mf_watch *w);
/* Watches the directory that this file is in, and the one of what it is a link to. Twice is once.
 * MF_E_SYSTEM: one of them is not there, or too many are watched already. */
MF_MUST_CHECK mf_err mf_watch_add(struct mf_watch *w, const char *path);
/* True: something has happened in one of the directories since the last call. */
bool mf_watch_read(struct mf_watch *w);

#endif
