#include "groups/group_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/users.h"
#include "groups/reader.h"
#include "net/listener.h"

/* Programs at one group's socket; the next one is refused. */
#define CONNECTIONS_MAX 1024

struct group_socket {
	struct group *group;
	struct listener *listener;
	struct link connections;
	struct log_limit limit;
	bool is_published; /* it is in its place */
};

/* What was read from a program and not sent yet, because the network was busy. Reading stops
 * meanwhile. */
struct backlog {
	unsigned count;
	uint32_t sizes[BATCH_MAX];
	uint8_t data[];
};

/* A program at the socket: what it writes is sent, what arrives is written to it. */
struct connection {
	struct reader reader;
	struct group *group;
	struct link link;
	struct event readable;
	struct send_waiter waiter;
	struct backlog *backlog;
	int fd;
};

/* Disconnects the program. What it wrote and the network has not taken counts as not sent. */
static void connection_free(struct connection *connection)
{
	if (connection->backlog)
		connection->group->counters->send_failed += connection->backlog->count;
	group_detach(connection->group, &connection->reader.outlet);
	sender_cancel(&connection->waiter);
	event_del(&connection->readable);
	close(connection->fd);
	link_remove(&connection->link);
	reader_clear(&connection->reader);
	free(connection->backlog);
	free(connection);
}

static void refuse(struct connection *connection, int r, const struct unsent *unsent)
{
	struct group *group = connection->group;
	char why[WHY_MAX];

	group->counters->send_failed += unsent->count;
	if (!log_limit_pass(&group->send_limit))
		return;
	group_explain(group, r, unsent, why);
	log_warning(
		"group %s: a datagram from its socket was not sent: %s", group->config->name, why);
}

/* Copies what could not be sent to the backlog. */
static int defer(struct connection *connection, const struct iovec *vectors, unsigned count)
{
	struct backlog *backlog;
	size_t size = 0, offset = 0;

	for (unsigned i = 0; i < count; i++)
		size += vectors[i].iov_len;
	backlog = malloc(sizeof(*backlog) + size);
	if (!backlog)
		return -ENOMEM;
	backlog->count = count;
	for (unsigned i = 0; i < count; i++) {
		backlog->sizes[i] = (uint32_t)vectors[i].iov_len;
		memcpy(backlog->data + offset, vectors[i].iov_base, vectors[i].iov_len);
		offset += vectors[i].iov_len;
	}
	free(connection->backlog);
	connection->backlog = backlog;
	return 0;
}

/* Sends; while the network is busy, reading stops. One datagram that is refused does not hold up
 * the rest. */
static void send_on(struct connection *connection, const struct iovec *vectors, unsigned count)
{
	struct unsent unsent;

	for (unsigned i = 0; i < count;) {
		int n = group_send_batch(connection->group, vectors + i, count - i, &unsent);

		if (n > 0) {
			i += (unsigned)n;
		} else if (n == -EAGAIN && defer(connection, vectors + i, count - i) == 0) {
			event_del(&connection->readable);
			sender_wait(unsent.way->sender, &connection->waiter);
			return;
		} else {
			refuse(connection, n, &unsent);
			i += unsent.count;
		}
	}
}

static void on_writable(struct send_waiter *waiter)
{
	struct connection *connection = container_of(waiter, struct connection, waiter);
	struct backlog *backlog = take(connection->backlog);
	struct iovec vectors[BATCH_MAX];
	uint8_t *at = backlog->data;

	for (unsigned i = 0; i < backlog->count; i++) {
		vectors[i] = (struct iovec){at, backlog->sizes[i]};
		at += backlog->sizes[i];
	}
	event_add(&connection->readable, NULL);
	send_on(connection, vectors, backlog->count);
	free(backlog);
}

/* Picks the datagrams out of the packets that were read. Returns how many are to be sent; *ret_end
 * tells that the program will send no more: an empty packet without credentials is the end. */
static unsigned pick_datagrams(struct connection *connection, const struct arena *arena,
	unsigned count, struct iovec *vectors, bool *ret_end)
{
	unsigned most = datagram_max(connection->group->config->address.family);
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct mmsghdr *message = &arena->messages[i];

		if (message->msg_len == 0 && message->msg_hdr.msg_controllen == 0) {
			*ret_end = true;
			break;
		}
		if (message->msg_len > most || message->msg_hdr.msg_flags & MSG_TRUNC)
			refuse(connection, -EMSGSIZE, &(struct unsent){.count = 1});
		else
			vectors[good++] = (struct iovec){
				arena->vectors[i].iov_base, message->msg_len};
	}
	return good;
}

/* Whether the program has closed its socket, and not only its writing half (poll(2), POLLHUP). */
static bool has_hung_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

static void disconnect_stalled(struct connection *connection)
{
	log_warning("group %s: disconnecting a program at its socket: no read for %d s",
		connection->group->config->name, READER_STALL_S);
	connection_free(connection);
}

/* Called from a deliver(), where nothing may be freed. */
static void on_stalled(struct reader *reader)
{
	event_active(&container_of(reader, struct connection, reader)->readable, EV_READ, 0);
}

static void on_half_closed(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;

	(void)what;
	if (connection->reader.is_stalled)
		disconnect_stalled(connection);
	else if (has_hung_up(fd))
		connection_free(connection);
}

/* The program writes no more, and may still read. Whether it has closed the socket is checked once
 * a second, as a half-closed socket is always readable. */
static void half_close(struct connection *connection)
{
	static const struct timeval interval = {.tv_sec = 1};

	event_del(&connection->readable);
	event_assign(&connection->readable, connection->group->context->base, connection->fd,
		EV_PERSIST, on_half_closed, connection);
	event_add(&connection->readable, &interval);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;
	struct arena *arena = connection->group->context->arena;
	struct iovec vectors[BATCH_MAX];
	bool end = false;
	unsigned good;
	int count;

	(void)what;
	if (connection->reader.is_stalled) {
		disconnect_stalled(connection);
		return;
	}
	count = arena_receive_packets(arena, fd);
	/* A program that closes its socket with something unread resets the connection; what it
	 * wrote before is still queued. */
	if (count == -ECONNRESET)
		count = arena_receive_packets(arena, fd);
	if (count == -EAGAIN || count == -EINTR)
		return;
	if (count < 0) {
		connection_free(connection);
		return;
	}
	good = pick_datagrams(connection, arena, (unsigned)count, vectors, &end);
	send_on(connection, vectors, good);
	/* The end can be read again once the backlog was sent. */
	if (!end || connection->backlog)
		return;
	if (has_hung_up(fd))
		connection_free(connection);
	else
		half_close(connection);
}

/* Adds it to a group and its socket. Without memory the program is disconnected. */
static void add(struct connection *connection, struct group_socket *socket)
{
	connection->group = socket->group;
	connection->reader.unread = &socket->group->counters->unread;
	list_append(&socket->connections, &connection->link);
	if (group_attach(socket->group, &connection->reader.outlet) < 0)
		connection_free(connection);
}

static void connection_open(struct group_socket *socket, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int size = READER_BUFFER, on = 1;

	if (!connection) {
		close(fd);
		return;
	}
	/* Writing fails with EPIPE then. What was written before is read, and refused. */
	if (socket->group->config->is_events)
		shutdown(fd, SHUT_RD);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	reader_init(&connection->reader, fd);
	connection->reader.stalled = on_stalled;
	connection->waiter.ready = on_writable;
	connection->fd = fd;
	event_assign(&connection->readable, socket->group->context->base, fd, EV_READ | EV_PERSIST,
		on_readable, connection);
	if (event_add(&connection->readable, NULL) < 0) {
		close(fd);
		free(connection);
		return;
	}
	add(connection, socket);
}

/* Whether there is room for one more. */
static bool has_room(struct group_socket *socket)
{
	struct connection *connection;
	unsigned count = 0;

	list_for_each(connection, &socket->connections, link)
		count++;
	return count < CONNECTIONS_MAX;
}

static void on_accept(int fd, void *argument)
{
	struct group_socket *socket = argument;

	if (!has_room(socket)) {
		if (log_limit_pass(&socket->limit))
			log_warning("group %s: refusing a program at its socket: it has %d already",
				socket->group->config->name, CONNECTIONS_MAX);
		close(fd);
		return;
	}
	connection_open(socket, fd);
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
	int r = socket->is_published ? 0 : listener_rename(socket->listener, path);

	socket->is_published = r >= 0;
	return r;
}

void group_socket_free(struct group_socket *socket)
{
	struct connection *connection;

	if (!socket)
		return;
	list_for_each(connection, &socket->connections, link)
		connection_free(connection);
	listener_free(socket->listener);
	free(socket);
}

void group_socket_move_connections(struct group_socket *from, struct group_socket *to)
{
	struct connection *connection;

	if (!from || !to)
		return;
	list_for_each(connection, &from->connections, link) {
		group_detach(from->group, &connection->reader.outlet);
		link_remove(&connection->link);
		add(connection, to);
	}
}
