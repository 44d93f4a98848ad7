/* SPDX-License-Identifier: Apache-2.0
 *
 * copies - what subscriptions have fetched, kept on disk for the next start: for each URL the
 * list as it came, and beside it what is known about it (policy/subscription.h).
 */
#ifndef MF_DAEMON_COPIES_H
#define MF_DAEMON_COPIES_H

#include "base/base.h"
#include "base/err.h"
#include "policy/subscription.h"

enum { MF_COPY_PATH_MAX = 512 };

/* The file with the list: in $STATE_DIRECTORY, or /var/lib/mintflow/TUNNEL; its name is a hash
 * of the URL. NULL: the directory's name is too long, or out of memory. */
const char *mf_copy_path(const char *tunnel, const char *url, char out[MF_COPY_PATH_MAX]);
/* Makes the directory. While we may: before privileges go. */
MF_MUST_CHECK mf_err mf_copies_open(const char *tunnel, struct mf_errbuf *eb);
/* What is known about the copy at `path`; false: there is none that could be used. */
bool mf_copy_facts(const char *path, struct mf_copy_facts *out);
/* Puts another list in its place (`text.p` NULL: the list is the same, the facts are not). Who
 * looks finds the one or the other, whole. */
MF_MUST_CHECK mf_err mf_copy_write(const char *path, struct mf_span text,
				   const struct mf_copy_facts *facts, struct mf_errbuf *eb);

/* Puts a file (mode 0600) in the place of another, by a file beside it: who looks finds the one
 * or the other, whole; with `lasting` also after a loss of power, for which the disk is waited
 * for. */
MF_MUST_CHECK mf_err mf_file_replace(const char *path, struct mf_span text, bool lasting,
				     struct mf_errbuf *eb);

#endif
