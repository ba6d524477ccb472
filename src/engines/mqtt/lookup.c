#include "engines/mqtt/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

/* Threads that a name service never answers stay for good: no more than these. */
#define THREADS_MAX 8

static atomic_uint threads; /* of the process, as its limit is */

/* Of the thread and of the caller; whoever lets go last frees it. */
struct lookup {
	atomic_uint references;
	int fd;
	atomic_bool is_over; /* what follows is there */
	int error; /* of getaddrinfo(3) */
	struct addrinfo *found, *next;
	char host[HOST_MAX + 1];
};

static void release(struct lookup *lookup)
{
	if (--lookup->references)
		return;
	closep(&lookup->fd);
	if (lookup->found)
		freeaddrinfo(lookup->found);
	free(lookup);
}

static int ask(struct lookup *lookup, int flags)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};

	return getaddrinfo(lookup->host, NULL, &hints, &lookup->found);
}

static void finish(struct lookup *lookup)
{
	lookup->next = lookup->found;
	lookup->is_over = true;
	eventfd_write(lookup->fd, 1);
}

static void *lookup_main(void *argument)
{
	struct lookup *lookup = argument;

	lookup->error = ask(lookup, 0);
	finish(lookup);
	release(lookup);
	threads--;
	return NULL;
}

/* Detached, with all signals blocked as the caller has them. */
static int start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int r;

	if (++threads > THREADS_MAX) {
		threads--;
		return -EBUSY;
	}
	lookup->references++;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attributes, lookup_main, lookup);
	pthread_attr_destroy(&attributes);
	if (r) {
		lookup->references--;
		threads--;
	}
	return -r;
}

int lookup_start(const char *host, struct lookup **ret)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	int r = 0;

	if (!lookup)
		return -ENOMEM;
	lookup->references = 1;
	strncpy(lookup->host, host, HOST_MAX);
	lookup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (lookup->fd < 0)
		r = -errno;
	else if (!ask(lookup, AI_NUMERICHOST))
		finish(lookup);
	else
		r = start_thread(lookup);
	if (r < 0)
		release(lookup);
	else
		*ret = lookup;
	return r;
}

int lookup_fd(const struct lookup *lookup)
{
	return lookup->fd;
}

bool lookup_next(struct lookup *lookup, char ret[static NUMBER_MAX])
{
	struct addrinfo *at = lookup->is_over ? lookup->next : NULL;

	if (!at)
		return false;
	lookup->next = at->ai_next;
	return !getnameinfo(at->ai_addr, at->ai_addrlen, ret, NUMBER_MAX, NULL, 0, NI_NUMERICHOST);
}

const char *lookup_error(const struct lookup *lookup)
{
	if (!lookup->is_over || lookup->found)
		return NULL;
	return lookup->error ? gai_strerror(lookup->error) : "it has no address";
}

void lookup_free(struct lookup *lookup)
{
	if (lookup)
		release(lookup);
}
