/* SPDX-License-Identifier: Apache-2.0
 *
 * codec - what codecs share: payload that goes as it is.
 */
#include "proto/proxy/codec.h"

size_t mf_codec_gather(const struct mf_span *v, size_t n, uint8_t *out, size_t room)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < room; i++) {
		size_t k = mf_min(v[i].n, room - done);

		if (k)
			memcpy(out + done, v[i].p, k);
		done += k;
	}
	return done;
}

size_t mf_codec_scatter(struct mf_codec_in *in, const struct mf_room *v, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n && in->n; i++) {
		size_t k = mf_min(v[i].n, in->n);

		if (k)
			memcpy(v[i].p, in->p, k);
		mf_codec_skip(in, k);
		done += k;
	}
	return done;
}

void mf_codec_no_keys(struct mf_codec *c)
{
	(void)c;
}
