#include "service/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "service/handover.h"

/* So many descriptors are put by. systemd compares each with all that it has: with ten thousand that would take it half a
 * minute. The unit's FileDescriptorStoreMax= is greater. */
#define STORE_MAX 2048

struct store {
	struct handover *handover; /* NULL after store_settle() */
	bool exists;
	unsigned count;
};

struct store *store_new(struct handover *handover)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->handover = handover;
	store->exists = getenv("NOTIFY_SOCKET");
	return store;
}

void store_free(struct store *store)
{
	free(store);
}

int store_claim(struct store *store, const char *name)
{
	int fd = store->handover ? handover_claim(store->handover, name) : -ENOENT;

	if (fd >= 0)
		store->count++;
	return fd;
}

bool store_put(struct store *store, const char *name, int fd)
{
	char *state;
	int r;

	if (!store->exists || store->count >= STORE_MAX)
		return false;
	/* FDPOLL=0: a socket with an error to tell, as when its interface is down, is to be kept all the same. */
	if (asprintf(&state, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name) < 0)
		return false;
	r = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	free(state);
	if (r <= 0)
		return false;
	store->count++;
	return true;
}

static void give_up(const char *name)
{
	sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

void store_remove(struct store *store, const char *name)
{
	give_up(name);
	store->count--;
}

void store_settle(struct store *store, const char *prefix)
{
	const char *name;
	int fd;

	while ((fd = handover_claim_next(store->handover, prefix, &name)) >= 0) {
		give_up(name);
		close(fd);
	}
	store->handover = NULL;
}
