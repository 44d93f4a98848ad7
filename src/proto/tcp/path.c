/* SPDX-License-Identifier: Apache-2.0
 *
 * path - what ICMP says about the way to the peer. Anybody can send it, so it must quote a sequence number
 * that is in flight (RFC 5927 4.1), and even then it may only make segments smaller (1191, 8201) or stop an
 * opening that has not succeeded.
 */
#include "proto/tcp/internal.h"
#include "wire/ip.h"

/* Less is no path for TCP, and a means to make us send many small packets. */
enum { MIN_MTU4 = 296 };

void mf_tcp_path_mtu(struct mf_tcp_env *env, struct mf_tcp *c, uint32_t mtu, uint32_t seq, mf_nsec now)
{
	uint32_t least = c->local.addr.family == MF_AF_IP4 ? MIN_MTU4 : MF_IP6_MIN_MTU;

	(void)env;
	if (!mf_tcp_sends(c) || mf_seq_lt(seq, c->snd_una) || !mf_seq_lt(seq, c->snd_nxt))
		return;
	mtu = (uint32_t)mf_max(mtu, least);
	if (mtu >= c->mtu)
		return;
	mf_tcp_set_mtu(c, mtu);
	mf_tcp_recover_mtu(c);
	mf_tcp_set_xmit_timer(c, true, now);
}

void mf_tcp_unreachable(struct mf_tcp_env *env, struct mf_tcp *c, uint32_t seq)
{
	(void)env;
	/* RFC 5461 4.1: an established connection waits for better times. */
	if ((c->state == MF_TCP_SYN_SENT || c->state == MF_TCP_SYN_RECEIVED) && seq == c->iss)
		mf_tcp_end(c, MF_TCP_END_UNREACHABLE);
}
