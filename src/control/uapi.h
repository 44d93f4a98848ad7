/* SPDX-License-Identifier: Apache-2.0
 *
 * uapi - the cross-platform WireGuard configuration protocol, as `wg show` and `wg set` speak it over
 * a unix socket: bytes of a stream in, bytes out. One struct mf_uapi for each connection.
 *
 * A request is `get=1` or `set=1` with lines key=value behind it, and an empty line; the answer ends
 * with `errno=N` and an empty line. A set request is read to its end and checked as a whole before
 * anything changes. The private and preshared keys do appear here, as the protocol demands: whoever
 * may open the socket may read them.
 *
 * Source: the interface's description on wireguard.com/xplatform. Threads: the control thread.
 */
#ifndef MF_UAPI_H
#define MF_UAPI_H

#include "engine/engine.h"

struct mf_uapi;

/* `iface` is the name of an interface of the profile and is copied; a request after the interface has
 * gone is answered with ENODEV. NULL: out of memory. */
struct mf_uapi *mf_uapi_new(struct mf_engine *e, const char *iface);
/* Wipes what it holds. NULL is fine. */
void mf_uapi_free(struct mf_uapi *u);

/* Bytes from the client, any number at a time. False: this is not the protocol, or far too much of it;
 * read no more, and close once what is waiting has been sent. Only call it while mf_uapi_wants. */
bool mf_uapi_input(struct mf_uapi *u, const void *bytes, size_t n, mf_nsec now);
/* Whether to read from the client: not while it has not taken its answer. */
bool mf_uapi_wants(const struct mf_uapi *u);
/* What is to be sent; it moves with the next call. */
struct mf_span mf_uapi_output(const struct mf_uapi *u);
/* The first n bytes of that have been sent. False as for mf_uapi_input. */
bool mf_uapi_sent(struct mf_uapi *u, size_t n, mf_nsec now);

#endif
