/* SPDX-License-Identifier: Apache-2.0
 *
 * close(2) after SO_LINGER with no time sends a RST in every state, also when all has been sent and
 * acknowledged; close without it sends the rest and a FIN, unless something is unread: then a RST.
 */
#include "assume.h"

static void connect_pair(int *a, int *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*a = socket(AF_INET, SOCK_STREAM, 0);
	ASSUME(bind(l, (struct sockaddr *)&sa, len) == 0 && listen(l, 1) == 0 &&
		       getsockname(l, (struct sockaddr *)&sa, &len) == 0 &&
		       connect(*a, (struct sockaddr *)&sa, len) == 0,
	       "%s", strerror(errno));
	*b = accept(l, NULL, NULL);
	ASSUME(*b >= 0, "%s", strerror(errno));
	close(l);
}

static void close_hard(int fd)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	ASSUME(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) == 0, "%s",
	       strerror(errno));
	close(fd);
}

/* What the other side reads at last: 0 the end, else errno. */
static int ends_with(int fd)
{
	char buf[64];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;
	return n == 0 ? 0 : errno;
}

int main(void)
{
	const char *cannot = netns_enter();
	char buf[64];
	int a, b;

	if (cannot)
		assume_skip(cannot);
	connect_pair(&a, &b);
	close_hard(a);
	ASSUME(ends_with(b) == ECONNRESET, "no RST");
	close(b);
	connect_pair(&a, &b);
	ASSUME(send(a, "sent", 4, 0) == 4 && recv(b, buf, 4, MSG_WAITALL) == 4, "%s",
	       strerror(errno));
	close_hard(a);
	ASSUME(ends_with(b) == ECONNRESET, "no RST after data that has arrived");
	close(b);
	connect_pair(&a, &b);
	shutdown(b, SHUT_WR);
	ASSUME(recv(a, buf, 1, 0) == 0, "%s", strerror(errno));
	close_hard(a);
	ASSUME(ends_with(b) == ECONNRESET, "no RST in CLOSE-WAIT");
	close(b);
	connect_pair(&a, &b);
	ASSUME(send(a, "sent", 4, 0) == 4, "%s", strerror(errno));
	close(a);
	ASSUME(ends_with(b) == 0, "no FIN");
	close(b);
	connect_pair(&a, &b);
	ASSUME(send(b, "unread", 6, 0) == 6 && assume_readable(a, 5000), "%s", strerror(errno));
	close(a);
	ASSUME(ends_with(b) == ECONNRESET, "no RST though something was not read");
	close(b);
	printf("linger 0 resets, and so does closing with something unread\n");
	return 0;
}
