/* SPDX-License-Identifier: Apache-2.0
 *
 * random - the kernel's random numbers behind struct mf_rng.
 */
#ifndef MF_PLATFORM_RANDOM_H
#define MF_PLATFORM_RANDOM_H

#include "base/base.h"

/* getrandom(2), which never fails once it has been seeded; if the kernel has none the program ends.
 * Any thread. */
struct mf_rng mf_random(void);

#endif
