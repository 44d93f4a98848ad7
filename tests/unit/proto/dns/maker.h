/* SPDX-License-Identifier: Apache-2.0
 *
 * maker - DNS messages for tests, record by record, with names compressed or not: `compress` says
 * of each name whether the rest of it may be a pointer to where it stood before, in whatever it was
 * part of. Names are text without escapes and keep their case.
 */
#ifndef MAKER_H
#define MAKER_H

#include "base/endian.h"
#include "proto/dns/message.h"
#include "unit.h"

enum { MAKER_SUFFIXES = 4096 };

struct maker {
	uint8_t b[MF_DNS_MESSAGE_MAX];
	size_t n, fixed; /* fixed: of the record that is being made */
	bool (*compress)(void *ctx);
	void *ctx;
	size_t n_suffixes;
	struct {
		char text[256];
		uint16_t at;
	} suffix[MAKER_SUFFIXES];
};

static inline bool maker_always(void *ctx)
{
	(void)ctx;
	return true;
}

static inline void maker_u8(struct maker *m, unsigned v)
{
	m->b[m->n++] = (uint8_t)v;
}

static inline void maker_u16(struct maker *m, unsigned v)
{
	mf_store_be16(m->b + m->n, (uint16_t)v);
	m->n += 2;
}

static inline void maker_u32(struct maker *m, uint32_t v)
{
	mf_store_be32(m->b + m->n, v);
	m->n += 4;
}

static inline void maker_bytes(struct maker *m, const void *p, size_t n)
{
	memcpy(m->b + m->n, p, n);
	m->n += n;
}

static inline struct mf_span maker_span(const struct maker *m)
{
	return mf_span(m->b, m->n);
}

/* The offset of this name where it stands already; 0: it does not. */
static inline unsigned maker_find(const struct maker *m, const char *name)
{
	for (size_t i = 0; i < m->n_suffixes; i++)
		if (strcmp(m->suffix[i].text, name) == 0)
			return m->suffix[i].at;
	return 0;
}

static inline void maker_name(struct maker *m, const char *name)
{
	while (*name) {
		size_t label = strcspn(name, ".");
		unsigned at = maker_find(m, name);

		if (at && m->compress && m->compress(m->ctx)) {
			maker_u16(m, 0xc000 | at);
			return;
		}
		if (m->n <= 0x3fff && m->n_suffixes < MAKER_SUFFIXES) {
			snprintf(m->suffix[m->n_suffixes].text, 256, "%s", name);
			m->suffix[m->n_suffixes++].at = (uint16_t)m->n;
		}
		maker_u8(m, (unsigned)label);
		maker_bytes(m, name, label);
		name += label + (name[label] == '.');
	}
	maker_u8(m, 0);
}

static inline void maker_begin(struct maker *m, uint16_t id, unsigned flags)
{
	m->n = m->n_suffixes = 0;
	maker_u16(m, id);
	maker_u16(m, flags);
	memset(m->b + 4, 0, 8);
	m->n = MF_DNS_HEADER;
}

static inline void maker_count(struct maker *m, unsigned which)
{
	mf_store_be16(m->b + 4 + 2 * which, (uint16_t)(mf_load_be16(m->b + 4 + 2 * which) + 1));
}

static inline void maker_question(struct maker *m, const char *name, unsigned type)
{
	maker_count(m, 0);
	maker_name(m, name);
	maker_u16(m, type);
	maker_u16(m, MF_DNS_IN);
}

/* A record up to its rdata; maker_end sets its length. */
static inline void maker_rr(struct maker *m, enum mf_dns_section section, const char *name,
			    unsigned type, uint32_t ttl)
{
	maker_count(m, 1 + section);
	maker_name(m, name);
	m->fixed = m->n;
	maker_u16(m, type);
	maker_u16(m, MF_DNS_IN);
	maker_u32(m, ttl);
	maker_u16(m, 0);
}

static inline void maker_end(struct maker *m)
{
	mf_store_be16(m->b + m->fixed + 8, (uint16_t)(m->n - m->fixed - 10));
}

/* A record whose rdata is one name. */
static inline void maker_alias(struct maker *m, enum mf_dns_section section, const char *name,
			       unsigned type, uint32_t ttl, const char *target)
{
	maker_rr(m, section, name, type, ttl);
	maker_name(m, target);
	maker_end(m);
}

static inline struct mf_addr maker_addr(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return a;
}

/* A or AAAA, as the text is. */
static inline void maker_address(struct maker *m, enum mf_dns_section section, const char *name,
				 uint32_t ttl, const char *text)
{
	struct mf_addr a = maker_addr(text);

	maker_rr(m, section, name, a.family == MF_AF_IP4 ? MF_DNS_A : MF_DNS_AAAA, ttl);
	maker_bytes(m, a.b, mf_addr_len(&a));
	maker_end(m);
}

static inline void maker_soa(struct maker *m, const char *zone, uint32_t ttl, uint32_t minimum)
{
	maker_rr(m, MF_DNS_AUTHORITY, zone, MF_DNS_SOA, ttl);
	maker_name(m, "ns.example");
	maker_name(m, "admin.example");
	for (uint32_t i = 1; i <= 4; i++)
		maker_u32(m, i * 100);
	maker_u32(m, minimum);
	maker_end(m);
}

/* OPT, of `rcode` the upper bits. */
static inline void maker_opt(struct maker *m, unsigned size, unsigned rcode, unsigned flags)
{
	maker_count(m, 3);
	maker_u8(m, 0);
	m->fixed = m->n;
	maker_u16(m, MF_DNS_OPT);
	maker_u16(m, size);
	maker_u8(m, rcode >> 4);
	maker_u8(m, 0);
	maker_u16(m, flags);
	maker_u16(m, 0);
}

static inline struct mf_dns_name maker_wire(const char *text)
{
	struct mf_dns_name n;

	assert_int_equal(mf_dns_name_parse(&n, text, strlen(text)), MF_OK);
	return n;
}

#endif
