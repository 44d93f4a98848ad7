/* SPDX-License-Identifier: Apache-2.0
 *
 * siphash - libsodium's; its result is eight bytes, the lowest first.
 */
#include "crypto/siphash.h"
#include "base/endian.h"

#include <sodium.h>

static_assert(crypto_shorthash_siphash24_KEYBYTES == MF_SIPHASH_KEY_LEN, "SipHash key");
static_assert(crypto_shorthash_siphash24_BYTES == sizeof(uint64_t), "SipHash result");

/* Needs no sodium_init: there is one implementation, in plain C. */
uint64_t mf_siphash(const uint8_t key[MF_SIPHASH_KEY_LEN], const void *p, size_t n)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];

	crypto_shorthash_siphash24(out, p, n, key);
	return mf_load_le64(out);
}
