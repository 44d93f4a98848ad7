/* SPDX-License-Identifier: Apache-2.0
 *
 * netmon - listens to rtnetlink and boils what it says down to what matters to a tunnel.
 *
 * The kernel sends a link message for many reasons; only a change of up or running counts, so the
 * last known flags of each interface are kept.
 */
#include "platform/linux/nl.h"
#include "platform/route.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <net/if.h>
#include <stdlib.h>

enum { LINKS = 256, FLAGS_WATCHED = IFF_UP | IFF_RUNNING };

struct mf_netmon {
	struct mnl_socket *sock;
	uint32_t tun;
	struct {
		uint32_t ifindex, flags;
	} link[LINKS]; /* by ifindex modulo LINKS; a collision costs an event too many */
	char *buffer;
};

static mf_err subscribe(struct mf_netmon *m, struct mf_errbuf *eb)
{
	static const int groups[] = { RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
				      RTNLGRP_IPV6_RULE };
	int bytes = 1 << 20;

	m->sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!m->sock || mnl_socket_bind(m->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return mf_fail(eb, MF_E_SYSTEM, "cannot watch the network: %s", strerror(errno));
	(void)setsockopt(mnl_socket_get_fd(m->sock), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	for (size_t i = 0; i < MF_ARRAY_LEN(groups); i++)
		if (mnl_socket_setsockopt(m->sock, NETLINK_ADD_MEMBERSHIP,
					  (void *)(uintptr_t)&groups[i], sizeof(groups[i])) < 0)
			return mf_fail(eb, MF_E_SYSTEM, "cannot watch the network: %s",
				       strerror(errno));
	return MF_OK;
}

static int see_now(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct mf_netmon *m = arg;
	uint32_t i = (uint32_t)ifi->ifi_index;

	m->link[i % LINKS].ifindex = i;
	m->link[i % LINKS].flags = ifi->ifi_flags & FLAGS_WATCHED;
	return MNL_CB_OK;
}

/* How the links are now, so that the first message about each is compared with something. */
static void learn_links(struct mf_netmon *m)
{
	struct mf_nl nl;
	struct nlmsghdr *h;
	void *body;

	if (mf_nl_open(&nl))
		return;
	h = mf_nl_start(&nl, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg), &body);
	(void)mf_nl_talk(&nl, h, see_now, m);
	mf_nl_close(&nl);
}

struct mf_netmon *mf_netmon_new(uint32_t tun_ifindex, struct mf_errbuf *eb)
{
	struct mf_netmon *m = calloc(1, sizeof(*m));

	if (m)
		m->buffer = malloc(MF_NL_REPLY_MAX);
	if (!m || !m->buffer) {
		(void)mf_fail(eb, MF_E_NO_MEMORY, "cannot watch the network: out of memory");
		free(m);
		return NULL;
	}
	m->tun = tun_ifindex;
	if (subscribe(m, eb)) {
		mf_netmon_free(m);
		return NULL;
	}
	learn_links(m);
	return m;
}

void mf_netmon_free(struct mf_netmon *m)
{
	if (!m)
		return;
	if (m->sock)
		mnl_socket_close(m->sock);
	free(m->buffer);
	free(m);
}

int mf_netmon_fd(const struct mf_netmon *m)
{
	return mnl_socket_get_fd(m->sock);
}

static uint32_t on_link(struct mf_netmon *m, const struct nlmsghdr *h)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	uint32_t i = (uint32_t)ifi->ifi_index, flags = ifi->ifi_flags & FLAGS_WATCHED, old;
	bool gone = h->nlmsg_type == RTM_DELLINK, known = m->link[i % LINKS].ifindex == i;

	if (ifi->ifi_family != AF_UNSPEC) /* bridge ports speak here too */
		return 0;
	old = known ? m->link[i % LINKS].flags : 0;
	if (known && !gone && old == flags)
		return 0;
	m->link[i % LINKS].ifindex = gone ? 0 : i;
	m->link[i % LINKS].flags = flags;
	if (i != m->tun)
		return MF_NETMON_LINK;
	if (gone)
		return MF_NETMON_TUN_DELETED;
	if ((old ^ flags) & IFF_UP)
		return flags & IFF_UP ? MF_NETMON_TUN_UP : MF_NETMON_TUN_DOWN;
	return 0;
}

static uint32_t on_address(const struct mf_netmon *m, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);

	return ifa->ifa_index == m->tun ? 0 : MF_NETMON_ADDRESS;
}

/* Ours do not count, nor does what comes with an address. */
static uint32_t on_route(const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[RTA_TABLE + 1];
	uint32_t table;

	if (rt->rtm_flags & RTM_F_CLONED)
		return 0;
	mf_nl_attrs(h, sizeof(*rt), tb, RTA_TABLE);
	table = tb[RTA_TABLE] ? mnl_attr_get_u32(tb[RTA_TABLE]) : rt->rtm_table;
	if (table == RT_TABLE_LOCAL || table == MF_ROUTE_TABLE)
		return 0;
	return rt->rtm_dst_len == 0 && table == RT_TABLE_MAIN ? MF_NETMON_DEFAULT_ROUTE
							      : MF_NETMON_ROUTES;
}

static uint32_t on_rule(const struct nlmsghdr *h)
{
	const struct nlattr *tb[FRA_PROTOCOL + 1];
	bool ours;

	mf_nl_attrs(h, sizeof(struct fib_rule_hdr), tb, FRA_PROTOCOL);
	ours = tb[FRA_PROTOCOL] && mnl_attr_get_u8(tb[FRA_PROTOCOL]) == MF_ROUTE_PROTOCOL;
	if (!ours)
		return MF_NETMON_ROUTES;
	return h->nlmsg_type == RTM_DELRULE ? MF_NETMON_RULES : 0;
}

static uint32_t kind_of(struct mf_netmon *m, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return on_link(m, h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return on_address(m, h);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return on_route(h);
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return on_rule(h);
	default:
		return 0;
	}
}

uint32_t mf_netmon_read(struct mf_netmon *m)
{
	uint32_t kinds = 0;

	for (;;) {
		ssize_t n = mnl_socket_recvfrom(m->sock, m->buffer, MF_NL_REPLY_MAX);
		const struct nlmsghdr *h = (const void *)m->buffer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			kinds |= MF_NETMON_OVERRUN;
			continue;
		}
		if (n < 0)
			return kinds;
		for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
			kinds |= kind_of(m, h);
	}
}
