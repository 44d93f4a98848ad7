/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes (the first two: where to cut) as the beginning of a TCP session: however they are cut, the verdict is
 * the same; once there is one it stays, whatever comes after; a name is a host name.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "base/prng.h"
#include "sniffed.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { PIECES = 32 };

static enum mf_sniff_verdict in_pieces(const uint8_t *p, size_t n, struct mf_prng g,
				       struct mf_sniff_name *out)
{
	struct mf_span v[PIECES];
	enum mf_sniff_verdict got;
	size_t k;

	for (k = 0; k < PIECES; k++) {
		size_t piece = k == PIECES - 1 ? n : mf_min(n, mf_prng_below(&g, 40));
		uint8_t *copy = malloc(piece ? piece : 1);

		MF_ASSERT(copy);
		if (piece)
			memcpy(copy, p, piece);
		v[k] = mf_span(copy, piece);
		p += piece;
		n -= piece;
	}
	got = mf_sniff_stream(v, PIECES, out);
	for (k = 0; k < PIECES; k++)
		free((void *)(uintptr_t)v[k].p);
	return got;
}

static bool same(const struct mf_sniff_name *a, const struct mf_sniff_name *b)
{
	return a->n == b->n && !strcmp(a->text, b->text) && a->protocol == b->protocol;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_sniff_name whole, cut, early;
	enum mf_sniff_verdict v, w;
	struct mf_span all;
	struct mf_prng g;

	if (n < 2)
		return 0;
	g.state = mf_load_be16(in);
	all = mf_span(in + 2, n - 2);
	v = mf_sniff_stream(&all, 1, &whole);
	check_sniffed(v, &whole);
	MF_ASSERT(in_pieces(all.p, all.n, g, &cut) == v && same(&whole, &cut));
	w = in_pieces(all.p, mf_prng_below(&g, all.n + 1), g, &early);
	check_sniffed(w, &early);
	MF_ASSERT(w == MF_SNIFF_MORE || (w == v && same(&whole, &early)));
	return 0;
}
