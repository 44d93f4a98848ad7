/* SPDX-License-Identifier: Apache-2.0
 *
 * dgramlab - mappings of apps over made-up outbounds (support/fakedgram.h, support/fakeout.h) on
 * virtual time.
 */
#ifndef MF_TEST_PROXY_DGRAMLAB_H
#define MF_TEST_PROXY_DGRAMLAB_H

#include "proxy/mapping.h"
#include "support/fakedgram.h"
#include "support/fakeout.h"
#include "unit.h"

enum { LAB_GOT = 4096, LAB_ADDRS = 2, LAB_FIRST_BYTE = 10 };

static struct {
	struct mf_pkt_pool *pool;
	struct mf_layers layers;
	struct mf_proxy_health health;
	struct mf_proxy_config config;
	struct mf_dgrams x;
	struct mf_outbound out; /* what apps see */
	struct fakedgrams via;
	struct fakeout transport;
	struct mf_outbound *carrier;          /* &via.out; NULL: nothing carries it */
	struct mf_endpoint server[LAB_ADDRS]; /* of the proxy */
	bool known;                           /* those are */
	unsigned asked, idle;
	struct mf_prng prng;
	mf_nsec now;
} lab;

/* An app's port, and what it has got. */
struct app {
	struct mf_dgram d;
	unsigned woken;
	size_t burst; /* packets taken at once */
	struct mf_pkt *got[LAB_GOT];
	size_t n;
	struct mf_dgram_error error; /* which only a test that expects it takes away */
	unsigned n_errors;
};

static inline struct mf_endpoint lab_at(const char *text)
{
	struct mf_endpoint e;

	assert_int_equal(mf_endpoint_parse(&e, text), MF_OK);
	return e;
}

static struct mf_outbound *lab_via(void *ctx)
{
	(void)ctx;
	return lab.carrier;
}

static bool lab_server(void *ctx, uint32_t i, struct mf_endpoint *out)
{
	(void)ctx;
	lab.asked += !lab.known;
	*out = lab.server[i % LAB_ADDRS];
	return lab.known;
}

static void lab_idle(void *ctx)
{
	(void)ctx;
	lab.idle++;
}

static uint64_t lab_wall(void *ctx)
{
	(void)ctx;
	return 1700000000;
}

static inline void lab_up(const struct mf_dgram_proto *proto, uint32_t small, uint32_t large)
{
	static const struct mf_outbound_ops ops = {
		.name = "proxy",
		.dgram_send = mf_dgrams_send,
		.dgram_recv = mf_dgrams_recv,
		.dgram_error = mf_dgrams_error,
		.dgram_close = mf_dgrams_close,
	};
	struct mf_codec_env env = { .rng = { mf_prng_fill, &lab.prng }, .wall = lab_wall };

	memset(&lab, 0, sizeof(lab));
	lab.now = 1000 * MF_SEC;
	lab.prng.state = 1;
	lab.pool = mf_pkt_pool_new(small, large);
	mf_layers_init(&lab.layers, &env, NULL, 1 << 20, lab.now);
	fakedgrams_init(&lab.via);
	fakeout_init(&lab.transport);
	lab.carrier = &lab.via.out;
	lab.server[0] = lab_at("203.0.113.7:8388");
	lab.server[1] = lab_at("[2001:db8::7]:8388");
	lab.known = true;
	strcpy(lab.config.name, "hk");
	lab.config.connect_timeout = 5 * MF_SEC;
	lab.config.first_byte_timeout = LAB_FIRST_BYTE * MF_SEC;
	lab.out = (struct mf_outbound){ .ops = &ops };
	lab.x = (struct mf_dgrams){
		.proto = proto,
		.config = &lab.config,
		.layers = &lab.layers,
		.health = &lab.health,
		.life = &lab.config.life,
		.pool = lab.pool,
		.transport = &lab.transport.out,
		.via = lab_via,
		.server = lab_server,
		.idle = lab_idle,
	};
}

static inline void lab_down(void)
{
	assert_int_equal(lab.x.n + lab.x.n_waiting + lab.x.n_streams, 0);
	assert_null(lab.x.first);
	assert_int_equal(lab.via.n_open + lab.transport.n_open, 0);
	assert_int_equal(lab.layers.nest, 0);
	fakedgrams_fini(&lab.via);
	fakeout_fini(&lab.transport);
	mf_layers_fini(&lab.layers); /* asserts that nothing is held and no timer armed */
	mf_pkt_pool_free(lab.pool);  /* asserts that nothing leaked */
}

static inline void lab_wait(mf_nsec span)
{
	lab.now += span;
	(void)mf_layers_run(&lab.layers, lab.now);
}

/* ---- Apps ------------------------------------------------------------------------------------ */

static void lab_wake(struct mf_dgram *d)
{
	MF_CONTAINER_OF(d, struct app, d)->woken++;
}

static inline mf_err app_try(struct app *a, uint8_t family)
{
	struct mf_target to = { .addr.addr.family = family, .app.addr.family = family };

	memset(a, 0, sizeof(*a));
	a->burst = 32;
	a->d = (struct mf_dgram){
		.out = &lab.out,
		.kind = MF_DGRAM_UDP,
		.family = family,
		.wake = lab_wake,
	};
	return mf_dgrams_open(&lab.x, &lab.out, &a->d, &to);
}

static inline void app_open(struct app *a)
{
	assert_int_equal(app_try(a, MF_AF_IP4), MF_OK);
}

static inline void app_forget(struct app *a)
{
	while (a->n)
		mf_pkt_free(a->got[--a->n]);
}

static inline void app_close(struct app *a)
{
	unsigned before;

	mf_dgrams_close(&a->d);
	before = a->woken;
	lab_wait(MF_SEC);
	assert_int_equal(a->woken, before);
	assert_int_equal(a->n_errors, 0);
	app_forget(a);
}

/* As a session takes its turn (src/host/datagram.c), until nobody has more to say. */
static inline void app_run(struct app *a)
{
	struct mf_dgram_error e;
	size_t n;

	while ((a->d.ready & (MF_STREAM_READABLE | MF_STREAM_FAILED)) == MF_STREAM_READABLE) {
		a->d.ready = 0;
		while (mf_dgrams_error(&a->d, &e)) {
			a->error = e;
			a->n_errors++;
		}
		do {
			assert_true(a->n + a->burst <= LAB_GOT);
			n = mf_dgrams_recv(&a->d, lab.pool, a->got + a->n, a->burst);
			a->n += n;
		} while (n);
	}
}

static inline struct mf_pkt *lab_pkt(const struct mf_endpoint *to, const void *bytes, size_t n,
				     uint16_t gso_size)
{
	struct mf_pkt *p = n <= MF_PKT_SMALL_MAX ? mf_pkt_small(lab.pool) : mf_pkt_large(lab.pool);

	assert_non_null(p);
	memcpy(p->data, bytes, n);
	p->len = (uint32_t)n;
	p->remote = *to;
	p->tos = 0xb8;
	if (gso_size) {
		p->gso_type = MF_GSO_UDP;
		p->gso_size = gso_size;
		p->segments = (uint32_t)((n + gso_size - 1) / gso_size);
	}
	return p;
}

/* Sends and returns the verdict. */
static inline enum mf_drop app_say(struct app *a, const struct mf_endpoint *to, const void *bytes,
				   size_t n, uint16_t gso_size)
{
	struct mf_pkt *p = lab_pkt(to, bytes, n, gso_size);
	enum mf_drop why;

	p->drop = MF_DROP_SHUTDOWN; /* it must be said */
	mf_dgrams_send(&a->d, &p, 1);
	why = (enum mf_drop)p->drop;
	mf_pkt_free(p);
	return why;
}

static inline void app_expect(const struct app *a, size_t i, const struct mf_endpoint *from,
			      const void *bytes, size_t n)
{
	assert_true(i < a->n);
	assert_true(mf_endpoint_equal(&a->got[i]->remote, from));
	assert_int_equal(a->got[i]->len, n);
	assert_memory_equal(a->got[i]->data, bytes, n);
	assert_true(mf_pkt_headroom(a->got[i]) >= MF_PKT_HEADROOM - 16);
}

#endif
