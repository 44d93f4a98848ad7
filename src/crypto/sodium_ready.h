/* SPDX-License-Identifier: Apache-2.0
 *
 * sodium_ready - libsodium chooses its implementations for this CPU in sodium_init(), which may be
 * called many times and from many threads. Whoever calls libsodium calls this first.
 */
#ifndef MF_CRYPTO_SODIUM_READY_H
#define MF_CRYPTO_SODIUM_READY_H

#include "base/base.h"

#include <sodium.h>
#include <stdatomic.h>

static inline void mf_sodium_ready(void)
{
	static atomic_bool ready; /* one a file is enough: it only saves a lock */

	if (MF_LIKELY(atomic_load_explicit(&ready, memory_order_acquire)))
		return;
	MF_ASSERT(sodium_init() >= 0);
	atomic_store_explicit(&ready, true, memory_order_release);
}

#endif
