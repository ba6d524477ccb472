#include "recorder/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "recorder/state.h"

#define BUFFER_SIZE (256 * 1024)
#define BUFFER_ROOM (128 * 1024) /* for the record that makes it full, as a rule */

/* When the file is looked at again that a predecessor still writes to, if nothing comes. */
#define START_AGAIN_NS NS_PER_S

/* So long datagrams may lie in the queue. */
#define PATIENCE_NS (2 * NS_PER_MS)

/* A handler that is replaced has delivered its queue within this time. One that still gets
 * datagrams then was not replaced: two of the configuration have the same path. */
#define SUPERSEDED_NS (10 * NS_PER_S)

static void copy_settings(struct recorder *recorder, const struct recorder_settings *settings)
{
	recorder->room = (struct recorder_room){.path = &recorder->path,
		.keep = (uint64_t)settings->keep,
		.quota = settings->quota,
		.keep_free = settings->keep_free};
	recorder->sync = (enum recorder_sync)settings->sync;
	recorder->flush_ns = settings->flush;
	recorder->rotate_size = settings->rotate_size;
	recorder->rotate_every_ns = settings->rotate_every;
}

int recorder_open(const struct recorder_settings *settings, const struct recorder_format *format,
	void *owner, const char *name, char why[static WHY_MAX], struct recorder **ret)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int r;

	if (!recorder)
		return -ENOMEM;
	recorder->format = format;
	recorder->owner = owner;
	recorder->name = name;
	recorder->file = (struct recorder_file){.path = &recorder->path, .fd = -1};
	copy_settings(recorder, settings);
	r = recorder_path_init(&recorder->path, settings->path);
	if (r >= 0)
		r = recorder_file_open(&recorder->file, false, why);
	if (r < 0 && r != -EAGAIN) {
		recorder_close(recorder);
		return r;
	}
	text_reserve(&recorder->buffer, BUFFER_SIZE + BUFFER_ROOM);
	text_clear(&recorder->buffer);
	*ret = recorder;
	return 0;
}

void recorder_close(struct recorder *recorder)
{
	if (!recorder)
		return;
	recorder_file_close(&recorder->file);
	recorder_path_clear(&recorder->path);
	text_free(&recorder->buffer);
	free(recorder);
}

static void flush(struct recorder *recorder, struct outcome *outcome)
{
	recorder_write_out(recorder, outcome);
	if (recorder_rotation_is_due(recorder))
		recorder_begin_new_file(recorder, outcome);
}

/* Makes sure that the file is there, and ours, and the right one. */
static int check_file(
	struct recorder *recorder, uint64_t now, char why[static WHY_MAX], struct outcome *outcome)
{
	uint64_t superseded = recorder_claim_superseded(&recorder->file.claim);
	int r = 0;

	if (superseded && now - superseded > SUPERSEDED_NS) {
		snprintf(why, WHY_MAX, "another handler writes to it, give each a path of its own");
		return -EBUSY;
	}
	if (recorder->ready && recorder_file_was_cut(&recorder->file))
		recorder->ready = recorder->begun =
			false; /* what this section began with is gone */
	if (recorder->ready && !superseded && !recorder_file_is_current(&recorder->file)) {
		/* Somebody renamed or removed it. */
		recorder_end_section(recorder, outcome);
		recorder->ready = false;
	}
	if (!recorder->ready)
		r = recorder_get_ready(recorder, true, why);
	if (r >= 0 && recorder_rotation_is_due(recorder))
		recorder_begin_new_file(recorder, outcome);
	return r >= 0 && !recorder->ready ? recorder_get_ready(recorder, true, why) : r;
}

/* The first record of a buffer. */
static struct text *begin_buffer(struct recorder *recorder, struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), size;
	char why[WHY_MAX];

	if (recorder_outage_holds(&recorder->outage, now)) {
		outcome->dropped[DROP_IO]++;
		recorder->outage.lost++;
		return NULL;
	}
	if (check_file(recorder, now, why, outcome) < 0) {
		recorder_fail(recorder, 1, why, outcome);
		return NULL;
	}
	if (!recorder->begun && recorder->format->begin)
		recorder->format->begin(
			recorder->owner, &recorder->buffer, recorder->file.size == 0);
	recorder->begun = true;
	recorder->flush_due_ns = now + recorder->flush_ns;
	size = recorder->file.size;
	recorder->full = recorder->outage.on ? 0 : BUFFER_SIZE;
	if (recorder->rotate_size > size && recorder->rotate_size - size < recorder->full)
		recorder->full = recorder->rotate_size - size;
	return &recorder->buffer;
}

struct text *recorder_begin(struct recorder *recorder, struct outcome *outcome)
{
	return recorder->records ? &recorder->buffer : begin_buffer(recorder, outcome);
}

/* Forgets a record that memory was short for, and whatever was appended with it. */
static void drop_record(struct recorder *recorder, struct outcome *outcome)
{

	text_clear(&recorder->buffer);
	recorder->buffer.length = recorder->records ? recorder->ends[recorder->records - 1] : 0;
	outcome->dropped[DROP_IO]++;
	if (log_limit_pass(&recorder->limit))
		log_error("%s: out of memory, a datagram was dropped", recorder->path.path);
	recorder_write_out(recorder, outcome);
	recorder->begun = false;
}

void recorder_commit(struct recorder *recorder, struct outcome *outcome)
{
	if (text_failed(&recorder->buffer)) {
		drop_record(recorder, outcome);
		return;
	}
	recorder->ends[recorder->records++] = (uint32_t)recorder->buffer.length;
	if (recorder->buffer.length >= recorder->full || recorder->records == RECORDER_RECORDS_MAX)
		flush(recorder, outcome);
}

void recorder_batch_end(struct recorder *recorder, struct outcome *outcome)
{
	if (recorder->records && (recorder->sync == RECORDER_SYNC_EACH || !recorder->flush_ns))
		flush(recorder, outcome);
}

uint64_t recorder_deadline(const struct recorder *recorder)
{
	uint64_t due = recorder->records ? recorder->flush_due_ns : 0;

	due = earlier_ns(due, recorder->sync_due_ns);
	due = earlier_ns(due, recorder->start_due_ns);
	return earlier_ns(due, recorder->turn_due_ns);
}

/* Well below flush, which is counted from when a datagram gets into the buffer. */
uint64_t recorder_patience(const struct recorder *recorder)
{
	uint64_t most = recorder->flush_ns / 10;

	if (recorder->sync == RECORDER_SYNC_EACH)
		return 0;
	return most < PATIENCE_NS ? most : PATIENCE_NS;
}

/* What hinders it is said with the first datagram. */
static void start(struct recorder *recorder)
{
	char why[WHY_MAX];

	recorder->start_due_ns = 0;
	if (!recorder->ready && recorder_get_ready(recorder, false, why) == -EAGAIN)
		recorder->start_due_ns = clock_ns(CLOCK_MONOTONIC) + START_AGAIN_NS;
}

void recorder_start(struct recorder *recorder)
{
	start(recorder);
}

void recorder_serve(struct recorder *recorder, struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (recorder->start_due_ns && now >= recorder->start_due_ns)
		start(recorder);
	if (recorder->records && now >= recorder->flush_due_ns)
		flush(recorder, outcome);
	if (recorder->sync_due_ns && now >= recorder->sync_due_ns)
		recorder_sync_file(recorder);
	if (recorder->turn_due_ns && now >= recorder->turn_due_ns)
		recorder_take_turn(recorder, outcome);
}

void recorder_rotate(struct recorder *recorder, struct outcome *outcome)
{
	char why[WHY_MAX];

	recorder_write_out(recorder, outcome);
	if (!recorder->ready && recorder_get_ready(recorder, false, why) < 0)
		return;
	if (recorder->file.regular && recorder->file.size)
		recorder_begin_new_file(recorder, outcome);
}

void recorder_finish(struct recorder *recorder, struct outcome *outcome)
{
	recorder_end_section(recorder, outcome);
	if (recorder->sync != RECORDER_SYNC_NONE && recorder->ready)
		recorder_sync_file(recorder);
}
