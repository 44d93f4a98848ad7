/* SPDX-License-Identifier: Apache-2.0
 *
 * crypto - what the primitives of src/crypto cost on this machine: every AEAD back-end over packet
 * sizes, X25519, BLAKE2s. Thread CPU time, the best of several rounds, because other work on the
 * machine can only make it slower.
 *
 * crypto [--ms N] [--json]: N milliseconds a round (default 20).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/random.h"
#include "crypto/x25519.h"

enum { ROUNDS = 7, SLOTS = 32, SLOT = 8192 + 64, MAX_BACKENDS = 8 };

static const size_t sizes[] = { 0, 64, 256, 576, 1420, 8192 };

static struct {
	mf_nsec round;
	bool json;
} opt = { .round = 20 * MF_MSEC };

/* All that is measured works on this; a ring of packets, as in a batch, not one hot buffer. */
static struct bench {
	struct mf_aead *aead;
	struct mf_aead_key key;
	struct mf_blake2s *hash;
	struct mf_x25519_key *pair;
	uint8_t priv[32], pub[32], out[32], out2[32], out3[32];
	size_t n;
	uint8_t packets[SLOTS][SLOT], plain[SLOT];
} b;

static mf_nsec cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (mf_nsec)t.tv_sec * MF_SEC + (mf_nsec)t.tv_nsec;
}

/* Nanoseconds a call: `op` is called with 0, 1, 2, ... */
static double measure(void (*op)(uint64_t i))
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		mf_nsec start = cpu_time(), spent;
		uint64_t i = 0;

		do {
			for (uint64_t end = i + SLOTS; i < end; i++)
				op(i);
			spent = cpu_time() - start;
		} while (spent < opt.round);
		if ((double)spent / (double)i < best)
			best = (double)spent / (double)i;
	}
	return best;
}

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "crypto: a primitive gave a wrong answer\n");
		exit(1);
	}
}

static void op_seal(uint64_t i)
{
	uint8_t *p = b.packets[i % SLOTS];

	mf_aead_seal(b.aead, &b.key, i, p, b.n, p);
}

static void op_open(uint64_t i)
{
	must(mf_aead_open(b.aead, &b.key, i % SLOTS, b.packets[i % SLOTS], b.n + MF_AEAD_TAG_LEN,
			  b.plain));
}

static void op_x25519(uint64_t i)
{
	(void)i;
	must(mf_x25519(b.out, b.priv, b.pub));
}

static void op_x25519_base(uint64_t i)
{
	(void)i;
	mf_x25519_base(b.out, b.priv);
}

static void op_x25519_key_new(uint64_t i)
{
	(void)i;
	mf_x25519_key_free(mf_x25519_key_new(b.priv));
}

static void op_x25519_key_set(uint64_t i)
{
	(void)i;
	must(mf_x25519_key_set(b.pair, b.priv, NULL));
}

static void op_x25519_key_set_pair(uint64_t i)
{
	(void)i;
	must(mf_x25519_key_set(b.pair, b.priv, b.pub));
}

static void op_x25519_key_shared(uint64_t i)
{
	(void)i;
	must(mf_x25519_key_shared(b.pair, b.out, b.pub));
}

static void op_hash(uint64_t i)
{
	(void)i;
	mf_blake2s_hash2(b.hash, b.out, b.out, 32, b.pub, 32);
}

static void op_mac(uint64_t i)
{
	(void)i;
	mf_blake2s_mac(b.hash, b.out, b.pub, 32, b.plain, 116);
}

static void op_kdf1(uint64_t i)
{
	(void)i;
	mf_blake2s_kdf(b.hash, b.out, NULL, NULL, b.out, b.pub, 32);
}

static void op_kdf3(uint64_t i)
{
	(void)i;
	mf_blake2s_kdf(b.hash, b.out, b.out2, b.out3, b.out, b.pub, 32);
}

static void op_seal_aad(uint64_t i)
{
	mf_aead_seal_aad(b.pub, i, b.out, 32, b.plain, 32, b.packets[0]);
}

static void op_random(uint64_t i)
{
	(void)i;
	mf_random_fill(NULL, b.out, sizeof(b.out));
}

static void report_aead(const char *what, const char *backend, double ns)
{
	double gbit = (double)b.n * 8 / ns;

	if (opt.json)
		printf("{\"bench\":\"aead-%s\",\"backend\":\"%s\",\"bytes\":%zu,\"ns\":%.1f,"
		       "\"gbit_s\":%.2f}\n",
		       what, backend, b.n, ns, gbit);
	else
		printf("%-6s %-16s %6zu B %8.0f ns %7.2f Gbit/s\n", what, backend, b.n, ns, gbit);
}

/* Size by size and all back-ends in turn, so that a slow moment of the machine hits all of them. */
static void bench_aead(void)
{
	struct mf_aead *ctx[MAX_BACKENDS] = { NULL };
	const char *const *name = mf_aead_backends();

	for (size_t k = 0; k < MAX_BACKENDS && name[k]; k++)
		ctx[k] = mf_aead_new(name[k]);
	for (size_t s = 0; s < MF_ARRAY_LEN(sizes); s++) {
		b.n = sizes[s];
		for (size_t k = 0; k < MAX_BACKENDS && name[k]; k++) {
			if (!ctx[k])
				continue;
			b.aead = ctx[k];
			report_aead("seal", name[k], measure(op_seal));
			for (uint64_t i = 0; i < SLOTS; i++)
				op_seal(i);
			report_aead("open", name[k], measure(op_open));
		}
	}
	for (size_t k = 0; k < MAX_BACKENDS; k++)
		mf_aead_free(ctx[k]);
}

static void bench_rest(void)
{
	static const struct {
		const char *name;
		void (*op)(uint64_t i);
	} all[] = {
		{ "x25519", op_x25519 },
		{ "x25519-base", op_x25519_base },
		{ "x25519-key-new", op_x25519_key_new },
		{ "x25519-key-set", op_x25519_key_set },
		{ "x25519-key-set-pair", op_x25519_key_set_pair },
		{ "x25519-key-shared", op_x25519_key_shared },
		{ "blake2s-64", op_hash },
		{ "blake2s-mac-116", op_mac },
		{ "blake2s-kdf1-32", op_kdf1 },
		{ "blake2s-kdf3-32", op_kdf3 },
		{ "aead-seal-aad-32", op_seal_aad },
		{ "random-32", op_random },
	};

	for (size_t i = 0; i < MF_ARRAY_LEN(all); i++) {
		double ns = measure(all[i].op);

		if (opt.json)
			printf("{\"bench\":\"%s\",\"ns\":%.1f,\"ops_s\":%.0f}\n", all[i].name, ns,
			       1e9 / ns);
		else
			printf("%-23s %18.0f ns %9.0f ops/s\n", all[i].name, ns, 1e9 / ns);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			opt.json = true;
		} else if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc && atoi(argv[i + 1]) > 0) {
			opt.round = (mf_nsec)atoi(argv[++i]) * MF_MSEC;
		} else {
			fprintf(stderr, "usage: crypto [--ms N] [--json]\n");
			return 2;
		}
	}
	mf_random_fill(NULL, b.priv, sizeof(b.priv));
	mf_aead_key_init(&b.key, b.priv);
	b.hash = mf_blake2s_new();
	b.pair = mf_x25519_key_new(b.priv);
	must(b.hash && b.pair);
	mf_random_fill(NULL, b.out, sizeof(b.out));
	mf_x25519_base(b.pub, b.out);
	bench_aead();
	bench_rest();
	mf_blake2s_free(b.hash);
	mf_x25519_key_free(b.pair);
	return 0;
}
