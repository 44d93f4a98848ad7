/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/system_dns.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/dns_keeper.h"
#include "daemon/network.h"
#include "platform/clock.h"

/* D-Bus and the lock may each take a few seconds. */
#define PATIENCE (8 * MF_SEC)

enum { DNS_PORT = 53 };

struct mf_system_dns {
	struct mf_source source; /* first; fd -1: the keeper has gone */
	struct mf_daemon *daemon;
	pid_t pid;
	bool watched;
	bool set;       /* asked for, last; or at first, of a run that was killed */
	unsigned asked; /* requests that are not done */
};

/* ---- Which address --------------------------------------------------------------------------- */

/* Where the profile says that we listen in the tunnel. */
static bool listens_in(const struct mf_config_dns *dns,
		       bool (*goes_in)(void *ctx, const struct mf_addr *a), void *ctx,
		       struct mf_addr *out)
{
	for (uint32_t i = 0; i < dns->n_listen; i++) {
		*out = dns->listen[i].at.addr;
		if (dns->listen[i].in_tunnel && dns->listen[i].at.port == DNS_PORT &&
		    goes_in(ctx, out))
			return true;
	}
	return false;
}

/* Where it says that we listen on the machine. 0.0.0.0 is every address of it: this one too. */
static bool listens_outside(const struct mf_config_dns *dns, struct mf_addr *out)
{
	static const uint8_t loopback4[4] = { 127, 0, 0, 1 };
	static const uint8_t loopback6[16] = { [15] = 1 };

	for (uint32_t i = 0; i < dns->n_listen; i++) {
		const struct mf_config_dns_listen *l = &dns->listen[i];

		if (l->at.port != DNS_PORT || l->in_tunnel)
			continue;
		*out = !mf_addr_is_unspecified(&l->at.addr) ? l->at.addr
		       : l->at.addr.family == MF_AF_IP4     ? mf_addr_ip4(loopback4)
							    : mf_addr_ip6(loopback6);
		return true;
	}
	return false;
}

/* Number `host` of a prefix, whose host bits are few enough; false: it has none such. */
static bool host_of(const struct mf_prefix *p, uint8_t host, struct mf_addr *out)
{
	struct mf_prefix net = mf_prefix_mask(*p);
	unsigned bits = mf_addr_bits(&p->addr) - p->len;

	if (bits < 8 && host >> bits)
		return false;
	*out = net.addr;
	out->b[mf_addr_len(out) - 1] |= host;
	return true;
}

/* The first address of the tunnel's network that is neither ours nor, unless there are only two,
 * that of the network itself: the other end of the line. It exists only in the tunnel, whatever
 * routes and rules say of the rest. */
static bool neighbour_of(const struct mf_prefix *p, struct mf_addr *out)
{
	unsigned bits = mf_addr_bits(&p->addr) - p->len;

	for (uint8_t host = bits > 1; host <= 2; host++)
		if (host_of(p, host, out) && !mf_addr_equal(out, &p->addr))
			return true;
	return false;
}

bool mf_system_dns_server(const struct mf_config *cfg, const struct mf_config_prefixes *addresses,
			  bool (*goes_in)(void *ctx, const struct mf_addr *a), void *ctx,
			  struct mf_addr *out)
{
	/* For documentation (RFC 5737, RFC 3849): no server of the internet has them, so a browser
	 * that knows the great resolvers by their addresses does not go there on its own. */
	static const uint8_t nobody4[4] = { 198, 51, 100, 53 };
	static const uint8_t nobody6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x53 };

	if (listens_in(&cfg->dns, goes_in, ctx, out))
		return true;
	for (uint32_t i = 0; cfg->dns.hijack && i < addresses->n; i++)
		if (neighbour_of(&addresses->v[i].prefix, out) && goes_in(ctx, out))
			return true;
	if (listens_outside(&cfg->dns, out))
		return true;
	if (!cfg->dns.hijack)
		return false;
	*out = mf_addr_ip4(nobody4);
	if (goes_in(ctx, out))
		return true;
	*out = mf_addr_ip6(nobody6);
	return goes_in(ctx, out);
}

static bool goes_in(void *ctx, const struct mf_addr *a)
{
	struct mf_daemon *d = ctx;
	struct mf_route_path path;

	return !mf_route_lookup(a, 0, &path) && path.ifindex == mf_tun_ifindex(d->tun);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Reads what there is. False: the keeper has gone. */
static bool take(struct mf_system_dns *s)
{
	struct mf_dns_answer a;
	ssize_t n;

	while ((n = recv(s->source.fd, &a, sizeof(a), MSG_DONTWAIT)) == (ssize_t)sizeof(a)) {
		a.text[sizeof(a.text) - 1] = '\0';
		if (a.kind == MF_DNS_DONE && s->asked)
			s->asked--;
		else if (a.kind == MF_DNS_LINE && a.level <= MF_LOG_DEBUG)
			mf_logf(&s->daemon->log, (enum mf_log_level)a.level, "%s", a.text);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Until nothing is under way, the keeper has gone, or it takes too long, which is false. */
static bool wait_for_keeper(struct mf_system_dns *s, bool until_gone)
{
	mf_nsec end = mf_clock_now() + PATIENCE, now;
	struct pollfd p = { .fd = s->source.fd, .events = POLLIN };

	while (take(s)) {
		if (!until_gone && !s->asked)
			return true;
		now = mf_clock_now();
		if (now >= end)
			return false;
		(void)poll(&p, 1, (int)((end - now) / MF_MSEC) + 1);
	}
	return true;
}

static void disconnect(struct mf_system_dns *s)
{
	if (s->watched)
		mf_daemon_unwatch(s->daemon, &s->source);
	s->watched = false;
	if (s->source.fd >= 0)
		close(s->source.fd);
	s->source.fd = -1;
	s->asked = 0;
}

/* Somebody has killed it. */
static void lost(struct mf_system_dns *s)
{
	disconnect(s);
	(void)waitpid(s->pid, NULL, WNOHANG);
	mf_logf(&s->daemon->log, MF_LOG_ERROR,
		"the process mintflow-dns has gone: the system's resolver stays as it is until the "
		"end");
}

static void ready(struct mf_daemon *d, struct mf_source *source, uint32_t events)
{
	struct mf_system_dns *s = (struct mf_system_dns *)source;

	(void)d;
	(void)events;
	if (!take(s))
		lost(s);
}

static void ask(struct mf_system_dns *s, const struct mf_dns_request *r)
{
	if (send(s->source.fd, r, sizeof(*r), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(*r))
		s->asked++;
	else
		mf_logf(&s->daemon->log, MF_LOG_WARN,
			"the process mintflow-dns does not listen: %s", strerror(errno));
}

static bool wanted(struct mf_system_dns *s, struct mf_sysdns_want *w)
{
	static const enum mf_sysdns_way ways[] = {
		[MF_CONFIG_DNS_SYSTEM_AUTO] = MF_SYSDNS_AUTO,
		[MF_CONFIG_DNS_SYSTEM_RESOLVED] = MF_SYSDNS_RESOLVED,
		[MF_CONFIG_DNS_SYSTEM_RESOLV_CONF] = MF_SYSDNS_RESOLV_CONF,
	};
	struct mf_daemon *d = s->daemon;
	const struct mf_config *cfg = d->config;

	if (!cfg->dns.enabled || cfg->dns.system == MF_CONFIG_DNS_SYSTEM_OFF)
		return false;
	w->way = ways[cfg->dns.system];
	w->ifindex = mf_tun_ifindex(d->tun);
	strncpy(w->tunnel, mf_tun_name(d->tun), sizeof(w->tunnel) - 1);
	if (mf_system_dns_server(cfg, mf_network_addresses(cfg), goes_in, d, &w->server))
		return true;
	mf_logf(&d->log, MF_LOG_WARN,
		"dns.system: no address leads the machine's questions to the DNS server; give "
		"`dns.listen` one in the network of the tunnel, with port 53");
	return false;
}

void mf_system_dns_follow(struct mf_system_dns *s)
{
	struct mf_dns_request r;

	if (!s || s->source.fd < 0)
		return;
	memset(&r, 0, sizeof(r)); /* with the holes: all of it is sent */
	r.kind = wanted(s, &r.want) ? MF_DNS_SET : MF_DNS_UNSET;
	if (r.kind == MF_DNS_UNSET && !s->set)
		return;
	s->set = r.kind == MF_DNS_SET;
	ask(s, &r);
}

void mf_system_dns_network_changed(struct mf_system_dns *s)
{
	struct mf_dns_request r;

	if (!s || s->source.fd < 0 || !s->set)
		return;
	memset(&r, 0, sizeof(r));
	r.kind = MF_DNS_CHECK;
	ask(s, &r);
}

void mf_system_dns_settle(struct mf_system_dns *s)
{
	if (s && s->source.fd >= 0 && !wait_for_keeper(s, false))
		mf_logf(&s->daemon->log, MF_LOG_WARN,
			"the system's resolver is not set yet: the process mintflow-dns is slow");
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct mf_system_dns *mf_system_dns_new(struct mf_daemon *d)
{
	struct mf_system_dns *s = calloc(1, sizeof(*s));
	int pair[2];

	if (!s || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		mf_logf(&d->log, MF_LOG_WARN, "dns.system: %s", strerror(s ? errno : ENOMEM));
		free(s);
		return NULL;
	}
	s->daemon = d;
	/* The keeper repairs as it starts: that is waited for even if there is nothing to set. */
	s->set = true;
	s->source = (struct mf_source){ pair[0], ready };
	s->pid = fork();
	if (s->pid == 0) {
		close(pair[0]);
		mf_dns_keeper_run(pair[1], &d->log);
	}
	close(pair[1]);
	if (s->pid > 0)
		return s;
	mf_logf(&d->log, MF_LOG_WARN, "dns.system: cannot start a process: %s", strerror(errno));
	close(pair[0]);
	free(s);
	return NULL;
}

mf_err mf_system_dns_watch(struct mf_system_dns *s, struct mf_errbuf *eb)
{
	if (!s || s->source.fd < 0)
		return MF_OK;
	if (mf_daemon_watch(s->daemon, &s->source, MF_POLL_READ))
		return mf_fail(eb, MF_E_SYSTEM, "cannot watch the process mintflow-dns");
	s->watched = true;
	return MF_OK;
}

/* The keeper did not live to do it. */
static void put_back_ourselves(struct mf_system_dns *s)
{
	struct mf_errbuf eb;
	bool done;

	if (mf_sysdns_repair(NULL, &done, &eb))
		mf_logf(&s->daemon->log, MF_LOG_ERROR, "%s", eb.text);
}

void mf_system_dns_free(struct mf_system_dns *s)
{
	if (!s)
		return;
	if (s->source.fd >= 0) {
		/* The end of what we say is all it waits for; what it says is heard to the end. */
		shutdown(s->source.fd, SHUT_WR);
		if (wait_for_keeper(s, true))
			(void)waitpid(s->pid, NULL, 0);
		else
			mf_logf(&s->daemon->log, MF_LOG_WARN,
				"the process mintflow-dns is slow to put the system's resolver "
				"back; it goes on");
		disconnect(s);
	} else {
		put_back_ourselves(s);
	}
	free(s);
}
