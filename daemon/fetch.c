/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "daemon/curl.h"

/* Seconds. */
enum { CONNECT_TIME = 20, WHOLE_TIME = 900, SLOW_TIME = 30, SLOW_BYTES = 100 };

/* ---- URLs ------------------------------------------------------------------------------------ */

static bool part(CURLU *u, CURLUPart what, unsigned flags, char *out, size_t cap)
{
	char *text = NULL;
	bool fits = !mf_curl()->url_get(u, what, &text, flags) && strlen(text) < cap;

	if (fits)
		strcpy(out, text);
	mf_curl()->free(text);
	return fits;
}

static bool read_place(CURLU *u, struct mf_fetch_place *out)
{
	char scheme[8], port[8], other[8], path[MF_FETCH_URL_MAX + 1];
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
	if (!part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT, other, sizeof(other)))
		other[0] = '\0';
	snprintf(out->shown, sizeof(out->shown), "%s://%.100s%s%s%.130s", scheme, out->host,
		 *other ? ":" : "", other, path);
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
	mf_err err = mf_curl_load(why);
	CURLU *u;
	bool good;

	if (err)
		return err;
	u = strlen(url) <= MF_FETCH_URL_MAX ? mf_curl()->url() : NULL;
	good = u && !mf_curl()->url_set(u, CURLUPART_URL, url, 0) && read_place(u, out);
	mf_curl()->url_cleanup(u);
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

static struct curl_slist *append(struct curl_slist *list, const char *name, const char *value)
{
	char line[MF_COPY_TAG_MAX + 32];
	struct curl_slist *longer;

	if (!value[0])
		return list;
	snprintf(line, sizeof(line), "%s: %s", name, value);
	longer = mf_curl()->slist_append(list, line);
	return longer ? longer : list;
}

static CURL *handle(struct transfer *t, struct curl_slist *headers)
{
	const struct mf_curl *curl = mf_curl();
	struct mf_fetch *f = t->fetch;
	CURL *c = mf_curl_get_new(&(struct mf_curl_get){
		.url = f->url,
		.bridge = f->bridge,
		.ca_file = f->ca_file,
		.connect_time = CONNECT_TIME,
		.whole_time = WHOLE_TIME,
		.header = header,
		.take = take,
		.ctx = t,
		.stop = f->stop,
		.error = t->error,
	});

	if (!c)
		return NULL;
	curl->easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl->easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
	curl->easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
	curl->easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_TIME);
	curl->easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->max_bytes);
	return c;
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
			      t->error[0] ? t->error : mf_curl()->easy_strerror(code));
	return MF_FETCH_FAILED;
}

static enum mf_fetch_result moved(struct transfer *t, struct mf_errbuf *why)
{
	const char *to = NULL;

	mf_curl()->easy_getinfo(t->curl, CURLINFO_REDIRECT_URL, &to);
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

	mf_curl()->easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
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
	struct transfer t = { .fetch = f };
	struct curl_slist *headers = append(NULL, "If-None-Match", f->have.etag);
	enum mf_fetch_result result;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	headers = append(headers, "If-Modified-Since", f->have.modified);
	t.curl = handle(&t, headers);
	if (t.curl)
		code = mf_curl()->easy_perform(t.curl);
	result = code ? failed(&t, code, why) : judge(&t, why);
	mf_curl()->easy_cleanup(t.curl);
	mf_curl()->slist_free_all(headers);
	if (result != MF_FETCH_NEW) {
		free(f->text);
		f->text = NULL;
		f->n = 0;
	}
	return result;
}
