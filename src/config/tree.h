/* SPDX-License-Identifier: Apache-2.0
 *
 * tree - the part of YAML that profiles use, as a small tree in which everything knows its place.
 *
 * Maps with scalar keys, lists and scalars; one document. No anchors, aliases, tags or merge keys:
 * they let a small file grow without bound and nobody needs them here. libyaml does the scanning.
 */
#ifndef MF_CONFIG_TREE_H
#define MF_CONFIG_TREE_H

#include "config/arena.h"
#include "config/config.h"

enum mf_yaml_type {
	MF_YAML_SCALAR,
	MF_YAML_LIST,
	MF_YAML_MAP,
	MF_YAML_BAD, /* an error has been reported for it; skip it */
};

struct mf_yaml {
	enum mf_yaml_type type;
	bool plain; /* a scalar without quotes */
	struct mf_config_pos pos;
	const char *text; /* of a scalar, no NUL inside */
	const char *key;  /* of an entry of a map, else NULL */
	struct mf_config_pos key_pos;
	struct mf_yaml *first, *last, *next; /* children of a list or map; the next sibling */
	uint32_t n;                          /* number of children */
};

enum { MF_YAML_MAX_NODES = 1 << 16 };

/* The document's root, or NULL when there is none or it cannot be read to its end (or memory ran out:
 * see the arena). Every error found goes to `errs`; a tree comes back although there were errors if
 * the rest can still be checked. Nodes and texts belong to the arena; `file` must live as long. */
struct mf_yaml *mf_yaml_read(struct mf_config_arena *arena, const char *text, size_t n,
			     const char *file, struct mf_config_errors *errs);

/* The value of a key, or NULL. */
const struct mf_yaml *mf_yaml_get(const struct mf_yaml *map, const char *key);

#endif
