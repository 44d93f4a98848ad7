/* SPDX-License-Identifier: Apache-2.0
 *
 * setter - a value of the tree to a member of a struct, one function for each type of field. load.c has
 * single values and sections, load_list.c lists, load_dns.c and load_proxy.c what only the DNS server and
 * proxies have.
 */
#ifndef MF_CONFIG_SETTER_H
#define MF_CONFIG_SETTER_H

#include "config/load.h"
#include "config/schema.h"

/* Sets the field in `section`, or adds an error and leaves it. */
typedef void mf_setter(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       void *section);

mf_setter mf_set_prefixes, mf_set_files, mf_set_domains, mf_set_hostnames, mf_set_ports, mf_set_ips;
mf_setter mf_set_listen, mf_set_hosts, mf_set_servers, mf_set_protocols, mf_set_headers;

static inline void *mf_load_at(void *section, size_t offset)
{
	return (char *)section + offset;
}

/* The text of a scalar, or NULL after an error. */
const char *mf_load_scalar(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node);
/* "`key` must be FORM, got TEXT" and the hint. */
void mf_load_not_of_form(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
			 const char *hint);
/* Fills a struct from a map. */
void mf_load_section(struct mf_loader *l, const struct mf_schema *s, const struct mf_yaml *node,
		     void *section);
/* True, after an error: more entries than the field may have. */
bool mf_load_too_many(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node);
/* Is it a map with something in it, and not too much? What it is to be a map of is for the message. */
bool mf_load_names(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		   const char *of);
/* The items of a list, or one value that stands for a list of one; 0: nothing (left). */
uint32_t mf_load_items(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       const struct mf_yaml **first);

/* Fills one entry of a list, which is zeroed; false: leave it out (after an error). */
typedef bool mf_load_entry(struct mf_loader *l, const struct mf_field *f,
			   const struct mf_yaml *item, void *out);
/* Sets a list of entries of `size` bytes (pointer at `at`, number at `at_n`), at most f->max. */
void mf_load_list(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		  void *section, size_t size, mf_load_entry *entry);
/* struct mf_addr; 0.0.0.0 and :: too. */
mf_load_entry mf_load_ip;

#endif
