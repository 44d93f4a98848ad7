/* SPDX-License-Identifier: Apache-2.0
 *
 * cipher - what the loader and the importer know of ciphers that are not there any more.
 */
#ifndef MF_CONFIG_CIPHER_H
#define MF_CONFIG_CIPHER_H

#include "base/base.h"

/* One of the stream ciphers that Shadowsocks had before 2017 (SIP004 tells why they went). */
bool mf_cipher_is_old(const char *method);

#endif
