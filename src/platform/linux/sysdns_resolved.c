/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns_resolved - systemd-resolved over D-Bus, org.freedesktop.resolve1(5): every name (the
 * routing domain "~.") is asked of our server, over the tunnel's link. What it is told belongs to
 * the link, so it ends with the tunnel, however that ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <systemd/sd-bus.h>

#include "platform/linux/sysdns_priv.h"

#define NAME  "org.freedesktop.resolve1"
#define PATH  "/org/freedesktop/resolve1"
#define IFACE "org.freedesktop.resolve1.Manager"

/* resolved answers from memory; a bus that takes longer is broken. */
enum { CALL_USEC = 2000000 };

struct mf_resolve1 {
	sd_bus *bus;  /* NULL: not connected */
	bool refused; /* it serves another network namespace */
	bool changed;
	int link; /* that has our settings; 0: none */
};

static void disconnect(struct mf_resolve1 *r)
{
	r->bus = sd_bus_flush_close_unref(r->bus);
}

/* (name, old owner, new owner) */
static int owner_changed(sd_bus_message *m, void *ctx, sd_bus_error *error)
{
	struct mf_resolve1 *r = ctx;
	const char *name, *old, *new;

	(void)error;
	if (sd_bus_message_read(m, "sss", &name, &old, &new) >= 0 && new[0])
		r->changed = true;
	return 0;
}

static bool connect_bus(struct mf_resolve1 *r)
{
	static const char owners[] = "type='signal',sender='org.freedesktop.DBus',"
				     "interface='org.freedesktop.DBus',"
				     "member='NameOwnerChanged',arg0='" NAME "'";

	if (r->bus)
		return true;
	if (sd_bus_open_system(&r->bus) < 0) {
		r->bus = NULL;
		return false;
	}
	if (sd_bus_set_method_call_timeout(r->bus, CALL_USEC) >= 0 &&
	    sd_bus_add_match(r->bus, NULL, owners, owner_changed, r) >= 0)
		return true;
	disconnect(r);
	return false;
}

/* Its process; 0: it does not run. Asking does not start it. */
static pid_t process_of(struct mf_resolve1 *r)
{
	sd_bus_creds *creds = NULL;
	pid_t pid = 0;

	if (sd_bus_get_name_creds(r->bus, NAME, SD_BUS_CREDS_PID, &creds) < 0)
		return 0;
	if (sd_bus_creds_get_pid(creds, &pid) < 0)
		pid = 0;
	sd_bus_creds_unref(creds);
	return pid;
}

static bool shares_our_network(pid_t pid)
{
	struct stat mine, its;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%ld/ns/net", (long)pid);
	return !stat("/proc/self/ns/net", &mine) && !stat(path, &its) &&
	       mine.st_dev == its.st_dev && mine.st_ino == its.st_ino;
}

struct mf_resolve1 *mf_resolve1_new(void)
{
	struct mf_resolve1 *r = calloc(1, sizeof(*r));

	/* In a network namespace of our own the bus is often the machine's, and our link's number
	 * is that of another link there. */
	if (r && mf_netns_is_foreign())
		r->refused = !connect_bus(r) || !shares_our_network(process_of(r));
	return r;
}

void mf_resolve1_free(struct mf_resolve1 *r)
{
	if (!r)
		return;
	disconnect(r);
	free(r);
}

int mf_resolve1_fd(const struct mf_resolve1 *r)
{
	return r->bus ? sd_bus_get_fd(r->bus) : -1;
}

bool mf_resolve1_events(struct mf_resolve1 *r)
{
	bool changed;
	int n;

	if (!r->bus)
		return false;
	do
		n = sd_bus_process(r->bus, NULL);
	while (n > 0);
	if (n < 0) {
		disconnect(r);
		r->changed = true;
	}
	changed = r->changed;
	r->changed = false;
	return changed;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* Sends and unrefs `m`, which `made` says whether it could be made. Returns 0 or -errno. */
static int call(struct mf_resolve1 *r, sd_bus_message *m, int made, struct mf_errbuf *eb)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int n = made;

	if (n >= 0)
		n = sd_bus_message_set_auto_start(m, 0);
	if (n >= 0)
		n = sd_bus_call(r->bus, m, 0, &error, NULL);
	if (n < 0)
		(void)mf_fail(eb, MF_E_SYSTEM, "systemd-resolved: %s: %s",
			      m ? sd_bus_message_get_member(m) : "D-Bus",
			      error.message ? error.message : strerror(-n));
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	return n < 0 ? n : 0;
}

static int new_call(struct mf_resolve1 *r, sd_bus_message **m, const char *member)
{
	*m = NULL;
	return sd_bus_message_new_method_call(r->bus, m, NAME, PATH, IFACE, member);
}

static int set_server(struct mf_resolve1 *r, int link, const struct mf_addr *a, struct mf_errbuf *eb)
{
	int family = a->family == MF_AF_IP4 ? AF_INET : AF_INET6;
	sd_bus_message *m;
	int n = new_call(r, &m, "SetLinkDNS");

	n = n < 0 ? n : sd_bus_message_append(m, "i", link);
	n = n < 0 ? n : sd_bus_message_open_container(m, 'a', "(iay)");
	n = n < 0 ? n : sd_bus_message_open_container(m, 'r', "iay");
	n = n < 0 ? n : sd_bus_message_append(m, "i", family);
	n = n < 0 ? n : sd_bus_message_append_array(m, 'y', a->b, mf_addr_len(a));
	n = n < 0 ? n : sd_bus_message_close_container(m);
	n = n < 0 ? n : sd_bus_message_close_container(m);
	return call(r, m, n, eb);
}

static int set_domains(struct mf_resolve1 *r, int link, struct mf_errbuf *eb)
{
	sd_bus_message *m;
	int n = new_call(r, &m, "SetLinkDomains");

	n = n < 0 ? n : sd_bus_message_append(m, "ia(sb)", link, 1, ".", 1);
	return call(r, m, n, eb);
}

static int set_default_route(struct mf_resolve1 *r, int link, struct mf_errbuf *eb)
{
	sd_bus_message *m;
	int n = new_call(r, &m, "SetLinkDefaultRoute");

	n = n < 0 ? n : sd_bus_message_append(m, "ib", link, 1);
	return call(r, m, n, eb);
}

/* We are on this machine and speak no TLS there, whatever it asks of other servers. */
static int set_no_tls(struct mf_resolve1 *r, int link, struct mf_errbuf *eb)
{
	sd_bus_message *m;
	int n = new_call(r, &m, "SetLinkDNSOverTLS");

	n = n < 0 ? n : sd_bus_message_append(m, "is", link, "no");
	return call(r, m, n, eb);
}

/* Its cache has answers of the other servers. */
static void flush(struct mf_resolve1 *r)
{
	sd_bus_message *m;
	int n = new_call(r, &m, "FlushCaches");

	(void)!call(r, m, n, NULL);
}

mf_err mf_resolve1_set(struct mf_resolve1 *r, uint32_t ifindex, const struct mf_addr *server,
		       struct mf_errbuf *eb)
{
	int link = (int)ifindex, n;

	if (r->refused)
		return mf_fail(eb, MF_E_NOT_FOUND,
			       "systemd-resolved is that of the whole machine, not of this network "
			       "namespace");
	if (!connect_bus(r) || !process_of(r))
		return mf_fail(eb, MF_E_NOT_FOUND, "systemd-resolved does not run");
	n = set_server(r, link, server, eb);
	n = n < 0 ? n : set_domains(r, link, eb);
	n = n < 0 ? n : set_default_route(r, link, eb);
	if (n < 0) {
		r->link = link; /* part of it may have been set */
		mf_resolve1_unset(r);
		return MF_E_SYSTEM;
	}
	(void)!set_no_tls(r, link, NULL);
	if (r->link != link)
		flush(r);
	r->link = link;
	return MF_OK;
}

void mf_resolve1_unset(struct mf_resolve1 *r)
{
	sd_bus_message *m;
	int n;

	if (!r->link || !r->bus)
		return;
	n = new_call(r, &m, "RevertLink");
	n = n < 0 ? n : sd_bus_message_append(m, "i", r->link);
	/* The link may have gone, and all with it. */
	(void)!call(r, m, n, NULL);
	flush(r);
	r->link = 0;
}
