/* SPDX-License-Identifier: Apache-2.0
 *
 * check - what only shows when the whole profile is there: keys from files, names that must differ,
 * names that must exist. Every complaint is an error; a profile that passes can be run. Here are the
 * tunnel and the interfaces, as far as they are VPNs; check_proxy.c, check_cipher.c and check_via.c have
 * proxies, check_sets.c, check_routes.c and check_dns.c the rest.
 */
#include "config/errors.h"
#include "config/file.h"
#include "config/load.h"
#include "crypto/x25519.h"

/* Two keys for one thing: the secret itself, and a file that holds it. */
struct secret {
	const struct mf_config_src *src;
	const char *key, *file_key, *file;
	struct mf_key *out;
};

static bool read_key_file(struct mf_loader *l, const struct secret *s)
{
	const char *path = s->file ? mf_load_path(l, s->file) : NULL;
	struct mf_errbuf why;
	mf_err err;

	if (!path || (l->flags & MF_CONFIG_NO_FILES))
		return false;
	err = mf_file_read_key(path, l->arena, s->out, &why);
	if (!err)
		return true;
	mf_config_error(l->errs, mf_load_pos(s->src, s->file_key), "`%s`: %s", s->file_key, why.text);
	if (!l->err && err == MF_E_PERMISSION)
		l->err = err;
	return false;
}

/* True: there is a well-formed key in *out. */
static bool take_secret(struct mf_loader *l, const struct secret *s)
{
	const struct mf_yaml *node = mf_yaml_get(s->src->node, s->key);
	bool in_file = mf_load_has(s->src, s->file_key);
	struct mf_key k;
	bool ok;

	if (node && in_file)
		mf_config_error(l->errs, mf_load_pos(s->src, s->file_key),
				"`%s` and `%s` are both given; keep one", s->key, s->file_key);
	if (!node)
		return in_file && read_key_file(l, s);
	ok = !in_file && node->type == MF_YAML_SCALAR &&
	     !mf_key_from_base64(&k, node->text, strlen(node->text));
	mf_wipe(&k, sizeof(k));
	return ok;
}

static void check_private_key(struct mf_loader *l, struct mf_config_interface *i)
{
	struct secret s = { .src = &i->src,
			    .key = "private_key",
			    .file_key = "private_key_file",
			    .file = i->private_key_file,
			    .out = &i->private_key };

	if (!mf_load_has(s.src, s.key) && !mf_load_has(s.src, s.file_key)) {
		mf_config_error(l->errs, i->src.pos,
				"`private_key` is missing in interfaces[]; add it or "
				"`private_key_file` (`mintflow genkey` makes a key)");
		return;
	}
	if (!take_secret(l, &s))
		return;
	if (mf_key_is_zero(&i->private_key))
		mf_config_error(l->errs, mf_load_pos(s.src, i->private_key_file ? s.file_key : s.key),
				"the private key is all zero; `mintflow genkey` makes a real one");
	else
		mf_x25519_base(i->public_key.b, i->private_key.b);
}

static void check_peer(struct mf_loader *l, const struct mf_config_interface *i, uint32_t index)
{
	struct mf_config_peer *p = &i->peers[index];
	struct mf_config_pos pos = mf_load_pos(&p->src, "public_key");
	const struct mf_yaml *node = mf_yaml_get(p->src.node, "public_key");
	struct secret psk = { .src = &p->src,
			      .key = "preshared_key",
			      .file_key = "preshared_key_file",
			      .file = p->preshared_key_file,
			      .out = &p->preshared_key };
	struct mf_key k;

	/* an all-zero one means none (WireGuard paper, section 5.2) */
	p->has_preshared_key = take_secret(l, &psk) && !mf_key_is_zero(&p->preshared_key);
	if (!node || node->type != MF_YAML_SCALAR ||
	    mf_key_from_base64(&k, node->text, strlen(node->text)))
		return;
	if (mf_key_is_zero(&p->public_key)) {
		mf_config_error(l->errs, pos,
				"the public key is all zero; ask the peer for `mintflow "
				"pubkey` or `wg pubkey` of its private key");
		return;
	}
	if (!memcmp(&p->public_key, &i->public_key, sizeof(p->public_key)))
		mf_config_error(l->errs, pos,
				"this is the public key of the interface itself; give the peer's");
	for (uint32_t j = 0; j < index; j++) {
		if (memcmp(&p->public_key, &i->peers[j].public_key, sizeof(p->public_key)) != 0)
			continue;
		mf_config_error(
			l->errs, pos,
			"the peer in line %u has the same public key; make one peer of the two",
			mf_load_pos(&i->peers[j].src, "public_key").line);
		break;
	}
}

static bool has_ip6(const struct mf_config_prefixes *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].prefix.addr.family == MF_AF_IP6)
			return true;
	return false;
}

static void check_mtu(struct mf_loader *l, const struct mf_config_src *src, uint32_t mtu,
		      const struct mf_config_prefixes *addresses)
{
	if (mtu && mtu < 1280 && has_ip6(addresses))
		mf_config_error(
			l->errs, mf_load_pos(src, "mtu"),
			"`mtu` must be at least 1280 because there is an IPv6 address (RFC 8200, "
			"section 5), got %u",
			mtu);
}

static void check_addresses(struct mf_loader *l, const struct mf_config_prefixes *list)
{
	enum { COMPARED = 256 }; /* nobody has more, and each is compared with each */

	for (uint32_t i = 1; i < list->n && i < COMPARED; i++)
		for (uint32_t j = 0; j < i; j++)
			if (mf_addr_equal(&list->v[i].prefix.addr, &list->v[j].prefix.addr)) {
				mf_config_error(
					l->errs, list->v[i].pos,
					"the same address as in line %u; remove one of them",
					list->v[j].pos.line);
				break;
			}
}

static void check_name(struct mf_loader *l, uint32_t index)
{
	const struct mf_config *cfg = l->cfg;
	const struct mf_config_interface *i = &cfg->interfaces[index];
	struct mf_config_pos pos = mf_load_pos(&i->src, "name");

	if (!i->name)
		return;
	for (size_t j = 0; j < MF_LOAD_BUILT_IN; j++)
		if (!strcmp(i->name, mf_load_built_in[j]))
			mf_config_error(l->errs, pos,
					"`%s` is the name of a built-in target; choose another",
					i->name);
	if (cfg->tunnel.name && !strcmp(i->name, cfg->tunnel.name))
		mf_config_error(l->errs, pos, "the tunnel is called `%s` too; choose another name",
				i->name);
	for (uint32_t j = 0; j < index; j++)
		if (cfg->interfaces[j].name && !strcmp(i->name, cfg->interfaces[j].name)) {
			mf_config_error(
				l->errs, pos,
				"the interface in line %u is called `%s` too; choose another "
				"name",
				mf_load_pos(&cfg->interfaces[j].src, "name").line, i->name);
			break;
		}
}

static void check_port(struct mf_loader *l, uint32_t index)
{
	const struct mf_config_interface *i = &l->cfg->interfaces[index];

	for (uint32_t j = 0; i->listen_port && j < index; j++)
		if (l->cfg->interfaces[j].listen_port == i->listen_port) {
			mf_config_error(
				l->errs, mf_load_pos(&i->src, "listen_port"),
				"the interface in line %u listens on port %u too; choose another, "
				"or 0 for any",
				l->cfg->interfaces[j].src.pos.line, i->listen_port);
			break;
		}
}

/* The rule that auto_route makes lets packets with its own mark pass; others would go round in the
 * tunnel for ever. */
static void check_mark(struct mf_loader *l, const struct mf_config_interface *i)
{
	if (i->fwmark && l->cfg->tunnel.auto_route)
		mf_config_error(
			l->errs, mf_load_pos(&i->src, "fwmark"),
			"`fwmark` does not go with `auto_route`, which needs a mark of its own; "
			"remove it, or set `auto_route: false` in tunnel");
}

static void check_interface(struct mf_loader *l, uint32_t index)
{
	struct mf_config_interface *i = &l->cfg->interfaces[index];

	check_name(l, index);
	check_port(l, index);
	check_mark(l, i);
	check_mtu(l, &i->src, i->mtu, &i->addresses);
	check_addresses(l, &i->addresses);
	if (mf_config_is_proxy(i->type))
		mf_load_check_proxy(l, i);
	if (i->type != MF_CONFIG_WIREGUARD)
		return;
	check_private_key(l, i);
	for (uint32_t p = 0; p < i->n_peers; p++)
		check_peer(l, i, p);
}

/* Our own sockets would go round in the tunnel for ever. */
static void check_direct(struct mf_loader *l)
{
	const struct mf_config_direct *d = &l->cfg->direct;

	if (d->device && l->cfg->tunnel.name && !strcmp(d->device, l->cfg->tunnel.name))
		mf_config_error(l->errs, mf_load_pos(&d->src, "device"),
				"`%s` is the tunnel itself; name the device that leads to the "
				"internet, or `auto`",
				d->device);
}

void mf_load_check(struct mf_loader *l)
{
	struct mf_config *cfg = l->cfg;

	check_direct(l);
	check_mtu(l, &cfg->tunnel.src, cfg->tunnel.mtu, &cfg->tunnel.addresses);
	check_addresses(l, &cfg->tunnel.addresses);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		check_interface(l, i);
	mf_load_check_via(l);
	mf_load_check_sets(l);
	mf_load_check_routes(l);
	mf_load_check_dns(l);
	/* half-read routes would only repeat what has been said */
	if (!mf_load_failed(l))
		mf_load_rules(l);
}
