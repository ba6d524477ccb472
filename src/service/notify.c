#include "service/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
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

/* Maximum number of queued states. The oldest is discarded: the newest is what counts. A status
 * that follows another one replaces it, so that many of them discard no other state. */
#define STATES_MAX 16

/* Maximum size of a state, with its NUL. */
#define TEXT_MAX 512

/* Maximum number of requests to the fd store in one round of the loop. */
#define BURST 32

struct message {
	struct link link;
	int fd; /* to be sent along, owned; -1: none */
	char *text;
};

struct queue {
	struct link messages;
	unsigned count;
};

struct notify {
	int socket; /* connected: it is writable when the manager's socket has room */
	struct event writable; /* added while something is queued */
	struct event watchdog;
	struct queue states; /* sent first */
	struct queue stores;
	struct log_limit limit;
};

static bool may_pass(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* Returns false if there is no room, or no memory for now. Other errors are logged. */
static bool try_send(struct notify *notify, const struct message *message)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec vector = {.iov_base = message->text, .iov_len = strlen(message->text)};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

	if (message->fd >= 0) {
		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&header) = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &message->fd, sizeof(int));
	}
	if (sendmsg(notify->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (may_pass(errno))
		return false;
	if (log_limit_pass(&notify->limit))
		log_warning("the service manager cannot be told %.*s: %s",
			(int)strcspn(message->text, "\n"), message->text, strerror(errno));
	return true;
}

static struct message *first(const struct queue *queue)
{
	return list_first(&queue->messages, struct message, link);
}

static void discard(struct queue *queue, struct message *message)
{
	link_remove(&message->link);
	queue->count--;
	closep(&message->fd);
	free(message->text);
	free(message);
}

/* Sends the oldest of a queue. */
static bool advance(struct notify *notify, struct queue *queue)
{
	if (!try_send(notify, first(queue)))
		return false;
	discard(queue, first(queue));
	return true;
}

/* Sends all states, and then at most this number of other messages. Returns whether nothing is
 * queued any more. */
static bool send_queued(struct notify *notify, unsigned stores)
{
	while (notify->states.count)
		if (!advance(notify, &notify->states))
			return false;
	for (; notify->stores.count; stores--)
		if (!stores || !advance(notify, &notify->stores))
			return false;
	event_del(&notify->writable);
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *notify)
{
	(void)fd, (void)what;
	send_queued(notify, BURST);
}

/* Takes fd and text over. */
static bool enqueue(struct notify *notify, struct queue *queue, int fd, char *text)
{
	struct message *message = text ? calloc(1, sizeof(*message)) : NULL;

	if (!message) {
		closep(&fd);
		free(text);
		return false;
	}
	message->fd = fd;
	message->text = text;
	list_append(&queue->messages, &message->link);
	queue->count++;
	event_add(&notify->writable, NULL);
	return true;
}

static bool is_status(const char *text)
{
	return !strncmp(text, "STATUS=", strlen("STATUS="));
}

/* Discards what a new state makes superfluous, or what there is no room for. */
static void make_room(struct queue *states, const char *text)
{
	struct message *last = list_last(&states->messages, struct message, link);

	if (last && is_status(last->text) && is_status(text))
		discard(states, last);
	else if (states->count == STATES_MAX)
		discard(states, first(states));
}

/* Needs no memory where the socket has room: the service manager waits for some of the states. */
void notify_send(struct notify *notify, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list arguments;

	if (!notify)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	send_queued(notify, 0);
	if (!notify->states.count && try_send(notify, &(struct message){.fd = -1, .text = text}))
		return;
	make_room(&notify->states, text);
	enqueue(notify, &notify->states, -1, strdup(text));
}

bool notify_store(struct notify *notify, const char *name, int fd)
{
	char *text;

	/* With FDPOLL=0, a socket that has an error pending stays stored, for example if its
	 * interface is down. */
	if (asprintf(&text,
		    fd < 0 ? "FDSTOREREMOVE=1\nFDNAME=%s" : "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
		    name) < 0)
		text = NULL;
	return enqueue(notify, &notify->stores, fd, text);
}

unsigned notify_stores_queued(const struct notify *notify)
{
	return notify->stores.count;
}

bool notify_flush(struct notify *notify, uint64_t deadline_ns)
{
	while (notify && !send_queued(notify, UINT_MAX)) {
		struct pollfd writable = {.fd = notify->socket, .events = POLLOUT};
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		if (now >= deadline_ns)
			return false;
		poll(&writable, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1);
	}
	return true;
}

/* If an earlier state is still queued, there is no room. */
static void on_watchdog(evutil_socket_t fd, short what, void *argument)
{
	struct notify *notify = argument;

	(void)fd, (void)what;
	send_queued(notify, 0);
	if (!notify->states.count)
		notify_send(notify, "WATCHDOG=1");
}

/* Every third of the limit: one report may be late by as much without harm. */
static int start_watchdog(struct notify *notify)
{
	struct timeval interval;
	uint64_t limit_us;

	if (sd_watchdog_enabled(0, &limit_us) <= 0)
		return 0;
	interval = ns_timeval(limit_us / 3 * 1000);
	return event_add(&notify->watchdog, &interval) < 0 ? -ENOMEM : 0;
}

/* In an abstract address, "@" stands for the zero byte (unix(7)). */
static int open_socket(const char *path)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = offsetof(struct sockaddr_un, sun_path) + strlen(path) + (*path == '/');

	if ((*path != '/' && *path != '@') || size > sizeof(address))
		return -EAFNOSUPPORT;
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	if (connect(fd, (const struct sockaddr *)&address, (socklen_t)size) < 0)
		return -errno;
	return take_fd(fd);
}

int notify_new(struct event_base *base, struct notify **ret)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int fd = path ? open_socket(path) : 0;
	struct notify *notify;

	*ret = NULL;
	if (!path || fd < 0)
		return fd;
	notify = calloc(1, sizeof(*notify));
	if (!notify) {
		close(fd);
		return -ENOMEM;
	}
	notify->socket = fd;
	list_init(&notify->states.messages);
	list_init(&notify->stores.messages);
	event_assign(&notify->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, notify);
	event_assign(&notify->watchdog, base, -1, EV_PERSIST, on_watchdog, notify);
	if (start_watchdog(notify) < 0) {
		notify_free(notify);
		return -ENOMEM;
	}
	*ret = notify;
	return 0;
}

void notify_free(struct notify *notify)
{
	if (!notify)
		return;
	event_del(&notify->writable);
	event_del(&notify->watchdog);
	while (notify->states.count)
		discard(&notify->states, first(&notify->states));
	while (notify->stores.count)
		discard(&notify->stores, first(&notify->stores));
	close(notify->socket);
	free(notify);
}
