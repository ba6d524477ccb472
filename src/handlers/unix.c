/* unix: hands datagrams to another program, which has a UNIX socket. The program may come and go.
 *
 * A socket of datagrams or packets gets each payload as a message; a stream gets them as records
 * (child/records.h). Each batch is sent as far as the program takes it; until all of it is, the
 * handler is not ready() for more, and what is received waits in its queue. The kernel wakes up
 * whoever waits for a socket that others fill, too (unix_dgram_poll() in net/unix/af_unix.c).
 *
 * While the program is not there, what comes is dropped: it would be old when the program comes. A
 * connection that has ended is followed by another one at once, but not sooner than
 * RECONNECT_NS after it was made, and what is left goes there: a program that ends each time it is
 * connected to costs no more than that. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "child/records.h"
#include "handlers/failure.h"
#include "handlers/handler.h"
#include "service/path_fix.h"

#define SEND_BUFFER (1 << 20) /* bytes */
#define RECONNECT_NS (250 * NS_PER_MS)
#define DISCARD_BYTES 4096 /* of what the program says, at once */

/* What framing = "nul" could not carry. */
enum { COUNTED_NUL };

static const char *const unix_counters[] = {"containsNul", NULL};

struct unix_settings {
	char *path;
	int socket_type; /* the index into socket_types */
	int framing; /* CHOICE_ABSENT: that of streams is lines */
};

struct unix_handler {
	struct sockaddr_un address;
	int type;
	enum framing framing;
	struct records records; /* of one batch */
	int fd; /* connected, or -1 */
	int epoll; /* has fd */
	uint32_t watched; /* events of fd */
	bool input_ended; /* the program has said all that it will */
	uint64_t connected_ns; /* when it was connected last; 0: never */
	uint64_t retry_ns; /* when to connect again; 0: nothing waits for that */
	struct failure failure;
};

static const char *const socket_types[] = {"dgram", "seqpacket", "stream", NULL};
static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};

static const struct key unix_keys[] = {
	{.name = "path",
		.type = KEY_PATH,
		.offset = offsetof(struct unix_settings, path),
		.max = SOCKET_PATH_MAX,
		.required = true,
		.help = "The socket of the program that reads."},
	{.name = "socket_type",
		.type = KEY_CHOICE,
		.offset = offsetof(struct unix_settings, socket_type),
		.choices = socket_types,
		.fallback = "dgram",
		.help = "dgram, seqpacket or stream, as the program made it."},
	{.name = "framing",
		.type = KEY_CHOICE,
		.offset = offsetof(struct unix_settings, framing),
		.choices = framing_names,
		.help = "For a stream only: how the program tells datagrams apart, as for pipe. "
			"Default: lines."},
};

static enum framing framing_of(const struct unix_settings *wanted)
{
	if (types[wanted->socket_type] != SOCK_STREAM)
		return FRAMING_RAW;
	return wanted->framing == CHOICE_ABSENT ? FRAMING_LINES : (enum framing)wanted->framing;
}

static int unix_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct unix_settings *wanted = settings;

	*ret_key = "framing";
	if (wanted->framing == CHOICE_ABSENT || types[wanted->socket_type] == SOCK_STREAM)
		return 0;
	return because(why, -EINVAL,
		"has no effect with socket_type = \"%s\", where each payload is a message; remove "
		"it, or set socket_type = \"stream\"",
		socket_types[wanted->socket_type]);
}

static unsigned unix_needs(const void *settings)
{
	return framing_needs(framing_of(settings));
}

static void unix_close(void *object)
{
	struct unix_handler *handler = object;

	if (!handler)
		return;
	closep(&handler->fd);
	closep(&handler->epoll);
	records_clear(&handler->records);
	free(handler);
}

static int unix_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct unix_settings *wanted = settings;
	struct unix_handler *handler = calloc(1, sizeof(*handler));
	int r;

	if (!handler)
		return -ENOMEM;
	handler->failure.name = context->name;
	handler->address.sun_family = AF_UNIX;
	strncpy(handler->address.sun_path, wanted->path, sizeof(handler->address.sun_path) - 1);
	handler->type = types[wanted->socket_type];
	handler->framing = framing_of(wanted);
	handler->fd = -1;
	handler->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (handler->epoll < 0) {
		r = -errno;
		unix_close(handler);
		return because(why, r, "%s", strerror(-r));
	}
	*ret = handler;
	return 0;
}

/* A program that is not there yet is none. */
static bool unix_doubt(const void *settings, char why[static WHY_MAX])
{
	const char *path = ((const struct unix_settings *)settings)->path;
	char fix[PATH_FIX_MAX];
	struct stat status;
	int r = stat(path, &status) < 0 ? -errno : 0;

	if (path_is_private(path, PATH_CONNECTING, why))
		return true;
	if (r >= 0 && !S_ISSOCK(status.st_mode))
		return because(why, true, "%s is no socket, and nothing is delivered to it", path);
	if (r >= 0 && access(path, W_OK) < 0)
		r = -errno;
	path_fix(r, path, PATH_CONNECTING, fix);
	if (r == 0 || (r == -ENOENT && !*fix))
		return false;
	return because(why, true, "%s: %s%s", path, strerror(-r), fix);
}

/* ---- The connection ---- */

/* Watches for room while records are left, and for what the program says, which is discarded: one
 * that cannot write might not read either. */
static int watch(struct unix_handler *handler, int operation)
{
	bool listens = handler->type != SOCK_DGRAM && !handler->input_ended;
	uint32_t wanted = (records_left(&handler->records) ? EPOLLOUT : 0u) |
			  (listens ? EPOLLIN | EPOLLRDHUP : 0u);
	struct epoll_event event = {.events = wanted, .data.ptr = handler};

	if (operation == EPOLL_CTL_MOD && wanted == handler->watched)
		return 0;
	if (epoll_ctl(handler->epoll, operation, handler->fd, &event) < 0)
		return -errno;
	handler->watched = wanted;
	return 0;
}

/* Connecting a non-blocking UNIX socket never waits (unix(7)). Returns 0; -EAGAIN when it is too
 * early, or as many wait already as the program lets wait: then retry_ns is when to try again; or
 * another negative errno. */
static int connect_program(struct unix_handler *handler)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), next_ns = handler->connected_ns + RECONNECT_NS;
	int size = SEND_BUFFER, r = 0;

	if (handler->connected_ns && now < next_ns) {
		handler->retry_ns = next_ns;
		return -EAGAIN;
	}
	handler->fd = socket(AF_UNIX, handler->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (handler->fd < 0)
		return -errno;
	handler->input_ended = false;
	if (connect(handler->fd, (const struct sockaddr *)&handler->address,
		    sizeof(handler->address)) < 0)
		r = -errno;
	r = r < 0 ? r : watch(handler, EPOLL_CTL_ADD);
	if (r < 0) {
		closep(&handler->fd);
		handler->retry_ns = r == -EAGAIN ? now + RECONNECT_NS : 0;
		return r;
	}
	setsockopt(handler->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	handler->connected_ns = now;
	return 0;
}

static void disconnect(struct unix_handler *handler, struct outcome *outcome)
{
	closep(&handler->fd);
	records_drop_torn(&handler->records, outcome);
}

/* Whether the program has closed the connection. It may have ended its own half only. */
static bool has_hung_up(struct unix_handler *handler)
{
	struct pollfd connection = {.fd = handler->fd, .events = POLLIN | POLLRDHUP};
	char discarded[DISCARD_BYTES];

	if (handler->type == SOCK_DGRAM || poll(&connection, 1, 0) <= 0)
		return false;
	if (connection.revents & (POLLHUP | POLLERR))
		return true;
	if (connection.revents & POLLRDHUP)
		handler->input_ended = true;
	else if (connection.revents & POLLIN &&
		 recv(handler->fd, discarded, sizeof(discarded), MSG_DONTWAIT) < 0)
		handler->input_ended = errno != EAGAIN && errno != EINTR; /* it stays readable */
	return false;
}

/* ---- Datagrams ---- */

static bool is_gone(int r)
{
	return r == -ECONNREFUSED || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN ||
	       r == -ENOENT;
}

/* How to fix it; empty, or with the separator in front. */
static const char *hint(const char *path, int r, char fix[static PATH_FIX_MAX])
{
	if (r == -EPROTOTYPE)
		return "; the program made it of another type: set socket_type";
	if (*path_fix(r, path, PATH_CONNECTING, fix))
		return fix;
	if (r == -ENOENT)
		return "; start the program that makes it, or correct path";
	return is_gone(r) ? "; the program that made it has gone, start it again" : "";
}

/* Says why nothing is delivered, until something is. */
static void complain(struct unix_handler *handler, const char *doing, int r)
{
	const char *path = handler->address.sun_path;
	char fix[PATH_FIX_MAX];

	if (failure_is_new(&handler->failure, r))
		failure_tell(&handler->failure, r, "%s %s: %s%s", doing, path, strerror(-r),
			hint(path, r, fix));
}

static void forget_error(struct unix_handler *handler)
{
	if (failure_end(&handler->failure))
		log_notice("handler %s: delivers to %s again", handler->failure.name,
			handler->address.sun_path);
}

static const char *unix_error(const void *object)
{
	return failure_text(&((const struct unix_handler *)object)->failure);
}

static void fail_to_connect(struct unix_handler *handler, int r, struct outcome *outcome)
{
	complain(handler, "connecting to", r);
	records_drop_all(&handler->records, is_gone(r) ? DROP_ABSENT : DROP_IO, outcome);
}

/* A stream has to end where nobody knows how much of a record it took. */
static void fail_to_send(struct unix_handler *handler, int r, struct outcome *outcome)
{
	if (!is_gone(r) && r != -EMSGSIZE)
		complain(handler, "sending to", r);
	if (is_gone(r) || handler->type == SOCK_STREAM)
		disconnect(handler, outcome);
	else
		records_drop_first(
			&handler->records, r == -EMSGSIZE ? DROP_SIZE : DROP_IO, outcome);
}

static int send_once(struct unix_handler *handler, struct outcome *outcome)
{
	if (handler->type == SOCK_STREAM)
		return records_write(&handler->records, handler->fd, outcome);
	return records_send(&handler->records, handler->fd, outcome);
}

/* Sends as much as the program takes. */
static void send_records(struct unix_handler *handler, struct outcome *outcome)
{
	uint64_t before = outcome->delivered;
	int r = 0;

	handler->retry_ns = 0;
	while (records_left(&handler->records) && r != -EAGAIN) {
		if (handler->fd < 0) {
			r = connect_program(handler);
			if (r < 0 && r != -EAGAIN)
				fail_to_connect(handler, r, outcome);
			continue;
		}
		r = send_once(handler, outcome);
		if (r < 0 && r != -EAGAIN)
			fail_to_send(handler, r, outcome);
		else if (outcome->delivered > before)
			forget_error(handler);
		before = outcome->delivered;
	}
	if (handler->fd >= 0 && watch(handler, EPOLL_CTL_MOD) < 0)
		handler->retry_ns = clock_ns(CLOCK_MONOTONIC) + RECONNECT_NS;
}

/* Does all that the descriptor may be ready for, and what is due. */
static void unix_serve(void *object, struct outcome *outcome)
{
	struct unix_handler *handler = object;

	if (handler->fd >= 0 && has_hung_up(handler))
		disconnect(handler, outcome);
	send_records(handler, outcome);
}

static void unix_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct unix_handler *handler = object;
	unsigned refused = records_fill(&handler->records, handler->framing, batch);

	outcome->dropped[DROP_IO] += refused;
	if (handler->framing == FRAMING_NUL)
		outcome->counted[COUNTED_NUL] += refused;
	send_records(handler, outcome);
}

static bool unix_ready(const void *object)
{
	return !records_left(&((const struct unix_handler *)object)->records);
}

static uint64_t unix_deadline(const void *object)
{
	return ((const struct unix_handler *)object)->retry_ns;
}

static int unix_descriptor(const void *object)
{
	return ((const struct unix_handler *)object)->epoll;
}

static void unix_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct unix_handler *handler = object;

	while (!unix_ready(handler) && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		wait_until_ready(handler->epoll, POLLIN, earlier_ns(handler->retry_ns, until_ns));
		unix_serve(handler, outcome);
	}
}

const struct handler_kind unix_kind = {
	.config = {.name = "unix",
		.may_block = true,
		.schema = {unix_keys, ARRAY_SIZE(unix_keys), sizeof(struct unix_settings)},
		.check = unix_check},
	.counters = unix_counters,
	.needs = unix_needs,
	.doubt = unix_doubt,
	.open = unix_open,
	.error = unix_error,
	.deliver = unix_deliver,
	.deadline = unix_deadline,
	.descriptor = unix_descriptor,
	.serve = unix_serve,
	.ready = unix_ready,
	.exclusive = true, /* for the order: what the one before has comes first */
	.finish = unix_finish,
	.close = unix_close,
};
