/* SPDX-License-Identifier: Apache-2.0 */
#include "base/drop.h"

#include "base/base.h"

enum { NAME_MAX_LEN = 31 };

static const char *const idents[] = {
#define X(name, text) #name,
	MF_DROP_LIST(X)
#undef X
};

static const char *const texts[] = {
#define X(name, text) text,
	MF_DROP_LIST(X)
#undef X
};
static_assert(MF_ARRAY_LEN(idents) == MF_DROP_COUNT, "one name for each reason");

#define X(name, text)                                                                \
	static_assert(sizeof(#name) <= NAME_MAX_LEN + 1, "the name of a drop reason" \
							 " is too long: " #name);
MF_DROP_LIST(X)
#undef X

static char names[MF_DROP_COUNT][NAME_MAX_LEN + 1];

/* The preprocessor cannot lower the case of a name, so it is done once, before main: later would
 * need a lock, since any thread may ask. */
__attribute__((constructor)) static void make_names(void)
{
	for (size_t i = 0; i < MF_DROP_COUNT; i++) {
		for (size_t k = 0; idents[i][k]; k++) {
			char c = idents[i][k];

			if (c >= 'A' && c <= 'Z')
				c = (char)(c - 'A' + 'a');
			names[i][k] = c == '_' ? '-' : c;
		}
	}
}

const char *mf_drop_name(enum mf_drop r)
{
	return (unsigned)r < MF_DROP_COUNT ? names[r] : "unknown";
}

const char *mf_drop_text(enum mf_drop r)
{
	return (unsigned)r < MF_DROP_COUNT ? texts[r] : "unknown reason";
}
