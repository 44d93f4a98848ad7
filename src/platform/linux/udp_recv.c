/* SPDX-License-Identifier: Apache-2.0
 *
 * udp_recv - datagrams from the kernel, up to 16 messages a call, each of them up to 64 KiB of
 * datagrams that UDP_GRO put together.
 *
 * A message may be short or long, so each has two places to land (mf_pkt_land). How many pairs are
 * held ready follows the load: an idle socket holds two.
 */
#include "platform/linux/udp_priv.h"

#include <errno.h>

enum { RECEIVE_TRIES = 4 };

static void drop_landing(struct udp_rx *rx, uint32_t i)
{
	if (rx->small[i])
		mf_pkt_free(rx->small[i]);
	if (rx->large[i])
		mf_pkt_free(rx->large[i]);
	rx->small[i] = rx->large[i] = NULL;
}

void mf_udp_rx_flush(struct udp_rx *rx)
{
	for (uint32_t i = 0; i < MF_UDP_RECV_MAX; i++)
		drop_landing(rx, i);
}

void mf_udp_flush(struct mf_udp *u)
{
	mf_udp_rx_flush(&u->rx);
}

/* Readies up to `want` messages; returns for how many there was memory. */
static uint32_t prepare(struct udp_rx *rx, struct mf_pkt_pool *pool, uint32_t want)
{
	for (uint32_t i = 0; i < want; i++) {
		if (!rx->small[i])
			rx->small[i] = mf_pkt_small(pool);
		if (!rx->large[i])
			rx->large[i] = mf_pkt_large(pool);
		if (!rx->small[i] || !rx->large[i]) {
			drop_landing(rx, i);
			return i;
		}
		rx->iov[i][0] = (struct iovec){ rx->small[i]->data, MF_PKT_SMALL_MAX };
		rx->iov[i][1] =
			(struct iovec){ rx->large[i]->data, MF_PKT_LARGE_MAX - MF_PKT_SMALL_MAX };
		rx->msg[i].msg_hdr = (struct msghdr){ .msg_name = &rx->from[i],
						      .msg_namelen = sizeof(rx->from[i]),
						      .msg_iov = rx->iov[i],
						      .msg_iovlen = 2,
						      .msg_control = rx->control[i],
						      .msg_controllen = UDP_RX_CONTROL };
	}
	return want;
}

/* Twice as many when the last call was filled, half as many when it was half empty. */
static void follow_load(struct udp_rx *rx, uint32_t asked, uint32_t got)
{
	uint32_t window = rx->window;

	if (got == asked)
		window = (uint32_t)mf_min(window * 2, MF_UDP_RECV_MAX);
	else if (got < window / 2)
		window = (uint32_t)mf_max(window / 2, UDP_RECV_WINDOW_MIN);
	for (uint32_t i = window; i < rx->window; i++)
		drop_landing(rx, i);
	rx->window = window;
}

static uint32_t cmsg_u32(const struct cmsghdr *c)
{
	uint32_t v;

	memcpy(&v, CMSG_DATA(c), sizeof(v));
	return v;
}

static void read_ip4(const struct cmsghdr *c, struct mf_pkt *p)
{
	struct in_pktinfo info;

	if (c->cmsg_type == IP_TOS) {
		p->tos = *CMSG_DATA(c);
	} else if (c->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		p->local = mf_addr_ip4(&info.ipi_spec_dst);
		p->local_if = (uint32_t)info.ipi_ifindex;
	}
}

static void read_ip6(const struct cmsghdr *c, struct mf_pkt *p)
{
	struct in6_pktinfo info;

	if (c->cmsg_type == IPV6_TCLASS) {
		p->tos = (uint8_t)cmsg_u32(c);
	} else if (c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof(info));
		p->local = mf_addr_ip6(&info.ipi6_addr);
		p->local_if = info.ipi6_ifindex;
	}
}

/* Returns the stride of a GRO batch, 0: one datagram. */
static uint32_t read_control(struct udp_rx *rx, struct mf_udp_counters *count, struct msghdr *m,
			     struct mf_pkt *p)
{
	uint32_t stride = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP) {
			read_ip4(c, p);
		} else if (c->cmsg_level == IPPROTO_IPV6) {
			read_ip6(c, p);
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			stride = cmsg_u32(c);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			mf_count(&count->rx_overflow, cmsg_u32(c) - rx->overflow);
			rx->overflow = cmsg_u32(c);
		}
	}
	return stride;
}

/* The packet of message i, or NULL: it was dropped. */
static struct mf_pkt *take(struct udp_rx *rx, struct mf_udp_counters *count, uint32_t i)
{
	struct msghdr *m = &rx->msg[i].msg_hdr;
	uint32_t len = rx->msg[i].msg_len, stride;
	struct mf_pkt *p;

	if (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		mf_count(&count->rx_truncated, 1);
		return NULL;
	}
	if (!len && !rx->keep_empty) {
		mf_count(&count->rx_empty, 1);
		return NULL;
	}
	p = mf_pkt_land(rx->small[i], rx->large[i], len);
	if (p == rx->small[i])
		rx->small[i] = NULL;
	else
		rx->large[i] = NULL;
	p->remote = mf_sockaddr_endpoint(&rx->from[i]);
	p->local = (struct mf_addr){ 0 };
	p->local_if = 0;
	p->tos = 0;
	stride = read_control(rx, count, m, p);
	if (stride && stride < len) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = (uint16_t)stride;
		p->segments = (len + stride - 1) / stride;
	} else {
		p->gso_type = MF_GSO_NONE;
		p->gso_size = 0;
		p->segments = 1;
	}
	mf_count(&count->rx_datagrams, p->segments);
	mf_count(&count->rx_bytes, len);
	return p;
}

/* An error that an earlier datagram caused waits in front of what has come in, and goes by being told. */
static int receive(struct udp_rx *rx, int fd, uint32_t n, struct mf_udp_counters *count)
{
	for (int tries = 0; tries < RECEIVE_TRIES;) {
		int r = recvmmsg(fd, rx->msg, n, MSG_DONTWAIT, NULL);

		if (r >= 0)
			return r;
		if (errno == EAGAIN)
			return 0;
		if (errno == EINTR)
			continue;
		mf_count(&count->rx_errors, 1);
		tries++;
	}
	return 0;
}

size_t mf_udp_rx_some(struct udp_rx *rx, int fd, struct mf_udp_counters *count,
		      struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max, bool *more)
{
	uint32_t want = (uint32_t)mf_min(max, rx->window), ready, got;
	size_t n = 0;

	ready = prepare(rx, pool, want);
	*more = false;
	if (!ready) {
		mf_count(&count->rx_no_buffer, 1);
		return 0;
	}
	got = (uint32_t)receive(rx, fd, ready, count);
	mf_count(&count->rx_messages, got);
	for (uint32_t i = 0; i < got; i++) {
		out[n] = take(rx, count, i);
		n += out[n] != NULL;
	}
	*more = got == ready;
	if (want == rx->window)
		follow_load(rx, want, got);
	return n;
}

size_t mf_udp_recv(struct mf_udp *u, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	size_t n = 0;
	bool more = true;

	while (more && n < max)
		n += mf_udp_rx_some(&u->rx, u->fd, &u->count, pool, out + n, max - n, &more);
	return n;
}
