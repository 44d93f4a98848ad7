/* SPDX-License-Identifier: Apache-2.0
 *
 * Several queues: the kernel gives us the packets of a flow on one queue, and moves the flow to the
 * queue that we last wrote a packet of its other direction to. So the worker that handles a flow
 * keeps it.
 */
#include "assume.h"

enum { QUEUES = 4, FLOWS = 32 };

/* On which queue the next packet of the flow from port `port` comes. */
static int queue_of(const int tun[QUEUES], int sock, uint16_t port)
{
	uint8_t buf[2000];

	ASSUME(assume_send(sock, "x", 1, "10.9.0.2", 5000) == 1, "%s", strerror(errno));
	for (int q = 0; q < QUEUES; q++)
		while (read(tun[q], buf, sizeof(buf)) > 0)
			if (buf[0] == 0x45 && buf[9] == IPPROTO_UDP && assume_be16(buf + 20) == port)
				return q;
	ASSUME(false, "the packet of port %u did not come", port);
}

static void write_back(int tun, uint16_t port)
{
	uint8_t p[29];

	assume_ip4(p, sizeof(p), IPPROTO_UDP, 2, 1);
	assume_put16(p + 20, 5000);
	assume_put16(p + 22, port);
	assume_put16(p + 24, 9);
	assume_put16(p + 26, 0); /* no checksum */
	p[28] = 'y';
	ASSUME(write(tun, p, sizeof(p)) == sizeof(p), "%s", strerror(errno));
}

int main(void)
{
	const char *cannot = netns_enter_with_tun();
	int tun[QUEUES], used[QUEUES] = { 0 }, n_used = 0;

	if (cannot)
		assume_skip(cannot);
	for (int q = 0; q < QUEUES; q++) {
		tun[q] = assume_tun("a0", IFF_MULTI_QUEUE);
		ASSUME(tun[q] >= 0, "queue %d: %s", q, strerror(errno));
	}
	assume_run("ip addr add 10.9.0.1/24 dev a0 && ip link set a0 up");
	for (uint16_t i = 0; i < FLOWS; i++) {
		uint16_t port = (uint16_t)(6000 + i);
		int sock = assume_udp("10.9.0.1", port), first = queue_of(tun, sock, port), moved;

		used[first]++;
		for (int k = 0; k < 5; k++)
			ASSUME(queue_of(tun, sock, port) == first, "flow %u moved by itself", i);
		moved = (first + 1) % QUEUES;
		write_back(tun[moved], port);
		for (int k = 0; k < 5; k++)
			ASSUME(queue_of(tun, sock, port) == moved, "flow %u did not follow", i);
		close(sock);
	}
	for (int q = 0; q < QUEUES; q++)
		n_used += used[q] > 0;
	ASSUME(n_used > 1, "all flows began on one queue");
	printf("%d flows began on %d queues and followed what we wrote\n", FLOWS, n_used);
	return 0;
}
