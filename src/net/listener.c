#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"

#define PAUSE_AFTER_ERROR_US 100000
#define ACCEPTS_AT_ONCE 8

struct listener {
	int fd;
	struct event acceptable;
	struct event resume;
	listener_accept accept;
	void *argument;
	char *path;
	dev_t device; /* of the socket file that we made: another may stand there by now */
	ino_t inode;
	struct log_limit limit;
};

static void pause_accepting(struct listener *listener)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};

	if (log_limit_pass(&listener->limit))
		log_warning("%s: accepting connections: %s; waiting for a free descriptor",
			listener->path, strerror(errno));
	event_del(&listener->acceptable);
	evtimer_add(&listener->resume, &pause);
}

/* A few per turn: a program that connects again and again must not hold up the loop. */
static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (connection >= 0) {
			listener->accept(connection, listener->argument);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(listener);
		return;
	}
}

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	event_add(&listener->acceptable, NULL);
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
	if (r >= 0 && listen(fd, SOMAXCONN) < 0)
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
	close(listener->fd);
	free(listener->path);
	free(listener);
}
