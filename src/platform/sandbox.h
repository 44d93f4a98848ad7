/* SPDX-License-Identifier: Apache-2.0
 *
 * sandbox - gives up what the program does not need once it has started.
 *
 * The user stays root, its powers do not: without capabilities root is an ordinary user that owns
 * root's files, which is what reading the profile again at SIGHUP and removing the control sockets at
 * the end need. CAP_NET_ADMIN stays for SO_MARK, routes and the TUN. A separate unprivileged engine
 * process is the next step (docs/ARCHITECTURE.md), not another user here.
 */
#ifndef MF_PLATFORM_SANDBOX_H
#define MF_PLATFORM_SANDBOX_H

#include "base/err.h"

struct mf_sandbox_options {
	bool net_admin;        /* keep CAP_NET_ADMIN */
	bool net_bind_service; /* keep CAP_NET_BIND_SERVICE: a listen port below 1024 */
	bool net_raw;          /* keep CAP_NET_RAW: ICMP sockets */
	bool dac_read_search; /* keep CAP_DAC_READ_SEARCH: the profile, or a file that it names, belongs
	                          to another user than root and is to be read again at SIGHUP */
	bool files;           /* keep CAP_DAC_OVERRIDE and CAP_FOWNER: changes files of anybody */
};

/* No core dumps and no ptrace by others of the same user: keys are in our memory. First thing in main. */
MF_MUST_CHECK mf_err mf_sandbox_no_dumps(struct mf_errbuf *eb);

/* Drops every other capability from all sets, and the way back (no_new_privs, bounding set). Before
 * any thread is started: capabilities belong to threads. A process that is not root keeps what it has
 * of the wanted ones. */
MF_MUST_CHECK mf_err mf_sandbox_enter(const struct mf_sandbox_options *o, struct mf_errbuf *eb);

#endif
