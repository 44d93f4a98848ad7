/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"

/* An answer takes milliseconds; a reload that opens sockets and resolves names, a little longer. */
enum { ANSWER_SECONDS = 60 };

static bool is_socket_name(const char *file)
{
	size_t n = strlen(file);

	return n > 5 && n < 32 && file[0] != '.' && !strcmp(file + n - 5, ".sock");
}

/* The names of all tunnels, as "a, b"; the first is also put into `one`. Returns how many. */
static int list_tunnels(char *one, size_t one_size, char *all, size_t all_size)
{
	DIR *d = opendir(CLI_RUN_DIR);
	struct dirent *e;
	size_t used = 0;
	int n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d))) {
		int len = (int)strlen(e->d_name) - 5;

		if (!is_socket_name(e->d_name))
			continue;
		if (!n++)
			snprintf(one, one_size, "%.*s", len, e->d_name);
		if (used < all_size)
			used += (size_t)snprintf(all + used, all_size - used, "%s%.*s",
						 n > 1 ? ", " : "", len, e->d_name);
	}
	closedir(d);
	return n;
}

/* Connected, or -1 and errno. */
static int open_socket(const char *name)
{
	struct timeval limit = { .tv_sec = ANSWER_SECONDS };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;

	if (fd < 0)
		return -1;
	snprintf(sun.sun_path, sizeof(sun.sun_path), CLI_RUN_DIR "/%s.sock", name);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

enum cli_found cli_find(struct cli_client *c, const char *name)
{
	char all[256] = "";
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd, n;

	*c = (struct cli_client){ 0 };
	if (name) {
		if (strlen(name) >= sizeof(c->name) || strchr(name, '/')) {
			cli_fail("%s cannot be the name of a tunnel", name);
			return CLI_ERROR;
		}
		strcpy(c->name, name);
	} else {
		n = list_tunnels(c->name, sizeof(c->name), all, sizeof(all));
		if (n == 0)
			return CLI_NONE;
		if (n > 1) {
			cli_fail("which tunnel? Say --name NAME, one of: %s", all);
			return CLI_ERROR;
		}
	}
	fd = open_socket(c->name);
	if (fd < 0 && errno == ENOENT)
		return CLI_NONE;
	if (fd < 0 && errno == ECONNREFUSED)
		return CLI_STALE;
	if (fd < 0) {
		cli_fail("%s/%s.sock: %s%s", CLI_RUN_DIR, c->name, strerror(errno),
			 errno == EACCES ? "; are you the one who runs it (root)?" : "");
		return CLI_ERROR;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		c->pid = peer.pid;
	c->in = fdopen(fd, "r");
	if (c->in)
		return CLI_CONNECTED;
	close(fd);
	cli_fail("%s", strerror(errno));
	return CLI_ERROR;
}

bool cli_connect(struct cli_client *c, const char *name)
{
	switch (cli_find(c, name)) {
	case CLI_CONNECTED:
		return true;
	case CLI_NONE:
		if (c->name[0])
			cli_fail("the tunnel %s is not running (%s/%s.sock is not there)", c->name,
				 CLI_RUN_DIR, c->name);
		else
			cli_fail("no tunnel is running (nothing in %s); start one with "
				 "`mintflow run -c PROFILE`",
				 CLI_RUN_DIR);
		return false;
	case CLI_STALE:
		cli_fail("the tunnel %s is not running any more: it was killed; `mintflow stop` "
			 "cleans up",
			 c->name);
		return false;
	case CLI_ERROR:
		break;
	}
	return false;
}

void cli_disconnect(struct cli_client *c)
{
	if (c->in)
		fclose(c->in);
	c->in = NULL;
}

static bool send_line(struct cli_client *c, const json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t n, at = 0;

	if (!line)
		return false;
	n = strlen(line);
	line[n++] = '\n'; /* over the NUL */
	while (at < n) {
		ssize_t k = send(fileno(c->in), line + at, n - at, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		at += (size_t)k;
	}
	free(line);
	return at == n;
}

/* Looks at one line of the answer. True: it was the last one, and `*status` is set. */
static bool take_answer(const json_t *line, int *status, char **text, json_t **value)
{
	json_t *v;

	if ((v = json_object_get(line, "error"))) {
		*status = cli_fail_lines(json_string_value(v) ? json_string_value(v) : "?");
		return true;
	}
	if ((v = json_object_get(line, "text")) && json_string_value(v) && !*text)
		*text = strdup(json_string_value(v));
	if ((v = json_object_get(line, "json")) && !*value)
		*value = json_incref(v);
	*status = CLI_OK;
	return json_is_true(json_object_get(line, "ok"));
}

int cli_ask(struct cli_client *c, json_t *request, char **text, json_t **value)
{
	bool sent = request && send_line(c, request), last = false;
	int status = CLI_FAILED;
	size_t cap = 0;
	char *line = NULL;

	json_decref(request);
	*text = NULL;
	*value = NULL;
	if (!sent)
		return cli_fail("%s does not take requests: %s", c->name, strerror(errno));
	while (!last) {
		ssize_t n = getline(&line, &cap, c->in);
		json_t *v = n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;

		if (!v) {
			status = n > 0 ? cli_fail("%s gave an answer that is not understood", c->name)
				       : cli_fail("%s gave no answer: %s", c->name,
						  ferror(c->in) ? strerror(errno) : "it has gone");
			break;
		}
		last = take_answer(v, &status, text, value);
		json_decref(v);
	}
	free(line);
	return status;
}

void cli_print_json(const json_t *value, bool one_line)
{
	json_dumpf(value, stdout,
		   JSON_REAL_PRECISION(12) | (one_line ? JSON_COMPACT : JSON_INDENT(2)));
	putchar('\n');
}
