#include "ctl/client.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/json.h"

/* Bytes per read. */
#define READ_SIZE (128 * 1024)

/* Requests are written in pieces of about this size. */
#define UNSENT_MAX (64 * 1024)

struct client {
	int fd;
	struct text in;
	size_t taken; /* bytes at the front of in that were answers already returned */
	size_t scanned; /* bytes at the front of in that hold no further end of an answer */
	struct text out;
	bool closed; /* the daemon reads no more */
	bool answered; /* something has come from it */
	bool unread; /* it has ended, and had not read all that was written to it (unix(7)) */
	uint64_t deadline_ns; /* as client_set_deadline() says */
	struct client_patience patience;
	uint64_t patience_ends_ns; /* when to look whether it has read; UINT64_MAX: never */
};

bool client_was_answered(const struct client *client)
{
	return client->answered;
}

bool client_was_ignored(const struct client *client)
{
	return client->unread && !client->answered;
}

void client_end_patience(struct client *client)
{
	client->patience = (struct client_patience){0};
	client->patience_ends_ns = UINT64_MAX;
}

static void lose_patience(struct client *client)
{
	client->patience.unread(client->patience.argument);
	client_end_patience(client);
}

/* Waits where the queue of connections that the daemon has not accepted is full. unix(7) has no
 * timeout for that but the one of sending. */
static int wait_to_connect(struct client *client, const struct sockaddr_un *address)
{
	struct timeval wait = {.tv_sec = client->patience.unread ? CLIENT_PATIENCE_S : 0};

	for (;;) {
		setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
		if (connect(client->fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
			return 0;
		if (errno != EAGAIN || !wait.tv_sec)
			return -errno;
		lose_patience(client);
		wait.tv_sec = 0;
	}
}

static int connect_client(
	const char *path, int flags, const struct client_patience *patience, struct client **ret)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP(client_closep) struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return -ENOMEM;
	client->fd = -1;
	client->deadline_ns = client->patience_ends_ns = UINT64_MAX;
	if (patience)
		client->patience = *patience;
	if (!*path) /* would be an abstract address */
		return -ENOENT;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	r = client->fd < 0 ? -errno : wait_to_connect(client, &address);
	if (r < 0)
		return r;
	*ret = take(client);
	return 0;
}

int client_connect(const char *path, const struct client_patience *patience, struct client **ret)
{
	return connect_client(path, 0, patience, ret);
}

int client_connect_at_once(const char *path, struct client **ret)
{
	return connect_client(path, SOCK_NONBLOCK, NULL, ret);
}

void client_close(struct client *client)
{
	closep(&client->fd);
	text_free(&client->in);
	text_free(&client->out);
	free(client);
}

void client_set_deadline(struct client *client, uint64_t deadline_ns)
{
	client->deadline_ns = deadline_ns;
}

int poll_until(struct pollfd *fds, size_t count, uint64_t deadline_ns)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct timespec timeout = ns_timespec(deadline_ns > now_ns ? deadline_ns - now_ns : 0);
	int r = ppoll(fds, count, deadline_ns == UINT64_MAX ? NULL : &timeout, NULL);

	return r < 0 ? -errno : r;
}

/* The daemon has read, or answered, or there is more for it to read. waits: for it to read. */
static void renew_patience(struct client *client, bool waits)
{
	client->patience_ends_ns = waits && client->patience.unread
					   ? clock_ns(CLOCK_MONOTONIC) +
						     CLIENT_PATIENCE_S * NS_PER_S
					   : UINT64_MAX;
}

/* unix(7), SIOCOUTQ: what the other side has not read yet. */
static bool has_unread(const struct client *client)
{
	int unread;

	return ioctl(client->fd, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* As poll_until(), and tells of a daemon that reads nothing while this waits for it. */
static int wait_patiently(
	struct client *client, struct pollfd *fds, size_t count, uint64_t deadline_ns)
{
	while (client->patience_ends_ns < deadline_ns) {
		int r = poll_until(fds, count, client->patience_ends_ns);

		if (r)
			return r;
		if (has_unread(client))
			lose_patience(client);
		else
			renew_patience(client, false);
	}
	return poll_until(fds, count, deadline_ns);
}

/* Moves the unfinished answer to the front, so that the buffer is as large as one answer and not as
 * the whole conversation. */
static void compact(struct client *client)
{
	size_t rest = client->in.length - client->taken;

	if (!client->taken)
		return;
	memmove(client->in.data, client->in.data + client->taken, rest);
	client->in.length = rest;
	client->scanned -= client->taken;
	client->taken = 0;
}

/* Reads what has arrived, without waiting. */
static int fill(struct client *client)
{
	char *room;
	ssize_t n;

	compact(client);
	if (client->in.length > REPLY_MAX)
		return -EMSGSIZE;
	room = text_reserve(&client->in, READ_SIZE);
	if (!room)
		return -ENOMEM;
	n = recv(client->fd, room, READ_SIZE, MSG_DONTWAIT);
	if (n == 0)
		return -ECONNRESET;
	if (n < 0) {
		client->unread = errno == ECONNRESET;
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	}
	client->answered = true;
	client->in.length += (size_t)n;
	if (client->patience_ends_ns != UINT64_MAX)
		renew_patience(client, has_unread(client));
	return 0;
}

/* Writes what the socket takes now, from *sent on. */
static int write_some(struct client *client, size_t *sent)
{
	ssize_t n = send(client->fd, client->out.data + *sent, client->out.length - *sent,
		MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		renew_patience(client, true);
	if (n >= 0)
		*sent += (size_t)n;
	else if (errno == EPIPE || errno == ECONNRESET)
		client->closed = true;
	else if (errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

int client_flush(struct client *client)
{
	size_t sent = 0;
	int r = 0;

	if (text_failed(&client->out))
		return -ENOMEM;
	while (r == 0 && !client->closed && sent < client->out.length) {
		struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN | POLLOUT};

		r = wait_patiently(client, &poll_fd, 1, client->deadline_ns);
		if (r <= 0 && r != -EINTR)
			return r ? r : -ETIMEDOUT;
		r = 0;
		if (poll_fd.revents & (POLLOUT | POLLERR | POLLHUP))
			r = write_some(client, &sent);
		if (r == 0 && !client->closed && poll_fd.revents & POLLIN)
			r = fill(client);
	}
	text_clear(&client->out);
	/* It has gone, but what it answered before is still to be read. */
	return r == -ECONNRESET ? 0 : r;
}

int client_request(
	struct client *client, const char *method, const struct text *parameters, bool more)
{
	struct text *out = &client->out;

	json_put_open(out, NULL, '{');
	json_put_member(out, "method");
	text_printf(out, "\"io.mcastd.%s\"", method);
	if (more)
		json_put_true(out, "more");
	json_put_open(out, "parameters", '{');
	text_append(out, parameters->data, parameters->length);
	json_put_close(out, '}');
	json_put_close(out, '}');
	text_append(out, "", 1);
	out->failed |= parameters->failed;
	return out->length > UNSENT_MAX ? client_flush(client) : 0;
}

int client_wait(struct client *client, struct pollfd *fds, size_t count, uint64_t deadline_ns)
{
	int r, filled;

	fds[0] = (struct pollfd){.fd = client->fd, .events = POLLIN};
	r = wait_patiently(client, fds, count, deadline_ns);
	if (r < 0 && r != -EINTR)
		return r;
	if (fds[0].revents && (filled = fill(client)) < 0)
		return filled;
	return r != 0;
}

bool client_ready(struct client *client)
{
	const char *from = client->in.data + client->scanned;
	size_t rest = client->in.length - client->scanned;
	const char *end = rest ? memchr(from, '\0', rest) : NULL;

	client->scanned = end ? (size_t)(end - client->in.data) : client->in.length;
	return end;
}

static int parse_reply(const char *data, size_t size, struct reply *ret)
{
	AUTO_REPLY struct reply reply = {0};
	json_t *parameters;

	reply.message = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!json_is_object(reply.message))
		return -EBADMSG;
	parameters = json_object_get(reply.message, "parameters");
	if (!parameters || json_is_null(parameters)) {
		parameters = json_object();
		if (json_object_set_new(reply.message, "parameters", parameters) < 0)
			return -ENOMEM;
	}
	if (!json_is_object(parameters))
		return -EBADMSG;
	reply.parameters = parameters;
	reply.error = json_string_value(json_object_get(reply.message, "error"));
	reply.continues = json_is_true(json_object_get(reply.message, "continues"));
	*ret = reply;
	reply.message = NULL;
	return 0;
}

/* Also where an answer is there: one that has no end must end all the same. */
static bool is_too_late(const struct client *client)
{
	return client->deadline_ns != UINT64_MAX &&
	       clock_ns(CLOCK_MONOTONIC) >= client->deadline_ns;
}

int client_receive(struct client *client, struct reply *ret)
{
	const char *start;
	size_t size;
	int r = is_too_late(client) ? -ETIMEDOUT : client_flush(client);

	while (r >= 0 && !client_ready(client)) {
		r = client_wait(client, &(struct pollfd){0}, 1, client->deadline_ns);
		if (r == 0)
			r = -ETIMEDOUT;
	}
	if (r < 0)
		return r;
	start = client->in.data + client->taken;
	size = client->scanned - client->taken;
	client->taken = ++client->scanned;
	return parse_reply(start, size, ret);
}

void reply_clear(struct reply *reply)
{
	json_decref(reply->message);
	*reply = (struct reply){0};
}
