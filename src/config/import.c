/* SPDX-License-Identifier: Apache-2.0
 *
 * import - makes a profile of what wgquick.c has read: a tunnel with the same addresses, one
 * interface, and a route for everything that a peer may send.
 */
#include "config/import.h"

#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"
#include "config/wgquick.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mf_import_note(struct mf_import *im, uint32_t line, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	if (im->n_notes == MF_IMPORT_NOTES_MAX)
		return;
	if (im->n_notes == im->cap_notes) {
		uint32_t cap = im->cap_notes ? im->cap_notes * 2 : 8;
		struct mf_import_note *v = realloc(im->notes, cap * sizeof(*v));

		if (!v)
			return;
		im->notes = v;
		im->cap_notes = cap;
	}
	va_start(ap, fmt);
	n = im->n_notes == MF_IMPORT_NOTES_MAX - 1
		    ? asprintf(&text, "there is more to say, from here on it is left out")
		    : vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n >= 0)
		im->notes[im->n_notes++] = (struct mf_import_note){ .line = line, .text = text };
}

/* Everything that a profile has, at its defaults, so that only what the file says must be filled in. */
static struct mf_config *skeleton(struct mf_config_errors *errs)
{
	static const char text[] =
		"version: 1\n"
		"tunnel: {}\n"
		"interfaces: [{ name: x, type: wireguard, private_key_file: x }]\n"
		"app_routing: {}\n";
	struct mf_config *cfg;

	if (mf_config_parse(text, sizeof(text) - 1, "", MF_CONFIG_NO_FILES, &cfg, errs))
		return NULL;
	return cfg;
}

static bool usable(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       strchr("_=+.-", c);
}

/* The file's name without directory and ".conf", made fit to name an interface. */
static const char *interface_name(struct mf_config *cfg, const char *path, struct mf_import *im)
{
	static const char *const taken[] = { "direct", "drop", "reject", ".", "..", "" };
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t n = strlen(base);
	bool is_taken;
	char *name;

	if (n > 5 && !strcmp(base + n - 5, ".conf"))
		n -= 5;
	name = mf_config_arena_text(cfg->arena, base, mf_min(n, MF_CONFIG_NAME_MAX));
	if (!name)
		return NULL;
	for (char *p = name; *p; p++)
		if (!usable(*p))
			*p = '-';
	is_taken = !strcmp(name, cfg->tunnel.name);
	for (size_t i = 0; i < MF_ARRAY_LEN(taken); i++)
		is_taken = is_taken || !strcmp(name, taken[i]);
	if (is_taken)
		name = mf_config_arena_text(cfg->arena, "wg0", 3);
	if (name && (strlen(name) != n || memcmp(name, base, n) != 0))
		mf_import_note(im, 0,
			       "the interface is called `%s`: the file's name cannot be used as it "
			       "stands",
			       name);
	return name;
}

/* As `wg` does, the last peer that names a prefix gets it. */
static void settle_allowed_ips(struct mf_config_interface *i, struct mf_import *im)
{
	for (uint32_t p = 0; p < i->n_peers; p++) {
		struct mf_config_prefixes *mine = &i->peers[p].allowed_ips;
		uint32_t kept = 0;

		for (uint32_t k = 0; k < mine->n; k++) {
			const struct mf_config_prefix *later = NULL;
			char text[MF_PREFIX_STRLEN];

			for (uint32_t q = p + 1; q < i->n_peers; q++)
				for (uint32_t m = 0; m < i->peers[q].allowed_ips.n; m++)
					if (mf_prefix_equal(&i->peers[q].allowed_ips.v[m].prefix,
							    &mine->v[k].prefix))
						later = &i->peers[q].allowed_ips.v[m];
			if (!later) {
				mine->v[kept++] = mine->v[k];
				continue;
			}
			mf_import_note(im, mine->v[k].pos.line,
				       "%s goes to the peer that names it in line %u, as with `wg`",
				       mf_prefix_format(&mine->v[k].prefix, text), later->pos.line);
		}
		mine->n = kept;
	}
}

static bool listed(const struct mf_config_prefixes *list, const struct mf_prefix *p)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (mf_prefix_equal(&list->v[i].prefix, p))
			return true;
	return false;
}

/* All prefixes of all peers, each once. */
static bool gather(struct mf_config *cfg, struct mf_config_prefixes *out)
{
	const struct mf_config_interface *i = &cfg->interfaces[0];
	size_t n = 0;

	for (uint32_t p = 0; p < i->n_peers; p++)
		n += i->peers[p].allowed_ips.n;
	out->v = mf_config_arena_alloc(cfg->arena, n * sizeof(*out->v));
	if (!out->v)
		return false;
	for (uint32_t p = 0; p < i->n_peers; p++)
		for (uint32_t k = 0; k < i->peers[p].allowed_ips.n; k++)
			if (!listed(out, &i->peers[p].allowed_ips.v[k].prefix))
				out->v[out->n++] = i->peers[p].allowed_ips.v[k];
	return true;
}

/* A route for each prefix; from some number on, one route for a set of them. */
static bool make_routes(struct mf_config *cfg)
{
	enum { SINGLY = 16 };
	const char *to = cfg->interfaces[0].name;
	struct mf_config_prefixes all = { 0 };
	struct mf_config_route *routes;

	if (!gather(cfg, &all))
		return false;
	routes = mf_config_arena_alloc(cfg->arena, SINGLY * sizeof(*routes));
	if (!routes)
		return false;
	cfg->app_routing.routes = routes;
	if (all.n <= SINGLY) {
		for (uint32_t i = 0; i < all.n; i++)
			routes[i] = (struct mf_config_route){ .cidr = all.v[i].prefix, .to = to };
		cfg->app_routing.n_routes = all.n;
		return true;
	}
	cfg->cidr_sets = mf_config_arena_alloc(cfg->arena, sizeof(*cfg->cidr_sets));
	if (!cfg->cidr_sets)
		return false;
	cfg->n_cidr_sets = 1;
	*cfg->cidr_sets = (struct mf_config_cidr_set){ .name = to, .cidrs = all, .n_inline = all.n };
	routes[0] = (struct mf_config_route){ .cidr_set_name = to, .to = to };
	cfg->app_routing.n_routes = 1;
	return true;
}

/* Whether a peer takes packets to this address. */
static bool reaches(const struct mf_config_interface *f, const struct mf_addr *a)
{
	for (uint32_t p = 0; p < f->n_peers; p++)
		for (uint32_t k = 0; k < f->peers[p].allowed_ips.n; k++)
			if (mf_prefix_contains(&f->peers[p].allowed_ips.v[k].prefix, a))
				return true;
	return false;
}

/* All names are asked of the file's servers, as with wg-quick: through the tunnel those that can be
 * reached there; if none can, outside of it. */
static void make_dns(struct mf_config *cfg, struct mf_config_dns_servers *servers,
		     struct mf_import *im)
{
	const struct mf_config_interface *f = &cfg->interfaces[0];
	uint32_t inside = 0;

	for (uint32_t i = 0; i < servers->n; i++)
		inside += reaches(f, &servers->v[i].addr[0].addr);
	cfg->dns.system = cfg->tunnel.auto_route ? MF_CONFIG_DNS_SYSTEM_AUTO
						 : MF_CONFIG_DNS_SYSTEM_OFF;
	if (servers->n)
		cfg->dns.src.node = cfg->src.node; /* the section is there */
	cfg->dns.direct_servers = inside ? (struct mf_config_dns_servers){ 0 } : *servers;
	if (!inside && servers->n)
		mf_import_note(im, servers->v[0].pos.line,
			       "no peer has the DNS server %s in its `AllowedIPs`: names are asked "
			       "outside the tunnel",
			       servers->v[0].text);
	if (!inside)
		return;
	cfg->app_routing.dns_fallback = f->name;
	cfg->dns.vpn_servers.v = servers->v;
	for (uint32_t i = 0; i < servers->n; i++)
		if (reaches(f, &servers->v[i].addr[0].addr))
			servers->v[cfg->dns.vpn_servers.n++] = servers->v[i];
		else
			mf_import_note(
				im, servers->v[i].pos.line,
				"`DNS` %s is not taken over: no peer has it in its `AllowedIPs`",
				servers->v[i].text);
}

static bool fill(struct mf_config *cfg, struct mf_wgquick *wg, const char *name, struct mf_import *im)
{
	struct mf_config_interface *i = &cfg->interfaces[0];

	*i = wg->interface;
	i->type = MF_CONFIG_WIREGUARD;
	i->name = interface_name(cfg, name, im);
	cfg->tunnel.addresses = i->addresses;
	cfg->tunnel.mtu = i->mtu;
	cfg->tunnel.auto_route = !wg->table_off;
	if (i->fwmark && cfg->tunnel.auto_route) {
		mf_import_note(
			im, 0,
			"`FwMark` is not taken over: `auto_route` keeps our sockets out of the "
			"tunnel with a mark of its own");
		i->fwmark = 0;
	}
	if (!i->addresses.n)
		mf_import_note(im, i->src.pos.line,
			       "there is no `Address`: give the tunnel one before you use it");
	if (!i->n_peers)
		mf_import_note(im, 0, "there is no [Peer]: nothing can be sent");
	settle_allowed_ips(i, im);
	make_dns(cfg, &wg->dns, im);
	return i->name && make_routes(cfg);
}

/* What is not taken over also stands at the top of the profile. */
static void print_profile(const struct mf_config *cfg, const char *name, struct mf_import *im)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	mf_text_printf(&im->profile, "# Made by `mintflow import wireguard` from %s.\n",
		       mf_config_quote(name, quoted));
	for (uint32_t i = 0; i < im->n_notes; i++)
		if (im->notes[i].line)
			mf_text_printf(&im->profile, "# line %u: %s\n", im->notes[i].line,
				       im->notes[i].text);
		else
			mf_text_printf(&im->profile, "# %s\n", im->notes[i].text);
	mf_config_print_brief(cfg, &im->profile);
}

/* The profile must load. If it does not although all lines were fine, the reason is one that shows
 * only in the whole, such as the interface's own key at a peer: the text is right, its place is not
 * in the file that the user has. */
static mf_err prove(struct mf_import *im, const char *name, struct mf_config_errors *errs)
{
	struct mf_config_errors found = { 0 };
	struct mf_config *cfg;
	mf_err err = mf_config_parse(im->profile.s, im->profile.len, name, 0, &cfg, &found);

	for (uint32_t i = 0; i < found.n; i++)
		mf_config_error(errs, (struct mf_config_pos){ .file = name }, "%s", found.v[i].text);
	mf_config_errors_free(&found);
	mf_config_free(cfg);
	return err;
}

static mf_err import(const char *text, size_t n, const char *name, struct mf_config *cfg,
		     struct mf_import *im, struct mf_config_errors *errs)
{
	struct mf_wgquick wg = { 0 };
	uint32_t before = errs->n + errs->not_kept;
	bool filled;

	if (n > MF_CONFIG_MAX_BYTES)
		mf_config_error(errs, (struct mf_config_pos){ .file = name },
				"the file is longer than %d KiB", MF_CONFIG_MAX_BYTES >> 10);
	else
		mf_wgquick_read(cfg->arena, text, n, name, &wg, im, errs);
	if (errs->n + errs->not_kept != before) {
		mf_config_errors_sort(errs, name);
		return MF_E_MALFORMED;
	}
	filled = fill(cfg, &wg, name, im);
	mf_wipe(&wg, sizeof(wg));
	if (!filled || mf_config_arena_failed(cfg->arena))
		return MF_E_NO_MEMORY;
	print_profile(cfg, name, im);
	if (im->profile.failed)
		return MF_E_NO_MEMORY;
	return prove(im, name, errs);
}

mf_err mf_import_wireguard(const char *text, size_t n, const char *name, struct mf_import *out,
			   struct mf_config_errors *errs)
{
	struct mf_config *cfg;
	mf_err err;

	*out = (struct mf_import){ 0 };
	cfg = skeleton(errs);
	err = cfg ? import(text, n, name, cfg, out, errs) : MF_E_NO_MEMORY;
	if (err == MF_E_NO_MEMORY && cfg)
		mf_config_error(errs, (struct mf_config_pos){ .file = name },
				"not enough memory to import the file");
	if (err)
		mf_import_free(out);
	mf_config_free(cfg);
	return err;
}

mf_err mf_import_read(const char *path, struct mf_config_arena **arena, struct mf_file *f,
		      struct mf_config_errors *errs)
{
	struct mf_errbuf why;
	mf_err err;

	*arena = mf_config_arena_new();
	if (!*arena)
		err = mf_fail(&why, MF_E_NO_MEMORY, "not enough memory to read %s", path);
	else
		err = mf_file_read(path, MF_CONFIG_MAX_BYTES, *arena, f, &why);
	if (err)
		mf_config_error(errs, (struct mf_config_pos){ 0 }, "%s", why.text);
	return err;
}

mf_err mf_import_wireguard_file(const char *path, struct mf_import *out, struct mf_config_errors *errs)
{
	struct mf_config_arena *arena;
	struct mf_file f;
	mf_err err = mf_import_read(path, &arena, &f, errs);

	*out = (struct mf_import){ 0 };
	if (!err) {
		err = mf_import_wireguard(f.text, f.n, path, out, errs);
		if (!err && mf_file_is_shared(&f))
			mf_import_note(
				out, 0,
				"others can read or change the file although there is a key in "
				"it (mode %04o); run: chmod 600 %s",
				f.mode, path);
	}
	mf_config_arena_free(arena);
	return err;
}

void mf_import_notes_print(const struct mf_import *im, const char *name, struct mf_text *out)
{
	for (uint32_t i = 0; i < im->n_notes; i++) {
		const char *what = im->notes[i].refused ? "not taken" : "note";

		if (im->notes[i].line)
			mf_text_printf(out, "%s:%u: %s: %s\n", name, im->notes[i].line, what,
				       im->notes[i].text);
		else
			mf_text_printf(out, "%s: %s: %s\n", name, what, im->notes[i].text);
	}
}

void mf_import_notes_json(const struct mf_import *im, bool refused, struct mf_json *j)
{
	mf_json_array(j);
	for (uint32_t i = 0; i < im->n_notes; i++) {
		if (im->notes[i].refused != refused)
			continue;
		mf_json_object(j);
		mf_json_key(j, "line");
		if (im->notes[i].line)
			mf_json_u64(j, im->notes[i].line);
		else
			mf_json_null(j);
		mf_json_kv_string(j, "message", im->notes[i].text);
		mf_json_end(j);
	}
	mf_json_end(j);
}

void mf_import_free(struct mf_import *im)
{
	if (im->profile.s)
		mf_wipe(im->profile.s, im->profile.len);
	mf_text_free(&im->profile);
	for (uint32_t i = 0; i < im->n_notes; i++)
		free(im->notes[i].text);
	free(im->notes);
	*im = (struct mf_import){ 0 };
}
