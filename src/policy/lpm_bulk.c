/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk - chooses how to look up many addresses, and the way that every processor can go.
 */
#define LOOKUP4 mf_lpm_lookup4_plain
#define LOOKUP6 mf_lpm_lookup6_plain
#include "policy/lpm_bulk_body.inc.c"

static bool always(void)
{
	return true;
}

#ifdef __x86_64__
static bool has_popcnt(void)
{
	return __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2");
}

/* VPOPCNTDQ came (Ice Lake, Zen 4) when 512 bits no longer cost clock rate. */
static bool has_avx512(void)
{
	return has_popcnt() && __builtin_cpu_supports("avx512vpopcntdq") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512bw");
}
#endif

const struct mf_lpm_bulk mf_lpm_bulk[] = {
#ifdef __x86_64__
	{ "avx512", has_avx512, mf_lpm_lookup4_avx512, mf_lpm_lookup6_popcnt },
	{ "popcnt", has_popcnt, mf_lpm_lookup4_popcnt, mf_lpm_lookup6_popcnt },
#endif
	{ "plain", always, mf_lpm_lookup4_plain, mf_lpm_lookup6_plain },
};
const size_t mf_lpm_bulks = MF_ARRAY_LEN(mf_lpm_bulk);

static const struct mf_lpm_bulk *best(void)
{
	const struct mf_lpm_bulk *b = mf_lpm_bulk;

	while (!b->usable())
		b++;
	return b;
}

void mf_lpm_lookup4_bulk(const struct mf_lpm *t, const uint32_t *addr, uint32_t *out, size_t n)
{
	best()->lookup4(t, addr, out, n);
}

void mf_lpm_lookup6_bulk(const struct mf_lpm *t, const uint8_t (*addr)[16], uint32_t *out, size_t n)
{
	best()->lookup6(t, addr, out, n);
}
