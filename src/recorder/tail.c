#include "recorder/tail.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (32 * 1024)

/* Looks for the last line feed, from the end, but not further back than a torn record can reach.
 * *ret_whole is where it ends; 0: there is none. */
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
	*ret_whole = 0;
	return limit ? -EBADMSG : 0;
}

/* Whether a record of ours may start there. */
static int check_start(
	int fd, uint64_t at, uint64_t size, bool (*is_record)(const char *data, size_t size))
{
	char start[64];
	size_t length = size - at < sizeof(start) ? size - at : sizeof(start);
	int r = read_at(fd, start, length, at);

	if (r < 0 || !length)
		return r;
	/* A file system may give back zeros for what had not reached the disk when the power went.
	 */
	return is_record(start, length) || (at && !start[0]) ? 0 : -EBADMSG;
}

int recorder_measure_lines(int fd, uint64_t size, bool (*is_record)(const char *data, size_t size),
	uint64_t *ret_whole)
{
	uint64_t whole = 0;
	int r = check_start(fd, 0, size, is_record);

	if (r >= 0)
		r = find_last_line(fd, size, &whole);
	if (r >= 0)
		r = check_start(fd, whole, size, is_record);
	if (r >= 0)
		*ret_whole = whole;
	return r;
}

int recorder_mend(int fd, uint64_t size, recorder_measure *measure, uint64_t *ret_cut)
{
	uint64_t whole = size;
	int r = measure && size ? measure(fd, size, &whole) : 0;

	if (r < 0)
		return r;
	if (size - whole > RECORDER_TAIL_MAX)
		return -EBADMSG;
	if (whole < size && ftruncate(fd, (off_t)whole) < 0)
		return -errno;
	*ret_cut = size - whole;
	return 0;
}
