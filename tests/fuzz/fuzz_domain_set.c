/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of entries and of names that are looked up, each also in a list that is searched from end
 * to end; both must agree. Patterns have no model: they must come to an end, and what they say must
 * not change.
 *
 * A line each: a byte of what (bits 0 to 2: enum mf_domain_kind as entry, else a name to look up;
 * bit 3: an exception), and the text.
 */
#include "policy/domain_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { MANY = 128 };

struct line {
	const char *p;
	size_t n;
	uint8_t kind; /* enum mf_domain_kind, or more: no entry */
	bool except, taken;
};

static bool covers(const struct line *e, const struct line *name)
{
	if (e->kind == MF_DOMAIN_KEYWORD)
		return memmem(name->p, name->n, e->p, e->n) != NULL;
	if (name->n < e->n || memcmp(name->p + name->n - e->n, e->p, e->n) != 0)
		return false;
	return name->n == e->n || (e->kind == MF_DOMAIN_BELOW && name->p[name->n - e->n - 1] == '.');
}

static bool model(const struct line *l, size_t n, const struct line *name)
{
	bool in = false;

	for (size_t i = 0; i < n; i++) {
		if (!l[i].taken || !covers(&l[i], name))
			continue;
		if (l[i].except)
			return false;
		in = true;
	}
	return in;
}

static size_t cut(struct line *l, const uint8_t *in, size_t n)
{
	size_t count = 0;

	while (n && count < MANY) {
		const uint8_t *newline = memchr(in, '\n', n);
		size_t len = newline ? (size_t)(newline - in) : n;

		if (len)
			l[count++] = (struct line){ (const char *)in + 1, len - 1, in[0] & 7,
						    (in[0] & 8) != 0, false };
		in += len + (newline != NULL);
		n -= len + (newline != NULL);
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static const uint8_t key[16] = { 1, 2, 3 };
	struct mf_domain_builder *b = mf_domain_builder_new(key);
	struct line l[MANY];
	size_t lines = cut(l, in, n);
	struct mf_domain_set *s;
	bool patterns = false;

	MF_ASSERT(b);
	for (size_t i = 0; i < lines; i++) {
		if (l[i].kind > MF_DOMAIN_REGEXP)
			continue;
		l[i].taken = mf_domain_builder_add(b, l[i].kind, l[i].p, l[i].n, l[i].except,
						   NULL) == MF_OK;
		patterns |= l[i].taken && l[i].kind == MF_DOMAIN_REGEXP;
	}
	s = mf_domain_builder_finish(b);
	MF_ASSERT(s);
	for (size_t i = 0; i < lines; i++) {
		bool has = mf_domain_set_has(s, l[i].p, l[i].n, NULL);

		if (patterns)
			MF_ASSERT(has == mf_domain_set_has(s, l[i].p, l[i].n, NULL));
		else
			MF_ASSERT(has == (l[i].n > 0 && l[i].n <= 253 && model(l, lines, &l[i])));
	}
	mf_domain_set_free(s);
	return 0;
}
