/* SPDX-License-Identifier: Apache-2.0
 *
 * config - from a profile's text or file to a checked configuration, and what can be asked of one.
 * tree.c reads the text, load.c lays it against the schema, check.c and rules.c look at the whole.
 */
#include "config/config.h"

#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"

static uint32_t errors(const struct mf_config_errors *errs)
{
	return errs->n + errs->not_kept;
}

bool mf_load_failed(const struct mf_loader *l)
{
	return errors(l->errs) != l->errors_before || mf_config_arena_failed(l->arena);
}

static const char *directory(struct mf_config_arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	return mf_config_arena_text(arena, path, slash ? (size_t)(slash - path) + 1 : 0);
}

static void load_tree(struct mf_loader *l, const char *text, size_t n)
{
	struct mf_yaml *root = mf_yaml_read(l->arena, text, n, l->cfg->path, l->errs);

	if (!root) {
		if (!mf_load_failed(l))
			mf_config_error(l->errs, (struct mf_config_pos){ .file = l->cfg->path },
					"the profile is empty; docs/profile.md tells what goes in");
		return;
	}
	if (root->type != MF_YAML_MAP) {
		mf_config_error(l->errs, root->pos,
				"a profile is a map of keys such as `version: 1`");
		return;
	}
	mf_load_sections(l, root);
	mf_load_check(l);
}

static struct mf_config *new_config(const char *name)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	struct mf_config *cfg = arena ? mf_config_arena_alloc(arena, sizeof(*cfg)) : NULL;

	if (!cfg) {
		mf_config_arena_free(arena);
		return NULL;
	}
	cfg->arena = arena;
	cfg->path = mf_config_arena_text(arena, name, strlen(name));
	return cfg;
}

static mf_err finish(struct mf_loader *l, struct mf_config **out)
{
	struct mf_config *cfg = l->cfg;
	mf_err err = MF_OK;

	if (mf_config_arena_failed(l->arena)) {
		mf_config_error(l->errs, (struct mf_config_pos){ 0 },
				"not enough memory to load the profile");
		err = MF_E_NO_MEMORY;
	} else if (mf_load_failed(l)) {
		mf_config_errors_sort(l->errs, cfg->path);
		err = l->err ? l->err : MF_E_MALFORMED;
	}
	if (err)
		mf_config_free(cfg);
	else
		*out = cfg;
	return err;
}

static mf_err no_memory(struct mf_config_errors *errs)
{
	mf_config_error(errs, (struct mf_config_pos){ 0 }, "not enough memory to load the profile");
	return MF_E_NO_MEMORY;
}

mf_err mf_config_parse(const char *text, size_t n, const char *name, unsigned flags,
		       struct mf_config **out, struct mf_config_errors *errs)
{
	struct mf_loader l = {
		.cfg = new_config(name),
		.flags = flags,
		.errs = errs,
		.errors_before = errors(errs),
	};

	*out = NULL;
	if (!l.cfg)
		return no_memory(errs);
	l.arena = l.cfg->arena;
	l.dir = directory(l.arena, name);
	if (!l.cfg->path || !l.dir)
		return finish(&l, out);
	if (n > MF_CONFIG_MAX_BYTES)
		mf_config_error(errs, (struct mf_config_pos){ .file = l.cfg->path },
				"the profile is longer than %d KiB; put long lists into files",
				MF_CONFIG_MAX_BYTES >> 10);
	else
		load_tree(&l, text, n);
	return finish(&l, out);
}

static void refuse_shared(struct mf_loader *l, const struct mf_file *f)
{
	if (!l->secret.line || !mf_file_is_shared(f))
		return;
	mf_config_error(
		l->errs, l->secret,
		"there is a key or a password in this profile, but others can read or change it "
		"(mode %04o); "
		"run: chmod 600 %s",
		f->mode, l->cfg->path);
	l->err = MF_E_PERMISSION;
}

mf_err mf_config_load(const char *path, struct mf_config **out, struct mf_config_errors *errs)
{
	return mf_config_load_copies(path, NULL, NULL, out, errs);
}

mf_err mf_config_load_copies(const char *path, mf_config_copy_fn *copy, void *ctx,
			     struct mf_config **out, struct mf_config_errors *errs)
{
	struct mf_loader l = {
		.cfg = new_config(path),
		.copy = copy,
		.copy_ctx = ctx,
		.errs = errs,
		.errors_before = errors(errs),
	};
	struct mf_errbuf why;
	struct mf_file f;

	*out = NULL;
	if (!l.cfg)
		return no_memory(errs);
	l.arena = l.cfg->arena;
	l.dir = directory(l.arena, path);
	if (!l.cfg->path || !l.dir)
		return finish(&l, out);
	l.err = mf_file_read(path, MF_CONFIG_MAX_BYTES, l.arena, &f, &why);
	if (l.err) {
		mf_config_error(errs, (struct mf_config_pos){ 0 }, "%s%s", why.text,
				l.err == MF_E_NOT_FOUND
					? "; name a profile, or make one: `mintflow import "
					  "wireguard FILE`"
					: "");
		return finish(&l, out);
	}
	load_tree(&l, f.text, f.n);
	refuse_shared(&l, &f);
	return finish(&l, out);
}

void mf_config_free(struct mf_config *cfg)
{
	if (cfg)
		mf_config_arena_free(cfg->arena);
}

bool mf_config_has_proxies(const struct mf_config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		if (mf_config_is_proxy(cfg->interfaces[i].type))
			return true;
	return false;
}

const struct mf_config_interface *mf_config_find_interface(const struct mf_config *cfg,
							   const char *name)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		if (!strcmp(cfg->interfaces[i].name, name))
			return &cfg->interfaces[i];
	return NULL;
}
