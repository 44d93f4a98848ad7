/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the kernel sends packets, with and without us:
 *
 *	            ┌─ v0 192.0.2.2/24, 2001:db8:5::2/64, default route ── v1
 *	namespace ──┤
 *	            └─ mfr0 10.66.0.2/30, fd66::2/126 (TUN)
 */
#include "platform/route.h"

#include <poll.h>
#include <sys/wait.h>

#include "netns.h"
#include "platform/tun.h"
#include "unit.h"

static const char *cannot;

static void need_netns(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static int set_up_links(void)
{
	return system("ip link add v0 type veth peer name v1 &&"
		      "ip addr add 192.0.2.2/24 dev v0 &&"
		      "ip addr add 2001:db8:5::2/64 dev v0 nodad &&"
		      "ip link set v0 up && ip link set v1 up &&"
		      "ip route add default via 192.0.2.1 &&"
		      "ip route add default via 2001:db8:5::1");
}

static struct mf_prefix prefix(const char *text)
{
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, text), MF_OK);
	return p;
}

static struct mf_tun *open_tun(const char *name)
{
	struct mf_tun_options o = { .name = name, .queues = 1 };
	struct mf_prefix p4 = prefix("10.66.0.2/30"), p6 = prefix("fd66::2/126");
	struct mf_errbuf eb = { "" };
	struct mf_tun *t = mf_tun_open(&o, &eb);

	if (!t)
		fail_msg("%s", eb.text);
	assert_int_equal(mf_tun_add_address(t, &p4, &eb), MF_OK);
	assert_int_equal(mf_tun_add_address(t, &p6, &eb), MF_OK);
	assert_int_equal(mf_tun_set_up(t, true, &eb), MF_OK);
	assert_true(mf_tun_await_address(t, &p6.addr));
	return t;
}

/* The device that a packet to `dst` leaves by. */
static const char *way(const char *dst, uint32_t mark)
{
	static struct mf_route_path path;
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, dst), MF_OK);
	if (mf_route_lookup(&a, mark, &path))
		return "none";
	return path.ifname;
}

static void rules_text(char *out, size_t n)
{
	FILE *f = popen("ip rule; ip -6 rule; ip route show table all; ip -6 route show table all |"
			" grep -v fe80 | sed 's/expires.*//'",
			"r");

	out[fread(out, 1, n - 1, f)] = '\0';
	pclose(f);
}

static struct mf_route *up(const struct mf_tun *t, bool exclude_lan, const char *include)
{
	struct mf_prefix in = prefix(include ? include : "::/0"), out = prefix("203.0.113.0/24");
	struct mf_route_options o = { .ifindex = mf_tun_ifindex(t),
				      .ip4 = true,
				      .ip6 = true,
				      .exclude_lan = exclude_lan,
				      .exclude = &out,
				      .n_exclude = 1,
				      .include = &in,
				      .n_include = include != NULL };
	struct mf_errbuf eb = { "" };
	mf_err err;
	struct mf_route *r = mf_route_up(&o, &err, &eb);

	if (!r)
		fail_msg("%s", eb.text);
	assert_int_equal(err, MF_OK);
	return r;
}

static void test_everything_but_our_own_goes_in(void **state)
{
	static char before[8192], after[8192];
	struct mf_route *r;
	struct mf_tun *t;

	(void)state;
	need_netns();
	t = open_tun("mfr0");
	rules_text(before, sizeof(before));
	assert_string_equal(way("198.51.100.9", 0), "v0");
	assert_string_equal(way("2001:db8:9::9", 0), "v0");
	r = up(t, true, NULL);
	assert_string_equal(way("198.51.100.9", 0), "mfr0");
	assert_string_equal(way("2001:db8:9::9", 0), "mfr0");
	assert_string_equal(way("198.51.100.9", MF_ROUTE_MARK), "v0");
	assert_string_equal(way("2001:db8:9::9", MF_ROUTE_MARK), "v0");
	/* more special than the default: stays */
	assert_string_equal(way("192.0.2.77", 0), "v0");
	assert_string_equal(way("2001:db8:5::77", 0), "v0");
	assert_string_equal(way("10.66.0.1", 0), "mfr0");
	assert_string_equal(way("fd66::1", 0), "mfr0");
	/* excluded */
	assert_string_equal(way("10.1.2.3", 0), "v0");
	assert_string_equal(way("172.31.255.255", 0), "v0");
	assert_string_equal(way("172.32.0.1", 0), "mfr0");
	assert_string_equal(way("192.168.44.1", 0), "v0");
	assert_string_equal(way("203.0.113.200", 0), "v0");
	assert_string_equal(way("fdab::1", 0), "v0");
	/* to many */
	assert_string_equal(way("224.0.0.1", 0), "v0");
	assert_string_equal(way("239.255.255.250", 0), "v0");
	assert_string_equal(way("192.0.2.255", 0), "v0");
	assert_string_equal(way("255.255.255.255", 0), "v0");
	mf_route_down(r);
	rules_text(after, sizeof(after));
	assert_string_equal(before, after);
	mf_tun_close(t);
}

static void test_included_beats_excluded_but_not_our_mark(void **state)
{
	struct mf_route *r;
	struct mf_tun *t;

	(void)state;
	need_netns();
	t = open_tun("mfr0");
	r = up(t, true, "10.20.0.0/16");
	assert_string_equal(way("10.20.1.1", 0), "mfr0");
	assert_string_equal(way("10.21.1.1", 0), "v0");
	assert_string_equal(way("10.20.1.1", MF_ROUTE_MARK), "v0");
	mf_route_down(r);
	r = up(t, false, NULL);
	assert_string_equal(way("10.1.2.3", 0), "mfr0");
	assert_string_equal(way("fdab::1", 0), "mfr0");
	mf_route_down(r);
	mf_tun_close(t);
}

/* A socket of ours with a mark of the user's. */
static void test_other_marks_stay_outside(void **state)
{
	static const uint32_t marks[] = { 51820, MF_ROUTE_MARK, 0 };
	static char before[8192], after[8192];
	struct mf_route_options o = { .ip4 = true, .ip6 = true, .marks = marks, .n_marks = 3 };
	struct mf_route *r;
	struct mf_tun *t;

	(void)state;
	need_netns();
	t = open_tun("mfr0");
	rules_text(before, sizeof(before));
	o.ifindex = mf_tun_ifindex(t);
	r = mf_route_up(&o, NULL, NULL);
	assert_non_null(r);
	assert_string_equal(way("198.51.100.9", 0), "mfr0");
	assert_string_equal(way("198.51.100.9", 51821), "mfr0");
	assert_string_equal(way("198.51.100.9", 51820), "v0");
	assert_string_equal(way("2001:db8:9::9", 51820), "v0");
	assert_string_equal(way("198.51.100.9", MF_ROUTE_MARK), "v0");
	/* nor when there is no way outside */
	assert_int_equal(system("ip route del default && ip -6 route del default"), 0);
	assert_string_equal(way("198.51.100.9", 51820), "none");
	assert_string_equal(way("198.51.100.9", MF_ROUTE_MARK), "none");
	assert_string_equal(way("2001:db8:9::9", 51820), "none");
	assert_int_equal(system("ip route add default via 192.0.2.1 &&"
				"ip route add default via 2001:db8:5::1"),
			 0);
	mf_route_down(r);
	rules_text(after, sizeof(after));
	assert_string_equal(before, after);
	mf_tun_close(t);
}

static void test_refresh_brings_back_what_has_gone(void **state)
{
	static char before[8192], after[8192];
	struct mf_errbuf eb;
	struct mf_route *r;
	struct mf_tun *t;

	(void)state;
	need_netns();
	t = open_tun("mfr0");
	r = up(t, true, NULL);
	rules_text(before, sizeof(before));
	assert_int_equal(system("ip rule del pref 19785 && ip rule del pref 19784"), 0);
	assert_int_equal(mf_tun_set_up(t, false, &eb), MF_OK);
	assert_int_equal(mf_tun_set_up(t, true, &eb), MF_OK);
	assert_string_equal(way("198.51.100.9", 0), "v0");
	assert_int_equal(mf_route_refresh(r, &eb), MF_OK);
	assert_string_equal(way("198.51.100.9", 0), "mfr0");
	assert_string_equal(way("2001:db8:9::9", 0), "mfr0");
	assert_int_equal(mf_route_refresh(r, &eb), MF_OK);
	rules_text(after, sizeof(after));
	assert_non_null(strstr(after, "19785"));
	mf_route_down(r);
	mf_tun_close(t);
}

/* A child that is killed leaves its rules behind; the next start, or `stop`, finds them. */
static void leave_rules_behind(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)up(open_tun("mfr0"), true, "10.20.0.0/16");
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_leftovers_of_a_killed_run_are_removed(void **state)
{
	static char before[8192], after[8192];
	struct mf_errbuf eb = { "" };
	struct mf_route *r;
	struct mf_tun *t;
	uint32_t removed;

	(void)state;
	need_netns();
	rules_text(before, sizeof(before));
	leave_rules_behind();
	rules_text(after, sizeof(after));
	assert_non_null(strstr(after, "19785"));
	assert_int_equal(mf_route_clean(&removed, &eb), MF_OK);
	/* own, included, LAN, extra, main, tunnel, end; IPv6 has neither included nor extra */
	assert_int_equal(removed, (1 + 1 + 6 + 1 + 1 + 1 + 1) + (1 + 3 + 1 + 1 + 1));
	rules_text(after, sizeof(after));
	assert_string_equal(before, after);
	leave_rules_behind();
	t = open_tun("mfr1");
	r = up(t, true, NULL);
	assert_string_equal(way("198.51.100.9", 0), "mfr1");
	mf_route_down(r);
	mf_tun_close(t);
	rules_text(after, sizeof(after));
	assert_string_equal(before, after);
}

static void test_a_second_tunnel_is_refused(void **state)
{
	struct mf_errbuf eb = { "" };
	struct mf_route_options o = { .ip4 = true, .ip6 = true };
	struct mf_tun *a, *b;
	struct mf_route *r;
	mf_err err;

	(void)state;
	need_netns();
	a = open_tun("mfr0");
	b = open_tun("mfr1");
	r = up(a, true, NULL);
	o.ifindex = mf_tun_ifindex(b);
	assert_null(mf_route_up(&o, &err, &eb));
	assert_int_equal(err, MF_E_CONFLICT);
	assert_non_null(strstr(eb.text, "mfr0"));
	assert_string_equal(way("198.51.100.9", 0), "mfr0");
	mf_route_down(r);
	mf_tun_close(a);
	mf_tun_close(b);
}

static char rp_filter_of(const char *name)
{
	char path[128];
	int c;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	f = fopen(path, "re");
	assert_non_null(f);
	c = fgetc(f);
	fclose(f);
	return (char)c;
}

static void test_strict_reverse_path_filter_is_loosened(void **state)
{
	struct mf_route *r;
	struct mf_tun *t;

	(void)state;
	need_netns();
	assert_true(netns_sysctl("net/ipv4/conf/all/rp_filter", "1"));
	assert_true(netns_sysctl("net/ipv4/conf/v0/rp_filter", "0"));
	t = open_tun("mfr0");
	r = up(t, true, NULL);
	assert_int_equal(rp_filter_of("v0"), '2');
	assert_int_equal(rp_filter_of("all"), '1');
	mf_route_down(r);
	assert_int_equal(rp_filter_of("v0"), '0');
	mf_tun_close(t);
	assert_true(netns_sysctl("net/ipv4/conf/all/rp_filter", "0"));
}

static void test_mtu_of_the_path(void **state)
{
	struct mf_route_path path;
	struct mf_addr a;

	(void)state;
	need_netns();
	assert_int_equal(mf_route_lookup_default(MF_ROUTE_MARK, &path), MF_OK);
	assert_int_equal(path.mtu, 1500);
	assert_string_equal(path.ifname, "v0");
	assert_int_equal(system("ip route add 203.0.113.9 via 192.0.2.1 mtu 1400"), 0);
	assert_int_equal(mf_addr_parse(&a, "203.0.113.9"), MF_OK);
	assert_int_equal(mf_route_lookup(&a, 0, &path), MF_OK);
	assert_int_equal(path.mtu, 1400);
	assert_int_equal(mf_addr_parse(&a, "192.0.2.1"), MF_OK);
	assert_true(mf_addr_equal(&a, &path.gateway));
	assert_int_equal(mf_addr_parse(&a, "192.0.2.2"), MF_OK);
	assert_true(mf_addr_equal(&a, &path.source));
	assert_int_equal(system("ip route add unreachable 203.0.113.10"), 0);
	assert_int_equal(mf_addr_parse(&a, "203.0.113.10"), MF_OK);
	assert_int_equal(mf_route_lookup(&a, 0, &path), MF_E_NOT_FOUND);
	assert_int_equal(mf_route_tunnel_mtu(1500, MF_AF_IP4), 1440);
	assert_int_equal(mf_route_tunnel_mtu(1500, MF_AF_IP6), 1420);
	assert_int_equal(mf_route_tunnel_mtu(1300, MF_AF_IP6), 1280);
	assert_int_equal(mf_route_tunnel_mtu(0, MF_AF_IP6), 1280);
}

static uint32_t heard(struct mf_netmon *m, const char *command)
{
	struct pollfd pfd = { .fd = mf_netmon_fd(m), .events = POLLIN };
	uint32_t kinds = 0;

	assert_int_equal(system(command), 0);
	while (poll(&pfd, 1, kinds ? 50 : 1000) == 1)
		kinds |= mf_netmon_read(m);
	return kinds;
}

static void test_changes_are_told(void **state)
{
	struct mf_errbuf eb = { "" };
	struct mf_netmon *m;
	struct mf_tun *t;

	(void)state;
	need_netns();
	t = open_tun("mfr0");
	m = mf_netmon_new(mf_tun_ifindex(t), &eb);
	assert_non_null(m);
	/* link-local addresses of before are still being checked for duplicates */
	(void)heard(m, "sleep 2");
	assert_int_equal(mf_netmon_read(m), 0);
	assert_int_equal(heard(m, "ip addr add 192.0.2.50/32 dev v0"), MF_NETMON_ADDRESS);
	assert_int_equal(heard(m, "ip route change default via 192.0.2.9"), MF_NETMON_DEFAULT_ROUTE);
	assert_int_equal(heard(m, "ip addr add 10.66.9.9/32 dev mfr0"), 0);
	assert_int_equal(heard(m, "ip route add 203.0.113.77 via 192.0.2.1"), MF_NETMON_ROUTES);
	assert_int_equal(heard(m, "ip rule add pref 99 table 99"), MF_NETMON_ROUTES);
	assert_int_equal(heard(m, "ip rule del pref 99"), MF_NETMON_ROUTES);
	assert_int_equal(heard(m, "ip route add default dev mfr0 table 19782 &&"
				  "ip rule add pref 19785 protocol 77 table 19782"),
			 0); /* as our own */
	assert_int_equal(
		heard(m, "ip link add d0 type dummy 2>/dev/null || ip link add d0 type veth"),
		MF_NETMON_LINK);
	assert_int_equal(heard(m, "ip link set mfr0 down") & (MF_NETMON_TUN_DOWN | MF_NETMON_TUN_UP),
			 MF_NETMON_TUN_DOWN);
	assert_int_equal(heard(m, "ip link set mfr0 up") & (MF_NETMON_TUN_DOWN | MF_NETMON_TUN_UP),
			 MF_NETMON_TUN_UP);
	assert_true(heard(m, "ip link del mfr0") & MF_NETMON_TUN_DELETED);
	assert_true(heard(m, "ip rule add pref 19784 protocol 77 table main;"
			     "ip rule del pref 19784") &
		    MF_NETMON_RULES);
	mf_netmon_free(m);
	mf_tun_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mtu_of_the_path),
		cmocka_unit_test(test_everything_but_our_own_goes_in),
		cmocka_unit_test(test_included_beats_excluded_but_not_our_mark),
		cmocka_unit_test(test_other_marks_stay_outside),
		cmocka_unit_test(test_refresh_brings_back_what_has_gone),
		cmocka_unit_test(test_leftovers_of_a_killed_run_are_removed),
		cmocka_unit_test(test_a_second_tunnel_is_refused),
		cmocka_unit_test(test_strict_reverse_path_filter_is_loosened),
		cmocka_unit_test(test_changes_are_told),
	};

	cannot = netns_enter_with_tun();
	if (!cannot && set_up_links() != 0)
		cannot = "cannot make a veth pair with `ip`";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
