/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - builds, cuts and sums packets the slow and obvious way, sharing nothing with src/wire but
 * struct mf_pkt: the model that the tests compare with.
 */
#ifndef MF_TEST_WIRE_PACKETS_H
#define MF_TEST_WIRE_PACKETS_H

#include "base/endian.h"
#include "base/pkt.h"
#include "base/prng.h"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, ECE = 64, CWR = 128 };

/* What a packet is made of. */
struct spec {
	uint8_t version, proto;
	uint8_t src[16], dst[16];
	uint8_t tos, ttl;
	uint16_t id;
	bool df;
	size_t ip_opts; /* bytes of NOPs (v4) or of a destination options header (v6), 0 or 8 or 16 */
	size_t tcp_opts; /* bytes, a multiple of 4 */
	uint32_t opt_fill;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	bool zero_csum; /* UDP */
	const uint8_t *payload;
	size_t n;
};

/* RFC 1071, a byte at a time. */
static inline uint32_t slow_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++) {
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint32_t slow_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_len)
{
	uint32_t sum = slow_sum(ip + (ip[0] >> 4 == 4 ? 12 : 8), ip[0] >> 4 == 4 ? 8 : 32, 0);

	sum += proto + (uint32_t)(l4_len >> 16) + (uint32_t)(l4_len & 0xffff);
	return (sum & 0xffff) + (sum >> 16);
}

static inline uint16_t slow_finish(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline size_t slow_ip_len(const struct spec *s)
{
	return (s->version == 4 ? 20 : 40) + s->ip_opts;
}

static inline size_t slow_hdr_len(const struct spec *s)
{
	return slow_ip_len(s) + (s->proto == TCP ? 20 + s->tcp_opts : 8);
}

static inline size_t slow_csum_off(uint8_t proto)
{
	return proto == TCP ? 16 : proto == UDP ? 6 : 2;
}

/* Sums the IPv4 header, and the L4 part with its pseudo-header, into their fields. */
static inline void slow_fill_csums(uint8_t *ip, size_t ip_len, uint8_t proto, size_t len)
{
	uint8_t *field = ip + ip_len + slow_csum_off(proto);
	uint16_t c;

	if (ip[0] >> 4 == 4) {
		mf_store_be16(ip + 10, 0);
		mf_store_be16(ip + 10, slow_finish(slow_sum(ip, ip_len, 0)));
	}
	mf_store_be16(field, 0);
	c = slow_finish(slow_sum(ip + ip_len, len - ip_len,
				 proto == ICMP ? 0 : slow_pseudo(ip, proto, len - ip_len)));
	mf_store_be16(field, proto == UDP && !c ? 0xffff : c);
}

static inline void slow_ip(const struct spec *s, uint8_t *o, size_t len)
{
	if (s->version == 4) {
		o[0] = (uint8_t)(0x40 | (20 + s->ip_opts) / 4);
		o[1] = s->tos;
		mf_store_be16(o + 2, (uint16_t)len);
		mf_store_be16(o + 4, s->id);
		mf_store_be16(o + 6, s->df ? 0x4000 : 0);
		o[8] = s->ttl;
		o[9] = s->proto;
		memcpy(o + 12, s->src, 4);
		memcpy(o + 16, s->dst, 4);
		memset(o + 20, 1, s->ip_opts);
		return;
	}
	mf_store_be32(o, 6u << 28 | (uint32_t)s->tos << 20 | 0x54321);
	mf_store_be16(o + 4, (uint16_t)(len - 40));
	o[6] = s->ip_opts ? 60 : s->proto;
	o[7] = s->ttl;
	memcpy(o + 8, s->src, 16);
	memcpy(o + 24, s->dst, 16);
	if (s->ip_opts) {
		memset(o + 40, 0, s->ip_opts);
		o[40] = s->proto;
		o[41] = (uint8_t)(s->ip_opts / 8 - 1);
	}
}

/* Writes the packet, checksums right; returns its length. */
static inline size_t slow_build(const struct spec *s, uint8_t *o)
{
	size_t ip_len = slow_ip_len(s), len = slow_hdr_len(s) + s->n;
	uint8_t *l4 = o + ip_len;

	slow_ip(s, o, len);
	mf_store_be16(l4, s->sport);
	mf_store_be16(l4 + 2, s->dport);
	if (s->proto == TCP) {
		mf_store_be32(l4 + 4, s->seq);
		mf_store_be32(l4 + 8, s->ack);
		l4[12] = (uint8_t)((20 + s->tcp_opts) / 4 << 4);
		l4[13] = s->flags;
		mf_store_be16(l4 + 14, s->window);
		mf_store_be16(l4 + 18, 0);
		for (size_t i = 0; i < s->tcp_opts; i += 4)
			mf_store_be32(l4 + 20 + i, s->opt_fill + (uint32_t)i);
	} else {
		mf_store_be16(l4 + 4, (uint16_t)(len - ip_len));
	}
	if (s->n)
		memmove(o + slow_hdr_len(s), s->payload, s->n);
	slow_fill_csums(o, ip_len, s->proto, len);
	if (s->proto == UDP && s->zero_csum)
		mf_store_be16(l4 + 6, 0);
	return len;
}

/* Turns built bytes into what a sender leaves to offload: only the pseudo-header's sum. */
static inline void slow_unfinish_csum(const struct spec *s, uint8_t *o, size_t len)
{
	size_t ip_len = slow_ip_len(s);

	mf_store_be16(o + ip_len + slow_csum_off(s->proto),
		      (uint16_t)~slow_finish(slow_pseudo(o, s->proto, len - ip_len)));
}

/* Segment `i` of what `s` describes, cut at gso_size; 0 when there is none. */
static inline size_t slow_segment(const struct spec *s, size_t gso_size, size_t i, uint8_t *o)
{
	struct spec one = *s;
	size_t at = i * gso_size;

	if (at >= s->n && i)
		return 0;
	one.payload += at;
	one.n = mf_min(s->n - at, gso_size);
	one.id = (uint16_t)(s->id + i);
	one.seq += (uint32_t)at;
	if (i)
		one.flags &= (uint8_t)~CWR;
	if (at + one.n < s->n)
		one.flags &= (uint8_t) ~(FIN | PSH);
	return slow_build(&one, o);
}

static inline void random_spec(struct mf_prng *g, struct spec *s)
{
	memset(s, 0, sizeof(*s));
	s->version = mf_prng_below(g, 2) ? 4 : 6;
	s->proto = mf_prng_below(g, 3) ? TCP : UDP;
	mf_prng_fill(g, s->src, 16);
	mf_prng_fill(g, s->dst, 16);
	/* unicast */
	s->src[0] = s->version == 4 ? 10 : 0x20;
	s->dst[0] = s->version == 4 ? 11 : 0x20;
	if (s->version == 4) {
		memset(s->src + 4, 0, 12);
		memset(s->dst + 4, 0, 12);
	}
	s->tos = (uint8_t)mf_prng_u64(g);
	s->ttl = (uint8_t)(1 + mf_prng_below(g, 255));
	s->id = (uint16_t)mf_prng_u64(g);
	s->df = mf_prng_below(g, 2);
	s->tcp_opts = s->proto == TCP ? 4 * mf_prng_below(g, 11) : 0;
	s->opt_fill = (uint32_t)mf_prng_u64(g);
	s->sport = (uint16_t)mf_prng_u64(g);
	s->dport = (uint16_t)mf_prng_u64(g);
	s->seq = (uint32_t)mf_prng_u64(g);
	s->ack = (uint32_t)mf_prng_u64(g);
	s->flags = ACK;
	s->window = (uint16_t)mf_prng_u64(g);
}

#endif
