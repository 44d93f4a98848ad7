/* SPDX-License-Identifier: Apache-2.0
 *
 * show_proxies - what the tables of interfaces and of counters say of proxies.
 */
#ifndef MF_SHOW_PROXIES_H
#define MF_SHOW_PROXIES_H

#include "control/internal.h"

/* X(key, KIND): columns of the table of interfaces, for programs; those of MF_PROXY_COUNTER_LIST
 * follow. */
#define MF_PROXY_COLUMN_LIST(X)      \
	X(server, TEXT)              \
	X(transport, TEXT)           \
	X(via, TEXT)                 \
	X(udp, TEXT)                 \
	X(last_ok_age, DURATION)     \
	X(fault, TEXT)               \
	X(fault_text, TEXT)          \
	X(fault_detail, TEXT)        \
	X(fault_hint, TEXT)          \
	X(fault_age, DURATION)       \
	X(connect_time, DURATION)    \
	X(tls_time, DURATION)        \
	X(transport_time, DURATION)  \
	X(first_byte_time, DURATION) \
	X(clock_skew, SIGNED)

enum {
#define X(name, what) +1
	MF_PROXY_CELLS = MF_PROXY_COLUMN_LIST(X) MF_PROXY_COUNTER_LIST(X)
#undef X
};

/* The cells of those columns; none in them if the hop is no proxy. */
void mf_proxy_cells(struct mf_control *c, struct mf_report *r, uint32_t hop, mf_nsec now);
/* For people, a table of its own; nothing if there is no proxy. */
void mf_report_proxies(struct mf_control *c, struct mf_report *r, mf_nsec now);
/* A table of what is counted of them. */
void mf_report_proxy_counters(struct mf_control *c, struct mf_report *r, bool all);

#endif
