/* SPDX-License-Identifier: Apache-2.0
 *
 * socket - TCP by the kernel.
 *
 * A connection costs socket, three setsockopt and connect; the poller adds one epoll_ctl. Nothing is asked
 * of the kernel that an event has told already.
 */
#include "platform/socket.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/linux/socket_priv.h"
#include "platform/linux/udp_priv.h"

#ifndef SO_BINDTOIFINDEX /* Linux 5.0 */
#define SO_BINDTOIFINDEX 62
#endif

/* So that spans and rooms go to the kernel as they are. */
#define AS_IOVEC(type, ptr, len)                                                         \
	static_assert(sizeof(type) == sizeof(struct iovec) &&                            \
			      offsetof(type, ptr) == offsetof(struct iovec, iov_base) && \
			      offsetof(type, len) == offsetof(struct iovec, iov_len),    \
		      #type " is laid out as struct iovec")
AS_IOVEC(struct mf_span, p, n);
AS_IOVEC(struct mf_room, p, n);

enum mf_stream_error mf_socket_errno(int err)
{
	switch (err) {
	case 0:
		return MF_STREAM_E_NONE;
	case ECONNREFUSED:
		return MF_STREAM_E_REFUSED;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
		return MF_STREAM_E_RESET;
	case ETIMEDOUT:
		return MF_STREAM_E_TIMED_OUT;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return MF_STREAM_E_HOST_UNREACHABLE;
	case ENETUNREACH:
	case ENETDOWN:
	case ENONET:
		return MF_STREAM_E_NET_UNREACHABLE;
	case EACCES:
	case EPERM:
		return MF_STREAM_E_PROHIBITED;
	case ENODEV:
	case ENXIO:
		return MF_STREAM_E_NO_DEVICE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case ENOSPC: /* watches of epoll */
	case EADDRNOTAVAIL:
	case EADDRINUSE:
		return MF_STREAM_E_NO_RESOURCES;
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return MF_STREAM_E_UNSUPPORTED;
	default:
		return MF_STREAM_E_OTHER;
	}
}

int mf_socket_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

void mf_socket_set_buffers(int fd, int bytes)
{
	if (mf_socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes))
		(void)mf_socket_set(fd, SOL_SOCKET, SO_RCVBUF, bytes);
	if (mf_socket_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes))
		(void)mf_socket_set(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

/* What is written has been cut by the app's own TCP: to wait for more (Nagle) would wait twice. */
static int set_options(int fd, const struct mf_socket_options *o)
{
	int r = mf_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (!r && o->mark)
		r = mf_socket_set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (!r && o->ifindex)
		r = mf_socket_set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)o->ifindex);
	return r;
}

static bool is_mapped(const struct mf_addr *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == MF_AF_IP6 && !memcmp(a->b, mapped, sizeof(mapped));
}

int mf_socket_connect(const struct mf_socket_options *o, const struct mf_endpoint *to,
		      enum mf_stream_error *why)
{
	union mf_sockaddr sa;
	socklen_t len;
	int fd, r;

	*why = MF_STREAM_E_UNSUPPORTED;
	if (is_mapped(&to->addr))
		return -1;
	len = mf_sockaddr_of(&sa, &to->addr, to->port, to->scope_id);
	fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0) {
		*why = mf_socket_errno(errno);
		return -1;
	}
	r = set_options(fd, o);
	if (!r && connect(fd, &sa.any, len) < 0 && errno != EINPROGRESS)
		r = -errno;
	*why = mf_socket_errno(-r);
	if (!r)
		return fd;
	close(fd);
	return -1;
}

/* ---- Bytes ------------------------------------------------------------------------------------- */

static ssize_t send_some(int fd, const struct mf_span *v, size_t n)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = n };
	ssize_t r;

	do {
		r = n == 1 ? send(fd, v->p, v->n, MSG_DONTWAIT | MSG_NOSIGNAL)
			   : sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	return r;
}

static size_t sum_spans(const struct mf_span *v, size_t n)
{
	size_t sum = 0;

	while (n)
		sum += v[--n].n;
	return sum;
}

size_t mf_socket_send(int fd, const struct mf_span *v, size_t n, enum mf_stream_error *why)
{
	size_t total = 0;

	*why = MF_STREAM_E_NONE;
	for (size_t i = 0, some; i < n; i += some) {
		ssize_t r;

		some = mf_min(n - i, IOV_MAX);
		r = send_some(fd, v + i, some);
		if (r < 0) {
			if (errno != EAGAIN)
				*why = mf_socket_errno(errno);
			return total;
		}
		total += (size_t)r;
		if (n > IOV_MAX && (size_t)r < sum_spans(v + i, some))
			return total;
	}
	return total;
}

ptrdiff_t mf_socket_recv(int fd, const struct mf_room *v, size_t n, enum mf_stream_error *why)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v,
			    .msg_iovlen = mf_min(n, IOV_MAX) };
	ssize_t r;

	*why = MF_STREAM_E_NONE;
	do {
		r = n == 1 ? recv(fd, v->p, v->n, MSG_DONTWAIT) : recvmsg(fd, &m, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r > 0)
		return r;
	if (r == 0)
		return MF_STREAM_EOF;
	if (errno == EAGAIN)
		return MF_STREAM_AGAIN;
	*why = mf_socket_errno(errno);
	return MF_STREAM_ERR;
}

void mf_socket_urgent_inline(int fd)
{
	(void)mf_socket_set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

void mf_socket_shutdown(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

void mf_socket_close(int fd, bool reset)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	if (reset)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* ---- Facts ------------------------------------------------------------------------------------- */

enum mf_stream_error mf_socket_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	return mf_socket_errno(err);
}

mf_nsec mf_socket_rtt(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_rtt * MF_USEC;
}

struct mf_addr mf_socket_local(int fd)
{
	union mf_sockaddr sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, &sa.any, &len) < 0)
		return (struct mf_addr){ 0 };
	return mf_sockaddr_endpoint(&sa).addr;
}

uint64_t mf_socket_raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 0;
	if (r.rlim_cur < r.rlim_max) {
		struct rlimit all = { r.rlim_max, r.rlim_max };

		if (setrlimit(RLIMIT_NOFILE, &all) == 0)
			r.rlim_cur = r.rlim_max;
	}
	return r.rlim_cur;
}
