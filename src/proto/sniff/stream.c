/* SPDX-License-Identifier: Apache-2.0
 *
 * stream - the first bytes of a stream: which protocol they are, and how they are read where they lie.
 */
#include "proto/sniff/internal.h"

struct mf_pieces mf_pieces(const struct mf_span *v, size_t n, size_t max)
{
	struct mf_pieces p = { .v = v };

	for (size_t i = 0; i < n && p.left < max; i++)
		p.left += mf_min(v[i].n, max - p.left);
	return p;
}

bool mf_pieces_take(struct mf_pieces *p, void *to, size_t n)
{
	uint8_t *o = to;
	bool all = n <= p->left;

	n = mf_min(n, p->left);
	p->left -= n;
	while (n) {
		size_t k = mf_min(n, p->v->n - p->at);

		if (o && k) {
			memcpy(o, p->v->p + p->at, k);
			o += k;
		}
		n -= k;
		p->at += k;
		if (p->at == p->v->n) {
			p->v++;
			p->at = 0;
		}
	}
	return all;
}

int mf_pieces_byte(struct mf_pieces *p)
{
	uint8_t b;

	return mf_pieces_take(p, &b, 1) ? b : -1;
}

enum mf_sniff_verdict mf_sniff_stream(const struct mf_span *v, size_t n, struct mf_sniff_name *out)
{
	struct mf_pieces in = mf_pieces(v, n, MF_SNIFF_STREAM_MAX), look = in;
	int first = mf_pieces_byte(&look);
	enum mf_sniff_verdict verdict = MF_SNIFF_NONE;

	*out = (struct mf_sniff_name){ 0 };
	if (first < 0)
		return MF_SNIFF_MORE;
	if (first == 22)
		verdict = mf_sniff_tls(in, out);
	else if (first >= 'A' && first <= 'Z')
		verdict = mf_sniff_http(in, out);
	/* No more is looked at. */
	if (verdict == MF_SNIFF_MORE && in.left == MF_SNIFF_STREAM_MAX)
		verdict = MF_SNIFF_NONE;
	return verdict;
}
