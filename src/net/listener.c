#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/log.h"

#define PAUSE_AFTER_ERROR_US 100000

struct listener {
	struct evconnlistener *connections;
	struct event *resume;
	listener_accept accept;
	void *argument;
	char *path;
	dev_t device; /* of the socket file that we made: another may stand there by now */
	ino_t inode;
	struct log_limit limit;
};

static void on_connection(
	struct evconnlistener *connections, evutil_socket_t fd, struct sockaddr *peer, int length, void *argument)
{
	struct listener *listener = argument;

	(void)connections, (void)peer, (void)length;
	listener->accept(fd, listener->argument);
}

static void on_error(struct evconnlistener *connections, void *argument)
{
	static const struct timeval pause = {.tv_usec = PAUSE_AFTER_ERROR_US};
	struct listener *listener = argument;
	uint64_t suppressed;

	if (log_limit_pass(&listener->limit, &suppressed))
		log_warning("%s: accepting connections: %s; waiting for a free descriptor", listener->path,
			strerror(errno));
	evconnlistener_disable(connections);
	evtimer_add(listener->resume, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)fd, (void)what;
	evconnlistener_enable(listener->connections);
}

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Removes a socket file that is left over from a daemon that was killed. */
static int remove_stale(const struct sockaddr_un *address, int type, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(why, WHY_MAX, "%s is there and is not a socket; remove it, or choose another path",
			address->sun_path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED) {
		snprintf(why, WHY_MAX, "%s is in use; is another mcastd running?", address->sun_path);
		return -EADDRINUSE;
	}
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Binds and sets the permissions; nobody can connect before listen(2), so there is no moment in which
 * the socket is open to more than it should be. */
static int bind_path(const struct listener_options *options, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = socket(AF_UNIX, options->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int r = fd < 0 ? -errno : fill_address(options->path, &address);

	*why = '\0';
	if (r >= 0)
		r = remove_stale(&address, options->type, why);
	if (r >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r >= 0 && chmod(options->path, options->mode) < 0)
		r = -errno;
	if (r >= 0 && options->group != (gid_t)-1 && chown(options->path, (uid_t)-1, options->group) < 0)
		r = -errno;
	if (r >= 0 && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	if (r < 0 && !*why)
		snprintf(why, WHY_MAX, "%s: %s", options->path, strerror(-r));
	return r < 0 ? r : take_fd(fd);
}

int listener_new(struct event_base *base, const struct listener_options *options, listener_accept accept,
	void *argument, char why[static WHY_MAX], struct listener **ret)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	AUTO_CLOSE int fd = -1;
	struct stat status;

	if (!listener || !(listener->path = strdup(options->path))) {
		free(listener);
		return -ENOMEM;
	}
	listener->accept = accept;
	listener->argument = argument;
	fd = options->fd ? options->fd : bind_path(options, why);
	if (fd < 0) {
		free(listener->path);
		free(listener);
		return fd;
	}
	if (!options->fd && stat(options->path, &status) == 0) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	listener->resume = evtimer_new(base, on_resume, listener);
	listener->connections = evconnlistener_new(
		base, on_connection, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener->resume || !listener->connections) {
		listener_free(listener);
		return -ENOMEM;
	}
	take_fd(fd);
	evconnlistener_set_error_cb(listener->connections, on_error);
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
	if (listener->connections)
		evconnlistener_free(listener->connections);
	if (listener->resume)
		event_free(listener->resume);
	free(listener->path);
	free(listener);
}
