/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

void mf_assert_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "mintflow: %s:%d: a bug of ours: %s\n", file, line, expr);
	abort();
}

void mf_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

bool mf_equal_secret(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	__asm__ __volatile__("" : "+r"(diff));
	return diff == 0;
}
