#include "recorder/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "service/path_fix.h"

#define CHUNK (32 * 1024)

/* How often the lock of a file that others rotate is tried. */
#define LOCK_TRIES 3

/* ---- Opening and locking ---- */

/* what: the path, or "it" where the caller names that. */
static int explain_open(int r, const char *path, const char *what, char why[static WHY_MAX])
{
	char fix[PATH_FIX_MAX];
	const char *own =
		r == -ELOOP && !strncmp(path, "/dev/std", strlen("/dev/std"))
			? "; use a handler of type log, whose stream is stdout or stderr"
		: r == -ELOOP
			? "; symbolic links are not followed, give the path of the file itself"
		: r == -EISDIR ? "; give the path of a file"
		: r == -ENXIO  ? "; it is a pipe or socket, use a handler of type pipe or unix"
		: r == -EBUSY  ? "; another program writes to it, give each a file of its own"
			       : path_fix(r, path, PATH_RECORDING, fix);

	return because(why, r, "opening %s: %s%s", what, strerror(-r), own);
}

/* O_NONBLOCK: opening a FIFO without a reader would block; it is refused below. O_RDWR: repairing
 * reads what is there. */
static int open_path(struct recorder_file *file, int flags)
{
	AUTO_CLOSE int fd = open(file->path->path,
		O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags, 0640);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		return -ENXIO;
	file->regular = S_ISREG(status.st_mode);
	file->device = status.st_dev;
	file->inode = status.st_ino;
	file->torn = false;
	file->size = 0;
	file->fd = take_fd(fd);
	return 0;
}

/* Returns 0 or -EBUSY. On a file system without locks there are none. */
static int lock_file(const struct recorder_file *file)
{
	if (file->regular && flock(file->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return -EBUSY;
	return 0;
}

/* Whether this process or the one that runs has the lock (proc_locks(5)). */
static bool is_locked_by_daemon(const struct recorder_file *file, pid_t running)
{
	CLEANUP(fclosep) FILE *locks = fopen("/proc/locks", "re");
	pid_t own = getpid();
	uintmax_t inode;
	char line[256];
	int holder;

	while (locks && fgets(line, sizeof(line), locks))
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %*x:%*x:%ju", &holder, &inode) == 2 &&
			(holder == own || holder == running) && inode == file->inode)
			return true;
	return false;
}

/* Who had the lock may have rotated the file before the list is read: then it can be had. */
static int check_lock(const struct recorder_file *file, pid_t running)
{
	int r = -EBUSY;

	for (unsigned i = 0; i < LOCK_TRIES && r == -EBUSY; i++) {
		r = lock_file(file);
		if (r == -EBUSY && is_locked_by_daemon(file, running))
			return 0;
	}
	return r;
}

int recorder_file_check(const struct recorder_path *path, pid_t running, char why[static WHY_MAX])
{
	struct recorder_file file = {.path = path, .fd = -1};
	int r = open_path(&file, 0);

	if (r == -ENOENT)
		r = faccessat(AT_FDCWD, path->directory, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	else if (r >= 0)
		r = check_lock(&file, running);
	recorder_file_close(&file);
	return r < 0 ? explain_open(r, path->path, path->path, why) : 0;
}

bool recorder_file_is_current(const struct recorder_file *file)
{
	struct stat status;

	if (!file->regular)
		return true;
	if (lstat(file->path->path, &status) < 0)
		return errno != ENOENT;
	return status.st_dev == file->device && status.st_ino == file->inode;
}

int recorder_file_acquire(struct recorder_file *file, char why[static WHY_MAX])
{
	int r = 0;

	/* Who had the lock may have renamed the file between the two calls. */
	while (r >= 0 && (file->fd < 0 || !recorder_file_is_current(file))) {
		recorder_file_close(file);
		r = open_path(file, O_CREAT);
		if (r < 0)
			return explain_open(r, file->path->path, "it", why);
		r = lock_file(file);
	}
	if (r >= 0)
		return 0;
	recorder_file_close(file);
	return because(
		why, r, "another handler or program writes to it, give each a file of its own");
}

/* Unlocks explicitly: a program that is being started may still have a copy of the descriptor. What
 * could not be cut off is tried for the last time. */
void recorder_file_close(struct recorder_file *file)
{
	if (file->fd >= 0 && file->torn)
		recorder_file_prepare(file);
	if (file->fd >= 0)
		flock(file->fd, LOCK_UN);
	closep(&file->fd);
	file->fd = -1;
}

/* ---- Renaming ---- */

/* Renames the path, but not to a name that exists. */
static int rename_path(const char *path, const char *to)
{
	if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* Network file systems cannot do that in one step. */
	if (link(path, to) < 0)
		return -errno;
	return unlink(path) < 0 ? -errno : 0;
}

/* time(2) may lag behind the clock that says when to rotate by a tick. */
static time_t seconds_now(void)
{
	return (time_t)(clock_ns(CLOCK_REALTIME) / NS_PER_S);
}

void recorder_file_name_after(struct recorder_file *file, const struct recorder_rotated *last)
{
	if (recorder_rotated_compare(last, &file->last) > 0)
		file->last = *last;
}

/* Makes file->last the next name: it sorts after the last one, even if that was removed or the
 * clock was set back. */
static void next_name(struct recorder_file *file, time_t when)
{
	struct recorder_rotated *last = &file->last;
	time_t now = seconds_now();

	if (!when || when > now)
		when = now;
	if (when > last->when)
		*last = (struct recorder_rotated){.when = when};
	else if (last->number < RECORDER_NUMBER_MAX)
		last->number++;
	else
		*last = (struct recorder_rotated){.when = last->when + 1};
}

time_t recorder_file_birth(const struct recorder_file *file)
{
	struct statx status;

	if (statx(file->fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) < 0 ||
		!(status.stx_mask & STATX_BTIME))
		return 0;
	return (time_t)status.stx_btime.tv_sec;
}

/* Makes the mark of a name. Returns 0, -EEXIST when it is there, or another negative errno. */
static int make_mark(const struct recorder_file *file, char ret_mark[static RECORDER_PATH_MAX])
{
	AUTO_CLOSE int fd = -1;

	recorder_path_mark(file->path, file->last.when, file->last.number, ret_mark);
	fd = open(ret_mark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

/* Tries one name. The mark comes first: whoever finds the file with its new name after a crash
 * finds the mark, too. */
static int try_name(struct recorder_file *file, const struct recorder_new_name *name,
	char ret_to[static RECORDER_PATH_MAX], int *ret_marked)
{
	char mark[RECORDER_PATH_MAX];
	int made = name->waits ? make_mark(file, mark) : -EEXIST, r;

	(name->aside ? recorder_path_aside : recorder_path_rotated)(
		file->path, file->last.when, file->last.number, ret_to);
	r = rename_path(file->path->path, ret_to);
	if (r < 0 && made >= 0)
		unlink(mark);
	*ret_marked = made == -EEXIST ? 0 : made;
	return r;
}

int recorder_file_move(struct recorder_file *file, const struct recorder_new_name *name,
	char ret_to[static RECORDER_PATH_MAX], char why[static WHY_MAX])
{
	const struct recorder_rotated last = file->last;
	char fix[PATH_FIX_MAX];
	int r = -EEXIST, marked = 0;

	if (!file->regular || !recorder_file_is_current(file))
		return -ESTALE;
	if (file->torn && recorder_file_prepare(file) < 0)
		return because(why, -EIO, "cutting off a partial record before renaming it: %s",
			strerror(errno));
	for (unsigned i = 0; r == -EEXIST && i <= RECORDER_NUMBER_MAX; i++) {
		next_name(file, name->when);
		r = try_name(file, name, ret_to, &marked);
	}
	if (r < 0) {
		file->last = last; /* no file has got that name */
		return because(why, r, "renaming it: %s%s", strerror(-r),
			path_fix(r, file->path->directory, PATH_RECORDING, fix));
	}
	if (marked < 0)
		because(why, marked, "marking %s: %s", ret_to, strerror(-marked));
	return marked < 0;
}

/* ---- Appending ---- */

/* Cuts off what is beyond size. If that fails, it is done before anything else is written. */
static int cut_off(struct recorder_file *file, uint64_t size)
{
	file->whole = size;
	file->torn = ftruncate(file->fd, (off_t)size) < 0;
	if (file->torn)
		return -errno;
	file->size = size;
	return 0;
}

enum recorder_change recorder_file_change(const struct recorder_file *file)
{
	struct stat status;
	uint64_t size;

	if (!file->regular || file->torn || fstat(file->fd, &status) < 0)
		return RECORDER_UNCHANGED;
	size = (uint64_t)status.st_size;
	return size < file->size   ? RECORDER_TRUNCATED
	       : size > file->size ? RECORDER_GROWN
				   : RECORDER_UNCHANGED;
}

int recorder_file_prepare(struct recorder_file *file)
{
	struct stat status;

	if (!file->regular)
		return 0;
	if (fstat(file->fd, &status) < 0)
		return -errno;
	file->size = (uint64_t)status.st_size;
	file->modified_ns = timespec_ns(&status.st_mtim);
	if (file->torn && file->size > file->whole)
		return cut_off(file, file->whole);
	file->torn =
		false; /* nothing was left behind: what is written from now on is not cut off */
	return 0;
}

int recorder_file_ends_line(struct recorder_file *file)
{
	char last = '\n';
	int r = recorder_file_prepare(file);

	if (r >= 0 && file->size)
		r = read_at(file->fd, &last, 1, file->size - 1);
	return r < 0 ? r : last == '\n';
}

/* Writes as much as possible, and returns the number of bytes. *ret_error is why it was not all, or
 * 0. */
static size_t write_some(int fd, const char *data, size_t size, int *ret_error)
{
	size_t written = 0;

	*ret_error = 0;
	while (written < size) {
		ssize_t n = write(fd, data + written, size - written);

		if (n > 0) {
			written += (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			*ret_error = n ? -errno : -EIO;
			break;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1); /* a terminal */
		}
	}
	return written;
}

int recorder_file_append(struct recorder_file *file, const char *data, size_t size,
	const uint32_t *ends, unsigned count, bool sync, unsigned *ret_written)
{
	uint64_t before = file->size;
	size_t written;
	int r;

	written = write_some(file->fd, data, size, &r);
	if (r >= 0 && sync && file->regular && fdatasync(file->fd) < 0) {
		/* Nobody knows what of it is on the disk. */
		r = -errno;
		written = 0;
	}
	file->size += written;
	while (r < 0 && count && ends[count - 1] > written)
		count--;
	*ret_written = count;
	if (r < 0 && file->regular)
		cut_off(file, before + (count ? ends[count - 1] : 0));
	return r;
}

/* ---- Repairing ---- */

/* Searches for the last line feed, from the end, but not further back than a torn record can reach.
 * *ret_whole is where it ends; 0: there is none. With -EBADMSG it is where the search ended. */
static int find_last_line(int fd, uint64_t size, uint64_t *ret_whole)
{
	uint64_t end = size, limit = size > RECORDER_TAIL_MAX ? size - RECORDER_TAIL_MAX : 0;
	char chunk[CHUNK];

	while (end > limit) {
		size_t length = end - limit < CHUNK ? end - limit : CHUNK;
		const char *found;
		int r = read_at(fd, chunk, length, end - length);

		if (r < 0)
			return r;
		found = memrchr(chunk, '\n', length);
		if (found) {
			*ret_whole = end - length + (size_t)(found - chunk) + 1;
			return 0;
		}
		end -= length;
	}
	*ret_whole = limit;
	return limit ? -EBADMSG : 0;
}

/* Whether a record of ours may start at this place, and go on up to end. Nothing but zeros may be
 * what is left of one, but not a whole file. */
static int check_start(
	int fd, uint64_t at, uint64_t end, bool (*is_record)(const char *data, size_t size))
{
	char start[64];
	size_t length = end - at < sizeof(start) ? end - at : sizeof(start);
	int r = read_at(fd, start, length, at);

	if (r < 0)
		return r;
	if (!length)
		return at ? 0 : -EBADMSG;
	return is_record(start, length) ? 0 : -EBADMSG;
}

int recorder_measure_lines(int fd, uint64_t size, bool (*is_record)(const char *data, size_t size),
	uint64_t *ret_whole)
{
	uint64_t whole, end = size;
	int r = find_last_line(fd, size, &whole), s;

	*ret_whole = 0;
	/* Without the zeros that a power cut leaves where data had not reached the disk. */
	if (r >= 0)
		r = find_data_end(fd, whole, size, &end);
	if (r < 0 && r != -EBADMSG)
		return r;
	s = check_start(fd, 0, whole ? whole : end, is_record);
	if (s < 0)
		return s;
	*ret_whole = whole;
	return r < 0 ? r : check_start(fd, whole, end, is_record);
}

int recorder_file_repair(struct recorder_file *file, recorder_measure *measure, uint64_t *ret_cut)
{
	int r = recorder_file_prepare(file);
	uint64_t size = file->size, whole = size;

	if (r >= 0 && measure && size)
		r = measure(file->fd, size, &whole);
	file->sound = whole;
	if (r >= 0 && size - whole > RECORDER_TAIL_MAX)
		return -EBADMSG;
	if (r >= 0 && whole < size)
		r = cut_off(file, whole);
	if (r >= 0)
		*ret_cut = size - whole;
	return r;
}
