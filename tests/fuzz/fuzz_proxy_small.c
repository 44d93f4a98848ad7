/* SPDX-License-Identifier: Apache-2.0
 *
 * What servers of the small protocols may send: the first byte says which protocol, the second how
 * it is cut. However it is, the verdict is the same, and so is the payload as far as an error lets
 * it come.
 */
#include <stdlib.h>

#include "proto/http/connect.h"
#include "proto/http/head.h"
#include "proto/obfs/obfs.h"
#include "proto/socks5/socks5.h"
#include "proto/trojan/trojan.h"
#include "proto/vless/vless.h"
#include "support/codeclab.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum kind { CONNECT, SOCKS5, SOCKS5_UDP, TROJAN, VLESS, OBFS_HTTP, OBFS_TLS, STREAMS };
enum { TROJAN_UDP = STREAMS, VLESS_UDP, SOCKS5_PACKET, HEAD, KINDS };

union any_codec {
	struct mf_codec codec;
	struct mf_connect connect;
	struct mf_socks5 socks5;
	struct mf_trojan trojan;
	struct mf_vless vless;
	struct mf_obfs obfs;
};

static const struct mf_proxy_target to = { .addr = { .addr = { { 192, 0, 2, 1 }, MF_AF_IP4 },
						     .port = 443 } };

static void make(union any_codec *c, unsigned kind, const struct mf_codec_env *env)
{
	static const struct mf_connect_config connect;
	static const struct mf_socks5_config socks5 = { .user_n = 1, .password_n = 1 };
	static const struct mf_trojan_config trojan;
	static const struct mf_vless_config vless;
	static const struct mf_obfs_config http = { .mode = MF_OBFS_HTTP, .host = "a" };
	static const struct mf_obfs_config tls = { .mode = MF_OBFS_TLS, .host = "a" };

	switch (kind) {
	case CONNECT:
		mf_connect_init(&c->connect, &connect, env, &to);
		break;
	case SOCKS5:
	case SOCKS5_UDP:
		mf_socks5_init(&c->socks5, &socks5, env, &to, kind == SOCKS5_UDP);
		break;
	case TROJAN:
	case TROJAN_UDP:
		mf_trojan_init(&c->trojan, &trojan, env, &to, kind == TROJAN_UDP);
		c->trojan.tls = true;
		break;
	case VLESS:
	case VLESS_UDP:
		mf_vless_init(&c->vless, &vless, env, &to, kind == VLESS_UDP);
		break;
	default:
		mf_obfs_init(&c->obfs, kind == OBFS_HTTP ? &http : &tls, env);
	}
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void try_stream(unsigned kind, uint8_t seed, struct mf_span in)
{
	struct codeclab l[2];
	union any_codec c[2];
	mf_err e[2];
	size_t n;

	for (unsigned i = 0; i < 2; i++) {
		codeclab_init(&l[i], seed + 1000u * i);
		make(&c[i], kind, &l[i].env);
		l[i].codec = &c[i].codec;
		c[i].codec.begun = kind == TROJAN; /* and has begun as TLS does */
		e[i] = codeclab_feed(&l[i], in.p, in.n);
		MF_ASSERT(!e[i] == !c[i].codec.fault);
	}
	MF_ASSERT(e[0] == e[1] && c[0].codec.fault == c[1].codec.fault);
	MF_ASSERT(c[0].codec.proven == c[1].codec.proven && c[0].codec.opened == c[1].codec.opened);
	n = mf_min(l[0].got.n, l[1].got.n);
	MF_ASSERT(e[0] || l[0].got.n == l[1].got.n);
	MF_ASSERT(!n || !memcmp(l[0].got.p, l[1].got.p, n));
	codeclab_fini(&l[0]);
	codeclab_fini(&l[1]);
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* All of them, one behind the other with their senders. `step`: bytes that come at a time. */
static mf_err read_dgrams(struct mf_codec *c, struct mf_span in, size_t step, struct lab_bytes *out)
{
	size_t used = 0, there = 0;
	mf_err e = MF_E_SHORT;

	while (there < in.n && e == MF_E_SHORT) {
		uint8_t *copy;
		struct mf_codec_in rest;
		struct mf_endpoint from;
		struct mf_span got;

		there += mf_min(step, in.n - there);
		copy = malloc(there - used + 1);
		MF_ASSERT(copy);
		memcpy(copy, in.p + used, there - used);
		rest = (struct mf_codec_in){ copy, there - used };
		while (!(e = c->ops->open_dgram(c, &rest, &got, &from))) {
			MF_ASSERT(got.p >= copy && got.p + got.n <= rest.p);
			lab_add(out, &from.port, sizeof(from.port));
			lab_add(out, from.addr.b, sizeof(from.addr.b));
			lab_add(out, &got.n, sizeof(got.n));
			lab_add(out, got.p, got.n);
		}
		used = there - rest.n;
		free(copy);
	}
	return e;
}

static void try_dgrams(unsigned kind, uint8_t seed, struct mf_span in)
{
	const struct mf_codec_env env = { 0 };
	struct lab_bytes out[2] = { 0 };
	union any_codec c[2];
	mf_err e[2];

	for (unsigned i = 0; i < 2; i++) {
		make(&c[i], kind, &env);
		e[i] = read_dgrams(&c[i].codec, in, i ? 1u + seed : SIZE_MAX, &out[i]);
	}
	MF_ASSERT(e[0] == e[1] && c[0].codec.fault == c[1].codec.fault);
	MF_ASSERT(out[0].n == out[1].n && (!out[0].n || !memcmp(out[0].p, out[1].p, out[0].n)));
	lab_free(&out[0]);
	lab_free(&out[1]);
}

static void try_packet(struct mf_span in)
{
	const struct mf_codec_env env = { 0 };
	uint8_t *copy = malloc(in.n + 1), *back = malloc(in.n + 1);
	struct mf_socks5_packets c;
	struct mf_proxy_target sender = { 0 };
	struct mf_span got;

	MF_ASSERT(copy && back);
	memcpy(copy, in.p, in.n);
	mf_socks5_packets_init(&c, &env);
	if (!c.codec.ops->open(&c.codec, copy, in.n, &got, &sender.addr) && sender.addr.addr.family) {
		MF_ASSERT(c.codec.ops->seal(&c.codec, &sender, got, back, in.n) == in.n);
		MF_ASSERT(!memcmp(back + 3, in.p + 3, in.n - 3));
	}
	free(copy);
	free(back);
}

static void try_head(struct mf_span in)
{
	struct mf_http_head h;
	struct mf_span v;
	uint64_t when;

	if (mf_http_head_parse(in, &h)) {
		(void)mf_http_looks_like(in);
		return;
	}
	MF_ASSERT(h.n <= in.n && h.n <= MF_HTTP_HEAD_MAX && h.status >= 100 && h.status <= 999);
	MF_ASSERT(h.fields.p + h.fields.n <= in.p + h.n);
	v = mf_http_field(&h, "Connection");
	MF_ASSERT(!v.p || (v.p >= h.fields.p && v.p + v.n <= h.fields.p + h.fields.n));
	MF_ASSERT(v.p || !mf_http_field_has(&h, "connection", "upgrade"));
	if (mf_http_date(&h, &when))
		MF_ASSERT(when < 253402300801); /* the year 9999, and a leap second */
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_span rest;
	unsigned kind;

	if (n < 2)
		return 0;
	kind = in[0] % KINDS;
	rest = mf_span(in + 2, n - 2);
	if (kind < STREAMS)
		try_stream(kind, in[1], rest);
	else if (kind == SOCKS5_PACKET)
		try_packet(rest);
	else if (kind == HEAD)
		try_head(rest);
	else
		try_dgrams(kind, in[1], rest);
	return 0;
}
