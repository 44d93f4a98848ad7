/* SPDX-License-Identifier: Apache-2.0
 *
 * mirror - the smallest outbound: what a session writes to port 7 comes back (RFC 862); every other port is
 * refused. Not part of the program: docs/host-stack.md explains it, tests/unit/host/mirror.c runs it.
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "host/outbound.h"

enum { MIRROR_STREAMS = 16, MIRROR_BYTES = 64 * 1024 };

struct mirror_stream {
	bool in_use, full, ended;
	size_t n;
	uint8_t bytes[MIRROR_BYTES];
};

/* One for each worker. Zeroed but for `out`. */
struct mirror {
	struct mf_outbound out; /* = { &mirror_ops, this } */
	struct mirror_stream stream[MIRROR_STREAMS];
};

extern const struct mf_outbound_ops mirror_ops;

#endif
