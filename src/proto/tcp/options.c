/* SPDX-License-Identifier: Apache-2.0
 *
 * options - see options.h. Nearly every segment carries timestamps and nothing else, in the one layout
 * that RFC 7323 appendix A recommends: that is one comparison.
 */
#include "proto/tcp/options.h"

enum kind {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_PERMITTED = 4,
	KIND_SACK = 5,
	KIND_TS = 8,
};

enum { MSS_LEN = 4, WSCALE_LEN = 3, SACK_PERMITTED_LEN = 2, TS_LEN = 10, BLOCK_LEN = 8 };

/* NOP, NOP, timestamps of ten bytes. */
#define TS_ALIGNED ((uint32_t)KIND_NOP << 24 | KIND_NOP << 16 | KIND_TS << 8 | TS_LEN)

static void read_ts(struct mf_tcp_options *o, const uint8_t *at)
{
	o->has_ts = true;
	o->ts_val = mf_load_be32(at);
	o->ts_ecr = mf_load_be32(at + 4);
}

static bool read_sack(struct mf_tcp_options *o, const uint8_t *at, size_t n)
{
	if (!n || n % BLOCK_LEN || n / BLOCK_LEN > MF_TCP_SACK_MAX)
		return false;
	o->n_sack = 0;
	for (; n; at += BLOCK_LEN, n -= BLOCK_LEN) {
		struct mf_tcp_range *r = &o->sack[o->n_sack++];

		r->start = mf_load_be32(at);
		r->end = mf_load_be32(at + 4);
	}
	return true;
}

/* One option of `len` bytes, kind and length included; false: a length that this kind never has. */
static bool read_option(struct mf_tcp_options *o, const uint8_t *at, size_t len, bool syn)
{
	switch (at[0]) {
	case KIND_MSS:
		if (len == MSS_LEN && syn)
			o->mss = mf_load_be16(at + 2);
		return len == MSS_LEN;
	case KIND_WSCALE:
		if (len == WSCALE_LEN && syn) {
			/* RFC 7323 2.3: more than 14 is taken for 14. */
			o->wscale = (uint8_t)mf_min(at[2], MF_TCP_WSCALE_MAX);
			o->has_wscale = true;
		}
		return len == WSCALE_LEN;
	case KIND_SACK_PERMITTED:
		if (len == SACK_PERMITTED_LEN && syn)
			o->sack_permitted = true;
		return len == SACK_PERMITTED_LEN;
	case KIND_SACK:
		return read_sack(o, at + 2, len - 2);
	case KIND_TS:
		if (len == TS_LEN)
			read_ts(o, at + 2);
		return len == TS_LEN;
	default:
		return true;
	}
}

mf_err mf_tcp_options_parse(struct mf_tcp_options *o, const struct mf_tcp_hdr *t)
{
	const uint8_t *at = (const uint8_t *)t + sizeof(*t);
	size_t left = mf_tcp_hdr_len(t) - sizeof(*t), len;
	bool syn = t->flags & MF_TCP_SYN;

	*o = (struct mf_tcp_options){ 0 };
	if (MF_LIKELY(left == 2 + TS_LEN && mf_load_be32(at) == TS_ALIGNED)) {
		read_ts(o, at + 4);
		return MF_OK;
	}
	while (left && at[0] != KIND_END) {
		if (at[0] == KIND_NOP) {
			len = 1;
		} else {
			len = left > 1 ? at[1] : 0;
			if (len < 2 || len > left || !read_option(o, at, len, syn))
				return MF_E_MALFORMED;
		}
		at += len;
		left -= len;
	}
	return MF_OK;
}

static uint8_t *put_ts(uint8_t *at, const struct mf_tcp_options *o)
{
	*at++ = KIND_TS;
	*at++ = TS_LEN;
	mf_store_be32(at, o->ts_val);
	mf_store_be32(at + 4, o->ts_ecr);
	return at + 8;
}

static uint8_t *put_nops(uint8_t *at, size_t n)
{
	memset(at, KIND_NOP, n);
	return at + n;
}

static uint8_t *write_syn(uint8_t *at, const struct mf_tcp_options *o)
{
	if (o->mss) {
		*at++ = KIND_MSS;
		*at++ = MSS_LEN;
		mf_store_be16(at, o->mss);
		at += 2;
	}
	/* SACK-permitted is as long as the padding that timestamps need. */
	if (o->sack_permitted) {
		if (!o->has_ts)
			at = put_nops(at, 2);
		*at++ = KIND_SACK_PERMITTED;
		*at++ = SACK_PERMITTED_LEN;
	} else if (o->has_ts) {
		at = put_nops(at, 2);
	}
	if (o->has_ts)
		at = put_ts(at, o);
	if (o->has_wscale) {
		at = put_nops(at, 1);
		*at++ = KIND_WSCALE;
		*at++ = WSCALE_LEN;
		*at++ = o->wscale;
	}
	return at;
}

static uint8_t *write_sack(uint8_t *at, const uint8_t *end, const struct mf_tcp_options *o)
{
	size_t room = (size_t)(end - at) - 4, n = mf_min(o->n_sack, room / BLOCK_LEN);

	at = put_nops(at, 2);
	*at++ = KIND_SACK;
	*at++ = (uint8_t)(2 + n * BLOCK_LEN);
	for (size_t i = 0; i < n; i++, at += BLOCK_LEN) {
		mf_store_be32(at, o->sack[i].start);
		mf_store_be32(at + 4, o->sack[i].end);
	}
	return at;
}

size_t mf_tcp_options_write(uint8_t *out, const struct mf_tcp_options *o, bool syn)
{
	uint8_t *at = out;

	if (syn) {
		at = write_syn(at, o);
	} else {
		if (o->has_ts)
			at = put_ts(put_nops(at, 2), o);
		if (o->n_sack)
			at = write_sack(at, out + MF_TCP_OPTIONS_MAX, o);
	}
	return (size_t)(at - out);
}
