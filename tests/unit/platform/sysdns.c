/* SPDX-License-Identifier: Apache-2.0
 *
 * resolv.conf in a directory of the test's own: each kind of original, each end, and others who
 * write it. A crash is an object that is freed without putting back: all it knows beyond the files
 * is gone then.
 */
#include "platform/sysdns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "netns.h"
#include "platform/clock.h"
#include "platform/linux/sysdns_priv.h"
#include "unit.h"

#define HOUR (3600 * MF_SEC)

static const char theirs[] = "# by dhclient\n"
			     "search home.arpa lan\n"
			     "nameserver 192.0.2.53\n"
			     "nameserver 2001:db8::53\n"
			     "options edns0 timeout:2\n";
static const struct mf_addr server = { .b = { 10, 66, 0, 1 }, .family = MF_AF_IP4 };

static char dir[64], path[96];
static unsigned warnings, errors;
static mf_nsec now;

/* ---- Files ----------------------------------------------------------------------------------- */

static void count_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx;
	(void)line;
	warnings += level == MF_LOG_WARN;
	errors += level == MF_LOG_ERROR;
}

static const struct mf_log test_log = { .write = count_line, .level = MF_LOG_DEBUG };

static const char *in_dir(const char *name)
{
	static char out[4][160];
	static unsigned i;
	char *p = out[i++ % 4];

	snprintf(p, sizeof(out[0]), "%s/%s", dir, name);
	return p;
}

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* As NetworkManager and dhclient write it. */
static void replace(const char *text)
{
	put(in_dir("theirs.new"), text);
	assert_int_equal(rename(in_dir("theirs.new"), path), 0);
}

/* "-": nothing; ">TARGET": a link; else what is in it. */
static const char *get(const char *file)
{
	static char out[2][8192];
	static unsigned i;
	char *p = out[i++ % 2];
	ssize_t n = readlink(file, p + 1, sizeof(out[0]) - 2);
	int fd;

	if (n >= 0) {
		p[0] = '>';
		p[n + 1] = '\0';
		return p;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "-";
	n = read(fd, p, sizeof(out[0]) - 1);
	assert_true(n >= 0);
	close(fd);
	p[n] = '\0';
	return p;
}

static bool is_ours(void)
{
	const char *text = get(path);

	return strncmp(text, "# MintFlow", 10) == 0 && strstr(text, "\nnameserver 10.66.0.1\n");
}

static unsigned files_in_dir(void)
{
	char command[128];
	unsigned n = 0;
	FILE *p;

	snprintf(command, sizeof(command), "ls -A %s | wc -l", dir);
	p = popen(command, "re");
	assert_non_null(p);
	assert_int_equal(fscanf(p, "%u", &n), 1);
	pclose(p);
	return n;
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mf-sysdns-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
	warnings = errors = 0;
	now = 1000 * HOUR;
	return 0;
}

static int remove_dir(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* ---- The capability -------------------------------------------------------------------------- */

static struct mf_sysdns_want want(void)
{
	return (struct mf_sysdns_want){
		.way = MF_SYSDNS_RESOLV_CONF, .ifindex = 1, .tunnel = "mint0", .server = server
	};
}

static struct mf_sysdns *start(void)
{
	struct mf_sysdns *s = mf_sysdns_new(path, &test_log);
	struct mf_sysdns_want w = want();

	assert_non_null(s);
	mf_sysdns_set(s, &w, now);
	return s;
}

/* Until what others have done has been dealt with. */
static void settle(struct mf_sysdns *s)
{
	mf_nsec due = mf_sysdns_run(s, now);

	if (due == MF_NEVER)
		return;
	assert_true(due > now);
	now = due;
	(void)mf_sysdns_run(s, now);
	/* our own writing has been noticed, too */
	now += MF_SEC;
	while ((due = mf_sysdns_run(s, now)) != MF_NEVER)
		now = due;
}

static void set_and_unset_leaves(unsigned files)
{
	struct mf_sysdns *s = start();

	assert_true(is_ours());
	mf_sysdns_unset(s);
	assert_int_equal(files_in_dir(), files);
	mf_sysdns_free(s);
	assert_int_equal(files_in_dir(), files);
}

static void test_file(void **state)
{
	struct timespec times[2] = { { .tv_sec = 1000000, .tv_nsec = 5 },
				     { .tv_sec = 1000001, .tv_nsec = 7 } };
	struct stat before, after;
	struct mf_sysdns *s;
	const char *ours;

	(void)state;
	put(path, theirs);
	assert_int_equal(chmod(path, 0640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(path, 12345, 54321), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(stat(path, &before), 0);
	s = start();
	ours = get(path);
	assert_true(is_ours());
	assert_non_null(strstr(ours, "\nsearch home.arpa lan\n"));
	assert_non_null(strstr(ours, "\noptions edns0 timeout:2\n"));
	assert_null(strstr(ours, "53"));
	assert_non_null(strstr(ours, "mv -f ")); /* how to get the old one back */
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_mode & 07777, 0644);
	mf_sysdns_free(s);
	assert_string_equal(get(path), theirs);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_int_equal(after.st_gid, before.st_gid);
	assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim));
	assert_int_equal(files_in_dir(), 1);
	assert_int_equal(errors, 0);
}

/* The command in the file does what it says. */
static void test_command_in_the_file(void **state)
{
	struct mf_sysdns *s;
	char text[4096], *command;

	(void)state;
	put(path, theirs);
	s = start();
	snprintf(text, sizeof(text), "%s", get(path));
	command = strstr(text, "# Should it stay behind: ");
	assert_non_null(command);
	command += strlen("# Should it stay behind: ");
	*strchr(command, '\n') = '\0';
	assert_int_equal(system(command), 0);
	assert_string_equal(get(path), theirs);
	mf_sysdns_free(s);
	assert_string_equal(get(path), theirs);
	assert_int_equal(files_in_dir(), 1);
}

static void test_link(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	put(in_dir("target"), theirs);
	assert_int_equal(symlink("target", path), 0);
	s = start();
	assert_true(is_ours());
	assert_non_null(strstr(get(path), "\nsearch home.arpa lan\n"));
	assert_string_equal(get(in_dir("target")), theirs);
	/* Another network: its domains are taken over. */
	put(in_dir("target"), "search cafe.example\nnameserver 192.0.2.1\n");
	mf_sysdns_check(s, now);
	assert_true(is_ours());
	assert_non_null(strstr(get(path), "\nsearch cafe.example\n"));
	assert_int_equal(warnings, 0);
	mf_sysdns_free(s);
	assert_string_equal(get(path), ">target");
	assert_int_equal(files_in_dir(), 2);
}

static void test_dangling_link(void **state)
{
	(void)state;
	assert_int_equal(symlink("../run/nowhere/resolv.conf", path), 0);
	set_and_unset_leaves(1);
	assert_string_equal(get(path), ">../run/nowhere/resolv.conf");
}

static void test_absent(void **state)
{
	(void)state;
	set_and_unset_leaves(0);
}

static void test_odd_originals(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	/* no end of line, control characters, words that only begin alike */
	put(path, "searching x\n search indented\noptions a\x01"
		  "b\nnameserver 1.2.3.4\nsearch last.one");
	s = start();
	assert_non_null(strstr(get(path), "\nnameserver 10.66.0.1\nsearch last.one\n"));
	assert_null(strstr(get(path), "searching"));
	assert_null(strstr(get(path), "indented"));
	assert_null(strstr(get(path), "\noptions"));
	mf_sysdns_free(s);
	/* too large to be one: comes back all the same */
	assert_int_equal(truncate(path, 200000), 0);
	set_and_unset_leaves(1);
	/* a directory is left alone */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	warnings = 0;
	s = start();
	assert_int_equal(warnings, 1);
	mf_sysdns_check(s, now);
	assert_int_equal(warnings, 1); /* said once */
	mf_sysdns_free(s);
	assert_int_equal(rmdir(path), 0);
}

/* ---- Others write it ------------------------------------------------------------------------- */

static const char others[] = "search cafe.example\nnameserver 203.0.113.1\n";

static void test_rewritten(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	put(path, theirs);
	s = start();
	settle(s);
	replace(others);
	settle(s);
	assert_true(is_ours());
	assert_non_null(strstr(get(path), "\nsearch cafe.example\n"));
	assert_int_equal(warnings, 1);
	/* in place, line by line, as scripts do */
	put(path, "search script.example\n");
	assert_int_equal(mf_sysdns_run(s, now), now + 200 * MF_MSEC);
	put(path, "search script.example\nnameserver 203.0.113.2\n");
	settle(s);
	assert_true(is_ours());
	/* a link to somebody's file */
	put(in_dir("nm.conf"), others);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nm.conf", path), 0);
	settle(s);
	assert_true(is_ours());
	mf_sysdns_free(s);
	assert_string_equal(get(path), ">nm.conf");
	assert_int_equal(files_in_dir(), 2);
}

static void test_rewritten_just_before_the_end(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	put(path, theirs);
	s = start();
	replace(others);
	mf_sysdns_free(s);
	assert_string_equal(get(path), others);
	assert_int_equal(files_in_dir(), 1);
}

static void test_edited_and_removed(void **state)
{
	struct mf_sysdns *s;
	char text[4096];

	(void)state;
	put(path, theirs);
	s = start();
	settle(s);
	/* an edit of ours is no original */
	snprintf(text, sizeof(text), "%snameserver 203.0.113.9\n", get(path));
	replace(text);
	settle(s);
	assert_true(is_ours());
	assert_null(strstr(get(path), "203.0.113.9"));
	mf_sysdns_unset(s);
	assert_string_equal(get(path), theirs);
	/* who removes it wants none */
	mf_sysdns_set(s,
		      &(struct mf_sysdns_want){ .way = MF_SYSDNS_RESOLV_CONF,
						.ifindex = 1,
						.tunnel = "mint0",
						.server = server },
		      now);
	settle(s);
	assert_int_equal(unlink(path), 0);
	settle(s);
	assert_true(is_ours());
	mf_sysdns_free(s);
	assert_int_equal(files_in_dir(), 0);
}

/* Two programs that rewrite each other's: not for ever. */
static void test_gives_up_and_tries_again(void **state)
{
	struct mf_sysdns *s;
	unsigned rounds = 0;

	(void)state;
	put(path, theirs);
	s = start();
	settle(s);
	do {
		replace(others);
		settle(s);
	} while (is_ours() && ++rounds < 100);
	assert_in_range(rounds, 3, 20);
	assert_int_equal(errors, 1); /* one line */
	assert_string_equal(get(path), others);
	replace(theirs);
	settle(s);
	assert_string_equal(get(path), theirs);
	assert_int_equal(errors, 1);
	/* A new network, much later. */
	now += HOUR;
	mf_sysdns_check(s, now);
	assert_true(is_ours());
	mf_sysdns_free(s);
	assert_string_equal(get(path), theirs);
	assert_int_equal(files_in_dir(), 1);
}

/* ---- Where it cannot be written -------------------------------------------------------------- */

static bool set_immutable(bool on)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
	bool ok = fd >= 0 && !ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	ok = ok && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	if (fd >= 0)
		close(fd);
	return ok;
}

static void test_immutable(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	put(path, theirs);
	if (!set_immutable(true)) {
		print_message("skipped: files cannot be made immutable here\n");
		skip();
	}
	s = start();
	assert_string_equal(get(path), theirs);
	assert_int_equal(warnings, 1);
	assert_int_equal(files_in_dir(), 1);
	assert_true(set_immutable(false));
	mf_sysdns_check(s, now); /* and now it goes */
	assert_true(is_ours());
	mf_sysdns_free(s);
	assert_string_equal(get(path), theirs);
}

static void in_mounts_of_our_own(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		print_message("skipped: mounts need root\n");
		skip();
	}
}

static void test_read_only(void **state)
{
	struct mf_sysdns *s;

	(void)state;
	put(path, theirs);
	in_mounts_of_our_own();
	assert_int_equal(mount(dir, dir, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, dir, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	s = start();
	assert_string_equal(get(path), theirs);
	assert_int_equal(warnings, 1);
	mf_sysdns_free(s);
	assert_int_equal(umount(dir), 0);
	assert_string_equal(get(path), theirs);
	assert_int_equal(files_in_dir(), 1);
}

/* As in containers: the file cannot be replaced, and may be one of several at the same path.
 * `cut_off`: while ours was written, which in place is not done in one step. */
static void check_mounted(bool cut_off)
{
	struct timespec times[2] = { { .tv_sec = 5 }, { .tv_sec = 1000001, .tv_nsec = 7 } };
	struct stat before, after;
	struct mf_resolvconf *f;
	struct mf_sysdns *s;

	put(in_dir("container.conf"), theirs);
	put(path, others);
	assert_int_equal(utimensat(AT_FDCWD, in_dir("container.conf"), times, 0), 0);
	assert_int_equal(mount(in_dir("container.conf"), path, NULL, MS_BIND, NULL), 0);
	assert_int_equal(stat(path, &before), 0);
	s = start();
	assert_true(is_ours());
	assert_int_equal(files_in_dir(), 3);
	/* The one around it has its own. */
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_string_equal(get(path), others);
	f = mf_resolvconf_new(path, &test_log);
	assert_int_equal(mf_resolvconf_apply(f, "mint1", &server, true, now, NULL), MF_OK);
	assert_int_equal(mf_resolvconf_undo(f, &(bool){ false }, NULL), MF_OK);
	mf_resolvconf_free(f);
	assert_string_equal(get(path), others);
	assert_int_equal(mount(in_dir("container.conf"), path, NULL, MS_BIND, NULL), 0);
	assert_true(is_ours());
	put(path, "nameserver 203.0.113.7\n");
	settle(s);
	assert_true(is_ours());
	put(path, theirs);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	settle(s);
	assert_true(is_ours());
	if (cut_off)
		assert_int_equal(truncate(path, 0), 0);
	mf_sysdns_free(s);
	assert_string_equal(get(path), theirs);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode, before.st_mode);
	assert_memory_equal(&after.st_mtim, &before.st_mtim, sizeof(after.st_mtim));
	assert_int_equal(umount(path), 0);
	assert_string_equal(get(path), others);
	assert_int_equal(files_in_dir(), 2);
}

static void test_mounted(void **state)
{
	(void)state;
	in_mounts_of_our_own();
	check_mounted(false);
	check_mounted(true);
	assert_int_equal(errors, 0);
}

/* In a network namespace alone, the file is still the machine's. */
static void test_of_the_machine(void **state)
{
	struct mf_sysdns *s;
	const char *why;
	int status;
	pid_t pid;

	(void)state;
	put(path, theirs);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		why = netns_enter();
		if (why || !mf_netns_is_foreign())
			_exit(77);
		s = start();
		_exit(!(warnings == 1 && !strcmp(get(path), theirs)) ||
		      (mf_sysdns_free(s), files_in_dir() != 1));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77) {
		print_message(
			"skipped: cannot leave the network of the first process, or see it\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* ---- Crashes --------------------------------------------------------------------------------- */

/* By SIGKILL in a process of its own. */
static void die_set(void)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)start();
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_killed(void **state)
{
	struct mf_errbuf eb;
	bool done;

	(void)state;
	put(path, theirs);
	die_set();
	assert_true(is_ours());
	mf_sysdns_free(mf_sysdns_new(path, &test_log));
	assert_string_equal(get(path), theirs);
	assert_int_equal(files_in_dir(), 1);
	assert_int_equal(warnings, 1);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	die_set();
	die_set();
	assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_OK);
	assert_true(done);
	assert_string_equal(get(path), ">nowhere");

	assert_int_equal(unlink(path), 0);
	die_set();
	assert_true(is_ours());
	assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_OK);
	assert_true(done);
	assert_int_equal(files_in_dir(), 0);
	assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_OK);
	assert_false(done);

	/* Somebody has written it since: theirs is newer. */
	put(path, theirs);
	die_set();
	replace(others);
	assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_OK);
	assert_string_equal(get(path), others);
	assert_int_equal(files_in_dir(), 1);
}

/* The table in sysdns_resolvconf.c, line by line. */
static void test_crash_points(void **state)
{
	static const char ours[] = "# MintFlow wrote this file ...\nnameserver 10.66.0.1\n";
	static const struct {
		const char *fresh, *before, *file, *after;
	} rows[] = {
		{ ours, NULL, theirs, theirs },   /* before the exchange */
		{ theirs, NULL, ours, theirs },   /* after it */
		{ theirs, others, ours, theirs }, /* after it, not the first time */
		{ ours, others, ours, others },   { NULL, theirs, ours, theirs },
		{ NULL, NULL, ours, "-" },        { ours, NULL, NULL, "-" },
		{ ours, theirs, NULL, theirs }, /* between two renames */
		{ NULL, theirs, others, others }, { theirs, NULL, others, others },
	};
	struct mf_errbuf eb;
	bool done;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rows); i++) {
		unlink(path);
		if (rows[i].fresh)
			put(in_dir("resolv.conf.new-mintflow"), rows[i].fresh);
		if (rows[i].before)
			put(in_dir("resolv.conf.before-mintflow"), rows[i].before);
		if (rows[i].file)
			put(path, rows[i].file);
		assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_OK);
		assert_string_equal(get(path), rows[i].after);
		assert_int_equal(files_in_dir(), rows[i].after[0] != '-');
	}
}

static void test_only_one_at_a_time(void **state)
{
	struct mf_sysdns *first, *second;
	struct mf_errbuf eb;
	bool done;

	(void)state;
	put(path, theirs);
	first = start();
	assert_int_equal(mf_sysdns_repair(path, &done, &eb), MF_E_CONFLICT);
	second = start(); /* waits for the first to put back: it might be dying */
	assert_int_equal(warnings, 1);
	mf_sysdns_unset(second);
	assert_true(is_ours());
	mf_sysdns_free(first);
	assert_string_equal(get(path), theirs);
	mf_sysdns_set(second,
		      &(struct mf_sysdns_want){ .way = MF_SYSDNS_RESOLV_CONF,
						.ifindex = 1,
						.tunnel = "mint1",
						.server = server },
		      now);
	assert_true(is_ours());
	mf_sysdns_free(second);
	assert_string_equal(get(path), theirs);
	assert_int_equal(files_in_dir(), 1);
}

/* ---- Anything, in any order ------------------------------------------------------------------ */

/* What others did last is what is there whenever ours is not. */
static void test_model(void **state)
{
	struct mf_prng rng = unit_prng("resolv.conf");
	char model[256] = "-", text[256];
	struct mf_resolvconf *f = mf_resolvconf_new(path, &test_log);
	bool set = false, crashed = false, done;

	(void)state;
	for (int step = 0; step < 800; step++) {
		uint64_t op = mf_prng_below(&rng, 7);

		now += HOUR;
		if (op <= 1) {
			assert_int_equal(mf_resolvconf_apply(f, "mint0", &server, true, now, NULL),
					 MF_OK);
			set = true;
			crashed = false;
		} else if (op == 2) {
			assert_int_equal(mf_resolvconf_undo(f, &done, NULL), MF_OK);
			if (crashed)
				assert_int_equal(mf_resolvconf_repair(f, &done, NULL), MF_OK);
			set = crashed = false;
		} else if (op == 3) {
			mf_resolvconf_free(f);
			f = mf_resolvconf_new(path, &test_log);
			crashed = crashed || set;
			set = false;
		} else if (op == 4 || op == 5) {
			snprintf(text, sizeof(text), "search s%d.example\nnameserver 192.0.2.1\n",
				 step);
			if (op == 4)
				replace(text);
			else if (!strncmp(get(path), ">", 1))
				continue;
			else
				put(path, text);
			strcpy(model, text);
		} else if (!crashed) {
			(void)unlink(path);
			strcpy(model, "-");
			if (mf_prng_below(&rng, 2)) {
				snprintf(model, sizeof(model), ">to-%d", step);
				assert_int_equal(symlink(model + 1, path), 0);
			}
			/* Removed while set: it is looked at before the end. */
			if (set)
				assert_int_equal(
					mf_resolvconf_apply(f, "mint0", &server, true, now, NULL),
					MF_OK);
		}
		if (!set && !crashed) {
			assert_string_equal(get(path), model);
			assert_int_equal(files_in_dir(), model[0] != '-');
		} else if (op <= 1) {
			assert_true(is_ours());
		}
	}
	assert_int_equal(mf_resolvconf_repair(f, &done, NULL) && !set, 0);
	mf_resolvconf_free(f);
	assert_int_equal(errors, 0);
}

/* ---- systemd-resolved's stub
 * -------------------------------------------------------------------------- */

static void test_stub(void **state)
{
	static const struct {
		const char *text;
		bool stub;
	} rows[] = {
		{ "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", true },
		{ "# x\nnameserver\t127.0.0.54", true },
		{ "nameserver 127.0.0.53\nnameserver 192.0.2.1\n", false },
		{ "nameserver 127.0.0.5\n", false },
		{ "nameserver 127.0.0.531\n", false },
		{ "search lan\n", false },
		{ "#nameserver 127.0.0.53\n", false },
		{ "nameserver", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rows); i++)
		assert_int_equal(mf_resolvconf_is_stub(mf_span(rows[i].text, strlen(rows[i].text))),
				 rows[i].stub);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_file),
		CASE(test_command_in_the_file),
		CASE(test_link),
		CASE(test_dangling_link),
		CASE(test_absent),
		CASE(test_odd_originals),
		CASE(test_rewritten),
		CASE(test_rewritten_just_before_the_end),
		CASE(test_edited_and_removed),
		CASE(test_gives_up_and_tries_again),
		CASE(test_immutable),
		CASE(test_of_the_machine),
		CASE(test_killed),
		CASE(test_crash_points),
		CASE(test_only_one_at_a_time),
		CASE(test_model),
		CASE(test_stub),
		/* last: they move the process into mounts of its own */
		CASE(test_read_only),
		CASE(test_mounted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
