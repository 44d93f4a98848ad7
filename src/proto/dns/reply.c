/* SPDX-License-Identifier: Apache-2.0
 *
 * reply - writing: questions to upstreams, and answers that we make ourselves.
 */
#include "proto/dns/internal.h"

enum {
	OPTION_PADDING = 12, /* RFC 7830 */
	OPTION_EDE = 15,     /* RFC 8914 */
	OPTION_HEADER = 4,
	PAD_TO = 128, /* RFC 8467 4.1 */
};

/* To the name of the question, which begins behind the header. */
enum { TO_QUESTION = MF_DNS_POINTER | MF_DNS_HEADER };

/* ---- EDNS ------------------------------------------------------------------------------------ */

size_t mf_dns_opt_len(const struct mf_dns_query *q, int ede)
{
	if (!q->edns)
		return 0;
	return MF_DNS_OPT_FIXED + (ede == MF_DNS_EDE_NONE ? 0 : OPTION_HEADER + 2);
}

/* OPT with `options` bytes to follow. */
static uint8_t *put_opt(uint8_t *out, unsigned rcode, bool dnssec_ok, size_t options)
{
	out[0] = 0;
	mf_store_be16(out + 1, MF_DNS_OPT);
	mf_store_be16(out + 3, MF_DNS_UDP_MAX);
	out[5] = (uint8_t)(rcode >> 4);
	out[6] = 0; /* version */
	mf_store_be16(out + 7, dnssec_ok ? MF_DNS_OPT_DO : 0);
	mf_store_be16(out + 9, (uint16_t)options);
	return out + MF_DNS_OPT_FIXED;
}

static uint8_t *put_option(uint8_t *out, uint16_t code, size_t n)
{
	mf_store_be16(out, code);
	mf_store_be16(out + 2, (uint16_t)n);
	return out + OPTION_HEADER;
}

void mf_dns_opt_write(uint8_t *out, const struct mf_dns_query *q, unsigned rcode, int ede)
{
	bool said = ede != MF_DNS_EDE_NONE;

	out = put_opt(out, rcode, q->dnssec_ok, said ? OPTION_HEADER + 2 : 0);
	if (said)
		mf_store_be16(put_option(out, OPTION_EDE, 2), (uint16_t)ede);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void mix_case(uint8_t *name, size_t n, const uint8_t mix[32])
{
	for (size_t i = 0; i < n; i++)
		if (name[i] >= 'a' && name[i] <= 'z' && mix[i / 8] >> i % 8 & 1)
			name[i] = (uint8_t)(name[i] - 'a' + 'A');
}

size_t mf_dns_question_write(uint8_t *out, uint16_t id, const struct mf_dns_name *name,
			     uint16_t type, bool dnssec_ok, bool cd, const uint8_t mix[32], bool pad)
{
	uint8_t *at = out + MF_DNS_HEADER;
	size_t n = MF_DNS_HEADER + name->n + MF_DNS_QUESTION_FIXED + MF_DNS_OPT_FIXED, padding = 0;

	memset(out, 0, MF_DNS_HEADER);
	mf_store_be16(out, id);
	/* AD: that we understand it (RFC 6840 5.7). */
	mf_store_be16(out + 2, (uint16_t)(MF_DNS_RD | MF_DNS_AD | (cd ? MF_DNS_CD : 0)));
	mf_dns_count_set(out, MF_DNS_QDCOUNT, 1);
	mf_dns_count_set(out, MF_DNS_ARCOUNT, 1);
	memcpy(at, name->b, name->n);
	if (mix)
		mix_case(at, name->n, mix);
	at += name->n;
	mf_store_be16(at, type);
	mf_store_be16(at + 2, MF_DNS_IN);
	if (pad)
		padding = mf_round_up(n + OPTION_HEADER, PAD_TO) - n;
	at = put_opt(at + MF_DNS_QUESTION_FIXED, MF_DNS_NOERROR, dnssec_ok, padding);
	if (padding) {
		memset(at, 0, padding);
		put_option(at, OPTION_PADDING, padding - OPTION_HEADER);
	}
	return n + padding;
}

/* ---- Replies --------------------------------------------------------------------------------- */

/* A reply that is being written. */
struct reply {
	uint8_t *out;
	size_t n, cap; /* cap: for all but OPT */
	const struct mf_dns_query *q;
	unsigned rcode;
	int ede;
	unsigned counts[3];
	bool full; /* something did not fit */
};

static size_t reply_begin(struct reply *r, struct mf_span query)
{
	const struct mf_dns_query *q = r->q;
	size_t end = mf_max(q->question_end, MF_DNS_HEADER);

	/* The longest question with OPT takes less than the least that a client takes. */
	MF_ASSERT(r->cap >= MF_DNS_UDP_PLAIN && query.n >= end);
	r->cap -= mf_dns_opt_len(q, r->ede);
	memset(r->out, 0, MF_DNS_HEADER);
	mf_store_be16(r->out, q->id);
	mf_dns_count_set(r->out, MF_DNS_QDCOUNT, q->question_end != 0);
	memcpy(r->out + MF_DNS_HEADER, query.p + MF_DNS_HEADER, end - MF_DNS_HEADER);
	r->n = end;
	return end;
}

/* A record with the question's name; returns its `rdlen` bytes of rdata, NULL: it does not fit. */
static uint8_t *reply_record(struct reply *r, enum mf_dns_section section, uint16_t type,
			     uint32_t ttl, size_t rdlen)
{
	size_t len = 2 + MF_DNS_RR_FIXED + rdlen;
	uint8_t *at = r->out + r->n;

	if (r->cap - r->n < len) {
		r->full = true;
		return NULL;
	}
	mf_store_be16(at, TO_QUESTION);
	mf_store_be16(at + 2, type);
	mf_store_be16(at + 4, r->q->class);
	mf_store_be32(at + 6, ttl);
	mf_store_be16(at + 10, (uint16_t)rdlen);
	r->counts[section]++;
	r->n += len;
	return at + 2 + MF_DNS_RR_FIXED;
}

/* Flags, counts and OPT. With TC there are no records: what is half there is of no use (RFC 2181
 * 9). */
static size_t reply_end(struct reply *r)
{
	const struct mf_dns_query *q = r->q;
	/* Only OPT can say a large one. */
	unsigned rcode = r->rcode > MF_DNS_RCODE && !q->edns ? MF_DNS_SERVFAIL : r->rcode;
	uint16_t flags = MF_DNS_QR | MF_DNS_RA;

	flags |= q->flags & (MF_DNS_OPCODE | MF_DNS_RD | MF_DNS_CD);
	flags |= rcode & MF_DNS_RCODE;
	if (r->full) {
		flags |= MF_DNS_TC;
		r->n = mf_max(q->question_end, MF_DNS_HEADER);
		memset(r->counts, 0, sizeof(r->counts));
	}
	if (q->edns) {
		mf_dns_opt_write(r->out + r->n, q, rcode, r->ede);
		r->n += mf_dns_opt_len(q, r->ede);
		r->counts[MF_DNS_ADDITIONAL]++;
	}
	mf_store_be16(r->out + 2, flags);
	for (unsigned i = 0; i < 3; i++)
		mf_dns_count_set(r->out, MF_DNS_ANCOUNT + i, r->counts[i]);
	return r->n;
}

/* Like that of an empty zone (RFC 6303 3), but for how long it holds. */
static void put_soa(struct reply *r, uint32_t ttl)
{
	static const uint8_t rname[] = "\6nobody\7invalid";
	static const uint32_t serial_refresh_retry_expire[] = { 1, 3600, 1200, 604800 };
	uint8_t *at = reply_record(r, MF_DNS_AUTHORITY, MF_DNS_SOA, ttl, 2 + sizeof(rname) + 20);

	if (!at)
		return;
	mf_store_be16(at, TO_QUESTION);
	memcpy(at + 2, rname, sizeof(rname));
	at += 2 + sizeof(rname);
	for (size_t i = 0; i < 4; i++, at += 4)
		mf_store_be32(at, serial_refresh_retry_expire[i]);
	mf_store_be32(at, ttl);
}

size_t mf_dns_reply_empty(uint8_t *out, size_t cap, struct mf_span query,
			  const struct mf_dns_query *q, unsigned rcode, int ede, uint32_t soa_ttl)
{
	struct reply r = { .out = out, .cap = cap, .q = q, .rcode = rcode, .ede = ede };

	reply_begin(&r, query);
	if (soa_ttl && q->question_end)
		put_soa(&r, soa_ttl);
	return reply_end(&r);
}

size_t mf_dns_reply_addrs(uint8_t *out, size_t cap, struct mf_span query,
			  const struct mf_dns_query *q, const struct mf_addr *addr, size_t n,
			  uint32_t ttl)
{
	struct reply r = { .out = out, .cap = cap, .q = q, .ede = MF_DNS_EDE_NONE };
	enum mf_family family = q->type == MF_DNS_A      ? MF_AF_IP4
				: q->type == MF_DNS_AAAA ? MF_AF_IP6
							 : MF_AF_NONE;

	reply_begin(&r, query);
	for (size_t i = 0; i < n && !r.full && family; i++) {
		size_t len = mf_addr_len(&addr[i]);
		uint8_t *at;

		if (addr[i].family != family)
			continue;
		at = reply_record(&r, MF_DNS_ANSWER, q->type, ttl, len);
		if (at)
			memcpy(at, addr[i].b, len);
	}
	return reply_end(&r);
}

size_t mf_dns_reply_ptr(uint8_t *out, size_t cap, struct mf_span query,
			const struct mf_dns_query *q, const struct mf_dns_name *target, uint32_t ttl)
{
	struct reply r = { .out = out, .cap = cap, .q = q, .ede = MF_DNS_EDE_NONE };
	uint8_t *at;

	reply_begin(&r, query);
	at = reply_record(&r, MF_DNS_ANSWER, MF_DNS_PTR, ttl, target->n);
	if (at)
		memcpy(at, target->b, target->n);
	return reply_end(&r);
}
