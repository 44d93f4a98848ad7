/* SPDX-License-Identifier: Apache-2.0
 *
 * story - random answers as lists of records with whole names: what a message says, without how it
 * says it. A story is told as a message in one of many ways (names compressed or not), and a
 * message is compared with a story record by record, which is slow and obviously right.
 */
#ifndef STORY_H
#define STORY_H

#include "maker.h"

enum { STORY_RECORDS = 60 };

enum story_kind {
	STORY_A,
	STORY_AAAA,
	STORY_CNAME,
	STORY_MX,
	STORY_SOA,
	STORY_SRV,
	STORY_NAPTR,
	STORY_TXT,
	STORY_UNKNOWN,
	STORY_HTTPS,
	STORY_KINDS,
	STORY_OPT = STORY_KINDS,
	STORY_TSIG,
};

struct story_record {
	enum story_kind kind;
	enum mf_dns_section section;
	const char *owner, *target, *second; /* names in rdata */
	uint32_t ttl;
	uint8_t bytes[16]; /* the address, or opaque */
	uint8_t n4, n6;    /* HTTPS: hints, all made of `bytes` */
	bool mandatory;    /* HTTPS: the hint of IPv6 is */
};

struct story {
	size_t n;
	struct story_record r[STORY_RECORDS];
};

static const char *const story_names[] = {
	"",
	"a.example",
	"www.a.example",
	"x.y.www.a.example",
	"b.example",
	"mail.b.example",
	"a-rather-long-label-of-a-content-network.b.example",
	"other.test",
	"ns.other.test",
};

static const uint16_t story_types[] = { MF_DNS_A,   MF_DNS_AAAA,  MF_DNS_CNAME, MF_DNS_MX,
					MF_DNS_SOA, MF_DNS_SRV,   MF_DNS_NAPTR, MF_DNS_TXT,
					65280,      MF_DNS_HTTPS, MF_DNS_OPT,   250 };

static inline const char *story_name(struct mf_prng *g)
{
	return story_names[mf_prng_below(g, MF_ARRAY_LEN(story_names))];
}

static inline struct story_record story_random(struct mf_prng *g, enum story_kind kind)
{
	struct story_record r = { .kind = kind,
				  .owner = story_name(g),
				  .target = story_name(g),
				  .second = story_name(g),
				  .ttl = (uint32_t)mf_prng_below(g, 100000),
				  .n4 = (uint8_t)mf_prng_below(g, 4),
				  .n6 = (uint8_t)mf_prng_below(g, 4),
				  .mandatory = mf_prng_below(g, 4) == 0 };

	mf_prng_fill(g, r.bytes, sizeof(r.bytes));
	r.mandatory = r.mandatory && r.n6;
	return r;
}

static inline void story_tell_https(struct maker *m, const struct story_record *r)
{
	maker_u16(m, 1);
	maker_name(m, r->target);
	if (r->mandatory)
		maker_bytes(m, "\0\0\0\2\0\6", 6);
	maker_bytes(m, "\0\1\0\3\2h3", 7);
	for (uint8_t i = 0; i < r->n4; i++) {
		if (!i)
			maker_u32(m, 4u << 16 | r->n4 * 4u);
		maker_bytes(m, r->bytes, 3);
		maker_u8(m, i);
	}
	maker_bytes(m, "\0\5\0\2ec", 6);
	for (uint8_t i = 0; i < r->n6; i++) {
		if (!i)
			maker_u32(m, 6u << 16 | r->n6 * 16u);
		maker_bytes(m, r->bytes, 15);
		maker_u8(m, i);
	}
}

static inline void story_tell_rdata(struct maker *m, const struct story_record *r)
{
	switch (r->kind) {
	case STORY_A:
		maker_bytes(m, r->bytes, 4);
		break;
	case STORY_AAAA:
		maker_bytes(m, r->bytes, 16);
		break;
	case STORY_CNAME:
		maker_name(m, r->target);
		break;
	case STORY_MX:
		maker_bytes(m, r->bytes, 2);
		maker_name(m, r->target);
		break;
	case STORY_SOA:
		maker_name(m, r->target);
		maker_name(m, r->second);
		maker_bytes(m, r->bytes, 16);
		maker_u32(m, UINT32_MAX);
		break;
	case STORY_SRV:
		maker_bytes(m, r->bytes, 6);
		maker_name(m, r->target);
		break;
	case STORY_NAPTR:
		maker_bytes(m, r->bytes, 4);
		maker_bytes(m, "\1s\7sip+d2u\0", 11);
		maker_name(m, r->target);
		break;
	case STORY_TXT:
		maker_u8(m, 8);
		maker_bytes(m, r->bytes, 8);
		break;
	case STORY_HTTPS:
		story_tell_https(m, r);
		break;
	case STORY_UNKNOWN: /* pointers that are none */
		maker_bytes(m, "\xc0\x0c\xff\xff\1a", 6);
		maker_bytes(m, r->bytes, 10);
		break;
	default:
		break;
	}
}

/* The answer to a question for the name and type. */
static inline void story_tell(const struct story *s, struct maker *m, const char *name, unsigned type)
{
	maker_begin(m, 1, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA | MF_DNS_AD);
	maker_question(m, name, type);
	for (size_t i = 0; i < s->n; i++) {
		const struct story_record *r = &s->r[i];

		if (r->kind == STORY_OPT) {
			maker_opt(m, 4096, 0, 0);
			maker_bytes(m, "\0\12\0\10abcdefgh", 12);
		} else {
			maker_rr(m, r->section, r->owner, story_types[r->kind], r->ttl);
			story_tell_rdata(m, r);
		}
		maker_end(m);
	}
}

/* Copies rdata with its names whole. */
static inline size_t story_expand(struct mf_span msg, const struct mf_dns_rr *rr, uint8_t *out)
{
	static const struct {
		uint16_t type;
		uint8_t before, names;
	} shapes[] = { { MF_DNS_CNAME, 0, 1 }, { MF_DNS_MX, 2, 1 },     { MF_DNS_SOA, 0, 2 },
		       { MF_DNS_SRV, 6, 1 },   { MF_DNS_NAPTR, 15, 1 }, { MF_DNS_HTTPS, 2, 1 } };
	size_t at = rr->rdata, end = at + rr->rdlen, n = 0;

	for (size_t i = 0; i < MF_ARRAY_LEN(shapes); i++) {
		if (shapes[i].type != rr->type)
			continue;
		memcpy(out, msg.p + at, shapes[i].before);
		at += shapes[i].before;
		n = shapes[i].before;
		for (int k = 0; k < shapes[i].names; k++) {
			struct mf_dns_name name;

			assert_int_equal(mf_dns_name_read(msg, &at, &name), MF_OK);
			memcpy(out + n, name.b, name.n);
			n += name.n;
		}
	}
	assert_true(at <= end);
	memcpy(out + n, msg.p + at, end - at);
	return n + end - at;
}

/* Two messages that say the same, but for the bytes of TTLs if `ttl` is false. */
static inline void story_same(struct mf_span a, struct mf_span b, bool ttl)
{
	static uint8_t x[MF_DNS_MESSAGE_MAX], y[MF_DNS_MESSAGE_MAX];
	struct mf_dns_walk v, w;
	struct mf_dns_rr r, s;

	assert_memory_equal(a.p + 4, b.p + 4, 8);
	assert_int_equal(mf_dns_walk_begin(&v, a), MF_OK);
	assert_int_equal(mf_dns_walk_begin(&w, b), MF_OK);
	while (mf_dns_walk_next(&v, &r)) {
		struct mf_dns_name m, n;
		size_t at = r.name, to;

		assert_true(mf_dns_walk_next(&w, &s));
		to = s.name;
		assert_int_equal(mf_dns_name_read(a, &at, &m), MF_OK);
		assert_int_equal(mf_dns_name_read(b, &to, &n), MF_OK);
		assert_true(mf_dns_name_equal(&m, &n));
		assert_int_equal(r.section, s.section);
		assert_int_equal(r.type, s.type);
		assert_int_equal(r.class, s.class);
		if (ttl)
			assert_int_equal(r.ttl, s.ttl);
		at = story_expand(a, &r, x);
		assert_int_equal(at, story_expand(b, &s, y));
		assert_memory_equal(x, y, at);
	}
	assert_false(mf_dns_walk_next(&w, &s));
	assert_false(v.failed || w.failed);
}

#endif
