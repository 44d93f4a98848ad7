/* SPDX-License-Identifier: Apache-2.0
 *
 * schema - the tables themselves (see schema.h). The order of the fields is the order in which they
 * are printed and documented.
 */
#include "config/schema_tables.h"
#include "config/value.h"

#include <stdio.h>

static const struct mf_field offload_fields[] = {
	{ .key = "checksum",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, checksum),
	  .def = "true",
	  .doc = "TUN device: leave TCP and UDP checksums to the last one who needs them. Without "
		 "it `tso` "
		 "and `uso` are off too.",
	  .example = "true" },
	{ .key = "tso",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, tso),
	  .def = "true",
	  .doc = "TUN device: take and give TCP super-packets of up to 64 KiB.",
	  .example = "true" },
	{ .key = "uso",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, uso),
	  .def = "true",
	  .doc = "TUN device: the same for UDP (Linux 6.2 and newer).",
	  .example = "true" },
	{ .key = "gso",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, gso),
	  .def = "true",
	  .doc = "UDP sockets: send many datagrams in one call (`UDP_SEGMENT`).",
	  .example = "true" },
	{ .key = "gro",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, gro),
	  .def = "true",
	  .doc = "UDP sockets: receive many datagrams in one call (`UDP_GRO`).",
	  .example = "true" },
	{ .key = "coalesce",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_offload, coalesce),
	  .def = "true",
	  .doc = "Merge decrypted packets of one flow into a super-packet before they enter the "
		 "TUN "
		 "device.",
	  .example = "true" },
};

static const struct mf_schema offload_schema = SCHEMA(
	mf_config_offload, "tunnel.offload", offload_fields,
	"What may be left to the kernel in bulk. Everything is on, is probed at start, and "
	"switches "
	"itself off where the kernel refuses; these keys are for switching something off by hand.");

static const struct mf_field tunnel_fields[] = {
	{ .key = "name",
	  .type = MF_FIELD_NAME,
	  AT(mf_config_tunnel, name),
	  .def = "mint0",
	  .doc = "Name of the TUN device, and of the control socket `/run/mintflow/NAME.sock`.",
	  .example = "mint0" },
	{ .key = "address",
	  .type = MF_FIELD_ADDRESSES,
	  AT(mf_config_tunnel, addresses),
	  .doc = "Addresses of the TUN device. The source addresses of what the machine sends.",
	  .example = "[10.66.0.2/30, \"fd66::2/126\"]" },
	{ .key = "mtu",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_tunnel, mtu),
	  .min = 576,
	  .max = 65520,
	  .zero = "auto",
	  .def = "auto",
	  .doc = "Largest packet in bytes. `auto`: from the path. At least 1280 with an IPv6 "
		 "address.",
	  .example = "1420" },
	{ .key = "auto_route",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_tunnel, auto_route),
	  .def = "true",
	  .doc = "Route the whole machine into the tunnel, and keep MintFlow's own sockets out "
		 "(own "
		 "routing table and mark). `false`: routes are the user's business.",
	  .example = "true" },
	{ .key = "exclude_lan",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_tunnel, exclude_lan),
	  .def = "true",
	  .doc = "With `auto_route`: 10/8, 172.16/12, 192.168/16, link-local and ULA stay outside, "
		 "unless a route names them.",
	  .example = "true" },
	{ .key = "offload",
	  .type = MF_FIELD_MAP,
	  AT(mf_config_tunnel, offload),
	  .sub = &offload_schema,
	  .doc = "What may be left to the kernel in bulk.",
	  .example = "{ uso: false }" },
};

static const struct mf_schema tunnel_schema =
	SCHEMA(mf_config_tunnel, "tunnel", tunnel_fields,
	       "The TUN device that the operating system routes into.");

static const struct mf_field direct_fields[] = {
	{ .key = "device",
	  .type = MF_FIELD_NAME,
	  AT(mf_config_direct, device),
	  .zero = "auto",
	  .def = "auto",
	  .doc = "Network device that sessions leave through. `auto`: that of the default route, "
		 "followed when it changes.",
	  .example = "wlan0" },
	{ .key = "fast_open",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_direct, fast_open),
	  .def = "false",
	  .doc = "`true`: an app's TCP connection is accepted before the far side has answered, "
		 "which saves a round trip. The app then cannot tell a refused connection from one "
		 "that was reset.",
	  .example = "true" },
};

static const struct mf_schema direct_schema =
	SCHEMA(mf_config_direct, "direct", direct_fields,
	       "The built-in interface `direct`: the local internet, through sockets of our own "
	       "that cannot fall back into the tunnel.");

#define SECONDS(name, text_def, text_doc, text_example)                                          \
	{                                                                                        \
		.key = #name, .type = MF_FIELD_SECONDS, NUM(mf_config_sessions, name), .min = 1, \
		.max = 31 * MF_DAY, .def = text_def, .doc = text_doc, .example = text_example,   \
	}

static const struct mf_field sessions_fields[] = {
	{ .key = "max",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_sessions, max),
	  .min = 64,
	  .max = 1 << 20,
	  .def = "16384",
	  .doc = "Sessions that there may be at a time, of all kinds; fewer if `limits.memory` has "
		 "no room for so many (the log says so). A new one beyond that is refused "
		 "(TCP gets a RST); old ones stay. Fixed while the program runs.",
	  .example = "16384" },
	{ .key = "per_source",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_sessions, per_source),
	  .min = 1,
	  .max = 1 << 20,
	  .zero = "auto",
	  .def = "auto",
	  .doc = "How many of them one source address may have. `auto`: three quarters of `max`.",
	  .example = "4096" },
	{ .key = "half_open_per_source",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_sessions, half_open_per_source),
	  .min = 1,
	  .max = 1 << 20,
	  .def = "1024",
	  .doc = "How many TCP sessions that are not established yet one source address may have.",
	  .example = "1024" },
	SECONDS(tcp_idle, "124m",
		"Time after which a TCP session ends that nothing is said on (RFC 5382, REQ-5: "
		"at least 2 h 4 min).",
		"124m"),
	SECONDS(udp, "5m",
		"The same for UDP: how long a mapping lasts after its last datagram (RFC 4787, "
		"REQ-5: at least 2 min, 5 min recommended).",
		"5m"),
	SECONDS(udp_dns, "10s", "The same for a UDP mapping that has spoken to port 53 only.", "10s"),
	SECONDS(udp_quic, "3m",
		"The same for a UDP mapping that has spoken to port 443 only, where QUIC is. RFC "
		"9308, 4.2, asks for 2 min at least; clients that want to keep a quiet connection "
		"send something every 30 s or so, so a longer time mostly keeps dead ones.",
		"3m"),
	SECONDS(echo, "1m", "The same for `ping` (RFC 5508, REQ-2: at least 1 min).", "1m"),
};

static const struct mf_schema sessions_schema =
	SCHEMA(mf_config_sessions, "sessions", sessions_fields,
	       "Sessions of the host stack: what goes `direct` and to proxies. How many there "
	       "may be, and when an idle one ends.");

static const struct mf_field limits_fields[] = {
	{ .key = "memory",
	  .type = MF_FIELD_BYTES,
	  NUM(mf_config_limits, memory),
	  .min = 16ull << 20,
	  .max = 64ull << 30,
	  .def = "48MiB",
	  .doc = "What the engine may allocate in all. Pools and tables are sized from it; what "
		 "does "
		 "not fit is refused, counted and logged.",
	  .example = "48MiB" },
	{ .key = "workers",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_limits, workers),
	  .min = 1,
	  .max = 64,
	  .zero = "auto",
	  .def = "auto",
	  .doc = "Worker threads, and queues of the TUN device. `auto`: one per core.",
	  .example = "2" },
	{ .key = "staged_packets",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_limits, staged_packets),
	  .min = 1,
	  .max = 4096,
	  .def = "128",
	  .doc = "Packets per peer that wait for a handshake; then the oldest is dropped.",
	  .example = "128" },
};

static const struct mf_schema limits_schema =
	SCHEMA(mf_config_limits, "limits", limits_fields, "Resources.");

static const struct mf_field profile_fields[] = {
	{ .key = "version",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config, version),
	  .min = 1,
	  .max = 1,
	  .required = true,
	  .doc = "Version of this format.",
	  .example = "1" },
	{ .key = "tunnel",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, tunnel),
	  .sub = &tunnel_schema,
	  .required = true,
	  .doc = "The TUN device.",
	  .example = "{ address: [10.66.0.2/30] }" },
	{ .key = "interfaces",
	  .type = MF_FIELD_MAPS,
	  LIST(mf_config, interfaces),
	  .max = 64,
	  .sub = &mf_schema_interface,
	  .doc = "Where traffic can be sent.",
	  .example = "see [interfaces[]](#interfaces)" },
	{ .key = "direct",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, direct),
	  .sub = &direct_schema,
	  .doc = "The built-in interface `direct`.",
	  .example = "{ device: auto }" },
	{ .key = "domain_sets",
	  .type = MF_FIELD_NAMED_MAPS,
	  LIST(mf_config, domain_sets),
	  .max = 1024,
	  .sub = &mf_schema_domain_set,
	  .doc = "Named lists of domains.",
	  .example = "{ netflix: { domains: [netflix.com, nflxvideo.net] } }" },
	{ .key = "cidr_sets",
	  .type = MF_FIELD_NAMED_MAPS,
	  LIST(mf_config, cidr_sets),
	  .max = 1024,
	  .sub = &mf_schema_cidr_set,
	  .doc = "Named lists of IP ranges.",
	  .example = "{ office: { cidrs: [10.20.0.0/16] } }" },
	{ .key = "app_routing",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, app_routing),
	  .sub = &mf_schema_app_routing,
	  .def_text = "off",
	  .doc = "What goes where.",
	  .example = "{ routes: [{ cidr: 0.0.0.0/0, to: home-vpn }] }" },
	{ .key = "dns",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, dns),
	  .sub = &mf_schema_dns,
	  .def_text = "no DNS server; with its defaults, if a route names a domain set",
	  .doc = "The internal DNS server: whom it asks, and how names are answered.",
	  .example = "{ direct_servers: [1.1.1.1] }" },
	{ .key = "sessions",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, sessions),
	  .sub = &sessions_schema,
	  .doc = "Sessions of the host stack.",
	  .example = "{ max: 4096 }" },
	{ .key = "limits",
	  .type = MF_FIELD_MAP,
	  AT(mf_config, limits),
	  .sub = &limits_schema,
	  .doc = "Resources.",
	  .example = "{ memory: 48MiB }" },
};

const struct mf_schema mf_schema_profile =
	SCHEMA(mf_config, "profile", profile_fields, "The top of the file.");

bool mf_field_is_of(const struct mf_field *f, unsigned type)
{
	return !f->types || f->types & 1u << type;
}

void mf_field_print_types(const struct mf_field *f, struct mf_text *out)
{
	const unsigned proxies = (1u << MF_CONFIG_TYPES) - (1u << MF_CONFIG_SHADOWSOCKS);
	unsigned left = f->types;

	if (left == proxies) {
		mf_text_printf(out, "proxies");
		return;
	}
	for (unsigned t = 1; t < MF_CONFIG_TYPES; t++) {
		if (!(left & 1u << t))
			continue;
		left &= ~(1u << t);
		mf_text_printf(out, "%s%s", mf_schema_types[t],
			       !left               ? ""
			       : left & (left - 1) ? ", "
						   : " and ");
	}
}

const struct mf_field *mf_schema_find(const struct mf_schema *s, const char *key, unsigned type)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (!strcmp(s->fields[i].key, key) && (!type || mf_field_is_of(&s->fields[i], type)))
			return &s->fields[i];
	return NULL;
}

static const char *number_form(const struct mf_field *f, char out[MF_FIELD_FORM_LEN])
{
	int n;

	if (f->min == f->max)
		n = snprintf(out, MF_FIELD_FORM_LEN, "%llu", (unsigned long long)f->min);
	else
		n = snprintf(out, MF_FIELD_FORM_LEN, "a number %llu..%llu",
			     (unsigned long long)f->min, (unsigned long long)f->max);
	if (f->zero)
		(void)snprintf(out + n, MF_FIELD_FORM_LEN - (size_t)n, " or `%s`", f->zero);
	return out;
}

/* "a size 16MiB..64GiB, like `48MiB` or `64M`" */
static const char *measure_form(const struct mf_field *f, char out[MF_FIELD_FORM_LEN])
{
	const char *what = "a size", *like = "like `48MiB` or `64M`";
	uint64_t unit = f->type == MF_FIELD_SECONDS ? 1000 : 1;
	struct mf_text min = { 0 }, max = { 0 };

	if (f->type == MF_FIELD_BYTES) {
		mf_value_print_bytes(f->min, &min);
		mf_value_print_bytes(f->max, &max);
	} else {
		what = "a time";
		like = unit == 1 ? "like `300ms` or `2s`" : "like `90s`, `5m` or `12h`";
		mf_value_print_time(f->min * unit, &min);
		mf_value_print_time(f->max * unit, &max);
	}
	(void)snprintf(out, MF_FIELD_FORM_LEN, "%s %s..%s, %s%s%s%s", what, min.s ? min.s : "",
		       max.s ? max.s : "", like, f->zero ? ", or `" : "", f->zero ? f->zero : "",
		       f->zero ? "`" : "");
	mf_text_free(&min);
	mf_text_free(&max);
	return out;
}

static const char *words_form(const struct mf_field *f, char out[MF_FIELD_FORM_LEN])
{
	const char *const *first = f->words + f->min;
	size_t n = 0;

	for (const char *const *w = first; *w && n < MF_FIELD_FORM_LEN; w++)
		n += (size_t)snprintf(out + n, MF_FIELD_FORM_LEN - n, "%s`%s`",
				      w == first ? ""
				      : w[1]     ? ", "
						 : " or ",
				      *w);
	return out;
}

const char *mf_field_form(const struct mf_field *f, char out[MF_FIELD_FORM_LEN])
{
	static const char *const texts[] = {
		[MF_FIELD_BOOL] = "`true` or `false`",
		[MF_FIELD_NAME] = "a name: 1..15 of `A-Z a-z 0-9 _ = + . -`",
		[MF_FIELD_TEXT] = "a name",
		[MF_FIELD_PUBLIC_KEY] = "a key: 32 bytes in base64",
		[MF_FIELD_SECRET_KEY] = "a key: 32 bytes in base64",
		[MF_FIELD_SECRET] = "a text",
		[MF_FIELD_FILE] = "a path",
		[MF_FIELD_FILES] = "a list of paths",
		[MF_FIELD_PREFIX] = "a prefix",
		[MF_FIELD_PREFIXES] = "a list of prefixes",
		[MF_FIELD_ALLOWED] = "a list of prefixes",
		[MF_FIELD_ADDRESSES] = "a list of addresses with prefix length",
		[MF_FIELD_HOST] = "`host:port`; host is a name, an IPv4 or [IPv6] address",
		[MF_FIELD_MAP] = "a section",
		[MF_FIELD_MAPS] = "a list of sections",
		[MF_FIELD_NAMED_MAPS] = "name → section",
		[MF_FIELD_URL] = "a URL: `https://…` or `http://…`",
		[MF_FIELD_DOMAINS] = "a list of domains",
		[MF_FIELD_HOSTNAMES] = "a list of host names",
		[MF_FIELD_PORTS] = "a list of ports 1..65535",
		[MF_FIELD_IPS] = "a list of addresses",
		[MF_FIELD_LISTEN] = "a list of `address` or `address:port`",
		[MF_FIELD_HOSTS] = "name → address or list of addresses",
		[MF_FIELD_SERVER] = "a DNS server",
		[MF_FIELD_SERVERS] = "a list of DNS servers",
		[MF_FIELD_PROTOCOLS] = "a list of protocol names",
		[MF_FIELD_HEADERS] = "name → text",
		[MF_FIELD_LATER] = "–",
	};

	switch (f->type) {
	case MF_FIELD_NUMBER:
		return number_form(f, out);
	case MF_FIELD_BYTES:
	case MF_FIELD_SECONDS:
	case MF_FIELD_MILLISECONDS:
		return measure_form(f, out);
	case MF_FIELD_WORD:
		return words_form(f, out);
	default:
		break;
	}
	(void)snprintf(out, MF_FIELD_FORM_LEN, "%s%s%s%s", f->form ? f->form : texts[f->type],
		       f->zero ? ", or `" : "", f->zero ? f->zero : "", f->zero ? "`" : "");
	return out;
}
