/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp_data - the bytes of a TCP session on their way through us, in both directions without a copy: out of
 * the packets in which the app's segments came, and into the packets from which segments to it are sent.
 *
 * Nothing is buffered between the two sides but what TCP itself must keep: what the far side does not take
 * stays in the receive queue and closes the app's window; what the app has no room for stays unread.
 */
#include "host/internal.h"

enum {
	SHARE = 512 * 1024, /* bytes of a turn, in each direction: then it is the next session's turn */
	SPANS = 64,
	ROOMS = 8,
	BULK = 8192, /* bytes of a read that are worth a large packet of their own */
};

/* ---- App to far side ------------------------------------------------------------------------------- */

bool mf_session_tcp_push(struct mf_host *h, struct mf_session *s)
{
	struct mf_stream *st = &s->tcp.stream;
	struct mf_tcp *c = &s->tcp.conn;
	struct mf_span v[SPANS];
	size_t share = SHARE, want, took, n;

	while (!s->tcp.write_blocked && (n = mf_tcp_recv_spans(c, v, SPANS, &want)) > 0) {
		if (!share)
			return true;
		while (want > share && n > 1)
			want -= v[--n].n;
		took = st->out->ops->stream_write(st, v, n);
		MF_ASSERT(took <= want);
		s->tcp.write_blocked = took < want;
		if (took) {
			mf_tcp_recv_done(&h->tcp, c, took);
			mf_session_up(s, took, 0);
		}
		share -= mf_min(share, took);
	}
	return false;
}

/* ---- Far side to app ------------------------------------------------------------------------------- */

/* What a read asks for, and the packets that it goes into. */
struct intake {
	struct mf_pkt *pkt[ROOMS];
	struct mf_room room[ROOMS];
	size_t n, asked;
};

static void add_room(struct intake *in, struct mf_pkt *p, size_t n)
{
	in->pkt[in->n] = p;
	in->room[in->n++] = (struct mf_room){ .p = p->data, .n = n };
	in->asked += n;
}

static void free_from(struct intake *in, size_t i)
{
	for (; i < in->n; i++)
		mf_pkt_free(in->pkt[i]);
	in->n = 0;
}

/* Nobody knows yet how much comes: a small packet, and a large one for the rest. */
static bool prepare_first(struct mf_host *h, struct intake *in, size_t want)
{
	if (!mf_host_spare_small(h) || !mf_host_spare_large(h))
		return false;
	add_room(in, mf_pkt_small(h->pool), mf_min(want, MF_PKT_SMALL_MAX));
	if (want > MF_PKT_SMALL_MAX)
		add_room(in, mf_pkt_large(h->pool), want - MF_PKT_SMALL_MAX);
	return true;
}

/* Much comes: large packets, each for what makes the best segment. When they run short a session takes no
 * more than half of those that are left. */
static bool prepare_bulk(struct mf_host *h, struct intake *in, size_t want, size_t chunk)
{
	uint32_t max = (mf_host_spare_large(h) + 1) / 2;

	while (want && in->n < ROOMS && in->n < max) {
		size_t n = mf_min(want, chunk);

		add_room(in, mf_pkt_large(h->pool), n);
		want -= n;
	}
	return in->n > 0;
}

static void give_to_app(struct mf_host *h, struct mf_session *s, struct mf_pkt *p, size_t n)
{
	p->len = (uint32_t)n;
	mf_tcp_send(&h->tcp, &s->tcp.conn, p);
}

/* `n` bytes have come into the two packets of prepare_first. */
static void deliver_first(struct mf_host *h, struct mf_session *s, struct intake *in, size_t n)
{
	struct mf_pkt *p = in->pkt[0];

	if (in->n == 2) {
		p = mf_pkt_land(in->pkt[0], in->pkt[1], n);
		mf_pkt_free(p == in->pkt[0] ? in->pkt[1] : in->pkt[0]);
	}
	give_to_app(h, s, p, n);
}

static void deliver_bulk(struct mf_host *h, struct mf_session *s, struct intake *in, size_t n)
{
	size_t i = 0;

	for (; n; i++) {
		size_t part = mf_min(n, in->room[i].n);

		give_to_app(h, s, in->pkt[i], part);
		n -= part;
	}
	free_from(in, i);
}

/* Nothing came: the far side has no more now, or never will. */
static void note_end(struct mf_session *s, ptrdiff_t got)
{
	s->tcp.read_blocked = true;
	if (got == MF_STREAM_EOF)
		s->tcp.far = MF_FAR_EOF;
	else if (got == MF_STREAM_ERR)
		s->tcp.stream.ready |= MF_STREAM_FAILED;
}

/* Reads up to `want` bytes; returns how many came. */
static size_t pull_once(struct mf_host *h, struct mf_session *s, size_t want)
{
	struct mf_stream *st = &s->tcp.stream;
	size_t chunk = mf_tcp_send_chunk(&s->tcp.conn);
	struct intake in = { .n = 0 };
	bool bulk = s->tcp.bulk && want > MF_PKT_SMALL_MAX;
	ptrdiff_t got;

	if (!(bulk ? prepare_bulk(h, &in, want, chunk) : prepare_first(h, &in, mf_min(want, chunk)))) {
		mf_session_starve(s);
		return 0;
	}
	got = st->out->ops->stream_read(st, in.room, in.n);
	if (got <= 0) {
		free_from(&in, 0);
		note_end(s, got);
		return 0;
	}
	MF_ASSERT((size_t)got <= in.asked);
	s->tcp.read_blocked = (size_t)got < in.asked;
	s->tcp.bulk = got >= BULK;
	if (bulk)
		deliver_bulk(h, s, &in, (size_t)got);
	else
		deliver_first(h, s, &in, (size_t)got);
	mf_session_down(s, (size_t)got, 0);
	return (size_t)got;
}

/* How much to read now, 0: wait for acknowledgments. While some are to come, a large packet is not spent on
 * the few bytes for which there is room. */
static size_t appetite(const struct mf_session *s)
{
	const struct mf_tcp *c = &s->tcp.conn;
	size_t room = mf_tcp_send_room(c);

	if (s->tcp.bulk && room < mf_tcp_send_chunk(c) / 2 && mf_tcp_send_queued(c))
		return 0;
	return room;
}

bool mf_session_tcp_pull(struct mf_host *h, struct mf_session *s)
{
	size_t share = SHARE, want, got;

	while (!s->tcp.read_blocked && (want = appetite(s)) > 0) {
		if (!share)
			return true;
		got = pull_once(h, s, mf_min(want, share));
		if (!got)
			return false;
		share -= got;
	}
	/* No room though nothing is on its way: what all sessions together may hold is used up, and no
	 * acknowledgment will tell when it no longer is. */
	if (!s->tcp.read_blocked && !mf_tcp_send_queued(&s->tcp.conn))
		mf_session_starve(s);
	return false;
}
