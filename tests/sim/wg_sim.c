/* SPDX-License-Identifier: Apache-2.0
 *
 * wg_sim - see wg_sim.h.
 */
#include "wg_sim.h"

/* ---- the host of a core ---- */

static struct mf_wg_wall host_wall(void *ctx)
{
	struct sim_node *n = ctx;
	mf_nsec t = n->wall_stopped ? 0 : n->sim->now;

	return (struct mf_wg_wall){ .sec = 1700000000 + n->wall_offset + t / MF_SEC,
				    .nsec = (uint32_t)(t % MF_SEC) };
}

static void fly(struct sim *s, const struct sim_dgram *d, mf_nsec extra)
{
	struct sim_dgram *copy = malloc(sizeof(*copy));

	assert_non_null(copy);
	assert_true(s->n_flying < MF_ARRAY_LEN(s->flying));
	*copy = *d;
	copy->due = s->now + extra;
	copy->order = s->order++;
	s->flying[s->n_flying++] = copy;
}

static mf_nsec delay(struct sim *s)
{
	return s->delay + (s->jitter ? mf_prng_below(&s->prng, s->jitter) : 0);
}

static void note(struct sim *s, const struct sim_dgram *d)
{
	struct sim_line *l = &s->log[s->n_log];
	size_t macs = d->n - MF_WG_MAC_LEN;
	static const uint8_t zero[MF_WG_MAC_LEN];

	assert_true(s->n_log < SIM_LOG);
	s->n_log++;
	*l = (struct sim_line){ .at = s->now, .node = d->from_node, .type = d->bytes[0], .tos = d->tos };
	l->n = (uint16_t)d->n;
	l->to = d->to;
	l->local = d->local;
	if (l->type == MF_WG_MSG_INITIATION || l->type == MF_WG_MSG_RESPONSE)
		l->mac2 = memcmp(d->bytes + macs, zero, sizeof(zero)) != 0;
	s->last[l->type] = *d;
	if (getenv("SIM_TRACE"))
		print_message("%10.4f %s -> type %d n %zu\n", (double)s->now / 1e9,
			      d->from_node->name, l->type, d->n);
}

static void transmit(struct sim_node *n, const struct mf_wg_path *to, const uint8_t *bytes,
		     size_t len, uint8_t tos)
{
	struct sim *s = n->sim;
	struct sim_dgram d = { .sent = s->now, .from_node = n, .from = n->at, .tos = tos };

	assert_true(len <= SIM_DGRAM);
	assert_non_null(to);
	d.to = to->remote;
	d.local = to->local;
	d.n = len;
	memcpy(d.bytes, bytes, len);
	note(s, &d);
	if (s->cut || (s->filter && !s->filter(s, &d)))
		return;
	if (mf_prng_below(&s->prng, 1000) >= s->loss)
		fly(s, &d, delay(s));
	if (mf_prng_below(&s->prng, 1000) < s->duplicate)
		fly(s, &d, delay(s));
}

static void host_send(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *peer,
		      const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos)
{
	(void)d;
	(void)peer;
	transmit(ctx, to, bytes, n, tos);
}

static bool host_session_up(void *ctx, struct mf_wg_peer *peer);

static void host_staged_drop(void *ctx, struct mf_wg_peer *peer)
{
	struct sim_peer *sp = mf_wg_peer_user(peer);

	(void)ctx;
	if (!sp)
		return;
	sp->staged_dropped += sp->staged;
	sp->staged = 0;
}

static void host_resolve(void *ctx, struct mf_wg_peer *peer)
{
	(void)ctx;
	sim_of(peer)->resolves++;
}

static void host_defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	(void)ctx;
	fn(obj);
}

static void host_peer_freed(void *ctx, void *user)
{
	struct sim_peer *sp = user;

	(void)ctx;
	free(sp->seen);
	free(sp);
}

static void host_event(void *ctx, struct mf_wg_peer *peer, enum mf_wg_event e)
{
	(void)ctx;
	if (mf_wg_peer_user(peer))
		sim_of(peer)->events[e]++;
}

/* ---- building worlds ---- */

struct mf_endpoint sim_endpoint(const char *text)
{
	struct mf_endpoint e;

	assert_int_equal(mf_endpoint_parse(&e, text), MF_OK);
	return e;
}

struct mf_prefix sim_prefix(const char *text)
{
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, text), MF_OK);
	return p;
}

struct sim *sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->seed = seed;
	s->prng.state = seed;
	s->now = 1000 * MF_SEC;
	s->delay = 10 * MF_MSEC;
	return s;
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->nodes; i++) {
		mf_wg_free(s->node[i].wg);
		mf_aead_free(s->node[i].aead);
	}
	for (size_t i = 0; i < s->n_flying; i++)
		free(s->flying[i]);
	free(s);
}

struct sim_node *sim_node_add(struct sim *s, const char *name, const char *at)
{
	struct sim_node *n = &s->node[s->nodes++];
	struct mf_wg_host host = {
		.ctx = n,
		.rng = { .fill = mf_prng_fill, .ctx = &n->prng },
		.wall_clock = host_wall,
		.send = host_send,
		.session_up = host_session_up,
		.staged_drop = host_staged_drop,
		.resolve = host_resolve,
		.defer = host_defer,
		.peer_freed = host_peer_freed,
		.event = host_event,
	};
	struct mf_key key, unused;

	assert_true(s->nodes <= SIM_NODES);
	*n = (struct sim_node){ .sim = s, .name = name, .at = sim_endpoint(at) };
	n->prng.state = mf_prng_u64(&s->prng);
	n->wg = mf_wg_new(&host, 2, s->now);
	n->aead = mf_aead_new(NULL);
	assert_non_null(n->wg);
	assert_non_null(n->aead);
	n->device = mf_wg_device_add(n->wg, n);
	assert_non_null(n->device);
	mf_prng_fill(&n->prng, key.b, sizeof(key.b));
	mf_wg_device_set_private_key(n->device, &key, s->now);
	n->port = n->at.port;
	mf_wg_device_set_listen_port(n->device, n->at.port);
	mf_wg_device_set_up(n->device, true, s->now);
	assert_true(mf_wg_device_keys(n->device, &unused, &n->public_key));
	return n;
}

static void dress(struct sim_node *n, struct mf_wg_peer *p)
{
	struct sim_peer *sp = calloc(1, sizeof(*sp));

	assert_non_null(sp);
	sp->node = n;
	sp->seen = calloc(SIM_SEEN / 8, 1);
	assert_non_null(sp->seen);
	mf_wg_peer_set_user(p, sp);
}

struct mf_wg_peer *sim_peer_set(struct sim_node *n, const struct mf_wg_peer_config *c)
{
	struct mf_wg_peer *p = mf_wg_peer_find(n->device, &c->public_key);
	struct mf_wg_peer_config bare = { .public_key = c->public_key };

	/* The engine, too, first makes the peer and then hangs its own on it. */
	if (!p) {
		assert_int_equal(mf_wg_peer_set(n->device, &bare, n->sim->now, &p), MF_OK);
		dress(n, p);
	}
	assert_int_equal(mf_wg_peer_set(n->device, c, n->sim->now, &p), MF_OK);
	return p;
}

struct mf_wg_peer *sim_peer_add(struct sim_node *n, const struct sim_node *to, bool endpoint)
{
	struct mf_wg_allowed all[] = { { .prefix = sim_prefix("10.0.0.0/8") },
				       { .prefix = sim_prefix("fd00::/8") } };
	struct mf_wg_peer_config c = { .public_key = to->public_key, .allowed = all, .n_allowed = 2 };

	if (endpoint) {
		c.set |= MF_WG_SET_ENDPOINT;
		c.endpoint = to->at;
	}
	return sim_peer_set(n, &c);
}

struct sim *sim_pair(uint64_t seed, struct mf_wg_peer **a, struct mf_wg_peer **b)
{
	struct sim *s = sim_new(seed);
	struct sim_node *na = sim_node_add(s, "a", "192.0.2.1:1000");
	struct sim_node *nb = sim_node_add(s, "b", "192.0.2.2:2000");

	*a = sim_peer_add(na, nb, true);
	*b = sim_peer_add(nb, na, false);
	return s;
}

void sim_set_keepalive(struct mf_wg_peer *p, uint16_t seconds)
{
	struct sim_node *n = sim_of(p)->node;
	struct mf_wg_peer_config c = { .public_key = sim_info(p).public_key,
				       .set = MF_WG_SET_KEEPALIVE,
				       .keepalive = seconds };

	(void)sim_peer_set(n, &c);
}

struct sim_peer *sim_of(const struct mf_wg_peer *p)
{
	return mf_wg_peer_user(p);
}

struct mf_wg_peer_info sim_info(const struct mf_wg_peer *p)
{
	struct mf_wg_peer_info info;

	mf_wg_peer_info(p, sim_of(p)->node->sim->now, &info);
	return info;
}

bool sim_is_at(const struct mf_wg_peer *p, const struct mf_endpoint *at)
{
	struct mf_wg_peer_info info = sim_info(p);

	return mf_endpoint_equal(&info.endpoint, at);
}

/* ---- a worker ---- */

static void post(struct mf_wg_peer *p, unsigned flags, const struct mf_wg_path *from)
{
	struct sim_node *n = sim_of(p)->node;

	if (!flags)
		return;
	if (n->posts_fail) {
		mf_wg_post_failed(p, flags);
		return;
	}
	if (flags & MF_WG_POST_ROAM) {
		n->roams++;
		mf_wg_roam(n->wg, mf_wg_peer_ref(p), from);
	}
	if (flags & MF_WG_POST_POKE) {
		n->pokes++;
		mf_wg_poke(n->wg, mf_wg_peer_ref(p), n->sim->now);
	}
}

/* A plaintext: 10.0.0.1 (or what a test wants) as its source, and a number. */
static void seal(struct sim_node *n, const struct mf_wg_keypair *k, uint64_t counter, uint64_t seq,
		 uint8_t *m)
{
	uint8_t plain[SIM_PAYLOAD] = { 10, 0, 0, 1 };

	mf_store_le64(plain + 8, seq);
	mf_store_le32(m, MF_WG_MSG_DATA);
	mf_store_le32(m + 4, k->remote_index);
	mf_store_le64(m + 8, counter);
	mf_aead_seal(n->aead, &k->send, counter, plain, sizeof(plain), m + MF_WG_DATA_HEADER);
}

static bool send_seq(struct mf_wg_peer *p, uint64_t seq)
{
	struct sim_peer *sp = sim_of(p);
	struct sim_node *n = sp->node;
	struct mf_wg_tally t = { .n_data = 1, .bytes = SIM_PAYLOAD + MF_WG_DATA_OVERHEAD };
	uint8_t m[SIM_PAYLOAD + MF_WG_DATA_OVERHEAD];
	struct mf_wg_claimed c;
	unsigned flags;
	bool ok = mf_wg_claim(p, n->sim->now, 1, &c, &flags) == MF_WG_CLAIM_OK;

	if (ok) {
		seal(n, c.keypair, c.first, seq, m);
		transmit(n, mf_wg_peer_path(p), m, sizeof(m), 0);
		flags |= mf_wg_sent(p, 1, n->sim->now, &t);
	} else if (sp->staged < SIM_STAGED) {
		sp->staged_seq[sp->staged++] = seq;
	}
	post(p, flags, NULL);
	return ok;
}

bool sim_send(struct mf_wg_peer *p)
{
	return send_seq(p, sim_of(p)->next_seq++);
}

static bool host_session_up(void *ctx, struct mf_wg_peer *peer)
{
	struct sim_peer *sp = sim_of(peer);
	unsigned n = sp->staged;

	(void)ctx;
	sp->staged = 0;
	for (unsigned i = 0; i < n; i++)
		send_seq(peer, sp->staged_seq[i]);
	return n > 0;
}

void sim_send_raw(struct sim_node *n, const struct mf_wg_keypair *k, uint64_t counter,
		  const struct mf_endpoint *from, const struct mf_endpoint *to)
{
	struct sim_dgram d = { .sent = n->sim->now, .from_node = n, .from = *from, .to = *to };

	d.n = SIM_PAYLOAD + MF_WG_DATA_OVERHEAD;
	seal(n, k, counter, sim_of(k->peer)->next_seq++, d.bytes);
	fly(n->sim, &d, n->sim->delay);
}

static void deliver(struct sim_peer *sp, const uint8_t *plain)
{
	uint64_t seq = mf_load_le64(plain + 8);

	assert_true(seq < SIM_SEEN);
	if (sp->seen[seq / 8] & 1 << seq % 8)
		sp->duplicates++;
	sp->seen[seq / 8] |= (uint8_t)(1 << seq % 8);
	sp->delivered++;
}

static enum mf_drop data_input(struct sim_node *n, const struct mf_wg_path *from,
			       const uint8_t *bytes, size_t len)
{
	struct mf_wg_tally t = { .bytes = len };
	uint8_t plain[SIM_DGRAM];
	struct mf_wg_keypair *k;
	uint64_t counter;
	enum mf_drop drop;

	if (len < MF_WG_DATA_OVERHEAD)
		return MF_DROP_WG_LENGTH;
	k = mf_wg_find(n->wg, mf_load_le32(bytes + 4));
	if (!k)
		return MF_DROP_WG_INDEX;
	counter = mf_load_le64(bytes + 8);
	drop = mf_wg_receive_check(k, n->sim->now, counter);
	if (drop)
		return drop;
	if (!mf_aead_open(n->aead, &k->recv, counter, bytes + MF_WG_DATA_HEADER,
			  len - MF_WG_DATA_HEADER, plain))
		return MF_DROP_WG_AUTH;
	if (!mf_wg_replay_accept(k, counter))
		return MF_DROP_WG_REPLAY;
	*(len > MF_WG_DATA_OVERHEAD ? &t.n_data : &t.n_keepalive) = 1;
	post(k->peer, mf_wg_received(k, 1, n->sim->now, &t, from), from);
	if (t.n_keepalive)
		sim_of(k->peer)->keepalives++;
	else if (n->source_check && !mf_wg_source_ok(k->peer, plain, MF_AF_IP4))
		return MF_DROP_WG_SOURCE;
	else
		deliver(sim_of(k->peer), plain);
	return MF_DROP_NONE;
}

enum mf_drop sim_inject(struct sim_node *n, const struct mf_endpoint *from, const void *bytes,
			size_t len)
{
	struct mf_wg_handshake_in in = {
		.local_port = n->port,
		.from = { .remote = *from, .local = n->at.addr, .local_if = 7 },
		.bytes = bytes,
		.n = len,
		.queue_len = n->queue_len,
	};
	enum mf_drop drop;

	if (len >= 4 && mf_load_le32(bytes) == MF_WG_MSG_DATA)
		drop = data_input(n, &in.from, bytes, len);
	else
		drop = mf_wg_handshake_input(n->wg, n->sim->now, &in);
	n->drops[drop]++;
	if (getenv("SIM_TRACE"))
		print_message("%10.4f %s <- type %d n %zu: %s\n", (double)n->sim->now / 1e9,
			      n->name, ((const uint8_t *)bytes)[0], len, mf_drop_name(drop));
	return drop;
}

/* ---- time ---- */

static struct sim_dgram *take_due(struct sim *s, mf_nsec at)
{
	size_t best = SIZE_MAX;
	struct sim_dgram *d;

	for (size_t i = 0; i < s->n_flying; i++) {
		const struct sim_dgram *x = s->flying[i];

		if (x->due <= at &&
		    (best == SIZE_MAX || x->due < s->flying[best]->due ||
		     (x->due == s->flying[best]->due && x->order < s->flying[best]->order)))
			best = i;
	}
	if (best == SIZE_MAX)
		return NULL;
	d = s->flying[best];
	s->flying[best] = s->flying[--s->n_flying];
	return d;
}

static mf_nsec next_thing(const struct sim *s)
{
	mf_nsec at = MF_NEVER;

	for (size_t i = 0; i < s->n_flying; i++)
		at = s->flying[i]->due < at ? s->flying[i]->due : at;
	for (unsigned i = 0; i < s->nodes; i++) {
		mf_nsec t = mf_wg_deadline(s->node[i].wg);

		at = t < at ? t : at;
	}
	return at;
}

static void arrive(struct sim *s, struct sim_dgram *d)
{
	for (unsigned i = 0; i < s->nodes; i++) {
		if (mf_endpoint_equal(&s->node[i].at, &d->to))
			(void)sim_inject(&s->node[i], &d->from, d->bytes, d->n);
	}
	free(d);
}

void sim_run_until(struct sim *s, mf_nsec at)
{
	mf_nsec next;
	struct sim_dgram *d;

	while ((next = next_thing(s)) <= at) {
		if (next > s->now)
			s->now = next;
		while ((d = take_due(s, s->now)))
			arrive(s, d);
		for (unsigned i = 0; i < s->nodes; i++) {
			if (mf_wg_deadline(s->node[i].wg) > s->now)
				continue;
			s->node[i].ticks++;
			mf_wg_tick(s->node[i].wg, s->now);
		}
	}
	if (at > s->now)
		s->now = at;
}

void sim_run(struct sim *s, mf_nsec span)
{
	sim_run_until(s, s->now + span);
}

void sim_sleep(struct sim *s, mf_nsec span)
{
	s->now += span;
}

void sim_connect(struct sim *s, struct mf_wg_peer *a)
{
	(void)sim_send(a);
	sim_run(s, MF_SEC);
	assert_int_equal(sim_of(a)->staged, 0);
	assert_true(sim_info(a).session);
}

/* ---- looking back ---- */

static bool is_type(const struct sim_line *l, unsigned type)
{
	if (type == SIM_KEEPALIVE)
		return l->type == MF_WG_MSG_DATA && l->n == MF_WG_KEEPALIVE_LEN;
	if (type == SIM_DATA)
		return l->type == MF_WG_MSG_DATA && l->n > MF_WG_KEEPALIVE_LEN;
	return !type || l->type == type;
}

unsigned sim_count(const struct sim *s, size_t since, const struct sim_node *n, unsigned type)
{
	unsigned count = 0;

	for (size_t i = since; i < s->n_log; i++)
		count += (!n || s->log[i].node == n) && is_type(&s->log[i], type);
	return count;
}

const struct sim_line *sim_find(const struct sim *s, size_t since, const struct sim_node *n,
				unsigned type)
{
	for (size_t i = since; i < s->n_log; i++) {
		if ((!n || s->log[i].node == n) && is_type(&s->log[i], type))
			return &s->log[i];
	}
	return NULL;
}
