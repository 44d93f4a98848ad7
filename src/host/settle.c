/* SPDX-License-Identifier: Apache-2.0
 *
 * settle - what a name means, and the first bytes of TCP sessions. See settle.h.
 *
 * An encrypted ClientHello shows a name outside that need not be the one that is meant: then the address
 * decides, which has been learned from the answer to a question for the right name if the app has asked us.
 */
#include "host/settle.h"

/* Of a stream that is looked at. TCP puts small segments together, so that they are enough for all the bytes. */
enum { SPANS = 64 };

void mf_settle_configure(struct mf_host *h)
{
	bool any = h->cfg.settle_wait && h->port.settles && h->port.settle;

	h->n_settle_ports = any ? (uint32_t)mf_min(h->cfg.n_settle_ports, MF_SETTLE_PORTS) : 0;
}

/* ---- What a name means ----------------------------------------------------------------------------- */

static uint64_t *counter(struct mf_host *h, enum mf_sniff_verdict v, const struct mf_sniff_name *name)
{
	switch (v) {
	case MF_SNIFF_NAME:
		return *name->protocol == 'q'   ? &h->count.settled_quic
		       : *name->protocol == 'h' ? &h->count.settled_http
						: &h->count.settled_tls;
	case MF_SNIFF_HIDDEN:
		return &h->count.settle_hidden;
	case MF_SNIFF_MORE:
		return &h->count.settle_timed_out;
	default:
		return &h->count.settle_none;
	}
}

/* Browsers send the shell of an encrypted ClientHello to everybody (GREASE), and then the name outside is the one that is
 * meant. */
static uint32_t hidden(struct mf_host *h, const struct mf_addr *dst, uint32_t own,
		       const struct mf_sniff_name *name, uint32_t *rule)
{
	uint32_t hop = h->port.settle_hidden
			       ? h->port.settle_hidden(h->port.ctx, dst, name->text, name->n, rule)
			       : 0;

	return hop ? hop : own;
}

void mf_settle_decide(struct mf_host *h, const struct mf_addr *dst, uint32_t own,
		      enum mf_sniff_verdict v, const struct mf_sniff_name *name,
		      struct mf_settlement *to)
{
	*to = (struct mf_settlement){ .hop = own, .rule = UINT32_MAX, .fate = MF_FATE_CARRY };
	mf_count(counter(h, v, name), 1);
	if (v == MF_SNIFF_NAME)
		to->hop = h->port.settle(h->port.ctx, dst, name->text, name->n, &to->rule);
	else if (v == MF_SNIFF_HIDDEN && name->n)
		to->hop = hidden(h, dst, own, name, &to->rule);
	else
		return;
	if (h->port.fate)
		to->fate = h->port.fate(h->port.ctx, to->hop);
	if (to->fate != MF_FATE_CARRY)
		mf_count(&h->count.settle_blocked, 1);
	else if (to->hop != own)
		mf_count(&h->count.settle_moved, 1);
}

void mf_settle_name(struct mf_session *s, const struct mf_sniff_name *name, uint32_t rule)
{
	size_t n = mf_min(name->n, sizeof(s->facts.name) - 1);

	memset(s->facts.name, 0, sizeof(s->facts.name));
	memcpy(s->facts.name, name->text + name->n - n, n);
	s->facts.rule = rule;
}

/* ---- Streams --------------------------------------------------------------------------------------- */

bool mf_settle_stream(struct mf_host *h, struct mf_session *s, struct mf_sniff_name *name,
		      struct mf_settlement *to)
{
	struct mf_tcp *c = &s->tcp.conn;
	struct mf_span span[SPANS];
	size_t n = mf_tcp_recv_spans(c, span, SPANS, NULL);
	enum mf_sniff_verdict v = mf_sniff_stream(span, n, name);

	if (!s->tcp.settle_until)
		s->tcp.settle_until = h->now + h->cfg.settle_wait;
	if (v == MF_SNIFF_MORE &&
	    (mf_tcp_eof(c) || n == SPANS || mf_tcp_recv_queued(c) >= MF_SNIFF_STREAM_MAX))
		v = MF_SNIFF_NONE;
	if (v == MF_SNIFF_MORE && h->now < s->tcp.settle_until)
		return false;
	mf_settle_decide(h, &s->facts.dst.addr, s->facts.hop, v, name, to);
	if (v == MF_SNIFF_NAME)
		mf_settle_name(s, name, to->rule);
	else
		name->n = 0; /* outside of what is encrypted: not the one that is meant */
	return true;
}

bool mf_settle_has_moved(const struct mf_host *h, const struct mf_session *s)
{
	const struct mf_addr *dst = &s->facts.dst.addr;
	uint32_t rule;

	if (h->port.route(h->port.ctx, dst) != s->tcp.route)
		return true;
	return h->port.settle && h->port.settle(h->port.ctx, dst, s->facts.name,
						strlen(s->facts.name), &rule) != s->facts.hop;
}
