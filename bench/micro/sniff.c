/* SPDX-License-Identifier: Apache-2.0
 *
 * sniff - what it costs to find the name that a new session shows, as the host stack does it: TLS and HTTP each
 * time a segment has come, QUIC each time a datagram has. Thread CPU time, the best of several rounds, because
 * other work on the machine can only make it slower. One JSON line.
 *
 *   [--ms N]: N milliseconds a round (default 20)
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/endian.h"
#include "proto/sniff/sniff.h"
#include "support/hello.h"

enum {
	ROUNDS = 9,
	SESSIONS = 64, /* in turn, each with keys of its own */
	SEGMENT = 1400,
	PQ_SHARE = 1216 + 32, /* X25519MLKEM768 and X25519 */
	FIRST_PART = 1100,    /* of a ClientHello that does not fit into one datagram */
};

static struct {
	struct mf_sniffer *sniffer;
	struct mf_sniff_quic quic;
	struct hello_bytes tls, tls_pq, http;
	struct hello_bytes datagram[SESSIONS][3]; /* a hello in one; in two */
} b;

static mf_nsec round_time = 20 * MF_MSEC;

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "sniff: %s\n", what);
		exit(1);
	}
}

static mf_nsec cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (mf_nsec)t.tv_sec * MF_SEC + (mf_nsec)t.tv_nsec;
}

/* Nanoseconds a session. */
static double measure(void (*session)(unsigned i))
{
	double best = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		mf_nsec start = cpu_time(), spent;
		uint64_t n = 0;

		do {
			for (unsigned i = 0; i < SESSIONS; i++)
				session(i);
			n += SESSIONS;
			spent = cpu_time() - start;
		} while (spent < round_time);
		if ((double)spent / (double)n < best)
			best = (double)spent / (double)n;
	}
	return best;
}

/* Looks at all that is there after each segment. */
static void stream(const struct hello_bytes *s)
{
	struct mf_span v[8];
	struct mf_sniff_name name;
	enum mf_sniff_verdict got = MF_SNIFF_MORE;
	size_t n = 0;

	for (size_t at = 0; at < s->n && got == MF_SNIFF_MORE; at += SEGMENT) {
		v[n++] = mf_span(s->b + at, mf_min(SEGMENT, s->n - at));
		got = mf_sniff_stream(v, n, &name);
	}
	must(got == MF_SNIFF_NAME, "no name in a stream");
}

static void tls(unsigned i)
{
	(void)i;
	stream(&b.tls);
}

static void tls_pq(unsigned i)
{
	(void)i;
	stream(&b.tls_pq);
}

static void http(unsigned i)
{
	(void)i;
	stream(&b.http);
}

static void datagrams(const struct hello_bytes *d, unsigned n)
{
	struct mf_sniff_name name;
	enum mf_sniff_verdict got = MF_SNIFF_MORE;

	memset(&b.quic, 0, offsetof(struct mf_sniff_quic, hello));
	for (unsigned i = 0; i < n; i++) {
		struct mf_span s = mf_span(d[i].b, d[i].n);

		must(mf_sniff_quic_begins(s) && got == MF_SNIFF_MORE, "not an Initial");
		got = mf_sniff_quic(b.sniffer, &b.quic, s, &name);
	}
	must(got == MF_SNIFF_NAME, "no name in datagrams");
}

static void quic(unsigned i)
{
	datagrams(b.datagram[i], 1);
}

static void quic_pq(unsigned i)
{
	datagrams(b.datagram[i] + 1, 2);
}

static void make_datagram(struct hello_bytes *out, uint64_t id, const struct hello_bytes *hello,
			  size_t at, size_t n)
{
	static struct hello_bytes frames;
	uint8_t dcid[8];
	struct hello_initial p = { .version = HELLO_QUIC_V1,
				   .keys_from = mf_span(dcid, sizeof(dcid)),
				   .dcid = mf_span(dcid, sizeof(dcid)),
				   .number_len = 1,
				   .payload = 1180 };

	mf_store_be64(dcid, id);
	frames.n = 0;
	hello_crypto(&frames, hello, at, n);
	p.frames = mf_span(frames.b, frames.n);
	hello_initial(out, &p);
}

static void prepare(void)
{
	static const char request[] = "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\n"
				      "User-Agent: bench\r\nAccept: */*\r\n\r\n";
	struct hello_shape small = { .name = "www.example.com", .key_share = 32 };
	struct hello_shape pq = { .name = "www.example.com", .key_share = PQ_SHARE, .name_last = true };
	static struct hello_bytes one, two;

	b.sniffer = mf_sniffer_new();
	must(b.sniffer, "out of memory");
	hello_make(&one, &small);
	hello_make(&two, &pq);
	hello_records(&b.tls, &one, 16384);
	hello_records(&b.tls_pq, &two, 16384);
	hello_add(&b.http, request, sizeof(request) - 1);
	for (unsigned i = 0; i < SESSIONS; i++) {
		make_datagram(&b.datagram[i][0], 2 * i, &one, 0, one.n);
		make_datagram(&b.datagram[i][1], 2 * i + 1, &two, 0, FIRST_PART);
		make_datagram(&b.datagram[i][2], 2 * i + 1, &two, FIRST_PART, two.n - FIRST_PART);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--ms"))
		round_time = strtoul(argv[2], NULL, 10) * MF_MSEC;
	prepare();
	printf("{\"bench\":\"sniff\",\"who\":\"mintflow\",\"tls_ns\":%.0f,\"tls_pq_ns\":%.0f,"
	       "\"http_ns\":%.0f,",
	       measure(tls), measure(tls_pq), measure(http));
	printf("\"quic_ns\":%.0f,\"quic_pq_ns\":%.0f}\n", measure(quic), measure(quic_pq));
	mf_sniffer_free(b.sniffer);
	return 0;
}
