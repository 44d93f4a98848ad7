/* SPDX-License-Identifier: Apache-2.0
 *
 * index_table - from a receiver index on the wire to what it stands for. Workers look up without
 * locks while the control thread inserts and removes.
 *
 * Open addressing over an array of atomic pointers. Indices are random and our own choice, so they
 * are their own hash. A reader that meets an entry checks the index in the entry itself; entries and
 * outgrown arrays are freed through `defer`, so what it meets stays readable.
 */
#ifndef MF_WG_INDEX_TABLE_H
#define MF_WG_INDEX_TABLE_H

#include "base/base.h"

#include <stdatomic.h>

enum mf_wg_indexed_kind { MF_WG_INDEXED_HANDSHAKE, MF_WG_INDEXED_KEYPAIR };

/* Embedded in what can be found. */
struct mf_wg_indexed {
	_Atomic uint32_t index;
	uint8_t kind; /* enum mf_wg_indexed_kind; never changes */
};

struct mf_wg_index_array;

struct mf_wg_index_table {
	_Atomic(struct mf_wg_index_array *) array;
	uint32_t used, dead; /* entries, and places of removed ones */
	void (*defer)(void *ctx, void (*fn)(void *obj), void *obj);
	void *defer_ctx;
};

/* False: out of memory. */
MF_MUST_CHECK bool mf_wg_index_table_init(struct mf_wg_index_table *t,
					  void (*defer)(void *ctx, void (*fn)(void *obj), void *obj),
					  void *defer_ctx);
void mf_wg_index_table_fini(struct mf_wg_index_table *t);

/* Control thread. Gives the entry a random index that no other entry has. False: out of memory. */
MF_MUST_CHECK bool mf_wg_index_insert(struct mf_wg_index_table *t, struct mf_wg_indexed *e,
				      const struct mf_rng *rng);
/* Puts `to` in the place of `from`, under the same index. */
void mf_wg_index_replace(struct mf_wg_index_table *t, struct mf_wg_indexed *from,
			 struct mf_wg_indexed *to);
void mf_wg_index_remove(struct mf_wg_index_table *t, struct mf_wg_indexed *e);

/* Any thread. */
struct mf_wg_indexed *mf_wg_index_find(const struct mf_wg_index_table *t, uint32_t index);

#endif
