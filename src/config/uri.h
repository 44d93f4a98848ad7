/* SPDX-License-Identifier: Apache-2.0
 *
 * uri - cuts up the links by which people share proxies. They look like URIs (RFC 3986), but what stands
 * in front of the last @ may have any character, and many programs write them carelessly.
 */
#ifndef MF_CONFIG_URI_H
#define MF_CONFIG_URI_H

#include "config/arena.h"

struct mf_uri {
	const char *user;  /* as written; NULL: there is no @ */
	const char *host;  /* without brackets, not empty */
	uint16_t port;     /* 0: none */
	const char *path;  /* as written, without its first /; "" */
	const char *query; /* as written, without ?; "" */
	const char *tag;   /* behind #, as written; "" */
};

/* Cuts what stands behind "scheme://"; the text is changed, and must live as long. NULL, or what is wrong
 * with it (no part of it is repeated). */
const char *mf_uri_cut(char *text, struct mf_uri *out);
/* Cuts the tag and the query off alone, for links whose body is base64. */
void mf_uri_cut_tail(char *text, struct mf_uri *out);
/* "host:port" or "host", with the host of IPv6 in brackets. NULL, or what is wrong with it. */
const char *mf_uri_cut_host(char *text, struct mf_uri *out);

/* With its %XX resolved; what is no %XX stays as it is. NULL: what comes out is no text that could be
 * shown (or memory ran out). */
const char *mf_uri_decode(struct mf_config_arena *arena, const char *text);
/* The first parameter of this name (in any case) in the query, decoded; NULL: there is none, it is empty,
 * or no text. */
const char *mf_uri_param(const struct mf_uri *u, struct mf_config_arena *arena, const char *name);
/* There is one, and it is not empty: what is then not there is no text. */
bool mf_uri_has_param(const struct mf_uri *u, const char *name);

#endif
