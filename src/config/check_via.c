/* SPDX-License-Identifier: Apache-2.0
 *
 * check_via - which proxy is reached through which interface: it must be there, nothing may go round in a
 * circle, and datagrams must find somebody who carries them.
 */
#include "config/errors.h"
#include "config/load.h"

/* A connection is a stack of layers, of which a proxy has up to four (src/proxy/layer.h). */
enum { CHAIN_MAX = 6 };

static void find_via(struct mf_loader *l, uint32_t index)
{
	struct mf_config_interface *i = &l->cfg->interfaces[index];
	struct mf_config_pos pos = mf_load_pos(&i->src, "via");
	struct mf_load_target target = { 0 };

	if (!i->via || !mf_load_target(l, pos, i->via, &target))
		return;
	if (target.action == MF_CONFIG_TO_DIRECT)
		return;
	if (target.action != MF_CONFIG_TO_INTERFACE) {
		mf_config_error(l->errs, pos,
				"`via: %s` would end all connections to the proxy; name an "
				"interface or `direct`",
				i->via);
		return;
	}
	i->via_interface = true;
	i->via_index = target.interface;
}

/* The next one on the way to the internet, or NULL. */
static const struct mf_config_interface *next(const struct mf_config *cfg,
					      const struct mf_config_interface *i)
{
	return i->via_interface ? &cfg->interfaces[i->via_index] : NULL;
}

/* "a via b via a" */
static void print_circle(const struct mf_config *cfg, const struct mf_config_interface *from,
			 struct mf_text *out)
{
	const struct mf_config_interface *i = from;

	mf_text_printf(out, "%s", from->name);
	do {
		i = next(cfg, i);
		mf_text_printf(out, " via %s", i->name);
	} while (i != from);
}

/* Each circle once, at the first of its interfaces. True: `from` ends in some circle. */
static bool check_circle(struct mf_loader *l, const struct mf_config_interface *from)
{
	const struct mf_config *cfg = l->cfg;
	const struct mf_config_interface *i = next(cfg, from);
	struct mf_text chain = { 0 };
	uint32_t steps = 1;
	bool first = true;

	for (; i && i != from && steps <= cfg->n_interfaces; i = next(cfg, i), steps++)
		first = first && i > from;
	if (!i || i != from)
		return i;
	if (!first)
		return true;
	print_circle(cfg, from, &chain);
	if (steps == 1)
		mf_config_error(
			l->errs, mf_load_pos(&from->src, "via"),
			"`via` names the interface itself; name what leads to its server, or "
			"leave it out");
	else
		mf_config_error(l->errs, mf_load_pos(&from->src, "via"),
				"no connection would ever leave: %s; change one of these `via`",
				chain.s ? chain.s : "");
	mf_text_free(&chain);
	return true;
}

static void check_length(struct mf_loader *l, const struct mf_config_interface *from)
{
	unsigned n = 0;

	for (const struct mf_config_interface *i = from; i; i = next(l->cfg, i))
		n += mf_config_is_proxy(i->type);
	if (n > CHAIN_MAX)
		mf_config_error(l->errs, mf_load_pos(&from->src, "via"),
				"%u proxies are behind each other; at most %d are possible", n,
				CHAIN_MAX);
}

/* Their datagrams are datagrams on the way to the proxy, too; those of the others go in a connection. */
static bool sends_datagrams(const struct mf_config_interface *i)
{
	return (i->type == MF_CONFIG_SHADOWSOCKS || i->type == MF_CONFIG_SOCKS5) &&
	       i->udp == MF_CONFIG_UDP_PROXY;
}

static void check_datagrams(struct mf_loader *l, const struct mf_config_interface *i)
{
	const struct mf_config_interface *to = next(l->cfg, i);

	if (!sends_datagrams(i) || !to || !mf_config_is_proxy(to->type) ||
	    to->udp == MF_CONFIG_UDP_PROXY)
		return;
	mf_config_error(
		l->errs, mf_load_pos(&i->src, mf_load_has(&i->src, "udp") ? "udp" : "via"),
		"`udp: proxy` sends datagrams to the proxy, but `via: %s` carries none; set "
		"`udp` to direct, drop or reject",
		i->via);
}

void mf_load_check_via(struct mf_loader *l)
{
	const struct mf_config *cfg = l->cfg;

	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		find_via(l, i);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		if (check_circle(l, &cfg->interfaces[i]))
			continue;
		check_length(l, &cfg->interfaces[i]);
		check_datagrams(l, &cfg->interfaces[i]);
	}
}
