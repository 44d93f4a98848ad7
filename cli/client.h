/* SPDX-License-Identifier: Apache-2.0
 *
 * client - the command's end of the control socket.
 */
#ifndef MF_CLI_CLIENT_H
#define MF_CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define CLI_RUN_DIR  "/run/mintflow"
#define CLI_UAPI_DIR "/var/run/wireguard"

struct cli_client {
	char name[32]; /* of the tunnel */
	FILE *in;      /* answers; also the descriptor that requests go to */
	pid_t pid;     /* of the program at the other end, 0: unknown */
};

enum cli_found {
	CLI_CONNECTED,
	CLI_NONE,  /* nothing there; `name` is what was asked for, or "" */
	CLI_STALE, /* a socket that nobody listens on; `name` is its tunnel */
	CLI_ERROR, /* and it has been said why */
};

/* Connects to the tunnel of that name, or with NULL to the only one. */
enum cli_found cli_find(struct cli_client *c, const char *name);
/* As cli_find, but only success is success; else it says what is wrong and returns false. */
bool cli_connect(struct cli_client *c, const char *name);
void cli_disconnect(struct cli_client *c);

/* Sends the request (and takes it over) and reads the answer: `*text` and `*value` are what came, NULL
 * if it did not, and the caller's to free. Returns the exit status; an error has been printed. */
int cli_ask(struct cli_client *c, json_t *request, char **text, json_t **value);

/* Prints JSON for people who read JSON: indented, or on one line. */
void cli_print_json(const json_t *value, bool one_line);

#endif
