/* SPDX-License-Identifier: Apache-2.0
 *
 * links - a list of share links becomes the section `interfaces` of a profile. Each link is first put into
 * a small profile of its own and loaded: so one that is wrong harms no other, what is printed parses back,
 * and there is one place that knows which interface is good.
 */
#include "config/base64.h"
#include "config/errors.h"
#include "config/file.h"
#include "config/import.h"
#include "config/link.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
	struct mf_config_arena *arena;
	struct mf_import *im;
	struct mf_text entries; /* of `interfaces`, with names */
	const char **names;
	uint32_t max; /* interfaces */
};

static void refuse(struct reader *r, uint32_t line, const char *why)
{
	uint32_t before = r->im->n_notes;

	mf_import_note(r->im, line, "%s", why);
	if (r->im->n_notes > before)
		r->im->notes[before].refused = true;
}

/* ---- Names ------------------------------------------------------------------------------------------ */

static bool is_taken(const struct reader *r, const char *name)
{
	static const char *const others[] = { "mint0", ".", "..", "" };

	for (size_t i = 0; i < MF_ARRAY_LEN(others); i++)
		if (!strcmp(name, others[i]))
			return true;
	for (size_t i = 0; i < MF_LOAD_BUILT_IN; i++)
		if (!strcmp(name, mf_load_built_in[i]))
			return true;
	for (uint32_t i = 0; i < r->im->n_taken; i++)
		if (!strcmp(name, r->names[i]))
			return true;
	return false;
}

/* What of a text can stand in a name, with one - for all that cannot. */
static void make_usable(const char *text, char out[MF_CONFIG_NAME_MAX + 1])
{
	size_t n = 0;

	for (; *text && n < MF_CONFIG_NAME_MAX; text++) {
		char one[] = { *text, '\0' };
		bool dot = *text == '.' && !n;

		if (mf_value_name(one) || (*text == '.' && !dot))
			out[n++] = *text;
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	while (n && out[n - 1] == '-')
		n--;
	out[n] = '\0';
}

/* From the tag, else from the host; with a number where it would be there twice. */
static char *choose_name(struct reader *r, const struct mf_link *l)
{
	char base[MF_CONFIG_NAME_MAX + 1] = "", name[MF_CONFIG_NAME_MAX + 1];

	if (l->tag)
		make_usable(l->tag, base);
	if (!*base && l->host)
		make_usable(l->host, base);
	if (!*base)
		memcpy(base, "proxy", sizeof("proxy"));
	memcpy(name, base, sizeof(name));
	for (unsigned i = 2; is_taken(r, name); i++) {
		char number[12];
		int n = snprintf(number, sizeof(number), "-%u", i);

		(void)snprintf(name, sizeof(name), "%.*s%s", (int)sizeof(name) - 1 - n, base, number);
	}
	return mf_config_arena_text(r->arena, name, strlen(name));
}

/* ---- One link ---------------------------------------------------------------------------------------- */

/* A whole profile with these interfaces; the caller frees it. */
static struct mf_config *load(const struct mf_text *entries, struct mf_config_errors *errs)
{
	struct mf_config *cfg = NULL;
	struct mf_text text = { 0 };

	mf_text_printf(&text, "version: 1\ntunnel: {}\napp_routing: {}\ninterfaces:\n");
	if (entries->s)
		mf_text_add(&text, entries->s, entries->len);
	if (!text.failed && !entries->failed &&
	    mf_config_parse(text.s, text.len, "", MF_CONFIG_NO_FILES, &cfg, errs))
		cfg = NULL;
	if (text.s)
		mf_wipe(text.s, text.cap);
	mf_text_free(&text);
	return cfg;
}

/* Loads one entry alone. What the loader says of it has no secrets. */
static bool is_good(struct reader *r, struct mf_link *l, const struct mf_text *entry)
{
	enum { ROOM = MF_CONFIG_MAX_BYTES / 2 };
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;

	if (r->im->n_taken == r->max)
		return mf_link_refuse(l, "a profile has at most %u interfaces", r->max);
	if (r->entries.len + entry->len > ROOM)
		return mf_link_refuse(l, "the profile would become too long");
	cfg = load(entry, &errs);
	if (!cfg)
		(void)mf_link_refuse(l, "%s", errs.n ? errs.v[0].text : "not enough memory");
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	return cfg;
}

/* It is called otherwise than its tag says. */
static void note_name(struct mf_link *l, const char *name)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (l->tag_garbled)
		mf_link_note(l, "its name cannot be used, and it is called `%s`", name);
	else if (!l->tag || !*l->tag)
		mf_link_note(l, "it has no name, and is called `%s`", name);
	else if (strcmp(l->tag, name) != 0)
		mf_link_note(l, "%s is called `%s`", mf_config_quote(l->tag, quoted), name);
}

/* Gives it a name and a place among the others. */
static bool take(struct reader *r, struct mf_link *l)
{
	struct mf_text entry = { 0 };
	char *name = choose_name(r, l);
	bool good;

	if (!name)
		return mf_link_refuse(l, "not enough memory");
	mf_text_printf(&entry, "  - name: ");
	mf_value_print_scalar(name, &entry);
	mf_text_printf(&entry, "\n");
	if (l->yaml.s)
		mf_text_add(&entry, l->yaml.s, l->yaml.len);
	entry.failed |= l->yaml.failed;
	good = is_good(r, l, &entry);
	if (good) {
		note_name(l, name);
		mf_text_add(&r->entries, entry.s, entry.len);
		r->names[r->im->n_taken++] = name;
	}
	if (entry.s)
		mf_wipe(entry.s, entry.cap);
	mf_text_free(&entry);
	return good;
}

/* `first`: how many notes there were before; those of a link that is not taken say nothing. */
static void finish(struct reader *r, struct mf_link *l, bool good, uint32_t first)
{
	if (l->garbled)
		good = mf_link_refuse(l, "`%s` has a character that cannot be in a text", l->garbled);
	if (!good || !take(r, l)) {
		while (r->im->n_notes > first)
			free(r->im->notes[--r->im->n_notes].text);
		refuse(r, l->line, l->why.text);
	}
	if (l->yaml.s)
		mf_wipe(l->yaml.s, l->yaml.cap);
	mf_text_free(&l->yaml);
}

/* ---- Lists ------------------------------------------------------------------------------------------ */

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r\v\f");
	n = strlen(s);
	while (n && strchr(" \t\r\v\f", s[n - 1]))
		s[--n] = '\0';
	return s;
}

/* The next line, whether CR, LF or both end it; NULL: there is none. */
static char *cut_line(char **rest)
{
	char *line = *rest, *end = line ? line + strcspn(line, "\r\n") : NULL;

	if (!line)
		return NULL;
	*rest = !*end ? NULL : end + (end[0] == '\r' && end[1] == '\n' ? 2 : 1);
	*end = '\0';
	return line;
}

static void read_lines(struct reader *r, char *text)
{
	uint32_t line = 0;

	for (char *rest = text, *at; (at = cut_line(&rest));) {
		struct mf_link l = { .arena = r->arena, .im = r->im, .line = ++line };
		uint32_t first = r->im->n_notes;

		at = trim(at);
		if (*at && *at != '#' && *at != ';' && strncmp(at, "//", 2) != 0)
			finish(r, &l, mf_link_read(&l, at), first);
	}
}

/* One of SIP008. */
static bool read_server(struct mf_link *l, const json_t *o)
{
	json_int_t port = json_integer_value(json_object_get(o, "server_port"));
	const char *options = mf_link_json_text(l, o, "plugin_opts");
	const struct mf_link_ss ss = {
		.method = mf_link_json_text(l, o, "method"),
		.password = mf_link_json_text(l, o, "password"),
		.plugin = mf_link_json_text(l, o, "plugin"),
		.options = options ? options : "",
	};
	struct mf_uri u = { .host = mf_link_json_text(l, o, "server"), .query = "" };

	if (!mf_link_take_json_tag(l, o, "remarks"))
		(void)mf_link_take_json_tag(l, o, "id");
	if (!u.host || !*u.host)
		return mf_link_refuse(l, "it has no host (`server`)");
	if (port < 1 || port > 65535)
		return mf_link_refuse(l, "its `server_port` is not 1..65535");
	u.port = (uint16_t)port;
	return mf_link_ss(l, &ss, &u);
}

static void read_servers(struct reader *r, const char *text, size_t n)
{
	json_t *root = json_loadb(text, n, 0, NULL);
	const json_t *servers = json_object_get(root, "servers");

	if (!json_is_array(servers))
		refuse(r, 0, "this JSON is not that of SIP008: it has no list `servers`");
	for (size_t i = 0; i < json_array_size(servers); i++) {
		struct mf_link l = { .arena = r->arena, .im = r->im, .line = (uint32_t)i + 1 };
		uint32_t first = r->im->n_notes;

		finish(r, &l, read_server(&l, json_array_get(servers, i)), first);
	}
	json_decref(root);
}

static bool has_links(const char *text, size_t n)
{
	return memmem(text, n, "://", 3);
}

/* A copy of the text, out of its base64 if it is wrapped in that. */
static char *unwrap(struct reader *r, const char *text, size_t *n)
{
	size_t len;
	char *plain;

	plain = has_links(text, *n) ? NULL : mf_base64_read(r->arena, text, *n, &len);
	if (!plain || !has_links(plain, len))
		return mf_config_arena_text(r->arena, text, *n);
	*n = len;
	return plain;
}

static void read_list(struct reader *r, const char *text, size_t n)
{
	char *copy;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		n -= 3;
	}
	for (; n && strchr(" \t\r\n", *text); n--)
		text++;
	if (n && *text == '{') {
		read_servers(r, text, n);
		return;
	}
	copy = unwrap(r, text, &n);
	if (!copy)
		return;
	if (memchr(copy, '\0', n))
		refuse(r, 0, "it is no text: there is a NUL byte in it");
	else
		read_lines(r, copy);
}

/* ---- The section ------------------------------------------------------------------------------------ */

/* What is not taken over as it stands is told there, too. */
static void print(struct reader *r, const struct mf_config *cfg)
{
	const struct mf_import *im = r->im;

	mf_text_printf(&r->im->profile, "# Made by `mintflow import` from links.\n");
	for (uint32_t i = 0; i < im->n_notes; i++)
		if (!im->notes[i].refused)
			mf_text_printf(&r->im->profile, "# line %u: %s\n", im->notes[i].line,
				       im->notes[i].text);
	mf_config_print_interfaces(cfg, &r->im->profile);
}

static mf_err make_section(struct reader *r)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;

	if (mf_config_arena_failed(r->arena))
		return MF_E_NO_MEMORY;
	if (!r->im->n_taken)
		return MF_E_NOT_FOUND;
	cfg = load(&r->entries, &errs);
	/* each of them was good, and has a name of its own */
	MF_ASSERT(cfg || !errs.n || r->entries.failed);
	if (cfg)
		print(r, cfg);
	mf_config_free(cfg);
	mf_config_errors_free(&errs);
	return cfg && !r->im->profile.failed ? MF_OK : MF_E_NO_MEMORY;
}

mf_err mf_import_links(const char *text, size_t n, struct mf_import *out)
{
	struct reader r = {
		.arena = mf_config_arena_new(),
		.im = out,
		.max = (uint32_t)mf_schema_find(&mf_schema_profile, "interfaces", 0)->max,
	};
	mf_err err = MF_E_NO_MEMORY;

	*out = (struct mf_import){ 0 };
	if (r.arena)
		r.names = mf_config_arena_alloc(r.arena, r.max * sizeof(*r.names));
	if (n > MF_CONFIG_MAX_BYTES) {
		err = MF_E_RANGE;
	} else if (r.names) {
		read_list(&r, text, n);
		err = make_section(&r);
	}
	if (r.entries.s)
		mf_wipe(r.entries.s, r.entries.cap);
	mf_text_free(&r.entries);
	mf_config_arena_free(r.arena);
	return err;
}

mf_err mf_import_links_file(const char *path, struct mf_import *out, struct mf_config_errors *errs)
{
	struct mf_config_arena *arena;
	struct mf_file f;
	mf_err err = mf_import_read(path, &arena, &f, errs);

	*out = (struct mf_import){ 0 };
	if (!err)
		err = mf_import_links(f.text, f.n, out);
	mf_config_arena_free(arena);
	return err;
}
