#include "groups/group_connection.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "groups/reader.h"

/* Programs at one group's sockets; the next one is refused. */
#define CONNECTIONS_MAX 1024

/* Bytes of a datagram that is not whole yet which a program may always have: more than most
 * datagrams. */
#define PARTIAL_LEAST 4096

/* What was read from a program and not sent yet, because the network was busy. Reading stops
 * meanwhile. */
struct backlog {
	unsigned count;
	uint32_t sizes[BATCH_MAX];
	uint8_t data[];
};

struct connection {
	struct channel channel;
	struct reader reader;
	bool may_send, may_receive;
	struct group *group;
	struct link link;
	struct slot slot;
	struct turn turn;
	struct event readable;
	struct event writable; /* while a datagram is partly written */
	struct send_waiter waiter;
	struct backlog *backlog;
	size_t charged; /* to the user, for what was read and not taken yet */
	bool failed; /* for want of memory; is freed at its next turn */
};

/* Charges the user for the memory of what was read and not taken yet. */
static void charge(struct connection *connection)
{
	const struct rest *in = &connection->channel.in;
	struct user *user = connection->slot.user;

	user_release(user, MEMORY_INPUT, connection->charged);
	connection->charged = in->start + in->size;
	user_hold(user, MEMORY_INPUT, connection->charged);
}

/* Disconnects the program. What it wrote and the network has not taken counts as not sent. */
static void connection_free(struct connection *connection)
{
	struct group *group = connection->group;

	group->counters->send_failed += connection->channel.kind->waiting(&connection->channel);
	if (connection->backlog)
		group->counters->send_failed += connection->backlog->count;
	group_detach(group, &connection->reader.outlet);
	sender_cancel(&connection->waiter);
	event_del(&connection->readable);
	event_del(&connection->writable);
	close(connection->channel.fd);
	link_remove(&connection->link);
	link_remove(&connection->turn.link);
	channel_clear(&connection->channel);
	charge(connection);
	slot_leave(&connection->slot);
	free(connection->backlog);
	free(connection);
}

static void refuse(struct connection *connection, int r, const struct unsent *unsent)
{
	struct group *group = connection->group;
	enum unsent_cause cause = r == -EMSGSIZE ? UNSENT_SIZE : UNSENT_NETWORK;
	char why[WHY_MAX];

	group->counters->send_failed += unsent->count;
	if (!log_limit_pass(&group->unsent_limits[cause]))
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
	if (!count || !log_limit_pass(&group->unsent_limits[UNSENT_FORBIDDEN]) ||
		peer_read(connection->channel.fd, &peer) < 0)
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

/* After a turn: what was read and waits gets turns of its own, but while the network is busy. */
static void go_on(struct connection *connection, bool more)
{
	if ((more && !connection->backlog) || connection->failed)
		user_wait(connection->slot.user, &connection->turn);
}

static void on_writable_network(struct send_waiter *waiter)
{
	struct connection *connection = container_of(waiter, struct connection, waiter);
	struct backlog *backlog = take(connection->backlog);
	struct iovec vectors[BATCH_MAX];
	uint8_t *at = backlog->data;

	for (unsigned i = 0; i < backlog->count; i++) {
		vectors[i] = (struct iovec){at, backlog->sizes[i]};
		at += backlog->sizes[i];
	}
	if (event_add(&connection->readable, NULL) < 0)
		connection->failed = true;
	send_on(connection, vectors, backlog->count);
	free(backlog);
	go_on(connection, connection->channel.in.size);
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

	if (connection->backlog || connection->channel.in.size ||
		!peer_has_ended(connection->channel.fd))
		return false;
	connection_free(connection);
	return true;
}

/* Called from a deliver(), where nothing may be freed. */
static void on_stalled(struct reader *reader)
{
	event_active(&container_of(reader, struct connection, reader)->readable, EV_READ, 0);
}

/* The same: what is left is written as soon as there is room. Without memory for the event, with
 * the next datagram. */
static void on_unfinished(struct reader *reader)
{
	event_add(&container_of(reader, struct connection, reader)->writable, NULL);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	struct connection *connection = argument;

	(void)fd, (void)what;
	connection->channel.kind->finish(&connection->channel);
	if (connection->channel.out.size)
		on_unfinished(&connection->reader);
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
	event_assign(&connection->readable, connection->group->context->base,
		connection->channel.fd, EV_PERSIST, on_half_closed, connection);
	if (event_add(&connection->readable, &interval) < 0)
		connection_free(connection);
}

/* Tells which part of what a program wrote in a stream cannot be sent. */
static void tell_misframed(struct connection *connection, int r, const struct written *written)
{
	struct group *group = connection->group;
	const char *name = group->config->name, *suffix = connection->channel.kind->suffix;
	enum unsent_cause cause = r == -EBADMSG ? UNSENT_MISFRAMED : UNSENT_TORN;

	if ((r != -EBADMSG && !written->torn) || !log_limit_pass(&group->unsent_limits[cause]))
		return;
	if (r == -EBADMSG)
		log_warning("group %s: disconnecting a program of uid %u at %s%s: before a "
			    "datagram it wrote the length %" PRIu32 ", and the maximum is %" PRIu32
			    "; a length has 4 bytes, the most significant first",
			name, (unsigned)connection->slot.user->uid, name, suffix, written->wrong,
			connection->channel.max);
	else
		log_warning("group %s: a datagram from %s%s was not sent: the program of uid %u "
			    "stopped writing after %zu bytes of its length and payload",
			name, name, suffix, (unsigned)connection->slot.user->uid, written->torn);
}

/* A program that has gone is no matter. */
static void tell_unread(struct connection *connection, int r)
{
	struct group *group = connection->group;

	if (r < 0 && r != -EBADMSG && r != -ECONNRESET && r != -EPIPE &&
		log_limit_pass(&group->unsent_limits[UNSENT_UNREAD]))
		log_warning("group %s: disconnecting a program of uid %u at %s%s: what it wrote "
			    "cannot be read: %s",
			group->config->name, (unsigned)connection->slot.user->uid,
			group->config->name, connection->channel.kind->suffix, strerror(-r));
}

/* Whether the datagrams that are not whole yet, of all programs of the user, take too much: then
 * one of them makes room. */
static bool is_too_much(const struct connection *connection, const struct written *written)
{
	struct group *group = connection->group;
	struct user *user = connection->slot.user;

	if (written->more || connection->charged <= PARTIAL_LEAST ||
		!user_holds_too_much(user, MEMORY_INPUT))
		return false;
	if (log_limit_pass(&group->unsent_limits[UNSENT_GREEDY]))
		log_warning("group %s: disconnecting a program of uid %u at %s%s: what the "
			    "programs of this user have begun to write, and not ended, takes %zu "
			    "bytes",
			group->config->name, (unsigned)user->uid, group->config->name,
			connection->channel.kind->suffix, user->held[MEMORY_INPUT]);
	return true;
}

/* Sends what the program has written: one batch at each turn of its user. */
static void serve(struct turn *turn)
{
	struct connection *connection = container_of(turn, struct connection, turn);
	struct group *group = connection->group;
	struct channel *channel = &connection->channel;
	struct written written;
	int r;

	if (connection->reader.is_stalled) {
		disconnect_stalled(connection);
		return;
	}
	if (connection->failed) {
		connection_free(connection);
		return;
	}
	r = channel->kind->read(channel, group->context->arena, &written);
	charge(connection);
	if (r == -EAGAIN || r == -EINTR)
		return;
	tell_misframed(connection, r, &written);
	tell_unread(connection, r);
	if (r < 0) {
		group->counters->send_failed += written.count + written.unsent;
		connection_free(connection);
		return;
	}
	if (written.torn)
		group->counters->send_failed++;
	else if (written.unsent)
		refuse(connection, -EMSGSIZE, &(struct unsent){.count = written.unsent});
	if (connection->may_send)
		send_on(connection, written.vectors, written.count);
	else
		refuse_program(connection, written.count);
	if (is_too_much(connection, &written)) {
		connection_free(connection);
		return;
	}
	go_on(connection, written.more);
	/* The end can be read again once the backlog was sent. */
	if (!written.end || connection->backlog)
		return;
	if (peer_has_gone(channel->fd))
		connection_free(connection);
	else
		half_close(connection);
}

/* Before a program is disconnected by the rule: what it wrote and nobody has read is not sent. */
static void discard_written(struct connection *connection)
{
	struct group *group = connection->group;
	struct channel *channel = &connection->channel;
	struct written written;
	int r;

	shutdown(channel->fd, SHUT_RD);
	do {
		r = channel->kind->read(channel, group->context->arena, &written);
		group->counters->send_failed += written.count + written.unsent;
	} while (r >= 0 && !written.end);
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

/* Adds it to a group. Without memory the program is disconnected. */
static void add(struct connection *connection, struct group_programs *programs)
{
	struct group *group = programs->group;
	bool skips_empty = connection->channel.kind->empty_is_end && !group->config->socket_empty;

	connection->group = group;
	connection->channel.max = datagram_max(group->config->address.family);
	connection->reader.unread = &group->counters->unread;
	connection->reader.empty_skipped = skips_empty ? &group->counters->empty_skipped : NULL;
	list_append(&programs->connections, &connection->link);
	if (connection->may_receive && group_attach(group, &connection->reader.outlet) < 0)
		connection_free(connection);
}

/* Decides by the rule of the socket's group what a program may do, a new one or one that is
 * connected while the rule changes. Returns whether it stays: not where it could do nothing, or may
 * not receive any more. One that may not send gets EPIPE when it writes, and what it wrote before
 * is read, and refused; what lets it send again is noticed when it connects again. */
static bool admit(
	struct connection *connection, struct group_programs *programs, const char *refusing)
{
	const struct group *group = programs->group;
	bool received = connection->may_receive, stays;
	AUTO_TEXT struct text why = {0};
	struct peer peer;

	if (peer_read(connection->channel.fd, &peer) < 0)
		return false;
	connection->may_send = group_permits(group, &peer, ACCESS_SEND);
	connection->may_receive = group_permits(group, &peer, ACCESS_RECEIVE);
	stays = connection->may_receive || (connection->may_send && !received);
	if (!stays && log_limit_pass(&programs->unwelcome_limit)) {
		permission_explain(group->config, &group->owner, &peer, ACCESS_RECEIVE, &why);
		log_warning("group %s: %s a program at its socket: %s", group->config->name,
			refusing, text_string(&why));
	}
	peer_clear(&peer);
	if (!stays)
		discard_written(connection);
	else if (!connection->may_send)
		shutdown(connection->channel.fd, SHUT_RD);
	return stays;
}

/* file has what is known of a connection of an earlier run; -1: it is a new one. Returns 0; or a
 * negative errno, and then fd is the caller's. */
static int connection_open(struct group_programs *programs, const struct socket_kind *kind, int fd,
	uid_t uid, int file)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	struct group_context *context = programs->group->context;
	int size = READER_BUFFER, on = 1, r = -ENOMEM;

	if (connection)
		r = (file < 0 ? slot_take : slot_keep)(
			&connection->slot, &programs->slots, context->users, uid, fd);
	if (r < 0) {
		free(connection);
		return r;
	}
	event_assign(&connection->readable, context->base, fd, EV_READ | EV_PERSIST, on_readable,
		connection);
	event_assign(&connection->writable, context->base, fd, EV_WRITE, on_writable, connection);
	if (event_add(&connection->readable, NULL) < 0) {
		slot_leave(&connection->slot);
		free(connection);
		return -ENOMEM;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (kind->empty_is_end)
		setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	channel_init(&connection->channel, kind, fd);
	connection->channel.max = datagram_max(programs->group->config->address.family);
	reader_init(&connection->reader, &connection->channel);
	connection->reader.user = connection->slot.user;
	connection->reader.stalled = on_stalled;
	connection->reader.unfinished = on_unfinished;
	connection->waiter.ready = on_writable_network;
	connection->turn.serve = serve;
	connection->group = programs->group;
	r = file < 0 ? 0 : channel_load(&connection->channel, file);
	if (r >= 0 && !admit(connection, programs, "refusing"))
		r = -EACCES;
	if (r < 0) {
		event_del(&connection->readable);
		slot_leave(&connection->slot);
		channel_clear(&connection->channel);
		free(connection);
		return r;
	}
	charge(connection);
	if (connection->channel.out.size)
		on_unfinished(&connection->reader);
	go_on(connection, connection->channel.in.size);
	add(connection, programs);
	return 0;
}

static bool open_or_refuse(
	struct group_programs *programs, const struct socket_kind *kind, int fd, int file)
{
	uid_t uid = peer_uid(fd);
	int r = connection_open(programs, kind, fd, uid, file);

	if (r >= 0)
		return true;
	close(fd);
	if ((r != -EUSERS && r != -EMFILE) || !log_limit_pass(&programs->full_limit))
		return false;
	log_warning("group %s: refusing a program of uid %u at its socket, which has %u "
		    "connections: %s",
		programs->group->config->name, (unsigned)uid,
		users_count(programs->group->context->users, uid),
		slot_explain(&programs->slots, r));
	return false;
}

void group_connection_accept(
	struct group_programs *programs, const struct socket_kind *kind, int fd)
{
	open_or_refuse(programs, kind, fd, -1);
}

bool group_connection_restore(
	struct group_programs *programs, const struct socket_kind *kind, int fd, int file)
{
	return open_or_refuse(programs, kind, fd, file);
}

/* What is stored is the next run's matter, and no longer counted here. */
void group_programs_store(struct group_programs *programs, struct fd_queue *queue, int file)
{
	struct connection *connection;

	list_for_each(connection, &programs->connections, link) {
		struct channel *channel = &connection->channel;

		if (connection->failed || connection->reader.is_stalled ||
			channel_save(channel, file) < 0)
			continue;
		fd_queue_add(queue, channel->fd);
		rest_clear(&channel->in);
		rest_clear(&channel->out);
	}
}

void group_programs_init(struct group_programs *programs, struct group *group)
{
	programs->group = group;
	list_init(&programs->connections);
	slots_init(&programs->slots, CONNECTIONS_MAX, close_gone);
}

void group_programs_clear(struct group_programs *programs)
{
	struct connection *connection;

	list_for_each(connection, &programs->connections, link)
		connection_free(connection);
}

void group_programs_move(struct group_programs *from, struct group_programs *to)
{
	struct connection *connection;

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
