/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - SipHash-2-4 (Aumasson and Bernstein 2012): a short keyed hash for tables that a stranger
 * fills, and for numbers that a stranger must not guess. Any thread.
 */
#ifndef MF_CRYPTO_SIPHASH_H
#define MF_CRYPTO_SIPHASH_H

#include "base/base.h"

enum { MF_SIPHASH_KEY_LEN = 16 };

/* The hash of n bytes at p; the same number on machines of either byte order. */
uint64_t mf_siphash(const uint8_t key[MF_SIPHASH_KEY_LEN], const void *p, size_t n);

#endif
