/* SPDX-License-Identifier: Apache-2.0
 *
 * subscription - when a published list is to be fetched, and what is remembered of the last
 * time. Pure: the time and randomness are parameters.
 */
#ifndef MF_SUBSCRIPTION_H
#define MF_SUBSCRIPTION_H

#include "base/err.h"

enum { MF_COPY_TAG_MAX = 255 };

/* What is known of a list that was fetched: what its server wants to hear to say "not modified"
 * (RFC 9110 8.8), and when it was fetched or found to be the same. */
struct mf_copy_facts {
	char etag[MF_COPY_TAG_MAX + 1];     /* ETag, with its quotes; empty: none */
	char modified[MF_COPY_TAG_MAX + 1]; /* Last-Modified; empty: none */
	int64_t fetched;                    /* seconds since 1970 */
};

/* Text with a line for each: "etag ...", "modified ...", "fetched 1700000000". Unknown lines are
 * passed over; MF_E_MALFORMED: no "fetched", bytes that do not belong into a header, or too
 * long. */
MF_MUST_CHECK mf_err mf_copy_facts_parse(struct mf_span text, struct mf_copy_facts *out);
/* Returns the length; `cap` of 1024 is always enough. */
size_t mf_copy_facts_print(const struct mf_copy_facts *f, char *out, size_t cap);
/* A value of a header that may be kept and sent back: printable ASCII, not too long. Copies it,
 * or "". */
void mf_copy_tag(char out[MF_COPY_TAG_MAX + 1], const char *value, size_t n);

/* From one time to the next: `every` seconds, and up to a tenth more or less. */
mf_nsec mf_subscription_every(uint32_t every, const struct mf_rng *rng);
/* The same for a copy that was fetched at `fetched`: what is left of it, 0: it is due. A clock
 * that was set back does not make it wait for longer than one time. */
mf_nsec mf_subscription_left(uint32_t every, int64_t fetched, int64_t now, const struct mf_rng *rng);
/* After so many failures in a row (1 ...): from 10 s, doubled each time, to an hour or `every`,
 * whatever is less, and up to a half of that more. */
mf_nsec mf_subscription_retry(uint32_t every, unsigned failures, const struct mf_rng *rng);

#endif
