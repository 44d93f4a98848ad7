/* SPDX-License-Identifier: Apache-2.0
 *
 * env - what the connections of one thread share: segment records, memory accounts, counters, the secret
 * of the initial sequence numbers, and the limbo of payload that has been acknowledged.
 */
#include "crypto/siphash.h"
#include "proto/tcp/internal.h"

#include <stdlib.h>

enum {
	DEFAULT_RECORDS = 8192,
	/* No connection takes more than this part of the records; a hostile peer may ask for as many as
	 * there are, and each ACK walks over those there are. */
	CONN_SHARE = 4,
};

mf_err mf_tcp_env_init(struct mf_tcp_env *env)
{
	struct mf_tcp_env_state *s = calloc(1, sizeof(*s));

	env->s = NULL;
	if (!s)
		return MF_E_NO_MEMORY;
	s->n_recs = env->n_records ? env->n_records : DEFAULT_RECORDS;
	s->rec = calloc(s->n_recs, sizeof(*s->rec));
	if (!s->rec) {
		free(s);
		return MF_E_NO_MEMORY;
	}
	env->rng.fill(env->rng.ctx, s->secret, sizeof(s->secret));
	env->s = s;
	return MF_OK;
}

void mf_tcp_env_fini(struct mf_tcp_env *env)
{
	struct mf_tcp_env_state *s = env->s;

	if (!s)
		return;
	mf_tcp_env_sweep(env);
	MF_ASSERT(!s->n_conns && !s->rx_held && !s->rx_due && !s->tx_held);
	mf_wipe(s->secret, sizeof(s->secret));
	free(s->rec);
	free(s);
	env->s = NULL;
}

void mf_tcp_env_sweep(struct mf_tcp_env *env)
{
	struct mf_pkt *p = env->s->limbo, *next;

	for (; p; p = next) {
		next = p->next;
		env->s->tx_held -= mf_tcp_pkt_held(p);
		mf_pkt_free(p);
	}
	env->s->limbo = NULL;
}

uint64_t mf_tcp_env_rx_held(const struct mf_tcp_env *env)
{
	return env->s->rx_held;
}

uint64_t mf_tcp_env_tx_held(const struct mf_tcp_env *env)
{
	return env->s->tx_held;
}

const struct mf_tcp_counters *mf_tcp_env_counters(const struct mf_tcp_env *env)
{
	return &env->s->count;
}

struct mf_tcp_rec *mf_tcp_rec_new(struct mf_tcp *c)
{
	struct mf_tcp_env_state *s = c->env->s;
	struct mf_tcp_rec *r = s->rec_free;

	if (c->n_recs >= mf_max(s->n_recs / CONN_SHARE, 1) || c->n_recs == UINT16_MAX)
		r = NULL;
	else if (r)
		s->rec_free = r->next;
	else if (s->n_recs_made < s->n_recs)
		r = &s->rec[s->n_recs_made++];
	if (!r && !c->own_rec.len)
		r = &c->own_rec;
	if (!r)
		return NULL;
	c->n_recs++;
	*r = (struct mf_tcp_rec){ 0 };
	return r;
}

void mf_tcp_rec_free(struct mf_tcp *c, struct mf_tcp_rec *r)
{
	struct mf_tcp_env_state *s = c->env->s;

	c->n_recs--;
	if (r == &c->own_rec) {
		r->len = 0;
		return;
	}
	r->next = s->rec_free;
	s->rec_free = r;
}

void mf_tcp_tx_release(struct mf_tcp *c, struct mf_pkt *p)
{
	c->snd_mem -= (uint32_t)mf_tcp_pkt_held(p);
	p->next = c->env->s->limbo;
	c->env->s->limbo = p;
}

/* RFC 6528 3: a clock of 4 us and a keyed hash of the connection's name. Timestamps begin at a number of
 * that name, too, so that they grow from one connection to the next (RFC 7323 5.4, 7.1). */
void mf_tcp_choose_numbers(struct mf_tcp *c, mf_nsec now)
{
	struct {
		uint8_t local[16], remote[16];
		uint16_t local_port, remote_port;
	} name;
	uint64_t h;

	memcpy(name.local, c->local.addr.b, sizeof(name.local));
	memcpy(name.remote, c->remote.addr.b, sizeof(name.remote));
	name.local_port = c->local.port;
	name.remote_port = c->remote.port;
	h = mf_siphash(c->env->s->secret, &name, sizeof(name));
	c->iss = (uint32_t)(now / (4 * MF_USEC)) + (uint32_t)h;
	c->ts_offset = (uint32_t)(h >> 32);
}
