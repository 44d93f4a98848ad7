/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunks of VMess: known answers of all ciphers and options, both ways.
 */
#include "vectors.h"

#include "proto/vmess/header.h"

static const char *const texts[] = { "hello", "world!!", "" };

static struct mf_cipher *cipher;

static int setup(void **state)
{
	(void)state;
	cipher = mf_cipher_new();
	return cipher ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mf_cipher_free(cipher);
	return 0;
}

/* As the padding of the vectors. */
static void fill_aa(void *ctx, void *out, size_t n)
{
	(void)ctx;
	memset(out, 0xaa, n);
}

static void body_of(struct mf_vmess_body *b, size_t i)
{
	uint8_t key[MF_VMESS_KEY_LEN], iv[MF_VMESS_KEY_LEN];

	from_hex(key, sizeof(key), VECTOR_KEY);
	from_hex(iv, sizeof(iv), VECTOR_IV);
	mf_vmess_body_init(b, vector_bodies[i].cipher, vector_bodies[i].option, key, iv);
	mf_vmess_answer_key(key, key);
	mf_vmess_answer_key(iv, iv);
	mf_vmess_body_answer(b, key, iv);
}

static void test_up(void **state)
{
	const struct mf_rng rng = { .fill = fill_aa };

	(void)state;
	assert_int_equal(MF_ARRAY_LEN(vector_bodies), 14);
	for (size_t i = 0; i < MF_ARRAY_LEN(vector_bodies); i++) {
		struct mf_vmess_body b;

		body_of(&b, i);
		for (size_t k = 0; k < MF_ARRAY_LEN(texts); k++) {
			size_t n = strlen(texts[k]), cut = n / 2;
			const struct mf_span v[] = { mf_span(texts[k], cut),
						     mf_span(texts[k] + cut, n - cut) };
			uint8_t out[256];

			n = mf_vmess_body_seal(&b, cipher, &rng, v, 2, n, out);
			assert_hex(out, n, vector_bodies[i].up[k]);
		}
	}
}

static void test_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(vector_bodies); i++) {
		struct mf_vmess_body b;

		body_of(&b, i);
		for (size_t k = 0; k < MF_ARRAY_LEN(texts); k++) {
			struct mf_vmess_chunk c;
			uint8_t wire[256], out[16];
			size_t n = from_hex(wire, sizeof(wire), vector_bodies[i].down[k]);
			size_t field = mf_vmess_body_length_len(&b);

			assert_int_equal(mf_vmess_body_length(&b, cipher, wire, &c), MF_OK);
			assert_int_equal(c.payload, strlen(texts[k]));
			assert_int_equal(field + c.payload + c.tail, n);
			if (mf_vmess_body_sealed(&b)) {
				const struct mf_room room = { .p = out, .n = sizeof(out) };

				assert_true(mf_vmess_body_open(&b, cipher, wire + field, c, &room, 1));
			} else {
				memcpy(out, wire + field, c.payload);
			}
			assert_memory_equal(out, texts[k], c.payload);
		}
	}
}

static void test_keys(void **state)
{
	uint8_t key[MF_VMESS_KEY_LEN], iv[MF_VMESS_KEY_LEN] = { 0 };
	const uint8_t option = MF_VMESS_CHUNKS | MF_VMESS_SEALED_LENGTH;
	struct mf_vmess_body b;

	(void)state;
	from_hex(key, sizeof(key), VECTOR_KEY);
	mf_vmess_body_init(&b, MF_VMESS_CIPHER_AES_128_GCM, option, key, iv);
	assert_hex(b.up.key.b, 16, VECTOR_KEY);
	assert_hex(b.length_key.b, 16, VECTOR_LENGTH_KEY);
	mf_vmess_body_init(&b, MF_VMESS_CIPHER_CHACHA20_POLY1305, option, key, iv);
	assert_hex(b.up.key.b, 32, VECTOR_CHACHA_KEY);
	assert_hex(b.length_key.b, 32, VECTOR_LENGTH_KEY_CHACHA);
}

/* The stream that lengths are masked with. */
static void test_mask(void **state)
{
	static const uint16_t want[] = { 64657, 36419, 60612, 46766, 42038, 41918,
					 21912, 19061, 57536, 5632,  57306, 5380 };
	uint8_t iv[MF_VMESS_KEY_LEN], b[2];
	struct mf_shake128 s;

	(void)state;
	from_hex(iv, sizeof(iv), VECTOR_IV);
	mf_shake128_init(&s, iv, sizeof(iv));
	for (size_t i = 0; i < MF_ARRAY_LEN(want); i++) {
		mf_shake128_read(&s, b, sizeof(b));
		assert_int_equal(b[0] << 8 | b[1], want[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_mask),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
