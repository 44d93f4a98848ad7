/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve - names of endpoints to addresses by the system's resolver, which may block for long: each
 * question has a short-lived thread of its own, answers are picked up when a descriptor says so.
 */
#ifndef MF_PLATFORM_RESOLVE_H
#define MF_PLATFORM_RESOLVE_H

#include "base/addr.h"

enum { MF_RESOLVE_MAX = 16, MF_RESOLVE_NAME_MAX = 256, MF_RESOLVE_PENDING_MAX = 16 };

struct mf_resolved {
	uint64_t tag; /* as asked */
	mf_err err;   /* MF_OK, MF_E_NOT_FOUND (no such name), MF_E_AGAIN (try later) */
	char name[MF_RESOLVE_NAME_MAX];          /* as asked */
	struct mf_endpoint addr[MF_RESOLVE_MAX]; /* in the system's order of preference (RFC 6724) */
	size_t n;
	const char *why; /* text for err; static */
};

struct mf_system_resolver;

struct mf_system_resolver *mf_system_resolver_new(void);
/* Questions under way end by themselves later; their answers are lost. */
void mf_system_resolver_free(struct mf_system_resolver *r);
/* Readable: mf_system_resolver_take has an answer. */
int mf_system_resolver_fd(const struct mf_system_resolver *r);
/* MF_E_FULL: MF_RESOLVE_PENDING_MAX questions are under way. MF_E_MALFORMED: no name. A literal
 * address is answered as well. */
MF_MUST_CHECK mf_err mf_system_resolver_ask(struct mf_system_resolver *r, const char *name,
					    uint16_t port, uint64_t tag);
/* The next answer; false: none is there. */
bool mf_system_resolver_take(struct mf_system_resolver *r, struct mf_resolved *out);

#endif
