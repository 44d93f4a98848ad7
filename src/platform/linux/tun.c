/* SPDX-License-Identifier: Apache-2.0
 *
 * tun - making a TUN device, finding out what it can do, and setting it up over rtnetlink.
 *
 * References: Documentation/networking/tuntap.rst and include/uapi/linux/if_tun.h of Linux.
 */
#include "platform/linux/tun_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "platform/clock.h"

/* Since Linux 6.2; headers may be older than the kernel. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_DEVICE "/dev/net/tun"

static const struct {
	uint32_t feature;
	unsigned int flag;
	const char *name;
} feature_table[] = {
	{ MF_TUN_VNET, 0, "vnet" },
	{ MF_TUN_CSUM, TUN_F_CSUM, "csum" },
	{ MF_TUN_TSO4, TUN_F_TSO4, "tso4" },
	{ MF_TUN_TSO6, TUN_F_TSO6, "tso6" },
	{ MF_TUN_TSO_ECN, TUN_F_TSO_ECN, "tso-ecn" },
	{ MF_TUN_USO4, TUN_F_USO4, "uso4" },
	{ MF_TUN_USO6, TUN_F_USO6, "uso6" },
	{ MF_TUN_MULTI_QUEUE, 0, "multi-queue" },
};

/* What is tried when the kernel refuses, each step without what came last to Linux. */
static const uint32_t probe_steps[] = {
	MF_TUN_ALL_OFFLOADS,
	MF_TUN_ALL_OFFLOADS & ~(uint32_t)(MF_TUN_USO4 | MF_TUN_USO6),
	MF_TUN_VNET | MF_TUN_CSUM | MF_TUN_TSO4 | MF_TUN_TSO6,
	MF_TUN_VNET | MF_TUN_CSUM,
	MF_TUN_VNET,
};

static unsigned int offload_flags(uint32_t features)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < MF_ARRAY_LEN(feature_table); i++)
		if (features & feature_table[i].feature)
			flags |= feature_table[i].flag;
	return flags;
}

/* Takes away what cannot work alone. The kernel wants USO4 and USO6 together. */
static uint32_t consistent(uint32_t f)
{
	const uint32_t tso = MF_TUN_TSO4 | MF_TUN_TSO6, uso = MF_TUN_USO4 | MF_TUN_USO6;

	if (!(f & MF_TUN_VNET))
		return f & MF_TUN_MULTI_QUEUE;
	if (!(f & MF_TUN_CSUM))
		return f & (MF_TUN_VNET | MF_TUN_MULTI_QUEUE);
	if (!(f & tso))
		f &= ~(uint32_t)MF_TUN_TSO_ECN;
	if ((f & uso) != uso)
		f &= ~uso;
	return f;
}

const char *mf_tun_features_format(uint32_t features, char out[80])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < MF_ARRAY_LEN(feature_table); i++) {
		if (!(features & feature_table[i].feature))
			continue;
		n += (size_t)snprintf(out + n, 80 - n, "%s%s", n ? " " : "", feature_table[i].name);
	}
	return out;
}

/* What a kernel takes on writing does not depend on what it hands over on reading. */
static uint32_t tx_from(uint32_t features)
{
	return features & MF_TUN_ALL_OFFLOADS;
}

static mf_err open_failed(int err, const char *name, struct mf_errbuf *eb)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return mf_fail(
			eb, MF_E_UNSUPPORTED,
			"%s does not exist: load the kernel module `tun`, or in a container pass "
			"the device in",
			TUN_DEVICE);
	case EPERM:
	case EACCES:
		return mf_fail(
			eb, MF_E_PERMISSION,
			"tunnel.name %s: not allowed to create a TUN device: run as root or with "
			"CAP_NET_ADMIN",
			name);
	case EBUSY:
		return mf_fail(
			eb, MF_E_EXISTS,
			"tunnel.name %s: a device of this name exists already: is another mintflow "
			"running? `mintflow stop`, or choose another name",
			name);
	case EINVAL:
		return mf_fail(eb, MF_E_RANGE, "tunnel.name %s: not a valid device name", name);
	default:
		return mf_fail(eb, MF_E_SYSTEM, "tunnel.name %s: cannot create the TUN device: %s",
			       name, strerror(err));
	}
}

/* Opens a queue of `ifr`, which gets the final name. 0 or -errno. */
static int attach(struct mf_tun_queue *q, struct ifreq *ifr, short flags)
{
	int err;

	q->fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (q->fd < 0)
		return -errno;
	ifr->ifr_flags = flags;
	if (ioctl(q->fd, TUNSETIFF, ifr) == 0)
		return 0;
	err = -errno;
	close(q->fd);
	q->fd = -1;
	return err;
}

/* The header's size and, on the device, the offloads: the best step the kernel takes. */
static int probe(struct mf_tun *t, uint32_t wanted)
{
	int len = 10;

	t->offered = 0;
	if (!(wanted & MF_TUN_VNET))
		return 0;
	for (uint32_t i = 0; i < t->n_queues; i++)
		if (ioctl(t->queue[i].fd, TUNSETVNETHDRSZ, &len) < 0)
			return -errno;
	for (size_t i = 0; i < MF_ARRAY_LEN(probe_steps); i++) {
		uint32_t f = consistent(wanted & probe_steps[i]);

		if (ioctl(t->queue[0].fd, TUNSETOFFLOAD, (unsigned long)offload_flags(f)) == 0) {
			t->offered = f;
			return 0;
		}
		if (errno != EINVAL)
			return -errno;
	}
	return -EINVAL;
}

static int attach_all(struct mf_tun *t, const struct mf_tun_options *o, uint32_t features)
{
	struct ifreq ifr = { 0 };
	short flags = IFF_TUN | IFF_NO_PI;
	int r = 0;

	memcpy(ifr.ifr_name, o->name, strlen(o->name));
	if (features & MF_TUN_VNET)
		flags |= IFF_VNET_HDR;
	if (features & MF_TUN_MULTI_QUEUE)
		flags |= IFF_MULTI_QUEUE;
	for (uint32_t i = 0; i < t->n_queues && !r; i++) {
		/* A device of somebody else is never taken over: the first queue must make a new one. */
		short excl = (short)(i == 0 ? (int)IFF_TUN_EXCL : 0);

		r = attach(&t->queue[i], &ifr, (short)(flags | excl));
		t->queue[i].vnet = (features & MF_TUN_VNET) != 0;
	}
	if (!r) {
		memcpy(t->name, ifr.ifr_name, sizeof(t->name) - 1);
		r = probe(t, features);
	}
	return r;
}

static void detach_all(struct mf_tun *t)
{
	for (uint32_t i = 0; i < t->n_queues; i++) {
		if (t->queue[i].fd >= 0)
			close(t->queue[i].fd);
		t->queue[i].fd = -1;
	}
}

static int set_txqueuelen(struct mf_tun *t, uint32_t packets)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(&t->nl, RTM_NEWLINK, 0, sizeof(struct ifinfomsg), &body);

	((struct ifinfomsg *)body)->ifi_index = (int)t->ifindex;
	mnl_attr_put_u32(h, IFLA_TXQLEN, packets);
	return mf_nl_talk(&t->nl, h, NULL, NULL);
}

/* No link-local address and no router solicitations: there is no other host on this link. A kernel
 * without IPv6 refuses, and needs nothing. */
static void no_link_local(struct mf_tun *t)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(&t->nl, RTM_NEWLINK, 0, sizeof(struct ifinfomsg), &body);
	struct nlattr *spec, *inet6;

	((struct ifinfomsg *)body)->ifi_index = (int)t->ifindex;
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	(void)mf_nl_talk(&t->nl, h, NULL, NULL);
}

static struct mf_tun *alloc_tun(uint32_t n_queues)
{
	struct mf_tun *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->queue = aligned_alloc(MF_CACHE_LINE, n_queues * sizeof(*t->queue));
	if (!t->queue) {
		free(t);
		return NULL;
	}
	memset(t->queue, 0, n_queues * sizeof(*t->queue));
	t->n_queues = n_queues;
	for (uint32_t i = 0; i < n_queues; i++) {
		t->queue[i].fd = -1;
		t->queue[i].uso_segments = TUN_USO_SEGMENTS;
	}
	return t;
}

static int set_up_device(struct mf_tun *t, const struct mf_tun_options *o)
{
	int r = mf_nl_open(&t->nl);

	if (r)
		return r;
	t->ifindex = if_nametoindex(t->name);
	if (!t->ifindex)
		return -errno;
	no_link_local(t);
	return o->txqueuelen ? set_txqueuelen(t, o->txqueuelen) : 0;
}

struct mf_tun *mf_tun_open(const struct mf_tun_options *o, struct mf_errbuf *eb)
{
	uint32_t features = o->features | (o->queues > 1 ? MF_TUN_MULTI_QUEUE : 0u);
	struct mf_tun *t;
	int r;

	MF_ASSERT(o->queues >= 1 && o->queues <= MF_TUN_QUEUES_MAX);
	if (!o->name[0] || strlen(o->name) >= MF_TUN_NAME_MAX) {
		(void)mf_fail(eb, MF_E_RANGE, "tunnel.name %s: must have 1 to 15 bytes", o->name);
		return NULL;
	}
	t = alloc_tun(o->queues);
	if (!t) {
		(void)mf_fail(eb, MF_E_NO_MEMORY, "tunnel.name %s: out of memory", o->name);
		return NULL;
	}
	features = consistent(features);
	r = attach_all(t, o, features);
	/* A kernel that has the device but not its header still carries packets. */
	if (r == -EINVAL && (features & MF_TUN_VNET)) {
		detach_all(t);
		features &= MF_TUN_MULTI_QUEUE;
		r = attach_all(t, o, features);
	}
	t->offered |= features & MF_TUN_MULTI_QUEUE;
	t->features = t->offered;
	if (!r)
		r = set_up_device(t, o);
	if (r) {
		(void)open_failed(-r, o->name, eb);
		mf_tun_close(t);
		return NULL;
	}
	for (uint32_t i = 0; i < t->n_queues; i++)
		t->queue[i].tx_features = tx_from(t->offered);
	return t;
}

void mf_tun_close(struct mf_tun *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n_queues; i++)
		mf_tun_queue_flush(&t->queue[i]);
	detach_all(t);
	mf_nl_close(&t->nl);
	free(t->queue);
	free(t);
}

const char *mf_tun_name(const struct mf_tun *t)
{
	return t->name;
}

uint32_t mf_tun_ifindex(const struct mf_tun *t)
{
	return t->ifindex;
}

uint32_t mf_tun_features(const struct mf_tun *t)
{
	return t->features;
}

uint32_t mf_tun_queue_count(const struct mf_tun *t)
{
	return t->n_queues;
}

struct mf_tun_queue *mf_tun_queue(struct mf_tun *t, uint32_t i)
{
	MF_ASSERT(i < t->n_queues);
	return &t->queue[i];
}

static mf_err nl_failed(const struct mf_tun *t, int r, const char *what, struct mf_errbuf *eb)
{
	mf_err e = r == -EPERM ? MF_E_PERMISSION : r == -ENODEV ? MF_E_GONE : MF_E_SYSTEM;

	return mf_fail(eb, e, "tunnel %s: cannot set %s: %s", t->name, what, strerror(-r));
}

static struct nlmsghdr *start_link(struct mf_tun *t, uint32_t flags, uint32_t change)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(&t->nl, RTM_NEWLINK, 0, sizeof(struct ifinfomsg), &body);
	struct ifinfomsg *ifi = body;

	ifi->ifi_index = (int)t->ifindex;
	ifi->ifi_flags = flags;
	ifi->ifi_change = change;
	return h;
}

mf_err mf_tun_set_mtu(struct mf_tun *t, uint32_t mtu, struct mf_errbuf *eb)
{
	struct nlmsghdr *h = start_link(t, 0, 0);
	int r;

	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	r = mf_nl_talk(&t->nl, h, NULL, NULL);
	return r ? nl_failed(t, r, "the MTU", eb) : MF_OK;
}

mf_err mf_tun_set_up(struct mf_tun *t, bool up, struct mf_errbuf *eb)
{
	int r = mf_nl_talk(&t->nl, start_link(t, up ? IFF_UP : 0, IFF_UP), NULL, NULL);

	return r ? nl_failed(t, r, up ? "the link up" : "the link down", eb) : MF_OK;
}

mf_err mf_tun_set_gso_max(struct mf_tun *t, uint32_t bytes, uint32_t segments, struct mf_errbuf *eb)
{
	struct nlmsghdr *h = start_link(t, 0, 0);
	int r;

	/* Up to 64 KiB this attribute sets the limit for IPv4 as well (Linux 6.3). */
	mnl_attr_put_u32(h, IFLA_GSO_MAX_SIZE, (uint32_t)mf_min(bytes, MF_PKT_LARGE_MAX));
	mnl_attr_put_u32(h, IFLA_GSO_MAX_SEGS, segments);
	r = mf_nl_talk(&t->nl, h, NULL, NULL);
	return r ? nl_failed(t, r, "the largest super-packet", eb) : MF_OK;
}

static int change_address(struct mf_tun *t, const struct mf_prefix *p, bool add)
{
	void *body;
	struct nlmsghdr *h = mf_nl_start(&t->nl, add ? RTM_NEWADDR : RTM_DELADDR,
					 (uint16_t)(add ? NLM_F_CREATE | NLM_F_REPLACE : 0),
					 sizeof(struct ifaddrmsg), &body);
	struct ifaddrmsg *ifa = body;

	ifa->ifa_family = mf_nl_family(&p->addr);
	ifa->ifa_prefixlen = p->len;
	ifa->ifa_index = t->ifindex;
	if (p->addr.family == MF_AF_IP6)
		ifa->ifa_flags = IFA_F_NODAD;
	mf_nl_put_addr(h, IFA_LOCAL, &p->addr);
	mf_nl_put_addr(h, IFA_ADDRESS, &p->addr);
	return mf_nl_talk(&t->nl, h, NULL, NULL);
}

mf_err mf_tun_add_address(struct mf_tun *t, const struct mf_prefix *p, struct mf_errbuf *eb)
{
	char text[MF_PREFIX_STRLEN];
	int r = change_address(t, p, true);

	if (!r || r == -EEXIST)
		return MF_OK;
	return mf_fail(eb, r == -EPERM ? MF_E_PERMISSION : MF_E_SYSTEM,
		       "tunnel.address %s: cannot set it on %s: %s", mf_prefix_format(p, text),
		       t->name, strerror(-r));
}

mf_err mf_tun_remove_address(struct mf_tun *t, const struct mf_prefix *p, struct mf_errbuf *eb)
{
	char text[MF_PREFIX_STRLEN];
	int r = change_address(t, p, false);

	if (!r || r == -EADDRNOTAVAIL)
		return MF_OK;
	return mf_fail(eb, MF_E_SYSTEM, "tunnel.address %s: cannot remove it from %s: %s",
		       mf_prefix_format(p, text), t->name, strerror(-r));
}

static int see_type(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	uint8_t *type = arg;

	if (h->nlmsg_type == RTM_NEWROUTE)
		*type = rt->rtm_type;
	return MNL_CB_OK;
}

static bool is_local(struct mf_tun *t, const struct mf_addr *a)
{
	uint8_t type = RTN_UNSPEC;
	int r = mf_nl_talk(&t->nl, mf_nl_start_lookup(&t->nl, a, 0), see_type, &type);

	return !r && type == RTN_LOCAL;
}

bool mf_tun_await_address(struct mf_tun *t, const struct mf_addr *a)
{
	mf_nsec end = mf_clock_now() + MF_SEC;
	bool local;

	while (!(local = is_local(t, a)) && mf_clock_now() < end)
		mf_clock_sleep(MF_MSEC);
	return local;
}

mf_err mf_tun_set_features(struct mf_tun *t, uint32_t features, struct mf_errbuf *eb)
{
	uint32_t f = consistent(features & t->offered);

	if (!(t->offered & MF_TUN_VNET))
		return MF_OK;
	/* The header is part of every read: it stays as it was opened. */
	f |= MF_TUN_VNET | (t->offered & MF_TUN_MULTI_QUEUE);
	if (ioctl(t->queue[0].fd, TUNSETOFFLOAD, (unsigned long)offload_flags(f)) < 0)
		return mf_fail(eb, MF_E_SYSTEM, "tunnel %s: cannot change offloads: %s", t->name,
			       strerror(errno));
	t->features = f;
	return MF_OK;
}
