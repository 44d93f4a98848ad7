/* SPDX-License-Identifier: Apache-2.0
 *
 * csum - the Internet checksum (RFC 1071, updates by RFC 1624).
 *
 * A *sum* is a 64-bit accumulator of 16-bit words as they lie in memory (RFC 1071 section 2(B): the
 * byte order of the machine does not matter), so sums of pieces are simply added and a folded sum is
 * stored with a plain 16-bit store. Only the last piece may have an odd length.
 */
#ifndef MF_WIRE_CSUM_H
#define MF_WIRE_CSUM_H

#include "base/base.h"

/* Adds n bytes at any address to a sum. Vectorised, chosen by CPU at the first call. Any thread. */
uint64_t mf_csum_add(const void *p, size_t n, uint64_t sum);

/* The versions behind mf_csum_add, for tests and benchmarks; NULL past the last one that this CPU
 * has. */
struct mf_csum_impl {
	const char *name;
	uint64_t (*add)(const void *p, size_t n, uint64_t sum);
};
const struct mf_csum_impl *mf_csum_impl(unsigned i);

/* Adds a header of n bytes, n even and small (inlined, no dispatch). */
static inline uint64_t mf_csum_add_small(const void *p, size_t n, uint64_t sum)
{
	const uint8_t *b = p;
	uint32_t w;
	uint16_t h;

	for (; n >= 4; b += 4, n -= 4) {
		memcpy(&w, b, 4);
		sum += w;
	}
	if (n >= 2) {
		memcpy(&h, b, 2);
		sum += h;
	}
	return sum;
}

/* Folds to 16 bits, not complemented. */
static inline uint16_t mf_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The value for a checksum field, to be stored as it is (mf_csum_store). */
static inline uint16_t mf_csum_finish(uint64_t sum)
{
	return (uint16_t)~mf_csum_fold(sum);
}

/* UDP writes a computed 0 as 0xffff (RFC 768). */
static inline uint16_t mf_csum_finish_udp(uint64_t sum)
{
	uint16_t c = mf_csum_finish(sum);

	return c ? c : 0xffff;
}

static inline uint16_t mf_csum_load(const void *p)
{
	uint16_t c;

	memcpy(&c, p, 2);
	return c;
}

static inline void mf_csum_store(void *p, uint16_t c)
{
	memcpy(p, &c, 2);
}

/* A host integer as a word of a sum. */
static inline uint16_t mf_csum_word(uint16_t host)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(host);
#else
	return host;
#endif
}

/* Pseudo-headers: RFC 9293 3.1 and RFC 768 for IPv4, RFC 8200 8.1 for IPv6. `addrs` points at the
 * source address with the destination right behind it, as they lie in the IP header. */
static inline uint64_t mf_csum_pseudo4(const void *addrs, uint8_t proto, uint32_t l4_len)
{
	return mf_csum_add_small(addrs, 8,
				 (uint64_t)mf_csum_word(proto) + mf_csum_word((uint16_t)l4_len));
}

static inline uint64_t mf_csum_pseudo6(const void *addrs, uint8_t proto, uint32_t l4_len)
{
	return mf_csum_add_small(addrs, 32,
				 (uint64_t)mf_csum_word(proto) + mf_csum_word((uint16_t)l4_len) +
					 mf_csum_word((uint16_t)(l4_len >> 16)));
}

/* RFC 1624 equation 3: the checksum field after words that summed to `old_sum` have been replaced by
 * words that sum to `new_sum`. */
static inline uint16_t mf_csum_update(uint16_t check, uint64_t old_sum, uint64_t new_sum)
{
	return (uint16_t)~mf_csum_fold((uint64_t)(uint16_t)~check +
				       (uint16_t)~mf_csum_fold(old_sum) + new_sum);
}

#endif
