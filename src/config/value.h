/* SPDX-License-Identifier: Apache-2.0
 *
 * value - the text forms of single values: numbers, sizes, names, hosts. Pure functions.
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
/* 1..15 of A-Z a-z 0-9 _ = + . -, and neither "." nor ".." (it becomes part of a path). */
bool mf_value_name(const char *text);
/* "host:port". NULL, or what is wrong with it (to be put behind "must be host:port"). */
const char *mf_value_host(const char *text, struct mf_config_arena *arena,
			  struct mf_config_host *out);

/* A prefix without host bits; an address alone has full length. Else MF_E_MALFORMED or MF_E_RANGE (host
 * bits set) and a sentence in `why`. */
MF_MUST_CHECK mf_err mf_value_prefix(const char *text, struct mf_prefix *out, struct mf_errbuf *why);

/* A scalar as YAML that reads back as the same text: plain if nothing can be misread, else in double
 * quotes. */
void mf_value_print_scalar(const char *text, struct mf_text *out);

#endif
