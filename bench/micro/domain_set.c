/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_set - reads a list of names from memory into a set, then looks names up: half of them in
 * the set (of those half one label below a name of the list), half not. One JSON line.
 *
 *   [--names N] [--seconds S] [--seed N]
 */
#include "policy/list.h"

#include "domain_list.h"

#include <sys/resource.h>
#include <time.h>

enum { BLOCK = 512 };

struct options {
	size_t names;
	double seconds;
	uint64_t seed;
};

static struct options parse(int argc, char **argv)
{
	struct options o = { .names = 1000000, .seconds = 2, .seed = 1 };

	for (int i = 1; i + 1 < argc; i += 2) {
		double v = atof(argv[i + 1]);

		if (!strcmp(argv[i], "--names"))
			o.names = (size_t)v;
		else if (!strcmp(argv[i], "--seconds"))
			o.seconds = v;
		else if (!strcmp(argv[i], "--seed"))
			o.seed = (uint64_t)v;
		else
			exit(2);
	}
	return o;
}

/* Seconds that this thread has run. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* A list, and where each line begins. */
struct list {
	char *text;
	size_t len;
	uint32_t *line;
};

static struct list make_list(const struct options *o)
{
	struct list l = { .text = malloc(o->names * BENCH_NAME_MAX),
			  .line = malloc(o->names * sizeof(*l.line)) };
	struct mf_prng g = { .state = o->seed };
	struct bench_name zone = { .n = 0 };

	if (!l.text || !l.line)
		exit(1);
	for (size_t i = 0; i < o->names; i++) {
		struct bench_name name = bench_next_name(&g, &zone);

		l.line[i] = (uint32_t)l.len;
		memcpy(l.text + l.len, name.s, name.n);
		l.len += name.n;
		l.text[l.len++] = '\n';
	}
	return l;
}

static mf_err add(void *ctx, enum mf_domain_kind kind, const char *name, size_t n, bool except,
		  uint32_t line, struct mf_errbuf *eb)
{
	(void)line;
	return mf_domain_builder_add(ctx, kind, name, n, except, eb);
}

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static struct mf_domain_set *load(const struct list *l, const struct options *o)
{
	uint8_t key[16];
	struct mf_prng g = { .state = o->seed + 1 };
	struct mf_domain_builder *b;
	struct mf_list_sink sink = { .domain = add };
	static struct mf_list_report report;

	mf_prng_fill(&g, key, sizeof(key));
	b = mf_domain_builder_new(key);
	if (!b)
		return NULL;
	sink.ctx = b;
	if (mf_list_read(mf_span(l->text, l->len), MF_LIST_DOMAINS, &sink, &report) || report.bad)
		exit(1);
	return mf_domain_builder_finish(b);
}

/* Names to look up. */
struct block {
	struct bench_name name[BLOCK];
};

static void make_hits(struct block *b, const struct list *l, size_t names, struct mf_prng *g)
{
	for (size_t i = 0; i < BLOCK; i++) {
		const char *s = l->text + l->line[mf_prng_below(g, names)];
		size_t n = strcspn(s, "\n");

		b->name[i].n = 0;
		if (i & 1)
			bench_label(g, &b->name[i]);
		memcpy(b->name[i].s + b->name[i].n, s, n);
		b->name[i].n += n;
	}
}

/* No word of the list has a q. Not looked up beforehand: that would fetch what the lookup is to
 * wait for. */
static void make_misses(struct block *b, struct mf_prng *g)
{
	for (size_t i = 0; i < BLOCK; i++) {
		struct bench_name zone = { .n = 0 };

		b->name[i] = (struct bench_name){ .n = 0 };
		if (mf_prng_below(g, 2))
			bench_label(g, &b->name[i]);
		bench_add(&b->name[i], "q");
		bench_zone(g, &zone);
		zone.s[zone.n] = '\0';
		bench_add(&b->name[i], zone.s);
	}
}

/* Looks up all; adds the time to *spent. Returns how many are in the set. */
static size_t look_up(const struct mf_domain_set *s, const struct block *b, double *spent)
{
	double start = now();
	size_t hits = 0;

	for (size_t i = 0; i < BLOCK; i++)
		hits += mf_domain_set_has(s, b->name[i].s, b->name[i].n, NULL);
	*spent += now() - start;
	return hits;
}

int main(int argc, char **argv)
{
	static struct block hit, miss;
	struct options o = parse(argc, argv);
	struct list l = make_list(&o);
	struct mf_prng g = { .state = o.seed + 2 };
	double load_s, hit_s = 0, miss_s = 0, n = 0;
	long before = peak_kib();
	struct mf_domain_set *s;

	load_s = now();
	s = load(&l, &o);
	load_s = now() - load_s;
	if (!s)
		return 1;
	while (hit_s + miss_s < o.seconds) {
		make_hits(&hit, &l, o.names, &g);
		make_misses(&miss, &g);
		if (look_up(s, &hit, &hit_s) != BLOCK || look_up(s, &miss, &miss_s) != 0)
			return 1;
		n += BLOCK;
	}
	printf("{\"bench\":\"domain-set\",\"names\":%zu,\"kept\":%zu,\"list_bytes\":%zu,\"load_s\":"
	       "%.3f,"
	       "\"bytes\":%zu,\"peak_kib\":%ld,\"hits_per_s\":%.0f,\"misses_per_s\":%.0f,"
	       "\"lookups_per_s\":%.0f}\n",
	       o.names, mf_domain_set_count(s), l.len, load_s, mf_domain_set_bytes(s),
	       peak_kib() - before, n / hit_s, n / miss_s, 2 * n / (hit_s + miss_s));
	mf_domain_set_free(s);
	free(l.text);
	free(l.line);
	return 0;
}
