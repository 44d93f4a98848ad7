/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher - test cases 3, 4 and 16 of "The Galois/Counter Mode of Operation (GCM)" (McGrew and Viega
 * 2004), RFC 8439 2.8.2, FIPS 197 C.1 and C.3, and RFC 9001 A.2; messages in pieces against the
 * same in one piece; wrong tags; keys that take turns.
 */
#include "vectors.h"

#include "crypto/aead.h"
#include "crypto/cipher.h"
#include "unit.h"

enum { LONG = 20000, PIECES = 12 };

static struct mf_cipher *c;
static const struct mf_span no_aad;

static size_t seal(const struct mf_cipher_key *k, const uint8_t *nonce, struct mf_span aad,
		   const uint8_t *p, size_t n, uint8_t *out)
{
	struct mf_span v = mf_span(p, n);

	mf_cipher_seal(c, k, nonce, aad, &v, 1, out);
	return n + MF_CIPHER_TAG_LEN;
}

static bool unseal(const struct mf_cipher_key *k, const uint8_t *nonce, struct mf_span aad,
		   const uint8_t *p, size_t n, uint8_t *out)
{
	struct mf_room r = { out, n < MF_CIPHER_TAG_LEN ? 0 : n - MF_CIPHER_TAG_LEN };

	return mf_cipher_open(c, k, nonce, aad, p, n, &r, 1);
}

static struct mf_cipher_key key_of(struct mf_prng *g, enum mf_cipher_alg alg, bool once)
{
	uint8_t b[MF_CIPHER_KEY_MAX];
	struct mf_cipher_key k;

	fill(g, b, sizeof(b));
	(once ? mf_cipher_key_init_once : mf_cipher_key_init)(&k, alg, b);
	return k;
}

/* ---- Known answers --------------------------------------------------------------------------- */

#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_IV  "cafebabefacedbaddecaf888"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_PLAIN                                                          \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_SEALED                                                         \
	"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" \
	"21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"

static const struct {
	enum mf_cipher_alg alg;
	const char *key, *nonce, *aad, *plain, *sealed;
} answers[] = {
	{ MF_AES_128_GCM, GCM_KEY, GCM_IV, "", GCM_PLAIN "1aafd255",
	  GCM_SEALED "473f5985"
		     "4d5c2af327cd64a62cf35abd2ba6fab4" },
	{ MF_AES_128_GCM, GCM_KEY, GCM_IV, GCM_AAD, GCM_PLAIN,
	  GCM_SEALED "5bc94fbc3221a5db94fae95ae7121a47" },
	{ MF_AES_256_GCM, GCM_KEY GCM_KEY, GCM_IV, GCM_AAD, GCM_PLAIN,
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
	{ MF_CHACHA20_POLY1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	  "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	  "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
	  "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
	  "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
	  "637265656e20776f756c642062652069742e",
	  "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
	  "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
	  "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
	  "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691" },
};

static void known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(answers); i++) {
		uint8_t key[32], nonce[12], aad[32], b[256], again[256];
		size_t n = from_hex(b, sizeof(b), answers[i].plain);
		struct mf_span a = mf_span(aad, from_hex(aad, sizeof(aad), answers[i].aad));
		struct mf_cipher_key k;

		assert_int_equal(from_hex(key, sizeof(key), answers[i].key),
				 mf_cipher_key_len(answers[i].alg));
		from_hex(nonce, sizeof(nonce), answers[i].nonce);
		mf_cipher_key_init(&k, answers[i].alg, key);
		n = seal(&k, nonce, a, b, n, b);
		assert_int_equal(n, strlen(answers[i].sealed) / 2);
		assert_hex(b, answers[i].sealed);
		assert_true(unseal(&k, nonce, a, b, n, again));
		assert_hex(again, answers[i].plain);
		assert_true(unseal(&k, nonce, a, b, n, b));
		assert_hex(b, answers[i].plain);
	}
}

/* Messages that are too long for libsodium's part, against libsodium. */
static void long_chacha(void **state)
{
	static uint8_t plain[LONG], got[LONG + 16], want[LONG + 16];
	struct mf_prng g = seeded();

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct mf_cipher_key k = key_of(&g, MF_CHACHA20_POLY1305, i % 2);
		size_t n = mf_prng_below(&g, i < 100 ? 2000 : LONG);
		uint8_t nonce[12] = { [4] = (uint8_t)i };

		fill(&g, plain, n);
		mf_aead_seal_aad(k.b, i, plain, 5, plain, n, want);
		seal(&k, nonce, mf_span(plain, 5), plain, n, got);
		assert_memory_equal(got, want, n + 16);
	}
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Lengths that add up to n; some are zero. */
static size_t cut(struct mf_prng *g, size_t n, size_t part[PIECES])
{
	size_t pieces = 1 + mf_prng_below(g, PIECES);

	for (size_t i = 0; i < pieces; i++) {
		part[i] = i + 1 == pieces ? n : mf_prng_below(g, n + 1);
		n -= part[i];
	}
	return pieces;
}

static void gather(void **state)
{
	static uint8_t plain[LONG], whole[LONG + 16], pieces[LONG + 16];
	struct mf_prng g = seeded();
	uint8_t nonce[12] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		struct mf_cipher_key k = key_of(&g, i % MF_CIPHER_ALGS, false);
		size_t n = mf_prng_below(&g, i % 2 ? 1500 : LONG), part[PIECES], at = 0;
		size_t n_parts = cut(&g, n, part);
		struct mf_span v[PIECES];

		nonce[11] = (uint8_t)i;
		fill(&g, plain, n);
		for (size_t j = 0; j < n_parts; at += part[j++])
			v[j] = mf_span(part[j] ? plain + at : NULL, part[j]);
		seal(&k, nonce, mf_span(nonce, i % 12), plain, n, whole);
		mf_cipher_seal(c, &k, nonce, mf_span(nonce, i % 12), v, n_parts, pieces);
		assert_memory_equal(pieces, whole, n + 16);
	}
}

/* The rooms have more space than is due; some lie where their part of the message does. */
static void scatter(void **state)
{
	static uint8_t plain[LONG], sealed[LONG + 16], elsewhere[LONG + 8];
	struct mf_prng g = seeded();
	uint8_t nonce[12] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 600; i++) {
		struct mf_cipher_key k = key_of(&g, i % MF_CIPHER_ALGS, false);
		size_t n = mf_prng_below(&g, i % 2 ? 1500 : LONG), part[PIECES], at = 0;
		size_t n_parts = cut(&g, n, part);
		struct mf_room v[PIECES];

		fill(&g, plain, n);
		seal(&k, nonce, no_aad, plain, n, sealed);
		memset(elsewhere, 0xa5, sizeof(elsewhere));
		for (size_t j = 0; j < n_parts; at += part[j++])
			v[j] = (struct mf_room){ (j % 3 == 1 ? sealed : elsewhere) + at, part[j] };
		v[n_parts - 1].n += 8;
		assert_true(mf_cipher_open(c, &k, nonce, no_aad, sealed, n + 16, v, n_parts));
		at = 0;
		for (size_t j = 0; j < n_parts; at += part[j++])
			assert_memory_equal(v[j].p, plain + at, part[j]);
		if ((n_parts - 1) % 3 != 1)
			for (size_t j = n; j < n + 8; j++)
				assert_int_equal(elsewhere[j], 0xa5);
	}
}

static void too_little_room(void *arg)
{
	const struct mf_cipher_key *k = arg;
	uint8_t nonce[12] = { 0 }, b[2000 + 16] = { 0 }, out[1999];
	struct mf_room v[] = { { out, 1000 }, { out + 1000, 999 } };

	seal(k, nonce, no_aad, b, 2000, b);
	assert_false(mf_cipher_open(c, k, nonce, no_aad, b, sizeof(b), v, 2));
}

static void room_is_asserted(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (unsigned alg = 0; alg < MF_CIPHER_ALGS; alg++) {
		struct mf_cipher_key k = key_of(&g, alg, false);

		assert_true(unit_aborts(too_little_room, &k));
	}
}

/* ---- Forgeries ------------------------------------------------------------------------------- */

static void assert_refused(const struct mf_cipher_key *k, const uint8_t *nonce, struct mf_span aad,
			   const uint8_t *b, size_t n)
{
	static const uint8_t zero[LONG];
	uint8_t out[1000];
	struct mf_room v[] = { { out, 7 }, { out + 7, 0 }, { out + 7, sizeof(out) - 7 } };

	memset(out, 0xa5, sizeof(out));
	assert_false(mf_cipher_open(c, k, nonce, aad, b, n, v, 3));
	if (n > MF_CIPHER_TAG_LEN)
		assert_memory_equal(out, zero, n - MF_CIPHER_TAG_LEN);
}

/* Every bit counts: of text, tag, associated data and nonce; and nothing of the text stays
 * behind. */
static void forge(enum mf_cipher_alg alg, size_t plain)
{
	uint8_t nonce[12] = { 1 }, aad[20] = { 2 }, b[1000], secret[32] = { 9 };
	size_t n = plain + MF_CIPHER_TAG_LEN;
	struct mf_room parts[] = { { nonce, sizeof(nonce) }, { aad, sizeof(aad) }, { b, n } };
	struct mf_span a = mf_span(aad, sizeof(aad));
	struct mf_cipher_key k;

	mf_cipher_key_init(&k, alg, secret);
	pattern(b, plain, 3);
	seal(&k, nonce, a, b, plain, b);
	for (size_t i = 0; i < MF_ARRAY_LEN(parts); i++)
		for (size_t bit = 0; bit < 8 * parts[i].n; bit++) {
			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_refused(&k, nonce, a, b, n);
			parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	for (size_t shorter = 0; shorter < n; shorter++)
		assert_refused(&k, nonce, a, b, shorter);
	assert_true(unseal(&k, nonce, a, b, n, b));
}

static void forgeries(void **state)
{
	(void)state;
	for (unsigned alg = 0; alg < MF_CIPHER_ALGS; alg++) {
		forge(alg, 0);
		forge(alg, 50);
		forge(alg, 900);
	}
}

/* In place, too. */
static void wiped_in_place(void **state)
{
	static const uint8_t zero[2000];
	uint8_t b[2000 + 16], nonce[12] = { 0 };
	struct mf_prng g = seeded();

	(void)state;
	for (unsigned i = 0; i < 2 * MF_CIPHER_ALGS; i++) {
		struct mf_cipher_key k = key_of(&g, i / 2, false);
		size_t n = i % 2 ? 2000 : 30;

		fill(&g, b, n);
		seal(&k, nonce, no_aad, b, n, b);
		b[n] ^= 1;
		assert_false(unseal(&k, nonce, no_aad, b, n + 16, b));
		assert_memory_equal(b, zero, n);
	}
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Whichever key the context has seen before, and whatever became of it: as with a context of
 * one's own. */
static void keys_take_turns(void **state)
{
	struct mf_cipher_key keys[9];
	struct mf_prng g = seeded();
	uint8_t nonce[12] = { 0 }, plain[100], got[116], want[116];
	struct mf_cipher *shared = c;

	(void)state;
	for (unsigned i = 0; i < MF_ARRAY_LEN(keys); i++)
		keys[i] = key_of(&g, i % MF_CIPHER_ALGS, i >= 6);
	fill(&g, plain, sizeof(plain));
	for (unsigned i = 0; i < 300; i++) {
		const struct mf_cipher_key *k = &keys[mf_prng_below(&g, MF_ARRAY_LEN(keys))];

		nonce[0] = (uint8_t)i;
		c = mf_cipher_new();
		assert_non_null(c);
		seal(k, nonce, no_aad, plain, sizeof(plain), want);
		mf_cipher_free(c);
		c = shared;
		seal(k, nonce, no_aad, plain, sizeof(plain), got);
		assert_memory_equal(got, want, sizeof(want));
		if (i % 3 == 0)
			got[i % sizeof(got)] ^= 0x10;
		assert_int_equal(unseal(k, nonce, no_aad, got, sizeof(got), got), i % 3 != 0);
	}
}

static void serials(void **state)
{
	struct mf_cipher_key a, b, once;
	uint8_t bytes[32] = { 7 }, zero[sizeof(struct mf_cipher_key)] = { 0 };

	(void)state;
	mf_cipher_key_init(&a, MF_AES_256_GCM, bytes);
	mf_cipher_key_init(&b, MF_AES_256_GCM, bytes);
	mf_cipher_key_init_once(&once, MF_AES_256_GCM, bytes);
	assert_true(a.serial && b.serial && a.serial != b.serial && !once.serial);
	mf_cipher_key_wipe(&a);
	assert_memory_equal(&a, zero, sizeof(a));
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static void blocks(void **state)
{
	static const char plain[] = "00112233445566778899aabbccddeeff";
	static const char *const sealed[] = {
		[MF_AES_128_GCM] = "69c4e0d86a7b0430d8cdb78070b4c55a",
		[MF_AES_256_GCM] = "8ea2b7ca516745bfeafc49904b496089",
	};
	uint8_t bytes[32], b[16];
	struct mf_prng g = seeded();

	(void)state;
	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	from_hex(b, sizeof(b), plain);
	for (unsigned i = 0; i < 8; i++) {
		enum mf_cipher_alg alg = i / 4 ? MF_AES_256_GCM : MF_AES_128_GCM;
		struct mf_cipher_key k, other = key_of(&g, alg, i % 2);
		uint8_t x[16] = { 1 }, y[16];

		(i & 2 ? mf_cipher_key_init_once : mf_cipher_key_init)(&k, alg, bytes);
		for (unsigned again = 0; again < 2; again++) {
			mf_cipher_block_encrypt(c, &k, b, b);
			assert_hex(b, sealed[alg]);
			mf_cipher_block_encrypt(c, &other, x, y);
			assert_memory_not_equal(x, y, sizeof(x));
			mf_cipher_block_decrypt(c, &other, y, y);
			assert_memory_equal(x, y, sizeof(x));
			mf_cipher_block_decrypt(c, &k, b, b);
			assert_hex(b, plain);
		}
	}
}

/* Header protection of QUIC: RFC 9001 A.2. */
static void quic_mask(void **state)
{
	uint8_t key[16], b[16];
	struct mf_cipher_key k;

	(void)state;
	from_hex(key, sizeof(key), "9f50449e04a0e810283a1e9933adedd2");
	from_hex(b, sizeof(b), "d1b1c98dd7689fb8ec11d242b123dc9b");
	mf_cipher_key_init(&k, MF_AES_128_GCM, key);
	mf_cipher_block_encrypt(c, &k, b, b);
	assert_hex(b, "437b9aec36");
}

static int setup(void **state)
{
	(void)state;
	c = mf_cipher_new();
	return c ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_cipher_free(c);
	mf_cipher_free(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),    cmocka_unit_test(long_chacha),
		cmocka_unit_test(gather),           cmocka_unit_test(scatter),
		cmocka_unit_test(room_is_asserted), cmocka_unit_test(forgeries),
		cmocka_unit_test(wiped_in_place),   cmocka_unit_test(keys_take_turns),
		cmocka_unit_test(serials),          cmocka_unit_test(blocks),
		cmocka_unit_test(quic_mask),
	};

	return cmocka_run_group_tests_name("crypto/cipher", tests, setup, teardown);
}
