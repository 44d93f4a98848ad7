/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wg/noise.h"

#include "crypto/random.h"
#include "known.h"
#include "unit.h"

/* Gives what a test put there, 32 bytes at a time. */
struct fixed_rng {
	const uint8_t *next[2];
	int at;
};

static void fixed_fill(void *ctx, void *out, size_t n)
{
	struct fixed_rng *r = ctx;

	assert_int_equal(n, 32);
	memcpy(out, r->next[r->at++], n);
}

static struct mf_key key_of(const uint8_t *b)
{
	struct mf_key k;

	memcpy(k.b, b, sizeof(k.b));
	return k;
}

struct pair {
	struct mf_wg_noise n;
	struct fixed_rng fixed;
	struct mf_wg_noise_self i, r;
	struct mf_wg_noise_remote of_i, of_r; /* what i knows of r, and the other way round */
};

static void pair_init(struct pair *p, bool fixed)
{
	struct mf_key si = key_of(known_si), sr = key_of(known_sr);
	struct mf_rng rng = { .fill = mf_random_fill };

	memset(p, 0, sizeof(*p));
	p->fixed = (struct fixed_rng){ .next = { known_ei, known_er } };
	if (fixed)
		rng = (struct mf_rng){ .fill = fixed_fill, .ctx = &p->fixed };
	assert_int_equal(mf_wg_noise_init(&p->n, &rng), MF_OK);
	mf_wg_noise_self_set(&p->i, &si);
	mf_wg_noise_self_set(&p->r, &sr);
	p->of_i.public_key = p->r.public_key;
	p->of_r.public_key = p->i.public_key;
	p->of_i.psk = p->of_r.psk = key_of(known_psk);
	mf_wg_noise_remote_set(&p->of_i, &p->i);
	mf_wg_noise_remote_set(&p->of_r, &p->r);
	assert_true(p->of_i.usable && p->of_r.usable);
}

static void test_constants(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, true);
	assert_memory_equal(p.n.first_chain, known_chain, 32);
	assert_memory_equal(p.n.first_hash, known_hash, 32);
	mf_wg_noise_fini(&p.n);
}

/* Without macs: those are cookie.c's. */
static void test_known_transcript(void **state)
{
	struct mf_wg_noise_initiator ini;
	struct mf_wg_noise_responder res;
	struct mf_wg_msg_initiation m1;
	struct mf_wg_msg_response m2;
	struct mf_wg_noise_keys ki, kr;
	uint8_t stamp[MF_WG_TIMESTAMP_LEN];
	struct pair p;

	(void)state;
	pair_init(&p, true);
	assert_true(mf_wg_noise_create_initiation(&p.n, &p.i, &p.of_i, known_stamp, KNOWN_IDX_I,
						  &ini, &m1));
	assert_memory_equal(&m1, known_init, sizeof(m1) - sizeof(m1.macs));
	assert_true(mf_wg_noise_open_static(&p.n, &p.r, &m1, &res));
	assert_memory_equal(res.remote_static.b, p.i.public_key.b, 32);
	assert_true(mf_wg_noise_open_timestamp(&p.n, &p.of_r, &m1, &res, stamp));
	assert_memory_equal(stamp, known_stamp, sizeof(stamp));
	assert_true(mf_wg_noise_create_response(&p.n, &p.of_r, &res, KNOWN_IDX_R, &m2, &kr));
	assert_memory_equal(&m2, known_resp, sizeof(m2) - sizeof(m2.macs));
	assert_true(mf_wg_noise_consume_response(&p.n, &p.i, &p.of_i, &ini, &m2, &ki));
	assert_memory_equal(ki.send, known_key_i, 32);
	assert_memory_equal(ki.recv, known_key_r, 32);
	assert_memory_equal(kr.send, known_key_r, 32);
	assert_memory_equal(kr.recv, known_key_i, 32);
	assert_int_equal(ki.remote_index, KNOWN_IDX_R);
	assert_int_equal(kr.remote_index, KNOWN_IDX_I);
	mf_wg_noise_fini(&p.n);
}

/* Every byte of both messages that is not a mac or the sender's own number is authenticated. */
static void test_each_flipped_byte_is_refused(void **state)
{
	struct mf_wg_noise_initiator ini;
	struct mf_wg_noise_responder res;
	struct mf_wg_msg_initiation m1, bad1;
	struct mf_wg_msg_response m2, bad2;
	struct mf_wg_noise_keys ki, kr;
	uint8_t stamp[MF_WG_TIMESTAMP_LEN];
	struct pair p;

	(void)state;
	pair_init(&p, false);
	assert_true(mf_wg_noise_create_initiation(&p.n, &p.i, &p.of_i, known_stamp, 1, &ini, &m1));
	for (size_t at = 8; at < sizeof(m1) - sizeof(m1.macs); at++) {
		bad1 = m1;
		((uint8_t *)&bad1)[at] ^= 0x10;
		assert_false(mf_wg_noise_open_static(&p.n, &p.r, &bad1, &res) &&
			     mf_wg_noise_open_timestamp(&p.n, &p.of_r, &bad1, &res, stamp));
	}
	assert_true(mf_wg_noise_open_static(&p.n, &p.r, &m1, &res));
	assert_true(mf_wg_noise_open_timestamp(&p.n, &p.of_r, &m1, &res, stamp));
	assert_true(mf_wg_noise_create_response(&p.n, &p.of_r, &res, 2, &m2, &kr));
	for (size_t at = 12; at < sizeof(m2) - sizeof(m2.macs); at++) {
		bad2 = m2;
		((uint8_t *)&bad2)[at] ^= 0x10;
		assert_false(mf_wg_noise_consume_response(&p.n, &p.i, &p.of_i, &ini, &bad2, &ki));
	}
	/* And after all those forgeries the real one still counts. */
	assert_true(mf_wg_noise_consume_response(&p.n, &p.i, &p.of_i, &ini, &m2, &ki));
	assert_memory_equal(ki.send, kr.recv, 32);
	mf_wg_noise_fini(&p.n);
}

static void test_psk_on_one_side_or_different(void **state)
{
	struct mf_wg_noise_initiator ini;
	struct mf_wg_noise_responder res;
	struct mf_wg_msg_initiation m1;
	struct mf_wg_msg_response m2;
	struct mf_wg_noise_keys ki, kr;
	uint8_t stamp[MF_WG_TIMESTAMP_LEN];
	struct pair p;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		pair_init(&p, false);
		if (kind == 0)
			p.of_r.psk.b[31] ^= 1;
		else
			memset(kind == 1 ? &p.of_i.psk : &p.of_r.psk, 0, sizeof(struct mf_key));
		assert_true(mf_wg_noise_create_initiation(&p.n, &p.i, &p.of_i, known_stamp, 1, &ini,
							  &m1));
		/* The psk comes in at the end: the initiation is fine, the response is not. */
		assert_true(mf_wg_noise_open_static(&p.n, &p.r, &m1, &res));
		assert_true(mf_wg_noise_open_timestamp(&p.n, &p.of_r, &m1, &res, stamp));
		assert_true(mf_wg_noise_create_response(&p.n, &p.of_r, &res, 2, &m2, &kr));
		assert_false(mf_wg_noise_consume_response(&p.n, &p.i, &p.of_i, &ini, &m2, &ki));
		mf_wg_noise_fini(&p.n);
	}
}

static void test_points_of_small_order(void **state)
{
	struct mf_wg_noise_initiator ini;
	struct mf_wg_noise_responder res;
	struct mf_wg_msg_initiation m1;
	struct pair p;

	(void)state;
	pair_init(&p, false);
	for (uint8_t point = 0; point < 2; point++) { /* 0 and 1 are of order 1, 2 or 4 */
		memset(&p.of_i.public_key, 0, sizeof(p.of_i.public_key));
		p.of_i.public_key.b[0] = point;
		mf_wg_noise_remote_set(&p.of_i, &p.i);
		assert_false(p.of_i.usable);
		assert_false(mf_wg_noise_create_initiation(&p.n, &p.i, &p.of_i, known_stamp, 1,
							   &ini, &m1));
	}
	/* As an ephemeral key in a message. */
	memset(&m1, 0, sizeof(m1));
	assert_false(mf_wg_noise_open_static(&p.n, &p.r, &m1, &res));
	mf_wg_noise_fini(&p.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_known_transcript),
		cmocka_unit_test(test_each_flipped_byte_is_refused),
		cmocka_unit_test(test_psk_on_one_side_or_different),
		cmocka_unit_test(test_points_of_small_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
