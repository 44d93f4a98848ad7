/* SPDX-License-Identifier: Apache-2.0
 *
 * request - one line from a client of the control socket as a checked value. Everything that is not
 * exactly a request is an error with a sentence: unknown keys, wrong types, numbers out of range.
 */
#ifndef MF_REQUEST_H
#define MF_REQUEST_H

#include "base/addr.h"
#include "control/bpf.h"
#include "control/filter.h"

enum mf_request_command {
	MF_REQUEST_STATUS,
	MF_REQUEST_SHOW,
	MF_REQUEST_WHY,
	MF_REQUEST_CAPTURE,
	MF_REQUEST_RELOAD,
	MF_REQUEST_STOP,
	MF_REQUEST_CLOSE,
	MF_REQUEST_FLUSH,
	MF_REQUEST_TEST,
};

/* X(NAME, "name", "what it shows") */
#define MF_SHOW_LIST(X)                                                                       \
	X(INTERFACES, "interfaces", "interfaces with addresses, ports and traffic")           \
	X(PEERS, "peers", "peers with endpoint, latest handshake, traffic and allowed IPs")   \
	X(ROUTES, "routes", "every route in force, written or learned, and who says so")      \
	X(SESSIONS, "sessions", "sessions of the host stack: ends, interface, rule, traffic") \
	X(DNS, "dns", "DNS servers, questions by rule, top names, counters")                  \
	X(DNS_CACHE, "dns-cache", "answers kept: name, type, answer, TTL, server, interface") \
	X(NODES, "nodes", "nodes of the graph, and counters of ports and host stack")         \
	X(DROPS, "drops", "packets dropped, by reason, and the proof that none is missing")   \
	X(LOG, "log", "the latest lines of the log")

enum mf_show {
#define X(name, word, text) MF_SHOW_##name,
	MF_SHOW_LIST(X)
#undef X
		MF_SHOW_COUNT
};

const char *mf_show_name(enum mf_show table);

enum {
	MF_REQUEST_NAME = 32,
	MF_REQUEST_URL_MAX = 2048,
	MF_REQUEST_SNAPLEN_MAX = 65535,
	MF_REQUEST_SNAPLEN_MIN = 64,
	MF_REQUEST_IDS_MAX = 1024,
};

struct mf_request {
	enum mf_request_command command;
	bool json;
	bool all; /* show: also what is zero, and long tables to their end; close: every session */
	enum mf_show table;
	struct mf_addr address; /* why; family 0: a name, or a session, id[0] */
	/* why; show dns-cache, flush: this name and all below it, "": all. Of sessions it stands in their
	 * filter. */
	char name[MF_HOST_STRLEN];
	struct mf_session_id id[MF_REQUEST_IDS_MAX]; /* close; each once */
	size_t n_ids;
	struct mf_session_filter sessions; /* show sessions, close */
	bool filtered;                     /* at least one key of it was given */
	bool drop_sessions;                /* reload */
	char interface[MF_REQUEST_NAME];  /* capture: of this one only; "" is any; test: this one */
	char url[MF_REQUEST_URL_MAX + 1]; /* test */
	char node[MF_REQUEST_NAME]; /* capture: before this node; "" is wherever packets enter */
	uint32_t snaplen;           /* capture */
	uint64_t count;             /* capture: end after so many packets, 0: never */
	struct mf_bpf_insn filter[MF_BPF_MAX];
	size_t n_filter; /* 0: all packets */
};

/* Parses one line (the newline is not part of it). MF_E_MALFORMED or MF_E_RANGE, and a sentence. */
MF_MUST_CHECK mf_err mf_request_parse(const char *line, size_t n, struct mf_request *out,
				      struct mf_errbuf *eb);

#endif
