/* SPDX-License-Identifier: Apache-2.0
 *
 * Names that the resolver looks up for us: endpoints, subscriptions, and its own servers that are
 * known by name alone.
 */
#include "reslab.h"

static const struct rec zone[] = {
	{ "www.example", MF_DNS_A, 300, "203.0.113.80" },
	{ "www.example", MF_DNS_A, 300, "203.0.113.81" },
	{ "www.example", MF_DNS_AAAA, 300, "2001:db8::80" },
	{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.82" },
	{ "ns1.example", MF_DNS_A, 300, "198.51.100.53" },
	{ "ns2.example", MF_DNS_A, 300, "198.51.100.54" },
	{ 0 },
};

static struct found {
	unsigned done;
	size_t n;
	struct mf_addr addr[16];
	const char *again; /* look that up from here */
} found[80];

static void on_found(void *ctx, const struct mf_addr *addr, size_t n, mf_nsec now)
{
	struct found *f = ctx;

	assert_true(now == lab.now);
	f->done++;
	f->n = n;
	if (n)
		memcpy(f->addr, addr, n * sizeof(*addr));
	if (!f->again)
		return;
	assert_int_equal(mf_resolver_lookup(lab.r, f->again, 0, on_found, f + 1, now), MF_OK);
	f->again = NULL;
}

static mf_err look_up(unsigned i, const char *name, uint32_t hop)
{
	return mf_resolver_lookup(lab.r, name, hop, on_found, &found[i], lab.now);
}

static void open_lab(void)
{
	memset(found, 0, sizeof(found));
	begin(zone);
}

static void finds(void **state)
{
	(void)state;
	open_lab();
	assert_int_equal(look_up(0, "www.example", 0), MF_OK);
	assert_int_equal(look_up(1, "WWW.example.", 0), MF_OK);
	assert_int_equal(look_up(2, "no.example", 0), MF_OK);
	assert_int_equal(found[0].done, 0);
	advance(20 * MF_MSEC);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(found[i].done, 1);
		assert_int_equal(found[i].n, i < 2 ? 3 : 0);
	}
	assert_int_equal(asked(HOP_DIRECT), 4);
	/* As the rules say, and the route is learned; and through an interface of one's own choice,
	 * which is nobody else's business. */
	assert_int_equal(look_up(3, "www.vpn.example", 0), MF_OK);
	advance(20 * MF_MSEC);
	assert_int_equal(asked(HOP_VPN), 2);
	assert_int_equal(learned_text("203.0.113.82"), HOP_VPN);
	mf_learned_clear(lab.learned);
	assert_int_equal(look_up(4, "www.vpn.example", HOP_WORK), MF_OK);
	ask("no.work.example", MF_DNS_A);
	advance(20 * MF_MSEC);
	assert_int_equal(found[4].n, 1);
	assert_int_equal(asked(HOP_WORK), 3);
	assert_int_equal(learned_text("203.0.113.82"), 0);
	assert_int_equal(found[4].done + found[3].done, 2);
	end();
}

static void refused(void **state)
{
	char name[64];

	(void)state;
	open_lab();
	assert_int_equal(look_up(0, "a..b", 0), MF_E_MALFORMED);
	assert_int_equal(look_up(0, "x.ads.example", 0), MF_OK); /* asked like any other */
	assert_int_equal(look_up(0, "www.example", HOP_DROP), MF_E_GONE);
	assert_int_equal(look_up(0, "www.example", HOP_DNS), MF_E_GONE);
	for (unsigned i = 1; i < 64; i++) {
		snprintf(name, sizeof(name), "x%u.example", i);
		assert_int_equal(look_up(i, name, 0), MF_OK);
	}
	assert_int_equal(look_up(64, "y.example", 0), MF_E_FULL);
	advance(6 * MF_SEC);
	for (unsigned i = 1; i < 64; i++)
		assert_int_equal(found[i].done, 1);
	assert_int_equal(look_up(64, "y.example", 0), MF_OK);
	assert_int_equal(mf_resolver_configure(lab.r, NULL, lab.now), MF_OK);
	assert_int_equal(found[64].done, 1);
	assert_int_equal(found[64].n, 0);
	assert_int_equal(look_up(65, "y.example", 0), MF_E_UNSUPPORTED);
	end();
}

/* Who has been answered asks the same again at once, also from within a reload. */
static void again(void **state)
{
	(void)state;
	open_lab();
	far_twist(FAKEDNS_SILENT);
	found[0].again = found[1].again = "www.example";
	assert_int_equal(look_up(0, "www.example", 0), MF_OK);
	advance(6 * MF_SEC);
	assert_int_equal(found[0].done, 1);
	assert_int_equal(found[0].n, 0);
	assert_int_equal(found[1].done, 0);
	/* Nobody can be asked through that interface any more. */
	found[10].again = "www.example";
	assert_int_equal(look_up(10, "x.example", HOP_WORK), MF_OK);
	lab.cfg.n_vpn = 0;
	far_twist(FAKEDNS_RIGHT);
	configure();
	assert_int_equal(found[10].done, 1);
	assert_int_equal(found[10].n, 0);
	advance(MF_SEC);
	assert_int_equal(found[1].done, 1);
	assert_int_equal(found[2].done, 1);
	assert_int_equal(found[2].n, 3);
	assert_int_equal(found[11].done, 1);
	assert_int_equal(found[11].n, 3);
	assert_int_equal(COUNT(open), 0);
	end();
}

/* ---- Servers that are known by name -------------------------------------------------------------- */

static struct mf_dns_server by_name[2] = {
	{ .text = "tcp://ns1.example", .name = "ns1.example", .addr = { { .port = 53 } } },
	{ .text = "tcp://ns2.example", .name = "ns2.example", .addr = { { .port = 53 } } },
};

static void name_the_servers(void)
{
	open_lab();
	fakedns_add(&lab.far[HOP_VPN], "198.51.100.53:53")->answer = zone_answer;
	fakedns_add(&lab.far[HOP_VPN], "198.51.100.54:53")->answer = zone_answer;
	lab.cfg.vpn = by_name;
	lab.cfg.n_vpn = 2;
	lab.cfg.world = 2;
}

static void servers_by_name(void **state)
{
	(void)state;
	name_the_servers();
	configure();
	/* They have no addresses: the direct servers know them. */
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.82");
	assert_true(asked(HOP_DIRECT) >= 2);
	end();
}

/* One name is not to be found: the other server is. */
static void one_of_two_by_name(void **state)
{
	static const struct rec half[] = {
		{ "ns2.example", MF_DNS_A, 300, "198.51.100.54" },
		{ "www.vpn.example", MF_DNS_A, 300, "203.0.113.82" },
		{ 0 },
	};
	struct mf_upstream_info info;

	(void)state;
	name_the_servers();
	lab.zone = half;
	configure();
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.82");
	assert_true(mf_resolver_upstream(lab.r, 1, 1, &info));
	assert_int_equal(info.answered, 1);
	/* It is there after all, and looked for again when somebody asks. */
	lab.zone = zone;
	lab.cfg.cache.negative_max = 1;
	advance(10 * MF_SEC);
	for (int i = 0; i < 50; i++) {
		ask_and_wait("x.vpn.example", MF_DNS_A);
		advance(61 * MF_SEC);
	}
	assert_true(mf_resolver_upstream(lab.r, 1, 0, &info));
	assert_true(info.answered);
	end();
}

/* A reload while a server's name is looked up: what is found then was asked for by nobody. */
static void reload_while_looking(void **state)
{
	struct mf_dns_server other = { .text = "x", .name = "ns2.example", .addr = { { .port = 53 } } };
	struct mf_upstream_info info;

	(void)state;
	name_the_servers();
	configure();
	/* Another server in the same place. */
	lab.cfg.vpn = &other;
	lab.cfg.n_vpn = 1;
	configure();
	got_addr(ask_and_wait("www.vpn.example", MF_DNS_A), "203.0.113.82");
	assert_int_equal(lab.far[HOP_VPN].server[2].n_udp, 0);
	assert_int_equal(lab.far[HOP_VPN].server[3].n_udp, 1);
	/* Nobody is in that place any more, and then no DNS at all. */
	lab.cfg.vpn = by_name;
	lab.cfg.n_vpn = 2;
	configure();
	lab.cfg.n_vpn = 0;
	configure();
	assert_false(mf_resolver_upstream(lab.r, 1, 0, &info));
	lab.cfg.n_vpn = 2;
	configure();
	assert_int_equal(mf_resolver_configure(lab.r, NULL, lab.now), MF_OK);
	advance(10 * MF_SEC);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(refused),
		cmocka_unit_test(again),
		cmocka_unit_test(servers_by_name),
		cmocka_unit_test(one_of_two_by_name),
		cmocka_unit_test(reload_while_looking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
