/* SPDX-License-Identifier: Apache-2.0
 *
 * https_session - the HTTP/2 (RFC 9113) of DNS over HTTPS (RFC 8484), as a client and without I/O:
 * questions go in, frames come out; frames go in, answers come out. The library is nghttp2.
 *
 * One session for one connection, one stream for each question, as many at a time as the server
 * allows; the others wait in here. What it sends tells of us no more than that we ask DNS: no user
 * agent, no language, no cookies. One thread.
 */
#ifndef MF_HTTPS_SESSION_H
#define MF_HTTPS_SESSION_H

#include "base/err.h"

enum {
	MF_HTTPS_QUESTION_MAX = 600,
	MF_HTTPS_ANSWER_MAX = 65535,
	MF_HTTPS_ANSWERS_MAX = 1 << 19, /* bytes of answers that are not whole yet, together */
};

enum mf_https_outcome {
	MF_HTTPS_OPEN,
	MF_HTTPS_ANSWERED,  /* status 200 and a DNS message; see `answer` */
	MF_HTTPS_NOT_ASKED, /* the server has not looked at it: it may be asked anew */
	MF_HTTPS_STATUS,    /* another status or type; `status` */
	MF_HTTPS_BROKEN,    /* the stream was reset, or the answer is too long */
};

struct mf_https_session;

/* A question on its way. Made by mf_https_session_ask, belongs to the session until
 * mf_https_session_ended has given it out. */
struct mf_https_request {
	struct mf_https_request *next, **prev;
	struct mf_https_session *session;
	void *owner; /* the asker's; NULL: nobody waits for it any more */
	int32_t stream;
	uint8_t outcome; /* enum mf_https_outcome */
	bool right_type;
	uint16_t status;
	/* Seconds that it has been in a cache (RFC 9111 5.1), to be taken off its TTLs (RFC 8484
	 * 5.1). */
	uint32_t age;
	uint16_t n_question, n_sent;
	uint8_t question[MF_HTTPS_QUESTION_MAX];
	size_t n_answer;
	uint8_t *answer; /* freed with the request */
};

struct mf_https_options {
	const char *authority, *path; /* "dns.example", "/dns-query"; copied */
	/* Takes bytes for the server, all or (false: later again) none. Called by
	 * mf_https_session_send only. */
	bool (*write)(void *ctx, struct mf_span bytes);
	void *ctx;
};

/* NULL: out of memory. */
struct mf_https_session *mf_https_session_new(const struct mf_https_options *o);
/* With all requests that have not been given out. */
void mf_https_session_free(struct mf_https_session *s);

/* Asks. NULL: out of memory, or the server takes no more questions here
 * (mf_https_session_going). */
struct mf_https_request *mf_https_session_ask(struct mf_https_session *s, struct mf_span question,
					      void *owner);
/* The one of a stream, open or ended; NULL: it has been given out. */
struct mf_https_request *mf_https_session_find(struct mf_https_session *s, int32_t stream);
/* Nobody waits for it any more. It is left to end by itself, unless there are too many of these. */
void mf_https_request_abandon(struct mf_https_request *r);

/* What the server has sent, all of it. MF_E_MALFORMED: no HTTP/2, or not decent: the connection is
 * of no use. */
MF_MUST_CHECK mf_err mf_https_session_feed(struct mf_https_session *s, struct mf_span in);
/* Gives `write` what there is for the server. MF_E_MALFORMED as above; MF_E_GONE: all has been said
 * on both sides; MF_E_NO_MEMORY. */
MF_MUST_CHECK mf_err mf_https_session_send(struct mf_https_session *s);
/* The next request that has ended, in the order in which they have; NULL: no more. The caller frees
 * it. */
struct mf_https_request *mf_https_session_ended(struct mf_https_session *s);
void mf_https_request_free(struct mf_https_request *r);

/* The server wants no more questions here (GOAWAY); what runs may still be answered. */
bool mf_https_session_going(const struct mf_https_session *s);
/* How many requests have not ended. */
uint32_t mf_https_session_running(const struct mf_https_session *s);
/* Tells the server that we go; send it. */
void mf_https_session_leave(struct mf_https_session *s);

#endif
