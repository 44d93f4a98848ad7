/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions through proxies in a whole engine, and what reloads do to them.
 */
#include "proxylab.h"

/* ---- A session ------------------------------------------------------------------------------- */

static void test_a_whole_life(void **state)
{
	static const uint8_t target[] = { 1, 203, 0, 113, 9, 0, 80 };
	struct mf_session_facts facts;
	struct mf_ledger ledger;
	struct netapp *a;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	assert_int_equal(report(&l, "hk").state, MF_PROXY_UNTRIED);
	a = establish(&l, &f, HK, "one");
	assert_int_equal(f.s.target_n, sizeof(target));
	assert_memory_equal(f.s.target, target, sizeof(target));
	transfer(a, &f, 3000000);
	assert_int_equal(sessions(&l, &facts), 1);
	assert_int_equal(facts.hop, iface(&l, "hk").hop);
	assert_int_equal(facts.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(facts.bytes_up, a->up);
	assert_int_equal(facts.bytes_down, a->down);
	assert_int_equal(report(&l, "hk").state, MF_PROXY_UP);
	assert_int_equal(report(&l, "hk").count.answered, 1);
	/* The app has said all, the server goes on, and says the end in its turn. */
	netapp_shutdown(a);
	transfer_down(a, &f, 1000);
	fake_end(f.st);
	netapps_advance(&l.apps, 120 * MF_SEC);
	assert_true(a->eof);
	assert_int_equal(sessions(&l, &facts), 0);
	assert_int_equal(l.out.n_open, 0);
	mf_engine_ledger(l.engine, &ledger);
	assert_int_equal(ledger.held, 0);
	far_fini(&f);
	close_lab(&l);
}

/* A server that cannot be reached, and one that has other keys: the app is told, and why is known. */
static void test_it_fails(void **state)
{
	struct mf_proxy_report r;
	struct netapp *a;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = connect_app(&l);
	fake_fail(l.out.last, MF_STREAM_E_REFUSED);
	netapps_settle(&l.apps);
	assert_true(a->closed);
	r = report(&l, "hk");
	assert_int_equal(r.state, MF_PROXY_FAILING);
	assert_int_equal(r.fault, MF_PROXY_REFUSED);
	assert_string_equal(r.detail, HK);
	a = connect_app(&l);
	far_accept(&f, &l, HK, "another");
	netapp_write(a, 1000);
	netapps_settle(&l.apps);
	assert_false(far_hear(&f));
	netapps_advance(&l.apps, 60 * MF_SEC);
	assert_reset(a);
	assert_int_equal(report(&l, "hk").fault, MF_PROXY_SILENT);
	assert_int_equal(l.out.n_open, 0);
	far_fini(&f);
	close_lab(&l);
}

/* ---- Reloads --------------------------------------------------------------------------------- */

static void test_the_same_again(void **state)
{
	const struct mf_proxy_config *cfg;
	const struct mf_proxy *proxy;
	struct mf_apply_report r;
	struct netapp *a;
	uint32_t hop;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &f, HK, "one");
	hop = iface(&l, "hk").hop;
	cfg = iface(&l, "hk").proxy;
	proxy = l.worker->proxies->proxy[hop];
	/* Also with other interfaces around it, and other routes. */
	apply(&l, HK_1, TO("hk"), &r);
	assert_int_equal(r.interfaces_changed, 2);
	assert_int_equal(r.sessions_kept, 1);
	apply(&l, SG_1 HK_1, TO("sg"), &r);
	assert_int_equal(r.interfaces_added, 1);
	apply(&l, HK_1 SG_1, TO("hk"), &r);
	apply(&l, HK_1, TO("hk"), &r);
	assert_int_equal(r.interfaces_removed, 1);
	assert_int_equal(iface(&l, "hk").hop, hop);
	assert_ptr_equal(iface(&l, "hk").proxy, cfg);
	assert_ptr_equal(l.worker->proxies->proxy[hop], proxy);
	assert_int_equal(l.out.n_opened, 1);
	transfer(a, &f, 300000);
	far_fini(&f);
	close_lab(&l);
}

/* Each setting that makes another proxy. */
static void test_what_is_another(void **state)
{
	static const char *const others[] = {
		HK_2,
		SS("hk", SG, "one", ""),
		SS("hk", "198.51.100.7:8389", "one", ""),
		SS("hk", "a.example:8388", "one", ""),
		SS("hk", HK, "one", "    connect_timeout: 3s\n"),
		SS("hk", HK, "one", "    obfs: { mode: http, host: a.example }\n"),
		SS("hk", HK, "one", "    obfs: { mode: tls, host: a.example }\n"),
		SS("hk", HK, "one", "    websocket: { path: /a }\n"),
		SS("hk", HK, "one", "    websocket: { path: /b }\n"),
		SS("hk", HK, "one", "    websocket: { path: /b, headers: { A: b } }\n"),
		SS("hk", HK, "one", "    websocket: { path: /b, headers: { A: c } }\n"),
		SS("hk", HK, "one", "    websocket: { path: /b }\n    tls: { insecure: true }\n"),
		SS("hk", HK,
		   "one", "    websocket: { path: /b }\n    tls: { insecure: true, server_name: a.example }\n"),
		HK_1,
	};
	const struct mf_proxy_config *before;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	for (size_t i = 0; i < MF_ARRAY_LEN(others); i++) {
		uint64_t id = iface(&l, "hk").proxy->id;

		apply(&l, others[i], TO("hk"), NULL);
		before = iface(&l, "hk").proxy;
		assert_int_not_equal(before->id, id);
		apply(&l, others[i], TO("hk"), NULL);
		assert_ptr_equal(iface(&l, "hk").proxy, before);
	}
	close_lab(&l);
}

static void test_another_password(void **state)
{
	struct far old, new;
	struct netapp *a, *b;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &old, HK, "one");
	apply(&l, HK_2, TO("hk"), NULL);
	b = establish(&l, &new, HK, "two");
	transfer(a, &old, 200000);
	transfer(b, &new, 200000);
	/* The old one goes with its last session. */
	netapp_abort(a);
	netapps_settle(&l.apps);
	assert_int_equal(l.out.n_open, 1);
	transfer(b, &new, 1000);
	far_fini(&old);
	far_fini(&new);
	close_lab(&l);
}

/* Its sessions end, also those of a time with other settings; who sleeps over it is woken. */
static void test_removed(void **state)
{
	struct testnet_options without = { .seed = 1, .routes = TO("direct") };
	struct far first, second;
	struct netapp *a, *b;
	mf_nsec deadline;
	uint32_t woken;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &first, HK, "one");
	b = establish(&l, &second, HK, "one");
	netapps_settle(&l.apps);
	assert_true(mf_worker_sleep(l.worker, &deadline));
	woken = l.net.side[0].woken;
	assert_int_equal(testnet_apply(&l.net, 0, &without, NULL, NULL), MF_OK);
	assert_true(l.net.side[0].woken > woken);
	mf_worker_wake(l.worker);
	netapps_settle(&l.apps);
	assert_reset(a);
	assert_reset(b);
	assert_int_equal(l.out.n_open, 0);
	assert_true(first.st->reset && second.st->reset);
	far_fini(&first);
	far_fini(&second);
	close_lab(&l);
}

/* Removed and there again before the worker has looked: it is another one by then. */
static void test_removed_and_back(void **state)
{
	struct testnet_options without = { .seed = 1, .routes = TO("direct") };
	struct testnet_options with = { .seed = 1, .routes = TO("hk"), .interfaces = HK_1 };
	struct far f, new;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &f, HK, "one");
	assert_int_equal(testnet_apply(&l.net, 0, &without, NULL, NULL), MF_OK);
	assert_int_equal(testnet_apply(&l.net, 0, &with, NULL, NULL), MF_OK);
	netapps_settle(&l.apps);
	transfer(a, &f, 1000); /* its name has been in every snapshot that the worker has seen */
	a = establish(&l, &new, HK, "one");
	transfer(a, &new, 1000);
	far_fini(&f);
	far_fini(&new);
	close_lab(&l);
}

/* The hop of one that is gone is another's: nothing of the old one is left there. */
static void test_another_in_its_place(void **state)
{
	struct mf_hop_totals totals;
	struct mf_proxy_report r;
	struct netapp *a, *b;
	struct far f, new;
	uint32_t hop;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	hop = iface(&l, "hk").hop;
	a = establish(&l, &f, HK, "one");
	b = connect_app(&l);
	fake_fail(l.out.last, MF_STREAM_E_REFUSED);
	netapps_settle(&l.apps);
	assert_int_equal(report(&l, "hk").state, MF_PROXY_FAILING);
	apply(&l, NULL, TO("direct"), NULL);
	apply(&l, SG_1, TO("sg"), NULL);
	assert_int_equal(iface(&l, "sg").hop, hop);
	assert_reset(a);
	assert_true(b->closed);
	r = report(&l, "sg");
	assert_int_equal(r.state, MF_PROXY_UNTRIED);
	assert_int_equal(r.count.dialled, 0);
	assert_int_equal(r.count.failed, 0);
	assert_int_equal(r.last_fault, 0);
	mf_engine_hop_totals(l.engine, hop, &totals);
	assert_int_equal(totals.sessions, 0);
	assert_int_equal(totals.opened, 0);
	assert_int_equal(totals.bytes_up, 0);
	a = establish(&l, &new, SG, "one");
	assert_int_equal(report(&l, "sg").count.dialled, 1);
	mf_engine_hop_totals(l.engine, hop, &totals);
	assert_int_equal(totals.sessions, 1);
	assert_int_equal(totals.opened, 1);
	assert_int_equal(totals.bytes_up, a->up);
	far_fini(&f);
	far_fini(&new);
	close_lab(&l);
}

/* The same without a pass between the two profiles. */
static void test_another_in_its_place_at_once(void **state)
{
	struct testnet_options without = { .seed = 1, .routes = TO("direct") };
	struct testnet_options other = { .seed = 1, .routes = TO("sg"), .interfaces = SG_1 };
	struct netapp *a;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &f, HK, "one");
	assert_int_equal(testnet_apply(&l.net, 0, &without, NULL, NULL), MF_OK);
	assert_int_equal(testnet_apply(&l.net, 0, &other, NULL, NULL), MF_OK);
	netapps_settle(&l.apps);
	assert_reset(a);
	assert_int_equal(report(&l, "sg").count.dialled, 0);
	far_fini(&f);
	close_lab(&l);
}

/* One name, a VPN and a proxy in turn: they have nothing in common. */
static void test_a_vpn_becomes_a_proxy(void **state)
{
	struct mf_apply_report r;
	struct netapp *a;
	uint32_t hop;
	struct lab l;

	(void)state;
	open_lab(&l, WG("hk"), TO("hk"));
	for (int i = 0; i < 3; i++) {
		struct far f;

		assert_non_null(iface(&l, "hk").device);
		assert_null(iface(&l, "hk").proxy);
		hop = iface(&l, "hk").hop;
		apply(&l, HK_1, TO("hk"), &r);
		assert_int_equal(r.interfaces_added, 1);
		assert_int_equal(r.interfaces_removed, 1);
		assert_int_equal(r.interfaces_changed, 1);
		assert_null(iface(&l, "hk").device);
		assert_int_not_equal(iface(&l, "hk").hop, hop);
		a = establish(&l, &f, HK, "one");
		transfer(a, &f, 10000);
		apply(&l, WG("hk"), TO("hk"), &r);
		assert_int_equal(r.interfaces_removed, 1);
		assert_reset(a);
		assert_int_equal(l.out.n_open, 0);
		far_fini(&f);
	}
	close_lab(&l);
}

/* ---- One behind another ---------------------------------------------------------------------- */

#define IN_HK SS("sg", SG, "two", "    via: hk\n")

/* What a server gets that lies behind another one: payload of that one. */
static void far_behind(struct far *outer, struct sserver *inner, size_t *taken)
{
	assert_true(far_hear(outer));
	assert_true(sserver_take(inner, outer->s.got.p + *taken, outer->s.got.n - *taken));
	*taken = outer->s.got.n;
}

static void test_via_a_proxy(void **state)
{
	static const uint8_t to_sg[] = { 1, 198, 51, 100, 8, 8388 >> 8, 8388 & 255 };
	static const char *const others[] = { HK_1 SS("sg", SG, "two", ""), SS("sg", SG, "two", "") };
	struct sserver_keys keys;
	struct sserver inner;
	struct netapp *a;

	(void)state;
	sserver_keys(&keys, "aes-128-gcm", "two");
	for (size_t i = 0; i < MF_ARRAY_LEN(others); i++) {
		struct far f, straight;
		size_t taken = 0;
		struct lab l;

		open_lab(&l, IN_HK HK_1, TO("sg"));
		sserver_init(&inner, &keys);
		a = connect_app(&l);
		far_accept(&f, &l, HK, "one");
		netapp_write(a, 5000);
		netapps_advance(&l.apps, 100 * MF_MSEC);
		far_behind(&f, &inner, &taken);
		assert_int_equal(f.s.target_n, sizeof(to_sg));
		assert_memory_equal(f.s.target, to_sg, sizeof(to_sg));
		assert_int_equal(inner.got.n, 5000);
		assert_true(netapp_far_right(a, 0, inner.got.p, inner.got.n));
		/* Another way to it, with the other one there and gone: the old way ends with it. */
		apply(&l, others[i], TO("sg"), NULL);
		assert_int_equal(a->closed, i == 1);
		assert_int_equal(l.out.n_open, i == 0);
		(void)establish(&l, &straight, SG, "two");
		far_fini(&f);
		far_fini(&straight);
		sserver_fini(&inner);
		close_lab(&l);
	}
}

/* The engine ends while connections to a proxy are sessions of its own in a VPN. */
static void test_via_a_vpn(void **state)
{
	struct netapps server;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, SS("hk", "10.9.0.2:8388", "one", "    via: wg0\n"),
		 "    - { cidr: 203.0.113.0/24, to: hk }\n    - { cidr: 10.9.0.0/16, to: wg0 }\n");
	netapps_open(&server, &l.net, 1);
	server.listen = 8388;
	a = netapp_connect(&l.apps, "10.9.0.1:1000", SERVER);
	for (int i = 0; i < 300 && !a->connected; i++) {
		netapps_settle(&l.apps);
		netapps_advance(&server, 10 * MF_MSEC);
	}
	assert_true(a->connected);
	assert_non_null(server.first);
	assert_int_equal(server.first->local.port, 8388);
	assert_int_equal(l.out.n_opened, 0);
	close_lab(&l);
	netapps_close(&server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_life),
		cmocka_unit_test(test_it_fails),
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_what_is_another),
		cmocka_unit_test(test_another_password),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_removed_and_back),
		cmocka_unit_test(test_another_in_its_place),
		cmocka_unit_test(test_another_in_its_place_at_once),
		cmocka_unit_test(test_a_vpn_becomes_a_proxy),
		cmocka_unit_test(test_via_a_proxy),
		cmocka_unit_test(test_via_a_vpn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
