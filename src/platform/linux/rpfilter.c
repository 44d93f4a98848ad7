/* SPDX-License-Identifier: Apache-2.0
 *
 * rpfilter - makes strict reverse path filtering loose while the machine is routed into the tunnel.
 *
 * Strict (1) drops a packet unless its source would be reached through the interface it came in on.
 * That question is asked without our mark, so the answer for the sender of an encrypted packet is the
 * tunnel, and the packet is dropped. Loose (2) asks for any way back. The larger of `all` and the
 * interface's own value counts (Documentation/networking/ip-sysctl.rst), so 2 on the interface is
 * enough. Killed, we leave it loose: nobody else can know what it was.
 */
#include "platform/linux/route_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define CONF_DIR "/proc/sys/net/ipv4/conf"

enum { NAME_BYTES = 256, PATH_BYTES = sizeof(CONF_DIR) + NAME_BYTES + 16 };

struct mf_rpfilter {
	struct mf_rpfilter *next;
	char name[NAME_BYTES];
	char old;
};

static void path_of(char out[PATH_BYTES], const char *name)
{
	snprintf(out, PATH_BYTES, CONF_DIR "/%s/rp_filter", name);
}

static char read_value(const char *name)
{
	char path[PATH_BYTES];
	int c = '0';
	FILE *f;

	path_of(path, name);
	f = fopen(path, "re");
	if (!f)
		return '0';
	c = fgetc(f);
	fclose(f);
	return (char)c;
}

static bool write_value(const char *name, char value)
{
	char path[PATH_BYTES];
	FILE *f;
	bool ok;

	path_of(path, name);
	f = fopen(path, "we");
	if (!f)
		return false;
	ok = fputc(value, f) == value;
	return fclose(f) == 0 && ok;
}

struct mf_rpfilter *mf_rpfilter_loosen(void)
{
	char all = read_value("all");
	struct mf_rpfilter *list = NULL;
	DIR *d = opendir(CONF_DIR);

	if (!d)
		return NULL;
	/* "default" is among them: what comes up later inherits it. */
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char own = read_value(e->d_name);
		struct mf_rpfilter *f;

		if (e->d_name[0] == '.' || !strcmp(e->d_name, "all") || !strcmp(e->d_name, "lo") ||
		    (own > all ? own : all) != '1' || !write_value(e->d_name, '2'))
			continue;
		f = calloc(1, sizeof(*f));
		if (!f)
			continue;
		snprintf(f->name, sizeof(f->name), "%s", e->d_name);
		f->old = own;
		f->next = list;
		list = f;
	}
	closedir(d);
	return list;
}

void mf_rpfilter_restore(struct mf_rpfilter *f)
{
	for (struct mf_rpfilter *next; f; f = next) {
		next = f->next;
		/* Somebody else's setting stays. */
		if (read_value(f->name) == '2')
			(void)write_value(f->name, f->old);
		free(f);
	}
}
