/* SPDX-License-Identifier: Apache-2.0
 *
 * strip - takes addresses out of answers.
 */
#include "proto/dns/move.h"
#include "proto/dns/svcb.h"

struct strip {
	bool (*keep)(void *ctx, const struct mf_addr *a);
	void *ctx;
	bool taken; /* something has been taken out */
	struct mf_dns_move m;
};

static bool keep(struct strip *s, const uint8_t *p, size_t len)
{
	struct mf_addr a = len == 4 ? mf_addr_ip4(p) : mf_addr_ip6(p);

	if (s->keep(s->ctx, &a))
		return true;
	s->taken = true;
	return false;
}

/* Copies those addresses of a hint that stay; false: there is none left, and the hint is gone. */
static bool strip_hint(struct strip *s, const struct mf_svcb_param *param)
{
	struct mf_dns_move *m = &s->m;
	struct mf_dns_mark before = mf_dns_move_mark(m);
	size_t len = mf_svcb_hint_len(param), start;

	mf_dns_move_bytes(m, param->at - 4, 4);
	start = m->n;
	for (size_t i = 0; i < param->n; i += len)
		if (keep(s, m->from.p + param->at + i, len))
			mf_dns_move_bytes(m, param->at + i, len);
	if (m->failed)
		return true;
	if (m->n == start && param->n) {
		mf_dns_move_back(m, &before);
		return false;
	}
	mf_store_be16(m->out + start - 2, (uint16_t)(m->n - start));
	return true;
}

static bool lists(const uint8_t *msg, const struct mf_svcb_param *mandatory, uint16_t key)
{
	for (size_t i = 0; i + 2 <= mandatory->n; i += 2)
		if (mf_load_be16(msg + mandatory->at + i) == key)
			return true;
	return false;
}

/* A record without a parameter that it calls mandatory would be malformed (RFC 9460 8): it goes as
 * a whole. */
static void strip_service(struct strip *s, const struct mf_dns_rr *rr)
{
	struct mf_dns_move *m = &s->m;
	struct mf_dns_mark before = mf_dns_move_mark(m);
	struct mf_svcb svcb = mf_svcb_begin(m->from, rr, NULL);
	struct mf_svcb_param param, mandatory = { 0 };
	size_t at = svcb.target;
	bool useless = false;

	mf_dns_move_head(m, rr);
	if (!svcb.failed) {
		mf_dns_move_bytes(m, rr->rdata, at - rr->rdata);
		mf_dns_move_name(m, &at, svcb.end);
	}
	while (mf_svcb_next(&svcb, &param)) {
		if (param.key == MF_SVCB_MANDATORY)
			mandatory = param;
		if (!mf_svcb_hint_len(&param))
			mf_dns_move_bytes(m, param.at - 4, 4u + param.n);
		else if (!strip_hint(s, &param))
			useless |= lists(svcb.msg, &mandatory, param.key);
	}
	m->failed |= svcb.failed;
	mf_dns_move_end(m);
	if (useless)
		mf_dns_move_back(m, &before);
}

/* An A or AAAA record. */
static void strip_address(struct strip *s, const struct mf_dns_rr *rr)
{
	size_t len = rr->type == MF_DNS_A ? 4 : 16;

	if (rr->rdlen != len)
		s->m.failed = true;
	else if (keep(s, s->m.from.p + rr->rdata, len))
		mf_dns_move_record(&s->m, rr);
}

size_t mf_dns_strip(uint8_t *out, size_t cap, struct mf_span msg,
		    bool (*keep_addr)(void *ctx, const struct mf_addr *a), void *ctx)
{
	struct strip s = { .keep = keep_addr, .ctx = ctx };
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	if (mf_dns_walk_begin(&w, msg))
		return 0;
	mf_dns_move_begin(&s.m, &w, out, cap);
	while (!s.m.failed && mf_dns_walk_next(&w, &rr)) {
		if (mf_dns_is_svcb(&rr))
			strip_service(&s, &rr);
		else if ((rr.type == MF_DNS_A || rr.type == MF_DNS_AAAA) && rr.class == MF_DNS_IN)
			strip_address(&s, &rr);
		else
			mf_dns_move_record(&s.m, &rr);
	}
	/* What is left was not checked as a whole by whoever set AD. */
	if (s.taken && !s.m.failed)
		out[3] &= (uint8_t)~MF_DNS_AD;
	return w.failed ? 0 : mf_dns_move_done(&s.m);
}
