/* SPDX-License-Identifier: Apache-2.0
 *
 * rte_lpm - DPDK's longest prefix match on the same prefixes and addresses as bench/micro/lpm.c, in
 * memory of its own (no huge pages, no devices). "lookups_per_s" is the better of its two bulk lookups;
 * rte_fib, which indexes 24 bits too but without rules, is measured beside it.
 */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_lpm.h>
#include <rte_malloc.h>
#include <rte_rib.h>
#include <rte_vect.h>
#include <rte_version.h>

#include "../micro/lpm_prefixes.h"

enum { NONE = 0xffffff };

static void bulk(void *table, const uint32_t *addr, uint32_t *out)
{
	uint32_t next[BENCH_BULK];

	rte_lpm_lookup_bulk(table, addr, next, BENCH_BULK);
	for (size_t i = 0; i < BENCH_BULK; i++)
		out[i] = next[i] & RTE_LPM_LOOKUP_SUCCESS ? next[i] & 0xffffff : 0;
}

/* As its users call it: without turning the answer into another form. */
static void bulk_raw(void *table, const uint32_t *addr, uint32_t *out)
{
	rte_lpm_lookup_bulk(table, addr, out, BENCH_BULK);
}

static void by_four(void *table, const uint32_t *addr, uint32_t *out)
{
	for (size_t i = 0; i < BENCH_BULK; i += 4)
		rte_lpm_lookupx4(table, _mm_loadu_si128((const void *)(addr + i)), out + i, 0);
}

static void fib_bulk(void *table, const uint32_t *addr, uint32_t *out)
{
	uint64_t next[BENCH_BULK];

	rte_fib_lookup_bulk(table, (uint32_t *)(uintptr_t)addr, next, BENCH_BULK);
	for (size_t i = 0; i < BENCH_BULK; i++)
		out[i] = (uint32_t)next[i];
}

static size_t heap(void)
{
	struct rte_malloc_socket_stats s;

	return rte_malloc_get_socket_stats(0, &s) == 0 ? s.heap_allocsz_bytes : 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct bench_prefix *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* How many groups of 256 the prefixes longer than /24 need, so that rte_lpm gets no more. */
static uint32_t groups(const struct bench_prefix *p, size_t n)
{
	struct bench_prefix *s = malloc((n + 1) * sizeof(*s));
	uint32_t k = 0, last = 0;

	if (!s)
		exit(1);
	memcpy(s, p, n * sizeof(*s));
	qsort(s, n, sizeof(*s), by_addr);
	for (size_t i = 0; i < n; i++) {
		if (s[i].len <= 24 || (k && s[i].addr >> 8 == last))
			continue;
		last = s[i].addr >> 8;
		k++;
	}
	free(s);
	return k + 1;
}

/* NULL if rte_fib refuses. */
static struct rte_fib *make_fib(const struct bench_prefix *p, const struct bench_options *o,
				uint32_t n_tbl8)
{
	struct rte_fib_conf conf = {
		.type = RTE_FIB_DIR24_8,
		.max_routes = (int)o->prefixes * 2,
		/* two bytes leave room for 32767 of either */
		.dir24_8 = { .nh_sz = n_tbl8 < 32000 && o->values < 32000 ? RTE_FIB_DIR24_8_2B
									  : RTE_FIB_DIR24_8_4B,
			     .num_tbl8 = n_tbl8 + 256 },
	};
	struct rte_fib *fib = rte_fib_create("bench", 0, &conf);

	for (size_t i = 0; fib && i < o->prefixes; i++)
		if (rte_fib_add(fib, p[i].addr, p[i].len, p[i].value))
			return NULL;
	return fib;
}

int main(int argc, char **argv)
{
	char *eal[] = { argv[0], "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
			"-m",    "1024",      "-l",       "0",           "--log-level=error",
			NULL };
	struct bench_options o = bench_options(argc, argv);
	struct bench_prefix *p = bench_prefixes(&o);
	struct rte_lpm_config conf = { .max_rules = (uint32_t)o.prefixes + 1,
				       .number_tbl8s = groups(p, o.prefixes) };
	struct rte_fib *fib;
	struct rte_lpm *t;
	double load, rate, four;
	size_t before, bytes, fib_bytes;

	if (rte_eal_init((int)(sizeof(eal) / sizeof(eal[0])) - 1, eal) < 0)
		return 1;
	before = heap();
	t = rte_lpm_create("bench", 0, &conf);
	if (!t)
		return 1;
	load = bench_now();
	for (size_t i = 0; i < o.prefixes; i++)
		if (rte_lpm_add(t, p[i].addr, p[i].len, p[i].value))
			return 1;
	load = bench_now() - load;
	bytes = heap() - before;
	fib = make_fib(p, &o, conf.number_tbl8s);
	fib_bytes = heap() - before - bytes;
	for (int done = 0; bench_turn(&o, done); done = 1) {
		rate = bench_lookups(bulk_raw, t, o.seconds);
		four = bench_lookups(by_four, t, o.seconds);
		printf("{\"bench\":\"lpm\",\"who\":\"rte_lpm\",\"version\":\"%s\",\"prefixes\":%zu,"
		       "\"lookups_per_s\":%.0f,\"bytes\":%zu,\"bulk_per_s\":%.0f,"
		       "\"x4_per_s\":%.0f,\"load_s\":%.3f,\"check\":%llu",
		       rte_version(), o.prefixes, rate > four ? rate : four, bytes, rate, four,
		       load, (unsigned long long)bench_sum(bulk, t));
		if (fib)
			printf(",\"fib_per_s\":%.0f,\"fib_bytes\":%zu,\"fib_check\":%llu",
			       bench_lookups(fib_bulk, fib, o.seconds), fib_bytes,
			       (unsigned long long)bench_sum(fib_bulk, fib));
		printf("}\n");
	}
	return 0;
}
