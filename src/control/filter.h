/* SPDX-License-Identifier: Apache-2.0
 *
 * filter - which sessions somebody means: one by its name, or all that a few words describe. The same words
 * choose what `mintflow show sessions` lists and what `mintflow close` ends.
 */
#ifndef MF_FILTER_H
#define MF_FILTER_H

#include "host/session.h"

/* A session as people name it: "0-17-3" is worker 0, slot 17, the third one in that slot. A name is never
 * used for another session soon after: the last number goes up to 4095 before it comes round. */
struct mf_session_id {
	uint32_t worker;
	struct mf_flow_ref ref;
};

enum { MF_SESSION_ID_STRLEN = 24 };

/* False: not of that form. */
bool mf_session_id_parse(struct mf_session_id *id, const char *text);
/* Fills and returns `out`. */
const char *mf_session_id_format(const struct mf_session_id *id, char out[MF_SESSION_ID_STRLEN]);
bool mf_session_id_equal(const struct mf_session_id *a, const struct mf_session_id *b);

/* One end: "192.0.2.1", "192.0.2.0/24", "192.0.2.1:443", "[2001:db8::1]:443", ":443". */
struct mf_session_end {
	struct mf_prefix prefix; /* family 0: any address */
	uint16_t port;           /* 0: any */
};
MF_MUST_CHECK mf_err mf_session_end_parse(struct mf_session_end *e, const char *text);

enum mf_session_proto { MF_PROTO_ANY, MF_PROTO_TCP, MF_PROTO_UDP, MF_PROTO_ICMP };

/* A host name as people write it, in any script and with or without the last dot, to lower case and ASCII.
 * MF_E_MALFORMED, MF_E_RANGE: it is none; MF_E_NO_MEMORY. */
enum { MF_HOST_STRLEN = 255 };
MF_MUST_CHECK mf_err mf_host_parse(char out[MF_HOST_STRLEN], const char *text);
/* Is `name` that zone, or below it? Both as above. */
bool mf_host_below(const char *name, const char *zone);

/* Zeroed: every session. */
struct mf_session_filter {
	uint8_t proto;             /* enum mf_session_proto */
	uint8_t state;             /* enum mf_session_state; FREE: any */
	bool kept;                 /* only those whose route leads elsewhere now */
	char via[32];              /* name of the interface; "": any */
	char name[MF_HOST_STRLEN]; /* they have shown it, or one below it; "": any or none */
	struct mf_session_end app, to;
};

/* `iface`: the name of the interface that carries it. */
bool mf_session_filter_matches(const struct mf_session_filter *f, const struct mf_session_facts *s,
			       const char *iface);

/* "tcp", "udp", "icmp" or "icmp6". */
const char *mf_session_proto_text(uint8_t ip_protocol);
/* False: neither "tcp" nor "udp" nor "icmp". */
bool mf_session_proto_parse(uint8_t *proto, const char *text);
/* False: not the text of a state. */
bool mf_session_state_parse(uint8_t *state, const char *text);

#endif
