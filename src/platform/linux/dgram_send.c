/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_send - datagrams to the kernel, up to 64 messages a call, each of them up to 64 datagrams: a
 * super-packet as it is, or neighbours that the kernel gathers from where they lie (UDP_SEGMENT).
 *
 * The quick way builds messages and sends them in bulk. A message that the kernel refuses is taken up alone by
 * `rescue`. The refusal may not even be about it: with IP_RECVERR an error that an earlier datagram has caused
 * is told to whatever call comes next, so one more try comes first.
 */
#include "platform/linux/dgram_priv.h"

#include <errno.h>

#include "platform/linux/socket_priv.h"

static uint32_t payload_max(const struct mf_dgram_socket *s)
{
	return s->family == MF_AF_IP4 ? 65507 : 65527;
}

static uint32_t segments_of(size_t len, uint32_t stride)
{
	return stride ? (uint32_t)((len + stride - 1) / stride) : 1;
}

static bool is_super(const struct mf_pkt *p)
{
	return p->gso_type != MF_GSO_NONE && p->gso_size && p->gso_size < p->len;
}

/* ---- Messages ---------------------------------------------------------------------------------- */

static void add_int(struct msghdr *m, int level, int type, int value)
{
	memcpy(mf_udp_add_cmsg(m, level, type, sizeof(value)), &value, sizeof(value));
}

/* The device as a packet's own, with the source left to the kernel. */
static void add_device(struct msghdr *m, bool ip4, uint32_t ifindex)
{
	struct in_pktinfo info4 = { .ipi_ifindex = (int)ifindex };
	struct in6_pktinfo info6 = { .ipi6_ifindex = ifindex };

	if (ip4)
		memcpy(mf_udp_add_cmsg(m, IPPROTO_IP, IP_PKTINFO, sizeof(info4)), &info4,
		       sizeof(info4));
	else
		memcpy(mf_udp_add_cmsg(m, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info6)), &info6,
		       sizeof(info6));
}

static void set_control(struct msghdr *m, uint8_t control[DGRAM_TX_CONTROL], const struct mf_pkt *p,
			uint16_t stride)
{
	bool ip4 = p->remote.addr.family == MF_AF_IP4;
	int level = ip4 ? IPPROTO_IP : IPPROTO_IPV6;

	m->msg_control = control;
	m->msg_controllen = 0;
	if (p->local_if)
		add_device(m, ip4, p->local_if);
	if (p->tos)
		add_int(m, level, ip4 ? IP_TOS : IPV6_TCLASS, p->tos);
	if (p->ttl)
		add_int(m, level, ip4 ? IP_TTL : IPV6_HOPLIMIT, p->ttl);
	if (stride)
		memcpy(mf_udp_add_cmsg(m, IPPROTO_UDP, UDP_SEGMENT, sizeof(stride)), &stride,
		       sizeof(stride));
	if (!m->msg_controllen)
		m->msg_control = NULL;
}

static void set_name(struct msghdr *m, union mf_sockaddr *to, const struct mf_pkt *p)
{
	m->msg_name = to;
	m->msg_namelen = mf_sockaddr_of(to, &p->remote.addr, p->remote.port, p->remote.scope_id);
}

/* ---- What the kernel refuses ------------------------------------------------------------------- */

static void count_sent(struct mf_dgram_io *io, size_t len, uint16_t stride)
{
	mf_count(&io->count.tx_messages, 1);
	mf_count(&io->count.tx_datagrams, segments_of(len, stride));
	mf_count(&io->count.tx_bytes, len);
}

static void refuse(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt *p, int err)
{
	struct mf_udp_counters *c = &io->count;

	switch (err) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		mf_count(&c->tx_drop_busy, 1);
		p->drop = MF_DROP_OUTBOUND_BUSY;
		return;
	case EMSGSIZE: /* the kernel's error queue has the MTU */
		mf_count(&c->tx_drop_too_big, 1);
		mf_dgram_too_big(s, p);
		return;
	case EACCES:
	case EPERM:
		mf_count(&c->tx_drop_denied, 1);
		break;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case ENODEV:
	case EADDRNOTAVAIL:
		mf_count(&c->tx_drop_unreachable, 1);
		break;
	default: /* says nothing about the way */
		mf_count(&c->tx_drop_other, 1);
		p->drop = MF_DROP_OUTBOUND_REFUSED;
		return;
	}
	mf_dgram_socket_refuse(s, p, mf_socket_errno(err));
}

/* 0 or errno. */
static int send_message(struct mf_dgram_socket *s, const struct msghdr *m)
{
	ssize_t n;

	do {
		n = sendmsg(s->fd, m, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

/* Once more: the first error may have been an older one. */
static int send_again(struct mf_dgram_socket *s, const struct msghdr *m, int err)
{
	if (err == EAGAIN || err == ENOBUFS)
		return err;
	s->errors = true;
	return send_message(s, m);
}

static int send_in_fragments(struct mf_dgram_socket *s, const struct msghdr *m)
{
	bool ip4 = s->family == MF_AF_IP4;
	int level = ip4 ? IPPROTO_IP : IPPROTO_IPV6;
	int name = ip4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, err;

	(void)mf_socket_set(s->fd, level, name, ip4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT);
	err = send_message(s, m);
	(void)mf_socket_set(s->fd, level, name, ip4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO);
	return err;
}

/* One datagram that the kernel has refused with `err`, 0: that it has not seen yet. */
static void send_one(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt *p,
		     uint8_t *at, size_t len, int err)
{
	uint8_t control[DGRAM_TX_CONTROL] MF_ALIGNED(8);
	struct iovec iov = { at, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union mf_sockaddr to;

	set_name(&m, &to, p);
	set_control(&m, control, p, 0);
	if (!err)
		err = send_message(s, &m);
	if (err)
		err = send_again(s, &m, err);
	if (err == EMSGSIZE && (p->flags & MF_PKT_MAY_FRAGMENT))
		err = send_in_fragments(s, &m);
	if (err)
		refuse(io, s, p, err);
	else
		count_sent(io, len, 0);
}

static void send_apart(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt *p,
		       uint8_t *at, size_t len)
{
	size_t step = is_super(p) ? p->gso_size : len;

	for (size_t n; len; at += n, len -= n)
		send_one(io, s, p, at, n = mf_min(len, step), 0);
}

/* The kernel does not take message i as a batch. EIO: the device cannot do it. EINVAL and EMSGSIZE: one
 * datagram is longer than the path's MTU, which those of a batch cannot be. Else it says nothing of batches. */
static void rescue_batch(struct mf_dgram_io *io, struct mf_dgram_socket *s, uint32_t i, int err)
{
	struct dgram_tx *tx = &io->tx;
	struct msghdr *m = &tx->msg[i].msg_hdr;
	bool apart = err == EIO || err == EINVAL || err == EMSGSIZE;

	if (err == EIO) {
		mf_count(&io->count.tx_gso_off, (io->features & MF_UDP_GSO) != 0);
		io->features &= ~(uint32_t)MF_UDP_GSO;
	}
	mf_count(&io->count.tx_gso_split, apart && err != EIO);
	for (size_t k = 0; k < m->msg_iovlen; k++) {
		if (apart)
			send_apart(io, s, tx->of[i][k], m->msg_iov[k].iov_base,
				   m->msg_iov[k].iov_len);
		else
			refuse(io, s, tx->of[i][k], err);
	}
}

static void rescue(struct mf_dgram_io *io, struct mf_dgram_socket *s, uint32_t i, int err)
{
	struct dgram_tx *tx = &io->tx;
	struct msghdr *m = &tx->msg[i].msg_hdr;

	if (!tx->stride[i]) {
		send_one(io, s, *tx->of[i], m->msg_iov->iov_base, m->msg_iov->iov_len, err);
		return;
	}
	err = send_again(s, m, err);
	if (err)
		rescue_batch(io, s, i, err);
	else
		count_sent(io, tx->bytes[i], tx->stride[i]);
}

static void flush(struct mf_dgram_io *io, struct mf_dgram_socket *s)
{
	struct dgram_tx *tx = &io->tx;

	for (uint32_t i = 0; i < tx->n;) {
		int r = sendmmsg(s->fd, tx->msg + i, tx->n - i, MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			rescue(io, s, i++, errno);
			continue;
		}
		for (uint32_t end = i + (uint32_t)r; i < end; i++)
			count_sent(io, tx->bytes[i], tx->stride[i]);
	}
	tx->n = tx->n_iov = 0;
}

/* ---- The quick way ----------------------------------------------------------------------------- */

/* A message of `n` pieces from now on; its packets begin at `of`. */
static struct iovec *begin(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt **of,
			   uint32_t n, uint32_t bytes, uint16_t stride)
{
	struct dgram_tx *tx = &io->tx;
	uint32_t i;
	struct msghdr *m;

	if (tx->n == DGRAM_MESSAGES || tx->n_iov + n > DGRAM_PIECES)
		flush(io, s);
	i = tx->n++;
	m = &tx->msg[i].msg_hdr;
	tx->of[i] = of;
	tx->bytes[i] = bytes;
	tx->stride[i] = bytes > stride ? stride : 0;
	*m = (struct msghdr){ .msg_iov = &tx->iov[tx->n_iov], .msg_iovlen = n };
	tx->n_iov += n;
	set_name(m, &tx->to[i], *of);
	set_control(m, tx->control[i], *of, tx->stride[i]);
	return m->msg_iov;
}

/* In as few messages as the kernel's limits on a batch allow. */
static void push_super(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt **at)
{
	struct mf_pkt *p = *at;
	uint32_t segs = io->features & MF_UDP_GSO ? payload_max(s) / p->gso_size : 1;
	uint32_t chunk;

	segs = (uint32_t)mf_min(mf_max(segs, 1), MF_UDP_GSO_SEGMENTS_MAX);
	chunk = segs * p->gso_size;
	for (uint32_t off = 0, n; off < p->len; off += n) {
		n = (uint32_t)mf_min(p->len - off, chunk);
		*begin(io, s, at, 1, n, p->gso_size) = (struct iovec){ p->data + off, n };
	}
}

static bool same_way(const struct mf_pkt *a, const struct mf_pkt *b)
{
	return a->tos == b->tos && a->ttl == b->ttl && a->local_if == b->local_if &&
	       mf_endpoint_equal(&a->remote, &b->remote);
}

/* How many packets from the first on can be one message: the last may be shorter, none is empty. */
static uint32_t run_length(const struct mf_dgram_io *io, const struct mf_dgram_socket *s,
			   struct mf_pkt **pkts, size_t n)
{
	uint32_t stride = pkts[0]->len, bytes = stride, k = 1;

	if (!(io->features & MF_UDP_GSO) || s->kind != MF_DGRAM_UDP || !stride)
		return 1;
	n = mf_min(n, MF_UDP_GSO_SEGMENTS_MAX);
	for (; k < n && pkts[k - 1]->len == stride; k++) {
		const struct mf_pkt *p = pkts[k];

		if (is_super(p) || !p->len || p->len > stride || bytes + p->len > payload_max(s) ||
		    !same_way(pkts[0], p))
			break;
		bytes += p->len;
	}
	return k;
}

static size_t push(struct mf_dgram_io *io, struct mf_dgram_socket *s, struct mf_pkt **pkts, size_t n)
{
	uint32_t run, bytes = 0;
	struct iovec *v;

	if (is_super(pkts[0])) {
		push_super(io, s, pkts);
		return 1;
	}
	run = run_length(io, s, pkts, n);
	for (uint32_t k = 0; k < run; k++)
		bytes += pkts[k]->len;
	v = begin(io, s, pkts, run, bytes, run > 1 ? (uint16_t)pkts[0]->len : 0);
	for (uint32_t k = 0; k < run; k++)
		v[k] = (struct iovec){ pkts[k]->data, pkts[k]->len };
	return run;
}

void mf_dgram_socket_send(struct mf_dgram_socket *s, struct mf_dgram_io *io, struct mf_pkt **pkts,
			  size_t n)
{
	for (size_t i = 0; i < n; i++)
		pkts[i]->drop = MF_DROP_NONE;
	for (size_t i = 0; i < n;) {
		if (pkts[i]->remote.addr.family != s->family) {
			refuse(io, s, pkts[i++], ENETUNREACH);
			continue;
		}
		i += push(io, s, pkts + i, n - i);
	}
	flush(io, s);
}
