/* SPDX-License-Identifier: Apache-2.0
 *
 * A proxy as a whole: what its settings make of it, what it asks its environment for, a proxy
 * behind a proxy, UDP by policy, and how it ends.
 */
#include "proxy/proxy.h"

#include <string.h>

#include "support/fakedgram.h"
#include "support/layerlab.h"
#include "support/sserver.h"
#include "unit.h"

enum { DIRECT = 1, VPN = 5, OTHER_PROXY = 6, BULK = 200 * 1000 };

static struct layerlab lab;
static struct fakedgrams grams;
static struct lab_user user;
static struct mf_proxy *proxy, *other;
static struct mf_proxy_health other_health;
static struct mf_pkt_pool *pool;
static unsigned n_asked, hop_asked;
static struct mf_proxy *asked_for;

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	assert_ptr_equal(ctx, &lab);
	hop_asked = hop;
	if (hop == OTHER_PROXY)
		return mf_proxy_outbound(other);
	if (hop == DIRECT + 100)
		return NULL;
	return &lab.far.out;
}

static struct mf_outbound *outbound_for_dgrams(void *ctx, uint32_t hop)
{
	assert_ptr_equal(ctx, &lab);
	hop_asked = hop;
	return &grams.out;
}

static void resolve(void *ctx, struct mf_proxy *p)
{
	assert_ptr_equal(ctx, &lab);
	n_asked++;
	asked_for = p;
}

static struct mf_proxy_env env(void)
{
	return (struct mf_proxy_env){
		.direct_hop = DIRECT,
		.layers = &lab.layers,
		.pool = pool,
		.ctx = &lab,
		.outbound = outbound,
		.resolve = resolve,
	};
}

static struct mf_proxy_config *settings(enum mf_proxy_type type)
{
	struct mf_proxy_config *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->refs = 1;
	c->type = (uint8_t)type;
	c->via = DIRECT;
	c->connect_timeout = 5 * MF_SEC;
	c->first_byte_timeout = 10 * MF_SEC;
	strcpy(c->name, "hk");
	assert_int_equal(mf_endpoint_parse(&c->addr, "192.0.2.7:1080"), MF_OK);
	return c;
}

static void set_key(struct mf_proxy_config *c, enum mf_ss_method method)
{
	assert_int_equal(mf_ss_config_set(&c->ss, method, "secret", NULL), MF_OK);
}

/* It alone has the settings then. */
static struct mf_proxy *make(struct mf_proxy_config *c)
{
	struct mf_proxy_env e = env();
	struct mf_proxy *p = mf_proxy_new(c, &e, &lab.health);

	assert_non_null(p);
	assert_ptr_equal(mf_proxy_config_of(p), c);
	mf_proxy_config_unref(c);
	return p;
}

static int open_lab(void **state)
{
	struct mf_prng g = unit_prng("proxy");

	(void)state;
	layerlab_open(&lab, g.state, true);
	fakedgrams_init(&grams);
	memset(&user, 0, sizeof(user));
	user.closed = true;
	proxy = other = NULL;
	n_asked = hop_asked = 0;
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_user_fini(&user);
	if (proxy)
		mf_proxy_retire(proxy, true);
	if (other)
		mf_proxy_retire(other, true);
	layerlab_close(&lab);
	fakedgrams_fini(&grams);
	return 0;
}

static mf_err begin(const char *to)
{
	mf_err e = lab_user_open(&user, &lab, mf_proxy_outbound(proxy), to);

	layerlab_run(&lab);
	return e;
}

static void turn(void)
{
	layerlab_run(&lab);
	lab_user_turn(&user);
}

static void expect_got(const struct fake_stream *st, size_t from, const char *text)
{
	assert_true(st->n_got >= from + strlen(text));
	assert_memory_equal(st->got + from, text, strlen(text));
}

/* ---- Sessions -------------------------------------------------------------------------------- */

static void test_a_name_goes_as_a_name(void **state)
{
	(void)state;
	proxy = make(settings(MF_PROXY_HTTP));
	assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
	assert_int_equal(hop_asked, DIRECT);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	expect_got(lab.far.last, 0, "CONNECT www.example:443 HTTP/1.1\r\n");
	fake_give(lab.far.last, "HTTP/1.1 200 OK\r\n\r\nhello", 24);
	turn();
	assert_true(user.opened);
	assert_int_equal(user.n_got, 5);
	lab_user_fini(&user);

	assert_int_equal(begin("203.0.113.9:443"), MF_OK);
	fake_open(lab.far.last);
	layerlab_run(&lab);
	expect_got(lab.far.last, 0, "CONNECT 203.0.113.9:443 HTTP/1.1\r\n");
	fake_give(lab.far.last, "HTTP/1.1 502 no\r\n\r\n", 19);
	turn();
	assert_true(user.failed);
	assert_true(lab.health.facts.last_ok > 0);
}

/* Every type begins with its own first bytes, over what its settings say, and is silent if
 * nothing comes. */
static void test_every_type_has_its_codec(void **state)
{
	static const size_t least[MF_PROXY_TYPES] = {
		[MF_PROXY_SHADOWSOCKS] = 16 + 2 + 16,
		[MF_PROXY_VMESS] = 16 + 18 + 8 + 42 + 16,
		[MF_PROXY_VLESS] = 1 + 16 + 1 + 1,
		[MF_PROXY_TROJAN] = 56 + 2,
		[MF_PROXY_SOCKS5] = 3,
		[MF_PROXY_HTTP] = 20,
	};

	(void)state;
	for (unsigned type = 0; type < MF_PROXY_TYPES; type++) {
		struct mf_proxy_config *c = settings(type);
		struct fake_stream *st;

		if (type == MF_PROXY_SHADOWSOCKS)
			set_key(c, MF_SS_AES_128_GCM);
		if (type == MF_PROXY_VMESS)
			mf_vmess_config_set_uuid(&c->vmess, (const uint8_t[MF_UUID_LEN]){ 1 });
		if (type == MF_PROXY_TROJAN)
			mf_trojan_config_set(&c->trojan, "secret");
		proxy = make(c);
		assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
		st = lab.far.last;
		fake_open(st);
		layerlab_pass(&lab, 100 * MF_MSEC);
		assert_true(st->n_got >= least[type]);
		layerlab_pass(&lab, 15 * MF_SEC);
		lab_user_turn(&user);
		assert_true(user.failed);
		assert_int_equal(lab.health.facts.fault, MF_PROXY_SILENT);
		lab_user_fini(&user);
		mf_proxy_retire(proxy, false);
		proxy = NULL;
	}
}

static void test_bytes_go_through_shadowsocks(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_SHADOWSOCKS);
	static const uint8_t salt[SSERVER_KEY_MAX] = { 7 };
	static uint8_t bulk[BULK];
	struct sserver_bytes answer = { 0 };
	struct sserver_keys keys;
	struct sserver server;
	size_t given = 0;

	(void)state;
	mf_prng_fill(&lab.prng, bulk, sizeof(bulk));
	set_key(c, MF_SS_AES_256_GCM);
	sserver_keys(&keys, "aes-256-gcm", "secret");
	sserver_init(&server, &keys);
	proxy = make(c);
	assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
	fake_open(lab.far.last);
	turn();
	lab.far.prng = user.prng = &lab.prng;
	lab_user_write(&user, bulk, BULK);
	for (unsigned i = 0; user.given < BULK || mf_layers_held(&lab.layers); i++) {
		assert_true(i < 10000);
		turn();
	}
	assert_true(sserver_take(&server, lab.far.last->got, lab.far.last->n_got));
	assert_int_equal(server.got.n, BULK);
	assert_memory_equal(server.got.p, bulk, BULK);

	sserver_salt(&server, salt, &answer);
	while (given < BULK) {
		size_t n = mf_min(1 + mf_prng_below(&lab.prng, 16383), BULK - given);

		sserver_chunk(&server, bulk + given, n, &answer);
		given += n;
	}
	fake_give(lab.far.last, answer.p, answer.n);
	fake_end(lab.far.last);
	for (unsigned i = 0; !user.eof; i++) {
		assert_true(i < 10000);
		turn();
	}
	assert_int_equal(user.n_got, BULK);
	assert_memory_equal(user.got, bulk, BULK);
	sserver_free(&answer);
	sserver_fini(&server);
}

static void test_obfuscation_and_websocket_lie_below_the_codec(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_SHADOWSOCKS);

	(void)state;
	set_key(c, MF_SS_AES_128_GCM);
	c->obfs = (struct mf_obfs_config){
		.mode = MF_OBFS_HTTP,
		.port = 80,
		.host = strdup("cdn.example"),
		.path = strdup("/x"),
	};
	proxy = make(c);
	assert_int_equal(begin("203.0.113.9:443"), MF_OK);
	fake_open(lab.far.last);
	turn();
	lab_user_write(&user, "hello", 5);
	expect_got(lab.far.last, 0, "GET /x HTTP/1.1\r\n");
	lab_user_fini(&user);
	mf_proxy_retire(proxy, false);

	c = settings(MF_PROXY_VLESS);
	c->websocket = true;
	c->ws = (struct mf_ws_config){ .host = strdup("cdn.example"),
				       .path = strdup("/ray"),
				       .early_header = strdup("") };
	proxy = make(c);
	assert_int_equal(begin("203.0.113.9:443"), MF_OK);
	fake_open(lab.far.last);
	turn();
	expect_got(lab.far.last, 0, "GET /ray HTTP/1.1\r\n");
	assert_false(user.opened);
	layerlab_pass(&lab, 6 * MF_SEC);
	lab_user_turn(&user);
	assert_true(user.failed);
}

/* ---- The way to the server ------------------------------------------------------------------- */

static void test_its_name_is_asked_for(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_SOCKS5);
	struct mf_addr a;

	(void)state;
	c->server = strdup("proxy.example");
	c->via = VPN;
	proxy = make(c);
	assert_int_equal(begin("203.0.113.9:443"), MF_OK);
	assert_int_equal(n_asked, 1);
	assert_ptr_equal(asked_for, proxy);
	assert_int_equal(mf_addr_parse(&a, "198.51.100.1"), MF_OK);
	mf_proxy_resolved(proxy, &a, 1);
	layerlab_run(&lab);
	assert_int_equal(lab.far.n_opened, 1);
	assert_int_equal(hop_asked, VPN);
	assert_int_equal(lab.far.last->dst.port, 1080);
	assert_true(mf_addr_equal(&lab.far.last->dst.addr, &a));
	mf_proxy_network_changed(proxy);
	assert_int_equal(n_asked, 2);
	mf_proxy_retire(proxy, false);
	mf_proxy_retire(make(settings(MF_PROXY_SOCKS5)), false);
	lab_user_fini(&user);
	proxy = NULL;
	assert_int_equal(n_asked, 2);
}

static void test_nothing_leads_to_it(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_SOCKS5);

	(void)state;
	c->via = DIRECT + 100;
	proxy = make(c);
	assert_int_equal(begin("203.0.113.9:443"), MF_OK);
	turn();
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_PROXY);
	assert_int_equal(lab.health.facts.fault, MF_PROXY_VIA);
}

static void test_a_proxy_behind_a_proxy(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_SOCKS5), *first = settings(MF_PROXY_HTTP);
	struct mf_proxy_env e = env();
	struct fake_stream *st;

	(void)state;
	other = mf_proxy_new(first, &e, &other_health);
	mf_proxy_config_unref(first);
	c->via = OTHER_PROXY;
	c->via_proxy = true;
	c->server = strdup("inner.example");
	proxy = make(c);
	assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
	assert_int_equal(n_asked, 0); /* the other one resolves it */
	st = lab.far.last;
	fake_open(st);
	layerlab_run(&lab);
	expect_got(st, 0, "CONNECT inner.example:1080 HTTP/1.1\r\n");
	fake_give(st, "HTTP/1.1 200 OK\r\n\r\n", 19);
	layerlab_run(&lab);
	expect_got(st, st->n_got - 3, "\5\1");
	fake_give(st, "\5\0", 2);
	layerlab_run(&lab);
	expect_got(st, st->n_got - 2 - 11 - 1, "\13www.example");
	fake_give(st, "\5\0\0\1\0\0\0\0\0\0hello", 15);
	turn();
	assert_true(user.opened);
	assert_int_equal(user.n_got, 5);

	/* A part of what is written is not taken: nothing is lost, and both wait. */
	st->may_write = 100;
	lab_user_write(&user, (const uint8_t[5000]){ 1 }, 5000);
	assert_int_equal(user.given, 100);
	fake_take(st, 10000);
	turn();
	assert_int_equal(user.given, 5000);

	mf_proxy_retire(other, true); /* below goes, above fails */
	other = NULL;
	turn();
	assert_true(user.failed);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static struct mf_dgram dgram;

static void wake(struct mf_dgram *d)
{
	assert_ptr_equal(d, &dgram);
}

static mf_err open_dgram(enum mf_proxy_udp udp, enum mf_dgram_kind kind)
{
	struct mf_proxy_config *c = settings(MF_PROXY_HTTP);
	struct mf_proxy_env e = env();
	struct mf_target to = { 0 };

	c->udp = (uint8_t)udp;
	e.outbound = outbound_for_dgrams;
	proxy = mf_proxy_new(c, &e, &lab.health);
	mf_proxy_config_unref(c);
	assert_int_equal(mf_endpoint_parse(&to.addr, "203.0.113.9:53"), MF_OK);
	to.app.addr.family = MF_AF_IP4;
	dgram = (struct mf_dgram){ .out = mf_proxy_outbound(proxy),
				   .kind = (uint8_t)kind,
				   .family = MF_AF_IP4,
				   .wake = wake };
	return dgram.out->ops->dgram_open(dgram.out, &dgram, &to);
}

static void test_udp_goes_direct(void **state)
{
	(void)state;
	assert_int_equal(open_dgram(MF_PROXY_UDP_DIRECT, MF_DGRAM_UDP), MF_OK);
	assert_int_equal(hop_asked, DIRECT);
	assert_ptr_equal(dgram.out, &grams.out);
	assert_int_equal(grams.n_open, 1);
	dgram.out->ops->dgram_close(&dgram);
}

static void test_udp_is_dropped(void **state)
{
	struct mf_pkt pkt = { .segments = 3 }, *p = &pkt;
	struct mf_dgram_error e;
	struct mf_pkt *got;

	(void)state;
	assert_int_equal(open_dgram(MF_PROXY_UDP_DROP, MF_DGRAM_UDP), MF_OK);
	dgram.out->ops->dgram_send(&dgram, &p, 1);
	assert_int_equal(pkt.drop, MF_DROP_POLICY_DROP);
	assert_int_equal(lab.health.count.datagrams_dropped, 3);
	assert_int_equal(dgram.out->ops->dgram_recv(&dgram, pool, &got, 1), 0);
	assert_false(dgram.out->ops->dgram_error(&dgram, &e));
	mf_proxy_retire(proxy, false); /* lives until that has been closed */
	proxy = NULL;
	dgram.out->ops->dgram_send(&dgram, &p, 1);
	assert_int_equal(lab.health.count.datagrams_dropped, 6);
	dgram.out->ops->dgram_close(&dgram);
	assert_int_equal(grams.n_opened, 0);
}

static void test_udp_is_rejected(void **state)
{
	static const struct {
		enum mf_proxy_udp udp;
		enum mf_dgram_kind kind;
	} what[] = {
		{ MF_PROXY_UDP_REJECT, MF_DGRAM_UDP },
		{ MF_PROXY_UDP_PROXY, MF_DGRAM_UDP }, /* http */
		{ MF_PROXY_UDP_PROXY, MF_DGRAM_ECHO },
		{ MF_PROXY_UDP_DIRECT, MF_DGRAM_ECHO },
		{ MF_PROXY_UDP_DROP, MF_DGRAM_ECHO },
	};

	(void)state;
	for (unsigned i = 0; i < MF_ARRAY_LEN(what); i++) {
		assert_int_not_equal(open_dgram(what[i].udp, what[i].kind), MF_OK);
		assert_int_equal(dgram.error, MF_STREAM_E_UNSUPPORTED);
		assert_int_equal(grams.n_opened, 0);
		mf_proxy_retire(proxy, false);
		proxy = NULL;
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

static void test_retired_it_lives_for_its_sessions(void **state)
{
	struct lab_user late = { .closed = true };

	(void)state;
	proxy = make(settings(MF_PROXY_HTTP));
	assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
	mf_proxy_retire(proxy, false);
	assert_int_not_equal(lab_user_open(&late, &lab, mf_proxy_outbound(proxy), "203.0.113.9:1"),
			     MF_OK);
	assert_int_equal(late.s.error, MF_STREAM_E_NO_DEVICE);
	proxy = NULL;
	fake_open(lab.far.last);
	layerlab_run(&lab);
	fake_give(lab.far.last, "HTTP/1.1 200 OK\r\n\r\nhello", 24);
	turn();
	assert_int_equal(user.n_got, 5);
	lab.far.last->may_write = 0;
	lab_user_write(&user, "bye", 3);
	lab_user_close(&user, false);
}

static void test_retired_to_end_its_sessions_fail(void **state)
{
	struct mf_proxy_config *c = settings(MF_PROXY_HTTP);

	(void)state;
	mf_proxy_config_ref(c);
	proxy = make(c);
	assert_int_equal(begin("www.example=203.0.113.9:443"), MF_OK);
	fake_open(lab.far.last);
	turn();
	mf_proxy_retire(proxy, true);
	proxy = NULL;
	turn();
	assert_true(user.failed);
	assert_int_equal(user.s.error, MF_STREAM_E_NO_DEVICE);
	assert_int_equal(lab.far.n_open, 0);
	assert_int_equal(c->refs, 2);
	lab_user_close(&user, false);
	assert_int_equal(c->refs, 1); /* it is gone */
	mf_proxy_config_unref(c);
	mf_proxy_config_unref(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
	const struct CMUnitTest tests[] = {
		T(test_a_name_goes_as_a_name),
		T(test_every_type_has_its_codec),
		T(test_bytes_go_through_shadowsocks),
		T(test_obfuscation_and_websocket_lie_below_the_codec),
		T(test_its_name_is_asked_for),
		T(test_nothing_leads_to_it),
		T(test_a_proxy_behind_a_proxy),
		T(test_udp_goes_direct),
		T(test_udp_is_dropped),
		T(test_udp_is_rejected),
		T(test_retired_it_lives_for_its_sessions),
		T(test_retired_to_end_its_sessions_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
