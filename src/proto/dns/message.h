/* SPDX-License-Identifier: Apache-2.0
 *
 * message - DNS messages (RFC 1035 4, EDNS RFC 6891): what is asked, a walk over records, and
 * answers made of answers. Records of any type pass through unchanged: an answer is kept as the
 * bytes that came, and only its id, flags, question, TTLs and OPT record are written anew.
 *
 * No state, no memory: any thread.
 */
#ifndef MF_DNS_MESSAGE_H
#define MF_DNS_MESSAGE_H

#include "base/addr.h"
#include "proto/dns/name.h"

enum {
	MF_DNS_HEADER = 12,
	MF_DNS_UDP_PLAIN = 512, /* without EDNS */
	/* With EDNS: what we offer upstreams, and the most we send in one datagram. */
	MF_DNS_UDP_MAX = 1232,
	MF_DNS_MESSAGE_MAX = 65535,
	MF_DNS_PORT = 53,
};

/* X(NAME, number): types that we say by name. */
#define MF_DNS_TYPE_LIST(X) \
	X(A, 1)             \
	X(NS, 2)            \
	X(CNAME, 5)         \
	X(SOA, 6)           \
	X(PTR, 12)          \
	X(HINFO, 13)        \
	X(MX, 15)           \
	X(TXT, 16)          \
	X(AAAA, 28)         \
	X(SRV, 33)          \
	X(NAPTR, 35)        \
	X(DNAME, 39)        \
	X(OPT, 41)          \
	X(DS, 43)           \
	X(SSHFP, 44)        \
	X(RRSIG, 46)        \
	X(NSEC, 47)         \
	X(DNSKEY, 48)       \
	X(NSEC3, 50)        \
	X(TLSA, 52)         \
	X(SVCB, 64)         \
	X(HTTPS, 65)        \
	X(IXFR, 251)        \
	X(AXFR, 252)        \
	X(ANY, 255)         \
	X(CAA, 257)
enum mf_dns_type {
#define X(name, n) MF_DNS_##name = n,
	MF_DNS_TYPE_LIST(X)
#undef X
};
enum { MF_DNS_IN = 1, MF_DNS_CHAOS = 3, MF_DNS_CLASS_ANY = 255 };
enum mf_dns_rcode {
	MF_DNS_NOERROR,
	MF_DNS_FORMERR,
	MF_DNS_SERVFAIL,
	MF_DNS_NXDOMAIN,
	MF_DNS_NOTIMP,
	MF_DNS_REFUSED,
	MF_DNS_BADVERS = 16,
};
/* "A", "HTTPS", "TYPE1234" (RFC 3597 5); and back, in letters of either case, 0 for what is no
 * type. "NOERROR", "RCODE23". */
const char *mf_dns_type_format(uint16_t type, char out[16]);
uint16_t mf_dns_type_parse(const char *text);
const char *mf_dns_rcode_format(unsigned rcode, char out[16]);

/* Flags of the header, host order. */
enum {
	MF_DNS_QR = 0x8000,
	MF_DNS_OPCODE = 0x7800,
	MF_DNS_AA = 0x0400,
	MF_DNS_TC = 0x0200,
	MF_DNS_RD = 0x0100,
	MF_DNS_RA = 0x0080,
	MF_DNS_AD = 0x0020,
	MF_DNS_CD = 0x0010,
	MF_DNS_RCODE = 0x000f,
};

/* ---- Reading --------------------------------------------------------------------------------- */

/* Extended DNS Error codes that we say (RFC 8914). */
enum {
	MF_DNS_EDE_NONE = -1,
	MF_DNS_EDE_STALE = 3,
	MF_DNS_EDE_NOT_READY = 14,
	MF_DNS_EDE_BLOCKED = 15,
	MF_DNS_EDE_FILTERED = 17,
	MF_DNS_EDE_NO_REACHABLE = 22,
	MF_DNS_EDE_NETWORK = 23,
};

/* A question as it came. */
struct mf_dns_query {
	uint16_t id, flags; /* flags: host order */
	uint16_t type, class;
	struct mf_dns_name name; /* lower case */
	uint16_t question_end;   /* offset behind the question, which begins behind the header */
	bool edns, dnssec_ok;
	uint8_t edns_version;
	/* What the client takes in a datagram: 512 without EDNS, else what it says, but 512 at
	 * least. */
	uint16_t udp_size;
};
/* Exactly one question, no answers; additional records are walked over to find OPT. MF_E_SHORT: not
 * even a header, or it is an answer: say nothing. MF_E_MALFORMED: answer FORMERR. MF_E_UNSUPPORTED:
 * another opcode: answer NOTIMP. With these two, all but `name`, `type` and `class` is valid, as of
 * a query without EDNS and with question_end 0. */
MF_MUST_CHECK mf_err mf_dns_query_read(struct mf_span msg, struct mf_dns_query *q);

enum mf_dns_section { MF_DNS_ANSWER, MF_DNS_AUTHORITY, MF_DNS_ADDITIONAL };

/* One record: offsets into the message. */
struct mf_dns_rr {
	uint8_t section; /* enum mf_dns_section */
	uint16_t type, class;
	uint32_t ttl; /* seconds; above 2^31 - 1 counts as 0 (RFC 2181 8) */
	uint16_t name, ttl_at, rdata, rdlen;
};
/* A walk over all records. */
struct mf_dns_walk {
	struct mf_span msg;
	size_t at;
	uint16_t left[3];
	uint8_t section;
	bool failed;
};
/* Behind the question section. MF_E_SHORT, MF_E_MALFORMED. */
MF_MUST_CHECK mf_err mf_dns_walk_begin(struct mf_dns_walk *w, struct mf_span msg);
/* The next record; false: there is no more, or `failed`. Trailing bytes behind the last record
 * fail. */
bool mf_dns_walk_next(struct mf_dns_walk *w, struct mf_dns_rr *rr);

/* Does this answer belong to the question (RFC 5452 9.1)? The same id and opcode, QR, exactly one
 * question of the same name (with `exact_case`, to the letter: 0x20), type and class; records
 * well-formed to the last byte, unless it is truncated (RFC 2181 9: its records mean nothing).
 * `question` is the whole message that was sent. MF_E_CONFLICT: an answer to something else.
 * MF_E_MALFORMED, MF_E_SHORT. A FORMERR or NOTIMP without a question section is an answer. */
MF_MUST_CHECK mf_err mf_dns_answer_check(struct mf_span question, struct mf_span answer,
					 bool exact_case);

/* What an answer says, in a form that the resolver works with. */
enum { MF_DNS_ADDRS_MAX = 64 };
struct mf_dns_facts {
	uint16_t rcode; /* with the upper bits of EDNS */
	bool truncated;
	bool nodata; /* NOERROR without a record of the type that was asked */
	bool has_addrs;
	/* Seconds: the smallest TTL of the answer and authority sections; of a negative answer also
	 * not more than the SOA says (RFC 2308 5); 0 if there are no records. */
	uint32_t ttl;
	bool cacheable; /* a positive answer, or a negative one with SOA; not SERVFAIL and the like */
	uint8_t n_cnames; /* in the chain from the question's name */
	/* A and AAAA at the end of the chain; hints of SVCB and HTTPS records there, and what the
	 * additional section says of their targets. Each once; more are ignored. */
	uint16_t n_addrs;
	struct mf_addr addr[MF_DNS_ADDRS_MAX];
};
/* MF_E_MALFORMED: it lies about lengths, or the chain has a loop; MF_E_SHORT. `rcode` and
 * `truncated` are valid even then, if there is a header. */
MF_MUST_CHECK mf_err mf_dns_facts_read(struct mf_span answer, struct mf_dns_facts *f);

/* ---- Writing --------------------------------------------------------------------------------- */

/* A question to an upstream: RD, AD, EDNS with MF_DNS_UDP_MAX; `dnssec_ok` and `cd` as the
 * client's. `mix`: random bits for the case of the letters (0x20), NULL: lower case. `pad`: to a
 * multiple of 128 bytes (RFC 8467 4.1), for encrypted transports. Returns its length; `out` holds
 * 600 bytes. */
size_t mf_dns_question_write(uint8_t *out, uint16_t id, const struct mf_dns_name *name,
			     uint16_t type, bool dnssec_ok, bool cd, const uint8_t mix[32], bool pad);

/* Answers to a client's `query` (the whole message, which mf_dns_query_read has read into q). They
 * carry its question to the letter, if q->question_end is not 0, RD and CD as it had them, RA, and
 * OPT if it had one. `out` holds `cap` bytes, which is what the client's transport takes, at least
 * 512 (or MF_ASSERT): what is longer goes with TC and no records. Return the length. */

/* No records: an error or NODATA. `ede`: an extended error, or MF_DNS_EDE_NONE. With `soa_ttl`
 * above 0 a made-up SOA in the authority section lets the client keep the answer for so many
 * seconds (RFC 2308). An rcode above 15 becomes SERVFAIL for a client without EDNS. */
size_t mf_dns_reply_empty(uint8_t *out, size_t cap, struct mf_span query,
			  const struct mf_dns_query *q, unsigned rcode, int ede, uint32_t soa_ttl);
/* Addresses of the question's type (A or AAAA; others in the list are left out). */
size_t mf_dns_reply_addrs(uint8_t *out, size_t cap, struct mf_span query,
			  const struct mf_dns_query *q, const struct mf_addr *addr, size_t n,
			  uint32_t ttl);
/* One PTR record. */
size_t mf_dns_reply_ptr(uint8_t *out, size_t cap, struct mf_span query, const struct mf_dns_query *q,
			const struct mf_dns_name *target, uint32_t ttl);

/* ---- Answers that are kept ------------------------------------------------------------------- */

/* What is kept of an answer: the message without OPT (and TSIG, SIG(0)), its question in lower
 * case, and where its TTLs stand. */
enum { MF_DNS_KEPT_TTLS = 512 };
struct mf_dns_kept {
	uint8_t *msg; /* in the caller's buffer */
	uint16_t n, n_ttls;
	uint16_t ttl_at[MF_DNS_KEPT_TTLS];
};
/* Makes it, in `buf`, which is as long as the answer and does not overlap it. Every TTL is raised
 * to `floor`, then lowered to `ceiling`; that of a negative answer's SOA is lowered to its MINIMUM
 * before (RFC 2308 5). MF_E_RANGE: more TTLs than fit; the kept message is whole and may be passed
 * on, but its TTLs are not all bounded, and cannot be counted down. MF_E_UNSUPPORTED: an rcode
 * above 15, which does not last without its OPT. MF_E_MALFORMED, MF_E_SHORT. */
MF_MUST_CHECK mf_err mf_dns_keep(struct mf_dns_kept *k, uint8_t *buf, struct mf_span answer,
				 uint32_t floor, uint32_t ceiling);
/* An answer to a client's query out of a kept one, with its TTLs as mf_dns_keep found them: id and
 * question as asked, flags (RA; RD and CD as asked; AD if the client set AD or DO; no AA), each TTL
 * lowered by `age` seconds but to 1 at least (or set to `fixed_ttl` if that is not 0: stale
 * answers), OPT if the client had one, with `ede` or MF_DNS_EDE_NONE. Longer than `cap`: with TC
 * and no records. If `kept` (a header at least) has another question or none, only its rcode is
 * used. Returns the length. The hot path of a cached answer: one copy, and one store for each
 * TTL. */
size_t mf_dns_reply_kept(uint8_t *out, size_t cap, struct mf_span query,
			 const struct mf_dns_query *q, struct mf_span kept, const uint16_t *ttl_at,
			 size_t n_ttls, uint32_t age, uint32_t fixed_ttl, int ede);

/* Copies an answer without what `keep` refuses (it is asked once for each): A and AAAA records, and
 * addresses in the hints of SVCB and HTTPS records (RFC 9460 7.3), which go with the last of them;
 * a record that calls such a hint mandatory goes as a whole. Everything else is as it was, but AD
 * is cleared if anything has been taken out. For AAAA that a tunnel cannot carry, and for private
 * addresses from public servers. `out` holds `cap` bytes and does not overlap `msg`; the copy is
 * longer only if a name that went held the rest of many others. Returns its length; 0: malformed,
 * too long, or cut into too many pieces (of no sane message). */
size_t mf_dns_strip(uint8_t *out, size_t cap, struct mf_span msg,
		    bool (*keep)(void *ctx, const struct mf_addr *a), void *ctx);

#endif
