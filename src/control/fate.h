/* SPDX-License-Identifier: Apache-2.0
 *
 * fate - what would become of a packet to an address: in words, with the nodes that it would pass.
 */
#ifndef MF_FATE_H
#define MF_FATE_H

#include "control/control.h"

/* For a packet that is dropped, also the reason's name. */
struct mf_fate {
	const char *verdict, *path;
	enum mf_drop drop;
	char text[448]; /* with the name of a proxy's server */
	char udp[96];   /* "": the same becomes of UDP */
};

/* `why`: what mf_engine_why says of the address. */
void mf_fate_decide(struct mf_control *c, const struct mf_addr *dst, const struct mf_why *why,
		    mf_nsec now, struct mf_fate *f);

/* What the system's routes do with such a packet before the tunnel can see it. */
struct mf_way_in {
	bool known, enters;
	char device[MF_CONTROL_DEVICE_STRLEN]; /* "": no route */
};

void mf_way_in_find(struct mf_control *c, const struct mf_addr *dst, struct mf_way_in *w);

/* The device that `direct` takes to an address; "" and the reason: none. */
enum mf_stream_error mf_direct_device(struct mf_control *c, const struct mf_addr *dst,
				      char out[MF_CONTROL_DEVICE_STRLEN]);

#endif
