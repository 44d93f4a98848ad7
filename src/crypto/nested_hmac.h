/* SPDX-License-Identifier: Apache-2.0
 *
 * nested_hmac - HMAC over a hash function that is itself HMAC, and so on, with SHA-256 at the
 * bottom: how VMess derives keys. No memory is taken. Any thread.
 */
#ifndef MF_CRYPTO_NESTED_HMAC_H
#define MF_CRYPTO_NESTED_HMAC_H

#include "base/base.h"

enum { MF_NESTED_HMAC_LEN = 32, MF_NESTED_HMAC_KEYS_MAX = 4 };

/* H[n](msg), where H[0] is SHA-256 and H[i] is HMAC (RFC 2104) with key[i - 1] and H[i - 1] for its
 * hash function. n is 1..MF_NESTED_HMAC_KEYS_MAX (asserted). Costs 2^n hashes. */
void mf_nested_hmac(uint8_t out[MF_NESTED_HMAC_LEN], const struct mf_span *key, size_t n,
		    struct mf_span msg);

#endif
