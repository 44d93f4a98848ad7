/* SPDX-License-Identifier: Apache-2.0
 *
 * sniff_test - what the tests of sniffers share: verdicts by name, and streams in pieces.
 */
#ifndef MF_SNIFF_TEST_H
#define MF_SNIFF_TEST_H

#include "proto/sniff/sniff.h"
#include "unit.h"

/* `name` "": none. */
static inline void expect(enum mf_sniff_verdict got, const struct mf_sniff_name *n,
			  enum mf_sniff_verdict want, const char *name, const char *protocol)
{
	assert_int_equal(got, want);
	assert_string_equal(n->text, name);
	assert_int_equal(n->n, strlen(name));
	if (got == MF_SNIFF_NAME || got == MF_SNIFF_HIDDEN)
		assert_string_equal(n->protocol, protocol);
	else
		assert_null(n->protocol);
}

/* The first n bytes, each piece in memory of its own size, so that reading beyond one is noticed. */
static inline enum mf_sniff_verdict sniff_pieces(const uint8_t *p, size_t n, struct mf_prng *g,
						 size_t max_piece, struct mf_sniff_name *out)
{
	struct mf_span v[64] = { 0 };
	enum mf_sniff_verdict got;
	size_t k = 0;

	while (n) {
		size_t piece = k == MF_ARRAY_LEN(v) - 1 ? n : mf_prng_below(g, max_piece + 1);
		uint8_t *copy;

		piece = mf_min(piece, n);
		copy = malloc(piece ? piece : 1);
		memcpy(copy, p, piece);
		v[k++] = mf_span(copy, piece);
		p += piece;
		n -= piece;
	}
	got = mf_sniff_stream(v, k, out);
	while (k)
		free((void *)(uintptr_t)v[--k].p);
	return got;
}

/* The verdict on all of it; on every beginning of it it is MORE, however it is cut, until there is one, and
 * then that one. */
static inline void expect_stream(const void *stream, size_t n, enum mf_sniff_verdict want,
				 const char *name, const char *protocol)
{
	struct mf_prng g = { .state = n };
	struct mf_sniff_name out;
	bool decided = false;

	for (size_t i = 0; i <= n; i++) {
		enum mf_sniff_verdict got = sniff_pieces(stream, i, &g, i % 3 ? 300 : 5, &out);

		if (got == MF_SNIFF_MORE) {
			assert_false(decided);
			assert_int_equal(out.n, 0);
			continue;
		}
		decided = true;
		expect(got, &out, want, name, protocol);
	}
	assert_int_equal(decided, want != MF_SNIFF_MORE);
}

#endif
