/* SPDX-License-Identifier: Apache-2.0
 *
 * dns_clients - TCP connections of clients of dns.listen: each is pumped between its socket and a
 * stream of the resolver (nodes/dns_stream.c), which knows how questions and answers are framed.
 */
#ifndef MF_DAEMON_DNS_CLIENTS_H
#define MF_DAEMON_DNS_CLIENTS_H

#include "daemon/workers.h"

enum { MF_DNS_CLIENTS_MAX = 64 };

struct mf_tcp_client;

/* All of a worker. Its thread. */
struct mf_dns_clients {
	struct mf_worker_thread *thread;
	struct mf_worker *worker;
	struct mf_tcp_client *open, *ready;
	uint32_t n;
};

void mf_dns_clients_init(struct mf_dns_clients *c, struct mf_worker_thread *t, struct mf_worker *w);
/* Takes over a connected descriptor; false: there are too many, it is still the caller's. */
bool mf_dns_client_open(struct mf_dns_clients *c, int fd, const struct mf_endpoint *remote,
			const struct mf_endpoint *local);
/* Serves those that something has happened to, and ends those that have been idle for long.
 * Returns how many. */
uint32_t mf_dns_clients_run(struct mf_dns_clients *c, mf_nsec now);
/* The resolver has gone: closes the sockets. */
void mf_dns_clients_close(struct mf_dns_clients *c);

#endif
