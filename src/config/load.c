/* SPDX-License-Identifier: Apache-2.0
 *
 * load - a profile's tree to a struct mf_config: it is laid against the schema, section by section, and
 * every mismatch is an error of its own.
 */
#include "config/errors.h"
#include "config/setter.h"
#include "config/value.h"

struct mf_config_pos mf_load_pos(const struct mf_config_src *src, const char *key)
{
	const struct mf_yaml *node = mf_yaml_get(src->node, key);

	return node ? node->pos : src->pos;
}

bool mf_load_has(const struct mf_config_src *src, const char *key)
{
	return mf_yaml_get(src->node, key) != NULL;
}

const char *mf_load_path(struct mf_loader *l, const char *written)
{
	size_t dir = strlen(l->dir), n = strlen(written);
	char *path;

	if (written[0] == '/')
		return written;
	path = mf_config_arena_alloc(l->arena, dir + n + 1);
	if (!path)
		return NULL;
	memcpy(path, l->dir, dir);
	memcpy(path + dir, written, n + 1);
	return path;
}

const char *mf_load_scalar(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node)
{
	char form[MF_FIELD_FORM_LEN];

	if (node->type == MF_YAML_BAD)
		return NULL;
	if (node->type != MF_YAML_SCALAR) {
		mf_config_error(l->errs, node->pos, "`%s` must be a single value (%s), not a %s",
				f->key, mf_field_form(f, form),
				node->type == MF_YAML_MAP ? "map" : "list");
		return NULL;
	}
	if (node->plain && (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"))) {
		mf_config_error(l->errs, node->pos,
				"`%s` has no value; give one (%s) or leave the key out", f->key,
				mf_field_form(f, form));
		return NULL;
	}
	return node->text;
}

void mf_load_not_of_form(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
			 const char *hint)
{
	char form[MF_FIELD_FORM_LEN], quoted[MF_CONFIG_QUOTE_LEN];

	mf_config_error(l->errs, node->pos, "`%s` must be %s, got %s%s", f->key,
			mf_field_form(f, form), mf_config_quote(node->text, quoted), hint);
}

bool mf_load_is_hidden(struct mf_loader *l, struct mf_config_pos pos, const char *key,
		       const char *text)
{
	if (strcmp(text, MF_CONFIG_HIDDEN) != 0)
		return false;
	mf_config_error(l->errs, pos,
			"`%s`: " MF_CONFIG_HIDDEN
			" is what is printed instead of it; write what it "
			"really is",
			key);
	return true;
}

static void set_bool(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	const char *text = mf_load_scalar(l, f, node);

	if (!text)
		return;
	if (node->plain && (!strcmp(text, "true") || !strcmp(text, "false")))
		*(bool *)mf_load_at(section, f->at) = text[0] == 't';
	else
		mf_load_not_of_form(l, f, node, node->plain ? "" : " in quotes");
}

static void store(const struct mf_field *f, void *section, uint64_t n)
{
	void *p = mf_load_at(section, f->at);

	if (f->size == sizeof(uint8_t))
		*(uint8_t *)p = (uint8_t)n;
	else if (f->size == sizeof(uint16_t))
		*(uint16_t *)p = (uint16_t)n;
	else if (f->size == sizeof(uint32_t))
		*(uint32_t *)p = (uint32_t)n;
	else
		*(uint64_t *)p = n;
}

static bool read_number(const struct mf_field *f, const char *text, uint64_t *n)
{
	switch (f->type) {
	case MF_FIELD_BYTES:
		return mf_value_bytes(text, n);
	case MF_FIELD_MILLISECONDS:
		return mf_value_time(text, n);
	case MF_FIELD_SECONDS:
		if (!mf_value_time(text, n) || *n % 1000)
			return false;
		*n /= 1000;
		return true;
	default:
		return mf_value_number(text, n);
	}
}

static void set_number(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       void *section)
{
	const char *text = mf_load_scalar(l, f, node);
	uint64_t n;
	bool ok;

	if (!text)
		return;
	if (f->zero && !strcmp(text, f->zero)) {
		store(f, section, 0);
		return;
	}
	ok = read_number(f, text, &n);
	if (!ok || !node->plain)
		mf_load_not_of_form(l, f, node, ok ? " in quotes" : "");
	else if (n < f->min || n > f->max)
		mf_load_not_of_form(l, f, node, "");
	else
		store(f, section, n);
}

static void set_word(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	const char *text = mf_load_scalar(l, f, node);

	if (!text)
		return;
	for (uint64_t i = f->min; f->words[i]; i++)
		if (!strcmp(text, f->words[i])) {
			store(f, section, i);
			return;
		}
	mf_load_not_of_form(l, f, node, "");
}

static void set_text(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	const char *text = mf_load_scalar(l, f, node);

	if (!text || (f->zero && !strcmp(text, f->zero)))
		return;
	if (!*text || (f->type == MF_FIELD_NAME && !mf_value_name(text)))
		mf_load_not_of_form(l, f, node, "");
	else
		*(const char **)mf_load_at(section, f->at) = text;
}

/* What was written is not repeated: there may be a password in it. */
static void set_url(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	const char *text = mf_load_scalar(l, f, node), *bad = text ? mf_value_url(text) : NULL;

	if (bad)
		mf_config_error(l->errs, node->pos, "`%s` is not a URL that can be fetched: %s",
				f->key, bad);
	else if (text)
		*(const char **)mf_load_at(section, f->at) = text;
}

/* What was written is not repeated. */
static void set_secret(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       void *section)
{
	const char *text = mf_load_scalar(l, f, node);

	if (!l->secret.line)
		l->secret = node->pos;
	if (!text)
		return;
	if (mf_load_is_hidden(l, node->pos, f->key, text))
		return;
	if (!*text)
		mf_config_error(l->errs, node->pos, "`%s` is empty; give one or leave the key out",
				f->key);
	else
		*(const char **)mf_load_at(section, f->at) = text;
}

static void set_key(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	const char *text = mf_load_scalar(l, f, node);

	if (f->type == MF_FIELD_SECRET_KEY && !l->secret.line)
		l->secret = node->pos;
	if (!text || !mf_key_from_base64(mf_load_at(section, f->at), text, strlen(text)))
		return;
	/* what was written is not repeated: it may be half of a secret */
	mf_config_error(
		l->errs, node->pos,
		"`%s` must be a key, 44 characters of base64 as `mintflow %s` prints it; got "
		"%zu characters",
		f->key, f->type == MF_FIELD_PUBLIC_KEY ? "pubkey" : "genkey", strlen(text));
}

static void set_prefix(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       void *section)
{
	const char *text = mf_load_scalar(l, f, node);
	struct mf_errbuf why;

	if (text && mf_value_prefix(text, mf_load_at(section, f->at), &why))
		mf_config_error(l->errs, node->pos, "`%s`: %s", f->key, why.text);
}

static void set_host(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	const char *text = mf_load_scalar(l, f, node), *bad;
	struct mf_config_host host = { .pos = node->pos };
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (!text)
		return;
	bad = mf_value_host(text, l->arena, &host);
	if (bad)
		mf_config_error(l->errs, node->pos, "`%s` must be host:port, got %s: %s", f->key,
				mf_config_quote(mf_config_behind_user(text), quoted), bad);
	else
		*(struct mf_config_host *)mf_load_at(section, f->at) = host;
}

static void set_map(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	if (node->type == MF_YAML_MAP)
		mf_load_section(l, f->sub, node, mf_load_at(section, f->at));
	else if (node->type != MF_YAML_BAD)
		mf_config_error(l->errs, node->pos, "`%s` must be a section: a map of keys", f->key);
	if (f->at_given)
		*(bool *)mf_load_at(section, f->at + f->at_given) = true;
}

/* Which word of a list that ends with NULL; 0: none. */
static unsigned word_index(const char *const *words, const char *text)
{
	for (unsigned i = 1; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	return 0;
}

/* By which type the keys of a section are chosen; 0: by none, or it is missing or wrong. */
static unsigned type_of(const struct mf_schema *s, const struct mf_yaml *node)
{
	const struct mf_yaml *type = s->type_at ? mf_yaml_get(node, "type") : NULL;

	return type && type->type == MF_YAML_SCALAR ? word_index(mf_schema_types, type->text) : 0;
}

static void unknown_type(struct mf_loader *l, const struct mf_yaml *type)
{
	struct mf_config_nearest near = { .word = type->text };
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];
	struct mf_text known = { 0 };

	for (const char *const *t = mf_schema_later_types; *t; t++)
		if (!strcmp(type->text, *t)) {
			mf_config_error(
				l->errs, type->pos,
				"interfaces of type %s are not supported yet by this version",
				mf_config_quote(type->text, quoted));
			return;
		}
	for (const char *const *t = mf_schema_types + 1; *t; t++) {
		mf_config_nearest_try(&near, *t);
		mf_text_printf(&known, "%s`%s`", known.len ? ", " : "", *t);
	}
	mf_config_error(l->errs, type->pos, "unknown interface type %s%s%s",
			mf_config_quote(type->text, quoted), near.name ? "" : "; this version has ",
			near.name ? mf_config_nearest_hint(&near, hint)
			: known.s ? known.s
				  : "");
	mf_text_free(&known);
}

/* A type that this version lacks: says so and returns false, and the rest of that interface is not
 * looked at. A type that is missing or no word is the section's own error. */
static bool type_is_here(struct mf_loader *l, const struct mf_yaml *item)
{
	const struct mf_yaml *type = mf_yaml_get(item, "type"), *name = mf_yaml_get(item, "name");
	struct mf_later_interface *later;

	if (!type || type->type != MF_YAML_SCALAR || !*type->text ||
	    word_index(mf_schema_types, type->text))
		return true;
	unknown_type(l, type);
	later = mf_config_arena_alloc(l->arena, sizeof(*later));
	if (later && name && name->type == MF_YAML_SCALAR) {
		*later = (struct mf_later_interface){ .name = name->text, .next = l->later };
		l->later = later;
	}
	return false;
}

static bool is_list_of_maps(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node)
{
	if (node->type == MF_YAML_LIST)
		return true;
	if (node->type != MF_YAML_BAD)
		mf_config_error(l->errs, node->pos,
				"`%s` must be a list of sections; begin each with `- `", f->key);
	return false;
}

/* The checks that follow compare each with each; that must stay cheap. */
bool mf_load_too_many(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node)
{
	if (node->n <= f->max)
		return false;
	mf_config_error(l->errs, node->pos, "`%s` has %u entries, at most %u are allowed", f->key,
			node->n, (unsigned)f->max);
	return true;
}

bool mf_load_names(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		   const char *of)
{
	if (node->type == MF_YAML_MAP)
		return node->n && !mf_load_too_many(l, f, node);
	if (node->type != MF_YAML_BAD)
		mf_config_error(l->errs, node->pos, "`%s` must be a map of names to %s", f->key, of);
	return false;
}

static void set_maps(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	uint32_t n = 0;
	char *v;

	if (!is_list_of_maps(l, f, node))
		return;
	if (mf_load_too_many(l, f, node))
		return;
	v = mf_config_arena_alloc(l->arena, node->n * f->sub->size);
	if (!v)
		return;
	for (const struct mf_yaml *item = node->first; item; item = item->next) {
		if (item->type == MF_YAML_SCALAR || item->type == MF_YAML_LIST)
			mf_config_error(l->errs, item->pos,
					"each of `%s` must be a section: a map of keys", f->key);
		if (item->type != MF_YAML_MAP || (f->sub->type_at && !type_is_here(l, item)))
			continue;
		mf_load_section(l, f->sub, item, v + n++ * f->sub->size);
	}
	*(void **)mf_load_at(section, f->at) = v;
	*(uint32_t *)mf_load_at(section, f->at_n) = n;
}

static void set_named_maps(struct mf_loader *l, const struct mf_field *f,
			   const struct mf_yaml *node, void *section)
{
	enum { LONGEST_NAME = 63 };
	uint32_t n = 0;
	char *v;

	if (!mf_load_names(l, f, node, "sections"))
		return;
	v = mf_config_arena_alloc(l->arena, node->n * f->sub->size);
	if (!v)
		return;
	for (const struct mf_yaml *item = node->first; item; item = item->next) {
		char quoted[MF_CONFIG_QUOTE_LEN], *entry = v + n * f->sub->size;
		size_t len = strlen(item->key);

		if (item->type == MF_YAML_BAD)
			continue;
		if (len < 1 || len > LONGEST_NAME)
			mf_config_error(l->errs, item->key_pos,
					"a name in `%s` must have 1..%d bytes, got %zu", f->key,
					LONGEST_NAME, len);
		if (item->type != MF_YAML_MAP) {
			mf_config_error(l->errs, item->pos,
					"%s in `%s` must be a section: a map of keys",
					mf_config_quote(item->key, quoted), f->key);
			continue;
		}
		*(const char **)mf_load_at(entry, f->sub->name_at) = item->key;
		mf_load_section(l, f->sub, item, entry);
		n++;
	}
	*(void **)mf_load_at(section, f->at) = v;
	*(uint32_t *)mf_load_at(section, f->at_n) = n;
}

static void set_later(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		      void *section)
{
	(void)section;
	mf_config_error(l->errs, node->key_pos,
			"`%s` is not supported yet by this version; remove it", f->key);
}

static mf_setter *const setters[] = {
	[MF_FIELD_BOOL] = set_bool,
	[MF_FIELD_NUMBER] = set_number,
	[MF_FIELD_BYTES] = set_number,
	[MF_FIELD_NAME] = set_text,
	[MF_FIELD_TEXT] = set_text,
	[MF_FIELD_SECRET] = set_secret,
	[MF_FIELD_PUBLIC_KEY] = set_key,
	[MF_FIELD_SECRET_KEY] = set_key,
	[MF_FIELD_FILE] = set_text,
	[MF_FIELD_FILES] = mf_set_files,
	[MF_FIELD_PREFIX] = set_prefix,
	[MF_FIELD_PREFIXES] = mf_set_prefixes,
	[MF_FIELD_ALLOWED] = mf_set_prefixes,
	[MF_FIELD_ADDRESSES] = mf_set_prefixes,
	[MF_FIELD_HOST] = set_host,
	[MF_FIELD_MAP] = set_map,
	[MF_FIELD_MAPS] = set_maps,
	[MF_FIELD_NAMED_MAPS] = set_named_maps,
	[MF_FIELD_SECONDS] = set_number,
	[MF_FIELD_MILLISECONDS] = set_number,
	[MF_FIELD_WORD] = set_word,
	[MF_FIELD_URL] = set_url,
	[MF_FIELD_DOMAINS] = mf_set_domains,
	[MF_FIELD_HOSTNAMES] = mf_set_hostnames,
	[MF_FIELD_PORTS] = mf_set_ports,
	[MF_FIELD_IPS] = mf_set_ips,
	[MF_FIELD_LISTEN] = mf_set_listen,
	[MF_FIELD_HOSTS] = mf_set_hosts,
	[MF_FIELD_SERVER] = set_text,
	[MF_FIELD_SERVERS] = mf_set_servers,
	[MF_FIELD_PROTOCOLS] = mf_set_protocols,
	[MF_FIELD_HEADERS] = mf_set_headers,
	[MF_FIELD_LATER] = set_later,
};

/* A key that other types have. */
static void foreign_key(struct mf_loader *l, const struct mf_schema *s, const struct mf_field *f,
			const struct mf_yaml *node, unsigned type)
{
	const struct mf_field *own = NULL;
	struct mf_text types = { 0 };

	for (size_t i = 0; f->role && i < s->n_fields && !own; i++)
		if (s->fields[i].role && !strcmp(s->fields[i].role, f->role) &&
		    mf_field_is_of(&s->fields[i], type))
			own = &s->fields[i];
	mf_field_print_types(f, &types);
	mf_config_error(l->errs, node->key_pos, "`%s` belongs to %s; %s has %s%s%s", f->key,
			types.s ? types.s : "", mf_schema_types[type], own ? "`" : "no such key",
			own ? own->key : "", own ? "`" : "");
	mf_text_free(&types);
}

static void unknown_key(struct mf_loader *l, const struct mf_schema *s, const struct mf_yaml *node,
			unsigned type)
{
	const struct mf_field *others = mf_schema_find(s, node->key, 0);
	struct mf_config_nearest near = { .word = node->key };
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];

	if (others) {
		foreign_key(l, s, others, node, type);
		return;
	}
	for (size_t i = 0; i < s->n_fields; i++)
		if (!type || mf_field_is_of(&s->fields[i], type))
			mf_config_nearest_try(&near, s->fields[i].key);
	mf_config_error(l->errs, node->key_pos, "unknown key %s in %s%s",
			mf_config_quote(node->key, quoted), s->title,
			near.name ? mf_config_nearest_hint(&near, hint)
				  : "; docs/profile.md lists the known ones");
}

/* The list that holds when a key is left out. */
static void set_default_list(struct mf_loader *l, const struct mf_field *f, void *section)
{
	const struct mf_yaml *list =
		mf_yaml_read(l->arena, f->def, strlen(f->def), l->cfg->path, l->errs);

	if (list)
		setters[f->type](l, f, list, section);
}

static void missing(struct mf_loader *l, const struct mf_schema *s, const struct mf_field *f,
		    void *section)
{
	const struct mf_config_src *src = section;
	struct mf_yaml as_default = { .plain = true, .text = f->def, .pos = src->pos };
	struct mf_yaml empty = { .type = MF_YAML_MAP, .pos = src->pos };

	if (f->required)
		mf_config_error(l->errs, src->pos, "`%s` is missing in %s; add `%s: %s`", f->key,
				s->title, f->key, f->example);
	else if (f->def && f->def[0] == '[')
		set_default_list(l, f, section);
	else if (f->def)
		setters[f->type](l, f, &as_default, section);
	else if (f->type == MF_FIELD_MAP)
		mf_load_section(l, f->sub, &empty, mf_load_at(section, f->at));
}

/* What has no meaning without another key of its section. */
static void alone(struct mf_loader *l, const struct mf_schema *s, const struct mf_yaml *node)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct mf_field *f = &s->fields[i];
		const struct mf_yaml *e = mf_yaml_get(node, f->key);

		if (e && f->only_with && !mf_yaml_get(node, f->only_with))
			mf_config_error(
				l->errs, e->key_pos,
				"`%s` has no meaning without `%s`; add that, or remove this",
				f->key, f->only_with);
	}
}

/* `node` is a map. A section that the profile leaves out is loaded from an empty one on the caller's
 * stack, and then has no node. */
void mf_load_section(struct mf_loader *l, const struct mf_schema *s, const struct mf_yaml *node,
		     void *section)
{
	struct mf_config_src *src = section;
	unsigned type = type_of(s, node);

	src->pos = node->pos;
	src->node = node;
	for (const struct mf_yaml *e = node->first; e; e = e->next) {
		const struct mf_field *f = mf_schema_find(s, e->key, type);

		if (e->type == MF_YAML_BAD)
			continue;
		if (!f)
			unknown_key(l, s, e, type);
		else
			setters[f->type](l, f, e, section);
	}
	for (size_t i = 0; i < s->n_fields; i++)
		if (mf_field_is_of(&s->fields[i], type) && !mf_yaml_get(node, s->fields[i].key))
			missing(l, s, &s->fields[i], section);
	alone(l, s, node);
	if (!node->n)
		src->node = NULL;
}

void mf_load_sections(struct mf_loader *l, const struct mf_yaml *root)
{
	mf_load_section(l, &mf_schema_profile, root, l->cfg);
	if (!mf_load_has(&l->cfg->src, "app_routing"))
		l->cfg->app_routing.enabled = false;
}
