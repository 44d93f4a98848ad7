/* SPDX-License-Identifier: Apache-2.0
 *
 * nl - see nl.h. Requests are synchronous: the kernel answers before sendto returns, so nothing here
 * waits on anybody.
 */
#include "platform/linux/nl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int mf_nl_open(struct mf_nl *nl)
{
	int err;

	*nl = (struct mf_nl){ 0 };
	nl->reply = malloc(MF_NL_REPLY_MAX);
	nl->request = malloc(MF_NL_REQUEST_MAX);
	if (!nl->reply || !nl->request) {
		err = -ENOMEM;
		goto fail;
	}
	nl->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto fail;
	}
	nl->portid = mnl_socket_get_portid(nl->sock);
	return 0;
fail:
	mf_nl_close(nl);
	return err;
}

void mf_nl_close(struct mf_nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl->reply);
	free(nl->request);
	*nl = (struct mf_nl){ 0 };
}

struct nlmsghdr *mf_nl_start(struct mf_nl *nl, uint16_t type, uint16_t flags, size_t extra,
			     void **body)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(nl->request);

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++nl->seq;
	*body = mnl_nlmsg_put_extra_header(h, extra);
	return h;
}

struct nlmsghdr *mf_nl_start_lookup(struct mf_nl *nl, const struct mf_addr *dst, uint32_t mark)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(nl, RTM_GETROUTE, 0, sizeof(struct rtmsg), &body);
	struct rtmsg *rt = body;

	rt->rtm_family = mf_nl_family(dst);
	rt->rtm_dst_len = (uint8_t)mf_addr_bits(dst);
	mf_nl_put_addr(h, RTA_DST, dst);
	if (mark)
		mnl_attr_put_u32(h, RTA_MARK, mark);
	return h;
}

int mf_nl_talk(struct mf_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg)
{
	bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	/* An acknowledgement marks the end of whatever is not a dump. */
	if (!dump)
		request->nlmsg_flags |= NLM_F_ACK;
	MF_ASSERT(request->nlmsg_len <= MF_NL_REQUEST_MAX);
	if (mnl_socket_sendto(nl->sock, request, request->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(nl->sock, nl->reply, MF_NL_REPLY_MAX);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r = mnl_cb_run(nl->reply, (size_t)n, request->nlmsg_seq, nl->portid, cb, arg);
		if (r < 0)
			return errno ? -errno : -EPROTO;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

int mf_nl_ask(struct mf_nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg)
{
	ssize_t n;

	MF_ASSERT(request->nlmsg_len <= MF_NL_REQUEST_MAX);
	if (mnl_socket_sendto(nl->sock, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl->sock, nl->reply, MF_NL_REPLY_MAX);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (mnl_cb_run(nl->reply, (size_t)n, request->nlmsg_seq, nl->portid, cb, arg) < 0)
		return errno ? -errno : -EPROTO;
	return 0;
}

uint8_t mf_nl_family(const struct mf_addr *a)
{
	return a->family == MF_AF_IP4 ? AF_INET : AF_INET6;
}

void mf_nl_put_addr(struct nlmsghdr *h, uint16_t type, const struct mf_addr *a)
{
	mnl_attr_put(h, type, mf_addr_len(a), a->b);
}

bool mf_nl_get_addr(const struct nlattr *attr, uint8_t af, struct mf_addr *a)
{
	size_t want = af == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != want)
		return false;
	*a = af == AF_INET ? mf_addr_ip4(mnl_attr_get_payload(attr))
			   : mf_addr_ip6(mnl_attr_get_payload(attr));
	return true;
}

struct attr_table {
	const struct nlattr **tb;
	uint16_t max;
};

static int add_attr(const struct nlattr *a, void *arg)
{
	struct attr_table *t = arg;

	if (mnl_attr_get_type(a) <= t->max)
		t->tb[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

void mf_nl_attrs(const struct nlmsghdr *h, size_t offset, const struct nlattr **tb, uint16_t max)
{
	struct attr_table t = { tb, max };

	for (uint16_t i = 0; i <= max; i++)
		tb[i] = NULL;
	(void)mnl_attr_parse(h, (unsigned)offset, add_attr, &t);
}
