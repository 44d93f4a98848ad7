/* SPDX-License-Identifier: Apache-2.0
 *
 * keep - answers that are kept, and the replies made of them.
 */
#include "proto/dns/move.h"

/* ---- Keeping --------------------------------------------------------------------------------- */

/* True for what was said to us and not to our clients: OPT (RFC 6891 6.1.1), TSIG (RFC 8945 5.1)
 * and SIG(0) (RFC 2931 3). */
static bool of_hop(const uint8_t *msg, const struct mf_dns_rr *rr)
{
	if (rr->section != MF_DNS_ADDITIONAL)
		return false;
	return rr->type == MF_DNS_OPT || rr->type == MF_DNS_TSIG ||
	       (rr->type == MF_DNS_SIG && rr->rdlen >= 2 && !mf_load_be16(msg + rr->rdata));
}

/* What of_hop says of the records of an answer. */
struct hops {
	unsigned n;
	size_t at; /* the first */
	bool opt;
	bool behind; /* a record that stays is behind one of them */
};

static mf_err add_hop(struct hops *h, const uint8_t *msg, const struct mf_dns_rr *rr)
{
	if (rr->type == MF_DNS_OPT) {
		if (h->opt || msg[rr->name])
			return MF_E_MALFORMED;
		/* Upper bits of the rcode: without them it is another. */
		if (msg[rr->ttl_at])
			return MF_E_UNSUPPORTED;
		h->opt = true;
	}
	if (!h->n++)
		h->at = rr->name;
	return MF_OK;
}

static mf_err find_hops(struct hops *h, const struct mf_dns_walk *begun)
{
	struct mf_dns_walk w = *begun;
	struct mf_dns_rr rr;
	mf_err err = MF_OK;

	while (!err && mf_dns_walk_next(&w, &rr)) {
		if (of_hop(w.msg.p, &rr))
			err = add_hop(h, w.msg.p, &rr);
		else
			h->behind |= h->n > 0;
	}
	return w.failed ? MF_E_MALFORMED : err;
}

/* The answer without them; returns its length, 0: it is malformed. */
static size_t move_lasting(uint8_t *buf, const struct mf_dns_walk *begun)
{
	struct mf_dns_walk w = *begun;
	struct mf_dns_move m;
	struct mf_dns_rr rr;

	mf_dns_move_begin(&m, &w, buf, w.msg.n);
	while (mf_dns_walk_next(&w, &rr)) {
		if (!of_hop(w.msg.p, &rr))
			mf_dns_move_record(&m, &rr);
	}
	return mf_dns_move_done(&m);
}

/* Nearly always they are the last records, and nothing has to move. */
static mf_err copy_lasting(uint8_t *buf, const struct mf_dns_walk *begun, size_t *n)
{
	const uint8_t *msg = begun->msg.p;
	struct hops h = { 0 };
	mf_err err = find_hops(&h, begun);

	if (err)
		return err;
	if (h.behind) {
		*n = move_lasting(buf, begun);
		return *n ? MF_OK : MF_E_MALFORMED;
	}
	*n = h.n ? h.at : begun->msg.n;
	memcpy(buf, msg, *n);
	mf_dns_count_set(buf, MF_DNS_ARCOUNT, mf_dns_count_get(msg, MF_DNS_ARCOUNT) - h.n);
	return MF_OK;
}

/* The TTL that a record is kept with: that of a negative answer's SOA is the time for which the
 * answer holds (RFC 2308 5). */
static mf_err lasting_ttl(struct mf_span msg, const struct mf_dns_rr *rr, uint32_t *ttl)
{
	uint32_t minimum = UINT32_MAX;
	mf_err err = MF_OK;

	if (rr->type == MF_DNS_SOA && rr->section == MF_DNS_AUTHORITY)
		err = mf_dns_soa_minimum(msg, rr, &minimum);
	*ttl = (uint32_t)mf_min(rr->ttl, minimum);
	return err;
}

static mf_err index_ttls(struct mf_dns_kept *k, struct mf_dns_walk *w, uint32_t floor,
			 uint32_t ceiling)
{
	struct mf_dns_rr rr;
	uint32_t ttl;

	while (mf_dns_walk_next(w, &rr)) {
		mf_err err = lasting_ttl(w->msg, &rr, &ttl);

		if (err)
			return err;
		mf_store_be32(k->msg + rr.ttl_at, (uint32_t)mf_min(mf_max(ttl, floor), ceiling));
		if (k->n_ttls == MF_DNS_KEPT_TTLS)
			return MF_E_RANGE;
		k->ttl_at[k->n_ttls++] = rr.ttl_at;
	}
	return w->failed ? MF_E_MALFORMED : MF_OK;
}

mf_err mf_dns_keep(struct mf_dns_kept *k, uint8_t *buf, struct mf_span answer, uint32_t floor,
		   uint32_t ceiling)
{
	struct mf_dns_name question;
	struct mf_dns_walk w;
	size_t n, at = MF_DNS_HEADER;
	mf_err err;

	k->msg = buf;
	k->n = k->n_ttls = 0;
	err = mf_dns_walk_begin(&w, answer);
	if (!err)
		err = copy_lasting(buf, &w, &n);
	if (err)
		return err;
	k->n = (uint16_t)n;
	if (mf_dns_count_get(buf, MF_DNS_QDCOUNT) != 1)
		return MF_E_MALFORMED;
	err = mf_dns_name_read(mf_span(buf, n), &at, &question);
	if (err)
		return err;
	/* It has no pointer: nothing is before it that one could lead to. */
	memcpy(buf + MF_DNS_HEADER, question.b, question.n);
	w.msg = mf_span(buf, n);
	for (unsigned i = 0; i < 3; i++)
		w.left[i] = mf_dns_count_get(buf, MF_DNS_ANCOUNT + i);
	return index_ttls(k, &w, floor, ceiling);
}

/* ---- Replies --------------------------------------------------------------------------------- */

/* What was kept was asked as `q` asks: else its question is of another length, or is not there. */
static bool holds_question(struct mf_span kept, struct mf_span query, const struct mf_dns_query *q)
{
	size_t at = (size_t)q->question_end - MF_DNS_QUESTION_FIXED;

	return q->question_end && kept.n >= q->question_end &&
	       mf_dns_count_get(kept.p, MF_DNS_QDCOUNT) == 1 &&
	       memcmp(kept.p + at, query.p + at, MF_DNS_QUESTION_FIXED) == 0;
}

/* AD goes to those who say that they understand it (RFC 6840 5.8). */
static uint16_t reply_flags(const struct mf_dns_query *q, uint16_t kept)
{
	uint16_t from_kept = MF_DNS_TC | MF_DNS_RCODE;

	if (q->dnssec_ok || q->flags & MF_DNS_AD)
		from_kept |= MF_DNS_AD;
	return (uint16_t)(MF_DNS_QR | MF_DNS_RA | (kept & from_kept) |
			  (q->flags & (MF_DNS_RD | MF_DNS_CD)));
}

static void age_ttls(uint8_t *out, const uint16_t *at, size_t n, uint32_t age)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t ttl = mf_load_be32(out + at[i]);

		/* 0 stays 0: for this one use only. */
		mf_store_be32(out + at[i], ttl > age ? ttl - age : ttl != 0);
	}
}

size_t mf_dns_reply_kept(uint8_t *out, size_t cap, struct mf_span query,
			 const struct mf_dns_query *q, struct mf_span kept, const uint16_t *ttl_at,
			 size_t n_ttls, uint32_t age, uint32_t fixed_ttl, int ede)
{
	size_t opt = mf_dns_opt_len(q, ede), n = kept.n;
	uint16_t flags, rcode;

	MF_ASSERT(kept.n >= MF_DNS_HEADER);
	flags = mf_load_be16(kept.p + 2);
	rcode = flags & MF_DNS_RCODE;
	if (MF_UNLIKELY(!holds_question(kept, query, q)))
		return mf_dns_reply_empty(out, cap, query, q, rcode, ede, 0);
	flags = reply_flags(q, flags);
	if (n + opt > cap) {
		n = mf_dns_reply_empty(out, cap, query, q, rcode, ede, 0);
		mf_store_be16(out + 2, flags | MF_DNS_TC);
		return n;
	}
	memcpy(out, kept.p, n);
	memcpy(out + MF_DNS_HEADER, query.p + MF_DNS_HEADER, (size_t)q->question_end - MF_DNS_HEADER);
	mf_store_be16(out, q->id);
	mf_store_be16(out + 2, flags);
	if (MF_UNLIKELY(fixed_ttl)) {
		for (size_t i = 0; i < n_ttls; i++)
			mf_store_be32(out + ttl_at[i], fixed_ttl);
	} else if (age) {
		age_ttls(out, ttl_at, n_ttls, age);
	}
	if (opt) {
		mf_dns_count_set(out, MF_DNS_ARCOUNT, mf_dns_count_get(out, MF_DNS_ARCOUNT) + 1u);
		mf_dns_opt_write(out + n, q, rcode, ede);
	}
	return n + opt;
}
