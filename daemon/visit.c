/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/visit.h"

#include <stdio.h>

#include "daemon/curl.h"
#include "platform/clock.h"

static void begins(struct mf_visit *v)
{
	if (!v->first)
		v->first = mf_clock_now();
}

static size_t header(char *line, size_t one, size_t n, void *ctx)
{
	(void)line;
	begins(ctx);
	return one * n;
}

static size_t take(char *bytes, size_t one, size_t n, void *ctx)
{
	struct mf_visit *v = ctx;

	(void)bytes;
	begins(v);
	v->bytes += one * n;
	v->cut = v->bytes >= MF_VISIT_BYTES_MAX ||
		 mf_clock_now() >= v->first + MF_VISIT_DOWNLOAD_SECONDS * MF_SEC;
	return v->cut ? 0 : one * n;
}

static void measure(CURL *c, struct mf_visit *v, mf_nsec began)
{
	curl_off_t secured = 0;
	long status = 0;

	mf_curl()->easy_getinfo(c, CURLINFO_APPCONNECT_TIME_T, &secured);
	mf_curl()->easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	v->secured = secured > 0 ? began + (mf_nsec)secured * MF_USEC : 0;
	v->status = (uint32_t)status;
}

/* libcurl has no code of its own for that, but words of OpenSSL's that are as old as the two of them. */
static bool ended_in_handshake(CURLcode code, const char *error)
{
	return code == CURLE_SSL_CONNECT_ERROR && strstr(error, "SSL_ERROR_SYSCALL");
}

void mf_visit(struct mf_visit *v)
{
	char error[CURL_ERROR_SIZE] = "";
	mf_nsec began = mf_clock_now();
	CURLcode code = CURLE_OUT_OF_MEMORY;
	CURL *c = mf_curl_get_new(&(struct mf_curl_get){
		.url = v->url,
		.bridge = v->bridge,
		.ca_file = v->ca_file,
		.connect_time = MF_VISIT_SECONDS_MAX,
		.whole_time = MF_VISIT_SECONDS_MAX,
		.header = header,
		.take = take,
		.ctx = v,
		.stop = v->stop,
		.error = error,
	});

	if (c) {
		code = mf_curl()->easy_perform(c);
		measure(c, v, began);
	}
	v->ended = mf_clock_now();
	v->silent = !v->first && (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
				  ended_in_handshake(code, error));
	v->good = !code || (code == CURLE_WRITE_ERROR && v->cut);
	if (!v->good)
		snprintf(v->why, sizeof(v->why), "%s",
			 error[0] ? error : mf_curl()->easy_strerror(code));
	mf_curl()->easy_cleanup(c);
}
