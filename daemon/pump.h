/* SPDX-License-Identifier: Apache-2.0
 *
 * pump - bytes between a socket and a stream of an outbound, both ways, with no more in between than a buffer for each.
 * Who owns one says when: after something has happened at either end. The worker's thread.
 */
#ifndef MF_DAEMON_PUMP_H
#define MF_DAEMON_PUMP_H

#include "daemon/workers.h"
#include "host/outbound.h"

struct mf_pump {
	struct mf_input *in;     /* the socket */
	struct mf_stream stream; /* opened and closed by the owner */
	bool readable;           /* the socket may have bytes: the owner says so */
	bool near_end;           /* the socket sends no more */
	size_t size;             /* of each buffer */
	uint8_t *up, *down;      /* the owner's */
	size_t up_n, down_at, down_n;
};

/* From the socket to the stream; *moved: whether bytes came. False: the socket has gone. */
MF_MUST_CHECK bool mf_pump_up(struct mf_pump *p, bool *moved);
/* From the stream to the socket. False: that was all, and it has been sent; or one of the two has gone. */
MF_MUST_CHECK bool mf_pump_down(struct mf_pump *p);

#endif
