/* SPDX-License-Identifier: Apache-2.0
 *
 * dial - the lowest layer of a connection to a proxy: where the server is, and a connection to it
 * through whatever leads there (the local internet, a VPN, another proxy).
 *
 * A server given by name may have several addresses. They are tried as RFC 8305 says: of both
 * families in turn, the next one after a quarter of a second or as soon as one has failed, and the
 * first that answers wins; it is the first to be tried the next time. One that lies behind another
 * proxy is given to that one by name.
 */
#ifndef MF_PROXY_DIAL_H
#define MF_PROXY_DIAL_H

#include "proxy/layer.h"

enum { MF_DIAL_ADDRS_MAX = 8 };

struct mf_dial_config {
	const char *name;        /* of the server; NULL: `addr` */
	struct mf_endpoint addr; /* with the port in any case */
	bool by_name;            /* the name goes on as it is */
	bool local; /* what leads there is the local internet, no interface of the user's */
	void *ctx;
	/* What leads to the server now; NULL: nothing. */
	struct mf_outbound *(*via)(void *ctx);
	/* Asks for the addresses of `name`; mf_dial_resolved comes some time later, or even at
	 * once. */
	void (*resolve)(void *ctx);
};

/* Of one interface and worker. */
struct mf_dial {
	struct mf_layer_outbound out;
	struct mf_dial_config cfg;
	struct mf_addr addr[MF_DIAL_ADDRS_MAX]; /* in the order in which they are tried */
	uint8_t n;
	bool asking;
	mf_nsec known, asked; /* since when they are, when they were last asked for; 0: never */
};

/* `patience`: from the beginning until the server has taken the connection. The strings of `cfg`
 * live longer. */
void mf_dial_init(struct mf_dial *d, const struct mf_dial_config *cfg, struct mf_layers *ls,
		  struct mf_proxy_health *health, const char *iface, mf_nsec patience);
/* The answer to `resolve`. n 0: there are none; those that were known are used as long as
 * nothing better is. */
void mf_dial_resolved(struct mf_dial *d, const struct mf_addr *addr, size_t n);
/* Asks for the addresses again, unless that is being done. */
void mf_dial_refresh(struct mf_dial *d);
/* Address i of the server, the best one first, counted round if there are not as many. False:
 * none is known; then they have been asked for. */
bool mf_dial_address(struct mf_dial *d, uint32_t i, struct mf_endpoint *out);

#endif
