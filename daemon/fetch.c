/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Seconds. */
enum { CONNECT_TIME = 20, WHOLE_TIME = 900, SLOW_TIME = 30, SLOW_BYTES = 100 };

mf_err mf_fetch_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) ? MF_E_SYSTEM : MF_OK;
}

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool part(CURLU *u, CURLUPart what, unsigned flags, char *out, size_t cap)
{
	char *text = NULL;
	bool fits = !curl_url_get(u, what, &text, flags) && strlen(text) < cap;

	if (fits)
		strcpy(out, text);
	curl_free(text);
	return fits;
}

static bool read_place(CURLU *u, struct mf_fetch_place *out)
{
	char scheme[8], port[8], path[MF_FETCH_URL_MAX + 1];
	size_t n;

	if (!part(u, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) ||
	    !part(u, CURLUPART_HOST, 0, out->host, sizeof(out->host)) ||
	    !part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof(port)) ||
	    !part(u, CURLUPART_PATH, 0, path, sizeof(path)))
		return false;
	out->tls = !strcmp(scheme, "https");
	if (!out->tls && strcmp(scheme, "http") != 0)
		return false;
	out->port = (uint16_t)strtoul(port, NULL, 10);
	snprintf(out->shown, sizeof(out->shown), "%s://%.100s%.140s", scheme, out->host, path);
	for (char *c = out->shown; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	n = strlen(out->host);
	if (out->host[0] == '[') {
		memmove(out->host, out->host + 1, n - 1);
		out->host[n - 2] = '\0';
	}
	return true;
}

mf_err mf_fetch_place(const char *url, struct mf_fetch_place *out, struct mf_errbuf *why)
{
	CURLU *u = strlen(url) <= MF_FETCH_URL_MAX ? curl_url() : NULL;
	bool good = u && !curl_url_set(u, CURLUPART_URL, url, 0) && read_place(u, out);

	curl_url_cleanup(u);
	return good ? MF_OK : mf_fail(why, MF_E_MALFORMED, "that is no URL of http:// or https://");
}

/* ---- A transfer ------------------------------------------------------------------------------ */

struct transfer {
	struct mf_fetch *fetch;
	CURL *curl;
	size_t cap;
	bool too_long, no_memory;
	char error[CURL_ERROR_SIZE];
};

static size_t take(char *bytes, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct mf_fetch *f = t->fetch;

	n *= one;
	if (f->n + n > f->max_bytes) {
		t->too_long = true;
		return 0;
	}
	if (f->n + n > t->cap) {
		size_t cap = mf_min(mf_max(2 * t->cap, f->n + n + 65536), f->max_bytes);
		char *grown = realloc(f->text, cap);

		if (!grown) {
			t->no_memory = true;
			return 0;
		}
		f->text = grown;
		t->cap = cap;
	}
	memcpy(f->text + f->n, bytes, n);
	f->n += n;
	return n;
}

static void keep_tag(char out[MF_COPY_TAG_MAX + 1], const char *value, size_t n)
{
	while (n && (*value == ' ' || *value == '\t')) {
		value++;
		n--;
	}
	while (n && (value[n - 1] == '\r' || value[n - 1] == '\n' || value[n - 1] == ' '))
		n--;
	mf_copy_tag(out, value, n);
}

static size_t header(char *line, size_t one, size_t n, void *ctx)
{
	static const char etag[] = "etag:", modified[] = "last-modified:";
	struct mf_copy_facts *f = &((struct transfer *)ctx)->fetch->facts;

	n *= one;
	if (n >= sizeof(etag) - 1 && !strncasecmp(line, etag, sizeof(etag) - 1))
		keep_tag(f->etag, line + sizeof(etag) - 1, n - (sizeof(etag) - 1));
	if (n >= sizeof(modified) - 1 && !strncasecmp(line, modified, sizeof(modified) - 1))
		keep_tag(f->modified, line + sizeof(modified) - 1, n - (sizeof(modified) - 1));
	return n;
}

static int progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *t = ctx;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load(t->fetch->stop);
}

static struct curl_slist *append(struct curl_slist *list, const char *name, const char *value)
{
	char line[MF_COPY_TAG_MAX + 32];
	struct curl_slist *longer;

	if (!value[0])
		return list;
	snprintf(line, sizeof(line), "%s: %s", name, value);
	longer = curl_slist_append(list, line);
	return longer ? longer : list;
}

static void set_up(struct transfer *t, struct curl_slist *headers)
{
	struct mf_fetch *f = t->fetch;
	CURL *c = t->curl;

	curl_easy_setopt(c, CURLOPT_URL, f->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	/* Where the name in the URL leads has been settled: nothing is resolved here. */
	curl_easy_setopt(c, CURLOPT_ABSTRACT_UNIX_SOCKET, f->bridge);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "mintflow/" MF_VERSION);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIME);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)WHOLE_TIME);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_TIME);
	curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->max_bytes);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, progress);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
	if (f->ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, f->ca_file);
}

/* ---- What came of it ------------------------------------------------------------------------- */

static enum mf_fetch_result failed(const struct transfer *t, CURLcode code, struct mf_errbuf *why)
{
	if (t->too_long || code == CURLE_FILESIZE_EXCEEDED)
		(void)mf_fail(why, MF_E_RANGE, "it is longer than `max_size`, %llu KiB",
			      (unsigned long long)t->fetch->max_bytes >> 10);
	else if (t->no_memory)
		(void)mf_fail(why, MF_E_NO_MEMORY, "not enough memory");
	else
		(void)mf_fail(why, MF_E_SYSTEM, "%s",
			      t->error[0] ? t->error : curl_easy_strerror(code));
	return MF_FETCH_FAILED;
}

static enum mf_fetch_result moved(struct transfer *t, struct mf_errbuf *why)
{
	const char *to = NULL;

	curl_easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &to);
	if (!to || strlen(to) > MF_FETCH_URL_MAX) {
		(void)mf_fail(why, MF_E_MALFORMED, "the server sends us on, but not where to");
		return MF_FETCH_FAILED;
	}
	strcpy(t->fetch->moved, to);
	return MF_FETCH_MOVED;
}

static enum mf_fetch_result judge(struct transfer *t, struct mf_errbuf *why)
{
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	switch (status) {
	case 200:
		return MF_FETCH_NEW;
	case 304:
		if (t->fetch->have.fetched)
			return MF_FETCH_SAME;
		break;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return moved(t, why);
	}
	(void)mf_fail(why, MF_E_SYSTEM, "the server answers with status %ld", status);
	return MF_FETCH_FAILED;
}

enum mf_fetch_result mf_fetch(struct mf_fetch *f, struct mf_errbuf *why)
{
	struct transfer t = { .fetch = f, .curl = curl_easy_init() };
	struct curl_slist *headers = append(NULL, "If-None-Match", f->have.etag);
	enum mf_fetch_result result;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	headers = append(headers, "If-Modified-Since", f->have.modified);
	if (t.curl) {
		set_up(&t, headers);
		code = curl_easy_perform(t.curl);
	}
	result = code ? failed(&t, code, why) : judge(&t, why);
	curl_easy_cleanup(t.curl);
	curl_slist_free_all(headers);
	if (result != MF_FETCH_NEW) {
		free(f->text);
		f->text = NULL;
		f->n = 0;
	}
	return result;
}
