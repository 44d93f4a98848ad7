/* SPDX-License-Identifier: Apache-2.0
 *
 * dgram - opening and closing, and receiving with what udp_recv.c has for it.
 */
#include "platform/linux/dgram_priv.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/linux/socket_priv.h"

/* Of each direction, for bursts: 30 super-packets. The kernel takes memory only for what waits. */
enum { BUFFER = 1 << 20 };

struct mf_dgram_io *mf_dgram_io_new(uint32_t features)
{
	struct mf_dgram_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->wanted = features;
	io->rx.window = UDP_RECV_WINDOW_MIN;
	io->rx.keep_empty = true;
	return io;
}

void mf_dgram_io_flush(struct mf_dgram_io *io)
{
	mf_udp_rx_flush(&io->rx);
}

void mf_dgram_io_free(struct mf_dgram_io *io)
{
	free(io);
}

const struct mf_udp_counters *mf_dgram_io_counters(const struct mf_dgram_io *io)
{
	return &io->count;
}

void mf_dgram_io_retry_offloads(struct mf_dgram_io *io)
{
	io->probed = false;
}

/* ---- Sockets ----------------------------------------------------------------------------------- */

/* Setting no default segment size changes nothing, but only a kernel that knows it agrees. */
static void set_udp(int fd, struct mf_dgram_io *io)
{
	mf_socket_set_buffers(fd, BUFFER);
	if (!io->probed) {
		io->probed = true;
		io->features = io->wanted & MF_UDP_GRO;
		if ((io->wanted & MF_UDP_GSO) && !mf_socket_set(fd, IPPROTO_UDP, UDP_SEGMENT, 0))
			io->features |= MF_UDP_GSO;
	}
	if ((io->features & MF_UDP_GRO) && mf_socket_set(fd, IPPROTO_UDP, UDP_GRO, 1))
		io->features &= ~(uint32_t)MF_UDP_GRO;
}

static int set_family(int fd, uint8_t family)
{
	int r;

	if (family == MF_AF_IP4) {
		r = mf_socket_set(fd, IPPROTO_IP, IP_RECVERR, 1);
		r = r ? r : mf_socket_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
		return r ? r : mf_socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
	}
	/* Alone: or an IPv4-mapped address would lead out as IPv4. */
	r = mf_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	r = r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	r = r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	return r ? r : mf_socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
}

/* Not undone at the end: others like us may rely on it by then, and it gives root's group no more than root has. */
bool mf_dgram_allow_echo(void)
{
	static const char path[] = "/proc/sys/net/ipv4/ping_group_range";
	unsigned first, last;
	FILE *f = fopen(path, "re");
	bool nobody = f && fscanf(f, "%u %u", &first, &last) == 2 && first > last;

	if (f)
		fclose(f);
	f = nobody ? fopen(path, "we") : NULL;
	if (!f)
		return false;
	fprintf(f, "%u %u", (unsigned)getegid(), (unsigned)getegid());
	return !fclose(f);
}

static int protocol_of(enum mf_dgram_kind kind, uint8_t family)
{
	if (kind == MF_DGRAM_UDP)
		return IPPROTO_UDP;
	return family == MF_AF_IP4 ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
}

enum mf_stream_error mf_dgram_socket_open(struct mf_dgram_socket *s, struct mf_dgram_io *io,
					  enum mf_dgram_kind kind, uint8_t family, uint32_t mark)
{
	int r;

	*s = (struct mf_dgram_socket){ .kind = (uint8_t)kind, .family = family };
	s->fd = socket(family == MF_AF_IP4 ? AF_INET : AF_INET6,
		       SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol_of(kind, family));
	if (s->fd < 0)
		return mf_socket_errno(errno);
	r = set_family(s->fd, family);
	if (!r && mark)
		r = mf_socket_set(s->fd, SOL_SOCKET, SO_MARK, (int)mark);
	if (r) {
		mf_dgram_socket_close(s);
		return mf_socket_errno(-r);
	}
	if (kind == MF_DGRAM_UDP)
		set_udp(s->fd, io);
	return MF_STREAM_E_NONE;
}

void mf_dgram_socket_close(struct mf_dgram_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* ---- Receiving --------------------------------------------------------------------------------- */

size_t mf_dgram_socket_recv(struct mf_dgram_socket *s, struct mf_dgram_io *io,
			    struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max, bool *more)
{
	uint64_t starved = io->count.rx_no_buffer;
	size_t n = 0;

	do {
		n += mf_udp_rx_some(&io->rx, s->fd, &io->count, pool, out + n, max - n, more);
	} while (*more && n < max);
	*more |= io->count.rx_no_buffer != starved;
	return n;
}
