/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes between two cores: who may say what when, and what is refused.
 */
#include "wg_sim.h"

static struct sim *s;
static struct mf_wg_peer *a, *b;
static struct sim_node *na, *nb;

static int setup(void **state)
{
	(void)state;
	s = sim_pair(1, &a, &b);
	na = &s->node[0];
	nb = &s->node[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sim_free(s);
	return 0;
}

static void test_first_data_starts_a_handshake_and_is_not_lost(void **state)
{
	(void)state;
	assert_false(sim_send(a));
	assert_int_equal(sim_of(a)->staged, 1);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 1);
	assert_int_equal(sim_count(s, 0, na, MF_WG_MSG_INITIATION), 1);
	assert_int_equal(sim_count(s, 0, nb, MF_WG_MSG_RESPONSE), 1);
	/* The staged packet confirms the session; no keepalive is needed. */
	assert_int_equal(sim_count(s, 0, na, SIM_DATA), 1);
	assert_int_equal(sim_count(s, 0, na, SIM_KEEPALIVE), 0);
	assert_int_equal(sim_of(a)->events[MF_WG_EVENT_SESSION_UP], 1);
	assert_int_equal(sim_of(b)->events[MF_WG_EVENT_SESSION_UP], 1);
}

static void test_255_packets_each_way(void **state)
{
	(void)state;
	sim_connect(s, a);
	for (int i = 0; i < 255; i++)
		assert_true(sim_send(a));
	for (int i = 0; i < 255; i++)
		assert_true(sim_send(b));
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(b)->delivered, 256);
	assert_int_equal(sim_of(a)->delivered, 255);
	assert_int_equal(sim_of(a)->duplicates + sim_of(b)->duplicates, 0);
	assert_int_equal(sim_count(s, 0, NULL, MF_WG_MSG_INITIATION), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_data_starts_a_handshake_and_is_not_lost,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_255_packets_each_way, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
