/* SPDX-License-Identifier: Apache-2.0
 *
 * fakedns - an outbound with made-up DNS servers on its far side, on virtual time: they answer as a
 * test says, late, wrong, in pieces or not at all, over UDP and TCP. The rules of host/outbound.h
 * are checked by fakeout and fakedgram, which carry the bytes.
 *
 * Whoever drives it calls fakedns_run after the transports have run, and again when fakedns_next
 * says.
 */
#ifndef MF_FAKEDNS_H
#define MF_FAKEDNS_H

#include "fakedgram.h"
#include "fakeout.h"
#include "proto/dns/message.h"

enum { FAKEDNS_SERVERS = 16, FAKEDNS_MESSAGE = 65535 };

/* What a server does with a question. */
enum fakedns_twist {
	FAKEDNS_RIGHT,
	FAKEDNS_SILENT,
	FAKEDNS_WRONG_ID,
	FAKEDNS_WRONG_NAME,
	FAKEDNS_WRONG_TYPE,
	FAKEDNS_LOWER_CASE, /* all letters of the question */
	FAKEDNS_TRUNCATED,  /* TC and no records */
	FAKEDNS_CUT,        /* TC, and ends in the middle of a record */
	FAKEDNS_GARBAGE,    /* random bytes with the right id */
	FAKEDNS_SHORT,      /* five bytes */
	FAKEDNS_TWICE,      /* the right answer, two times */
	FAKEDNS_WRONG_FROM, /* UDP: from another address */
	FAKEDNS_WRONG_PORT, /* UDP: from another port */
	FAKEDNS_ICMP,       /* UDP: port unreachable */
	FAKEDNS_TWISTS,
};

struct fakedns_server {
	/* The test's, at any time: */
	struct mf_endpoint addr;
	mf_nsec delay;            /* from the question to the answer, from SYN to open */
	enum fakedns_twist twist; /* of all, or if `twists` is not 0 of so many, then RIGHT */
	uint32_t twists;
	enum fakedns_twist tcp_twist; /* the same over TCP, of all */
	uint8_t rcode;
	size_t size; /* answers over TCP are filled up to so many bytes */
	enum mf_stream_error refuses;
	bool deaf;           /* TCP: connections are not answered */
	bool backwards;      /* TCP: what came at one moment is answered last first */
	uint32_t ends_after; /* TCP: after so many answers on a connection; 0: never */
	bool resets;         /* ends with a reset */
	size_t piece; /* TCP: so many bytes at a time, a millisecond apart; 0: whole messages */
	/* A server of the test's own: writes an answer to out (FAKEDNS_MESSAGE bytes), returns
	 * its length, 0: silence. NULL: one A record, 192.0.2.N, where N is the server's number
	 * from 1 on, or only `rcode`. */
	size_t (*answer)(struct fakedns_server *s, struct mf_span query, bool tcp, uint8_t *out);
	void *ctx;
	/* What has come in: */
	uint32_t n_udp, n_tcp, n_conns, n_malformed;
	struct mf_dns_query last;
};

struct fakedns_event;

/* A connection, as its server sees it. */
struct fakedns_stream {
	size_t seen;      /* bytes that have come */
	uint32_t answers; /* that were sent */
	mf_nsec busy;     /* bytes are on their way until then */
};

struct fakedns {
	struct mf_outbound out; /* what transports are given */
	struct mf_outbound_ops ops;
	struct fakeout streams;
	struct fakedgrams dgrams;
	struct mf_prng prng;
	unsigned n;
	struct fakedns_server server[FAKEDNS_SERVERS];
	/* Of streams and datagrams in the order in which they were opened. */
	struct fakedns_stream *streams_seen;
	size_t *dgrams_seen; /* how many of the datagrams that were sent */
	size_t n_streams_seen, n_dgrams_seen;
	struct fakedns_event *events; /* by time */
};

void fakedns_init(struct fakedns *f, uint64_t seed);
/* All streams and datagrams have been closed (asserted). */
void fakedns_fini(struct fakedns *f);
/* "192.0.2.53:53"; answers at once, until the test says otherwise. */
struct fakedns_server *fakedns_add(struct fakedns *f, const char *addr);

/* Looks at what has been sent, and lets happen what is due. */
void fakedns_run(struct fakedns *f, mf_nsec now);
/* When something is due; MF_NEVER: nothing. */
mf_nsec fakedns_next(const struct fakedns *f);

/* For tests that answer by hand: a datagram from `from` to a socket, bytes down a stream. */
void fakedns_inject(struct fakedns *f, struct fake_dgram *x, const struct mf_endpoint *from,
		    const void *bytes, size_t n);
/* The question of a query to the letter with QR and RA, `n` A records 192.0.2.`last`, TTL 300;
 * returns the length. */
size_t fakedns_reply(struct mf_span query, uint8_t rcode, unsigned n, uint8_t last, uint8_t *out);

#endif
