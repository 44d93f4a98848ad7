/* SPDX-License-Identifier: Apache-2.0
 *
 * blake3 - as much of BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3: one function,
 * fast everywhere") as Shadowsocks 2022 derives its keys with: the hash and the derivation of keys,
 * of short input and to 32 bytes. Portable code: a key of a session is two compressions. Any
 * thread.
 */
#ifndef MF_CRYPTO_BLAKE3_H
#define MF_CRYPTO_BLAKE3_H

#include "base/base.h"

enum { MF_BLAKE3_LEN = 32, MF_BLAKE3_INPUT_MAX = 2048 };

/* n is at most MF_BLAKE3_INPUT_MAX (asserted), the context's length, too. `out` may be the memory
 * of the input. */
void mf_blake3_hash(uint8_t out[MF_BLAKE3_LEN], const void *in, size_t n);
/* A key from keying material, for the purpose that `context` names. */
void mf_blake3_derive(uint8_t out[MF_BLAKE3_LEN], const char *context, const void *material,
		      size_t n);

#endif
