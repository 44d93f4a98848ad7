/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of TLS without a connection: the known answers of RFC 8448, that what is sealed opens into
 * any pieces and in place, and that nothing else opens. That OpenSSL agrees is test_tls.c's matter.
 */
#include "vectors.h"

#include "base/endian.h"
#include "crypto/tls_record.h"

static struct mf_cipher *cipher;

static int set_up(void **state)
{
	(void)state;
	cipher = mf_cipher_new();
	return cipher ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	mf_cipher_free(cipher);
	return 0;
}

/* RFC 8448 3: the client's application traffic keys and its first record. */
static void test_known(void **state)
{
	struct mf_tls_half tx;
	struct mf_span v;
	uint8_t secret[32], payload[50], record[128];
	size_t n;

	(void)state;
	from_hex(secret, sizeof(secret),
		 "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5");
	assert_true(mf_tls_half_init(&tx, MF_AES_128_GCM, secret, sizeof(secret)));
	assert_hex(tx.key.b, "17422dda596ed5d9acd890e3c63f5051");
	assert_hex(tx.iv, "5b78923dee08579033e523d9");
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	v = mf_span(payload, sizeof(payload));
	n = mf_tls_record_seal(cipher, &tx, MF_TLS_DATA, &v, 1, record);
	assert_int_equal(n, 72);
	assert_hex(
		record,
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b39"
		"5bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4");
}

/* The two ends of one direction, `how` of them: 1.3 with each suite, then 1.2. */
enum { HOWS = 2 * MF_CIPHER_ALGS };

static void ends(unsigned how, struct mf_tls_half *tx, struct mf_tls_half *rx)
{
	enum mf_cipher_alg alg = (enum mf_cipher_alg)(how % MF_CIPHER_ALGS);
	size_t n = alg == MF_AES_256_GCM ? 48 : 32;
	struct mf_tls_half other;
	uint8_t secret[48];

	pattern(secret, sizeof(secret), how);
	if (how < MF_CIPHER_ALGS) {
		assert_true(mf_tls_half_init(tx, alg, secret, n));
		assert_true(mf_tls_half_init(rx, alg, secret, n));
		return;
	}
	assert_true(mf_tls_halves_init_12(tx, &other, alg, n == 48, secret, secret, secret + 7, 99));
	*rx = *tx;
	assert_int_equal(tx->nonce, 100);
	assert_int_equal(tx->seq, 1);
}

static void check_opens(struct mf_tls_half *rx, uint8_t *record, size_t n, const uint8_t *want,
			size_t n_want, size_t cut)
{
	static uint8_t out[MF_TLS_PLAIN_MAX];
	struct mf_room v[2] = { { out, cut }, { out + cut, sizeof(out) - cut } };
	struct mf_tls_half twin = *rx;
	enum mf_tls_type type;
	struct mf_span plain;
	size_t len, got;

	for (size_t i = 0; i < mf_min(n, 8); i++)
		assert_int_equal(mf_tls_record_check(rx, record, i, &len), MF_E_SHORT);
	assert_int_equal(mf_tls_record_check(rx, record, n - 1, &len), MF_E_SHORT);
	assert_int_equal(mf_tls_record_check(rx, record, n + 3, &len), MF_OK);
	assert_int_equal(len, n);
	assert_int_equal(mf_tls_record_room(rx, len), n_want);
	assert_int_equal(mf_tls_record_open(cipher, rx, record, len, v, 2, &type, &got), MF_OK);
	assert_int_equal(type, MF_TLS_DATA);
	assert_int_equal(got, n_want);
	assert_memory_equal(out, want, n_want);
	assert_int_equal(mf_tls_record_open_in_place(cipher, &twin, record, len, &type, &plain),
			 MF_OK);
	assert_int_equal(type, MF_TLS_DATA);
	assert_int_equal(plain.n, n_want);
	assert_memory_equal(plain.p, want, n_want);
	assert_int_equal(twin.seq, rx->seq);
}

static void test_round_trips(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, MF_TLS_PLAIN_MAX };
	static uint8_t payload[MF_TLS_PLAIN_MAX], record[MF_TLS_PLAIN_MAX + MF_TLS_OVERHEAD + 3];
	struct mf_prng g = seeded();
	struct mf_tls_half tx, rx;

	(void)state;
	fill(&g, payload, sizeof(payload));
	for (unsigned how = 0; how < HOWS; how++) {
		ends(how, &tx, &rx);
		for (size_t i = 0; i < MF_ARRAY_LEN(sizes); i++) {
			size_t cut = sizes[i] ? mf_prng_below(&g, sizes[i]) : 0, n;
			struct mf_span v[2] = { { payload, cut }, { payload + cut, sizes[i] - cut } };

			n = mf_tls_record_seal(cipher, &tx, MF_TLS_DATA, v, 2, record);
			assert_true(n <= sizes[i] + MF_TLS_OVERHEAD);
			check_opens(&rx, record, n, payload, sizes[i],
				    mf_prng_below(&g, sizes[i] + 1));
			if (how < MF_CIPHER_ALGS && i % 2)
				assert_true(mf_tls_half_update(&tx) && mf_tls_half_update(&rx));
		}
	}
}

/* Every bit of a record counts, and so does its number. */
static void test_forgeries(void **state)
{
	struct mf_tls_half tx, rx;
	struct mf_span v = mf_span("hello", 5);
	uint8_t record[64], again[64], out[64];
	enum mf_tls_type type;
	size_t n, len, got;

	(void)state;
	for (unsigned how = 0; how < HOWS; how++) {
		struct mf_room room = { out, sizeof(out) };

		ends(how, &tx, &rx);
		n = mf_tls_record_seal(cipher, &tx, MF_TLS_DATA, &v, 1, record);
		for (size_t bit = 0; bit < 8 * n; bit++) {
			memcpy(again, record, n);
			again[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (mf_tls_record_check(&rx, again, n, &len) != MF_OK)
				continue;
			assert_int_equal(
				mf_tls_record_open(cipher, &rx, again, len, &room, 1, &type, &got),
				MF_E_AUTH);
		}
		assert_int_equal(mf_tls_record_open(cipher, &rx, record, n, &room, 1, &type, &got),
				 MF_OK);
		assert_int_equal(mf_tls_record_open(cipher, &rx, record, n, &room, 1, &type, &got),
				 MF_E_AUTH); /* once more */
	}
}

static void test_headers(void **state)
{
	static const struct {
		uint8_t b[5];
		mf_err want_13, want_12;
	} cases[] = {
		{ { 23, 3, 3, 0, 17 }, MF_OK, MF_E_MALFORMED }, /* a byte and a tag */
		{ { 23, 3, 3, 0, 16 }, MF_E_MALFORMED, MF_E_MALFORMED },
		{ { 23, 3, 3, 0, 24 }, MF_OK, MF_OK },
		{ { 22, 3, 3, 0, 24 }, MF_E_MALFORMED, MF_OK },
		{ { 24, 3, 3, 0, 24 }, MF_E_MALFORMED, MF_E_MALFORMED },
		{ { 19, 3, 3, 0, 24 }, MF_E_MALFORMED, MF_E_MALFORMED },
		{ { 23, 3, 1, 0, 24 }, MF_E_MALFORMED, MF_E_MALFORMED },
		{ { 'H', 'T', 'T', 'P', '/' }, MF_E_MALFORMED, MF_E_MALFORMED },
		{ { 23, 3, 3, 0x41, 0x00 }, MF_OK, MF_OK },
		{ { 23, 3, 3, 0x41, 0x01 }, MF_E_RANGE, MF_E_RANGE },
	};
	struct mf_tls_half tx, v13, v12;
	static uint8_t p[1 << 15];
	size_t len;

	(void)state;
	ends(MF_AES_128_GCM, &tx, &v13);
	ends(MF_CIPHER_ALGS + MF_AES_128_GCM, &tx, &v12);
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		memcpy(p, cases[i].b, 5);
		assert_int_equal(mf_tls_record_check(&v13, p, sizeof(p), &len), cases[i].want_13);
		assert_int_equal(mf_tls_record_check(&v12, p, sizeof(p), &len), cases[i].want_12);
	}
}

/* A record may be longer than what it may carry, and is refused when it carries more. */
static void test_too_much(void **state)
{
	static uint8_t inner[MF_TLS_PLAIN_MAX + 2], record[MF_TLS_PLAIN_MAX + 64];
	static uint8_t out[MF_TLS_PLAIN_MAX + 64];
	struct mf_room room = { out, sizeof(out) };
	struct mf_tls_half tx, rx;
	enum mf_tls_type type;
	size_t got;

	(void)state;
	ends(MF_AES_128_GCM, &tx, &rx);
	for (size_t n = MF_TLS_PLAIN_MAX; n <= MF_TLS_PLAIN_MAX + 1; n++) {
		size_t sealed = n + 1 + MF_CIPHER_TAG_LEN;
		uint8_t nonce[MF_CIPHER_NONCE_LEN];
		struct mf_span v = mf_span(inner, n + 1);

		memset(inner, 0, sizeof(inner));
		inner[n] = MF_TLS_DATA;
		memcpy(record, (uint8_t[]){ MF_TLS_DATA, 3, 3 }, 3);
		mf_store_be16(record + 3, (uint16_t)sealed);
		memcpy(nonce, rx.iv, sizeof(nonce));
		mf_store_be64(nonce + 4, mf_load_be64(rx.iv + 4) ^ rx.seq);
		mf_cipher_seal(cipher, &tx.key, nonce, mf_span(record, 5), &v, 1, record + 5);
		assert_int_equal(
			mf_tls_record_open(cipher, &rx, record, 5 + sealed, &room, 1, &type, &got),
			n > MF_TLS_PLAIN_MAX ? MF_E_RANGE : MF_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),     cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_forgeries), cmocka_unit_test(test_headers),
		cmocka_unit_test(test_too_much),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
