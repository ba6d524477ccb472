/* A recorder whose disk fails, at whatever call and for however long: when it has recovered, its
 * files hold whole records, in order, and exactly those that counted as delivered. The input is a
 * byte for each thing to do, and one for each system call, from both ends. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/io.h"
#include "fuzz.h"
#include "recorder/recorder.h"

#define RECORDS_MAX 400

static char directory[] = "/tmp/fuzz-recorder-XXXXXX";
static struct input steps;
static bool fails; /* calls may fail */
static int wrong_place; /* what is at the path of the recorder; -1: nothing, or its file */
static uint64_t now_ns; /* both clocks; 0: libFuzzer asks */

/* What becomes of a system call: most succeed. */
static int fate(void)
{
	static const int errors[] = {EIO, ENOSPC, EINTR, EDQUOT};

	if (!fails || !steps.size)
		return 0;
	return steps.data[--steps.size] & 0x80 ? errors[steps.data[steps.size] & 3] : 0;
}

static bool refuse(void)
{
	int error = fate();

	if (error)
		errno = error;
	return error;
}

/* ---- Instead of the C library's ---- */

ssize_t write(int fd, const void *data, size_t size)
{
	int error = fate();

	if (error == ENOSPC && size > 1) /* a part of it fits */
		return (ssize_t)syscall(SYS_write, fd, data, size / 2);
	if (!error)
		return (ssize_t)syscall(SYS_write, fd, data, size);
	errno = error;
	return -1;
}

int ftruncate(int fd, off_t size)
{
	return refuse() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
	(void)fd;
	return refuse() ? -1 : 0;
}

int renameat2(int from, const char *path, int to, const char *other, unsigned flags)
{
	return refuse() ? -1 : (int)syscall(SYS_renameat2, from, path, to, other, flags);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (!now_ns)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	*ret = ns_timespec(now_ns);
	return 0;
}

/* ---- */

static bool is_record(const char *data, size_t size)
{
	return size && *data == '#';
}

static int measure(int fd, uint64_t size, uint64_t *ret_whole)
{
	return recorder_measure_lines(fd, size, is_record, ret_whole);
}

static void begin(void *owner, struct text *text, bool is_first)
{
	(void)owner;
	text_append_string(text, is_first ? "#begin\n" : "#again\n");
}

static bool is_header(const char *line)
{
	return line[0] == '#' && (line[1] < '0' || line[1] > '9');
}

static void resume(void *owner, struct text *text, const char *data, size_t size, bool is_first)
{
	if (!size || !is_header(data))
		begin(owner, text, is_first);
}

static void append_empty(void *owner, struct text *text)
{
	(void)owner;
	text_append_string(text, "#empty\n");
}

static void end(void *owner, struct text *text)
{
	(void)owner;
	text_append_string(text, "#end\n");
}

/* The time is any. */
static int find_first(int fd, uint64_t size, time_t *ret)
{
	char data[64];
	size_t length = size < sizeof(data) - 1 ? (size_t)size : sizeof(data) - 1;
	const char *line = data;

	if (read_at(fd, data, length, 0) < 0)
		return -EIO;
	data[length] = '\0';
	while (is_header(line) && strchr(line, '\n'))
		line = strchr(line, '\n') + 1;
	*ret = (time_t)(now_ns / NS_PER_S) - (uint8_t)*line;
	return *line ? 0 : -ENOENT;
}

static const struct recorder_format formats[] = {
	{.measure = measure}, {.measure = measure,
				      .begin = begin,
				      .resume = resume,
				      .empty = append_empty,
				      .first = find_first,
				      .end = end}};

static struct recorder_settings make_settings(char *path, const struct recorder_format **ret_format)
{
	uint8_t choice = input_byte(&steps);

	wrong_place = choice & 0x80 ? choice & 3 : -1;
	*ret_format = &formats[choice >> 5 & 1];
	return (struct recorder_settings){.path = path,
		.rotate_size = choice & 1 ? 4096 : 0,
		.rotate_every = choice & 2 ? NS_PER_S : 0,
		.flush = choice & 4 ? 0 : 100 * NS_PER_MS,
		.sync = choice >> 3 & 3 ? RECORDER_SYNC_EACH : RECORDER_SYNC_INTERVAL,
		.name_time = choice & 0x40 ? RECORDER_NAME_BEGIN : RECORDER_NAME_END};
}

/* Places that no recorder may write to: a directory, a link, a pipe, one in no directory. */
static void check_wrong_place(
	const struct recorder_settings *settings, const struct recorder_format *format)
{
	const char *path = settings->path;
	char why[WHY_MAX] = "";
	void *recorder;

	if (wrong_place == 0)
		CHECK(mkdir(path, 0700) == 0);
	else if (wrong_place == 1)
		CHECK(symlink("/dev/null", path) == 0);
	else if (wrong_place == 2)
		CHECK(mkfifo(path, 0600) == 0);
	else
		strcat(settings->path, "/none/file.log");
	CHECK(recorder_open(settings, format, NULL, "file", 0, why, &recorder) < 0);
	CHECK(*why && !has_controls(why, strlen(why)));
	if (wrong_place < 3)
		CHECK(remove(path) == 0);
}

/* Of the same file, which this process has open. */
static void try_second(
	const struct recorder_settings *settings, const struct recorder_format *format)
{
	char why[WHY_MAX] = "";
	void *recorder;

	if (recorder_open(settings, format, NULL, "second", 0, why, &recorder) == 0)
		recorder_close(recorder);
	else
		CHECK(*why && !has_controls(why, strlen(why)));
}

/* Records have their number, and some length. */
static void append(void *recorder, unsigned number, unsigned length, struct outcome *outcome)
{
	struct text *text = recorder_begin(recorder, now_ns, outcome);

	if (!text)
		return;
	text_printf(text, "#%u %0*d\n", number, (int)length + 1, 0);
	recorder_commit(recorder, outcome);
}

static unsigned run(void *recorder, struct outcome *outcome)
{
	unsigned number = 0;

	while (steps.size && number < RECORDS_MAX - 1) {
		uint8_t step = input_byte(&steps);

		now_ns += NS_PER_MS;
		if (step < 0xa0)
			append(recorder, number++, step * 4, outcome);
		else if (step < 0xc0)
			recorder_batch_end(recorder, outcome);
		else if (step < 0xe0)
			now_ns += NS_PER_MS * 100 * (step & 0x1f);
		else if (step < 0xe8)
			recorder_rotate(recorder, outcome);
		recorder_serve(recorder, outcome);
	}
	return number;
}

/* Reads one file, of whole records that follow those before. Returns their number. */
static unsigned check_file(const char *name, long *last)
{
	static char data[RECORDS_MAX * 1024];
	char path[512];
	unsigned count = 0;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	CHECK(file);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	unlink(path);
	CHECK(!size || data[size - 1] == '\n');
	for (char *line = data, *stop; line < data + size; line = stop + 1) {
		long number;

		stop = memchr(line, '\n', (size_t)(data + size - line));
		*stop = '\0';
		if (is_header(line))
			continue;
		count++;
		CHECK(sscanf(line, "#%ld 0", &number) == 1 && number > *last);
		*last = number;
	}
	return count;
}

/* Rotated files sort in their order, and before the current one. */
static int compare(const struct dirent **a, const struct dirent **b)
{
	int left = !strcmp((*a)->d_name, "file.log"), right = !strcmp((*b)->d_name, "file.log");

	return left != right ? left - right : strcmp((*a)->d_name, (*b)->d_name);
}

static int is_file(const struct dirent *entry)
{
	return *entry->d_name != '.';
}

static unsigned check_files(void)
{
	struct dirent **entries;
	int files = scandir(directory, &entries, is_file, compare);
	unsigned count = 0;
	long last = -1;

	for (int i = 0; i < files; i++) {
		count += check_file(entries[i]->d_name, &last);
		free(entries[i]);
	}
	free(entries);
	return count;
}

static void remove_directory(void)
{
	rmdir(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	char path[64], why[WHY_MAX];
	const struct recorder_format *format;
	struct recorder_settings settings;
	struct outcome outcome = {0};
	unsigned number;
	void *recorder;

	if (!made) {
		CHECK(mkdtemp(directory));
		atexit(remove_directory);
		signal(SIGALRM, SIG_IGN); /* libFuzzer would look at the clock of the input */
		made = true;
	}
	steps = (struct input){data, size};
	fails = false;
	now_ns = 1795552430 * NS_PER_S;
	snprintf(path, sizeof(path), "%s/file.log", directory);
	settings = make_settings(path, &format);
	if (wrong_place >= 0) {
		check_wrong_place(&settings, format);
		now_ns = 0;
		return 0;
	}
	CHECK(recorder_open(&settings, format, NULL, "file", 0, why, &recorder) == 0);
	fails = true;
	recorder_start(recorder);
	try_second(&settings, format);
	number = run(recorder, &outcome);
	fails = false;
	now_ns += 120 * NS_PER_S; /* longer than it waits to try again */
	recorder_serve(recorder, &outcome);
	append(recorder, number++, 1, &outcome);
	recorder_finish(recorder, now_ns + NS_PER_S, &outcome);
	recorder_close(recorder);
	CHECK(outcome_total(&outcome) == number);
	CHECK(check_files() == outcome.delivered);
	now_ns = 0;
	return 0;
}
