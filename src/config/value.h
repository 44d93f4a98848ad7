/* SPDX-License-Identifier: Apache-2.0
 *
 * value - the text forms of single values: numbers, sizes, times, names, hosts. Pure functions.
 */
#ifndef MF_CONFIG_VALUE_H
#define MF_CONFIG_VALUE_H

#include "config/arena.h"
#include "config/config.h"

/* Decimal digits, or 0x and hexadecimal ones; nothing else. */
bool mf_value_number(const char *text, uint64_t *out);
/* The same with one of K KiB M MiB G GiB behind it, all of them powers of 1024. */
bool mf_value_bytes(const char *text, uint64_t *out);
/* The shortest form of mf_value_bytes that says exactly n. */
void mf_value_print_bytes(uint64_t n, struct mf_text *out);
/* Decimal digits and one of ms, s, m, h, d; digits alone are seconds. *out is in milliseconds. */
bool mf_value_time(const char *text, uint64_t *out);
/* In the largest unit that says exactly `ms`. */
void mf_value_print_time(uint64_t ms, struct mf_text *out);
/* 1..15 of A-Z a-z 0-9 _ = + . -, and neither "." nor ".." (it becomes part of a path). */
bool mf_value_name(const char *text);
/* "host:port". NULL, or what is wrong with it (to be put behind "must be host:port"). */
const char *mf_value_host(const char *text, struct mf_config_arena *arena,
			  struct mf_config_host *out);

/* The same where the port may be left out if `port` is not 0, and then is that one. An IPv6 address
 * stands in brackets. */
const char *mf_value_host_port(const char *text, uint16_t port, struct mf_config_arena *arena,
			       struct mf_config_host *out);
/* "address", "address:port": where to listen. 0.0.0.0 and :: are every address. NULL, or what is wrong
 * with it. */
const char *mf_value_listen(const char *text, uint16_t port, struct mf_endpoint *out);
/* A host name in ASCII (RFC 1123, section 2.1, and `_`), with or without its last dot, that cannot be
 * taken for an address. NULL, or what is wrong with it. */
const char *mf_value_hostname(const char *name, size_t n);
/* A domain in any script, with or without its last dot, in lower-case ASCII without it. NULL, and `why`
 * says what is wrong with it. */
const char *mf_value_domain(const char *text, struct mf_config_arena *arena, struct mf_errbuf *why);
/* http:// or https://, a host, no user, no blanks. NULL, or what is wrong with it. */
const char *mf_value_url(const char *text);

/* At least one character, all of them visible ASCII. */
bool mf_value_visible(const char *text);
/* A token, such as the name of a field (RFC 9110, section 5.6.2). */
bool mf_value_token(const char *text);
/* What a field may say: printable ASCII without blanks around it; "" too. */
bool mf_value_field(const char *text);
/* Well-formed UTF-8 without control characters. */
bool mf_value_printable(const char *text, size_t n);
/* The bytes of the character that the text of n bytes begins with; 0: it is none, or one that changes how the
 * rest is shown (a control character, also one of the direction of writing). */
size_t mf_value_shown(const char *text, size_t n);
/* The path of a request, perhaps with a query, beginning with `/` (RFC 9112, section 3.2.1). NULL, or what
 * is wrong with it. */
const char *mf_value_path(const char *text);

/* A prefix without host bits; an address alone has full length. Else MF_E_MALFORMED or MF_E_RANGE (host
 * bits set) and a sentence in `why`. */
MF_MUST_CHECK mf_err mf_value_prefix(const char *text, struct mf_prefix *out, struct mf_errbuf *why);

/* A scalar as YAML that reads back as the same text: plain if nothing can be misread, else in double
 * quotes. */
void mf_value_print_scalar(const char *text, struct mf_text *out);

#endif
