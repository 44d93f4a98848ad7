/* SPDX-License-Identifier: Apache-2.0
 *
 * info - what others may know about a connection.
 */
#include "proto/tcp/tcp.h"

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
