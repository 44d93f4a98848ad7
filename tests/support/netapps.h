/* SPDX-License-Identifier: Apache-2.0
 *
 * netapps - apps with TCP connections on a testnet side: a struct mf_tcp each, whose segments go through the
 * side's engine. What the engine sends them is checked, and so are its books.
 */
#ifndef MF_NETAPPS_H
#define MF_NETAPPS_H

#include "proto/tcp/conn.h"
#include "support/testnet.h"

struct netapps;

/* Byte number i of what an end sends is a function of (salt, i); the far side's salt is one more. */
struct netapp {
	struct netapp *next;
	struct netapps *all;
	struct mf_tcp tcp;
	struct mf_endpoint local, remote;
	uint64_t salt, up, down; /* bytes written, bytes read */
	bool connected, eof, closed;
	enum mf_tcp_end end;
};

struct netapps {
	struct testnet *net;
	struct testnet_side *side;
	struct mf_pkt_pool *pool;
	struct mf_tcp_env env;
	struct netapp *first;
	uint16_t listen; /* connections to this port become apps; 0: none do */
	struct testnet_item *other, **other_last; /* packets for no app */
};

/* `t` is open; apps are on one of its sides. */
void netapps_open(struct netapps *n, struct testnet *t, unsigned side);
void netapps_close(struct netapps *n);

/* Begins to connect: "10.9.0.1:1000". */
struct netapp *netapp_connect(struct netapps *n, const char *local, const char *remote);
/* Write and read up to so many bytes; return how many. What is read is compared. */
size_t netapp_write(struct netapp *a, size_t n);
size_t netapp_read(struct netapp *a, size_t n);
void netapp_shutdown(struct netapp *a);
void netapp_abort(struct netapp *a);
/* What the far side of an app sends from byte `from` on, and has received. */
void netapp_far_bytes(const struct netapp *a, uint64_t from, uint8_t *out, size_t n);
bool netapp_far_right(const struct netapp *a, uint64_t from, const uint8_t *bytes, size_t n);

/* Runs apps and engines until nothing is left to do at this moment. */
void netapps_settle(struct netapps *n);
/* Lets time pass, in steps up to each deadline. */
void netapps_advance(struct netapps *n, mf_nsec by);
/* The next packet that was for no app, NULL: none; free() it. */
struct testnet_item *netapps_other(struct netapps *n);

#endif
