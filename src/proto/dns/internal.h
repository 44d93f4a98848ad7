/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - what the files of the message codec share; nobody else includes it.
 */
#ifndef MF_DNS_INTERNAL_H
#define MF_DNS_INTERNAL_H

#include "base/endian.h"
#include "proto/dns/message.h"

enum {
	MF_DNS_QUESTION_FIXED = 4, /* type and class, behind the name */
	MF_DNS_RR_FIXED = 10,      /* type, class, TTL and length, behind the name */
	MF_DNS_OPT_FIXED = 1 + MF_DNS_RR_FIXED,
	MF_DNS_OPT_DO = 0x8000, /* in the lower half of OPT's TTL */
	MF_DNS_POINTER = 0xc000,
	MF_DNS_POINTER_MAX = 0x3fff, /* no pointer leads further back than here */
};

/* Types that only the codec knows: of one hop, like OPT. */
enum { MF_DNS_SIG = 24, MF_DNS_TSIG = 250 };

/* Counts of the header, in their order. */
enum mf_dns_count { MF_DNS_QDCOUNT, MF_DNS_ANCOUNT, MF_DNS_NSCOUNT, MF_DNS_ARCOUNT };

static inline uint16_t mf_dns_count_get(const uint8_t *msg, unsigned which)
{
	return mf_load_be16(msg + 4 + 2 * which);
}

static inline void mf_dns_count_set(uint8_t *msg, unsigned which, unsigned n)
{
	mf_store_be16(msg + 4 + 2 * which, (uint16_t)n);
}

/* The last field of a SOA record (RFC 1035 3.3.13). MF_E_MALFORMED: it is none. */
MF_MUST_CHECK mf_err mf_dns_soa_minimum(struct mf_span msg, const struct mf_dns_rr *rr,
					uint32_t *minimum);

/* Of a reply to `q`: the length of its OPT (0 if the client had none), and OPT itself, `rcode`
 * whole. */
size_t mf_dns_opt_len(const struct mf_dns_query *q, int ede);
void mf_dns_opt_write(uint8_t *out, const struct mf_dns_query *q, unsigned rcode, int ede);

#endif
