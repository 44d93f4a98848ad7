/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - SipHash-2-4 is libsodium's; SipHash-1-3, which it has not, stands here.
 */
#include "crypto/siphash.h"
#include "base/endian.h"

#include <sodium.h>

static_assert(crypto_shorthash_siphash24_KEYBYTES == MF_SIPHASH_KEY_LEN, "SipHash key");
static_assert(crypto_shorthash_siphash24_BYTES == sizeof(uint64_t), "SipHash result");

/* Needs no sodium_init: there is one implementation, in plain C. Its result is eight bytes, the
 * lowest first. */
uint64_t mf_siphash(const uint8_t key[MF_SIPHASH_KEY_LEN], const void *p, size_t n)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];

	crypto_shorthash_siphash24(out, p, n, key);
	return mf_load_le64(out);
}

struct sip {
	uint64_t v[4];
};

static inline uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

/* 2.1 of the paper; its figure 2.1 */
static inline void sip_round(struct sip *s)
{
	s->v[0] += s->v[1];
	s->v[2] += s->v[3];
	s->v[1] = rotate(s->v[1], 13) ^ s->v[0];
	s->v[3] = rotate(s->v[3], 16) ^ s->v[2];
	s->v[0] = rotate(s->v[0], 32);
	s->v[2] += s->v[1];
	s->v[0] += s->v[3];
	s->v[1] = rotate(s->v[1], 17) ^ s->v[2];
	s->v[3] = rotate(s->v[3], 21) ^ s->v[0];
	s->v[2] = rotate(s->v[2], 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v[3] ^= m;
	sip_round(s);
	s->v[0] ^= m;
}

/* The n % 8 last of n bytes. */
static inline uint64_t tail(const uint8_t *p, size_t n)
{
	uint64_t m = 0;

	for (size_t i = 0; i < n % 8; i++)
		m |= (uint64_t)p[n - n % 8 + i] << (8 * i);
	return m;
}

uint64_t mf_siphash13(const uint8_t key[MF_SIPHASH_KEY_LEN], uint64_t first, const void *p, size_t n)
{
	uint64_t k0 = mf_load_le64(key), k1 = mf_load_le64(key + 8);
	struct sip s = { { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
			   k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573 } };
	const uint8_t *b = p;

	sip_word(&s, first);
	for (size_t i = 0; i + 8 <= n; i += 8)
		sip_word(&s, mf_load_le64(b + i));
	sip_word(&s, (uint64_t)(sizeof(first) + n) << 56 | tail(b, n));
	s.v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}
