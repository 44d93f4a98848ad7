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

static struct mf_iface *find_iface(const struct mf_engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		if (strcmp(e->ifaces[i]->name, name) == 0)
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

void mf_iface_free(void *obj)
{
	struct mf_iface *f = obj;

	free_named(f);
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
static struct mf_iface *add_iface(struct mf_engine *e, const char *name)
{
	struct mf_iface **grown = realloc(e->ifaces, (e->n_ifaces + 1) * sizeof(*grown));
	struct mf_iface *f = calloc(1, sizeof(*f));

	if (grown)
		e->ifaces = grown;
	if (!grown || !f)
		goto fail;
	memcpy(f->name, name, strlen(name) + 1);
	f->engine = e;
	f->slot = MF_NO_SLOT;
	f->wg.hop = free_hop(e);
	f->device = mf_wg_device_add(e->wg, f);
	if (!f->device)
		goto fail;
	e->ifaces[e->n_ifaces++] = f;
	if (f->wg.hop >= e->n_hops)
		e->n_hops = f->wg.hop + 1;
	return f;
fail:
	free(f);
	return NULL;
}

static void remove_iface(struct mf_engine *e, uint32_t i)
{
	struct mf_iface *f = e->ifaces[i];

	memmove(e->ifaces + i, e->ifaces + i + 1, (e->n_ifaces - i - 1) * sizeof(*e->ifaces));
	e->n_ifaces--;
	mf_wg_device_remove(f->device, e->now);
	mf_slot_put(e, f->slot);
	mf_reclaim_defer(&e->reclaim, mf_iface_free, f);
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

/* ---- Snapshot -------------------------------------------------------------------------------- */

struct mf_snapshot *mf_snapshot_new(const struct mf_engine *e)
{
	struct mf_snapshot *s = calloc(1, sizeof(*s) + e->n_hops * sizeof(s->hop[0]));

	if (s)
		s->n_hops = e->n_hops;
	return s;
}

static void fill(const struct mf_engine *e, struct mf_snapshot *s, const struct mf_route_table *routes)
{
	s->generation = e->snap ? e->snap->generation + 1 : 1;
	s->routes4 = mf_route_table_ip4(routes);
	s->routes6 = mf_route_table_ip6(routes);
	s->tunnel4 = e->tunnel4;
	s->tunnel6 = e->tunnel6;
	s->tunnel_mtu = e->tunnel_mtu ? e->tunnel_mtu : e->default_mtu;
	s->host = e->host_config;
	s->host.mtu = s->tunnel_mtu;
	s->host.tunnel4 = e->tunnel4;
	s->host.tunnel6 = e->tunnel6;
	s->staged_max = e->staged_max;
	mf_steering_fill(e, s);
	s->hop[MF_HOP_ID_DROP].kind = MF_HOP_DROP;
	strcpy(s->hop[MF_HOP_ID_DROP].name, "drop");
	s->hop[MF_HOP_ID_REJECT].kind = MF_HOP_REJECT;
	strcpy(s->hop[MF_HOP_ID_REJECT].name, "reject");
	s->hop[MF_HOP_ID_DIRECT].kind = MF_HOP_SESSION;
	strcpy(s->hop[MF_HOP_ID_DIRECT].name, "direct");
	s->hop[MF_HOP_ID_DNS].kind = MF_HOP_SESSION;
	strcpy(s->hop[MF_HOP_ID_DNS].name, "dns");
	for (uint32_t i = 0; i < e->n_ifaces; i++) {
		const struct mf_iface *f = e->ifaces[i];
		struct mf_next_hop *h = &s->hop[f->wg.hop];

		h->kind = MF_HOP_WG;
		h->udp_slot = f->slot;
		h->mtu = f->mtu;
		h->path_mtu = (uint32_t)mf_min(f->mtu, s->tunnel_mtu);
		h->device = f->device;
		h->inside4 = f->inside4;
		h->inside6 = f->inside6;
		memcpy(h->name, f->name, sizeof(h->name));
	}
}

static void free_routes(void *obj)
{
	mf_route_table_free(obj);
}

void mf_publish(struct mf_engine *e, struct mf_snapshot *s, struct mf_route_table *routes)
{
	struct mf_snapshot *old = e->snap;

	fill(e, s, routes);
	__atomic_store_n(&e->shared.snap, s, __ATOMIC_SEQ_CST);
	e->snap = s;
	if (old)
		mf_reclaim_defer(&e->reclaim, free, old);
	if (e->routes && e->routes != routes)
		mf_reclaim_defer(&e->reclaim, free_routes, e->routes);
	e->routes = routes;
}

/* ---- A profile --------------------------------------------------------------------------------- */

/* Everything that is made before anything changes. */
struct prepared {
	struct mf_route_table *routes;
	struct mf_snapshot *snap[2];
	struct mf_steering *steering;
	uint32_t n_old; /* interfaces from here on are new */
	struct {
		struct mf_iface *iface;
		/* Newly taken, or MF_NO_SLOT: the one it has stays. Once that is done, the one to
		 * give up. */
		uint8_t slot;
	} * ifaces; /* by index in the profile */
};

static uint32_t hop_of(const struct prepared *p, const struct mf_config_rule *rule)
{
	switch (rule->action) {
	case MF_CONFIG_TO_DROP:
		return MF_HOP_ID_DROP;
	case MF_CONFIG_TO_REJECT:
		return MF_HOP_ID_REJECT;
	case MF_CONFIG_TO_DIRECT:
		return MF_HOP_ID_DIRECT;
	default:
		return p->ifaces[rule->interface].iface->wg.hop;
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

		err = mf_route_table_add(p->routes, &rule->prefix, hop_of(p, rule), &origin);
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

static mf_err prepare_ifaces(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			     struct mf_errbuf *eb)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		p->ifaces[i].slot = MF_NO_SLOT;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		const struct mf_config_interface *ci = &cfg->interfaces[i];
		uint32_t mark = ci->fwmark ? ci->fwmark : e->options.mark;
		struct mf_iface *f = find_iface(e, ci->name);
		mf_err err;

		if (!f)
			f = add_iface(e, ci->name);
		p->ifaces[i].iface = f;
		if (!f)
			return mf_fail(eb, MF_E_NO_MEMORY, "interface %s: not enough memory",
				       ci->name);
		if (keeps_port(e, cfg, f, ci))
			continue;
		err = mf_slot_get(e, ci->listen_port, mark, &p->ifaces[i].slot, eb);
		if (err)
			return err;
	}
	return MF_OK;
}

static mf_err prepare_steering(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
			       struct mf_errbuf *eb)
{
	uint32_t *hop_of = calloc(cfg->n_interfaces + 1, sizeof(*hop_of));

	for (uint32_t i = 0; hop_of && i < cfg->n_interfaces; i++)
		hop_of[i] = p->ifaces[i].iface->wg.hop;
	p->steering = hop_of ? mf_steering_new(e, cfg, p->routes, hop_of) : NULL;
	free(hop_of);
	return p->steering ? MF_OK
			   : mf_fail(eb, MF_E_NO_MEMORY, "routes of names: not enough memory");
}

static mf_err prepare_snapshots(struct mf_engine *e, struct prepared *p, struct mf_errbuf *eb)
{
	p->snap[0] = mf_snapshot_new(e);
	p->snap[1] = mf_snapshot_new(e);
	return p->snap[0] && p->snap[1] ? MF_OK
					: mf_fail(eb, MF_E_NO_MEMORY, "routes: not enough memory");
}

static void undo(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		mf_slot_put(e, p->ifaces[i].slot);
	while (e->n_ifaces > p->n_old)
		remove_iface(e, e->n_ifaces - 1);
	mf_route_table_free(p->routes);
	mf_steering_free(p->steering);
	free(p->snap[0]);
	free(p->snap[1]);
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

/* The interfaces in the order of the profile; those that it no longer names go. */
static void settle(struct mf_engine *e, const struct mf_config *cfg, const struct prepared *p,
		   struct mf_apply_report *r)
{
	for (uint32_t i = e->n_ifaces; i-- > 0;)
		if (!e->ifaces[i]->in_profile) {
			remove_iface(e, i);
			r->interfaces_removed++;
		}
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		e->ifaces[i] = p->ifaces[i].iface;
		mf_wg_device_set_up(e->ifaces[i]->device, true, e->now);
	}
}

static mf_err commit(struct mf_engine *e, const struct mf_config *cfg, struct prepared *p,
		     struct mf_apply_report *r, struct mf_errbuf *eb)
{
	struct mf_steering *old = e->steering;
	mf_err err = MF_OK, one;

	e->steering = p->steering;
	e->tunnel4 = first_of(&cfg->tunnel.addresses, MF_AF_IP4);
	e->tunnel6 = first_of(&cfg->tunnel.addresses, MF_AF_IP6);
	e->tunnel_mtu = cfg->tunnel.mtu;
	e->staged_max = cfg->limits.staged_packets;
	e->host_config = mf_sessions_config(e, cfg);
	mf_sessions_judge(e, p->routes, r);
	for (uint32_t i = 0; i < e->n_ifaces; i++)
		e->ifaces[i]->in_profile = false;
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		one = commit_iface(e, p->ifaces[i].iface, &cfg->interfaces[i], &p->ifaces[i].slot, r);
		if (one)
			err = mf_fail(eb, one, "interface %s: %s", cfg->interfaces[i].name,
				      mf_err_text(one));
	}
	mf_publish(e, p->snap[0], p->routes);
	r->routes = cfg->n_rules;
	r->interfaces_added = e->n_ifaces - p->n_old;
	r->interfaces_changed = cfg->n_interfaces - r->interfaces_added;
	settle(e, cfg, p, r);
	/* Again: the interfaces that went are out of the snapshot now. */
	mf_publish(e, p->snap[1], p->routes);
	mf_steering_retire(e, old);
	mf_sessions_drop_strays(e);
	for (uint32_t i = 0; i < cfg->n_interfaces; i++)
		mf_slot_put(e, p->ifaces[i].slot);
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
	mf_steering_await(e, now);
	p.ifaces = calloc(cfg->n_interfaces + 1, sizeof(*p.ifaces));
	if (!p.ifaces)
		return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
	err = prepare_ifaces(e, cfg, &p, eb);
	if (!err)
		err = prepare_routes(e, cfg, &p, eb);
	if (!err)
		err = prepare_steering(e, cfg, &p, eb);
	if (!err)
		err = prepare_snapshots(e, &p, eb);
	mf_steering_settle(e, !err);
	if (err) {
		undo(e, cfg, &p);
		e->drop_sessions = false;
	} else {
		err = commit(e, cfg, &p, report, eb);
	}
	free(p.ifaces);
	return err;
}

mf_err mf_engine_apply_domains(struct mf_engine *e, const struct mf_config *cfg, struct mf_errbuf *eb)
{
	uint32_t *hops = calloc(cfg->n_interfaces + 1, sizeof(*hops));
	struct mf_snapshot *snap = mf_snapshot_new(e);
	struct mf_steering *steering = NULL, *old = e->steering;

	for (uint32_t i = 0; hops && i < cfg->n_interfaces; i++)
		hops[i] = find_iface(e, cfg->interfaces[i].name)->wg.hop;
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
