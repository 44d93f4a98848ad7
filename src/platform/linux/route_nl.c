/* SPDX-License-Identifier: Apache-2.0
 *
 * route_nl - single rules and routes over rtnetlink.
 */
#include "platform/linux/route_priv.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <stdlib.h>

enum { COPY_MAX = 64 };

static uint8_t af_of(uint8_t family)
{
	return family == MF_AF_IP4 ? AF_INET : AF_INET6;
}

int mf_route_nl_rule(struct mf_nl *nl, const struct rule *rule, bool add)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(nl, add ? RTM_NEWRULE : RTM_DELRULE,
					 (uint16_t)(add ? NLM_F_CREATE | NLM_F_EXCL : 0),
					 sizeof(struct fib_rule_hdr), &body);
	struct fib_rule_hdr *f = body;
	int r;

	f->family = af_of(rule->family);
	f->action = rule->table ? FR_ACT_TO_TBL : rule->go_to ? FR_ACT_GOTO : FR_ACT_NOP;
	f->flags = rule->unmarked ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(h, FRA_PRIORITY, rule->priority);
	if (rule->table)
		mnl_attr_put_u32(h, FRA_TABLE, rule->table);
	if (rule->go_to)
		mnl_attr_put_u32(h, FRA_GOTO, rule->go_to);
	mnl_attr_put_u8(h, FRA_PROTOCOL, MF_ROUTE_PROTOCOL);
	if (rule->mark) {
		mnl_attr_put_u32(h, FRA_FWMARK, rule->mark);
		mnl_attr_put_u32(h, FRA_FWMASK, UINT32_MAX);
	}
	if (rule->no_default)
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, 0);
	if (rule->to) {
		f->dst_len = rule->to->len;
		mf_nl_put_addr(h, FRA_DST, &rule->to->addr);
	}
	if (rule->ip_proto) {
		struct fib_rule_port_range port = { rule->dport, rule->dport };

		mnl_attr_put_strz(h, FRA_IIFNAME, "lo");
		mnl_attr_put_u8(h, FRA_IP_PROTO, rule->ip_proto);
		mnl_attr_put(h, FRA_DPORT_RANGE, sizeof(port), &port);
	}
	r = mf_nl_talk(nl, h, NULL, NULL);
	return r == (add ? -EEXIST : -ENOENT) ? 0 : r;
}

int mf_route_nl_default(struct mf_nl *nl, uint8_t family, uint32_t ifindex)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(nl, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE,
					 sizeof(struct rtmsg), &body);
	struct rtmsg *rt = body;

	rt->rtm_family = af_of(family);
	rt->rtm_table = RT_TABLE_UNSPEC; /* too large for 8 bits: in RTA_TABLE */
	rt->rtm_protocol = MF_ROUTE_PROTOCOL;
	rt->rtm_scope = family == MF_AF_IP4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(h, RTA_TABLE, MF_ROUTE_TABLE);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	return mf_nl_talk(nl, h, NULL, NULL);
}

/* Messages of a dump that are to be sent back as removals: the kernel does not take requests while it
 * answers one. */
struct copies {
	struct nlmsghdr *msg[COPY_MAX];
	size_t n;
	uint32_t ifindex;
};

static void add_copy(struct copies *c, const struct nlmsghdr *h)
{
	if (c->n == COPY_MAX || h->nlmsg_len > MF_NL_REQUEST_MAX)
		return;
	c->msg[c->n] = malloc(h->nlmsg_len);
	if (!c->msg[c->n])
		return;
	memcpy(c->msg[c->n], h, h->nlmsg_len);
	c->n++;
}

static void free_copies(struct copies *c)
{
	while (c->n)
		free(c->msg[--c->n]);
}

static int see_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[FRA_PROTOCOL + 1];

	mf_nl_attrs(h, sizeof(struct fib_rule_hdr), tb, FRA_PROTOCOL);
	if (tb[FRA_PROTOCOL] && mnl_attr_get_u8(tb[FRA_PROTOCOL]) == MF_ROUTE_PROTOCOL &&
	    tb[FRA_PRIORITY] && mnl_attr_get_u32(tb[FRA_PRIORITY]) >= MF_ROUTE_RULE_OWN &&
	    mnl_attr_get_u32(tb[FRA_PRIORITY]) <= MF_ROUTE_RULE_END)
		add_copy(arg, h);
	return MNL_CB_OK;
}

static int see_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *tb[RTA_TABLE + 1];
	struct copies *c = arg;

	mf_nl_attrs(h, sizeof(*rt), tb, RTA_TABLE);
	if (rt->rtm_protocol != MF_ROUTE_PROTOCOL || !tb[RTA_TABLE] ||
	    mnl_attr_get_u32(tb[RTA_TABLE]) != MF_ROUTE_TABLE)
		return MNL_CB_OK;
	if (tb[RTA_OIF])
		c->ifindex = mnl_attr_get_u32(tb[RTA_OIF]);
	add_copy(c, h);
	return MNL_CB_OK;
}

/* Kernels that can (4.20) look at the table only: a router may have a million routes in others. */
static int dump_routes(struct mf_nl *nl, uint8_t family, struct copies *c)
{
	int one = 1, r;
	void *body;
	struct nlmsghdr *h = mf_nl_start(nl, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg), &body);

	((struct rtmsg *)body)->rtm_family = af_of(family);
	if (mnl_socket_setsockopt(nl->sock, NETLINK_GET_STRICT_CHK, &one, sizeof(one)) == 0)
		mnl_attr_put_u32(h, RTA_TABLE, MF_ROUTE_TABLE);
	r = mf_nl_talk(nl, h, see_route, c);
	return r == -ENOENT ? 0 : r; /* no such table yet */
}

static int dump_rules(struct mf_nl *nl, uint8_t family, struct copies *c)
{
	void *body;
	struct nlmsghdr *h =
		mf_nl_start(nl, RTM_GETRULE, NLM_F_DUMP, sizeof(struct fib_rule_hdr), &body);

	((struct fib_rule_hdr *)body)->family = af_of(family);
	return mf_nl_talk(nl, h, see_rule, c);
}

static int remove_copies(struct mf_nl *nl, struct copies *c, uint16_t type, uint32_t *removed)
{
	int first = 0;

	for (size_t i = 0; i < c->n; i++) {
		int r;

		c->msg[i]->nlmsg_type = type;
		c->msg[i]->nlmsg_flags = NLM_F_REQUEST;
		c->msg[i]->nlmsg_seq = ++nl->seq;
		c->msg[i]->nlmsg_pid = 0;
		r = mf_nl_talk(nl, c->msg[i], NULL, NULL);
		if (!r)
			(*removed)++;
		else if (r != -ENOENT && r != -ESRCH && !first)
			first = r;
	}
	return first;
}

int mf_route_nl_clean_rules(struct mf_nl *nl, uint8_t family, uint32_t *removed)
{
	int r;

	/* As often as there are more of them than copies are kept. */
	for (size_t n = COPY_MAX; n == COPY_MAX;) {
		struct copies c = { .n = 0 };

		r = dump_rules(nl, family, &c);
		n = c.n;
		if (!r)
			r = remove_copies(nl, &c, RTM_DELRULE, removed);
		free_copies(&c);
		if (r)
			return r;
	}
	return 0;
}

int mf_route_nl_clean_routes(struct mf_nl *nl, uint8_t family, uint32_t *removed)
{
	struct copies c = { .n = 0 };
	int r = dump_routes(nl, family, &c);

	if (!r)
		r = remove_copies(nl, &c, RTM_DELROUTE, removed);
	free_copies(&c);
	return r;
}

int mf_route_nl_owner(struct mf_nl *nl, uint8_t family, uint32_t *ifindex)
{
	struct copies c = { .n = 0 };
	int r = dump_routes(nl, family, &c);

	*ifindex = c.ifindex;
	free_copies(&c);
	return r;
}
