/* SPDX-License-Identifier: Apache-2.0
 *
 * openssl_memory - how much memory OpenSSL has taken, for `status`: TLS connections are the one thing in the program
 * whose size another library decides.
 */
#ifndef MF_CRYPTO_OPENSSL_MEMORY_H
#define MF_CRYPTO_OPENSSL_MEMORY_H

#include "base/base.h"

/* From here on it is counted. Once, before anything else uses OpenSSL and before threads; false: too late. */
bool mf_openssl_memory_count(void);
/* Bytes that it holds now, by the allocator's sizes; 0: nobody counts. Any thread. */
uint64_t mf_openssl_memory(void);

#endif
