/* SPDX-License-Identifier: Apache-2.0
 *
 * What an app is told when a datagram does not arrive: errors from outside, of our own, how many, and what
 * is dropped without a word.
 */
#include "dgramlab.h"

static void test_errors_to_app(void **state)
{
	static const struct {
		uint8_t type4, code4, type6, code6;
		uint32_t mtu;
	} kinds[] = { { 3, 3, 1, 4, 0 },   { 3, 1, 1, 3, 0 },  { 3, 0, 1, 0, 0 },
		      { 3, 13, 1, 1, 0 },  { 11, 0, 3, 0, 0 }, { 3, 4, 2, 0, 1400 },
		      { 3, 4, 2, 0, 1281 } };

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2)
		for (size_t i = 0; i < MF_ARRAY_LEN(kinds); i++) {
			struct mf_endpoint router = lab_server(v, 200, 0);
			struct mf_dgram_error e = {
				.remote = lab_server(v, 3, 33435),
				.offender = router.addr,
				.type = v == 4 ? kinds[i].type4 : kinds[i].type6,
				.code = v == 4 ? kinds[i].code4 : kinds[i].code6,
				.mtu = kinds[i].mtu,
			};
			struct mf_pkt q;

			lab_send(lab_udp(v, 1, 4000, 3, 33435, 12));
			lab_begin();
			fakedgram_error(lab_last(), &e);
			lab_run();
			q = lab_got_error(v, &router.addr, e.type, e.code, e.mtu);
			lab_quotes_udp(&q, v, 1, 4000, 3, 33435);
			lab.now += MF_SEC;
		}
	assert_int_equal(mf_host_counters(lab.h)->icmp_to_app, 14);
}

/* Of our own, or of the machine that the app runs on: the kernel would not believe that such a packet comes
 * from outside. It comes from whom the app spoke to. */
static void test_errors_of_our_own(void **state)
{
	struct mf_host_config cfg = lab_config();
	struct mf_endpoint us = lab_server(4, 77, 0), far = lab_server(4, 3, 9);
	struct mf_dgram_error e = { .remote = far, .type = 3, .code = 1 };

	(void)state;
	cfg.tunnel4 = us.addr;
	mf_host_configure(lab.h, &cfg);
	lab_send(lab_udp(4, 1, 4000, 3, 9, 12));
	for (int i = 0; i < 2; i++) {
		lab_begin();
		fakedgram_error(lab_last(), &e);
		lab_run();
		lab_got_error(4, &far.addr, 3, 1, 0);
		e.offender = us.addr;
	}
	/* Nothing that is no error, nothing of the other family. */
	e.type = 5;
	fakedgram_error(lab_last(), &e);
	e.type = 3;
	e.remote = lab_server(6, 3, 9);
	fakedgram_error(lab_last(), &e);
	lab_begin();
	lab_run();
	assert_int_equal(lab.n_out, 0);
}

static void test_error_rate(void **state)
{
	struct mf_dgram_error e = { .remote = lab_server(4, 3, 9), .type = 3, .code = 3 };

	(void)state;
	lab_send(lab_udp(4, 1, 4000, 3, 9, 12));
	lab_begin();
	for (int i = 0; i < 60; i++) /* more than a turn passes on */
		fakedgram_error(lab_last(), &e);
	lab_run();
	assert_int_equal(lab.n_out, 50);
	for (int i = 0; i < 5; i++)
		fakedgram_error(lab_last(), &e);
	lab_wait(3 * MF_MSEC);
	assert_int_equal(lab.n_out, 3);
}

static void test_drops(void **state)
{
	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 9).addr;
		struct mf_pkt q;

		lab.far.drop = MF_DROP_OUTBOUND_BUSY;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_BUSY], 1);
		assert_int_equal(lab.consumed + lab.n_out, 0);
		/* Nobody says how big it might have been. */
		lab.far.drop = MF_DROP_TOO_BIG;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 1450));
		assert_int_equal(lab.dropped[MF_DROP_TOO_BIG], 1);
		q = lab_got_error(v, &far, v == 4 ? 3 : 2, v == 4 ? 4 : 0, v == 4 ? 576 : 1280);
		lab_quotes_udp(&q, v, 1, 4000, 3, 9);
		/* The outbound says it. */
		lab.far.too_big_told = true;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 1450));
		lab_got_error(v, &far, v == 4 ? 3 : 2, v == 4 ? 4 : 0, 1400);
		lab.far.too_big_told = false;
		lab.far.drop = MF_DROP_NONE;
	}
}

static void test_no_outbound(void **state)
{
	static const struct {
		enum mf_stream_error why;
		uint8_t code4, code6;
	} kinds[] = {
		{ MF_STREAM_E_NO_DEVICE, 0, 0 },   { MF_STREAM_E_NET_UNREACHABLE, 0, 0 },
		{ MF_STREAM_E_PROHIBITED, 13, 1 }, { MF_STREAM_E_UNSUPPORTED, 13, 1 },
		{ MF_STREAM_E_REFUSED, 3, 4 },     { MF_STREAM_E_HOST_UNREACHABLE, 1, 3 },
		{ MF_STREAM_E_OTHER, 1, 3 },
	};

	(void)state;
	for (unsigned v = 4; v <= 6; v += 2) {
		struct mf_addr far = lab_server(v, 3, 9).addr;
		struct mf_pkt q;

		for (size_t i = 0; i < MF_ARRAY_LEN(kinds); i++) {
			uint8_t code = v == 4 ? kinds[i].code4 : kinds[i].code6;

			lab.far.refuse = kinds[i].why;
			lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
			assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
			q = lab_got_error(v, &far, v == 4 ? 3 : 1, code, 0);
			lab_quotes_udp(&q, v, 1, 4000, 3, 9);
			assert_int_equal(mf_host_counters(lab.h)->sessions, 0);
		}
		/* It may work the next time. */
		lab.far.refuse = MF_STREAM_E_NO_RESOURCES;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		assert_int_equal(lab.dropped[MF_DROP_OUTBOUND_DOWN], 1);
		assert_int_equal(lab.n_out, 0);
		lab.hop5 = NULL;
		lab_send(lab_udp(v, 1, 4000, 3, 9, 12));
		lab_got_error(v, &far, v == 4 ? 3 : 1, 0, 0);
		lab.hop5 = &lab.far.out;
	}
	assert_int_equal(lab.far.n_opened, 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, lab_up, lab_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_errors_to_app), test(test_errors_of_our_own), test(test_error_rate),
		test(test_drops),         test(test_no_outbound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
