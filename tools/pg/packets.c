/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - where the packets come from: capture files, and streams in a few words.
 */
#include "pg_tool.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/ip.h"

enum { STREAM_TEMPLATES = 256, UDP = 17 };

void pg_packets_add(struct pg_packets *ps, const struct mf_pg_template *t,
		    const struct mf_endpoint *from)
{
	if (ps->n == ps->cap) {
		ps->cap = ps->cap ? ps->cap * 2 : 64;
		ps->v = pg_memory(realloc(ps->v, ps->cap * sizeof(*ps->v)));
		ps->from = pg_memory(realloc(ps->from, ps->cap * sizeof(*ps->from)));
	}
	ps->v[ps->n] = *t;
	ps->from[ps->n++] = *from;
}

void pg_packets_free(struct pg_packets *ps)
{
	for (uint32_t i = 0; i < ps->n; i++)
		free((void *)(uintptr_t)ps->v[i].bytes);
	free(ps->v);
	free(ps->from);
}

bool pg_datagrams(const char *node)
{
	return !strcmp(node, "wg-input") || !strcmp(node, "udp-output");
}

/* ---- Capture files --------------------------------------------------------------------------- */

/* Bytes in front of the IP header, UINT32_MAX: not an IP packet. */
static uint32_t link_header(int linktype, const uint8_t *bytes, uint32_t n)
{
	uint32_t at = 14;

	switch (linktype) {
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return 0;
	case DLT_NULL:
	case DLT_LOOP:
		return n >= 4 ? 4 : UINT32_MAX;
	case DLT_EN10MB:
		/* Tags: 802.1Q and 802.1ad. */
		while (n >= at && (mf_load_be16(bytes + at - 2) == 0x8100 ||
				   mf_load_be16(bytes + at - 2) == 0x88a8))
			at += 4;
		if (n < at || (mf_load_be16(bytes + at - 2) != 0x0800 &&
			       mf_load_be16(bytes + at - 2) != 0x86dd))
			return UINT32_MAX;
		return at;
	default:
		return UINT32_MAX;
	}
}

/* Narrows an IP packet to what its UDP header carries; false: it is not UDP. */
static bool datagram(const uint8_t **bytes, uint32_t *n, struct mf_endpoint *from)
{
	struct mf_pkt p = { .data = (uint8_t *)(uintptr_t)*bytes, .len = *n, .segments = 1 };

	if (mf_ip_input(&p) || p.l4_proto != UDP || p.len < p.l4_off + 8u)
		return false;
	*from = (struct mf_endpoint){ .addr = mf_ip_src(&p), .port = mf_load_be16(*bytes + p.l4_off) };
	*bytes += p.l4_off + 8u;
	*n = p.len - p.l4_off - 8u;
	return true;
}

static void add_copy(struct pg_packets *ps, const uint8_t *bytes, uint32_t n,
		     const struct mf_endpoint *from)
{
	uint8_t *copy = pg_memory(calloc(1, n ? n : 1));

	memcpy(copy, bytes, n);
	pg_packets_add(ps, &(struct mf_pg_template){ .bytes = copy, .len = n }, from);
	ps->total++;
}

void pg_read_pcap(struct pg_packets *ps, const char *path, bool datagrams)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, why);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int r;

	if (!file)
		pg_fail("%s: %s", path, why);
	for (uint32_t k = 1; (r = pcap_next_ex(file, &h, &bytes)) == 1; k++) {
		struct mf_endpoint from = { 0 };
		uint32_t at = link_header(pcap_datalink(file), bytes, h->caplen), n;

		if (at == UINT32_MAX)
			pg_fail("%s: packet %u is not IP (link type %s)", path, k,
				pcap_datalink_val_to_name(pcap_datalink(file)));
		n = h->caplen - at;
		bytes += at;
		if (datagrams && !datagram(&bytes, &n, &from))
			pg_fail("%s: packet %u is not UDP", path, k);
		if (n > MF_PKT_LARGE_MAX)
			pg_fail("%s: packet %u is longer than %d bytes", path, k, MF_PKT_LARGE_MAX);
		add_copy(ps, bytes, n, &from);
	}
	if (r == PCAP_ERROR)
		pg_fail("%s: %s", path, pcap_geterr(file));
	pcap_close(file);
}

/* ---- Streams ----------------------------------------------------------------------------------- */

const char pg_stream_help[] =
	"A stream: PROTO SOURCE>DESTINATION [size N|N..M] [count N] [gso N] [ttl N]\n"
	"  PROTO   udp or tcp\n"
	"  SOURCE  address:port or [address]:port, DESTINATION the same\n"
	"  size    bytes of payload; with N..M each packet's is drawn (100)\n"
	"  count   packets (1)\n"
	"  gso     super-packets: cut after so many bytes of payload (0: none)\n"
	"  ttl     TTL or hop limit (64)\n";

struct stream {
	bool tcp;
	struct mf_endpoint from, to;
	uint32_t min, max, count, gso, ttl;
};

static uint32_t number(const char *word, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		pg_fail("stream: %s is a number from %u to %u, not %s", word, min, max, text);
	return (uint32_t)v;
}

static void parse_flow(struct stream *s, char *flow)
{
	char *arrow = strchr(flow, '>');

	if (!arrow)
		pg_fail("stream: SOURCE>DESTINATION expected, not %s", flow);
	*arrow = '\0';
	if (mf_endpoint_parse(&s->from, flow))
		pg_fail("stream: %s is not address:port", flow);
	if (mf_endpoint_parse(&s->to, arrow + 1))
		pg_fail("stream: %s is not address:port", arrow + 1);
	if (s->from.addr.family != s->to.addr.family)
		pg_fail("stream: both addresses must be IPv4, or both IPv6");
}

static void parse_size(struct stream *s, char *v)
{
	char *dots = strstr(v, "..");

	if (dots)
		*dots = '\0';
	s->min = number("size", v, 0, 65000);
	s->max = dots ? number("size", dots + 2, s->min, 65000) : s->min;
}

static void parse_option(struct stream *s, const char *word, char *v)
{
	if (!v)
		pg_fail("stream: %s needs a value", word);
	if (!strcmp(word, "size"))
		parse_size(s, v);
	else if (!strcmp(word, "count"))
		s->count = number(word, v, 1, 1000000000);
	else if (!strcmp(word, "gso"))
		s->gso = number(word, v, 0, 65000);
	else if (!strcmp(word, "ttl"))
		s->ttl = number(word, v, 0, 255);
	else
		pg_fail("stream: %s is not size, count, gso or ttl", word);
}

static struct stream parse_stream(const char *text)
{
	struct stream s = { .min = 100, .max = 100, .count = 1, .ttl = 64 };
	char *copy = pg_memory(strdup(text)), *save, *word = strtok_r(copy, " ", &save);

	if (!word || (strcmp(word, "udp") != 0 && strcmp(word, "tcp") != 0))
		pg_fail("stream: begins with udp or tcp, not %s", word ? word : "with nothing");
	s.tcp = word[0] == 't';
	word = strtok_r(NULL, " ", &save);
	parse_flow(&s, word ? word : (char[]){ "" });
	while ((word = strtok_r(NULL, " ", &save)) != NULL)
		parse_option(&s, word, strtok_r(NULL, " ", &save));
	free(copy);
	return s;
}

/* With another TTL the IPv4 header has another checksum. */
static void set_ttl(uint8_t *ip, uint32_t ttl)
{
	uint32_t sum = 0;

	if (ip[0] >> 4 == 6) {
		ip[7] = (uint8_t)ttl;
		return;
	}
	ip[8] = (uint8_t)ttl;
	mf_store_be16(ip + 10, 0);
	for (int i = 0; i < 20; i += 2)
		sum += mf_load_be16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	mf_store_be16(ip + 10, (uint16_t)~sum);
}

static uint32_t build(const struct stream *s, uint8_t *out, const uint8_t *payload, uint32_t n,
		      uint32_t seq)
{
	bool ip4 = s->from.addr.family == MF_AF_IP4;
	char src[MF_ADDR_STRLEN], dst[MF_ADDR_STRLEN];

	mf_addr_format(&s->from.addr, src);
	mf_addr_format(&s->to.addr, dst);
	if (s->tcp)
		return (ip4 ? testnet_tcp4 : testnet_tcp6)(out, src, dst, s->from.port, s->to.port,
							   seq, 1, 0x18, payload, n);
	return (ip4 ? testnet_udp4 : testnet_udp6)(out, src, dst, s->from.port, s->to.port, payload,
						   n);
}

static void offload(const struct stream *s, uint8_t *bytes, uint32_t n, struct mf_pg_template *t)
{
	if (!s->gso || n <= s->gso)
		return;
	t->csum_start = testnet_unfinish(bytes, t->len);
	t->csum_offset = s->tcp ? 16 : 6;
	t->needs_csum = true;
	t->gso_type = (uint8_t)(!s->tcp                            ? MF_GSO_UDP
				: s->from.addr.family == MF_AF_IP4 ? MF_GSO_TCP4
								   : MF_GSO_TCP6);
	t->gso_size = (uint16_t)s->gso;
	t->segments = (uint16_t)((n + s->gso - 1) / s->gso);
}

void pg_read_stream(struct pg_packets *ps, const char *text, struct mf_prng *prng)
{
	struct stream s = parse_stream(text);
	uint32_t n_templates = s.count;
	static uint8_t payload[65536];
	uint32_t seq = 1;

	if (ps->n)
		pg_fail("either one stream or files");
	if (n_templates > STREAM_TEMPLATES)
		n_templates = STREAM_TEMPLATES;
	for (uint32_t i = 0; i < n_templates; i++) {
		uint32_t n = s.min + (uint32_t)mf_prng_below(prng, s.max - s.min + 1);
		uint8_t *bytes = pg_memory(calloc(1, n + 64));
		struct mf_pg_template t = { .bytes = bytes };

		for (uint32_t k = 0; k < n; k++)
			payload[k] = (uint8_t)(seq + k);
		t.len = build(&s, bytes, payload, n, seq);
		set_ttl(bytes, s.ttl);
		offload(&s, bytes, n, &t);
		pg_packets_add(ps, &t, &s.from);
		seq += n;
	}
	ps->total = s.count;
}
