/* SPDX-License-Identifier: Apache-2.0
 *
 * api - include/mintflow/mintflow.h over an engine with one worker, whose ports are the host's callbacks
 * and whatever the host is handing in at the moment.
 */
#include <mintflow/mintflow.h>

#include <stdlib.h>

#include "engine/engine.h"
#include "wire/gso.h"

enum {
	DATAGRAMS_AT_ONCE = 64,
	ROUNDS_MAX = 1000, /* of one call; the host's next call goes on */
};

struct socket {
	struct mintflow *m;
	bool open;
};

struct mintflow {
	struct mintflow_host host;
	struct mf_engine *engine;
	struct mf_worker *worker;
	struct socket socket[MF_UDP_SLOTS];
	uint64_t memory;
	uint32_t sessions;
	mf_nsec deadline;
	bool control_due, worker_due;
	/* What the host is handing in: taken by the ports' recv during a pass. */
	const struct mintflow_packet *packets;
	const struct mintflow_datagram *datagrams;
	size_t n_packets, n_datagrams;
	uint32_t from_socket;
};

/* ---- From the host ----------------------------------------------------------------------------- */

static struct mf_pkt *copy_in(struct mf_pkt_pool *pool, const void *data, size_t len)
{
	struct mf_pkt *p = len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	memcpy(p->data, data, len);
	p->len = (uint32_t)len;
	return p;
}

static size_t tun_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
		       size_t budget)
{
	struct mintflow *m = ctx;
	size_t n = 0, bytes = 0;

	while (n < max && bytes < budget && m->n_packets) {
		out[n] = copy_in(pool, m->packets->data, m->packets->len);
		if (!out[n])
			break;
		bytes += out[n++]->len;
		m->packets++;
		m->n_packets--;
	}
	return n;
}

static struct mf_endpoint endpoint_of(const struct mintflow_address *a)
{
	struct mf_endpoint e = { .addr.family = a->family, .port = a->port, .scope_id = a->scope };

	memcpy(e.addr.b, a->bytes, a->family == MF_AF_IP4 ? 4 : a->family == MF_AF_IP6 ? 16 : 0);
	return e;
}

static size_t udp_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct socket *s = ctx;
	struct mintflow *m = s->m;
	size_t n = 0;

	if (m->from_socket != (uint32_t)(s - m->socket))
		return 0;
	while (n < max && m->n_datagrams) {
		const struct mintflow_datagram *d = m->datagrams;
		struct mf_pkt *p = copy_in(pool, d->data, d->len);

		if (!p)
			break;
		p->remote = endpoint_of(&d->remote);
		p->local = endpoint_of(&d->local).addr;
		p->local_if = d->local.scope;
		p->tos = d->tos;
		out[n++] = p;
		m->datagrams++;
		m->n_datagrams--;
	}
	return n;
}

/* ---- To the host ------------------------------------------------------------------------------- */

/* A packet whose checksum is open goes out finished, and one that lies in two pieces in one. */
static void tun_send(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	struct mintflow *m = ctx;
	struct mintflow_packet list[MF_FRAME_MAX];
	struct mf_pkt *copies[MF_FRAME_MAX];
	size_t filled = 0, copied = 0;

	MF_ASSERT(n <= MF_FRAME_MAX);
	for (size_t i = 0; i < n; i++) {
		struct mf_pkt *p = mf_pkt_linear(pool, pkts[i]);

		pkts[i]->drop = p ? MF_DROP_NONE : MF_DROP_BUFFERS;
		if (!p)
			continue;
		if (p != pkts[i])
			copies[copied++] = p;
		if (p->flags & MF_PKT_NEEDS_CSUM)
			mf_gso_finish_csum(p);
		list[filled++] = (struct mintflow_packet){ p->data, p->len };
	}
	if (filled)
		m->host.send_ip(m->host.self, list, filled);
	while (copied)
		mf_pkt_free(copies[--copied]);
}

static struct mintflow_address address_of(const struct mf_addr *a, uint16_t port, uint32_t scope)
{
	struct mintflow_address out = { .family = a->family, .port = port, .scope = scope };

	memcpy(out.bytes, a->b, sizeof(out.bytes));
	return out;
}

/* A batch is many datagrams to the host. */
static void send_batch(struct socket *s, const struct mf_pkt *p)
{
	struct mintflow *m = s->m;
	struct mintflow_datagram list[DATAGRAMS_AT_ONCE];
	size_t stride = p->gso_type == MF_GSO_NONE ? p->len : p->gso_size, n = 0;

	for (size_t at = 0; at < p->len; at += stride) {
		list[n++] = (struct mintflow_datagram){
			.data = p->data + at,
			.len = mf_min(stride, p->len - at),
			.remote = address_of(&p->remote.addr, p->remote.port, p->remote.scope_id),
			.local = address_of(&p->local, 0, p->local_if),
			.tos = p->tos,
		};
		if (n == DATAGRAMS_AT_ONCE || at + stride >= p->len) {
			m->host.send_udp(m->host.self, (uint32_t)(s - m->socket), list, n);
			n = 0;
		}
	}
}

static void udp_send(void *ctx, struct mf_pkt **pkts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		send_batch(ctx, pkts[i]);
		pkts[i]->drop = MF_DROP_NONE;
	}
}

static mf_err udp_open(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
		       uint32_t n_workers, void **handle, struct mf_errbuf *eb)
{
	struct mintflow *m = ctx;
	uint32_t i = 0;

	(void)mark;
	(void)n_workers; /* one */
	while (i < MF_UDP_SLOTS && m->socket[i].open)
		i++;
	if (i == MF_UDP_SLOTS)
		return mf_fail(eb, MF_E_FULL, "no more than %d UDP ports", MF_UDP_SLOTS);
	if (m->host.open_udp(m->host.self, i, port))
		return mf_fail(eb, MF_E_SYSTEM, "the host could not open UDP port %u", *port);
	m->socket[i] = (struct socket){ m, true };
	slots[0].port[0] = (struct mf_udp_port){ .ctx = &m->socket[i], udp_recv, udp_send, NULL };
	slots[0].port[1] = (struct mf_udp_port){ .ctx = &m->socket[i], NULL, udp_send, NULL };
	*handle = &m->socket[i];
	return MF_OK;
}

static void udp_close(void *ctx, void *handle)
{
	struct mintflow *m = ctx;
	struct socket *s = handle;

	s->open = false;
	if (m->host.close_udp)
		m->host.close_udp(m->host.self, (uint32_t)(s - m->socket));
}

static void resolve(void *ctx, const char *name, uint16_t port, uint64_t tag)
{
	struct mintflow *m = ctx;

	if (m->host.resolve)
		m->host.resolve(m->host.self, name, port, tag);
}

static void random_fill(void *ctx, void *out, size_t n)
{
	struct mintflow *m = ctx;

	m->host.random(m->host.self, out, n);
}

static struct mf_wg_wall wall_clock(void *ctx)
{
	struct mintflow *m = ctx;
	struct mf_wg_wall w = { 0 };

	m->host.wall_clock(m->host.self, &w.sec, &w.nsec);
	return w;
}

static void write_log(void *ctx, enum mf_log_level level, const char *line)
{
	struct mintflow *m = ctx;

	if (m->host.log)
		m->host.log(m->host.self, (int)level, line);
}

static void wake_control(void *ctx)
{
	((struct mintflow *)ctx)->control_due = true;
}

static void wake_worker(void *ctx, unsigned index)
{
	(void)index;
	((struct mintflow *)ctx)->worker_due = true;
}

/* ---- The round --------------------------------------------------------------------------------- */

/* Until nothing is left to do at `now`: the worker's passes, then the control thread's part, which may
 * give the worker orders. Between calls the worker counts as asleep, so that nothing waits for it. */
static void run(struct mintflow *m, mf_nsec now)
{
	mf_nsec wheel = MF_NEVER, next = now;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		mf_worker_wake(m->worker);
		m->worker_due = m->control_due = false;
		while (mf_worker_pass(m->worker, now))
			;
		if (!mf_worker_sleep(m->worker, &wheel))
			continue;
		next = mf_engine_control(m->engine, now);
		if (!m->worker_due && !m->control_due && next > now)
			break;
	}
	m->deadline = mf_min(next, wheel);
}

static bool valid(const struct mintflow_address *a)
{
	return a->family == MF_AF_IP4 || a->family == MF_AF_IP6;
}

int mintflow_input_ip(struct mintflow *m, uint64_t now, const struct mintflow_packet *packets,
		      size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (packets[i].len > UINT16_MAX)
			return MINTFLOW_E_ARGUMENT;
	m->packets = packets;
	m->n_packets = n;
	run(m, now);
	n = m->n_packets;
	m->n_packets = 0;
	if (!n)
		return MINTFLOW_OK;
	mf_count(&m->worker->graph.ledger.received_tun, n);
	mf_graph_lose(&m->worker->graph, MF_DROP_BUFFERS, (uint32_t)n);
	return MINTFLOW_E_BUSY;
}

int mintflow_input_udp(struct mintflow *m, uint64_t now, uint32_t socket,
		       const struct mintflow_datagram *datagrams, size_t n)
{
	if (socket >= MF_UDP_SLOTS || !m->socket[socket].open)
		return MINTFLOW_E_ARGUMENT;
	for (size_t i = 0; i < n; i++)
		if (datagrams[i].len > UINT16_MAX || !valid(&datagrams[i].remote))
			return MINTFLOW_E_ARGUMENT;
	m->datagrams = datagrams;
	m->n_datagrams = n;
	m->from_socket = socket;
	run(m, now);
	n = m->n_datagrams;
	m->n_datagrams = 0;
	if (!n)
		return MINTFLOW_OK;
	mf_count(&m->worker->graph.ledger.received_udp, n);
	mf_graph_lose(&m->worker->graph, MF_DROP_BUFFERS, (uint32_t)n);
	return MINTFLOW_E_BUSY;
}

int mintflow_tick(struct mintflow *m, uint64_t now)
{
	run(m, now);
	return MINTFLOW_OK;
}

uint64_t mintflow_next_deadline(const struct mintflow *m)
{
	return m->deadline;
}

int mintflow_network_changed(struct mintflow *m, uint64_t now)
{
	mf_engine_network_changed(m->engine, now);
	run(m, now);
	return MINTFLOW_OK;
}

int mintflow_resolved(struct mintflow *m, uint64_t now, uint64_t tag,
		      const struct mintflow_address *address)
{
	struct mf_endpoint e = endpoint_of(address);

	mf_engine_resolved(m->engine, tag, &e, e.addr.family != 0, now);
	run(m, now);
	return MINTFLOW_OK;
}

/* ---- Profiles, begin and end ------------------------------------------------------------------- */

static int result_of(mf_err err)
{
	switch (err) {
	case MF_OK:
		return MINTFLOW_OK;
	case MF_E_NO_MEMORY:
		return MINTFLOW_E_MEMORY;
	case MF_E_SYSTEM:
		return MINTFLOW_E_SOCKET;
	default:
		return MINTFLOW_E_PROFILE;
	}
}

static void tell(char *why, size_t why_size, const char *text)
{
	size_t n = mf_min(strlen(text), why_size ? why_size - 1 : 0);

	if (!why || !why_size)
		return;
	memcpy(why, text, n);
	why[n] = '\0';
}

/* The first thing in a profile that a file should hold, or NULL. */
static const char *needs_file(const struct mf_config *cfg)
{
	for (uint32_t i = 0; i < cfg->n_interfaces; i++) {
		const struct mf_config_interface *f = &cfg->interfaces[i];

		if (f->private_key_file)
			return "private_key_file: there are no files here; write the key itself";
		for (uint32_t k = 0; k < f->n_peers; k++)
			if (f->peers[k].preshared_key_file)
				return "preshared_key_file: there are no files here; write the key "
				       "itself";
	}
	for (uint32_t i = 0; i < cfg->n_cidr_sets; i++)
		if (cfg->cidr_sets[i].n_files)
			return "cidr_sets: there are no files here; write the prefixes themselves";
	return NULL;
}

static int parse(const char *text, size_t n, struct mf_config **out, char *why, size_t why_size)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text all = { 0 };
	const char *files;
	mf_err err = mf_config_parse(text, n, "profile", MF_CONFIG_NO_FILES, out, &errs);

	if (err) {
		mf_config_errors_print(&errs, &all);
		tell(why, why_size, all.s ? all.s : mf_err_text(err));
		mf_text_free(&all);
		mf_config_errors_free(&errs);
		return err == MF_E_NO_MEMORY ? MINTFLOW_E_MEMORY : MINTFLOW_E_PROFILE;
	}
	files = needs_file(*out);
	if (!files)
		return MINTFLOW_OK;
	tell(why, why_size, files);
	mf_config_free(*out);
	return MINTFLOW_E_PROFILE;
}

static int apply(struct mintflow *m, const struct mf_config *cfg, mf_nsec now, char *why,
		 size_t why_size)
{
	struct mf_apply_report report;
	struct mf_errbuf eb;
	mf_err err = mf_engine_apply(m->engine, cfg, now, &report, &eb);

	if (err)
		tell(why, why_size, eb.text);
	return result_of(err);
}

static int start(struct mintflow *m, const struct mf_config *cfg, int level, mf_nsec now, char *why,
		 size_t why_size)
{
	struct mf_engine_host host = {
		.ctx = m,
		.log = { write_log, m, (enum mf_log_level)level },
		.rng = { random_fill, m },
		.wall_clock = wall_clock,
		.udp_open = udp_open,
		.udp_close = udp_close,
		.resolve = resolve,
		.wake_control = wake_control,
		.wake_worker = wake_worker,
	};
	struct mf_engine_options o = {
		.n_workers = 1,
		.memory = cfg->limits.memory,
		.sessions = cfg->sessions.max,
		.proxies = mf_config_has_proxies(cfg),
	};
	struct mf_tun_port port = { m, tun_recv, tun_send };
	struct mf_errbuf eb;
	mf_err err = mf_engine_new(&m->engine, &o, &host, now, &eb);

	if (err) {
		tell(why, why_size, eb.text);
		return result_of(err);
	}
	m->memory = o.memory;
	m->sessions = o.sessions;
	m->worker = mf_engine_worker(m->engine, 0);
	mf_worker_set_tun(m->worker, &port);
	return apply(m, cfg, now, why, why_size);
}

static bool complete(const struct mintflow_host *h)
{
	return h->send_ip && h->send_udp && h->open_udp && h->random && h->wall_clock;
}

int mintflow_open(struct mintflow **out, const struct mintflow_options *options,
		  const struct mintflow_host *host, uint64_t now, char *why, size_t why_size)
{
	struct mintflow_options o = { 0 };
	struct mf_config *cfg;
	struct mintflow *m;
	int r;

	*out = NULL;
	memcpy(&o, options, mf_min(options->size, sizeof(o)));
	m = calloc(1, sizeof(*m));
	if (!m)
		return MINTFLOW_E_MEMORY;
	memcpy(&m->host, host, mf_min(host->size, sizeof(m->host)));
	if (!complete(&m->host) || !o.profile || o.log_level < 0 || o.log_level > MINTFLOW_DEBUG) {
		tell(why, why_size, "a callback or the profile is missing");
		free(m);
		return MINTFLOW_E_ARGUMENT;
	}
	r = parse(o.profile, o.profile_len, &cfg, why, why_size);
	if (r) {
		free(m);
		return r;
	}
	r = start(m, cfg, o.log_level, now, why, why_size);
	mf_config_free(cfg);
	if (r) {
		mintflow_close(m);
		return r;
	}
	run(m, now);
	*out = m;
	return MINTFLOW_OK;
}

void mintflow_close(struct mintflow *m)
{
	if (!m)
		return;
	mf_engine_free(m->engine);
	free(m);
}

int mintflow_reload(struct mintflow *m, uint64_t now, const char *profile, size_t profile_len,
		    char *why, size_t why_size)
{
	struct mf_config *cfg;
	int r = parse(profile, profile_len, &cfg, why, why_size);

	if (r)
		return r;
	if (cfg->limits.memory != m->memory || cfg->sessions.max != m->sessions) {
		tell(why, why_size,
		     "limits.memory and sessions.max cannot change while the engine runs");
		r = MINTFLOW_E_PROFILE;
	} else {
		r = apply(m, cfg, now, why, why_size);
	}
	mf_config_free(cfg);
	run(m, now);
	return r;
}

uint32_t mintflow_api_version(void)
{
	return MINTFLOW_API_VERSION;
}

static uint64_t count_sessions(struct mintflow *m)
{
	struct mf_iface_info f;
	uint64_t n = 0;

	for (uint32_t i = 0; mf_engine_iface(m->engine, i, &f); i++)
		for (struct mf_wg_peer *p = f.device ? mf_wg_peer_next(f.device, NULL) : NULL; p;
		     p = mf_wg_peer_next(f.device, p))
			n += mf_wg_has_session(p, m->worker->graph.now);
	return n;
}

void mintflow_counters(struct mintflow *m, struct mintflow_counters *out)
{
	struct mintflow_counters c;
	size_t size = mf_min(out->size, sizeof(c));
	struct mf_ledger l;

	mf_engine_ledger(m->engine, &l);
	c = (struct mintflow_counters){
		.size = out->size,
		.from_apps = l.received_tun,
		.to_apps = l.ended[MF_DELIVERED],
		.from_network = l.received_udp,
		.to_network = l.ended[MF_SENT],
		.dropped = l.ended[MF_DROPPED],
		.sessions = count_sessions(m),
	};
	memcpy(out, &c, size);
}
