/* SPDX-License-Identifier: Apache-2.0
 *
 * asklab - a transport in front of made-up servers (support/fakedns.h) on virtual time, and the
 * questions that a test asks through it.
 */
#ifndef MF_TEST_ASKLAB_H
#define MF_TEST_ASKLAB_H

#include "resolver/internal.h"
#include "support/fakedns.h"

#include "unit.h"

enum { LAB_HOP = 7, LAB_ASKS = 300 };

struct lab_ask {
	struct mf_ask ask;
	struct mf_dns_name name;
	unsigned done; /* times */
	enum mf_transport_error err;
	mf_nsec at;
	size_t n;
	uint8_t rcode, last; /* of the address in the answer */
};

static struct {
	mf_nsec now;
	bool woken, down;
	struct mf_prng prng;
	struct mf_log log;
	struct mf_pkt_pool *pool;
	struct fakedns far;
	struct mf_transport_env env;
	struct mf_transport_counters count;
	struct mf_dns_server server;
	struct mf_transport *t;
	struct lab_ask ask[LAB_ASKS];
	unsigned n_done;
} lab;

static struct mf_outbound *lab_outbound(void *ctx, uint32_t hop)
{
	(void)ctx;
	assert_int_equal(hop, LAB_HOP);
	return lab.down ? NULL : &lab.far.out;
}

static void lab_wake(void *ctx)
{
	(void)ctx;
	lab.woken = true;
}

static void lab_write(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx, (void)level;
	assert_true(*line);
}

/* Without a transport. */
static void lab_begin(void)
{
	memset(&lab, 0, sizeof(lab));
	lab.prng = unit_prng("asklab");
	lab.now = 1000 * MF_SEC + mf_prng_below(&lab.prng, MF_SEC);
	lab.log = (struct mf_log){ .write = lab_write, .level = MF_LOG_INFO };
	lab.pool = mf_pkt_pool_new(512, 16);
	fakedns_init(&lab.far, mf_prng_u64(&lab.prng));
	lab.env = (struct mf_transport_env){
		.outbound = lab_outbound,
		.wake = lab_wake,
		.pool = lab.pool,
		.rng = { .fill = mf_prng_fill, .ctx = &lab.prng },
		.log = &lab.log,
	};
}

static void lab_end(void)
{
	fakedns_fini(&lab.far);
	mf_pkt_pool_free(lab.pool); /* asserts that no packet is missing */
}

/* With a server at each address, and a transport for them all. */
static inline void lab_open(enum mf_dns_scheme scheme, const char *a, const char *b)
{
	lab.server = (struct mf_dns_server){ .text = a, .scheme = (uint8_t)scheme };
	lab.server.addr[lab.server.n_addrs++] = fakedns_add(&lab.far, a)->addr;
	if (b)
		lab.server.addr[lab.server.n_addrs++] = fakedns_add(&lab.far, b)->addr;
	lab.t = mf_transport_new(&lab.env, &lab.server, LAB_HOP, &lab.count);
	assert_non_null(lab.t);
}

static inline void lab_close(void)
{
	mf_transport_free(lab.t);
	lab_end();
}

/* Until nothing is left to do at this moment; returns when there will be. */
static inline mf_nsec lab_settle(void)
{
	mf_nsec next;

	for (int i = 0;; i++) {
		assert_true(i < 1000);
		lab.woken = false;
		next = mf_transport_run(lab.t, lab.now);
		fakedns_run(&lab.far, lab.now);
		if (!lab.woken && next > lab.now)
			return mf_min(next, fakedns_next(&lab.far));
	}
}

static inline void lab_advance(mf_nsec by)
{
	mf_nsec until = lab.now + by, next;

	while ((next = lab_settle()) <= until)
		lab.now = mf_max(next, lab.now);
	lab.now = until;
	lab_settle();
}

static inline void lab_done(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer,
			    mf_nsec now)
{
	struct lab_ask *x = MF_CONTAINER_OF(a, struct lab_ask, ask);

	assert_true(now == lab.now);
	assert_null(a->transport);
	assert_true((err == MF_TRANSPORT_OK) == (answer.n > 0));
	x->done++;
	x->err = err;
	x->at = now;
	x->n = answer.n;
	if (answer.n) {
		assert_true(answer.n >= MF_DNS_HEADER);
		x->rcode = answer.p[3] & 15;
		x->last = answer.p[answer.n - 1];
	}
	lab.n_done++;
}

static inline mf_err lab_try(unsigned i, unsigned which, mf_nsec patience)
{
	struct lab_ask *x = &lab.ask[i];
	char text[64];
	int n = snprintf(text, sizeof(text), "name-%u.example.com", i);

	memset(x, 0, sizeof(*x));
	assert_int_equal(mf_dns_name_parse(&x->name, text, (size_t)n), MF_OK);
	x->ask.name = &x->name;
	x->ask.type = MF_DNS_A;
	x->ask.deadline = lab.now + 5 * MF_SEC;
	x->ask.patience = patience;
	x->ask.done = lab_done;
	return mf_transport_ask(lab.t, &x->ask, which, lab.now);
}

/* Question number i, to address `which`. */
static inline struct lab_ask *lab_ask(unsigned i, unsigned which)
{
	assert_int_equal(lab_try(i, which, 0), MF_OK);
	assert_int_equal(lab.ask[i].done, 0);
	return &lab.ask[i];
}

/* Question i has been answered, rightly, by server `which`. */
static inline void lab_answered(unsigned i, unsigned which)
{
	assert_int_equal(lab.ask[i].done, 1);
	assert_int_equal(lab.ask[i].err, MF_TRANSPORT_OK);
	assert_int_equal(lab.ask[i].last, which + 1);
}

static inline void lab_failed(unsigned i, enum mf_transport_error err)
{
	assert_int_equal(lab.ask[i].done, 1);
	assert_int_equal(lab.ask[i].err, err);
}

#endif
