/* SPDX-License-Identifier: Apache-2.0
 *
 * handshakes - how many handshakes a second the WireGuard core answers, on virtual time and without
 * I/O, beside what the curve operations of one answer alone would allow. Sixty-four initiators shake
 * hands with one responder, 130 s apart; only the responder's work is in the time.
 *
 *   bench-micro-handshakes [seconds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/random.h"
#include "crypto/x25519.h"
#include "proto/wg/wg.h"

enum {
	N = 64,
	DGRAM_MAX = 256,
	RESPONDER_PORT = 9,
	FIRST_PORT = 1000,
	GAP_SEC = 130, /* beyond REKEY_AFTER_TIME: the next packet asks for a new handshake */
	/* Of one answer, besides the new ephemeral key: one for the initiation (the two static keys' is
	 * precomputed) and two for the response. */
	DH_PER_ANSWER = 3,
};

struct dgram {
	size_t n;
	uint8_t bytes[DGRAM_MAX];
};

struct side {
	struct mf_wg *wg;
	struct mf_wg_device *device[N]; /* of the responder only the first */
	struct mf_wg_peer *peer[N];
	struct mf_key public_key[N];
	struct dgram out[N];
};

static struct side initiators, responder;
static mf_nsec now = MF_SEC;
static unsigned answers;

static uint64_t real_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * MF_SEC + (uint64_t)t.tv_nsec;
}

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "handshakes: %s\n", what);
		exit(1);
	}
}

/* ---- the host of a core ---- */

static struct mf_wg_wall host_wall(void *ctx)
{
	(void)ctx;
	return (struct mf_wg_wall){ .sec = 1700000000 + now / MF_SEC, .nsec = 0 };
}

/* Initiators are told apart by their device, the responder's answers by where they go. */
static void host_send(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *peer,
		      const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos)
{
	struct side *s = ctx;
	size_t i = s == &responder ? (size_t)to->remote.port - FIRST_PORT
				   : (size_t)(uintptr_t)mf_wg_device_user(d);

	(void)peer;
	(void)tos;
	must(i < N && n <= DGRAM_MAX, "a message of a wrong size or to nobody");
	s->out[i].n = n;
	memcpy(s->out[i].bytes, bytes, n);
	answers += s == &responder && n > 64;
}

static bool host_session_up(void *ctx, struct mf_wg_peer *peer)
{
	(void)ctx;
	(void)peer;
	return true; /* no keepalive wanted */
}

static void host_staged_drop(void *ctx, struct mf_wg_peer *peer)
{
	(void)ctx;
	(void)peer;
}

static void host_defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	(void)ctx;
	fn(obj);
}

static void open_side(struct side *s, unsigned devices)
{
	struct mf_wg_host host = { .ctx = s, .rng = { .fill = mf_random_fill } };

	host.wall_clock = host_wall;
	host.send = host_send;
	host.session_up = host_session_up;
	host.staged_drop = host_staged_drop;
	host.defer = host_defer;
	s->wg = mf_wg_new(&host, 2, now);
	must(s->wg, "out of memory");
	for (unsigned i = 0; i < devices; i++) {
		struct mf_wg_device *d = mf_wg_device_add(s->wg, (void *)(uintptr_t)i);
		struct mf_key private_key, again;

		must(d, "out of memory");
		mf_random_fill(NULL, private_key.b, sizeof(private_key.b));
		mf_wg_device_set_private_key(d, &private_key, now);
		must(mf_wg_device_keys(d, &again, &s->public_key[i]), "no key");
		mf_wg_device_set_listen_port(
			d, (uint16_t)(devices == 1 ? RESPONDER_PORT : FIRST_PORT + i));
		mf_wg_device_set_up(d, true, now);
		s->device[i] = d;
	}
}

static struct mf_endpoint endpoint(unsigned port)
{
	struct mf_endpoint e;
	char text[32];

	snprintf(text, sizeof(text), "192.0.2.%u:%u", 1 + port % 200, port);
	must(mf_endpoint_parse(&e, text) == MF_OK, "no endpoint");
	return e;
}

static void introduce(unsigned i)
{
	struct mf_wg_peer_config at_initiator = { .public_key = responder.public_key[0] };
	struct mf_wg_peer_config at_responder = { .public_key = initiators.public_key[i] };

	at_initiator.set = MF_WG_SET_ENDPOINT;
	at_initiator.endpoint = endpoint(RESPONDER_PORT);
	must(mf_wg_peer_set(initiators.device[i], &at_initiator, now, &initiators.peer[i]) == MF_OK,
	     "no peer");
	must(mf_wg_peer_set(responder.device[0], &at_responder, now, &responder.peer[i]) == MF_OK,
	     "no peer");
}

/* ---- one round ---- */

static void initiate(unsigned i)
{
	struct mf_wg_claimed claimed;
	unsigned post = 0;

	initiators.out[i].n = 0;
	(void)mf_wg_claim(initiators.peer[i], now, 1, &claimed, &post);
	mf_wg_poke(initiators.wg, mf_wg_peer_ref(initiators.peer[i]), now);
	must(initiators.out[i].n == 148, "an initiator did not initiate");
}

static void hand_over(struct side *to, const struct dgram *d, unsigned from_port, uint16_t to_port)
{
	struct mf_wg_handshake_in in = { .local_port = to_port, .bytes = d->bytes, .n = d->n };

	in.from.remote = endpoint(from_port);
	must(mf_wg_handshake_input(to->wg, now, &in) == MF_DROP_NONE, "a message was refused");
}

/* CPU time of N answers. */
static uint64_t round_of_handshakes(void)
{
	struct mf_wg_handshake_in in[N];
	uint64_t spent;

	now += GAP_SEC * MF_SEC;
	mf_wg_tick(initiators.wg, now);
	mf_wg_tick(responder.wg, now);
	for (unsigned i = 0; i < N; i++) {
		initiate(i);
		in[i] = (struct mf_wg_handshake_in){ .local_port = RESPONDER_PORT };
		in[i].bytes = initiators.out[i].bytes;
		in[i].n = initiators.out[i].n;
		in[i].from.remote = endpoint(FIRST_PORT + i);
	}
	spent = real_now();
	for (unsigned i = 0; i < N; i++)
		must(mf_wg_handshake_input(responder.wg, now, &in[i]) == MF_DROP_NONE,
		     "an initiation was refused");
	spent = real_now() - spent;
	for (unsigned i = 0; i < N; i++)
		hand_over(&initiators, &responder.out[i], RESPONDER_PORT, (uint16_t)(FIRST_PORT + i));
	return spent;
}

/* CPU time of the curve operations of N answers, with the library that the core uses. */
static uint64_t round_of_curves(void)
{
	uint8_t priv[MF_X25519_LEN], pub[MF_X25519_LEN], out[MF_X25519_LEN];
	uint64_t spent;

	mf_random_fill(NULL, priv, sizeof(priv));
	mf_x25519_base(pub, priv);
	spent = real_now();
	for (unsigned i = 0; i < N; i++) {
		mf_x25519_base(out, priv);
		for (unsigned k = 0; k < DH_PER_ANSWER; k++)
			must(mf_x25519(out, priv, pub), "a bad point");
		priv[8]++;
	}
	return real_now() - spent;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2.0;
	uint64_t handshakes = 0, curves = 0, rounds = 0;
	double rate, limit;

	open_side(&initiators, N);
	open_side(&responder, 1);
	for (unsigned i = 0; i < N; i++)
		introduce(i);
	(void)round_of_handshakes();
	(void)round_of_curves();
	answers = 0;
	/* In turn, so that what else the machine does falls on both. */
	do {
		handshakes += round_of_handshakes();
		curves += round_of_curves();
		rounds++;
	} while ((double)(handshakes + curves) < seconds * 1e9);
	must(answers == rounds * N, "not every initiation was answered");
	rate = (double)(rounds * N) / ((double)handshakes / 1e9);
	limit = (double)(rounds * N) / ((double)curves / 1e9);
	printf("{\"bench\":\"wg-handshakes\",\"handshakes_per_s\":%.0f,\"x25519_per_s\":%.0f,"
	       "\"ratio\":%.3f}\n",
	       rate, limit, rate / limit);
	mf_wg_free(initiators.wg);
	mf_wg_free(responder.wg);
	return 0;
}
