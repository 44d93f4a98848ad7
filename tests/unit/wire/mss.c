/* SPDX-License-Identifier: Apache-2.0
 *
 * A clamped SYN must be what its sender would have made with the smaller MSS, and everything else must be
 * as it was.
 */
#include "wire/mss.h"

#include "packets.h"
#include "unit.h"

static uint8_t payload[100];

/* Options around an MSS of `mss` (0: none), padded to a multiple of 4; returns their length and where the
 * value is. */
static size_t make_options(struct mf_prng *g, uint8_t out[40], uint16_t mss, size_t *value_at)
{
	size_t n = 0, before = mf_prng_below(g, 6);

	memset(out, 0, 40);
	*value_at = 0;
	while (before--) {
		if (mf_prng_below(g, 2)) {
			out[n++] = 1;
			continue;
		}
		out[n] = (uint8_t)(3 + mf_prng_below(g, 5));
		out[n + 1] = (uint8_t)(2 + mf_prng_below(g, 3));
		n += out[n + 1];
	}
	if (mss) {
		out[n] = 2;
		out[n + 1] = 4;
		mf_store_be16(out + n + 2, mss);
		*value_at = n + 2;
		n += 4;
	}
	if (mf_prng_below(g, 2) && n < 39)
		out[n++] = 1;
	return mf_round_up(n, 4);
}

static size_t build(const struct spec *s, const uint8_t *options, size_t n, uint8_t *out)
{
	struct spec with = *s;
	size_t len;

	with.tcp_opts = n;
	len = slow_build(&with, out);
	memcpy(out + slow_ip_len(s) + 20, options, n);
	slow_fill_csums(out, slow_ip_len(s), TCP, len);
	return len;
}

/* One random segment; returns whether it was to be changed. */
static bool one(struct mf_prng *g)
{
	static uint8_t b[400], want[400];
	uint32_t mtu = (uint32_t)(500 + mf_prng_below(g, 8600)), fixed;
	uint16_t mss = mf_prng_below(g, 5) ? (uint16_t)(1 + mf_prng_below(g, 9000)) : 0;
	struct mf_pkt p = { .data = b };
	bool partial = mf_prng_below(g, 3) == 0, lower;
	uint8_t options[40];
	struct spec s;
	size_t at, n;

	random_spec(g, &s);
	s.proto = TCP;
	s.ip_opts = 8 * mf_prng_below(g, 3);
	s.flags = (uint8_t)((mf_prng_below(g, 4) ? SYN : 0) | (mf_prng_below(g, 2) ? ACK : 0));
	s.payload = payload;
	s.n = mf_prng_below(g, sizeof(payload));
	fixed = s.version == 4 ? 40 : 60;
	n = make_options(g, options, mss, &at);
	lower = s.flags & SYN && mss > mtu - fixed;
	p.len = (uint32_t)build(&s, options, n, b);
	if (lower)
		mf_store_be16(options + at, (uint16_t)(mtu - fixed));
	assert_int_equal(build(&s, options, n, want), p.len);
	if (partial) {
		s.tcp_opts = n;
		slow_unfinish_csum(&s, b, p.len);
		slow_unfinish_csum(&s, want, p.len);
		p.flags = MF_PKT_NEEDS_CSUM;
	}
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_int_equal(mf_mss_clamp(&p, mtu), lower);
	assert_memory_equal(b, want, p.len);
	return lower;
}

static void test_as_the_sender_would(void **state)
{
	struct mf_prng g = unit_prng("mss");
	unsigned lowered = 0;

	(void)state;
	mf_prng_fill(&g, payload, sizeof(payload));
	for (int i = 0; i < 20000; i++)
		lowered += one(&g);
	assert_in_range(lowered, 2000, 18000);
}

/* Options of every damaged form in the last bytes of the memory there is: AddressSanitizer watches. */
static void test_damaged_options(void **state)
{
	struct mf_prng g = unit_prng("damaged options");

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct spec s;
		struct mf_pkt p = { 0 };
		size_t n = 4 * mf_prng_below(&g, 11), len;
		uint8_t options[40], buf[200], *exact;

		random_spec(&g, &s);
		s.proto = TCP;
		s.flags = SYN;
		for (size_t k = 0; k < n; k++)
			options[k] = (uint8_t)mf_prng_below(&g, mf_prng_below(&g, 2) ? 6 : 256);
		len = build(&s, options, n, buf);
		/* the length of the header lies, too */
		if (mf_prng_below(&g, 3) == 0)
			buf[slow_ip_len(&s) + 12] = (uint8_t)mf_prng_u64(&g);
		exact = malloc(len);
		memcpy(exact, buf, len);
		p.data = exact;
		p.len = (uint32_t)len;
		assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
		if (!mf_mss_clamp(&p, 1280))
			assert_memory_equal(exact, buf, len);
		free(exact);
	}
}

static void check(const uint8_t *options, size_t n, uint32_t mtu, bool want)
{
	struct spec s = { .version = 4, .proto = TCP, .flags = SYN, .ttl = 64 };
	uint8_t b[120];
	struct mf_pkt p = { .data = b };

	s.src[0] = 10;
	s.dst[0] = 11;
	p.len = (uint32_t)build(&s, options, n, b);
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_int_equal(mf_mss_clamp(&p, mtu), want);
}

static void test_borders(void **state)
{
	static const uint8_t plain[] = { 2, 4, 0x05, 0xb4 },     /* 1460 */
		behind_end[] = { 0, 2, 4, 0x05, 0xb4, 0, 0, 0 }, /* not an option any more */
		wrong_len[] = { 2, 3, 0x05, 0xb4 }, zero[] = { 2, 0, 0x05, 0xb4 },
			     cut[] = { 1, 1, 2, 4 }, too_long[] = { 3, 9, 2, 4, 0x05, 0xb4, 0, 0 };

	(void)state;
	check(plain, sizeof(plain), 1500, false);
	check(plain, sizeof(plain), 1499, true);
	check(plain, sizeof(plain), 41, true);
	check(plain, sizeof(plain), 40, false);
	check(plain, sizeof(plain), 0, false);
	check(behind_end, sizeof(behind_end), 1280, false);
	check(wrong_len, sizeof(wrong_len), 1280, false);
	check(zero, sizeof(zero), 1280, false);
	check(cut, sizeof(cut), 1280, false);
	check(too_long, sizeof(too_long), 1280, false);
}

/* The first fragment of a segment may end inside its header. */
static void test_tiny_fragment(void **state)
{
	struct spec s = { .version = 4, .proto = TCP, .flags = SYN, .ttl = 64, .tcp_opts = 4 };
	uint8_t b[120];
	struct mf_pkt p = { .data = b, .len = 28 };

	(void)state;
	s.src[0] = 10;
	s.dst[0] = 11;
	s.opt_fill = 0x020405b4;
	slow_build(&s, b);
	mf_store_be16(b + 2, 28);
	mf_store_be16(b + 6, 0x2000);
	mf_store_be16(b + 10, 0);
	mf_store_be16(b + 10, slow_finish(slow_sum(b, 20, 0)));
	assert_int_equal(mf_ip_input(&p), MF_DROP_NONE);
	assert_false(mf_mss_clamp(&p, 1280));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_sender_would),
		cmocka_unit_test(test_damaged_options),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_tiny_fragment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
