/* SPDX-License-Identifier: Apache-2.0
 *
 * library - a shared library that is loaded when it is first needed: most runs do without it, and what it brings along
 * is resident from the start otherwise.
 */
#ifndef MF_PLATFORM_LIBRARY_H
#define MF_PLATFORM_LIBRARY_H

#include "base/err.h"

/* A function, and where in a struct the pointer to it belongs. */
struct mf_library_function {
	const char *name;
	size_t at;
};

/* Loads the first of the files (the list ends with NULL) that there is, and fills in the struct `to`. It stays loaded.
 * Any thread. MF_E_SYSTEM: there is none, or it lacks a function. */
MF_MUST_CHECK mf_err mf_library_load(const char *const *files, const struct mf_library_function *f,
				     size_t n, void *to, struct mf_errbuf *why);

#endif
