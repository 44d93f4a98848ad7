/* SPDX-License-Identifier: Apache-2.0
 *
 * reass - see reass.h. Whoever sends wants to be answered at once, so the work is where packets usually
 * come: at the end (the hole is in front of them) or at the beginning (the hole is being filled).
 */
#include "proto/tcp/reass.h"

enum { COPY_MAX = 256 };

static uint32_t start_of(const struct mf_pkt *p)
{
	return p->segments;
}

static uint32_t end_of(const struct mf_pkt *p)
{
	return p->segments + p->len;
}

static struct mf_pkt *prev_of(const struct mf_pkt *p)
{
	return p->owner;
}

static void link_after(struct mf_tcp_reass *q, struct mf_pkt *prev, struct mf_pkt *p)
{
	struct mf_pkt *next = prev ? prev->next : q->first;

	p->next = next;
	p->owner = prev;
	*(prev ? &prev->next : &q->first) = p;
	if (next)
		next->owner = p;
	else
		q->last = p;
	q->n++;
	q->bytes += p->len;
	q->held += mf_tcp_pkt_held(p);
}

static void detach(struct mf_tcp_reass *q, struct mf_pkt *p)
{
	struct mf_pkt *prev = prev_of(p);

	*(prev ? &prev->next : &q->first) = p->next;
	if (p->next)
		p->next->owner = prev;
	else
		q->last = prev;
	q->n--;
	q->bytes -= p->len;
	q->held -= mf_tcp_pkt_held(p);
	p->next = NULL;
	p->owner = NULL;
	p->segments = 1;
}

/* The last packet that begins at or before seq, looked for from the nearer end; NULL: none does. */
static struct mf_pkt *find(const struct mf_tcp_reass *q, uint32_t seq)
{
	struct mf_pkt *p = q->first;

	if (!p || mf_seq_lt(seq, start_of(p)))
		return NULL;
	if (seq - start_of(p) < start_of(q->last) - seq && mf_seq_lt(seq, start_of(q->last))) {
		while (mf_seq_leq(start_of(p->next), seq))
			p = p->next;
		return p;
	}
	for (p = q->last; mf_seq_lt(seq, start_of(p));)
		p = prev_of(p);
	return p;
}

/* The first byte from seq on that is not there; *prev becomes the packet before it. */
static uint32_t first_missing(const struct mf_tcp_reass *q, uint32_t seq, uint32_t end,
			      struct mf_pkt **prev)
{
	struct mf_pkt *p = *prev;

	if (p)
		seq = mf_seq_max(seq, end_of(p));
	for (p = p ? p->next : q->first; p && start_of(p) == seq && mf_seq_lt(seq, end); p = p->next) {
		seq = end_of(p);
		*prev = p;
	}
	return seq;
}

static void trim_front(struct mf_pkt *p, uint32_t n)
{
	p->data += n;
	p->len -= n;
	p->segments += n;
}

/* What lies wholly inside p goes; what reaches beyond p stays, and p ends where it begins. */
static void make_room(struct mf_tcp_reass *q, struct mf_pkt *prev, struct mf_pkt *p)
{
	struct mf_pkt *x;

	while ((x = prev ? prev->next : q->first) && mf_seq_lt(start_of(x), end_of(p))) {
		if (mf_seq_leq(end_of(p), end_of(x))) {
			p->len = start_of(x) - start_of(p);
			return;
		}
		detach(q, x);
		mf_pkt_free(x);
	}
}

/* Behind prev, if that is a matter of few bytes: many small segments would hold much memory. */
static bool append_copy(struct mf_tcp_reass *q, struct mf_pkt *prev, struct mf_pkt *p)
{
	if (!prev || p->len > COPY_MAX || end_of(prev) != start_of(p) ||
	    mf_pkt_tailroom(prev) < p->len)
		return false;
	memcpy(prev->data + prev->len, p->data, p->len);
	prev->len += p->len;
	q->bytes += p->len;
	mf_pkt_free(p);
	return true;
}

/* ---- SACK blocks ---- */

/* The whole run that p will be in behind prev. Its neighbours nearly always are in a block that was
 * reported lately, so there is seldom anything to walk over. */
static struct mf_tcp_range run_of(const struct mf_tcp_reass *q, const struct mf_pkt *prev,
				  const struct mf_pkt *p)
{
	struct mf_tcp_range r = { start_of(p), end_of(p) };
	const struct mf_pkt *x;

	for (uint8_t i = 0; i < q->n_recent; i++) {
		if (q->recent[i].end == start_of(p))
			r.start = q->recent[i].start;
		if (q->recent[i].start == end_of(p))
			r.end = q->recent[i].end;
	}
	if (r.start == start_of(p))
		for (x = prev; x && end_of(x) == r.start; x = prev_of(x))
			r.start = start_of(x);
	if (r.end == end_of(p))
		for (x = prev ? prev->next : q->first; x && start_of(x) == r.end; x = x->next)
			r.end = end_of(x);
	return r;
}

/* RFC 2018 4: first the block with what came last, then the others as they were. */
static void report_first(struct mf_tcp_reass *q, struct mf_tcp_range r)
{
	struct mf_tcp_range old[MF_TCP_SACK_MAX];
	uint8_t n = q->n_recent;

	memcpy(old, q->recent, sizeof(old));
	q->recent[0] = r;
	q->n_recent = 1;
	for (uint8_t i = 0; i < n && q->n_recent < MF_TCP_SACK_MAX; i++) {
		if (mf_seq_lt(old[i].start, r.start) || mf_seq_lt(r.end, old[i].end))
			q->recent[q->n_recent++] = old[i];
	}
}

/* Only what lies in [start, end) is reported from now on. */
static void clip_recent(struct mf_tcp_reass *q, uint32_t start, uint32_t end)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < q->n_recent; i++) {
		struct mf_tcp_range r = { mf_seq_max(q->recent[i].start, start),
					  mf_seq_min(q->recent[i].end, end) };

		if (mf_seq_lt(r.start, r.end))
			q->recent[n++] = r;
	}
	q->n_recent = n;
}

/* ---- public ---- */

bool mf_tcp_reass_add(struct mf_tcp_reass *q, struct mf_pkt *p, uint32_t seq, struct mf_tcp_range *dup)
{
	uint32_t end = seq + p->len, at;
	struct mf_pkt *prev = find(q, seq);

	at = first_missing(q, seq, end, &prev);
	if (mf_seq_leq(end, at)) {
		if (dup)
			*dup = (struct mf_tcp_range){ seq, end };
		return false;
	}
	p->segments = seq;
	trim_front(p, at - seq);
	make_room(q, prev, p);
	report_first(q, run_of(q, prev, p));
	if (!append_copy(q, prev, p))
		link_after(q, prev, p);
	return true;
}

struct mf_pkt *mf_tcp_reass_take(struct mf_tcp_reass *q, uint32_t rcv_nxt)
{
	struct mf_pkt *p;

	while ((p = q->first) && mf_seq_leq(start_of(p), rcv_nxt)) {
		uint32_t old = mf_seq_min(end_of(p), rcv_nxt) - start_of(p), end = end_of(p);

		detach(q, p);
		clip_recent(q, mf_seq_max(end, rcv_nxt), q->last ? end_of(q->last) : end);
		if (old < p->len) {
			p->data += old;
			p->len -= old;
			return p;
		}
		mf_pkt_free(p);
	}
	return NULL;
}

uint8_t mf_tcp_reass_blocks(const struct mf_tcp_reass *q, struct mf_tcp_range *out, uint8_t max)
{
	uint8_t n = (uint8_t)mf_min(q->n_recent, max);

	memcpy(out, q->recent, n * sizeof(*out));
	return n;
}

const struct mf_pkt *mf_tcp_reass_from(const struct mf_tcp_reass *q, uint32_t n)
{
	const struct mf_pkt *p = q->last, *prev;

	for (; p && (prev = prev_of(p)); p = prev)
		if (end_of(prev) != start_of(p) && !--n)
			break;
	return p;
}

uint8_t mf_tcp_reass_runs(const struct mf_pkt **at, struct mf_tcp_range *out, uint8_t max)
{
	const struct mf_pkt *p = *at;
	uint8_t n = 0;

	while (p && n < max) {
		out[n] = (struct mf_tcp_range){ start_of(p), end_of(p) };
		while ((p = p->next) && start_of(p) == out[n].end)
			out[n].end = end_of(p);
		n++;
	}
	*at = p;
	return n;
}

bool mf_tcp_reass_prune(struct mf_tcp_reass *q, uint32_t *n)
{
	struct mf_pkt *p = q->last;

	if (!p)
		return false;
	*n = p->len;
	clip_recent(q, start_of(q->first), start_of(p));
	detach(q, p);
	mf_pkt_free(p);
	return true;
}

void mf_tcp_reass_clear(struct mf_tcp_reass *q)
{
	struct mf_pkt *p, *next;

	for (p = q->first; p; p = next) {
		next = p->next;
		mf_pkt_free(p);
	}
	*q = (struct mf_tcp_reass){ 0 };
}
