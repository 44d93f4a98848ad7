/* SPDX-License-Identifier: Apache-2.0
 *
 * session - what sessions of all kinds have in common: lists, timers, counts, and the facts for others.
 *
 * The sequence lock of the facts: the release fence keeps the odd number before every word that is written,
 * the acquire fence keeps every word that is read before the second look at the number (Boehm, "Can seqlocks
 * get along with programming language memory models?", 2012).
 */
#include "host/internal.h"

enum {
	WORDS = sizeof(struct mf_session_facts) / sizeof(uint64_t),
	/* A time-out of the far side, which is the outbound's business, comes well before this. */
	HALF_OPEN_SECONDS = 150,
	/* So much of the table may be in TIME-WAIT. */
	TIME_WAIT_PART = 4,
	STARVED_RETRY_MS = 2,
};

/* ---- Facts ----------------------------------------------------------------------------------------- */

const char *mf_session_state_text(enum mf_session_state s)
{
	static const char *const text[] = {
#define X(name, t) [MF_SESSION_##name] = t,
		MF_SESSION_STATE_LIST(X)
#undef X
	};

	return s < MF_SESSION_STATE_COUNT ? text[s] : "?";
}

void mf_session_write_facts(struct mf_session_public *pub, const struct mf_session_facts *facts)
{
	const uint64_t *from = (const void *)facts;
	uint64_t *to = (void *)&pub->facts;
	uint32_t seq = pub->seq;

	__atomic_store_n(&pub->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORDS; i++)
		if (to[i] != from[i]) /* most are as they were */
			__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	__atomic_store_n(&pub->seq, seq + 2, __ATOMIC_RELEASE);
}

void mf_session_read_facts(const struct mf_session_public *pub, struct mf_session_facts *out)
{
	const uint64_t *from = (const void *)&pub->facts;
	uint64_t *to = (void *)out;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&pub->seq, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < WORDS; i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&pub->seq, __ATOMIC_RELAXED));
}

static void begin_rates(struct mf_session *s, mf_nsec now)
{
	s->facts.rate_at = now;
	s->rate_bytes_up = s->facts.bytes_up;
	s->rate_bytes_down = s->facts.bytes_down;
}

static uint64_t per_second(uint64_t bytes, mf_nsec span)
{
	return (uint64_t)((unsigned __int128)bytes * MF_SEC / span);
}

bool mf_session_due(const struct mf_session *s)
{
	return s->host->now - s->facts.rate_at >= MF_SEC;
}

void mf_session_publish(struct mf_session *s)
{
	struct mf_session_facts *f = &s->facts;
	mf_nsec now = s->host->now, span = now - f->rate_at;

	if (span >= MF_SEC) {
		f->rate_up = per_second(f->bytes_up - s->rate_bytes_up, span);
		f->rate_down = per_second(f->bytes_down - s->rate_bytes_down, span);
		begin_rates(s, now);
	}
	if (!s->inner)
		mf_session_write_facts(&s->pub, f);
}

/* ---- Traffic --------------------------------------------------------------------------------------- */

static void heard(struct mf_session *s)
{
	mf_nsec now = s->host->now;

	/* A rate is not to be thinned by the silence before it. */
	if (now - s->facts.last > MF_SEC)
		begin_rates(s, now);
	s->facts.last = now;
}

void mf_session_up(struct mf_session *s, size_t bytes, uint32_t packets)
{
	struct mf_host *h = s->host;

	heard(s);
	s->facts.packets_up += packets;
	if (!bytes)
		return;
	s->facts.bytes_up += bytes;
	mf_count(&h->count.bytes_up, bytes);
	mf_count(&mf_host_hop_of(h, s->facts.hop)->bytes_up, bytes);
}

void mf_session_down(struct mf_session *s, size_t bytes, uint32_t packets)
{
	struct mf_host *h = s->host;

	heard(s);
	s->facts.packets_down += packets;
	if (!bytes)
		return;
	s->facts.bytes_down += bytes;
	mf_count(&h->count.bytes_down, bytes);
	mf_count(&mf_host_hop_of(h, s->facts.hop)->bytes_down, bytes);
}

/* ---- Lists ----------------------------------------------------------------------------------------- */

void mf_session_list_init(struct mf_session_list *l)
{
	*l = (struct mf_session_list){ .last = &l->first };
}

void mf_session_list_remove(struct mf_session *s)
{
	struct mf_session_list *l = s->list;

	if (!l)
		return;
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		l->last = s->prev;
	l->n--;
	s->list = NULL;
	s->next = NULL;
	s->prev = NULL;
}

/* `at` is a link of the list: s comes before what it points at. */
static void insert(struct mf_session_list *l, struct mf_session **at, struct mf_session *s)
{
	s->list = l;
	s->prev = at;
	s->next = *at;
	if (s->next)
		s->next->prev = &s->next;
	else
		l->last = &s->next;
	*at = s;
	l->n++;
}

static void move(struct mf_session_list *l, struct mf_session *s)
{
	mf_session_list_remove(s);
	insert(l, l->last, s);
}

void mf_session_ready(struct mf_session *s)
{
	if (s->list != &s->host->ready)
		move(&s->host->ready, s);
}

static void look_again(struct mf_timer *t, void *ctx, mf_nsec now)
{
	(void)t, (void)ctx, (void)now; /* the pass for which it wakes us does */
}

static void keep_looking(struct mf_host *h)
{
	h->starved_timer.fire = look_again;
	if (!mf_timer_armed(&h->starved_timer))
		mf_timer_arm(&h->wheel, &h->starved_timer, h->now + STARVED_RETRY_MS * MF_MSEC);
}

void mf_session_starve(struct mf_session *s)
{
	move(&s->host->starved, s);
	keep_looking(s->host);
}

void mf_session_feed(struct mf_host *h)
{
	struct mf_session **at = &h->ready.first, *s;

	if (MF_LIKELY(!h->starved.n))
		return;
	if (!mf_host_spare_small(h) || !mf_host_spare_large(h)) {
		keep_looking(h);
		return;
	}
	for (; (s = h->starved.first); at = &s->next) {
		mf_session_list_remove(s);
		insert(&h->ready, at, s);
	}
}

static void leave_source(struct mf_host *h, struct mf_session *s)
{
	if (s->source)
		mf_source_leave(h->sources, s->source, s->half_open);
	s->source = NULL;
	s->half_open = false;
}

void mf_session_wait(struct mf_session *s)
{
	struct mf_host *h = s->host;

	leave_source(h, s);
	move(&h->time_wait, s);
	if (h->time_wait.n > mf_flow_max(h->table) / TIME_WAIT_PART + 1)
		mf_session_end(h, h->time_wait.first, false);
}

/* ---- Timers ---------------------------------------------------------------------------------------- */

mf_nsec mf_session_timeout(const struct mf_host *h, const struct mf_session *s)
{
	switch (s->facts.kind) {
	case MF_SESSION_TCP:
		return h->cfg.tcp_idle;
	case MF_SESSION_DNS:
		return h->cfg.udp_dns;
	case MF_SESSION_QUIC:
		return h->cfg.udp_quic;
	case MF_SESSION_ECHO:
		return h->cfg.echo;
	default:
		return h->cfg.udp;
	}
}

/* Traffic keeps a session, but not one that gets no further. */
static mf_nsec idle_at(const struct mf_session *s)
{
	mf_nsec at = s->facts.last + mf_session_timeout(s->host, s);

	if (s->flow.key.side == MF_SIDE_OURS && s->facts.kind != MF_SESSION_TCP)
		return MF_NEVER; /* its user knows when it is done */
	return s->half_open ? mf_min(at, s->facts.started + HALF_OPEN_SECONDS * MF_SEC) : at;
}

/* Time-outs mostly move away. So the timer stays where it is when it is early, and looks again then:
 * traffic costs no work on the wheel. */
static void arm(struct mf_session *s)
{
	mf_nsec at = mf_min(s->wake_at, idle_at(s));

	if (!mf_timer_armed(&s->timer) || at < s->timer.deadline)
		mf_timer_arm(&s->host->wheel, &s->timer, at);
}

static void fire(struct mf_timer *t, void *ctx, mf_nsec now)
{
	struct mf_session *s = MF_CONTAINER_OF(t, struct mf_session, timer);
	struct mf_host *h = ctx;

	if (now >= idle_at(s)) {
		mf_count(&h->count.idle_ended, 1);
		mf_session_end(h, s, true);
		return;
	}
	if (now >= s->wake_at) {
		s->wake_at = MF_NEVER;
		mf_session_ready(s);
	}
	arm(s);
}

void mf_session_arm(struct mf_session *s, mf_nsec at)
{
	s->timer.fire = fire;
	s->wake_at = mf_min(s->wake_at, at);
	arm(s);
}

/* ---- Its life -------------------------------------------------------------------------------------- */

void mf_session_set_stray(struct mf_host *h, struct mf_session *s, bool stray)
{
	int by = stray - s->facts.stray;

	if (!by)
		return;
	s->facts.stray = stray;
	h->strays += (uint32_t)by;
	if (h->owners)
		mf_owners_add_strays(h->owners, by);
}

void mf_session_move(struct mf_host *h, struct mf_session *s, uint32_t hop)
{
	struct mf_hop_totals *from = mf_host_hop_of(h, s->facts.hop), *to = mf_host_hop_of(h, hop);

	mf_uncount(&from->sessions, 1);
	mf_uncount(&from->opened, 1);
	mf_count(&to->sessions, 1);
	mf_count(&to->opened, 1);
	s->facts.hop = hop;
}

void mf_session_opened(struct mf_session *s)
{
	if (s->half_open)
		mf_source_opened(s->host->sources, s->source);
	s->half_open = false;
}

void mf_session_end(struct mf_host *h, struct mf_session *s, bool tell_app)
{
	s->ops->close(h, s, tell_app);
	mf_session_free(h, s);
}

void mf_session_free(struct mf_host *h, struct mf_session *s)
{
	struct mf_flow_key k = s->flow.key;

	if (s->held)
		h->port.release(h->port.ctx, s->facts.kind == MF_SESSION_TCP ? &s->facts.dst.addr
									     : &s->datagram.first);
	mf_session_list_remove(s);
	mf_timer_disarm(&h->wheel, &s->timer);
	leave_source(h, s);
	mf_session_set_stray(h, s, false);
	if (!s->inner) {
		mf_uncount(&h->count.sessions, 1);
		mf_uncount(&mf_host_hop_of(h, s->facts.hop)->sessions, 1);
	}
	s->facts.state = MF_SESSION_FREE;
	mf_session_write_facts(&s->pub, &s->facts);
	mf_flow_remove(h->table, s);
	h->mappings[k.hop] -= k.hop != 0;
	mf_host_disown(h, &k);
}
