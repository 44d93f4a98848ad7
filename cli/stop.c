/* SPDX-License-Identifier: Apache-2.0
 *
 * stop - ends a running tunnel and waits for the end, or cleans up behind one that was killed.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "platform/route.h"
#include "platform/sysdns.h"

enum { STOP_SECONDS = 20 };

/* What a killed run has left, and is gone now. */
struct leftovers {
	uint32_t routes, sockets;
	bool resolver; /* the system's, pointed at us */
};

static int report(const struct cli_args *a, const char *name, bool stopped,
		  const struct leftovers *gone)
{
	if (a->json) {
		json_t *v = json_pack("{s:s, s:b, s:i, s:i, s:b}", "name", name, "stopped",
				      (int)stopped, "leftovers_removed", (int)gone->routes,
				      "sockets_removed", (int)gone->sockets, "resolver_put_back",
				      (int)gone->resolver);

		cli_print_json(v, false);
		json_decref(v);
	} else if (stopped) {
		printf("%s has stopped\n", name);
	} else {
		printf("%s was not running any more; removed %u route%s and rules and %u socket%s "
		       "that it had left%s\n",
		       *name ? name : "the tunnel", gone->routes, gone->routes == 1 ? "" : "s",
		       gone->sockets, gone->sockets == 1 ? "" : "s",
		       gone->resolver ? ", and put /etc/resolv.conf back" : "");
	}
	return CLI_OK;
}

/* Waits until the process is gone, or at least its socket's other end. */
static int wait_for_end(struct cli_client *c, int pidfd)
{
	struct pollfd p = { .fd = pidfd >= 0 ? pidfd : fileno(c->in), .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, STOP_SECONDS * 1000);
	while (n < 0 && errno == EINTR);
	return n > 0 ? CLI_OK
		     : cli_fail("%s (process %ld) still runs after %d s", c->name, (long)c->pid,
				STOP_SECONDS);
}

static int stop_running(struct cli_client *c, const struct cli_args *a)
{
	/* Opened first: the number may belong to somebody else once it has ended. */
	int pidfd = c->pid ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
	json_t *value;
	char *text;
	int status = cli_ask(c, json_pack("{s:s}", "cmd", "stop"), &text, &value);

	free(text);
	json_decref(value);
	if (!status)
		status = wait_for_end(c, pidfd);
	if (pidfd >= 0)
		close(pidfd);
	return status ? status : report(a, c->name, true, &(struct leftovers){ 0 });
}

/* Whether the process that listened there has gone. */
static bool is_dead(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool dead;

	if (fd < 0)
		return false;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	dead = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

/* Which of them were ours nobody knows any more; but a dead one is of no use to anybody, and wg(8)
 * itself removes those that it comes across. */
static uint32_t remove_dead_uapi(void)
{
	DIR *d = opendir(CLI_UAPI_DIR);
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct dirent *e;
	uint32_t n = 0;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len <= 5 || strcmp(e->d_name + len - 5, ".sock") ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", CLI_UAPI_DIR, e->d_name) >=
			    sizeof(path))
			continue;
		if (is_dead(path) && !unlink(path))
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

/* Nobody answers. Routes and rules of ours that are there were left by a run that was killed. */
static int clean_up(const struct cli_client *c, bool stale, const struct cli_args *a)
{
	char path[sizeof(CLI_RUN_DIR) + sizeof(c->name) + 8];
	struct leftovers gone = { 0 };
	struct mf_errbuf eb;

	if (mf_route_clean(&gone.routes, &eb))
		return cli_fail("removing routes that a killed run has left: %s", eb.text);
	/* Of another tunnel that runs, it stays. */
	if (mf_sysdns_repair(NULL, &gone.resolver, &eb) == MF_E_SYSTEM)
		return cli_fail("%s", eb.text);
	gone.sockets = remove_dead_uapi();
	if (stale) {
		snprintf(path, sizeof(path), "%s/%s.sock", CLI_RUN_DIR, c->name);
		if (unlink(path) && errno != ENOENT)
			return cli_fail("%s: %s", path, strerror(errno));
		gone.sockets++;
	}
	if (gone.routes || gone.sockets || gone.resolver)
		return report(a, c->name, false, &gone);
	return c->name[0] ? cli_fail("the tunnel %s is not running", c->name)
			  : cli_fail("no tunnel is running");
}

int cli_stop(const struct cli_args *a)
{
	struct cli_client c;
	int status = CLI_FAILED;

	switch (cli_find(&c, a->name)) {
	case CLI_CONNECTED:
		status = stop_running(&c, a);
		cli_disconnect(&c);
		break;
	case CLI_NONE:
		status = clean_up(&c, false, a);
		break;
	case CLI_STALE:
		status = clean_up(&c, true, a);
		break;
	case CLI_ERROR:
		break;
	}
	return status;
}
