/* SPDX-License-Identifier: Apache-2.0
 *
 * SO_REUSEPORT: all datagrams of one remote address and port come to one socket of the group, and
 * the remotes are spread; a socket without SO_REUSEPORT cannot bind to the group's port, which is
 * how we find out that a port is taken.
 */
#include "assume.h"

enum { SOCKETS = 4, REMOTES = 64, EACH = 8 };

static int member(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ASSUME(assume_set(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0, "%s", strerror(errno));
	ASSUME(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0, "%s", strerror(errno));
	return fd;
}

int main(void)
{
	const char *cannot = netns_enter();
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(4000) };
	int group[SOCKETS], plain, n_used = 0;
	bool used[SOCKETS] = { false };

	if (cannot)
		assume_skip(cannot);
	for (int i = 0; i < SOCKETS; i++)
		group[i] = member(4000);
	plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSUME(bind(plain, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno == EADDRINUSE,
	       "a plain socket got the port");
	for (uint16_t r = 0; r < REMOTES; r++) {
		int remote = assume_udp("127.0.0.1", (uint16_t)(7000 + r)), of = -1;
		uint8_t b;

		for (int k = 0; k < EACH; k++)
			ASSUME(assume_send(remote, "x", 1, "127.0.0.1", 4000) == 1, "%s",
			       strerror(errno));
		for (int i = 0, got; i < SOCKETS; i++) {
			for (got = 0; recv(group[i], &b, 1, 0) == 1;)
				got++;
			ASSUME(got == 0 || got == EACH, "remote %u: %d of %d on one socket", r, got,
			       EACH);
			of = got ? i : of;
		}
		ASSUME(of >= 0, "remote %u was lost", r);
		used[of] = true;
		close(remote);
	}
	for (int i = 0; i < SOCKETS; i++)
		n_used += used[i];
	ASSUME(n_used > 1, "all remotes on one socket");
	printf("%d remotes on %d of %d sockets, each on one\n", REMOTES, n_used, SOCKETS);
	return 0;
}
