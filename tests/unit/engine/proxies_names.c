/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of proxies' servers in a whole engine, what cannot be had, and the engine's end.
 */
#include "proxylab.h"

/* ---- Names ----------------------------------------------------------------------------------- */

static void answer(struct lab *l, uint64_t tag, const char *const *addr, size_t n)
{
	struct mf_endpoint e[16];

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(mf_addr_parse(&e[i].addr, addr[i]), MF_OK);
		e[i].port = 8388;
	}
	mf_engine_resolved(l->engine, tag, e, n, l->net.now);
}

static void test_name(void **state)
{
	static const char *const both[] = { "198.51.100.7", "198.51.100.8" };
	struct testnet_side *s;
	struct netapp *a;
	unsigned asked;
	uint64_t tag;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, NAMED("a.example", "one"), TO("hk"));
	s = &l.net.side[0];
	tag = s->asked.tag;
	assert_int_equal(s->asked.n, 1);
	assert_string_equal(s->asked.name, "a.example");
	assert_int_equal(s->asked.port, 8388);
	assert_true(mf_engine_asks_for_proxy(tag));
	assert_true(mf_engine_asks(l.engine, tag));
	/* Who comes before the answer waits for it. */
	a = connect_app(&l);
	netapps_advance(&l.apps, MF_SEC);
	assert_false(a->closed);
	assert_int_equal(l.out.n_opened, 0);
	assert_int_equal(s->asked.tag, tag);
	asked = s->asked.n;
	answer(&l, tag, both, 2);
	netapps_settle(&l.apps);
	far_accept(&f, &l, HK, "one");
	transfer(a, &f, 1000);
	/* Nothing has changed: nobody asks. */
	apply(&l, NAMED("a.example", "one"), TO("hk"), NULL);
	far_fini(&f);
	(void)establish(&l, &f, HK, "one");
	assert_int_equal(s->asked.n, asked);
	far_fini(&f);
	close_lab(&l);
}

/* Each worker is told, though it may never have been asked for anything. */
static void test_name_all_workers(void **state)
{
	static const char *const one[] = { "198.51.100.7" };
	struct testnet_options o = { .seed = 1,
				     .n_workers = 3,
				     .interfaces = NAMED("a.example", "one"),
				     .routes = TO("hk") };
	struct mf_target to = { 0 };
	struct mf_endpoint hk;
	struct testnet t;

	(void)state;
	testnet_open(&t, &o);
	assert_int_equal(mf_endpoint_parse(&to.addr, SERVER), MF_OK);
	assert_int_equal(mf_endpoint_parse(&hk, HK), MF_OK);
	answer(&(struct lab){ .engine = t.side[0].engine }, t.side[0].asked.tag, one, 1);
	testnet_settle(&t);
	for (unsigned i = 0; i < 3; i++) {
		struct mf_worker *w = mf_engine_worker(t.side[0].engine, i);
		struct mf_outbound *out = mf_proxies_outbound(w, MF_HOP_ID_FIRST_INTERFACE + 1);
		struct mf_stream st = { 0 };
		struct fakeout direct;

		fakeout_init(&direct);
		mf_worker_set_direct(w, &direct.out);
		assert_non_null(out);
		assert_int_equal(out->ops->stream_open(out, &st, &to), MF_OK);
		testnet_settle(&t);
		assert_int_equal(direct.n_opened, 1);
		assert_true(mf_endpoint_equal(&direct.last->dst, &hk));
		st.out->ops->stream_close(&st, true);
		fakeout_fini(&direct);
		mf_worker_set_direct(w, NULL);
	}
	assert_int_equal(t.side[0].asked.n, 1);
	testnet_close(&t);
}

static void test_name_unknown(void **state)
{
	struct netapp *a;
	unsigned asked;
	struct lab l;

	(void)state;
	open_lab(&l, NAMED("a.example", "one"), TO("hk"));
	a = connect_app(&l);
	asked = l.net.side[0].asked.n;
	answer(&l, l.net.side[0].asked.tag, NULL, 0);
	netapps_settle(&l.apps);
	assert_true(a->closed);
	assert_int_equal(report(&l, "hk").fault, MF_PROXY_NAME);
	assert_string_equal(report(&l, "hk").detail, "a.example");
	/* It is asked for again, and not for each session. */
	netapps_advance(&l.apps, 10 * MF_SEC);
	(void)connect_app(&l);
	(void)connect_app(&l);
	assert_int_equal(l.net.side[0].asked.n, asked + 1);
	close_lab(&l);
}

/* An answer that comes late is not taken for one to another question. */
static void test_name_late(void **state)
{
	static const char *const wrong[] = { "198.51.100.66" }, *const right[] = { "198.51.100.7" };
	struct netapp *a;
	uint64_t old;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, NAMED("a.example", "one"), TO("hk"));
	old = l.net.side[0].asked.tag;
	apply(&l, NAMED("b.example", "one"), TO("hk"), NULL);
	assert_string_equal(l.net.side[0].asked.name, "b.example");
	assert_false(mf_engine_asks(l.engine, old));
	answer(&l, old, wrong, 1);
	a = connect_app(&l);
	assert_int_equal(l.out.n_opened, 0);
	answer(&l, l.net.side[0].asked.tag, right, 1);
	netapps_settle(&l.apps);
	far_accept(&f, &l, HK, "one");
	transfer(a, &f, 1000);
	/* An order that is on its way when the settings change. */
	old = l.net.side[0].asked.tag;
	answer(&l, old, wrong, 1);
	assert_int_equal(
		testnet_apply(&l.net, 0,
			      &(struct testnet_options){ .interfaces = NAMED("c.example", "one"),
							 .routes = TO("hk") },
			      NULL, NULL),
		MF_OK);
	netapps_settle(&l.apps);
	(void)connect_app(&l);
	assert_int_equal(l.out.n_opened, 1);
	/* The interface is gone. */
	apply(&l, NULL, TO("direct"), NULL);
	answer(&l, l.net.side[0].asked.tag, right, 1);
	netapps_settle(&l.apps);
	far_fini(&f);
	close_lab(&l);
}

/* The answer is there before a worker has seen the profile that asks. */
static void test_name_early(void **state)
{
	static const char *const one[] = { "198.51.100.7" };
	struct testnet_options o = { .interfaces = NAMED("a.example", "one"), .routes = TO("hk") };
	struct netapp *a;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, NULL, TO("direct"));
	assert_int_equal(testnet_apply(&l.net, 0, &o, NULL, NULL), MF_OK);
	answer(&l, l.net.side[0].asked.tag, one, 1);
	netapps_settle(&l.apps);
	a = establish(&l, &f, HK, "one");
	assert_int_equal(l.net.side[0].asked.n, 1);
	/* Another network may have other addresses for it. */
	mf_engine_network_changed(l.engine, l.net.now);
	netapps_settle(&l.apps);
	assert_int_equal(l.net.side[0].asked.n, 2);
	transfer(a, &f, 1000);
	far_fini(&f);
	close_lab(&l);
}

/* ---- What cannot be had ---------------------------------------------------------------------- */

static struct mf_config *parse(const char *interfaces)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg = NULL;
	struct mf_text text = { 0 };

	mf_text_printf(&text,
		       "version: 1\ntunnel:\n  name: tun0\n  address: 10.9.0.1/24\ninterfaces:\n%s"
		       "app_routing:\n  enabled: true\n  routes:\n" TO("direct"),
		       interfaces);
	assert_int_equal(mf_config_parse(text.s, text.len, "test.yaml", 0, &cfg, &errs), MF_OK);
	mf_text_free(&text);
	mf_config_errors_free(&errs);
	return cfg;
}

static void test_failure_changes_nothing(void **state)
{
	const struct mf_proxy_config *proxy;
	const struct mf_snapshot *snap;
	struct mf_config *cfg;
	struct mf_errbuf eb;
	struct netapp *a;
	struct far f;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	a = establish(&l, &f, HK, "one");
	snap = mf_engine_snapshot(l.engine);
	proxy = iface(&l, "hk").proxy;
	cfg = parse(HK_2
		    "  - { name: tr, type: trojan, server: \"198.51.100.9:443\", password: x }\n");
	cfg->interfaces[1].tls.ca_pem = mf_span("no certificate", 14);
	for (int i = 0; i < 3; i++) {
		assert_int_not_equal(mf_engine_apply(l.engine, cfg, l.net.now, NULL, &eb), MF_OK);
		assert_memory_equal(eb.text, "interface tr: ", 14);
		netapps_settle(&l.apps);
		assert_ptr_equal(mf_engine_snapshot(l.engine), snap);
		assert_ptr_equal(iface(&l, "hk").proxy, proxy);
		assert_int_equal(mf_engine_iface_count(l.engine), 2);
		transfer(a, &f, 1000);
	}
	mf_config_free(cfg);
	far_fini(&f);
	close_lab(&l);
}

/* `n` proxies, whose names begin so. */
static struct mf_config *many(const char *prefix, unsigned n)
{
	struct mf_text text = { 0 };
	struct mf_config *cfg;

	for (unsigned i = 0; i < n; i++)
		mf_text_printf(&text,
			       "  - { name: %s%u, type: socks5, server: \"198.51.100.7:%u\" }\n",
			       prefix, i, 1000 + i);
	cfg = parse(text.s);
	mf_text_free(&text);
	return cfg;
}

/* Those that go have their numbers until they are gone. */
static void test_too_many_at_once(void **state)
{
	struct mf_config *few = many("few", 1), *a = many("a", 64), *b = many("b", 64);
	struct mf_errbuf eb;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mf_engine_apply(l.engine, few, l.net.now, NULL, &eb), MF_OK);
		assert_int_equal(mf_engine_apply(l.engine, a, l.net.now, NULL, &eb), MF_OK);
		netapps_settle(&l.apps);
		assert_int_equal(mf_engine_apply(l.engine, b, l.net.now, NULL, &eb), MF_E_FULL);
		assert_non_null(strstr(eb.text, "remove those first"));
		netapps_settle(&l.apps);
		assert_int_equal(mf_engine_iface_count(l.engine), 64);
		assert_non_null(mf_proxies_outbound(l.worker, iface(&l, "a63").hop));
	}
	mf_config_free(few);
	mf_config_free(a);
	mf_config_free(b);
	close_lab(&l);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Sessions in every state: waiting for a name, for the server, open, stalled, and closed with
 * something left to send, on a proxy in force and on one of a time before. */
static void test_the_end(void **state)
{
	struct far f, stalled, left;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, HK_1, TO("hk"));
	(void)establish(&l, &f, HK, "one");
	a = establish(&l, &stalled, HK, "one");
	stalled.st->may_write = 100;
	netapp_write(a, 200000);
	netapps_settle(&l.apps);
	l.out.may_write = 100;
	a = connect_app(&l);
	far_accept(&left, &l, HK, "one");
	netapp_write(a, 3000);
	netapps_settle(&l.apps);
	netapp_shutdown(a);
	netapps_settle(&l.apps);
	fake_end(left.st);
	netapps_advance(&l.apps, MF_SEC);
	apply(&l, HK_2, TO("hk"), NULL);
	(void)connect_app(&l);
	apply(&l, NAMED("a.example", "one"), TO("hk"), NULL);
	(void)connect_app(&l);
	assert_int_equal(l.out.n_open, 4);
	far_fini(&f);
	far_fini(&stalled);
	far_fini(&left);
	close_lab(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_name_all_workers),
		cmocka_unit_test(test_name_unknown),
		cmocka_unit_test(test_name_late),
		cmocka_unit_test(test_name_early),
		cmocka_unit_test(test_failure_changes_nothing),
		cmocka_unit_test(test_too_many_at_once),
		cmocka_unit_test(test_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
