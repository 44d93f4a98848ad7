/* SPDX-License-Identifier: Apache-2.0 */
#include "control/filter.h"

#include <stdio.h>

#include "policy/list.h"
#include "wire/ip4.h"

enum { INDEX_MAX = (1 << 20) - 1, GENERATION_MAX = (1 << 12) - 1 };

/* Decimal digits and nothing else, up to `max`; moves `*s` behind them. */
static bool number(const char **s, uint32_t max, uint32_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; **s >= '0' && **s <= '9' && n < 10; ++*s, n++)
		v = v * 10 + (uint64_t)(**s - '0');
	*out = (uint32_t)v;
	return n && v <= max;
}

static bool hyphen(const char **s)
{
	return *(*s)++ == '-';
}

bool mf_session_id_parse(struct mf_session_id *id, const char *text)
{
	uint32_t worker, index, generation;

	if (!number(&text, UINT16_MAX, &worker) || !hyphen(&text) ||
	    !number(&text, INDEX_MAX, &index) || !hyphen(&text) ||
	    !number(&text, GENERATION_MAX, &generation) || *text)
		return false;
	id->worker = worker;
	id->ref.index = index & INDEX_MAX;
	id->ref.generation = generation & GENERATION_MAX;
	return true;
}

const char *mf_session_id_format(const struct mf_session_id *id, char out[MF_SESSION_ID_STRLEN])
{
	snprintf(out, MF_SESSION_ID_STRLEN, "%u-%u-%u", id->worker, (unsigned)id->ref.index,
		 (unsigned)id->ref.generation);
	return out;
}

bool mf_session_id_equal(const struct mf_session_id *a, const struct mf_session_id *b)
{
	return a->worker == b->worker && a->ref.index == b->ref.index &&
	       a->ref.generation == b->ref.generation;
}

mf_err mf_session_end_parse(struct mf_session_end *e, const char *text)
{
	struct mf_endpoint point;
	uint32_t port;

	*e = (struct mf_session_end){ 0 };
	if (*text == ':' && text[1] != ':') {
		text++;
		if (!number(&text, UINT16_MAX, &port) || *text || !port)
			return MF_E_MALFORMED;
		e->port = (uint16_t)port;
		return MF_OK;
	}
	if (!mf_prefix_parse(&e->prefix, text)) {
		e->prefix = mf_prefix_mask(e->prefix);
		return MF_OK;
	}
	if (mf_endpoint_parse(&point, text) || !point.port)
		return MF_E_MALFORMED;
	e->prefix.addr = point.addr;
	e->prefix.len = (uint8_t)mf_addr_bits(&point.addr);
	e->port = point.port;
	return MF_OK;
}

static bool end_matches(const struct mf_session_end *e, const struct mf_endpoint *p)
{
	return (!e->prefix.addr.family || mf_prefix_contains(&e->prefix, &p->addr)) &&
	       (!e->port || e->port == p->port);
}

static enum mf_session_proto proto_of(uint8_t ip_protocol)
{
	switch (ip_protocol) {
	case MF_IPPROTO_TCP:
		return MF_PROTO_TCP;
	case MF_IPPROTO_UDP:
		return MF_PROTO_UDP;
	default:
		return MF_PROTO_ICMP;
	}
}

/* ---- Names ---------------------------------------------------------------------------------------- */

mf_err mf_host_parse(char out[MF_HOST_STRLEN], const char *text)
{
	enum mf_domain_kind kind;
	char entry[MF_LIST_LINE_MAX];
	size_t n = strlen(text);
	mf_err err;

	/* What a list may have in front of a name. */
	if (strpbrk(text, ":*+ \t") || *text == '.')
		return MF_E_MALFORMED;
	err = mf_list_entry(text, n, &kind, entry, sizeof(entry), NULL);
	if (err)
		return err;
	n = strlen(entry);
	if (n >= MF_HOST_STRLEN)
		return MF_E_RANGE;
	memcpy(out, entry, n + 1);
	return MF_OK;
}

bool mf_host_below(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	return n >= z && !strcmp(name + n - z, zone) && (n == z || name[n - z - 1] == '.');
}

/* Of a long name only the end is known. */
static bool name_matches(const struct mf_session_filter *f, const struct mf_session_facts *s)
{
	size_t n = strlen(f->name), room = sizeof(s->name) - 1;

	if (n > room)
		return !strcmp(s->name, f->name + n - room);
	return !n || mf_host_below(s->name, f->name);
}

bool mf_session_filter_matches(const struct mf_session_filter *f, const struct mf_session_facts *s,
			       const char *iface)
{
	return (f->proto == MF_PROTO_ANY || f->proto == proto_of(s->proto)) &&
	       (f->state == MF_SESSION_FREE || f->state == s->state) && (!f->kept || s->stray) &&
	       (!*f->via || !strcmp(f->via, iface)) && name_matches(f, s) &&
	       end_matches(&f->app, &s->app) && end_matches(&f->to, &s->dst);
}

const char *mf_session_proto_text(uint8_t ip_protocol)
{
	switch (ip_protocol) {
	case MF_IPPROTO_TCP:
		return "tcp";
	case MF_IPPROTO_UDP:
		return "udp";
	case MF_IPPROTO_ICMP6:
		return "icmp6";
	default:
		return "icmp";
	}
}

bool mf_session_proto_parse(uint8_t *proto, const char *text)
{
	static const char *const name[] = { "", "tcp", "udp", "icmp" };

	for (uint8_t i = MF_PROTO_TCP; i < MF_ARRAY_LEN(name); i++)
		if (!strcmp(text, name[i])) {
			*proto = i;
			return true;
		}
	return false;
}

bool mf_session_state_parse(uint8_t *state, const char *text)
{
	for (uint8_t i = MF_SESSION_FREE + 1; i < MF_SESSION_STATE_COUNT; i++)
		if (!strcmp(text, mf_session_state_text((enum mf_session_state)i))) {
			*state = i;
			return true;
		}
	return false;
}
