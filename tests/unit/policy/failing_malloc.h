/* SPDX-License-Identifier: Apache-2.0
 *
 * failing_malloc - an allocator that runs out of memory at a chosen call, for tests of what happens then. The
 * linker puts these functions in front of the real ones (see meson.build), for the whole program: include
 * it once.
 */
#ifndef MF_FAILING_MALLOC_H
#define MF_FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* How many calls of this thread are left until one fails, that one included; -1: none does. */
static __thread long calls_left = -1;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool out_of_memory(void)
{
	if (calls_left > 0)
		calls_left--;
	return calls_left == 0;
}

void *__wrap_malloc(size_t n)
{
	return out_of_memory() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return out_of_memory() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return out_of_memory() ? NULL : __real_realloc(p, n);
}

#endif
