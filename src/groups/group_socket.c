#include "groups/group_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/users.h"
#include "groups/connection.h"
#include "net/listener.h"

/* So many programs may hold one group's socket open; the next is turned away. */
#define CONNECTIONS_MAX 1024

struct group_socket {
	struct group *group;
	struct listener *listener;
	struct connection *connections;
	struct log_limit limit;
};

/* Whether there is room for one more. */
static bool has_room(const struct group_socket *socket)
{
	unsigned count = 0;

	for (const struct connection *at = socket->connections; at; at = at->next)
		count++;
	return count < CONNECTIONS_MAX;
}

static void on_accept(int fd, void *argument)
{
	struct group_socket *socket = argument;
	int size = READER_BUFFER, on = 1;

	if (!has_room(socket)) {
		if (log_limit_pass(&socket->limit))
			log_warning("group %s: more than %d programs at its socket, the next is "
				    "turned away",
				socket->group->config->name, CONNECTIONS_MAX);
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	connection_open(socket->group, &socket->connections, fd);
}

int group_socket_check(const char *path, char why[static WHY_MAX])
{
	int r = listener_check_path(path, SOCK_SEQPACKET, why);

	return r == -ENOENT ? 0 : r;
}

int group_socket_new(
	struct group *group, const char *path, char why[static WHY_MAX], struct group_socket **ret)
{
	struct listener_options options = {
		.path = path, .type = SOCK_SEQPACKET, .mode = (mode_t)group->config->socket_mode};
	const char *system_group = group->config->socket_group;
	struct group_socket *socket;
	int r;

	options.group = (gid_t)-1;
	if (system_group && find_gid(system_group, &options.group) < 0) {
		snprintf(why, WHY_MAX, "socket_group: this system has no group %s", system_group);
		return -ENOENT;
	}
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return -ENOMEM;
	socket->group = group;
	r = listener_new(
		group->owner.context->base, &options, on_accept, socket, why, &socket->listener);
	if (r < 0) {
		free(socket);
		return r;
	}
	*ret = socket;
	return 0;
}

int group_socket_publish(struct group_socket *socket, const char *path)
{
	return listener_rename(socket->listener, path);
}

void group_socket_free(struct group_socket *socket)
{
	if (!socket)
		return;
	while (socket->connections)
		connection_free(socket->connections);
	listener_free(socket->listener);
	free(socket);
}

void group_socket_move_connections(struct group_socket *from, struct group_socket *to)
{
	while (from && to && from->connections)
		connection_move(from->connections, to->group, &to->connections);
}
