/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/library.h"

#include <dlfcn.h>

mf_err mf_library_load(const char *const *files, const struct mf_library_function *f, size_t n,
		       void *to, struct mf_errbuf *why)
{
	void *library = NULL;

	for (; *files && !library; files++)
		library = dlopen(*files, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return mf_fail(why, MF_E_SYSTEM, "%s", dlerror());
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(library, f[i].name);

		if (!symbol)
			return mf_fail(why, MF_E_SYSTEM, "%s", dlerror());
		/* POSIX has it that a function's address fits. */
		memcpy((char *)to + f[i].at, &symbol, sizeof(symbol));
	}
	return MF_OK;
}
