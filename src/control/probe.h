/* SPDX-License-Identifier: Apache-2.0
 *
 * probe - what `mintflow test` has found out: a page fetched through one interface, stage by stage.
 */
#ifndef MF_PROBE_H
#define MF_PROBE_H

#include "base/addr.h"
#include "base/json.h"
#include "proto/proxy/fault.h"

enum { MF_PROBE_STAGES_MAX = 16 };

struct mf_probe_stage {
	const char *what; /* "connect", "tls", "target tls", "first byte", "download"; static */
	mf_nsec took;
};

struct mf_probe {
	const char *interface, *url; /* the latter without password and query */
	struct mf_endpoint server; /* where the connection went to; family 0: by name, or nowhere */
	uint32_t n;
	struct mf_probe_stage stage[MF_PROBE_STAGES_MAX]; /* those that were done, in order */
	mf_nsec total;
	uint32_t status;  /* of HTTP; 0: no answer has come */
	uint64_t bytes;   /* of its body */
	mf_nsec download; /* the time they took */
	bool cut;         /* that was not all of it, but enough */
	/* If it has failed. */
	const char *failed;        /* the stage; NULL: it has not */
	enum mf_proxy_fault fault; /* of the proxy; MF_PROXY_NONE: `why` alone is known */
	const char *why;           /* what is wrong, for people */
	const char *detail;        /* "" or more of it */
};

#endif
