/* The end of a file that an earlier run left: cut after the last whole record, when the run was
 * killed or the power went. Only what must be half a record of ours is ever cut off. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than this was not torn by us: buffers are much smaller. */
#define RECORDER_TAIL_MAX (4u * 1024 * 1024)

/* Finds the end of the last whole record in a file of size bytes. Returns 0, -EBADMSG when the file
 * holds something else, or another negative errno. */
typedef int recorder_measure(int fd, uint64_t size, uint64_t *ret_whole);

/* For records that end with a line feed. is_record says whether these bytes may be the start of a
 * record of ours, as far as they go: those at the start of the file must be, and what follows the
 * last line feed. */
int recorder_measure_lines(int fd, uint64_t size, bool (*is_record)(const char *data, size_t size),
	uint64_t *ret_whole);

/* Cuts the file after its last whole record. Returns how many bytes that were in *ret_cut, and 0;
 * or a negative errno as above. */
int recorder_mend(int fd, uint64_t size, recorder_measure *measure, uint64_t *ret_cut);
