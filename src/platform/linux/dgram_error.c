/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram_error - what became of datagrams that did not arrive: the kernel's error queue (IP_RECVERR), and
 * what we know ourselves, as the ICMP messages that a router in our place would send.
 */
#include "platform/linux/dgram_priv.h"

#include <errno.h>
#include <linux/errqueue.h>

/* ICMP types and codes (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1). */
struct icmp {
	uint8_t type, code;
};

static struct icmp icmp_of(uint8_t family, enum mf_stream_error why)
{
	bool ip4 = family == MF_AF_IP4;

	switch (why) {
	case MF_STREAM_E_HOST_UNREACHABLE:
		return ip4 ? (struct icmp){ 3, 1 } : (struct icmp){ 1, 3 };
	case MF_STREAM_E_PROHIBITED:
		return ip4 ? (struct icmp){ 3, 13 } : (struct icmp){ 1, 1 };
	default:
		return ip4 ? (struct icmp){ 3, 0 } : (struct icmp){ 1, 0 };
	}
}

/* Of an echo request as we send it. */
static uint16_t echo_seq(const uint8_t *icmp, size_t len)
{
	return len < 8 ? 0 : (uint16_t)(icmp[6] << 8 | icmp[7]);
}

static struct mf_dgram_error about(const struct mf_dgram_socket *s, const struct mf_pkt *p,
				   struct icmp icmp)
{
	struct mf_dgram_error e = { .remote = p->remote, .type = icmp.type, .code = icmp.code };

	if (s->kind == MF_DGRAM_ECHO)
		e.echo_seq = echo_seq(p->data, p->len);
	return e;
}

void mf_dgram_socket_refuse(struct mf_dgram_socket *s, struct mf_pkt *p, enum mf_stream_error why)
{
	p->drop = why == MF_STREAM_E_NO_DEVICE ? MF_DROP_OUTBOUND_DOWN : MF_DROP_OUTBOUND_REFUSED;
	s->own = about(s, p, icmp_of(s->family, why));
	s->has_own = true;
}

void mf_dgram_too_big(struct mf_dgram_socket *s, struct mf_pkt *p)
{
	bool ip4 = s->family == MF_AF_IP4;

	p->drop = MF_DROP_OUTBOUND_REFUSED;
	s->too_big = about(s, p, ip4 ? (struct icmp){ 3, 4 } : (struct icmp){ 2, 0 });
	s->errors = true;
}

/* The kernel's own error has the MTU but no port, and comes for every try: also for those after which the
 * datagram went out in fragments. So it only completes what is known of a datagram that did not. */
static bool read_local(struct mf_dgram_socket *s, const struct sock_extended_err *ee,
		       struct mf_dgram_error *e)
{
	if (ee->ee_errno != EMSGSIZE || !mf_addr_equal(&e->remote.addr, &s->too_big.remote.addr))
		return false;
	*e = s->too_big;
	e->mtu = ee->ee_info;
	s->too_big.remote.addr.family = MF_AF_NONE;
	return true;
}

/* Fills in who and what; false: nothing to tell. */
static bool read_extended(struct mf_dgram_socket *s, const struct sock_extended_err *ee,
			  struct mf_dgram_error *e)
{
	const union mf_sockaddr *by = (const void *)SO_EE_OFFENDER(ee);

	if (ee->ee_origin == SO_EE_ORIGIN_LOCAL)
		return read_local(s, ee, e);
	if (ee->ee_origin != SO_EE_ORIGIN_ICMP && ee->ee_origin != SO_EE_ORIGIN_ICMP6)
		return false;
	e->type = ee->ee_type;
	e->code = ee->ee_code;
	e->mtu = ee->ee_errno == EMSGSIZE ? ee->ee_info : 0;
	if (by->any.sa_family == AF_INET || by->any.sa_family == AF_INET6)
		e->offender = mf_sockaddr_endpoint(by).addr;
	return true;
}

static bool read_message(struct mf_dgram_socket *s, struct msghdr *m, size_t len,
			 struct mf_dgram_error *e)
{
	*e = (struct mf_dgram_error){ .remote = mf_sockaddr_endpoint(m->msg_name) };
	if (s->kind == MF_DGRAM_ECHO)
		e->echo_seq = echo_seq(m->msg_iov->iov_base, len);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			return read_extended(s, (const void *)CMSG_DATA(c), e);
	return false;
}

bool mf_dgram_socket_error(struct mf_dgram_socket *s, struct mf_dgram_error *e)
{
	uint8_t control[512] MF_ALIGNED(8), quoted[8];
	union mf_sockaddr to;

	if (s->has_own) {
		s->has_own = false;
		*e = s->own;
		return true;
	}
	while (s->errors) {
		struct iovec iov = { quoted, sizeof(quoted) };
		struct msghdr m = { .msg_name = &to,
				    .msg_namelen = sizeof(to),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n;

		memset(&to, 0, sizeof(to));
		n = recvmsg(s->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
		if (n < 0 && errno != EINTR)
			s->errors = false;
		else if (n >= 0 && read_message(s, &m, (size_t)n, e))
			return true;
	}
	return false;
}
