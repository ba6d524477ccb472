#include "service/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#define MESSAGE_MAX 512

/* Maximum number of queued states. The oldest is discarded: the newest is what counts. */
#define STATES_MAX 16

/* Maximum number of messages sent in one round of the loop. */
#define BURST 32

struct message {
	struct link link;
	int fd; /* to be sent along, owned; -1: none */
	char text[];
};

struct queue {
	struct link messages;
	unsigned count;
};

struct notify {
	int socket; /* connected, so that it is writable when the manager's socket has room */
	struct sockaddr_un address;
	socklen_t address_size;
	struct event writable; /* added while there is something queued */
	struct event watchdog;
	struct queue states; /* sent first */
	struct queue stores;
	struct log_limit failed;
};

static void discard(struct queue *queue, struct message *message)
{
	link_remove(&message->link);
	queue->count--;
	closep(&message->fd);
	free(message);
}

static int send_message(const struct notify *notify, const char *text, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = {0};
	struct iovec vector = {.iov_base = (char *)text, .iov_len = strlen(text)};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

	if (fd >= 0) {
		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&header) = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(fd))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof(fd));
	}
	return sendmsg(notify->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int connect_socket(const struct notify *notify)
{
	return connect(notify->socket, (const struct sockaddr *)&notify->address,
		       notify->address_size) < 0
		       ? -errno
		       : 0;
}

/* Returns false if there was no room, so that the message must be sent again. */
static bool try_send(struct notify *notify, const char *text, int fd)
{
	int r = send_message(notify, text, fd);

	/* The manager was restarted, and has a new socket at the same path. */
	if (r == -ECONNREFUSED && connect_socket(notify) == 0)
		r = send_message(notify, text, fd);
	if (r < 0 && r != -EAGAIN && log_limit_pass(&notify->failed))
		log_warning("cannot notify the service manager: %s", strerror(-r));
	return r != -EAGAIN;
}

/* Sends queued messages. Returns whether all are sent. */
static bool send_queued(struct notify *notify, unsigned most)
{
	struct queue *queues[] = {&notify->states, &notify->stores};

	for (size_t i = 0; i < ARRAY_SIZE(queues); i++)
		while (queues[i]->count) {
			struct message *message = list_first(
				&queues[i]->messages, struct message, link);

			if (!most-- || !try_send(notify, message->text, message->fd))
				return false;
			discard(queues[i], message);
		}
	event_del(&notify->writable);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *notify)
{
	(void)fd, (void)what;
	send_queued(notify, BURST);
}

/* Takes fd over. */
static bool enqueue(struct notify *notify, struct queue *queue, const char *text, int fd)
{
	struct message *message = malloc(sizeof(*message) + strlen(text) + 1);

	if (!message) {
		closep(&fd);
		return false;
	}
	message->link = (struct link){0};
	message->fd = fd;
	strcpy(message->text, text);
	list_append(&queue->messages, &message->link);
	queue->count++;
	event_add(&notify->writable, NULL);
	return true;
}

bool notify_store(struct notify *notify, const char *name, int fd)
{
	char text[MESSAGE_MAX];

	/* FDPOLL=0: systemd would otherwise drop a socket that has an error pending, for example
	 * because its interface is down. */
	snprintf(text, sizeof(text), "%s=1\n%sFDNAME=%s", fd < 0 ? "FDSTOREREMOVE" : "FDSTORE",
		fd < 0 ? "" : "FDPOLL=0\n", name);
	return enqueue(notify, &notify->stores, text, fd);
}

unsigned notify_stores_queued(const struct notify *notify)
{
	return notify->stores.count;
}

PRINTF_LIKE(2, 3) static void send_state(struct notify *notify, const char *format, ...)
{
	char text[MESSAGE_MAX];
	va_list arguments;

	if (!notify)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!notify->states.count && try_send(notify, text, -1))
		return;
	if (notify->states.count == STATES_MAX)
		discard(&notify->states,
			list_first(&notify->states.messages, struct message, link));
	enqueue(notify, &notify->states, text, -1);
}

void notify_ready(struct notify *notify, const char *status)
{
	send_state(notify, "READY=1\nSTATUS=%s", status);
}

void notify_status(struct notify *notify, const char *status)
{
	send_state(notify, "STATUS=%s", status);
}

void notify_reloading(struct notify *notify)
{
	/* MONOTONIC_USEC tells systemd 253 and later which READY=1 ends the reload. */
	send_state(
		notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_ns(CLOCK_MONOTONIC) / 1000);
}

void notify_extend(struct notify *notify, unsigned seconds)
{
	send_state(notify, "EXTEND_TIMEOUT_USEC=%" PRIu64, (uint64_t)seconds * 1000000);
}

void notify_stopping(struct notify *notify)
{
	send_state(notify, "STOPPING=1");
}

/* While a state is queued, it would only be one more message without room. */
static void on_watchdog(evutil_socket_t fd, short what, void *argument)
{
	struct notify *notify = argument;

	(void)fd, (void)what;
	if (!notify->states.count)
		send_state(notify, "WATCHDOG=1");
}

/* Every third of the limit: one report may be late by as much without harm. */
static void start_watchdog(struct notify *notify)
{
	struct timeval interval;
	uint64_t limit_us;

	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return;
	interval = (struct timeval){.tv_sec = (time_t)(limit_us / 3 / 1000000),
		.tv_usec = (suseconds_t)(limit_us / 3 % 1000000)};
	event_add(&notify->watchdog, &interval);
}

/* "@" stands for the zero byte of an abstract address (unix(7)). */
static int open_socket(struct notify *notify, const char *path)
{
	size_t length = strlen(path);

	if ((*path != '/' && *path != '@') || length >= sizeof(notify->address.sun_path))
		return -EAFNOSUPPORT;
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, path, length);
	if (*path == '@')
		notify->address.sun_path[0] = '\0';
	notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
					   (*path == '/'));
	notify->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return notify->socket < 0 ? -errno : connect_socket(notify);
}

int notify_new(struct event_base *base, struct notify **ret)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct notify *notify;
	int r;

	*ret = NULL;
	if (!path)
		return 0;
	notify = calloc(1, sizeof(*notify));
	if (!notify)
		return -ENOMEM;
	notify->socket = -1;
	list_init(&notify->states.messages);
	list_init(&notify->stores.messages);
	r = open_socket(notify, path);
	event_assign(&notify->writable, base, notify->socket, EV_WRITE | EV_PERSIST, on_writable,
		notify);
	event_assign(&notify->watchdog, base, -1, EV_PERSIST, on_watchdog, notify);
	if (r < 0) {
		notify_free(notify);
		return r;
	}
	start_watchdog(notify);
	*ret = notify;
	return 0;
}

bool notify_flush(struct notify *notify, uint64_t deadline_ns)
{
	while (notify && !send_queued(notify, UINT_MAX)) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);
		struct pollfd writable = {.fd = notify->socket, .events = POLLOUT};

		if (now >= deadline_ns)
			return false;
		poll(&writable, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1);
	}
	return true;
}

static void clear(struct queue *queue)
{
	while (queue->count)
		discard(queue, list_first(&queue->messages, struct message, link));
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	event_del(&notify->writable);
	event_del(&notify->watchdog);
	clear(&notify->states);
	clear(&notify->stores);
	closep(&notify->socket);
	free(notify);
}
