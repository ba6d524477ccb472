#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/timer.h"

#define PAUSE_AFTER_ERROR_US 100000
#define ACCEPTS_AT_ONCE 8

struct listener {
	int fd;
	int spare; /* -1: none */
	bool has_spare;
	struct event acceptable;
	struct event resume;
	struct turns *turns;
	struct turn turn;
	listener_accept accept;
	void *argument;
	struct socket_file file;
	struct log_limit limit;
};

static void resume_accepting(struct listener *listener)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};

	if (event_add(&listener->acceptable, NULL) < 0)
		timer_start(&listener->resume, &pause);
}

static void pause_accepting(struct listener *listener)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};

	if (log_limit_pass(&listener->limit))
		log_warning("%s: accepting connections: %s; waiting for a free descriptor",
			listener->file.path, strerror(errno));
	event_del(&listener->acceptable);
	timer_start(&listener->resume, &pause);
}

static void keep_spare(struct listener *listener)
{
	if (listener->has_spare && listener->spare < 0)
		listener->spare = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
}

/* Returns a connection, or -1 with errno. The spare descriptor makes room for one when there is no
 * other: whoever listens decides what becomes of it. */
static int accept_one(struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || errno != EMFILE || listener->spare < 0)
		return fd;
	close(listener->spare);
	listener->spare = -1;
	return accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Returns whether more may wait. */
static bool accept_some(struct listener *listener)
{
	for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int connection = accept_one(listener);

		if (connection < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				pause_accepting(listener);
			return false;
		}
		listener->accept(connection, listener->argument);
		keep_spare(listener);
	}
	return true;
}

static void serve(struct turn *turn)
{
	struct listener *listener = container_of(turn, struct listener, turn);

	if (accept_some(listener))
		turns_wait(listener->turns, turn);
}

/* At once where none waits: datagrams that come after a connection are read after it in this round
 * of the loop, and are for it, too. */
static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	if (list_is_empty(&listener->turns->queue))
		serve(&listener->turn);
	else
		turns_wait(listener->turns, &listener->turn);
}

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	keep_spare(listener);
	resume_accepting(listener);
}

/* The path of a socket of systemd is only shown. */
static int open_socket(
	const struct listener_options *options, struct socket_file *ret, char why[static WHY_MAX])
{
	const struct socket_file_options file = {.path = options->path,
		.type = options->type,
		.mode = options->mode,
		.group = options->group,
		.backlog = LISTENER_BACKLOG};
	int r;

	if (!options->fd)
		return socket_file_bind(&file, ret, why);
	snprintf(ret->path, sizeof(ret->path), "%s", options->path);
	if (!options->is_restored)
		return options->fd;
	r = socket_file_adopt(options->fd, &file, ret);
	if (r >= 0)
		return options->fd;
	close(options->fd);
	return because(why, r, "%s: %s", options->path, strerror(-r));
}

int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, char why[static WHY_MAX], struct listener **ret)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	AUTO_CLOSE int fd = -1;

	if (!listener)
		fd = because(why, -ENOMEM, "out of memory");
	else
		fd = open_socket(options, &listener->file, why);
	if (fd < 0) {
		free(listener);
		return fd;
	}
	listener->accept = accept;
	listener->fd = take_fd(fd);
	listener->turns = options->turns;
	listener->turn.serve = serve;
	listener->has_spare = options->spare;
	listener->spare = -1;
	keep_spare(listener);
	if (options->fd && !options->is_restored)
		listen(listener->fd, LISTENER_BACKLOG); /* systemd's is longer */
	evutil_make_socket_nonblocking(listener->fd);
	evtimer_assign(&listener->resume, base, on_resume, listener);
	event_assign(&listener->acceptable, base, listener->fd, EV_READ | EV_PERSIST, on_acceptable,
		listener);
	*ret = listener;
	return 0;
}

void listener_begin(struct listener *listener, void *argument)
{
	listener->argument = argument;
	resume_accepting(listener);
}

bool listener_has_file(const struct listener *listener)
{
	return socket_file_is_there(&listener->file);
}

bool listener_is_at(const struct listener *listener, const char *path)
{
	return !strcmp(listener->file.path, path) && listener_has_file(listener);
}

int listener_permit(const struct listener *listener, mode_t mode, gid_t group)
{
	return socket_file_permit(&listener->file, mode, group);
}

/* dup3(2) closes the connection and takes its descriptor in one step: nothing else gets it in
 * between. */
void listener_close(struct listener *listener, int fd)
{
	if (listener->has_spare && listener->spare < 0 && dup3(listener->fd, fd, O_CLOEXEC) >= 0)
		listener->spare = fd;
	else
		close(fd);
}

int listener_fd(const struct listener *listener)
{
	return listener->fd;
}

void listener_leave(struct listener *listener)
{
	listener->file.inode = 0;
	listener_free(listener);
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	socket_file_remove(&listener->file);
	event_del(&listener->acceptable);
	evtimer_del(&listener->resume);
	link_remove(&listener->turn.link);
	closep(&listener->spare);
	close(listener->fd);
	free(listener);
}
