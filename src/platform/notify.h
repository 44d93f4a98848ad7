/* SPDX-License-Identifier: Apache-2.0
 *
 * notify - tells the service manager how we are (the protocol of sd_notify(3): datagrams to the
 * socket that NOTIFY_SOCKET names). Without such a socket every function does nothing.
 */
#ifndef MF_PLATFORM_NOTIFY_H
#define MF_PLATFORM_NOTIFY_H

#include "base/err.h"

/* `state` is lines of NAME=value, such as "READY=1\nSTATUS=3 interfaces". MF_OK also when nobody
 * listens. */
mf_err mf_notify(const char *state);
mf_err mf_notify_ready(const char *status);
/* With the monotonic time that Type=notify-reload asks for. */
mf_err mf_notify_reloading(void);
mf_err mf_notify_stopping(void);
mf_err mf_notify_status(const char *fmt, ...) MF_PRINTF(1, 2);
/* Half the watchdog's period (when to send WATCHDOG=1), or MF_NEVER. */
mf_nsec mf_notify_watchdog(void);

#endif
