/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_routing - the tables of app routing: sets of domains and of IP ranges, and routes.
 */
#include "config/schema_tables.h"

/* What both kinds of sets have; `s` is the set's struct. */
#define LENIENT(s)                                                                               \
	{                                                                                        \
		.key = "lenient", .type = MF_FIELD_BOOL, AT(s, lenient), .def = "false",         \
		.doc = "`true`: lines of a list that are wrong are left out, and the good ones " \
		       "used. `false`: a list with a wrong line is refused; of a subscription "  \
		       "the old copy stays.",                                                    \
		.example = "true",                                                               \
	}
#define URL(s)                                                                                    \
	{                                                                                         \
		.key = "url", .type = MF_FIELD_URL, AT(s, subscription.url), .def_text = "none",  \
		.doc = "Where somebody publishes a list. It is fetched now and then, and a copy " \
		       "is kept for the next start.",                                             \
		.example = "https://lists.example/list.txt",                                      \
	}
#define VIA(s)                                                                                    \
	{                                                                                         \
		.key = "via", .type = MF_FIELD_TEXT, AT(s, subscription.via), .only_with = "url", \
		.def_text = "as the host in the URL is routed",                                   \
		.doc = "What the list is fetched through: the name of an interface, or "          \
		       "`direct`.",                                                               \
		.example = "home-vpn",                                                            \
	}
#define EVERY(s)                                                                            \
	{                                                                                   \
		.key = "every", .type = MF_FIELD_SECONDS, NUM(s, subscription.every),       \
		.only_with = "url", .min = 1, .max = 31 * MF_DAY, .def = "1d",              \
		.doc = "How often the list is fetched, give or take a little, so that not " \
		       "everybody comes at the same moment.",                               \
		.example = "12h",                                                           \
	}
#define MAX_SIZE(s)                                                                              \
	{                                                                                        \
		.key = "max_size", .type = MF_FIELD_BYTES, NUM(s, subscription.max_bytes),       \
		.only_with = "url", .min = 1 << 10, .max = 1 << 30, .def = "32MiB",              \
		.doc = "A longer list is not used, and not read to its end.", .example = "8MiB", \
	}

static const struct mf_field domain_set_fields[] = {
	{ .key = "domains",
	  .type = MF_FIELD_DOMAINS,
	  LIST(mf_config_domain_set, domains),
	  .at_pos = offsetof(struct mf_config_domain_set, domain_pos),
	  .doc = "The domains themselves, in any script. `example.com` is the name and all below "
		 "it, `full:example.com` the name alone, `keyword:example` every name that has "
		 "this in it, `regexp:^ad[0-9]+\\.` every name that the pattern matches.",
	  .example = "[netflix.com, \"full:www.example.net\", \"keyword:tracker\"]" },
	{ .key = "files",
	  .type = MF_FIELD_FILES,
	  LIST(mf_config_domain_set, files),
	  .doc = "Files with more: plain lists, hosts files, dnsmasq, AdGuard and ABP host rules, "
		 "Clash rule providers, v2fly lists. They are read in the background, and again "
		 "when they change.",
	  .example = "[netflix.txt]" },
	LENIENT(mf_config_domain_set),
	URL(mf_config_domain_set),
	VIA(mf_config_domain_set),
	EVERY(mf_config_domain_set),
	MAX_SIZE(mf_config_domain_set),
};

const struct mf_schema mf_schema_domain_set = NAMED_SCHEMA(
	mf_config_domain_set, "domain_sets.NAME", domain_set_fields,
	"Named lists of domains. A name is in a set if one of its entries matches it. For example "
	"`netflix: { domains: [netflix.com], files: [netflix.txt] }`.");

static const struct mf_field cidr_set_fields[] = {
	{ .key = "cidrs",
	  .type = MF_FIELD_PREFIXES,
	  AT(mf_config_cidr_set, cidrs),
	  .at_n = offsetof(struct mf_config_cidr_set, n_inline),
	  .doc = "The prefixes themselves. An address alone stands for itself.",
	  .example = "[10.20.0.0/16]" },
	{ .key = "files",
	  .type = MF_FIELD_FILES,
	  LIST(mf_config_cidr_set, files),
	  .doc = "Files with more: a prefix or an address a line, `#` begins a comment; Clash "
		 "rule providers. Host bits are cleared.",
	  .example = "[office.txt]" },
	LENIENT(mf_config_cidr_set),
	URL(mf_config_cidr_set),
	VIA(mf_config_cidr_set),
	EVERY(mf_config_cidr_set),
	MAX_SIZE(mf_config_cidr_set),
};

const struct mf_schema mf_schema_cidr_set =
	NAMED_SCHEMA(mf_config_cidr_set, "cidr_sets.NAME", cidr_set_fields,
		     "Named lists of IP ranges. For example `office: { cidrs: [10.20.0.0/16] }`.");

static const struct mf_field route_fields[] = {
	{ .key = "cidr",
	  .type = MF_FIELD_PREFIX,
	  AT(mf_config_route, cidr),
	  .def_text = "exactly one criterion is required",
	  .doc = "Criterion: destinations in this prefix. An address alone stands for itself.",
	  .example = "8.8.8.8/32" },
	{ .key = "cidr_set",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_route, cidr_set_name),
	  .def_text = "exactly one criterion is required",
	  .doc = "Criterion: destinations in a set of `cidr_sets`.",
	  .example = "office" },
	{ .key = "domain_set",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_route, domain_set_name),
	  .def_text = "exactly one criterion is required",
	  .doc = "Criterion: names in a set of `domain_sets`. The addresses that such a name has "
		 "become routes of their own before the app hears of them. Of two sets that have "
		 "a name, the earlier route counts.",
	  .example = "netflix" },
	{ .key = "to",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_route, to),
	  .required = true,
	  .doc = "The name of an interface, `drop` (silently), `reject` (TCP gets a RST, the rest "
		 "as `drop`), or `direct` (the local internet, outside every VPN).",
	  .example = "home-vpn" },
};

static const struct mf_schema route_schema =
	SCHEMA(mf_config_route, "app_routing.routes[]", route_fields,
	       "One criterion and one target each. The longest prefix that holds the destination "
	       "decides, whatever the order. The same prefix twice is an error unless both say the "
	       "same. What no route holds is dropped and counted as `no-route`.");

static const struct mf_field app_routing_fields[] = {
	{ .key = "enabled",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_app_routing, enabled),
	  .def = "true",
	  .doc = "`false`: as if the section were left out. It is checked all the same.",
	  .example = "true" },
	{ .key = "routes",
	  .type = MF_FIELD_MAPS,
	  LIST(mf_config_app_routing, routes),
	  .max = 4096,
	  .sub = &route_schema,
	  .doc = "What goes where.",
	  .example = "[{ cidr: 0.0.0.0/0, to: home-vpn }]" },
	{ .key = "dns_fallback",
	  .type = MF_FIELD_TEXT,
	  AT(mf_config_app_routing, dns_fallback),
	  .def = "direct",
	  .doc = "Who resolves a name that is in no domain set of a route: `direct` "
		 "(`dns.direct_servers`, outside every VPN), the name of an interface "
		 "(`dns.vpn_servers`, through it), or nobody: `drop` and `reject` answer it as "
		 "`dns.block_answer` says.",
	  .example = "home-vpn" },
	{ .key = "settle",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_app_routing, settle),
	  .def = "true",
	  .doc = "Look at the name with which a session begins (TLS, HTTP, QUIC), and let that "
		 "decide where it goes, if it is in a domain set of a route. So two sites on one "
		 "address each go their own way, and apps with a resolver of their own are routed "
		 "too.",
	  .example = "true" },
	{ .key = "settle_wait",
	  .type = MF_FIELD_MILLISECONDS,
	  NUM(mf_config_app_routing, settle_wait_ms),
	  .min = 10,
	  .max = 5000,
	  .def = "300ms",
	  .doc = "How long a session may keep silent before it goes where its address leads.",
	  .example = "300ms" },
	{ .key = "settle_ports",
	  .type = MF_FIELD_PORTS,
	  LIST(mf_config_app_routing, settle_ports),
	  .max = 64,
	  .def = "[80, 443, 8080, 8443]",
	  .doc = "Destination ports of sessions that are looked at.",
	  .example = "[80, 443]" },
	{ .key = "max_learned",
	  .type = MF_FIELD_NUMBER,
	  NUM(mf_config_app_routing, max_learned),
	  .min = 256,
	  .max = 1 << 20,
	  .def = "65536",
	  .doc = "Addresses that may be routed by their names at a time. Fixed while the program "
		 "runs.",
	  .example = "65536" },
};

const struct mf_schema mf_schema_app_routing =
	SCHEMA(mf_config_app_routing, "app_routing", app_routing_fields,
	       "What goes where. Without this section every packet follows the allowed IPs of the "
	       "interfaces' peers (longest prefix; no prefix may be in two interfaces), and "
	       "`0.0.0.0/0` or "
	       "`::/0` must be among them: each, if the tunnel has addresses of that family; at "
	       "least one, "
	       "if it has none.");
