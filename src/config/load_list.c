/* SPDX-License-Identifier: Apache-2.0
 *
 * load_list - the setters of lists: prefixes, paths, domains, ports, addresses (see setter.h).
 */
#include "config/errors.h"
#include "config/setter.h"
#include "config/value.h"

static mf_err parse_listed(const struct mf_field *f, const char *text, struct mf_prefix *out,
			   struct mf_errbuf *why)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (f->type == MF_FIELD_PREFIXES)
		return mf_value_prefix(text, out, why);
	if (mf_prefix_parse(out, text))
		return mf_fail(why, MF_E_MALFORMED, "%s is not %s%s", mf_config_quote(text, quoted),
			       f->type == MF_FIELD_ALLOWED
				       ? "a prefix such as 10.20.0.0/16 or 2001:db8::/32"
				       : "an address such as 10.66.0.2/30 or fd66::2/126",
			       strchr(text, ',') ? "; several go into a list: [a, b]" : "");
	if (f->type == MF_FIELD_ALLOWED)
		*out = mf_prefix_mask(*out);
	else if (mf_addr_is_unspecified(&out->addr))
		return mf_fail(why, MF_E_RANGE, "%s is not an address that a host can have",
			       mf_config_quote(text, quoted));
	return MF_OK;
}

uint32_t mf_load_items(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		       const struct mf_yaml **first)
{
	char form[MF_FIELD_FORM_LEN];

	*first = node;
	if (node->type == MF_YAML_LIST) {
		*first = node->first;
		return node->n;
	}
	if (node->type == MF_YAML_MAP && f->type == MF_FIELD_SERVERS)
		return 1;
	if (node->type == MF_YAML_MAP)
		mf_config_error(l->errs, node->pos, "`%s` must be %s, not a map", f->key,
				mf_field_form(f, form));
	return node->type == MF_YAML_SCALAR && mf_load_scalar(l, f, node);
}

void mf_set_prefixes(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		     void *section)
{
	struct mf_config_prefixes *list = mf_load_at(section, f->at);
	const struct mf_yaml *item;
	uint32_t n = mf_load_items(l, f, node, &item);

	list->v = n ? mf_config_arena_alloc(l->arena, n * sizeof(*list->v)) : NULL;
	if (!list->v)
		return;
	for (; n; n--, item = item->next) {
		const char *text = mf_load_scalar(l, f, item);
		struct mf_config_prefix *p = &list->v[list->n];
		struct mf_errbuf why;

		if (!text)
			continue;
		if (parse_listed(f, text, &p->prefix, &why)) {
			mf_config_error(l->errs, item->pos, "`%s`: %s", f->key, why.text);
			continue;
		}
		p->pos = item->pos;
		list->n++;
	}
	l->n_prefixes += list->n;
}

void mf_load_list(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		  void *section, size_t size, mf_load_entry *entry)
{
	const struct mf_yaml *item;
	uint32_t n = mf_load_items(l, f, node, &item), count = 0;
	char *v;

	if (f->max && mf_load_too_many(l, f, node))
		return;
	v = n ? mf_config_arena_alloc(l->arena, n * size) : NULL;
	if (!v)
		return;
	for (; n; n--, item = item->next)
		count += entry(l, f, item, v + count * size);
	*(void **)mf_load_at(section, f->at) = v;
	*(uint32_t *)mf_load_at(section, f->at_n) = count;
}

static bool file_entry(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *item,
		       void *out)
{
	const char *text = mf_load_scalar(l, f, item);

	if (text && !*text)
		mf_config_error(l->errs, item->pos, "`%s`: the path is empty", f->key);
	*(const char **)out = text;
	return text && *text;
}

void mf_set_files(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		  void *section)
{
	mf_load_list(l, f, node, section, sizeof(const char *), file_entry);
}

static bool hostname_entry(struct mf_loader *l, const struct mf_field *f,
			   const struct mf_yaml *item, void *out)
{
	const char *text = mf_load_scalar(l, f, item), *name;
	struct mf_errbuf why;

	if (!text)
		return false;
	name = mf_value_domain(text, l->arena, &why);
	if (!name)
		mf_config_error(l->errs, item->pos, "`%s`: %s", f->key, why.text);
	*(const char **)out = name;
	return name;
}

void mf_set_hostnames(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		      void *section)
{
	mf_load_list(l, f, node, section, sizeof(const char *), hostname_entry);
}

static bool port_entry(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *item,
		       void *out)
{
	const char *text = mf_load_scalar(l, f, item);
	uint64_t port;

	if (!text)
		return false;
	if (!mf_value_number(text, &port) || port < 1 || port > 65535) {
		mf_load_not_of_form(l, f, item, "");
		return false;
	}
	*(uint16_t *)out = (uint16_t)port;
	return true;
}

void mf_set_ports(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		  void *section)
{
	mf_load_list(l, f, node, section, sizeof(uint16_t), port_entry);
}

bool mf_load_ip(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *item, void *out)
{
	const char *text = mf_load_scalar(l, f, item);
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (!text)
		return false;
	if (mf_addr_parse(out, text)) {
		mf_config_error(l->errs, item->pos,
				"`%s`: %s is not an address such as 192.0.2.1 or 2001:db8::1%s",
				f->key, mf_config_quote(text, quoted),
				strchr(text, ',') ? "; several go into a list: [a, b]" : "");
		return false;
	}
	return true;
}

void mf_set_ips(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		void *section)
{
	mf_load_list(l, f, node, section, sizeof(struct mf_addr), mf_load_ip);
}

/* Entries are checked when all are there (check_sets.c); their places are kept for that. */
void mf_set_domains(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	const struct mf_yaml *item;
	uint32_t n = mf_load_items(l, f, node, &item), count = 0;
	const char **v = n ? mf_config_arena_alloc(l->arena, n * sizeof(*v)) : NULL;
	struct mf_config_pos *pos = n ? mf_config_arena_alloc(l->arena, n * sizeof(*pos)) : NULL;

	if (!v || !pos)
		return;
	for (; n; n--, item = item->next) {
		v[count] = mf_load_scalar(l, f, item);
		pos[count] = item->pos;
		count += v[count] != NULL;
	}
	*(const char ***)mf_load_at(section, f->at) = v;
	*(struct mf_config_pos **)mf_load_at(section, f->at_pos) = pos;
	*(uint32_t *)mf_load_at(section, f->at_n) = count;
}
