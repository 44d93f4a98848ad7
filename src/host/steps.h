/* SPDX-License-Identifier: Apache-2.0
 *
 * steps - the way of one stream to where it is, for whoever opens it and wants to know: which steps
 * it has taken (a name, a connection, TLS, a WebSocket), how long each took, and at which one it has
 * failed and why. Streams of apps have none of this.
 */
#ifndef MF_STEPS_H
#define MF_STEPS_H

#include "base/addr.h"
#include "proto/proxy/fault.h"

enum { MF_STEPS_MAX = 8, MF_STEPS_DETAIL_MAX = 120 };

struct mf_step {
	const char *what; /* "connect", "tls"; static */
	mf_nsec took;
};

/* Zeroed before the stream is opened. Written by the worker that has the stream. */
struct mf_steps {
	unsigned n; /* those that were done, in their order */
	struct mf_step step[MF_STEPS_MAX];
	struct mf_endpoint server; /* of a proxy, as it was dialled; family 0: by name, or not yet */
	const char *failed;        /* the step that was not; NULL: none, or it is not known */
	enum mf_proxy_fault fault;
	char detail[MF_STEPS_DETAIL_MAX];
};

/* One that took no time was none; those past MF_STEPS_MAX are not kept. `s` may be NULL: nobody wants
 * to know. */
static inline void mf_steps_add(struct mf_steps *s, const char *what, mf_nsec took)
{
	if (s && took && s->n < MF_STEPS_MAX)
		s->step[s->n++] = (struct mf_step){ what, took };
}

#endif
