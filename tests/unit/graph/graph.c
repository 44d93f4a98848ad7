/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "graph/graph.h"
#include "graph/trace.h"

/* A graph of three: source -> split -> even | odd (both end packets), with what each saw. */
static uint32_t to_make, seen_even, seen_odd;
static uint32_t biggest_frame;
static struct mf_pkt_pool *pool;

static uint32_t source_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			   uint16_t *next, uint32_t n)
{
	(void)node;
	for (n = 0; n < MF_FRAME_MAX && to_make; n++, to_make--) {
		pkts[n] = mf_pkt_small(pool);
		assert_non_null(pkts[n]);
		pkts[n]->data[0] = (uint8_t)to_make;
		pkts[n]->len = 1;
		next[n] = 0;
		mf_count(&g->ledger.created, 1);
	}
	return n;
}

static uint32_t split_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			  uint16_t *next, uint32_t n)
{
	(void)g;
	(void)node;
	if (n > biggest_frame)
		biggest_frame = n;
	for (uint32_t i = 0; i < n; i++)
		next[i] = pkts[i]->data[0] & 1;
	return n;
}

static uint32_t even_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			 uint16_t *next, uint32_t n)
{
	(void)node;
	(void)next;
	for (uint32_t i = 0; i < n; i++, seen_even++) {
		assert_int_equal(pkts[i]->data[0] & 1, 0);
		mf_graph_end(g, pkts[i], MF_SENT);
	}
	return 0;
}

static uint32_t odd_run(struct mf_graph *g, struct mf_node *node, struct mf_pkt **pkts,
			uint16_t *next, uint32_t n)
{
	(void)node;
	(void)next;
	for (uint32_t i = 0; i < n; i++, seen_odd++) {
		pkts[i]->drop = MF_DROP_POLICY_DROP;
		mf_graph_end(g, pkts[i], MF_DROPPED);
	}
	return 0;
}

static const struct mf_node_def source = { "source", source_run, true, { "split" }, "" };
static const struct mf_node_def split = { "split", split_run, false, { "even", "odd" }, "" };
static const struct mf_node_def even = { "even", even_run, false, { NULL }, "" };
static const struct mf_node_def odd = { "odd", odd_run, false, { NULL }, "" };
static const struct mf_node_def *const table[] = { &source, &split, &even, &odd };

static struct mf_graph open_graph(void)
{
	struct mf_graph g;

	pool = mf_pkt_pool_new(2048, 8);
	assert_non_null(pool);
	assert_int_equal(mf_graph_init(&g, table, MF_ARRAY_LEN(table), NULL), MF_OK);
	seen_even = seen_odd = biggest_frame = 0;
	return g;
}

static void close_graph(struct mf_graph *g)
{
	mf_graph_fini(g);
	mf_pkt_pool_free(pool);
}

static void test_every_packet_goes_where_next_says(void **state)
{
	struct mf_graph g = open_graph();

	(void)state;
	to_make = 1000;
	while (to_make)
		mf_graph_pass(&g, 1);
	assert_int_equal(seen_even, 500);
	assert_int_equal(seen_odd, 500);
	assert_int_equal(g.ledger.ended[MF_SENT], 500);
	assert_int_equal(g.ledger.ended[MF_DROPPED], 500);
	assert_int_equal(g.ledger.drops[MF_DROP_POLICY_DROP], 500);
	assert_int_equal(g.ledger.created, 1000);
	assert_int_equal(mf_graph_find(&g, "split")->packets, 1000);
	assert_int_equal(mf_graph_find(&g, "split")->calls, 4);
	assert_null(mf_graph_find(&g, "nowhere"));
	close_graph(&g);
}

/* More is put than a frame holds: the full frame runs at once and nothing is lost. */
static void test_a_full_frame_runs(void **state)
{
	struct mf_graph g = open_graph();
	struct mf_node *to = mf_graph_find(&g, "split");

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct mf_pkt *p = mf_pkt_small(pool);

		p->data[0] = (uint8_t)i;
		mf_graph_put(&g, to, p);
	}
	assert_int_equal(to->packets, 768);
	mf_graph_drain(&g);
	assert_int_equal(seen_even + seen_odd, 1000);
	assert_int_equal(biggest_frame, MF_FRAME_MAX);
	close_graph(&g);
}

static void backwards(void *arg)
{
	static const struct mf_node_def *const wrong[] = { &split, &source, &even, &odd };
	struct mf_graph g;

	(void)arg;
	mf_graph_init(&g, wrong, MF_ARRAY_LEN(wrong), NULL) == MF_OK ? (void)0 : abort();
}

static void unknown(void *arg)
{
	static const struct mf_node_def *const wrong[] = { &source, &split, &even };
	struct mf_graph g;

	(void)arg;
	mf_graph_init(&g, wrong, MF_ARRAY_LEN(wrong), NULL) == MF_OK ? (void)0 : abort();
}

static void test_wrong_tables_are_bugs(void **state)
{
	(void)state;
	assert_true(unit_aborts(backwards, NULL));
	assert_true(unit_aborts(unknown, NULL));
}

static bool only_three(void *ctx, const uint8_t *packet, uint32_t len)
{
	(void)ctx;
	return len && packet[0] == 3;
}

static void test_trace_tells_path_and_verdict(void **state)
{
	struct mf_graph g = open_graph();
	struct mf_trace_filter filter = { .node = mf_graph_find(&g, "split")->index,
					  .match = only_three };
	struct mf_trace *t = mf_trace_new(&g, &filter, 4, 64);
	const struct mf_trace_record *r;
	uint32_t slot;

	(void)state;
	assert_non_null(t);
	g.trace = t;
	to_make = 10;
	mf_graph_pass(&g, 42);
	r = mf_trace_take(t, &slot);
	assert_non_null(r);
	assert_int_equal(r->time, 42);
	assert_int_equal(r->caplen, 1);
	assert_int_equal(r->bytes[0], 3);
	assert_int_equal(r->verdict, MF_DROPPED);
	assert_int_equal(r->drop, MF_DROP_POLICY_DROP);
	assert_int_equal(r->n_path, 2);
	assert_string_equal(g.node[r->path[0]].def->name, "split");
	assert_string_equal(g.node[r->path[1]].def->name, "odd");
	mf_trace_release(t, slot);
	assert_null(mf_trace_take(t, &slot));
	assert_int_equal(mf_trace_open(t), 0);
	g.trace = NULL;
	mf_trace_free(t);
	close_graph(&g);
}

static bool ends_in_tail(void *ctx, const uint8_t *packet, uint32_t len)
{
	(void)ctx;
	return len == 9 && !memcmp(packet, "head-tail", 9);
}

/* Filter and record see a packet in two pieces as one. */
static void test_trace_sees_the_tail(void **state)
{
	struct mf_graph g = open_graph();
	struct mf_node *to = mf_graph_find(&g, "split");
	struct mf_trace_filter filter = { .node = to->index, .match = ends_in_tail };
	struct mf_trace *t = mf_trace_new(&g, &filter, 4, 7);
	const struct mf_trace_record *r;
	struct mf_pkt *p = mf_pkt_small(pool);
	uint32_t slot;

	(void)state;
	memcpy(p->data, "head-", 5);
	p->len = 5;
	p->tail = (const uint8_t *)"tail";
	p->tail_len = 4;
	mf_graph_watch(&g, t);
	mf_trace_frame(t, to, &p, 1, 1);
	assert_int_not_equal(p->trace, 0);
	mf_graph_absorb(&g, p, MF_DELIVERED);
	r = mf_trace_take(t, &slot);
	assert_non_null(r);
	assert_int_equal(r->len, 9);
	assert_int_equal(r->caplen, 7);
	assert_memory_equal(r->bytes, "head-ta", 7);
	mf_graph_watch(&g, NULL);
	mf_trace_free(t);
	close_graph(&g);
}

/* A reader that does not keep up loses records, never packets. */
static void test_trace_without_slots_is_counted(void **state)
{
	struct mf_graph g = open_graph();
	struct mf_trace_filter filter = { .node = mf_graph_find(&g, "split")->index };
	struct mf_trace *t = mf_trace_new(&g, &filter, 4, 64);
	uint32_t slot, n = 0;

	(void)state;
	g.trace = t;
	to_make = 100;
	mf_graph_pass(&g, 1);
	assert_int_equal(seen_even + seen_odd, 100);
	assert_int_equal(mf_trace_missed(t), 96);
	while (mf_trace_take(t, &slot)) {
		mf_trace_release(t, slot);
		n++;
	}
	assert_int_equal(n, 4);
	g.trace = NULL;
	mf_trace_free(t);
	close_graph(&g);
}

/* A packet that waits for a handshake outlives the trace that watched it, and meets the next one. */
static void test_packets_outlive_their_trace(void **state)
{
	struct mf_graph g = open_graph();
	struct mf_node *to = mf_graph_find(&g, "split"), *end = mf_graph_find(&g, "odd");
	struct mf_trace_filter filter = { .node = to->index };
	struct mf_trace *t[2];
	struct mf_pkt *p[3];
	uint32_t slot;

	(void)state;
	for (int i = 0; i < 2; i++) {
		t[i] = mf_trace_new(&g, &filter, 4, 64);
		assert_non_null(t[i]);
		mf_graph_watch(&g, t[i]);
		p[i] = mf_pkt_small(pool);
		mf_trace_frame(t[i], to, &p[i], 1, 1);
		assert_int_not_equal(p[i]->trace, 0);
	}
	assert_int_not_equal(p[0]->trace, p[1]->trace);
	mf_trace_free(t[0]);
	mf_trace_note(t[1], p[0], "not yours");
	mf_graph_absorb(&g, p[0], MF_SENT);
	assert_null(mf_trace_take(t[1], &slot));
	mf_graph_absorb(&g, p[1], MF_SENT);
	assert_string_equal(mf_trace_take(t[1], &slot)->note, "");
	/* And with nobody watching at all. */
	p[2] = mf_pkt_small(pool);
	mf_trace_frame(t[1], to, &p[2], 1, 1);
	mf_graph_watch(&g, NULL);
	mf_trace_note(g.trace, p[2], "nobody");
	mf_graph_absorb(&g, p[2], MF_SENT);
	assert_int_equal(end->packets, 0);
	mf_trace_free(t[1]);
	close_graph(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_packet_goes_where_next_says),
		cmocka_unit_test(test_a_full_frame_runs),
		cmocka_unit_test(test_wrong_tables_are_bugs),
		cmocka_unit_test(test_trace_tells_path_and_verdict),
		cmocka_unit_test(test_trace_sees_the_tail),
		cmocka_unit_test(test_trace_without_slots_is_counted),
		cmocka_unit_test(test_packets_outlive_their_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
