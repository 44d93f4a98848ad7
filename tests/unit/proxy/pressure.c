/* SPDX-License-Identifier: Apache-2.0
 *
 * Many connections on little memory: whoever has to wait for it waits, nobody fails for it, and
 * what a slow app does not take stays with the server. The toy protocol's messages are used as a
 * whole, as those of every protocol that authenticates.
 */
#include "proxy/codec_layer.h"

#include "support/layerlab.h"
#include "support/toycodec.h"
#include "unit.h"

enum {
	USERS = 400,
	MEMORY = 1536 * 1024, /* as of a worker among four, with 48 MiB for all */
	BULK = 100 * 1000,
	MESSAGE = 16000,
};

static struct layerlab lab;
static struct lab_user user[USERS];
static struct fake_stream *st[USERS];
static struct mf_layer_outbound codec;
static struct mf_outbound *top; /* what users open */
static struct toy_config toy;
static struct mf_codec_layer_config config;
static struct mf_proxy_life life;
static uint8_t bulk[BULK], message[MESSAGE + 2];

/* As the host stack does: sessions have their turns in the order in which they are woken. */
static unsigned woken[USERS], n_woken;
static bool is_woken[USERS];

static void wake(struct mf_stream *s)
{
	unsigned i = (unsigned)(MF_CONTAINER_OF(s, struct lab_user, s) - user);

	if (!is_woken[i])
		woken[n_woken++] = i;
	is_woken[i] = true;
}

static void limit_memory(size_t max)
{
	struct mf_codec_env env = lab.layers.env;

	mf_layers_fini(&lab.layers);
	mf_layers_init(&lab.layers, &env, &lab.log, max, lab.now);
}

static int open_lab(void **state)
{
	struct mf_prng g = unit_prng("pressure");

	(void)state;
	layerlab_open(&lab, g.state, false);
	limit_memory(MEMORY);
	memset(is_woken, 0, sizeof(is_woken));
	n_woken = 0;
	mf_prng_fill(&lab.prng, bulk, sizeof(bulk));
	(void)toy_message(message, bulk, MESSAGE);
	life = (struct mf_proxy_life){ 0 };
	config = (struct mf_codec_layer_config){ &toy_kind, &toy, 0, &life };
	mf_codec_layer_init(&codec, &config, &lab.layers, &lab.far.out, &lab.health, "hk",
			    5 * MF_SEC);
	top = &codec.out;
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	for (unsigned i = 0; i < USERS; i++)
		lab_user_fini(&user[i]);
	assert_int_equal(codec.n_streams, 0);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
	layerlab_close(&lab);
	return 0;
}

static void open_user(unsigned i)
{
	assert_int_equal(lab_user_open(&user[i], &lab, top, "192.0.2.1:443"), MF_OK);
	user[i].s.wake = wake;
	st[i] = lab.far.last;
	fake_open(st[i]);
	layerlab_run(&lab);
	lab_user_turn(&user[i]);
	fake_give(st[i], "Y", 1);
}

/* Their requests have gone, as they do when a connection is new. */
static void open_all(void)
{
	for (unsigned i = 0; i < USERS; i++)
		open_user(i);
	layerlab_pass(&lab, 100 * MF_MSEC);
}

/* A pass: what has happened below, then the turns of the sessions that were woken. */
static void turn_all(void)
{
	unsigned n;

	layerlab_run(&lab);
	for (n = n_woken; n; n--) {
		unsigned i = woken[0];

		memmove(woken, woken + 1, --n_woken * sizeof(*woken));
		is_woken[i] = false;
		lab_user_turn(&user[i]);
		assert_true(mf_layers_held(&lab.layers) <= MEMORY);
	}
	layerlab_run(&lab);
}

static void expect_all_heard(size_t n)
{
	for (unsigned i = 0; i < USERS; i++) {
		struct toy_heard h;

		assert_false(user[i].failed);
		toy_hear(&h, st[i]->got, st[i]->n_got, false);
		assert_int_equal(h.n, n);
		assert_memory_equal(h.payload, bulk, n);
		toy_heard_free(&h);
	}
}

/* ---- Up -------------------------------------------------------------------------------------- */

/* All of them to servers that take nothing for a while. */
static void test_uploads_wait_for_memory(void **state)
{
	(void)state;
	open_all();
	for (unsigned i = 0; i < USERS; i++) {
		st[i]->may_write = 0;
		lab_user_write(&user[i], bulk, BULK);
		assert_true(mf_layers_held(&lab.layers) <= MEMORY);
	}
	turn_all();
	assert_int_equal(lab.health.count.failed, 0);
	for (unsigned i = 0; i < USERS; i++)
		fake_take(st[i], SIZE_MAX);
	for (unsigned i = 0; i < 20; i++)
		turn_all();
	expect_all_heard(BULK);
	assert_int_equal(mf_layers_held(&lab.layers), 0);
}

/* All memory is with servers that take nothing: in the end one that does gets its bytes. */
static void test_whoever_moves_gets_through(void **state)
{
	(void)state;
	open_all();
	for (unsigned i = 1; i < USERS; i++) {
		st[i]->may_write = 0;
		lab_user_write(&user[i], bulk, BULK);
	}
	turn_all();
	lab_user_write(&user[0], bulk, BULK);
	assert_true(user[0].given < BULK);
	layerlab_pass(&lab, 50 * MF_SEC);
	assert_int_equal(lab.health.count.failed, 0); /* slow is not dead */
	for (unsigned i = 0; i < 300; i++) {
		layerlab_pass(&lab, MF_SEC);
		turn_all();
	}
	assert_false(user[0].failed);
	assert_int_equal(user[0].given, BULK);
}

/* ---- Down ------------------------------------------------------------------------------------ */

/* A message to each of them that lacks its end, and the end later. */
static void test_downloads_wait_for_memory(void **state)
{
	(void)state;
	open_all();
	for (unsigned i = 0; i < USERS; i++)
		fake_give(st[i], message, MESSAGE / 2 + i);
	turn_all();
	assert_int_equal(lab.health.count.failed, 0);
	for (unsigned i = 0; i < USERS; i++)
		fake_give(st[i], message + MESSAGE / 2 + i, MESSAGE / 2 + 2 - i);
	for (unsigned i = 0; i < 20; i++)
		turn_all();
	for (unsigned i = 0; i < USERS; i++) {
		assert_false(user[i].failed);
		assert_int_equal(user[i].n_got, MESSAGE);
		assert_memory_equal(user[i].got, bulk, MESSAGE);
	}
	assert_int_equal(mf_layers_held(&lab.layers), 0);
}

/* Messages whose ends never come: in the end they make room, and no more of them than must. */
static void test_who_never_ends_makes_room(void **state)
{
	unsigned failed = 0;

	(void)state;
	open_all();
	for (unsigned i = 1; i < USERS; i++)
		fake_give(st[i], message, MESSAGE);
	turn_all();
	fake_give(st[0], message, sizeof(message));
	for (unsigned i = 0; i < 500; i++) {
		layerlab_pass(&lab, MF_SEC);
		turn_all();
	}
	assert_false(user[0].failed);
	assert_int_equal(user[0].n_got, MESSAGE);
	for (unsigned i = 1; i < USERS; i++)
		failed += user[i].failed;
	assert_true(failed > 0);
	assert_int_equal(failed, lab.health.count.fault[MF_PROXY_RESOURCES]);
}

/* Messages without end to everybody, in small pieces, so that whoever has begun one would hardly
 * ever be between two: all get on. */
static void test_downloads_take_turns(void **state)
{
	enum { PIECE = 3001, ROUNDS = 200 };
	size_t least = SIZE_MAX, most = 0, at = 0;

	(void)state;
	open_all();
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (size_t left = PIECE, n; left; left -= n, at = (at + n) % sizeof(message)) {
			n = mf_min(left, sizeof(message) - at);
			for (unsigned i = 0; i < USERS; i++)
				fake_give(st[i], message + at, n);
		}
		turn_all();
	}
	for (unsigned i = 0; i < USERS; i++) {
		assert_false(user[i].failed);
		least = mf_min(least, user[i].n_got);
		most = mf_max(most, user[i].n_got);
	}
	print_message("%zu to %zu bytes of %d\n", least, most, ROUNDS * PIECE);
	assert_true(least > most / 2);
}

/* Messages in messages: who holds the beginning of one above is read for below, though that has
 * nothing. */
static void test_downloads_in_two_layers(void **state)
{
	enum { PIECE = 1500, PART = 5000, TIMES = 4 };
	static uint8_t wire[2 * TIMES * (MESSAGE + 20)];
	static struct mf_layer_outbound upper;
	struct mf_outbound *below = top;
	size_t n = 0;

	(void)state;
	mf_codec_layer_init(&upper, &config, &lab.layers, below, &lab.health, "hk", 0);
	top = &upper.out;
	open_all();
	top = below;
	n += toy_message(wire, "Y", 1);
	for (unsigned i = 0; i < TIMES; i++)
		for (size_t at = 0; at < sizeof(message); at += PART)
			n += toy_message(wire + n, message + at, mf_min(sizeof(message) - at, PART));
	for (size_t at = 0; at < n; at += PIECE) {
		for (unsigned i = 0; i < USERS; i++)
			fake_give(st[i], wire + at, mf_min(n - at, PIECE));
		turn_all();
	}
	for (unsigned i = 0; i < 100; i++)
		turn_all();
	assert_int_equal(lab.health.count.failed, 0);
	for (unsigned i = 0; i < USERS; i++) {
		assert_int_equal(user[i].n_got, TIMES * MESSAGE);
		lab_user_fini(&user[i]);
	}
	assert_int_equal(upper.n_streams, 0);
}

/* With hardly any they go one by one. */
static void test_downloads_with_hardly_any_memory(void **state)
{
	enum { FEW = 5 };

	(void)state;
	lab.layers.held[MF_LAYER_TO_READ].max = 16000 + 3000;
	for (unsigned i = 0; i < FEW; i++)
		open_user(i);
	for (size_t at = 0; at < sizeof(message); at += 3001) {
		for (unsigned i = 0; i < FEW; i++)
			fake_give(st[i], message + at, mf_min(sizeof(message) - at, 3001));
		turn_all();
	}
	for (unsigned i = 0; i < 2 * FEW; i++)
		turn_all();
	for (unsigned i = 0; i < FEW; i++)
		assert_int_equal(user[i].n_got, MESSAGE);
}

/* ---- A slow app ------------------------------------------------------------------------------ */

static ptrdiff_t sip(size_t n)
{
	uint8_t b[600];
	struct mf_room v = { b, n };

	return user[0].s.out->ops->stream_read(&user[0].s, &v, 1);
}

/* What it does not read stays below, but for a message and what came with it. */
static void test_a_slow_app_stops_the_server(void **state)
{
	size_t taken = 0;

	(void)state;
	open_user(0);
	for (unsigned i = 0; i < 100; i++)
		fake_give(st[0], message, sizeof(message));
	layerlab_run(&lab);
	for (unsigned i = 0; i < 500; i++) {
		ptrdiff_t got = sip(1 + i % 600);

		assert_true(got > 0);
		taken += (size_t)got;
		assert_true(st[0]->given <= taken + taken / 1000 + 3 * MESSAGE);
		assert_true(mf_layers_held(&lab.layers) <= 4 * MESSAGE);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
	const struct CMUnitTest tests[] = {
		T(test_uploads_wait_for_memory),   T(test_whoever_moves_gets_through),
		T(test_downloads_wait_for_memory), T(test_who_never_ends_makes_room),
		T(test_downloads_in_two_layers),   T(test_downloads_with_hardly_any_memory),
		T(test_downloads_take_turns),      T(test_a_slow_app_stops_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
