#include "groups/stored_programs.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "config/config.h"
#include "groups/group_connection.h"
#include "groups/group_set.h"
#include "groups/group_socket.h"
#include "net/socket_file.h"
#include "service/fd_queue.h"
#include "service/store.h"

/* Until systemd has read of two descriptors. */
#define STORED_NS NS_PER_S

void stored_programs_save(const struct group_set *groups, struct store *store)
{
	AUTO_CLOSE int file = memfd_create("mcastd-programs", MFD_CLOEXEC);
	struct fd_queue queue;
	unsigned programs = 0;

	for (size_t i = 0; i < groups->count; i++)
		programs += group_socket_count(groups->items[i]->socket);
	if (!programs || file < 0 || fd_queue_open(&queue) < 0)
		return;
	if (store_add(store, STORE_PROGRAMS, STORED_CHANNELS, file) &&
		store_add(store, STORE_PROGRAMS, STORED_PROGRAMS, queue.out)) {
		/* Empty: what somebody has nested in a socket's queue does not hold it up. */
		store_flush(store, clock_ns(CLOCK_MONOTONIC) + STORED_NS);
		for (size_t i = 0; i < groups->count; i++)
			group_socket_store(groups->items[i]->socket, &queue, file);
		fd_queue_send(&queue);
	}
	fd_queue_close(&queue);
}

/* The group with a socket at the path. */
static struct group *find_group(const struct group_set *groups, const char *path)
{
	char name[SOCKET_FILE_PATH_MAX];
	struct group *group;
	size_t length;

	strcpy(name, strrchr(path, '/') + 1);
	group = group_set_find(groups, name);
	length = strlen(name);
	if (group || length < strlen(STREAM_SUFFIX))
		return group;
	name[length - strlen(STREAM_SUFFIX)] = '\0';
	return group_set_find(groups, name);
}

static bool restore(const struct group_set *groups, int fd, int file)
{
	char path[SOCKET_FILE_PATH_MAX];
	struct group *group = NULL;

	if (socket_file_path(fd, path) >= 0)
		group = find_group(groups, path);
	if (group && file >= 0)
		return group_socket_restore(group->socket, path, fd, file);
	close(fd);
	return false;
}

unsigned stored_programs_restore(const struct group_set *groups, struct store *store)
{
	AUTO_CLOSE int file = store_restore(store, STORE_PROGRAMS, STORED_CHANNELS);
	AUTO_CLOSE int queue = store_restore(store, STORE_PROGRAMS, STORED_PROGRAMS);
	int fds[FD_QUEUE_BATCH];
	unsigned count = 0, taken;

	while (queue >= 0 && (taken = fd_queue_take(queue, fds)))
		for (unsigned i = 0; i < taken; i++)
			count += restore(groups, fds[i], file);
	if (queue >= 0)
		store_remove(store, STORE_PROGRAMS, STORED_PROGRAMS);
	if (file >= 0)
		store_remove(store, STORE_PROGRAMS, STORED_CHANNELS);
	return count;
}
