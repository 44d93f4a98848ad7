/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_proxy - the tables of how a proxy is reached: TLS, WebSocket, simple-obfs.
 */
#include "config/schema_tables.h"
#include "proto/websocket/websocket.h"

static const struct mf_field tls_fields[] = {
	{ .key = "server_name",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_tls, server_name),
	  .form = "a host name or an address",
	  .def_text = "`websocket.host`, else the host in `server`",
	  .doc = "Whom the certificate must be for, and what is said to the server (SNI).",
	  .example = "proxy.example.net" },
	{ .key = "alpn",
	  .type = MF_FIELD_PROTOCOLS,
	  LIST(mf_config_tls, alpn),
	  .max = 8,
	  .def_text = "none; with `websocket`: `http/1.1`",
	  .doc = "Protocols that are offered (RFC 7301), the best first. With `websocket`, and to "
		 "an "
		 "http proxy, only `http/1.1` works.",
	  .example = "[h2, http/1.1]" },
	{ .key = "ca_file",
	  .type = MF_FIELD_FILE,
	  AT(mf_config_tls, ca_file),
	  .def_text = "those of the system",
	  .doc = "Certificates (PEM) that the server's is checked against.",
	  .example = "ca.pem" },
	{ .key = "pin_sha256",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_tls, pin_sha256),
	  .form = "32 bytes in base64 or hexadecimal",
	  .def_text = "none",
	  .doc = "The SHA-256 of the server's public key (RFC 7469, 2.4): only this one is good, "
		 "whoever has signed the certificate.",
	  .example = "\"X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=\"" },
	{ .key = "insecure",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_tls, insecure),
	  .def = "false",
	  .doc = "`true`: take any certificate. Whoever is on the way can then read and change "
		 "everything; `pin_sha256` is as easy and safe.",
	  .example = "true" },
	{ .key = "session_resumption",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_tls, session_resumption),
	  .def = "true",
	  .doc = "Begin the next connection with what the server left for it, which saves time and "
		 "work. The server can tell that it is us again.",
	  .example = "false" },
};

const struct mf_schema mf_schema_tls =
	SCHEMA(mf_config_tls, "interfaces[].tls", tls_fields,
	       "TLS 1.2 or 1.3 to a proxy. Chain and name of the certificate are checked.");

static const struct mf_field websocket_fields[] = {
	{ .key = "path",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_websocket, path),
	  .form = "a path that begins with `/`",
	  .def = "/",
	  .doc = "What the server knows the WebSocket by; it may have a query.",
	  .example = "/chat" },
	{ .key = "host",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_websocket, host),
	  .form = "a host name, with port if need be",
	  .def_text = "`tls.server_name`, else the host in `server`",
	  .doc = "The field `Host` of the request.",
	  .example = "www.example.com" },
	{ .key = "headers",
	  .type = MF_FIELD_HEADERS,
	  LIST(mf_config_websocket, headers),
	  .max = 32,
	  .doc = "More fields of the request. There may be credentials in them, so they are shown "
		 "as "
		 "little as passwords.",
	  .example = "{ User-Agent: curl/8.5.0 }" },
	{ .key = "early_data",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_websocket, early_data),
	  .min = 0,
	  .max = MF_WS_EARLY_MAX,
	  .zero = "off",
	  .def = "off",
	  .doc = "So many bytes of what an app says first go into the request, which saves a round "
		 "trip. Only for servers that know this, such as Xray: with others sessions hang.",
	  .example = "2048" },
	{ .key = "early_data_header",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_websocket, early_data_header),
	  .form = "the name of a field",
	  .zero = "path",
	  .def = "Sec-WebSocket-Protocol",
	  .doc = "Which field they go into; `path`: behind the path.",
	  .example = "Sec-WebSocket-Protocol" },
};

const struct mf_schema mf_schema_websocket =
	SCHEMA(mf_config_websocket, "interfaces[].websocket", websocket_fields,
	       "A WebSocket (RFC 6455) to a proxy, as people put it behind a web server. For "
	       "shadowsocks it is what `v2ray-plugin` does with `mux=0`.");

static const char
	*const obfs_words[] = { [MF_CONFIG_OBFS_HTTP] = "http", [MF_CONFIG_OBFS_TLS] = "tls", NULL };

static const struct mf_field obfs_fields[] = {
	{ .key = "mode",
	  .type = MF_FIELD_WORD,
	  NUM(mf_config_obfs, mode),
	  .words = obfs_words,
	  .max = MF_CONFIG_OBFS_TLS,
	  .def = "http",
	  .doc = "What a connection begins like: a WebSocket's, or TLS.",
	  .example = "tls" },
	{ .key = "host",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_obfs, host),
	  .form = "a host name",
	  .def_text = "the host in `server`",
	  .doc = "Whom it claims to talk to.",
	  .example = "www.example.com" },
	{ .key = "path",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_obfs, path),
	  .form = "a path that begins with `/`",
	  .def_text = "`/`",
	  .doc = "With mode `http`: what it claims to ask for.",
	  .example = "/index.html" },
};

const struct mf_schema mf_schema_obfs = SCHEMA(
	mf_config_obfs, "interfaces[].obfs", obfs_fields,
	"simple-obfs: the connection looks like something else to whoever only glances at it. "
	"It protects nothing by itself.");
