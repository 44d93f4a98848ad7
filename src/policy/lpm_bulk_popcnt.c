/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_bulk_popcnt - the bulk lookups for x86 with POPCNT and BMI2; the build gives this file the flags.
 */
#define LOOKUP4 mf_lpm_lookup4_popcnt
#define LOOKUP6 mf_lpm_lookup6_popcnt
#include "policy/lpm_bulk_body.inc.c"
