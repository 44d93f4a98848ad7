/* SPDX-License-Identifier: Apache-2.0
 *
 * key - 32-byte keys and their two text forms: base64 as `wg` prints it, lower-case hex as the
 * cross-platform UAPI uses it. Decoding does not branch on the secret.
 */
#ifndef MF_KEY_H
#define MF_KEY_H

#include "base/err.h"

enum { MF_KEY_LEN = 32, MF_KEY_BASE64_STRLEN = 45, MF_KEY_HEX_STRLEN = 65 };

struct mf_key {
	uint8_t b[MF_KEY_LEN];
};

bool mf_key_is_zero(const struct mf_key *k);
MF_MUST_CHECK mf_err mf_key_from_base64(struct mf_key *k, const char *text, size_t n);
MF_MUST_CHECK mf_err mf_key_from_hex(struct mf_key *k, const char *text, size_t n);
void mf_key_to_base64(const struct mf_key *k, char out[MF_KEY_BASE64_STRLEN]);
void mf_key_to_hex(const struct mf_key *k, char out[MF_KEY_HEX_STRLEN]);

#endif
