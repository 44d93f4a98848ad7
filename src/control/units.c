/* SPDX-License-Identifier: Apache-2.0 */
#include "control/units.h"

#include <inttypes.h>
#include <stdio.h>

/* Three digits of a value in the largest of the units that keeps it at 1 or more. */
static const char *scaled(double v, double step, const char *const *unit, size_t n_units,
			  char out[MF_UNIT_STRLEN])
{
	size_t u = 0;

	/* 999.5 would be printed as 1000. */
	while (u + 1 < n_units && v >= (u ? 999.5 : step)) {
		v /= step;
		u++;
	}
	snprintf(out, MF_UNIT_STRLEN, "%.*f %s",
		 !u || v >= 99.95 ? 0
		 : v >= 9.995     ? 1
				  : 2,
		 v, unit[u]);
	return out;
}

const char *mf_unit_bytes(uint64_t n, char out[MF_UNIT_STRLEN])
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };

	return scaled((double)n, 1024, unit, MF_ARRAY_LEN(unit), out);
}

const char *mf_unit_rate(double bytes_per_second, char out[MF_UNIT_STRLEN])
{
	static const char *const unit[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };

	return scaled(bytes_per_second * 8, 1000, unit, MF_ARRAY_LEN(unit), out);
}

const char *mf_unit_count(uint64_t n, char out[MF_UNIT_STRLEN])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i && len >= 5 && (len - i) % 3 == 0)
			*to++ = ' ';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

const char *mf_unit_duration(mf_nsec t, char out[MF_UNIT_STRLEN])
{
	static const struct {
		uint64_t seconds, smaller;
		const char *unit, *smaller_unit;
	} scale[] = {
		{ 86400, 3600, "d", "h" },
		{ 3600, 60, "h", "min" },
		{ 60, 1, "min", "s" },
	};
	uint64_t s = t / MF_SEC;

	for (size_t i = 0; i < MF_ARRAY_LEN(scale); i++)
		if (s >= scale[i].seconds) {
			snprintf(out, MF_UNIT_STRLEN, "%" PRIu64 " %s %" PRIu64 " %s",
				 s / scale[i].seconds, scale[i].unit,
				 s % scale[i].seconds / scale[i].smaller, scale[i].smaller_unit);
			return out;
		}
	if (s)
		snprintf(out, MF_UNIT_STRLEN, "%" PRIu64 " s", s);
	else if (t && t < MF_MSEC)
		snprintf(out, MF_UNIT_STRLEN, "%" PRIu64 " \u00b5s", (uint64_t)(t / 1000));
	else if (t && t < 10 * MF_MSEC)
		snprintf(out, MF_UNIT_STRLEN, "%.1f ms", (double)t / (double)MF_MSEC);
	else
		snprintf(out, MF_UNIT_STRLEN, "%" PRIu64 " ms", (uint64_t)(t / MF_MSEC));
	return out;
}
