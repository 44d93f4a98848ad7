/* SPDX-License-Identifier: Apache-2.0
 *
 * password - keys from what people write into a profile. Slow, and none of it for the packet path.
 */
#ifndef MF_CRYPTO_PASSWORD_H
#define MF_CRYPTO_PASSWORD_H

#include "base/base.h"

enum { MF_PASSWORD_KEY_LEN = 32 };

/* The key that OpenSSL's EVP_BytesToKey makes with MD5, one round and no salt; a shorter key is the
 * beginning of it. */
void mf_password_md5(uint8_t out[MF_PASSWORD_KEY_LEN], const char *password);

/* Base64 (RFC 4648 4, with padding, nothing else in between) of exactly `want` bytes, in a time
 * that says nothing of them. False: it is none, or of another length. */
MF_MUST_CHECK bool mf_password_base64(uint8_t *out, size_t want, struct mf_span text);

#endif
