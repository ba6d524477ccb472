/* What recorder.c and recorder_output.c share; nobody else includes it. */
#pragma once

#include "base/log.h"
#include "recorder/recorder.h"
#include "recorder/file.h"
#include "recorder/outage.h"
#include "recorder/room.h"

#define RECORDER_RECORDS_MAX 8192 /* in the buffer */

struct recorder {
	const char *name; /* the handler's */
	struct recorder_path path;
	struct recorder_file file;
	struct recorder_room room;
	const struct recorder_format *format;
	void *owner;
	enum recorder_sync sync;
	uint64_t flush_ns, rotate_size, rotate_every_ns;

	struct text buffer;
	size_t full; /* bytes at which the buffer is written */
	unsigned records; /* in the buffer */
	bool ready; /* the file is open, locked and whole; never false with something in the buffer
		     */
	bool begun; /* format->begin() is done for what is in file and buffer */
	struct recorder_outage outage;

	/* CLOCK_MONOTONIC; 0: not due. */
	uint64_t start_due_ns, flush_due_ns, sync_due_ns, turn_due_ns;
	uint64_t turn_ns; /* when the file is to be rotated for its age, CLOCK_REALTIME */
	uint64_t rotate_again_ns; /* not before, CLOCK_MONOTONIC */
	struct log_limit limit;
	uint32_t ends[RECORDER_RECORDS_MAX]; /* where each record of the buffer ends */
};

/* Counts records that cannot be written. The first time, says why. */
void recorder_fail(
	struct recorder *recorder, unsigned lost, const char *why, struct outcome *outcome);

/* Opens and locks the file unless that is done, and mends it. Returns 0, -EAGAIN while another
 * recorder of this process has it and take_over does not allow to take it, or another negative
 * errno with the reason in why. */
int recorder_get_ready(struct recorder *recorder, bool take_over, char why[static WHY_MAX]);

/* Empties the buffer into the file, and counts what became of its records. */
void recorder_write_out(struct recorder *recorder, struct outcome *outcome);

/* The same, with what ends a file. */
void recorder_end_section(struct recorder *recorder, struct outcome *outcome);

void recorder_sync_file(struct recorder *recorder);

bool recorder_rotation_is_due(const struct recorder *recorder);

/* What is there is renamed, and a new file begun. When that cannot be, it goes on in the same file.
 */
void recorder_begin_new_file(struct recorder *recorder, struct outcome *outcome);

/* Rotates the file if it is old enough, and sets turn_due_ns anew. */
void recorder_take_turn(struct recorder *recorder, struct outcome *outcome);
