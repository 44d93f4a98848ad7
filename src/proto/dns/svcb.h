/* SPDX-License-Identifier: Apache-2.0
 *
 * svcb - the rdata of SVCB and HTTPS records (RFC 9460 2.2): a priority, the name of a target, and
 * parameters.
 */
#ifndef MF_DNS_SVCB_H
#define MF_DNS_SVCB_H

#include "proto/dns/internal.h"

/* Keys of parameters (RFC 9460 14.3.2). */
enum { MF_SVCB_MANDATORY = 0, MF_SVCB_IP4HINT = 4, MF_SVCB_IP6HINT = 6 };

/* A walk over the parameters of a record. */
struct mf_svcb {
	const uint8_t *msg;
	size_t target; /* offset of the target's name */
	size_t at, end;
	bool failed;
};

/* One parameter: its value is n bytes at the offset `at`, behind key and length. */
struct mf_svcb_param {
	uint16_t key, n;
	size_t at;
};

static inline bool mf_dns_is_svcb(const struct mf_dns_rr *rr)
{
	return (rr->type == MF_DNS_SVCB || rr->type == MF_DNS_HTTPS) && rr->class == MF_DNS_IN;
}

/* `target` is read if it is not NULL. Malformed: `failed`. */
struct mf_svcb mf_svcb_begin(struct mf_span msg, const struct mf_dns_rr *rr,
			     struct mf_dns_name *target);
/* False: there is no more, or `failed`. */
bool mf_svcb_next(struct mf_svcb *s, struct mf_svcb_param *param);
/* The length of an address in a parameter that is a hint, 0: it is none. */
static inline size_t mf_svcb_hint_len(const struct mf_svcb_param *param)
{
	return param->key == MF_SVCB_IP4HINT ? 4 : param->key == MF_SVCB_IP6HINT ? 16 : 0;
}

#endif
