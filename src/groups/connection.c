#include "groups/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* What was read from a program and not sent yet, because the network was busy. Nothing more is read
 * meanwhile. */
struct backlog {
	unsigned count;
	uint32_t sizes[BATCH_MAX];
	uint8_t data[];
};

/* Puts it on a list, and has it count for the group. */
static void link_to(struct connection *connection, struct group *group, struct connection **list)
{
	connection->group = group;
	connection->reader.unread = &group->counters->unread;
	connection->next = *list;
	connection->link = list;
	if (connection->next)
		connection->next->link = &connection->next;
	*list = connection;
}

static void unlink_it(struct connection *connection)
{
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
}

void connection_free(struct connection *connection)
{
	if (connection->backlog)
		connection->group->counters->send_failed += connection->backlog->count;
	group_detach(connection->group, &connection->reader.outlet);
	sender_cancel(&connection->waiter);
	event_del(&connection->readable);
	close(connection->fd);
	unlink_it(connection);
	reader_clear(&connection->reader);
	free(connection->backlog);
	free(connection);
}

static void refuse(struct connection *connection, int r)
{
	struct group *group = connection->group;

	group->counters->send_failed++;
	if (log_limit_pass(&group->send_limit))
		log_warning("group %s: a datagram from its socket was not sent: %s",
			group->config->name,
			r == -EMSGSIZE
				? "it is larger than 65507 bytes, or than the interface takes"
				: strerror(-r));
}

/* Keeps what could not be sent, until the network takes it. */
static int keep(struct connection *connection, const struct iovec *vectors, unsigned count)
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

/* Sends on; when the network is busy, reading stops until it is not. One datagram that is refused
 * does not hold up the rest. */
static void send_on(struct connection *connection, const struct iovec *vectors, unsigned count)
{
	struct sender *busy;

	for (unsigned i = 0; i < count;) {
		int n = group_send_batch(connection->group, vectors + i, count - i, &busy);

		if (n > 0) {
			i += (unsigned)n;
		} else if (n == -EAGAIN && keep(connection, vectors + i, count - i) == 0) {
			event_del(&connection->readable);
			sender_wait(busy, &connection->waiter);
			return;
		} else {
			refuse(connection, n);
			i++;
		}
	}
}

/* The network takes more: the backlog goes first. */
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
 * tells that the program will send no more: a packet without credentials is none. */
static unsigned pick_datagrams(struct connection *connection, const struct arena *arena,
	unsigned count, struct iovec *vectors, bool *ret_end)
{
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct mmsghdr *message = &arena->messages[i];

		*ret_end = message->msg_len == 0 && message->msg_hdr.msg_controllen == 0;
		if (*ret_end)
			break;
		if (message->msg_len > DATAGRAM_MAX || message->msg_hdr.msg_flags & MSG_TRUNC)
			refuse(connection, -EMSGSIZE);
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

static void cut_stalled(struct connection *connection)
{
	log_warning("group %s: a program at its socket has read nothing for %d s, and is cut",
		connection->group->config->name, READER_STALL_S);
	connection_free(connection);
}

/* From within a deliver(), where nothing may be freed. */
static void on_stalled(struct reader *reader)
{
	event_active(&container_of(reader, struct connection, reader)->readable, EV_READ, 0);
}

static void on_half_closed(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;

	(void)what;
	if (connection->reader.is_stalled)
		cut_stalled(connection);
	else if (has_hung_up(fd))
		connection_free(connection);
}

/* The program writes no more. While it still reads it stays; that it has gone is then looked for
 * now and then, as there is nothing to wait for: a half-closed socket is always readable. */
static void half_close(struct connection *connection)
{
	static const struct timeval interval = {.tv_sec = 1};

	event_del(&connection->readable);
	event_assign(&connection->readable, connection->group->owner.context->base, connection->fd,
		EV_PERSIST, on_half_closed, connection);
	event_add(&connection->readable, &interval);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;
	struct arena *arena = connection->group->owner.context->arena;
	struct iovec vectors[BATCH_MAX];
	bool end = false;
	unsigned good;
	int count;

	(void)what;
	if (connection->reader.is_stalled) {
		cut_stalled(connection);
		return;
	}
	count = arena_receive_packets(arena, fd);
	/* A program that goes and leaves something unread resets the connection; what it wrote
	 * before is still there. */
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
	event_assign(&connection->readable, connection->group->owner.context->base, connection->fd,
		EV_READ | EV_PERSIST, on_readable, connection);
	if (event_add(&connection->readable, NULL) < 0)
		return -ENOMEM;
	return group_attach(connection->group, &connection->reader.outlet);
}

void connection_open(struct group *group, struct connection **list, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		close(fd);
		return;
	}
	reader_init(&connection->reader, fd);
	connection->reader.stalled = on_stalled;
	connection->waiter.ready = on_writable;
	connection->fd = fd;
	link_to(connection, group, list);
	if (start(connection) < 0)
		connection_free(connection);
}

void connection_move(struct connection *connection, struct group *group, struct connection **list)
{
	group_detach(connection->group, &connection->reader.outlet);
	unlink_it(connection);
	link_to(connection, group, list);
	if (group_attach(group, &connection->reader.outlet) < 0)
		connection_free(connection);
}
