/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon - the body of `mintflow run`: threads, sockets, devices and signals around one engine.
 */
#ifndef MF_DAEMON_H
#define MF_DAEMON_H

/* Runs in the foreground until SIGTERM or SIGINT. argv[0] is "run". Returns the exit status: 0 stopped
 * as asked, 1 failed, 2 wrong usage. Not reentrant: signals and the working of the process are ours. */
int mf_daemon_run(int argc, char **argv);

#endif
