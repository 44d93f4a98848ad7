/* SPDX-License-Identifier: Apache-2.0
 *
 * transport_udp - DNS over UDP, made hard to forge (RFC 5452): an answer must come from where the
 * question went, to a port it left from, with its id, its question and, with 0x20, its letters. The
 * ports are those of a pool of sockets, of which each question takes one at random; a socket is
 * renewed after a while.
 *
 * Silence: the question is sent again from another socket, under the same id, so that the answer to
 * either is taken. Truncated: it moves to a transport of its own over TCP.
 *
 * What does not fit its question is counted, and the question stays open: the right answer may
 * still come. But many such answers mean that somebody is guessing, and the questions of that
 * socket move to TCP, where there is nothing to guess. So does a question whose answer has all but
 * the letters right: some servers change them.
 *
 * A proxy may carry no datagrams (HTTP), or have no mind to (many SOCKS5 servers): then questions go
 * over TCP from the beginning.
 */
#include "base/endian.h"
#include "resolver/internal.h"
#include "wire/icmp.h"

#define PATIENCE MF_SEC
#define WORN_AGE (10 * MF_SEC)
/* So long a proxy is taken at its word that it carries no datagrams. */
#define FORBIDDEN_FOR (60 * MF_SEC)

enum {
	SOCKETS = 16, /* of each family */
	WORN_ASKED = 32,
	GUESSES_MAX = 16, /* wrong answers to one socket */
	TRIES = 3,
	BURST = 16,
	ROUNDS = 4, /* bursts of one socket, before others get their turn */
	ERRORS = 16,
};

struct udp;

struct sock {
	struct mf_dgram d;
	struct udp *udp;
	bool open;
	uint32_t bit;  /* in mf_ask.sockets */
	uint32_t life; /* how many times it has been opened */
	uint32_t asked, waiting, guesses;
	mf_nsec opened;
	uint16_t ids[WORN_ASKED]; /* asked last, open or not: tells late answers from guesses */
};

struct udp {
	struct mf_transport t;
	struct sock sock[2 * SOCKETS]; /* IPv4, IPv6 */
	struct mf_transport *tcp;      /* NULL: not needed so far */
	mf_nsec forbidden_until;       /* no datagrams before that */
};
static_assert(2 * SOCKETS <= 32, "a bit for each socket in mf_ask.sockets");

static struct udp *udp_of(struct mf_transport *t)
{
	return MF_CONTAINER_OF(t, struct udp, t);
}

static void move_to_tcp(struct udp *u, struct mf_ask *a, mf_nsec now)
{
	struct mf_transport *t = &u->t;

	if (!u->tcp)
		u->tcp = mf_transport_make(&mf_transport_stream, t->env, t->server, t->hop, t->count);
	if (!u->tcp) {
		mf_transport_fail(t, a, MF_TRANSPORT_RESOURCES);
		return;
	}
	mf_transport_move(u->tcp, a, now);
}

static void ask_over_tcp(struct udp *u, struct mf_ask *a, mf_nsec now)
{
	mf_count(&u->t.count->tcp_again, 1);
	move_to_tcp(u, a, now);
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void wake(struct mf_dgram *d)
{
	const struct mf_transport_env *env = MF_CONTAINER_OF(d, struct sock, d)->udp->t.env;

	env->wake(env->ctx);
}

static bool is_worn(const struct sock *s, mf_nsec now)
{
	return s->asked >= WORN_ASKED || now - s->opened >= WORN_AGE;
}

/* With a port that the outbound chooses. False: d.error says why. */
static bool open_sock(struct sock *s, uint8_t family, mf_nsec now)
{
	struct mf_outbound *o = mf_transport_outbound(&s->udp->t);
	struct mf_target to = { .addr.addr.family = family, .app.addr.family = family };

	s->d = (struct mf_dgram){
		.out = o,
		.kind = MF_DGRAM_UDP,
		.family = family,
		.wake = wake,
	};
	if (!o || !o->ops->dgram_open || o->ops->dgram_open(o, &s->d, &to) != MF_OK)
		return false;
	s->open = true;
	s->life++;
	s->asked = s->guesses = 0;
	s->opened = now;
	return true;
}

static void close_sock(struct sock *s)
{
	if (!s->open)
		return;
	s->d.out->ops->dgram_close(&s->d);
	s->open = false;
}

/* What becomes of questions that wait at a socket which is given up. */
enum orphans {
	ASK_AGAIN, /* those that wait at no other */
	FAIL,      /* the same */
	OVER_TCP,  /* all */
};

struct giving_up {
	struct sock *s;
	enum orphans way;
	mf_nsec now;
};

/* `renew` goes to pick: never from within mf_transport_each, which giving up a socket would
 * disturb. */
static void send_ask(struct udp *u, struct mf_ask *a, bool renew, mf_nsec now);

static void orphan(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	const struct giving_up *g = arg;

	if (!(a->sockets & g->s->bit))
		return;
	a->sockets &= ~g->s->bit;
	g->s->waiting--;
	if (g->way == OVER_TCP)
		ask_over_tcp(udp_of(t), a, g->now);
	else if (!a->sockets && g->way == FAIL)
		mf_transport_fail(t, a, MF_TRANSPORT_UNREACHABLE);
	else if (!a->sockets)
		send_ask(udp_of(t), a, false, g->now);
}

static void give_up(struct sock *s, enum orphans way, mf_nsec now)
{
	struct giving_up g = { .s = s, .way = way, .now = now };

	close_sock(s);
	mf_transport_each(&s->udp->t, orphan, &g);
}

/* A random socket that is not worn out and from which the question has not been sent yet. NULL:
 * none could be opened. `renew`: if all are worn out while questions wait at them, one is given
 * up. */
static struct sock *pick(struct udp *u, const struct mf_ask *a, bool renew, mf_nsec now)
{
	uint8_t family = u->t.server->addr[a->which].addr.family;
	struct sock *pool = &u->sock[family == MF_AF_IP4 ? 0 : SOCKETS], *s, *spare = NULL;
	uint32_t start = mf_rng_u32(&u->t.env->rng);

	for (uint32_t i = 0; i < SOCKETS; i++) {
		s = &pool[(start + i) % SOCKETS];
		if (a->sockets & s->bit)
			continue;
		if (s->open && is_worn(s, now) && !s->waiting)
			close_sock(s);
		if (!s->open)
			return open_sock(s, family, now) ? s : NULL;
		if (!is_worn(s, now))
			return s;
		spare = s;
	}
	if (!renew)
		return spare;
	give_up(spare, ASK_AGAIN, now);
	return spare->open || open_sock(spare, family, now) ? spare : NULL;
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* Whether a packet with this fate has left, or might the next time. */
static bool may_arrive(uint16_t drop)
{
	return drop == MF_DROP_NONE || drop == MF_DROP_OUTBOUND_BUSY || drop == MF_DROP_BUFFERS;
}

/* False: there is no way to the server. */
static bool send_packet(struct udp *u, struct sock *s, const struct mf_ask *a)
{
	struct mf_pkt *p = mf_pkt_small(u->t.env->pool);
	bool sent;

	if (!p)
		return true; /* as if it were lost on the way */
	p->len = (uint32_t)mf_transport_question(&u->t, a, a->id, false, p->data);
	p->remote = u->t.server->addr[a->which];
	s->d.out->ops->dgram_send(&s->d, &p, 1);
	sent = may_arrive(p->drop);
	mf_pkt_free(p);
	return sent;
}

static void send_ask(struct udp *u, struct mf_ask *a, bool renew, mf_nsec now)
{
	struct sock *s = pick(u, a, renew, now);
	mf_nsec patience = a->patience ? a->patience : PATIENCE;

	if (!s || !send_packet(u, s, a)) {
		mf_transport_fail(&u->t, a, MF_TRANSPORT_UNREACHABLE);
		return;
	}
	s->ids[s->asked++ % WORN_ASKED] = a->id;
	s->waiting++;
	a->sockets |= s->bit;
	if (++a->tries < TRIES)
		mf_transport_remind(&u->t, a, now + (patience << (a->tries - 1)));
	mf_count(&u->t.count->asked, 1);
}

static void ask(struct mf_transport *t, struct mf_ask *a, mf_nsec now)
{
	const struct mf_outbound *o = mf_transport_outbound(t);

	if (o && (o->streams_only || !o->ops->dgram_open || now < udp_of(t)->forbidden_until))
		move_to_tcp(udp_of(t), a, now);
	else
		send_ask(udp_of(t), a, true, now);
}

static void forget(struct mf_transport *t, struct mf_ask *a)
{
	struct udp *u = udp_of(t);

	for (uint32_t left = a->sockets; left; left &= left - 1)
		u->sock[__builtin_ctz(left)].waiting--;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static bool was_asked(const struct sock *s, uint16_t id)
{
	for (uint32_t i = 0; i < s->asked && i < WORN_ASKED; i++)
		if (s->ids[i] == id)
			return true;
	return false;
}

static void take_guess(struct sock *s, mf_nsec now)
{
	mf_count(&s->udp->t.count->spoofed, 1);
	if (++s->guesses >= GUESSES_MAX)
		give_up(s, OVER_TCP, now);
}

/* It has come to a socket the question left from, from the right address and with the right id. */
static void take_answer(struct sock *s, struct mf_ask *a, struct mf_span msg, mf_nsec now)
{
	struct mf_transport *t = &s->udp->t;
	uint8_t question[MF_TRANSPORT_QUESTION_MAX];
	struct mf_span q = { question, mf_transport_question(t, a, a->id, false, question) };
	bool cut = mf_load_be16(msg.p + 2) & MF_DNS_TC;
	mf_err err = mf_dns_answer_check(q, msg, t->env->mix_case);

	if (err == MF_OK && !cut)
		mf_transport_answer(t, a, msg, now);
	else if (err == MF_OK)
		ask_over_tcp(s->udp, a, now);
	else if (err != MF_E_CONFLICT)
		mf_count(&t->count->malformed, 1);
	else if (t->env->mix_case && mf_dns_answer_check(q, msg, false) == MF_OK)
		ask_over_tcp(s->udp, a, now);
	else
		take_guess(s, now);
}

static void take_message(struct sock *s, const struct mf_endpoint *from, struct mf_span msg,
			 mf_nsec now)
{
	struct mf_transport *t = &s->udp->t;
	struct mf_ask *a;
	uint16_t id;

	if (msg.n < MF_DNS_HEADER) {
		mf_count(&t->count->malformed, 1);
		return;
	}
	id = mf_load_be16(msg.p);
	a = mf_transport_find(t, id);
	if (a && a->sockets & s->bit && mf_endpoint_equal(from, &t->server->addr[a->which]))
		take_answer(s, a, msg, now);
	else if (!(a && a->sockets & s->bit) && was_asked(s, id))
		mf_count(&t->count->unexpected, 1);
	else
		take_guess(s, now);
}

/* One datagram, or several of one size that came together. */
static void take_packet(struct sock *s, const struct mf_pkt *p, mf_nsec now)
{
	size_t each = p->gso_size ? p->gso_size : p->len, n;
	uint32_t life = s->life;

	/* What happens to the first may be the end of the socket, or of its port. */
	for (size_t at = 0; at < p->len && s->open && s->life == life; at += n) {
		n = mf_min(each, p->len - at);
		take_message(s, &p->remote, mf_span(p->data + at, n), now);
	}
}

/* True: there may be more. */
static bool take_packets(struct sock *s, mf_nsec now)
{
	struct mf_pkt *p[BURST];
	uint32_t life = s->life;
	size_t n;

	for (unsigned i = 0; i < ROUNDS; i++) {
		n = s->d.out->ops->dgram_recv(&s->d, s->udp->t.env->pool, p, BURST);
		for (size_t k = 0; k < n; k++) {
			if (s->open && s->life == life)
				take_packet(s, p[k], now);
			mf_pkt_free(p[k]);
		}
		if (!n || !s->open || s->life != life)
			return false;
	}
	return true;
}

/* ---- Errors ---------------------------------------------------------------------------------- */

struct unreachable {
	const struct sock *s;
	const struct mf_endpoint *remote;
};

static void fail_unreachable(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	const struct unreachable *x = arg;

	if (a->sockets & x->s->bit && mf_endpoint_equal(&t->server->addr[a->which], x->remote))
		mf_transport_fail(t, a, MF_TRANSPORT_UNREACHABLE);
}

/* Means that the server cannot be reached; "too big" and the like do not. */
static bool is_hard(const struct mf_dgram_error *e)
{
	if (e->remote.addr.family == MF_AF_IP4)
		return e->type == MF_ICMP4_TIME_EXCEEDED ||
		       (e->type == MF_ICMP4_UNREACHABLE && e->code != 4);
	return e->type == MF_ICMP6_TIME_EXCEEDED || e->type == MF_ICMP6_UNREACHABLE;
}

/* "Administratively prohibited", says what leads to the server, nobody behind it. */
static bool is_forbidden(const struct mf_dgram_error *e)
{
	if (e->offender.family)
		return false;
	if (e->remote.addr.family == MF_AF_IP4)
		return e->type == MF_ICMP4_UNREACHABLE && e->code == 13;
	return e->type == MF_ICMP6_UNREACHABLE && e->code == 1;
}

/* True: there may be more. */
static bool take_errors(struct sock *s, mf_nsec now)
{
	struct mf_dgram_error e = { 0 };
	struct unreachable x = { .s = s, .remote = &e.remote };

	for (unsigned i = 0; i < ERRORS; i++) {
		if (!s->d.out->ops->dgram_error(&s->d, &e))
			return false;
		if (is_forbidden(&e)) {
			s->udp->forbidden_until = now + FORBIDDEN_FOR;
			give_up(s, OVER_TCP, now);
			return false;
		}
		if (is_hard(&e))
			mf_transport_each(&s->udp->t, fail_unreachable, &x);
		e = (struct mf_dgram_error){ 0 };
	}
	return true;
}

/* True: there may be more. */
static bool serve(struct sock *s, mf_nsec now)
{
	uint32_t ready = s->d.ready;
	bool more;

	s->d.ready = 0;
	if (ready & MF_STREAM_FAILED) {
		give_up(s, FAIL, now);
		return false;
	}
	if (!(ready & MF_STREAM_READABLE))
		return false;
	more = take_errors(s, now);
	if (s->open)
		more |= take_packets(s, now);
	if (more && s->open)
		s->d.ready |= MF_STREAM_READABLE;
	return more;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static mf_err init(struct mf_transport *t)
{
	struct udp *u = udp_of(t);

	for (size_t i = 0; i < MF_ARRAY_LEN(u->sock); i++) {
		u->sock[i].udp = u;
		u->sock[i].bit = 1u << i;
	}
	return MF_OK;
}

static void close_all(struct udp *u)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(u->sock); i++)
		close_sock(&u->sock[i]);
}

static void fini(struct mf_transport *t)
{
	close_all(udp_of(t));
	mf_transport_free(udp_of(t)->tcp);
}

/* A port that nobody waits at is not kept for longer than a port in use. */
static mf_nsec close_worn(struct udp *u, mf_nsec now)
{
	mf_nsec next = MF_NEVER;

	for (size_t i = 0; i < MF_ARRAY_LEN(u->sock); i++) {
		struct sock *s = &u->sock[i];

		if (!s->open || s->waiting)
			continue;
		if (is_worn(s, now))
			close_sock(s);
		else
			next = mf_min(next, s->opened + WORN_AGE);
	}
	return next;
}

static mf_nsec run(struct mf_transport *t, mf_nsec now)
{
	struct udp *u = udp_of(t);
	mf_nsec next;
	bool more = false;

	for (size_t i = 0; i < MF_ARRAY_LEN(u->sock); i++)
		if (u->sock[i].open)
			more |= serve(&u->sock[i], now);
	next = close_worn(u, now);
	if (u->tcp)
		next = mf_min(next, mf_transport_run(u->tcp, now));
	return more ? now : next;
}

static void ask_anew(struct mf_transport *t, struct mf_ask *a, void *arg)
{
	const mf_nsec *now = arg;

	forget(t, a);
	a->sockets = 0;
	a->tries = 0;
	send_ask(udp_of(t), a, false, *now);
}

static void reset(struct mf_transport *t, mf_nsec now)
{
	struct udp *u = udp_of(t);

	close_all(u);
	mf_transport_each(t, ask_anew, &now);
	if (u->tcp)
		mf_transport_reset(u->tcp, now);
}

static void due(struct mf_transport *t, struct mf_ask *a, mf_nsec now)
{
	send_ask(udp_of(t), a, true, now);
}

const struct mf_transport_ops mf_transport_udp = {
	.size = sizeof(struct udp),
	.init = init,
	.fini = fini,
	.ask = ask,
	.forget = forget,
	.due = due,
	.run = run,
	.reset = reset,
};
