/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/cookie.h"

#include "crypto/random.h"
#include "crypto/x25519.h"
#include "known.h"
#include "unit.h"

static struct mf_blake2s *h;
static struct mf_wg_cookie_checker checker; /* the responder's */
static struct mf_wg_cookie_maker maker;     /* the initiator's */
static uint8_t msg[148];
static const struct mf_rng rng = { .fill = mf_random_fill };

static struct mf_endpoint endpoint(const char *text)
{
	struct mf_endpoint e;

	assert_int_equal(mf_endpoint_parse(&e, text), MF_OK);
	return e;
}

static int setup(void **state)
{
	struct mf_key pub;

	(void)state;
	h = mf_blake2s_new();
	assert_non_null(h);
	mf_x25519_base(pub.b, known_sr);
	mf_wg_cookie_checker_init(&checker, h, &pub);
	mf_wg_cookie_maker_init(&maker, h, &pub);
	memcpy(msg, known_init, sizeof(msg));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mf_blake2s_free(h);
	return 0;
}

static void fixed_fill(void *ctx, void *out, size_t n)
{
	memcpy(out, n == 32 ? known_secret : known_nonce, n);
	(void)ctx;
}

static void test_known_mac1(void **state)
{
	(void)state;
	assert_true(mf_wg_cookie_mac1_ok(&checker, h, known_init, sizeof(known_init)));
	memset(msg + 116, 0xee, 32);
	mf_wg_cookie_add_macs(&maker, h, 0, msg, sizeof(msg));
	assert_memory_equal(msg, known_init, sizeof(msg)); /* mac2 without a cookie is zero */
	for (size_t at = 0; at < 132; at++) {
		msg[at] ^= 1;
		assert_false(mf_wg_cookie_mac1_ok(&checker, h, msg, sizeof(msg)));
		msg[at] ^= 1;
	}
}

static void test_known_cookie_reply_and_mac2(void **state)
{
	const struct mf_rng fixed = { .fill = fixed_fill };
	struct mf_endpoint from = endpoint("192.0.2.7:51820");
	struct mf_wg_msg_cookie reply;

	(void)state;
	mf_wg_cookie_reply(&checker, h, &fixed, MF_SEC, &from, known_init, sizeof(known_init),
			   &reply);
	assert_memory_equal(&reply, known_reply, sizeof(reply));
	mf_wg_cookie_add_macs(&maker, h, MF_SEC, msg, sizeof(msg));
	assert_true(mf_wg_cookie_consume(&maker, MF_SEC, &reply));
	assert_memory_equal(maker.cookie, known_cookie, sizeof(known_cookie));
	mf_wg_cookie_add_macs(&maker, h, MF_SEC, msg, sizeof(msg));
	assert_memory_equal(msg + 132, known_mac2, sizeof(known_mac2));
	assert_true(mf_wg_cookie_mac2_ok(&checker, h, MF_SEC, &from, msg, sizeof(msg)));
}

/* The cookie is bound to address and port. */
static void test_mac2_depends_on_the_source(void **state)
{
	struct mf_endpoint from = endpoint("192.0.2.7:51820"), port = endpoint("192.0.2.7:51821");
	struct mf_endpoint other = endpoint("192.0.2.8:51820"),
			   six = endpoint("[2001:db8::7]:51820");
	const struct mf_rng fixed = { .fill = fixed_fill };
	struct mf_wg_msg_cookie reply;

	(void)state;
	mf_wg_cookie_add_macs(&maker, h, 0, msg, sizeof(msg));
	mf_wg_cookie_reply(&checker, h, &rng, 0, &from, msg, sizeof(msg), &reply);
	assert_true(mf_wg_cookie_consume(&maker, 0, &reply));
	mf_wg_cookie_add_macs(&maker, h, 0, msg, sizeof(msg));
	assert_true(mf_wg_cookie_mac2_ok(&checker, h, 0, &from, msg, sizeof(msg)));
	assert_false(mf_wg_cookie_mac2_ok(&checker, h, 0, &port, msg, sizeof(msg)));
	assert_false(mf_wg_cookie_mac2_ok(&checker, h, 0, &other, msg, sizeof(msg)));
	assert_false(mf_wg_cookie_mac2_ok(&checker, h, 0, &six, msg, sizeof(msg)));

	checker.has_secret = false;
	mf_wg_cookie_reply(&checker, h, &fixed, 0, &six, msg, sizeof(msg), &reply);
	assert_true(mf_wg_cookie_consume(&maker, 0, &reply));
	assert_memory_equal(maker.cookie, known_cookie6, sizeof(known_cookie6));
}

static void test_ages(void **state)
{
	struct mf_endpoint from = endpoint("192.0.2.7:51820");
	struct mf_wg_msg_cookie reply;
	mf_nsec t = 1000 * MF_SEC;
	uint8_t early[148];

	(void)state;
	mf_wg_cookie_add_macs(&maker, h, t, msg, sizeof(msg));
	mf_wg_cookie_reply(&checker, h, &rng, t, &from, msg, sizeof(msg), &reply);
	assert_true(mf_wg_cookie_consume(&maker, t, &reply));
	/* The maker uses it for 115 s. */
	memcpy(early, msg, sizeof(msg));
	mf_wg_cookie_add_macs(&maker, h, t + 115 * MF_SEC - 1, early, sizeof(early));
	assert_true(mf_wg_cookie_mac2_ok(&checker, h, t + 115 * MF_SEC - 1, &from, early,
					 sizeof(early)));
	mf_wg_cookie_add_macs(&maker, h, t + 115 * MF_SEC, msg, sizeof(msg));
	assert_false(maker.has_cookie);
	/* The checker takes it for 120 s. */
	assert_true(mf_wg_cookie_mac2_ok(&checker, h, t + 120 * MF_SEC - 1, &from, early,
					 sizeof(early)));
	assert_false(mf_wg_cookie_mac2_ok(&checker, h, t + 120 * MF_SEC, &from, early, sizeof(early)));
	/* And the secret is renewed, not used on. */
	mf_wg_cookie_reply(&checker, h, &rng, t + 120 * MF_SEC, &from, msg, sizeof(msg), &reply);
	assert_false(mf_wg_cookie_mac2_ok(&checker, h, t + 120 * MF_SEC, &from, early, sizeof(early)));
}

static void test_only_the_answer_to_our_last_message_counts(void **state)
{
	struct mf_endpoint from = endpoint("192.0.2.7:51820");
	struct mf_wg_msg_cookie first, second, bad;
	uint8_t other[148];

	(void)state;
	memcpy(other, msg, sizeof(other));
	other[8] ^= 1;
	mf_wg_cookie_reply(&checker, h, &rng, 0, &from, known_init, sizeof(known_init), &first);
	assert_false(mf_wg_cookie_consume(&maker, 0, &first)); /* nothing sent yet */
	mf_wg_cookie_add_macs(&maker, h, 0, msg, sizeof(msg));
	mf_wg_cookie_add_macs(&maker, h, 0, other, sizeof(other));
	assert_false(mf_wg_cookie_consume(&maker, 0, &first)); /* that was the one before */
	mf_wg_cookie_reply(&checker, h, &rng, 0, &from, other, sizeof(other), &second);
	for (size_t at = 8; at < sizeof(bad); at++) {
		bad = second;
		((uint8_t *)&bad)[at] ^= 1;
		assert_false(mf_wg_cookie_consume(&maker, 0, &bad));
	}
	assert_true(mf_wg_cookie_consume(&maker, 0, &second));
	assert_false(mf_wg_cookie_consume(&maker, 0, &second)); /* once */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known_mac1, setup, teardown),
		cmocka_unit_test_setup_teardown(test_known_cookie_reply_and_mac2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mac2_depends_on_the_source, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_the_answer_to_our_last_message_counts,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
