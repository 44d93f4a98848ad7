/* SPDX-License-Identifier: Apache-2.0
 *
 * udp_send - datagrams to the kernel, up to 64 messages a call, each of them up to 64 datagrams that
 * UDP_SEGMENT lets the kernel (or the network card) take apart.
 *
 * The quick way builds messages and sends them in bulk. A message that the kernel refuses is taken up
 * alone by `rescue`, which knows what may be tried instead.
 */
#include "platform/linux/udp_priv.h"

#include <errno.h>
#include <poll.h>

enum { SEND_WAIT_MS = 1 };

static uint32_t payload_max(const struct mf_udp *u)
{
	return u->family == MF_AF_IP4 ? 65507 : 65527;
}

static uint32_t segments_of(size_t len, uint32_t stride)
{
	return stride ? (uint32_t)((len + stride - 1) / stride) : 1;
}

void *mf_udp_add_cmsg(struct msghdr *m, int level, int type, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)m->msg_control + m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	m->msg_controllen += CMSG_SPACE(len);
	return CMSG_DATA(c);
}

/* The interface is only named where the address means nothing without: a socket bound to an
 * interface that has lost its route would look for the endpoint on the local wire. */
static void add_source(struct msghdr *m, const struct mf_pkt *p)
{
	static const uint8_t link_local[2] = { 0xfe, 0x80 };
	struct in_pktinfo info4 = { 0 };
	struct in6_pktinfo info6 = { 0 };

	if (p->local.family != p->remote.addr.family)
		return;
	if (p->local.family == MF_AF_IP4) {
		memcpy(&info4.ipi_spec_dst, p->local.b, 4);
		memcpy(mf_udp_add_cmsg(m, IPPROTO_IP, IP_PKTINFO, sizeof(info4)), &info4,
		       sizeof(info4));
		return;
	}
	memcpy(&info6.ipi6_addr, p->local.b, 16);
	if (!memcmp(p->local.b, link_local, 2))
		info6.ipi6_ifindex = p->local_if;
	memcpy(mf_udp_add_cmsg(m, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info6)), &info6, sizeof(info6));
}

/* Ancillary data of a message that is (part of) p. */
static void set_control(struct msghdr *m, uint8_t control[UDP_TX_CONTROL], const struct mf_pkt *p,
			uint16_t stride)
{
	bool ip4 = p->remote.addr.family == MF_AF_IP4;
	int tos = p->tos;

	m->msg_control = control;
	m->msg_controllen = 0;
	if (p->local.family)
		add_source(m, p);
	if (tos)
		memcpy(mf_udp_add_cmsg(m, ip4 ? IPPROTO_IP : IPPROTO_IPV6,
				       ip4 ? IP_TOS : IPV6_TCLASS, sizeof(tos)),
		       &tos, sizeof(tos));
	if (stride)
		memcpy(mf_udp_add_cmsg(m, IPPROTO_UDP, UDP_SEGMENT, sizeof(stride)), &stride,
		       sizeof(stride));
	if (!m->msg_controllen)
		m->msg_control = NULL;
}

static void count_sent(struct mf_udp *u, size_t len, uint16_t stride)
{
	mf_count(&u->count.tx_messages, 1);
	mf_count(&u->count.tx_datagrams, segments_of(len, stride));
	mf_count(&u->count.tx_bytes, len);
}

static void count_drop(struct mf_udp *u, struct mf_pkt *p, int err, uint32_t datagrams)
{
	p->drop = MF_DROP_UDP_SEND;
	switch (err) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		mf_count(&u->count.tx_drop_busy, datagrams);
		break;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
	case ENETDOWN:
	case ENODEV:
		p->drop = MF_DROP_UDP_UNREACHABLE;
		mf_count(&u->count.tx_drop_unreachable, datagrams);
		break;
	case EMSGSIZE:
		mf_count(&u->count.tx_drop_too_big, datagrams);
		break;
	case EPERM:
	case EACCES:
		mf_count(&u->count.tx_drop_denied, datagrams);
		break;
	default:
		mf_count(&u->count.tx_drop_other, datagrams);
		break;
	}
}

/* 0 or errno. */
static int send_message(struct mf_udp *u, const struct msghdr *m)
{
	ssize_t n;

	do {
		n = sendmsg(u->fd, m, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

/* Gives the send buffer a moment, once in a call: a full buffer means that the network card is the
 * bottleneck, and packets that wait in the TUN's queue slow their senders down without loss. */
static bool wait_for_room(struct mf_udp *u)
{
	struct pollfd pfd = { .fd = u->fd, .events = POLLOUT };

	if (u->tx.waited)
		return false;
	u->tx.waited = true;
	return poll(&pfd, 1, SEND_WAIT_MS) > 0;
}

/* EINVAL is what the kernel says of a source address that is not (any more) on this machine. */
static bool blames_source(int err)
{
	return err == EINVAL || err == ENETUNREACH || err == EHOSTUNREACH || err == EADDRNOTAVAIL ||
	       err == ENODEV || err == ENETDOWN || err == EPERM;
}

/* The source is the first thing that set_control writes. */
static bool has_source(const struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);

	return c && ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) ||
		     (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO));
}

/* A single datagram, or a batch whose refusal says nothing about batches. */
static bool rescue_one(struct mf_udp *u, struct msghdr *m, struct mf_pkt *p, uint16_t stride, int err)
{
	uint8_t control[UDP_TX_CONTROL] MF_ALIGNED(8);
	size_t len = m->msg_iov->iov_len;

	if (err == EAGAIN && wait_for_room(u))
		err = send_message(u, m);
	if (blames_source(err) && has_source(m)) {
		struct mf_addr local = p->local;

		p->local = (struct mf_addr){ 0 };
		set_control(m, control, p, stride);
		err = send_message(u, m);
		m->msg_control = NULL; /* ends with this function */
		m->msg_controllen = 0;
		if (err)
			p->local = local;
		else
			mf_count(&u->count.tx_source_lost, 1);
	}
	if (!err)
		count_sent(u, len, stride);
	else
		count_drop(u, p, err, segments_of(len, stride));
	return !err;
}

/* The datagrams of a batch one by one. */
static bool send_apart(struct mf_udp *u, struct msghdr *m, struct mf_pkt *p, uint16_t stride)
{
	uint8_t control[UDP_TX_CONTROL] MF_ALIGNED(8);
	uint8_t *at = m->msg_iov->iov_base;
	size_t left = m->msg_iov->iov_len;
	bool all = true;

	for (size_t n; left; at += n, left -= n) {
		struct iovec iov = { at, n = mf_min(left, stride) };
		struct msghdr one = { .msg_name = m->msg_name,
				      .msg_namelen = m->msg_namelen,
				      .msg_iov = &iov,
				      .msg_iovlen = 1 };
		int err;

		set_control(&one, control, p, 0);
		err = send_message(u, &one);
		if (!err)
			count_sent(u, n, 0);
		else
			all &= rescue_one(u, &one, p, 0, err);
	}
	return all;
}

/* The kernel has refused message i. EIO: the device cannot do it, nor will it tomorrow. EINVAL and
 * EMSGSIZE: a datagram of the batch is longer than the path's MTU, so it would have to be fragmented,
 * which a batch cannot be. */
static void rescue(struct mf_udp *u, uint32_t i, int err)
{
	struct udp_tx *tx = &u->tx;
	struct msghdr *m = &tx->msg[i].msg_hdr;
	uint16_t stride = tx->stride[i];

	if (stride && err == EIO) {
		mf_count(&u->count.tx_gso_off, (u->features & MF_UDP_GSO) != 0);
		u->features &= ~(uint32_t)MF_UDP_GSO;
	} else if (stride && (err == EINVAL || err == EMSGSIZE)) {
		mf_count(&u->count.tx_gso_split, 1);
	} else {
		(void)rescue_one(u, m, tx->of[i], stride, err);
		return;
	}
	(void)send_apart(u, m, tx->of[i], stride);
}

static void flush(struct mf_udp *u)
{
	struct udp_tx *tx = &u->tx;

	for (uint32_t i = 0; i < tx->n;) {
		int r = sendmmsg(u->fd, tx->msg + i, tx->n - i, MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			rescue(u, i++, errno);
			continue;
		}
		for (uint32_t end = i + (uint32_t)r; i < end; i++)
			count_sent(u, tx->iov[i].iov_len, tx->stride[i]);
	}
	tx->n = 0;
}

static void push(struct mf_udp *u, struct mf_pkt *p, uint8_t *at, size_t len, uint16_t stride)
{
	struct udp_tx *tx = &u->tx;
	uint32_t i;
	struct msghdr *m;

	if (tx->n == UDP_SEND_BATCH)
		flush(u);
	i = tx->n++;
	m = &tx->msg[i].msg_hdr;
	tx->of[i] = p;
	tx->stride[i] = len > stride ? stride : 0;
	tx->iov[i] = (struct iovec){ at, len };
	*m = (struct msghdr){ .msg_name = &tx->to[i], .msg_iov = &tx->iov[i], .msg_iovlen = 1 };
	m->msg_namelen =
		mf_sockaddr_of(&tx->to[i], &p->remote.addr, p->remote.port, p->remote.scope_id);
	set_control(m, tx->control[i], p, tx->stride[i]);
}

/* As few messages as the kernel's limits on a batch allow. */
static void push_packet(struct mf_udp *u, struct mf_pkt *p)
{
	uint32_t chunk = p->len, segs;

	p->drop = MF_DROP_NONE;
	if (p->remote.addr.family != u->family) {
		count_drop(u, p, ENETUNREACH, p->segments);
		return;
	}
	if (p->gso_type != MF_GSO_NONE && p->gso_size) {
		segs = u->features & MF_UDP_GSO ? payload_max(u) / p->gso_size : 1;
		segs = (uint32_t)mf_min(mf_max(segs, 1), MF_UDP_GSO_SEGMENTS_MAX);
		chunk = segs * p->gso_size;
	}
	for (uint32_t off = 0, n; off < p->len; off += n) {
		n = (uint32_t)mf_min(p->len - off, chunk);
		push(u, p, p->data + off, n, p->gso_type != MF_GSO_NONE ? p->gso_size : 0);
	}
}

size_t mf_udp_send(struct mf_udp *u, struct mf_pkt *const *pkts, size_t n)
{
	size_t sent = 0;

	u->tx.waited = false;
	for (size_t i = 0; i < n; i++)
		push_packet(u, pkts[i]);
	flush(u);
	for (size_t i = 0; i < n; i++)
		sent += pkts[i]->drop == MF_DROP_NONE;
	return sent;
}
