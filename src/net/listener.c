#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"

#define PAUSE_AFTER_ERROR_US 100000
#define ACCEPTS_AT_ONCE 8

/* Connections that wait to be accepted. They are one queue for all users, so that it has to be
 * short where one of them fills it; who finds it full waits in connect(2). */
#define BACKLOG 512

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
	char *path;
	dev_t device; /* of the socket file that we made: another may stand there by now */
	ino_t inode;
	struct log_limit limit;
};

static void resume_accepting(struct listener *listener)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};

	if (event_add(&listener->acceptable, NULL) < 0)
		evtimer_add(&listener->resume, &pause);
}

static void pause_accepting(struct listener *listener)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};

	if (log_limit_pass(&listener->limit))
		log_warning("%s: accepting connections: %s; waiting for a free descriptor",
			listener->path, strerror(errno));
	event_del(&listener->acceptable);
	if (evtimer_add(&listener->resume, &pause) < 0)
		resume_accepting(listener);
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

static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	turns_wait(listener->turns, &listener->turn);
}

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	keep_spare(listener);
	resume_accepting(listener);
}

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

int listener_check_path(const char *path, int type, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = -1;
	struct sockaddr_un address;
	struct stat status;
	int r = fill_address(path, &address);

	if (r >= 0 && lstat(path, &status) < 0)
		r = -errno;
	if (r < 0)
		return because(why, r, "%s: %s", path, strerror(-r));
	if (!S_ISSOCK(status.st_mode))
		return because(why, -EEXIST,
			"%s is there and is not a socket; remove it, or choose another path", path);
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED)
			return 0;
		/* Of another user: nobody knows whether it is in use. */
		if (errno == EACCES || errno == EPERM)
			return because(why, -errno, "%s: %s", path, strerror(errno));
	}
	return because(why, -EADDRINUSE, "%s is in use; is another mcastd running?", path);
}

/* Binds and sets the permissions; nobody can connect before listen(2), so there is no moment in
 * which the socket is open to more than it should be. */
static int bind_path(const struct listener_options *options, char why[static WHY_MAX])
{
	int r = listener_check_path(options->path, options->type, why);
	struct sockaddr_un address;
	AUTO_CLOSE int fd = -1;

	if (r < 0 && r != -ENOENT)
		return r;
	/* The socket file of a daemon that was killed. */
	if (r == 0 && unlink(options->path) < 0 && errno != ENOENT)
		r = -errno;
	else
		r = fill_address(options->path, &address);
	fd = socket(AF_UNIX, options->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r >= 0 && fd < 0)
		r = -errno;
	if (r >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r >= 0 && chmod(options->path, options->mode) < 0)
		r = -errno;
	if (r >= 0 && options->group != (gid_t)-1 &&
		chown(options->path, (uid_t)-1, options->group) < 0)
		r = -errno;
	if (r >= 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		return because(why, r, "%s: %s", options->path, strerror(-r));
	return take_fd(fd);
}

int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, void *argument, char why[static WHY_MAX], struct listener **ret)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	char *path = strdup(options->path);
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (!listener || !path)
		fd = because(why, -ENOMEM, "out of memory");
	else
		fd = options->fd ? options->fd : bind_path(options, why);
	if (fd < 0) {
		free(path);
		free(listener);
		return fd;
	}
	listener->path = path;
	listener->accept = accept;
	listener->argument = argument;
	if (!options->fd && stat(options->path, &status) == 0) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	listener->fd = take_fd(fd);
	listener->turns = options->turns;
	listener->turn.serve = serve;
	listener->has_spare = options->spare;
	listener->spare = -1;
	keep_spare(listener);
	if (options->fd)
		listen(listener->fd, BACKLOG); /* systemd's is longer */
	evutil_make_socket_nonblocking(listener->fd);
	evtimer_assign(&listener->resume, base, on_resume, listener);
	event_assign(&listener->acceptable, base, listener->fd, EV_READ | EV_PERSIST, on_acceptable,
		listener);
	if (event_add(&listener->acceptable, NULL) < 0) {
		listener_free(listener);
		return because(why, -ENOMEM, "out of memory");
	}
	*ret = listener;
	return 0;
}

int listener_rename(struct listener *listener, const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	if (rename(listener->path, path) < 0) {
		free(copy);
		return -errno;
	}
	free(listener->path);
	listener->path = copy;
	return 0;
}

void listener_free(struct listener *listener)
{
	struct stat status;

	if (!listener)
		return;
	if (lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
		status.st_ino == listener->inode)
		unlink(listener->path);
	event_del(&listener->acceptable);
	evtimer_del(&listener->resume);
	link_remove(&listener->turn.link);
	closep(&listener->spare);
	close(listener->fd);
	free(listener->path);
	free(listener);
}
