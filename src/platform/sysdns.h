/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns - whom the machine's own programs ask for names: points them at a server of ours, notices
 * when somebody else changes that, and puts back exactly what was there.
 *
 * Two ways. systemd-resolved is told about our link; what it was told ends with the link.
 * /etc/resolv.conf is replaced by a file of ours, and the original stays beside it, whole, as
 * resolv.conf.before-mintflow: a link stays a link, and owner, mode and times are those of the same
 * file. The file system is all the memory there is, so whoever comes after a killed process can put
 * back as well as it could have (mf_sysdns_repair).
 *
 * One thread. Only one process at a time has a resolv.conf in its hands; a lock says which.
 */
#ifndef MF_PLATFORM_SYSDNS_H
#define MF_PLATFORM_SYSDNS_H

#include "base/addr.h"
#include "base/log.h"

enum mf_sysdns_way {
	MF_SYSDNS_AUTO, /* both, but resolv.conf only where it does not lead to systemd-resolved anyway */
	MF_SYSDNS_RESOLVED,
	MF_SYSDNS_RESOLV_CONF,
};

struct mf_sysdns_want {
	enum mf_sysdns_way way;
	uint32_t ifindex; /* the tunnel, for systemd-resolved */
	char tunnel[16];  /* its name, for the reader of resolv.conf */
	struct mf_addr server;
};

struct mf_sysdns;

/* Puts back what a killed process has left. `path`: NULL is /etc/resolv.conf. `log` is copied; what
 * happens later is told there. Needs more powers than the rest (to see that a network namespace is
 * another one than that of the machine whose resolver we would change), so before they are given
 * up. NULL: out of memory. */
struct mf_sysdns *mf_sysdns_new(const char *path, const struct mf_log *log);
/* Puts back what was there. */
void mf_sysdns_free(struct mf_sysdns *s);

/* Readable: mf_sysdns_run has something to do. */
int mf_sysdns_fd(const struct mf_sysdns *s);
/* Looks at what others have changed. Returns when it wants to be called again at the latest. */
mf_nsec mf_sysdns_run(struct mf_sysdns *s, mf_nsec now);

/* From now on the machine asks `want->server`; replaces an earlier wish. What fails is told to the
 * log and tried again at mf_sysdns_check, and when systemd-resolved appears. Waits for D-Bus and
 * for the lock, for seconds at the worst. */
void mf_sysdns_set(struct mf_sysdns *s, const struct mf_sysdns_want *want, mf_nsec now);
/* The network may be another one: sees to it that all is as wished. */
void mf_sysdns_check(struct mf_sysdns *s, mf_nsec now);
/* Puts back what was there. */
void mf_sysdns_unset(struct mf_sysdns *s);

/* Puts back what a killed process has left in `path` (NULL as above). `*done` says whether there
 * was anything. MF_E_CONFLICT: a live process has it in its hands. Any process. */
MF_MUST_CHECK mf_err mf_sysdns_repair(const char *path, bool *done, struct mf_errbuf *eb);

#endif
