#include "groups/group_socket.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/users.h"
#include "groups/reader.h"
#include "net/listener.h"
#include "net/slots.h"

/* Programs at one group's socket; the next one is refused. */
#define CONNECTIONS_MAX 1024

/* Of the file where a list names who may: each program is judged when it connects. */
#define OPEN_MODE 0666

struct group_socket {
	struct group *group;
	struct listener *listener;
	struct link connections;
	struct slots slots;
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
	bool may_send, may_receive;
	struct group *group;
	struct link link;
	struct slot slot;
	struct turn turn;
	struct event readable;
	struct send_waiter waiter;
	struct backlog *backlog;
	int fd;
	bool failed; /* for want of memory; is freed at its next turn */
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
	link_remove(&connection->turn.link);
	slot_leave(&connection->slot);
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

/* Counts what a program wrote that may not send. */
static void refuse_program(struct connection *connection, unsigned count)
{
	struct group *group = connection->group;
	AUTO_TEXT struct text why = {0};
	struct peer peer;

	group->counters->send_failed += count;
	if (!count || !log_limit_pass(&group->send_limit) || peer_read(connection->fd, &peer) < 0)
		return;
	permission_explain(group->config, &group->owner, &peer, ACCESS_SEND, &why);
	log_warning("group %s: a datagram from its socket was not sent: %s", group->config->name,
		text_string(&why));
	peer_clear(&peer);
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
	if (event_add(&connection->readable, NULL) < 0) {
		connection->failed = true;
		user_wait(connection->slot.user, &connection->turn);
	}
	send_on(connection, vectors, backlog->count);
	free(backlog);
}

/* Picks the datagrams out of the packets that were read. Returns how many are to be sent; *ret_end
 * tells that the program will send no more: an empty packet without credentials is the end. */
static unsigned pick_datagrams(struct connection *connection, const struct arena *arena,
	unsigned count, struct iovec *vectors, bool *ret_end)
{
	unsigned most = datagram_max(connection->group->config->address.family);
	const struct mmsghdr *messages = arena->messages;
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct mmsghdr *message = &messages[i];

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

static void disconnect_stalled(struct connection *connection)
{
	log_warning("group %s: disconnecting a program at its socket: no read for %d s",
		connection->group->config->name, READER_STALL_S);
	connection_free(connection);
}

/* Whose end was not read yet. */
static bool close_gone(struct slot *slot)
{
	struct connection *connection = container_of(slot, struct connection, slot);

	if (connection->backlog || !peer_has_ended(connection->fd))
		return false;
	connection_free(connection);
	return true;
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
	else if (peer_has_gone(fd))
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
	if (event_add(&connection->readable, &interval) < 0)
		connection_free(connection);
}

/* A program that closes its socket with something unread resets the connection; what it wrote
 * before is still queued. */
static int receive_packets(struct arena *arena, int fd)
{
	int count = arena_receive_packets(arena, fd);

	return count == -ECONNRESET ? arena_receive_packets(arena, fd) : count;
}

/* Sends what the program has written: one batch at each turn of its user. */
static void serve(struct turn *turn)
{
	struct connection *connection = container_of(turn, struct connection, turn);
	struct arena *arena = connection->group->context->arena;
	struct iovec vectors[BATCH_MAX];
	int fd = connection->fd, count;
	bool end = false;
	unsigned good;

	if (connection->reader.is_stalled) {
		disconnect_stalled(connection);
		return;
	}
	if (connection->failed) {
		connection_free(connection);
		return;
	}
	count = receive_packets(arena, fd);
	if (count == -EAGAIN || count == -EINTR)
		return;
	if (count < 0) {
		connection_free(connection);
		return;
	}
	good = pick_datagrams(connection, arena, (unsigned)count, vectors, &end);
	if (connection->may_send)
		send_on(connection, vectors, good);
	else
		refuse_program(connection, good);
	/* The end can be read again once the backlog was sent. */
	if (!end || connection->backlog)
		return;
	if (peer_has_gone(fd))
		connection_free(connection);
	else
		half_close(connection);
}

/* Before a program is disconnected by the rule: what it wrote and nobody has read is not sent. */
static void discard_written(struct connection *connection)
{
	struct group *group = connection->group;
	struct arena *arena = group->context->arena;
	struct iovec vectors[BATCH_MAX];
	bool end = false;
	int count;

	shutdown(connection->fd, SHUT_RD);
	while (!end && (count = receive_packets(arena, connection->fd)) > 0)
		group->counters->send_failed += pick_datagrams(
			connection, arena, (unsigned)count, vectors, &end);
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;

	(void)fd, (void)what;
	if (user_is_alone(connection->slot.user, &connection->turn))
		serve(&connection->turn);
	else
		user_wait(connection->slot.user, &connection->turn);
}

/* Adds it to a group and its socket. Without memory the program is disconnected. */
static void add(struct connection *connection, struct group_socket *socket)
{
	connection->group = socket->group;
	connection->reader.unread = &socket->group->counters->unread;
	connection->reader.empty_skipped = socket->group->config->socket_empty
						   ? NULL
						   : &socket->group->counters->empty_skipped;
	list_append(&socket->connections, &connection->link);
	if (connection->may_receive && group_attach(socket->group, &connection->reader.outlet) < 0)
		connection_free(connection);
}

/* Decides by the rule of the socket's group what a program may do, a new one or one that is
 * connected while the rule changes. Returns whether it stays: not where it could do nothing, or may
 * not receive any more. One that may not send gets EPIPE when it writes, and what it wrote before
 * is read, and refused; what lets it send again is noticed when it connects again. */
static bool admit(struct connection *connection, struct group_socket *socket, const char *refusing)
{
	const struct group *group = socket->group;
	bool received = connection->may_receive, stays;
	AUTO_TEXT struct text why = {0};
	struct peer peer;

	if (peer_read(connection->fd, &peer) < 0)
		return false;
	connection->may_send = group_permits(group, &peer, ACCESS_SEND);
	connection->may_receive = group_permits(group, &peer, ACCESS_RECEIVE);
	stays = connection->may_receive || (connection->may_send && !received);
	if (!stays && log_limit_pass(&socket->limit)) {
		permission_explain(group->config, &group->owner, &peer, ACCESS_RECEIVE, &why);
		log_warning("group %s: %s a program at its socket: %s", group->config->name,
			refusing, text_string(&why));
	}
	peer_clear(&peer);
	if (!stays)
		discard_written(connection);
	else if (!connection->may_send)
		shutdown(connection->fd, SHUT_RD);
	return stays;
}

/* Returns 0; or a negative errno, and then fd is the caller's. */
static int connection_open(struct group_socket *socket, int fd, uid_t uid)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct group_context *context = socket->group->context;
	int size = READER_BUFFER, on = 1, r = -ENOMEM;

	if (connection)
		r = slot_take(&connection->slot, &socket->slots, context->users, uid, fd);
	if (r < 0) {
		free(connection);
		return r;
	}
	event_assign(&connection->readable, context->base, fd, EV_READ | EV_PERSIST, on_readable,
		connection);
	if (event_add(&connection->readable, NULL) < 0) {
		slot_leave(&connection->slot);
		free(connection);
		return -ENOMEM;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	reader_init(&connection->reader, fd);
	connection->reader.user = connection->slot.user;
	connection->reader.stalled = on_stalled;
	connection->waiter.ready = on_writable;
	connection->turn.serve = serve;
	connection->fd = fd;
	connection->group = socket->group;
	if (!admit(connection, socket, "refusing")) {
		event_del(&connection->readable);
		slot_leave(&connection->slot);
		free(connection);
		return -EACCES;
	}
	add(connection, socket);
	return 0;
}

static void on_accept(int fd, void *argument)
{
	struct group_socket *socket = argument;
	uid_t uid = peer_uid(fd);
	int r = connection_open(socket, fd, uid);

	if (r >= 0)
		return;
	close(fd);
	if (r == -ENOMEM || r == -EACCES || !log_limit_pass(&socket->limit))
		return;
	log_warning("group %s: refusing a program of uid %u at its socket, which has %u "
		    "connections: %s",
		socket->group->config->name, (unsigned)uid,
		users_count(socket->group->context->users, uid), slot_explain(r));
}

int group_socket_check(const char *path, pid_t running, char why[static WHY_MAX])
{
	int r = socket_file_check(path, why);

	if (r == -EADDRINUSE && running && socket_file_owner(path, SOCK_SEQPACKET) == running)
		return 0;
	return r == -ENOENT ? 0 : r;
}

int group_socket_check_owner(const struct config_group *config, char why[static WHY_MAX])
{
	const struct principal *owner = &config->socket_group;

	if (owner->kind != PRINCIPAL_GROUP || permission_names_others(config))
		return 0;
	return socket_file_check_group(owner->id, why);
}

int group_socket_new(
	struct group *group, const char *path, char why[static WHY_MAX], struct group_socket **ret)
{
	const struct config_group *config = group->config;
	struct listener_options options = {.path = path,
		.type = SOCK_SEQPACKET,
		.mode = OPEN_MODE,
		.group = (gid_t)-1,
		.turns = group->context->accepting};
	struct group_socket *socket = calloc(1, sizeof(*socket));
	int r;

	if (!socket)
		return because(why, -ENOMEM, "out of memory");
	if (!permission_names_others(config)) {
		options.mode = (mode_t)config->socket_mode;
		if (config->socket_group.kind == PRINCIPAL_GROUP)
			options.group = group->owner.gid;
	}
	socket->group = group;
	list_init(&socket->connections);
	slots_init(&socket->slots, CONNECTIONS_MAX, close_gone);
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
		if (!admit(connection, to, "disconnecting")) {
			connection_free(connection);
			continue;
		}
		group_detach(from->group, &connection->reader.outlet);
		link_remove(&connection->link);
		if (slot_move(&connection->slot, &to->slots) < 0)
			connection_free(connection);
		else
			add(connection, to);
	}
}
