/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - datagrams to the relay of an association, and from it (RFC 1928 7): two bytes reserved,
 * the number of the part, target, payload.
 */
#include "proto/socks5/socks5.h"

enum { HEAD_LEN = 3 };
static_assert((int)HEAD_LEN + (int)MF_TARGET_LEN_MAX <= (int)MF_PACKET_OVERHEAD_MAX,
	      "the overhead is no larger than others reckon with");

static size_t seal(struct mf_packet_codec *c, const struct mf_proxy_target *to,
		   struct mf_span payload, uint8_t *out, size_t room)
{
	size_t n = HEAD_LEN + mf_target_len(to);

	(void)c;
	if (n > room || payload.n > room - n)
		return 0;
	memset(out, 0, HEAD_LEN);
	mf_target_put_socks(to, out + HEAD_LEN);
	if (payload.n)
		memcpy(out + n, payload.p, payload.n);
	return n + payload.n;
}

static mf_err open(struct mf_packet_codec *c, uint8_t *in, size_t n, struct mf_span *payload,
		   struct mf_endpoint *from)
{
	struct mf_proxy_target sender;
	size_t used;

	if (n < HEAD_LEN)
		return mf_packet_fail(c, MF_E_SHORT, MF_PROXY_PROTOCOL);
	if (in[2])
		return mf_packet_fail(c, MF_E_UNSUPPORTED, MF_PROXY_PROTOCOL);
	if (mf_target_get_socks(mf_span(in + HEAD_LEN, n - HEAD_LEN), &sender, &used))
		return mf_packet_fail(c, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	*from = sender.addr;
	*payload = mf_span(in + HEAD_LEN + used, n - HEAD_LEN - used);
	return MF_OK;
}

static void wipe(struct mf_packet_codec *c)
{
	(void)c;
}

static const struct mf_packet_ops ops = {
	.name = "socks5",
	.seal = seal,
	.open = open,
	.wipe = wipe,
};

void mf_socks5_packets_init(struct mf_socks5_packets *s, const struct mf_codec_env *env)
{
	*s = (struct mf_socks5_packets){ .codec = { .ops = &ops, .env = env } };
}
