/* SPDX-License-Identifier: Apache-2.0
 *
 * Two instances behind the public header and nothing else, in memory and on virtual time: packets both
 * ways through a real handshake.
 */
#include "unit.h"

#include <mintflow/mintflow.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"

enum { SEC = 1000000000, QUEUE = 256, LEN_MAX = 1600 };

struct item {
	uint8_t bytes[LEN_MAX];
	size_t len;
	struct mintflow_datagram d; /* datagrams: where to */
};

struct queue {
	struct item item[QUEUE];
	size_t n;
};

struct side {
	struct mintflow *m;
	struct net *net;
	struct queue to_apps, to_network;
	uint16_t port;
	int opened, closed, asked;
	char asked_name[64];
	uint64_t asked_tag;
	int logged;
};

struct net {
	struct side side[2];
	struct mf_prng prng;
	uint64_t now;
	bool cut;
};

static const char *const private_keys[] = {
	"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
	"4MLX8wOKwUQcM3iJKPGWcBURp/GNnzQJHZxqPkqAWFQ=",
};
static const char *const public_keys[] = {
	"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
	"w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=",
};

/* ---- The host ---------------------------------------------------------------------------------- */

static void put(struct queue *q, const void *bytes, size_t len, const struct mintflow_datagram *d)
{
	struct item *i;

	assert_true(q->n < QUEUE);
	assert_true(len <= LEN_MAX);
	i = &q->item[q->n++];
	memcpy(i->bytes, bytes, len);
	i->len = len;
	if (d)
		i->d = *d;
}

static void send_ip(void *self, const struct mintflow_packet *packets, size_t n)
{
	struct side *s = self;

	for (size_t i = 0; i < n; i++)
		put(&s->to_apps, packets[i].data, packets[i].len, NULL);
}

static void send_udp(void *self, uint32_t socket, const struct mintflow_datagram *d, size_t n)
{
	struct side *s = self;

	assert_int_equal(socket, 0);
	for (size_t i = 0; i < n; i++)
		put(&s->to_network, d[i].data, d[i].len, &d[i]);
}

static int open_udp(void *self, uint32_t socket, uint16_t *port)
{
	struct side *s = self;

	assert_int_equal(socket, 0);
	s->opened++;
	s->port = *port;
	return 0;
}

static void close_udp(void *self, uint32_t socket)
{
	struct side *s = self;

	assert_int_equal(socket, 0);
	s->closed++;
}

static void fill(void *self, void *out, size_t n)
{
	struct side *s = self;

	mf_prng_fill(&s->net->prng, out, n);
}

static void wall(void *self, uint64_t *sec, uint32_t *nsec)
{
	struct side *s = self;

	*sec = 1800000000 + s->net->now / SEC;
	*nsec = (uint32_t)(s->net->now % SEC);
}

static void resolve(void *self, const char *name, uint16_t port, uint64_t tag)
{
	struct side *s = self;

	assert_int_equal(port, 51000);
	s->asked++;
	s->asked_tag = tag;
	snprintf(s->asked_name, sizeof(s->asked_name), "%s", name);
}

static void log_line(void *self, int level, const char *line)
{
	struct side *s = self;

	assert_in_range(level, MINTFLOW_ERROR, MINTFLOW_DEBUG);
	assert_null(strchr(line, '\n'));
	for (size_t i = 0; i < 2; i++)
		assert_null(strstr(line, private_keys[i]));
	s->logged++;
}

static struct mintflow_host host_of(struct side *s)
{
	return (struct mintflow_host){
		.size = sizeof(struct mintflow_host),
		.self = s,
		.send_ip = send_ip,
		.send_udp = send_udp,
		.open_udp = open_udp,
		.close_udp = close_udp,
		.random = fill,
		.wall_clock = wall,
		.resolve = resolve,
		.log = log_line,
	};
}

/* ---- The network ------------------------------------------------------------------------------- */

static const char *profile(unsigned i, const char *endpoint, char out[1024])
{
	snprintf(out, 1024,
		 "version: 1\ntunnel: { name: tun%u, address: [10.9.0.%u/24] }\n"
		 "interfaces:\n  - name: wg0\n    type: wireguard\n    private_key: %s\n"
		 "    address: [10.9.0.%u/32]\n    listen_port: %u\n    mtu: 1420\n    peers:\n"
		 "      - public_key: %s\n%s%s%s        allowed_ips: [0.0.0.0/0]\n",
		 i, i + 1, private_keys[i], i + 1, 51000 + i, public_keys[!i],
		 endpoint ? "        endpoint: " : "", endpoint ? endpoint : "",
		 endpoint ? "\n" : "");
	return out;
}

static void open_side(struct net *t, unsigned i, const char *endpoint)
{
	struct mintflow_host host = host_of(&t->side[i]);
	char text[1024], why[512] = "";
	struct mintflow_options o = { .size = sizeof(o), .log_level = MINTFLOW_DEBUG };

	t->side[i].net = t;
	o.profile = profile(i, endpoint, text);
	o.profile_len = strlen(text);
	if (mintflow_open(&t->side[i].m, &o, &host, t->now, why, sizeof(why)))
		fail_msg("%s", why);
	assert_int_equal(t->side[i].opened, 1);
	assert_int_equal(t->side[i].port, 51000 + i);
}

static struct net *net_open(const char *endpoint_of_0, const char *endpoint_of_1)
{
	struct net *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->now = 5 * (uint64_t)SEC;
	t->prng.state = 7;
	open_side(t, 0, endpoint_of_0);
	open_side(t, 1, endpoint_of_1);
	return t;
}

static void net_close(struct net *t)
{
	for (unsigned i = 0; i < 2; i++) {
		mintflow_close(t->side[i].m);
		assert_int_equal(t->side[i].opened, t->side[i].closed);
	}
	free(t);
}

/* Carries one side's datagrams to the other; true if there were any. */
static bool carry(struct net *t, unsigned from)
{
	struct side *a = &t->side[from], *b = &t->side[!from];
	static struct queue moving;
	static struct mintflow_datagram list[QUEUE];

	moving = a->to_network;
	a->to_network.n = 0;
	for (size_t i = 0; i < moving.n; i++) {
		assert_int_equal(moving.item[i].d.remote.port, b->port);
		list[i] = (struct mintflow_datagram){
			.data = moving.item[i].bytes,
			.len = moving.item[i].len,
			.remote = { .family = 4,
				    .bytes = { 192, 0, 2, (uint8_t)from },
				    .port = a->port },
			.tos = moving.item[i].d.tos,
		};
	}
	if (moving.n && !t->cut)
		assert_int_equal(mintflow_input_udp(b->m, t->now, 0, list, moving.n), MINTFLOW_OK);
	return moving.n > 0;
}

static void settle(struct net *t)
{
	bool any;

	do {
		any = carry(t, 0);
		any |= carry(t, 1);
	} while (any);
}

/* Lets time pass, as a host would: from deadline to deadline. */
static void pass(struct net *t, uint64_t by)
{
	uint64_t end = t->now + by;

	for (int round = 0;; round++) {
		uint64_t next = end;

		for (unsigned i = 0; i < 2; i++) {
			uint64_t d = mintflow_next_deadline(t->side[i].m);

			next = d < next ? d : next;
		}
		assert_true(round < 100000);
		t->now = next > t->now ? next : t->now + 1;
		if (t->now >= end)
			break;
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(mintflow_tick(t->side[i].m, t->now), MINTFLOW_OK);
		settle(t);
	}
	t->now = end;
}

static void set_header_csum(uint8_t *p)
{
	uint32_t sum = 0;

	p[10] = p[11] = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	p[10] = (uint8_t)(sum >> 8);
	p[11] = (uint8_t)sum;
}

/* An IPv4 packet of protocol 253 (RFC 3692: for experiments). */
static size_t make_packet(uint8_t *p, unsigned from, unsigned to, size_t payload, uint8_t fill_with)
{
	size_t len = 20 + payload;

	memset(p, 0, 20);
	p[0] = 0x45;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[8] = 64;
	p[9] = 253;
	memcpy(p + 12, (uint8_t[]){ 10, 9, 0, (uint8_t)(from + 1) }, 4);
	memcpy(p + 16, (uint8_t[]){ 10, 9, 0, (uint8_t)(to + 1) }, 4);
	set_header_csum(p);
	memset(p + 20, fill_with, payload);
	return len;
}

static int send_from(struct net *t, unsigned from, size_t payload, uint8_t fill_with)
{
	uint8_t bytes[LEN_MAX];
	struct mintflow_packet p = { bytes, make_packet(bytes, from, !from, payload, fill_with) };

	return mintflow_input_ip(t->side[from].m, t->now, &p, 1);
}

static void expect_at(struct net *t, unsigned at, size_t payload, uint8_t fill_with)
{
	struct queue *q = &t->side[at].to_apps;

	assert_int_equal(q->n, 1);
	assert_int_equal(q->item[0].len, 20 + payload);
	for (size_t i = 0; i < payload; i++)
		assert_int_equal(q->item[0].bytes[20 + i], fill_with);
	q->n = 0;
}

/* ---- Tests ------------------------------------------------------------------------------------- */

static void test_packets_pass_both_ways(void **state)
{
	struct net *t = net_open("192.0.2.1:51001", NULL);
	struct mintflow_counters c = { .size = sizeof(c) };

	(void)state;
	assert_true(mintflow_next_deadline(t->side[0].m) == MINTFLOW_NEVER);
	assert_int_equal(send_from(t, 0, 100, 0xaa), MINTFLOW_OK);
	assert_int_equal(t->side[0].to_network.n, 1); /* the initiation */
	assert_int_equal(t->side[0].to_network.item[0].len, 148);
	assert_int_equal(t->side[0].to_network.item[0].bytes[0], 1);
	settle(t);
	expect_at(t, 1, 100, 0xaa);
	assert_int_equal(send_from(t, 1, 1400, 0xbb), MINTFLOW_OK);
	settle(t);
	expect_at(t, 0, 1400, 0xbb);
	mintflow_counters(t->side[0].m, &c);
	assert_int_equal(c.from_apps, 1);
	assert_int_equal(c.to_apps, 1);
	assert_int_equal(c.sessions, 1);
	assert_int_equal(c.dropped, 0);
	assert_true(c.from_network >= 2); /* the response and data */
	assert_true(t->side[0].logged > 0);
	net_close(t);
}

static void test_many_packets_in_one_call(void **state)
{
	enum { N = 200 };
	struct net *t = net_open("192.0.2.1:51001", NULL);
	static uint8_t bytes[N][LEN_MAX];
	struct mintflow_packet list[N];

	(void)state;
	assert_int_equal(send_from(t, 0, 0, 0), MINTFLOW_OK);
	settle(t);
	expect_at(t, 1, 0, 0);
	for (size_t i = 0; i < N; i++)
		list[i] = (struct mintflow_packet){ bytes[i],
						    make_packet(bytes[i], 0, 1, i, (uint8_t)i) };
	assert_int_equal(mintflow_input_ip(t->side[0].m, t->now, list, N), MINTFLOW_OK);
	settle(t);
	assert_int_equal(t->side[1].to_apps.n, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(t->side[1].to_apps.item[i].len, 20 + i);
		assert_memory_equal(t->side[1].to_apps.item[i].bytes, bytes[i], 20 + i);
	}
	net_close(t);
}

/* Sessions are renewed by the deadlines alone; then silence, and in the end no deadline at all. */
static void test_deadlines_are_enough(void **state)
{
	struct net *t = net_open("192.0.2.1:51001", NULL);
	struct mintflow_counters c = { .size = sizeof(c) };

	(void)state;
	for (int i = 0; i < 60; i++) {
		assert_int_equal(send_from(t, 0, 10, (uint8_t)i), MINTFLOW_OK);
		settle(t);
		expect_at(t, 1, 10, (uint8_t)i);
		pass(t, 5 * (uint64_t)SEC);
	}
	pass(t, 1000 * (uint64_t)SEC);
	mintflow_counters(t->side[0].m, &c);
	assert_int_equal(c.sessions, 0);
	assert_true(mintflow_next_deadline(t->side[0].m) == MINTFLOW_NEVER);
	assert_true(mintflow_next_deadline(t->side[1].m) == MINTFLOW_NEVER);
	net_close(t);
}

static void test_lost_handshake_is_repeated(void **state)
{
	struct net *t = net_open("192.0.2.1:51001", NULL);

	(void)state;
	t->cut = true;
	assert_int_equal(send_from(t, 0, 50, 1), MINTFLOW_OK);
	settle(t);
	t->cut = false;
	pass(t, 6 * (uint64_t)SEC);
	expect_at(t, 1, 50, 1);
	net_close(t);
}

static void test_name_of_an_endpoint(void **state)
{
	struct net *t = net_open(NULL, "vpn.example:51000");
	struct mintflow_address a = { .family = 4, .bytes = { 192, 0, 2, 0 }, .port = 51000 };

	(void)state;
	assert_int_equal(t->side[1].asked, 1);
	assert_string_equal(t->side[1].asked_name, "vpn.example");
	assert_int_equal(mintflow_resolved(t->side[1].m, t->now, t->side[1].asked_tag, &a),
			 MINTFLOW_OK);
	assert_int_equal(send_from(t, 1, 10, 9), MINTFLOW_OK);
	settle(t);
	expect_at(t, 0, 10, 9);
	net_close(t);
}

static void test_reload_keeps_sessions(void **state)
{
	struct net *t = net_open("192.0.2.1:51001", NULL);
	char text[1024], why[256] = "";
	struct mintflow_counters c = { .size = sizeof(c) };

	(void)state;
	assert_int_equal(send_from(t, 0, 1, 1), MINTFLOW_OK);
	settle(t);
	expect_at(t, 1, 1, 1);
	assert_int_equal(mintflow_reload(t->side[0].m, t->now, "version: 2", 10, why, sizeof(why)),
			 MINTFLOW_E_PROFILE);
	assert_non_null(strstr(why, "version"));
	profile(0, "192.0.2.1:51001", text);
	assert_int_equal(mintflow_reload(t->side[0].m, t->now, text, strlen(text), why, sizeof(why)),
			 MINTFLOW_OK);
	mintflow_counters(t->side[0].m, &c);
	assert_int_equal(c.sessions, 1);
	assert_int_equal(send_from(t, 0, 2, 2), MINTFLOW_OK);
	assert_int_equal(t->side[0].to_network.item[0].bytes[0], 4); /* data, no handshake */
	settle(t);
	expect_at(t, 1, 2, 2);
	net_close(t);
}

static void test_wrong_calls(void **state)
{
	struct net *t = net_open("192.0.2.1:51001", NULL);
	struct mintflow_host host = host_of(&t->side[0]);
	struct mintflow_options o = { .size = sizeof(o) };
	struct mintflow_datagram d = { .data = "x", .len = 1 };
	struct mintflow *m;
	char why[64], file[1024];

	(void)state;
	assert_int_equal(mintflow_open(&m, &o, &host, t->now, why, sizeof(why)), MINTFLOW_E_ARGUMENT);
	assert_null(m);
	o.profile = "nonsense";
	o.profile_len = 8;
	assert_int_equal(mintflow_open(&m, &o, &host, t->now, why, sizeof(why)), MINTFLOW_E_PROFILE);
	assert_true(strlen(why) > 0 && strlen(why) < sizeof(why));
	assert_int_equal(mintflow_open(&m, &o, &host, t->now, NULL, 0), MINTFLOW_E_PROFILE);
	/* A host from before send_udp was there. */
	host.size = offsetof(struct mintflow_host, send_udp);
	o.profile = profile(0, NULL, file);
	o.profile_len = strlen(file);
	assert_int_equal(mintflow_open(&m, &o, &host, t->now, why, sizeof(why)), MINTFLOW_E_ARGUMENT);
	assert_int_equal(mintflow_input_udp(t->side[0].m, t->now, 1, &d, 1), MINTFLOW_E_ARGUMENT);
	assert_int_equal(mintflow_input_udp(t->side[0].m, t->now, 0, &d, 1), MINTFLOW_E_ARGUMENT);
	net_close(t);
}

static void test_no_files(void **state)
{
	static struct side s;
	struct mintflow_host host = host_of(&s);
	static const char text[] =
		"version: 1\ntunnel: { name: tun0, address: [10.9.0.1/24] }\n"
		"interfaces:\n  - { name: wg0, type: wireguard, private_key_file: key }\n"
		"app_routing: { enabled: true, routes: [{ cidr: 0.0.0.0/0, to: wg0 }] }\n";
	struct mintflow_options o = { .size = sizeof(o),
				      .profile = text,
				      .profile_len = sizeof(text) - 1 };
	struct mintflow *m;
	char why[128];

	(void)state;
	assert_int_equal(mintflow_open(&m, &o, &host, 1, why, sizeof(why)), MINTFLOW_E_PROFILE);
	assert_non_null(strstr(why, "private_key_file"));
}

/* A host has no callbacks for sessions: what goes direct is answered with "network unreachable". */
static void test_direct_is_out_of_reach(void **state)
{
	static const char text[] = "version: 1\ntunnel: { name: tun0, address: [10.9.0.1/24] }\n"
				   "app_routing:\n  routes: [{ cidr: 0.0.0.0/0, to: direct }]\n";
	static const uint8_t udp[8] = { 0x9c, 0x40, 0, 53, 0, 8, 0, 0 };
	struct mintflow_options o = { .size = sizeof(o), .profile = text };
	struct net *t = calloc(1, sizeof(*t));
	struct side *s = &t->side[0];
	struct mintflow_host host = host_of(s);
	uint8_t bytes[LEN_MAX];
	struct mintflow_packet p = { bytes, 0 };
	char why[512] = "";

	(void)state;
	s->net = t;
	t->now = SEC;
	o.profile_len = strlen(text);
	if (mintflow_open(&s->m, &o, &host, t->now, why, sizeof(why)))
		fail_msg("%s", why);
	p.len = make_packet(bytes, 0, 1, sizeof(udp), 0);
	memcpy(bytes + 20, udp, sizeof(udp));
	bytes[9] = 17;
	set_header_csum(bytes);
	assert_int_equal(mintflow_input_ip(s->m, t->now, &p, 1), MINTFLOW_OK);
	assert_int_equal(s->to_apps.n, 1);
	assert_int_equal(s->to_apps.item[0].bytes[9], 1);
	assert_memory_equal(s->to_apps.item[0].bytes + 20, "\3\0", 2);
	assert_memory_equal(s->to_apps.item[0].bytes + 28 + 20, udp, sizeof(udp));
	mintflow_close(s->m);
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_pass_both_ways),
		cmocka_unit_test(test_many_packets_in_one_call),
		cmocka_unit_test(test_deadlines_are_enough),
		cmocka_unit_test(test_lost_handshake_is_repeated),
		cmocka_unit_test(test_name_of_an_endpoint),
		cmocka_unit_test(test_reload_keeps_sessions),
		cmocka_unit_test(test_wrong_calls),
		cmocka_unit_test(test_no_files),
		cmocka_unit_test(test_direct_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
