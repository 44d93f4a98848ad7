/* SPDX-License-Identifier: Apache-2.0
 *
 * With the rule "not fwmark M lookup T" and T leading into a TUN device, strict reverse path
 * filtering drops what comes back to our marked socket; src_valid_mark alone does not help; loose
 * filtering on the interface does.
 *
 *	10.9.0.1 marked socket ── v0 ── v1 ── 10.9.1.1 behind 10.9.0.2 (another namespace)
 */
#include "assume.h"

enum { MARK = 0x4d460000 };

static int there_ns;

static int far_socket(void)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), fd;
	char command[128];

	ASSUME(here >= 0 && unshare(CLONE_NEWNET) == 0, "%s", strerror(errno));
	there_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	ASSUME(setns(here, CLONE_NEWNET) == 0, "%s", strerror(errno));
	snprintf(command, sizeof(command),
		 "ip link add v0 type veth peer name v1 && ip link set v1 netns /proc/%d/fd/%d",
		 (int)getpid(), there_ns);
	if (system(command) != 0)
		assume_skip("cannot make a veth pair");
	assume_run("ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up &&"
		   "ip route add default via 10.9.0.2");
	ASSUME(setns(there_ns, CLONE_NEWNET) == 0, "%s", strerror(errno));
	assume_run("ip addr add 10.9.0.2/24 dev v1 && ip link set v1 up &&"
		   "ip link set lo up && ip addr add 10.9.1.1/32 dev lo");
	fd = assume_udp("10.9.1.1", 4000);
	ASSUME(setns(here, CLONE_NEWNET) == 0, "%s", strerror(errno));
	return fd;
}

/* Does what the far socket sends reach us? */
static bool answer_comes(int near, int far)
{
	char b;

	ASSUME(assume_send(near, "q", 1, "10.9.1.1", 4000) == 1, "%s", strerror(errno));
	ASSUME(assume_readable(far, 5000) && recv(far, &b, 1, 0) == 1, "the question got lost");
	ASSUME(assume_send(far, "a", 1, "10.9.0.1", 3000) == 1, "%s", strerror(errno));
	return assume_readable(near, 300) && recv(near, &b, 1, 0) == 1;
}

int main(void)
{
	const char *cannot = netns_enter_with_tun();
	int far, near, tun;

	if (cannot)
		assume_skip(cannot);
	far = far_socket();
	tun = assume_tun("a0", 0);
	ASSUME(tun >= 0, "%s", strerror(errno));
	assume_run("ip link set a0 up && ip route add default dev a0 table 19782 &&"
		   "ip rule add not fwmark 0x4d460000 lookup 19782 pref 19785 &&"
		   "ip rule add lookup main suppress_prefixlength 0 pref 19784");
	near = assume_udp("10.9.0.1", 3000);
	ASSUME(assume_set(near, SOL_SOCKET, SO_MARK, MARK) == 0, "%s", strerror(errno));
	ASSUME(netns_sysctl("net/ipv4/conf/all/rp_filter", "0") &&
		       netns_sysctl("net/ipv4/conf/v0/rp_filter", "0"),
	       "sysctl");
	ASSUME(answer_comes(near, far), "without filtering");
	ASSUME(netns_sysctl("net/ipv4/conf/all/rp_filter", "1"), "sysctl");
	ASSUME(!answer_comes(near, far), "strict filtering let it in: loosening is not needed");
	ASSUME(netns_sysctl("net/ipv4/conf/all/src_valid_mark", "1"), "sysctl");
	ASSUME(!answer_comes(near, far), "src_valid_mark is enough");
	ASSUME(netns_sysctl("net/ipv4/conf/v0/rp_filter", "2"), "sysctl");
	ASSUME(answer_comes(near, far), "loose filtering on the interface is not enough");
	printf("strict drops, src_valid_mark alone does not help, loose on the interface does\n");
	close(tun);
	return 0;
}
