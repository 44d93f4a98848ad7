/* SPDX-License-Identifier: Apache-2.0
 *
 * arena - memory of one configuration: taken piece by piece, wiped and given back as a whole.
 */
#ifndef MF_CONFIG_ARENA_H
#define MF_CONFIG_ARENA_H

#include "base/base.h"

struct mf_config_arena;

struct mf_config_arena *mf_config_arena_new(void);
/* Wipes everything (there are keys in it) and frees. NULL is fine. */
void mf_config_arena_free(struct mf_config_arena *a);

/* n zeroed bytes, aligned for any type, or NULL; then mf_config_arena_failed is true for good. */
void *mf_config_arena_alloc(struct mf_config_arena *a, size_t n);
/* A copy of s[0..n) with a NUL behind it. */
char *mf_config_arena_text(struct mf_config_arena *a, const char *s, size_t n);
bool mf_config_arena_failed(const struct mf_config_arena *a);

#endif
