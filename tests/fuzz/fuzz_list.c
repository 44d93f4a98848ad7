/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads a list, once for its domains and once for its prefixes. What a list gives must be what a
 * set takes, and be in the set then; every message must be printable; the sums must fit together.
 */
#include "policy/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { NAMES = 64 };

struct fuzz {
	struct mf_domain_builder *b;
	uint32_t entries;
	bool exceptions;
	char name[NAMES][254]; /* the first that were taken */
	size_t names;
};

/* What mf_list_entry makes of a name is what it makes of that again. */
static void check_name(enum mf_domain_kind kind, const char *name, size_t n)
{
	enum mf_domain_kind again;
	char out[MF_LIST_LINE_MAX];

	MF_ASSERT(strlen(name) == n && n > 0);
	if (kind != MF_DOMAIN_BELOW)
		return;
	MF_ASSERT(n <= 253);
	MF_ASSERT(mf_list_entry(name, n, &again, out, sizeof(out), NULL) == MF_OK);
	MF_ASSERT(again == MF_DOMAIN_BELOW && strcmp(out, name) == 0);
}

static mf_err domain(void *ctx, enum mf_domain_kind kind, const char *name, size_t n, bool except,
		     uint32_t line, struct mf_errbuf *eb)
{
	struct fuzz *f = ctx;
	mf_err err = mf_domain_builder_add(f->b, kind, name, n, except, eb);

	MF_ASSERT(line > 0);
	check_name(kind, name, n);
	MF_ASSERT(!err || err == MF_E_FULL || (kind == MF_DOMAIN_REGEXP && err == MF_E_MALFORMED));
	f->entries += !err;
	f->exceptions |= except;
	if (!err && !except && kind <= MF_DOMAIN_FULL && f->names < NAMES)
		memcpy(f->name[f->names++], name, n + 1);
	return err;
}

static mf_err cidr(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb)
{
	struct mf_prefix masked = mf_prefix_mask(*p);
	struct fuzz *f = ctx;

	(void)eb;
	MF_ASSERT(line > 0 && mf_prefix_equal(&masked, p));
	f->entries++;
	return MF_OK;
}

static void check_report(const struct mf_list_report *r, const struct fuzz *f)
{
	MF_ASSERT(r->entries == f->entries);
	MF_ASSERT(r->bad + r->left_out <= r->lines);
	MF_ASSERT(r->n_errors == mf_min(r->bad, MF_LIST_ERRORS_MAX));
	for (uint32_t i = 0; i < r->n_errors; i++) {
		const char *text = r->error[i].text;
		size_t n = strnlen(text, sizeof(r->error[i].text));

		MF_ASSERT(n > 0 && n < sizeof(r->error[i].text) && text[n - 1] == '"');
		for (size_t k = 0; k < n; k++)
			MF_ASSERT(text[k] >= ' ' && text[k] <= '~');
		MF_ASSERT(r->error[i].line > 0 && r->error[i].line <= r->lines);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static const uint8_t key[16];
	static struct mf_list_report report;
	static struct fuzz f;
	struct mf_list_sink sink = { .ctx = &f, .domain = domain, .cidr = cidr };
	struct mf_domain_set *s;
	mf_err err;

	f = (struct fuzz){ .b = mf_domain_builder_new(key) };
	MF_ASSERT(f.b);
	err = mf_list_read(mf_span(in, n), MF_LIST_DOMAINS, &sink, &report);
	MF_ASSERT(!err || err == MF_E_FULL);
	check_report(&report, &f);
	s = mf_domain_builder_finish(f.b);
	MF_ASSERT(s);
	MF_ASSERT(mf_domain_set_count(s) <= f.entries);
	for (size_t i = 0; i < f.names; i++)
		MF_ASSERT(mf_domain_set_has(s, f.name[i], strlen(f.name[i]), NULL) || f.exceptions);
	mf_domain_set_free(s);

	f = (struct fuzz){ 0 };
	MF_ASSERT(mf_list_read(mf_span(in, n), MF_LIST_CIDRS, &sink, &report) == MF_OK);
	check_report(&report, &f);
	return 0;
}
