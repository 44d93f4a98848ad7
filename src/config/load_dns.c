/* SPDX-License-Identifier: Apache-2.0
 *
 * load_dns - the setters of what only the DNS server has: upstream servers, where to listen, names with
 * addresses of their own (see setter.h).
 */
#include "config/errors.h"
#include "config/server.h"
#include "config/setter.h"
#include "config/value.h"

#include <stdlib.h>

/* The text of a server and, if it is written as a map, its addresses. NULL after an error. */
static const char *server_text(struct mf_loader *l, const struct mf_field *f,
			       const struct mf_yaml *item, struct mf_schema_server *map)
{
	if (item->type != MF_YAML_MAP)
		return mf_load_scalar(l, f, item);
	mf_load_section(l, &mf_schema_dns_server, item, map);
	return map->url;
}

static bool server_entry(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *item,
			 void *out)
{
	struct mf_schema_server map = { 0 };
	const char *text = server_text(l, f, item, &map), *bad;
	struct mf_config_dns_server *s = out;
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (!text)
		return false;
	bad = mf_server_parse(text, l->arena, s);
	s->pos = item->pos;
	if (bad) {
		mf_config_error(
			l->errs, map.url ? mf_load_pos(&map.src, "url") : item->pos,
			"`%s`: %s is not a DNS server such as 9.9.9.9, "
			"tls://1.1.1.1#cloudflare-dns.com or https://dns.example/dns-query: %s",
			f->key, mf_config_quote(mf_config_behind_user(text), quoted), bad);
		return false;
	}
	bad = map.n_bootstrap ? mf_server_bootstrap(s, map.bootstrap, map.n_bootstrap) : NULL;
	if (bad)
		mf_config_error(l->errs, mf_load_pos(&map.src, "bootstrap"), "`bootstrap`: %s", bad);
	return !bad;
}

void mf_set_servers(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	if (node->type == MF_YAML_LIST && !node->n)
		mf_config_error(l->errs, node->pos,
				"`%s` names no server; add one, or remove the key", f->key);
	mf_load_list(l, f, node, section, sizeof(struct mf_config_dns_server), server_entry);
}

static bool listen_entry(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *item,
			 void *out)
{
	const char *text = mf_load_scalar(l, f, item), *bad;
	struct mf_config_dns_listen *listen = out;
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (!text)
		return false;
	bad = mf_value_listen(text, 53, &listen->at);
	listen->pos = item->pos;
	if (bad)
		mf_config_error(l->errs, item->pos, "`%s` must be address:port, got %s: %s", f->key,
				mf_config_quote(mf_config_behind_user(text), quoted), bad);
	return !bad;
}

void mf_set_listen(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		   void *section)
{
	mf_load_list(l, f, node, section, sizeof(struct mf_config_dns_listen), listen_entry);
}

/* "*." and a domain, or a domain alone; canonical. */
static const char *host_name(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *e)
{
	bool below = !strncmp(e->key, "*.", 2);
	struct mf_errbuf why;
	const char *name = mf_value_domain(e->key + (below ? 2 : 0), l->arena, &why);
	char *wildcard;
	size_t n;

	if (!name)
		mf_config_error(l->errs, e->key_pos, "`%s`: %s", f->key, why.text);
	if (!name || !below)
		return name;
	n = strlen(name);
	wildcard = mf_config_arena_alloc(l->arena, n + 3);
	if (!wildcard)
		return NULL;
	memcpy(wildcard, "*.", 2);
	memcpy(wildcard + 2, name, n);
	return wildcard;
}

/* The addresses of one name; their list is loaded as if it were a section's. */
static bool host_addrs(struct mf_loader *l, const struct mf_yaml *e, struct mf_config_dns_host *host)
{
	const struct mf_field f = {
		.key = host->name,
		.type = MF_FIELD_IPS,
		.max = MF_CONFIG_DNS_HOST_ADDRS,
		.at = offsetof(struct mf_config_dns_host, addr),
		.at_n = offsetof(struct mf_config_dns_host, n_addrs),
	};

	if (e->type == MF_YAML_LIST && !e->n)
		mf_config_error(l->errs, e->pos, "`%s` has no address; add one, or remove it",
				host->name);
	mf_load_list(l, &f, e, host, sizeof(struct mf_addr), mf_load_ip);
	return host->n_addrs;
}

static int by_name_then_order(const void *a, const void *b)
{
	const struct mf_config_dns_host *x = *(const struct mf_config_dns_host *const *)a;
	const struct mf_config_dns_host *y = *(const struct mf_config_dns_host *const *)b;
	int d = strcmp(x->name, y->name);

	return d ? d : x < y ? -1 : x > y;
}

/* The same text twice is found by the reader; here, the same name in two forms. */
static void find_duplicates(struct mf_loader *l, struct mf_config_dns_host *v, uint32_t n)
{
	struct mf_config_dns_host **sorted;

	sorted = mf_config_arena_alloc(l->arena, n * sizeof(struct mf_config_dns_host *));
	if (!sorted)
		return;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = &v[i];
	qsort(sorted, n, sizeof(struct mf_config_dns_host *), by_name_then_order);
	for (uint32_t i = 1; i < n; i++)
		if (!strcmp(sorted[i]->name, sorted[i - 1]->name))
			mf_config_error(
				l->errs, sorted[i]->pos,
				"`%s` is given in line %u too; put the addresses of both into "
				"one list",
				sorted[i]->name, sorted[i - 1]->pos.line);
}

void mf_set_hosts(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		  void *section)
{
	struct mf_config_dns_host *v;
	uint32_t n = 0;

	if (!mf_load_names(l, f, node, "addresses"))
		return;
	v = mf_config_arena_alloc(l->arena, node->n * sizeof(*v));
	if (!v)
		return;
	for (const struct mf_yaml *e = node->first; e; e = e->next) {
		if (e->type == MF_YAML_BAD)
			continue;
		v[n] = (struct mf_config_dns_host){ .name = host_name(l, f, e), .pos = e->key_pos };
		if (v[n].name && host_addrs(l, e, &v[n]))
			n++;
	}
	if (n)
		find_duplicates(l, v, n);
	*(struct mf_config_dns_host **)mf_load_at(section, f->at) = v;
	*(uint32_t *)mf_load_at(section, f->at_n) = n;
}
