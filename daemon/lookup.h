/* SPDX-License-Identifier: Apache-2.0
 *
 * lookup - names that the program itself wants to know, asked of our own resolver, which runs on
 * the first worker: endpoints of peers, servers of subscriptions. The question goes to the
 * worker as an order, the answer comes back through a list that the main thread takes.
 */
#ifndef MF_DAEMON_LOOKUP_H
#define MF_DAEMON_LOOKUP_H

#include "daemon/internal.h"

enum { MF_LOOKUP_ADDRS = 16 };

struct mf_found {
	mf_err err; /* MF_E_UNSUPPORTED: there is no DNS server; MF_E_NOT_FOUND: no address */
	struct mf_addr addr[MF_LOOKUP_ADDRS];
	size_t n;
	const char *why; /* n 0: for people; static */
};
typedef void mf_lookup_fn(struct mf_daemon *d, uint64_t tag, const char *name,
			  const struct mf_found *found);

/* NULL: out of memory. */
struct mf_lookups *mf_lookups_new(struct mf_daemon *d);
/* After the engine has gone; what was not answered never will be. */
void mf_lookups_free(struct mf_lookups *l);

/* Asks for the addresses of `name` through `hop` (0: as the rules say). `done` is called from
 * mf_lookups_tick. MF_E_UNSUPPORTED: the workers do not run yet; MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_lookup(struct mf_daemon *d, const char *name, uint32_t hop,
			       mf_lookup_fn *done, uint64_t tag);
/* The same, but the system is asked where there is no DNS server of ours for it; `err` then is
 * never MF_E_UNSUPPORTED. MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_lookup_anyway(struct mf_daemon *d, const char *name, uint32_t hop,
				      mf_lookup_fn *done, uint64_t tag);
/* Hands out what has come. The main thread is woken for it. */
void mf_lookups_tick(struct mf_lookups *l);

#endif
