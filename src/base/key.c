/* SPDX-License-Identifier: Apache-2.0
 *
 * Both alphabets are mapped with arithmetic on ranges instead of tables, so that neither the branch
 * predictor nor the cache learns a key.
 */
#include "base/key.h"

enum { BASE64_LEN = MF_KEY_BASE64_STRLEN - 1, HEX_LEN = MF_KEY_HEX_STRLEN - 1 };

/* All ones if lo <= v <= hi, else 0. All three below 2^31. */
static uint32_t between(uint32_t v, uint32_t lo, uint32_t hi)
{
	uint32_t outside = ((v - lo) | (hi - v)) >> 31;

	__asm__("" : "+r"(outside)); /* keeps the compiler from making a branch of it */
	return outside - 1;
}

/* 0..63 for a character of the alphabet, else 64 or more. */
static uint32_t base64_value(char ch)
{
	uint32_t c = (uint8_t)ch;
	uint32_t plus_one = (between(c, 'A', 'Z') & (c - 'A' + 1)) |
			    (between(c, 'a', 'z') & (c - 'a' + 27)) |
			    (between(c, '0', '9') & (c - '0' + 53)) | (between(c, '+', '+') & 63) |
			    (between(c, '/', '/') & 64);

	return plus_one - 1;
}

static char base64_char(uint32_t v)
{
	return (char)((between(v, 0, 25) & (v + 'A')) | (between(v, 26, 51) & (v - 26 + 'a')) |
		      (between(v, 52, 61) & (v - 52 + '0')) | (between(v, 62, 62) & '+') |
		      (between(v, 63, 63) & '/'));
}

static uint32_t hex_value(char ch)
{
	uint32_t c = (uint8_t)ch;
	uint32_t plus_one = (between(c, '0', '9') & (c - '0' + 1)) |
			    (between(c, 'a', 'f') & (c - 'a' + 11)) |
			    (between(c, 'A', 'F') & (c - 'A' + 11));

	return plus_one - 1;
}

static char hex_char(uint32_t v)
{
	return (char)((between(v, 0, 9) & (v + '0')) | (between(v, 10, 15) & (v - 10 + 'a')));
}

/* Whether the text was good is not secret; a half-decoded key must not stay behind. */
static mf_err finish(struct mf_key *k, uint32_t bad)
{
	if (!bad)
		return MF_OK;
	mf_wipe(k, sizeof(*k));
	return MF_E_MALFORMED;
}

bool mf_key_is_zero(const struct mf_key *k)
{
	static const struct mf_key zero;

	return mf_equal_secret(k->b, zero.b, sizeof(zero.b));
}

mf_err mf_key_from_base64(struct mf_key *k, const char *text, size_t n)
{
	uint32_t bits = 0, bad = 0;
	size_t have = 0, out = 0;

	if (n != BASE64_LEN || text[n - 1] != '=')
		return finish(k, 1);
	for (size_t i = 0; i < n - 1; i++) {
		uint32_t v = base64_value(text[i]);

		bad |= v >> 6;
		bits = bits << 6 | (v & 63);
		have += 6;
		if (have >= 8) {
			have -= 8;
			k->b[out++] = (uint8_t)(bits >> have);
		}
	}
	/* 43 characters are two bits more than 32 bytes; a second spelling of a key is no key. */
	bad |= bits & 3;
	return finish(k, bad);
}

mf_err mf_key_from_hex(struct mf_key *k, const char *text, size_t n)
{
	uint32_t bad = 0;

	if (n != HEX_LEN)
		return finish(k, 1);
	for (size_t i = 0; i < MF_KEY_LEN; i++) {
		uint32_t hi = hex_value(text[2 * i]), lo = hex_value(text[2 * i + 1]);

		bad |= (hi | lo) >> 4;
		k->b[i] = (uint8_t)(hi << 4 | (lo & 15));
	}
	return finish(k, bad);
}

void mf_key_to_base64(const struct mf_key *k, char out[MF_KEY_BASE64_STRLEN])
{
	uint32_t bits = 0;
	size_t have = 0, n = 0;

	for (size_t i = 0; i < MF_KEY_LEN; i++) {
		bits = bits << 8 | k->b[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = base64_char(bits >> (have - 6) & 63);
	}
	out[n++] = base64_char(bits << (6 - have) & 63);
	out[n++] = '=';
	out[n] = '\0';
}

void mf_key_to_hex(const struct mf_key *k, char out[MF_KEY_HEX_STRLEN])
{
	for (size_t i = 0; i < MF_KEY_LEN; i++) {
		out[2 * i] = hex_char(k->b[i] >> 4);
		out[2 * i + 1] = hex_char(k->b[i] & 15);
	}
	out[HEX_LEN] = '\0';
}
