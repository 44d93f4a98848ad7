/* SPDX-License-Identifier: Apache-2.0
 *
 * proxylab - a whole engine with proxies for unit tests: apps on the TUN, Shadowsocks between the engine and a server of
 * the test's behind a fake `direct`.
 */
#ifndef MF_PROXYLAB_H
#define MF_PROXYLAB_H

#include "unit.h"

#include <stdlib.h>

#include "fakeout.h"
#include "support/netapps.h"
#include "support/sserver.h"

#define SERVER  "203.0.113.9:80" /* where apps want to go */
#define TO(hop) "    - { cidr: 0.0.0.0/0, to: " hop " }\n"
#define SS(name, server, password, more)                                 \
	"  - name: " name "\n    type: shadowsocks\n    server: " server \
	"\n    method: aes-128-gcm\n    password: " password "\n    udp: drop\n" more
#define HK                    "198.51.100.7:8388"
#define SG                    "198.51.100.8:8388"
#define HK_1                  SS("hk", HK, "one", "")
#define HK_2                  SS("hk", HK, "two", "")
#define SG_1                  SS("sg", SG, "one", "")
#define NAMED(name, password) SS("hk", name ":8388", password, "")
#define WG(name)                                                                         \
	"  - name: " name "\n    type: wireguard\n"                                      \
	"    private_key: GGYP3FNnWEuTbRFzwyS8Pdbq7l6MHmDAPD1bYAYkyG0=\n"                \
	"    address: 10.77.0.1/24\n    listen_port: 52000\n"                            \
	"    peers:\n      - public_key: w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=\n" \
	"        endpoint: 203.0.113.9:9\n        allowed_ips: [0.0.0.0/0]\n"

struct lab {
	struct testnet net;
	struct netapps apps;
	struct fakeout out;
	struct mf_engine *engine;
	struct mf_worker *worker;
	unsigned port; /* of the last app */
};

/* A server behind the last connection to it. */
struct far {
	struct lab *lab;
	struct fake_stream *st;
	struct sserver_keys keys;
	struct sserver s;
	size_t taken;
	uint64_t said; /* payload */
};

static inline void open_lab(struct lab *l, const char *interfaces, const char *routes)
{
	testnet_open(&l->net, &(struct testnet_options){
				      .seed = 1, .interfaces = interfaces, .routes = routes });
	l->engine = l->net.side[0].engine;
	l->worker = mf_engine_worker(l->engine, 0);
	l->port = 1000;
	fakeout_init(&l->out);
	mf_worker_set_direct(l->worker, &l->out.out);
	netapps_open(&l->apps, &l->net, 0);
}

/* The engine ends with whatever sessions there are; the servers must have been told. */
static inline void close_lab(struct lab *l)
{
	testnet_close(&l->net);
	netapps_close(&l->apps);
	assert_int_equal(l->out.n_open, 0);
	fakeout_fini(&l->out);
}

static inline void apply(struct lab *l, const char *interfaces, const char *routes,
			 struct mf_apply_report *r)
{
	struct testnet_options o = { .seed = 1, .interfaces = interfaces, .routes = routes };

	assert_int_equal(testnet_apply(&l->net, 0, &o, r, NULL), MF_OK);
	netapps_settle(&l->apps);
}

static inline struct mf_iface_info iface(const struct lab *l, const char *name)
{
	struct mf_iface_info f;

	for (uint32_t i = 0; mf_engine_iface(l->engine, i, &f); i++)
		if (!strcmp(f.name, name))
			return f;
	fail_msg("there is no interface %s", name);
	return (struct mf_iface_info){ 0 };
}

static inline struct mf_proxy_report report(const struct lab *l, const char *name)
{
	struct mf_proxy_report r;

	assert_true(mf_engine_proxy(l->engine, iface(l, name).hop, &r));
	return r;
}

static inline unsigned sessions(const struct lab *l, struct mf_session_facts *last)
{
	struct mf_session_facts f;
	unsigned n = 0;

	for (uint32_t i = 0; i < mf_engine_session_slots(l->engine, 0); i++)
		if (mf_engine_session(l->engine, 0, i, &f)) {
			*last = f;
			n++;
		}
	return n;
}

/* ---- The server ------------------------------------------------------------------------------ */

static inline void far_fini(struct far *f)
{
	sserver_fini(&f->s);
}

/* The connection that has been opened last is to be one to `server`; it is taken. */
static inline void far_accept(struct far *f, struct lab *l, const char *server, const char *password)
{
	struct mf_endpoint at;

	*f = (struct far){ .lab = l, .st = l->out.last };
	assert_non_null(f->st);
	assert_int_equal(mf_endpoint_parse(&at, server), MF_OK);
	assert_true(mf_endpoint_equal(&f->st->dst, &at));
	sserver_keys(&f->keys, "aes-128-gcm", password);
	sserver_init(&f->s, &f->keys);
	fake_open(f->st);
	netapps_settle(&l->apps);
}

/* Opens what has come; false: with these keys it cannot. */
static inline bool far_hear(struct far *f)
{
	size_t at = f->taken;

	f->taken = f->st->n_got;
	return sserver_take(&f->s, f->st->got + at, f->taken - at);
}

static inline void far_say(struct far *f, const struct netapp *a, size_t n)
{
	static const uint8_t salt[16] = "a server's salt";
	struct sserver_bytes out = { 0 };
	static uint8_t piece[16000];

	while (n) {
		size_t part = mf_min(n, sizeof(piece));

		netapp_far_bytes(a, f->said, piece, part);
		if (f->said)
			sserver_chunk(&f->s, piece, part, &out);
		else
			sserver_answer(&f->s, salt, 0, piece, part, &out);
		f->said += part;
		n -= part;
	}
	fake_give(f->st, out.p, out.n);
	sserver_free(&out);
}

/* ---- Apps ------------------------------------------------------------------------------------ */

static inline struct netapp *connect_app(struct lab *l)
{
	struct netapp *a;
	char local[32];

	snprintf(local, sizeof(local), "10.9.0.1:%u", l->port++);
	a = netapp_connect(&l->apps, local, SERVER);
	netapps_settle(&l->apps);
	return a;
}

/* `total` bytes each way, in pieces of all sizes, arrive as they are. */
static inline void transfer(struct netapp *a, struct far *f, size_t total)
{
	struct mf_prng *prng = &f->lab->net.prng;
	uint64_t down = a->down + total, up = a->up + total;

	for (unsigned i = 0; a->down < down || f->s.got.n < up; i++) {
		size_t n = 1 + mf_prng_below(prng, 60000);

		assert_in_range(i, 0, 100000);
		far_say(f, a, mf_min(n, down - f->said));
		(void)netapp_write(a, mf_min(1 + mf_prng_below(prng, 60000), up - a->up));
		netapps_settle(&f->lab->apps);
		netapp_read(a, SIZE_MAX);
		netapps_advance(&f->lab->apps, MF_MSEC);
		assert_true(far_hear(f));
	}
	assert_int_equal(a->down, down);
	assert_int_equal(f->s.got.n, up);
	assert_true(netapp_far_right(a, 0, f->s.got.p, f->s.got.n));
}

/* Bytes to an app that says nothing. */
static inline void transfer_down(struct netapp *a, struct far *f, size_t n)
{
	uint64_t down = a->down + n;

	far_say(f, a, n);
	netapps_settle(&f->lab->apps);
	netapp_read(a, SIZE_MAX);
	assert_int_equal(a->down, down);
}

/* An app and a server that have exchanged something. */
static inline struct netapp *establish(struct lab *l, struct far *f, const char *server,
				       const char *password)
{
	struct netapp *a = connect_app(l);

	far_accept(f, l, server, password);
	assert_true(a->connected);
	transfer(a, f, 1000);
	return a;
}

static inline void assert_reset(const struct netapp *a)
{
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_RESET);
}

#endif
