/* SPDX-License-Identifier: Apache-2.0
 *
 * udp - opening sockets: options, offloads, one port for both families and all workers.
 */
#include "platform/linux/udp_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/linux/socket_priv.h"

enum { PORT_TRIES = 10 };

socklen_t mf_sockaddr_of(union mf_sockaddr *sa, const struct mf_addr *a, uint16_t port,
			 uint32_t scope_id)
{
	if (a->family == MF_AF_IP4) {
		sa->ip4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		memcpy(&sa->ip4.sin_addr, a->b, 4);
		return sizeof(sa->ip4);
	}
	sa->ip6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					 .sin6_port = htons(port),
					 .sin6_scope_id = scope_id };
	memcpy(&sa->ip6.sin6_addr, a->b, 16);
	return sizeof(sa->ip6);
}

struct mf_endpoint mf_sockaddr_endpoint(const union mf_sockaddr *sa)
{
	if (sa->any.sa_family == AF_INET)
		return (struct mf_endpoint){ .addr = mf_addr_ip4(&sa->ip4.sin_addr),
					     .port = ntohs(sa->ip4.sin_port) };
	return (struct mf_endpoint){ .addr = mf_addr_ip6(&sa->ip6.sin6_addr),
				     .port = ntohs(sa->ip6.sin6_port),
				     .scope_id = sa->ip6.sin6_scope_id };
}

/* What packets must tell about themselves, and fragmentation as the WireGuard of the Linux kernel
 * has it: no DF on the outside, so that a path narrower than thought costs fragments and not the
 * connection. (The default, IP_PMTUDISC_WANT, believes in ICMP messages that many paths swallow.) */
static int set_family_options(int fd, uint8_t family)
{
	int r;

	if (family == MF_AF_IP4) {
		r = mf_socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
		r = r ? r : mf_socket_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
		return r ? r : mf_socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	}
	r = mf_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	r = r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	r = r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	return r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static uint32_t probe(int fd, uint32_t wanted)
{
	uint32_t got = 0;

	/* Setting no default segment size changes nothing, but only a kernel that knows it agrees. */
	if ((wanted & MF_UDP_GSO) && !mf_socket_set(fd, IPPROTO_UDP, UDP_SEGMENT, 0))
		got |= MF_UDP_GSO;
	if ((wanted & MF_UDP_GRO) && !mf_socket_set(fd, IPPROTO_UDP, UDP_GRO, 1))
		got |= MF_UDP_GRO;
	return got;
}

static int set_options(int fd, const struct mf_udp_options *o)
{
	int r = set_family_options(fd, o->family);

	if (!r && o->reuse_port)
		r = mf_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!r && o->mark)
		r = mf_socket_set(fd, SOL_SOCKET, SO_MARK, (int)o->mark);
	if (!r && o->device &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->device, (socklen_t)strlen(o->device)) < 0)
		r = -errno;
	(void)mf_socket_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	mf_socket_set_buffers(fd, (int)(o->buffer_bytes ? o->buffer_bytes : MF_UDP_BUFFER_DEFAULT));
	return r;
}

static int bind_port(int fd, const struct mf_udp_options *o, uint16_t *port)
{
	struct mf_addr any = { .family = o->family };
	union mf_sockaddr sa;
	socklen_t len = mf_sockaddr_of(&sa, o->local.family ? &o->local : &any, o->port, 0);

	if (bind(fd, &sa.any, len) < 0 || getsockname(fd, &sa.any, &len) < 0)
		return -errno;
	*port = mf_sockaddr_endpoint(&sa).port;
	return 0;
}

static int new_socket(uint8_t family)
{
	int fd = socket(family == MF_AF_IP4 ? AF_INET : AF_INET6,
			SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static mf_err open_failed(int r, const struct mf_udp_options *o, struct mf_errbuf *eb)
{
	const char *f = o->family == MF_AF_IP4 ? "IPv4" : "IPv6";

	switch (-r) {
	case EAFNOSUPPORT:
		return mf_fail(eb, MF_E_UNSUPPORTED, "this kernel has no %s", f);
	case EADDRINUSE:
		return mf_fail(
			eb, MF_E_EXISTS,
			"UDP port %u (%s) is in use: choose another listen_port, or 0 for any",
			o->port, f);
	case EACCES:
	case EPERM:
		return mf_fail(
			eb, MF_E_PERMISSION,
			"UDP port %u (%s): not allowed%s: run as root or with CAP_NET_ADMIN%s",
			o->port, f, o->mark ? " to mark the socket" : "",
			o->port && o->port < 1024 ? " and CAP_NET_BIND_SERVICE" : "");
	default:
		return mf_fail(eb, MF_E_SYSTEM, "UDP port %u (%s): %s", o->port, f, strerror(-r));
	}
}

struct mf_udp *mf_udp_open(const struct mf_udp_options *o, mf_err *err, struct mf_errbuf *eb)
{
	struct mf_udp *u = calloc(1, sizeof(*u));
	int r = u ? new_socket(o->family) : -ENOMEM;
	mf_err e;

	if (r >= 0) {
		u->fd = r;
		u->family = o->family;
		u->rx.window = UDP_RECV_WINDOW_MIN;
		r = set_options(u->fd, o);
		if (!r)
			r = bind_port(u->fd, o, &u->port);
		if (r)
			close(u->fd);
	}
	e = r < 0 ? open_failed(r, o, eb) : MF_OK;
	if (err)
		*err = e;
	if (e) {
		free(u);
		return NULL;
	}
	u->features = probe(u->fd, o->features);
	return u;
}

void mf_udp_close(struct mf_udp *u)
{
	if (!u)
		return;
	mf_udp_flush(u);
	close(u->fd);
	free(u);
}

/* A port that nobody has in either family: two plain sockets, closed again. With SO_REUSEPORT the
 * kernel would let us share a port with another process of the same user and never say so. */
static mf_err find_port(const struct mf_udp_options *o, bool *has4, bool *has6, uint16_t *port,
			struct mf_errbuf *eb)
{
	struct mf_udp_options p = *o;
	struct mf_udp *v4, *v6;
	mf_err err4 = MF_E_EXISTS, err6 = MF_E_EXISTS;

	p.reuse_port = false;
	*has4 = o->local.family != MF_AF_IP6;
	*has6 = o->local.family != MF_AF_IP4;
	for (int i = 0; i < PORT_TRIES; i++) {
		p.family = MF_AF_IP4;
		p.port = o->port;
		v4 = *has4 ? mf_udp_open(&p, &err4, eb) : NULL;
		if (v4)
			p.port = v4->port;
		else if (*has4 && err4 != MF_E_UNSUPPORTED)
			return err4;
		p.family = MF_AF_IP6;
		v6 = *has6 ? mf_udp_open(&p, &err6, eb) : NULL;
		*port = v4 ? v4->port : v6 ? v6->port : 0;
		mf_udp_close(v4);
		mf_udp_close(v6);
		if (!v6 && *has6 && err6 == MF_E_EXISTS && !o->port)
			continue;
		if (!v6 && *has6 && err6 != MF_E_UNSUPPORTED)
			return err6;
		*has4 = v4 != NULL;
		*has6 = v6 != NULL;
		return v4 || v6 ? MF_OK : MF_E_UNSUPPORTED;
	}
	return MF_E_EXISTS;
}

mf_err mf_udp_open_all(const struct mf_udp_options *o, uint32_t workers, struct mf_udp **v4,
		       struct mf_udp **v6, uint16_t *port, struct mf_errbuf *eb)
{
	struct mf_udp_options p = *o;
	bool has4, has6;
	mf_err e;

	for (uint32_t i = 0; i < workers; i++)
		v4[i] = v6[i] = NULL;
	e = find_port(o, &has4, &has6, port, eb);
	p.port = *port;
	p.reuse_port = workers > 1;
	for (uint32_t i = 0; i < workers && !e; i++) {
		p.family = MF_AF_IP4;
		if (has4)
			v4[i] = mf_udp_open(&p, &e, eb);
		p.family = MF_AF_IP6;
		if (has6 && !e)
			v6[i] = mf_udp_open(&p, &e, eb);
	}
	for (uint32_t i = 0; i < workers && e; i++) {
		mf_udp_close(v4[i]);
		mf_udp_close(v6[i]);
		v4[i] = v6[i] = NULL;
	}
	return e;
}

int mf_udp_fd(const struct mf_udp *u)
{
	return u->fd;
}

uint16_t mf_udp_port(const struct mf_udp *u)
{
	return u->port;
}

uint8_t mf_udp_family(const struct mf_udp *u)
{
	return u->family;
}

uint32_t mf_udp_features(const struct mf_udp *u)
{
	return u->features;
}

const struct mf_udp_counters *mf_udp_counters(const struct mf_udp *u)
{
	return &u->count;
}

mf_err mf_udp_set_mark(struct mf_udp *u, uint32_t mark)
{
	int r = mf_socket_set(u->fd, SOL_SOCKET, SO_MARK, (int)mark);

	return !r ? MF_OK : r == -EPERM ? MF_E_PERMISSION : MF_E_SYSTEM;
}
