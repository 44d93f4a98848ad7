/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns_text - what resolv.conf(5) says: a pure function from the original to ours, over bytes
 * that a DHCP client may have written.
 */
#include <stdio.h>

#include "platform/linux/sysdns_priv.h"

/* Whoever reads the file sees it first, and so do we. */
static const char signature[] = "# MintFlow wrote this file";

/* What libc reads besides name servers. It knows them only at the beginning of a line. */
static const char *const kept[] = { "search", "domain", "options", "sortlist" };

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Cuts the next line off `rest`, without its end. */
static struct mf_span next_line(struct mf_span *rest)
{
	const uint8_t *end = memchr(rest->p, '\n', rest->n);
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct mf_span line = { rest->p, n };

	rest->p += n + (end != NULL);
	rest->n -= n + (end != NULL);
	return line;
}

static bool begins_with(struct mf_span line, const char *word)
{
	size_t n = strlen(word);

	return line.n > n && !memcmp(line.p, word, n) && is_blank(line.p[n]);
}

static bool is_text(struct mf_span line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_kept(struct mf_span line)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(kept); i++)
		if (begins_with(line, kept[i]))
			return is_text(line);
	return false;
}

bool mf_resolvconf_is_ours(struct mf_span text)
{
	return text.n >= sizeof(signature) - 1 && !memcmp(text.p, signature, sizeof(signature) - 1);
}

/* The address of a line `nameserver ADDRESS`; false: it is none. */
static bool server_of(struct mf_span line, char out[MF_ADDR_STRLEN])
{
	size_t at = sizeof("nameserver") - 1, n = 0;

	if (!begins_with(line, "nameserver"))
		return false;
	while (at < line.n && is_blank(line.p[at]))
		at++;
	while (at < line.n && !is_blank(line.p[at]) && n < MF_ADDR_STRLEN - 1)
		out[n++] = (char)line.p[at++];
	out[n] = '\0';
	return true;
}

bool mf_resolvconf_is_stub(struct mf_span text)
{
	char server[MF_ADDR_STRLEN];
	bool found = false;

	while (text.n) {
		if (!server_of(next_line(&text), server))
			continue;
		/* The stub, and the one that passes questions on as they are. */
		if (strcmp(server, "127.0.0.53") != 0 && strcmp(server, "127.0.0.54") != 0)
			return false;
		found = true;
	}
	return found;
}

size_t mf_resolvconf_compose(char *out, const char *tunnel, const struct mf_addr *server,
			     const char *undo, struct mf_span original)
{
	char address[MF_ADDR_STRLEN];
	int head = snprintf(out, MF_RESOLVCONF_HEAD,
			    "%s for its tunnel %s, and takes it back when it stops. Changes are "
			    "lost.\n"
			    "# Should it stay behind: %s\n"
			    "nameserver %s\n",
			    signature, tunnel, undo, mf_addr_format(server, address));
	size_t n = (size_t)head;

	MF_ASSERT(head > 0 && head < MF_RESOLVCONF_HEAD);
	while (original.n) {
		struct mf_span line = next_line(&original);

		if (!is_kept(line))
			continue;
		memcpy(out + n, line.p, line.n);
		n += line.n;
		out[n++] = '\n'; /* a last line that had none is why the head must leave room for one */
	}
	return n;
}
