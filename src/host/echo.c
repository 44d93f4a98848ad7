/* SPDX-License-Identifier: Apache-2.0
 *
 * echo - echo sessions: the pings that an app sends under one identifier, whoever they go to. The outbound
 * may use another identifier outside; the app sees its own again.
 */
#include "host/datagram.h"

#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/reply.h"

static uint32_t id_and_seq(const struct mf_session *s, uint16_t seq)
{
	return (uint32_t)s->facts.app.port << 16 | seq;
}

static bool wrap(const struct mf_session *s, struct mf_pkt *p)
{
	bool v4 = s->flow.key.family == MF_AF_IP4;
	struct mf_icmp_hdr *i = (void *)p->data;

	if (p->len < sizeof(*i) || p->len > 65535 - (v4 ? sizeof(struct mf_ip4_hdr) : 0) ||
	    i->type != (v4 ? MF_ICMP4_ECHO_REPLY : MF_ICMP6_ECHO_REPLY) || i->code)
		return false;
	i->rest = mf_be32_of(id_and_seq(s, (uint16_t)mf_be32_get(i->rest)));
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
	p->segments = 1;
	mf_reply_wrap(p, &p->remote.addr, &s->facts.app.addr, s->facts.proto, p->tos, p->ttl);
	mf_reply_finish(p, MF_ICMP_CSUM_OFF);
	return true;
}

static void quote(const struct mf_session *s, const struct mf_dgram_error *e, uint8_t l4[8])
{
	bool v4 = s->flow.key.family == MF_AF_IP4;
	struct mf_icmp_hdr i = {
		.type = v4 ? MF_ICMP4_ECHO : MF_ICMP6_ECHO,
		.rest = mf_be32_of(id_and_seq(s, e->echo_seq)),
	};

	memcpy(l4, &i, sizeof(i));
}

const struct mf_datagram_kind mf_datagram_echo = {
	.ops = { .turn = mf_datagram_turn, .close = mf_datagram_close },
	.kind = MF_DGRAM_ECHO,
	.wrap = wrap,
	.quote = quote,
};
