/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/subscription.h"

#include <stdio.h>

enum { RETRY_FIRST = 10, RETRY_MAX = 3600 };

static bool is_kept(char c)
{
	return c >= ' ' && c <= '~';
}

void mf_copy_tag(char out[MF_COPY_TAG_MAX + 1], const char *value, size_t n)
{
	bool good = n <= MF_COPY_TAG_MAX;

	for (size_t i = 0; good && i < n; i++)
		good = is_kept(value[i]);
	if (!good)
		n = 0;
	memcpy(out, value, n);
	out[n] = '\0';
}

/* What follows the word; NULL: the line begins otherwise. */
static const char *after(const char *line, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n >= len && !memcmp(line, word, len) ? line + len : NULL;
}

static bool number(const char *s, size_t n, int64_t *out)
{
	enum { DIGITS = 18 }; /* that many fit */

	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (s[i] - '0');
	}
	return n && n <= DIGITS;
}

static bool text(const char *s, size_t n, char out[MF_COPY_TAG_MAX + 1])
{
	mf_copy_tag(out, s, n);
	return n && out[0];
}

static bool parse_line(const char *line, size_t n, struct mf_copy_facts *out, bool *dated)
{
	const char *end = line + n, *v;

	if ((v = after(line, n, "etag ")))
		return text(v, (size_t)(end - v), out->etag);
	if ((v = after(line, n, "modified ")))
		return text(v, (size_t)(end - v), out->modified);
	if (!(v = after(line, n, "fetched ")))
		return true;
	*dated = end - v <= 18 && number(v, (size_t)(end - v), &out->fetched);
	return *dated;
}

mf_err mf_copy_facts_parse(struct mf_span in, struct mf_copy_facts *out)
{
	const char *p = (const char *)in.p;
	bool dated = false;

	*out = (struct mf_copy_facts){ 0 };
	while (in.n) {
		const char *nl = memchr(p, '\n', in.n);
		size_t n = nl ? (size_t)(nl - p) : in.n;

		if (!parse_line(p, n, out, &dated))
			return MF_E_MALFORMED;
		p += n + (nl != NULL);
		in.n -= n + (nl != NULL);
	}
	return dated ? MF_OK : MF_E_MALFORMED;
}

size_t mf_copy_facts_print(const struct mf_copy_facts *f, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s%s%s%s%s%sfetched %lld\n", f->etag[0] ? "etag " : "", f->etag,
			 f->etag[0] ? "\n" : "", f->modified[0] ? "modified " : "", f->modified,
			 f->modified[0] ? "\n" : "", (long long)f->fetched);

	MF_ASSERT(n > 0 && (size_t)n < cap);
	return (size_t)n;
}

/* 0 ... n - 1 */
static uint64_t below(uint64_t n, const struct mf_rng *rng)
{
	uint64_t v;

	rng->fill(rng->ctx, &v, sizeof(v));
	return n ? v % n : 0;
}

mf_nsec mf_subscription_every(uint32_t every, const struct mf_rng *rng)
{
	mf_nsec t = every * MF_SEC;

	return t - t / 10 + below(t / 5 + 1, rng);
}

mf_nsec mf_subscription_left(uint32_t every, int64_t fetched, int64_t now, const struct mf_rng *rng)
{
	mf_nsec t = mf_subscription_every(every, rng), age;

	if (fetched >= now)
		return t;
	if (now - fetched >= 2 * (int64_t)every)
		return 0;
	age = (mf_nsec)(now - fetched) * MF_SEC;
	return age < t ? t - age : 0;
}

mf_nsec mf_subscription_retry(uint32_t every, unsigned failures, const struct mf_rng *rng)
{
	uint64_t s = (uint64_t)RETRY_FIRST << mf_min(failures - 1, 16);
	mf_nsec t = mf_min(mf_min(s, RETRY_MAX), every) * MF_SEC;

	return t + below(t / 2 + 1, rng);
}
