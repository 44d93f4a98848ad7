/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_keeper - a small process that points the machine's resolver at us and puts everything back,
 * also when the program that it serves is killed: it knows by the end of the socket between them.
 *
 * It is forked before the profile is read, so no key was ever in its memory, and keeps root's
 * powers over files, which the program gives up. Messages are of a fixed size; another size is no
 * message.
 */
#ifndef MF_DAEMON_DNS_KEEPER_H
#define MF_DAEMON_DNS_KEEPER_H

#include "platform/sysdns.h"

enum mf_dns_request_kind { MF_DNS_SET = 1, MF_DNS_UNSET, MF_DNS_CHECK };

struct mf_dns_request {
	uint32_t kind;              /* enum mf_dns_request_kind */
	struct mf_sysdns_want want; /* SET */
};

/* Any number of lines for the log, and one DONE for each request. */
enum mf_dns_answer_kind { MF_DNS_LINE = 1, MF_DNS_DONE };

struct mf_dns_answer {
	uint32_t kind;   /* enum mf_dns_answer_kind */
	uint32_t level;  /* enum mf_log_level; LINE */
	char text[1024]; /* LINE */
};

/* The body of the process, which has just been forked and has one thread: closes all but `socket`
 * and standard error, and serves until the socket ends, then puts back and ends. `log`: for what it
 * has to say when nobody reads the socket any more. */
_Noreturn void mf_dns_keeper_run(int socket, const struct mf_log *log);

#endif
