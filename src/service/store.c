#include "service/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/units.h"
#include "service/notify.h"

/* Of each share: 2048 memberships and the counters; 512 groups; the queue of programs and what is
 * known of them. FileDescriptorStoreMax= of systemd/common.conf is greater than all of them. */
static const unsigned maxima[STORE_SHARES] = {2049, 1024, 2};

/* Maximum number of queued requests up to which more is stored. What is removed was stored once, so
 * that this bounds removals, too. */
#define QUEUE_MAX 4096

struct item {
	char *name;
	int fd; /* -1: taken */
};

struct store {
	struct notify *notify; /* NULL: nothing can be stored */
	unsigned capacity[STORE_SHARES];
	unsigned count[STORE_SHARES]; /* what systemd holds once all requests are read */
	unsigned refused; /* of memberships */
	size_t item_count;
	struct item *items; /* what was passed at the start, sorted by name */
};

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, ((const struct item *)item)->name);
}

/* systemd 254 and later tell what FileDescriptorStoreMax= is. What is less goes to the first
 * shares. */
static void find_capacity(unsigned capacity[static STORE_SHARES])
{
	const char *text = getenv("FDSTORE");
	uint64_t left;

	if (!text || parse_number(text, UINT32_MAX, &left) < 0)
		left = UINT32_MAX;
	for (size_t i = 0; i < STORE_SHARES; i++) {
		capacity[i] = left < maxima[i] ? (unsigned)left : maxima[i];
		left -= capacity[i];
	}
}

int store_new(struct notify *notify, struct store **ret)
{
	AUTO_FREE char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	struct store *store = count < 0 ? NULL : calloc(1, sizeof(*store));

	if (!store)
		return count < 0 ? count : -ENOMEM;
	store->notify = notify;
	find_capacity(store->capacity);
	store->items = calloc((size_t)count + 1, sizeof(*store->items));
	if (!store->items) {
		free(store);
		return -ENOMEM;
	}
	store->item_count = (size_t)count;
	for (int i = 0; i < count; i++)
		store->items[i] = (struct item){.name = names[i], .fd = SD_LISTEN_FDS_START + i};
	qsort(store->items, store->item_count, sizeof(*store->items), compare_items);
	*ret = store;
	return 0;
}

void store_settle(struct store *store)
{
	for (size_t i = 0; i < store->item_count; i++) {
		closep(&store->items[i].fd);
		free(store->items[i].name);
	}
	free(take(store->items));
	store->item_count = 0;
}

void store_free(struct store *store)
{
	if (!store)
		return;
	store_settle(store);
	free(store);
}

/* The first item whose name is equal in the first length bytes, and that nobody has taken; or NULL.
 */
static struct item *find(struct store *store, const char *name, size_t length)
{
	size_t i = lower_bound(
		name, store->items, store->item_count, sizeof(*store->items), compare_name);

	for (; i < store->item_count && !strncmp(store->items[i].name, name, length); i++)
		if (store->items[i].fd >= 0)
			return &store->items[i];
	return NULL;
}

int store_listening(struct store *store, const char *name)
{
	struct item *item = find(store, name, strlen(name) + 1);

	return item ? take_fd(item->fd) : -ENOENT;
}

int store_peek(struct store *store, const char *name)
{
	const struct item *item = find(store, name, strlen(name) + 1);

	return item ? item->fd : -ENOENT;
}

int store_restore(struct store *store, enum store_share share, const char *name)
{
	int fd = store_listening(store, name);

	store->count[share] += fd >= 0;
	return fd;
}

int store_restore_next(struct store *store, enum store_share share, const char *prefix,
	char ret_name[static STORE_NAME_MAX])
{
	struct item *item = find(store, prefix, strlen(prefix));

	if (!item)
		return -ENOENT;
	snprintf(ret_name, STORE_NAME_MAX, "%s", item->name);
	store->count[share]++;
	return take_fd(item->fd);
}

bool store_add(struct store *store, enum store_share share, const char *name, int fd)
{
	int copy;

	if (!store->notify)
		return false;
	if (store->count[share] >= store->capacity[share] ||
		notify_stores_queued(store->notify) >= QUEUE_MAX) {
		store->refused += share == STORE_MEMBERSHIPS;
		return false;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || !notify_store(store->notify, name, copy))
		return false;
	store->count[share]++;
	return true;
}

void store_remove(struct store *store, enum store_share share, const char *name)
{
	if (store->notify && notify_store(store->notify, name, -1))
		store->count[share]--;
}

bool store_exists(const struct store *store)
{
	return store->notify;
}

unsigned store_capacity(const struct store *store)
{
	return store->capacity[STORE_MEMBERSHIPS];
}

unsigned store_refused(const struct store *store)
{
	return store->refused;
}

void store_flush(struct store *store, uint64_t deadline_ns)
{
	if (!notify_flush(store->notify, deadline_ns))
		store->notify = NULL;
}
