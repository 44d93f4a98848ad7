/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/curl.h"

#include <stddef.h>

#include "platform/library.h"

static const struct mf_library_function functions[] = {
#define F(name)                                               \
	{                                                     \
		"curl_" #name, offsetof(struct mf_curl, name) \
	}
	F(global_init),   F(easy_init),    F(easy_setopt),  F(easy_perform),   F(easy_getinfo),
	F(easy_strerror), F(easy_cleanup), F(slist_append), F(slist_free_all), F(url),
	F(url_set),       F(url_get),      F(url_cleanup),  F(free),
#undef F
};

static struct mf_curl loaded;

mf_err mf_curl_load(struct mf_errbuf *why)
{
	static const char *const files[] = { "libcurl.so.4", NULL };
	struct mf_curl c;
	mf_err err;

	if (loaded.global_init)
		return MF_OK;
	err = mf_library_load(files, functions, MF_ARRAY_LEN(functions), &c, why);
	if (err)
		return err;
	if (c.global_init(CURL_GLOBAL_DEFAULT))
		return mf_fail(why, MF_E_SYSTEM, "libcurl does not work here");
	loaded = c;
	return MF_OK;
}

const struct mf_curl *mf_curl(void)
{
	MF_ASSERT(loaded.global_init);
	return &loaded;
}

static int progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const atomic_bool *stop = ctx;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load(stop);
}

CURL *mf_curl_get_new(const struct mf_curl_get *g)
{
	const struct mf_curl *curl = mf_curl();
	CURL *c = curl->easy_init();

	if (!c)
		return NULL;
	curl->easy_setopt(c, CURLOPT_URL, g->url);
	curl->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(c, CURLOPT_PROXY, "");
	/* Where the name in the URL leads has been settled: nothing is resolved here. */
	curl->easy_setopt(c, CURLOPT_ABSTRACT_UNIX_SOCKET, g->bridge);
	curl->easy_setopt(c, CURLOPT_USERAGENT, "mintflow/" MF_VERSION);
	curl->easy_setopt(c, CURLOPT_CONNECTTIMEOUT, g->connect_time);
	curl->easy_setopt(c, CURLOPT_TIMEOUT, g->whole_time);
	curl->easy_setopt(c, CURLOPT_HEADERFUNCTION, g->header);
	curl->easy_setopt(c, CURLOPT_HEADERDATA, g->ctx);
	curl->easy_setopt(c, CURLOPT_WRITEFUNCTION, g->take);
	curl->easy_setopt(c, CURLOPT_WRITEDATA, g->ctx);
	curl->easy_setopt(c, CURLOPT_XFERINFOFUNCTION, progress);
	curl->easy_setopt(c, CURLOPT_XFERINFODATA, g->stop);
	curl->easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	curl->easy_setopt(c, CURLOPT_ERRORBUFFER, g->error);
	if (g->ca_file)
		curl->easy_setopt(c, CURLOPT_CAINFO, g->ca_file);
	return c;
}
