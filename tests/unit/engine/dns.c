/* SPDX-License-Identifier: Apache-2.0
 *
 * The internal DNS server inside an engine: questions in packets and in TCP sessions, on any worker;
 * servers outside (support/fakedns.h behind `direct`) and inside a VPN (an app behind the other
 * engine); routes of what was answered; reloads, and the end.
 */
#include "unit.h"

#include <stdlib.h>

#include "base/endian.h"
#include "engine/internal.h"
#include "fakedns.h"
#include "nodes/dns.h"
#include "support/netapps.h"

#define ANY_SERVER  "203.0.113.53"
#define ANY_SERVER6 "2001:db8:53::53"

static const char text[] = "version: 1\n"
			   "tunnel: { name: tun0, address: [10.9.0.1/24, \"fd09::1/64\"] }\n"
			   "interfaces:\n"
			   "  - name: wg0\n"
			   "    type: wireguard\n"
			   "    private_key: yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
			   "    address: [10.9.0.1/24, \"fd09::1/64\"]\n"
			   "    listen_port: 51000\n"
			   "    mtu: 1420\n"
			   "    peers:\n"
			   "      - public_key: w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=\n"
			   "        endpoint: \"192.0.2.2:51001\"\n"
			   "        allowed_ips: [0.0.0.0/0, \"::/0\"]\n"
			   "domain_sets:\n"
			   "  vpn: { domains: [vpn.example] }\n"
			   "  ads: { domains: [ads.example] }\n"
			   "app_routing:\n"
			   "  enabled: true\n"
			   "  routes:\n"
			   "    - { domain_set: vpn, to: wg0 }\n"
			   "    - { domain_set: ads, to: drop }\n"
			   "    - { cidr: 0.0.0.0/0, to: direct }\n"
			   "    - { cidr: \"::/0\", to: direct }\n"
			   "  dns_fallback: direct\n"
			   "dns:\n"
			   "  vpn_servers: [10.9.0.2]\n"
			   "  direct_servers: [198.51.100.53]\n"
			   "  mix_case: false\n"
			   "  hosts: { nas.home.arpa: 192.168.1.5 }\n";

struct lab {
	struct testnet net;
	struct netapps apps;
	struct fakedns far;
	struct mf_config *cfg;
	struct mf_engine *engine;
	struct mf_worker *worker; /* where packets of apps come in */
};

/* Of each test, one after the other. */
static struct lab the_lab;

static struct mf_config *parse(const char *profile)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg = NULL;
	struct mf_text out = { 0 };

	if (mf_config_parse(profile, strlen(profile), "dns.yaml", 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &out);
		fail_msg("%s", out.s);
	}
	return cfg;
}

static void open_lab(struct lab *l, unsigned n_workers)
{
	struct testnet_options o = { .seed = 1, .n_workers = n_workers };

	memset(l, 0, sizeof(*l));
	l->cfg = parse(text);
	o.config[0] = l->cfg;
	testnet_open(&l->net, &o);
	l->engine = l->net.side[0].engine;
	l->worker = mf_engine_worker(l->engine, 0);
	fakedns_init(&l->far, 2);
	fakedns_add(&l->far, "198.51.100.53:53")->delay = 10 * MF_MSEC;
	mf_worker_set_direct(l->worker, &l->far.out);
	netapps_open(&l->apps, &l->net, 0);
}

static void balanced(const struct lab *l)
{
	assert_true(testnet_balanced(&l->net.side[0]));
	assert_true(testnet_balanced(&l->net.side[1]));
}

static void close_lab(struct lab *l)
{
	balanced(l);
	testnet_close(&l->net);
	netapps_close(&l->apps);
	fakedns_fini(&l->far);
	mf_config_free(l->cfg);
}

static void run(struct lab *l, unsigned ms)
{
	netapps_settle(&l->apps);
	for (unsigned i = 0; i < ms; i++) {
		fakedns_run(&l->far, l->net.now);
		netapps_settle(&l->apps);
		netapps_advance(&l->apps, MF_MSEC);
		fakedns_run(&l->far, l->net.now);
		netapps_settle(&l->apps);
	}
}

static struct mf_ledger ledger(const struct lab *l)
{
	struct mf_ledger sum;

	mf_engine_ledger(l->engine, &sum);
	return sum;
}

/* ---- Questions and answers ----------------------------------------------------------------------- */

/* A question for an A record, as an app writes it. */
static size_t question(uint8_t *out, uint16_t id, const char *name)
{
	struct mf_dns_name wire;
	size_t at = MF_DNS_HEADER;

	assert_int_equal(mf_dns_name_parse(&wire, name, strlen(name)), MF_OK);
	memset(out, 0, MF_DNS_HEADER);
	mf_store_be16(out, id);
	mf_store_be16(out + 2, MF_DNS_RD);
	mf_store_be16(out + 4, 1);
	memcpy(out + at, wire.b, wire.n);
	at += wire.n;
	mf_store_be16(out + at, MF_DNS_A);
	mf_store_be16(out + at + 2, MF_DNS_IN);
	return at + 4;
}

static void ask4(struct lab *l, uint16_t id, const char *name)
{
	uint8_t q[300], pkt[400];
	uint32_t n = (uint32_t)question(q, id, name);

	n = testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, 4000, 53, q, n);
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
}

static void ask6(struct lab *l, uint16_t id, const char *name)
{
	uint8_t q[300], pkt[400];
	uint32_t n = (uint32_t)question(q, id, name);

	n = testnet_udp6(pkt, "fd09::1", ANY_SERVER6, 4000, 53, q, n);
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
}

/* The last byte of the address in the answer that comes next, or minus its rcode. It comes from where
 * the question went. -100: there is none. */
static int answer(struct lab *l, uint16_t id)
{
	struct testnet_item *i = netapps_other(&l->apps);
	size_t ip, n;
	uint8_t *dns;
	int got;

	if (!i)
		return -100;
	ip = i->bytes[0] >> 4 == 4 ? 20 : 40;
	assert_true(i->needs_csum || testnet_csum_ok(i->bytes, i->len));
	assert_int_equal(mf_load_be16(i->bytes + ip), 53);
	assert_int_equal(mf_load_be16(i->bytes + ip + 2), 4000);
	if (ip == 20)
		assert_memory_equal(i->bytes + 12, ((uint8_t[]){ 203, 0, 113, 53, 10, 9, 0, 1 }), 8);
	dns = i->bytes + ip + 8;
	n = i->len - ip - 8;
	assert_int_equal(mf_load_be16(i->bytes + ip + 4), n + 8);
	assert_int_equal(mf_load_be16(dns), id);
	assert_true(dns[2] & 0x80);
	got = dns[3] & 15 || !mf_load_be16(dns + 6) ? -(dns[3] & 15) : dns[n - 1];
	free(i);
	return got;
}

static void test_datagrams(void **state)
{
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 1);
	ask4(l, 1, "nas.home.arpa");
	assert_int_equal(answer(l, 1), 5);
	ask6(l, 2, "nas.home.arpa");
	assert_int_equal(answer(l, 2), 5);
	ask4(l, 3, "x.ads.example");
	assert_int_equal(answer(l, 3), -MF_DNS_NXDOMAIN);
	assert_int_equal(l->far.server[0].n_udp, 0);
	ask4(l, 4, "www.example");
	assert_int_equal(answer(l, 4), -100);
	run(l, 20);
	assert_int_equal(answer(l, 4), 1);
	ask6(l, 5, "WWW.example");
	assert_int_equal(answer(l, 5), 1);
	assert_int_equal(l->far.server[0].n_udp, 1);
	assert_int_equal(mf_engine_dns_counters(l->engine)->tunnel_queries, 5);
	assert_int_equal(ledger(l).held, 0);
	close_lab(l);
}

/* Several questions of one length in one packet, as apps with UDP segmentation send them. */
static void test_super_packet(void **state)
{
	uint8_t q[3][300], all[900], pkt[1000];
	size_t n = 0;
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 1);
	for (uint16_t i = 0; i < 3; i++) {
		char name[] = "0.ads.example";

		name[0] = (char)('0' + i);
		n = question(q[i], (uint16_t)(10 + i), name);
		memcpy(all + i * n, q[i], n);
	}
	n = testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, 4000, 53, all, (uint32_t)(3 * n));
	testnet_unfinish(pkt, (uint32_t)n);
	testnet_app_send(&l->net.side[0], pkt, (uint32_t)n, MF_GSO_UDP, (uint16_t)((n - 28) / 3),
			 true, 20, 6);
	netapps_settle(&l->apps);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(answer(l, (uint16_t)(10 + i)), -MF_DNS_NXDOMAIN);
	assert_int_equal(answer(l, 0), -100);
	close_lab(l);
}

/* What must not be believed: wrong sums, lying lengths, fragments; and no message at all. */
static void test_bad_packets(void **state)
{
	uint8_t q[300], pkt[400];
	struct lab *l = &the_lab;
	uint32_t n, sum;

	(void)state;
	open_lab(l, 1);
	n = testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, 4000, 53, q,
			 (uint32_t)question(q, 1, "nas.home.arpa"));
	pkt[30] ^= 1;
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	pkt[30] ^= 1;
	pkt[25]++;
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	pkt[25]--;
	netapps_settle(&l->apps);
	assert_int_equal(ledger(l).drops[MF_DROP_L4_CHECKSUM], 1);
	assert_int_equal(ledger(l).drops[MF_DROP_L4_TRUNCATED], 1);
	/* More fragments instead of none: 0x2000 less, so the header's sum is that much more. */
	pkt[6] = 0x20;
	sum = mf_load_be16(pkt + 10) + 0x2000u;
	mf_store_be16(pkt + 10, (uint16_t)(sum + (sum >> 16)));
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
	assert_int_equal(ledger(l).drops[MF_DROP_DNS_FRAGMENT], 1);
	n = testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, 4000, 53, q, 0);
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
	assert_int_equal(answer(l, 1), -100);
	close_lab(l);
}

/* What another worker gets is given to the first one. */
static void test_second_worker(void **state)
{
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 2);
	mf_worker_set_tun(mf_engine_worker(l->engine, 1), &l->worker->tun);
	for (uint16_t i = 0; i < 20; i++) {
		uint8_t q[300], pkt[400];
		uint32_t n = (uint32_t)question(q, i, i % 2 ? "nas.home.arpa" : "www.example");

		n = testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, 4000, 53, q, n);
		testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
		/* Both read the same TUN, and this one comes first. */
		mf_worker_pass(mf_engine_worker(l->engine, 1), l->net.now);
		assert_int_equal(l->net.side[0].tun_in.n, 0);
		run(l, 20);
		assert_int_equal(answer(l, i), i % 2 ? 5 : 1);
	}
	assert_int_equal(mf_engine_dns_counters(l->engine)->tunnel_queries, 20);
	assert_int_equal(ledger(l).held, 0);
	close_lab(l);
}

/* ---- Inside the VPN -------------------------------------------------------------------------------- */

/* The server behind the other engine answers what has come; returns how many questions that were. */
static unsigned serve_vpn(struct lab *l)
{
	struct testnet_item *i;
	unsigned n = 0;

	while ((i = testnet_app_recv(&l->net.side[1]))) {
		uint8_t reply[600], pkt[700];
		uint32_t len;

		assert_int_equal(i->bytes[9], 17);
		assert_int_equal(mf_load_be16(i->bytes + 22), 53);
		len = (uint32_t)fakedns_reply(mf_span(i->bytes + 28, i->len - 28), 0, 1, 77, reply);
		len = testnet_udp4(pkt, "10.9.0.2", "10.9.0.1", 53, mf_load_be16(i->bytes + 20),
				   reply, len);
		testnet_app_send(&l->net.side[1], pkt, len, 0, 0, false, 0, 0);
		free(i);
		n++;
	}
	netapps_settle(&l->apps);
	return n;
}

static uint32_t learned_hop(struct lab *l, uint8_t last)
{
	return mf_learned_lookup4(mf_engine_learned(l->engine), 0xc0000200u | last);
}

static void test_vpn(void **state)
{
	struct lab *l = &the_lab;
	uint8_t pkt[100];
	uint32_t n;

	(void)state;
	open_lab(l, 1);
	ask4(l, 1, "www.vpn.example");
	run(l, 5);
	assert_int_equal(learned_hop(l, 77), 0);
	assert_int_equal(serve_vpn(l), 1);
	assert_int_equal(answer(l, 1), 77);
	assert_int_equal(l->far.server[0].n_udp, 0);
	/* The packet that the app sends on hearing of it goes there, too. */
	n = testnet_udp4(pkt, "10.9.0.1", "192.0.2.77", 5000, 443, "hello", 5);
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
	struct testnet_item *i = testnet_app_recv(&l->net.side[1]);

	assert_non_null(i);
	assert_memory_equal(i->bytes + 16, ((uint8_t[]){ 192, 0, 2, 77 }), 4);
	free(i);
	/* Its neighbour does not. */
	n = testnet_udp4(pkt, "10.9.0.1", "192.0.2.78", 5000, 443, "hello", 5);
	testnet_app_send(&l->net.side[0], pkt, n, 0, 0, false, 0, 0);
	netapps_settle(&l->apps);
	assert_null(testnet_app_recv(&l->net.side[1]));
	close_lab(l);
}

/* ---- TCP ------------------------------------------------------------------------------------------- */

static struct netapp *dial(struct lab *l, uint16_t port)
{
	char local[32];
	struct netapp *a;

	snprintf(local, sizeof(local), "10.9.0.1:%u", port);
	a = netapp_connect(&l->apps, local, ANY_SERVER ":53");
	netapps_settle(&l->apps);
	assert_true(a->connected);
	return a;
}

static void say(struct lab *l, struct netapp *a, const uint8_t *bytes, size_t n)
{
	struct mf_pkt *p = mf_pkt_small(l->apps.pool);

	assert_non_null(p);
	assert_true(n <= mf_tcp_send_room(&a->tcp) && n <= MF_PKT_SMALL_MAX);
	memcpy(p->data, bytes, n);
	p->len = (uint32_t)n;
	mf_tcp_send(&l->apps.env, &a->tcp, p);
	netapps_settle(&l->apps);
}

static void say_question(struct lab *l, struct netapp *a, uint16_t id, const char *name)
{
	uint8_t q[302];
	size_t n = question(q + 2, id, name);

	mf_store_be16(q, (uint16_t)n);
	say(l, a, q, n + 2);
}

/* The ids of the answers that have come, in their order; 0 ends them. */
static void hear(struct lab *l, struct netapp *a, uint16_t ids[16])
{
	static uint8_t in[65536];
	struct mf_span v[8];
	size_t n = 0, at = 0, k = 0, parts;

	while ((parts = mf_tcp_recv_spans(&a->tcp, v, MF_ARRAY_LEN(v), NULL)) > 0) {
		size_t round = 0;

		for (size_t i = 0; i < parts; i++) {
			assert_true(n + v[i].n <= sizeof(in));
			memcpy(in + n, v[i].p, v[i].n);
			n += v[i].n;
			round += v[i].n;
		}
		mf_tcp_recv_done(&l->apps.env, &a->tcp, round);
	}
	for (; at < n; at += 2u + mf_load_be16(in + at)) {
		assert_true(k < 15 && n - at >= 2u + MF_DNS_HEADER);
		ids[k++] = mf_load_be16(in + at + 2);
	}
	assert_int_equal(at, n);
	ids[k] = 0;
	netapps_settle(&l->apps);
}

static void test_sessions(void **state)
{
	uint16_t ids[16];
	struct netapp *a;
	struct lab *l = &the_lab;
	uint8_t q[302];
	size_t n;

	(void)state;
	open_lab(l, 1);
	a = dial(l, 1000);
	/* Pipelined, and answered as answers are known. */
	say_question(l, a, 1, "www.example");
	say_question(l, a, 2, "x.ads.example");
	say_question(l, a, 3, "WWW.example");
	hear(l, a, ids);
	assert_int_equal(ids[0], 2);
	assert_int_equal(ids[1], 0);
	run(l, 20);
	hear(l, a, ids);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 3);
	/* In single bytes. */
	n = question(q + 2, 4, "nas.home.arpa");
	mf_store_be16(q, (uint16_t)n);
	for (size_t i = 0; i < n + 2; i++)
		say(l, a, q + i, 1);
	hear(l, a, ids);
	assert_int_equal(ids[0], 4);
	/* The app has asked all it wants: it still gets its answer, then the end. */
	say_question(l, a, 5, "other.example");
	netapp_shutdown(a);
	netapps_settle(&l->apps);
	assert_false(a->eof);
	run(l, 20);
	hear(l, a, ids);
	assert_int_equal(ids[0], 5);
	run(l, 2);
	assert_true(a->eof);
	assert_int_equal(mf_engine_dns_counters(l->engine)->stream_queries, 5);
	assert_int_equal(mf_engine_dns_counters(l->engine)->streams, 0);
	close_lab(l);
}

/* Too long for a question; gone with questions open. */
static void test_bad_sessions(void **state)
{
	struct netapp *a, *b;
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 1);
	a = dial(l, 1000);
	say(l, a, (const uint8_t[]){ 4, 1, 0 }, 3);
	run(l, 5);
	assert_true(a->closed);
	b = dial(l, 1001);
	say(l, b, (const uint8_t[]){ 0, 0, 0, 1, 7 }, 5); /* no message, and not even a header */
	say_question(l, b, 6, "www.example");
	netapp_abort(b);
	netapps_settle(&l->apps);
	assert_int_equal(mf_engine_dns_counters(l->engine)->streams, 0);
	run(l, 20);
	/* Its answer was kept for others. */
	ask4(l, 7, "www.example");
	assert_int_equal(answer(l, 7), 1);
	close_lab(l);
}

/* Idle sessions make room for new ones. */
static void test_many_sessions(void **state)
{
	uint16_t ids[16];
	struct netapp *a = NULL, *first;
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 1);
	first = dial(l, 1000);
	for (uint16_t i = 1; i < 200; i++) {
		a = dial(l, (uint16_t)(1000 + i));
		run(l, 1);
	}
	say_question(l, a, 9, "nas.home.arpa");
	hear(l, a, ids);
	assert_int_equal(ids[0], 9);
	assert_true(first->closed);
	assert_int_equal(mf_engine_dns_counters(l->engine)->streams_refused, 0);
	assert_true(mf_engine_dns_counters(l->engine)->streams <= 128);
	close_lab(l);
}

/* ---- Reloads and the end ------------------------------------------------------------------------- */

static void apply(struct lab *l, struct mf_config *cfg)
{
	struct mf_errbuf eb;

	assert_int_equal(mf_engine_apply(l->engine, cfg, l->net.now, NULL, &eb), MF_OK);
	netapps_settle(&l->apps);
}

static void test_reload(void **state)
{
	struct mf_config *other;
	char *profile = strdup(text), *at;
	uint16_t ids[16];
	struct netapp *a;
	struct lab *l = &the_lab;

	(void)state;
	assert_non_null(profile);
	at = strstr(profile, "ads.example");
	assert_non_null(at);
	memcpy(at, "www.example", 11);
	other = parse(profile);
	free(profile);
	open_lab(l, 1);
	a = dial(l, 1000);
	for (int i = 0; i < 10; i++) {
		/* Open at the servers when the rules change: blocked now, or asked once more. */
		ask4(l, 1, "www.example");
		say_question(l, a, 2, "xyz.example");
		apply(l, other);
		assert_int_equal(answer(l, 1), -MF_DNS_NXDOMAIN);
		run(l, 30);
		hear(l, a, ids);
		assert_int_equal(ids[0], 2);
		assert_int_equal(ids[1], 0);
		ask4(l, 3, "x.ads.example");
		run(l, 20);
		assert_int_equal(answer(l, 3), 1);
		apply(l, l->cfg);
		ask4(l, 4, "x.ads.example");
		assert_int_equal(answer(l, 4), -MF_DNS_NXDOMAIN);
		mf_engine_network_changed(l->engine, l->net.now); /* forget what was kept */
		run(l, 3000);
		/* All of the old configurations have gone. */
		assert_null(l->engine->retired);
	}
	mf_config_free(other);
	close_lab(l);
}

/* A new snapshot for another reason leaves the resolver alone: nothing is asked twice. */
static void test_other_change(void **state)
{
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 1);
	ask4(l, 1, "www.example");
	fakedns_run(&l->far, l->net.now);
	mf_engine_set_default_mtu(l->engine, 1300);
	run(l, 20);
	assert_int_equal(answer(l, 1), 1);
	assert_int_equal(l->far.server[0].n_udp, 1);
	close_lab(l);
}

/* The engine ends with whatever is open. */
static void test_end(void **state)
{
	struct lab *l = &the_lab;

	(void)state;
	open_lab(l, 2);
	l->far.server[0].twist = FAKEDNS_SILENT;
	ask4(l, 1, "www.example");
	ask4(l, 2, "www.vpn.example");
	say_question(l, dial(l, 1000), 3, "www.example");
	say_question(l, dial(l, 1001), 4, "www.vpn.example");
	(void)dial(l, 1002);
	run(l, 5);
	close_lab(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams),    cmocka_unit_test(test_super_packet),
		cmocka_unit_test(test_bad_packets),  cmocka_unit_test(test_second_worker),
		cmocka_unit_test(test_vpn),          cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_bad_sessions), cmocka_unit_test(test_many_sessions),
		cmocka_unit_test(test_reload),       cmocka_unit_test(test_other_change),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
