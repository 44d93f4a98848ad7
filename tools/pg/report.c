/* SPDX-License-Identifier: Apache-2.0
 *
 * report - what became of the packets: as text, and as a capture file with the verdicts as comments.
 */
#include "pg_tool.h"

#include "control/pcapng.h"

static const char *const where[TESTNET_SIDES] = { "tun", "peer" };

static void print_out(const struct pg_run *r, uint32_t *next, uint64_t after, struct mf_text *out)
{
	for (; *next < r->n_out && r->out[*next].after <= after; ++*next) {
		const struct pg_out *o = &r->out[*next];

		mf_text_printf(out, "  %s: ", where[o->side]);
		pg_summary(out, o->item->bytes, o->item->len,
			   &(struct pg_meta){ o->item->gso_size, o->item->segments,
					      o->item->needs_csum });
		mf_text_printf(out, "\n");
	}
}

static void print_packet(const struct pg_run *r, uint64_t i, struct mf_text *out)
{
	const struct mf_pg_template *t = &r->packets->v[i % r->packets->n];

	mf_text_printf(out, "%llu ", (unsigned long long)i + 1);
	if (pg_datagrams(r->node))
		mf_text_printf(out, "datagram type %u len %u", t->len ? t->bytes[0] : 0, t->len);
	else
		pg_summary(out, t->bytes, t->len,
			   &(struct pg_meta){ t->gso_size, t->segments, t->needs_csum });
	mf_text_printf(out, "\n  %s\n", r->end[i].len ? r->end[i].s : "not ended");
}

static void print_ledger(const struct pg_run *r, struct mf_text *out)
{
	static const char *const verdict[] = { "sent", "delivered", "consumed", "dropped" };
	struct mf_ledger l;

	mf_engine_ledger(r->net->side[0].engine, &l);
	mf_text_printf(out, "ledger: tun %llu udp %llu created %llu;",
		       (unsigned long long)l.received_tun, (unsigned long long)l.received_udp,
		       (unsigned long long)l.created);
	for (int i = 0; i < MF_VERDICT_COUNT; i++)
		mf_text_printf(out, " %s %llu", verdict[i], (unsigned long long)l.ended[i]);
	mf_text_printf(out, " held %llu; %s\n", (unsigned long long)l.held,
		       testnet_balanced(&r->net->side[0]) ? "balanced" : "NOT BALANCED");
	for (int i = 0; i < MF_DROP_COUNT; i++)
		if (l.drops[i])
			mf_text_printf(out, "drops: %s %llu\n", mf_drop_name((enum mf_drop)i),
				       (unsigned long long)l.drops[i]);
}

void pg_report_text(const struct pg_run *r, struct mf_text *out)
{
	uint32_t next = 0;

	for (uint64_t i = 0; r->end && i < r->packets->total; i++) {
		print_packet(r, i, out);
		/* What came out later belongs to the end. */
		print_out(r, &next, i + 1, out);
	}
	if (next < r->n_out) {
		mf_text_printf(out, "later\n");
		print_out(r, &next, UINT64_MAX, out);
	}
	if (!r->end)
		mf_text_printf(out, "%llu injected, %llu out of the engine, %llu out of its peer\n",
			       (unsigned long long)r->packets->total,
			       (unsigned long long)r->unfollowed[0],
			       (unsigned long long)r->unfollowed[1]);
	print_ledger(r, out);
}

/* Virtual time begins in 2027, as testnet's wall clock does. */
static uint64_t wall(mf_nsec t)
{
	return 1800000000 * MF_SEC + t;
}

static void write_out(const struct pg_run *r, uint32_t *next, uint64_t after, struct mf_text *out)
{
	for (; *next < r->n_out && r->out[*next].after <= after; ++*next) {
		const struct pg_out *o = &r->out[*next];

		mf_pcapng_packet(out, &(struct mf_pcapng_packet){
					      .interface = 1 + o->side,
					      .time = wall(o->time),
					      .len = o->item->len,
					      .bytes = mf_span(o->item->bytes, o->item->len),
				      });
	}
}

void pg_report_pcapng(const struct pg_run *r, struct mf_text *out)
{
	static const uint8_t wg_head[] = { 0, 12, 0, 4, 'w', 'g', 0, 0, 0, 0, 0, 0 };
	bool datagrams = pg_datagrams(r->node);
	uint32_t next = 0;

	mf_pcapng_begin(out, "mintflow-pg " MF_VERSION);
	mf_pcapng_interface(out, datagrams ? MF_LINKTYPE_WIRESHARK_UPPER_PDU : MF_LINKTYPE_RAW,
			    MF_PKT_LARGE_MAX, r->node, "injected");
	mf_pcapng_interface(out, MF_LINKTYPE_RAW, MF_PKT_LARGE_MAX, where[0], "left to apps");
	mf_pcapng_interface(out, MF_LINKTYPE_RAW, MF_PKT_LARGE_MAX, where[1],
			    "left to the peer's apps");
	for (uint64_t i = 0; r->end && i < r->packets->total; i++) {
		const struct mf_pg_template *t = &r->packets->v[i % r->packets->n];

		mf_pcapng_packet(out,
				 &(struct mf_pcapng_packet){
					 .time = wall(r->injected[i]),
					 .len = t->len,
					 .head = mf_span(wg_head, datagrams ? sizeof(wg_head) : 0),
					 .bytes = mf_span(t->bytes, t->len),
					 .comment = r->end[i].len ? r->end[i].s : "not ended",
				 });
		write_out(r, &next, i + 1, out);
	}
	write_out(r, &next, UINT64_MAX, out);
}
