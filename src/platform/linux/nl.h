/* SPDX-License-Identifier: Apache-2.0
 *
 * nl - one rtnetlink request at a time, over libmnl. Private to src/platform/linux.
 */
#ifndef MF_PLATFORM_LINUX_NL_H
#define MF_PLATFORM_LINUX_NL_H

#include "base/addr.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

enum { MF_NL_REQUEST_MAX = 1024, MF_NL_REPLY_MAX = 32768 };

struct mf_nl {
	struct mnl_socket *sock;
	uint32_t seq;
	uint32_t portid;
	char *reply;   /* MF_NL_REPLY_MAX bytes */
	char *request; /* MF_NL_REQUEST_MAX bytes */
};

/* 0 or -errno. mf_nl_close accepts a zeroed struct. */
int mf_nl_open(struct mf_nl *nl);
void mf_nl_close(struct mf_nl *nl);

/* Starts the request of type RTM_*, with room for a family header of `extra` bytes at *body (zeroed).
 * It lives until the next start. */
struct nlmsghdr *mf_nl_start(struct mf_nl *nl, uint16_t type, uint16_t flags, size_t extra,
			     void **body);
/* The same for the question which way a packet to `dst` would take; mark 0: none. */
struct nlmsghdr *mf_nl_start_lookup(struct mf_nl *nl, const struct mf_addr *dst, uint32_t mark);
/* Sends it and waits for the answer; `cb` (may be NULL) sees every message of it. 0 or -errno. */
int mf_nl_talk(struct mf_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg);

/* The same for a request that has exactly one message as its answer, or an error: one system call less. */
int mf_nl_ask(struct mf_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg);

/* AF_INET or AF_INET6, and an attribute with the address's bytes. */
uint8_t mf_nl_family(const struct mf_addr *a);
void mf_nl_put_addr(struct nlmsghdr *h, uint16_t type, const struct mf_addr *a);
/* Reads one; false: wrong length for `af`. */
bool mf_nl_get_addr(const struct nlattr *attr, uint8_t af, struct mf_addr *a);

/* Attributes behind a family header of `offset` bytes by type; those beyond `max` are left out.
 * `tb` has max + 1 entries. */
void mf_nl_attrs(const struct nlmsghdr *h, size_t offset, const struct nlattr **tb, uint16_t max);

#endif
