/* SPDX-License-Identifier: Apache-2.0
 *
 * fix_ip4 - makes the header checksum of fuzzed bytes right where they can be an IPv4 packet, because
 * no fuzzer finds a checksum by itself and everything worth testing lies behind it.
 */
#ifndef MF_FUZZ_FIX_IP4_H
#define MF_FUZZ_FIX_IP4_H

#include "wire/csum.h"

static inline void fix_ip4(uint8_t *b, size_t n)
{
	size_t ihl = n ? (size_t)(b[0] & 15) * 4 : 0;

	if (n < 20 || b[0] >> 4 != 4 || ihl < 20 || ihl > n)
		return;
	mf_csum_store(b + 10, 0);
	mf_csum_store(b + 10, mf_csum_finish(mf_csum_add(b, ihl, 0)));
}

#endif
