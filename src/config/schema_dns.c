/* SPDX-License-Identifier: Apache-2.0
 *
 * schema_dns - the tables of the internal DNS server.
 */
#include "config/schema_tables.h"

static const char *const system_words[] = { "off", "auto", "resolved", "resolv.conf", NULL };
static const char *const block_words[] = { "nxdomain", "zero", "refused", "route", NULL };

static const struct mf_field server_fields[] = {
	{ .key = "url",
	  .type = MF_FIELD_SERVER,
	  AT(mf_schema_server, url),
	  .required = true,
	  .doc = "The server. `1.1.1.1`, `9.9.9.9:5353`, `\"[2620:fe::fe]:53\"` and `udp://…`: "
		 "over UDP, and over TCP what is too long for that. `tcp://…`: over TCP alone. "
		 "`tls://dns.example`: over TLS, port 853. `https://dns.example/dns-query`: over "
		 "HTTPS. With an address, `tls://1.1.1.1#cloudflare-dns.com` says which name the "
		 "certificate must have; without it, it must have the address.",
	  .example = "tls://dns.example" },
	{ .key = "bootstrap",
	  .type = MF_FIELD_IPS,
	  LIST(mf_schema_server, bootstrap),
	  .max = MF_CONFIG_DNS_ADDRS,
	  .def_text = "none; the name is asked of the other servers",
	  .doc = "Addresses of a server that is given by its name.",
	  .example = "[192.0.2.53, \"2001:db8::53\"]" },
};

const struct mf_schema mf_schema_dns_server = SCHEMA(
	mf_schema_server, "dns.servers[]", server_fields,
	"An upstream server, in all three lists. Mostly only its text stands there, which is "
	"the same as `url`: `[1.1.1.1, { url: \"tls://dns.example\", bootstrap: 192.0.2.53 }]`. "
	"The fastest that works is asked, and a second one if that takes long.");

#define SERVERS(m)                                                                              \
	.at = offsetof(struct mf_config_dns, m.v), .at_n = offsetof(struct mf_config_dns, m.n), \
	.max = MF_CONFIG_DNS_SERVERS

static const struct mf_field dns_fields[] = {
	{ .key = "vpn_servers",
	  .type = MF_FIELD_SERVERS,
	  SERVERS(vpn_servers),
	  .doc = "With app routing: servers for names in domain sets that go to an interface (and "
		 "for all others, if `app_routing.dns_fallback` names one), asked through that "
		 "interface.",
	  .example = "[8.8.8.8, 8.8.4.4]" },
	{ .key = "direct_servers",
	  .type = MF_FIELD_SERVERS,
	  SERVERS(direct_servers),
	  .doc = "With app routing: servers for names in domain sets that go `direct` (and for "
		 "all others, if `app_routing.dns_fallback` is that), asked outside every VPN.",
	  .example = "[1.1.1.1, \"tls://1.0.0.1#cloudflare-dns.com\"]" },
	{ .key = "servers",
	  .type = MF_FIELD_SERVERS,
	  SERVERS(servers),
	  .sub = &mf_schema_dns_server,
	  .doc = "Without app routing: servers for all names, asked through the interface that "
		 "has their address.",
	  .example = "[9.9.9.9, \"[2620:fe::fe]:53\"]" },
	{ .key = "listen",
	  .type = MF_FIELD_LISTEN,
	  LIST(mf_config_dns, listen),
	  .max = 64,
	  .doc = "Where the DNS server can be asked, besides what `hijack` catches; port 53 where "
		 "none is given. An address in the tunnel's network that is not the tunnel's own "
		 "exists only there. `0.0.0.0` and `\"[::]\"`: every address of the machine.",
	  .example = "[10.66.0.1, \"127.0.0.1:5353\"]" },
	{ .key = "hijack",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, hijack),
	  .def = "true",
	  .doc = "Answer everything that enters the tunnel for port 53, UDP and TCP, whatever its "
		 "address.",
	  .example = "true" },
	{ .key = "system",
	  .type = MF_FIELD_WORD,
	  NUM(mf_config_dns, system),
	  .words = system_words,
	  .def_text = "`auto` with `tunnel.auto_route`, else `off`",
	  .doc = "How the machine's own resolver is pointed at this server while it runs: through "
		 "systemd-resolved, or by its own `/etc/resolv.conf`. `auto`: the first if that "
		 "runs, else the second. All is put back at the end.",
	  .example = "resolv.conf" },
	{ .key = "block_answer",
	  .type = MF_FIELD_WORD,
	  NUM(mf_config_dns, block_answer),
	  .words = block_words,
	  .def = "nxdomain",
	  .doc = "How names are answered that are routed to `drop` or `reject`. `nxdomain`: no "
		 "such name. `zero`: `0.0.0.0` and `::`. `refused`: refused. `route`: with the "
		 "truth, asked for as `app_routing.dns_fallback` says, and the addresses are "
		 "dropped or rejected.",
	  .example = "zero" },
	{ .key = "block_ttl",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, block_ttl),
	  .max = MF_DAY,
	  .def = "10s",
	  .doc = "How long an app may keep such an answer.",
	  .example = "10s" },
	{ .key = "hosts",
	  .type = MF_FIELD_HOSTS,
	  LIST(mf_config_dns, hosts),
	  .max = 1 << 14,
	  .doc = "Names that are answered from here, with one address or several. "
		 "`\"*.example.com\"` is every name below `example.com`.",
	  .example = "{ nas.home.arpa: 192.168.1.5, \"*.lab.example\": [10.0.0.7, \"fd00::7\"] }" },
	{ .key = "hosts_ttl",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, hosts_ttl),
	  .max = MF_DAY,
	  .def = "1m",
	  .doc = "How long an app may keep an answer from `hosts`.",
	  .example = "1m" },
	{ .key = "rebind_protection",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, rebind_protection),
	  .def = "true",
	  .doc = "Take private, local and loopback addresses out of what servers answer: a web "
		 "site could reach into the home with them.",
	  .example = "true" },
	{ .key = "rebind_allow",
	  .type = MF_FIELD_HOSTNAMES,
	  LIST(mf_config_dns, rebind_allow),
	  .max = 1024,
	  .doc = "Names (and all below them) that may have such addresses.",
	  .example = "[plex.direct, corp.example]" },
	{ .key = "strip_aaaa",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, strip_aaaa),
	  .def = "true",
	  .doc = "Give no IPv6 addresses for a name that goes to an interface without IPv6, so "
		 "that apps do not try them in vain.",
	  .example = "true" },
	{ .key = "mix_case",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, mix_case),
	  .def = "false",
	  .doc = "Mix capitals into questions over UDP at random, which makes answers harder to "
		 "forge. Some servers do not send them back as they were.",
	  .example = "true" },
	{ .key = "ca_file",
	  .type = MF_FIELD_FILE,
	  AT(mf_config_dns, ca_file),
	  .def_text = "those of the system",
	  .doc = "Certificates (PEM) that `tls://` and `https://` servers are checked against.",
	  .example = "ca.pem" },
	{ .key = "timeout",
	  .type = MF_FIELD_MILLISECONDS,
	  NUM(mf_config_dns, timeout_ms),
	  .min = 100,
	  .max = 60 * 1000,
	  .def = "5s",
	  .doc = "Time for a question, all tries together.",
	  .example = "5s" },
	{ .key = "cache_size",
	  .type = MF_FIELD_BYTES,
	  NUM(mf_config_dns, cache_bytes),
	  .min = 64 << 10,
	  .max = 1 << 30,
	  .def = "4MiB",
	  .doc = "Memory for answers. Fixed while the program runs.",
	  .example = "4MiB" },
	{ .key = "ttl_min",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, ttl_min),
	  .max = MF_DAY,
	  .def = "0s",
	  .doc = "An answer that may be kept for less is kept for so long.",
	  .example = "30s" },
	{ .key = "ttl_max",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, ttl_max),
	  .min = 1,
	  .max = 7 * MF_DAY,
	  .def = "1d",
	  .doc = "An answer that may be kept for more is kept for so long.",
	  .example = "6h" },
	{ .key = "negative_ttl_max",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, negative_ttl_max),
	  .max = MF_DAY,
	  .def = "1h",
	  .doc = "The same for the answer that there is nothing (RFC 2308).",
	  .example = "10m" },
	{ .key = "stale",
	  .type = MF_FIELD_SECONDS,
	  NUM(mf_config_dns, stale),
	  .min = 1,
	  .max = 7 * MF_DAY,
	  .zero = "off",
	  .def = "1d",
	  .doc = "How long after its end an answer may still be given when no server answers (RFC "
		 "8767).",
	  .example = "off" },
	{ .key = "prefetch",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, prefetch),
	  .def = "true",
	  .doc = "Ask again for what is asked for often, before its answer ends.",
	  .example = "true" },
	{ .key = "cache_file",
	  .type = MF_FIELD_FILE,
	  AT(mf_config_dns, cache_file),
	  .def_text = "none",
	  .doc = "A file in which the answers are kept over a restart. Its directory must be "
		 "there.",
	  .example = "/var/lib/mintflow/mint0/dns-cache" },
	{ .key = "log_queries",
	  .type = MF_FIELD_BOOL,
	  AT(mf_config_dns, log_queries),
	  .def = "false",
	  .doc = "A line in the log for each question. They tell what the people of the house do; "
		 "mind who can read them.",
	  .example = "true" },
};

const struct mf_schema mf_schema_dns = SCHEMA(
	mf_config_dns, "dns", dns_fields,
	"The internal DNS server. Every question gets its answer here: from `hosts`, as "
	"blocked, from the cache, or from the servers that the name's route asks for. A name in a "
	"domain set that goes to an interface is asked of `vpn_servers` through that interface, "
	"one that goes `direct` of `direct_servers`, every other as `app_routing.dns_fallback` "
	"says; nothing else leaves. For example "
	"`dns: { vpn_servers: [8.8.8.8], direct_servers: [1.1.1.1] }`.");
