/* SPDX-License-Identifier: Apache-2.0
 *
 * load - what the parts of the loader share: load.c fills the structs, check.c and rules.c look at
 * what only shows when they are all there.
 */
#ifndef MF_CONFIG_LOAD_H
#define MF_CONFIG_LOAD_H

#include "config/arena.h"
#include "config/config.h"
#include "config/tree.h"

enum { MF_CONFIG_MAX_PREFIXES = 1 << 21 };

/* The name of an interface whose type this version does not have; routes may point at it without
 * causing a second error. */
struct mf_later_interface {
	const char *name;
	struct mf_later_interface *next;
};

struct mf_loader {
	struct mf_config *cfg;
	struct mf_config_arena *arena;
	struct mf_config_errors *errs;
	const char *dir; /* of the profile, with its slash, or "" */
	unsigned flags;
	mf_config_copy_fn *copy; /* NULL: nothing has been fetched */
	void *copy_ctx;
	uint32_t n_prefixes;         /* in all lists together */
	struct mf_config_pos secret; /* of the first key in the profile itself; line 0: none */
	struct mf_later_interface *later;
	uint32_t errors_before;
	mf_err err; /* the first reason that is worth more than MF_E_MALFORMED */
};

/* A path that the profile names, relative to the profile. NULL: out of memory. */
const char *mf_load_path(struct mf_loader *l, const char *written);
/* Where a key's value is in its section, or the section if the key is not there. */
struct mf_config_pos mf_load_pos(const struct mf_config_src *src, const char *key);
/* The key is there, right or wrong. */
bool mf_load_has(const struct mf_config_src *src, const char *key);

/* True, after an error: it is what mf_config_print writes instead of secrets. */
bool mf_load_is_hidden(struct mf_loader *l, struct mf_config_pos pos, const char *key,
		       const char *text);

/* The names of the built-in targets, which no interface may have. */
enum { MF_LOAD_BUILT_IN = 3 };
extern const char *const mf_load_built_in[MF_LOAD_BUILT_IN];

struct mf_load_target {
	enum mf_config_action action;
	uint32_t interface; /* index, with MF_CONFIG_TO_INTERFACE */
};
/* Who is called so: an interface or a built-in target. */
bool mf_load_find_target(const struct mf_config *cfg, const char *name, struct mf_load_target *out);
/* The same, or false after an error (without one, if the name is that of an interface that has had its
 * own). */
bool mf_load_target(struct mf_loader *l, struct mf_config_pos pos, const char *name,
		    struct mf_load_target *out);

/* A field of a request that a profile may set. NULL, or what is wrong with its name. */
const char *mf_load_header_name(const char *name);

/* Something has been found wrong. */
bool mf_load_failed(const struct mf_loader *l);

/* Fills cfg from the profile's root, which is a map. */
void mf_load_sections(struct mf_loader *l, const struct mf_yaml *root);
/* Keys from files, cross references, and the rules. Only adds errors. */
void mf_load_check(struct mf_loader *l);
/* Parts of it: a proxy by itself (check_proxy.c, check_cipher.c), what is behind what (check_via.c), sets and their files (check_sets.c), routes (check_routes.c), and the DNS server, after
 * the routes (check_dns.c). */
void mf_load_check_proxy(struct mf_loader *l, struct mf_config_interface *i);
void mf_load_check_cipher(struct mf_loader *l, const struct mf_config_interface *i);
void mf_load_check_via(struct mf_loader *l);
void mf_load_check_sets(struct mf_loader *l);
void mf_load_check_routes(struct mf_loader *l);
void mf_load_check_dns(struct mf_loader *l);
/* Fills cfg->rules; half of mf_load_check. */
void mf_load_rules(struct mf_loader *l);

/* As mf_config_print with secrets, but without what says no more than the default. */
void mf_config_print_brief(const struct mf_config *cfg, struct mf_text *out);
/* The same, of the section `interfaces` alone. */
void mf_config_print_interfaces(const struct mf_config *cfg, struct mf_text *out);

#endif
