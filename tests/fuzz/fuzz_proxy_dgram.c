/* SPDX-License-Identifier: Apache-2.0
 *
 * A mapping of an app between an app that says anything and a server that says anything, in any
 * order, with streams that end or fail and time that goes by: what the app gets is in order, and
 * nothing is left at the end.
 *
 * The first byte says which protocol, and whether a SOCKS5 server begins as it should. Each step is
 * an act, a number, and for some so many bytes.
 */
#include <stdlib.h>

#include "base/prng.h"
#include "proxy/mapping.h"
#include "support/fakedgram.h"
#include "support/fakeout.h"
#include "wire/icmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum act {
	SAY,
	RUN,
	STREAM_GIVES,
	STREAM_OPENS,
	STREAM_ENDS,
	STREAM_FAILS,
	STREAM_TAKES,
	PACKET,
	ERROR,
	PORT_FAILS,
	TIME,
	RESOLVED,
	ACTS
};

static struct mf_pkt_pool *pool;
static struct mf_layers layers;
static struct mf_proxy_health health;
static struct mf_proxy_config config;
static struct mf_dgrams x;
static struct fakedgrams via;
static struct fakeout transport;
static struct mf_dgram app;
static bool known;
static mf_nsec now;
static struct mf_cipher *cipher; /* for all inputs */

static const struct mf_endpoint server_at = { .addr = { { 203, 0, 113, 7 }, MF_AF_IP4 },
					      .port = 1080 };

static struct mf_outbound *carrier(void *ctx)
{
	(void)ctx;
	return &via.out;
}

static bool server(void *ctx, uint32_t i, struct mf_endpoint *out)
{
	(void)ctx;
	*out = server_at;
	out->addr.b[3] = (uint8_t)(7 + i % 2);
	return known;
}

static void wake(struct mf_dgram *d)
{
	(void)d;
}

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

static void begin(uint8_t first, struct mf_prng *g)
{
	static const struct mf_outbound_ops ops = { .name = "proxy" };
	static struct mf_outbound out = { .ops = &ops };
	static const uint8_t types[] = { MF_PROXY_SHADOWSOCKS, MF_PROXY_VMESS, MF_PROXY_VLESS,
					 MF_PROXY_TROJAN, MF_PROXY_SOCKS5 };
	struct mf_codec_env env = { .cipher = cipher, .rng = { mf_prng_fill, g }, .wall = wall };
	struct mf_target to = { .addr.addr.family = MF_AF_IP4 };

	if (!env.cipher)
		MF_ASSERT((cipher = env.cipher = mf_cipher_new()));
	now = 1000 * MF_SEC;
	known = !(first & 0x40);
	memset(&health, 0, sizeof(health));
	config = (struct mf_proxy_config){ .name = "fuzz",
					   .connect_timeout = MF_SEC,
					   .first_byte_timeout = MF_SEC };
	config.type = types[first % MF_ARRAY_LEN(types)];
	if (config.type == MF_PROXY_SHADOWSOCKS)
		config.ss.method = MF_SS_CHACHA20_IETF_POLY1305;
	pool = mf_pkt_pool_new(300, 80);
	mf_layers_init(&layers, &env, NULL, 1 << 18, now);
	fakedgrams_init(&via);
	fakeout_init(&transport);
	transport.prng = first & 0x20 ? g : NULL;
	x = (struct mf_dgrams){ .proto = mf_dgram_proto(config.type),
				.config = &config,
				.layers = &layers,
				.health = &health,
				.life = &config.life,
				.pool = pool,
				.transport = &transport.out,
				.via = carrier,
				.server = server };
	app = (struct mf_dgram){ .kind = MF_DGRAM_UDP, .family = MF_AF_IP4, .wake = wake };
	MF_ASSERT(!mf_dgrams_open(&x, &out, &app, &to));
}

static void end(void)
{
	mf_dgrams_close(&app);
	MF_ASSERT(!x.n && !x.n_waiting && !x.n_streams && !layers.nest && !transport.n_open);
	fakedgrams_fini(&via);
	fakeout_fini(&transport);
	mf_layers_fini(&layers);
	mf_pkt_pool_free(pool); /* asserts that nothing leaked */
}

static void say(uint8_t k)
{
	static const uint16_t sizes[] = { 0, 1, 40, 500, 1400, 9000, 60000 };
	uint16_t n = sizes[k % MF_ARRAY_LEN(sizes)];
	struct mf_pkt *p = n <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return;
	memset(p->data, k, n);
	p->len = n;
	p->remote = (struct mf_endpoint){ .addr = { { 192, 0, 2, k >> 5 }, MF_AF_IP4 }, .port = 53 };
	if (k & 0x10 && n > 100) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = 100;
		p->segments = (n + 99u) / 100;
	}
	mf_dgrams_send(&app, &p, 1);
	MF_ASSERT(p->drop < MF_DROP_COUNT);
	mf_pkt_free(p);
}

static void check(const struct mf_pkt *p)
{
	uint32_t stride = p->gso_size ? p->gso_size : p->len;

	MF_ASSERT(p->remote.addr.family == MF_AF_IP4 && p->len <= MF_PKT_LARGE_MAX && !p->tos);
	MF_ASSERT(mf_pkt_headroom(p) >= MF_PKT_HEADROOM - 16);
	MF_ASSERT(p->segments == (p->len > stride ? (p->len + stride - 1) / stride : 1));
	MF_ASSERT((p->gso_type == MF_GSO_UDP) == (p->segments > 1));
}

static void run(uint8_t k)
{
	struct mf_dgram_error e;
	struct mf_pkt *got[16];
	size_t n;

	app.ready = 0;
	for (unsigned i = 0; mf_dgrams_error(&app, &e); i++)
		MF_ASSERT(e.remote.addr.family == MF_AF_IP4 && i < MF_ARRAY_LEN(got));
	do {
		n = mf_dgrams_recv(&app, pool, got, 1 + k % MF_ARRAY_LEN(got));
		for (size_t i = 0; i < n; i++) {
			check(got[i]);
			mf_pkt_free(got[i]);
		}
	} while (n);
}

/* The k-th of those that are open, from the last on. */
static struct fake_stream *stream(uint8_t k)
{
	struct fake_stream *st = transport.last, *found = NULL;

	for (k &= 3; st; st = st->next)
		if (st->s && !st->failed) {
			found = st;
			if (!k--)
				break;
		}
	return found;
}

static struct fake_dgram *port(void)
{
	return via.last && via.last->d ? via.last : NULL;
}

static void port_act(enum act act, uint8_t k, const uint8_t *bytes, size_t n)
{
	struct fake_dgram *d = port();
	struct mf_endpoint at = server_at;
	struct mf_dgram_error e = { .type = MF_ICMP4_UNREACHABLE, .code = k & 15 };

	if (!d)
		return;
	at.addr.b[3] = (uint8_t)(7 + (k >> 7));
	e.remote = at;
	if (act == PORT_FAILS)
		fakedgram_fail(d);
	else if (act == ERROR && d->n_errors < 60)
		fakedgram_error(d, &e);
	else if (act == PACKET && d->n_waiting - d->given < 16)
		fakedgram_give(d, &at, bytes, n, k & 0x40 && n > 8 ? (uint16_t)(n / 4 + 1) : 0, 0);
}

static void stream_act(enum act act, uint8_t k, const uint8_t *bytes, size_t n)
{
	static const char welcome[] = "\x05\x00\x05\x00\x00\x01\xcb\x00\x71\x07\x04\x38";
	struct fake_stream *st = stream(k);

	if (!st)
		return;
	if (act == STREAM_GIVES && !st->eof)
		fake_give(st, bytes, n);
	else if (act == STREAM_ENDS)
		fake_end(st);
	else if (act == STREAM_FAILS)
		fake_fail(st, k & 0x80 ? MF_STREAM_E_PROXY : MF_STREAM_E_RESET);
	else if (act == STREAM_TAKES)
		st->may_write = k & 0x80 ? st->may_write : 0, fake_take(st, (size_t)(k & 0x7f) * 8);
	else if (act == STREAM_OPENS && !st->opened) {
		fake_open(st);
		if (k & 0x80)
			fake_give(st, welcome, sizeof(welcome) - 1);
	}
}

static void step(enum act act, uint8_t k, const uint8_t *bytes, size_t n)
{
	switch (act) {
	case SAY:
		say(k);
		break;
	case RUN:
		run(k);
		break;
	case PACKET:
	case ERROR:
	case PORT_FAILS:
		port_act(act, k, bytes, n);
		break;
	case TIME:
		now += (mf_nsec)k * MF_SEC / 4;
		(void)mf_layers_run(&layers, now);
		break;
	case RESOLVED:
		known |= k & 1;
		mf_dgrams_resolved(&x, k & 1);
		break;
	default:
		stream_act(act, k, bytes, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_prng g = { .state = 1 };

	if (!n)
		return 0;
	begin(*in, &g);
	for (in++, n--; n >= 2;) {
		enum act act = in[0] % ACTS;
		size_t bytes = act == STREAM_GIVES || act == PACKET ? mf_min(in[1], n - 2) : 0;

		step(act, in[1], in + 2, bytes);
		in += 2 + bytes;
		n -= 2 + bytes;
	}
	run(0);
	end();
	return 0;
}
