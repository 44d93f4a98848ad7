/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch - one GET (libcurl) over a bridge to the server. It blocks: whoever calls it has a
 * thread for that. Where a redirect leads is told, not followed, because another host may have
 * another way.
 */
#ifndef MF_DAEMON_FETCH_H
#define MF_DAEMON_FETCH_H

#include <stdatomic.h>

#include "base/err.h"
#include "policy/subscription.h"

enum { MF_FETCH_URL_MAX = 2048, MF_FETCH_SHOWN_MAX = 256 };

/* A URL in its parts. */
struct mf_fetch_place {
	bool tls;
	char host[256]; /* without brackets */
	uint16_t port;
	char shown[MF_FETCH_SHOWN_MAX]; /* for people: no user, password, query */
};
/* MF_E_MALFORMED: no URL, or not of http or https; MF_E_SYSTEM: no libcurl. Main thread. */
MF_MUST_CHECK mf_err mf_fetch_place(const char *url, struct mf_fetch_place *out,
				    struct mf_errbuf *why);

struct mf_fetch {
	/* In. */
	const char *url;
	const char *bridge;        /* its name (daemon/bridge.h) */
	const char *ca_file;       /* NULL: the system's */
	struct mf_copy_facts have; /* what there is: asks for something newer */
	uint64_t max_bytes;
	const atomic_bool *stop; /* ends it soon */
	/* Out. */
	char *text; /* MF_FETCH_NEW: the list; the caller frees it */
	size_t n;
	struct mf_copy_facts facts;       /* of it, but for the time */
	char moved[MF_FETCH_URL_MAX + 1]; /* MF_FETCH_MOVED: where to */
};

enum mf_fetch_result { MF_FETCH_NEW, MF_FETCH_SAME, MF_FETCH_MOVED, MF_FETCH_FAILED };
/* FAILED: `why`. Any thread; its URL must have been parted first. */
enum mf_fetch_result mf_fetch(struct mf_fetch *f, struct mf_errbuf *why);

#endif
