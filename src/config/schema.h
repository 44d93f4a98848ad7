/* SPDX-License-Identifier: Apache-2.0
 *
 * schema - the format of a profile as tables. The loader, the printer and docs/profile.md all walk
 * them, so a key exists in all three or in none.
 */
#ifndef MF_CONFIG_SCHEMA_H
#define MF_CONFIG_SCHEMA_H

#include "config/config.h"

/* What is written behind a key, and (in brackets) what it becomes. */
enum mf_field_type {
	MF_FIELD_BOOL,       /* true or false (bool) */
	MF_FIELD_NUMBER,     /* decimal or 0x…, or the word `zero` (unsigned of `size` bytes) */
	MF_FIELD_BYTES,      /* number with an optional unit (uint64_t) */
	MF_FIELD_NAME,       /* name of a device or interface, or the word `zero` (const char *) */
	MF_FIELD_TEXT,       /* any text (const char *) */
	MF_FIELD_PUBLIC_KEY, /* 32 bytes in base64 (struct mf_key) */
	MF_FIELD_SECRET_KEY, /* the same, never shown (struct mf_key) */
	MF_FIELD_SECRET,     /* any text, never shown (const char *) */
	MF_FIELD_FILE,       /* path (const char *) */
	MF_FIELD_FILES,      /* list of paths (const char **, n) */
	MF_FIELD_PREFIX,     /* prefix without host bits (struct mf_prefix) */
	MF_FIELD_PREFIXES,   /* list of them (struct mf_config_prefixes) */
	MF_FIELD_ALLOWED, /* list of prefixes, host bits are cleared (struct mf_config_prefixes) */
	MF_FIELD_ADDRESSES, /* list of addresses with prefix length (struct mf_config_prefixes) */
	MF_FIELD_HOST,      /* host:port (struct mf_config_host) */
	MF_FIELD_MAP,       /* a section (its struct, in place) */
	MF_FIELD_MAPS,      /* list of sections (pointer, n) */
	MF_FIELD_NAMED_MAPS, /* name → section (pointer, n; the name goes to the struct's `name`) */
	MF_FIELD_SECONDS, /* a time: number with an optional unit (unsigned of `size` bytes, seconds) */
	MF_FIELD_MILLISECONDS, /* the same in milliseconds */
	MF_FIELD_WORD,         /* one of `words` (unsigned of `size` bytes: which) */
	MF_FIELD_URL,          /* http:// or https:// (const char *) */
	MF_FIELD_DOMAINS,      /* list of entries of a domain set (const char **, places, n) */
	MF_FIELD_HOSTNAMES,    /* list of host names (const char **, n) */
	MF_FIELD_PORTS,        /* list of ports (uint16_t *, n) */
	MF_FIELD_IPS,          /* list of addresses (struct mf_addr *, n) */
	MF_FIELD_LISTEN,       /* list of address:port (struct mf_config_dns_listen *, n) */
	MF_FIELD_HOSTS,        /* name → addresses (struct mf_config_dns_host *, n) */
	MF_FIELD_SERVER,       /* a DNS server (const char *) */
	MF_FIELD_SERVERS,      /* list of DNS servers (struct mf_config_dns_server *, n) */
	MF_FIELD_PROTOCOLS,    /* list of names of protocols, as ALPN has them (const char **, n) */
	MF_FIELD_HEADERS,      /* name → text, never shown (struct mf_config_header *, n) */
	MF_FIELD_LATER,        /* known, but not in this version */
};

struct mf_field {
	const char *key;
	enum mf_field_type type;
	bool required;    /* by all types that have it */
	uint16_t types;   /* bits 1 << enum mf_config_type: those that have this key; 0: all */
	uint16_t at;      /* offset of the value */
	uint16_t at_n;    /* of the number of values; PREFIXES: of those written inline */
	uint16_t at_file; /* SECRET_KEY, SECRET: of the path that may stand for it */
	uint16_t at_given; /* MAP: of the bool, in the section's struct, that says that it is there */
	uint16_t at_pos;   /* DOMAINS: of their places (struct mf_config_pos *) */
	uint16_t size;     /* of a number */
	uint64_t min, max; /* of a number or time; max: of entries in a list */
	const char *zero;  /* the word for 0, which may be outside min..max; of a name: for no name.
			      NULL: none */
	const char *def;   /* what holds when the key is left out, as one would write it */
	const char *def_text; /* the same for people, where there is no such text. On a section: leaving
	                         it out is not the same as leaving it empty */
	const char *const *words; /* ends with NULL; those before `min` are not for this key */
	const char *form;         /* what may be written, in words; NULL: as `type` says */
	const char *role;         /* keys of one role do the same for different types; NULL: none */
	const char *only_with;    /* the key beside it without which this one has no meaning */
	const struct mf_schema *sub;
	const char *doc;     /* sentences */
	const char *example; /* as one would write it */
};

/* Every struct that a schema fills begins with a struct mf_config_src. */
struct mf_schema {
	const char *title; /* "interfaces[].peers[]" */
	const char *doc;
	size_t size;    /* of the struct */
	size_t name_at; /* offset of `name`, for MF_FIELD_NAMED_MAPS */
	size_t type_at; /* offset of the enum mf_config_type that says which keys there are; 0: all */
	const struct mf_field *fields;
	size_t n_fields;
};

extern const struct mf_schema mf_schema_profile, mf_schema_interface;
extern const struct mf_schema mf_schema_tls, mf_schema_websocket, mf_schema_obfs;
extern const struct mf_schema mf_schema_cidr_set, mf_schema_domain_set, mf_schema_app_routing;
extern const struct mf_schema mf_schema_dns, mf_schema_dns_server;

/* Whether interfaces of this type (enum mf_config_type) have the key. */
bool mf_field_is_of(const struct mf_field *f, unsigned type);
/* Those that have it: "vmess and vless", "proxies". */
void mf_field_print_types(const struct mf_field *f, struct mf_text *out);
/* The key that this type has; 0: the first that any has. NULL: there is none. */
const struct mf_field *mf_schema_find(const struct mf_schema *s, const char *key, unsigned type);

/* Interface types by enum mf_config_type, the first one is none; ends with NULL. */
extern const char *const mf_schema_types[MF_CONFIG_TYPES + 1];
/* Those that the format knows but this version does not have; ends with NULL. */
extern const char *const mf_schema_later_types[];

/* A DNS server that is written as a map (mf_schema_dns_server). */
struct mf_schema_server {
	struct mf_config_src src;
	const char *url;
	struct mf_addr *bootstrap;
	uint32_t n_bootstrap;
};

/* "number 576..65520, or `auto`": what may be written, in words. Returns `out`. */
enum { MF_FIELD_FORM_LEN = 192 };
const char *mf_field_form(const struct mf_field *f, char out[MF_FIELD_FORM_LEN]);

#endif
