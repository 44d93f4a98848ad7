/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/domain_pattern.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
	NESTING = 64,    /* parentheses in parentheses */
	DEPTH = 4000,    /* places to go back to, kept at once */
	HEAP_KIB = 1024, /* for those */
};

/* Names are bytes in lower case; a pattern may be in any. */
static const uint32_t options = PCRE2_CASELESS | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY |
				PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UCP | PCRE2_NEVER_UTF;

static mf_err compile(pcre2_code **out, const char *text, size_t n, struct mf_errbuf *eb)
{
	pcre2_compile_context *c = pcre2_compile_context_create(NULL);
	PCRE2_UCHAR why[160] = "";
	PCRE2_SIZE at;
	int code;

	if (!c)
		return MF_E_NO_MEMORY;
	pcre2_set_parens_nest_limit(c, NESTING);
	pcre2_set_max_pattern_length(c, MF_DOMAIN_PATTERN_MAX);
	*out = pcre2_compile((PCRE2_SPTR)text, n, options, &code, &at, c);
	pcre2_compile_context_free(c);
	if (*out)
		return MF_OK;
	if (code == PCRE2_ERROR_HEAP_FAILED)
		return MF_E_NO_MEMORY;
	pcre2_get_error_message(code, why, sizeof(why));
	return mf_fail(eb, MF_E_MALFORMED, "regular expression, byte %zu: %s", at + 1, (char *)why);
}

static bool is_there(const struct mf_domain_patterns *p, const char *text, size_t n)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (strncmp(p->v[i].text, text, n) == 0 && p->v[i].text[n] == '\0')
			return true;
	return false;
}

static mf_err keep(struct mf_domain_patterns *p, pcre2_code *code, const char *text, size_t n)
{
	struct mf_domain_pattern *grown = realloc(p->v, (p->n + 1) * sizeof(*grown));
	size_t size = 0;
	char *copy;

	if (!grown)
		return MF_E_NO_MEMORY;
	p->v = grown;
	pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size);
	size += n + 1 + sizeof(*grown);
	if (p->bytes + size > MF_DOMAIN_PATTERNS_BYTES)
		return MF_E_FULL;
	copy = calloc(1, n + 1);
	if (!copy)
		return MF_E_NO_MEMORY;
	memcpy(copy, text, n);
	p->v[p->n++] = (struct mf_domain_pattern){ code, copy };
	p->bytes += size;
	return MF_OK;
}

mf_err mf_domain_patterns_add(struct mf_domain_patterns *p, const char *text, size_t n,
			      uint32_t max, struct mf_errbuf *eb)
{
	pcre2_code *code;
	mf_err err;

	if (n == 0 || memchr(text, '\0', n))
		return mf_fail(eb, MF_E_MALFORMED, "regular expression: %s",
			       n ? "has a NUL byte" : "is empty");
	if (is_there(p, text, n))
		return MF_OK;
	if (p->n == max)
		return MF_E_FULL;
	err = compile(&code, text, n, eb);
	if (err)
		return err;
	err = keep(p, code, text, n);
	if (err)
		pcre2_code_free(code);
	return err;
}

static int step(pcre2_callout_block *block, void *left)
{
	uint32_t *steps = left;

	(void)block;
	if (*steps == 0)
		return PCRE2_ERROR_CALLOUT;
	(*steps)--;
	return 0;
}

/* What matching one name needs; not shared, as lookups have no locks. */
struct matcher {
	pcre2_match_context *context;
	pcre2_match_data *data;
	uint32_t left; /* steps, of the pattern that is being tried */
};

static bool open_matcher(struct matcher *m)
{
	m->context = pcre2_match_context_create(NULL);
	m->data = pcre2_match_data_create(1, NULL);
	if (!m->context || !m->data)
		return false;
	pcre2_set_callout(m->context, step, &m->left);
	pcre2_set_depth_limit(m->context, DEPTH);
	pcre2_set_heap_limit(m->context, HEAP_KIB);
	return true;
}

static void close_matcher(struct matcher *m)
{
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
}

/* 1: matches, 0: does not, -1: was given up. */
static int try(struct matcher *m, const struct mf_domain_pattern *p, const char *name, size_t n,
	       uint32_t *steps)
{
	uint32_t given = (uint32_t)mf_min(*steps, MF_DOMAIN_PATTERN_STEPS);
	int rc;

	m->left = given;
	rc = pcre2_match(p->code, (PCRE2_SPTR)name, n, 0, 0, m->data, m->context);
	*steps -= given - m->left;
	return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

bool mf_domain_patterns_find(const struct mf_domain_patterns *p, const char *name, size_t n,
			     uint32_t *steps, uint32_t *overruns, uint32_t *which)
{
	struct matcher m = { 0 };
	bool ready;
	int got = 0;
	uint32_t i;

	if (!p->n)
		return false;
	ready = open_matcher(&m);
	for (i = 0; i < p->n; i++) {
		got = ready && *steps ? try(&m, &p->v[i], name, n, steps) : -1;
		if (got > 0)
			break;
		*overruns += got < 0;
	}
	close_matcher(&m);
	*which = i;
	return got > 0;
}

void mf_domain_patterns_fini(struct mf_domain_patterns *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		pcre2_code_free(p->v[i].code);
		free(p->v[i].text);
	}
	free(p->v);
	*p = (struct mf_domain_patterns){ 0 };
}
