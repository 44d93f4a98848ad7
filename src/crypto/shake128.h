/* SPDX-License-Identifier: Apache-2.0
 *
 * shake128 - SHAKE128 (FIPS 202) of a short seed, as a stream that is read little by little: VMess
 * masks the lengths of its chunks with it. No memory is taken. Any thread.
 */
#ifndef MF_CRYPTO_SHAKE128_H
#define MF_CRYPTO_SHAKE128_H

#include "base/base.h"

enum { MF_SHAKE128_STATE = 200, MF_SHAKE128_RATE = 168 };

/* The state of Keccak, of which the first MF_SHAKE128_RATE bytes are the part of the stream that is
 * read now, from `at` on. Wipe it if the seed is secret. */
struct mf_shake128 {
	uint8_t b[MF_SHAKE128_STATE];
	uint8_t at;
};

void mf_shake128_init(struct mf_shake128 *s, const void *seed, size_t n);
/* The next n bytes. */
void mf_shake128_read(struct mf_shake128 *s, void *out, size_t n);

#endif
