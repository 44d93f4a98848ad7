/* SPDX-License-Identifier: Apache-2.0
 *
 * mintflow-pg - a developer's tool: injects packets into any node of an engine without a network, on
 * virtual time and with seeded randomness, and says what became of each. The same arguments give the
 * same output: tests/golden/pcap compares it.
 */
#include "pg_tool.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/capture.h"
#include "policy/lpm.h"
#include "wire/ip.h"

static const char usage[] =
	"usage: mintflow-pg [OPTION]... FILE... | --stream STREAM\n"
	"\n"
	"Injects packets of pcap or pcapng files, or of a stream, into an engine without a "
	"network, and\n"
	"prints what became of each.\n"
	"\n"
	"  --profile FILE  the engine's profile; without it: 10.9.0.1 and fd09::1, all to wg0\n"
	"  --peer FILE     the profile of an engine at the other end (we are 192.0.2.1, it is\n"
	"                  192.0.2.2); without either profile there is one (10.9.0.2, fd09::2),\n"
	"                  with only --profile there is none\n"
	"  --node NODE     where to inject (ip-input); at wg-input and udp-output the payloads of\n"
	"                  UDP packets\n"
	"  --out FILE      every packet with what became of it as comment, as pcapng\n"
	"  --gap MS        virtual time between packets, milliseconds (10)\n"
	"  --burst N       packets injected at once (1; at most 256)\n"
	"  --run SECONDS   virtual time after the last packet (0)\n"
	"  --seed N        of everything that is random (1)\n"
	"  --quiet         print sums only (always so beyond 32768 packets)\n"
	"\n";

struct options {
	const char *profile[TESTNET_SIDES], *node, *out, *stream;
	uint64_t gap, run, seed, burst;
	bool quiet;
};

_Noreturn void pg_fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mintflow-pg: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	exit(2);
}

void *pg_memory(void *p)
{
	if (!p)
		pg_fail("out of memory");
	return p;
}

static uint64_t number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v < min || v > max)
		pg_fail("--%s is a number from %llu to %llu, not %s", option,
			(unsigned long long)min, (unsigned long long)max, text);
	return v;
}

static struct options parse(int argc, char **argv)
{
	enum { PROFILE, PEER, NODE, OUT, GAP, BURST, RUN, SEED, STREAM, QUIET, HELP };
	static const struct option table[] = {
		{ "profile", 1, NULL, PROFILE }, { "peer", 1, NULL, PEER },
		{ "node", 1, NULL, NODE },       { "out", 1, NULL, OUT },
		{ "gap", 1, NULL, GAP },         { "burst", 1, NULL, BURST },
		{ "run", 1, NULL, RUN },         { "seed", 1, NULL, SEED },
		{ "stream", 1, NULL, STREAM },   { "quiet", 0, NULL, QUIET },
		{ "help", 0, NULL, HELP },       { 0 },
	};
	struct options o = { .node = "ip-input", .gap = 10, .burst = 1, .seed = 1 };
	int c, which = 0;

	while ((c = getopt_long(argc, argv, "", table, &which)) != -1) {
		const char *name = table[which].name;

		if (c == PROFILE || c == PEER)
			o.profile[c == PEER] = optarg;
		else if (c == NODE)
			o.node = optarg;
		else if (c == OUT)
			o.out = optarg;
		else if (c == STREAM)
			o.stream = optarg;
		else if (c == GAP)
			o.gap = number(name, optarg, 0, 1000000);
		else if (c == BURST)
			o.burst = number(name, optarg, 1, MF_FRAME_MAX);
		else if (c == RUN)
			o.run = number(name, optarg, 0, 1000000);
		else if (c == SEED)
			o.seed = number(name, optarg, 0, UINT64_MAX);
		else if (c == QUIET)
			o.quiet = true;
		else {
			fprintf(c == HELP ? stdout : stderr, "%s%s", usage, pg_stream_help);
			exit(c == HELP ? 0 : 2);
		}
	}
	if ((o.stream != NULL) == (optind < argc))
		pg_fail("either FILE... or --stream (--help says more)");
	return o;
}

/* Reads it here and not with mf_config_load, which refuses keys that others can read: those of tests are
 * no secret. */
static struct mf_config *load(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "re");
	struct mf_config_errors errs = { 0 };
	struct mf_text said = { 0 };
	struct mf_config *cfg;
	size_t n;

	if (!f)
		pg_fail("cannot open %s", path);
	n = fread(text, 1, sizeof(text), f);
	if (ferror(f) || !feof(f))
		pg_fail("cannot read %s, or it is longer than 64 KiB", path);
	fclose(f);
	if (mf_config_parse(text, n, path, 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &said);
		pg_fail("%s", said.s ? said.s : path);
	}
	mf_config_errors_free(&errs);
	return cfg;
}

/* ---- Injecting --------------------------------------------------------------------------------- */

/* What packets need at the node where they appear. */
struct injection {
	struct testnet_side *side;
	const struct pg_packets *packets;
	const char *node;
	uint64_t followed; /* packets that the trace has taken so far */
};

static bool at(const struct injection *in, const char *node)
{
	return strcmp(in->node, node) == 0;
}

static void set_next_hop(const struct injection *in, struct mf_pkt *p)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(in->side->engine);
	const struct mf_addr dst = mf_ip_dst(p);

	p->next_hop = p->ip_version == 4 ? mf_lpm_lookup4(snap->routes4, mf_load_be32(dst.b))
					 : mf_lpm_lookup6(snap->routes6, dst.b);
	if (at(in, "wg-output") && snap->hop[p->next_hop].kind != MF_HOP_WG)
		pg_fail("only packets with a route to a WireGuard interface come to wg-output");
}

static void prepare(void *ctx, struct mf_pkt *p, uint64_t seq)
{
	const struct injection *in = ctx;
	enum mf_drop why;

	if (at(in, "ip-input"))
		return;
	if (at(in, "udp-output")) {
		p->remote = (struct mf_endpoint){ .addr = in->side->net->side[1].address,
						  .port = in->side->net->side[1].port };
		return;
	}
	if (at(in, "wg-input")) {
		p->remote = in->packets->from[seq % in->packets->n];
		p->local = in->side->address;
		return;
	}
	why = mf_ip_input(p);
	if (why)
		pg_fail("packet %llu never comes to %s: ip-input refuses it (%s)",
			(unsigned long long)seq + 1, in->node, mf_drop_name(why));
	set_next_hop(in, p);
	if (at(in, "reject"))
		p->drop = MF_DROP_POLICY_REJECT;
	if (at(in, "icmp-error"))
		p->drop = MF_DROP_NO_ROUTE;
	if (at(in, "drop"))
		p->drop = MF_DROP_POLICY_DROP;
}

/* Is this the next packet that we have injected, and not one that the engine made? */
static bool follow(void *ctx, const uint8_t *bytes, uint32_t len)
{
	struct injection *in = ctx;
	const struct mf_pg_template *t = &in->packets->v[in->followed % in->packets->n];

	if (in->followed == in->packets->total || len > t->len || memcmp(bytes, t->bytes, len) != 0)
		return false;
	in->followed++;
	return true;
}

static void collect(struct pg_run *r, uint64_t after)
{
	for (unsigned s = 0; s < TESTNET_SIDES; s++) {
		struct testnet_item *i;

		while ((i = testnet_app_recv(&r->net->side[s])) != NULL) {
			if (!r->end) {
				r->unfollowed[s] += i->segments;
				free(i);
				continue;
			}
			if (r->n_out == r->cap_out) {
				r->cap_out = r->cap_out ? 2 * r->cap_out : 64;
				r->out = pg_memory(realloc(r->out, r->cap_out * sizeof(*r->out)));
			}
			r->out[r->n_out++] = (struct pg_out){ i, after, r->net->now, s };
		}
	}
}

static void inject(struct pg_run *r, struct injection *in, const struct options *o)
{
	struct mf_engine *e = r->net->side[0].engine;
	struct mf_pg pg = {
		.to = mf_graph_find(&mf_engine_worker(e, 0)->graph, o->node),
		.templates = r->packets->v,
		.n_templates = r->packets->n,
		.per_pass = (uint32_t)o->burst,
		.edit = prepare,
		.ctx = in,
	};

	if (!pg.to || pg.to->def->input)
		pg_fail("%s is not a node that packets can be put to", o->node);
	mf_engine_order(e, 0, &(struct mf_order){ .kind = MF_ORDER_SET_PG, .pg = &pg });
	while (pg.count < r->packets->total) {
		uint64_t first = pg.count;

		pg.count = mf_min(pg.count + o->burst, r->packets->total);
		for (uint64_t i = first; r->end && i < pg.count; i++)
			r->injected[i] = r->net->now;
		testnet_settle(r->net);
		if (pg.sent != pg.count)
			pg_fail("no packet buffers after packet %llu", (unsigned long long)pg.sent);
		collect(r, pg.count);
		testnet_advance(r->net, o->gap * MF_MSEC);
		collect(r, pg.count);
	}
	testnet_advance(r->net, o->run * MF_SEC);
	collect(r, UINT64_MAX);
	mf_engine_order(e, 0, &(struct mf_order){ .kind = MF_ORDER_SET_PG });
	testnet_settle(r->net);
}

/* ---- Following --------------------------------------------------------------------------------- */

static struct mf_trace *watch(struct pg_run *r, struct injection *in)
{
	struct mf_engine *e = r->net->side[0].engine;
	const struct mf_node *node = mf_graph_find(&mf_engine_worker(e, 0)->graph, in->node);
	struct mf_trace_filter filter = { .match = follow, .ctx = in };
	struct mf_trace *traces[MF_WORKERS_MAX];
	uint32_t slots = 64;

	if (!node)
		pg_fail("there is no node %s", in->node);
	filter.node = node->index;
	while (slots < r->packets->total)
		slots *= 2;
	/* The bytes are known; only what became of them is wanted. */
	if (mf_engine_trace(e, &filter, slots, 16, traces))
		pg_fail("cannot watch the packets");
	testnet_settle(r->net);
	return traces[0];
}

/* Records are never given back before the end, so record i is packet i. */
static void read_ends(struct pg_run *r, struct mf_trace *t)
{
	const struct mf_graph *g = &mf_engine_worker(r->net->side[0].engine, 0)->graph;
	const struct mf_trace_record *rec;
	uint32_t slot;

	while ((rec = mf_trace_take(t, &slot)) != NULL) {
		MF_ASSERT(slot < r->packets->total);
		mf_capture_describe(g, rec, &r->end[slot]);
	}
}

static void untraced(void *obj)
{
	mf_trace_free(obj);
}

/* ---- All of it --------------------------------------------------------------------------------- */

static void save(const char *path, const struct mf_text *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fwrite(text->s, 1, text->len, f) != text->len || fclose(f))
		pg_fail("cannot write %s", path);
}

static bool report(const struct pg_run *r, const char *path)
{
	struct mf_text text = { 0 }, pcapng = { 0 };

	pg_report_text(r, &text);
	fputs(text.s, stdout);
	if (path) {
		pg_report_pcapng(r, &pcapng);
		save(path, &pcapng);
	}
	mf_text_free(&text);
	mf_text_free(&pcapng);
	return testnet_balanced(&r->net->side[0]);
}

static void open_net(struct testnet *net, const struct options *o)
{
	struct testnet_options to = { .seed = o->seed, .no_peer = o->profile[0] && !o->profile[1] };
	struct mf_config *cfg[TESTNET_SIDES] = { 0 };

	for (int s = 0; s < TESTNET_SIDES; s++)
		to.config[s] = cfg[s] = o->profile[s] ? load(o->profile[s]) : NULL;
	testnet_open(net, &to);
	net->cut = to.no_peer;
	for (int s = 0; s < TESTNET_SIDES; s++)
		mf_config_free(cfg[s]);
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	struct pg_packets packets = { 0 };
	struct testnet net;
	struct pg_run r = { .net = &net, .packets = &packets, .node = o.node };
	struct injection in = { &net.side[0], &packets, o.node, 0 };
	struct mf_prng prng = { .state = o.seed };
	struct mf_trace *trace = NULL;
	bool balanced;

	if (o.stream)
		pg_read_stream(&packets, o.stream, &prng);
	for (int i = optind; i < argc; i++)
		pg_read_pcap(&packets, argv[i], pg_datagrams(o.node));
	open_net(&net, &o);
	if (packets.total <= PG_REPORT_MAX && !o.quiet) {
		r.end = pg_memory(calloc(packets.total + 1, sizeof(*r.end)));
		r.injected = pg_memory(calloc(packets.total + 1, sizeof(*r.injected)));
		trace = watch(&r, &in);
	}
	inject(&r, &in, &o);
	if (trace) {
		read_ends(&r, trace);
		mf_engine_untrace(net.side[0].engine, untraced, trace);
		testnet_settle(&net);
	}
	balanced = report(&r, o.out);
	testnet_close(&net);
	for (uint32_t i = 0; i < r.n_out; i++)
		free(r.out[i].item);
	for (uint64_t i = 0; r.end && i < packets.total; i++)
		mf_text_free(&r.end[i]);
	free(r.out);
	free(r.end);
	free(r.injected);
	pg_packets_free(&packets);
	return balanced ? 0 : 1;
}
