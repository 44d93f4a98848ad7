/* SPDX-License-Identifier: Apache-2.0
 *
 * link - one share link becomes the text of one interface. Links are strangers' input: what is wrong with
 * one is said without repeating any of it that may be secret. Whether the interface is good is not
 * decided here: links.c lets the loader of profiles say that.
 */
#ifndef MF_CONFIG_LINK_H
#define MF_CONFIG_LINK_H

#include "config/arena.h"
#include "config/import.h"
#include "config/uri.h"

#include <jansson.h>

enum { MF_LINK_MAX = 16 * 1024 }; /* bytes of a link */

struct mf_link {
	struct mf_config_arena *arena;
	struct mf_import *im; /* gets the notes */
	uint32_t line;
	const char *tag;     /* what people call it; NULL: nothing */
	bool tag_garbled;    /* something, but that cannot be read */
	const char *host;    /* of its server */
	struct mf_text yaml; /* keys of the interface but `name`, each in a line, indented by four */
	const char *garbled; /* the key of a value that cannot be read; NULL: none */
	struct mf_errbuf why;
};

/* Reads a link, and changes its text. False: it is not taken, and `why` says for which reason. With
 * `garbled` it is not what its author meant, whatever is returned. */
bool mf_link_read(struct mf_link *l, char *text);

/* ---- For the kinds of links ------------------------------------------------------------------------ */

/* What stands behind "scheme://". */
bool mf_link_shadowsocks(struct mf_link *l, char *text);
bool mf_link_vmess(struct mf_link *l, char *text);
bool mf_link_vless(struct mf_link *l, char *text);
bool mf_link_trojan(struct mf_link *l, char *text);
bool mf_link_socks(struct mf_link *l, char *text);
bool mf_link_http(struct mf_link *l, char *text);
bool mf_link_https(struct mf_link *l, char *text);
bool mf_link_wireguard(struct mf_link *l, char *text);

/* A server as SIP002 and SIP008 give it; what is NULL is not given. */
struct mf_link_ss {
	const char *method, *password, *plugin, *options;
};
/* `u`: host, port and query. */
bool mf_link_ss(struct mf_link *l, const struct mf_link_ss *ss, const struct mf_uri *u);

/* What base64 stands for, if that is text; else NULL. */
char *mf_link_unwrap(struct mf_link *l, const char *base64);
/* Says why it is not taken, and returns false. */
bool mf_link_refuse(struct mf_link *l, const char *fmt, ...) MF_PRINTF(2, 3);
/* Something that is taken, but not as it stands. */
void mf_link_note(struct mf_link *l, const char *fmt, ...) MF_PRINTF(2, 3);
/* "key: value"; NULL: nothing. */
void mf_link_put(struct mf_link *l, const char *key, const char *value);
/* The same inside a section. */
void mf_link_put_in(struct mf_link *l, const char *key, const char *value);
/* A name in another script as the DNS has it, every other host as it is. NULL: it is no name, or none. */
const char *mf_link_ascii_host(struct mf_link *l, const char *host);
/* The host of a URI as the DNS has it, in l->host. False: it is refused. */
bool mf_link_take_host(struct mf_link *l, const struct mf_uri *u);
/* `type`, and `server` from the URI; a port of 0 is the default, 0: it must be given. */
bool mf_link_put_server(struct mf_link *l, const char *type, const struct mf_uri *u, uint16_t port);
/* mf_uri_param, which sets l->garbled. */
const char *mf_link_param(struct mf_link *l, const struct mf_uri *u, const char *name);
/* A text of JSON, NULL: there is none; sets l->garbled. It lives as long as the JSON. */
const char *mf_link_json_text(struct mf_link *l, const json_t *o, const char *key);
/* The tag, from a text of JSON. False: there is no text of this key. */
bool mf_link_take_json_tag(struct mf_link *l, const json_t *o, const char *key);
/* The tag, from a URI that is cut. */
void mf_link_take_tag(struct mf_link *l, const struct mf_uri *u);
/* mf_uri_cut, and the tag. */
bool mf_link_cut(struct mf_link *l, char *text, struct mf_uri *u);

/* How a proxy is reached, as links and v2rayN's JSON have it; what is NULL is not given. */
struct mf_link_transport {
	const char *network;  /* "tcp", "ws" */
	const char *header;   /* with tcp: "none", "http" */
	const char *security; /* "none", "tls" */
	const char *host, *path, *sni, *alpn, *fingerprint;
	const char *pin; /* of the certificate */
	const char *ech;
	const char *early, *early_header;
	bool insecure;
	bool tls; /* out: it has TLS */
};
void mf_link_transport_of(struct mf_link *l, const struct mf_uri *u, struct mf_link_transport *t);
/* Puts `tls` and `websocket`. */
bool mf_link_put_transport(struct mf_link *l, struct mf_link_transport *t);
/* "1" or "true". */
bool mf_link_is_true(const char *text);

#endif
