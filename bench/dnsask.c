/* SPDX-License-Identifier: Apache-2.0
 *
 * dnsask - asks a DNS server for names that it cannot know yet, one after the other, and tells how long answers took.
 * (dnsperf with one question at a time rests between questions, so that it measures how fast a processor wakes up.)
 *
 *   dnsask ADDRESS PORT COUNT SUFFIX      n0.SUFFIX, n1.SUFFIX ...; prints one JSON object
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { WAIT_MSEC = 1000, MESSAGE = 512 };

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static size_t question(uint8_t *p, uint16_t id, const char *name)
{
	size_t at = 12;

	memset(p, 0, 12);
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
	p[2] = 1; /* recursion desired */
	p[5] = 1;
	while (*name) {
		size_t n = strcspn(name, ".");

		p[at++] = (uint8_t)n;
		memcpy(p + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	memcpy(p + at, "\0\0\1\0\1", 5);
	return at + 5;
}

/* Microseconds until the answer came, negative: none, or an error. */
static double ask(int fd, uint16_t id, const char *name)
{
	uint8_t p[MESSAGE];
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	double start = now_us();
	ssize_t n;

	if (send(fd, p, question(p, id, name), 0) < 0)
		return -1;
	while (poll(&wait, 1, WAIT_MSEC) > 0) {
		n = recv(fd, p, sizeof(p), 0);
		if (n > 12 && p[0] == id >> 8 && p[1] == (id & 0xff))
			return (p[3] & 15) == 0 && p[7] ? now_us() - start : -1;
	}
	return -1;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int count = argc == 5 ? atoi(argv[3]) : 0, n = 0, fd = socket(AF_INET, SOCK_DGRAM, 0);
	double *us = calloc((size_t)count + 1, sizeof(*us));

	if (count < 1 || !us || fd < 0 || !inet_aton(argv[1], &to.sin_addr)) {
		fprintf(stderr, "usage: dnsask ADDRESS PORT COUNT SUFFIX\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	if (connect(fd, (void *)&to, sizeof(to))) {
		perror(argv[1]);
		return 1;
	}
	for (int i = 0; i < count; i++) {
		char name[256];
		double took;

		snprintf(name, sizeof(name), "n%d.%.200s", i, argv[4]);
		took = ask(fd, (uint16_t)(i * 40503), name);
		if (took >= 0)
			us[n++] = took;
	}
	qsort(us, (size_t)n, sizeof(*us), compare);
	printf("{\"asked\": %d, \"answered\": %d, \"p50\": %.1f, \"p99\": %.1f}\n", count, n,
	       us[n / 2], us[n * 99 / 100]);
	return n == count ? 0 : 1;
}
