/* SPDX-License-Identifier: Apache-2.0
 *
 * facts - what an answer says: the addresses to which it leads, and for how long it holds.
 *
 * The order of records means nothing (RFC 2181 5.2), though nearly always a chain of aliases stands
 * in its own. A client that has asked for a service may connect to the addresses in the additional
 * section without asking again (RFC 9460 4.2), so they count.
 */
#include "proto/dns/svcb.h"

enum {
	CHAIN_MAX = 16, /* aliases; longer chains are taken for loops */
	DEPTH_MAX = 3,  /* of services whose targets have services of their own */
	WALKS_MAX = 8,  /* over the records of one answer, to find what targets lead to */
};

struct facts {
	struct mf_dns_facts *out;
	struct mf_dns_walk begun;
	uint16_t type, class;    /* of the question */
	struct mf_dns_name name; /* of the question, and then the end of its chain */
	bool answered;           /* there is a record of the type asked for */
	bool soa;
	uint32_t ttl, negative_ttl;
	unsigned walks;
};

mf_err mf_dns_soa_minimum(struct mf_span msg, const struct mf_dns_rr *rr, uint32_t *minimum)
{
	size_t at = rr->rdata, end = at + rr->rdlen;

	for (unsigned i = 0; i < 2; i++)
		if (mf_dns_name_read(msg, &at, NULL))
			return MF_E_MALFORMED;
	if (at > end || end - at != 20)
		return MF_E_MALFORMED;
	*minimum = mf_load_be32(msg.p + at + 16);
	return MF_OK;
}

/* ---- Of the whole ---------------------------------------------------------------------------- */

static mf_err survey_record(struct facts *f, struct mf_span msg, const struct mf_dns_rr *rr)
{
	uint32_t minimum;

	if (rr->section == MF_DNS_ADDITIONAL) {
		if (rr->type == MF_DNS_OPT)
			f->out->rcode |= (uint16_t)(msg.p[rr->ttl_at] << 4);
		return MF_OK;
	}
	f->ttl = (uint32_t)mf_min(f->ttl, rr->ttl);
	if (rr->section == MF_DNS_AUTHORITY && rr->type == MF_DNS_SOA) {
		if (mf_dns_soa_minimum(msg, rr, &minimum))
			return MF_E_MALFORMED;
		f->soa = true;
		f->negative_ttl = (uint32_t)mf_min(f->negative_ttl, minimum);
	}
	return MF_OK;
}

static mf_err survey(struct facts *f)
{
	struct mf_dns_walk w = f->begun;
	struct mf_dns_rr rr;
	mf_err err = MF_OK;

	f->ttl = f->negative_ttl = UINT32_MAX;
	while (!err && mf_dns_walk_next(&w, &rr))
		err = survey_record(f, w.msg, &rr);
	return w.failed ? MF_E_MALFORMED : err;
}

/* ---- From the question to its addresses ------------------------------------------------------ */

static bool is_named(const struct facts *f, const struct mf_dns_rr *rr, const struct mf_dns_name *name)
{
	struct mf_dns_name owner;
	size_t at = rr->name;

	return rr->class == f->class && !mf_dns_name_read(f->begun.msg, &at, &owner) &&
	       mf_dns_name_equal(&owner, name);
}

/* Follows aliases as they come in one walk; *more: it has found one. */
static mf_err follow_once(struct facts *f, bool *more)
{
	struct mf_dns_walk w = f->begun;
	struct mf_dns_rr rr;
	size_t at;

	*more = false;
	while (mf_dns_walk_next(&w, &rr) && rr.section == MF_DNS_ANSWER) {
		if (rr.type != MF_DNS_CNAME || !is_named(f, &rr, &f->name))
			continue;
		at = rr.rdata;
		if (mf_dns_name_read(w.msg, &at, &f->name) || at != (size_t)rr.rdata + rr.rdlen ||
		    f->out->n_cnames++ == CHAIN_MAX)
			return MF_E_MALFORMED;
		*more = true;
	}
	return MF_OK;
}

static mf_err follow(struct facts *f)
{
	bool more = f->type != MF_DNS_CNAME && f->type != MF_DNS_ANY;
	mf_err err = MF_OK;

	while (!err && more)
		err = follow_once(f, &more);
	return err;
}

static void add_addr(struct mf_dns_facts *f, struct mf_addr a)
{
	if (f->n_addrs == MF_DNS_ADDRS_MAX)
		return;
	for (uint16_t i = 0; i < f->n_addrs; i++)
		if (mf_addr_equal(&f->addr[i], &a))
			return;
	f->addr[f->n_addrs++] = a;
}

static mf_err collect(struct facts *f, const struct mf_dns_name *name, unsigned depth);

/* Hints, and what the target leads to. */
static mf_err collect_service(struct facts *f, const struct mf_dns_rr *rr, unsigned depth)
{
	struct mf_dns_name target;
	struct mf_svcb s = mf_svcb_begin(f->begun.msg, rr, &target);
	struct mf_svcb_param param;

	while (mf_svcb_next(&s, &param)) {
		const uint8_t *p = s.msg + param.at;
		size_t len = mf_svcb_hint_len(&param);

		for (size_t i = 0; len && i < param.n; i += len)
			add_addr(f->out, len == 4 ? mf_addr_ip4(p + i) : mf_addr_ip6(p + i));
	}
	if (s.failed)
		return MF_E_MALFORMED;
	/* "." is the owner, which is being collected. */
	return target.n == 1 || depth == DEPTH_MAX ? MF_OK : collect(f, &target, depth + 1);
}

static mf_err collect_record(struct facts *f, const struct mf_dns_rr *rr, unsigned depth)
{
	const uint8_t *rdata = f->begun.msg.p + rr->rdata;

	if (mf_dns_is_svcb(rr))
		return collect_service(f, rr, depth);
	if (rr->class != MF_DNS_IN)
		return MF_OK;
	if (rr->type == MF_DNS_A) {
		if (rr->rdlen != 4)
			return MF_E_MALFORMED;
		add_addr(f->out, mf_addr_ip4(rdata));
	} else if (rr->type == MF_DNS_AAAA) {
		if (rr->rdlen != 16)
			return MF_E_MALFORMED;
		add_addr(f->out, mf_addr_ip6(rdata));
	}
	return MF_OK;
}

/* What belongs to `name`: at the end of the chain (depth 0), or a service's target. */
static mf_err collect(struct facts *f, const struct mf_dns_name *name, unsigned depth)
{
	bool service = f->type == MF_DNS_SVCB || f->type == MF_DNS_HTTPS;
	struct mf_dns_walk w = f->begun;
	struct mf_dns_rr rr;
	mf_err err = MF_OK;

	if (f->walks == WALKS_MAX)
		return MF_OK;
	f->walks++;
	while (!err && mf_dns_walk_next(&w, &rr)) {
		if (rr.section == MF_DNS_AUTHORITY ||
		    (rr.section == MF_DNS_ADDITIONAL && !service) || !is_named(f, &rr, name))
			continue;
		if (rr.section == MF_DNS_ANSWER && depth == 0 &&
		    (rr.type == f->type || f->type == MF_DNS_ANY))
			f->answered = true;
		err = collect_record(f, &rr, depth);
	}
	return err;
}

/* ---- The sum --------------------------------------------------------------------------------- */

static void conclude(struct facts *f)
{
	struct mf_dns_facts *out = f->out;
	bool positive = out->rcode == MF_DNS_NOERROR && f->answered, negative;

	out->nodata = out->rcode == MF_DNS_NOERROR && !f->answered;
	negative = (out->nodata || out->rcode == MF_DNS_NXDOMAIN) && f->soa;
	out->has_addrs = out->n_addrs != 0;
	out->cacheable = (positive || negative) && !out->truncated;
	out->ttl = negative ? (uint32_t)mf_min(f->ttl, f->negative_ttl) : f->ttl;
	if (out->ttl == UINT32_MAX) /* no records */
		out->ttl = 0;
}

mf_err mf_dns_facts_read(struct mf_span answer, struct mf_dns_facts *out)
{
	struct facts f = { .out = out };
	size_t at = MF_DNS_HEADER;
	mf_err err = mf_dns_walk_begin(&f.begun, answer);

	*out = (struct mf_dns_facts){ 0 };
	if (answer.n >= MF_DNS_HEADER) {
		out->rcode = mf_load_be16(answer.p + 2) & MF_DNS_RCODE;
		out->truncated = mf_load_be16(answer.p + 2) & MF_DNS_TC;
	}
	if (!err)
		err = survey(&f);
	if (err || mf_dns_count_get(answer.p, MF_DNS_QDCOUNT) != 1)
		return err;
	if (mf_dns_name_read(answer, &at, &f.name))
		return MF_E_MALFORMED;
	f.type = mf_load_be16(answer.p + at);
	f.class = mf_load_be16(answer.p + at + 2);
	err = follow(&f);
	if (!err)
		err = collect(&f, &f.name, 0);
	if (!err)
		conclude(&f);
	return err;
}
