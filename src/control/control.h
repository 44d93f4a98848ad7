/* SPDX-License-Identifier: Apache-2.0
 *
 * control - what `mintflow status`, `show`, `why`, `close`, `flush`, `test`, `capture`, `reload` and `stop`
 * ask of a running engine: bytes of a stream in, bytes out. No sockets, files or clocks here.
 *
 * The protocol: the client sends one JSON object a line, at most MF_CONTROL_REQUEST_MAX bytes:
 *	{"cmd":"show","table":"routes","json":true}
 * The answer is any number of lines {"text":"..."} (for people) or {"json":...} (for programs), then
 * {"ok":true} or {"error":"..."} (a test that fails tells what it has found, and then the error).
 * After the {"ok":true} of a capture the stream is pcapng to its end.
 * Private and preshared keys never appear in an answer.
 *
 * Threads: everything here runs on the engine's control thread.
 */
#ifndef MF_CONTROL_H
#define MF_CONTROL_H

#include "engine/engine.h"

enum {
	MF_CONTROL_REQUEST_MAX = 64 * 1024, /* bytes of a request, the newline included */
	MF_CONTROL_DEVICE_STRLEN = 16,      /* IFNAMSIZ: a device's name and its NUL */
};

/* What the program around the engine knows of itself. Texts are only read during the call. */
struct mf_control_facts {
	const char *name;         /* of the tunnel */
	const char *profile;      /* path */
	uint64_t pid;             /* 0: unknown */
	mf_nsec started;          /* on the boot-time clock */
	uint64_t rss;             /* resident memory in bytes, 0: unknown */
	uint64_t memory_limit;    /* limits.memory */
	const char *tun;          /* name of the device, NULL: none */
	uint32_t tun_mtu;         /* 0: unknown */
	uint32_t tun_queues;      /* 0: unknown */
	const char *tun_features; /* "vnet csum tso4", NULL: unknown */
	const char *aead;         /* back-end in use, NULL: unknown */
	bool auto_route;          /* the machine's routes lead into the tunnel */
};

/* The devices that `direct` goes out through for each family; "": there is none now. */
struct mf_control_direct {
	char device4[MF_CONTROL_DEVICE_STRLEN], device6[MF_CONTROL_DEVICE_STRLEN];
};

struct mf_control_log_line {
	struct mf_wg_wall time;
	enum mf_log_level level;
	const char *text;
};

typedef void mf_control_log_fn(void *to, const struct mf_control_log_line *line);
typedef void mf_control_counter_fn(void *to, const char *group, const char *name, uint64_t value,
				   const char *text);

/* What only the program around the engine can do. Any but wall_clock and facts may be NULL. */
struct mf_control_host {
	void *ctx;
	struct mf_wg_wall (*wall_clock)(void *ctx);
	void (*facts)(void *ctx, struct mf_control_facts *out); /* `out` comes zeroed */
	/* Loads the profile again and applies it; `drop_sessions`: running sessions whose route leads
	 * elsewhere now end. `report` gets what changed, or everything that is wrong, as lines for
	 * people; `changes` (it comes zeroed) the same for programs. MF_E_AGAIN: it takes a while, and
	 * mf_control_reloaded brings the answer. */
	mf_err (*reload)(void *ctx, bool drop_sessions, mf_nsec now,
			 struct mf_apply_report *changes, struct mf_text *report);
	/* Asks the program to end soon, after this answer has been sent. */
	void (*stop)(void *ctx);
	/* Calls `line` for up to `max` of the latest lines, the oldest first. */
	void (*log)(void *ctx, uint32_t max, mf_control_log_fn *line, void *to);
	/* Calls `add` for each counter of the ports (TUN queues, UDP sockets), summed or by queue;
	 * `group` is e.g. "tun0" or "udp 51820". */
	void (*counters)(void *ctx, mf_control_counter_fn *add, void *to);
	/* The device that the system's routes send an app's packets for `dst` to; "" if they have no
	 * route. */
	void (*device_for)(void *ctx, const struct mf_addr *dst, char name[MF_CONTROL_DEVICE_STRLEN]);
	/* What holds for most destinations; `out` comes zeroed. */
	void (*direct)(void *ctx, struct mf_control_direct *out);
	/* The device that `direct` takes to this destination, or why it cannot. */
	enum mf_stream_error (*direct_for)(void *ctx, const struct mf_addr *dst,
					   char name[MF_CONTROL_DEVICE_STRLEN]);
	/* Begins to fetch a URL through an interface; mf_control_probed brings the answer, some time
	 * later. An error: nothing has begun. One at a time. */
	mf_err (*probe)(void *ctx, uint32_t hop, const char *url, struct mf_errbuf *eb);
	/* Nobody wants the answer any more: ends it soon, without mf_control_probed. */
	void (*probe_end)(void *ctx);
};

struct mf_probe;
struct mf_control;
struct mf_control_conn;

/* The host is copied; the engine must outlive it. NULL: out of memory. */
struct mf_control *mf_control_new(struct mf_engine *e, const struct mf_control_host *host);
/* Closes every connection. A capture that was running is given back by the engine: call this before
 * mf_engine_free. NULL is fine. */
void mf_control_free(struct mf_control *c);

/* A client has connected. NULL: out of memory or too many connections. */
struct mf_control_conn *mf_control_open(struct mf_control *c);
/* The client is gone, or is to go. */
void mf_control_close(struct mf_control_conn *conn);

/* The answer to all who have asked for a reload and were not told yet: as host.reload gives it. Look at
 * every connection's output afterwards. */
void mf_control_reloaded(struct mf_control *c, mf_err err, const struct mf_apply_report *changes,
			 const char *report);

/* The end of what host.probe has begun. Look at every connection's output afterwards. */
void mf_control_probed(struct mf_control *c, const struct mf_probe *p);

/* Bytes from the client, any number at a time. False: read no more, and close once what is waiting has
 * been sent. Only call it while mf_control_wants is true. */
bool mf_control_input(struct mf_control_conn *conn, const void *bytes, size_t n, mf_nsec now);
/* Whether to read from the client: not while it owes us reading a long answer. */
bool mf_control_wants(const struct mf_control_conn *conn);
/* What is to be sent; it moves with the next call for this connection, mf_control_tick included. */
struct mf_span mf_control_output(const struct mf_control_conn *conn);
/* The first n bytes of that have been sent. May make room for the next answer, so look at the output
 * again. False as for mf_control_input. */
bool mf_control_sent(struct mf_control_conn *conn, size_t n, mf_nsec now);

/* Moves captured packets into the output of their connections. Returns when it wants to be called
 * again: MF_NEVER while nobody captures. Look at every connection's output afterwards. */
mf_nsec mf_control_tick(struct mf_control *c, mf_nsec now);

#endif
