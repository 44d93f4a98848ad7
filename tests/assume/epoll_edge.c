/* SPDX-License-Identifier: Apache-2.0
 *
 * EPOLLET on TCP: a read that got less than it had room for need not be followed by one that gets EAGAIN,
 * because whatever comes later (bytes, the end, an error) is a new edge; what is so when the socket is added
 * is reported; the end is told as EPOLLRDHUP, a reset as EPOLLERR; a full send buffer is told by one
 * EPOLLOUT when there is room again; a closed descriptor is forgotten. A read stops before an urgent byte,
 * though there is more: EPOLLPRI tells.
 */
#include <sys/epoll.h>

#include "assume.h"

static int ep;
static char buf[1 << 16];

/* What epoll says within a moment; 0: nothing. */
static uint32_t edge(int msec)
{
	struct epoll_event ev = { 0 };

	return epoll_wait(ep, &ev, 1, msec) == 1 ? ev.events : 0;
}

static void add(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET };

	ASSUME(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0, "%s", strerror(errno));
}

static void connect_pair(int *a, int *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSUME(bind(l, (struct sockaddr *)&sa, len) == 0 && listen(l, 1) == 0 &&
		       getsockname(l, (struct sockaddr *)&sa, &len) == 0,
	       "%s", strerror(errno));
	*a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ASSUME(connect(*a, (struct sockaddr *)&sa, len) < 0 && errno == EINPROGRESS, "%s",
	       strerror(errno));
	*b = accept(l, NULL, NULL);
	ASSUME(*b >= 0, "%s", strerror(errno));
	close(l);
}

static void short_reads(int a, int b)
{
	ASSUME(edge(1000) == EPOLLOUT, "a connection that stands when it is added is not told");
	ASSUME(!edge(20), "told twice");
	for (int i = 0; i < 100; i++) {
		ASSUME(send(b, buf, 100, 0) == 100, "%s", strerror(errno));
		ASSUME(edge(1000) & EPOLLIN, "round %d: no edge after a short read", i);
		ASSUME(recv(a, buf, sizeof(buf), 0) == 100, "%s", strerror(errno));
	}
	ASSUME(send(b, "last", 4, 0) == 4 && edge(1000) & EPOLLIN, "no edge");
	ASSUME(recv(a, buf, sizeof(buf), 0) == 4, "%s", strerror(errno));
	shutdown(b, SHUT_WR);
	ASSUME(edge(1000) & EPOLLRDHUP, "the end after a short read is no edge");
	ASSUME(recv(a, buf, sizeof(buf), 0) == 0, "%s", strerror(errno));
}

static void full_buffer(int a, int b)
{
	ssize_t n;

	while (send(a, buf, sizeof(buf), MSG_DONTWAIT) == sizeof(buf))
		;
	while (edge(20))
		;
	do {
		n = recv(b, buf, sizeof(buf), MSG_DONTWAIT);
		ASSUME(n > 0 || errno == EAGAIN, "%s", strerror(errno));
	} while (!(edge(n < 0 ? 1000 : 0) & EPOLLOUT) && n > 0);
	ASSUME(send(a, buf, 1, MSG_DONTWAIT) == 1, "EPOLLOUT and no room: %s", strerror(errno));
}

static void urgent_byte(void)
{
	int a, b;
	ssize_t n;

	connect_pair(&a, &b);
	add(a);
	ASSUME(send(b, "before", 6, 0) == 6 && send(b, "!", 1, MSG_OOB) == 1 &&
		       send(b, "after", 5, 0) == 5,
	       "%s", strerror(errno));
	usleep(50000);
	ASSUME(edge(1000) & EPOLLPRI, "an urgent byte is not told");
	ASSUME(assume_set(a, SOL_SOCKET, SO_OOBINLINE, 1) == 0, "%s", strerror(errno));
	n = recv(a, buf, sizeof(buf), 0);
	ASSUME(n == 6, "the read did not stop before the urgent byte: %zd", n);
	ASSUME(recv(a, buf, sizeof(buf), 0) == 6 && !memcmp(buf, "!after", 6),
	       "the urgent byte is not in line");
	close(a);
	close(b);
}

static void reset(int a, int b)
{
	struct linger none = { .l_onoff = 1 };

	ASSUME(send(b, "data", 4, 0) == 4, "%s", strerror(errno));
	setsockopt(b, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(b);
	usleep(50000);
	ASSUME(edge(1000) & EPOLLERR, "a reset is not told as an error");
	ASSUME(recv(a, buf, sizeof(buf), 0) == 4, "what came before a reset is lost");
	close(a);
	ASSUME(!edge(20), "a closed descriptor is not forgotten");
}

int main(void)
{
	const char *cannot = netns_enter();
	int a, b;

	if (cannot)
		assume_skip(cannot);
	ep = epoll_create1(EPOLL_CLOEXEC);
	connect_pair(&a, &b);
	add(a);
	short_reads(a, b);
	full_buffer(a, b);
	close(a);
	close(b);
	urgent_byte();
	connect_pair(&a, &b);
	add(a);
	(void)edge(1000);
	reset(a, b);
	printf("every change is an edge, and short reads miss none\n");
	return 0;
}
