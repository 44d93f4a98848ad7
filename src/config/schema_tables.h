/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_tables - how the tables of the schema are written: schema.c has the top and what stands alone,
 * schema_routing.c sets and routes, schema_dns.c the DNS server.
 */
#ifndef MF_CONFIG_SCHEMA_TABLES_H
#define MF_CONFIG_SCHEMA_TABLES_H

#include "config/schema.h"

#define AT(s, m)   .at = offsetof(struct s, m)
#define LIST(s, m) .at = offsetof(struct s, m), .at_n = offsetof(struct s, n_##m)
#define NUM(s, m)  .at = offsetof(struct s, m), .size = sizeof(((struct s *)0)->m)
#define SCHEMA(s, t, table, text)                                                   \
	{                                                                           \
		.title = t, .doc = text, .size = sizeof(struct s), .fields = table, \
		.n_fields = MF_ARRAY_LEN(table),                                    \
	}
/* Each is named in its section's map. */
#define NAMED_SCHEMA(s, t, table, text)                                               \
	{                                                                             \
		.title = t, .doc = text, .size = sizeof(struct s), .fields = table,   \
		.n_fields = MF_ARRAY_LEN(table), .name_at = offsetof(struct s, name), \
	}

enum { MF_DAY = 24 * 60 * 60 }; /* seconds */

#endif
