/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - what apps send, built without any code of src/wire, which it is to test.
 */
#include "support/testnet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/endian.h"

static void die(const char *what, const char *why)
{
	fprintf(stderr, "testnet: %s: %s\n", what, why);
	exit(99);
}

static uint32_t add_words(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += mf_load_be16(p + i);
	if (n & 1)
		sum += (uint32_t)(p[n - 1] << 8);
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t l4_at(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? 20 : 40;
}

static uint8_t l4_proto(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[9] : ip[6];
}

static uint32_t pseudo_sum(const uint8_t *ip, uint32_t len)
{
	uint32_t at = l4_at(ip), sum = l4_proto(ip) + (len - at);

	return at == 20 ? add_words(ip + 12, 8, sum) : add_words(ip + 8, 32, sum);
}

static uint16_t csum_at(const uint8_t *ip)
{
	return l4_proto(ip) == 6 ? 16 : 6;
}

uint16_t testnet_unfinish(uint8_t *packet, uint32_t len)
{
	uint32_t at = l4_at(packet);

	mf_store_be16(packet + at + csum_at(packet), fold(pseudo_sum(packet, len)));
	return (uint16_t)at;
}

bool testnet_csum_ok(const uint8_t *packet, uint32_t len)
{
	uint32_t at = l4_at(packet);

	if (at == 20 && fold(add_words(packet, 20, 0)) != 0xffff)
		return false;
	return fold(add_words(packet + at, len - at, pseudo_sum(packet, len))) == 0xffff;
}

static void finish(uint8_t *ip, uint32_t len)
{
	uint32_t at = l4_at(ip);
	uint16_t sum;

	mf_store_be16(ip + at + csum_at(ip), 0);
	sum = (uint16_t)~fold(add_words(ip + at, len - at, pseudo_sum(ip, len)));
	mf_store_be16(ip + at + csum_at(ip), sum ? sum : 0xffff);
}

static void ip4(uint8_t *p, const char *src, const char *dst, uint8_t proto, uint32_t len)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	mf_store_be16(p + 2, (uint16_t)len);
	mf_store_be16(p + 6, 0x4000);
	p[8] = 64;
	p[9] = proto;
	if (inet_pton(AF_INET, src, p + 12) != 1 || inet_pton(AF_INET, dst, p + 16) != 1)
		die("address", src);
	mf_store_be16(p + 10, (uint16_t)~fold(add_words(p, 20, 0)));
}

static void ip6(uint8_t *p, const char *src, const char *dst, uint8_t proto, uint32_t len)
{
	memset(p, 0, 40);
	p[0] = 0x60;
	mf_store_be16(p + 4, (uint16_t)(len - 40));
	p[6] = proto;
	p[7] = 64;
	if (inet_pton(AF_INET6, src, p + 8) != 1 || inet_pton(AF_INET6, dst, p + 24) != 1)
		die("address", src);
}

static uint32_t udp(uint8_t *out, uint16_t sport, uint16_t dport, const void *payload, uint32_t n)
{
	uint32_t at = l4_at(out);
	uint8_t *u = out + at;

	mf_store_be16(u, sport);
	mf_store_be16(u + 2, dport);
	mf_store_be16(u + 4, (uint16_t)(8 + n));
	if (n)
		memcpy(u + 8, payload, n);
	finish(out, at + 8 + n);
	return at + 8 + n;
}

uint32_t testnet_udp4(uint8_t *out, const char *src, const char *dst, uint16_t sport,
		      uint16_t dport, const void *payload, uint32_t n)
{
	ip4(out, src, dst, 17, 28 + n);
	return udp(out, sport, dport, payload, n);
}

uint32_t testnet_udp6(uint8_t *out, const char *src, const char *dst, uint16_t sport,
		      uint16_t dport, const void *payload, uint32_t n)
{
	ip6(out, src, dst, 17, 48 + n);
	return udp(out, sport, dport, payload, n);
}

static uint32_t tcp(uint8_t *out, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack,
		    uint8_t flags, const void *payload, uint32_t n)
{
	uint32_t at = l4_at(out);
	uint8_t *t = out + at;

	memset(t, 0, 20);
	mf_store_be16(t, sport);
	mf_store_be16(t + 2, dport);
	mf_store_be32(t + 4, seq);
	mf_store_be32(t + 8, ack);
	t[12] = 0x50;
	t[13] = flags;
	mf_store_be16(t + 14, 0xffff);
	if (n)
		memcpy(t + 20, payload, n);
	finish(out, at + 20 + n);
	return at + 20 + n;
}

uint32_t testnet_tcp4(uint8_t *out, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, const void *payload, uint32_t n)
{
	ip4(out, src, dst, 6, 40 + n);
	return tcp(out, sport, dport, seq, ack, flags, payload, n);
}

uint32_t testnet_tcp6(uint8_t *out, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, const void *payload, uint32_t n)
{
	ip6(out, src, dst, 6, 60 + n);
	return tcp(out, sport, dport, seq, ack, flags, payload, n);
}
