/* SPDX-License-Identifier: Apache-2.0
 *
 * watch - inotify(7).
 */
#include "platform/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct mf_watch {
	int fd;
};

struct mf_watch *mf_watch_new(void)
{
	struct mf_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd >= 0)
		return w;
	free(w);
	return NULL;
}

void mf_watch_free(struct mf_watch *w)
{
	if (!w)
		return;
	close(w->fd);
	free(w);
}

int mf_watch_fd(const struct mf_watch *w)
{
	return w->fd;
}

static mf_err add_directory_of(struct mf_watch *w, char path[PATH_MAX])
{
	enum {
		EVENTS = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
			 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	};
	char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(path, ".");
	else
		slash[slash == path] = '\0'; /* "/" stays */
	return inotify_add_watch(w->fd, path, EVENTS) < 0 ? MF_E_SYSTEM : MF_OK;
}

mf_err mf_watch_add(struct mf_watch *w, const char *path)
{
	char dir[PATH_MAX];
	mf_err err;

	if (strlen(path) >= sizeof(dir))
		return MF_E_SYSTEM;
	strcpy(dir, path);
	err = add_directory_of(w, dir);
	if (realpath(path, dir) && add_directory_of(w, dir))
		err = MF_E_SYSTEM;
	return err;
}

bool mf_watch_read(struct mf_watch *w)
{
	_Alignas(struct inotify_event) char events[4096];
	bool some = false;

	while (read(w->fd, events, sizeof(events)) > 0)
		some = true;
	return some;
}
