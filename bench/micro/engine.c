/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine adds to the cryptography: packets go from the generator through ip-input, route-lookup
 * and wg-output to a socket that swallows them, beside the bare AEAD of the same library on the same
 * bytes. Prints one JSON line for each size; with two workers also what the second one brings.
 *
 *   bench-micro-engine [seconds] [size ...]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nodes/pg.h"
#include "support/testnet.h"

static mf_nsec real_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (mf_nsec)ts.tv_sec * MF_SEC + (mf_nsec)ts.tv_nsec;
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

static double engine_packets_per_s(uint32_t size, unsigned workers, double seconds, const char **aead)
{
	static uint8_t bytes[2048], payload[2048];
	struct testnet t;
	struct mf_pg_template template = { .bytes = bytes };
	struct mf_pg pg = { .templates = &template, .n_templates = 1, .count = UINT64_MAX };
	struct mf_order o = { .kind = MF_ORDER_SET_PG, .pg = &pg };
	struct mf_worker *w;
	pthread_t thread;
	mf_nsec begin, end;

	testnet_open(&t, &(struct testnet_options){ .seed = 1, .n_workers = workers });
	w = mf_engine_worker(t.side[0].engine, 0);
	*aead = mf_aead_backend(w->aead);
	template.len = testnet_udp4(bytes, "10.9.0.1", "10.9.0.2", 1000, 2000, payload, size - 28);
	testnet_app_send(&t.side[0], bytes, template.len, 0, 0, false, 0, 0);
	testnet_settle(&t);
	t.swallow = true;
	pg.to = mf_graph_find(&w->graph, "ip-input");
	pg.per_pass = 256;
	mf_engine_order(t.side[0].engine, 0, &o);
	stop_helper = false;
	if (workers > 1)
		pthread_create(&thread, NULL, helper, &t);
	begin = real_now();
	do
		for (int i = 0; i < 16; i++)
			mf_worker_pass(w, t.now);
	while (real_now() - begin < (mf_nsec)(seconds * 1e9));
	end = real_now();
	stop_helper = true;
	if (workers > 1)
		pthread_join(thread, NULL);
	pg.count = pg.sent;
	mf_worker_pass(w, t.now);
	if (!testnet_balanced(&t.side[0]))
		exit(1);
	testnet_close(&t);
	return (double)pg.sent / ((double)(end - begin) / 1e9);
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
	begin = real_now();
	do
		for (int i = 0; i < 4096; i++, n++)
			mf_aead_seal(ctx, &key, n, in + n % RING * 2048, size, out + n % RING * 2048);
	while (real_now() - begin < (mf_nsec)(seconds * 1e9));
	begin = real_now() - begin;
	mf_aead_free(ctx);
	free(in);
	free(out);
	return (double)n / ((double)begin / 1e9);
}

static void measure(uint32_t size, double seconds)
{
	const char *aead;
	double bare = aead_packets_per_s(
		mf_round_up(size, 16) <= 1420 ? (uint32_t)mf_round_up(size, 16) : size, seconds);
	double one = engine_packets_per_s(size, 1, seconds, &aead);
	double two = engine_packets_per_s(size, 2, seconds, &aead);

	printf("{\"size\":%u,\"aead\":\"%s\",\"aead_pps\":%.0f,\"engine_pps\":%.0f,\"engine_2w_"
	       "pps\":%.0f,"
	       "\"ratio\":%.3f,\"ratio_2w\":%.3f,\"extra_ns\":%.1f}\n",
	       size, aead, bare, one, two, one / bare, two / one, 1e9 / one - 1e9 / bare);
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
