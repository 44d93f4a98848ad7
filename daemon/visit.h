/* SPDX-License-Identifier: Apache-2.0
 *
 * visit - one GET (libcurl) over a bridge, for its times: what comes is counted and thrown away. It
 * blocks: whoever calls it has a thread for that. Redirects are not followed.
 */
#ifndef MF_DAEMON_VISIT_H
#define MF_DAEMON_VISIT_H

#include <stdatomic.h>

#include "base/base.h"

enum {
	MF_VISIT_SECONDS_MAX = 50,      /* in all */
	MF_VISIT_DOWNLOAD_SECONDS = 10, /* of what comes; what came until then is enough */
	MF_VISIT_BYTES_MAX = 256 << 20, /* likewise */
	MF_VISIT_WHY_MAX = 256,
};

struct mf_visit {
	/* In. */
	const char *url;
	const char *bridge;      /* its name (daemon/bridge.h) */
	const char *ca_file;     /* NULL: the system's */
	const atomic_bool *stop; /* ends it soon */
	/* Out; times are of the boot clock, 0: it did not come so far. */
	mf_nsec secured; /* TLS with the server of the URL */
	mf_nsec first;   /* byte of the answer */
	mf_nsec ended;
	uint64_t bytes;             /* of the answer's body */
	uint32_t status;            /* of HTTP */
	bool cut;                   /* there would have been more */
	bool silent;                /* the connection has ended without an answer */
	bool good;                  /* an answer has come, and all of it unless `cut` */
	char why[MF_VISIT_WHY_MAX]; /* not good: libcurl's words */
};

/* Any thread; after mf_fetch_place. */
void mf_visit(struct mf_visit *v);

#endif
