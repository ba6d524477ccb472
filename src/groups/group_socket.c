#include "groups/group_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/users.h"
#include "net/listener.h"

/* So many programs may hold one group's socket open; the next is turned away. */
#define CONNECTIONS_MAX 1024

#define SEND_BUFFER (1 << 20)

/* A program that reads nothing for so long while something waits for it is cut: a minute, and a little for one that was
 * stopped just so long. */
#define STALL_NS (65 * NS_PER_S)

struct group_socket {
	struct group *group;
	struct listener *listener;
	struct connection *connections;
	unsigned count;
	struct log_limit limit;
};

/* What was read from a program and not sent yet, because the network was busy. Nothing more is read meanwhile. */
struct backlog {
	unsigned count;
	uint32_t sizes[BATCH_MAX];
	uint8_t data[];
};

struct connection {
	struct outlet outlet;
	struct group_socket *socket;
	struct connection *next, **link;
	struct event readable;
	struct send_waiter waiter;
	struct backlog *backlog;
	uint64_t full_since_ns; /* when the program's socket was first found full, CLOCK_MONOTONIC; 0: it is not */
	bool stalled; /* to be cut */
	int fd;
};

static void connection_free(struct connection *connection)
{
	group_detach(connection->socket->group, &connection->outlet);
	sender_cancel(&connection->waiter);
	event_del(&connection->readable);
	close(connection->fd);
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	connection->socket->count--;
	free(connection->backlog);
	free(connection);
}

/* Counts what a program did not read. One that has not read for long is cut, but not from here: nothing may be freed while
 * datagrams are handed round. */
static void count_unread(struct connection *connection, unsigned count)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);

	connection->socket->group->counters.unread += count;
	if (!connection->full_since_ns)
		connection->full_since_ns = now;
	if (connection->stalled || now - connection->full_since_ns < STALL_NS)
		return;
	connection->stalled = true;
	event_active(&connection->readable, EV_READ, 0);
}

/* A program that does not read loses its own datagrams, and nobody else's. One that has gone is noticed by the reading
 * side. */
static void deliver(struct outlet *outlet, const struct batch *batch)
{
	struct connection *connection = container_of(outlet, struct connection, outlet);
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];
	unsigned sent = 0;

	for (unsigned i = 0; i < batch->count; i++) {
		vectors[i] = (struct iovec){(void *)batch->datagrams[i].payload, batch->datagrams[i].size};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &vectors[i], .msg_iovlen = 1}};
	}
	while (sent < batch->count) {
		int n = sendmmsg(connection->fd, messages + sent, batch->count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (unsigned)n;
	}
	if (sent)
		connection->full_since_ns = 0;
	if (sent < batch->count)
		count_unread(connection, batch->count - sent);
}

static void log_refused(struct connection *connection, int r)
{
	struct group_socket *socket = connection->socket;
	uint64_t suppressed;

	if (log_limit_pass(&socket->limit, &suppressed))
		log_warning("group %s: a datagram from its socket was not sent: %s", socket->group->config.name,
			r == -EMSGSIZE ? "it is larger than 65507 bytes" : strerror(-r));
}

/* Keeps what could not be sent, until the network takes it. */
static int keep(struct connection *connection, const struct mmsghdr *messages, unsigned count)
{
	struct backlog *backlog;
	size_t size = 0, offset = 0;

	for (unsigned i = 0; i < count; i++)
		size += messages[i].msg_hdr.msg_iov->iov_len;
	backlog = malloc(sizeof(*backlog) + size);
	if (!backlog)
		return -ENOMEM;
	backlog->count = count;
	for (unsigned i = 0; i < count; i++) {
		const struct iovec *vector = messages[i].msg_hdr.msg_iov;

		backlog->sizes[i] = (uint32_t)vector->iov_len;
		memcpy(backlog->data + offset, vector->iov_base, vector->iov_len);
		offset += vector->iov_len;
	}
	free(connection->backlog);
	connection->backlog = backlog;
	return 0;
}

/* Sends on; when the network is busy, reading stops until it is not. One datagram that is refused does not hold up the rest. */
static void send_on(struct connection *connection, struct mmsghdr *messages, unsigned count)
{
	struct group *group = connection->socket->group;
	struct sender *busy;

	for (unsigned i = 0; i < count;) {
		int n = group_send_batch(group, messages + i, count - i, &busy);

		if (n > 0) {
			i += (unsigned)n;
		} else if (n == -EAGAIN && keep(connection, messages + i, count - i) == 0) {
			event_del(&connection->readable);
			sender_wait(busy, &connection->waiter);
			return;
		} else {
			log_refused(connection, n);
			i++;
		}
	}
	free(take(connection->backlog));
}

/* The network takes more: the backlog goes first. */
static void on_writable(struct send_waiter *waiter)
{
	struct connection *connection = container_of(waiter, struct connection, waiter);
	struct backlog *backlog = take(connection->backlog);
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];
	uint8_t *at = backlog->data;

	for (unsigned i = 0; i < backlog->count; i++) {
		vectors[i] = (struct iovec){at, backlog->sizes[i]};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &vectors[i], .msg_iovlen = 1}};
		at += backlog->sizes[i];
	}
	event_add(&connection->readable, NULL);
	send_on(connection, messages, backlog->count);
	free(backlog);
}

/* Drops packets that are no datagrams, and sets the lengths. Returns how many are to be sent; *ret_end tells that the
 * program will send no more: a packet without credentials is none. */
static unsigned check_packets(struct connection *connection, struct arena *arena, unsigned count, bool *ret_end)
{
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		struct mmsghdr *message = &arena->messages[i];

		*ret_end = message->msg_len == 0 && message->msg_hdr.msg_controllen == 0;
		if (*ret_end)
			break;
		if (message->msg_len > DATAGRAM_MAX || message->msg_hdr.msg_flags & MSG_TRUNC) {
			log_refused(connection, -EMSGSIZE);
			continue;
		}
		arena->vectors[i].iov_len = message->msg_len;
		arena->messages[good++].msg_hdr.msg_iov = &arena->vectors[i];
	}
	return good;
}

static void restore_vectors(struct arena *arena, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		arena->messages[i].msg_hdr.msg_iov = &arena->vectors[i];
}

/* Whether the program has closed its socket, and not only its writing half (poll(2), POLLHUP). */
static bool has_hung_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd};

	return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLHUP | POLLERR);
}

static void cut_stalled(struct connection *connection)
{
	log_warning("group %s: a program at its socket has read nothing for %llu s, and is cut",
		connection->socket->group->config.name, (unsigned long long)(STALL_NS / NS_PER_S));
	connection_free(connection);
}

static void on_half_closed(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;

	(void)what;
	if (connection->stalled)
		cut_stalled(connection);
	else if (has_hung_up(fd))
		connection_free(connection);
}

/* The program writes no more. While it still reads it stays; that it has gone is then looked for now and then, as
 * there is nothing to wait for: a half-closed socket is always readable. */
static void half_close(struct connection *connection)
{
	static const struct timeval interval = {.tv_sec = 1};

	event_del(&connection->readable);
	event_assign(&connection->readable, connection->socket->group->owner.base, connection->fd, EV_PERSIST,
		on_half_closed, connection);
	event_add(&connection->readable, &interval);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;
	struct arena *arena = connection->socket->group->owner.arena;
	bool end = false;
	unsigned good;
	int count;

	(void)what;
	if (connection->stalled) {
		cut_stalled(connection);
		return;
	}
	count = arena_receive_packets(arena, fd);
	/* A program that goes and leaves something unread resets the connection; what it wrote before is still there. */
	if (count == -ECONNRESET)
		count = arena_receive_packets(arena, fd);
	if (count == -EAGAIN || count == -EINTR)
		return;
	if (count < 0) {
		connection_free(connection);
		return;
	}
	good = check_packets(connection, arena, (unsigned)count, &end);
	send_on(connection, arena->messages, good);
	restore_vectors(arena, (unsigned)count);
	/* The end is still there to be read when what was kept back has been sent. */
	if (!end || connection->backlog)
		return;
	if (has_hung_up(fd))
		connection_free(connection);
	else
		half_close(connection);
}

static int start(struct connection *connection)
{
	struct group *group = connection->socket->group;

	event_assign(&connection->readable, group->owner.base, connection->fd, EV_READ | EV_PERSIST, on_readable,
		connection);
	if (event_add(&connection->readable, NULL) < 0)
		return -ENOMEM;
	return group_attach(group, &connection->outlet);
}

static void link_connection(struct group_socket *socket, struct connection *connection)
{
	connection->socket = socket;
	connection->next = socket->connections;
	connection->link = &socket->connections;
	if (connection->next)
		connection->next->link = &connection->next;
	socket->connections = connection;
	socket->count++;
}

static void on_accept(int fd, void *argument)
{
	struct group_socket *socket = argument;
	struct connection *connection = NULL;
	int size = SEND_BUFFER, on = 1;
	uint64_t suppressed;

	if (socket->count < CONNECTIONS_MAX)
		connection = calloc(1, sizeof(*connection));
	else if (log_limit_pass(&socket->limit, &suppressed))
		log_warning("group %s: more than %d programs at its socket, the next is turned away",
			socket->group->config.name, CONNECTIONS_MAX);
	if (!connection) {
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	connection->outlet.deliver = deliver;
	connection->waiter.ready = on_writable;
	connection->fd = fd;
	link_connection(socket, connection);
	if (start(connection) < 0)
		connection_free(connection);
}

int group_socket_new(struct group *group, const char *path, char why[static WHY_MAX], struct group_socket **ret)
{
	struct listener_options options = {
		.path = path, .type = SOCK_SEQPACKET, .mode = (mode_t)group->config.socket_mode};
	const char *system_group = group->config.socket_group;
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
	r = listener_new(group->owner.base, &options, on_accept, socket, why, &socket->listener);
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
	while (from && to && from->connections) {
		struct connection *connection = from->connections;

		group_detach(from->group, &connection->outlet);
		from->connections = connection->next;
		if (connection->next)
			connection->next->link = &from->connections;
		from->count--;
		link_connection(to, connection);
		if (group_attach(to->group, &connection->outlet) < 0)
			connection_free(connection);
	}
}
