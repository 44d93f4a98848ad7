/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 - see base64.h.
 */
#include "base/base64.h"

#define BOTH "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Three bytes are four characters; of one byte two count, of two bytes three. */
static size_t encode(struct mf_span in, char *out, const char alphabet[64], bool pad)
{
	size_t len = 0;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = mf_min(in.n - i, 3);
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (have > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (have > 2)
			v |= in.p[i + 2];
		for (size_t k = 0; k < 4; k++)
			if (k <= have)
				out[len++] = alphabet[v >> (18 - 6 * k) & 63];
			else if (pad)
				out[len++] = '=';
	}
	return len;
}

size_t mf_base64_encode(struct mf_span in, char *out)
{
	return encode(in, out, BOTH "+/", true);
}

size_t mf_base64url_encode(struct mf_span in, char *out)
{
	return encode(in, out, BOTH "-_", false);
}
