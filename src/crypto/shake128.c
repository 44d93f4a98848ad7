/* SPDX-License-Identifier: Apache-2.0
 *
 * shake128 - from libtomcrypt: OpenSSL 3.0 gives all of the stream at once and then no more.
 *
 * Its state is a word buffer, the state of Keccak and that state once more as bytes, twice of what
 * a stream in between two reads is made of. There may be ten thousand of them, so we keep the
 * bytes, and put them back when a block has been read, every 168 bytes.
 */
#include "crypto/shake128.h"
#include "base/endian.h"

#include <tomcrypt.h>

enum { BITS = 128, WORD = 8, CAPACITY = (MF_SHAKE128_STATE - MF_SHAKE128_RATE) / WORD };

static_assert(sizeof(((struct sha3_state *)0)->sb) == MF_SHAKE128_STATE, "libtomcrypt's Keccak");
static_assert(MF_SHAKE128_RATE <= UINT8_MAX, "an offset fits a byte");

/* The next block of `h`, of which nothing of the current one is left. */
static void squeeze(struct mf_shake128 *s, hash_state *h)
{
	unsigned char first;

	MF_ASSERT(sha3_shake_done(h, &first, 1) == CRYPT_OK);
	memcpy(s->b, h->sha3.sb, sizeof(s->b));
	s->at = 0;
	mf_wipe(h, sizeof(*h));
}

void mf_shake128_init(struct mf_shake128 *s, const void *seed, size_t n)
{
	hash_state h;

	MF_ASSERT(sha3_shake_init(&h, BITS) == CRYPT_OK);
	MF_ASSERT(h.sha3.capacity_words == CAPACITY);
	MF_ASSERT(sha3_shake_process(&h, seed, n) == CRYPT_OK);
	squeeze(s, &h);
}

static void advance(struct mf_shake128 *s)
{
	hash_state h = {
		.sha3 = { .byte_index = MF_SHAKE128_RATE, .capacity_words = CAPACITY, .xof_flag = 1 }
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(h.sha3.s); i++)
		h.sha3.s[i] = mf_load_le64(s->b + WORD * i);
	squeeze(s, &h);
}

void mf_shake128_read(struct mf_shake128 *s, void *out, size_t n)
{
	uint8_t *p = out;

	for (size_t part; n; p += part, n -= part) {
		if (s->at == MF_SHAKE128_RATE)
			advance(s);
		part = mf_min(n, (size_t)(MF_SHAKE128_RATE - s->at));
		memcpy(p, s->b + s->at, part);
		s->at = (uint8_t)(s->at + part);
	}
}
