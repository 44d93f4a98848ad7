/* SPDX-License-Identifier: Apache-2.0
 *
 * egress_nl - the questions that egress.c asks of rtnetlink.
 */
#include "platform/linux/egress_priv.h"

#include <errno.h>
#include <linux/if_link.h>

#ifndef RTM_F_FIB_MATCH /* Linux 4.13 */
#define RTM_F_FIB_MATCH 0x2000
#endif

static int see_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[RTA_PRIORITY + 1];
	struct egress_answer *a = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mf_nl_attrs(h, sizeof(*rt), tb, RTA_PRIORITY);
	a->type = rt->rtm_type;
	if (tb[RTA_OIF])
		a->oif = mnl_attr_get_u32(tb[RTA_OIF]);
	if (tb[RTA_PRIORITY])
		a->metric = mnl_attr_get_u32(tb[RTA_PRIORITY]);
	return MNL_CB_OK;
}

/* What a route of such a type says to who sends. */
static int type_error(const struct egress_answer *a)
{
	switch (a->type) {
	case RTN_BLACKHOLE:
	case RTN_THROW:
		return -ENETUNREACH;
	case RTN_UNREACHABLE:
		return -EHOSTUNREACH;
	case RTN_PROHIBIT:
		return -EACCES;
	default:
		return a->oif ? 0 : -ENETUNREACH;
	}
}

int mf_egress_nl_route(struct mf_nl *nl, const struct egress_question *q, struct egress_answer *a)
{
	struct nlmsghdr *h = mf_nl_start_lookup(nl, q->dst, q->mark);
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	int r;

	*a = (struct egress_answer){ 0 };
	rt->rtm_flags = q->must_match ? RTM_F_FIB_MATCH : 0;
	if (q->oif)
		mnl_attr_put_u32(h, RTA_OIF, q->oif);
	r = mf_nl_ask(nl, h, see_route, a);
	return r ? r : type_error(a);
}

static int see_link(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFLA_IFNAME + 1];
	struct egress_devices *d = arg;
	struct egress_link *l = &d->link[d->n_links];

	if (h->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	if (d->n_links == EGRESS_LINKS) {
		d->incomplete = true;
		return MNL_CB_OK;
	}
	mf_nl_attrs(h, sizeof(*ifi), tb, IFLA_IFNAME);
	*l = (struct egress_link){ .ifindex = (uint32_t)ifi->ifi_index, .flags = ifi->ifi_flags };
	if (tb[IFLA_IFNAME])
		memcpy(l->name, mnl_attr_get_str(tb[IFLA_IFNAME]),
		       mf_min(strlen(mnl_attr_get_str(tb[IFLA_IFNAME])), sizeof(l->name) - 1));
	d->n_links++;
	return MNL_CB_OK;
}

struct addresses {
	struct egress_devices *d;
	uint32_t tun;
};

static int see_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[IFA_LOCAL + 1], *which;
	const struct addresses *to = arg;
	struct egress_devices *d = to->d;

	if (h->nlmsg_type != RTM_NEWADDR || ifa->ifa_index == to->tun)
		return MNL_CB_OK;
	mf_nl_attrs(h, sizeof(*ifa), tb, IFA_LOCAL);
	/* on a point-to-point link IFA_ADDRESS is the other side's */
	which = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	if (!which)
		return MNL_CB_OK;
	if (d->n_addrs == EGRESS_ADDRS)
		d->incomplete = true;
	else if (mf_nl_get_addr(which, ifa->ifa_family, &d->addr[d->n_addrs]))
		d->n_addrs++;
	return MNL_CB_OK;
}

int mf_egress_nl_devices(struct mf_nl *nl, uint32_t tun, struct egress_devices *d)
{
	struct addresses to = { d, tun };
	struct nlmsghdr *h;
	void *body;
	int r;

	d->n_links = d->n_addrs = 0;
	d->incomplete = false;
	h = mf_nl_start(nl, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg), &body);
	r = mf_nl_talk(nl, h, see_link, d);
	if (r)
		return r;
	h = mf_nl_start(nl, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg), &body);
	return mf_nl_talk(nl, h, see_address, &to);
}
