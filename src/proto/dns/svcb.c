/* SPDX-License-Identifier: Apache-2.0
 *
 * svcb - see svcb.h.
 */
#include "proto/dns/svcb.h"

struct mf_svcb mf_svcb_begin(struct mf_span msg, const struct mf_dns_rr *rr,
			     struct mf_dns_name *target)
{
	struct mf_svcb s = { .msg = msg.p,
			     .target = rr->rdata + 2u,
			     .at = rr->rdata + 2u,
			     .end = (size_t)rr->rdata + rr->rdlen };

	s.failed = s.at >= s.end || mf_dns_name_read(msg, &s.at, target) || s.at > s.end;
	return s;
}

bool mf_svcb_next(struct mf_svcb *s, struct mf_svcb_param *param)
{
	size_t len;

	if (s->failed || s->at == s->end)
		return false;
	if (s->end - s->at < 4)
		goto malformed;
	param->key = mf_load_be16(s->msg + s->at);
	param->n = mf_load_be16(s->msg + s->at + 2);
	param->at = s->at + 4;
	if (s->end - param->at < param->n)
		goto malformed;
	len = mf_svcb_hint_len(param);
	if (len && param->n % len)
		goto malformed;
	s->at = param->at + param->n;
	return true;
malformed:
	s->failed = true;
	return false;
}
