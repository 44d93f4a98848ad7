/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine adds to the cryptography: packets go from the generator through ip-input, route-lookup
 * and wg-output to a socket that swallows them, beside the bare AEAD of the same library on the same
 * bytes. Prints one JSON line for each size; with two workers also what the second one brings. The share of
 * one worker is taken from processor time, so a busy machine disturbs it little; two workers need two idle
 * processors.
 *
 *   bench-micro-engine [seconds] [size ...]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nodes/pg.h"
#include "support/testnet.h"

enum { ROUNDS = 7 };

static mf_nsec clock_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (mf_nsec)ts.tv_sec * MF_SEC + (mf_nsec)ts.tv_nsec;
}

/* One thread is measured in its own processor time, two on the wall. */
static mf_nsec real_now(unsigned workers)
{
	return clock_of(workers == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

static volatile bool stop_helper;

static void *helper(void *arg)
{
	struct testnet *t = arg;
	struct mf_worker *w = mf_engine_worker(t->side[0].engine, 1);

	while (!stop_helper)
		mf_worker_pass(w, t->now);
	return NULL;
}

/* `fed`: how many of the workers have a generator, as each has a TUN queue. */
static double engine_packets_per_s(uint32_t size, unsigned workers, unsigned fed, const char *node,
				   double seconds, const char **aead)
{
	static uint8_t bytes[2048], payload[2048];
	struct testnet t;
	struct mf_pg_template template = { .bytes = bytes };
	struct mf_pg pg[2];
	struct mf_worker *w;
	pthread_t thread;
	mf_nsec begin, end;
	uint64_t sent = 0;

	testnet_open(&t, &(struct testnet_options){ .seed = 1, .n_workers = workers });
	w = mf_engine_worker(t.side[0].engine, 0);
	*aead = mf_aead_backend(w->aead);
	template.len = testnet_udp4(bytes, "10.9.0.1", "10.9.0.2", 1000, 2000, payload, size - 28);
	testnet_app_send(&t.side[0], bytes, template.len, 0, 0, false, 0, 0);
	testnet_settle(&t);
	t.swallow = true;
	for (unsigned i = 0; i < fed; i++) {
		struct mf_order o = { .kind = MF_ORDER_SET_PG, .pg = &pg[i] };

		pg[i] = (struct mf_pg){
			.to = mf_graph_find(&mf_engine_worker(t.side[0].engine, i)->graph, node),
			.templates = &template,
			.n_templates = 1,
			.count = UINT64_MAX,
			.per_pass = 256,
		};
		mf_engine_order(t.side[0].engine, i, &o);
	}
	stop_helper = false;
	if (workers > 1)
		pthread_create(&thread, NULL, helper, &t);
	begin = real_now(workers);
	do
		for (int i = 0; i < 16; i++)
			mf_worker_pass(w, t.now);
	while (real_now(workers) - begin < (mf_nsec)(seconds * 1e9));
	end = real_now(workers);
	stop_helper = true;
	if (workers > 1)
		pthread_join(thread, NULL);
	for (unsigned i = 0; i < fed; i++) {
		sent += pg[i].sent;
		pg[i].count = pg[i].sent;
	}
	/* Each may still hold jobs that the other one has done. */
	for (unsigned i = 0; i < 2 * workers; i++)
		mf_worker_pass(mf_engine_worker(t.side[0].engine, i % workers), t.now);
	if (!testnet_balanced(&t.side[0]))
		exit(1);
	testnet_close(&t);
	return (double)sent / ((double)(end - begin) / 1e9);
}

static double aead_packets_per_s(uint32_t size, double seconds)
{
	enum { RING = 256 };
	struct mf_aead *ctx = mf_aead_new(NULL);
	struct mf_aead_key key;
	uint8_t *in = calloc(RING, 2048), *out = calloc(RING, 2048);
	uint64_t n = 0;
	mf_nsec begin;

	mf_aead_key_init(&key, in);
	begin = real_now(1);
	do
		for (int i = 0; i < 4096; i++, n++)
			mf_aead_seal(ctx, &key, n, in + n % RING * 2048, size, out + n % RING * 2048);
	while (real_now(1) - begin < (mf_nsec)(seconds * 1e9));
	begin = real_now(1) - begin;
	mf_aead_free(ctx);
	free(in);
	free(out);
	return (double)n / ((double)begin / 1e9);
}

static int compare(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* `2w`: both workers have packets of the one peer, as two TUN queues give them. `helped`: only the first
 * has, as with a single flow; the second takes over jobs. In turn, so that a machine whose speed drifts is the same for all of them. All in ns a packet: `engine_ns`
 * holds the generator, which makes the packets (a copy) and frees them; `extra_ns` and `ratio` do not. */
static void measure(uint32_t size, double seconds)
{
	size_t padded = mf_round_up(size, 16);
	uint32_t sealed = padded <= 1420 ? (uint32_t)padded : size;
	double bare[ROUNDS], idle[ROUNDS], one[ROUNDS], two[ROUNDS], helped[ROUNDS];
	double share[ROUNDS], scale[ROUNDS], scale_helped[ROUNDS], extra[ROUNDS];
	const char *aead = NULL;

	for (int i = 0; i < ROUNDS; i++) {
		bare[i] = 1e9 / aead_packets_per_s(sealed, seconds / ROUNDS);
		idle[i] = 1e9 / engine_packets_per_s(size, 1, 1, "drop", seconds / ROUNDS, &aead);
		one[i] = 1e9 / engine_packets_per_s(size, 1, 1, "ip-input", seconds / ROUNDS, &aead);
		two[i] = 1e9 / engine_packets_per_s(size, 2, 2, "ip-input", seconds / ROUNDS, &aead);
		helped[i] =
			1e9 / engine_packets_per_s(size, 2, 1, "ip-input", seconds / ROUNDS, &aead);
		scale[i] = one[i] / two[i];
		scale_helped[i] = one[i] / helped[i];
		extra[i] = one[i] - idle[i] - bare[i];
		share[i] = bare[i] / (one[i] - idle[i]);
	}
	printf("{\"size\":%u,\"aead\":\"%s\",\"aead_ns\":%.1f,\"generator_ns\":%.1f,\"engine_ns\":%"
	       ".1f,"
	       "\"engine_2w_ns\":%.1f,\"engine_helped_ns\":%.1f,\"ratio\":%.3f,\"ratio_2w\":%.3f,"
	       "\"ratio_helped\":%.3f,\"extra_ns\":%.1f}\n",
	       size, aead, median(bare, ROUNDS), median(idle, ROUNDS), median(one, ROUNDS),
	       median(two, ROUNDS), median(helped, ROUNDS), median(share, ROUNDS),
	       median(scale, ROUNDS), median(scale_helped, ROUNDS), median(extra, ROUNDS));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1.0;

	if (argc > 2)
		for (int i = 2; i < argc; i++)
			measure((uint32_t)atoi(argv[i]), seconds);
	else {
		measure(1420, seconds);
		measure(64, seconds);
	}
	return 0;
}
