#include "handlers/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#define BUFFER_SIZE (256 * 1024)
#define FLUSH_NS (100 * NS_PER_MS)

struct recorder {
	int fd;
	char *path;
	struct text buffer;
	uint64_t records; /* in the buffer */
	uint64_t deadline_ns; /* for writing them */
	struct log_limit limit;
};

static int explain_open(int r, const char *path, char why[static WHY_MAX])
{
	const char *mend = r == -ENOENT	 ? "; create its directory"
			   : r == -ELOOP ? "; symbolic links are not followed, give the path of the file itself"
			   : r == -EISDIR ? "; give the path of a file"
			   : r == -ENXIO ? "; it is a pipe or socket, use a handler of type pipe or unix"
			   : r == -EACCES || r == -EPERM || r == -EROFS
				   ? "; the daemon's user must be able to write there"
				   : "";

	snprintf(why, WHY_MAX, "opening %s: %s%s", path, strerror(-r), mend);
	return r;
}

/* O_NONBLOCK: a FIFO without a reader must not hold us, and is refused below. */
static int open_file(const char *path)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
		return -ENXIO;
	return take_fd(fd);
}

int recorder_open(const char *path, char why[static WHY_MAX], struct recorder **ret)
{
	int fd = open_file(path);
	struct recorder *recorder;

	if (fd < 0)
		return explain_open(fd, path, why);
	recorder = calloc(1, sizeof(*recorder));
	if (!recorder || !(recorder->path = strdup(path))) {
		free(recorder);
		close(fd);
		return -ENOMEM;
	}
	recorder->fd = fd;
	*ret = recorder;
	return 0;
}

struct text *recorder_text(struct recorder *recorder)
{
	return &recorder->buffer;
}

void recorder_commit(struct recorder *recorder, struct outcome *outcome)
{
	if (!recorder->records++)
		recorder->deadline_ns = clock_ns(CLOCK_MONOTONIC) + FLUSH_NS;
	if (recorder->buffer.length >= BUFFER_SIZE || text_failed(&recorder->buffer))
		recorder_flush(recorder, outcome);
}

/* Writes all of the buffer or, as far as the file can be taken back, nothing of it. */
static int write_buffer(struct recorder *recorder)
{
	struct stat before;
	int r = fstat(recorder->fd, &before) < 0 ? -errno : 0;

	if (r >= 0)
		r = write_all(recorder->fd, recorder->buffer.data, recorder->buffer.length);
	if (r < 0 && S_ISREG(before.st_mode) && ftruncate(recorder->fd, before.st_size) < 0)
		log_error("%s: taking back half a record: %s", recorder->path, strerror(errno));
	return r;
}

void recorder_flush(struct recorder *recorder, struct outcome *outcome)
{
	uint64_t suppressed;
	int r;

	if (!recorder->records)
		return;
	r = text_failed(&recorder->buffer) ? -ENOMEM : write_buffer(recorder);
	if (r >= 0)
		outcome->delivered += recorder->records;
	else
		outcome->dropped[DROP_IO] += recorder->records;
	if (r < 0 && log_limit_pass(&recorder->limit, &suppressed))
		log_error("%s: writing: %s; datagrams are dropped until it can be written again", recorder->path,
			strerror(-r));
	recorder->records = 0;
	text_clear(&recorder->buffer);
}

uint64_t recorder_deadline(const struct recorder *recorder)
{
	return recorder->records ? recorder->deadline_ns : 0;
}

void recorder_close(struct recorder *recorder)
{
	if (!recorder)
		return;
	close(recorder->fd);
	text_free(&recorder->buffer);
	free(recorder->path);
	free(recorder);
}
