/* Records in one mapping, each behind the other: a struct record, the group's name with its zero,
 * the payload. None is split: where it does not fit behind the last one, it begins at the front
 * again. An empty ring begins at the front, too, so that one that never fills does not become
 * resident.
 *
 *     0 ........ tail ======= head ........ size
 *     0 ==== head ....... tail ======= end .. size       wrapped: the rest behind end is unused */
#include "data/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/address.h"

struct record {
	uint64_t token;
	uint32_t size; /* of the payload */
	uint16_t name_length; /* with the zero */
};

#define NAME_LENGTH_MAX 256

_Static_assert(INTAKE_MIN > 2 * (sizeof(struct record) + NAME_LENGTH_MAX + DATAGRAM_MAX),
	"every datagram finds room, once the others have gone");

/* Lock order: the intake's, then the book's. */
struct intake {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed; /* there is room, nothing waits, or it was stopped */
	struct intake_book *book;
	unsigned references;
	uint8_t *memory;
	size_t size;
	size_t head, tail, end;
	bool is_wrapped;
	unsigned waiting; /* records */
	uint64_t done;
	bool is_stopped;
	bool stays_open; /* until is_ended, also when it was stopped */
	bool is_ended;
	bool is_abandoned; /* nothing is done any more */
	int fd, done_fd;
	bool is_readable, is_done_readable; /* the two descriptors */
};

static const char *const names[INTAKE_DROPS] = {
	[INTAKE_OWN] = "own",
	[INTAKE_DUPLICATE] = "duplicate",
	[INTAKE_SIZE] = "size",
	[INTAKE_SEND] = "send",
	[INTAKE_SHUTDOWN] = "shutdown",
};

const char *intake_drop_name(enum intake_drop reason)
{
	return names[reason];
}

bool intake_drop_is_wanted(enum intake_drop reason)
{
	return reason == INTAKE_OWN || reason == INTAKE_DUPLICATE;
}

uint64_t intake_account_settle(struct intake_account *account)
{
	uint64_t settled = account->sent, lost;

	for (int i = 0; i < INTAKE_DROPS; i++)
		settled += account->dropped[i];
	/* It may have been killed between two of its numbers. */
	if (settled > account->taken)
		account->taken = settled;
	lost = account->taken - settled;
	account->dropped[INTAKE_SHUTDOWN] += lost;
	account->waiting = account->waiting_bytes = 0;
	return lost;
}

static void intake_free(struct intake *intake)
{
	closep(&intake->fd);
	closep(&intake->done_fd);
	if (intake->memory)
		munmap(intake->memory, intake->size);
	pthread_cond_destroy(&intake->changed);
	pthread_mutex_destroy(&intake->lock);
	free(intake);
}

int intake_new(uint64_t bytes, struct intake_book *book, struct intake **ret)
{
	struct intake *intake = calloc(1, sizeof(*intake));
	int r = 0;

	if (!intake)
		return -ENOMEM;
	pthread_mutex_init(&intake->lock, NULL);
	pthread_cond_init(&intake->changed, NULL);
	intake->book = book;
	intake->references = 1;
	intake->size = bytes < INTAKE_MIN ? INTAKE_MIN : (size_t)bytes;
	intake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	intake->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (intake->fd < 0 || intake->done_fd < 0)
		r = -errno;
	intake->memory = mmap(NULL, intake->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (intake->memory == MAP_FAILED) {
		intake->memory = NULL;
		r = -ENOMEM;
	}
	if (r < 0)
		intake_free(intake);
	else
		*ret = intake;
	return r;
}

static void lock(struct intake *intake)
{
	pthread_mutex_lock(&intake->lock);
}

static void unlock(struct intake *intake)
{
	pthread_mutex_unlock(&intake->lock);
}

struct intake *intake_ref(struct intake *intake)
{
	lock(intake);
	intake->references++;
	unlock(intake);
	return intake;
}

void intake_unref(struct intake *intake)
{
	bool is_last;

	if (!intake)
		return;
	lock(intake);
	is_last = !--intake->references;
	unlock(intake);
	if (!is_last)
		return;
	intake_abandon(intake);
	intake_free(intake);
}

static void set_readable(int fd, bool *is_readable)
{
	if (!*is_readable)
		eventfd_write(fd, 1);
	*is_readable = true;
}

static void clear_readable(int fd, bool *is_readable)
{
	eventfd_t count;

	if (*is_readable)
		eventfd_read(fd, &count);
	*is_readable = false;
}

/* ---- Records ---- */

static uint32_t stored_size(uint32_t size)
{
	return size > DATAGRAM_MAX ? 0 : size;
}

static size_t record_length(size_t name_length, uint32_t size)
{
	size_t length = sizeof(struct record) + name_length + stored_size(size);

	return (length + _Alignof(struct record) - 1) / _Alignof(struct record) *
	       _Alignof(struct record);
}

/* The place for a record of this length, or NULL. */
static struct record *find_room(struct intake *intake, size_t length)
{
	size_t at = intake->head;

	if (!intake->waiting) {
		intake->head = intake->tail = at = 0;
		intake->is_wrapped = false;
	}
	if (!intake->is_wrapped && intake->size - at < length) {
		intake->end = at;
		intake->is_wrapped = true;
		at = 0;
	}
	if (intake->is_wrapped && intake->tail - at < length) {
		intake->head = at;
		return NULL;
	}
	intake->head = at + length;
	return (struct record *)(void *)(intake->memory + at);
}

static struct record *record_at(struct intake *intake, size_t at)
{
	return (struct record *)(void *)(intake->memory + at);
}

/* Where the record behind this one is. */
static size_t behind(const struct intake *intake, size_t at, const struct record *record)
{
	at += record_length(record->name_length, record->size);
	return intake->is_wrapped && at == intake->end ? 0 : at;
}

static void write_record(struct record *record, const struct intake_item *item, size_t name_length)
{
	*record = (struct record){
		.token = item->token, .size = item->size, .name_length = (uint16_t)name_length};
	memcpy(record + 1, item->group, name_length);
	if (stored_size(item->size))
		memcpy((char *)(record + 1) + name_length, item->payload, item->size);
}

static void read_record(const struct record *record, struct intake_item *ret)
{
	const char *name = (const char *)(record + 1);

	*ret = (struct intake_item){.group = name,
		.payload = record->size > DATAGRAM_MAX
				   ? NULL
				   : (const uint8_t *)name + record->name_length,
		.size = record->size,
		.token = record->token};
}

/* ---- The engine's side ---- */

static void count_taken(struct intake_book *book, uint32_t size)
{
	pthread_mutex_lock(&book->lock);
	book->account->taken++;
	book->account->waiting++;
	book->account->waiting_bytes += stored_size(size);
	pthread_mutex_unlock(&book->lock);
}

static bool takes_more(const struct intake *intake)
{
	return !intake->is_ended && (!intake->is_stopped || intake->stays_open);
}

static int push(struct intake *intake, const struct intake_item *item)
{
	size_t name_length = strlen(item->group) + 1;
	struct record *record;

	if (!takes_more(intake))
		return -ESHUTDOWN;
	if (name_length > NAME_LENGTH_MAX)
		return -EINVAL;
	record = find_room(intake, record_length(name_length, item->size));
	if (!record)
		return -EAGAIN;
	write_record(record, item, name_length);
	intake->waiting++;
	count_taken(intake->book, item->size);
	set_readable(intake->fd, &intake->is_readable);
	return 0;
}

int intake_push(struct intake *intake, const struct intake_item *item)
{
	int r;

	lock(intake);
	r = push(intake, item);
	unlock(intake);
	return r;
}

int intake_push_wait(struct intake *intake, const struct intake_item *item)
{
	int r;

	lock(intake);
	while ((r = push(intake, item)) == -EAGAIN)
		pthread_cond_wait(&intake->changed, &intake->lock);
	unlock(intake);
	return r;
}

void intake_stay_open(struct intake *intake)
{
	lock(intake);
	intake->stays_open = true;
	unlock(intake);
}

static void end(struct intake *intake)
{
	intake->is_stopped = intake->is_ended = true;
	set_readable(intake->fd, &intake->is_readable);
	set_readable(intake->done_fd, &intake->is_done_readable);
	pthread_cond_broadcast(&intake->changed);
}

void intake_end(struct intake *intake)
{
	lock(intake);
	end(intake);
	unlock(intake);
}

void intake_drop(struct intake *intake, enum intake_drop reason)
{
	struct intake_book *book = intake->book;

	pthread_mutex_lock(&book->lock);
	book->account->taken++;
	book->account->dropped[reason]++;
	pthread_mutex_unlock(&book->lock);
}

/* Neither below zero, as a gap may be older than the account, nor past the largest number. */
void intake_count_gaps(struct intake *intake, int64_t gaps)
{
	struct intake_book *book = intake->book;
	uint64_t *total = &book->account->gaps, fewer = gaps < 0 ? -(uint64_t)gaps : 0;

	pthread_mutex_lock(&book->lock);
	if (gaps < 0)
		*total -= fewer < *total ? fewer : *total;
	else if (__builtin_add_overflow(*total, (uint64_t)gaps, total))
		*total = UINT64_MAX;
	pthread_mutex_unlock(&book->lock);
}

uint64_t intake_done(struct intake *intake)
{
	uint64_t done;

	lock(intake);
	done = intake->done;
	clear_readable(intake->done_fd, &intake->is_done_readable);
	unlock(intake);
	return done;
}

int intake_done_fd(const struct intake *intake)
{
	return intake->done_fd;
}

bool intake_wait_empty(struct intake *intake, uint64_t until_ns)
{
	struct timespec until = ns_timespec(until_ns);
	bool is_empty;
	int r = 0;

	lock(intake);
	while (intake->waiting && r != ETIMEDOUT)
		r = pthread_cond_clockwait(
			&intake->changed, &intake->lock, CLOCK_MONOTONIC, &until);
	is_empty = !intake->waiting;
	unlock(intake);
	return is_empty;
}

/* ---- The loop's side ---- */

int intake_fd(const struct intake *intake)
{
	return intake->fd;
}

unsigned intake_peek(struct intake *intake, struct intake_item *items, unsigned most)
{
	unsigned count = 0;
	size_t at;

	lock(intake);
	at = intake->tail;
	while (count < most && count < intake->waiting) {
		const struct record *record = record_at(intake, at);

		read_record(record, &items[count]);
		if (strcmp(items[count].group, items[0].group))
			break;
		count++;
		at = behind(intake, at, record);
	}
	if (!count)
		clear_readable(intake->fd, &intake->is_readable);
	unlock(intake);
	return count;
}

/* Removes the oldest ones, and sets *done to the token of the last. Returns the bytes of their
 * payloads. */
static uint64_t remove_oldest(struct intake *intake, uint64_t count, uint64_t *done)
{
	uint64_t bytes = 0;

	for (; count; count--) {
		const struct record *record = record_at(intake, intake->tail);

		bytes += stored_size(record->size);
		*done = record->token;
		intake->tail = behind(intake, intake->tail, record);
		if (!intake->tail)
			intake->is_wrapped = false;
		intake->waiting--;
	}
	return bytes;
}

static void settle(struct intake *intake, uint64_t sent, uint64_t dropped, enum intake_drop reason)
{
	struct intake_account *account = intake->book->account;
	uint64_t done = intake->done, ignored = 0, bytes;
	bool is_done = !intake->is_abandoned;

	bytes = remove_oldest(intake, sent, is_done ? &done : &ignored);
	if (dropped && reason == INTAKE_SHUTDOWN)
		intake->is_abandoned = true;
	bytes += remove_oldest(intake, dropped, intake->is_abandoned ? &ignored : &done);
	pthread_mutex_lock(&intake->book->lock);
	account->sent += sent;
	account->dropped[reason] += dropped;
	account->waiting -= sent + dropped;
	account->waiting_bytes -= bytes;
	pthread_mutex_unlock(&intake->book->lock);
	intake->done = done;
	/* Also where nothing is done: there is room. */
	set_readable(intake->done_fd, &intake->is_done_readable);
	pthread_cond_broadcast(&intake->changed);
}

void intake_settle(struct intake *intake, unsigned sent, unsigned dropped, enum intake_drop reason)
{
	lock(intake);
	/* The other thread may have abandoned what the loop had in hand. */
	if (sent > intake->waiting)
		sent = intake->waiting;
	if (dropped > intake->waiting - sent)
		dropped = intake->waiting - sent;
	if (sent || dropped)
		settle(intake, sent, dropped, reason);
	unlock(intake);
}

void intake_stop(struct intake *intake)
{
	lock(intake);
	intake->is_stopped = true;
	set_readable(intake->fd, &intake->is_readable);
	set_readable(intake->done_fd, &intake->is_done_readable);
	pthread_cond_broadcast(&intake->changed);
	unlock(intake);
}

bool intake_is_finished(struct intake *intake)
{
	bool is_finished;

	lock(intake);
	is_finished = !takes_more(intake) && !intake->waiting;
	unlock(intake);
	return is_finished;
}

uint64_t intake_abandon(struct intake *intake)
{
	uint64_t count;

	lock(intake);
	count = intake->waiting;
	if (count)
		settle(intake, 0, count, INTAKE_SHUTDOWN);
	end(intake);
	unlock(intake);
	return count;
}

void intake_read_account(struct intake_book *book, struct intake_account *ret)
{
	pthread_mutex_lock(&book->lock);
	*ret = *book->account;
	pthread_mutex_unlock(&book->lock);
}
