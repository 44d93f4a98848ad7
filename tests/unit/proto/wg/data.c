/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers and the control thread at once, as the engine runs them: meant for TSan and ASan. Two
 * instances talk in memory; workers move packets while the control thread shakes hands, roams, moves
 * allowed IPs, adds and removes peers. What workers may see is freed after their quiet points.
 */
#include "base/ring.h"
#include "proto/wg/device.h"

#include <pthread.h>

#include "unit.h"

enum { WORKERS = 2, PEERS = 3, STEPS = 1500, BATCH = 16 };

struct side;

struct event {
	struct side *side;
	struct mf_wg_peer_ref ref;
	struct mf_wg_path from;
	unsigned post;
};

struct side {
	struct mf_wg *wg;
	struct mf_wg_device *device;
	struct mf_wg_peer *peer[PEERS];
	struct mf_key public_key[PEERS];
	struct mf_wg_device *remote[PEERS]; /* side b: a device for each peer of a */
	struct mf_endpoint at;
};

static struct side a, b;
static struct mf_prng g;
static const struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &g };
static _Atomic mf_nsec clock_now = 1000 * MF_SEC;
static atomic_bool done;
static struct mf_ring *events;
static _Atomic uint64_t accepted, refused, unknown;

/* ---- quiet points ---- */

static struct {
	_Atomic uint64_t rounds;
	char pad[56];
} worker[WORKERS + 1];

struct deferred {
	void (*fn)(void *obj);
	void *obj;
	uint64_t rounds[WORKERS];
	struct deferred *next;
};

static struct deferred *first_deferred, **last_deferred = &first_deferred;
static bool at_once;

static void defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	struct deferred *d;

	(void)ctx;
	if (at_once) {
		fn(obj);
		return;
	}
	d = calloc(1, sizeof(*d));
	assert_non_null(d);
	*d = (struct deferred){ .fn = fn, .obj = obj };
	for (size_t i = 0; i < WORKERS; i++)
		d->rounds[i] = atomic_load(&worker[i].rounds);
	*last_deferred = d;
	last_deferred = &d->next;
}

static void reclaim(bool all)
{
	while (first_deferred) {
		struct deferred *d = first_deferred;

		for (size_t i = 0; i < WORKERS && !all; i++) {
			if (atomic_load(&worker[i].rounds) < d->rounds[i] + 2)
				return;
		}
		first_deferred = d->next;
		if (!first_deferred)
			last_deferred = &first_deferred;
		d->fn(d->obj);
		free(d);
	}
}

/* ---- the host ---- */

static struct mf_wg_wall wall(void *ctx)
{
	mf_nsec t = atomic_load(&clock_now);

	(void)ctx;
	return (struct mf_wg_wall){ .sec = t / MF_SEC, .nsec = (uint32_t)(t % MF_SEC) };
}

/* Messages of the control threads wait for the next step. */
struct message {
	struct side *to;
	size_t n;
	uint8_t bytes[148];
};

static struct message queue[256];
static size_t queued;

static void host_send(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *p,
		      const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos)
{
	struct message *m = &queue[queued];

	(void)d;
	(void)p;
	(void)to;
	(void)tos;
	if (bytes[0] == MF_WG_MSG_DATA || queued == MF_ARRAY_LEN(queue))
		return;
	queued++;
	m->to = ctx == &a ? &b : &a;
	m->n = n;
	memcpy(m->bytes, bytes, n);
}

static bool session_up(void *ctx, struct mf_wg_peer *p)
{
	(void)ctx;
	(void)p;
	return false;
}

static void staged_drop(void *ctx, struct mf_wg_peer *p)
{
	(void)ctx;
	(void)p;
}

static void side_init(struct side *s, const char *at)
{
	struct mf_wg_host host = { .ctx = s,
				   .rng = rng,
				   .wall_clock = wall,
				   .send = host_send,
				   .session_up = session_up,
				   .staged_drop = staged_drop,
				   .defer = defer };

	memset(s, 0, sizeof(*s));
	assert_int_equal(mf_endpoint_parse(&s->at, at), MF_OK);
	s->wg = mf_wg_new(&host, WORKERS + 1, clock_now);
	assert_non_null(s->wg);
}

static struct mf_wg_device *device_new(struct side *s, struct mf_key *public_key)
{
	struct mf_wg_device *d = mf_wg_device_add(s->wg, NULL);
	struct mf_key key;

	assert_non_null(d);
	mf_prng_fill(&g, key.b, sizeof(key.b));
	mf_wg_device_set_private_key(d, &key, clock_now);
	mf_wg_device_set_listen_port(d, s->at.port);
	mf_wg_device_set_up(d, true, clock_now);
	assert_true(mf_wg_device_keys(d, &key, public_key));
	return d;
}

static struct mf_prefix prefix_of(size_t i)
{
	return (struct mf_prefix){ .addr = { .b = { 10, (uint8_t)i }, .family = MF_AF_IP4 },
				   .len = 16 };
}

static struct mf_wg_peer *peer_new(struct mf_wg_device *d, const struct mf_key *key,
				   const struct mf_endpoint *at, size_t i)
{
	struct mf_wg_allowed w = { .prefix = prefix_of(i) };
	struct mf_wg_peer_config c = {
		.public_key = *key, .set = MF_WG_SET_ENDPOINT, .allowed = &w, .n_allowed = 1
	};
	struct mf_wg_peer *p;

	c.endpoint = *at;
	assert_int_equal(mf_wg_peer_set(d, &c, clock_now, &p), MF_OK);
	return p;
}

static void world_init(void)
{
	struct mf_key key_a;

	side_init(&a, "192.0.2.1:1000");
	side_init(&b, "192.0.2.2:2000");
	a.device = device_new(&a, &key_a);
	for (size_t i = 0; i < PEERS; i++) {
		b.remote[i] = device_new(&b, &a.public_key[i]);
		a.peer[i] = peer_new(a.device, &a.public_key[i], &b.at, i);
		b.peer[i] = peer_new(b.remote[i], &key_a, &a.at, i);
	}
	events = mf_ring_new(1024, sizeof(struct event));
	assert_non_null(events);
}

/* ---- workers ---- */

static void post(struct side *s, struct mf_wg_peer *p, unsigned flags, const struct mf_wg_path *from)
{
	struct event e = { .side = s, .ref = mf_wg_peer_ref(p), .post = flags };

	if (!flags)
		return;
	if (from)
		e.from = *from;
	if (!mf_ring_push(events, &e))
		mf_wg_post_failed(p, flags);
}

/* Moves a batch from p's side to the other one. */
static void move(struct side *from, struct side *to, struct mf_wg_peer *p, unsigned slot,
		 struct mf_prng *mine)
{
	struct mf_wg_tally t = { .n_data = BATCH, .bytes = BATCH * 100 };
	mf_nsec now = atomic_load(&clock_now);
	struct mf_wg_path path = { .remote = from->at };
	uint64_t counter[BATCH];
	struct mf_wg_claimed c;
	struct mf_wg_keypair *k;
	bool ok[BATCH];
	unsigned flags;
	uint32_t n;

	if (mf_wg_claim(p, now, BATCH, &c, &flags) != MF_WG_CLAIM_OK) {
		post(from, p, flags, NULL);
		return;
	}
	(void)mf_wg_peer_path(p);
	flags |= mf_wg_sent(p, slot, now, &t);
	post(from, p, flags, NULL);
	k = mf_wg_find(to->wg, c.keypair->remote_index);
	if (!k || mf_wg_receive_check(k, now, c.first) != MF_DROP_NONE) {
		atomic_fetch_add(&unknown, 1);
		return;
	}
	assert_memory_equal(k->recv.b, c.keypair->send.b, 32);
	for (uint32_t i = 0; i < BATCH; i++)
		counter[i] = c.first + i;
	n = mf_wg_replay_accept_n(k, counter, BATCH, ok);
	atomic_fetch_add(&accepted, n);
	atomic_fetch_add(&refused, BATCH - n);
	path.remote.port = (uint16_t)(path.remote.port + (mf_prng_below(mine, 50) == 0));
	if (n)
		post(to, k->peer, mf_wg_received(k, slot, now, &t, &path), &path);
}

static void *work(void *arg)
{
	size_t me = (size_t)(uintptr_t)arg;
	struct mf_prng mine = { .state = me };

	while (!atomic_load(&done)) {
		uint8_t to[4] = { 10, (uint8_t)mf_prng_below(&mine, PEERS + 1), 1, 1 };
		struct mf_wg_peer *p = mf_wg_route(a.device, to, MF_AF_IP4);
		size_t i = mf_prng_below(&mine, PEERS);

		if (p && mf_prng_below(&mine, 2)) {
			move(&a, &b, p, (unsigned)me + 1, &mine);
			(void)mf_wg_source_ok(p, to, MF_AF_IP4);
		} else {
			to[1] = (uint8_t)i;
			p = mf_wg_route(b.remote[i], to, MF_AF_IP4);
			if (p)
				move(&b, &a, p, (unsigned)me + 1, &mine);
		}
		atomic_fetch_add(&worker[me].rounds, 1);
	}
	return NULL;
}

/* ---- the control thread ---- */

static void drain(void)
{
	struct event e;

	while (mf_ring_pop(events, &e)) {
		if (e.post & MF_WG_POST_ROAM)
			mf_wg_roam(e.side->wg, e.ref, &e.from);
		if (e.post & MF_WG_POST_POKE)
			mf_wg_poke(e.side->wg, e.ref, clock_now);
	}
}

static void carry(void)
{
	for (size_t i = 0; i < queued; i++) {
		struct message m = queue[i]; /* what it leads to is queued behind it */
		struct side *from = m.to == &a ? &b : &a;
		struct mf_wg_handshake_in in = { .local_port = m.to->at.port,
						 .from = { .remote = from->at },
						 .bytes = m.bytes,
						 .n = m.n };

		(void)mf_wg_handshake_input(m.to->wg, clock_now, &in);
	}
	queued = 0;
}

static void reconfigure(void)
{
	size_t i = mf_prng_below(&g, PEERS);

	switch (mf_prng_below(&g, 40)) {
	case 0: /* gone and back */
		mf_wg_peer_remove(a.peer[i], clock_now);
		a.peer[i] = peer_new(a.device, &a.public_key[i], &b.at, i);
		break;
	case 1: /* an allowed IP moves */
		(void)peer_new(a.device, &a.public_key[mf_prng_below(&g, PEERS)], &b.at, i);
		break;
	case 2:
		(void)peer_new(a.device, &a.public_key[i], &b.at, i);
		break;
	case 3:
		mf_wg_network_changed(a.wg, clock_now);
		break;
	default:
		break;
	}
}

static void test_workers_beside_the_control_thread(void **state)
{
	pthread_t t[WORKERS];

	(void)state;
	g = unit_prng("data");
	world_init();
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, (void *)(uintptr_t)i), 0);
	for (int step = 0; step < STEPS; step++) {
		/* 2 s a step: many generations of keys. */
		atomic_fetch_add(&clock_now, 2 * MF_SEC);
		drain();
		mf_wg_tick(a.wg, clock_now);
		mf_wg_tick(b.wg, clock_now);
		carry();
		reconfigure();
		reclaim(false);
		usleep(200);
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	print_message("%llu accepted, %llu refused, %llu batches without a session there\n",
		      (unsigned long long)accepted, (unsigned long long)refused,
		      (unsigned long long)unknown);
	assert_true(accepted > 10000);
	/* A worker that was held up for longer than the window loses its batch; nothing else is refused. */
	assert_true(refused < accepted / 2);
	reclaim(true);
	at_once = true;
	mf_wg_free(a.wg);
	mf_wg_free(b.wg);
	mf_ring_free(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_beside_the_control_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
