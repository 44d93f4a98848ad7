/* SPDX-License-Identifier: Apache-2.0
 *
 * udpflood - offers UDP datagrams of one size at a steady rate, and counts what arrives.
 *
 * iperf3 sends one datagram per system call from a loop with its own bookkeeping and reaches its own
 * limit at small sizes before a tunnel does. This one sends plain single datagrams too (no
 * UDP_SEGMENT: what an app with many small messages does), but up to 64 of them per sendmmsg, and
 * sleeps between batches so that the sender leaves the processor to what is measured.
 *
 *   udpflood send HOST PORT SIZE RATE SECONDS    RATE in datagrams/s, 0 = as many as possible
 *   udpflood recv BIND PORT SECONDS              counts from the first datagram; ends 0.4 s after
 *                                                the last, or after SECONDS without a first one
 *
 * Each prints one JSON object. Every datagram carries a number, so that doubled ones are not counted
 * as arrived twice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64,
	SIZE_MAX_BYTES = 9000,
	SIZE_MIN_BYTES = 8,
	SEEN_BITS = 1 << 26, /* numbers remembered: a minute at a million/s */
	SOCKET_BUFFER = 8 << 20,
	BATCH_NSEC = 100000, /* aim: a batch lasts this long at the asked rate */
	IDLE_MSEC = 400,
};

static uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void sleep_until(uint64_t nsec)
{
	struct timespec t = { .tv_sec = (time_t)(nsec / 1000000000u),
			      .tv_nsec = (long)(nsec % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int open_socket(const char *host, const char *port, bool receive)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *ai;
	int size = SOCKET_BUFFER;
	int fd;

	if (getaddrinfo(host, port, &hints, &ai)) {
		fprintf(stderr, "udpflood: no address: %s port %s\n", host, port);
		exit(2);
	}
	fd = socket(ai->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	/* FORCE needs CAP_NET_ADMIN; without it the system's limit holds. */
	if (setsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &size, sizeof(size)))
		(void)setsockopt(fd, SOL_SOCKET, receive ? SO_RCVBUF : SO_SNDBUF, &size,
				 sizeof(size));
	if (receive ? bind(fd, ai->ai_addr, ai->ai_addrlen)
		    : connect(fd, ai->ai_addr, ai->ai_addrlen))
		die(receive ? "bind" : "connect");
	freeaddrinfo(ai);
	return fd;
}

/* Sends n datagrams numbered from *number on; returns how many the kernel took. */
static unsigned send_batch(int fd, unsigned n, size_t size, uint64_t *number)
{
	static char data[BATCH][SIZE_MAX_BYTES];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	int sent;

	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < n; i++) {
		uint64_t k = *number + i;

		memcpy(data[i], &k, sizeof(k));
		v[i] = (struct iovec){ .iov_base = data[i], .iov_len = size };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, m, n, 0);
	if (sent < 0) {
		if (errno == ECONNREFUSED || errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
			return 0;
		die("sendmmsg");
	}
	*number += (unsigned)sent;
	return (unsigned)sent;
}

static int run_send(int argc, char **argv)
{
	uint64_t number = 0, start, end, now, rate;
	unsigned batch = BATCH;
	size_t size;
	int fd;

	if (argc != 5)
		return 2;
	size = strtoul(argv[2], NULL, 10);
	rate = strtoull(argv[3], NULL, 10);
	if (size < SIZE_MIN_BYTES || size > SIZE_MAX_BYTES)
		return 2;
	fd = open_socket(argv[0], argv[1], false);
	(void)prctl(PR_SET_TIMERSLACK, 1000);
	if (rate && rate * BATCH_NSEC / 1000000000u < BATCH)
		batch = (unsigned)(rate * BATCH_NSEC / 1000000000u) + 1;
	start = now = now_nsec();
	end = start + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	while (now < end) {
		unsigned n = batch;

		if (rate) {
			uint64_t due = (uint64_t)((double)(now - start) * (double)rate / 1e9);

			if (due <= number) {
				/* Numbers start at 0: packet k is due at start + k / rate. */
				sleep_until(start + (uint64_t)((double)(number + batch) * 1e9 /
							       (double)rate));
				now = now_nsec();
				continue;
			}
			n = due - number < batch ? (unsigned)(due - number) : batch;
		}
		send_batch(fd, n, size, &number);
		now = now_nsec();
	}
	printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f}\n", number, (double)(now - start) / 1e9);
	close(fd);
	return 0;
}

/* How many of the first n datagrams in m have a number not seen before. */
static unsigned count_new(const struct mmsghdr *m, const struct iovec *v, unsigned n, uint64_t *seen)
{
	unsigned fresh = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t k;

		if (m[i].msg_len < sizeof(k))
			continue;
		memcpy(&k, v[i].iov_base, sizeof(k));
		if (k >= SEEN_BITS || (seen[k / 64] >> (k % 64) & 1))
			continue;
		seen[k / 64] |= (uint64_t)1 << (k % 64);
		fresh++;
	}
	return fresh;
}

static void set_timeout(int fd, double seconds)
{
	struct timeval tv = { .tv_sec = (time_t)seconds };

	tv.tv_usec = (suseconds_t)((seconds - (double)tv.tv_sec) * 1e6);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		die("SO_RCVTIMEO");
}

static int run_recv(int argc, char **argv)
{
	static char data[BATCH][64];
	uint64_t got = 0, first = 0, last = 0;
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	uint64_t *seen;
	int fd;

	if (argc != 3)
		return 2;
	seen = calloc(SEEN_BITS / 64, sizeof(*seen));
	if (!seen)
		die("calloc");
	fd = open_socket(argv[0], argv[1], true);
	set_timeout(fd, strtod(argv[2], NULL));
	memset(m, 0, sizeof(m));
	for (unsigned i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){ .iov_base = data[i], .iov_len = sizeof(data[i]) };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		int n = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		last = now_nsec();
		if (!first) {
			first = last;
			set_timeout(fd, IDLE_MSEC / 1e3);
		}
		got += count_new(m, v, (unsigned)n, seen);
	}
	printf("{\"received\":%" PRIu64 ",\"seconds\":%.6f}\n", got, (double)(last - first) / 1e9);
	free(seen);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	int r = 2;

	if (argc > 1 && !strcmp(argv[1], "send"))
		r = run_send(argc - 2, argv + 2);
	else if (argc > 1 && !strcmp(argv[1], "recv"))
		r = run_recv(argc - 2, argv + 2);
	if (r == 2)
		fprintf(stderr, "usage: udpflood send HOST PORT SIZE RATE SECONDS\n"
				"       udpflood recv BIND PORT SECONDS\n");
	return r;
}
