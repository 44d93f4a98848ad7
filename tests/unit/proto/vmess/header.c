/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys and headers of VMess: known answers, the server of the tests against the same ones, and
 * answers that are not what they should be.
 */
#include "vectors.h"

#include "proto/vmess/header.h"
#include "support/vserver.h"

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

static void config_of(struct mf_vmess_config *c)
{
	uint8_t uuid[MF_UUID_LEN];

	*c = (struct mf_vmess_config){ .security = MF_VMESS_AUTO };
	assert_int_equal(mf_uuid_parse(uuid, VECTOR_UUID, NULL), MF_OK);
	mf_vmess_config_set_uuid(c, uuid);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void kdf(const char *path, size_t n, const char *want)
{
	static const uint8_t key[MF_VMESS_KEY_LEN] = { 0, 1, 2,  3,  4,  5,  6,  7,
						       8, 9, 10, 11, 12, 13, 14, 15 };
	const struct mf_span keys[] = { mf_span("VMess AEAD KDF", 14), mf_span(path, strlen(path)) };
	uint8_t out[MF_VMESS_KDF_LEN];

	mf_nested_hmac(out, keys, 1 + n, mf_span(key, sizeof(key)));
	assert_hex(out, sizeof(out), want);
	vserver_kdf(out, mf_span(key, sizeof(key)), keys + 1, n);
	assert_hex(out, sizeof(out), want);
	if (!n)
		return;
	mf_vmess_kdf(out, key, path, NULL, 0);
	assert_hex(out, sizeof(out), want);
}

static void test_kdf(void **state)
{
	char longer_than_a_block[101];

	(void)state;
	kdf("", 0, "ebdb909829820c287b7d7601fe00d5b093f4485a027311c2205e9007d5fc9c16");
	kdf("AES Auth ID Encryption", 1,
	    "9fa4289c41650861a45b34aeab3879fe4785dce57ab3f68cfb0cc60fca69460a");
	memset(longer_than_a_block, 'L', 100);
	longer_than_a_block[100] = 0;
	kdf(longer_than_a_block, 1,
	    "cad711d32d0b7d495079a96cc7878ce888ed45624b4066c4e980ef9c9d63e4e7");
}

static void test_config(void **state)
{
	struct mf_vmess_config c;
	enum mf_vmess_security s;

	(void)state;
	config_of(&c);
	assert_hex(c.key, sizeof(c.key), VECTOR_CMD_KEY);
	assert_int_equal(c.auth_id_key.alg, MF_AES_128_GCM);
	assert_hex(c.auth_id_key.b, 16, VECTOR_AUTH_ID_KEY);
	for (unsigned i = 0; i < MF_VMESS_SECURITIES; i++) {
		assert_true(mf_vmess_security_find(mf_vmess_security_name(i), &s));
		assert_int_equal(s, i);
	}
	assert_true(mf_vmess_security_find("chacha20-poly1305", &s));
	assert_int_equal(s, MF_VMESS_CHACHA20_POLY1305);
	assert_false(mf_vmess_security_find("", &s));
	assert_false(mf_vmess_security_find("aes-128-cfb", &s));
}

/* ---- The request ----------------------------------------------------------------------------- */

static size_t request_of(size_t i, uint8_t out[MF_VMESS_REQUEST_MAX])
{
	struct mf_vmess_request r = { .wall = VECTOR_WALL,
				      .option = vector_requests[i].option,
				      .cipher = vector_requests[i].cipher,
				      .command = vector_requests[i].command };
	uint8_t encoded[MF_TARGET_LEN_MAX];
	struct mf_proxy_target to;
	struct mf_vmess_config c;
	size_t n, used;

	config_of(&c);
	n = from_hex(encoded, sizeof(encoded), vector_requests[i].target);
	assert_int_equal(mf_target_get_v2(mf_span(encoded, n), &to, &used), MF_OK);
	r.to = &to;
	from_hex(r.fresh.key, MF_VMESS_KEY_LEN, VECTOR_KEY);
	from_hex(r.fresh.iv, MF_VMESS_KEY_LEN, VECTOR_IV);
	from_hex(r.fresh.auth, sizeof(r.fresh.auth), VECTOR_AUTH);
	from_hex(r.fresh.nonce, sizeof(r.fresh.nonce), VECTOR_NONCE);
	r.fresh.verify = VECTOR_VERIFY;
	n = from_hex(r.fresh.padding, sizeof(r.fresh.padding), vector_requests[i].padding);
	r.fresh.padding_n = (uint8_t)(0xf0 | n);
	return mf_vmess_request_seal(&r, &c, cipher, out);
}

static void test_request(void **state)
{
	uint8_t out[MF_VMESS_REQUEST_MAX];
	size_t tried = 0;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(vector_requests); i++) {
		if (vector_requests[i].command == 3)
			continue; /* of Mux, which we do not send */
		assert_hex(out, request_of(i, out), vector_requests[i].sealed);
		tried++;
	}
	assert_int_equal(tried, 3);
}

/* The longest name and the longest padding. */
static void test_longest_request(void **state)
{
	char name[MF_TARGET_NAME_MAX];
	const struct mf_proxy_target to = { .name = name, .name_n = MF_TARGET_NAME_MAX };
	struct mf_vmess_request r = { .cipher = 3, .command = 1, .to = &to };
	uint8_t out[MF_VMESS_REQUEST_MAX], uuid[MF_UUID_LEN];
	struct mf_vmess_config c;
	struct vserver s;
	size_t n;

	(void)state;
	memset(name, 'x', sizeof(name));
	r.fresh.padding_n = 15;
	config_of(&c);
	n = mf_vmess_request_seal(&r, &c, cipher, out);
	assert_int_equal(n, MF_VMESS_REQUEST_MAX);
	assert_int_equal(mf_uuid_parse(uuid, VECTOR_UUID, NULL), MF_OK);
	vserver_init(&s, uuid, 1);
	assert_true(vserver_hear(&s, out, n));
	assert_true(s.begun);
	assert_int_equal(s.target_n, VSERVER_TARGET_MAX);
	vserver_free(&s);
}

static void test_server_reads_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(vector_requests); i++) {
		uint8_t uuid[MF_UUID_LEN], wire[MF_VMESS_REQUEST_MAX];
		size_t n = from_hex(wire, sizeof(wire), vector_requests[i].sealed);
		struct vserver s;

		assert_int_equal(mf_uuid_parse(uuid, VECTOR_UUID, NULL), MF_OK);
		vserver_init(&s, uuid, 1);
		assert_true(vserver_hear(&s, wire, n - 1));
		assert_false(s.begun);
		assert_true(vserver_hear(&s, wire + n - 1, 1));
		assert_true(s.begun);
		assert_int_equal(s.stamp, VECTOR_WALL);
		assert_int_equal(s.option, vector_requests[i].option);
		assert_int_equal(s.security, vector_requests[i].cipher);
		assert_int_equal(s.command, vector_requests[i].command);
		assert_int_equal(s.verify, VECTOR_VERIFY);
		assert_hex(s.key, sizeof(s.key), VECTOR_KEY);
		assert_hex(s.iv, sizeof(s.iv), VECTOR_IV);
		assert_hex(s.target, s.target_n, vector_requests[i].target);
		vserver_free(&s);
	}
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* The keys of the answer. */
static void answer_keys(uint8_t key[MF_VMESS_KEY_LEN], uint8_t iv[MF_VMESS_KEY_LEN])
{
	from_hex(key, MF_VMESS_KEY_LEN, VECTOR_KEY);
	from_hex(iv, MF_VMESS_KEY_LEN, VECTOR_IV);
	mf_vmess_answer_key(key, key);
	mf_vmess_answer_key(iv, iv);
}

/* Opens an answer; the error of the part that has one. */
static mf_err open_answer(uint8_t *wire, size_t n, uint8_t verify)
{
	uint8_t key[MF_VMESS_KEY_LEN], iv[MF_VMESS_KEY_LEN];
	size_t len;
	mf_err e;

	answer_keys(key, iv);
	assert_true(n >= MF_VMESS_REPLY_LENGTH_LEN);
	e = mf_vmess_reply_length(cipher, key, iv, wire, &len);
	if (e)
		return e;
	assert_int_equal(n, MF_VMESS_REPLY_LENGTH_LEN + len + MF_CIPHER_TAG_LEN);
	return mf_vmess_reply_open(cipher, key, iv, wire + MF_VMESS_REPLY_LENGTH_LEN, len, verify);
}

static void test_answer(void **state)
{
	uint8_t wire[64], bent[64], key[MF_VMESS_KEY_LEN], iv[MF_VMESS_KEY_LEN];
	size_t n = from_hex(wire, sizeof(wire), VECTOR_ANSWER);

	(void)state;
	answer_keys(key, iv);
	assert_hex(key, sizeof(key), VECTOR_ANSWER_KEY);
	assert_hex(iv, sizeof(iv), VECTOR_ANSWER_IV);
	for (size_t i = 0; i < 8 * n; i++) {
		memcpy(bent, wire, n);
		bent[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(open_answer(bent, n, VECTOR_VERIFY), MF_E_AUTH);
	}
	memcpy(bent, wire, n);
	assert_int_equal(open_answer(bent, n, VECTOR_VERIFY ^ 1), MF_E_MALFORMED);
	assert_int_equal(open_answer(wire, n, VECTOR_VERIFY), MF_OK);
}

/* A header as a server with our keys may make it. */
static mf_err made(const uint8_t *header, size_t n, size_t len)
{
	struct vserver s = { .begun = true };
	mf_err e;

	from_hex(s.key, sizeof(s.key), VECTOR_KEY);
	from_hex(s.iv, sizeof(s.iv), VECTOR_IV);
	vserver_answer(&s, header, n, len);
	e = open_answer(s.wire.p, s.wire.n, VECTOR_VERIFY);
	vserver_free(&s);
	return e;
}

static void test_answers_of_all_sizes(void **state)
{
	uint8_t h[300] = { VECTOR_VERIFY };

	(void)state;
	for (size_t n = 0; n < sizeof(h); n++) {
		bool fits = n >= MF_VMESS_REPLY_MIN && n <= MF_VMESS_REPLY_MAX;

		h[1] = (uint8_t)n; /* options are not looked at */
		h[2] = h[3] = 0;
		assert_int_equal(made(h, n, n), fits ? MF_OK : MF_E_MALFORMED);
		if (!fits)
			continue;
		h[2] = 1; /* a command that takes all that is left */
		h[3] = (uint8_t)(n - MF_VMESS_REPLY_MIN);
		assert_int_equal(made(h, n, n), MF_OK);
		if (++h[3])
			assert_int_equal(made(h, n, n), MF_E_MALFORMED);
	}
	assert_int_equal(made(h, 4, UINT16_MAX), MF_E_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kdf),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_longest_request),
		cmocka_unit_test(test_server_reads_requests),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_answers_of_all_sizes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
