/* SPDX-License-Identifier: Apache-2.0
 *
 * sockbench - many TCP connections from one thread: round trips, connections per second, idle and busy
 * sessions.
 *
 * Both ends are one epoll loop each, so that what is measured is what stands between them. Connections
 * spread over several ports of the server: a client's port that is in TIME-WAIT towards one of them is free
 * for the next, and 200 000 connections in a minute do not run out of ports.
 *
 *   sockbench serve BIND PORT PORTS           echoes; after a first byte X it closes when it has
 *   sockbench rr HOST PORT SIZE CONNS SECONDS     request, answer, request … on CONNS connections
 *   sockbench crr HOST PORT PORTS PARALLEL COUNT SECONDS
 *                                     connect, request, answer, close; until COUNT are done or SECONDS
 *                                     are over (0: no such limit). Every other one is closed by the server
 *   sockbench sessions HOST PORT PORTS COUNT THINK SECONDS
 *                                     opens COUNT, says so, waits for a line; then each of them asks
 *                                     for SECONDS, again THINK seconds after each answer; waits for a
 *                                     line
 *
 * Each prints JSON, a line for each phase. Times are microseconds. `lost` counts connections that ended
 * otherwise than they should.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 256,
	SIZE_MAX_BYTES = 16384,
	SESSION_BYTES = 64,
	OPENING_MAX = 256, /* connection attempts under way when many are opened */
	DRAIN_SECONDS = 10,
};

#define SECOND 1000000000ull

static uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		die("calloc");
	return p;
}

/* One connection of the client. */
struct conn {
	int fd; /* -1: none */
	bool connected;
	bool far_closes; /* the server closes this one */
	bool asking;     /* sessions: a request is under way */
	size_t got;      /* bytes of the answer so far */
	uint64_t asked;  /* when the request, or crr's connection, began */
	struct conn *next;
};

struct samples {
	uint32_t *v; /* nanoseconds */
	size_t n, cap;
};

struct client {
	struct sockaddr_storage to;
	socklen_t to_len;
	uint16_t port, ports;
	unsigned turn; /* of the ports */
	int epoll;
	struct conn *conns;
	size_t n_conns;
	size_t size; /* of a request and of its answer */
	struct samples samples;
	uint64_t lost;
	int last_error; /* errno of the last one lost */
};

static void sample(struct samples *s, uint64_t nsec)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 1 << 16;
		s->v = realloc(s->v, s->cap * sizeof(*s->v));
		if (!s->v)
			die("realloc");
	}
	s->v[s->n++] = nsec > UINT32_MAX ? UINT32_MAX : (uint32_t)nsec;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct samples *s, double p)
{
	return s->n ? s->v[(size_t)((double)(s->n - 1) * p)] / 1e3 : 0;
}

static void print_result(struct client *c, const char *phase, uint64_t nsec)
{
	struct samples *s = &c->samples;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	printf("{\"phase\":\"%s\",\"count\":%zu,\"seconds\":%.6f,\"lost\":%" PRIu64
	       ",\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f,\"error\":\"%s\"}\n",
	       phase, s->n, (double)nsec / 1e9, c->lost, percentile(s, 0.5), percentile(s, 0.99),
	       percentile(s, 1), c->last_error ? strerror(c->last_error) : "");
	fflush(stdout);
	s->n = 0;
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || v > max) {
		fprintf(stderr, "sockbench: not a number up to %u: %s\n", max, text);
		exit(2);
	}
	return (unsigned)v;
}

static void resolve(const char *host, struct sockaddr_storage *to, socklen_t *len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
	struct addrinfo *ai;

	if (getaddrinfo(host, "0", &hints, &ai)) {
		fprintf(stderr, "sockbench: no address: %s\n", host);
		exit(2);
	}
	memcpy(to, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static void set_port(struct sockaddr_storage *to, uint16_t port)
{
	if (to->ss_family == AF_INET6)
		((struct sockaddr_in6 *)to)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)to)->sin_port = htons(port);
}

/* As many descriptors as may be, and sleeps that end on time. */
static void prepare_process(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		die("getrlimit");
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r))
		die("setrlimit");
	(void)prctl(PR_SET_TIMERSLACK, 1000);
}

static void watch(int epoll, int fd, uint32_t events, void *ptr)
{
	struct epoll_event e = { .events = events, .data.ptr = ptr };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

/* ---- The server -------------------------------------------------------------------------------- */

/* What is open at the server: a listener, or a connection that echoes. */
struct peer {
	int fd;
	bool listener;
	bool closes; /* after its first answer */
	bool heard;
};

static struct peer *new_peer(int fd, bool listener)
{
	struct peer *p = allocate(1, sizeof(*p));

	p->fd = fd;
	p->listener = listener;
	return p;
}

static void accept_all(int epoll, int listener)
{
	static const int one = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(epoll, fd, EPOLLIN, new_peer(fd, false));
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		die("accept4");
}

/* Requests are small and answered one by one, so an answer always fits the socket's buffer. */
static void serve_peer(struct peer *p)
{
	static char data[SIZE_MAX_BYTES];
	ssize_t n = recv(p->fd, data, sizeof(data), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && !p->heard) {
		p->heard = true;
		p->closes = data[0] == 'X';
	}
	if (n > 0 && send(p->fd, data, (size_t)n, MSG_NOSIGNAL) == n && !p->closes)
		return;
	close(p->fd);
	free(p);
}

static int listen_on(struct sockaddr_storage *at, socklen_t len, uint16_t port)
{
	static const int one = 1;
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	set_port(at, port);
	if (bind(fd, (struct sockaddr *)at, len) || listen(fd, 4096))
		die("listen");
	return fd;
}

static int run_serve(int argc, char **argv)
{
	struct epoll_event ev[EVENTS];
	struct sockaddr_storage at;
	socklen_t len;
	unsigned port, ports;
	int epoll;

	if (argc != 3)
		return 2;
	resolve(argv[0], &at, &len);
	port = number(argv[1], 65535);
	ports = number(argv[2], 65535 - port);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < ports; i++) {
		int fd = listen_on(&at, len, (uint16_t)(port + i));

		watch(epoll, fd, EPOLLIN, new_peer(fd, true));
	}
	for (;;) {
		int n = epoll_wait(epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct peer *p = ev[i].data.ptr;

			if (p->listener)
				accept_all(epoll, p->fd);
			else
				serve_peer(p);
		}
	}
}

/* ---- The client's connections ------------------------------------------------------------------ */

static void client_init(struct client *c, const char *host, const char *port, unsigned ports,
			size_t n_conns, size_t size)
{
	resolve(host, &c->to, &c->to_len);
	c->port = (uint16_t)number(port, 65535);
	c->ports = (uint16_t)ports;
	c->n_conns = n_conns;
	c->size = size;
	c->conns = allocate(n_conns, sizeof(*c->conns));
	for (size_t i = 0; i < n_conns; i++)
		c->conns[i].fd = -1;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0 || !c->ports)
		die("epoll_create1");
}

static void client_fini(struct client *c)
{
	free(c->conns);
	free(c->samples.v);
	close(c->epoll);
}

static void conn_close(struct conn *k)
{
	close(k->fd);
	k->fd = -1;
}

static void conn_lose(struct client *c, struct conn *k, int error)
{
	c->lost++;
	c->last_error = error;
	conn_close(k);
}

/* False: it is lost at once. */
static bool conn_open(struct client *c, struct conn *k)
{
	static const int one = 1;

	*k = (struct conn){ .asked = now_nsec(), .far_closes = c->turn & 1 };
	k->fd = socket(c->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (k->fd < 0)
		die("socket");
	(void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_port(&c->to, (uint16_t)(c->port + c->turn++ % c->ports));
	if (connect(k->fd, (struct sockaddr *)&c->to, c->to_len) && errno != EINPROGRESS) {
		conn_lose(c, k, errno);
		return false;
	}
	/* Edge-triggered: one event when it is connected, one for each answer, one at the end. */
	watch(c->epoll, k->fd, EPOLLIN | EPOLLOUT | EPOLLET, k);
	return true;
}

/* True if it is connected now (it may have been before); false: not yet, or lost. */
static bool conn_ready(struct client *c, struct conn *k, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (k->connected)
		return true;
	if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return false;
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		conn_lose(c, k, error);
		return false;
	}
	k->connected = true;
	return true;
}

/* The connection may be gone afterwards. */
static void conn_ask(struct client *c, struct conn *k, char first)
{
	static char data[SIZE_MAX_BYTES];

	data[0] = first;
	k->got = 0;
	if (send(k->fd, data, c->size, MSG_NOSIGNAL) != (ssize_t)c->size)
		conn_lose(c, k, errno);
}

enum answer { ANSWER_NOT_YET, ANSWER_WHOLE, ANSWER_END, ANSWER_LOST };

/* Reads what there is, one answer at most; ANSWER_END: the server has closed. */
static enum answer conn_read(struct client *c, struct conn *k)
{
	static char data[SIZE_MAX_BYTES];

	for (;;) {
		ssize_t n = recv(k->fd, data, sizeof(data), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return ANSWER_NOT_YET;
		if (n < 0) {
			conn_lose(c, k, errno);
			return ANSWER_LOST;
		}
		if (!n)
			return ANSWER_END;
		k->got += (size_t)n;
		if (k->got >= c->size)
			return ANSWER_WHOLE;
	}
}

static int wait_events(struct client *c, struct epoll_event *ev, uint64_t until)
{
	uint64_t now = now_nsec();
	uint64_t left = until > now ? until - now : 0;
	struct timespec t = { .tv_sec = (time_t)(left / SECOND), .tv_nsec = (long)(left % SECOND) };
	int n = epoll_pwait2(c->epoll, ev, EVENTS, &t, NULL);

	if (n < 0 && errno != EINTR)
		die("epoll_pwait2");
	return n < 0 ? 0 : n;
}

/* ---- rr ---------------------------------------------------------------------------------------- */

static void rr_event(struct client *c, struct conn *k, uint32_t events)
{
	bool was = k->connected;

	if (!conn_ready(c, k, events))
		return;
	if (was) {
		enum answer a = conn_read(c, k);

		if (a == ANSWER_END)
			conn_lose(c, k, ECONNRESET);
		if (a != ANSWER_WHOLE)
			return;
		sample(&c->samples, now_nsec() - k->asked);
	}
	k->asked = now_nsec();
	conn_ask(c, k, 'E');
}

static int run_rr(int argc, char **argv)
{
	struct client c = { .lost = 0 };
	struct epoll_event ev[EVENTS];
	uint64_t start, end;

	if (argc != 5)
		return 2;
	client_init(&c, argv[0], argv[1], 1, number(argv[3], 20000), number(argv[2], SIZE_MAX_BYTES));
	start = now_nsec();
	end = start + (uint64_t)(strtod(argv[4], NULL) * 1e9);
	for (size_t i = 0; i < c.n_conns; i++)
		(void)conn_open(&c, &c.conns[i]);
	while (now_nsec() < end) {
		int n = wait_events(&c, ev, end);

		for (int i = 0; i < n; i++)
			rr_event(&c, ev[i].data.ptr, ev[i].events);
	}
	print_result(&c, "rr", now_nsec() - start);
	client_fini(&c);
	return 0;
}

/* ---- crr --------------------------------------------------------------------------------------- */

/* True when this connection has ended, one way or the other. */
static bool crr_event(struct client *c, struct conn *k, uint32_t events)
{
	bool was = k->connected;

	if (!conn_ready(c, k, events))
		return k->fd < 0;
	if (!was)
		conn_ask(c, k, k->far_closes ? 'X' : 'E');
	if (k->fd < 0)
		return true;
	for (;;) {
		enum answer a = conn_read(c, k);

		if (a == ANSWER_NOT_YET)
			return false;
		if (a == ANSWER_LOST)
			return true;
		if (a == ANSWER_WHOLE && k->far_closes)
			continue; /* the end is still to come */
		if (a == ANSWER_END && (!k->far_closes || k->got != c->size)) {
			conn_lose(c, k, ECONNRESET);
			return true;
		}
		sample(&c->samples, now_nsec() - k->asked);
		conn_close(k);
		return true;
	}
}

struct crr {
	struct client c;
	uint64_t count, begun; /* connections; 0: no limit */
	uint64_t end, last;    /* when to begin no more; when the last one ended */
	size_t open;
};

/* Begins the next one in this place, unless enough have been begun. One that is lost at once counts. */
static void crr_begin(struct crr *r, struct conn *k)
{
	while ((!r->count || r->begun < r->count) && now_nsec() < r->end) {
		r->begun++;
		if (conn_open(&r->c, k)) {
			r->open++;
			return;
		}
	}
}

static int run_crr(int argc, char **argv)
{
	struct crr r = { .open = 0 };
	struct epoll_event ev[EVENTS];
	uint64_t start;

	if (argc != 6)
		return 2;
	client_init(&r.c, argv[0], argv[1], number(argv[2], 65535), number(argv[3], 20000), 1);
	r.count = number(argv[4], 1u << 30);
	start = r.last = now_nsec();
	r.end = *argv[5] == '0' ? UINT64_MAX : start + (uint64_t)(strtod(argv[5], NULL) * 1e9);
	for (size_t i = 0; i < r.c.n_conns; i++)
		crr_begin(&r, &r.c.conns[i]);
	/* After the end, those under way may finish; a connection that hangs is lost. */
	while (r.open && now_nsec() - r.last < DRAIN_SECONDS * SECOND) {
		int n = wait_events(&r.c, ev, r.last + DRAIN_SECONDS * SECOND);

		for (int i = 0; i < n; i++) {
			struct conn *k = ev[i].data.ptr;

			if (k->fd < 0 || !crr_event(&r.c, k, ev[i].events))
				continue;
			r.last = now_nsec();
			r.open--;
			crr_begin(&r, k);
		}
	}
	if (r.open) {
		r.c.lost += r.open;
		r.c.last_error = ETIMEDOUT;
	}
	print_result(&r.c, "crr", r.last - start);
	client_fini(&r.c);
	return 0;
}

/* ---- sessions ---------------------------------------------------------------------------------- */

/* Those that will ask next, the next one first: everybody thinks equally long. */
struct queue {
	struct conn *first, **last;
	size_t asking; /* not in the queue: they wait for an answer */
};

static void queue_put(struct queue *q, struct conn *k)
{
	k->next = NULL;
	*q->last = k;
	q->last = &k->next;
}

static struct conn *queue_take(struct queue *q)
{
	struct conn *k = q->first;

	q->first = k->next;
	if (!q->first)
		q->last = &q->first;
	return k;
}

/* The handshake of one is over, well or not; false: it goes on, or was over before. */
static bool open_event(struct client *c, struct conn *k, uint32_t events)
{
	if (k->connected || k->fd < 0)
		return false;
	if (conn_ready(c, k, events))
		sample(&c->samples, now_nsec() - k->asked);
	return k->connected || k->fd < 0;
}

static void open_all(struct client *c)
{
	struct epoll_event ev[EVENTS];
	size_t begun = 0, done = 0;
	uint64_t last = now_nsec();

	while (done < c->n_conns && now_nsec() - last < DRAIN_SECONDS * SECOND) {
		int n;

		while (begun < c->n_conns && begun - done < OPENING_MAX)
			done += !conn_open(c, &c->conns[begun++]);
		n = wait_events(c, ev, last + DRAIN_SECONDS * SECOND);
		for (int i = 0; i < n; i++) {
			if (!open_event(c, ev[i].data.ptr, ev[i].events))
				continue;
			last = now_nsec();
			done++;
		}
	}
	for (size_t i = 0; i < c->n_conns; i++) {
		if (c->conns[i].fd >= 0 && !c->conns[i].connected)
			conn_lose(c, &c->conns[i], ETIMEDOUT);
	}
}

/* Whether there was a line. */
static bool wait_for_line(void)
{
	char line[16];

	return fgets(line, sizeof(line), stdin) != NULL;
}

static void sessions_event(struct client *c, struct conn *k, struct queue *q, uint64_t think)
{
	bool was_asking = k->asking;
	enum answer a;

	if (k->fd < 0)
		return;
	a = conn_read(c, k);
	if (a == ANSWER_NOT_YET)
		return;
	if (a == ANSWER_END)
		conn_lose(c, k, ECONNRESET);
	q->asking -= was_asking;
	k->asking = false;
	if (a != ANSWER_WHOLE || !was_asking)
		return;
	/* From when it should have asked: a late request is not a fast one. */
	sample(&c->samples, now_nsec() - k->asked);
	k->asked += think;
	queue_put(q, k);
}

static void sessions_ask(struct client *c, struct queue *q)
{
	struct conn *k = queue_take(q);

	if (k->fd < 0)
		return;
	conn_ask(c, k, 'E');
	k->asking = k->fd >= 0;
	q->asking += k->asking;
}

/* Until `end`, and then until all that were asked have been answered. */
static void sessions_run(struct client *c, uint64_t think, uint64_t nsec)
{
	uint64_t start = now_nsec(), end = start + nsec, limit = end + DRAIN_SECONDS * SECOND, now;
	struct epoll_event ev[EVENTS];
	struct queue q = { .last = &q.first };

	for (size_t i = 0; i < c->n_conns; i++) {
		c->conns[i].asked = start + think * i / c->n_conns;
		queue_put(&q, &c->conns[i]);
	}
	while ((now = now_nsec()) < end || (q.asking && now < limit)) {
		int n;

		while (q.first && q.first->asked <= now && now < end)
			sessions_ask(c, &q);
		n = wait_events(c, ev,
				now >= end                        ? limit
				: q.first && q.first->asked < end ? q.first->asked
								  : end);
		for (int i = 0; i < n; i++)
			sessions_event(c, ev[i].data.ptr, &q, think);
	}
	c->lost += q.asking;
	print_result(c, "active", nsec);
}

static int run_sessions(int argc, char **argv)
{
	struct client c = { .lost = 0 };
	uint64_t start = now_nsec();

	if (argc != 6)
		return 2;
	client_init(&c, argv[0], argv[1], number(argv[2], 65535), number(argv[3], 1u << 20),
		    SESSION_BYTES);
	open_all(&c);
	print_result(&c, "open", now_nsec() - start);
	if (wait_for_line()) {
		sessions_run(&c, (uint64_t)(strtod(argv[4], NULL) * 1e9),
			     (uint64_t)(strtod(argv[5], NULL) * 1e9));
		(void)wait_for_line();
	}
	client_fini(&c);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} modes[] = { { "serve", run_serve },
		      { "rr", run_rr },
		      { "crr", run_crr },
		      { "sessions", run_sessions } };
	int r = 2;

	prepare_process();
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++) {
		if (!strcmp(argv[1], modes[i].name))
			r = modes[i].run(argc - 2, argv + 2);
	}
	if (r == 2)
		fprintf(stderr, "usage: sockbench serve BIND PORT PORTS\n"
				"       sockbench rr HOST PORT SIZE CONNS SECONDS\n"
				"       sockbench crr HOST PORT PORTS PARALLEL COUNT SECONDS\n"
				"       sockbench sessions HOST PORT PORTS COUNT THINK SECONDS\n");
	return r;
}
