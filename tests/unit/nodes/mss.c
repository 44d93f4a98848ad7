/* SPDX-License-Identifier: Apache-2.0
 *
 * SYNs through a tunnel: each direction's MSS is what the path takes, on the way in as on the way out.
 */
#include "unit.h"

#include "base/endian.h"
#include "support/testnet.h"

enum { SYN = 2, ACK = 16 };

/* A segment with an MSS option and a right checksum, or one that is left to offload. */
static uint32_t segment(uint8_t *out, uint8_t flags, uint16_t mss, bool partial)
{
	uint8_t option[4] = { 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss };
	uint32_t len = testnet_tcp4(out, "10.9.0.1", "10.9.0.2", 5, 6, 1, 2, flags, option, 4), sum;

	/* the option was payload so far */
	out[32] = 0x60;
	sum = (uint16_t)~mf_load_be16(out + 36) + 0x1000u;
	mf_store_be16(out + 36, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	assert_true(testnet_csum_ok(out, len));
	if (partial)
		testnet_unfinish(out, len);
	return len;
}

static void send_and_expect(struct testnet *t, uint8_t flags, uint16_t mss, bool partial,
			    uint16_t want)
{
	uint8_t bytes[100];
	uint32_t len = segment(bytes, flags, mss, partial);
	struct testnet_item *i;

	testnet_app_send(&t->side[0], bytes, len, 0, 0, partial, 20, 16);
	testnet_settle(t);
	i = testnet_app_recv(&t->side[1]);
	assert_non_null(i);
	assert_int_equal(mf_load_be16(i->bytes + 42), want);
	assert_true(testnet_csum_ok(i->bytes, i->len));
	free(i);
	for (unsigned k = 0; k < TESTNET_SIDES; k++)
		assert_true(testnet_balanced(&t->side[k]));
}

/* The smaller MTU is the sender's, or the receiver's. */
static void clamp(uint32_t out_mtu, uint32_t in_mtu, uint16_t want)
{
	struct testnet_options o = { .seed = 1, .mtu = out_mtu };
	struct testnet t;

	testnet_open(&t, &o);
	o.mtu = in_mtu;
	assert_int_equal(testnet_apply(&t, 1, &o, NULL, NULL), MF_OK);
	for (int partial = 0; partial < 2; partial++) {
		send_and_expect(&t, SYN, 8960, partial, want);
		send_and_expect(&t, SYN | ACK, 8960, partial, want);
		send_and_expect(&t, SYN, 500, partial, 500);
		send_and_expect(&t, ACK, 8960, partial, 8960);
	}
	testnet_close(&t);
}

static void test_way_out(void **state)
{
	(void)state;
	clamp(1280, 1400, 1240);
}

static void test_way_in(void **state)
{
	(void)state;
	clamp(1400, 1280, 1240);
}

/* The interface would take more than the TUN does, which has the default. */
static void test_tun_is_the_narrow_place(void **state)
{
	(void)state;
	clamp(9000, 9000, 1380);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_way_out),
		cmocka_unit_test(test_way_in),
		cmocka_unit_test(test_tun_is_the_narrow_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
