/* SPDX-License-Identifier: Apache-2.0
 *
 * Every AEAD back-end of the build against RFC 8439, a reference in Python, and libsodium; in place
 * and not, up to the last byte before a page that must not be touched; and with wrong tags.
 */
#include "vectors.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/endian.h"
#include "crypto/aead.h"

enum { MAX = 8192 };

/* A page-aligned piece of memory between two pages that fault. */
struct fenced {
	uint8_t *start, *end, *map;
	size_t mapped;
};

static struct fenced fence(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct fenced f = { .mapped = mf_round_up(n, page) + 2 * page };

	f.map = mmap(NULL, f.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f.map, MAP_FAILED);
	f.start = f.map + page;
	f.end = f.map + f.mapped - page;
	assert_int_equal(mprotect(f.start, (size_t)(f.end - f.start), PROT_READ | PROT_WRITE), 0);
	return f;
}

static void unfence(struct fenced *f)
{
	munmap(f->map, f->mapped);
}

static struct mf_aead_key random_key(struct mf_prng *g)
{
	struct mf_aead_key key;
	uint8_t bytes[MF_AEAD_KEY_LEN];

	fill(g, bytes, sizeof(bytes));
	mf_aead_key_init(&key, bytes);
	return key;
}

/* What a packet must look like, by libsodium directly. */
static void model_seal(const struct mf_aead_key *key, uint64_t counter, const uint8_t *src,
		       size_t n, uint8_t *dst)
{
	uint8_t nonce[12] = { 0 };

	mf_store_le64(nonce + 4, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(dst, NULL, src, n, NULL, 0, NULL, nonce, key->b);
}

static void is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 0);
}

/* Calls `check` with a context of each back-end that this CPU can run. */
static void each_backend(void (*check)(struct mf_aead *ctx, struct mf_prng *g))
{
	struct mf_prng g = seeded();

	for (const char *const *name = mf_aead_backends(); *name; name++) {
		struct mf_aead *ctx = mf_aead_new(*name);

		if (!ctx) {
			print_message("%s: not on this CPU\n", *name);
			continue;
		}
		assert_string_equal(mf_aead_backend(ctx), *name);
		print_message("%s\n", *name);
		check(ctx, &g);
		mf_aead_free(ctx);
	}
}

static void test_choice(void **state)
{
	struct mf_aead *ctx = mf_aead_new(NULL), *same;

	(void)state;
	assert_non_null(ctx);
	print_message("best here: %s\n", mf_aead_backend(ctx));
	same = mf_aead_new(mf_aead_backend(ctx));
	assert_non_null(same);
	assert_string_equal(mf_aead_backend(same), mf_aead_backend(ctx));
	mf_aead_free(ctx);
	mf_aead_free(same);
	mf_aead_free(NULL);
	assert_null(mf_aead_new("rot13"));
	ctx = mf_aead_new("openssl"); /* these two are in every build, on every CPU */
	assert_non_null(ctx);
	mf_aead_free(ctx);
	ctx = mf_aead_new("sodium");
	assert_non_null(ctx);
	mf_aead_free(ctx);
}

static void test_serials(void **state)
{
	static const uint8_t bytes[MF_AEAD_KEY_LEN] = { 1 };
	struct mf_aead_key a, b;

	(void)state;
	mf_aead_key_init(&a, bytes);
	mf_aead_key_init(&b, bytes);
	assert_int_not_equal(a.serial, 0);
	assert_int_not_equal(b.serial, 0);
	assert_int_not_equal(a.serial, b.serial);
	mf_aead_key_wipe(&a);
	is_zero((const uint8_t *)&a, sizeof(a));
}

/* reference.py says what the digest over all lengths is. */
static void known_digest(struct mf_aead *ctx, struct mf_prng *g)
{
	static const size_t more[] = { 1024, 1420, 1424, 1440, 4096, 8192 };
	static uint8_t src[MAX], dst[MAX + MF_AEAD_TAG_LEN];
	uint8_t bytes[MF_AEAD_KEY_LEN], digest[32];
	struct mf_aead_key key;
	crypto_generichash_state all; /* BLAKE2b over what all lengths give */

	(void)g;
	pattern(bytes, sizeof(bytes), 3);
	mf_aead_key_init(&key, bytes);
	crypto_generichash_init(&all, NULL, 0, sizeof(digest));
	for (size_t i = 0; i < 701 + MF_ARRAY_LEN(more); i++) {
		size_t n = i < 701 ? i : more[i - 701];

		pattern(src, n, 1);
		mf_aead_seal(ctx, &key, n * 0x0123456789abcdefu, src, n, dst);
		crypto_generichash_update(&all, dst, n + MF_AEAD_TAG_LEN);
	}
	crypto_generichash_final(&all, digest, sizeof(digest));
	assert_hex(digest, "cee7d3549608c75232999776a7f24c09f76fdbd622240295657a9585aeb2e29a");
}

static void test_known_digest(void **state)
{
	(void)state;
	each_backend(known_digest);
}

/* Lengths and places at random; src and dst end where memory ends, or begin where it begins. */
static void random_lengths(struct mf_aead *ctx, struct mf_prng *g)
{
	struct fenced a = fence(4096 + MF_AEAD_TAG_LEN), b = fence(4096 + MF_AEAD_TAG_LEN);
	static uint8_t plain[4096], want[4096 + MF_AEAD_TAG_LEN];
	struct mf_aead_key keys[3];

	for (size_t i = 0; i < MF_ARRAY_LEN(keys); i++)
		keys[i] = random_key(g);
	for (size_t round = 0; round < 6000; round++) {
		size_t n = round < 1600 ? round : (size_t)mf_prng_below(g, 4097);
		const struct mf_aead_key *key = &keys[mf_prng_below(g, MF_ARRAY_LEN(keys))];
		uint64_t counter = mf_prng_u64(g) >> mf_prng_below(g, 64);
		bool at_end = mf_prng_u64(g) & 1, in_place = mf_prng_u64(g) & 1;
		uint8_t *src = at_end ? a.end - n : a.start;
		uint8_t *dst = at_end ? b.end - n - MF_AEAD_TAG_LEN : b.start;
		uint8_t *back;

		fill(g, plain, n);
		model_seal(key, counter, plain, n, want);
		if (in_place)
			src = dst;
		memcpy(src, plain, n);
		mf_aead_seal(ctx, key, counter, src, n, dst);
		assert_memory_equal(dst, want, n + MF_AEAD_TAG_LEN);
		if (!in_place)
			assert_memory_equal(src, plain, n);
		back = in_place ? dst : at_end ? a.end - n : a.start;
		assert_true(mf_aead_open(ctx, key, counter, dst, n + MF_AEAD_TAG_LEN, back));
		assert_memory_equal(back, plain, n);
	}
	unfence(&a);
	unfence(&b);
}

static void test_random_lengths(void **state)
{
	(void)state;
	each_backend(random_lengths);
}

/* One wrong bit anywhere, another counter, another key: refused, and no plaintext is left. */
static void forgeries(struct mf_aead *ctx, struct mf_prng *g)
{
	static uint8_t plain[2048], sealed[2048 + MF_AEAD_TAG_LEN], out[2048 + MF_AEAD_TAG_LEN];
	struct mf_aead_key key = random_key(g), other = random_key(g);

	for (size_t round = 0; round < 3000; round++) {
		size_t n = (size_t)mf_prng_below(g, sizeof(plain) + 1), total = n + MF_AEAD_TAG_LEN;
		uint64_t counter = mf_prng_u64(g), crime = mf_prng_below(g, 4);
		size_t from = crime == 0 ? n : 0; /* the tag alone, or anywhere */
		size_t at = from + (size_t)mf_prng_below(g, total - from);
		const uint8_t *src = sealed;

		fill(g, plain, n);
		mf_aead_seal(ctx, &key, counter, plain, n, sealed);
		if (crime <= 1)
			sealed[at] ^= (uint8_t)(1u << mf_prng_below(g, 8));
		if (mf_prng_u64(g) & 1) {
			memcpy(out, sealed, total);
			src = out;
		} else {
			memset(out, 0xee, total);
		}
		assert_false(mf_aead_open(ctx, crime == 3 ? &other : &key,
					  crime == 2 ? counter + 1 : counter, src, total, out));
		is_zero(out, n);
	}
	for (size_t n = 0; n < MF_AEAD_TAG_LEN; n++) {
		memset(out, 0xee, sizeof(out));
		assert_false(mf_aead_open(ctx, &key, 1, sealed, n, out));
		assert_int_equal(out[0], 0xee);
	}
}

static void test_forgeries(void **state)
{
	(void)state;
	each_backend(forgeries);
}

/* A failed open, a new key in the memory of an old one: the key that is loaded is the right one. */
static void key_changes(struct mf_aead *ctx, struct mf_prng *g)
{
	uint8_t plain[400], want[416], got[416], bytes[MF_AEAD_KEY_LEN];
	struct mf_aead_key key;

	for (size_t round = 0; round < 200; round++) {
		size_t n = 350 + (size_t)mf_prng_below(g, 51);

		fill(g, bytes, sizeof(bytes));
		mf_aead_key_init(&key, bytes);
		fill(g, plain, n);
		model_seal(&key, round, plain, n, want);
		if (round & 1) {
			mf_aead_seal(ctx, &key, round, plain, n, got);
			assert_memory_equal(got, want, n + MF_AEAD_TAG_LEN);
		}
		want[0] ^= 1;
		assert_false(mf_aead_open(ctx, &key, round, want, n + MF_AEAD_TAG_LEN, got));
		want[0] ^= 1;
		assert_true(mf_aead_open(ctx, &key, round, want, n + MF_AEAD_TAG_LEN, got));
		assert_memory_equal(got, plain, n);
	}
}

static void test_key_changes(void **state)
{
	(void)state;
	each_backend(key_changes);
}

/* RFC 8439 appendix A.5. (The nonce of section 2.8.2 is not of WireGuard's form.) */
static void test_rfc8439_a5(void **state)
{
	static const char sealed_hex[] =
		"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
		"4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
		"332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
		"9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
		"b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
		"af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
		"0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
		"49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
		"a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
	const uint64_t counter = 0x0807060504030201u;
	uint8_t key[32], aad[16], sealed[300], plain[300], again[300];
	size_t aad_n = from_hex(aad, sizeof(aad), "f33388860000000000004e91"), n;

	(void)state;
	from_hex(key, sizeof(key),
		 "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	n = from_hex(sealed, sizeof(sealed), sealed_hex);
	assert_int_equal(n, 265 + MF_AEAD_TAG_LEN);
	assert_true(mf_aead_open_aad(key, counter, aad, aad_n, sealed, n, plain));
	assert_memory_equal(plain, "Internet-Drafts are draft documents valid for", 45);
	mf_aead_seal_aad(key, counter, aad, aad_n, plain, 265, again);
	assert_memory_equal(again, sealed, n);
	aad[0] ^= 1;
	assert_false(mf_aead_open_aad(key, counter, aad, aad_n, sealed, n, plain));
	is_zero(plain, 265);
	assert_false(mf_aead_open_aad(key, counter, aad, aad_n, sealed, 15, plain));
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
static void test_xchacha_draft(void **state)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, sunscreen would be it.";
	enum { N = sizeof(text) - 1 };
	uint8_t key[32], nonce[24], aad[16], sealed[N + MF_AEAD_TAG_LEN], plain[N];
	size_t aad_n = from_hex(aad, sizeof(aad), "50515253c0c1c2c3c4c5c6c7");

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(0x80 + i);
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)(0x40 + i);
	mf_xaead_seal(key, nonce, aad, aad_n, (const uint8_t *)text, N, sealed);
	assert_hex(sealed, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
			   "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
			   "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
			   "21f9664c97637da9768812f615c68b13b52e"
			   "c0875924c1c7987947deafd8780acf49");
	assert_true(mf_xaead_open(key, nonce, aad, aad_n, sealed, sizeof(sealed), plain));
	assert_memory_equal(plain, text, N);
	sealed[N] ^= 0x80;
	assert_false(mf_xaead_open(key, nonce, aad, aad_n, sealed, sizeof(sealed), plain));
	is_zero(plain, N);
	assert_false(mf_xaead_open(key, nonce, aad, aad_n, sealed, 15, plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),       cmocka_unit_test(test_serials),
		cmocka_unit_test(test_known_digest), cmocka_unit_test(test_random_lengths),
		cmocka_unit_test(test_forgeries),    cmocka_unit_test(test_key_changes),
		cmocka_unit_test(test_rfc8439_a5),   cmocka_unit_test(test_xchacha_draft),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("crypto/aead", tests, NULL, NULL);
}
