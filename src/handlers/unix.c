/* unix: sends the payload to another program's UNIX socket. It is no error if the program is not
 * there, or restarts. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "handlers/handler.h"
#include "service/sandbox.h"

#define SEND_BUFFER (1 << 20) /* bytes */
#define QUEUE_LENGTH_WANTED 512

struct unix_settings {
	char *path;
	int socket_type;
};

struct unix_handler {
	const char *name;
	struct sockaddr_un address;
	int type;
	int fd; /* connected, or -1 */
	struct log_limit limit;
};

static const char *const socket_types[] = {"dgram", "seqpacket", NULL};

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
		.help = "dgram or seqpacket, as the program made it."},
};

static unsigned unix_needs(const void *settings)
{
	(void)settings;
	return 0;
}

/* max_dgram_qlen is the number of datagrams that may wait at a socket, whatever its buffers: the
 * default of 10 loses every burst. */
static void warn_of_short_queue(const struct unix_handler *handler)
{
	int64_t length = read_number("/proc/sys/net/unix/max_dgram_qlen", QUEUE_LENGTH_WANTED);

	if (length < QUEUE_LENGTH_WANTED)
		log_warning("handler %s: only %" PRId64 " datagrams may wait at %s; do sysctl -w "
			    "net.unix.max_dgram_qlen=%u before its program starts",
			handler->name, length, handler->address.sun_path, QUEUE_LENGTH_WANTED);
}

static int unix_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	const struct unix_settings *wanted = settings;
	struct unix_handler *handler = calloc(1, sizeof(*handler));

	(void)why;
	if (!handler)
		return -ENOMEM;
	handler->name = context->name;
	handler->address.sun_family = AF_UNIX;
	strncpy(handler->address.sun_path, wanted->path, sizeof(handler->address.sun_path) - 1);
	handler->type = wanted->socket_type ? SOCK_SEQPACKET : SOCK_DGRAM;
	handler->fd = -1;
	if (handler->type == SOCK_DGRAM)
		warn_of_short_queue(handler);
	*ret = handler;
	return 0;
}

/* A program that is not there yet is none. */
static bool unix_doubt(const void *settings, char why[static WHY_MAX])
{
	const char *path = ((const struct unix_settings *)settings)->path;
	const char *slash = strrchr(path, '/');
	char directory[SOCKET_PATH_MAX + 1];
	struct stat status;
	int r = stat(path, &status) < 0 ? -errno : 0;

	if (sandbox_hides(path))
		return because(why, true,
			"the service has a /tmp of its own (PrivateTmp=) and does not see %s: use "
			"a socket in /run",
			path);
	if (r >= 0 && !S_ISSOCK(status.st_mode))
		return because(why, true, "%s is no socket, and nothing is delivered to it", path);
	if (r >= 0 && access(path, W_OK) < 0)
		return because(why, true,
			"%s: %s: the daemon's user must be able to write to it: chmod or chgrp it",
			path, strerror(errno));
	snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path), path);
	if (r < 0 && access(directory, X_OK) < 0)
		return because(why, true, "%s: %s: the daemon's user cannot reach the socket there",
			directory, strerror(errno));
	return false;
}

/* Connecting a non-blocking UNIX socket never waits (unix(7)): it is tried with every batch. */
static int reconnect(struct unix_handler *handler)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, handler->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int size = SEND_BUFFER;

	closep(&handler->fd);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&handler->address, sizeof(handler->address)) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	handler->fd = take_fd(fd);
	return 0;
}

static bool is_gone(int r)
{
	return r == -ECONNREFUSED || r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN ||
	       r == -ENOENT;
}

static int send_one(struct unix_handler *handler, const struct datagram *datagram)
{
	if (handler->fd < 0)
		return -ENOTCONN;
	if (send(handler->fd, datagram->payload, datagram->size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

static enum drop_reason reason(int r)
{
	if (is_gone(r))
		return DROP_ABSENT;
	return r == -EAGAIN || r == -ENOBUFS ? DROP_BUSY : r == -EMSGSIZE ? DROP_SIZE : DROP_IO;
}

static void unix_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct unix_handler *handler = object;
	bool tried = false;

	for (unsigned i = 0; i < batch->count; i++) {
		int r = send_one(handler, &batch->datagrams[i]);

		if (is_gone(r) && !tried) {
			tried = true;
			r = reconnect(handler);
			r = r < 0 ? r : send_one(handler, &batch->datagrams[i]);
		}
		if (r >= 0) {
			outcome->delivered++;
			continue;
		}
		outcome->dropped[reason(r)]++;
		if (reason(r) == DROP_IO && log_limit_pass(&handler->limit))
			log_warning("handler %s: sending to %s: %s", handler->name,
				handler->address.sun_path, strerror(-r));
	}
}

static void unix_close(void *object)
{
	struct unix_handler *handler = object;

	if (!handler)
		return;
	closep(&handler->fd);
	free(handler);
}

const struct handler_kind unix_kind = {
	.config = {.name = "unix",
		.schema = {unix_keys, ARRAY_SIZE(unix_keys), sizeof(struct unix_settings)}},
	.needs = unix_needs,
	.doubt = unix_doubt,
	.open = unix_open,
	.deliver = unix_deliver,
	.close = unix_close,
};
