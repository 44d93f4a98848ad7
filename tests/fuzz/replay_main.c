/* SPDX-License-Identifier: Apache-2.0
 *
 * replay_main - runs a fuzz target over files, without libFuzzer, under any compiler and sanitizer.
 *
 *   NAME DIR-OR-FILE...
 *
 * Every file is given whole, and cut short at up to TRUNCATIONS places and with up to FLIPS bytes
 * changed: parsers fail at the ends of things. Each input is an allocation of exactly its size, so
 * that AddressSanitizer sees one byte too far. Deterministic: a failure comes back. The input that
 * is being run is named on abort through the last line on stderr.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	INPUT_MAX = 1 << 20,
	TRUNCATIONS = 256,
	FLIPS = 256,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned long files, runs;

static void run(const uint8_t *data, size_t n)
{
	/* Not NULL for an empty input, as libFuzzer has it (glibc's malloc(0) is an address). */
	uint8_t *copy = malloc(n);

	if (!copy) {
		perror("malloc");
		exit(1);
	}
	if (n)
		memcpy(copy, data, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

/* n positions spread evenly over [0, size): all of them when there are no more. */
static size_t position(size_t i, size_t n, size_t size)
{
	return size <= n ? i : i * size / n;
}

static void run_with_changes(uint8_t *data, size_t size)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff, 0x10 };
	size_t n;

	run(data, size);
	n = size < TRUNCATIONS ? size : TRUNCATIONS;
	for (size_t i = 0; i < n; i++)
		run(data, position(i, n, size));
	n = size < FLIPS ? size : FLIPS;
	for (size_t i = 0; i < n; i++) {
		size_t at = position(i, n, size);
		uint8_t old = data[at];

		data[at] ^= masks[i % sizeof(masks)];
		run(data, size);
		data[at] = old;
	}
}

static void replay_file(const char *path)
{
	static uint8_t data[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(data, 1, sizeof(data), f);
	fclose(f);
	fprintf(stderr, "%s\n", path);
	run_with_changes(data, n);
	files++;
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void replay(const char *path)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(path, &st)) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &names, not_hidden, alphasort);
	if (n < 0) {
		perror(path);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char full[4096];

		if (snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name) < (int)sizeof(full))
			replay(full);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	run(NULL, 0);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%lu files, %lu inputs\n", files, runs);
	if (argc > 1 && !files) {
		fprintf(stderr, "no input files in %s\n", argv[1]);
		return 1;
	}
	return 0;
}
