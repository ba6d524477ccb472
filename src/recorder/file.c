#include "recorder/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A predecessor with nothing left to deliver is gone within this time, and then nothing has to be
 * moved. */
#define PATIENCE_NS (100 * NS_PER_MS)

/* A name may lie so many seconds ahead, when the clock was set back. */
#define CLOCK_STEP_MAX 86400

static int explain_open(int r, const char *path, char why[static WHY_MAX])
{
	const char *mend =
		r == -ENOENT ? "; create its directory"
		: r == -ELOOP
			? "; symbolic links are not followed, give the path of the file itself"
		: r == -EISDIR ? "; give the path of a file"
		: r == -ENXIO  ? "; it is a pipe or socket, use a handler of type pipe or unix"
		: r == -EBUSY  ? "; another program writes to it, give each a file of its own"
		: r == -EACCES || r == -EPERM || r == -EROFS
			? "; the daemon's user must be able to read and write there"
			: "";

	snprintf(why, WHY_MAX, "opening %s: %s%s", path, strerror(-r), mend);
	return r;
}

/* Returns 0, -EAGAIN when a recorder of this process writes to the file, or -EBUSY when another
 * program does. Where a file system has no locks, there are none. */
static int lock_file(struct recorder_file *file)
{
	if (file->locked || !file->regular)
		return 0;
	if (!recorder_claim_write(&file->claim))
		return -EAGAIN;
	if (flock(file->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		recorder_claim_no_write(&file->claim);
		return -EBUSY;
	}
	file->locked = true;
	return 0;
}

/* O_NONBLOCK: a FIFO without a reader must not hold us, and is refused below. O_RDWR: the end of
 * what is there is read. */
static int open_path(struct recorder_file *file, bool create)
{
	AUTO_CLOSE int fd = open(file->path->path,
		O_RDWR | O_APPEND | (create ? O_CREAT : 0) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
			O_CLOEXEC,
		0640);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		return -ENXIO;
	file->regular = S_ISREG(status.st_mode);
	file->size = file->regular ? (uint64_t)status.st_size : 0;
	file->modified_ns = timespec_ns(&status.st_mtim);
	file->locked = false;
	file->torn = false;
	if (file->regular)
		recorder_claim_set(&file->claim, status.st_dev, status.st_ino);
	file->fd = take_fd(fd);
	return 0;
}

/* Whether the file could be made. */
static int check_directory(const char *directory)
{
	return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

int recorder_file_open(struct recorder_file *file, bool create, char why[static WHY_MAX])
{
	int r = open_path(file, create);

	if (r == -ENOENT && !create && (r = check_directory(file->path->directory)) == 0)
		return 0;
	if (r >= 0)
		r = lock_file(file);
	if (r >= 0 || r == -EAGAIN)
		return r;
	recorder_file_close(file);
	return explain_open(r, file->path->path, why);
}

bool recorder_file_is_current(const struct recorder_file *file)
{
	struct stat status;

	if (!file->regular)
		return true;
	if (lstat(file->path->path, &status) < 0)
		return errno != ENOENT;
	return status.st_dev == file->claim.device && status.st_ino == file->claim.inode;
}

/* Opens what stands at the path now, or locks what is open already. */
static int open_current(struct recorder_file *file, char why[static WHY_MAX])
{
	int r;

	if (file->fd < 0 || !recorder_file_is_current(file)) {
		recorder_file_close(file);
		return recorder_file_open(file, true, why);
	}
	r = lock_file(file);
	return r >= 0 || r == -EAGAIN ? r : explain_open(r, file->path->path, why);
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2 * NS_PER_MS}, NULL);
}

/* Moves the file of an older recorder away. Returns 0 when the path is to be looked at again. */
static int take_over_path(struct recorder_file *file, char why[static WHY_MAX])
{
	int r = recorder_claim_take_over(&file->claim);
	char to[RECORDER_PATH_MAX];

	if (r == -EAGAIN) {
		wait_a_little();
		return 0;
	}
	if (r < 0) {
		snprintf(
			why, WHY_MAX, "%s: a newer handler writes to it already", file->path->path);
		return r;
	}
	r = recorder_file_move(file, false, to, why);
	return r == -ESTALE ? 0 : r;
}

int recorder_file_acquire(struct recorder_file *file, bool take_over, char why[static WHY_MAX])
{
	uint64_t patience = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	int r;

	while ((r = open_current(file, why)) == -EAGAIN && take_over) {
		if (clock_ns(CLOCK_MONOTONIC) < patience)
			wait_a_little();
		else if ((r = take_over_path(file, why)) < 0)
			return r;
	}
	return r;
}

/* Renames the path, but not to a name that is taken. */
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

void recorder_file_name_after(struct recorder_file *file, const struct recorder_rotated *last)
{
	time_t when = last->when, now = time(NULL);

	/* A name that somebody made up does not count. */
	if (when > now + CLOCK_STEP_MAX || when < file->moved)
		return;
	if (when > file->moved || last->number > file->moved_number)
		file->moved_number = last->number;
	file->moved = when;
}

/* time(2) may lag behind the clock that says when to rotate by a tick. */
static time_t seconds_now(void)
{
	return (time_t)(clock_ns(CLOCK_REALTIME) / NS_PER_S);
}

/* The next time and number for a name: greater than the last, whatever was removed since, and
 * whatever the clock does. */
static void next_name(struct recorder_file *file)
{
	time_t now = seconds_now();

	if (now > file->moved) {
		file->moved = now;
		file->moved_number = 0;
	} else if (file->moved_number++ == RECORDER_NUMBER_MAX) {
		file->moved++;
		file->moved_number = 0;
	}
}

/* Renames the path to the next name that is free. */
static int rename_free(
	struct recorder_file *file, bool aside, char ret_to[static RECORDER_PATH_MAX])
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i <= RECORDER_NUMBER_MAX; i++) {
		next_name(file);
		if (aside)
			recorder_path_aside(file->path, file->moved, file->moved_number, ret_to);
		else
			recorder_path_rotated(file->path, file->moved, file->moved_number, ret_to);
		r = rename_path(file->path->path, ret_to);
	}
	return r;
}

int recorder_file_move(struct recorder_file *file, bool aside,
	char ret_to[static RECORDER_PATH_MAX], char why[static WHY_MAX])
{
	int r = -ESTALE;

	if (!file->regular || !recorder_claim_begin_move(&file->claim))
		return r;
	if (recorder_file_is_current(file))
		r = rename_free(file, aside, ret_to);
	recorder_claim_end_move(&file->claim);
	if (r < 0 && r != -ESTALE)
		snprintf(why, WHY_MAX, "renaming %s: %s", file->path->path, strerror(-r));
	return r;
}

/* The lock goes with it at once, also where a program that is just being started still has a copy
 * of the descriptor. */
void recorder_file_close(struct recorder_file *file)
{
	if (file->locked)
		flock(file->fd, LOCK_UN);
	closep(&file->fd);
	file->fd = -1;
	file->locked = false;
	recorder_claim_end(&file->claim);
}
