/* SPDX-License-Identifier: Apache-2.0
 *
 * random - the kernel's random numbers, and guarded memory for long-term secrets. Any thread.
 */
#ifndef MF_CRYPTO_RANDOM_H
#define MF_CRYPTO_RANDOM_H

#include "base/base.h"

/* For struct mf_rng.fill; ctx is not used. Stops the program rather than give weak numbers. */
void mf_random_fill(void *ctx, void *out, size_t n);

/* Memory between guard pages that is locked where allowed, left out of core dumps, and wiped
 * when it is freed. A page or more each: for long-term keys. NULL: out of memory. Contents are
 * zero. */
void *mf_secret_alloc(size_t n);
void mf_secret_free(void *p);

#endif
