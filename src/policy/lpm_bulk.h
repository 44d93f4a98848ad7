/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk - the ways to look up many addresses; mf_lpm_lookup4_bulk and 6_bulk take the first that
 * the processor can do. Tests try each.
 */
#ifndef MF_LPM_BULK_H
#define MF_LPM_BULK_H

#include "policy/lpm.h"

struct mf_lpm_bulk {
	const char *name;
	bool (*usable)(void);
	void (*lookup4)(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n);
	void (*lookup6)(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n);
};

/* Best first; the last is always usable. */
extern const struct mf_lpm_bulk mf_lpm_bulk[];
extern const size_t mf_lpm_bulks;

void mf_lpm_lookup4_plain(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n);
void mf_lpm_lookup6_plain(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n);
#ifdef __x86_64__
void mf_lpm_lookup4_popcnt(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n);
void mf_lpm_lookup6_popcnt(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out,
			   size_t n);
void mf_lpm_lookup4_avx512(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n);
#endif

#endif
