/* SPDX-License-Identifier: Apache-2.0
 *
 * fault - why something went wrong with a proxy: one list for codecs, transports, counters, `show
 * interfaces`, the log and the documents. What a proxy says of a target is no fault of the proxy.
 */
#ifndef MF_PROTO_PROXY_FAULT_H
#define MF_PROTO_PROXY_FAULT_H

#include "base/base.h"

/* X(NAME, name, "text", "hint": what to look at, or "") */
#define MF_PROXY_FAULT_LIST(X)                                                                        \
	X(NONE, none, "no fault", "")                                                                 \
	/* On the way to the proxy. */                                                                \
	X(NAME, name, "the proxy's name cannot be resolved",                                          \
	  "look at `server` and `dns.direct_servers`")                                                \
	X(UNREACHABLE, unreachable, "the proxy cannot be reached",                                    \
	  "is there a network, and a way to `server`?")                                               \
	X(REFUSED, refused, "the proxy refuses connections",                                          \
	  "is the port of `server` right, and the server up?")                                        \
	X(TIMED_OUT, timed_out, "the proxy does not answer",                                          \
	  "is the address of `server` right, and the server up?")                                     \
	X(VIA, via, "the interface that leads to the proxy cannot carry it",                          \
	  "look at the state of `via`")                                                               \
	/* In a transport. */                                                                         \
	X(CERTIFICATE, certificate, "the proxy's certificate is not good",                            \
	  "look at `tls.server_name`, `tls.ca_file` and the clock")                                   \
	X(PIN, pin, "the proxy's key is not the one in `tls.pin_sha256`",                             \
	  "has the server a new key, or is somebody in between?")                                     \
	X(TLS, tls, "TLS has failed", "does the server speak TLS at this port?")                      \
	X(HTTP_STATUS, http_status, "the server answers the WebSocket with another status",           \
	  "look at `websocket.path`, `websocket.host` and `tls`")                                     \
	X(TRANSPORT, transport, "the server does not speak this transport",                           \
	  "look at `tls`, `websocket` and `obfs`, and at the server's settings")                      \
	/* In the protocol. */                                                                        \
	X(CREDENTIALS, credentials, "the proxy wants another user or password",                       \
	  "look at `username` and `password`")                                                        \
	X(AUTH, auth, "what the proxy sends does not open with our key",                              \
	  "look at password or uuid, and at the method")                                              \
	X(SILENT, silent, "the proxy takes our bytes and says nothing",                               \
	  "type, password, uuid or method may be wrong, or the clock, or the target is silent")       \
	X(CLOSED, closed, "the proxy closes the connection before it has answered",                   \
	  "password or uuid are often wrong then, or the clock")                                      \
	X(CLOCK, clock, "the clocks differ too much",                                                 \
	  "set the clock of this machine or of the server")                                           \
	X(REPLAY, replay, "the proxy's answer is to another connection", "is somebody in between?")   \
	X(PROTOCOL, protocol, "the proxy breaks its protocol",                                        \
	  "is it a server of this type and version?")                                                 \
	X(NOT_PROXY, not_proxy, "the server answers as a web server does",                            \
	  "password or uuid are often wrong then, or the path")                                       \
	X(COMMAND, command, "the proxy does not carry this kind of session",                          \
	  "set `udp`, or ask who runs it")                                                            \
	X(RESOURCES, resources, "out of memory or descriptors", "look at `limits.memory`")            \
	/* What the proxy says of a target. */                                                        \
	X(TARGET_REFUSED, target_refused, "the target refuses the connection, says the proxy", "")    \
	X(TARGET_UNREACHABLE, target_unreachable, "the target cannot be reached, says the proxy", "") \
	X(TARGET_FORBIDDEN, target_forbidden, "the proxy's rules forbid this target", "")             \
	X(TARGET_TIMED_OUT, target_timed_out, "the target does not answer, says the proxy", "")       \
	X(TARGET_FAILED, target_failed, "the proxy could not connect to the target", "")

enum mf_proxy_fault {
#define X(NAME, name, text, hint) MF_PROXY_##NAME,
	MF_PROXY_FAULT_LIST(X)
#undef X
		MF_PROXY_FAULTS
};

/* Never NULL. */
const char *mf_proxy_fault_text(enum mf_proxy_fault f);
const char *mf_proxy_fault_hint(enum mf_proxy_fault f);
/* The name in lower case, for JSON: "http_status". */
const char *mf_proxy_fault_name(enum mf_proxy_fault f);

/* Does it say something of a target, and nothing against the proxy? */
static inline bool mf_proxy_fault_is_target(enum mf_proxy_fault f)
{
	return f >= MF_PROXY_TARGET_REFUSED;
}

#endif
