/* SPDX-License-Identifier: Apache-2.0
 *
 * print - a struct mf_config as canonical text: the schema's order, every default written out, so
 * that it parses back to an equal one and two profiles can be compared with diff.
 */
#include "config/load.h"
#include "config/schema.h"
#include "config/server.h"
#include "config/tree.h"
#include "config/value.h"

struct printer {
	struct mf_text *out;
	bool with_secrets;
	bool brief; /* leave out what says no more than the default */
};

static void print_section(struct printer *p, const struct mf_schema *s, const void *section,
			  unsigned depth, bool in_list);

static const void *at(const void *section, size_t offset)
{
	return (const char *)section + offset;
}

static uint32_t count(const struct mf_field *f, const void *section)
{
	return *(const uint32_t *)at(section, f->at_n);
}

static uint64_t number(const struct mf_field *f, const void *section)
{
	const void *v = at(section, f->at);

	if (f->size == sizeof(uint8_t))
		return *(const uint8_t *)v;
	if (f->size == sizeof(uint16_t))
		return *(const uint16_t *)v;
	if (f->size == sizeof(uint32_t))
		return *(const uint32_t *)v;
	return *(const uint64_t *)v;
}

static uint32_t prefixes(const struct mf_field *f, const void *section)
{
	const struct mf_config_prefixes *list = at(section, f->at);

	return f->at_n ? count(f, section) : list->n;
}

/* A key that stands in a file is not written out; an absent one neither. */
static bool has_secret(const struct mf_field *f, const void *section)
{
	return !*(const char *const *)at(section, f->at_file) && !mf_key_is_zero(at(section, f->at));
}

static bool has_text_secret(const struct mf_field *f, const void *section)
{
	bool in_file = f->at_file && *(const char *const *)at(section, f->at_file);

	return !in_file && *(const char *const *)at(section, f->at);
}

/* A section that the profile has, or that somebody has filled without a profile. */
static bool is_given(const struct mf_field *f, const void *section)
{
	const struct mf_config_src *outer = section, *inner = at(section, f->at);

	if (f->at_given)
		return *(const bool *)at(section, f->at + f->at_given);
	return inner->node || mf_yaml_get(outer->node, f->key);
}

static bool has_value(const struct mf_field *f, const void *section)
{
	switch (f->type) {
	case MF_FIELD_NAME:
	case MF_FIELD_TEXT:
	case MF_FIELD_FILE:
	case MF_FIELD_URL:
		return f->zero || *(const char *const *)at(section, f->at);
	case MF_FIELD_SECRET_KEY:
		return has_secret(f, section);
	case MF_FIELD_SECRET:
		return has_text_secret(f, section);
	case MF_FIELD_PREFIX:
		return ((const struct mf_prefix *)at(section, f->at))->addr.family != MF_AF_NONE;
	case MF_FIELD_PREFIXES:
	case MF_FIELD_ALLOWED:
	case MF_FIELD_ADDRESSES:
		return prefixes(f, section);
	case MF_FIELD_HOST:
		return ((const struct mf_config_host *)at(section, f->at))->host;
	case MF_FIELD_PORTS:
		return true; /* none is not the default */
	case MF_FIELD_FILES:
	case MF_FIELD_MAPS:
	case MF_FIELD_NAMED_MAPS:
	case MF_FIELD_DOMAINS:
	case MF_FIELD_HOSTNAMES:
	case MF_FIELD_IPS:
	case MF_FIELD_LISTEN:
	case MF_FIELD_HOSTS:
	case MF_FIELD_SERVERS:
	case MF_FIELD_PROTOCOLS:
	case MF_FIELD_HEADERS:
		return count(f, section);
	case MF_FIELD_MAP:
		return !f->def_text || is_given(f, section);
	case MF_FIELD_LATER:
		return false;
	default:
		return true;
	}
}

static void indent(struct printer *p, unsigned depth)
{
	mf_text_printf(p->out, "%*s", (int)(2 * depth), "");
}

static void print_key(struct printer *p, const struct mf_field *f, const void *section)
{
	char text[MF_KEY_BASE64_STRLEN] = MF_CONFIG_HIDDEN;

	if (f->type == MF_FIELD_PUBLIC_KEY || p->with_secrets)
		mf_key_to_base64(at(section, f->at), text);
	mf_value_print_scalar(text, p->out);
	mf_wipe(text, sizeof(text));
}

static void print_number(struct printer *p, const struct mf_field *f, const void *section)
{
	uint64_t n = number(f, section);

	if (!n && f->zero)
		mf_text_printf(p->out, "%s", f->zero);
	else if (f->type == MF_FIELD_BYTES)
		mf_value_print_bytes(n, p->out);
	else if (f->type == MF_FIELD_SECONDS)
		mf_value_print_time(n * 1000, p->out);
	else if (f->type == MF_FIELD_MILLISECONDS)
		mf_value_print_time(n, p->out);
	else if (f->type == MF_FIELD_WORD)
		mf_text_printf(p->out, "%s", f->words[n]);
	else
		mf_text_printf(p->out, "%llu", (unsigned long long)n);
}

static void print_prefix(struct printer *p, const struct mf_prefix *prefix)
{
	char text[MF_PREFIX_STRLEN];

	mf_value_print_scalar(mf_prefix_format(prefix, text), p->out);
}

static void print_host(struct printer *p, const struct mf_config_host *h)
{
	struct mf_text text = { 0 };
	char buf[MF_ENDPOINT_STRLEN];

	if (h->is_addr)
		mf_text_printf(&text, "%s", mf_endpoint_format(&h->addr, buf));
	else
		mf_text_printf(&text, "%s:%u", h->host, h->port);
	mf_value_print_scalar(text.s ? text.s : "", p->out);
	p->out->failed |= text.failed;
	mf_text_free(&text);
}

static void print_endpoint(struct printer *p, const struct mf_endpoint *e)
{
	char text[MF_ENDPOINT_STRLEN];

	mf_value_print_scalar(mf_endpoint_format(e, text), p->out);
}

static void print_addr(struct printer *p, const struct mf_addr *a)
{
	char text[MF_ADDR_STRLEN];

	mf_value_print_scalar(mf_addr_format(a, text), p->out);
}

static void print_item(struct printer *p, const struct mf_field *f, const void *section, uint32_t i)
{
	const void *list = *(const void *const *)at(section, f->at);

	switch (f->type) {
	case MF_FIELD_FILES:
	case MF_FIELD_DOMAINS:
	case MF_FIELD_HOSTNAMES:
	case MF_FIELD_PROTOCOLS:
		mf_value_print_scalar(((const char *const *)list)[i], p->out);
		break;
	case MF_FIELD_PORTS:
		mf_text_printf(p->out, "%u", ((const uint16_t *)list)[i]);
		break;
	case MF_FIELD_IPS:
		print_addr(p, &((const struct mf_addr *)list)[i]);
		break;
	case MF_FIELD_LISTEN:
		print_endpoint(p, &((const struct mf_config_dns_listen *)list)[i].at);
		break;
	case MF_FIELD_SERVERS:
		mf_server_print(&((const struct mf_config_dns_server *)list)[i], p->out);
		break;
	default:
		print_prefix(p, &((const struct mf_config_prefix *)list)[i].prefix);
		break;
	}
}

static uint32_t items(const struct mf_field *f, const void *section)
{
	switch (f->type) {
	case MF_FIELD_PREFIXES:
	case MF_FIELD_ALLOWED:
	case MF_FIELD_ADDRESSES:
		return prefixes(f, section);
	default:
		return count(f, section);
	}
}

/* Short lists on the key's line, long ones an item a line. */
static void print_list(struct printer *p, const struct mf_field *f, const void *section,
		       unsigned depth)
{
	enum { ON_ONE_LINE = 4 };
	uint32_t n = items(f, section);

	if (n <= ON_ONE_LINE) {
		mf_text_printf(p->out, " [");
		for (uint32_t i = 0; i < n; i++) {
			mf_text_printf(p->out, "%s", i ? ", " : "");
			print_item(p, f, section, i);
		}
		mf_text_printf(p->out, "]\n");
		return;
	}
	mf_text_printf(p->out, "\n");
	for (uint32_t i = 0; i < n; i++) {
		indent(p, depth + 1);
		mf_text_printf(p->out, "- ");
		print_item(p, f, section, i);
		mf_text_printf(p->out, "\n");
	}
}

static void print_hosts(struct printer *p, const struct mf_field *f, const void *section,
			unsigned depth)
{
	const struct mf_config_dns_host *host =
		*(const struct mf_config_dns_host *const *)at(section, f->at);

	mf_text_printf(p->out, "\n");
	for (uint32_t n = count(f, section); n; n--, host++) {
		indent(p, depth + 1);
		mf_value_print_scalar(host->name, p->out);
		mf_text_printf(p->out, ": [");
		for (uint32_t i = 0; i < host->n_addrs; i++) {
			mf_text_printf(p->out, "%s", i ? ", " : "");
			print_addr(p, &host->addr[i]);
		}
		mf_text_printf(p->out, "]\n");
	}
}

static void print_headers(struct printer *p, const struct mf_field *f, const void *section,
			  unsigned depth)
{
	const struct mf_config_header *h =
		*(const struct mf_config_header *const *)at(section, f->at);

	mf_text_printf(p->out, "\n");
	for (uint32_t n = count(f, section); n; n--, h++) {
		indent(p, depth + 1);
		mf_value_print_scalar(h->name, p->out);
		mf_text_printf(p->out, ": ");
		mf_value_print_scalar(p->with_secrets ? h->value : MF_CONFIG_HIDDEN, p->out);
		mf_text_printf(p->out, "\n");
	}
}

static void print_sections(struct printer *p, const struct mf_field *f, const void *section,
			   unsigned depth)
{
	const char *entry = *(const char *const *)at(section, f->at);

	mf_text_printf(p->out, "\n");
	for (uint32_t n = count(f, section); n; n--, entry += f->sub->size) {
		indent(p, depth + 1);
		if (f->type == MF_FIELD_MAPS) {
			mf_text_printf(p->out, "- ");
			print_section(p, f->sub, entry, depth + 2, true);
			continue;
		}
		mf_value_print_scalar(*(const char *const *)at(entry, f->sub->name_at), p->out);
		mf_text_printf(p->out, ":");
		print_section(p, f->sub, entry, depth + 2, false);
	}
}

static void print_text(struct printer *p, const struct mf_field *f, const void *section)
{
	const char *text = *(const char *const *)at(section, f->at);

	if (text && *text)
		mf_value_print_scalar(text, p->out);
	else
		mf_text_printf(p->out, "%s", f->zero);
}

static void print_scalar(struct printer *p, const struct mf_field *f, const void *section)
{
	mf_text_printf(p->out, " ");
	switch (f->type) {
	case MF_FIELD_BOOL:
		mf_text_printf(p->out, *(const bool *)at(section, f->at) ? "true" : "false");
		break;
	case MF_FIELD_NUMBER:
	case MF_FIELD_BYTES:
	case MF_FIELD_SECONDS:
	case MF_FIELD_MILLISECONDS:
	case MF_FIELD_WORD:
		print_number(p, f, section);
		break;
	case MF_FIELD_SECRET:
		mf_value_print_scalar(p->with_secrets ? *(const char *const *)at(section, f->at)
						      : MF_CONFIG_HIDDEN,
				      p->out);
		break;
	case MF_FIELD_PUBLIC_KEY:
	case MF_FIELD_SECRET_KEY:
		print_key(p, f, section);
		break;
	case MF_FIELD_PREFIX:
		print_prefix(p, at(section, f->at));
		break;
	case MF_FIELD_HOST:
		print_host(p, at(section, f->at));
		break;
	default:
		print_text(p, f, section);
		break;
	}
	mf_text_printf(p->out, "\n");
}

static void print_field(struct printer *p, const struct mf_field *f, const void *section,
			unsigned depth)
{
	mf_text_printf(p->out, "%s:", f->key);
	switch (f->type) {
	case MF_FIELD_MAP:
		print_section(p, f->sub, at(section, f->at), depth + 1, false);
		break;
	case MF_FIELD_MAPS:
	case MF_FIELD_NAMED_MAPS:
		print_sections(p, f, section, depth);
		break;
	case MF_FIELD_FILES:
	case MF_FIELD_PREFIXES:
	case MF_FIELD_ALLOWED:
	case MF_FIELD_ADDRESSES:
	case MF_FIELD_DOMAINS:
	case MF_FIELD_HOSTNAMES:
	case MF_FIELD_PORTS:
	case MF_FIELD_IPS:
	case MF_FIELD_LISTEN:
	case MF_FIELD_SERVERS:
	case MF_FIELD_PROTOCOLS:
		print_list(p, f, section, depth);
		break;
	case MF_FIELD_HOSTS:
		print_hosts(p, f, section, depth);
		break;
	case MF_FIELD_HEADERS:
		print_headers(p, f, section, depth);
		break;
	default:
		print_scalar(p, f, section);
		break;
	}
}

/* Names are worth saying even then. */
static bool is_default(struct printer *p, const struct mf_field *f, const void *section)
{
	struct mf_text text = { 0 };
	struct printer probe = { .out = &text, .brief = true };
	bool same = false;

	if (f->type == MF_FIELD_MAP && !f->required && !f->def_text) {
		print_section(&probe, f->sub, at(section, f->at), 0, true);
		same = text.s && !strcmp(text.s, "{}\n");
	} else if (f->def && (f->type != MF_FIELD_NAME || f->zero)) {
		if (f->def[0] == '[')
			print_list(&probe, f, section, 0);
		else
			print_scalar(&probe, f, section);
		same = text.s && !strncmp(text.s + 1, f->def, strlen(f->def)) &&
		       text.s[1 + strlen(f->def)] == '\n';
	}
	p->out->failed |= text.failed;
	mf_text_free(&text);
	return same;
}

/* Worth a line: it has a value, and so has what it belongs to. */
static bool is_printed(struct printer *p, const struct mf_schema *s, const struct mf_field *f,
		       const void *section)
{
	unsigned type = s->type_at ? *(const enum mf_config_type *)at(section, s->type_at) : 0;

	if ((type && !mf_field_is_of(f, type)) || !has_value(f, section) ||
	    (p->brief && is_default(p, f, section)))
		return false;
	return !f->only_with || has_value(mf_schema_find(s, f->only_with, type), section);
}

/* Behind "key:" (then each field gets its line) or behind "- " (then the first one stands there). */
static void print_section(struct printer *p, const struct mf_schema *s, const void *section,
			  unsigned depth, bool in_list)
{
	unsigned printed = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		if (!is_printed(p, s, &s->fields[i], section))
			continue;
		if (!printed && !in_list && depth)
			mf_text_printf(p->out, "\n");
		if (printed || !in_list)
			indent(p, depth);
		print_field(p, &s->fields[i], section, depth);
		printed++;
	}
	if (!printed)
		mf_text_printf(p->out, in_list ? "{}\n" : " {}\n");
}

void mf_config_print(const struct mf_config *cfg, struct mf_text *out, bool with_secrets)
{
	struct printer p = { .out = out, .with_secrets = with_secrets };

	print_section(&p, &mf_schema_profile, cfg, 0, false);
}

void mf_config_print_brief(const struct mf_config *cfg, struct mf_text *out)
{
	struct printer p = { .out = out, .with_secrets = true, .brief = true };

	print_section(&p, &mf_schema_profile, cfg, 0, false);
}

void mf_config_print_interfaces(const struct mf_config *cfg, struct mf_text *out)
{
	struct printer p = { .out = out, .with_secrets = true, .brief = true };

	print_field(&p, mf_schema_find(&mf_schema_profile, "interfaces", 0), cfg, 0);
}
