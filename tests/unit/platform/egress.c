/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/egress.h"

#include "platform/route.h"
#include "platform/tun.h"
#include "twonet.h"
#include "unit.h"

static const char *cannot;
static struct mf_tun *tun;
static struct mf_egress *egress;
static struct mf_egress_view *view;

static void need(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static void run(const char *command)
{
	if (!twonet_run(twonet_here, command))
		fail_msg("%s", command);
}

static void begin(const char *device)
{
	struct mf_errbuf eb = { "" };

	need();
	egress = mf_egress_new(device, MF_ROUTE_MARK, mf_tun_ifindex(tun), &eb);
	if (!egress)
		fail_msg("%s", eb.text);
	view = mf_egress_view_new(egress);
	assert_non_null(view);
}

static void end(void)
{
	mf_egress_view_free(view);
	mf_egress_free(egress);
}

/* The device's name, or the error's text. */
static const char *way(const char *address)
{
	struct mf_endpoint to = twonet_at(address, 0);
	uint32_t ifindex = 77;
	enum mf_stream_error why = mf_egress_find(view, &to.addr, &ifindex);

	assert_true(why ? ifindex == 0 : ifindex != 0);
	switch (why) {
	case MF_STREAM_E_NONE:
		return mf_egress_name(view, ifindex);
	case MF_STREAM_E_NO_DEVICE:
		return "no device";
	case MF_STREAM_E_NET_UNREACHABLE:
		return "net";
	case MF_STREAM_E_HOST_UNREACHABLE:
		return "host";
	case MF_STREAM_E_PROHIBITED:
		return "prohibited";
	default:
		return "other";
	}
}

static uint32_t look(void)
{
	(void)mf_egress_look(egress);
	return mf_egress_news(view);
}

static void test_auto_follows_the_routes(void **state)
{
	(void)state;
	begin(NULL);
	assert_string_equal(way("198.51.100.9"), "v0");
	assert_string_equal(way("2001:db8::9"), "v0");
	assert_string_equal(way("10.8.0.2"), "w0"); /* connected elsewhere */
	run("ip route add 10.20.0.0/16 via 10.8.0.2");
	mf_egress_routes_changed(egress);
	assert_int_equal(mf_egress_news(view), MF_EGRESS_CHANGED);
	assert_int_equal(mf_egress_news(view), 0);
	assert_string_equal(way("10.20.1.1"), "w0");
	run("ip route replace default via 10.8.0.2 && ip route del default via fd09::2");
	assert_int_equal(look(), MF_EGRESS_CHANGED);
	assert_string_equal(way("198.51.100.9"), "w0");
	assert_string_equal(way("2001:db8::9"), "net");
	run("ip route replace default via 10.9.0.2 && ip route add default via fd09::2 && "
	    "ip route del 10.20.0.0/16");
	end();
}

static void test_routes_that_refuse(void **state)
{
	(void)state;
	begin(NULL);
	run("ip route add unreachable 192.0.2.0/28 && ip route add prohibit 192.0.2.16/28 && "
	    "ip route add blackhole 192.0.2.32/28");
	assert_string_equal(way("192.0.2.1"), "host");
	assert_string_equal(way("192.0.2.17"), "prohibited");
	assert_int_not_equal(strcmp(way("192.0.2.33"), "v0"), 0);
	run("ip route flush type unreachable && ip route flush type prohibit && "
	    "ip route flush type blackhole");
	end();
}

static void test_this_machine_is_no_destination(void **state)
{
	static const char *const devices[] = { NULL, "v0" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(devices); i++) {
		begin(devices[i]);
		assert_string_equal(way("127.0.0.1"), "prohibited");
		assert_string_equal(way("127.8.8.8"), "prohibited");
		assert_string_equal(way("0.0.0.0"), "prohibited");
		assert_string_equal(way("::1"), "prohibited");
		assert_string_equal(way("::"), "prohibited");
		assert_string_equal(way("10.9.0.1"), "prohibited");
		assert_string_equal(way("fd09::1"), "prohibited");
		end();
	}
}

static void test_an_answer_is_remembered_until_something_changes(void **state)
{
	uint64_t asked;

	(void)state;
	begin(NULL);
	assert_string_equal(way("198.51.100.9"), "v0");
	asked = mf_egress_lookups(view);
	for (int i = 0; i < 100; i++)
		assert_string_equal(way("198.51.100.9"), "v0");
	assert_int_equal(mf_egress_lookups(view), asked);
	mf_egress_routes_changed(egress);
	(void)mf_egress_news(view);
	assert_string_equal(way("198.51.100.9"), "v0");
	assert_int_equal(mf_egress_lookups(view), asked + 1);
	end();
}

/* auto_route off, and the user has led everything into the tunnel by hand. */
static void test_never_into_the_tunnel(void **state)
{
	struct mf_egress_now now;

	(void)state;
	need();
	run("ip route add 0.0.0.0/1 dev mfe0 && ip route add 128.0.0.0/1 dev mfe0 && "
	    "ip route add ::/1 dev mfe0 && ip route add 8000::/1 dev mfe0");
	begin(NULL);
	assert_string_equal(way("198.51.100.9"), "v0");
	assert_string_equal(way("203.0.113.9"), "v0");
	assert_string_equal(way("10.8.0.2"), "w0");
	assert_string_equal(way("2001:db8::9"), "v0");
	mf_egress_now(egress, &now);
	assert_string_equal(now.ip4, "v0");
	run("ip route del default && ip -6 route del default");
	(void)look();
	assert_string_equal(way("198.51.100.9"), "no device");
	assert_string_equal(way("2001:db8::9"), "no device");
	mf_egress_now(egress, &now);
	assert_string_equal(now.ip4, "");
	/* two that could: the better one */
	run("ip route add default via 10.9.0.2 metric 200 && ip route add default via 10.8.0.2 "
	    "metric 100");
	(void)look();
	assert_string_equal(way("198.51.100.9"), "w0");
	run("ip route del default via 10.8.0.2 && ip route del default via 10.9.0.2 && "
	    "ip route add default via 10.9.0.2 && ip route add default via fd09::2 && "
	    "ip route del 0.0.0.0/1 && ip route del 128.0.0.0/1 && ip route del ::/1 && "
	    "ip route del 8000::/1");
	end();
}

/* auto_route on: our own rules lead everything but the mark into the tunnel. */
static void test_beside_our_own_rules(void **state)
{
	struct mf_route_options o = { .ip4 = true, .ip6 = true };
	struct mf_errbuf eb = { "" };
	struct mf_route *route;

	(void)state;
	need();
	o.ifindex = mf_tun_ifindex(tun);
	route = mf_route_up(&o, NULL, &eb);
	if (!route)
		fail_msg("%s", eb.text);
	begin(NULL);
	assert_string_equal(way("198.51.100.9"), "v0");
	assert_string_equal(way("10.8.0.2"), "w0");
	assert_string_equal(way("2001:db8::9"), "v0");
	mf_route_down(route);
	end();
}

static void test_a_fixed_device(void **state)
{
	(void)state;
	begin("w0");
	assert_string_equal(way("198.51.100.9"), "w0");
	run("ip link set w0 down");
	assert_true(look() & MF_EGRESS_CHANGED);
	assert_string_equal(way("198.51.100.9"), "no device");
	run("ip link set w0 up");
	(void)look();
	assert_string_equal(way("198.51.100.9"), "w0");
	mf_egress_set_device(egress, "nosuch0");
	(void)look();
	assert_string_equal(way("198.51.100.9"), "no device");
	mf_egress_set_device(egress, NULL);
	(void)look();
	assert_string_equal(way("198.51.100.9"), "v0");
	end();
}

static void test_what_has_gone_is_told(void **state)
{
	struct mf_endpoint own = twonet_at("10.8.0.77", 0);
	uint32_t ifindex;

	(void)state;
	need();
	run("ip addr add 10.8.0.77/32 dev w0 && ip link add d0 type veth peer name d1");
	ifindex = if_nametoindex("w0");
	begin(NULL);
	assert_true(mf_egress_has(view, ifindex, &own.addr));
	run("ip addr add 10.8.0.78/32 dev w0");
	assert_int_equal(look(), MF_EGRESS_CHANGED);
	assert_true(mf_egress_has(view, ifindex, &own.addr));
	run("ip addr del 10.8.0.77/32 dev w0");
	assert_int_equal(look(), MF_EGRESS_CHANGED | MF_EGRESS_LOST);
	assert_false(mf_egress_has(view, ifindex, &own.addr));
	run("ip addr del 10.8.0.78/32 dev w0");
	(void)look();
	ifindex = if_nametoindex("d0");
	own = twonet_at("10.9.0.1", 0);
	assert_true(mf_egress_has(view, ifindex, &own.addr));
	run("ip link del d0");
	assert_true(look() & MF_EGRESS_LOST);
	assert_false(mf_egress_has(view, ifindex, &own.addr));
	end();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_follows_the_routes),
		cmocka_unit_test(test_routes_that_refuse),
		cmocka_unit_test(test_this_machine_is_no_destination),
		cmocka_unit_test(test_an_answer_is_remembered_until_something_changes),
		cmocka_unit_test(test_never_into_the_tunnel),
		cmocka_unit_test(test_beside_our_own_rules),
		cmocka_unit_test(test_a_fixed_device),
		cmocka_unit_test(test_what_has_gone_is_told),
	};
	struct mf_tun_options o = { .name = "mfe0", .queues = 1 };
	struct mf_errbuf eb;
	struct mf_prefix p;
	int failed;

	cannot = twonet_make();
	if (!cannot) {
		tun = mf_tun_open(&o, &eb);
		if (!tun || mf_prefix_parse(&p, "10.66.0.2/30") || mf_tun_add_address(tun, &p, &eb) ||
		    mf_tun_set_up(tun, true, &eb) || mf_prefix_parse(&p, "fd66::2/126") ||
		    mf_tun_add_address(tun, &p, &eb) || !mf_tun_await_address(tun, &p.addr))
			cannot = "no TUN device";
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mf_tun_close(tun);
	return failed;
}
