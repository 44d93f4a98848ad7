/* SPDX-License-Identifier: Apache-2.0
 *
 * hkdf_sha1 - HKDF with SHA-1 (RFC 5869) of short input, as Shadowsocks makes a key of it for each
 * session and each datagram (SIP004). No memory is taken. Any thread.
 */
#ifndef MF_CRYPTO_HKDF_SHA1_H
#define MF_CRYPTO_HKDF_SHA1_H

#include "base/base.h"

enum {
	MF_HKDF_SHA1_IKM_MAX = 55,  /* what fits one block of the hash with its padding */
	MF_HKDF_SHA1_SALT_MAX = 64, /* a longer one would be hashed first */
	MF_HKDF_SHA1_INFO_MAX = 34, /* behind 20 bytes, with a byte for the number */
	MF_HKDF_SHA1_OUT_MAX = 255 * 20,
};

/* n bytes from keying material, salt and info; the lengths are asserted, n is at least 1. `out` may
 * be the memory of none of them. */
void mf_hkdf_sha1(uint8_t *out, size_t n, struct mf_span ikm, struct mf_span salt,
		  struct mf_span info);

#endif
