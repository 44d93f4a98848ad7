/* SPDX-License-Identifier: Apache-2.0
 *
 * check_sets - entries, files and subscriptions of sets. The files of CIDR sets are read here, because
 * their prefixes become rules; those of domain sets are long, and read in the background.
 */
#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"
#include "policy/list.h"

/* Paths to be opened, for as many as were written. NULL: out of memory. */
static const char **paths_of(struct mf_loader *l, const char *const *files, uint32_t n)
{
	const char **paths = mf_config_arena_alloc(l->arena, (n + 1) * sizeof(*paths));

	for (uint32_t i = 0; paths && i < n; i++) {
		paths[i] = mf_load_path(l, files[i]);
		if (!paths[i])
			return NULL;
	}
	return paths;
}

/* A subscription may bring the file later. */
static bool may_be_missing(const struct mf_config_subscription *s, mf_err err)
{
	return s->url && err == MF_E_NOT_FOUND;
}

static void check_via(struct mf_loader *l, const struct mf_config_src *src,
		      const struct mf_config_subscription *s)
{
	struct mf_config_pos pos = mf_load_pos(src, "via");
	struct mf_load_target target;

	if (!s->via || !mf_load_target(l, pos, s->via, &target))
		return;
	if (target.action == MF_CONFIG_TO_DROP || target.action == MF_CONFIG_TO_REJECT)
		mf_config_error(l->errs, pos,
				"nothing comes through `%s`; name an interface, or `direct`", s->via);
}

static void read_prefixes(struct mf_loader *l, struct mf_config_cidr_set *set, const char *path)
{
	struct mf_config_pos pos = mf_load_pos(&set->src, "files");
	struct mf_file_prefixes to = {
		.arena = l->arena,
		.list = &set->cidrs,
		.path = path,
		.lenient = set->lenient,
		.errs = l->errs,
	};
	uint32_t before = set->cidrs.n;
	struct mf_errbuf why;
	struct mf_file f;
	mf_err err;

	err = mf_file_read(path, MF_CONFIG_MAX_SET_BYTES, l->arena, &f, &why);
	if (may_be_missing(&set->subscription, err))
		return;
	if (err) {
		mf_config_error(l->errs, pos, "`files`: %s", why.text);
		return;
	}
	to.max = MF_CONFIG_MAX_PREFIXES - l->n_prefixes + before;
	mf_file_read_prefixes(&f, &to);
	l->n_prefixes += set->cidrs.n - before;
}

/* What was fetched was judged then; now the good part of it counts, whatever it is. */
static void read_copy(struct mf_loader *l, struct mf_config_cidr_set *set)
{
	struct mf_config_errors ignored = { 0 };
	struct mf_file_prefixes to = {
		.arena = l->arena,
		.list = &set->cidrs,
		.max = MF_CONFIG_MAX_PREFIXES - l->n_prefixes + set->cidrs.n,
		.lenient = true,
		.errs = &ignored,
	};
	uint32_t before = set->cidrs.n;
	char name[MF_CONFIG_COPY_MAX];
	struct mf_errbuf why;
	struct mf_file f;
	const char *path;

	if (!l->copy || !set->subscription.url || !l->cfg->tunnel.name)
		return;
	path = l->copy(l->copy_ctx, l->cfg->tunnel.name, set->subscription.url, name);
	to.path = path ? mf_config_arena_text(l->arena, path, strlen(path)) : NULL;
	if (to.path && !mf_file_read(to.path, MF_CONFIG_MAX_SET_BYTES, l->arena, &f, &why))
		mf_file_read_prefixes(&f, &to);
	mf_config_errors_free(&ignored);
	l->n_prefixes += set->cidrs.n - before;
}

static void check_cidr_set(struct mf_loader *l, struct mf_config_cidr_set *set)
{
	set->n_inline = set->cidrs.n;
	set->paths = paths_of(l, set->files, set->n_files);
	if (!set->paths)
		return;
	check_via(l, &set->src, &set->subscription);
	for (uint32_t i = 0; i < set->n_files && !(l->flags & MF_CONFIG_NO_FILES); i++)
		read_prefixes(l, set, set->paths[i]);
	read_copy(l, set);
}

/* A set is built of the entries, for the errors that only shows, such as patterns that do not compile. */
static void check_domains(struct mf_loader *l, const struct mf_config_domain_set *set)
{
	static const uint8_t key[16]; /* nobody looks anything up in it */
	struct mf_domain_builder *b = mf_domain_builder_new(key);
	char name[MF_LIST_LINE_MAX], quoted[MF_CONFIG_QUOTE_LEN];

	for (uint32_t i = 0; i < set->n_domains; i++) {
		const char *text = set->domains[i];
		enum mf_domain_kind kind;
		struct mf_errbuf why;
		mf_err err = mf_list_entry(text, strlen(text), &kind, name, sizeof(name), &why);

		if (!err && b)
			err = mf_domain_builder_add(b, kind, name, strlen(name), false, &why);
		if (!b || err == MF_E_NO_MEMORY)
			mf_config_error(l->errs, set->domain_pos[i],
					"`domains`: not enough memory to check them");
		else if (err)
			mf_config_error(l->errs, set->domain_pos[i], "`domains`: %s: %s",
					mf_config_quote(text, quoted), why.text);
	}
	mf_domain_builder_free(b);
}

static void check_domain_set(struct mf_loader *l, struct mf_config_domain_set *set)
{
	struct mf_errbuf why;

	set->paths = paths_of(l, set->files, set->n_files);
	if (!set->paths)
		return;
	check_via(l, &set->src, &set->subscription);
	check_domains(l, set);
	for (uint32_t i = 0; i < set->n_files && !(l->flags & MF_CONFIG_NO_FILES); i++) {
		mf_err err = mf_file_check(set->paths[i], &why);

		if (err && !may_be_missing(&set->subscription, err))
			mf_config_error(l->errs, mf_load_pos(&set->src, "files"), "`files`: %s",
					why.text);
	}
}

void mf_load_check_sets(struct mf_loader *l)
{
	for (uint32_t i = 0; i < l->cfg->n_cidr_sets; i++)
		check_cidr_set(l, &l->cfg->cidr_sets[i]);
	for (uint32_t i = 0; i < l->cfg->n_domain_sets; i++)
		check_domain_set(l, &l->cfg->domain_sets[i]);
}
