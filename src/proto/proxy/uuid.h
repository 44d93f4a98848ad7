/* SPDX-License-Identifier: Apache-2.0
 *
 * uuid - RFC 9562, as text and as the 16 bytes that VMess and VLESS take for a password.
 */
#ifndef MF_PROTO_PROXY_UUID_H
#define MF_PROTO_PROXY_UUID_H

#include "base/err.h"

enum { MF_UUID_LEN = 16, MF_UUID_STRLEN = 37 };

/* 8-4-4-4-12 hexadecimal digits, also without dashes. Any other text of 1..30 bytes becomes the
 * version 5 UUID that Xray and mihomo make of it (namespace nil); `*mapped` says so (may be
 * NULL). MF_E_MALFORMED: neither. */
MF_MUST_CHECK mf_err mf_uuid_parse(uint8_t out[MF_UUID_LEN], const char *text, bool *mapped);
char *mf_uuid_format(const uint8_t uuid[MF_UUID_LEN], char out[MF_UUID_STRLEN]);

#endif
