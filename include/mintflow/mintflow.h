/* SPDX-License-Identifier: Apache-2.0
 *
 * mintflow.h - the engine inside another program, such as a packet tunnel extension: IP packets of the
 * apps on one side, UDP datagrams outside the tunnel on the other.
 *
 * The library has no threads, signals, clocks, sockets, files or global state of its own. Every call on
 * one instance comes from one thread at a time; instances are independent of each other. The host's
 * callbacks run inside these calls and must not call the same instance.
 *
 * Time is nanoseconds of a clock that counts sleep and never goes back (CLOCK_BOOTTIME,
 * mach_continuous_time); where it starts does not matter, but not at 0.
 *
 * Structs that the host fills begin with their size, so that they may grow: the library reads no more
 * than it is told is there, and what is missing is zero.
 */
#ifndef MINTFLOW_H
#define MINTFLOW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MINTFLOW_API __attribute__((visibility("default")))
#else
#define MINTFLOW_API
#endif

/* Grows when something is added; what is there stays as it is. */
#define MINTFLOW_API_VERSION 1

/* Of mintflow_next_deadline: nothing to do until something comes in. */
#define MINTFLOW_NEVER UINT64_MAX

struct mintflow;

/* What functions return: MINTFLOW_OK or one of the others, always negative. */
enum mintflow_result {
	MINTFLOW_OK = 0,
	MINTFLOW_E_PROFILE = -1,  /* the profile is wrong; the text says where */
	MINTFLOW_E_ARGUMENT = -2, /* a call that this header forbids */
	MINTFLOW_E_MEMORY = -3,
	MINTFLOW_E_SOCKET = -4, /* the host could not open a UDP socket */
	MINTFLOW_E_BUSY = -5,   /* out of packet buffers: some packets were dropped and counted */
};

enum mintflow_level { MINTFLOW_ERROR, MINTFLOW_WARNING, MINTFLOW_INFO, MINTFLOW_DEBUG };

/* An IP packet. Borrowed: the bytes are only read, and only during the call. */
struct mintflow_packet {
	const void *data;
	size_t len; /* up to 65535 */
};

struct mintflow_address {
	uint8_t family;    /* 4, 6, or 0 for none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	uint16_t port;     /* host order */
	uint32_t scope;    /* interface index of a link-local address, else 0 */
};

/* A UDP datagram outside the tunnel. Borrowed, as a packet. */
struct mintflow_datagram {
	const void *data;
	size_t len;
	struct mintflow_address remote; /* where from, where to */
	struct mintflow_address local; /* our address, if known: answers leave from it; port unused */
	uint8_t tos;                   /* type of service or traffic class, ECN included */
};

/* What the host provides. `self` comes back as the first argument. Those marked * may be NULL. */
struct mintflow_host {
	size_t size; /* sizeof(struct mintflow_host) */
	void *self;
	/* Packets for the apps. */
	void (*send_ip)(void *self, const struct mintflow_packet *packets, size_t n);
	/* Datagrams for the network, on a socket that open_udp was asked for. */
	void (*send_udp)(void *self, uint32_t socket, const struct mintflow_datagram *datagrams,
			 size_t n);
	/* Opens a socket (both address families) for `socket`, a small number that the library
	 * chooses, bound to *port, 0 for any; sets *port. Not 0: it could not. */
	int (*open_udp)(void *self, uint32_t socket, uint16_t *port);
	void (*close_udp)(void *self, uint32_t socket); /* * */
	/* Random numbers fit for keys. */
	void (*random)(void *self, void *out, size_t n);
	/* The time of day: seconds since 1970, UTC. */
	void (*wall_clock)(void *self, uint64_t *sec, uint32_t *nsec);
	/* * Asks for the address of a name, without waiting; answer with mintflow_resolved. */
	void (*resolve)(void *self, const char *name, uint16_t port, uint64_t tag);
	/* * One line, without newline, never with a key in it. `level`: enum mintflow_level. */
	void (*log)(void *self, int level, const char *line);
};

struct mintflow_options {
	size_t size; /* sizeof(struct mintflow_options) */
	/* YAML, as `mintflow run` takes it, but that it cannot name files; tunnel.name is a word for
	 * messages, its routes are the host's business. Routes to `direct` are taken, but nothing carries
	 * them yet: apps hear that the destination cannot be reached. */
	const char *profile;
	size_t profile_len;
	int log_level; /* enum mintflow_level */
};

/* MINTFLOW_API_VERSION of the library. */
MINTFLOW_API uint32_t mintflow_api_version(void);

/* Makes an instance. After an error *out is NULL and `why` (`why_size` bytes, may be NULL) holds a text
 * of one or more lines. Only the callbacks' pointers are kept of what is passed. */
MINTFLOW_API int mintflow_open(struct mintflow **out, const struct mintflow_options *options,
			       const struct mintflow_host *host, uint64_t now, char *why,
			       size_t why_size);
/* Ends every session, wipes every key, closes the sockets. NULL is fine. */
MINTFLOW_API void mintflow_close(struct mintflow *m);

/* Packets of the apps, whole. MINTFLOW_E_BUSY: some were dropped. */
MINTFLOW_API int mintflow_input_ip(struct mintflow *m, uint64_t now,
				   const struct mintflow_packet *packets, size_t n);
/* Datagrams that came in on `socket`. */
MINTFLOW_API int mintflow_input_udp(struct mintflow *m, uint64_t now, uint32_t socket,
				    const struct mintflow_datagram *datagrams, size_t n);
/* Time has passed: call it no later than mintflow_next_deadline. */
MINTFLOW_API int mintflow_tick(struct mintflow *m, uint64_t now);
MINTFLOW_API uint64_t mintflow_next_deadline(const struct mintflow *m);

/* Another profile, in place: sessions of peers that stay are kept. After an error the old one is still
 * in force. limits.memory and sessions.max cannot change. */
MINTFLOW_API int mintflow_reload(struct mintflow *m, uint64_t now, const char *profile,
				 size_t profile_len, char *why, size_t why_size);
/* The machine has other addresses or another way out: forgets what it knew of paths, handshakes. */
MINTFLOW_API int mintflow_network_changed(struct mintflow *m, uint64_t now);
/* The answer to `resolve`; family 0: there is none. */
MINTFLOW_API int mintflow_resolved(struct mintflow *m, uint64_t now, uint64_t tag,
				   const struct mintflow_address *address);

/* Sums since mintflow_open, in packets of the network: a batch counts as many times as it has parts. */
struct mintflow_counters {
	size_t size;                       /* sizeof(struct mintflow_counters), set by the caller */
	uint64_t from_apps, to_apps;       /* packets */
	uint64_t from_network, to_network; /* datagrams */
	uint64_t dropped;                  /* both */
	uint64_t sessions;                 /* peers with a session now */
};
MINTFLOW_API void mintflow_counters(struct mintflow *m, struct mintflow_counters *out);

#ifdef __cplusplus
}
#endif

#endif
