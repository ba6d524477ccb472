/* A recorder's way to the disk: making the file ready, writing, outages, and rotating. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/state.h"

#define SYNC_NS NS_PER_S
#define ROTATE_AGAIN_NS (60 * NS_PER_S) /* after rotating has failed */

void recorder_fail(
	struct recorder *recorder, unsigned lost, const char *why, struct outcome *outcome)
{
	bool first = recorder_outage_fail(&recorder->outage, clock_ns(CLOCK_MONOTONIC));

	recorder->outage.lost += lost;
	recorder->begun = false;
	outcome->dropped[DROP_IO] += lost;
	if (first)
		log_event(LOG_ERR,
			&(struct log_fields){
				.message_id = MESSAGE_OUTAGE, .handler = recorder->name},
			"%s: %s; datagrams are dropped until it can be written again",
			recorder->path.path, why);
}

static void succeed(struct recorder *recorder)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), tenths;

	if (recorder_outage_end(&recorder->outage, now)) {
		tenths = (now - recorder->outage.since_ns) / (100 * NS_PER_MS);
		log_event(LOG_NOTICE,
			&(struct log_fields){
				.message_id = MESSAGE_OUTAGE_ENDED, .handler = recorder->name},
			"%s: it can be written again after %" PRIu64 ".%" PRIu64 " s; %" PRIu64
			" datagrams were lost",
			recorder->path.path, tenths / 10, tenths % 10, recorder->outage.lost);
	}
	if (recorder->sync == RECORDER_SYNC_INTERVAL && recorder->file.regular &&
		!recorder->sync_due_ns)
		recorder->sync_due_ns = now + SYNC_NS;
}

/* Records that belong to a section of the file cannot go on where its beginning was cut off. */
static int check_cut(struct recorder *recorder, char why[static WHY_MAX])
{
	int r;

	if (!recorder_file_was_cut(&recorder->file))
		return 0;
	r = recorder_get_ready(recorder, true, why);
	if (r < 0 || !recorder->format->begin)
		return r;
	snprintf(why, WHY_MAX, "another program has truncated it");
	return -ESTALE;
}

/* Writes so much of the buffer as there is room for: all of it, or its first records. Returns as
 * recorder_file_append(), with the reason in why. */
static int append_buffer(struct recorder *recorder, unsigned *ret_written, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	const struct text *buffer = &recorder->buffer;
	uint64_t length = buffer->length;
	unsigned count = recorder->records;
	int room = 0, r = check_cut(recorder, why);

	*ret_written = 0;
	if (r < 0)
		return r;
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
	if (r < 0)
		snprintf(why, WHY_MAX, "writing: %s", strerror(-r));
	return r < 0 ? r : room;
}

void recorder_write_out(struct recorder *recorder, struct outcome *outcome)
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
		recorder_fail(recorder, recorder->records - written, why, outcome);
	}
	outcome->delivered += written;
	recorder->records = 0;
	text_clear(buffer);
}

void recorder_end_section(struct recorder *recorder, struct outcome *outcome)
{
	if (recorder->begun && recorder->format->end)
		recorder->format->end(recorder->owner, &recorder->buffer);
	recorder_write_out(recorder, outcome);
	recorder->begun = false;
}

void recorder_sync_file(struct recorder *recorder)
{

	recorder->sync_due_ns = 0;
	if (recorder->file.fd >= 0 && recorder->file.regular && fdatasync(recorder->file.fd) < 0 &&
		log_limit_pass(&recorder->limit))
		log_error("%s: forcing it to the disk: %s; what was written last may be lost",
			recorder->path.path, strerror(errno));
}

/* Says when turn_ns comes. */
static void arm_turn(struct recorder *recorder)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);

	recorder->turn_due_ns = clock_ns(CLOCK_MONOTONIC) +
				(recorder->turn_ns > now ? recorder->turn_ns - now : 0);
}

/* When the file is to be rotated for its age: at the next multiple of rotate_every after last_ns.
 */
static void set_turn(struct recorder *recorder, uint64_t last_ns)
{
	uint64_t every = recorder->rotate_every_ns;

	if (!every || !recorder->file.regular)
		return;
	recorder->turn_ns = (last_ns / every + 1) * every;
	arm_turn(recorder);
}

/* Moves a file away that is no recording of this kind. */
static int set_aside(struct recorder *recorder, char why[static WHY_MAX])
{
	char to[RECORDER_PATH_MAX];
	int r = recorder_file_move(&recorder->file, true, to, why);

	if (r >= 0)
		log_warning("%s: what was there is no recording in this format, and is now %s",
			recorder->path.path, to);
	return r == -ESTALE ? 0 : r;
}

/* Cuts off half a record at the end of the file. Returns 0; -EBADMSG when it is no recording of
 * this kind, or another negative errno with the reason in why. */
static int mend(struct recorder *recorder, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	uint64_t cut = 0;
	int r = recorder_file_prepare(file);

	if (r >= 0 && file->regular)
		r = recorder_mend(file->fd, file->size, recorder->format->measure, &cut);
	if (r < 0 && r != -EBADMSG)
		snprintf(why, WHY_MAX, "reading what is there: %s", strerror(-r));
	if (r >= 0 && cut)
		log_warning("%s: cut off %" PRIu64
			    " bytes at its end, of a record that was not written whole",
			recorder->path.path, cut);
	if (r >= 0)
		file->size -= cut;
	return r;
}

int recorder_get_ready(struct recorder *recorder, bool take_over, char why[static WHY_MAX])
{
	struct recorder_file *file = &recorder->file;
	int r;

	while ((r = recorder_file_acquire(file, take_over, why)) >= 0 &&
		(r = mend(recorder, why)) == -EBADMSG)
		if ((r = set_aside(recorder, why)) < 0)
			return r;
	if (r < 0)
		return r;
	recorder->ready = true;
	recorder->begun = false;
	recorder->start_due_ns = 0;
	set_turn(recorder, file->size ? file->modified_ns : clock_ns(CLOCK_REALTIME));
	recorder_room_tidy(&recorder->room, file->size);
	if (recorder->room.newest.when)
		recorder_file_name_after(file, &recorder->room.newest);
	return 0;
}

void recorder_begin_new_file(struct recorder *recorder, struct outcome *outcome)
{
	char to[RECORDER_PATH_MAX], why[WHY_MAX];
	int r;

	recorder_end_section(recorder, outcome);
	if (recorder->sync_due_ns)
		recorder_sync_file(recorder);
	r = recorder_file_move(&recorder->file, false, to, why);
	if (r < 0)
		recorder->rotate_again_ns = clock_ns(CLOCK_MONOTONIC) + ROTATE_AGAIN_NS;
	if (r < 0 && r != -ESTALE) {
		log_warning("%s: %s; it goes on in the same file", recorder->path.path, why);
		return;
	}
	if (recorder_claim_superseded(&recorder->file.claim))
		return;
	recorder->ready = false;
	recorder_get_ready(recorder, true,
		why); /* what hinders it hinders the next record, too, and is said then */
}

bool recorder_rotation_is_due(const struct recorder *recorder)
{
	if (!recorder->ready || !recorder->file.regular || !recorder->file.size ||
		clock_ns(CLOCK_MONOTONIC) < recorder->rotate_again_ns)
		return false;
	return (recorder->rotate_size && recorder->file.size >= recorder->rotate_size) ||
	       (recorder->rotate_every_ns && clock_ns(CLOCK_REALTIME) >= recorder->turn_ns);
}

void recorder_take_turn(struct recorder *recorder, struct outcome *outcome)
{
	uint64_t now;

	if (recorder_rotation_is_due(recorder))
		recorder_begin_new_file(recorder, outcome);
	recorder->turn_due_ns = 0;
	if (!recorder->ready)
		return; /* getting ready sets it */
	now = clock_ns(CLOCK_REALTIME);
	if (now >= recorder->turn_ns && recorder->file.size)
		recorder->turn_due_ns = recorder->rotate_again_ns;
	else if (now >= recorder->turn_ns || recorder->turn_ns - now > recorder->rotate_every_ns)
		set_turn(recorder, now); /* an empty file, or the clock was set back */
	else
		arm_turn(recorder);
}
