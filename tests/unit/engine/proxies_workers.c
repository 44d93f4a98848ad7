/* SPDX-License-Identifier: Apache-2.0
 *
 * Proxies on several workers with real threads, while profiles come and go: settings that all
 * workers share are taken, used and let go, names are answered, what is known is read; nothing is
 * lost, and (under TSan) nothing races.
 */
#include "unit.h"

#include <pthread.h>

#include "fakeout.h"
#include "support/sserver.h"
#include "support/testnet.h"

enum { WORKERS = 3, USERS = 24, ROUNDS = 1500, HOP = MF_HOP_ID_FIRST_INTERFACE + 1 };

#define SERVER "203.0.113.9:80"
#define SS(name, server, password, more)                                 \
	"  - name: " name "\n    type: shadowsocks\n    server: " server \
	"\n    method: aes-128-gcm\n    password: " password "\n    udp: drop\n" more
#define HK_1 SS("hk", "198.51.100.7:8388", "one", "")
#define HK_2 SS("hk", "198.51.100.7:8388", "two", "")
#define SG_1 SS("sg", "198.51.100.8:8388", "one", "")

static const char *const profiles[] = {
	HK_1,
	HK_2,
	NULL,
	SS("hk", "a.example:8388", "one", ""),
	SS("hk", "198.51.100.7:8388", "one", "    via: sg\n") SG_1,
	SG_1 HK_1,
	SG_1,
	"  - { name: hk, type: trojan, server: \"198.51.100.7:443\", password: x, tls: { insecure: "
	"true } }\n",
};

/* Who uses a stream: whatever is said of it, it closes it in the end. */
struct user {
	struct mf_stream st; /* first */
	bool open;
};

/* One worker's, with a far side that only its thread calls. */
struct load {
	struct fakeout far;
	struct mf_prng prng;
	struct user user[USERS];
	uint64_t opened, failed, written;
};

static struct load load[WORKERS];
static mf_nsec now; /* atomic */
static uint32_t stop;

/* ---- A worker's thread ----------------------------------------------------------------------- */

static void *run(void *arg)
{
	struct mf_worker *w = arg;
	mf_nsec deadline;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		if (!mf_worker_pass(w, __atomic_load_n(&now, __ATOMIC_RELAXED)) &&
		    mf_worker_sleep(w, &deadline)) {
			sched_yield(); /* wake-ups are lost on purpose: sleeping is only a state here */
			mf_worker_wake(w);
		}
	return NULL;
}

static void wake(struct mf_stream *st)
{
	(void)st; /* the next turn looks */
}

static void begin(struct mf_worker *w, struct load *l, struct user *u)
{
	struct mf_outbound *out = mf_proxies_outbound(w, HOP);
	struct mf_target to = { 0 };

	MF_ASSERT(mf_endpoint_parse(&to.addr, SERVER) == MF_OK);
	to.app.addr.family = to.addr.addr.family;
	u->st = (struct mf_stream){ .out = out, .wake = wake };
	u->open = out && out->ops->stream_open(out, &u->st, &to) == MF_OK;
	l->opened += u->open;
}

static void end(struct user *u, bool reset)
{
	u->st.out->ops->stream_close(&u->st, reset);
	u->open = false;
}

static void go_on(struct load *l, struct user *u)
{
	static const uint8_t bytes[20000];
	struct mf_span v = mf_span(bytes, 1 + mf_prng_below(&l->prng, sizeof(bytes)));

	if (u->st.ready & MF_STREAM_FAILED) {
		l->failed++;
		end(u, true);
	} else if (!mf_prng_below(&l->prng, 16)) {
		end(u, mf_prng_below(&l->prng, 2));
	} else if (u->st.ready & MF_STREAM_OPENED) {
		l->written += u->st.out->ops->stream_write(&u->st, &v, 1);
	}
}

/* An order: each user does something. */
static void turn(struct mf_worker *w, void *ctx)
{
	struct load *l = ctx;

	l->far.may_write = mf_prng_below(&l->prng, 4) ? SIZE_MAX : 3000;
	for (struct user *u = l->user; u < l->user + USERS; u++)
		if (u->open)
			go_on(l, u);
		else
			begin(w, l, u);
}

/* ---- The control thread ---------------------------------------------------------------------- */

static void apply(struct testnet *t, const char *interfaces)
{
	struct testnet_options o = {
		.interfaces = interfaces,
		.routes = "    - { cidr: 0.0.0.0/0, to: direct }\n",
	};

	assert_int_equal(testnet_apply(t, 0, &o, NULL, NULL), MF_OK);
}

static void answer(struct testnet *t)
{
	struct mf_endpoint e[2];
	struct mf_engine *engine = t->side[0].engine;

	assert_int_equal(mf_endpoint_parse(&e[0], "198.51.100.7:8388"), MF_OK);
	assert_int_equal(mf_endpoint_parse(&e[1], "198.51.100.8:8388"), MF_OK);
	if (t->side[0].asked.n)
		mf_engine_resolved(engine, t->side[0].asked.tag, e, mf_prng_below(&t->prng, 3),
				   t->now);
}

static void look(struct mf_engine *e)
{
	struct mf_proxy_report r;
	struct mf_iface_info f;

	for (uint32_t i = 0; mf_engine_iface(e, i, &f); i++)
		if (mf_engine_proxy(e, f.hop, &r))
			assert_in_range(r.state, MF_PROXY_UNTRIED, MF_PROXY_FAILING);
}

static void round_of(struct testnet *t)
{
	struct mf_engine *e = t->side[0].engine;

	t->now += 20 * MF_MSEC;
	__atomic_store_n(&now, t->now, __ATOMIC_RELAXED);
	if (!mf_prng_below(&t->prng, 3))
		apply(t, profiles[mf_prng_below(&t->prng, MF_ARRAY_LEN(profiles))]);
	if (!mf_prng_below(&t->prng, 20))
		mf_engine_network_changed(e, t->now);
	answer(t);
	for (unsigned i = 0; i < WORKERS; i++) {
		struct mf_order o = { .kind = MF_ORDER_CALL, .call = { turn, &load[i], NULL } };

		mf_engine_order(e, i, &o);
	}
	(void)mf_engine_control(e, t->now);
	look(e);
	sched_yield();
}

/* After all of it each worker knows the last key. */
static void check_last(struct testnet *t, unsigned i)
{
	struct mf_worker *w = mf_engine_worker(t->side[0].engine, i);
	struct mf_span v = mf_span("x", 1);
	struct load *l = &load[i];
	struct sserver_keys keys;
	struct sserver s;

	for (struct user *u = l->user; u < l->user + USERS; u++)
		if (u->open)
			end(u, true);
	l->far.may_write = SIZE_MAX;
	begin(w, l, &l->user[0]);
	assert_true(l->user[0].open);
	testnet_settle(t);
	assert_true(l->user[0].st.ready & MF_STREAM_OPENED);
	assert_int_equal(l->user[0].st.out->ops->stream_write(&l->user[0].st, &v, 1), 1);
	sserver_keys(&keys, "aes-128-gcm", "two");
	sserver_init(&s, &keys);
	assert_true(sserver_take(&s, l->far.last->got, l->far.last->n_got));
	assert_int_equal(s.got.n, 1);
	sserver_fini(&s);
	end(&l->user[0], false);
}

static void test_reload_under_load(void **state)
{
	struct testnet_options o = { .seed = 1, .n_workers = WORKERS, .no_peer = true };
	pthread_t thread[WORKERS];
	struct testnet t;

	(void)state;
	testnet_open(&t, &o);
	t.log_level = MF_LOG_ERROR;
	now = t.now;
	for (unsigned i = 0; i < WORKERS; i++) {
		fakeout_init(&load[i].far);
		load[i].far.open_at_once = true;
		load[i].prng.state = i + 1;
		mf_worker_set_direct(mf_engine_worker(t.side[0].engine, i), &load[i].far.out);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, run,
						mf_engine_worker(t.side[0].engine, i)),
				 0);
	for (int i = 0; i < ROUNDS; i++)
		round_of(&t);
	apply(&t, HK_2);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	testnet_settle(&t);
	for (unsigned i = 0; i < WORKERS; i++) {
		check_last(&t, i);
		print_message("worker %u: %llu streams, %llu have failed, %llu bytes\n", i,
			      (unsigned long long)load[i].opened, (unsigned long long)load[i].failed,
			      (unsigned long long)load[i].written);
		assert_true(load[i].opened > 0 && load[i].failed > 0 && load[i].written > 0);
	}
	testnet_close(&t);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(load[i].far.n_open, 0);
		fakeout_fini(&load[i].far);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_reload_under_load) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
