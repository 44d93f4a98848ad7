/* SPDX-License-Identifier: Apache-2.0
 *
 * wg_pair - the world of most tests: node a (192.0.2.1:1000) knows where b is, b (192.0.2.2:2000) does
 * not know where a is. One way takes 10 ms.
 */
#ifndef MF_WG_PAIR_H
#define MF_WG_PAIR_H

#include "wg_sim.h"

static struct sim *s;
static struct mf_wg_peer *a, *b; /* a: what node a knows of b */
static struct sim_node *na, *nb;

static inline int pair_setup(void **state)
{
	(void)state;
	s = sim_pair(1, &a, &b);
	na = &s->node[0];
	nb = &s->node[1];
	return 0;
}

static inline int pair_teardown(void **state)
{
	(void)state;
	sim_free(s);
	s = NULL;
	return 0;
}

#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)

#endif
