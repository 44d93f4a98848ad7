/* SPDX-License-Identifier: Apache-2.0
 *
 * What other threads see of sessions while their worker goes on: never half of one thing and half of another.
 */
#include "hostnet.h"

#include <pthread.h>
#include <sched.h>

#include "base/count.h"
#include "unit.h"

/* ---- The sequence lock alone ----------------------------------------------------------------------- */

static struct mf_session_public pub;
static bool done;

/* All words follow from one number. */
static void make_facts(struct mf_session_facts *f, uint64_t n)
{
	uint64_t w[sizeof(*f) / 8];

	for (size_t i = 0; i < MF_ARRAY_LEN(w); i++)
		w[i] = n * (i + 1);
	memcpy(f, w, sizeof(w));
}

static void *write_facts(void *arg)
{
	struct mf_session_facts f;

	(void)arg;
	for (uint64_t n = 1; n <= 200000; n++) {
		make_facts(&f, n);
		mf_session_write_facts(&pub, &f);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void test_whole(void **state)
{
	struct mf_session_facts f, want;
	uint64_t n, before = 0;
	pthread_t t;

	(void)state;
	assert_int_equal(pthread_create(&t, NULL, write_facts, NULL), 0);
	do {
		mf_session_read_facts(&pub, &f);
		memcpy(&n, &f, sizeof(n));
		make_facts(&want, n);
		assert_memory_equal(&f, &want, sizeof(f));
		assert_true(n >= before);
		before = n;
	} while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE));
	pthread_join(t, NULL);
	mf_session_read_facts(&pub, &f);
	memcpy(&n, &f, sizeof(n));
	assert_int_equal(n, 200000);
}

/* ---- A host at work -------------------------------------------------------------------------------- */

static struct hostnet net;
static bool looked; /* all there is, at least once */

/* Looks at everything that is open to any thread, over and over. */
static void *look(void *arg)
{
	uint64_t last_up = 0;

	(void)arg;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		uint64_t up = mf_counter_read(&mf_host_counters(net.host)->bytes_up);
		struct mf_session_facts f;

		MF_ASSERT(up >= last_up);
		last_up = up;
		mf_counter_read(&mf_host_hop(net.host, HOSTNET_HOP)->sessions);
		for (uint32_t i = 0; i < mf_host_slots(net.host); i++) {
			if (!mf_host_facts(net.host, i, &f))
				continue;
			MF_ASSERT(f.ref.index == i && f.ref.generation && f.hop == HOSTNET_HOP);
			MF_ASSERT(f.state < MF_SESSION_STATE_COUNT && f.proto == 6);
			MF_ASSERT(f.app.addr.b[0] == 10 && f.dst.port == 80 && f.last >= f.started);
			MF_ASSERT(f.bytes_up % 1000 == 0);
		}
		__atomic_store_n(&looked, true, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void churn(unsigned port)
{
	struct hostnet_app *a;
	char local[32];

	snprintf(local, sizeof(local), "10.0.0.2:%u", port);
	a = hostnet_connect(&net, local, "192.0.2.1:80", NULL);
	hostnet_settle(&net);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(hostnet_write(a, 1000), 1000);
		hostnet_advance(&net, 400 * MF_MSEC);
	}
	if (port % 3)
		hostnet_abort(a);
	hostnet_settle(&net);
}

static void test_host_at_work(void **state)
{
	struct hostnet_options o = { .seed = unit_prng("hostnet").state };
	pthread_t t;

	(void)state;
	hostnet_open(&net, &o);
	net.out.open_at_once = true;
	done = false;
	assert_int_equal(pthread_create(&t, NULL, look, NULL), 0);
	for (unsigned i = 1; i <= 150; i++)
		churn(i);
	while (!__atomic_load_n(&looked, __ATOMIC_ACQUIRE))
		sched_yield();
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 50);
	hostnet_close(&net);
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(mf_session_state_text(MF_SESSION_ESTABLISHED), "established");
	assert_string_equal(mf_session_state_text(MF_SESSION_TIME_WAIT), "time-wait");
	assert_string_equal(mf_session_state_text(MF_SESSION_STATE_COUNT), "?");
	assert_string_equal(mf_stream_error_text(MF_STREAM_E_REFUSED), "connection refused");
	assert_non_null(mf_stream_error_text(MF_STREAM_ERROR_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_host_at_work),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
