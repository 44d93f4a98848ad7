/* SPDX-License-Identifier: Apache-2.0
 *
 * list - lists of domains and prefixes as people publish them, read line by line from memory:
 *
 *   plain          example.com, full:, domain:, keyword:, regexp:; # comments; *.example.com and .example.com
 *   hosts          0.0.0.0 ads.example.com ads2.example.com (addresses 0.0.0.0, 127.0.0.1, ::, ::1 and such; localhost itself is left out)
 *   dnsmasq        address=/a.com/b.com/0.0.0.0, server=/a.com/1.2.3.4, local=/a.com/, ipset=, nftset=
 *   adblock        ||example.com^, ||example.com^$third-party..., @@||good.example^ (exceptions), ! comments; rules about paths and elements are left out, by name
 *   clash          payload: - '+.example.com' - DOMAIN-SUFFIX,example.com (yaml), and the same as text; DOMAIN, DOMAIN-SUFFIX, DOMAIN-KEYWORD, DOMAIN-REGEX, IP-CIDR, IP-CIDR6
 *   v2fly          domain-list-community: example.com, full:, keyword:, regexp:, @attributes, include: (reported; a list on its own cannot follow it)
 *
 * The format is found out from the content, each line for itself where that is not ambiguous. Names in other scripts become ASCII (IDNA 2008, UTS 46). Nothing is trusted: lines may be of any length, bytes of any value.
 */
#ifndef MF_LIST_H
#define MF_LIST_H

#include "base/addr.h"
#include "policy/domain_set.h"

enum mf_list_wants { MF_LIST_DOMAINS, MF_LIST_CIDRS };

enum { MF_LIST_LINE_MAX = 4096, MF_LIST_ERRORS_MAX = 20 };

struct mf_list_error {
	uint32_t line;  /* from 1 */
	char text[160]; /* what is wrong, with the beginning of the line in quotes; printable */
};

/* Whom the entries go to. Return an error to end the reading. */
struct mf_list_sink {
	void *ctx;
	mf_err (*domain)(void *ctx, enum mf_domain_kind kind, const char *name, size_t n,
			 bool except, uint32_t line, struct mf_errbuf *eb);
	mf_err (*cidr)(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb);
};

struct mf_list_report {
	uint32_t lines, entries;
	uint32_t left_out; /* well-formed, but nothing for this kind of set (a path rule, a prefix in a list of domains) */
	uint32_t bad;      /* lines that are wrong */
	uint32_t n_errors; /* the first of them */
	struct mf_list_error error[MF_LIST_ERRORS_MAX];
};

/* Reads a whole list. MF_OK: read to the end, also with bad lines (report->bad; whether that is allowed is the caller's decision: `lenient`).
 * Else what the sink returned (but MF_E_MALFORMED, which makes the line a bad one with the sink's text). */
MF_MUST_CHECK mf_err mf_list_read(struct mf_span text, enum mf_list_wants wants,
				  const struct mf_list_sink *sink, struct mf_list_report *report);

/* One entry as in `domains:` of a profile: "example.com", "full:…", "keyword:…", "regexp:…", in any script. On success *kind and the text in `out` (lower case, ASCII for names). MF_E_MALFORMED with `eb`. */
MF_MUST_CHECK mf_err mf_list_entry(const char *text, size_t n, enum mf_domain_kind *kind, char *out,
				   size_t cap, struct mf_errbuf *eb);

#endif
