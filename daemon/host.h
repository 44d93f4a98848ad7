/* SPDX-License-Identifier: Apache-2.0
 *
 * host - what the engine and the control protocol ask of the program around them.
 */
#ifndef MF_DAEMON_HOST_H
#define MF_DAEMON_HOST_H

#include "control/control.h"
#include "daemon/internal.h"

struct mf_engine_host mf_host_engine(struct mf_daemon *d);
struct mf_control_host mf_host_control(struct mf_daemon *d);

#endif
