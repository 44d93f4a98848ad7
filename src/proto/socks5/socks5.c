/* SPDX-License-Identifier: Apache-2.0
 *
 * socks5 - greeting, perhaps a login, request: we say one, hear the answer, and say the next.
 */
#include "proto/socks5/socks5.h"

#include "proto/http/stranger.h"

enum {
	VERSION = 5,
	LOGIN_VERSION = 1,
	CONNECT = 1,
	UDP_ASSOCIATE = 3,
	NO_LOGIN = 0,
	PASSWORD = 2,
	NONE_ACCEPTABLE = 0xff,
};

enum step { GREETING, METHOD, LOGIN, STATUS, REQUEST, REPLY, DONE };

static struct mf_socks5 *of(struct mf_codec *c)
{
	return MF_CONTAINER_OF(c, struct mf_socks5, codec);
}

static mf_err fail(struct mf_socks5 *s, mf_err e, enum mf_proxy_fault f)
{
	return mf_codec_fail(&s->codec, e, f);
}

/* ---- What we say ----------------------------------------------------------------------------- */

static size_t put_greeting(const struct mf_socks5 *s, uint8_t *out)
{
	uint8_t methods = s->config->user_n ? 2 : 1;

	out[0] = VERSION;
	out[1] = methods;
	out[2] = NO_LOGIN;
	if (methods == 2)
		out[3] = PASSWORD;
	return 2 + (size_t)methods;
}

/* RFC 1929 2 */
static size_t put_login(const struct mf_socks5 *s, uint8_t *out)
{
	const struct mf_socks5_config *c = s->config;
	size_t n = 0;

	out[n++] = LOGIN_VERSION;
	out[n++] = c->user_n;
	memcpy(out + n, c->user, c->user_n);
	n += c->user_n;
	out[n++] = c->password_n;
	memcpy(out + n, c->password, c->password_n);
	return n + c->password_n;
}

/* An association is asked for without saying where we shall send from, which a NAT on the way
 * would change. */
static size_t put_request(const struct mf_socks5 *s, uint8_t *out)
{
	static const struct mf_proxy_target anywhere = { .addr.addr.family = MF_AF_IP4 };

	out[0] = VERSION;
	out[1] = s->udp ? UDP_ASSOCIATE : CONNECT;
	out[2] = 0;
	return 3 + mf_target_put_socks(s->udp ? &anywhere : s->codec.to, out + 3);
}

/* The next message, if it is our turn. */
static size_t say(struct mf_socks5 *s, uint8_t *out)
{
	switch ((enum step)s->step) {
	case GREETING:
		s->step = METHOD;
		return put_greeting(s, out);
	case LOGIN:
		s->step = STATUS;
		return put_login(s, out);
	case REQUEST:
		s->step = REPLY;
		s->codec.begun = true;
		return put_request(s, out);
	default:
		return 0;
	}
}
static_assert(3 + 255 + 255 <= MF_CODEC_OUT_MIN && 3 + MF_TARGET_LEN_MAX <= (int)MF_CODEC_OUT_MIN,
	      "every message fits in any room");

static size_t seal(struct mf_codec *codec, const struct mf_span *v, size_t n, uint8_t *out,
		   size_t room, size_t *len)
{
	if (!codec->raw_up) {
		*len = say(of(codec), out);
		return 0;
	}
	*len = mf_codec_gather(v, n, out, room);
	return *len;
}

/* ---- What we hear ---------------------------------------------------------------------------- */

static mf_err hear_method(struct mf_socks5 *s, struct mf_codec_in *in)
{
	if (in->p[0] != VERSION)
		return mf_stranger(&s->codec, mf_span(in->p, in->n));
	if (in->n < 2)
		return MF_OK;
	if (in->p[1] == NONE_ACCEPTABLE)
		return fail(s, MF_E_AUTH, MF_PROXY_CREDENTIALS);
	if (in->p[1] != NO_LOGIN && (in->p[1] != PASSWORD || !s->config->user_n))
		return fail(s, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	s->step = in->p[1] == PASSWORD ? LOGIN : REQUEST;
	mf_codec_skip(in, 2);
	return MF_OK;
}

/* The version is not looked at: some servers write 5 where RFC 1929 has 1. */
static mf_err hear_status(struct mf_socks5 *s, struct mf_codec_in *in)
{
	if (in->n < 2)
		return MF_OK;
	if (in->p[1])
		return fail(s, MF_E_AUTH, MF_PROXY_CREDENTIALS);
	s->step = REQUEST;
	mf_codec_skip(in, 2);
	return MF_OK;
}

/* RFC 1928 6. An association has no target: all that may be wrong is that the proxy does not do
 * it. */
static enum mf_proxy_fault fault_of(uint8_t reply, bool udp)
{
	static const uint8_t faults[] = {
		[1] = MF_PROXY_TARGET_FAILED,
		[2] = MF_PROXY_TARGET_FORBIDDEN,
		[3] = MF_PROXY_TARGET_UNREACHABLE,
		[4] = MF_PROXY_TARGET_UNREACHABLE,
		[5] = MF_PROXY_TARGET_REFUSED,
		[6] = MF_PROXY_TARGET_TIMED_OUT,
		[7] = MF_PROXY_COMMAND,
		[8] = MF_PROXY_COMMAND,
	};

	if (udp)
		return MF_PROXY_COMMAND;
	return reply < MF_ARRAY_LEN(faults) ? faults[reply] : MF_PROXY_TARGET_FAILED;
}

/* A refusal is told by its first bytes: some servers send no more. */
static mf_err hear_reply(struct mf_socks5 *s, struct mf_codec_in *in)
{
	size_t used;
	mf_err e;

	if (in->p[0] != VERSION)
		return fail(s, MF_E_MALFORMED, MF_PROXY_PROTOCOL);
	if (in->n < 2)
		return MF_OK;
	if (in->p[1])
		return fail(s, MF_E_PERMISSION, fault_of(in->p[1], s->udp));
	if (in->n < 4)
		return MF_OK;
	e = mf_target_get_socks(mf_span(in->p + 3, in->n - 3), &s->relay, &used);
	if (e == MF_E_SHORT)
		return MF_OK;
	if (e)
		return fail(s, e, MF_PROXY_PROTOCOL);
	if (s->udp && s->relay.name)
		return fail(s, MF_E_UNSUPPORTED, MF_PROXY_COMMAND);
	mf_codec_skip(in, 3 + used);
	s->relay.name = NULL; /* it is in `in` */
	s->relay.name_n = 0;
	s->step = DONE;
	s->codec.opened = s->codec.proven = true;
	s->codec.raw_up = s->codec.raw_down = !s->udp;
	return MF_OK;
}

static mf_err hear(struct mf_socks5 *s, struct mf_codec_in *in)
{
	switch ((enum step)s->step) {
	case METHOD:
		return hear_method(s, in);
	case STATUS:
		return hear_status(s, in);
	case REPLY:
		return hear_reply(s, in);
	default:
		return MF_OK;
	}
}

static mf_err open(struct mf_codec *codec, struct mf_codec_in *in, const struct mf_room *v,
		   size_t n, size_t *got)
{
	struct mf_socks5 *s = of(codec);

	*got = 0;
	if (!codec->opened && in->n) {
		mf_err e = hear(s, in);

		if (e)
			return e;
	}
	if (codec->raw_down)
		*got = mf_codec_scatter(in, v, n);
	else if (codec->opened)
		mf_codec_skip(in, in->n);
	return MF_OK;
}

static const struct mf_codec_ops ops = {
	.name = "socks5",
	.handshake = true,
	.seal = seal,
	.open = open,
	.wipe = mf_codec_no_keys,
};

void mf_socks5_init(struct mf_socks5 *s, const struct mf_socks5_config *cfg,
		    const struct mf_codec_env *env, const struct mf_proxy_target *to, bool udp)
{
	*s = (struct mf_socks5){
		.codec = { .ops = &ops, .env = env, .to = to },
		.config = cfg,
		.udp = udp,
		.step = GREETING,
	};
}
