/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 - reads base64 as people paste it (see base64.h).
 */
#include "config/base64.h"

/* The six bits of a character, -1: a blank, -2: none of base64. */
static int bits(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' ? -1 : -2;
}

char *mf_base64_read(struct mf_config_arena *arena, const char *text, size_t n, size_t *out_n)
{
	char *out = mf_config_arena_alloc(arena, n / 4 * 3 + 4);
	size_t len = 0, digits = 0, i = 0;
	uint32_t group = 0;

	if (!out)
		return NULL;
	for (; i < n && text[i] != '='; i++) {
		int b = bits(text[i]);

		if (b == -2)
			return NULL;
		if (b < 0)
			continue;
		group = group << 6 | (uint32_t)b;
		if (digits++ % 4)
			out[len++] = (char)(group >> (6 - 2 * ((digits - 1) % 4)));
	}
	for (; i < n; i++)
		if (text[i] != '=' && bits(text[i]) != -1)
			return NULL;
	out[len] = '\0';
	*out_n = len;
	/* one digit over is not even a byte */
	return digits % 4 != 1 ? out : NULL;
}
