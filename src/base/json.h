/* SPDX-License-Identifier: Apache-2.0
 *
 * json - a growing text buffer and a JSON writer over it (RFC 8259). Commas, quoting and nesting are
 * the writer's business; misuse (a value where a key is due) is an assertion. Control path only.
 */
#ifndef MF_JSON_H
#define MF_JSON_H

#include "base/base.h"

/* Text that grows; `s` is always NUL-terminated or NULL when empty. Out of memory sets `failed`. */
struct mf_text {
	char *s;
	size_t len, cap;
	bool failed;
};

void mf_text_add(struct mf_text *t, const char *s, size_t n);
void mf_text_printf(struct mf_text *t, const char *fmt, ...) MF_PRINTF(2, 3);
void mf_text_free(struct mf_text *t);

struct mf_json {
	struct mf_text *out;
	uint8_t depth;
	bool comma, keyed;
	char closer[32];
};

struct mf_json mf_json_init(struct mf_text *out);
void mf_json_object(struct mf_json *j); /* { */
void mf_json_array(struct mf_json *j);  /* [ */
void mf_json_end(struct mf_json *j);    /* closes the innermost */
void mf_json_key(struct mf_json *j, const char *key);
void mf_json_string(struct mf_json *j, const char *value);
void mf_json_u64(struct mf_json *j, uint64_t value);
void mf_json_i64(struct mf_json *j, int64_t value);
void mf_json_double(struct mf_json *j, double value); /* NaN and infinities become null */
void mf_json_bool(struct mf_json *j, bool value);
void mf_json_null(struct mf_json *j);

/* key and value in one line */
static inline void mf_json_kv_string(struct mf_json *j, const char *key, const char *value)
{
	mf_json_key(j, key);
	mf_json_string(j, value);
}

static inline void mf_json_kv_u64(struct mf_json *j, const char *key, uint64_t value)
{
	mf_json_key(j, key);
	mf_json_u64(j, value);
}

static inline void mf_json_kv_bool(struct mf_json *j, const char *key, bool value)
{
	mf_json_key(j, key);
	mf_json_bool(j, value);
}

#endif
