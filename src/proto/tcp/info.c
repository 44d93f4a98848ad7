/* SPDX-License-Identifier: Apache-2.0
 *
 * info - what others may know about a connection.
 */
#include "proto/tcp/internal.h"

const char *mf_tcp_state_name(enum mf_tcp_state s)
{
	static const char *const names[MF_TCP_STATE_COUNT] = {
		[MF_TCP_CLOSED] = "closed",           [MF_TCP_SYN_HELD] = "syn-held",
		[MF_TCP_SYN_SENT] = "syn-sent",       [MF_TCP_SYN_RECEIVED] = "syn-recv",
		[MF_TCP_ESTABLISHED] = "established", [MF_TCP_FIN_WAIT_1] = "fin-wait-1",
		[MF_TCP_FIN_WAIT_2] = "fin-wait-2",   [MF_TCP_CLOSE_WAIT] = "close-wait",
		[MF_TCP_CLOSING] = "closing",         [MF_TCP_LAST_ACK] = "last-ack",
		[MF_TCP_TIME_WAIT] = "time-wait",
	};

	return (unsigned)s < MF_TCP_STATE_COUNT ? names[s] : "unknown";
}

enum mf_tcp_state mf_tcp_state(const struct mf_tcp *c)
{
	return c->state;
}

uint32_t mf_tcp_events(struct mf_tcp *c)
{
	uint32_t events = c->events;

	c->events = 0;
	return events;
}

void mf_tcp_info(const struct mf_tcp *c, struct mf_tcp_info *out)
{
	bool open = c->env;

	*out = (struct mf_tcp_info){
		.state = c->state,
		.end = c->end,
		.srtt = c->rtt.srtt,
		.rttvar = c->rtt.rttvar,
		.rto = open ? mf_tcp_rtt_rto(&c->rtt) : 0,
		.mss = c->mss,
		.cwnd = c->cubic.cwnd,
		.ssthresh = open ? c->cubic.ssthresh : UINT32_MAX,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = mf_seq_lt(c->rcv_nxt, c->rcv_adv) ? c->rcv_adv - c->rcv_nxt : 0,
		.in_flight = c->snd_nxt - c->snd_una,
		.retransmits = c->retransmits,
		.syn_seq = c->irs,
		.sack = c->flags & MF_TCP_F_SACK,
		.timestamps = c->flags & MF_TCP_F_TS,
		.snd_wscale = c->snd_wscale,
		.rcv_wscale = mf_tcp_rcv_shift(c),
	};
}
