/* SPDX-License-Identifier: Apache-2.0
 *
 * wgquick - reads wg-quick(8) files (see wgquick.h). A table of keys says which section each belongs
 * to and who takes its value.
 */
#include "config/wgquick.h"

#include "config/errors.h"
#include "config/server.h"
#include "config/value.h"

#include <stdio.h>
#include <strings.h>

enum section { NOWHERE, INTERFACE, PEER, UNKNOWN };

struct reader {
	struct mf_config_arena *arena;
	struct mf_wgquick *out;
	struct mf_import *notes;
	struct mf_config_errors *errs;
	struct mf_config_pos pos;
	enum section section;
	struct mf_config_peer *peer; /* the one whose section we are in */
	bool has_public_key;         /* it has had its PublicKey */
	uint32_t n_prefixes;
};

struct key {
	const char *name;
	enum section section;
	void (*take)(struct reader *r, const struct key *k, char *value);
	const char *note; /* why it is not taken over */
};

/* Doubles an array that holds n entries if n is a power of two; no other capacity is kept. */
static void *grown(struct mf_config_arena *arena, void *v, uint32_t n, size_t size)
{
	void *bigger;

	if (n && !mf_is_pow2(n))
		return v;
	bigger = mf_config_arena_alloc(arena, (n ? 2 * (size_t)n : 1) * size);
	if (bigger && n)
		memcpy(bigger, v, n * size);
	return bigger;
}

static void bad_value(struct reader *r, const struct key *k, const char *value, const char *form)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	mf_config_error(r->errs, r->pos, "`%s` must be %s, got %s", k->name, form,
			mf_config_quote(value, quoted));
}

static void take_key(struct reader *r, const struct key *k, struct mf_key *out, const char *value)
{
	/* what was written is not repeated: it may be half of a secret */
	if (mf_key_from_base64(out, value, strlen(value)))
		mf_config_error(r->errs, r->pos,
				"`%s` must be a key, 44 characters of base64; got %zu characters",
				k->name, strlen(value));
	else if (mf_key_is_zero(out) && strcmp(k->name, "PresharedKey") != 0)
		mf_config_error(r->errs, r->pos,
				"`%s` is all zero; the file must be completed first", k->name);
}

static void private_key(struct reader *r, const struct key *k, char *value)
{
	r->out->has_private_key = true;
	take_key(r, k, &r->out->interface.private_key, value);
}

static void public_key(struct reader *r, const struct key *k, char *value)
{
	const struct mf_config_interface *i = &r->out->interface;
	struct mf_config_peer *p = r->peer;

	r->has_public_key = true;
	take_key(r, k, &p->public_key, value);
	for (uint32_t j = 0; j < i->n_peers; j++)
		if (&i->peers[j] != p && !mf_key_is_zero(&p->public_key) &&
		    !memcmp(&i->peers[j].public_key, &p->public_key, sizeof(p->public_key)))
			mf_config_error(
				r->errs, r->pos,
				"the peer in line %u has the same public key; make one peer of the "
				"two",
				i->peers[j].src.pos.line);
}

static void preshared_key(struct reader *r, const struct key *k, char *value)
{
	take_key(r, k, &r->peer->preshared_key, value);
	r->peer->has_preshared_key = !mf_key_is_zero(&r->peer->preshared_key);
}

static char *trim(char *s)
{
	size_t n;

	while (*s && strchr(" \t\r\v\f", *s))
		s++;
	n = strlen(s);
	while (n && strchr(" \t\r\v\f", s[n - 1]))
		s[--n] = '\0';
	return s;
}

static void take_list(struct reader *r, const struct key *k, char *value, bool mask,
		      struct mf_config_prefixes *list)
{
	char *rest = value, *item;

	while ((item = strsep(&rest, ","))) {
		struct mf_prefix p;

		item = trim(item);
		if (!*item)
			continue;
		if (mf_prefix_parse(&p, item)) {
			bad_value(r, k, item, mask ? "a list of prefixes" : "a list of addresses");
			continue;
		}
		if (r->n_prefixes == MF_WGQUICK_MAX_PREFIXES) {
			mf_config_error(r->errs, r->pos, "more than %d prefixes; use fewer",
					MF_WGQUICK_MAX_PREFIXES);
			r->n_prefixes++;
		}
		if (r->n_prefixes > MF_WGQUICK_MAX_PREFIXES)
			return;
		list->v = grown(r->arena, list->v, list->n, sizeof(*list->v));
		if (!list->v)
			return;
		r->n_prefixes++;
		list->v[list->n++] = (struct mf_config_prefix){
			.prefix = mask ? mf_prefix_mask(p) : p,
			.pos = r->pos,
		};
	}
}

static void address(struct reader *r, const struct key *k, char *value)
{
	take_list(r, k, value, false, &r->out->interface.addresses);
}

static void allowed_ips(struct reader *r, const struct key *k, char *value)
{
	take_list(r, k, value, true, &r->peer->allowed_ips);
}

static void endpoint(struct reader *r, const struct key *k, char *value)
{
	struct mf_config_host host = { .pos = r->pos };
	const char *bad = mf_value_host(value, r->arena, &host);
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (bad)
		mf_config_error(r->errs, r->pos, "`%s` must be host:port, got %s: %s", k->name,
				mf_config_quote(mf_config_behind_user(value), quoted), bad);
	else
		r->peer->endpoint = host;
}

/* Decimal or 0x…, or `zero` for 0. */
static bool number(const char *value, uint64_t max, const char *zero, uint64_t *out)
{
	*out = 0;
	if (zero && !strcasecmp(value, zero))
		return true;
	return mf_value_number(value, out) && *out <= max;
}

static void keepalive(struct reader *r, const struct key *k, char *value)
{
	uint64_t n;

	if (number(value, 65535, "off", &n))
		r->peer->persistent_keepalive = (uint16_t)n;
	else
		bad_value(r, k, value, "0..65535 or `off`");
}

static void listen_port(struct reader *r, const struct key *k, char *value)
{
	uint64_t n;

	if (number(value, 65535, NULL, &n))
		r->out->interface.listen_port = (uint16_t)n;
	else
		bad_value(r, k, value, "0..65535");
}

static void fwmark(struct reader *r, const struct key *k, char *value)
{
	uint64_t n;

	if (number(value, UINT32_MAX, "off", &n))
		r->out->interface.fwmark = (uint32_t)n;
	else
		bad_value(r, k, value, "0..0xffffffff or `off`");
}

static void mtu(struct reader *r, const struct key *k, char *value)
{
	uint64_t n;

	if (number(value, 65520, "auto", &n) && (!n || n >= 576))
		r->out->interface.mtu = (uint32_t)n;
	else
		bad_value(r, k, value, "576..65520");
}

static void table(struct reader *r, const struct key *k, char *value)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (!strcasecmp(value, "auto"))
		return;
	if (!strcasecmp(value, "off")) {
		r->out->table_off = true;
		mf_import_note(
			r->notes, r->pos.line,
			"`%s = off` has become `auto_route: false`: routes into the tunnel are "
			"yours to make",
			k->name);
		return;
	}
	mf_import_note(r->notes, r->pos.line,
		       "`%s = %s` is not taken over: MintFlow has a routing table of its own",
		       k->name, mf_config_quote(value, quoted));
}

static void not_taken(struct reader *r, const struct key *k, char *value)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	mf_import_note(r->notes, r->pos.line, "`%s` %s is not taken over: %s", k->name,
		       mf_config_quote(value, quoted), k->note);
}

static bool known_server(const struct mf_config_dns_servers *to, const struct mf_addr *a)
{
	for (uint32_t i = 0; i < to->n; i++)
		if (mf_addr_equal(&to->v[i].addr[0].addr, a))
			return true;
	return false;
}

static void dns_word(struct reader *r, const struct key *k, const char *word, size_t n)
{
	struct mf_config_dns_servers *to = &r->out->dns;
	const char *text = mf_config_arena_text(r->arena, word, n);
	char quoted[MF_CONFIG_QUOTE_LEN];
	struct mf_addr a;

	if (!text)
		return;
	if (mf_addr_parse(&a, text)) {
		mf_import_note(r->notes, r->pos.line, "`%s` %s is not taken over: %s", k->name,
			       mf_config_quote(text, quoted), k->note);
		return;
	}
	if (known_server(to, &a))
		return;
	if (to->n == MF_CONFIG_DNS_SERVERS) {
		mf_import_note(r->notes, r->pos.line, "`%s` %s is not taken over: %d are enough",
			       k->name, text, MF_CONFIG_DNS_SERVERS);
		return;
	}
	to->v = grown(r->arena, to->v, to->n, sizeof(*to->v));
	if (to->v && !mf_server_parse(text, r->arena, &to->v[to->n]))
		to->v[to->n++].pos = r->pos;
}

/* Addresses, and domains to search. */
static void dns(struct reader *r, const struct key *k, char *value)
{
	for (const char *p = value; *p;) {
		size_t n = strcspn(p, ", \t");

		if (n)
			dns_word(r, k, p, n);
		p += n + (p[n] != '\0');
	}
}

#define SCRIPTS "a profile runs no commands; do what is needed outside MintFlow"
static const struct key keys[] = {
	{ "PrivateKey", INTERFACE, private_key, NULL },
	{ "Address", INTERFACE, address, NULL },
	{ "ListenPort", INTERFACE, listen_port, NULL },
	{ "MTU", INTERFACE, mtu, NULL },
	{ "FwMark", INTERFACE, fwmark, NULL },
	{ "Table", INTERFACE, table, NULL },
	{ "DNS", INTERFACE, dns, "a domain to search belongs into the system's resolver" },
	{ "SaveConfig", INTERFACE, not_taken, "MintFlow does not write to profiles" },
	{ "PreUp", INTERFACE, not_taken, SCRIPTS },
	{ "PostUp", INTERFACE, not_taken, SCRIPTS },
	{ "PreDown", INTERFACE, not_taken, SCRIPTS },
	{ "PostDown", INTERFACE, not_taken, SCRIPTS },
	{ "PublicKey", PEER, public_key, NULL },
	{ "PresharedKey", PEER, preshared_key, NULL },
	{ "AllowedIPs", PEER, allowed_ips, NULL },
	{ "Endpoint", PEER, endpoint, NULL },
	{ "PersistentKeepalive", PEER, keepalive, NULL },
};

/* A typing mistake is an error, as it is for `wg`; what belongs to some other program is a note. */
static void unknown_key(struct reader *r, const char *word)
{
	struct mf_config_nearest near = { .word = word };
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];

	for (size_t i = 0; i < MF_ARRAY_LEN(keys); i++)
		if (keys[i].section == r->section)
			mf_config_nearest_try(&near, keys[i].name);
	if (near.name)
		mf_config_error(r->errs, r->pos, "unknown key %s%s", mf_config_quote(word, quoted),
				mf_config_nearest_hint(&near, hint));
	else
		mf_import_note(
			r->notes, r->pos.line,
			"%s is not taken over: WireGuard has no such key; if the provider needs "
			"it, the tunnel will not work",
			mf_config_quote(word, quoted));
}

static void on_pair(struct reader *r, char *word, char *value)
{
	static const char *const where[] = { [INTERFACE] = "Interface", [PEER] = "Peer" };
	const struct key *elsewhere = NULL;

	if (r->section == NOWHERE)
		mf_config_error(r->errs, r->pos,
				"this stands before the first section; begin with "
				"[Interface]");
	if (r->section == NOWHERE || r->section == UNKNOWN)
		return;
	for (size_t i = 0; i < MF_ARRAY_LEN(keys); i++) {
		if (strcasecmp(keys[i].name, word) != 0)
			continue;
		if (keys[i].section == r->section) {
			keys[i].take(r, &keys[i], value);
			return;
		}
		elsewhere = &keys[i];
	}
	if (elsewhere)
		mf_config_error(r->errs, r->pos, "`%s` belongs into a section [%s]",
				elsewhere->name, where[elsewhere->section]);
	else
		unknown_key(r, word);
}

static void close_section(struct reader *r)
{
	if (r->section == PEER && !r->has_public_key)
		mf_config_error(r->errs, r->peer->src.pos,
				"`PublicKey` is missing in this [Peer]; add it");
	r->has_public_key = false;
}

static void new_peer(struct reader *r)
{
	struct mf_config_interface *i = &r->out->interface;

	if (i->n_peers == MF_WGQUICK_MAX_PEERS) {
		mf_config_error(r->errs, r->pos, "more than %d peers", MF_WGQUICK_MAX_PEERS);
		r->section = UNKNOWN;
		return;
	}
	i->peers = grown(r->arena, i->peers, i->n_peers, sizeof(*i->peers));
	if (!i->peers) {
		i->n_peers = 0;
		r->section = UNKNOWN;
		return;
	}
	r->peer = &i->peers[i->n_peers++];
	*r->peer = (struct mf_config_peer){ .src.pos = r->pos };
}

static void on_section(struct reader *r, char *line)
{
	char quoted[MF_CONFIG_QUOTE_LEN];

	close_section(r);
	if (!strcasecmp(line, "[Interface]")) {
		r->section = INTERFACE;
		if (!r->out->interface.src.pos.line)
			r->out->interface.src.pos = r->pos;
	} else if (!strcasecmp(line, "[Peer]")) {
		r->section = PEER;
		new_peer(r);
	} else {
		r->section = UNKNOWN;
		mf_config_error(r->errs, r->pos,
				"unknown section %s; there are [Interface] and [Peer]",
				mf_config_quote(line, quoted));
	}
}

static void on_line(struct reader *r, char *line)
{
	char *comment = strchr(line, '#'), *equals;
	char quoted[MF_CONFIG_QUOTE_LEN];

	if (comment)
		*comment = '\0';
	line = trim(line);
	if (!*line)
		return;
	if (*line == '[') {
		on_section(r, line);
		return;
	}
	equals = strchr(line, '=');
	if (!equals) {
		mf_config_error(r->errs, r->pos, "expected `key = value` or a section, got %s",
				mf_config_quote(line, quoted));
		return;
	}
	*equals = '\0';
	on_pair(r, trim(line), trim(equals + 1));
}

static void check_complete(struct reader *r)
{
	const struct mf_config_interface *i = &r->out->interface;
	const struct mf_config_pos whole = { .file = r->pos.file };

	if (!i->src.pos.line)
		mf_config_error(r->errs, whole,
				"there is no section [Interface]; is this a wg-quick "
				"file?");
	else if (!r->out->has_private_key)
		mf_config_error(r->errs, i->src.pos,
				"`PrivateKey` is missing in [Interface]; add it");
}

void mf_wgquick_read(struct mf_config_arena *arena, const char *text, size_t n, const char *name,
		     struct mf_wgquick *out, struct mf_import *notes, struct mf_config_errors *errs)
{
	struct reader r = {
		.arena = arena, .out = out, .notes = notes, .errs = errs, .pos = { .file = name }
	};
	char *copy, *rest, *line;

	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		n -= 3;
	}
	if (memchr(text, 0, n)) {
		mf_config_error(errs, r.pos, "not a text: there is a NUL byte in it");
		return;
	}
	copy = mf_config_arena_text(arena, text, n);
	if (!copy)
		return;
	for (rest = copy; (line = strsep(&rest, "\n"));) {
		r.pos.line++;
		on_line(&r, line);
	}
	close_section(&r);
	check_complete(&r);
}
