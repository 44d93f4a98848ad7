/* SPDX-License-Identifier: Apache-2.0
 *
 * A host stack with apps whose TCP is honest, packets that are not, an outbound that does what the input says,
 * and an owner that reconfigures, closes and takes its packets away. Always: every packet ends once, what
 * an app reads is what the far side gave, nothing spins, nothing leaks (support/hostnet.c asserts that),
 * and the counts of sessions agree with the sessions there are.
 *
 * The input is a row of commands: a byte that chooses, and what the command takes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/hostnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { APPS = 8, HOGS = 64, COMMANDS = 200, NAME = MF_ENDPOINT_STRLEN };

struct input {
	const uint8_t *p, *end;
};

static uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | (in->p < in->end ? *in->p++ : 0);
	return v;
}

static struct hostnet net;
static struct mf_pkt *hog[HOGS];
static unsigned n_hogs, n_apps;

static struct hostnet_app *app(struct input *in)
{
	struct hostnet_app *a = net.apps;

	for (unsigned i = take(in, 1) % APPS; a && a->next && i; i--)
		a = a->next;
	return a;
}

static struct fake_stream *stream(struct input *in)
{
	struct fake_stream *st = net.out.last;

	for (unsigned i = take(in, 1) % APPS; st && st->next && i; i--)
		st = st->next;
	return st;
}

/* ---- Apps ------------------------------------------------------------------------------------------ */

static void local_name(char out[NAME], unsigned n)
{
	snprintf(out, NAME, n % APPS == 5 ? "[fd00::%u]:%u" : "10.0.0.%u:%u", 2 + n % 2,
		 1000 + n % APPS);
}

static const char *remote_name(unsigned n)
{
	return n % APPS == 5 ? "[2001:db8::1]:80" : "192.0.2.1:80";
}

static void connect_app(void)
{
	char local[NAME];

	if (n_apps == APPS)
		return;
	local_name(local, n_apps);
	hostnet_connect(&net, local, remote_name(n_apps), NULL);
	n_apps++;
}

static void use_app(struct input *in)
{
	struct hostnet_app *a = app(in);
	unsigned what = take(in, 1);

	if (!a)
		return;
	switch (what % 5) {
	case 0:
		hostnet_write(a, take(in, 2) * (what & 8 ? 16u : 1u));
		break;
	case 1:
		hostnet_read(a, take(in, 2) * (what & 8 ? 16u : 1u));
		break;
	case 2:
		hostnet_shutdown(a);
		break;
	case 3:
		hostnet_abort(a);
		break;
	default:
		hostnet_forget(a);
	}
}

/* A distance of up to 32 KiB, forwards or back. */
static uint32_t near(uint32_t v)
{
	return (v & 0xffff) - (v & 0x8000 ? 0x10000 : 0);
}

/* A segment that claims to come from an app, near the numbers that its connection has now. */
static void forge(struct input *in)
{
	static const uint8_t zeros[2000];
	const struct hostnet_app *a = app(in);
	unsigned n = take(in, 1), len;
	uint8_t flags = (uint8_t)take(in, 1), b[2100];
	uint32_t seq = take(in, 4), ack = take(in, 4);
	char local[NAME], remote[NAME];

	local_name(local, n);
	snprintf(remote, sizeof(remote), "%s", remote_name(n));
	if (a && n & 0x80) {
		mf_endpoint_format(&a->local, local);
		mf_endpoint_format(&a->remote, remote);
		seq = a->tcp.snd_nxt + near(seq);
		ack = a->tcp.rcv_nxt + near(ack);
	}
	len = take(in, 2) % sizeof(zeros);
	hostnet_send(&net, b, hostnet_tcp(b, local, remote, seq, ack, flags, zeros, len));
}

static void send_raw(struct input *in)
{
	size_t n = take(in, 2);

	n = mf_min(n, (size_t)(in->end - in->p));
	hostnet_send(&net, in->p, n);
	in->p += n;
}

/* ---- The far side ---------------------------------------------------------------------------------- */

static void use_stream(struct input *in)
{
	struct fake_stream *st = stream(in);
	const struct hostnet_app *a = net.apps;
	unsigned what = take(in, 1);

	for (; st && a; a = a->next)
		if (mf_endpoint_equal(&a->local, &st->app))
			break;
	if (!st || st->failed)
		return;
	switch (what % 5) {
	case 0:
		if (!st->opened)
			fake_open(st);
		break;
	case 1:
		fake_fail(st, 1 + take(in, 1) % (MF_STREAM_ERROR_COUNT - 1));
		break;
	case 2:
		if (a && !st->eof)
			hostnet_give(st, a, take(in, 2) * (what & 8 ? 16u : 1u));
		break;
	case 3:
		fake_end(st);
		break;
	default:
		fake_take(st, take(in, 2) * (what & 8 ? 16u : 1u));
	}
}

static void set_outbound(struct input *in)
{
	unsigned what = take(in, 1);

	net.out.open_at_once = what & 1;
	net.out.refuse = what & 2 ? 1 + (what >> 4) % (MF_STREAM_ERROR_COUNT - 1) : 0;
	net.out.fail = what & 4 ? 1 + (what >> 4) % (MF_STREAM_ERROR_COUNT - 1) : 0;
	net.out.prng = what & 8 ? &net.prng : NULL;
	net.down = what == 0xff;
	net.out.may_write = what & 0x40 ? 0 : SIZE_MAX;
}

/* ---- The owner ------------------------------------------------------------------------------------- */

static void hog_packets(struct input *in)
{
	unsigned n = take(in, 1);
	bool more = n & 0x80;

	for (n &= 0x7f; n; n--) {
		struct mf_pkt *p = more && n_hogs < HOGS ? mf_pkt_large(net.pool) : NULL;

		if (p)
			hog[n_hogs++] = p;
		else if (!more && n_hogs)
			mf_pkt_free(hog[--n_hogs]);
	}
}

static void reconfigure(struct input *in)
{
	net.cfg.per_source = 1 + take(in, 1) % 8;
	net.cfg.half_open_per_source = 1 + take(in, 1) % 8;
	net.cfg.tcp_idle = (1 + take(in, 1)) * MF_SEC;
	net.cfg.fast_open = take(in, 1) & 1;
	net.cfg.mtu = 1280 + take(in, 1) * 8;
	mf_host_configure(net.host, &net.cfg);
}

static void command(struct input *in)
{
	unsigned what = take(in, 1);
	struct mf_flow_ref ref;

	switch (what % 6) {
	case 0:
		reconfigure(in);
		break;
	case 1:
		net.route = what & 8 ? HOSTNET_HOP : 77;
		mf_host_routes_changed(net.host, what & 16);
		break;
	case 2:
		ref.index = take(in, 1) & 0xff;
		ref.generation = take(in, 1) & 0xff;
		mf_host_close(net.host, ref);
		break;
	case 3:
		mf_host_close_all(net.host);
		break;
	case 4:
		set_outbound(in);
		break;
	default:
		hog_packets(in);
	}
}

/* ---- Always ---------------------------------------------------------------------------------------- */

static void check_counts(void)
{
	const struct mf_host_counters *c = mf_host_counters(net.host);
	struct mf_session_facts f;
	uint64_t n = 0, waiting = 0;

	for (uint32_t i = 0; i < mf_host_slots(net.host); i++)
		if (mf_host_facts(net.host, i, &f)) {
			n++;
			waiting += f.state == MF_SESSION_TIME_WAIT;
		}
	MF_ASSERT(n == c->sessions && n <= net.cfg.max);
	MF_ASSERT(mf_host_hop(net.host, HOSTNET_HOP)->sessions == n);
	MF_ASSERT(mf_host_strays(net.host) <= n && net.out.n_open <= n - waiting);
}

static void step(struct input *in)
{
	unsigned what = take(in, 1);

	switch (what % 8) {
	case 0:
		connect_app();
		break;
	case 1:
	case 2:
		use_app(in);
		break;
	case 3:
		forge(in);
		break;
	case 4:
		send_raw(in);
		break;
	case 5:
	case 6:
		use_stream(in);
		break;
	default:
		command(in);
	}
	if (what & 0x40)
		hostnet_settle(&net);
	if (what & 0x80)
		hostnet_advance(&net, take(in, 1) * (what & 0x20 ? MF_SEC : MF_MSEC));
}

/* Whatever it was: when the far sides are gone and the apps read, no session is left after a while. An app
 * that is gone without a word is waited for as long as data may be unacknowledged: 15 minutes. */
static void run_down(void)
{
	net.out.open_at_once = false;
	for (struct fake_stream *st = net.out.last; st; st = st->next)
		fake_fail(st, MF_STREAM_E_RESET);
	for (unsigned i = 0; i < 20; i++) {
		for (struct hostnet_app *a = net.apps; a; a = a->next)
			hostnet_read(a, SIZE_MAX);
		hostnet_advance(&net, 60 * MF_SEC);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostnet_options o = {
		.seed = 1,
		.n_small = 128,
		.n_large = 32,
		.budget = 1 << 20,
		.cfg = { .max = 6,
			 .tcp_idle = 200 * MF_SEC,
			 .settle_wait = MF_SEC,
			 .settle_port = { 80 },
			 .n_settle_ports = 1 },
	};
	struct input in = { data, data + size };

	n_hogs = n_apps = 0;
	hostnet_open(&net, &o);
	net.settles = size & 1; /* what apps write shows no name, but is waited for */
	for (unsigned i = 0; i < COMMANDS && in.p < in.end; i++)
		step(&in);
	hostnet_settle(&net);
	check_counts();
	while (n_hogs)
		mf_pkt_free(hog[--n_hogs]);
	run_down();
	check_counts();
	MF_ASSERT(!mf_host_counters(net.host)->sessions);
	hostnet_close(&net);
	return 0;
}
