/* SPDX-License-Identifier: Apache-2.0
 *
 * apply - from a profile to running interfaces, in place.
 *
 * Two halves. `prepare` makes everything that can fail: routes, sockets, new interfaces. `commit` changes
 * what runs: devices and peers keep their identity (and so their sessions) by name and public key, then
 * one snapshot switches the packet path over. What is no longer wanted goes last.
 */
#include <stdlib.h>

#include "engine/internal.h"
#include "nodes/stage.h"

/* ---- Interfaces ------------------------------------------------------------------------------ */

/* A VPN that has become a proxy is another interface, which happens to have its name. */
static struct mf_iface *find_iface(const struct mf_engine *e, const struct mf_config_interface *ci)
{
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		if (!strcmp(e->ifaces[i]->name, ci->name) &&
		    !e->ifaces[i]->device == mf_config_is_proxy(ci->type))
			return e->ifaces[i];
	return NULL;
}

static void free_named(struct mf_iface *f)
{
	while (f->named) {
		struct mf_named_peer *n = f->named;

		f->named = n->next;
		free(n->host);
		free(n);
	}
}

static void free_iface(void *obj)
{
	struct mf_iface *f = obj;

	free_named(f);
	mf_proxy_config_unref(f->proxy);
	free(f);
}

static uint32_t free_hop(const struct mf_engine *e)
{
	for (uint32_t id = MF_HOP_ID_FIRST_INTERFACE;; id++) {
		bool used = false;

		for (uint32_t i = 0; i < e->n_ifaces; i++)
			used |= e->ifaces[i]->wg.hop == id;
		if (!used)
			return id;
	}
}

/* A new interface, known to the engine but not to the packet path yet. */
static struct mf_iface *add_iface(struct mf_engine *e, const struct mf_config_interface *ci,
				  uint32_t hop)
{
	struct mf_iface **grown = realloc(e->ifaces, (e->n_ifaces + 1) * sizeof(*grown));
	struct mf_iface *f = calloc(1, sizeof(*f));

	if (grown)
		e->ifaces = grown;
	if (!grown || !f)
		goto fail;
	memcpy(f->name, ci->name, strlen(ci->name) + 1);
	f->engine = e;
	f->slot = MF_NO_SLOT;
	f->wg.hop = hop;
	mf_engine_hop_totals(e, hop, &f->before);
	f->before.sessions = 0;
	if (!mf_config_is_proxy(ci->type)) {
		f->device = mf_wg_device_add(e->wg, f);
		if (!f->device)
			goto fail;
	}
	e->ifaces[e->n_ifaces++] = f;
	if (f->wg.hop >= e->n_hops)
		e->n_hops = f->wg.hop + 1;
	return f;
fail:
	free(f);
	return NULL;
}

/* Off the list: a snapshot that is made now does not have it. */
static struct mf_iface *take_off(struct mf_engine *e, uint32_t i)
{
	struct mf_iface *f = e->ifaces[i];

	memmove(e->ifaces + i, e->ifaces + i + 1, (e->n_ifaces - i - 1) * sizeof(*e->ifaces));
	e->n_ifaces--;
	return f;
}

void mf_iface_remove(struct mf_engine *e, struct mf_iface *f)
{
	if (f->device)
		mf_wg_device_remove(f->device, e->now);
	mf_slot_put(e, f->slot);
	mf_reclaim_defer(&e->reclaim, free_iface, f);
}

static struct mf_addr first_of(const struct mf_config_prefixes *list, uint8_t family)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].prefix.addr.family == family)
			return list->v[i].prefix.addr;
	return (struct mf_addr){ 0 };
}

/* ---- Peers ----------------------------------------------------------------------------------- */

mf_err mf_engine_peer_set(struct mf_engine *e, struct mf_wg_device *d,
			  const struct mf_wg_peer_config *c, mf_nsec now, struct mf_wg_peer **out)
{
	struct mf_stage *stage = mf_stage_new(e->n_workers);
	struct mf_wg_peer *p;
	mf_err err;

	if (!stage)
		return MF_E_NO_MEMORY;
	err = mf_wg_peer_set(d, c, now, &p);
	if (!err && p && !mf_wg_peer_user(p))
		mf_wg_peer_set_user(p, stage);
	else
		mf_stage_free(stage);
	if (!err && out)
		*out = p;
	return err;
}

static mf_err apply_peer(struct mf_engine *e, struct mf_iface *f, const struct mf_config_peer *cp,
			 struct mf_apply_report *r)
{
	bool known = mf_wg_peer_find(f->device, &cp->public_key) != NULL;
	struct mf_wg_allowed *allowed = calloc(cp->allowed_ips.n + 1, sizeof(*allowed));
	struct mf_wg_peer_config c = {
		.public_key = cp->public_key,
		.set = MF_WG_SET_PSK | MF_WG_SET_KEEPALIVE | MF_WG_SET_NAMED | MF_WG_REPLACE_ALLOWED,
		.psk = cp->preshared_key,
		.keepalive = cp->persistent_keepalive,
		.named = cp->endpoint.host && !cp->endpoint.is_addr,
		.allowed = allowed,
		.n_allowed = cp->allowed_ips.n,
	};
	struct mf_wg_peer *p;
	mf_err err;

	if (!allowed)
		return MF_E_NO_MEMORY;
	for (uint32_t i = 0; i < cp->allowed_ips.n; i++)
		allowed[i].prefix = cp->allowed_ips.v[i].prefix;
	if (cp->endpoint.is_addr) {
		c.set |= MF_WG_SET_ENDPOINT;
		c.endpoint = cp->endpoint.addr;
	}
	err = mf_engine_peer_set(e, f->device, &c, e->now, &p);
	mf_wipe(&c.psk, sizeof(c.psk));
	free(allowed);
	if (err)
		return err;
	if (known)
		r->peers_changed++;
	else
		r->peers_added++;
	if (c.named && e->host.resolve) {
		struct mf_wg_peer_ref ref = mf_wg_peer_ref(p);

		e->host.resolve(e->host.ctx, cp->endpoint.host, cp->endpoint.port,
				(uint64_t)ref.index << 32 | ref.generation);
	}
	return MF_OK;
}

static bool profile_has_peer(const struct mf_config_interface *ci, const struct mf_key *k)
{
	for (uint32_t i = 0; i < ci->n_peers; i++)
		if (memcmp(ci->peers[i].public_key.b, k->b, MF_KEY_LEN) == 0)
			return true;
	return false;
}

static void remove_other_peers(struct mf_engine *e, struct mf_iface *f,
			       const struct mf_config_interface *ci, struct mf_apply_report *r)
{
	struct mf_wg_peer *p = mf_wg_peer_next(f->device, NULL), *following;

	for (; p; p = following) {
		struct mf_wg_peer_info info;

		following = mf_wg_peer_next(f->device, p);
		mf_wg_peer_info(p, e->now, &info);
		if (!profile_has_peer(ci, &info.public_key)) {
			mf_wg_peer_remove(p, e->now);
			r->peers_removed++;
		}
		mf_wipe(&info.psk, sizeof(info.psk));
	}
}

static void remember_names(struct mf_iface *f, const struct mf_config_interface *ci)
{
	free_named(f);
	for (uint32_t i = 0; i < ci->n_peers; i++) {
		const struct mf_config_host *h = &ci->peers[i].endpoint;
		struct mf_named_peer *n;

		if (!h->host || h->is_addr)
			continue;
		n = calloc(1, sizeof(*n));
		if (n)
			n->host = strdup(h->host);
		if (!n || !n->host) {
			free(n);
			continue; /* it will not be resolved again, nothing else */
		}
		n->public_key = ci->peers[i].public_key;
		n->port = h->port;
		n->next = f->named;
		f->named = n;
	}
}

/* ---- A profile --------------------------------------------------------------------------------- */

/* Everything that is made before anything changes. */
struct prepared {
	struct mf_route_table *routes;
	struct mf_snapshot *snap;
	struct mf_steering *steering;
	uint32_t *hop_of; /* by index in the profile */
	uint32_t n_old;   /* interfaces from here on are new */
	struct {
		struct mf_iface *iface;
		/* Newly taken, or MF_NO_SLOT: the one it has stays. Once that is done, the one to
		 * give up. */
		uint8_t slot;
		/* Likewise; NULL: the one it has stays, or there was none. */
		struct mf_proxy_config *proxy;
		bool new_proxy;
	} * ifaces;             /* by index in the profile */
	struct mf_iface **gone; /* room for those that the profile does not have */
	uint32_t n_gone;
};

uint32_t mf_hop_for(enum mf_config_action action, uint32_t interface, const uint32_t *hop_of)
{
	switch (action) {
	case MF_CONFIG_TO_DROP:
		return MF_HOP_ID_DROP;
	case MF_CONFIG_TO_REJECT:
		return MF_HOP_ID_REJECT;
	case MF_CONFIG_TO_DIRECT:
		return MF_HOP_ID_DIRECT;
	default:
		return hop_of[interface];
	}
}

static mf_err prepare_routes(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			     struct mf_errbuf *eb)
{
	struct mf_lpm_reclaim reclaim = { .defer = mf_engine_defer, .ctx = e };
	struct mf_route_origin a, b;
	mf_err err = MF_OK;

	p->routes = mf_route_table_new(&reclaim);
	if (!p->routes)
		return mf_fail(eb, MF_E_NO_MEMORY, "routes: not enough memory");
	for (uint32_t i = 0; i < cfg->n_rules && !err; i++) {
		const struct mf_config_rule *rule = &cfg->rules[i];
		struct mf_route_origin origin = {
			.file = rule->pos.file,
			.line = rule->pos.line,
			.rule = rule->route ? (uint32_t)(rule->route - cfg->app_routing.routes)
					    : UINT32_MAX,
		};

		err = mf_route_table_add(p->routes, &rule->prefix,
					 mf_hop_for(rule->action, rule->interface, p->hop_of),
					 &origin);
	}
	if (!err)
		err = mf_route_table_commit(p->routes, &a, &b);
	if (err == MF_E_CONFLICT)
		return mf_fail(eb, err, "%s:%u: the same prefix goes elsewhere at %s:%u", b.file,
			       b.line, a.file, a.line);
	return err ? mf_fail(eb, err, "routes: %s", mf_err_text(err)) : MF_OK;
}

static bool keeps_port(const struct mf_engine *e, const struct mf_config *cfg,
		       const struct mf_iface *f, const struct mf_config_interface *ci)
{
	if (f->slot == MF_NO_SLOT || ci->listen_port)
		return f->slot != MF_NO_SLOT && f->wanted_port == ci->listen_port;
	/* Any port: then also the one that it has, but not another interface's. */
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		if (cfg->interfaces[i].listen_port == e->slots[f->slot].port)
			return false;
	return e->slots[f->slot].users == 1;
}

static mf_err prepare_port(struct mf_engine *e, const struct mf_config *cfg, const struct mf_iface *f,
			   const struct mf_config_interface *ci, uint8_t *slot, struct mf_errbuf *eb)
{
	uint32_t mark = ci->fwmark ? ci->fwmark : e->options.mark;

	if (!f->device || keeps_port(e, cfg, f, ci))
		return MF_OK;
	return mf_slot_get(e, ci->listen_port, mark, slot, eb);
}

static mf_err prepare_ifaces(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			     struct mf_errbuf *eb)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		p->ifaces[i].slot = MF_NO_SLOT;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		const struct mf_config_interface *ci = &cfg->interfaces[i];
		struct mf_iface *f = find_iface(e, ci);
		uint32_t hop = f ? f->wg.hop : free_hop(e);
		mf_err err;

		/* Those that go still have theirs. */
		if (hop >= MF_HOST_HOPS)
			return mf_fail(eb, MF_E_FULL,
				       "interface %s: too many interfaces come while others go; "
				       "remove those first",
				       ci->name);
		if (!f)
			f = add_iface(e, ci, hop);
		p->ifaces[i].iface = f;
		if (!f)
			return mf_fail(eb, MF_E_NO_MEMORY, "interface %s: not enough memory",
				       ci->name);
		p->hop_of[i] = f->wg.hop;
		err = prepare_port(e, cfg, f, ci, &p->ifaces[i].slot, eb);
		if (err)
			return err;
	}
	return MF_OK;
}

static mf_err prepare_proxies(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			      struct mf_errbuf *eb)
{
	mf_err err = MF_OK;

	for (uint32_t i = 0; i < cfg->n_interfaces && !err; i++) {
		const struct mf_iface *f = p->ifaces[i].iface;

		if (f->device)
			continue;
		if (f->proxy && f->fingerprint == mf_proxy_fingerprint(cfg, i, p->hop_of))
			continue;
		err = mf_proxy_make(e, cfg, i, p->hop_of, &p->ifaces[i].proxy, eb);
		p->ifaces[i].new_proxy = !err;
	}
	return err;
}

static mf_err prepare_steering(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			       struct mf_errbuf *eb)
{
	p->steering = mf_steering_new(e, cfg, p->routes, p->hop_of);
	return p->steering ? MF_OK
			   : mf_fail(eb, MF_E_NO_MEMORY, "routes of names: not enough memory");
}

static mf_err prepare_snapshot(struct mf_engine *e, struct prepared *p, struct mf_errbuf *eb)
{
	p->snap = mf_snapshot_new(e);
	p->gone = calloc(p->n_old + 1, sizeof(struct mf_iface *));
	return p->snap && p->gone ? MF_OK : mf_fail(eb, MF_E_NO_MEMORY, "routes: not enough memory");
}

static void undo(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		mf_slot_put(e, p->ifaces[i].slot);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		mf_proxy_config_unref(p->ifaces[i].proxy);
	while (e->n_ifaces > p->n_old)
		mf_iface_remove(e, take_off(e, e->n_ifaces - 1));
	mf_route_table_free(p->routes);
	mf_steering_free(p->steering);
	free(p->snap);
}

static mf_err commit_iface(struct mf_engine *e, struct mf_iface *f,
			   const struct mf_config_interface *ci, uint8_t *slot,
			   struct mf_apply_report *r)
{
	uint8_t old_slot = f->slot;
	mf_err err = MF_OK;

	f->in_profile = true;
	f->default_mtu = !ci->mtu;
	f->mtu = (uint32_t)mf_min(ci->mtu ? ci->mtu : e->default_mtu, MF_WG_MTU_MAX);
	f->inside4 = first_of(&ci->addresses, MF_AF_IP4);
	f->inside6 = first_of(&ci->addresses, MF_AF_IP6);
	f->wanted_port = ci->listen_port;
	f->mark = ci->fwmark;
	if (*slot != MF_NO_SLOT) {
		f->slot = *slot;
		*slot = old_slot;
	}
	mf_wg_device_set_private_key(f->device, &ci->private_key, e->now);
	mf_wg_device_set_listen_port(f->device, e->slots[f->slot].port);
	mf_engine_set_fwmark(e, f->device, ci->fwmark);
	remove_other_peers(e, f, ci, r);
	remember_names(f, ci);
	for (uint32_t i = 0; i < ci->n_peers && !err; i++)
		err = apply_peer(e, f, &ci->peers[i], r);
	return err;
}

static void commit_proxy(const struct mf_config *cfg, struct prepared *p, uint32_t i)
{
	struct mf_iface *f = p->ifaces[i].iface;
	struct mf_proxy_config *old = f->proxy;

	f->in_profile = true;
	if (!p->ifaces[i].new_proxy)
		return;
	f->proxy = p->ifaces[i].proxy;
	p->ifaces[i].proxy = old;
	f->fingerprint = mf_proxy_fingerprint(cfg, i, p->hop_of);
}

static mf_err commit_ifaces(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			    struct mf_apply_report *r, struct mf_errbuf *eb)
{
	mf_err err = MF_OK, one;

	for (uint32_t i = 0; i < e->n_ifaces; i++)
		e->ifaces[i]->in_profile = false;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		if (!p->ifaces[i].iface->device) {
			commit_proxy(cfg, p, i);
			continue;
		}
		one = commit_iface(e, p->ifaces[i].iface, &cfg->interfaces[i], &p->ifaces[i].slot, r);
		if (one)
			err = mf_fail(eb, one, "interface %s: %s", cfg->interfaces[i].name,
				      mf_err_text(one));
	}
	return err;
}

/* The interfaces in the order of the profile; those that it no longer names are off the list. */
static void settle(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
		   struct mf_apply_report *r)
{
	r->interfaces_added = e->n_ifaces - p->n_old;
	r->interfaces_changed = cfg->n_interfaces - r->interfaces_added;
	for (uint32_t i = e->n_ifaces; i-- > 0;)
		if (!e->ifaces[i]->in_profile)
			p->gone[p->n_gone++] = take_off(e, i);
	r->interfaces_removed = p->n_gone;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		e->ifaces[i] = p->ifaces[i].iface;
}

static void unref_proxy(void *config)
{
	mf_proxy_config_unref(config);
}

/* The snapshot that does not know them any more has been published. */
static void give_up(struct mf_engine *e, const struct mf_config *cfg, const struct prepared *p)
{
	for (uint32_t i = 0; i < p->n_gone; i++)
		mf_iface_remove(e, p->gone[i]);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		mf_slot_put(e, p->ifaces[i].slot);
		if (p->ifaces[i].proxy)
			mf_reclaim_defer(&e->reclaim, unref_proxy, p->ifaces[i].proxy);
	}
	/* Who sleeps has connections of proxies that are to end, too. */
	for (unsigned i = 0; i < e->n_workers; i++)
		mf_events_wake(e, i);
}

static mf_err commit(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
		     struct mf_apply_report *r, struct mf_errbuf *eb)
{
	struct mf_steering *old = e->steering;
	mf_err err;

	e->steering = p->steering;
	e->tunnel4 = first_of(&cfg->tunnel.addresses, MF_AF_IP4);
	e->tunnel6 = first_of(&cfg->tunnel.addresses, MF_AF_IP6);
	e->tunnel_mtu = cfg->tunnel.mtu;
	e->staged_max = cfg->limits.staged_packets;
	e->host_config = mf_sessions_config(e, cfg);
	mf_sessions_judge(e, p->routes, r);
	err = commit_ifaces(e, cfg, p, r, eb);
	r->routes = cfg->n_rules;
	settle(e, cfg, p, r);
	mf_publish(e, p->snap, p->routes);
	give_up(e, cfg, p);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		if (e->ifaces[i]->device)
			mf_wg_device_set_up(e->ifaces[i]->device, true, e->now);
		if (p->ifaces[i].new_proxy)
			mf_proxy_resolve(e, p->hop_of[i]);
	}
	mf_steering_retire(e, old);
	mf_sessions_drop_strays(e);
	return err;
}

mf_err mf_engine_apply(struct mf_engine *e, const struct mf_config *cfg, mf_nsec now,
		       struct mf_apply_report *report, struct mf_errbuf *eb)
{
	struct prepared p = { .n_old = e->n_ifaces };
	struct mf_apply_report ignored;
	mf_err err;

	if (!report)
		report = &ignored;
	*report = (struct mf_apply_report){ 0 };
	e->now = now;
	p.ifaces = calloc(cfg->n_interfaces + 1, sizeof(*p.ifaces));
	p.hop_of = calloc(cfg->n_interfaces + 1, sizeof(*p.hop_of));
	if (!p.ifaces || !p.hop_of) {
		free(p.ifaces);
		free(p.hop_of);
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	}
	err = prepare_ifaces(e, cfg, &p, eb);
	if (!err)
		err = prepare_proxies(e, cfg, &p, eb);
	if (!err)
		err = prepare_routes(e, cfg, &p, eb);
	if (!err)
		err = prepare_steering(e, cfg, &p, eb);
	if (!err)
		err = prepare_snapshot(e, &p, eb);
	mf_steering_settle(e, !err);
	if (err) {
		undo(e, cfg, &p);
		e->drop_sessions = false;
	} else {
		err = commit(e, cfg, &p, report, eb);
	}
	free(p.ifaces);
	free(p.hop_of);
	free(p.gone);
	return err;
}

mf_err mf_engine_apply_domains(struct mf_engine *e, const struct mf_config *cfg, struct mf_errbuf *eb)
{
	uint32_t *hops = calloc(cfg->n_interfaces + 1, sizeof(*hops));
	struct mf_snapshot *snap = mf_snapshot_new(e);
	struct mf_steering *steering = NULL, *old = e->steering;

	for (uint32_t i = 0; hops && i < cfg->n_interfaces; i++)
		hops[i] = find_iface(e, &cfg->interfaces[i])->wg.hop;
	if (hops && snap)
		steering = mf_steering_new(e, cfg, e->routes, hops);
	free(hops);
	mf_steering_settle(e, steering != NULL);
	if (!steering) {
		free(snap);
		return mf_fail(eb, MF_E_NO_MEMORY, "routes of names: not enough memory");
	}
	e->steering = steering;
	mf_publish(e, snap, e->routes);
	mf_steering_retire(e, old);
	return MF_OK;
}

void mf_engine_set_default_mtu(struct mf_engine *e, uint32_t mtu)
{
	bool changed = mtu != e->default_mtu;
	struct mf_snapshot *snap;

	e->default_mtu = mtu;
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		if (e->ifaces[i]->default_mtu)
			e->ifaces[i]->mtu = (uint32_t)mf_min(mtu, MF_WG_MTU_MAX);
	snap = changed ? mf_snapshot_new(e) : NULL;
	if (snap) /* else the packet path goes on with what it has */
		mf_publish(e, snap, e->routes);
}
