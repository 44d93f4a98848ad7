/* SPDX-License-Identifier: Apache-2.0
 *
 * lab - what the tests of Shadowsocks share: a clock and random numbers that the test decides on,
 * all methods, and random cuts.
 */
#ifndef MF_TEST_SS_LAB_H
#define MF_TEST_SS_LAB_H

#include "known.h"
#include "proto/shadowsocks/shadowsocks.h"
#include "support/sserver.h"
#include "unit.h"

#define LAB_PSK16(n) "AQIDBAUGBwgJCgsMDQ4PE" n "=="

/* Every method, and identity headers. */
static const struct lab_method {
	const char *method, *password;
} lab_methods[] = {
	{ "aes-128-gcm", "correct horse" },
	{ "aes-256-gcm", "correct horse" },
	{ "chacha20-ietf-poly1305", "correct horse" },
	{ "2022-blake3-aes-128-gcm", LAB_PSK16("A") },
	{ "2022-blake3-aes-256-gcm", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
	{ "2022-blake3-chacha20-poly1305", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
	{ "2022-blake3-aes-128-gcm", LAB_PSK16("A") ":" LAB_PSK16("Q") },
	{ "2022-blake3-aes-256-gcm", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=:"
				     "BQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=:"
				     "CQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=" },
	{ "2022-blake3-aes-128-gcm", LAB_PSK16("A") ":" LAB_PSK16("Q") ":" LAB_PSK16(
					     "g") ":" LAB_PSK16("w") ":"
								     "BQIDBAUGBwgJCgsMDQ4PEA==" },
};
enum { LAB_METHODS = MF_ARRAY_LEN(lab_methods) };

/* Random numbers: first those of a script, then of a generator. */
struct lab {
	struct mf_codec_env env;
	struct mf_prng prng;
	uint8_t script[128];
	size_t script_at, script_n;
	uint64_t now;
	struct mf_ss_config config;
	struct sserver_keys keys;
};

static inline size_t lab_hex(uint8_t *out, size_t max, const char *hex)
{
	size_t n = strlen(hex) / 2;

	assert_true(n <= max);
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return n;
}

static inline void lab_assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	uint8_t want[1024];

	assert_int_equal(n, lab_hex(want, sizeof(want), hex));
	assert_memory_equal(got, want, n);
}

static inline void lab_script(struct lab *l, const char *hex)
{
	l->script_n += lab_hex(l->script + l->script_n, sizeof(l->script) - l->script_n, hex);
}

static inline void lab_fill(void *ctx, void *out, size_t n)
{
	struct lab *l = ctx;

	if (l->script_at == l->script_n) {
		mf_prng_fill(&l->prng, out, n);
		return;
	}
	assert_true(n <= l->script_n - l->script_at);
	memcpy(out, l->script + l->script_at, n);
	l->script_at += n;
}

static inline uint64_t lab_wall(void *ctx)
{
	return ((struct lab *)ctx)->now;
}

/* What `lab_cipher` is for all labs of a program. */
static struct mf_cipher *lab_cipher;

static inline void lab_init(struct lab *l, const char *method, const char *password, uint64_t seed)
{
	enum mf_ss_method m;

	if (!lab_cipher)
		lab_cipher = mf_cipher_new();
	*l = (struct lab){ .now = SS_KNOWN_TIME, .prng = { .state = seed } };
	l->env = (struct mf_codec_env){
		.cipher = lab_cipher, .rng = { lab_fill, l }, .wall = lab_wall, .ctx = l
	};
	assert_true(mf_ss_method_find(method, &m));
	assert_int_equal(mf_ss_config_set(&l->config, m, password, NULL), MF_OK);
	sserver_keys(&l->keys, method, password);
}

/* 0..n, often one of the ends. */
static inline size_t lab_upto(struct mf_prng *g, size_t n)
{
	switch (mf_prng_below(g, 8)) {
	case 0:
		return mf_min(n, mf_prng_below(g, 3));
	case 1:
		return n;
	default:
		return mf_prng_below(g, n + 1);
	}
}

/* A target of any kind; a name is at `name`. */
static inline struct mf_proxy_target lab_target(struct mf_prng *g, char name[256])
{
	struct mf_proxy_target t = { .addr.port = (uint16_t)mf_prng_u64(g) };
	uint8_t b[16];

	mf_prng_fill(g, b, sizeof(b));
	t.addr.addr = mf_prng_below(g, 2) ? mf_addr_ip4(b) : mf_addr_ip6(b);
	if (mf_prng_below(g, 2)) {
		t.name_n = (uint8_t)(1 + mf_prng_below(g, 255));
		memset(name, 'a' + (int)mf_prng_below(g, 26), 255);
		t.name = name;
	}
	return t;
}

#endif
