/* SPDX-License-Identifier: Apache-2.0
 *
 * move - see move.h.
 */
#include "proto/dns/move.h"

/* In place of an offset: what was here is gone. */
enum { GONE = 0xffff };

/* Where names stand in rdata: behind `fixed` bytes and `strings` character-strings. */
struct shape {
	uint16_t type;
	uint8_t fixed, strings, names;
};

static const struct shape shapes[] = {
	{ MF_DNS_NS, 0, 0, 1 },      { 3 /* MD */, 0, 0, 1 },   { 4 /* MF */, 0, 0, 1 },
	{ MF_DNS_CNAME, 0, 0, 1 },   { MF_DNS_SOA, 0, 0, 2 },   { 7 /* MB */, 0, 0, 1 },
	{ 8 /* MG */, 0, 0, 1 },     { 9 /* MR */, 0, 0, 1 },   { MF_DNS_PTR, 0, 0, 1 },
	{ 14 /* MINFO */, 0, 0, 2 }, { MF_DNS_MX, 2, 0, 1 },    { 17 /* RP */, 0, 0, 2 },
	{ 18 /* AFSDB */, 2, 0, 1 }, { 21 /* RT */, 2, 0, 1 },  { MF_DNS_SIG, 18, 0, 1 },
	{ 26 /* PX */, 2, 0, 2 },    { 30 /* NXT */, 0, 0, 1 }, { MF_DNS_SRV, 6, 0, 1 },
	{ MF_DNS_NAPTR, 4, 3, 1 },   { 36 /* KX */, 2, 0, 1 },  { MF_DNS_DNAME, 0, 0, 1 },
	{ MF_DNS_SVCB, 2, 0, 1 },    { MF_DNS_HTTPS, 2, 0, 1 },
};

static void put(struct mf_dns_move *m, const uint8_t *p, size_t n)
{
	if (m->failed || m->cap - m->n < n) {
		m->failed = true;
		return;
	}
	memcpy(m->out + m->n, p, n);
	m->n += n;
}

static void add_piece(struct mf_dns_move *m, size_t from, size_t to)
{
	if (m->n_pieces == MF_DNS_PIECES) {
		m->failed = true;
		return;
	}
	m->piece[m->n_pieces].from = (uint16_t)from;
	m->piece[m->n_pieces++].to = (uint16_t)to;
}

/* What was at the old offset `at` comes to the end of what is written; what was skipped is gone. */
static void place(struct mf_dns_move *m, size_t at)
{
	unsigned last;

	if (at > m->done)
		add_piece(m, m->done, GONE);
	last = m->n_pieces - 1;
	if (m->piece[last].to == GONE || m->piece[last].to + (at - m->piece[last].from) != m->n)
		add_piece(m, at, m->n);
}

/* Where an old offset is now, or GONE. */
static size_t find(const struct mf_dns_move *m, size_t at)
{
	unsigned low = 0, high = m->n_pieces;

	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (m->piece[mid].from <= at)
			low = mid;
		else
			high = mid;
	}
	return m->piece[low].to == GONE ? GONE : m->piece[low].to + (at - m->piece[low].from);
}

void mf_dns_move_begin(struct mf_dns_move *m, const struct mf_dns_walk *w, uint8_t *out, size_t cap)
{
	m->from = w->msg;
	m->out = out;
	m->cap = mf_min(cap, MF_DNS_MESSAGE_MAX);
	m->n = 0;
	m->done = w->at;
	m->failed = false;
	memset(m->counts, 0, sizeof(m->counts));
	m->n_pieces = 0;
	add_piece(m, 0, 0);
	put(m, w->msg.p, w->at);
}

void mf_dns_move_bytes(struct mf_dns_move *m, size_t at, size_t n)
{
	if (!n)
		return;
	place(m, at);
	put(m, m->from.p + at, n);
	m->done = at + n;
}

/* A name that has been checked. Labels that are gone are copied from where they were. */
static void copy_name(struct mf_dns_move *m, size_t at)
{
	const uint8_t *p = m->from.p;
	uint8_t pointer[2];
	size_t start, to;

	place(m, at);
	for (;;) {
		for (start = at; p[at] && p[at] <= MF_DNS_LABEL_MAX; at += 1 + (size_t)p[at])
			;
		put(m, p + start, at - start);
		if (!p[at]) {
			put(m, p + at, 1);
			return;
		}
		at = mf_load_be16(p + at) & MF_DNS_POINTER_MAX;
		to = find(m, at);
		if (to <= MF_DNS_POINTER_MAX) {
			mf_store_be16(pointer, (uint16_t)(MF_DNS_POINTER | to));
			put(m, pointer, 2);
			return;
		}
	}
}

void mf_dns_move_name(struct mf_dns_move *m, size_t *at, size_t end)
{
	size_t start = *at;

	if (m->failed || mf_dns_name_read(m->from, at, NULL) || *at > end)
		m->failed = true;
	else
		copy_name(m, start);
	m->done = *at;
}

void mf_dns_move_head(struct mf_dns_move *m, const struct mf_dns_rr *rr)
{
	size_t at = rr->name;

	mf_dns_move_name(m, &at, rr->rdata);
	m->fixed = (uint16_t)m->n;
	mf_dns_move_bytes(m, rr->rdata - MF_DNS_RR_FIXED, MF_DNS_RR_FIXED);
	m->counts[rr->section]++;
}

void mf_dns_move_end(struct mf_dns_move *m)
{
	if (!m->failed)
		mf_store_be16(m->out + m->fixed + MF_DNS_RR_FIXED - 2,
			      (uint16_t)(m->n - m->fixed - MF_DNS_RR_FIXED));
}

/* Behind what stands before the names; `end` or more: there is no room for them. */
static size_t skip_shape(const struct mf_dns_move *m, const struct shape *s, size_t at, size_t end)
{
	at += s->fixed;
	for (unsigned i = 0; i < s->strings && at < end; i++)
		at += 1 + (size_t)m->from.p[at];
	return at;
}

void mf_dns_move_record(struct mf_dns_move *m, const struct mf_dns_rr *rr)
{
	size_t start = rr->rdata, at = start, end = start + rr->rdlen;
	const struct shape *s = NULL;

	for (size_t i = 0; i < MF_ARRAY_LEN(shapes) && !s; i++)
		s = shapes[i].type == rr->type ? &shapes[i] : NULL;
	mf_dns_move_head(m, rr);
	if (s && rr->rdlen) {
		at = skip_shape(m, s, start, end);
		if (at >= end) {
			m->failed = true;
			return;
		}
		mf_dns_move_bytes(m, start, at - start);
		for (unsigned i = 0; i < s->names; i++)
			mf_dns_move_name(m, &at, end);
	}
	if (!m->failed)
		mf_dns_move_bytes(m, at, end - at);
	mf_dns_move_end(m);
}

size_t mf_dns_move_done(struct mf_dns_move *m)
{
	struct mf_dns_walk w;
	struct mf_dns_rr rr;

	if (m->failed)
		return 0;
	for (unsigned i = 0; i < 3; i++)
		mf_dns_count_set(m->out, MF_DNS_ANCOUNT + i, m->counts[i]);
	/* A name that was read out of anything but names may be none any more. */
	if (mf_dns_walk_begin(&w, mf_span(m->out, m->n)))
		return 0;
	while (mf_dns_walk_next(&w, &rr))
		;
	return w.failed ? 0 : m->n;
}

struct mf_dns_mark mf_dns_move_mark(const struct mf_dns_move *m)
{
	struct mf_dns_mark mark = { .n = m->n, .done = m->done, .n_pieces = m->n_pieces };

	memcpy(mark.counts, m->counts, sizeof(mark.counts));
	return mark;
}

void mf_dns_move_back(struct mf_dns_move *m, const struct mf_dns_mark *mark)
{
	m->n = mark->n;
	m->done = mark->done;
	m->n_pieces = mark->n_pieces;
	memcpy(m->counts, mark->counts, sizeof(m->counts));
}
