/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - SipHash (Aumasson and Bernstein 2012): a short keyed hash for tables that a stranger
 * fills, and for numbers that a stranger must not guess. Any thread.
 */
#ifndef MF_CRYPTO_SIPHASH_H
#define MF_CRYPTO_SIPHASH_H

#include "base/base.h"

enum { MF_SIPHASH_KEY_LEN = 16 };

/* SipHash-2-4 of n bytes at p; the same number on machines of either byte order. */
uint64_t mf_siphash(const uint8_t key[MF_SIPHASH_KEY_LEN], const void *p, size_t n);

/* SipHash-1-3 of the eight bytes of `first`, the lowest first, and n bytes at p. Twice as fast; for
 * tables only, whose hashes nobody sees. */
uint64_t mf_siphash13(const uint8_t key[MF_SIPHASH_KEY_LEN], uint64_t first, const void *p, size_t n);

#endif
