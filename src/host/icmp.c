/* SPDX-License-Identifier: Apache-2.0
 *
 * icmp - ICMP in both directions: pings go to their sessions (echo.c), errors from apps' machines and from
 * routers before them to the session that sent what they quote, and errors of the far side to the app.
 *
 * An error says little and may be forged, so it never ends a UDP mapping (RFC 4787 REQ-12): a port that an
 * app has closed is counted and no more, the mapping's own time-out ends it. What is believed is a smaller
 * MTU, within limits. TCP asks for more proof (RFC 5927).
 */
#include "host/datagram.h"

#include "base/bucket.h"
#include "wire/csum.h"
#include "wire/gso.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/reply.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* 1000 a second, 50 at once, as Linux has it. */
enum { BURST = 50, QUOTED = 8 };
static const mf_nsec interval = MF_MSEC;

/* ---- To apps ------------------------------------------------------------------------------------- */

/* The kernel takes nothing from the TUN that says it comes from the machine itself. The destination always
 * passes: it is routed to the TUN. */
static bool is_ours(const struct mf_host *h, const struct mf_addr *a)
{
	return mf_addr_equal(a, &h->cfg.tunnel4) || mf_addr_equal(a, &h->cfg.tunnel6);
}

static uint32_t rest_of(uint8_t ip_version, uint8_t type, uint8_t code, uint32_t mtu)
{
	if (ip_version == 6)
		return type == MF_ICMP6_TOO_BIG ? (uint32_t)mf_max(mtu, MF_IP6_MIN_MTU) : 0;
	return type == MF_ICMP4_UNREACHABLE && code == 4 ? (uint32_t)mf_min(mtu, 65535) : 0;
}

void mf_host_icmp_error(struct mf_host *h, const uint8_t *quote, size_t len,
			const struct mf_addr *offender, uint8_t type, uint8_t code, uint32_t mtu)
{
	struct mf_icmp_hdr e = { .type = type, .code = code };
	struct mf_addr src = *offender;
	struct mf_pkt q, *p;

	if (!mf_bucket_has(h->icmp_full_at, h->now, interval, BURST) || !mf_ip_quoted(&q, quote, len))
		return;
	e.rest = mf_be32_of(rest_of(q.ip_version, type, code, mtu));
	if (src.family != q.ip_version || is_ours(h, &src))
		src = mf_ip_dst(&q);
	p = mf_icmp_error_quoting(h->pool, quote, len, &src, &e);
	if (!p)
		return;
	mf_bucket_take(&h->icmp_full_at, h->now, interval);
	mf_count(&h->count.icmp_to_app, 1);
	mf_host_emit(h, p);
}

void mf_host_icmp_about(struct mf_host *h, const struct mf_session *s, const struct mf_addr *dst,
			const void *l4, size_t n, const struct mf_addr *offender, uint8_t type,
			uint8_t code, uint32_t mtu)
{
	uint8_t room[sizeof(struct mf_ip6_hdr) + sizeof(struct mf_tcp_hdr)];
	struct mf_pkt q = { .data = room + sizeof(struct mf_ip6_hdr),
			    .len = (uint32_t)n,
			    .room_start = room,
			    .room_end = room + sizeof(room) };

	MF_ASSERT(n >= QUOTED && n <= sizeof(struct mf_tcp_hdr));
	memcpy(q.data, l4, n);
	mf_reply_wrap(&q, &s->facts.app.addr, dst, s->facts.proto, 0, 0);
	mf_host_icmp_error(h, q.data, q.l4_off + QUOTED, offender, type, code, mtu);
}

/* ---- From apps ----------------------------------------------------------------------------------- */

/* Its ends are the other way round. TCP and UDP have the ports in the same place. */
bool mf_host_quoted_key(const struct mf_pkt *p, const struct mf_pkt *q, struct mf_flow_key *k)
{
	const uint8_t *l4 = q->data + q->l4_off; /* 8 bytes */
	bool v4 = q->ip_version == 4, ours = p->flags & MF_PKT_FROM_VPN;
	bool tcp = q->l4_proto == MF_IPPROTO_TCP, udp = q->l4_proto == MF_IPPROTO_UDP;

	memset(k, 0, sizeof(*k));
	k->family = v4 ? MF_AF_IP4 : MF_AF_IP6;
	k->proto = q->l4_proto;
	k->side = ours ? MF_SIDE_OURS : MF_SIDE_APP;
	if (!tcp)
		k->hop = (uint8_t)p->next_hop;
	if (tcp || !ours)
		memcpy(k->src, mf_ip_dst_bytes(q), v4 ? 4 : 16);
	if (tcp || ours)
		memcpy(k->dst, mf_ip_src_bytes(q), v4 ? 4 : 16);
	if (tcp || udp) {
		k->sport = tcp || !ours ? mf_load_be16(l4 + offsetof(struct mf_udp_hdr, dport)) : 0;
		k->dport = tcp || ours ? mf_load_be16(l4 + offsetof(struct mf_udp_hdr, sport)) : 0;
		return true;
	}
	k->sport = mf_load_be16(l4 + offsetof(struct mf_icmp_hdr, rest));
	return !ours && q->l4_proto == (v4 ? MF_IPPROTO_ICMP : MF_IPPROTO_ICMP6) &&
	       l4[0] == (v4 ? MF_ICMP4_ECHO_REPLY : MF_ICMP6_ECHO_REPLY);
}

/* Whoever sent the packet gets the error: it must be addressed to the quoted source. */
static bool is_about_us(const struct mf_pkt *p, const struct mf_pkt *q)
{
	return q->ip_version == p->ip_version &&
	       !memcmp(mf_ip_src_bytes(q), mf_ip_dst_bytes(p), p->ip_version == 4 ? 4 : 16);
}

static void apply(struct mf_host *h, struct mf_session *s, const struct mf_pkt *p,
		  const struct mf_pkt *q)
{
	uint32_t mtu = mf_icmp_path_mtu(p);

	bool ours = s->flow.key.side == MF_SIDE_OURS;

	if (!ours)
		mf_count(&h->count.icmp_from_app, 1);
	if (s->facts.proto == MF_IPPROTO_TCP)
		mf_session_tcp_icmp(h, s, p, q);
	else if (ours)
		mf_vpn_dgram_icmp(s, p, q);
	else if (mtu)
		mf_datagram_path_mtu(s, mtu);
}

static void take_error(struct mf_host *h, struct mf_pkt *p)
{
	size_t at = p->l4_off + sizeof(struct mf_icmp_hdr);
	struct mf_session *s;
	struct mf_endpoint remote;
	struct mf_flow_key k;
	struct mf_pkt q;

	if (!mf_ip_quoted(&q, p->data + at, p->len - at)) {
		mf_host_drop(h, p, MF_DROP_L4_TRUNCATED);
		return;
	}
	if (!is_about_us(p, &q) || !mf_host_quoted_key(p, &q, &k)) {
		mf_host_drop(h, p, MF_DROP_ICMP_UNMATCHED);
		return;
	}
	remote = (struct mf_endpoint){ .addr = mf_ip_src(&q) };
	if (q.l4_proto == MF_IPPROTO_UDP)
		remote.port = mf_load_be16(q.data + q.l4_off + offsetof(struct mf_udp_hdr, sport));
	s = mf_host_find_quoted(h, &k, &remote);
	if (s) {
		apply(h, s, p, &q);
		mf_host_consume(h, p);
	} else if (!mf_host_hand_over(h, p, &k)) {
		mf_host_drop(h, p, MF_DROP_ICMP_UNMATCHED);
	}
}

/* ---- Messages ------------------------------------------------------------------------------------ */

static enum mf_drop check(struct mf_pkt *p)
{
	uint32_t n = p->len - p->l4_off;
	bool v4 = p->l4_proto == MF_IPPROTO_ICMP;

	if ((p->ip_version == 4) != v4)
		return MF_DROP_PROTOCOL;
	if (n < sizeof(struct mf_icmp_hdr))
		return MF_DROP_L4_TRUNCATED;
	mf_gso_finish_csum(p);
	if (v4 ? mf_csum_fold(mf_csum_add(p->data + p->l4_off, n, 0)) != 0xffff
	       : !mf_ip_l4_csum_ok(p))
		return MF_DROP_L4_CHECKSUM;
	return MF_DROP_NONE;
}

static void input(struct mf_host *h, struct mf_datagram_batch *b, struct mf_pkt *p)
{
	enum mf_drop why = check(p);
	uint8_t type = why ? 0 : p->data[p->l4_off];
	bool v4 = p->ip_version == 4;

	if (why)
		mf_host_drop(h, p, why);
	else if (type == (v4 ? MF_ICMP4_ECHO : MF_ICMP6_ECHO) && !(p->flags & MF_PKT_FROM_VPN))
		mf_datagram_input(h, b, &mf_datagram_echo, p, 0);
	else if (mf_icmp_is_error(p->ip_version, type))
		take_error(h, p);
	else if (type == (v4 ? MF_ICMP4_ECHO_REPLY : MF_ICMP6_ECHO_REPLY))
		mf_host_drop(h, p, MF_DROP_ICMP_UNMATCHED); /* nobody can have asked */
	else
		mf_host_drop(h, p, MF_DROP_PROTOCOL);
}

void mf_host_icmp(struct mf_host *h, struct mf_pkt **pkts, uint32_t n)
{
	struct mf_datagram_batch b = { .n = 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct mf_pkt *p = mf_host_whole(h, pkts[i]);

		if (p && (p->l4_proto == MF_IPPROTO_ICMP || p->l4_proto == MF_IPPROTO_ICMP6))
			input(h, &b, p);
		else if (p)
			mf_host_other(h, p);
	}
	mf_datagram_flush(h, &b);
}
