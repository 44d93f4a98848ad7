/* SPDX-License-Identifier: Apache-2.0
 *
 * Two workers and the mappings of one port of an app: all of them are on the worker that had the first,
 * whatever interface each leaves through, until the last is gone.
 */
#include "dgramlab.h"
#include "shown.h"

enum { WORKERS = 2 };

static struct mf_owners *owners;
static struct mf_sources *sources;
static struct fakedgrams far[WORKERS], other[WORKERS];
static struct mf_host *host[WORKERS];

struct worker {
	unsigned i;
	unsigned consumed, handed, dropped;
};
static struct worker worker[WORKERS];

static void drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	(void)reason;
	((struct worker *)ctx)->dropped++;
	mf_pkt_free(p);
}

static void consume(void *ctx, struct mf_pkt *p)
{
	((struct worker *)ctx)->consumed++;
	mf_pkt_free(p);
}

/* The other one looks where its routes lead, and whether it has it nevertheless. */
static void handoff(void *ctx, struct mf_pkt *p, unsigned to)
{
	struct worker *w = ctx;

	assert_int_not_equal(to, w->i);
	w->handed++;
	mf_host_has(host[to], p);
	mf_host_udp(host[to], &p, 1);
}

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	unsigned i = ((struct worker *)ctx)->i;

	return hop == HOP ? &far[i].out : hop == OTHER_HOP ? &other[i].out : NULL;
}

static int two_up(void **state)
{
	struct mf_host_config cfg = lab_config();
	static const uint8_t key[16] = { 1 };
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &lab.prng };

	(void)state;
	cfg.settle_wait = MF_SEC;
	cfg.settle_port[0] = 443;
	cfg.n_settle_ports = 1;
	memset(&lab, 0, sizeof(lab));
	lab.now = 1000 * MF_SEC;
	lab.route = HOP;
	lab.pool = mf_pkt_pool_new(500, 10);
	owners = mf_owners_new(64, key);
	sources = mf_sources_new(64, key);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct mf_host_port port = {
			.ctx = &worker[i],
			.emit = lab_emit,
			.drop = drop,
			.consume = consume,
			.taken = lab_taken,
			.handoff = handoff,
			.outbound = outbound,
			.route = lab_route,
			.settles = lab_settles,
			.settle = lab_settle,
			.fate = lab_fate,
		};

		worker[i] = (struct worker){ .i = i };
		fakedgrams_init(&far[i]);
		fakedgrams_init(&other[i]);
		host[i] = mf_host_new(i, &cfg, &port, lab.pool,
				      &(struct mf_host_shared){ owners, sources }, &rng, 1 << 20,
				      lab.now);
		assert_non_null(host[i]);
	}
	return 0;
}

static int two_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		mf_host_free(host[i]);
		fakedgrams_fini(&far[i]);
		fakedgrams_fini(&other[i]);
	}
	lab_clear();
	mf_pkt_pool_free(lab.pool);
	mf_owners_free(owners);
	mf_sources_free(sources);
	return 0;
}

static struct mf_pkt *packet(uint8_t server, uint32_t hop)
{
	struct mf_pkt *p = lab_udp(4, 1, 4000, server, 9, 10);

	p->next_hop = hop;
	return p;
}

static void give(unsigned i, struct mf_pkt *p)
{
	mf_host_udp(host[i], &p, 1);
	for (unsigned k = 0; k < WORKERS; k++)
		mf_host_run(host[k], lab.now);
}

/* From the app to a server whose route is `hop`, by the queue of worker i. */
static void send(unsigned i, uint8_t server, uint32_t hop)
{
	struct mf_pkt *p = packet(server, hop);

	mf_host_has(host[i], p);
	give(i, p);
}

static void close_on(unsigned i, uint32_t hop)
{
	struct mf_session_facts f;

	for (uint32_t slot = 0; slot < mf_host_slots(host[i]); slot++)
		if (mf_host_facts(host[i], slot, &f) && f.hop == hop)
			assert_true(mf_host_close(host[i], f.ref));
}

static void test_one_worker(void **state)
{
	(void)state;
	send(0, 1, HOP);
	send(1, 2, OTHER_HOP);
	assert_int_equal(worker[1].handed, 1);
	assert_int_equal(far[0].n_open, 1);
	assert_int_equal(other[0].n_open, 1);
	assert_int_equal(other[1].n_open, 0);
	/* The first has ended, the port has not. */
	close_on(0, HOP);
	assert_int_equal(far[0].n_open, 0);
	send(1, 1, HOP);
	assert_int_equal(worker[1].handed, 2);
	assert_int_equal(far[0].n_open, 1);
	close_on(0, HOP);
	close_on(0, OTHER_HOP);
	send(1, 1, HOP);
	assert_int_equal(worker[1].handed, 2);
	assert_int_equal(far[1].n_open, 1);
	send(0, 2, OTHER_HOP);
	assert_int_equal(worker[0].handed, 1);
	assert_int_equal(other[1].n_open, 1);
}

/* What has been said before goes on where it was, on whatever queue it comes, and is not passed to and fro. */
static void test_strays(void **state)
{
	struct mf_pkt *p;

	(void)state;
	send(0, 1, HOP);
	send(0, 2, OTHER_HOP);
	lab.route = OTHER_HOP;
	for (unsigned i = 0; i < WORKERS; i++)
		mf_host_routes_changed(host[i], false);
	assert_int_equal(mf_host_strays(host[0]), 1);
	assert_int_equal(mf_host_strays(host[1]), 1);
	p = packet(1, OTHER_HOP);
	assert_true(mf_host_has(host[1], p));
	assert_int_equal(p->next_hop, OTHER_HOP); /* the other one looks for itself */
	mf_pkt_free(p);
	send(1, 1, OTHER_HOP);
	send(0, 1, OTHER_HOP);
	assert_int_equal(far[0].last->n_sent, 3);
	assert_int_equal(worker[0].handed + worker[1].handed, 1);
	/* A new conversation has a route of its own. */
	send(1, 3, OTHER_HOP);
	assert_int_equal(other[0].last->n_sent, 2);
	assert_int_equal(far[0].last->n_sent, 3);
	assert_int_equal(worker[0].handed + worker[1].handed, 2);
	/* Another port is nobody's yet. */
	p = lab_udp(4, 1, 4001, 1, 9, 10);
	p->next_hop = OTHER_HOP;
	assert_false(mf_host_has(host[1], p));
	mf_pkt_free(p);
}

/* One that is refused does not take the port of another away. */
static void test_refused(void **state)
{
	(void)state;
	send(0, 1, HOP);
	for (uint16_t port = 5000; port < 5039; port++) { /* up to what one address may have */
		struct mf_pkt *p = lab_udp(4, 1, port, 1, 9, 10);

		mf_host_udp(host[0], &p, 1);
	}
	send(0, 2, OTHER_HOP);
	assert_int_equal(worker[0].dropped, 1);
	assert_int_equal(other[0].n_open, 0);
	send(1, 1, HOP);
	assert_int_equal(worker[1].handed, 1);
	assert_int_equal(far[1].n_open, 0);
}

/* From the app's port 4000 to port 443 of server 1, by the queue of worker i. */
static void say_hello(unsigned i, const struct hello_bytes *hello, size_t at, size_t n)
{
	struct spec s = lab_spec(4, 1, 4000, 1, 443, SHOWN_DATAGRAM);
	uint8_t b[SHOWN_DATAGRAM];

	shown_initial(b, hello, at != 0, at, n);
	s.payload = b;
	give(i, lab_pkt(&s));
}

/* What waits for its name has the port, too: the rest of it is needed here, and what was decided must be known
 * where what follows comes. */
static void test_waiting(void **state)
{
	static struct hello_bytes hello;

	(void)state;
	lab.settles = true;
	shown_hello(&hello, "other.example", 1200, false);
	say_hello(0, &hello, 0, 800);
	send(1, 2, HOP);
	assert_int_equal(worker[1].handed, 1);
	close_on(0, HOP);
	say_hello(1, &hello, 800, hello.n - 800);
	assert_int_equal(worker[1].handed, 2);
	assert_int_equal(other[0].last->n_sent, 2);
	/* Where nothing is left nothing is owned. */
	close_on(0, OTHER_HOP);
	shown_hello(&hello, "ads.example", 0, false);
	send(1, 2, HOP);
	assert_int_equal(worker[1].handed, 2);
	assert_int_equal(far[1].n_open, 1);
	close_on(1, HOP);
	lab.now += 600 * MF_SEC;
	mf_host_begin(host[0], lab.now);
	mf_host_run(host[0], lab.now);
	say_hello(0, &hello, 0, hello.n);
	assert_int_equal(worker[0].dropped, 1);
	send(1, 2, HOP);
	assert_int_equal(worker[1].handed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_worker, two_up, two_down),
		cmocka_unit_test_setup_teardown(test_strays, two_up, two_down),
		cmocka_unit_test_setup_teardown(test_refused, two_up, two_down),
		cmocka_unit_test_setup_teardown(test_waiting, two_up, two_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
