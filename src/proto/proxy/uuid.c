/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proxy/uuid.h"

#include <stdio.h>

#include "crypto/digest.h"

enum {
	TEXT_LEN = MF_UUID_STRLEN - 1,
	BARE_LEN = 2 * MF_UUID_LEN,
	MAPPED_MAX = 30, /* longer texts are mistyped UUIDs */
};

/* 16 and more: none. */
static unsigned hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

static bool dash_at(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

/* n is TEXT_LEN or BARE_LEN. */
static bool read(uint8_t out[MF_UUID_LEN], const char *text, size_t n)
{
	size_t digit = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned v = hex_value(text[i]);

		if (n == TEXT_LEN && dash_at(i)) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (v > 15)
			return false;
		out[digit / 2] = (uint8_t)(digit % 2 ? out[digit / 2] | v : v << 4);
		digit++;
	}
	return true;
}

/* RFC 9562 5.5: SHA-1 of the namespace and the name, cut; with version and variant. */
static void map(uint8_t out[MF_UUID_LEN], const char *text, size_t n)
{
	static const uint8_t nil[MF_UUID_LEN];
	const struct mf_span v[] = { mf_span(nil, sizeof(nil)), mf_span(text, n) };
	uint8_t hash[MF_DIGEST_MAX];

	mf_digest(MF_SHA1, v, MF_ARRAY_LEN(v), hash);
	memcpy(out, hash, MF_UUID_LEN);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x50);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
	mf_wipe(hash, sizeof(hash));
}

mf_err mf_uuid_parse(uint8_t out[MF_UUID_LEN], const char *text, bool *mapped)
{
	size_t n = strlen(text);
	bool mapping = n && n <= MAPPED_MAX;

	if (mapped)
		*mapped = mapping;
	if (mapping) {
		map(out, text, n);
		return MF_OK;
	}
	if ((n == TEXT_LEN || n == BARE_LEN) && read(out, text, n))
		return MF_OK;
	mf_wipe(out, MF_UUID_LEN);
	return MF_E_MALFORMED;
}

char *mf_uuid_format(const uint8_t uuid[MF_UUID_LEN], char out[MF_UUID_STRLEN])
{
	char *p = out;

	for (size_t i = 0; i < MF_UUID_LEN; i++) {
		if (dash_at((size_t)(p - out)))
			*p++ = '-';
		snprintf(p, 3, "%02x", uuid[i]);
		p += 2;
	}
	return out;
}
