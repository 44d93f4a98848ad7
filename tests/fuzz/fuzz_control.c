/* SPDX-License-Identifier: Apache-2.0
 *
 * The control protocol over a whole engine: no crash, no leak, and every answer is lines of JSON of
 * which the last says ok or error (but for a capture, whose answer does not end).
 */
#include "control/control.h"
#include "control/probe.h"

#include <jansson.h>
#include <stdlib.h>

#include "support/testnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct testnet net;

static struct mf_wg_wall wall_clock(void *ctx)
{
	(void)ctx;
	return (struct mf_wg_wall){ 1800000000, 0 };
}

static void facts(void *ctx, struct mf_control_facts *out)
{
	(void)ctx;
	out->name = "mint0";
}

static mf_err reload(void *ctx, bool drop_sessions, mf_nsec now, struct mf_apply_report *changes,
		     struct mf_text *report)
{
	(void)ctx;
	(void)drop_sessions;
	(void)now;
	(void)changes;
	mf_text_printf(report, "p.yaml:1:1: error: \"\\x1b\"\n");
	return MF_E_MALFORMED;
}

static void stop(void *ctx)
{
	(void)ctx;
}

/* The far side of sessions never answers. */
static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	(void)to;
	s->impl = o;
	return MF_OK;
}

static void close_stream(struct mf_stream *s, bool reset)
{
	(void)reset;
	s->impl = NULL;
}

static const struct mf_outbound_ops silent_ops = {
	.name = "silent",
	.stream_open = open_stream,
	.stream_close = close_stream,
};
static struct mf_outbound silent = { .ops = &silent_ops };

static void direct(void *ctx, struct mf_control_direct *out)
{
	(void)ctx;
	strcpy(out->device4, "eth0");
}

static enum mf_stream_error direct_for(void *ctx, const struct mf_addr *dst,
				       char name[MF_CONTROL_DEVICE_STRLEN])
{
	(void)ctx;
	strcpy(name, "eth0");
	return dst->b[0] & 1 ? MF_STREAM_E_NONE : MF_STREAM_E_NET_UNREACHABLE;
}

static bool probing;

static mf_err probe(void *ctx, uint32_t hop, const char *url, struct mf_errbuf *eb)
{
	(void)ctx;
	MF_ASSERT(!probing && hop && *url);
	if (url[0] != 'h')
		return mf_fail(eb, MF_E_MALFORMED, "no URL");
	probing = true;
	return MF_OK;
}

static void probe_end(void *ctx)
{
	(void)ctx;
	MF_ASSERT(probing);
	probing = false;
}

/* The answer to a test, if one is wanted. */
static void end_probe(struct mf_control *c)
{
	struct mf_probe p = {
		.interface = "direct",
		.url = "http://a/",
		.failed = "connect",
		.why = "refused",
		.total = MF_SEC,
	};

	if (!probing)
		return;
	probing = false;
	mf_control_probed(c, &p);
}

static const char routes[] = "    - { domain_set: films, to: direct }\n"
			     "    - { domain_set: ads, to: drop }\n"
			     "    - { cidr: 0.0.0.0/0, to: direct }\n"
			     "domain_sets:\n"
			     "  films: { domains: [films.example, \"full:only.example\"] }\n"
			     "  ads: { domains: [\"keyword:track\", \"regexp:^ad[0-9]+[.]\"] }\n"
			     "dns:\n"
			     "  direct_servers: [192.0.2.53]\n"
			     "  hosts: { nas.example: 10.0.0.5 }\n";

/* So that there is a learned route to be told of: 192.0.2.1, of two names. */
static void learn(void)
{
	struct mf_learned *t = mf_engine_learned(net.side[0].engine);
	struct mf_learned_route r = {
		.addr = mf_addr_ip4((uint8_t[]){ 192, 0, 2, 1 }),
		.hop = MF_HOP_ID_DIRECT,
		.until = net.now + 300 * MF_SEC,
		.name = "www.films.example",
	};

	MF_ASSERT(!mf_learned_put(t, &r, false, net.now, NULL));
	MF_ASSERT(mf_learned_shared(t, &r.addr, "other.example"));
}

/* And a kept answer: www.films.example at 192.0.2.1. */
static void keep_answer(void)
{
	static const uint8_t rr[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1 };
	struct mf_dns_cache *cache = mf_resolver_cache(mf_engine_resolver(net.side[0].engine));
	struct mf_dns_entry_note note = { .hop = MF_HOP_ID_DIRECT, .latency_us = 700, .flags = 1 };
	uint8_t question[600], msg[700];
	struct mf_dns_query q;
	struct mf_dns_name name;
	struct mf_dns_facts f;
	struct mf_span in = { .p = question };
	size_t n;

	MF_ASSERT(!mf_dns_name_parse(&name, "www.films.example", 17));
	in.n = mf_dns_question_write(question, 0, &name, MF_DNS_A, false, false, NULL, false);
	MF_ASSERT(!mf_dns_query_read(in, &q));
	n = q.question_end;
	memcpy(msg, question, n);
	msg[2] |= 0x80;
	mf_store_be16(msg + 6, 1);
	mf_store_be16(msg + 10, 0);
	memcpy(msg + n, rr, sizeof(rr));
	in = mf_span(msg, n + sizeof(rr));
	MF_ASSERT(!mf_dns_facts_read(in, &f) && f.n_addrs == 1);
	MF_ASSERT(mf_dns_cache_put(cache, &(struct mf_dns_key){ &name, MF_DNS_A, 0 }, in, &f, &note,
				   0, net.now));
}

static struct mf_control *open_control(void)
{
	struct mf_control_host host = {
		.wall_clock = wall_clock,
		.facts = facts,
		.reload = reload,
		.stop = stop,
		.direct = direct,
		.direct_for = direct_for,
		.probe = probe,
		.probe_end = probe_end,
	};

	if (!net.side[0].engine) {
		testnet_open(&net, &(struct testnet_options){ .seed = 1, .routes = routes });
		mf_worker_set_direct(mf_engine_worker(net.side[0].engine, 0), &silent);
		learn();
	}
	return mf_control_new(net.side[0].engine, &host);
}

/* So that there is one to be told of and to be closed: 10.9.0.1:1234 to 192.0.2.1:443. */
static void begin_session(void)
{
	struct testnet_item *answer;
	uint8_t pkt[64];

	testnet_app_send(&net.side[0], pkt,
			 testnet_tcp4(pkt, "10.9.0.1", "192.0.2.1", 1234, 443, 1, 0, 2, "", 0), 0,
			 0, false, 0, 0);
	testnet_settle(&net);
	while ((answer = testnet_app_recv(&net.side[0])))
		free(answer);
}

static void check_answers(const struct mf_text *out)
{
	bool last = true;
	size_t at = 0;

	while (at < out->len) {
		const char *nl = memchr(out->s + at, '\n', out->len - at);
		json_t *line;

		MF_ASSERT(nl);
		line = json_loadb(out->s + at, (size_t)(nl - out->s) - at, 0, NULL);
		MF_ASSERT(line && json_object_size(line) == 1);
		last = json_object_get(line, "ok") || json_object_get(line, "error");
		MF_ASSERT(last || json_object_get(line, "text") || json_object_get(line, "json"));
		json_decref(line);
		at = (size_t)(nl - out->s) + 1;
	}
	MF_ASSERT(last);
}

static void drain(struct mf_control_conn *conn, struct mf_text *all)
{
	struct mf_span out;

	while ((out = mf_control_output(conn)).n) {
		size_t n = mf_min(out.n, 4096);

		mf_text_add(all, (const char *)out.p, n);
		(void)mf_control_sent(conn, n, net.now);
	}
}

/* The first byte says how many bytes come at a time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_control *c = open_control();
	struct mf_control_conn *conn = mf_control_open(c);
	size_t step = size ? data[0] + 1u : 1;
	struct mf_text all = { 0 };
	bool open = true;

	MF_ASSERT(conn);
	begin_session();
	keep_answer();
	for (size_t at = 1; at < size && open; at += step) {
		open = mf_control_input(conn, data + at, mf_min(step, size - at), net.now);
		drain(conn, &all);
		if (at & 1) {
			end_probe(c);
			drain(conn, &all);
		}
	}
	if (mf_engine_tracing(net.side[0].engine))
		mf_control_tick(c, net.now);
	else if (!memmem(all.s ? all.s : "", all.len, "\n\r\r\n", 4))
		check_answers(&all);
	mf_text_free(&all);
	mf_control_free(c);
	testnet_settle(&net);
	return 0;
}
