/* SPDX-License-Identifier: Apache-2.0
 *
 * resolve - getaddrinfo in threads of their own.
 *
 * The resolver object is shared by its owner and the threads under way, and goes with the last of
 * them: getaddrinfo cannot be interrupted, so mf_system_resolver_free does not wait for it.
 */
#include "platform/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job {
	struct mf_system_resolver *owner;
	struct job *next;
	uint16_t port;
	struct mf_resolved answer;
};

struct mf_system_resolver {
	pthread_mutex_t lock;
	int event;
	uint32_t users;   /* the owner and every thread under way */
	uint32_t pending; /* threads under way and answers not taken */
	struct job *done, **done_tail;
};

struct mf_system_resolver *mf_system_resolver_new(void)
{
	struct mf_system_resolver *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event < 0) {
		free(r);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->users = 1;
	r->done_tail = &r->done;
	return r;
}

static void release(struct mf_system_resolver *r)
{
	bool last;

	pthread_mutex_lock(&r->lock);
	last = --r->users == 0;
	pthread_mutex_unlock(&r->lock);
	if (!last)
		return;
	for (struct job *j = r->done, *next; j; j = next) {
		next = j->next;
		free(j);
	}
	close(r->event);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void mf_system_resolver_free(struct mf_system_resolver *r)
{
	if (r)
		release(r);
}

int mf_system_resolver_fd(const struct mf_system_resolver *r)
{
	return r->event;
}

static void add_address(struct mf_resolved *a, const struct sockaddr *sa, uint16_t port)
{
	struct mf_endpoint *e = &a->addr[a->n];

	if (a->n == MF_RESOLVE_MAX)
		return;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		*e = (struct mf_endpoint){ .addr = mf_addr_ip4(&in->sin_addr), .port = port };
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		*e = (struct mf_endpoint){ .addr = mf_addr_ip6(&in6->sin6_addr),
					   .port = port,
					   .scope_id = in6->sin6_scope_id };
	} else {
		return;
	}
	a->n++;
}

static mf_err err_of(int gai)
{
	switch (gai) {
	case 0:
		return MF_OK;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_FAIL:
		return MF_E_NOT_FOUND;
	default: /* EAI_AGAIN, EAI_SYSTEM, EAI_MEMORY: the network may be better later */
		return MF_E_AGAIN;
	}
}

static void look_up(struct job *j)
{
	/* No AI_ADDRCONFIG: addresses may come while we wait, and the caller knows which families it
	 * has sockets for. */
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *list = NULL;
	int gai = getaddrinfo(j->answer.name, NULL, &hints, &list);

	for (struct addrinfo *a = list; a; a = a->ai_next)
		add_address(&j->answer, a->ai_addr, j->port);
	if (list)
		freeaddrinfo(list);
	j->answer.err = err_of(gai);
	j->answer.why = gai == EAI_SYSTEM ? "the system's resolver failed"
			: gai             ? gai_strerror(gai)
					  : "";
	if (!gai && !j->answer.n) {
		j->answer.err = MF_E_NOT_FOUND;
		j->answer.why = "the name has no address";
	}
}

static void *run(void *arg)
{
	static const uint64_t one = 1;
	struct job *j = arg;
	struct mf_system_resolver *r = j->owner;

	look_up(j);
	pthread_mutex_lock(&r->lock);
	*r->done_tail = j;
	r->done_tail = &j->next;
	pthread_mutex_unlock(&r->lock);
	(void)!write(r->event, &one, sizeof(one));
	release(r);
	return NULL;
}

static mf_err start(struct job *j)
{
	pthread_attr_t attr;
	pthread_t id;
	int r;

	if (pthread_attr_init(&attr))
		return MF_E_NO_MEMORY;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Name service modules are other people's code; some put large buffers on the stack. */
	pthread_attr_setstacksize(&attr, 512 << 10);
	r = pthread_create(&id, &attr, run, j);
	pthread_attr_destroy(&attr);
	return r ? MF_E_NO_MEMORY : MF_OK;
}

mf_err mf_system_resolver_ask(struct mf_system_resolver *r, const char *name, uint16_t port,
			      uint64_t tag)
{
	struct job *j;
	bool full;
	mf_err e;

	if (!name[0] || strlen(name) >= MF_RESOLVE_NAME_MAX)
		return MF_E_MALFORMED;
	pthread_mutex_lock(&r->lock);
	full = r->pending == MF_RESOLVE_PENDING_MAX;
	if (!full) {
		r->pending++;
		r->users++;
	}
	pthread_mutex_unlock(&r->lock);
	if (full)
		return MF_E_FULL;
	j = calloc(1, sizeof(*j));
	if (j) {
		j->owner = r;
		j->port = port;
		j->answer.tag = tag;
		snprintf(j->answer.name, sizeof(j->answer.name), "%s", name);
	}
	e = j ? start(j) : MF_E_NO_MEMORY;
	if (!e)
		return MF_OK;
	free(j);
	pthread_mutex_lock(&r->lock);
	r->pending--;
	r->users--;
	pthread_mutex_unlock(&r->lock);
	return e;
}

bool mf_system_resolver_take(struct mf_system_resolver *r, struct mf_resolved *out)
{
	struct job *j;
	uint64_t sink;

	pthread_mutex_lock(&r->lock);
	j = r->done;
	if (j) {
		r->done = j->next;
		r->pending--;
	}
	if (!r->done) {
		r->done_tail = &r->done;
		(void)!read(r->event, &sink, sizeof(sink));
	}
	pthread_mutex_unlock(&r->lock);
	if (!j)
		return false;
	*out = j->answer;
	free(j);
	return true;
}
