/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_pattern - regular expressions on names, from lists that strangers write.
 *
 * PCRE2's own limit on the work of a match begins anew at every place where a match may begin, and
 * for every pattern: thousands of bad patterns could take seconds for one name. So every item of a
 * pattern calls back (PCRE2_AUTO_CALLOUT) and takes one of the steps that a lookup has for all its
 * patterns. No just-in-time compiler: it needs memory that is writable and executable, and counts
 * nothing.
 */
#ifndef MF_DOMAIN_PATTERN_H
#define MF_DOMAIN_PATTERN_H

#include "base/err.h"

enum {
	MF_DOMAIN_PATTERN_MAX = 2048,       /* bytes of text */
	MF_DOMAIN_PATTERNS_BYTES = 8 << 20, /* all together, compiled */
	MF_DOMAIN_PATTERN_STEPS = 20000,    /* of one pattern on one name */
	MF_DOMAIN_PATTERNS_STEPS = 200000,  /* of all */
};

struct mf_domain_pattern {
	void *code; /* pcre2_code */
	char *text;
};

/* All zeros has no patterns. */
struct mf_domain_patterns {
	struct mf_domain_pattern *v;
	uint32_t n;
	size_t bytes;
};

/* Adds a pattern; one that is there already is no error. At most `max` of them. MF_E_MALFORMED
 * (`eb` says why), MF_E_FULL, MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_domain_patterns_add(struct mf_domain_patterns *p, const char *text,
					    size_t n, uint32_t max, struct mf_errbuf *eb);
void mf_domain_patterns_fini(struct mf_domain_patterns *p);

/* Whether a pattern matches somewhere in the name; the first one's number. `steps`, what is left
 * for this lookup, goes down. `overruns` goes up by the patterns that were given up or not tried
 * (for want of steps or memory). Any thread. */
bool mf_domain_patterns_find(const struct mf_domain_patterns *p, const char *name, size_t n,
			     uint32_t *steps, uint32_t *overruns, uint32_t *which);

#endif
