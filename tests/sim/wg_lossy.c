/* SPDX-License-Identifier: Apache-2.0
 *
 * Two cores over channels that lose, double, delay and reorder, for an hour of virtual time each, with
 * outages, sleeps and changes of address in between. Whatever happens: nothing is delivered twice,
 * nothing that was not sent, initiations stay rare, and when the channel heals, both can talk.
 */
#include "wg_pair.h"

static void add_peer_endpoint(void)
{
	struct mf_wg_peer_config c = { .public_key = na->public_key, .set = MF_WG_SET_ENDPOINT };

	c.endpoint = na->at;
	(void)sim_peer_set(nb, &c);
}

static void mishap(struct mf_prng *g)
{
	switch (mf_prng_below(g, 12)) {
	case 0:
		s->cut = !s->cut;
		break;
	case 1:
		na->at.port = (uint16_t)(1024 + mf_prng_below(g, 60000));
		break;
	case 2:
		sim_sleep(s, mf_prng_below(g, 400) * MF_SEC);
		break;
	case 3:
		mf_wg_network_changed(mf_prng_below(g, 2) ? na->wg : nb->wg, s->now);
		break;
	case 4:
		sim_set_keepalive(mf_prng_below(g, 2) ? a : b, (uint16_t)(mf_prng_below(g, 3) * 13));
		break;
	case 5:
		na->queue_len = mf_prng_below(g, 2) ? MF_WG_LOAD_QUEUE : 0;
		nb->queue_len = mf_prng_below(g, 2) ? MF_WG_LOAD_QUEUE : 0;
		break;
	case 6:
		na->posts_fail = !na->posts_fail;
		break;
	default:
		s->loss = (unsigned)mf_prng_below(g, 500);
		s->duplicate = (unsigned)mf_prng_below(g, 300);
		s->delay = mf_prng_below(g, 200) * MF_MSEC;
		s->jitter = mf_prng_below(g, 3000) * MF_MSEC;
	}
}

static void heal(void)
{
	s->cut = na->posts_fail = nb->posts_fail = false;
	s->loss = s->duplicate = 0;
	s->delay = 10 * MF_MSEC;
	s->jitter = 0;
	na->queue_len = nb->queue_len = 0;
	sim_run(s, 10 * MF_SEC); /* what is still flying lands */
}

static void one_hour(struct mf_prng *g)
{
	unsigned quiet = 0;
	mf_nsec start = s->now;

	for (int second = 0; second < 3600; second++) {
		if (mf_prng_below(g, 40) == 0)
			mishap(g);
		if (mf_prng_below(g, 60) == 0)
			quiet = (unsigned)mf_prng_below(g, 200);
		if (quiet)
			quiet--;
		for (uint64_t n = quiet ? 0 : mf_prng_below(g, 4); n; n--)
			(void)sim_send(mf_prng_below(g, 2) ? a : b);
		sim_run(s, MF_SEC);
		if (s->n_log > SIM_LOG / 2) {
			/* 5 s apart for each side, and responses count as well. */
			assert_true(sim_count(s, 0, na, MF_WG_MSG_INITIATION) <=
				    (s->now - start) / MF_SEC / 5 + 2);
			s->n_log = 0;
			start = s->now;
		}
	}
	assert_true(sim_count(s, 0, na, MF_WG_MSG_INITIATION) <= (s->now - start) / MF_SEC / 5 + 2);
	assert_true(sim_count(s, 0, nb, MF_WG_MSG_INITIATION) <= (s->now - start) / MF_SEC / 5 + 2);
}

/* After healing each side's next packets arrive, at the latest after a handshake. */
static void check_alive(void)
{
	unsigned at_a, at_b;

	heal();
	/* A side whose address changed while nobody could hear it has to speak first. */
	(void)sim_send(a);
	sim_run(s, 30 * MF_SEC);
	at_a = sim_of(a)->delivered;
	at_b = sim_of(b)->delivered;
	for (int i = 0; i < 10; i++) {
		(void)sim_send(a);
		(void)sim_send(b);
		sim_run(s, 100 * MF_MSEC);
	}
	sim_run(s, 6 * MF_SEC);
	assert_int_equal(sim_of(a)->delivered, at_a + 10);
	assert_int_equal(sim_of(b)->delivered, at_b + 10);
}

static void test_hours_of_mishaps(void **state)
{
	struct mf_prng g = unit_prng("wg_lossy");

	(void)state;
	for (int round = 0; round < 12; round++) {
		s = sim_pair(mf_prng_u64(&g), &a, &b);
		na = &s->node[0];
		nb = &s->node[1];
		add_peer_endpoint();
		one_hour(&g);
		check_alive();
		assert_int_equal(sim_of(a)->duplicates, 0);
		assert_int_equal(sim_of(b)->duplicates, 0);
		assert_true(sim_of(b)->delivered <= sim_of(a)->next_seq);
		assert_true(sim_of(a)->delivered <= sim_of(b)->next_seq);
		assert_int_equal(na->drops[MF_DROP_WG_AUTH] + nb->drops[MF_DROP_WG_AUTH], 0);
		sim_free(s);
	}
}

/* Without outages: of 20 % loss each way the tunnel must not make more. */
static void test_loss_is_not_made_worse(void **state)
{
	struct mf_prng g = unit_prng("wg_lossy");
	double sent;

	(void)state;
	s = sim_pair(mf_prng_u64(&g), &a, &b);
	na = &s->node[0];
	nb = &s->node[1];
	add_peer_endpoint();
	s->loss = 200;
	s->jitter = 50 * MF_MSEC;
	for (int i = 0; i < 10000; i++) {
		(void)sim_send(a);
		(void)sim_send(b);
		sim_run(s, 100 * MF_MSEC);
	}
	sent = (double)sim_of(a)->next_seq;
	print_message("delivered %u and %u of 10000\n", sim_of(a)->delivered, sim_of(b)->delivered);
	assert_true(sim_of(b)->delivered > sent * 0.77 && sim_of(a)->delivered > sent * 0.77);
	sim_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hours_of_mishaps),
		cmocka_unit_test(test_loss_is_not_made_worse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
