#include "recorder/after_rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "child/child.h"
#include "child/environment.h"
#include "recorder/listing.h"

#define OUTPUT_LINES_MAX 64 /* of one program */

/* The pause before files whose programs have failed are tried again doubles each time. */
#define RETRY_MIN_NS (60 * NS_PER_S)
#define RETRY_MAX_NS (3600 * NS_PER_S)

/* When to look again at files that programs of an earlier run have, and at how many of them; any
 * more are tried again with those whose programs have failed. */
#define LOCKED_NS NS_PER_S
#define LOCKED_MAX 16

struct after_rotate {
	const char *handler;
	const struct recorder_path *path;
	struct program program; /* the last argument is for the path of a file */
	uint64_t timeout; /* ns */

	struct child child; /* its pid is 0: none runs */
	struct recorder_entry entry; /* its file */
	int mark; /* open and locked; -1: none */
	uint64_t timeout_ns; /* when to end it, CLOCK_MONOTONIC */
	bool timed_out;
	bool shutdown; /* ended because the handler does */

	/* The files up to tried were tried since all of them were last. */
	struct recorder_rotated tried;
	bool some_failed;
	struct recorder_rotated locked[LOCKED_MAX]; /* those that were */
	unsigned locked_count;
	uint64_t pause_ns; /* the last one; 0: there was none */
	/* CLOCK_MONOTONIC; 0: not due. */
	uint64_t due_ns; /* to look for the next file */
	uint64_t locked_ns; /* to try those that were locked again */
	uint64_t again_ns; /* to try all files again */
	struct log_limit fail_limit, removed_limit;
};

int after_rotate_new(const char *handler, const struct recorder_path *path,
	const struct string_list *command, uint64_t timeout_ns, struct after_rotate **ret)
{
	struct after_rotate *after = calloc(1, sizeof(*after));
	struct string_list with_path = {0};
	int r = 0;

	if (!after)
		return -ENOMEM;
	*after = (struct after_rotate){.handler = handler,
		.path = path,
		.timeout = timeout_ns,
		.mark = -1,
		.program.epoll = -1};
	for (size_t i = 0; i < command->count && r >= 0; i++)
		r = string_list_add(&with_path, command->items[i]);
	if (r >= 0)
		r = string_list_add(&with_path, "");
	if (r >= 0)
		r = program_open(&after->program, handler, &with_path, OUTPUT_LINES_MAX);
	string_list_clear(&with_path);
	if (r < 0)
		after_rotate_free(after);
	else
		*ret = after;
	return r;
}

void after_rotate_free(struct after_rotate *after)
{
	if (!after)
		return;
	child_abandon(&after->child);
	closep(&after->mark);
	program_close(&after->program);
	free(after);
}

void after_rotate_wake(struct after_rotate *after)
{
	after->due_ns = clock_ns(CLOCK_MONOTONIC);
}

bool after_rotate_runs(const struct after_rotate *after)
{
	return after->child.pid;
}

uint64_t after_rotate_deadline(const struct after_rotate *after)
{
	if (!after->child.pid)
		return earlier_ns(after->due_ns, earlier_ns(after->locked_ns, after->again_ns));
	return after->child.state == CHILD_RUNS ? after->timeout_ns : after->child.due_ns;
}

int after_rotate_descriptor(const struct after_rotate *after)
{
	return after->program.epoll;
}

/* ---- Starting ---- */

/* Opens and locks the mark of a file. Returns 0, -ENOENT when there is none, -EBUSY while a program
 * has it, or another negative errno. */
static int take_mark(struct after_rotate *after, const struct recorder_entry *entry)
{
	char path[RECORDER_PATH_MAX];
	struct stat status;

	recorder_path_mark(after->path, entry->rotated.when, entry->rotated.number, path);
	after->mark = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (after->mark < 0)
		return -errno;
	if (flock(after->mark, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return -EBUSY;
	/* The program that had it may have been done with it meanwhile. */
	return fstat(after->mark, &status) < 0 ? -errno : status.st_nlink ? 0 : -ENOENT;
}

static void remove_mark(const struct after_rotate *after, const struct recorder_entry *entry)
{
	char path[RECORDER_PATH_MAX];

	recorder_path_mark(after->path, entry->rotated.when, entry->rotated.number, path);
	unlink(path);
}

static bool was_made_after(const struct stat *made, const struct stat *mark)
{
	return timespec_ns(&made->st_ctim) >= timespec_ns(&mark->st_ctim);
}

/* Removes what a program that was killed has made of the file so far. */
static void remove_partial(const struct after_rotate *after, int directory, const char *file)
{
	char name[NAME_MAX + 16];
	struct stat mark, partial;

	if (fstat(after->mark, &mark) < 0)
		return;
	for (const char *const *suffix = recorder_path_suffixes; *suffix; suffix++) {
		snprintf(name, sizeof(name), "%s%s", file, *suffix);
		if (fstatat(directory, name, &partial, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(partial.st_mode) && was_made_after(&partial, &mark) &&
			unlinkat(directory, name, 0) == 0)
			log_notice("handler %s: %s: removed %s, which after_rotate had not "
				   "finished",
				after->handler, after->path->path, name);
	}
}

/* Puts the file's path where the program expects it. */
static int set_argument(struct after_rotate *after, const char *name)
{
	char **argument = &after->program.command.items[after->program.command.count - 2];
	bool is_root = !strcmp(after->path->directory, "/");
	char *path;

	if (asprintf(&path, "%s/%s", is_root ? "" : after->path->directory, name) < 0)
		return -ENOMEM;
	free(*argument);
	*argument = path;
	return 0;
}

static int run(struct after_rotate *after, const struct recorder_entry *entry)
{
	struct child_environment environment;
	int r = set_argument(after, entry->name);

	if (r < 0)
		return r;
	child_environment_begin(&environment);
	r = child_start(&after->child, &after->program, environment.list, after->mark, after);
	if (r < 0)
		return r;
	after->entry = *entry;
	after->timed_out = after->shutdown = false;
	after->timeout_ns = clock_ns(CLOCK_MONOTONIC) + after->timeout;
	return 0;
}

static void fail(struct after_rotate *after, const char *name, const char *why)
{
	after->some_failed = true;
	if (log_limit_pass(&after->fail_limit))
		log_warning("handler %s: %s/%s: after_rotate %s; the file waits, and is tried "
			    "again",
			after->handler, after->path->directory, name, why);
}

static void note_locked(struct after_rotate *after, const struct recorder_rotated *rotated)
{
	if (after->locked_count < LOCKED_MAX)
		after->locked[after->locked_count++] = *rotated;
	else
		after->some_failed = true;
}

/* Whether it was locked. Then it is no longer. */
static bool take_locked(struct after_rotate *after, const struct recorder_rotated *rotated)
{
	for (unsigned i = 0; i < after->locked_count; i++) {
		if (recorder_rotated_compare(&after->locked[i], rotated) != 0)
			continue;
		after->locked[i] = after->locked[--after->locked_count];
		return true;
	}
	return false;
}

/* Starts the program for a file, unless it is gone or locked. Returns whether it runs. */
static bool try_file(struct after_rotate *after, int directory, const struct recorder_entry *entry,
	uint64_t *failed)
{
	char why[CHILD_STATUS_MAX + 64];
	struct stat status;
	int r = take_mark(after, entry);

	if (r >= 0 && fstatat(directory, entry->name, &status, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT) {
		/* Done by a program of a run that did not live to see its end, or removed. */
		remove_mark(after, entry);
		r = -ENOENT;
	}
	if (r >= 0) {
		remove_partial(after, directory, entry->name);
		r = run(after, entry);
	}
	if (r >= 0)
		return true;
	closep(&after->mark);
	if (r == -EBUSY)
		note_locked(after, &entry->rotated);
	if (r == -EBUSY || r == -ENOENT)
		return false;
	++*failed;
	snprintf(why, sizeof(why), "could not be started: %s", strerror(-r));
	fail(after, entry->name, why);
	return false;
}

/* All files were tried. While it is set when to try them again, that stays. */
static void end_pass(struct after_rotate *after)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (after->some_failed && !after->again_ns) {
		after->pause_ns = !after->pause_ns                     ? RETRY_MIN_NS
				  : after->pause_ns < RETRY_MAX_NS / 2 ? 2 * after->pause_ns
								       : RETRY_MAX_NS;
		after->again_ns = now + after->pause_ns;
	} else if (!after->again_ns) {
		after->pause_ns = 0;
	}
	if (!after->locked_count)
		after->locked_ns = 0;
	else if (now >= after->locked_ns)
		after->locked_ns = now + LOCKED_NS;
	after->some_failed = false;
}

/* Whether a file's turn has come: it was not tried since all were, or it was locked then. */
static bool is_next(
	struct after_rotate *after, const struct recorder_rotated *rotated, uint64_t now)
{
	if (recorder_rotated_compare(rotated, &after->tried) <= 0)
		return after->locked_ns && now >= after->locked_ns && take_locked(after, rotated);
	after->tried = *rotated;
	return true;
}

/* Starts the program for the oldest file that waits and was not tried. */
/* Reads which files wait. Returns 0, or a negative errno, which is logged, with those that were
 * read before. */
static int read_marks(const struct after_rotate *after, struct recorder_listing *listing)
{
	int r = recorder_listing_read(listing, after->path, RECORDER_LIST_MARKS);

	if (r < 0)
		log_warning("handler %s: reading %s for after_rotate: %s", after->handler,
			after->path->directory, strerror(-r));
	return r;
}

static void start_next(struct after_rotate *after, uint64_t *failed)
{
	CLEANUP(recorder_listing_clear) struct recorder_listing listing = {0};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (after->again_ns && now >= after->again_ns) {
		after->tried = (struct recorder_rotated){0};
		after->again_ns = 0;
		after->locked_count = 0;
	}
	after->due_ns = 0;
	after->some_failed |= read_marks(after, &listing) < 0;
	for (size_t i = 0; i < listing.count; i++) {
		const struct recorder_entry *entry = &listing.items[i];

		if (is_next(after, &entry->rotated, now) &&
			try_file(after, dirfd(listing.directory), entry, failed))
			return;
	}
	end_pass(after);
}

/* ---- Ending ---- */

static void settle(struct after_rotate *after, int status, uint64_t *succeeded, uint64_t *failed)
{
	char string[CHILD_STATUS_MAX], why[CHILD_STATUS_MAX + 64];
	struct stat mark;
	bool was_removed = fstat(after->mark, &mark) == 0 && !mark.st_nlink;

	closep(&after->mark);
	after->due_ns = clock_ns(CLOCK_MONOTONIC);
	if (!status && !after->timed_out) {
		remove_mark(after, &after->entry);
		++*succeeded;
	} else if (was_removed) {
		if (log_limit_pass(&after->removed_limit))
			log_warning("handler %s: %s/%s: was removed by keep, keep_for or quota "
				    "while its program ran",
				after->handler, after->path->directory, after->entry.name);
	} else if (!after->shutdown) {
		++*failed;
		snprintf(why, sizeof(why), "%s%s", after->timed_out ? "ran for too long and " : "",
			child_status(status, string));
		fail(after, after->entry.name, why);
	}
}

bool after_rotate_serve(struct after_rotate *after, uint64_t *ret_succeeded, uint64_t *ret_failed)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), due;
	bool ended = false;
	int status;

	if (after->child.pid && child_step(&after->child, &after->program, &status)) {
		settle(after, status, ret_succeeded, ret_failed);
		ended = true;
	} else if (after->child.pid && after->child.state == CHILD_RUNS &&
		   now >= after->timeout_ns) {
		after->timed_out = true;
		child_terminate(&after->child, now + CHILD_GRACE_NS);
	}
	due = after_rotate_deadline(after);
	if (!after->child.pid && due && clock_ns(CLOCK_MONOTONIC) >= due && !after->shutdown)
		start_next(after, ret_failed);
	return ended;
}

/* A file that is there, and waits. Of the one whose program was ended, what that had made so far is
 * removed, unless a part of the program lives on. */
static void leave_file(
	struct after_rotate *after, int directory, const struct recorder_entry *entry)
{
	bool was_ended = after->shutdown && !after->child.pid &&
			 !recorder_rotated_compare(&entry->rotated, &after->entry.rotated);

	if (was_ended && take_mark(after, entry) >= 0)
		remove_partial(after, directory, entry->name);
	closep(&after->mark);
}

/* Leaves the files that wait. The next configuration may have no handler for them: then nothing
 * else tells of them. */
static void leave_files(struct after_rotate *after)
{
	CLEANUP(recorder_listing_clear) struct recorder_listing listing = {0};
	const char *oldest = NULL;
	struct stat status;
	size_t count = 0;

	read_marks(after, &listing);
	for (size_t i = 0; i < listing.count; i++) {
		const struct recorder_entry *entry = &listing.items[i];
		int directory = dirfd(listing.directory);

		if (fstatat(directory, entry->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		leave_file(after, directory, entry);
		oldest = oldest ? oldest : entry->name;
		count++;
	}
	if (count)
		log_notice("handler %s: %s: %zu rotated file%s for after_rotate, the oldest is %s; "
			   "the next handler with this path and after_rotate goes on there",
			after->handler, after->path->path, count, count == 1 ? " waits" : "s wait",
			oldest);
}

static void end_program(struct after_rotate *after, uint64_t *ret_succeeded, uint64_t *ret_failed)
{
	uint64_t kill_ns = clock_ns(CLOCK_MONOTONIC) + CHILD_GRACE_NS;
	uint64_t until_ns = kill_ns + CHILD_GRACE_NS / 4;

	after->shutdown = true;
	child_terminate(&after->child, kill_ns);
	/* A killed program is gone at once, unless it hangs in the kernel. */
	while (after->child.pid && clock_ns(CLOCK_MONOTONIC) < until_ns) {
		program_wait(&after->program, earlier_ns(after_rotate_deadline(after), until_ns));
		after_rotate_serve(after, ret_succeeded, ret_failed);
	}
}

void after_rotate_finish(struct after_rotate *after, uint64_t *ret_succeeded, uint64_t *ret_failed)
{
	if (after->child.pid)
		end_program(after, ret_succeeded, ret_failed);
	leave_files(after);
}
