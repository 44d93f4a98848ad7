/* SPDX-License-Identifier: Apache-2.0
 *
 * pg_tool - the parts of mintflow-pg: packets come from a capture file or a described stream, go through
 * an engine without any network, and a report says what became of each.
 */
#ifndef MF_PG_TOOL_H
#define MF_PG_TOOL_H

#include "base/json.h"
#include "nodes/pg.h"
#include "support/testnet.h"

enum { PG_REPORT_MAX = 32768 }; /* packets that can be followed one by one */

/* Says what is wrong on stderr and exits with status 2. */
_Noreturn void pg_fail(const char *fmt, ...) MF_PRINTF(1, 2);
/* What calloc and realloc return, or pg_fail. */
void *pg_memory(void *p);

/* Are packets at this node WireGuard's messages, and not IP? */
bool pg_datagrams(const char *node);

/* Packets to inject: `total` of them, the `n` templates in turn. */
struct pg_packets {
	struct mf_pg_template *v;
	struct mf_endpoint *from; /* at wg-input: where datagram i comes from */
	uint32_t n, cap;
	uint64_t total;
};

/* Takes `t->bytes` over. */
void pg_packets_add(struct pg_packets *ps, const struct mf_pg_template *t,
		    const struct mf_endpoint *from);
void pg_packets_free(struct pg_packets *ps);

/* The packets of a pcap or pcapng file, without their link headers. With `datagrams` only payloads of UDP
 * count, and remember their sources. */
void pg_read_pcap(struct pg_packets *ps, const char *path, bool datagrams);
/* The packets of a described stream; sizes are drawn from `prng`. */
void pg_read_stream(struct pg_packets *ps, const char *text, struct mf_prng *prng);
extern const char pg_stream_help[];

/* Offload metadata of a packet, as far as a report shows it. */
struct pg_meta {
	uint16_t gso_size;
	uint32_t segments;
	bool needs_csum;
};
/* One line, without a newline: "10.9.0.1:1000 > 10.9.0.2:2000 udp len 128". */
void pg_summary(struct mf_text *out, const uint8_t *bytes, uint32_t len, const struct pg_meta *meta);

/* What came out of an engine to its apps. */
struct pg_out {
	struct testnet_item *item;
	uint64_t after; /* this many packets had been injected */
	mf_nsec time;
	unsigned side; /* 0: the engine under test, 1: its peer */
};

struct pg_run {
	struct testnet *net;
	const struct pg_packets *packets;
	const char *node;
	mf_nsec start;       /* when the first packet was injected, and how long until the next */
	mf_nsec *injected;   /* when each packet was; NULL: not followed */
	struct mf_text *end; /* what became of each packet, NULL: not followed */
	struct pg_out *out;
	uint32_t n_out, cap_out;
	uint64_t unfollowed[TESTNET_SIDES]; /* what came out, when packets are not followed */
};

void pg_report_text(const struct pg_run *r, struct mf_text *out);
void pg_report_pcapng(const struct pg_run *r, struct mf_text *out);

#endif
