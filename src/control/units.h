/* SPDX-License-Identifier: Apache-2.0
 *
 * units - numbers as people read them in tables. Programs get the raw numbers.
 */
#ifndef MF_UNITS_H
#define MF_UNITS_H

#include "base/base.h"

enum { MF_UNIT_STRLEN = 32 };

/* All of them fill and return `out`. */

/* "0 B", "999 B", "1.43 KiB", "12.0 GiB" */
const char *mf_unit_bytes(uint64_t n, char out[MF_UNIT_STRLEN]);
/* "0", "1 234 567": groups of three from five digits on. */
const char *mf_unit_count(uint64_t n, char out[MF_UNIT_STRLEN]);
/* Bytes a second as "1.2 Gbit/s". */
const char *mf_unit_rate(double bytes_per_second, char out[MF_UNIT_STRLEN]);
/* "85 µs", "4.2 ms", "450 ms", "12 s", "3 min 5 s", "2 h 10 min", "5 d 3 h" */
const char *mf_unit_duration(mf_nsec t, char out[MF_UNIT_STRLEN]);

#endif
