/* SPDX-License-Identifier: Apache-2.0
 *
 * config - a profile as values: what `mintflow run -c PROFILE` asks for, checked and complete.
 *
 * A struct mf_config is immutable once loaded and belongs to whoever loaded it. Everything that it
 * points to lives in its own arena and dies with it; mf_config_free wipes that memory, because there
 * are private keys in it. Nothing here resolves names, opens sockets or reads a clock; mf_config_load
 * reads the profile and the files that it names.
 */
#ifndef MF_CONFIG_H
#define MF_CONFIG_H

#include "base/addr.h"
#include "base/json.h"
#include "base/key.h"

enum {
	MF_CONFIG_NAME_MAX = 15, /* IFNAMSIZ - 1: bytes of a tunnel's or an interface's name */
	MF_CONFIG_MAX_BYTES = 1 << 20,     /* of a profile */
	MF_CONFIG_MAX_SET_BYTES = 1 << 26, /* of a file that a CIDR set names */
	MF_CONFIG_MAX_DEPTH = 12,          /* of maps and lists in each other */
	MF_CONFIG_MAX_ERRORS = 100,        /* more are counted, not kept */
};

/* Where a value was written. `file` is as given to the loader (or as resolved, for files that the
 * profile names), never NULL in a loaded configuration; lines and columns start at 1, 0 = unknown. */
struct mf_config_pos {
	const char *file;
	uint32_t line, col;
};

/* What every section begins with. `node` is the loader's; NULL: the profile leaves the section out. */
struct mf_config_src {
	struct mf_config_pos pos;
	const struct mf_yaml *node;
};

struct mf_config_prefix {
	struct mf_prefix prefix;
	struct mf_config_pos pos;
};

struct mf_config_prefixes {
	struct mf_config_prefix *v;
	uint32_t n;
};

/* `host:port` as written: a name that somebody still has to resolve, or an address. */
struct mf_config_host {
	const char *host; /* without brackets; NULL: none given */
	uint16_t port;
	bool is_addr;            /* `addr` is valid, nothing to resolve */
	struct mf_endpoint addr; /* with the port */
	struct mf_config_pos pos;
};

/* Each may be switched off; the platform still probes what the kernel can do. */
struct mf_config_offload {
	struct mf_config_src src;
	bool checksum; /* TUN: partial checksums (TUN_F_CSUM); off switches tso and uso off too */
	bool tso;      /* TUN: TCP super-packets (TUN_F_TSO4, TUN_F_TSO6) */
	bool uso;      /* TUN: UDP super-packets (TUN_F_USO4, TUN_F_USO6) */
	bool gso;      /* UDP socket: UDP_SEGMENT */
	bool gro;      /* UDP socket: UDP_GRO */
	bool coalesce; /* merge decrypted packets of one flow before they enter the TUN */
};

struct mf_config_tunnel {
	struct mf_config_src src;
	const char *name;                    /* of the device, and of the control socket */
	struct mf_config_prefixes addresses; /* host bits kept; may be empty */
	uint32_t mtu;                        /* bytes; 0 = auto */
	bool auto_route;
	bool exclude_lan;
	struct mf_config_offload offload;
};

struct mf_config_peer {
	struct mf_config_src src;
	struct mf_key public_key;
	struct mf_key preshared_key; /* all zero: none */
	bool has_preshared_key;
	const char *preshared_key_file;        /* path as written, NULL if inline or none */
	struct mf_config_host endpoint;        /* endpoint.host NULL: the peer comes to us */
	struct mf_config_prefixes allowed_ips; /* host bits cleared */
	uint16_t persistent_keepalive;         /* seconds; 0 = off */
};

enum mf_config_type {
	MF_CONFIG_WIREGUARD = 1,
	MF_CONFIG_SHADOWSOCKS, /* from here on: proxies */
	MF_CONFIG_VMESS,
	MF_CONFIG_VLESS,
	MF_CONFIG_TROJAN,
	MF_CONFIG_SOCKS5,
	MF_CONFIG_HTTP,
	MF_CONFIG_TYPES
};
static inline bool mf_config_is_proxy(enum mf_config_type t)
{
	return t >= MF_CONFIG_SHADOWSOCKS;
}

/* TLS to a proxy. */
struct mf_config_tls {
	struct mf_config_src src;
	bool enabled;            /* the section is there (trojan: in any case) */
	const char *server_name; /* NULL: websocket.host, else the name in `server`, else its address */
	const char **alpn;       /* as written */
	uint32_t n_alpn;         /* 0: none is offered; websocket: http/1.1 */
	const char *ca_file, *ca_path; /* as written, and to be opened; NULL: the system's */
	struct mf_span ca_pem;         /* what is in it */
	const char *pin_sha256; /* as written: 32 bytes in base64 or hexadecimal; NULL: none */
	uint8_t pin[32];
	bool insecure;
	bool session_resumption;
};

/* The value is secret. */
struct mf_config_header {
	const char *name, *value;
};

/* A WebSocket to a proxy. */
struct mf_config_websocket {
	struct mf_config_src src;
	bool enabled;          /* the section is there */
	const char *path;      /* "/" if it is left out */
	const char *host;      /* NULL: tls.server_name, else the host in `server` */
	const char *host_name; /* of `host`: without port and brackets */
	struct mf_config_header *headers;
	uint32_t n_headers;
	uint32_t early_data;           /* bytes; 0: none */
	const char *early_data_header; /* "": behind the path */
};

/* simple-obfs, for shadowsocks. */
enum mf_config_obfs_mode { MF_CONFIG_OBFS_HTTP, MF_CONFIG_OBFS_TLS };
struct mf_config_obfs {
	struct mf_config_src src;
	bool enabled;     /* the section is there */
	uint8_t mode;     /* enum mf_config_obfs_mode */
	const char *host; /* NULL: the host in `server` */
	const char *path; /* NULL: "/" */
};

/* What becomes of UDP that is routed to a proxy. */
enum mf_config_udp {
	MF_CONFIG_UDP_PROXY,
	MF_CONFIG_UDP_DIRECT,
	MF_CONFIG_UDP_DROP,
	MF_CONFIG_UDP_REJECT,
};

struct mf_config_interface {
	struct mf_config_src src;
	const char *name;
	enum mf_config_type type;
	/* wireguard */
	struct mf_key private_key;
	struct mf_key public_key;            /* computed from it */
	const char *private_key_file;        /* path as written, NULL if inline */
	struct mf_config_prefixes addresses; /* our addresses inside this VPN; host bits kept */
	uint16_t listen_port;                /* 0 = any */
	uint32_t mtu;                        /* bytes; 0 = auto */
	uint32_t fwmark;                     /* 0 = the mark of auto_route, if that is on */
	struct mf_config_peer *peers;
	uint32_t n_peers;
	/* Proxies. What is secret is never printed without mf_config_print's with_secrets. */
	struct mf_config_host server;
	const char *via; /* as written: an interface or `direct`; NULL: direct */
	bool via_interface;
	uint32_t via_index; /* index into interfaces[], valid with via_interface */
	uint8_t udp;        /* enum mf_config_udp; http: never MF_CONFIG_UDP_PROXY */
	uint32_t connect_timeout_ms, first_byte_timeout_ms; /* the latter 0: off */
	const char *method;                                 /* shadowsocks */
	const char *username;                               /* socks5, http; NULL: none */
	const char *password; /* shadowsocks, trojan, socks5, http; from the file, too; NULL: none. Secret */
	const char *password_file;                 /* path as written, NULL if inline or none */
	const char *uuid;                          /* vmess, vless. Secret */
	const char *security;                      /* vmess */
	bool global_padding, authenticated_length; /* vmess */
	bool cleartext;                            /* vless: no TLS is on purpose */
	struct mf_config_tls tls;
	struct mf_config_websocket websocket;
	struct mf_config_obfs obfs;
};

/* Where a set that somebody publishes comes from, and how often. */
struct mf_config_subscription {
	const char *url; /* https:// or http://; NULL: none */
	const char *via; /* as written: an interface or `direct`; NULL: as its name is routed */
	uint32_t every;  /* seconds */
	uint64_t max_bytes;
};

struct mf_config_cidr_set {
	struct mf_config_src src;
	const char *name;
	struct mf_config_prefixes cidrs; /* inline ones first, then those of the files in order */
	uint32_t n_inline;               /* how many of them are inline */
	const char **files;              /* paths as written */
	const char **paths; /* the same, relative to nothing but the working directory */
	uint32_t n_files;
	bool lenient;
	struct mf_config_subscription subscription;
};

enum mf_config_action {
	MF_CONFIG_TO_INTERFACE,
	MF_CONFIG_TO_DIRECT,
	MF_CONFIG_TO_DROP,
	MF_CONFIG_TO_REJECT,
};

/* A named list of domains. What is in its files is read later, in the background (daemon/sets.h). */
struct mf_config_domain_set {
	struct mf_config_src src;
	const char *name;
	const char **domains; /* inline entries: policy/list.h */
	struct mf_config_pos *domain_pos;
	uint32_t n_domains;
	const char **files; /* paths as written */
	const char **paths; /* the same, relative to nothing but the working directory */
	uint32_t n_files;
	bool lenient; /* bad lines in files are reported, and the good ones used */
	struct mf_config_subscription subscription;
};

/* A route as written: one criterion, one target. */
struct mf_config_route {
	struct mf_config_src src;
	struct mf_prefix cidr;
	const char *cidr_set_name;                 /* NULL: not the criterion */
	const struct mf_config_cidr_set *cidr_set; /* the set of that name */
	const char *domain_set_name; /* NULL: not the criterion; both NULL: `cidr` is */
	const struct mf_config_domain_set *domain_set;
	const char *to; /* as written */
	enum mf_config_action action;
	uint32_t interface; /* index into interfaces[], valid with MF_CONFIG_TO_INTERFACE */
};

/* A route as the packet core wants it: sets unrolled, equal ones merged. `pos` is the prefix as
 * written (for a set from a file, the line in that file), `route` says which route brought it in,
 * or NULL when app routing is off and the rule stands for a peer's allowed IPs. */
struct mf_config_rule {
	struct mf_prefix prefix;
	enum mf_config_action action;
	uint32_t interface;
	struct mf_config_pos pos;
	const struct mf_config_route *route;
};

struct mf_config_limits {
	struct mf_config_src src;
	uint64_t memory;         /* bytes, for everything that the engine allocates */
	uint32_t workers;        /* 0 = auto: one per core */
	uint32_t staged_packets; /* per peer, kept while a handshake runs */
};

/* The built-in interface `direct`: the local internet, through sockets of our own. */
struct mf_config_direct {
	struct mf_config_src src;
	const char *device; /* NULL: auto, the device of the default route */
	bool fast_open;     /* answer an app's SYN before the far side has */
};

/* Sessions of the host stack: how many there may be, and when an idle one ends. Seconds. */
struct mf_config_sessions {
	struct mf_config_src src;
	uint32_t max;                  /* of all workers together */
	uint32_t per_source;           /* 0: three quarters of `max` */
	uint32_t half_open_per_source; /* TCP sessions that are not established yet */
	uint32_t tcp_idle, udp, udp_dns, udp_quic, echo;
};

struct mf_config_app_routing {
	struct mf_config_src src;
	bool enabled;                   /* false too when the section is left out */
	struct mf_config_route *routes; /* in the order of the profile */
	uint32_t n_routes;
	/* Who resolves names that are in no domain set: with MF_CONFIG_TO_DIRECT dns.direct_servers, with
	 * _INTERFACE dns.vpn_servers through it, with _DROP and _REJECT nobody. */
	const char *dns_fallback; /* as written */
	enum mf_config_action fallback;
	uint32_t fallback_interface; /* index into interfaces[], valid with MF_CONFIG_TO_INTERFACE */
	/* Settling by the name that a session shows. */
	bool settle;
	uint32_t settle_wait_ms;
	uint16_t *settle_ports;
	uint32_t n_settle_ports;
	uint32_t max_learned; /* addresses */
};

enum mf_config_dns_scheme {
	MF_CONFIG_DNS_UDP,
	MF_CONFIG_DNS_TCP,
	MF_CONFIG_DNS_TLS,
	MF_CONFIG_DNS_HTTPS,
};

enum {
	MF_CONFIG_DNS_ADDRS = 4,   /* of one server */
	MF_CONFIG_DNS_SERVERS = 8, /* of one group */
	MF_CONFIG_DNS_HOST_ADDRS = 16,
};

/* An upstream server (config/server.h has the text form). */
struct mf_config_dns_server {
	struct mf_config_pos pos;
	const char *text; /* as written */
	enum mf_config_dns_scheme scheme;
	const char *name; /* of certificate and SNI, no last dot; NULL: the address */
	const char *path; /* https only */
	struct mf_endpoint addr[MF_CONFIG_DNS_ADDRS]; /* with port */
	uint32_t n_addrs; /* 0: `name` must be resolved, by its group or by direct_servers */
	uint16_t port;
};

struct mf_config_dns_servers {
	struct mf_config_dns_server *v;
	uint32_t n;
};

struct mf_config_dns_listen {
	struct mf_config_pos pos;
	struct mf_endpoint at; /* 0.0.0.0 and [::]: every address of the machine */
	/* In one of the tunnel's prefixes, but not the machine's own: answered in the packet core. */
	bool in_tunnel;
};

struct mf_config_dns_host {
	struct mf_config_pos pos;
	const char *name; /* lower-case ASCII, no last dot; "*.name": all below it */
	struct mf_addr *addr;
	uint32_t n_addrs;
};

/* How names that are routed to drop or reject are answered. */
enum mf_config_block {
	MF_CONFIG_BLOCK_NXDOMAIN,
	MF_CONFIG_BLOCK_ZERO,
	MF_CONFIG_BLOCK_REFUSED,
	MF_CONFIG_BLOCK_ROUTE,
};

/* How the machine's own resolver is pointed at us. */
enum mf_config_dns_system {
	MF_CONFIG_DNS_SYSTEM_OFF,
	MF_CONFIG_DNS_SYSTEM_AUTO,
	MF_CONFIG_DNS_SYSTEM_RESOLVED,
	MF_CONFIG_DNS_SYSTEM_RESOLV_CONF,
};

struct mf_config_dns {
	struct mf_config_src src;
	/* There is a DNS server: the section is there, or a route of app routing names a domain set. */
	bool enabled;
	struct mf_config_dns_servers vpn_servers, direct_servers; /* with app routing */
	struct mf_config_dns_servers servers; /* without app routing: all there is */
	struct mf_config_dns_listen *listen;
	uint32_t n_listen;
	bool hijack; /* every port 53 that enters the tunnel */
	enum mf_config_dns_system system;
	enum mf_config_block block_answer;
	uint32_t block_ttl;               /* seconds */
	struct mf_config_dns_host *hosts; /* no name twice */
	uint32_t n_hosts;
	uint32_t hosts_ttl; /* seconds */
	bool rebind_protection;
	const char **rebind_allow; /* names, lower-case ASCII, no last dot; and all below them */
	uint32_t n_rebind_allow;
	bool strip_aaaa;               /* where the interface of a name has no IPv6 address */
	bool mix_case;                 /* 0x20 */
	const char *ca_file, *ca_path; /* as written, and to be opened; NULL: the system's store */
	uint32_t timeout_ms;           /* of a question, all tries together */
	uint64_t cache_bytes;
	uint32_t ttl_min, ttl_max, negative_ttl_max, stale; /* seconds; stale 0: never */
	bool prefetch;
	/* As written, and to be opened: the cache is kept there over a restart; NULL: nowhere. */
	const char *cache_file, *cache_path;
	bool log_queries;
};

struct mf_config {
	struct mf_config_src src;
	const char *path; /* of the profile */
	uint32_t version;
	struct mf_config_tunnel tunnel;
	struct mf_config_interface *interfaces;
	uint32_t n_interfaces;
	struct mf_config_cidr_set *cidr_sets;
	uint32_t n_cidr_sets;
	struct mf_config_domain_set *domain_sets;
	uint32_t n_domain_sets;
	struct mf_config_app_routing app_routing;
	struct mf_config_dns dns;
	struct mf_config_direct direct;
	struct mf_config_sessions sessions;
	struct mf_config_limits limits;
	/* What destination lookup runs on, whether app routing is on or off (design rules 1 and 7). */
	struct mf_config_rule *rules;
	uint32_t n_rules;
	struct mf_config_arena *arena;
};

struct mf_config_error {
	struct mf_config_pos pos; /* `file` may be NULL */
	char *text;
};

/* Zero-initialise; collects over several calls; own copies of everything. */
struct mf_config_errors {
	struct mf_config_error *v;
	uint32_t n, cap;
	uint32_t not_kept;
};

enum mf_config_flag {
	/* Names of files are checked for form only and nothing is read: no key files, no sets' files (for
	 * fuzzing and for text that comes from somewhere else). Such keys are all zero afterwards. */
	MF_CONFIG_NO_FILES = 1 << 0,
};

/* Reads and checks a whole profile. On success *out is the caller's and `errs` is empty; otherwise *out
 * is NULL and `errs` (never NULL) says everything that is wrong, in the order of the text. Errors:
 * MF_E_MALFORMED (the profile is wrong), MF_E_SYSTEM (cannot be read), MF_E_RANGE (the file is too
 * long), MF_E_PERMISSION (others can read or change it, or a key file, although there are keys in it),
 * MF_E_NO_MEMORY. Any thread. */
MF_MUST_CHECK mf_err mf_config_load(const char *path, struct mf_config **out,
				    struct mf_config_errors *errs);
/* The same, and where the lists are that subscriptions of CIDR sets have fetched: the path for a URL, NULL:
 * there is none. A file that is not there is no error, nor is what is wrong in it: it is left out. */
enum { MF_CONFIG_COPY_MAX = 512 };
typedef const char *mf_config_copy_fn(void *ctx, const char *tunnel, const char *url,
				      char out[MF_CONFIG_COPY_MAX]);
MF_MUST_CHECK mf_err mf_config_load_copies(const char *path, mf_config_copy_fn *copy, void *ctx,
					   struct mf_config **out, struct mf_config_errors *errs);
/* The same for text that is in memory. `name` stands for the file in messages, and relative paths are
 * relative to its directory. `flags`: enum mf_config_flag. */
MF_MUST_CHECK mf_err mf_config_parse(const char *text, size_t n, const char *name, unsigned flags,
				     struct mf_config **out, struct mf_config_errors *errs);
/* Wipes and frees. NULL is fine. */
void mf_config_free(struct mf_config *cfg);

/* The canonical text, with every value written out; parses back to an equal configuration. Without
 * `with_secrets` inline keys and passwords are replaced by MF_CONFIG_HIDDEN, which does not parse. */
#define MF_CONFIG_HIDDEN "(hidden)"
void mf_config_print(const struct mf_config *cfg, struct mf_text *out, bool with_secrets);

/* "file:line:col: error: text", one a line; and an array of {file, line, col, message}. */
void mf_config_errors_print(const struct mf_config_errors *errs, struct mf_text *out);
void mf_config_errors_json(const struct mf_config_errors *errs, struct mf_json *j);
void mf_config_errors_free(struct mf_config_errors *errs);

bool mf_config_has_proxies(const struct mf_config *cfg);
/* Finds an interface by name, or NULL. */
const struct mf_config_interface *mf_config_find_interface(const struct mf_config *cfg,
							   const char *name);

/* The profile reference (docs/profile.md), made from the schema. */
void mf_config_print_reference(struct mf_text *out);

#endif
