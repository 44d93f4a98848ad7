/* SPDX-License-Identifier: Apache-2.0
 *
 * egress - the state that the control thread publishes, and the workers' views of it.
 *
 * A view compares one number with the state's; only when they differ does it take the lock and copy. What
 * it has asked of the kernel lies in a table by address, where a newer answer replaces an older one.
 */
#include "platform/egress.h"

#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/count.h"
#include "platform/linux/egress_priv.h"
#include "platform/linux/socket_priv.h"

enum { CACHE = 1024, NAME_MAX_LEN = 15 };

struct state {
	uint64_t losses; /* how often a device or an address has gone */
	bool is_fixed;
	char fixed_name[NAME_MAX_LEN + 1];
	uint32_t fixed;    /* its index, 0: is not there or is down */
	uint32_t usual[2]; /* IPv4, IPv6: of the best default route beside the tunnel; 0: none */
	struct egress_devices devices;
};

struct mf_egress {
	uint32_t mark, tun;
	struct mf_nl nl;
	struct egress_devices scratch;
	_Atomic uint64_t generation; /* changes with every reason to ask again */
	pthread_mutex_t lock;        /* for `state` between the control thread and the views */
	struct state state;
};

struct answer {
	struct mf_addr dst; /* family 0: empty */
	uint8_t why;        /* enum mf_stream_error */
	uint32_t ifindex;
};

struct mf_egress_view {
	struct mf_egress *egress;
	uint64_t generation;
	uint64_t lookups;
	struct mf_nl nl;
	struct state state;
	struct answer cache[CACHE];
};

static unsigned family_index(const struct mf_addr *a)
{
	return a->family == MF_AF_IP6;
}

static const struct egress_link *find_link(const struct egress_devices *d, uint32_t ifindex)
{
	for (uint32_t i = 0; i < d->n_links; i++)
		if (d->link[i].ifindex == ifindex)
			return &d->link[i];
	return NULL;
}

static bool has_addr(const struct egress_devices *d, const struct mf_addr *a)
{
	for (uint32_t i = 0; i < d->n_addrs; i++)
		if (mf_addr_equal(&d->addr[i], a))
			return true;
	return false;
}

/* ---- Control thread ---------------------------------------------------------------------------- */

struct mf_egress *mf_egress_new(const char *device, uint32_t mark, uint32_t tun, struct mf_errbuf *eb)
{
	struct mf_egress *e = calloc(1, sizeof(*e));
	int r = e ? mf_nl_open(&e->nl) : -ENOMEM;

	if (r) {
		(void)mf_fail(eb, MF_E_SYSTEM, "direct: cannot ask for routes: %s", strerror(-r));
		free(e);
		return NULL;
	}
	pthread_mutex_init(&e->lock, NULL);
	e->mark = mark;
	e->tun = tun;
	e->generation = 1;
	mf_egress_set_device(e, device);
	(void)mf_egress_look(e);
	return e;
}

void mf_egress_free(struct mf_egress *e)
{
	if (!e)
		return;
	mf_nl_close(&e->nl);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void mf_egress_set_device(struct mf_egress *e, const char *device)
{
	pthread_mutex_lock(&e->lock);
	e->state.is_fixed = device != NULL;
	memset(e->state.fixed_name, 0, sizeof(e->state.fixed_name));
	if (device)
		memcpy(e->state.fixed_name, device, mf_min(strlen(device), NAME_MAX_LEN));
	pthread_mutex_unlock(&e->lock);
}

static uint32_t fixed_now(const struct state *s, const struct egress_devices *d)
{
	for (uint32_t i = 0; s->is_fixed && i < d->n_links; i++)
		if (!strcmp(d->link[i].name, s->fixed_name) && (d->link[i].flags & IFF_UP))
			return d->link[i].ifindex;
	return 0;
}

/* Where "the internet" is: documentation prefixes (RFC 5737, RFC 3849), to which no special route leads. */
static struct mf_addr anywhere(unsigned family)
{
	static const uint8_t ip4[4] = { 198, 51, 100, 1 };
	static const uint8_t ip6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };

	return family ? mf_addr_ip6(ip6) : mf_addr_ip4(ip4);
}

/* The best default route of another device than the tunnel, as one question for each device: tables can be
 * of any size, devices are few. */
static uint32_t best_beside(struct mf_egress *e, const struct egress_devices *d,
			    const struct mf_addr *dst)
{
	struct egress_question q = { .dst = dst, .mark = e->mark, .must_match = true };
	struct egress_answer a;
	uint32_t best = 0, metric = UINT32_MAX;

	for (uint32_t i = 0; i < d->n_links; i++) {
		const struct egress_link *l = &d->link[i];

		if (l->ifindex == e->tun || !(l->flags & IFF_UP) || (l->flags & IFF_LOOPBACK))
			continue;
		q.oif = l->ifindex;
		if (mf_egress_nl_route(&e->nl, &q, &a) || a.oif != l->ifindex || a.metric >= metric)
			continue;
		best = a.oif;
		metric = a.metric;
	}
	return best;
}

static uint32_t usual_now(struct mf_egress *e, const struct egress_devices *d, unsigned family)
{
	struct mf_addr dst = anywhere(family);
	struct egress_question q = { .dst = &dst, .mark = e->mark };
	struct egress_answer a;

	if (!mf_egress_nl_route(&e->nl, &q, &a) && a.oif != e->tun)
		return a.oif;
	return best_beside(e, d, &dst);
}

/* Whether something that was there is no more. */
static bool has_lost(const struct egress_devices *old, const struct egress_devices *now)
{
	if (now->incomplete)
		return false;
	for (uint32_t i = 0; i < old->n_links; i++)
		if (!find_link(now, old->link[i].ifindex))
			return true;
	for (uint32_t i = 0; i < old->n_addrs; i++)
		if (!has_addr(now, &old->addr[i]))
			return true;
	return false;
}

bool mf_egress_look(struct mf_egress *e)
{
	struct egress_devices *d = &e->scratch;
	struct state *s = &e->state;
	struct mf_egress_now before, after;
	uint32_t fixed, usual[2];

	mf_egress_now(e, &before);
	if (mf_egress_nl_devices(&e->nl, e->tun, d))
		d->incomplete =
			true; /* what was read may be all there is, but nothing counts as gone */
	fixed = fixed_now(s, d);
	usual[0] = usual_now(e, d, 0);
	usual[1] = usual_now(e, d, 1);
	pthread_mutex_lock(&e->lock);
	s->fixed = fixed;
	memcpy(s->usual, usual, sizeof(usual));
	s->losses += has_lost(&s->devices, d);
	s->devices = *d;
	pthread_mutex_unlock(&e->lock);
	mf_egress_routes_changed(e);
	mf_egress_now(e, &after);
	return memcmp(&before, &after, sizeof(before)) != 0;
}

void mf_egress_routes_changed(struct mf_egress *e)
{
	atomic_fetch_add_explicit(&e->generation, 1, memory_order_release);
}

void mf_egress_now(const struct mf_egress *e, struct mf_egress_now *now)
{
	const struct state *s = &e->state;

	*now = (struct mf_egress_now){ 0 };
	for (unsigned family = 0; family < 2; family++) {
		uint32_t ifindex = s->is_fixed ? s->fixed : s->usual[family];
		const struct egress_link *l = find_link(&s->devices, ifindex);

		if (l)
			memcpy(family ? now->ip6 : now->ip4, l->name, sizeof(now->ip4));
	}
}

/* ---- Views ------------------------------------------------------------------------------------- */

struct mf_egress_view *mf_egress_view_new(struct mf_egress *e)
{
	struct mf_egress_view *v = calloc(1, sizeof(*v));

	if (v && mf_nl_open(&v->nl)) {
		free(v);
		return NULL;
	}
	if (!v)
		return NULL;
	v->egress = e;
	(void)mf_egress_news(v);
	return v;
}

void mf_egress_view_free(struct mf_egress_view *v)
{
	if (!v)
		return;
	mf_nl_close(&v->nl);
	free(v);
}

uint32_t mf_egress_news(struct mf_egress_view *v)
{
	uint64_t now = atomic_load_explicit(&v->egress->generation, memory_order_acquire);
	uint64_t losses = v->state.losses;

	if (MF_LIKELY(now == v->generation))
		return 0;
	v->generation = now;
	pthread_mutex_lock(&v->egress->lock);
	v->state = v->egress->state;
	pthread_mutex_unlock(&v->egress->lock);
	for (uint32_t i = 0; i < CACHE; i++)
		v->cache[i].dst.family = MF_AF_NONE;
	return MF_EGRESS_CHANGED | (v->state.losses != losses ? MF_EGRESS_LOST : 0u);
}

/* Loopback, and what connect(2) takes for it: the address that is none. */
static bool is_here(const struct mf_addr *a)
{
	static const uint8_t none[16] = { 0 };

	if (a->family == MF_AF_IP4)
		return a->b[0] == 127 || a->b[0] == 0;
	return !memcmp(a->b, none, 15) && a->b[15] <= 1;
}

static int ask(struct mf_egress_view *v, const struct mf_addr *dst, uint32_t oif,
	       struct egress_answer *a)
{
	struct egress_question q = { .dst = dst, .mark = v->egress->mark, .oif = oif };

	mf_count(&v->lookups, 1);
	return mf_egress_nl_route(&v->nl, &q, a);
}

static enum mf_stream_error find(struct mf_egress_view *v, const struct mf_addr *dst,
				 uint32_t *ifindex)
{
	const struct state *s = &v->state;
	uint32_t beside = s->usual[family_index(dst)];
	struct egress_answer a;
	int r;

	if (is_here(dst))
		return MF_STREAM_E_PROHIBITED;
	if (s->is_fixed && !s->fixed)
		return MF_STREAM_E_NO_DEVICE;
	r = ask(v, dst, s->fixed, &a);
	if (!r && a.oif == v->egress->tun) {
		if (s->is_fixed || !beside)
			return MF_STREAM_E_NO_DEVICE;
		r = ask(v, dst, beside, &a);
	}
	if (r)
		return mf_socket_errno(-r);
	if (a.type == RTN_LOCAL)
		return MF_STREAM_E_PROHIBITED;
	*ifindex = a.oif;
	return MF_STREAM_E_NONE;
}

/* Strangers may choose addresses that share a place: that costs a question each, nothing else. */
static struct answer *place(struct mf_egress_view *v, const struct mf_addr *a)
{
	uint64_t w[2];

	memcpy(w, a->b, sizeof(w));
	w[0] = (w[0] ^ (w[1] * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd;
	return &v->cache[(w[0] >> 32) % CACHE];
}

enum mf_stream_error mf_egress_find(struct mf_egress_view *v, const struct mf_addr *dst,
				    uint32_t *ifindex)
{
	struct answer *c = place(v, dst);

	if (!mf_addr_equal(&c->dst, dst)) {
		c->dst = *dst;
		c->ifindex = 0;
		c->why = (uint8_t)find(v, dst, &c->ifindex);
	}
	*ifindex = c->ifindex;
	return c->why;
}

bool mf_egress_has(const struct mf_egress_view *v, uint32_t ifindex, const struct mf_addr *local)
{
	const struct egress_devices *d = &v->state.devices;

	return d->incomplete || (find_link(d, ifindex) && has_addr(d, local));
}

const char *mf_egress_name(const struct mf_egress_view *v, uint32_t ifindex)
{
	const struct egress_link *l = find_link(&v->state.devices, ifindex);

	return l ? l->name : "";
}

uint64_t mf_egress_lookups(const struct mf_egress_view *v)
{
	return mf_counter_read(&v->lookups);
}
