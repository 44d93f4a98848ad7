/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm - bulk lookups of random IPv4 addresses in a table as large as the internet's. The peers are in
 * bench/peers; all take the same options (see lpm_prefixes.h) and print one JSON line.
 */
#include "policy/lpm.h"

#include "lpm_prefixes.h"

static void bulk(void *table, const uint32_t *addr, uint32_t *out)
{
	mf_lpm_lookup4_bulk(table, addr, out, BENCH_BULK);
}

static void one_by_one(void *table, const uint32_t *addr, uint32_t *out)
{
	for (size_t i = 0; i < BENCH_BULK; i++)
		out[i] = mf_lpm_lookup4(table, addr[i]);
}

/* Removes and inserts again prefixes of the table; seconds for one update. */
static double update_seconds(struct mf_lpm *t, const struct mf_lpm_entry *e, size_t n)
{
	size_t updates = n < 20000 ? n : 20000;
	double start = bench_now();

	for (size_t i = 0; i < updates; i++) {
		const struct mf_lpm_entry *x = &e[i * (n / updates)];

		if (mf_lpm_remove(t, x->addr, x->len) || mf_lpm_insert(t, x->addr, x->len, x->value))
			exit(1);
	}
	return (bench_now() - start) / (double)updates / 2;
}

int main(int argc, char **argv)
{
	struct bench_options o = bench_options(argc, argv);
	struct bench_prefix *p = bench_prefixes(&o);
	struct mf_lpm_entry *e = calloc(o.prefixes + 1, sizeof(*e));
	struct mf_lpm *t = mf_lpm_new(32, 0, NULL);
	double load, rate, single, update;

	if (!e || !t)
		return 1;
	for (size_t i = 0; i < o.prefixes; i++) {
		mf_store_be32(e[i].addr, p[i].addr);
		e[i].len = p[i].len;
		e[i].value = p[i].value;
	}
	load = bench_now();
	if (mf_lpm_load(t, e, o.prefixes))
		return 1;
	load = bench_now() - load;
	update = update_seconds(t, e, o.prefixes);
	for (int done = 0; bench_turn(&o, done); done = 1) {
		rate = bench_lookups(bulk, t, o.seconds);
		single = bench_lookups(one_by_one, t, o.seconds / 4);
		printf("{\"bench\":\"lpm\",\"who\":\"mintflow\",\"prefixes\":%zu,\"lookups_per_s\":"
		       "%.0f,"
		       "\"bytes\":%zu,\"rib_bytes\":%zu,\"single_per_s\":%.0f,\"load_s\":%.3f,"
		       "\"update_us\":%.2f,\"check\":%llu}\n",
		       mf_lpm_count(t), rate, mf_lpm_bytes(t) + mf_lpm_rib_bytes(t),
		       mf_lpm_rib_bytes(t), single, load, update * 1e6,
		       (unsigned long long)bench_sum(bulk, t));
	}
	mf_lpm_free(t);
	free(e);
	free(p);
	return 0;
}
