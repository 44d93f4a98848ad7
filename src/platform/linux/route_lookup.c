/* SPDX-License-Identifier: Apache-2.0
 *
 * route_lookup - asks the kernel which way a packet would take, and how much fits.
 */
#include "platform/linux/nl.h"
#include "platform/route.h"

#include <errno.h>
#include <net/if.h>

enum { WG_OVER_IP4 = 20 + 8 + 32, WG_OVER_IP6 = 40 + 8 + 32, MTU_MIN = 1280 };

/* Not so: blackhole, unreachable, prohibit. */
static bool is_sent(uint8_t type)
{
	return type == RTN_UNICAST || type == RTN_LOCAL || type == RTN_BROADCAST ||
	       type == RTN_ANYCAST || type == RTN_MULTICAST;
}

static int see_path(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[RTA_VIA + 1], *metric;
	struct mf_route_path *path = arg;

	if (h->nlmsg_type != RTM_NEWROUTE || !is_sent(rt->rtm_type))
		return MNL_CB_OK;
	mf_nl_attrs(h, sizeof(*rt), tb, RTA_VIA);
	if (tb[RTA_OIF])
		path->ifindex = mnl_attr_get_u32(tb[RTA_OIF]);
	if (tb[RTA_PREFSRC])
		(void)mf_nl_get_addr(tb[RTA_PREFSRC], rt->rtm_family, &path->source);
	if (tb[RTA_GATEWAY])
		(void)mf_nl_get_addr(tb[RTA_GATEWAY], rt->rtm_family, &path->gateway);
	if (!tb[RTA_METRICS])
		return MNL_CB_OK;
	metric = mnl_attr_get_payload(tb[RTA_METRICS]);
	for (int left = mnl_attr_get_payload_len(tb[RTA_METRICS]); mnl_attr_ok(metric, left);
	     left -= MNL_ALIGN(mnl_attr_get_len(metric)), metric = mnl_attr_next(metric))
		if (mnl_attr_get_type(metric) == RTAX_MTU)
			path->mtu = mnl_attr_get_u32(metric);
	return MNL_CB_OK;
}

static int see_link(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[IFLA_MTU + 1];
	uint32_t *mtu = arg;

	mf_nl_attrs(h, sizeof(struct ifinfomsg), tb, IFLA_MTU);
	if (tb[IFLA_MTU])
		*mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	return MNL_CB_OK;
}

static int ask_path(struct mf_nl *nl, const struct mf_addr *dst, uint32_t mark,
		    struct mf_route_path *path)
{
	return mf_nl_talk(nl, mf_nl_start_lookup(nl, dst, mark), see_path, path);
}

static int ask_link(struct mf_nl *nl, uint32_t ifindex, uint32_t *mtu)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(nl, RTM_GETLINK, 0, sizeof(struct ifinfomsg), &body);

	((struct ifinfomsg *)body)->ifi_index = (int)ifindex;
	return mf_nl_talk(nl, h, see_link, mtu);
}

mf_err mf_route_lookup(const struct mf_addr *dst, uint32_t mark, struct mf_route_path *path)
{
	struct mf_nl nl;
	uint32_t link_mtu = 0;
	int r = mf_nl_open(&nl);

	*path = (struct mf_route_path){ 0 };
	if (r)
		return MF_E_SYSTEM;
	r = ask_path(&nl, dst, mark, path);
	if (!r && path->ifindex)
		r = ask_link(&nl, path->ifindex, &link_mtu);
	mf_nl_close(&nl);
	if (r || !path->ifindex)
		return r == -EPERM ? MF_E_PERMISSION : MF_E_NOT_FOUND;
	if (!path->mtu || (link_mtu && path->mtu > link_mtu))
		path->mtu = link_mtu;
	if (!if_indextoname(path->ifindex, path->ifname))
		path->ifname[0] = '\0';
	return MF_OK;
}

mf_err mf_route_lookup_default(uint32_t mark, struct mf_route_path *path)
{
	/* Documentation prefixes (RFC 5737, RFC 3849): no more special route leads there. */
	static const uint8_t any4[4] = { 198, 51, 100, 1 };
	static const uint8_t any6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct mf_addr a = mf_addr_ip4(any4);
	mf_err e = mf_route_lookup(&a, mark, path);

	if (!e)
		return MF_OK;
	a = mf_addr_ip6(any6);
	return mf_route_lookup(&a, mark, path);
}

uint32_t mf_route_tunnel_mtu(uint32_t path_mtu, uint8_t outer_family)
{
	uint32_t over = outer_family == MF_AF_IP4 ? WG_OVER_IP4 : WG_OVER_IP6;

	return path_mtu < MTU_MIN + over ? MTU_MIN : path_mtu - over;
}
