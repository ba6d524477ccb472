#include "recorder/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/after_rotate.h"
#include "recorder/outage.h"
#include "recorder/room.h"
#include "recorder/turn.h"

#define BUFFER_SIZE (256 * 1024)
#define BUFFER_HEADROOM (128 * 1024) /* for the last record */
#define RECORDS_MAX 8192 /* in the buffer */

#define PATIENCE_NS (2 * NS_PER_MS) /* at most */
#define SYNC_NS NS_PER_S
#define TIDY_NS NS_PER_S /* while a program writes files that the quota counts */

enum { COUNTED_SUCCEEDED, COUNTED_FAILED };

/* What a rotation is for. */
enum cause { FOR_SIZE, FOR_AGE, ON_REQUEST };

const char *const recorder_counters[] = {"afterRotateSucceeded", "afterRotateFailed", NULL};

struct recorder {
	const char *name; /* the handler's */
	char error[RECORDER_PATH_MAX + WHY_MAX]; /* why nothing is written, in an outage */
	struct recorder_path path;
	struct recorder_file file;
	struct recorder_room room;
	const struct recorder_format *format;
	void *owner;
	struct after_rotate *after; /* NULL: no program for rotated files */
	enum recorder_sync sync;
	enum recorder_name_time name_time;
	uint64_t flush_ns, rotate_size;

	struct text buffer;
	size_t full; /* bytes at which the buffer is written */
	unsigned records; /* in the buffer */
	uint64_t first_ns; /* the time of the first one, CLOCK_REALTIME */
	bool ready; /* the file is open, locked and repaired; always while a record is in the buffer
		     */
	bool warned_of_other; /* program that appends to this file */
	bool begun; /* format->begin() is done for what is in file and buffer */
	uint64_t blank; /* bytes at the start of the file without a record, when there is no more */
	struct recorder_outage outage, unrotated; /* of writing, and of rotating */
	enum cause unrotated_cause;

	/* CLOCK_MONOTONIC; 0: not due. */
	uint64_t flush_due_ns, sync_due_ns, tidy_due_ns, rotate_due_ns;
	struct recorder_turn turn;
	struct log_limit sync_limit, memory_limit;
	uint32_t ends[RECORDS_MAX]; /* where each record of the buffer ends */
};

/* ---- Life ---- */

static void init(struct recorder *recorder, const struct recorder_settings *settings)
{
	recorder->file = (struct recorder_file){.path = &recorder->path, .fd = -1};
	recorder->room = (struct recorder_room){.handler = recorder->name,
		.path = &recorder->path,
		.keep = (uint64_t)settings->keep,
		.keep_for = settings->keep_for,
		.processed = settings->after_rotate.count > 0,
		.quota = settings->quota,
		.has_size = settings->rotate_size > 0,
		.keep_free = settings->keep_free};
	recorder->sync = (enum recorder_sync)settings->sync;
	recorder->name_time = (enum recorder_name_time)settings->name_time;
	recorder->flush_ns = settings->flush;
	recorder->rotate_size = settings->rotate_size;
	recorder->turn.every_ns = settings->rotate_every;
	text_reserve(&recorder->buffer, BUFFER_SIZE + BUFFER_HEADROOM);
	text_clear(&recorder->buffer);
}

int recorder_open(const struct recorder_settings *settings, const struct recorder_format *format,
	void *owner, const char *name, pid_t running, char why[static WHY_MAX], void **ret)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));
	int r;

	if (!recorder) {
		if (format->free)
			format->free(owner);
		return -ENOMEM;
	}
	recorder->format = format;
	recorder->owner = owner;
	recorder->name = name;
	init(recorder, settings);
	r = recorder_path_init(&recorder->path, settings->path);
	if (r >= 0)
		r = recorder_file_check(&recorder->path, running, why);
	if (r >= 0 && settings->after_rotate.count) {
		r = after_rotate_new(name, &recorder->path, &settings->after_rotate,
			settings->after_rotate_timeout, &recorder->after);
		if (r < 0)
			because(why, r, "%s", strerror(-r));
	}
	if (r < 0) {
		recorder_close(recorder);
		return r;
	}
	*ret = recorder;
	return 0;
}

void recorder_close(void *object)
{
	struct recorder *recorder = object;

	if (!recorder)
		return;
	if (recorder->format->free)
		recorder->format->free(recorder->owner);
	after_rotate_free(recorder->after);
	recorder_file_close(&recorder->file);
	recorder_path_clear(&recorder->path);
	text_free(&recorder->buffer);
	free(recorder);
}

const struct recorder_format *recorder_format(const void *object)
{
	return ((const struct recorder *)object)->format;
}

void *recorder_owner(const void *object)
{
	return ((const struct recorder *)object)->owner;
}

/* A record of this time is the file's first. */
static void begin_turn(struct recorder *recorder, uint64_t timestamp_ns)
{
	if (recorder->file.regular)
		recorder_turn_begin(&recorder->turn, timestamp_ns, moment_now());
}

/* ---- Making the file ready ---- */

/* Whether there is a record in the file. */
static bool has_records(const struct recorder *recorder)
{
	return recorder->file.size > recorder->blank;
}

/* Says when files are to be removed for their age, or counted again. */
static void arm_tidy(struct recorder *recorder)
{
	uint64_t next_ns = recorder_room_next_ns(&recorder->room);

	if (recorder->after && after_rotate_runs(recorder->after) && recorder->room.quota)
		next_ns = earlier_ns(next_ns, TIDY_NS);
	recorder->tidy_due_ns = next_ns ? clock_ns(CLOCK_MONOTONIC) + next_ns : 0;
}

static void tidy(struct recorder *recorder)
{
	recorder_room_tidy(&recorder->room, recorder->file.size);
	arm_tidy(recorder);
}

/* Renames a file that is no recording of this kind, or has something else in it. */
static int set_aside(struct recorder *recorder, char why[static WHY_MAX])
{
	const struct recorder_new_name name = {.aside = true};
	char to[RECORDER_PATH_MAX];
	int r = recorder_file_move(&recorder->file, &name, to, why);

	if (r >= 0 && recorder->file.sound)
		log_warning("handler %s: %s: what it has from byte %" PRIu64
			    " on is neither records nor one partial record; nothing was cut off, "
			    "and all of it is now %s",
			recorder->name, recorder->path.path, recorder->file.sound, to);
	else if (r >= 0)
		log_warning("handler %s: %s: what was there is no recording in this format, and is "
			    "now %s",
			recorder->name, recorder->path.path, to);
	return r == -ESTALE ? 0 : r;
}

/* Opens the file and cuts off a partial record at its end. Returns 0; -EBADMSG when it is no
 * recording of this kind, or another negative errno with the reason in why. */
static int open_and_repair(struct recorder *recorder, char why[static WHY_MAX])
{
	uint64_t cut = 0;
	int r = recorder_file_acquire(&recorder->file, why);

	if (r < 0)
		return r;
	r = recorder_file_repair(&recorder->file, recorder->format->measure, &cut);
	if (r < 0)
		return because(why, r, "reading what is there: %s", strerror(-r));
	if (cut)
		log_warning("handler %s: %s: cut off %" PRIu64
			    " byte%s at its end: a partial record or zeros, as a crash or a loss "
			    "of power leaves them",
			recorder->name, recorder->path.path, cut, plural(cut));
	return 0;
}

/* Sets blank for what an earlier run has left. */
static void look_for_records(struct recorder *recorder)
{
	const struct recorder_file *file = &recorder->file;
	time_t when;

	recorder->blank = 0;
	if (recorder->format->begin && recorder->format->first && file->regular &&
		recorder->format->first(file->fd, file->size, &when) == -ENOENT)
		recorder->blank = file->size;
}

/* Of a file that an earlier run has left, the first record tells its time; without a time in it,
 * when it was written. */
static void find_turn(struct recorder *recorder)
{
	const struct recorder_file *file = &recorder->file;
	uint64_t within_ns = file->modified_ns;
	time_t when;

	recorder_turn_forget(&recorder->turn);
	if (!recorder->turn.every_ns || !file->regular || !has_records(recorder))
		return;
	if (recorder->format->first && recorder->format->first(file->fd, file->size, &when) >= 0 &&
		when >= 0 && (uint64_t)when < UINT64_MAX / NS_PER_S)
		within_ns = (uint64_t)when * NS_PER_S;
	recorder_turn_find(&recorder->turn, within_ns, moment_now());
}

/* Opens, locks and repairs the file. Returns 0, or a negative errno with the reason in why. */
static int get_ready(struct recorder *recorder, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	int r;

	while ((r = open_and_repair(recorder, why)) == -EBADMSG)
		if ((r = set_aside(recorder, why)) < 0)
			return r;
	if (r < 0)
		return r;
	recorder->ready = true;
	recorder->begun = false;
	recorder->rotate_due_ns = 0;
	look_for_records(recorder);
	find_turn(recorder);
	tidy(recorder);
	if (recorder->after && file->regular)
		after_rotate_wake(recorder->after);
	return 0;
}

/* Makes an empty file one that readers take. If that fails, it is done before the first record, and
 * what is wrong is logged then. */
static void write_header(struct recorder *recorder)
{
	const struct recorder_format *format = recorder->format;
	struct recorder_file *file = &recorder->file;
	AUTO_TEXT struct text header = {0};
	char why[WHY_MAX];
	uint64_t length;
	unsigned none;

	if (!format->begin || !file->regular || file->size)
		return;
	format->begin(recorder->owner, &header, true);
	if (format->empty)
		format->empty(recorder->owner, &header);
	length = header.length;
	if (text_failed(&header) ||
		recorder_room_check(&recorder->room, file->fd, 0, &length, why) < 0 ||
		recorder_file_append(file, header.data, header.length, NULL, 0, false, &none) < 0)
		return;
	recorder->begun = true;
	recorder->blank = file->size;
}

/* The same as get_ready(), where no record follows at once. */
static int begin_file(struct recorder *recorder, char why[static WHY_MAX])
{
	int r = get_ready(recorder, why);

	if (r >= 0)
		write_header(recorder);
	return r;
}

void recorder_start(void *object)
{
	char why[WHY_MAX];

	((struct recorder *)object)->turn.idle_since_ns = clock_ns(CLOCK_MONOTONIC);
	/* If it fails, it fails again with the first datagram, and the reason is logged then. */
	begin_file(object, why);
}

/* ---- Writing ---- */

/* Counts records that cannot be written. Logs why at first, and when that changes. */
static void fail(struct recorder *recorder, unsigned lost, const char *why, struct outcome *outcome)
{
	bool is_news = recorder_outage_fail(&recorder->outage, clock_ns(CLOCK_MONOTONIC), why);

	snprintf(recorder->error, sizeof(recorder->error), "%s: %s", recorder->path.path, why);
	recorder->outage.lost += lost;
	recorder->begun = false;
	outcome->dropped[DROP_IO] += lost;
	if (is_news)
		log_event(LOG_ERR,
			&(struct log_fields){
				.message_id = MESSAGE_OUTAGE, .handler = recorder->name},
			"handler %s: %s: %s; datagrams are dropped until it can be written again",
			recorder->name, recorder->path.path, why);
}

const char *recorder_error(const void *object)
{
	const struct recorder *recorder = object;

	return recorder->outage.on ? recorder->error : NULL;
}

static void succeed(struct recorder *recorder)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), tenths;

	if (recorder_outage_end(&recorder->outage, now)) {
		tenths = (now - recorder->outage.since_ns) / (100 * NS_PER_MS);
		log_event(LOG_NOTICE,
			&(struct log_fields){
				.message_id = MESSAGE_OUTAGE_ENDED, .handler = recorder->name},
			"handler %s: %s: it can be written again after %" PRIu64 ".%" PRIu64
			" s; lost meanwhile: %" PRIu64,
			recorder->name, recorder->path.path, tenths / 10, tenths % 10,
			recorder->outage.lost);
	}
	if (recorder->sync == RECORDER_SYNC_INTERVAL && recorder->file.regular &&
		!recorder->sync_due_ns)
		recorder->sync_due_ns = now + SYNC_NS;
}

/* Writes what has to stand before the buffer, as the file does not end in what that continues. */
static int resume_section(struct recorder *recorder, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	const struct text *buffer = &recorder->buffer;
	AUTO_TEXT struct text header = {0};
	uint64_t length;
	unsigned none;
	int r;

	recorder->format->resume(
		recorder->owner, &header, buffer->data, buffer->length, file->size == 0);
	recorder->begun = true;
	length = header.length;
	if (text_failed(&header))
		return because(why, -ENOMEM, "%s", strerror(ENOMEM));
	r = recorder_room_check(&recorder->room, file->fd, file->size, &length, why);
	if (r < 0 || !header.length)
		return r;
	r = recorder_file_append(file, header.data, header.length, NULL, 0, false, &none);
	return r < 0 ? because(why, r, "writing: %s", strerror(-r)) : 0;
}

static void warn_of_other(struct recorder *recorder)
{
	if (!recorder->warned_of_other)
		log_warning("handler %s: %s: another program appends to it, and records go on "
			    "behind that; give each a file of its own",
			recorder->name, recorder->path.path);
	recorder->warned_of_other = true;
}

/* What another program has appended may lack the end of its line. */
static int continue_line(struct recorder *recorder, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	uint64_t length = 1;
	unsigned none;
	int r;

	warn_of_other(recorder);
	r = recorder_file_ends_line(file);
	if (r < 0)
		return because(why, r, "reading its end: %s", strerror(-r));
	if (r > 0)
		return 0;
	r = recorder_room_check(&recorder->room, file->fd, file->size, &length, why);
	if (r < 0)
		return r;
	r = recorder_file_append(file, "\n", 1, NULL, 0, false, &none);
	return r < 0 ? because(why, r, "writing: %s", strerror(-r)) : 0;
}

/* Records must not be appended to a part of one, nor to a section of the file whose beginning was
 * truncated, or behind that of another program. */
static int check_change(struct recorder *recorder, char why[static WHY_MAX])
{
	const struct recorder_format *format = recorder->format;
	enum recorder_change change = recorder_file_change(&recorder->file);
	int r;

	if (change == RECORDER_UNCHANGED || (change == RECORDER_GROWN && !format->measure))
		return 0;
	if (change == RECORDER_GROWN && !format->begin)
		return continue_line(recorder, why);
	if (change == RECORDER_GROWN)
		warn_of_other(recorder);
	r = get_ready(recorder, why);
	return r < 0 || !format->begin ? r : resume_section(recorder, why);
}

/* Writes all of the buffer, or the first records that there is room for. Returns as
 * recorder_file_append(), with the reason in why. */
static int append_buffer(struct recorder *recorder, unsigned *ret_written, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	const struct text *buffer = &recorder->buffer;
	uint64_t length = buffer->length;
	unsigned count = recorder->records;
	int room = 0, r = check_change(recorder, why);

	*ret_written = 0;
	if (r < 0)
		return r;
	if (count && !has_records(recorder))
		begin_turn(recorder, recorder->first_ns);
	r = recorder_file_prepare(file);
	if (r >= 0 && file->regular)
		room = recorder_room_check(&recorder->room, file->fd, file->size, &length, why);
	if (room < 0) {
		while (count && recorder->ends[count - 1] > length)
			count--;
		length = count ? recorder->ends[count - 1] : 0;
	}
	if (r >= 0)
		r = recorder_file_append(file, buffer->data, length, recorder->ends, count,
			recorder->sync == RECORDER_SYNC_EACH, ret_written);
	return r < 0 ? because(why, r, "writing: %s", strerror(-r)) : room;
}

/* Empties the buffer into the file, and counts what became of its records. */
static void write_out(struct recorder *recorder, struct outcome *outcome)
{
	struct text *buffer = &recorder->buffer;
	unsigned written;
	char why[WHY_MAX];
	size_t whole;

	if (!recorder->records && !buffer->length)
		return;
	if (append_buffer(recorder, &written, why) >= 0) {
		succeed(recorder);
	} else {
		whole = written ? recorder->ends[written - 1] : 0;
		if (recorder->format->lost)
			recorder->format->lost(
				recorder->owner, buffer->data + whole, buffer->length - whole);
		fail(recorder, recorder->records - written, why, outcome);
	}
	outcome->delivered += written;
	recorder->records = 0;
	text_clear(buffer);
}

/* The same, with what ends a file. */
static void end_section(struct recorder *recorder, struct outcome *outcome)
{
	bool has_any = recorder->records || has_records(recorder);

	if (recorder->begun && recorder->format->end && has_any)
		recorder->format->end(recorder->owner, &recorder->buffer);
	write_out(recorder, outcome);
	recorder->begun = false;
}

static void sync_file(struct recorder *recorder)
{
	recorder->sync_due_ns = 0;
	if (recorder->file.fd >= 0 && recorder->file.regular && fdatasync(recorder->file.fd) < 0 &&
		log_limit_pass(&recorder->sync_limit))
		log_error("handler %s: %s: forcing it to the disk: %s; what was written last may "
			  "be lost",
			recorder->name, recorder->path.path, strerror(errno));
}

/* ---- Rotating ---- */

/* The time for the name of the file that is rotated; 0: now. For its age, that is the multiple of
 * rotate_every, but for a file that was left long ago: keep_for counts from its name. */
static time_t name_time(const struct recorder *recorder, enum cause cause)
{
	const struct recorder_file *file = &recorder->file;
	const struct recorder_turn *turn = &recorder->turn;
	uint64_t now = clock_ns(CLOCK_REALTIME);
	time_t when = 0;

	if (recorder->name_time == RECORDER_NAME_END)
		return cause == FOR_AGE && now - turn->at_ns < turn->every_ns
			       ? recorder_turn_last(turn)
			       : 0;
	if (!recorder->format->first || recorder->format->first(file->fd, file->size, &when) < 0)
		when = recorder_file_birth(file);
	return when && when < recorder_turn_first(turn) ? recorder_turn_first(turn) : when;
}

/* It is tried again soon, as files are to have about their size and their time, and whoever asked
 * for it waits. For the age of a file, serve_turn() does it. */
static void fail_to_rotate(struct recorder *recorder, enum cause cause, const char *why)
{
	bool is_news = recorder_outage_fail(&recorder->unrotated, clock_ns(CLOCK_MONOTONIC), why);

	recorder->unrotated_cause = cause;
	recorder->rotate_due_ns = cause == FOR_AGE ? 0 : recorder->unrotated.retry_ns;
	if (is_news)
		log_warning(
			"handler %s: %s: %s; it goes on in the same file, and rotating is tried "
			"again at least every %llu s",
			recorder->name, recorder->path.path, why, RECORDER_PAUSE_MAX_NS / NS_PER_S);
}

static void end_failing_to_rotate(struct recorder *recorder)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (recorder_outage_end(&recorder->unrotated, now))
		log_notice("handler %s: %s: it can be rotated again after %" PRIu64 " s",
			recorder->name, recorder->path.path,
			(uint64_t)((now - recorder->unrotated.since_ns) / NS_PER_S));
}

/* Renames the file and begins a new one. If that fails, it continues the same file. */
static void begin_new_file(struct recorder *recorder, enum cause cause, struct outcome *outcome)
{
	struct recorder_new_name name = {.waits = recorder->after};
	char to[RECORDER_PATH_MAX], why[WHY_MAX];
	int r;

	end_section(recorder, outcome);
	if (recorder->sync_due_ns)
		sync_file(recorder);
	name.when = name_time(recorder, cause);
	recorder_room_look(&recorder->room);
	recorder_file_name_after(&recorder->file, &recorder->room.newest);
	r = recorder_file_move(&recorder->file, &name, to, why);
	if (r < 0 && r != -ESTALE) {
		fail_to_rotate(recorder, cause, why);
		return;
	}
	end_failing_to_rotate(recorder);
	if (r > 0) {
		outcome->counted[COUNTED_FAILED]++;
		log_error("handler %s: %s; after_rotate does not run for it", recorder->name, why);
	}
	recorder_turn_end(&recorder->turn, cause == FOR_AGE);
	recorder->ready = recorder->warned_of_other = false;
	recorder_start(recorder);
}

static bool may_rotate(const struct recorder *recorder)
{
	return recorder->ready && recorder->file.regular && has_records(recorder) &&
	       !recorder_outage_holds(&recorder->unrotated, clock_ns(CLOCK_MONOTONIC));
}

static void rotate_full(struct recorder *recorder, struct outcome *outcome)
{
	if (recorder->rotate_size && recorder->file.size >= recorder->rotate_size &&
		may_rotate(recorder))
		begin_new_file(recorder, FOR_SIZE, outcome);
}

/* The same; and rotates where a datagram of this time does not belong to the file. */
static void rotate_before(struct recorder *recorder, uint64_t timestamp_ns, struct outcome *outcome)
{
	if (!recorder_turn_is_over(&recorder->turn, timestamp_ns))
		rotate_full(recorder, outcome);
	else if (may_rotate(recorder))
		begin_new_file(recorder, FOR_AGE, outcome);
}

/* Rotates the file if its time is over by the clock. */
static void serve_turn(struct recorder *recorder, struct outcome *outcome)
{
	struct recorder_turn *turn = &recorder->turn;
	struct moment now = moment_now();

	if (!recorder_turn_look(turn, now) || !recorder->ready)
		return;
	if (now.monotonic_ns >= recorder_turn_due(turn, recorder->unrotated.retry_ns)) {
		write_out(recorder, outcome);
		if (may_rotate(recorder))
			begin_new_file(recorder, FOR_AGE, outcome);
		else if (!has_records(recorder))
			recorder_turn_forget(turn); /* nothing could be written */
	}
	if (turn->at_ns)
		turn->due_ns = recorder_turn_due(turn, recorder->unrotated.retry_ns);
}

/* Rotates the file that could not be rotated before. */
static void rotate_again(struct recorder *recorder, struct outcome *outcome)
{
	recorder->rotate_due_ns = 0;
	write_out(recorder, outcome);
	if (may_rotate(recorder))
		begin_new_file(recorder, recorder->unrotated_cause, outcome);
}

void recorder_rotate(void *object, struct outcome *outcome)
{
	struct recorder *recorder = object;
	char why[WHY_MAX];

	write_out(recorder, outcome);
	if (!recorder->ready && begin_file(recorder, why) < 0)
		return;
	if (recorder->file.regular && has_records(recorder))
		begin_new_file(recorder, ON_REQUEST, outcome);
}

/* ---- Records ---- */

static void flush(struct recorder *recorder, struct outcome *outcome)
{
	write_out(recorder, outcome);
	rotate_full(recorder, outcome);
}

/* Before the first record of a buffer: makes sure that the file is ready, and still the one at the
 * path. */
static int check_file(struct recorder *recorder, uint64_t timestamp_ns, char why[static WHY_MAX],
	struct outcome *outcome)
{
	int r = 0;

	if (recorder->ready && recorder_file_change(&recorder->file) == RECORDER_TRUNCATED)
		recorder->ready = recorder->begun = false; /* the section's beginning is gone */
	if (recorder->ready && !recorder_file_is_current(&recorder->file)) {
		/* Somebody renamed or removed it. */
		end_section(recorder, outcome);
		recorder->ready = false;
	}
	if (!recorder->ready)
		r = get_ready(recorder, why);
	if (r >= 0)
		rotate_before(recorder, timestamp_ns, outcome);
	return r >= 0 && !recorder->ready ? get_ready(recorder, why) : r;
}

/* The first record of a buffer. */
static struct text *begin_buffer(
	struct recorder *recorder, uint64_t timestamp_ns, struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), size;
	char why[WHY_MAX];

	if (recorder_outage_holds(&recorder->outage, now)) {
		outcome->dropped[DROP_IO]++;
		recorder->outage.lost++;
		return NULL;
	}
	if (check_file(recorder, timestamp_ns, why, outcome) < 0) {
		fail(recorder, 1, why, outcome);
		return NULL;
	}
	recorder->first_ns = timestamp_ns;
	if (!has_records(recorder))
		begin_turn(recorder, timestamp_ns);
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

struct text *recorder_begin(void *object, uint64_t timestamp_ns, struct outcome *outcome)
{
	struct recorder *recorder = object;

	if (recorder->records && recorder_turn_is_over(&recorder->turn, timestamp_ns) &&
		!recorder_outage_holds(&recorder->unrotated, clock_ns(CLOCK_MONOTONIC)))
		write_out(recorder, outcome);
	return recorder->records ? &recorder->buffer
				 : begin_buffer(recorder, timestamp_ns, outcome);
}

/* Removes a record that memory was short for, and whatever was appended with it. */
static void drop_record(struct recorder *recorder, struct outcome *outcome)
{
	text_clear(&recorder->buffer);
	recorder->buffer.length = recorder->records ? recorder->ends[recorder->records - 1] : 0;
	outcome->dropped[DROP_IO]++;
	if (log_limit_pass(&recorder->memory_limit))
		log_error("handler %s: %s: out of memory, a datagram was dropped", recorder->name,
			recorder->path.path);
	write_out(recorder, outcome);
	recorder->begun = false;
}

void recorder_commit(void *object, struct outcome *outcome)
{
	struct recorder *recorder = object;

	if (text_failed(&recorder->buffer)) {
		drop_record(recorder, outcome);
		return;
	}
	recorder->ends[recorder->records++] = (uint32_t)recorder->buffer.length;
	if (recorder->buffer.length >= recorder->full || recorder->records == RECORDS_MAX)
		flush(recorder, outcome);
}

void recorder_batch_end(void *object, struct outcome *outcome)
{
	struct recorder *recorder = object;

	if (recorder->turn.every_ns)
		recorder->turn.idle_since_ns = clock_ns(CLOCK_MONOTONIC);
	if (recorder->records && (recorder->sync == RECORDER_SYNC_EACH || !recorder->flush_ns))
		flush(recorder, outcome);
}

/* ---- Times ---- */

uint64_t recorder_deadline(const void *object)
{
	const struct recorder *recorder = object;
	uint64_t due = recorder->records ? recorder->flush_due_ns : 0;

	due = earlier_ns(due, earlier_ns(recorder->sync_due_ns, recorder->turn.due_ns));
	due = earlier_ns(due, earlier_ns(recorder->tidy_due_ns, recorder->rotate_due_ns));
	return recorder->after ? earlier_ns(due, after_rotate_deadline(recorder->after)) : due;
}

int recorder_descriptor(const void *object)
{
	const struct recorder *recorder = object;

	return recorder->after ? after_rotate_descriptor(recorder->after) : -1;
}

/* Well below flush, which is counted from when a datagram gets into the buffer. */
uint64_t recorder_patience(const void *object)
{
	const struct recorder *recorder = object;
	uint64_t most = recorder->flush_ns / 10;

	if (recorder->sync == RECORDER_SYNC_EACH)
		return 0;
	return most < PATIENCE_NS ? most : PATIENCE_NS;
}

/* What programs have made or removed counts for the quota at once. */
static void serve_after_rotate(struct recorder *recorder, struct outcome *outcome)
{
	bool ran = after_rotate_runs(recorder->after);
	uint64_t *counted = outcome->counted;

	if (after_rotate_serve(
		    recorder->after, &counted[COUNTED_SUCCEEDED], &counted[COUNTED_FAILED]))
		tidy(recorder);
	else if (!ran && after_rotate_runs(recorder->after))
		arm_tidy(recorder);
}

void recorder_serve(void *object, struct outcome *outcome)
{
	struct recorder *recorder = object;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (recorder->records && now >= recorder->flush_due_ns)
		flush(recorder, outcome);
	if (recorder->sync_due_ns && now >= recorder->sync_due_ns)
		sync_file(recorder);
	if (recorder->turn.due_ns && now >= recorder->turn.due_ns)
		serve_turn(recorder, outcome);
	if (recorder->rotate_due_ns && now >= recorder->rotate_due_ns)
		rotate_again(recorder, outcome);
	if (recorder->after)
		serve_after_rotate(recorder, outcome);
	if (recorder->tidy_due_ns && now >= recorder->tidy_due_ns)
		tidy(recorder);
}

void recorder_finish(void *object, uint64_t until_ns, struct outcome *outcome)
{
	struct recorder *recorder = object;

	(void)until_ns;
	end_section(recorder, outcome);
	if (recorder->sync != RECORDER_SYNC_NONE && recorder->ready)
		sync_file(recorder);
	if (recorder->after)
		after_rotate_finish(recorder->after, &outcome->counted[COUNTED_SUCCEEDED],
			&outcome->counted[COUNTED_FAILED]);
	recorder_room_finish(&recorder->room);
}
