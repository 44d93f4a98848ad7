/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/listen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "platform/linux/udp_priv.h"

enum { BACKLOG = 128, SOCKET_BUFFER = 1 << 20 };

static int refuse(int fd, const struct mf_endpoint *at, const char *what, struct mf_errbuf *eb)
{
	char text[MF_ENDPOINT_STRLEN];
	const char *why = errno == EADDRINUSE      ? "another program listens there"
			  : errno == EADDRNOTAVAIL ? "no interface has this address"
						   : strerror(errno);

	mf_fail(eb, MF_E_SYSTEM, "dns.listen: %s (%s): %s", mf_endpoint_format(at, text), what, why);
	if (fd >= 0)
		close(fd);
	return -1;
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int bound(const struct mf_endpoint *at, int type, uint32_t mark, struct mf_errbuf *eb)
{
	bool v6 = at->addr.family == MF_AF_IP6;
	const char *what = type == SOCK_DGRAM ? "UDP" : "TCP";
	int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union mf_sockaddr sa;
	socklen_t n = mf_sockaddr_of(&sa, &at->addr, at->port, at->scope_id);

	if (fd < 0)
		return refuse(fd, at, what, eb);
	if (v6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	set(fd, SOL_SOCKET, SO_REUSEADDR, type == SOCK_STREAM);
	if (mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
		return refuse(fd, at, what, eb);
	if (bind(fd, &sa.any, n))
		return refuse(fd, at, what, eb);
	return fd;
}

int mf_listen_udp(const struct mf_endpoint *at, uint32_t mark, struct mf_errbuf *eb)
{
	int fd = bound(at, SOCK_DGRAM, mark, eb);

	if (fd < 0)
		return -1;
	set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	/* Bound to one address a reply leaves from that one anyway, which is cheaper. */
	if (at->addr.family == MF_AF_IP6)
		set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	else if (mf_addr_is_unspecified(&at->addr))
		set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	return fd;
}

int mf_listen_tcp(const struct mf_endpoint *at, uint32_t mark, struct mf_errbuf *eb)
{
	int fd = bound(at, SOCK_STREAM, mark, eb);

	if (fd >= 0 && listen(fd, BACKLOG))
		return refuse(fd, at, "TCP", eb);
	return fd;
}

void mf_listen_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

enum { CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) };

/* What one call of the kernel needs for a batch. */
struct batch {
	struct mmsghdr msg[MF_LISTEN_BATCH];
	struct iovec iov[MF_LISTEN_BATCH];
	union mf_sockaddr sa[MF_LISTEN_BATCH];
	uint8_t control[MF_LISTEN_BATCH][CONTROL] MF_ALIGNED(8);
};

static _Thread_local struct batch batch;

static void read_control(struct msghdr *m, struct mf_listen_datagram *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo i4;
		struct in6_pktinfo i6;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&i4, CMSG_DATA(c), sizeof(i4));
			d->local = mf_addr_ip4(&i4.ipi_spec_dst);
			d->ifindex = (uint32_t)i4.ipi_ifindex;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&i6, CMSG_DATA(c), sizeof(i6));
			d->local = mf_addr_ip6(&i6.ipi6_addr);
			d->ifindex = i6.ipi6_ifindex;
		}
	}
}

size_t mf_listen_recv(int fd, struct mf_listen_datagram *v, size_t n, bool *drained)
{
	struct batch *b = &batch;
	size_t kept = 0;
	int got;

	n = mf_min(n, MF_LISTEN_BATCH);
	for (size_t i = 0; i < n; i++) {
		b->iov[i] = (struct iovec){ v[i].data, v[i].n };
		b->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &b->sa[i],
			.msg_namelen = sizeof(b->sa[i]),
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_control = b->control[i],
			.msg_controllen = CONTROL,
		};
	}
	do
		got = recvmmsg(fd, b->msg, (unsigned)n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	*drained = got < (int)n;
	for (int i = 0; i < got; i++) {
		struct mf_listen_datagram *d = &v[kept];

		if (b->msg[i].msg_hdr.msg_flags & MSG_TRUNC)
			continue;
		/* Buffers change places with those of what was left out. */
		if (kept != (size_t)i) {
			struct mf_listen_datagram other = *d;

			*d = v[i];
			v[i] = other;
		}
		d->n = b->msg[i].msg_len;
		d->remote = mf_sockaddr_endpoint(&b->sa[i]);
		d->local = (struct mf_addr){ .family = MF_AF_NONE };
		read_control(&b->msg[i].msg_hdr, d);
		kept++;
	}
	return kept;
}

/* From the address that was asked, through the device where the question came in. */
static void write_control(struct msghdr *m, const struct mf_listen_datagram *d)
{
	struct in_pktinfo i4 = { .ipi_ifindex = 0 };
	struct in6_pktinfo i6 = { .ipi6_ifindex = 0 };

	if (d->local.family == MF_AF_IP4) {
		memcpy(&i4.ipi_spec_dst, d->local.b, 4);
		memcpy(mf_udp_add_cmsg(m, IPPROTO_IP, IP_PKTINFO, sizeof(i4)), &i4, sizeof(i4));
	} else if (d->local.family == MF_AF_IP6) {
		memcpy(&i6.ipi6_addr, d->local.b, 16);
		if (d->remote.scope_id)
			i6.ipi6_ifindex = d->ifindex;
		memcpy(mf_udp_add_cmsg(m, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(i6)), &i6, sizeof(i6));
	}
}

size_t mf_listen_send(int fd, const struct mf_listen_datagram *v, size_t n)
{
	struct batch *b = &batch;
	size_t sent = 0, done = 0;

	n = mf_min(n, MF_LISTEN_BATCH);
	for (size_t i = 0; i < n; i++) {
		b->iov[i] = (struct iovec){ v[i].data, v[i].n };
		b->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &b->sa[i],
			.msg_namelen = mf_sockaddr_of(&b->sa[i], &v[i].remote.addr,
						      v[i].remote.port, v[i].remote.scope_id),
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_control = b->control[i],
		};
		write_control(&b->msg[i].msg_hdr, &v[i]);
	}
	/* One that cannot be sent must not keep back those behind it. */
	while (done < n) {
		int got = sendmmsg(fd, b->msg + done, (unsigned)(n - done), MSG_DONTWAIT);

		if (got > 0) {
			done += (size_t)got;
			sent += (size_t)got;
		} else if (errno != EINTR) {
			done++;
		}
	}
	return sent;
}

/* ---- Connections ----------------------------------------------------------------------------- */

int mf_listen_accept(int fd, struct mf_endpoint *remote, struct mf_endpoint *local)
{
	union mf_sockaddr sa;
	socklen_t n;
	int conn;

	/* One that has gone before we got to it is not the last one. */
	do {
		n = sizeof(sa);
		conn = accept4(fd, &sa.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (conn < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (conn < 0)
		return -1;
	*remote = mf_sockaddr_endpoint(&sa);
	n = sizeof(sa);
	if (getsockname(conn, &sa.any, &n)) {
		close(conn);
		return -1;
	}
	*local = mf_sockaddr_endpoint(&sa);
	set(conn, IPPROTO_TCP, TCP_NODELAY, 1);
	return conn;
}
