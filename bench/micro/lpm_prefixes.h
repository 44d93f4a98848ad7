/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_prefixes - the prefixes and addresses of the longest-prefix-match benchmarks, the same from the
 * same seed for us and for the peers. No MintFlow header, so that a peer's program needs none.
 *
 * Lengths are distributed as in the internet's routing table (60 in 100 are /24). The prefixes lie
 * anywhere in 1.0.0.0 to 223.255.255.255: the internet's cluster, which would only help tables that
 * compress. Addresses are uniform over all 2^32.
 */
#ifndef BENCH_LPM_PREFIXES_H
#define BENCH_LPM_PREFIXES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench_prefix {
	uint32_t addr;
	uint32_t value;
	uint8_t len;
};

struct bench_options {
	size_t prefixes;
	uint32_t values, seed;
	double seconds;
	int turns; /* measure and print again for each line on stdin, until it ends */
};

static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Prefixes of each length among 1000. */
static inline unsigned bench_length(uint64_t *state)
{
	static const struct {
		uint16_t upto;
		uint8_t len;
	} table[] = { { 600, 24 }, { 702, 23 }, { 808, 22 }, { 857, 21 }, { 903, 20 },
		      { 930, 19 }, { 947, 18 }, { 957, 17 }, { 974, 16 }, { 976, 15 },
		      { 978, 14 }, { 979, 13 }, { 980, 0 },  { 1000, 25 } };
	unsigned roll = (unsigned)(bench_random(state) % 1000), k = 0;

	while (roll >= table[k].upto)
		k++;
	if (table[k].len == 0)
		return 8 + (unsigned)(bench_random(state) % 5);
	if (table[k].len == 25) /* half of a hundredth each */
		return roll & 1 ? 25 + (unsigned)(bench_random(state) % 8) : 24;
	return table[k].len;
}

/* n different prefixes in random order; values 1..values. Free with free(). */
static inline struct bench_prefix *bench_prefixes(const struct bench_options *o)
{
	struct bench_prefix *p = calloc(o->prefixes + 1, sizeof(*p));
	size_t mask = 1;
	uint64_t *seen, state = o->seed;

	while (mask < 2 * o->prefixes)
		mask *= 2;
	seen = calloc(mask--, sizeof(*seen));
	if (!p || !seen)
		exit(1);
	for (size_t n = 0; n < o->prefixes;) {
		unsigned len = bench_length(&state);
		uint32_t addr = (uint32_t)bench_random(&state) & 0xffffffffu << (32 - len);
		uint64_t key = (uint64_t)addr << 8 | len;
		size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 24) & mask;

		if (addr >> 24 < 1 || addr >> 24 > 223)
			continue;
		while (seen[i] && seen[i] != key)
			i = (i + 1) & mask;
		if (seen[i])
			continue;
		seen[i] = key;
		p[n++] = (struct bench_prefix){
			.addr = addr,
			.len = (uint8_t)len,
			.value = 1 + (uint32_t)(bench_random(&state) % o->values),
		};
	}
	free(seen);
	return p;
}

/* Seconds that this thread has run: what else the machine does counts as little as possible. */
static inline double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

enum { BENCH_BULK = 256, BENCH_BLOCK = 64 * BENCH_BULK };

/* Looks up one bulk; values (0 for none) go to out. */
typedef void bench_bulk_fn(void *table, const uint32_t *addr, uint32_t *out);

/* Lookups a second; the making of addresses is not in the time. */
static inline double bench_lookups(bench_bulk_fn *bulk, void *table, double seconds)
{
	static uint32_t addr[BENCH_BLOCK], out[BENCH_BULK];
	uint64_t state = 12345;
	double spent = 0, n = 0;

	while (spent < seconds) {
		double start;

		for (size_t i = 0; i < BENCH_BLOCK; i++)
			addr[i] = (uint32_t)bench_random(&state);
		start = bench_now();
		for (size_t i = 0; i < BENCH_BLOCK; i += BENCH_BULK)
			bulk(table, addr + i, out);
		spent += bench_now() - start;
		n += BENCH_BLOCK;
	}
	return n / spent;
}

/* The sum of the values of a million addresses: the same for all who answer right. */
static inline uint64_t bench_sum(bench_bulk_fn *bulk, void *table)
{
	static uint32_t addr[BENCH_BULK], out[BENCH_BULK];
	uint64_t state = 54321, sum = 0;

	for (size_t n = 0; n < 1 << 20; n += BENCH_BULK) {
		for (size_t i = 0; i < BENCH_BULK; i++)
			addr[i] = (uint32_t)bench_random(&state);
		bulk(table, addr, out);
		for (size_t i = 0; i < BENCH_BULK; i++)
			sum = sum * 31 + out[i];
	}
	return sum;
}

/* [--prefixes N] [--values N] [--seed N] [--seconds S] [--turns 1] */
static inline struct bench_options bench_options(int argc, char **argv)
{
	struct bench_options o = { .prefixes = 900000, .values = 100, .seed = 1, .seconds = 2 };

	for (int i = 1; i + 1 < argc; i += 2) {
		double v = atof(argv[i + 1]);

		if (!strcmp(argv[i], "--prefixes"))
			o.prefixes = (size_t)v;
		else if (!strcmp(argv[i], "--values"))
			o.values = (uint32_t)v;
		else if (!strcmp(argv[i], "--seed"))
			o.seed = (uint32_t)v;
		else if (!strcmp(argv[i], "--seconds"))
			o.seconds = v;
		else if (!strcmp(argv[i], "--turns"))
			o.turns = (int)v;
		else
			exit(2);
	}
	return o;
}

/* Waits for the turn, if there are turns. False: that was the last. */
static inline int bench_turn(const struct bench_options *o, int done)
{
	int c = '\n';

	fflush(stdout);
	if (!o->turns)
		return !done;
	do
		c = getchar();
	while (c != '\n' && c != EOF);
	return c != EOF;
}

#endif
