/* SPDX-License-Identifier: Apache-2.0
 *
 * curl - libcurl, loaded when something is to be fetched for the first time: it brings some twenty libraries and 4 MiB
 * of resident memory, which most machines never need. Once loaded it stays.
 */
#ifndef MF_DAEMON_CURL_H
#define MF_DAEMON_CURL_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "base/err.h"

/* libcurl's functions, as its manual has them. Nobody checks the types of options: numbers are long or curl_off_t. */
struct mf_curl {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *c, CURLoption option, ...);
	CURLcode (*easy_perform)(CURL *c);
	CURLcode (*easy_getinfo)(CURL *c, CURLINFO info, ...);
	const char *(*easy_strerror)(CURLcode code);
	void (*easy_cleanup)(CURL *c);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
	CURLU *(*url)(void);
	CURLUcode (*url_set)(CURLU *u, CURLUPart what, const char *text, unsigned flags);
	CURLUcode (*url_get)(const CURLU *u, CURLUPart what, char **text, unsigned flags);
	void (*url_cleanup)(CURLU *u);
	void (*free)(void *text);
};

/* Main thread; once or more often, also after a failure (MF_E_SYSTEM: there is no libcurl here, or it does not work). */
MF_MUST_CHECK mf_err mf_curl_load(struct mf_errbuf *why);

/* Any thread, once it has been loaded. */
const struct mf_curl *mf_curl(void);

/* What all GETs have in common: over a bridge, of http or https, no redirects, no proxy, no signals. */
struct mf_curl_get {
	const char *url;
	const char *bridge;            /* its name (daemon/bridge.h) */
	const char *ca_file;           /* NULL: the system's */
	long connect_time, whole_time; /* seconds */
	curl_write_callback header, take;
	void *ctx;               /* of both */
	const atomic_bool *stop; /* ends it soon */
	char *error;             /* CURL_ERROR_SIZE bytes, set to "" by the caller */
};
/* NULL: not enough memory. What `g` points to must last as long as the handle. Any thread, as above. */
CURL *mf_curl_get_new(const struct mf_curl_get *g);

#endif
