#include "groups/group_socket.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/users.h"
#include "groups/connection.h"
#include "net/listener.h"

/* Programs at one group's socket; the next one is refused. */
#define CONNECTIONS_MAX 1024

struct group_socket {
	struct group *group;
	struct listener *listener;
	struct link connections;
	struct log_limit limit;
};

/* Whether there is room for one more. */
static bool has_room(struct group_socket *socket)
{
	struct connection *connection;
	unsigned count = 0;

	list_for_each(connection, &socket->connections, link) count++;
	return count < CONNECTIONS_MAX;
}

static void on_accept(int fd, void *argument)
{
	struct group_socket *socket = argument;
	int size = READER_BUFFER, on = 1;

	if (!has_room(socket)) {
		if (log_limit_pass(&socket->limit))
			log_warning("group %s: refusing a program at its socket: it has %d already",
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
	if (system_group && find_gid(system_group, &options.group) < 0)
		return because(
			why, -ENOENT, "socket_group: this system has no group %s", system_group);
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return because(why, -ENOMEM, "out of memory");
	socket->group = group;
	list_init(&socket->connections);
	r = listener_new(group->context->base, &options, on_accept, socket, why, &socket->listener);
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
	struct connection *connection;

	if (!socket)
		return;
	list_for_each(connection, &socket->connections, link) connection_free(connection);
	listener_free(socket->listener);
	free(socket);
}

void group_socket_move_connections(struct group_socket *from, struct group_socket *to)
{
	struct connection *connection;

	if (!from || !to)
		return;
	list_for_each(connection, &from->connections, link)
		connection_move(connection, to->group, &to->connections);
}
