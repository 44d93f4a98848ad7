/* SPDX-License-Identifier: Apache-2.0
 *
 * list - lists of domains and prefixes as people publish them, read line by line from memory:
 *
 *   plain     example.com, *.example.com, +.example.com, .example.com; # comments
 *   v2fly     full:, domain:, keyword:, regexp:, @attributes (domain-list-community)
 *   hosts     0.0.0.0 ads.example.com ads2.example.com
 *   dnsmasq   address=/a.com/b.com/0.0.0.0, server=/a.com/192.0.2.1, local=/a.com/, ipset=, nftset=
 *   adblock   ||example.com^, ||example.com^$third-party, @@||good.example^ (exception), ! comments
 *   clash     DOMAIN-SUFFIX,example.com; also as items of a YAML list: payload: - '+.example.com'
 *   prefixes  192.0.2.0/24, 2001:db8::1, 192.0.2.0/24,no-resolve, 192.0.2.0/24 ; text
 *
 * Each line's format is found out from the line itself, so that a list may mix them. A name matches
 * itself and all below it, in every format, but where the format has a word for the name alone
 * (full:, DOMAIN). Names in other scripts become ASCII (policy/idn.h).
 *
 * What is well-formed but says nothing that a set of this kind could hold is left out: rules about
 * paths, elements, ports or processes, addresses among domains, domains among prefixes, the names
 * of the machine itself in a hosts file, wildcards within a name. What is none of that is bad. An
 * include: of v2fly is bad, too, since the list is not whole without it.
 *
 * Nothing is trusted: lines may be of any length, bytes of any value. Pure; any thread. Takes
 * memory only for names in other scripts.
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

/* Whom the entries go to; a function that is not wanted may be NULL. What they return other than
 * MF_OK and MF_E_MALFORMED ends the reading. The texts last for the call. */
struct mf_list_sink {
	void *ctx;
	mf_err (*domain)(void *ctx, enum mf_domain_kind kind, const char *name, size_t n,
			 bool except, uint32_t line, struct mf_errbuf *eb);
	mf_err (*cidr)(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb);
};

struct mf_list_report {
	uint32_t lines;    /* all, empty ones and comments too */
	uint32_t entries;  /* that the sink took; a line may have several */
	uint32_t left_out; /* well-formed lines with nothing for this kind of set */
	uint32_t bad;      /* lines that are wrong */
	uint32_t n_errors; /* the first of them */
	struct mf_list_error error[MF_LIST_ERRORS_MAX];
};

/* Reads a whole list. MF_OK: read to the end, also with bad lines (report->bad; whether that is
 * allowed is the caller's decision: `lenient`). Else what the sink returned (but MF_E_MALFORMED,
 * which makes the line a bad one, with the sink's text), or MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_list_read(struct mf_span text, enum mf_list_wants wants,
				  const struct mf_list_sink *sink, struct mf_list_report *report);

/* One entry as in `domains:` of a profile: "example.com", "full:…", "domain:…", "keyword:…",
 * "regexp:…", in any script. On success *kind, and in `out` (`cap` bytes; MF_LIST_LINE_MAX is
 * always enough) the text and a NUL: names and words in lower case and ASCII, patterns as they
 * are. MF_E_MALFORMED or MF_E_RANGE with `eb`; MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_list_entry(const char *text, size_t n, enum mf_domain_kind *kind, char *out,
				   size_t cap, struct mf_errbuf *eb);

#endif
