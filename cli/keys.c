/* SPDX-License-Identifier: Apache-2.0
 *
 * keys - genkey, pubkey and genpsk, which work as those of wg(8).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/key.h"
#include "cli/cli.h"
#include "crypto/random.h"
#include "crypto/x25519.h"

static void warn_if_others_can_read(void)
{
	struct stat st;

	if (!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && st.st_mode & (S_IRWXG | S_IRWXO))
		fputs("mintflow: warning: others can read the file that this key goes to; use "
		      "`umask 077` "
		      "first\n",
		      stderr);
}

static int print_key(struct mf_key *key)
{
	char text[MF_KEY_BASE64_STRLEN];

	mf_key_to_base64(key, text);
	puts(text);
	mf_wipe(text, sizeof(text));
	mf_wipe(key, sizeof(*key));
	return CLI_OK;
}

int cli_genpsk(const struct cli_args *a)
{
	struct mf_key key;

	(void)a;
	warn_if_others_can_read();
	mf_random_fill(NULL, &key, sizeof(key));
	return print_key(&key);
}

int cli_genkey(const struct cli_args *a)
{
	struct mf_key key;

	(void)a;
	warn_if_others_can_read();
	mf_random_fill(NULL, &key, sizeof(key));
	/* RFC 7748 section 5: the form every implementation agrees on. */
	key.b[0] &= 248;
	key.b[31] = (uint8_t)((key.b[31] & 127) | 64);
	return print_key(&key);
}

int cli_pubkey(const struct cli_args *a)
{
	struct mf_key private_key, public_key;
	char text[256];
	size_t n = fread(text, 1, sizeof(text), stdin);
	mf_err err;

	(void)a;
	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	err = mf_key_from_base64(&private_key, text, n);
	mf_wipe(text, sizeof(text));
	if (err)
		return cli_fail(
			"standard input is not a private key: 44 characters of base64 are one");
	mf_x25519_base(public_key.b, private_key.b);
	mf_wipe(&private_key, sizeof(private_key));
	return print_key(&public_key);
}
