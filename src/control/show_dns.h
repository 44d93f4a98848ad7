/* SPDX-License-Identifier: Apache-2.0
 *
 * show_dns - the reports on names: the DNS server, what it keeps, what has been learned of its answers, and
 * why a name goes where it goes.
 */
#ifndef MF_SHOW_DNS_H
#define MF_SHOW_DNS_H

#include "control/cache_list.h"
#include "control/internal.h"
#include "control/rule.h"
#include "control/units.h"

/* The first `shown` entries of a list. `all`: all addresses of each, for people, too. */
void mf_report_cached(struct mf_control *c, struct mf_report *r, const struct mf_cache_list *l,
		      size_t shown, bool all, const char *key, const char *title, const char *empty);

/* How long a learned route lasts: "4 min 3 s", "in use by 2 sessions", "kept while used". Returns `out`. */
enum { MF_LASTS_STRLEN = 48 };
const char *mf_learned_lasts(const struct mf_learned_info *l, mf_nsec now, char out[MF_LASTS_STRLEN]);
/* What is left of its TTL. */
mf_nsec mf_learned_left(const struct mf_learned_info *l, mf_nsec now);

#endif
