/* SPDX-License-Identifier: Apache-2.0
 *
 * blake3 - input is cut into chunks of 1024 bytes, a chunk is a chain of compressions of 64 bytes,
 * and chunks are the leaves of a binary tree. Two chunks at most make that tree a single parent.
 */
#include "crypto/blake3.h"
#include "base/endian.h"

enum { BLOCK = 64, CHUNK = 1024, WORDS = 8, ROUNDS = 7 };
static_assert(MF_BLAKE3_INPUT_MAX == 2 * CHUNK, "two leaves, one parent");

enum flag {
	CHUNK_START = 1,
	CHUNK_END = 2,
	PARENT = 4,
	ROOT = 8,
	DERIVE_CONTEXT = 32,
	DERIVE_MATERIAL = 64,
};

static const uint32_t iv[WORDS] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* ---- The compression function ---------------------------------------------------------------- */

static uint32_t rotate(uint32_t v, unsigned bits)
{
	return v >> bits | v << (32 - bits);
}

static void mix(uint32_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint32_t x, uint32_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 7);
}

/* The columns of the state, then its diagonals. */
static void round_of(uint32_t v[16], const uint32_t m[16])
{
	for (unsigned i = 0; i < 4; i++)
		mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
	for (unsigned i = 0; i < 4; i++)
		mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i],
		    m[8 + 2 * i + 1]);
}

static void permute(uint32_t m[16])
{
	static const uint8_t from[16] = { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 };
	uint32_t old[16];

	memcpy(old, m, sizeof(old));
	for (unsigned i = 0; i < 16; i++)
		m[i] = old[from[i]];
}

/* One block of n bytes into the chaining value; `chunk` is the number of its chunk. */
static void compress(uint32_t cv[WORDS], const uint8_t *block, size_t n, uint64_t chunk,
		     unsigned flags)
{
	uint8_t padded[BLOCK] = { 0 };
	uint32_t m[16],
		v[16] = { [12] = (uint32_t)chunk, (uint32_t)(chunk >> 32), (uint32_t)n, flags };

	if (n)
		memcpy(padded, block, n);
	for (unsigned i = 0; i < 16; i++)
		m[i] = mf_load_le32(padded + 4 * i);
	memcpy(v, cv, WORDS * sizeof(v[0]));
	memcpy(v + WORDS, iv, 4 * sizeof(v[0]));
	for (unsigned i = 0; i < ROUNDS; i++) {
		round_of(v, m);
		permute(m);
	}
	for (unsigned i = 0; i < WORDS; i++)
		cv[i] = v[i] ^ v[WORDS + i];
	mf_wipe(padded, sizeof(padded));
	mf_wipe(m, sizeof(m));
	mf_wipe(v, sizeof(v));
}

/* ---- The tree -------------------------------------------------------------------------------- */

static void store(uint8_t out[MF_BLAKE3_LEN], const uint32_t cv[WORDS])
{
	for (unsigned i = 0; i < WORDS; i++)
		mf_store_le32(out + 4 * i, cv[i]);
}

/* A chunk's chaining value; `root` is ROOT if there is no other chunk. */
static void leaf(uint32_t cv[WORDS], const uint32_t key[WORDS], const uint8_t *in, size_t n,
		 uint64_t chunk, unsigned mode, unsigned root)
{
	unsigned start = CHUNK_START;

	memcpy(cv, key, WORDS * sizeof(cv[0]));
	for (; n > BLOCK; in += BLOCK, n -= BLOCK, start = 0)
		compress(cv, in, BLOCK, chunk, mode | start);
	compress(cv, in, n, chunk, mode | start | CHUNK_END | root);
}

static void hash(uint32_t cv[WORDS], const uint32_t key[WORDS], const uint8_t *in, size_t n,
		 unsigned mode)
{
	uint8_t children[2 * MF_BLAKE3_LEN];

	MF_ASSERT(n <= MF_BLAKE3_INPUT_MAX);
	if (n <= CHUNK) {
		leaf(cv, key, in, n, 0, mode, ROOT);
		return;
	}
	leaf(cv, key, in, CHUNK, 0, mode, 0);
	store(children, cv);
	leaf(cv, key, in + CHUNK, n - CHUNK, 1, mode, 0);
	store(children + MF_BLAKE3_LEN, cv);
	memcpy(cv, key, WORDS * sizeof(cv[0]));
	compress(cv, children, sizeof(children), 0, mode | PARENT | ROOT);
	mf_wipe(children, sizeof(children));
}

void mf_blake3_hash(uint8_t out[MF_BLAKE3_LEN], const void *in, size_t n)
{
	uint32_t cv[WORDS];

	hash(cv, iv, in, n, 0);
	store(out, cv);
	mf_wipe(cv, sizeof(cv));
}

void mf_blake3_derive(uint8_t out[MF_BLAKE3_LEN], const char *context, const void *material, size_t n)
{
	uint32_t key[WORDS], cv[WORDS];

	hash(key, iv, (const uint8_t *)context, strlen(context), DERIVE_CONTEXT);
	hash(cv, key, material, n, DERIVE_MATERIAL);
	store(out, cv);
	mf_wipe(key, sizeof(key));
	mf_wipe(cv, sizeof(cv));
}
