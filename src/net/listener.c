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

#define STALE "%s; it is a socket that nobody listens on: remove it"

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
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
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

static int fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

/* unlink(2): in a sticky directory, a file is removed by its owner and the directory's. */
static int check_removal(const char *path, const struct stat *file, char why[static WHY_MAX])
{
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *slash = strrchr(path, '/');
	uid_t user = geteuid();
	struct stat status;
	int r = 0;

	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash + 1 - path) : 1,
		slash ? path : ".");
	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0 ||
		stat(directory, &status) < 0)
		r = -errno;
	else if (status.st_mode & S_ISVTX && user && user != file->st_uid && user != status.st_uid)
		r = -EPERM;
	return r < 0 ? because(why, r, "%s: " STALE, path, strerror(-r)) : 0;
}

int listener_check_path(const char *path, char why[static WHY_MAX])
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
	/* Of another type, so that nobody is disturbed: not a daemon, nor systemd, which would
	 * start one. Where a socket is bound it fails with EPROTOTYPE. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED)
			return check_removal(path, &status, why);
		/* Of another user: nobody knows whether it is in use. */
		if (errno == EACCES || errno == EPERM)
			return because(why, -errno,
				"%s is a socket of another user's: %s; choose another path", path,
				strerror(errno));
	}
	return because(why, -EADDRINUSE, "%s is in use; is another mcastd running?", path);
}

pid_t listener_owner(const char *path, int type)
{
	AUTO_CLOSE int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	struct ucred owner = {0};
	socklen_t length = sizeof(owner);

	if (fd < 0 || fill_address(path, &address) < 0 ||
		connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &length) < 0)
		return 0;
	return owner.pid;
}

/* Removes the socket file of a daemon that was killed. */
static int remove_unused(const struct listener_options *options, char why[static WHY_MAX])
{
	int r = listener_check_path(options->path, why);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (unlink(options->path) < 0 && errno != ENOENT)
		return because(why, -errno, "%s: " STALE, options->path, strerror(errno));
	return 0;
}

/* Gives the file that was bound the permissions that bind(2) could not: bits that the umask has
 * taken, and the group. By descriptor: in a directory of somebody else's, another file may stand
 * there by now, or a link to one. */
static int set_permissions(const struct listener_options *options, struct stat *ret)
{
	AUTO_CLOSE int fd = open(options->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char opened[32];

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	if (!S_ISSOCK(ret->st_mode) || ret->st_uid != geteuid() || ret->st_nlink != 1)
		return -ESTALE;
	if (options->group != (gid_t)-1 && ret->st_gid != options->group &&
		fchownat(fd, "", (uid_t)-1, options->group, AT_EMPTY_PATH) < 0)
		return -errno;
	if ((ret->st_mode & 07777) == options->mode)
		return 0;
	/* fchmod(2) takes no such descriptor, and an older chmodat(2) no AT_EMPTY_PATH. */
	snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
	return chmod(opened, options->mode) < 0 ? -errno : 0;
}

/* The file gets the mode of the socket, so that it never permits more than it should (bind(2) of
 * unix(7)); nobody can connect before listen(2). ret_file is what was made. */
static int bind_path(
	const struct listener_options *options, struct stat *ret_file, char why[static WHY_MAX])
{
	int r = remove_unused(options, why);
	struct sockaddr_un address;
	AUTO_CLOSE int fd = -1;

	if (r < 0)
		return r;
	r = fill_address(options->path, &address);
	fd = socket(AF_UNIX, options->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r >= 0 && (fd < 0 || fchmod(fd, options->mode) < 0 ||
			      bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0))
		r = -errno;
	if (r >= 0)
		r = set_permissions(options, ret_file);
	if (r >= 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r == -ESTALE)
		return because(why, r, "%s: somebody replaced it while it was made", options->path);
	if (r < 0)
		return because(why, r, "%s: %s", options->path, strerror(-r));
	return take_fd(fd);
}

/* That of a socket of systemd is only shown. */
static void set_path(struct listener *listener, const char *path)
{
	snprintf(listener->path, sizeof(listener->path), "%s", path);
}

int listener_new(struct event_base *base, const struct listener_options *options,
	listener_accept accept, void *argument, char why[static WHY_MAX], struct listener **ret)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	struct stat file = {0};
	AUTO_CLOSE int fd = -1;

	if (!listener)
		fd = because(why, -ENOMEM, "out of memory");
	else
		fd = options->fd ? options->fd : bind_path(options, &file, why);
	if (fd < 0) {
		free(listener);
		return fd;
	}
	set_path(listener, options->path);
	listener->accept = accept;
	listener->argument = argument;
	listener->device = file.st_dev;
	listener->inode = file.st_ino;
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
	if (rename(listener->path, path) < 0)
		return -errno;
	set_path(listener, path);
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
	free(listener);
}
