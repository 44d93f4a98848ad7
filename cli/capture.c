/* SPDX-License-Identifier: Apache-2.0
 *
 * capture - has the filter compiled, sends the program to the tunnel, and writes the pcapng stream that
 * comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "platform/library.h"

enum { SNAPLEN_MIN = 64, SNAPLEN_MAX = 65535, BLOCK_MAX = 1 << 20 };

/* ---- The filter --------------------------------------------------------------------------------- */

/* libpcap is only loaded here, when there is an expression: it brings eight libraries along, and the
 * program that forwards packets is this same binary. */
struct pcap_library {
	pcap_t *(*open_dead)(int linktype, int snaplen);
	int (*compile)(pcap_t *p, struct bpf_program *fp, const char *text, int optimize,
		       bpf_u_int32 net);
	char *(*geterr)(pcap_t *p);
	void (*freecode)(struct bpf_program *fp);
	void (*close)(pcap_t *p);
};

static bool load_pcap(struct pcap_library *l)
{
	static const char *const files[] = { "libpcap.so.0.8", "libpcap.so.1", "libpcap.so", NULL };
	static const struct mf_library_function functions[] = {
		{ "pcap_open_dead", offsetof(struct pcap_library, open_dead) },
		{ "pcap_compile", offsetof(struct pcap_library, compile) },
		{ "pcap_geterr", offsetof(struct pcap_library, geterr) },
		{ "pcap_freecode", offsetof(struct pcap_library, freecode) },
		{ "pcap_close", offsetof(struct pcap_library, close) },
	};

	return !mf_library_load(files, functions, MF_ARRAY_LEN(functions), l, NULL);
}

static char *join(char **word, int n)
{
	size_t len = 1;
	char *text;

	for (int i = 0; i < n; i++)
		len += strlen(word[i]) + 1;
	text = calloc(1, len);
	for (int i = 0; text && i < n; i++) {
		if (i)
			strcat(text, " ");
		strcat(text, word[i]);
	}
	return text;
}

static json_t *program_of(const struct bpf_program *fp)
{
	json_t *list = json_array();

	for (u_int i = 0; i < fp->bf_len; i++) {
		const struct bpf_insn *b = &fp->bf_insns[i];

		json_array_append_new(list, json_pack("[i, i, i, I]", (int)b->code, (int)b->jt,
						      (int)b->jf, (json_int_t)b->k));
	}
	return list;
}

/* The filter as the request has it. NULL: it has been said what is wrong. */
static json_t *compile(const char *text)
{
	struct pcap_library l = { 0 };
	struct bpf_program fp;
	json_t *list = NULL;
	pcap_t *p;

	if (!load_pcap(&l)) {
		cli_fail("a filter needs libpcap, which is not installed (Debian: libpcap0.8)");
		return NULL;
	}
	p = l.open_dead(DLT_RAW, SNAPLEN_MAX);
	if (!p) {
		cli_fail("libpcap: not enough memory");
		return NULL;
	}
	if (l.compile(p, &fp, text, 1, PCAP_NETMASK_UNKNOWN)) {
		cli_fail("filter: %s; see pcap-filter(7)", l.geterr(p));
	} else {
		list = program_of(&fp);
		l.freecode(&fp);
	}
	l.close(p);
	return list;
}

static json_t *make_request(const struct cli_args *a)
{
	json_t *q = json_pack("{s:s}", "cmd", "capture"), *filter;
	char *text;

	if (a->interface)
		json_object_set_new(q, "interface", json_string(a->interface));
	if (a->node)
		json_object_set_new(q, "node", json_string(a->node));
	if (a->count)
		json_object_set_new(q, "count", json_integer((json_int_t)a->count));
	if (a->snaplen)
		json_object_set_new(q, "snaplen", json_integer((json_int_t)a->snaplen));
	if (!a->n_rest)
		return q;
	text = join(a->rest, a->n_rest);
	filter = text ? compile(text) : NULL;
	free(text);
	if (!filter) {
		json_decref(q);
		return NULL;
	}
	json_object_set_new(q, "filter", filter);
	return q;
}

/* ---- The stream --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

/* The first time: ask the tunnel for the rest. The second time: end. */
static void on_signal(int sig)
{
	if (interrupted++) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART: reading is to end */

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Reads n bytes; an interruption asks the tunnel to finish, once. False: the stream has ended. */
static bool read_bytes(struct cli_client *c, void *to, size_t n, bool *asked)
{
	size_t got = 0;

	while (got < n) {
		size_t k;

		if (interrupted && !*asked) {
			*asked = true;
			(void)send(fileno(c->in), "\n", 1, MSG_NOSIGNAL);
		}
		errno = 0;
		k = fread((char *)to + got, 1, n - got, c->in);
		got += k;
		if (!k) {
			if (!ferror(c->in) || errno != EINTR)
				return false;
			clearerr(c->in);
		}
	}
	return true;
}

/* Blocks are written whole, so that what is written so far can always be read. */
static int copy_blocks(struct cli_client *c, FILE *out, const char *name, uint64_t *packets)
{
	struct {
		uint32_t type, len;
	} head;
	static char body[BLOCK_MAX];
	bool asked = false;

	*packets = 0;
	while (read_bytes(c, &head, sizeof(head), &asked)) {
		if (head.len < 12 || head.len > sizeof(body) || head.len % 4)
			return cli_fail("%s sent something that is not pcapng", c->name);
		if (!read_bytes(c, body, head.len - sizeof(head), &asked))
			break;
		if (fwrite(&head, sizeof(head), 1, out) != 1 ||
		    fwrite(body, head.len - sizeof(head), 1, out) != 1 || fflush(out))
			return cli_fail("writing to %s: %s", name, strerror(errno));
		*packets += head.type == 6;
	}
	return asked || feof(c->in) ? CLI_OK : cli_fail("%s: %s", c->name, strerror(errno));
}

static FILE *open_output(const char *file)
{
	/* What goes through a tunnel is nobody else's business. */
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

static int stream(struct cli_client *c, FILE *out, const char *name)
{
	struct timeval forever = { 0 };
	uint64_t packets = 0;
	int status;

	setsockopt(fileno(c->in), SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	catch_signals();
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "mintflow: capturing on %s, end with Ctrl-C\n", c->name);
	status = copy_blocks(c, out, name, &packets);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\nmintflow: %llu packets\n", (unsigned long long)packets);
	return status;
}

/* The file is only opened once the tunnel has said yes: it may hold an earlier capture. */
static int capture_to(struct cli_client *c, json_t *request, const char *file)
{
	const char *name = file ? file : "standard output";
	json_t *value;
	char *text;
	FILE *out;
	int status = cli_ask(c, request, &text, &value);

	free(text);
	json_decref(value);
	if (status)
		return status;
	out = file ? open_output(file) : stdout;
	if (!out)
		return cli_fail("%s: %s", name, strerror(errno));
	status = stream(c, out, name);
	if (file && fclose(out) && !status)
		status = cli_fail("writing to %s: %s", name, strerror(errno));
	return status;
}

int cli_capture(const struct cli_args *a)
{
	bool to_stdout = !a->file || !strcmp(a->file, "-");
	struct cli_client c;
	json_t *request;
	int status;

	if (a->snaplen && (a->snaplen < SNAPLEN_MIN || a->snaplen > SNAPLEN_MAX)) {
		cli_fail("capture: -s must be %d..%d", SNAPLEN_MIN, SNAPLEN_MAX);
		return CLI_USAGE;
	}
	if (to_stdout && isatty(STDOUT_FILENO)) {
		cli_fail("capture: pcapng is nothing for a terminal; use -w FILE, or `| tshark -i "
			 "-`");
		return CLI_USAGE;
	}
	request = make_request(a);
	if (!request)
		return CLI_FAILED;
	if (!cli_connect(&c, a->name)) {
		json_decref(request);
		return CLI_FAILED;
	}
	status = capture_to(&c, request, to_stdout ? NULL : a->file);
	cli_disconnect(&c);
	return status;
}
