#include "groups/group_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "groups/group_connection.h"
#include "net/descriptors.h"
#include "net/listener.h"
#include "service/store.h"

/* Of the file where a list names who may: each program is judged when it connects. */
#define OPEN_MODE 0666

static const struct socket_kind *const kinds[GROUP_SOCKETS] = {&packets_kind, &stream_kind};

#define DOORS GROUP_SOCKETS

/* One of the sockets. */
struct door {
	struct group_socket *socket;
	const struct socket_kind *kind;
	struct listener
		*listener; /* NULL: its path would be too long, or it is not inherited yet */
	bool is_inherited; /* from the group that this one replaces */
	bool is_stored;
	char stored_name[STORE_NAME_MAX];
};

struct group_socket {
	struct group_programs programs;
	struct door doors[DOORS];
};

static void on_accept(int fd, void *argument)
{
	struct door *door = argument;

	group_connection_accept(&door->socket->programs, door->kind, fd);
}

/* The path of one of the sockets at path. Returns false where it would be too long, and the socket
 * is left out: not that of the group's own name, which the configuration has checked. */
static bool name_door(
	const struct socket_kind *kind, const char *path, char ret[static SOCKET_FILE_PATH_MAX])
{
	return snprintf(ret, SOCKET_FILE_PATH_MAX, "%s%s", path, kind->suffix) <
	       SOCKET_FILE_PATH_MAX;
}

/* Whether a group that replaces another one takes this socket over. */
static bool is_inherited(const struct group_socket *replaced, size_t i, const char *path)
{
	return replaced && replaced->doors[i].listener &&
	       listener_is_at(replaced->doors[i].listener, path);
}

/* The permissions of the files. */
static mode_t mode_of(const struct config_group *config)
{
	return permission_names_others(config) ? OPEN_MODE : (mode_t)config->socket_mode;
}

static gid_t group_of(const struct group *group)
{
	bool is_given = group->config->socket_group.kind == PRINCIPAL_GROUP &&
			!permission_names_others(group->config);

	return is_given ? group->owner.gid : (gid_t)-1;
}

static int check_path(
	const char *path, const struct socket_kind *kind, pid_t running, char why[static WHY_MAX])
{
	int r = socket_file_check(path, why);

	if (r == -EADDRINUSE && running && socket_file_owner(path, kind->type) == running)
		return 0;
	return r == -ENOENT ? 0 : r;
}

static int check_owner(const struct config_group *config, char why[static WHY_MAX])
{
	const struct principal *owner = &config->socket_group;

	if (owner->kind != PRINCIPAL_GROUP || permission_names_others(config))
		return 0;
	return socket_file_check_group(owner->id, why);
}

int group_socket_check(const struct config_group *config, const char *path,
	const struct group_socket *replaced, pid_t running, char why[static WHY_MAX])
{
	char name[SOCKET_FILE_PATH_MAX];
	int r = check_owner(config, why);

	for (size_t i = 0; i < DOORS && r >= 0; i++)
		if (name_door(kinds[i], path, name) && !is_inherited(replaced, i, name))
			r = check_path(name, kinds[i], running, why);
	return r;
}

bool group_socket_is_removed(const struct group_socket *socket)
{
	for (size_t i = 0; socket && i < DOORS; i++)
		if (socket->doors[i].listener && !listener_has_file(socket->doors[i].listener))
			return true;
	return false;
}

unsigned group_socket_doors(const char *path, const struct group_socket *replaced)
{
	char name[SOCKET_FILE_PATH_MAX];
	unsigned count = 0;

	for (size_t i = 0; i < DOORS; i++)
		count += name_door(kinds[i], path, name) && !is_inherited(replaced, i, name);
	return count;
}

/* That of an earlier run, if there is one: programs have connected to it meanwhile. */
static int restore_door(struct door *door, struct listener_options *options)
{
	const struct group_context *context = door->socket->programs.group->context;
	char why[WHY_MAX];
	int fd = store_restore(context->store, STORE_SOCKETS, door->stored_name), r;

	if (fd < 0)
		return fd;
	options->fd = fd;
	options->is_restored = true;
	r = listener_new(context->base, options, on_accept, why, &door->listener);
	door->is_stored = r >= 0;
	if (r < 0)
		store_remove(context->store, STORE_SOCKETS, door->stored_name);
	options->fd = 0;
	return r;
}

static int open_door(struct door *door, const char *path, char why[static WHY_MAX])
{
	const struct group *group = door->socket->programs.group;
	struct listener_options options = {.path = path,
		.type = door->kind->type,
		.mode = mode_of(group->config),
		.group = group_of(group),
		.turns = group->context->accepting};

	int r;

	if (restore_door(door, &options) >= 0)
		return 0;
	r = descriptors_check(1, why);
	return r < 0 ? r
		     : listener_new(
			       group->context->base, &options, on_accept, why, &door->listener);
}

static void name_stored(struct door *door, const char *path)
{
	snprintf(door->stored_name, sizeof(door->stored_name), STORED_SOCKET "%016" PRIx64,
		hash_bytes(HASH_BEGIN, path, strlen(path)));
}

int group_socket_new(struct group *group, const char *path, const struct group_socket *replaced,
	char why[static WHY_MAX], struct group_socket **ret)
{
	int r = check_owner(group->config, why);
	struct group_socket *socket = r < 0 ? NULL : calloc(1, sizeof(*socket));
	char name[SOCKET_FILE_PATH_MAX];

	if (!socket)
		return r < 0 ? r : because(why, -ENOMEM, "out of memory");
	group_programs_init(&socket->programs, group);
	for (size_t i = 0; i < DOORS; i++)
		socket->doors[i].socket = socket;
	for (size_t i = 0; i < DOORS && r >= 0; i++) {
		struct door *door = &socket->doors[i];

		door->kind = kinds[i];
		if (!name_door(door->kind, path, name))
			continue;
		name_stored(door, name);
		door->is_inherited = is_inherited(replaced, i, name);
		if (!door->is_inherited)
			r = open_door(door, name, why);
	}
	if (r < 0) {
		group_socket_free(socket);
		return r;
	}
	*ret = socket;
	return 0;
}

static void inherit(struct door *door, struct door *from)
{
	const struct group *group = door->socket->programs.group;
	int r;

	door->listener = take(from->listener);
	door->is_stored = from->is_stored;
	r = listener_permit(door->listener, mode_of(group->config), group_of(group));
	if (r < 0)
		log_error(
			"group %s: changing who may connect to %s%s: %s; a restart makes it again",
			group->config->name, group->config->name, door->kind->suffix, strerror(-r));
}

/* Somebody had removed the file: there is a new socket. The fd store knows both by one name, so
 * that the old one is forgotten before the new one is stored. */
static void succeed(const struct door *door, struct door *from)
{
	const struct group_context *context = door->socket->programs.group->context;
	const char *group = door->socket->programs.group->config->name;

	log_notice("group %s: its socket %s%s was removed by somebody, and is there again", group,
		group, door->kind->suffix);
	if (from->is_stored)
		store_remove(context->store, STORE_SOCKETS, from->stored_name);
	from->is_stored = false;
}

void group_socket_begin(struct group_socket *socket, struct group_socket *replaced)
{
	if (!socket)
		return;
	for (size_t i = 0; i < DOORS; i++) {
		struct door *door = &socket->doors[i];

		if (door->is_inherited)
			inherit(door, &replaced->doors[i]);
		else if (door->listener && replaced && replaced->doors[i].listener)
			succeed(door, &replaced->doors[i]);
		if (!door->listener)
			continue;
		if (!door->is_stored)
			door->is_stored = store_add(socket->programs.group->context->store,
				STORE_SOCKETS, door->stored_name, listener_fd(door->listener));
		listener_begin(door->listener, door);
	}
	if (replaced)
		group_programs_move(&replaced->programs, &socket->programs);
}

static void close_door(struct door *door)
{
	const struct group_context *context = door->socket->programs.group->context;

	if (!door->listener)
		return;
	if (door->is_stored && context->stopping) {
		listener_leave(door->listener);
		return;
	}
	if (door->is_stored)
		store_remove(context->store, STORE_SOCKETS, door->stored_name);
	listener_free(door->listener);
}

void group_socket_free(struct group_socket *socket)
{
	if (!socket)
		return;
	group_programs_clear(&socket->programs);
	for (size_t i = 0; i < DOORS; i++)
		close_door(&socket->doors[i]);
	free(socket);
}

void group_sockets_sweep(const char *run_directory)
{
	char directory[PATH_MAX];

	snprintf(directory, sizeof(directory), "%s/groups", run_directory);
	socket_file_sweep(directory);
}

unsigned group_socket_count(const struct group_socket *socket)
{
	return socket ? socket->programs.slots.taken : 0;
}

void group_socket_store(struct group_socket *socket, struct fd_queue *queue, int file)
{
	if (socket)
		group_programs_store(&socket->programs, queue, file);
}

bool group_socket_restore(struct group_socket *socket, const char *path, int fd, int file)
{
	for (size_t i = 0; socket && i < DOORS; i++) {
		struct door *door = &socket->doors[i];

		if (door->listener && listener_is_at(door->listener, path))
			return group_connection_restore(&socket->programs, door->kind, fd, file);
	}
	close(fd);
	return false;
}
