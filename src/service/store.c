#include "service/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "service/handover.h"

/* So many descriptors are put by. systemd compares each with all that it has: ten thousand would
 * take it half a minute. The unit's FileDescriptorStoreMax= is greater. */
#define STORE_MAX 2048

/* More are not put by before systemd has taken some. What is removed was put at some time, so that
 * this bounds both. */
#define QUEUE_MAX 4096

/* After so many messages the thread waits until systemd has read them. Its socket takes ten, or
 * some hundred (net.unix.max_dgram_qlen), and what the loop has to say, such as that it lives, must
 * not wait for room. */
#define UNREAD_MAX 8
#define BARRIER_US 5000000

/* What systemd is to be told. */
struct message {
	struct message *next;
	int fd; /* to keep, ours; -1: the name is to be given up */
	char name[STORE_NAME_MAX];
};

struct store {
	struct handover *handover; /* NULL after store_settle() */
	bool exists;
	unsigned count; /* as it will be */
	unsigned refused;
	pthread_t thread;
	bool has_thread;
	/* Under the lock: */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct message *first, **last;
	unsigned queued;
	bool ends;
};

static void tell(const struct message *message)
{
	char state[STORE_NAME_MAX + 64];

	if (message->fd < 0) {
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", message->name);
		return;
	}
	/* FDPOLL=0: a socket with an error to tell, as when its interface is down, is to be kept
	 * all the same. */
	snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", message->name);
	sd_pid_notify_with_fds(0, 0, state, &message->fd, 1);
}

/* The next message, after however long it takes; NULL at the end. */
static struct message *next_message(struct store *store)
{
	struct message *message;

	pthread_mutex_lock(&store->lock);
	while (!store->first && !store->ends)
		pthread_cond_wait(&store->changed, &store->lock);
	message = store->first;
	if (message && !(store->first = message->next))
		store->last = &store->first;
	store->queued -= message != NULL;
	pthread_mutex_unlock(&store->lock);
	return message;
}

static void *run(void *argument)
{
	struct message *message;
	unsigned unread = 0;

	while ((message = next_message(argument))) {
		tell(message);
		closep(&message->fd);
		free(message);
		if (++unread % UNREAD_MAX == 0)
			sd_notify_barrier(0, BARRIER_US);
	}
	return NULL;
}

/* All signals are the loop's business. */
static void start_thread(struct store *store)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	store->has_thread = pthread_create(&store->thread, NULL, run, store) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!store->has_thread)
		log_warning("no thread could be started: systemd is told of the sockets only at "
			    "the stop");
}

struct store *store_new(struct handover *handover)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->handover = handover;
	store->exists = getenv("NOTIFY_SOCKET");
	store->last = &store->first;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->changed, NULL);
	return store;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	store->ends = true;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->lock);
	if (store->has_thread)
		pthread_join(store->thread, NULL);
	else
		run(store);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

/* Takes fd over. Returns whether it will be told. */
static bool queue(struct store *store, const char *name, int fd)
{
	struct message *message = store->exists ? calloc(1, sizeof(*message)) : NULL;

	if (!message) {
		closep(&fd);
		return false;
	}
	message->fd = fd;
	snprintf(message->name, sizeof(message->name), "%s", name);
	pthread_mutex_lock(&store->lock);
	*store->last = message;
	store->last = &message->next;
	store->queued++;
	pthread_cond_signal(&store->changed);
	pthread_mutex_unlock(&store->lock);
	return true;
}

int store_claim(struct store *store, const char *name)
{
	return store->handover ? handover_claim(store->handover, name) : -ENOENT;
}

int store_claim_next(struct store *store, const char *prefix, char ret_name[static STORE_NAME_MAX])
{
	const char *name;
	int fd = store->handover ? handover_claim_next(store->handover, prefix, &name) : -ENOENT;

	if (fd >= 0)
		snprintf(ret_name, STORE_NAME_MAX, "%s", name);
	return fd;
}

static bool is_busy(struct store *store)
{
	bool busy;

	pthread_mutex_lock(&store->lock);
	busy = store->queued >= QUEUE_MAX;
	pthread_mutex_unlock(&store->lock);
	return busy;
}

bool store_put(struct store *store, const char *name, int fd)
{
	int copy;

	if (!store->exists)
		return false;
	if (store->count >= STORE_MAX || is_busy(store)) {
		store->refused++;
		return false;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || !queue(store, name, copy))
		return false;
	store->count++;
	return true;
}

void store_remove(struct store *store, const char *name)
{
	queue(store, name, -1);
	if (store->count)
		store->count--;
}

bool store_exists(const struct store *store)
{
	return store->exists;
}

unsigned store_refused(const struct store *store)
{
	return store->refused;
}

/* The thread comes after the start, whose time it would take: it has as much to say as there are
 * sockets. */
void store_settle(struct store *store)
{
	store->handover = NULL;
	if (store->exists)
		start_thread(store);
}
