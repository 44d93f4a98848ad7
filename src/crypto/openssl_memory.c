/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int64_t held;

static void add(int64_t n)
{
	atomic_fetch_add_explicit(&held, n, memory_order_relaxed);
}

static void *take(size_t n, const char *file, int line)
{
	void *p = malloc(n);

	(void)file;
	(void)line;
	add((int64_t)malloc_usable_size(p));
	return p;
}

static void *retake(void *old, size_t n, const char *file, int line)
{
	int64_t before = (int64_t)malloc_usable_size(old);
	void *p = realloc(old, n);

	(void)file;
	(void)line;
	if (p || !n)
		add((int64_t)malloc_usable_size(p) - before);
	return p;
}

static void give(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	add(-(int64_t)malloc_usable_size(p));
	free(p);
}

bool mf_openssl_memory_count(void)
{
	return CRYPTO_set_mem_functions(take, retake, give) == 1;
}

uint64_t mf_openssl_memory(void)
{
	int64_t n = atomic_load_explicit(&held, memory_order_relaxed);

	return n > 0 ? (uint64_t)n : 0;
}
