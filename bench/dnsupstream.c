/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsupstream - a DNS server for the dns-* benches: every name has an address of its own, which it computes and never
 * looks up, so that what is measured is the resolver before it.
 *
 *   dnsupstream ADDRESS PORT TTL [FIRST]      answers until it is killed
 *
 * An A question gets the address FIRST (198.18.0.0 if it is not given) plus the number in the first label
 * ("n123.example" and the like), any other type an empty answer. UDP only; truncates nothing.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum { BATCH = 64, MESSAGE = 512, HEADER = 12, ANSWER = 16, SOCKET_BUFFER = 4 << 20 };

static uint8_t room[BATCH][MESSAGE];
static struct sockaddr_storage from[BATCH];
static struct iovec iov[BATCH];
static struct mmsghdr msg[BATCH];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The end of the question, 0: it is none. Its first label's number goes to *number. */
static size_t question_end(const uint8_t *p, size_t n, uint32_t *number)
{
	size_t at = HEADER;

	*number = 0;
	if (n < HEADER + 5 || p[2] & 0x80)
		return 0;
	for (size_t i = 1; i <= p[at] && at + i < n; i++)
		if (p[at + i] >= '0' && p[at + i] <= '9')
			*number = *number * 10 + (p[at + i] - '0');
	while (at < n && p[at])
		at += p[at] + 1u;
	at += 5;
	return at <= n && at + ANSWER <= MESSAGE ? at : 0;
}

/* Makes the answer of the question, in its place; returns its length, 0: none. */
static size_t answer(uint8_t *p, size_t n, uint32_t first, uint32_t ttl)
{
	uint32_t number;
	size_t end = question_end(p, n, &number);
	uint32_t rr[4] = { htonl(0xc00c0001), htonl(0x00010000 | ttl >> 16), htonl(ttl << 16 | 4),
			   htonl(first + number) };

	if (!end)
		return 0;
	p[2] = 0x85; /* an authoritative answer, recursion desired */
	p[3] = 0x80;
	memset(p + 6, 0, 6);
	if (p[end - 4] == 0 && p[end - 3] == 1) {
		p[7] = 1;
		memcpy(p + end, rr, ANSWER);
		end += ANSWER;
	}
	return end;
}

static void serve(int fd, uint32_t first, uint32_t ttl)
{
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ room[i], MESSAGE };
		msg[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
						  .msg_namelen = sizeof(from[i]),
						  .msg_iov = &iov[i],
						  .msg_iovlen = 1 };
	}
	for (;;) {
		int n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL), out = 0;

		for (int i = 0; i < n; i++) {
			size_t len = answer(room[i], msg[i].msg_len, first, ttl);

			iov[i].iov_len = len ? len : HEADER;
		}
		while (out < n) {
			int sent = sendmmsg(fd, msg + out, (unsigned)(n - out), 0);

			out += sent > 0 ? sent : 1;
		}
		for (int i = 0; i < n; i++) {
			iov[i].iov_len = MESSAGE;
			msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct in_addr first = { .s_addr = htonl(0xc6120000) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = SOCKET_BUFFER;

	if (argc < 4 || !inet_aton(argv[1], &at.sin_addr) ||
	    (argc > 4 && !inet_aton(argv[4], &first))) {
		fprintf(stderr, "usage: dnsupstream ADDRESS PORT TTL [FIRST]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	at.sin_port = htons((uint16_t)atoi(argv[2]));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (void *)&at, sizeof(at)))
		die(argv[1]);
	serve(fd, ntohl(first.s_addr), (uint32_t)atoi(argv[3]));
}
