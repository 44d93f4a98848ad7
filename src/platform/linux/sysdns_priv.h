/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns_priv - the parts of sysdns: the text of a resolv.conf, the file, and systemd-resolved.
 */
#ifndef MF_LINUX_SYSDNS_PRIV_H
#define MF_LINUX_SYSDNS_PRIV_H

#include "platform/sysdns.h"

/* ---- Text (sysdns_text.c) -------------------------------------------------------------------- */

enum {
	MF_RESOLVCONF_MAX = 64 << 10, /* bytes of a file that is read; libc's limits are far below */
	MF_RESOLVCONF_HEAD = 1024,    /* bytes that ours may have beyond the original's */
};

/* Does it begin as ours do? */
bool mf_resolvconf_is_ours(struct mf_span text);
/* Has it name servers, and all of them are systemd-resolved on this machine? */
bool mf_resolvconf_is_stub(struct mf_span text);
/* Our file for `server`, with what the original says besides name servers (search, domain, options,
 * sortlist). `undo` is the command that brings back the original. Returns the length, at most
 * `original.n` + MF_RESOLVCONF_HEAD, which `out` must have; no NUL. */
size_t mf_resolvconf_compose(char *out, const char *tunnel, const struct mf_addr *server,
			     const char *undo, struct mf_span original);

/* ---- File (sysdns_resolvconf.c) -------------------------------------------------------------- */

struct mf_resolvconf;

/* NULL: out of memory, or the path is too long. */
struct mf_resolvconf *mf_resolvconf_new(const char *path, const struct mf_log *log);
/* Leaves the file as it is. */
void mf_resolvconf_free(struct mf_resolvconf *f);
/* Inotify; -1: there is none. Readable: mf_resolvconf_events. */
int mf_resolvconf_fd(const struct mf_resolvconf *f);
/* Begins to watch, or does so anew: the file may be another one. */
void mf_resolvconf_watch(struct mf_resolvconf *f);
/* Takes what inotify has; true: somebody (we, perhaps) touched the file. */
bool mf_resolvconf_events(struct mf_resolvconf *f);
/* Does the original (the file itself, if ours is not in place) lead to systemd-resolved? */
bool mf_resolvconf_leads_to_stub(const struct mf_resolvconf *f);
/* Ours is in place afterwards. `asked`: not because of an event, so after giving up there is
 * another try. MF_E_FULL: somebody has rewritten it too often; theirs stays (the log was told).
 * MF_E_CONFLICT: the file is in another process's hands, or another machine's. */
MF_MUST_CHECK mf_err mf_resolvconf_apply(struct mf_resolvconf *f, const char *tunnel,
					 const struct mf_addr *server, bool asked, mf_nsec now,
					 struct mf_errbuf *eb);
/* The latest original is in place afterwards, and nothing of ours is left. `*done`: something
 * was. */
MF_MUST_CHECK mf_err mf_resolvconf_undo(struct mf_resolvconf *f, bool *done, struct mf_errbuf *eb);
/* The same for what a killed process has left. MF_E_CONFLICT: it is a live one's. */
MF_MUST_CHECK mf_err mf_resolvconf_repair(struct mf_resolvconf *f, bool *done, struct mf_errbuf *eb);

/* Is this process in another network namespace than the machine's first process? False if nobody
 * can say. */
bool mf_netns_is_foreign(void);

/* ---- systemd-resolved ------------------------------------------------------------------------ */

/* sysdns_resolved.c, or sysdns_resolved_none.c without libsystemd. */
struct mf_resolve1;

/* NULL: out of memory. */
struct mf_resolve1 *mf_resolve1_new(void);
void mf_resolve1_free(struct mf_resolve1 *r);
/* The bus; -1: not connected. Readable: mf_resolve1_events. It changes only in mf_resolve1_set and
 * _events. */
int mf_resolve1_fd(const struct mf_resolve1 *r);
/* True: systemd-resolved has been started (again), or the bus has gone. */
bool mf_resolve1_events(struct mf_resolve1 *r);
/* Every name is asked of `server`, over the link `ifindex`. MF_E_NOT_FOUND: systemd-resolved does
 * not run. */
MF_MUST_CHECK mf_err mf_resolve1_set(struct mf_resolve1 *r, uint32_t ifindex,
				     const struct mf_addr *server, struct mf_errbuf *eb);
/* The link is as any other again. */
void mf_resolve1_unset(struct mf_resolve1 *r);

#endif
