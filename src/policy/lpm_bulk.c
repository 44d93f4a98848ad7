/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk - many lookups at a time.
 */
#include "policy/lpm.h"

void mf_lpm_lookup4_bulk(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = mf_lpm_lookup4(t, addr[i]);
}

void mf_lpm_lookup6_bulk(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = mf_lpm_lookup6(t, addr[i]);
}
