/* The recorder: names, what an earlier run left behind, rotating, limits, outages, and recorders
 * that follow each other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder/recorder.h"
#include "recorder/outage.h"
#include "recorder/path.h"
#include "range.h"

/* 2026-11-24T20:33:50Z */
#define SOME_TIME 1795552430
#define SOME_STAMP "20261124T203350Z"

/* ---- A directory for each test ---- */

struct place {
	char directory[64];
	char path[96]; /* news.log in it */
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	if (!place)
		return -1;
	strcpy(place->directory, "/tmp/test_recorder-XXXXXX");
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/news.log", place->directory);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	DIR *directory = opendir(place->directory);
	const struct dirent *item;

	while (directory && (item = readdir(directory)))
		unlinkat(dirfd(directory), item->d_name, 0);
	closedir(directory);
	rmdir(place->directory);
	free(place);
	return 0;
}

static void write_file(const char *path, const char *content, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void write_beside(const struct place *place, const char *name, const char *content)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", place->directory, name);
	write_file(path, content, strlen(content));
}

static void assert_content(const char *path, const char *expected)
{
	char content[512];
	FILE *file = fopen(path, "r");
	size_t size;

	assert_non_null(file);
	size = fread(content, 1, sizeof(content) - 1, file);
	content[size] = '\0';
	fclose(file);
	assert_string_equal(content, expected);
}

/* The names in the directory that contain a word. The last one found is copied to ret_path. */
static unsigned count_files(const struct place *place, const char *word, char ret_path[512])
{
	DIR *directory = opendir(place->directory);
	const struct dirent *item;
	unsigned count = 0;

	assert_non_null(directory);
	while ((item = readdir(directory))) {
		if (item->d_name[0] == '.' || !strstr(item->d_name, word))
			continue;
		count++;
		if (ret_path)
			snprintf(ret_path, 512, "%s/%s", place->directory, item->d_name);
	}
	closedir(directory);
	return count;
}

static unsigned count_marks(const struct place *place)
{
	DIR *directory = opendir(place->directory);
	const struct dirent *item;
	unsigned count = 0;

	assert_non_null(directory);
	while ((item = readdir(directory)))
		count += *item->d_name == '.' && strstr(item->d_name, ".waits");
	closedir(directory);
	return count;
}

/* ---- Names ---- */

static void assert_rotated_name(const char *path, unsigned number, const char *expected)
{
	struct recorder_path names = {0};
	struct recorder_rotated rotated;
	char name[RECORDER_PATH_MAX];

	assert_int_equal(recorder_path_init(&names, path), 0);
	recorder_path_rotated(&names, SOME_TIME, number, name);
	assert_string_equal(name, expected);
	assert_true(recorder_path_is_rotated(&names, strrchr(name, '/') + 1, &rotated));
	assert_int_equal(rotated.when, SOME_TIME);
	assert_int_equal(rotated.number, number);
	recorder_path_clear(&names);
}

static void rotated_names_have_the_time_before_the_extension(void **state)
{
	(void)state;
	assert_rotated_name("/var/log/news.ndjson", 0, "/var/log/news." SOME_STAMP ".ndjson");
	assert_rotated_name("/var/log/news.ndjson", 7, "/var/log/news." SOME_STAMP "_007.ndjson");
	assert_rotated_name("/news", 0, "/news." SOME_STAMP);
	assert_rotated_name("/news", 999, "/news." SOME_STAMP "_999");
	assert_rotated_name("/a.b/news", 0, "/a.b/news." SOME_STAMP);
	assert_rotated_name("/var/.hidden", 0, "/var/.hidden." SOME_STAMP);
	assert_rotated_name("/var/news.tar.gz", 0, "/var/news.tar." SOME_STAMP ".gz");
	assert_rotated_name("/var/news.", 0, "/var/news.." SOME_STAMP);
	assert_rotated_name("/var/news.1", 0, "/var/news.1." SOME_STAMP);
}

static void only_exact_names_are_rotated_files(void **state)
{
	static const char *const others[] = {"news.ndjson", "news.ndjson." SOME_STAMP,
		"news." SOME_STAMP, "news." SOME_STAMP ".ndjson.gz", "news." SOME_STAMP ".0.ndjson",
		"news." SOME_STAMP ".01.ndjson", "news." SOME_STAMP ".1000.ndjson",
		"news." SOME_STAMP "..ndjson", "news." SOME_STAMP ".1",
		"news." SOME_STAMP "_000.ndjson", "news." SOME_STAMP "_1.ndjson",
		"news." SOME_STAMP "_0001.ndjson", "news." SOME_STAMP "_.ndjson",
		"news.20261124T20335Z.ndjson", "news.20261124t203350Z.ndjson",
		"news.20261124T203350.ndjson", "news.x0261124T203350Z.ndjson",
		"old-news." SOME_STAMP ".ndjson", "news2." SOME_STAMP ".ndjson", "news.", "news",
		"", "news.ndjson." SOME_STAMP ".aside"};
	struct recorder_path names = {0};
	struct recorder_rotated rotated;

	(void)state;
	assert_int_equal(recorder_path_init(&names, "/var/log/news.ndjson"), 0);
	assert_true(recorder_path_is_rotated(&names, "news." SOME_STAMP ".ndjson", &rotated));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(recorder_path_is_rotated(&names, others[i], &rotated));
	recorder_path_clear(&names);
}

static void only_names_with_a_real_date_and_time_are_rotated_files(void **state)
{
	static const char *const others[] = {"20261124T422157Z", "20261124T246060Z",
		"20261124T205960Z", "20261324T000000Z", "20260024T000000Z", "20260230T000000Z",
		"20261100T000000Z", "20250229T000000Z"};
	struct recorder_path names = {0};
	struct recorder_rotated rotated;
	char name[64];

	(void)state;
	assert_int_equal(recorder_path_init(&names, "/var/log/news.ndjson"), 0);
	assert_true(recorder_path_is_rotated(&names, "news.20240229T235959Z.ndjson", &rotated));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		for (unsigned numbered = 0; numbered < 2; numbered++) {
			snprintf(name, sizeof(name), "news.%s%s.ndjson", others[i],
				numbered ? ".1" : "");
			assert_false(recorder_path_is_rotated(&names, name, &rotated));
		}
	recorder_path_clear(&names);
}

static void names_of_what_programs_make_have_one_suffix_that_is_known(void **state)
{
	static const char *const others[] = {"news." SOME_STAMP ".ndjson", "news.ndjson.gz",
		"news." SOME_STAMP ".ndjson.txt", "news." SOME_STAMP ".ndjson.gz.gz", ".gz",
		"news." SOME_STAMP ".ndjson.", "news." SOME_STAMP ".gz", "old." SOME_STAMP ".gz"};
	struct recorder_path names = {0};
	struct recorder_rotated rotated;

	(void)state;
	assert_int_equal(recorder_path_init(&names, "/var/log/news.ndjson"), 0);
	assert_true(
		recorder_path_is_processed(&names, "news." SOME_STAMP "_003.ndjson.zst", &rotated));
	assert_int_equal(rotated.when, SOME_TIME);
	assert_int_equal(rotated.number, 3);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(recorder_path_is_processed(&names, others[i], &rotated));
	recorder_path_clear(&names);
}

static void a_mark_tells_its_file(void **state)
{
	static const char *const paths[] = {"/var/news.ndjson", "/news", "/var/.news"};
	char mark[RECORDER_PATH_MAX], file[NAME_MAX + 1], expected[RECORDER_PATH_MAX];
	struct recorder_path names = {0};
	struct recorder_rotated rotated;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(recorder_path_init(&names, paths[i]), 0);
		recorder_path_mark(&names, SOME_TIME, 7, mark);
		recorder_path_rotated(&names, SOME_TIME, 7, expected);
		assert_true(recorder_path_is_mark(&names, strrchr(mark, '/') + 1, &rotated, file));
		assert_int_equal(rotated.number, 7);
		assert_string_equal(file, strrchr(expected, '/') + 1);
		assert_false(recorder_path_is_rotated(&names, strrchr(mark, '/') + 1, &rotated));
		assert_false(recorder_path_is_mark(&names, file, &rotated, file));
		recorder_path_clear(&names);
	}
}

/* As ls(1) in the C locale, and the shell's glob, sort them. */
static void names_of_one_second_sort_in_the_order_of_their_numbers(void **state)
{
	static const char *const paths[] = {"/d/news.ndjson", "/d/news"};
	char earlier[RECORDER_PATH_MAX], later[RECORDER_PATH_MAX];
	struct recorder_path names;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(recorder_path_init(&names, paths[i]), 0);
		recorder_path_rotated(&names, SOME_TIME, 0, earlier);
		for (unsigned number = 1; number <= RECORDER_NUMBER_MAX; number++) {
			recorder_path_rotated(&names, SOME_TIME, number, later);
			assert_true(strcmp(earlier, later) < 0);
			strcpy(earlier, later);
		}
		recorder_path_rotated(&names, SOME_TIME + 1, 0, later);
		assert_true(strcmp(earlier, later) < 0);
		recorder_path_clear(&names);
	}
}

static void names_of_earlier_versions_are_rotated_files(void **state)
{
	struct recorder_path names = {0};
	struct recorder_rotated rotated;

	(void)state;
	assert_int_equal(recorder_path_init(&names, "/var/log/news.ndjson"), 0);
	assert_true(recorder_path_is_rotated(&names, "news." SOME_STAMP ".10.ndjson", &rotated));
	assert_int_equal(rotated.when, SOME_TIME);
	assert_int_equal(rotated.number, 10);
	recorder_path_clear(&names);
}

static void no_name_is_a_rotated_file_of_two_paths(void **state)
{
	static const char *const paths[] = {"/d/news", "/d/news.1", "/d/news.log", "/d/news.1.log",
		"/d/news.log.1", "/d/.news", "/d/news."};
	char name[RECORDER_PATH_MAX];
	struct recorder_path names;
	struct recorder_rotated rotated;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (unsigned number = 0; number < 3; number++) {
			unsigned owners = 0;

			assert_int_equal(recorder_path_init(&names, paths[i]), 0);
			recorder_path_rotated(&names, SOME_TIME, number, name);
			recorder_path_clear(&names);
			for (size_t j = 0; j < ARRAY_SIZE(paths); j++) {
				assert_int_equal(recorder_path_init(&names, paths[j]), 0);
				owners += recorder_path_is_rotated(
					&names, strrchr(name, '/') + 1, &rotated);
				recorder_path_clear(&names);
			}
			assert_int_equal(owners, 1);
		}
}

static void names_that_leave_no_room_are_refused(void **state)
{
	char path[300] = "/";
	struct recorder_path names = {0};

	(void)state;
	memset(path + 1, 'n', 255 - RECORDER_ADDED_MAX);
	assert_int_equal(recorder_path_init(&names, path), 0);
	recorder_path_clear(&names);
	strcat(path, "n");
	assert_int_equal(recorder_path_init(&names, path), -ENAMETOOLONG);
}

static void rotated_files_are_ordered_by_time_and_number(void **state)
{
	struct recorder_rotated a = {SOME_TIME, 2}, b = {SOME_TIME, 10}, c = {SOME_TIME + 1, 0};

	(void)state;
	assert_true(recorder_rotated_compare(&a, &b) < 0);
	assert_true(recorder_rotated_compare(&c, &b) > 0);
	assert_int_equal(recorder_rotated_compare(&a, &a), 0);
}

/* ---- Outages ---- */

static void pauses_double_up_to_five_seconds(void **state)
{
	struct recorder_outage outage = {0};
	uint64_t now = 1000 * NS_PER_S, expected = 100 * NS_PER_MS;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(recorder_outage_fail(&outage, now, "full"), i == 0);
		assert_int_equal(outage.retry_ns - now, expected);
		assert_true(recorder_outage_holds(&outage, outage.retry_ns - 1));
		assert_false(recorder_outage_holds(&outage, outage.retry_ns));
		now = outage.retry_ns;
		expected = 2 * expected > 5 * NS_PER_S ? 5 * NS_PER_S : 2 * expected;
	}
	assert_true(recorder_outage_end(&outage, now));
	assert_false(recorder_outage_end(&outage, now));
}

static void pauses_start_again_only_after_a_while_of_health(void **state)
{
	struct recorder_outage outage = {0};

	(void)state;
	recorder_outage_fail(&outage, NS_PER_S, "full");
	recorder_outage_end(&outage, 2 * NS_PER_S);
	assert_true(recorder_outage_fail(&outage, 3 * NS_PER_S, "full"));
	assert_int_equal(outage.pause_ns, 200 * NS_PER_MS);
	recorder_outage_end(&outage, 4 * NS_PER_S);
	assert_true(recorder_outage_fail(&outage, 10 * NS_PER_S, "full"));
	assert_int_equal(outage.pause_ns, 100 * NS_PER_MS);
}

/* ---- Tails ---- */

static bool is_numbered(const char *data, size_t size)
{
	return size && *data >= '0' && *data <= '9' && !memchr(data, '\0', size);
}

static int measure(int fd, uint64_t size, uint64_t *ret_whole)
{
	return recorder_measure_lines(fd, size, is_numbered, ret_whole);
}

/* Repairs a file of that content. Returns what recorder_file_repair() does, and the size that it
 * has then. */
static int repair(const struct place *place, const char *content, size_t size, uint64_t *ret_size)
{
	struct recorder_path path = {0};
	struct recorder_file file = {.path = &path, .fd = -1};
	char why[WHY_MAX];
	struct stat status;
	uint64_t cut = 0;
	int r;

	write_file(place->path, content, size);
	assert_int_equal(recorder_path_init(&path, place->path), 0);
	assert_int_equal(recorder_file_acquire(&file, why), 0);
	r = recorder_file_repair(&file, measure, &cut);
	assert_int_equal(fstat(file.fd, &status), 0);
	recorder_file_close(&file);
	recorder_path_clear(&path);
	*ret_size = (uint64_t)status.st_size;
	assert_int_equal(*ret_size + cut, size);
	return r;
}

/* A file whose end could not be cut off: of all that it has, whole bytes are good. */
static void open_torn(const struct place *place, const char *content, uint64_t whole,
	struct recorder_path *path, struct recorder_file *file)
{
	char why[WHY_MAX];

	*file = (struct recorder_file){.path = path, .fd = -1};
	write_file(place->path, content, strlen(content));
	assert_int_equal(recorder_path_init(path, place->path), 0);
	assert_int_equal(recorder_file_acquire(file, why), 0);
	file->torn = true;
	file->whole = whole;
}

static void append_record(struct recorder_file *file, const char *record)
{
	uint32_t ends[] = {(uint32_t)strlen(record)};
	unsigned written;

	assert_int_equal(recorder_file_prepare(file), 0);
	assert_int_equal(recorder_file_append(file, record, ends[0], ends, 1, false, &written), 0);
	assert_int_equal(written, 1);
}

/* Of the write that failed nothing was in the file. */
static void what_is_written_after_a_failure_is_not_cut_off(void **state)
{
	struct recorder_path path;
	struct recorder_file file;

	open_torn(*state, "1\n", 2, &path, &file);
	append_record(&file, "2\n");
	append_record(&file, "3\n");
	recorder_file_close(&file);
	assert_content(path.path, "1\n2\n3\n");
	recorder_path_clear(&path);
}

static void half_a_record_is_cut_off_before_a_file_is_renamed(void **state)
{
	char to[RECORDER_PATH_MAX], why[WHY_MAX];
	struct recorder_path path;
	struct recorder_file file;

	open_torn(*state, "1\n2", 2, &path, &file);
	assert_int_equal(recorder_file_move(&file, &(struct recorder_new_name){0}, to, why), 0);
	recorder_file_close(&file);
	assert_content(to, "1\n");
	recorder_path_clear(&path);
}

static void half_a_record_is_cut_off_before_a_file_is_left(void **state)
{
	struct recorder_path path;
	struct recorder_file file;

	open_torn(*state, "1\n2", 2, &path, &file);
	recorder_file_close(&file);
	assert_content(path.path, "1\n");
	recorder_path_clear(&path);
}

static void half_a_record_is_cut_off(void **state)
{
	uint64_t size;

	assert_int_equal(repair(*state, "1 a\n2 b\n3 c", 11, &size), 0);
	assert_int_equal(size, 8);
	assert_int_equal(repair(*state, "1 a\n2 b\n", 8, &size), 0);
	assert_int_equal(size, 8);
	assert_int_equal(repair(*state, "1 a", 3, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(repair(*state, "1 a\n\0\0\0\0", 8, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(repair(*state, "", 0, &size), 0);
}

static void half_a_record_with_zeros_behind_is_cut_off(void **state)
{
	uint64_t size;

	assert_int_equal(repair(*state, "1 a\n2\0\0\0\0\0", 10, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(repair(*state, "1\0\0\0\0", 5, &size), 0);
	assert_int_equal(size, 0);
}

static void zeros_with_something_behind_are_not_cut_off(void **state)
{
	uint64_t size;

	assert_int_equal(repair(*state, "1 a\n\0\0\0\0my notes", 16, &size), -EBADMSG);
	assert_int_equal(repair(*state, "1\0\0\0\0my notes", 13, &size), -EBADMSG);
}

static void what_is_not_ours_is_not_cut(void **state)
{
	uint64_t size;

	assert_int_equal(repair(*state, "my notes", 8, &size), -EBADMSG);
	assert_int_equal(repair(*state, "my notes\n1", 10, &size), -EBADMSG);
	assert_int_equal(repair(*state, "1 a\nmy notes", 12, &size), -EBADMSG);
	assert_int_equal(repair(*state, "\0\0\0\0", 4, &size), -EBADMSG);
}

static void long_tails_are_found_but_not_endless_ones(void **state)
{
	size_t length = RECORDER_TAIL_MAX - 1;
	char *content = malloc(length + 5);
	uint64_t size;

	assert_non_null(content);
	memset(content, '5', length + 5);
	memcpy(content, "1 a\n", 4);
	assert_int_equal(repair(*state, content, length + 4, &size), 0);
	assert_int_equal(size, 4);
	assert_int_equal(repair(*state, content, length + 5, &size), -EBADMSG);
	free(content);
}

/* ---- Recorders ---- */

static const struct recorder_format lines = {.measure = measure};

static void *open_recorder(
	const struct recorder_settings *settings, const struct recorder_format *format)
{
	char why[WHY_MAX] = "";
	void *recorder = NULL;
	int r = recorder_open(settings, format, NULL, "test", 0, why, &recorder);

	if (r < 0)
		print_message("%s\n", why);
	assert_int_equal(r, 0);
	return recorder;
}

static void *start(const struct place *place, struct recorder_settings settings)
{
	settings.path = (char *)place->path;
	if (!settings.flush)
		settings.flush = 100 * NS_PER_MS;
	return open_recorder(&settings, &lines);
}

/* A datagram that came at this time. */
static void record_at(
	void *recorder, struct outcome *outcome, uint64_t timestamp_ns, const char *string)
{
	struct text *text = recorder_begin(recorder, timestamp_ns, outcome);

	if (!text)
		return;
	text_append_string(text, string);
	recorder_commit(recorder, outcome);
}

static void record(void *recorder, struct outcome *outcome, const char *string)
{
	record_at(recorder, outcome, clock_ns(CLOCK_REALTIME), string);
}

/* Records and writes, as after the time of flush. */
static void record_now(void *recorder, struct outcome *outcome, const char *string)
{
	record(recorder, outcome, string);
	if (!recorder_deadline(recorder))
		return;
	while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(recorder))
		usleep(1000);
	recorder_serve(recorder, outcome);
}

static void end(void *recorder, struct outcome *outcome)
{
	recorder_finish(recorder, 0, outcome);
	recorder_close(recorder);
}

static void records_are_delivered_when_they_are_written(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){0});
	struct outcome outcome = {0};

	record(recorder, &outcome, "1 a\n");
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(outcome_total(&outcome), 0);
	assert_content(place->path, "");
	record_now(recorder, &outcome, "3 c\n");
	assert_int_equal(outcome.delivered, 3);
	assert_content(place->path, "1 a\n2 b\n3 c\n");
	record(recorder, &outcome, "4 d\n");
	end(recorder, &outcome);
	assert_int_equal(outcome.delivered, 4);
	assert_content(place->path, "1 a\n2 b\n3 c\n4 d\n");
}

static void a_full_buffer_is_written_at_once(void **state)
{
	void *recorder = start(*state, (struct recorder_settings){.flush = 3600 * NS_PER_S});
	struct outcome outcome = {0};
	char line[1025];

	memset(line, '7', 1023);
	strcpy(line + 1023, "\n");
	for (unsigned i = 0; i < 255; i++)
		record(recorder, &outcome, line);
	assert_int_equal(outcome.delivered, 0);
	record(recorder, &outcome, line);
	assert_int_equal(outcome.delivered, 256);
	end(recorder, &outcome);
}

static void many_empty_records_are_written_too(void **state)
{
	void *recorder = start(*state, (struct recorder_settings){0});
	struct outcome outcome = {0};

	for (unsigned i = 0; i < 20000; i++)
		record(recorder, &outcome, "");
	assert_true(outcome.delivered > 10000);
	end(recorder, &outcome);
	assert_int_equal(outcome.delivered, 20000);
}

static void a_recorder_that_got_nothing_leaves_the_file_alone(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};

	write_file(place->path, "1 a\n2", 5);
	end(start(place, (struct recorder_settings){0}), &outcome);
	assert_content(place->path, "1 a\n2");
}

static void a_torn_file_is_repaired_before_anything_comes(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder;

	write_file(place->path, "1 a\n2", 5);
	recorder = start(place, (struct recorder_settings){0});
	recorder_start(recorder);
	assert_content(place->path, "1 a\n");
	assert_int_equal(recorder_deadline(recorder), 0);
	record_now(recorder, &outcome, "3 c\n");
	assert_content(place->path, "1 a\n3 c\n");
	end(recorder, &outcome);
}

static void a_file_of_something_else_is_set_aside(void **state)
{
	const struct place *place = *state;
	void *recorder;
	struct outcome outcome = {0};
	char path[512];

	write_file(place->path, "notes", 5);
	recorder = start(place, (struct recorder_settings){0});
	record_now(recorder, &outcome, "1 a\n");
	assert_content(place->path, "1 a\n");
	assert_int_equal(count_files(place, ".aside", path), 1);
	assert_content(path, "notes");
	end(recorder, &outcome);
}

static void files_are_rotated_by_size_and_on_request(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_size = 8});
	struct outcome outcome = {0};

	record(recorder, &outcome, "1 a\n");
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(outcome.delivered, 2);
	assert_int_equal(count_files(place, "Z.log", NULL), 1);
	assert_content(place->path, "");
	record(recorder, &outcome, "3 c\n");
	recorder_rotate(recorder, &outcome);
	assert_int_equal(outcome.delivered, 3);
	assert_int_equal(count_files(place, "news.", NULL), 3);
	recorder_rotate(recorder, &outcome);
	assert_int_equal(count_files(place, "news.", NULL), 3);
	end(recorder, &outcome);
}

static void files_are_rotated_by_time(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_every = NS_PER_S});
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	while (!count_files(place, "Z.log", NULL) && clock_ns(CLOCK_MONOTONIC) < until) {
		assert_int_not_equal(recorder_deadline(recorder), 0);
		usleep(10000);
		if (clock_ns(CLOCK_MONOTONIC) >= recorder_deadline(recorder))
			recorder_serve(recorder, &outcome);
	}
	assert_int_equal(count_files(place, "Z.log", NULL), 1);
	assert_content(place->path, "");
	end(recorder, &outcome);
}

static void a_file_that_was_truncated_is_rotated_by_time(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place,
		(struct recorder_settings){.rotate_every = NS_PER_S, .flush = 50 * NS_PER_MS});
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(truncate(place->path, 0), 0);
	while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(recorder))
		usleep(1000);
	recorder_serve(recorder, &outcome);
	assert_int_equal(outcome.delivered, 2);
	while (!count_files(place, "Z.log", NULL) && clock_ns(CLOCK_MONOTONIC) < until) {
		usleep(10000);
		recorder_serve(recorder, &outcome);
	}
	assert_int_equal(count_files(place, "Z.log", NULL), 1);
	end(recorder, &outcome);
}

static void nothing_is_due_for_a_file_that_could_not_be_written(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place,
		(struct recorder_settings){.keep_free = 1ull << 60, .rotate_every = NS_PER_S});
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	for (unsigned i = 0; i < 100 && recorder_deadline(recorder); i++) {
		while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(recorder))
			usleep(1000);
		recorder_serve(recorder, &outcome);
	}
	assert_int_equal(recorder_deadline(recorder), 0);
	end(recorder, &outcome);
}

static void a_file_from_the_future_is_rotated_by_time(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_every = NS_PER_S});
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 8 * NS_PER_S;
	struct outcome outcome = {0};

	record_at(recorder, &outcome, clock_ns(CLOCK_REALTIME) + 3600 * NS_PER_S, "1 a\n");
	while (!count_files(place, "Z.log", NULL) && clock_ns(CLOCK_MONOTONIC) < until) {
		usleep(10000);
		if (clock_ns(CLOCK_MONOTONIC) >= recorder_deadline(recorder))
			recorder_serve(recorder, &outcome);
	}
	assert_int_equal(count_files(place, "Z.log", NULL), 1);
	end(recorder, &outcome);
}

/* The multiple of rotate_every itself: "...T000000Z" for what is rotated at midnight. */
static void a_file_is_named_after_the_time_at_which_it_is_rotated(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_every = NS_PER_S});
	struct recorder_path names = {0};
	struct recorder_rotated rotated;
	struct outcome outcome = {0};
	char path[512];
	time_t due = 0;

	record(recorder, &outcome, "1 a\n");
	do {
		while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(recorder))
			;
		due = (time_t)(clock_ns(CLOCK_REALTIME) / NS_PER_S);
		recorder_serve(recorder, &outcome);
	} while (!count_files(place, "Z.log", path));
	assert_int_equal(recorder_path_init(&names, place->path), 0);
	assert_true(recorder_path_is_rotated(&names, strrchr(path, '/') + 1, &rotated));
	assert_in_range(rotated.when, due - 1, due + 1);
	recorder_path_clear(&names);
	end(recorder, &outcome);
}

static void old_files_are_rotated_at_the_start(void **state)
{
	const struct place *place = *state;
	struct timespec times[2] = {
		{.tv_sec = SOME_TIME - 1000000000}, {.tv_sec = SOME_TIME - 1000000000}};
	void *recorder;
	struct outcome outcome = {0};

	write_file(place->path, "1 a\n", 4);
	assert_int_equal(utimensat(AT_FDCWD, place->path, times, 0), 0);
	recorder = start(place, (struct recorder_settings){.rotate_every = 3600 * NS_PER_S});
	record_now(recorder, &outcome, "2 b\n");
	assert_int_equal(count_files(place, "Z.log", NULL), 1);
	assert_content(place->path, "2 b\n");
	end(recorder, &outcome);
}

static void only_our_own_oldest_files_are_removed(void **state)
{
	const struct place *place = *state;
	void *recorder;
	struct outcome outcome = {0};

	write_beside(place, "news.20200101T000000Z.log", "1 oldest\n");
	write_beside(place, "news.20200101T000000Z.1.log", "2\n");
	write_beside(place, "news.20210101T000000Z.log", "3\n");
	write_beside(place, "news.20200101T000000Z.log.gz", "not ours\n");
	write_beside(place, "other.20200101T000000Z.log", "not ours\n");
	write_beside(place, "news.log.20200101T000000Z.aside", "not ours\n");
	recorder = start(place, (struct recorder_settings){.rotate_size = 4, .keep = 2});
	record(recorder, &outcome, "4 a\n");
	assert_int_equal(count_files(place, "news.2020", NULL), 1); /* the compressed one */
	assert_int_equal(count_files(place, "news.2021", NULL), 1);
	assert_int_equal(count_files(place, "other.", NULL), 1);
	assert_int_equal(count_files(place, ".aside", NULL), 1);
	record(recorder, &outcome, "5 b\n");
	assert_int_equal(count_files(place, "news.2021", NULL), 0);
	assert_int_equal(count_files(place, "news.", NULL), 5);
	end(recorder, &outcome);
}

/* Names that became free are not given again, and the clock may have been set back since the last
 * run. */
static void later_names_sort_after_earlier_ones(void **state)
{
	const struct place *place = *state;
	char name[512], stamp[32];
	time_t ahead = time(NULL) + 1000;
	void *recorder;
	struct outcome outcome = {0};
	struct tm utc;

	gmtime_r(&ahead, &utc);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
	snprintf(name, sizeof(name), "news.%s.998.log", stamp);
	write_beside(place, name, "1 a\n");
	recorder = start(place, (struct recorder_settings){.rotate_size = 4, .keep = 1});
	record(recorder, &outcome, "2 b\n");
	snprintf(name, sizeof(name), "news.%s_999.log", stamp);
	assert_int_equal(count_files(place, name, NULL), 1);
	record(recorder, &outcome, "3 c\n");
	assert_int_equal(count_files(place, "Z.log", name), 1);
	assert_content(name, "3 c\n");
	for (unsigned i = 0; i < 10; i++)
		record(recorder, &outcome, "4 d\n");
	record(recorder, &outcome, "5 e\n");
	assert_int_equal(count_files(place, "Z", name), 1);
	assert_content(name, "5 e\n");
	end(recorder, &outcome);
}

/* Writes a rotated file whose name lies so far ahead. Returns the beginning of its name. */
static const char *write_ahead(
	const struct place *place, time_t seconds, const char *suffix, char ret[static 64])
{
	time_t ahead = time(NULL) + seconds;
	struct tm utc;
	char name[128];

	gmtime_r(&ahead, &utc);
	strftime(ret, 64, "news.%Y%m%dT%H%M%SZ", &utc);
	snprintf(name, sizeof(name), "%s%s", ret, suffix);
	write_beside(place, name, "1 ahead\n");
	return ret;
}

/* The only file that keep = 1 leaves is the one that was rotated last. */
static void assert_kept(void *recorder, const struct place *place, const char *after)
{
	struct outcome outcome = {0};
	char path[512], number[128];

	snprintf(number, sizeof(number), "%s_001.log", after);
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(outcome.delivered, 1);
	assert_int_equal(count_files(place, "Z", NULL), 1);
	assert_int_equal(count_files(place, number, path), 1);
	assert_content(path, "2 b\n");
}

static void a_new_file_is_kept_however_far_ahead_the_last_name_lies(void **state)
{
	static const time_t distances[] = {60, 13 * 3600, 30 * 86400, 100ll * 366 * 86400};
	const struct recorder_settings settings = {.rotate_size = 4, .keep = 1};
	const struct place *place = *state;
	struct outcome outcome = {0};
	char ahead[64];

	for (size_t i = 0; i < ARRAY_SIZE(distances); i++) {
		void *recorder;

		write_ahead(place, distances[i], ".log", ahead);
		recorder = start(place, settings);
		recorder_start(recorder);
		assert_kept(recorder, place, ahead);
		end(recorder, &outcome);
	}
}

static void a_new_file_is_kept_when_later_names_come_while_it_is_written(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_size = 4, .keep = 1});
	struct outcome outcome = {0};
	char ahead[64];

	recorder_start(recorder);
	write_ahead(place, 30 * 86400, ".log", ahead);
	assert_kept(recorder, place, ahead);
	end(recorder, &outcome);
}

static void names_sort_after_those_of_compressed_files_without_after_rotate(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_size = 4});
	struct outcome outcome = {0};
	char ahead[64], name[128];

	snprintf(name, sizeof(name), "%s_001.log", write_ahead(place, 1000, ".log.zst", ahead));
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(count_files(place, name, NULL), 1);
	end(recorder, &outcome);
}

/* Nothing could be named after it. */
static void names_of_the_last_year_are_no_rotated_files(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.rotate_size = 4, .keep = 1});
	struct outcome outcome = {0};

	write_beside(place, "news.99991231T235959Z.log", "not ours\n");
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(count_files(place, "Z.log", NULL), 2);
	record(recorder, &outcome, "3 c\n");
	assert_int_equal(count_files(place, "Z", NULL), 2);
	assert_int_equal(count_files(place, "news.9999", NULL), 1);
	end(recorder, &outcome);
}

static void the_quota_takes_the_oldest_files_first_and_then_drops(void **state)
{
	const struct place *place = *state;
	void *recorder;
	struct outcome outcome = {0};

	write_beside(place, "news.20200101T000000Z.log", "1 12345678901234567\n");
	write_beside(place, "news.20210101T000000Z.log", "2 1234567\n");
	recorder = start(place, (struct recorder_settings){.quota = 32});
	record_now(recorder, &outcome, "3 3\n");
	assert_int_equal(count_files(place, "news.2020", NULL), 0);
	assert_int_equal(count_files(place, "news.2021", NULL), 1);
	record_now(recorder, &outcome, "4 123456789012345678901234\n");
	assert_int_equal(count_files(place, "news.2021", NULL), 0);
	assert_int_equal(outcome.delivered, 2);
	record_now(recorder, &outcome, "5 5\n");
	assert_int_equal(outcome.delivered, 2);
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	assert_content(place->path, "3 3\n4 123456789012345678901234\n");
	end(recorder, &outcome);
}

static void nothing_is_written_below_the_floor_of_free_space(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){.keep_free = 1ull << 60});
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	record_now(recorder, &outcome, "2 b\n");
	assert_int_equal(outcome.dropped[DROP_IO], 2);
	assert_content(place->path, "");
	end(recorder, &outcome);
}

/* The limit on the size of files makes write(2) short, and then fail, as a full disk does. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_short_write_leaves_whole_records_only(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){0});
	struct outcome outcome = {0};

	limit_files(10);
	record(recorder, &outcome, "1 a\n");
	record(recorder, &outcome, "2 b\n");
	record(recorder, &outcome, "3 c\n");
	record_now(recorder, &outcome, "4 d\n");
	assert_content(place->path, "1 a\n2 b\n");
	assert_int_equal(outcome.delivered, 2);
	assert_int_equal(outcome.dropped[DROP_IO], 2);
	record(recorder, &outcome, "5 too early\n");
	assert_int_equal(outcome.dropped[DROP_IO], 3);
	limit_files(RLIM_INFINITY);
	usleep(110000);
	record(recorder, &outcome, "6 f\n"); /* after an outage, at once */
	assert_int_equal(outcome.delivered, 3);
	assert_content(place->path, "1 a\n2 b\n6 f\n");
	end(recorder, &outcome);
}

static void a_file_that_was_moved_away_is_begun_anew(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){0});
	struct outcome outcome = {0};
	char elsewhere[160];

	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", place->directory);
	record_now(recorder, &outcome, "1 a\n");
	assert_int_equal(rename(place->path, elsewhere), 0);
	record_now(recorder, &outcome, "2 b\n");
	assert_content(elsewhere, "1 a\n");
	assert_content(place->path, "2 b\n");
	assert_int_equal(unlink(place->path), 0);
	record_now(recorder, &outcome, "3 c\n");
	assert_content(place->path, "3 c\n");
	assert_int_equal(outcome.delivered, 3);
	end(recorder, &outcome);
}

static void a_file_that_was_emptied_goes_on(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){0});
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	assert_int_equal(truncate(place->path, 0), 0);
	record_now(recorder, &outcome, "2 b\n");
	assert_content(place->path, "2 b\n");
	end(recorder, &outcome);
}

static void append_elsewhere(const struct place *place, const char *string)
{
	FILE *file = fopen(place->path, "a");

	assert_non_null(file);
	fputs(string, file);
	assert_int_equal(fclose(file), 0);
}

static void a_record_is_not_glued_to_what_another_program_appends(void **state)
{
	const struct place *place = *state;
	void *recorder = start(place, (struct recorder_settings){0});
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	append_elsewhere(place, "part");
	record_now(recorder, &outcome, "2 b\n");
	append_elsewhere(place, "line\n");
	record_now(recorder, &outcome, "3 c\n");
	record(recorder, &outcome, "4 d\n");
	append_elsewhere(place, "meanwhile");
	end(recorder, &outcome);
	assert_content(place->path, "1 a\npart\n2 b\nline\n3 c\nmeanwhile\n4 d\n");
	assert_int_equal(outcome.delivered, 4);
}

static int try_open(const char *path, char why[static WHY_MAX])
{
	struct recorder_settings settings = {.path = (char *)path};
	void *recorder = NULL;
	int r = recorder_open(&settings, &lines, NULL, "test", 0, why, &recorder);

	recorder_close(recorder);
	return r;
}

/* Has another process lock a file until *ret_release is closed. */
static pid_t lock_elsewhere(const char *path, int *ret_release)
{
	int locked[2], release[2], fd;
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(locked), 0);
	assert_int_equal(pipe(release), 0);
	pid = fork();
	if (!pid) {
		close(release[1]);
		fd = open(path, O_RDWR | O_CREAT, 0600);
		if (flock(fd, LOCK_EX) < 0 || write(locked[1], "", 1) != 1)
			_exit(1);
		_exit(read(release[0], &byte, 1) != 0);
	}
	close(locked[1]);
	close(release[0]);
	assert_int_equal(read(locked[0], &byte, 1), 1);
	close(locked[0]);
	*ret_release = release[1];
	return pid;
}

static void files_of_other_programs_are_refused(void **state)
{
	const struct place *place = *state;
	char why[WHY_MAX], link_path[160];
	int release = 0;
	pid_t program = lock_elsewhere(place->path, &release);

	assert_int_equal(try_open(place->path, why), -EBUSY);
	assert_non_null(strstr(why, "another program writes to it"));
	close(release);
	assert_int_equal(waitpid(program, NULL, 0), program);
	assert_int_equal(try_open(place->path, why), 0);
	snprintf(link_path, sizeof(link_path), "%s/link", place->directory);
	assert_int_equal(symlink(place->path, link_path), 0);
	assert_int_equal(try_open(link_path, why), -ELOOP);
	assert_non_null(strstr(why, "symbolic links are not followed"));
	assert_int_equal(try_open(place->directory, why), -EISDIR);
	unlink(link_path);
	assert_int_equal(mkfifo(link_path, 0600), 0);
	assert_int_equal(try_open(link_path, why), -ENXIO);
	assert_int_equal(try_open("/nonexistent/file", why), -ENOENT);
}

static void a_new_recorder_waits_for_the_old_one_to_go(void **state)
{
	const struct place *place = *state;
	void *old = start(place, (struct recorder_settings){0}), *new;
	struct outcome outcome = {0};

	record(old, &outcome, "1 a\n");
	new = start(place, (struct recorder_settings){0});
	end(old, &outcome);
	record_now(new, &outcome, "2 b\n");
	assert_content(place->path, "1 a\n2 b\n");
	assert_int_equal(count_files(place, "news.", NULL), 1);
	end(new, &outcome);
}

static void two_recorders_never_write_to_one_file(void **state)
{
	const struct place *place = *state;
	void *old = start(place, (struct recorder_settings){.rotate_size = 8}), *new;
	struct outcome outcome = {0};
	char rotated[512];

	record(old, &outcome, "1 a\n");
	new = start(place, (struct recorder_settings){.keep = 1});
	recorder_start(new);
	record_now(new, &outcome, "2 b\n");
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	record(old, &outcome, "3 c\n"); /* it has its size now */
	assert_int_equal(count_files(place, "Z.log", rotated), 1);
	assert_content(rotated, "1 a\n3 c\n");
	record_now(old, &outcome, "4 d\n");
	assert_content(place->path, "4 d\n");
	end(old, &outcome);
	usleep(110000);
	record_now(new, &outcome, "5 e\n");
	assert_content(place->path, "4 d\n5 e\n");
	assert_int_equal(outcome.delivered, 4);
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	assert_int_equal(count_files(place, "news.", NULL), 2);
	end(new, &outcome);
}

static void a_recorder_that_is_only_tried_does_not_disturb(void **state)
{
	const struct place *place = *state;
	void *running = start(place, (struct recorder_settings){0}), *tried;
	struct outcome outcome = {0};

	record_now(running, &outcome, "1 a\n");
	tried = start(place, (struct recorder_settings){.rotate_size = 4});
	end(tried, &outcome);
	record_now(running, &outcome, "2 b\n");
	assert_content(place->path, "1 a\n2 b\n");
	assert_int_equal(count_files(place, "news.", NULL), 1);
	end(running, &outcome);
}

static void character_devices_are_written_to_and_never_rotated(void **state)
{
	struct recorder_settings settings = {
		.path = (char *)"/dev/full", .rotate_size = 4096, .flush = 1};
	struct outcome outcome = {0};
	void *recorder = open_recorder(&settings, &lines);

	(void)state;
	record_now(recorder, &outcome, "1 a\n");
	assert_int_equal(outcome.dropped[DROP_IO], 1);
	recorder_rotate(recorder, &outcome);
	end(recorder, &outcome);
	settings.path = (char *)"/dev/null";
	recorder = open_recorder(&settings, &lines);
	record_now(recorder, &outcome, "1 a\n");
	recorder_rotate(recorder, &outcome);
	assert_int_equal(outcome.delivered, 1);
	end(recorder, &outcome);
	assert_int_equal(access("/dev/null", W_OK), 0);
}

/* ---- What begins and ends a file ---- */

static void begin_section(void *owner, struct text *text, bool is_first)
{
	(void)owner;
	text_append_string(text, is_first ? "0 first\n" : "0 again\n");
}

static void end_section(void *owner, struct text *text)
{
	(void)owner;
	text_append_string(text, "9 end\n");
}

static void resume_section(
	void *owner, struct text *text, const char *data, size_t size, bool is_first)
{
	(void)owner;
	if (!size || *data != '0')
		text_append_string(text, is_first ? "0 first resumed\n" : "0 resumed\n");
}

static void append_empty(void *owner, struct text *text)
{
	(void)owner;
	text_append_string(text, "0 empty\n");
}

/* Records are the lines from '1' to '8'. */
static int first_record(int fd, uint64_t size, time_t *ret)
{
	char data[512];
	ssize_t n = pread(fd, data, size < sizeof(data) ? size : sizeof(data), 0);

	*ret = 0;
	for (ssize_t i = 0; i < n; i++)
		if ((!i || data[i - 1] == '\n') && data[i] >= '1' && data[i] <= '8')
			return 0;
	return -ENOENT;
}

static const struct recorder_format sections = {.measure = measure,
	.begin = begin_section,
	.resume = resume_section,
	.empty = append_empty,
	.first = first_record,
	.end = end_section};

static void each_file_begins_and_ends_as_its_format_wants(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.path = (char *)place->path, .flush = 1};
	void *recorder = open_recorder(&settings, &sections);
	struct outcome outcome = {0};
	char rotated[512];

	record_now(recorder, &outcome, "1 a\n");
	record_now(recorder, &outcome, "2 b\n");
	recorder_rotate(recorder, &outcome);
	assert_content(place->path, "0 first\n0 empty\n");
	record_now(recorder, &outcome, "3 c\n");
	end(recorder, &outcome);
	assert_int_equal(count_files(place, "Z.log", rotated), 1);
	assert_content(rotated, "0 first\n1 a\n2 b\n9 end\n");
	assert_content(place->path, "0 first\n0 empty\n3 c\n9 end\n");
	recorder = open_recorder(&settings, &sections);
	record_now(recorder, &outcome, "4 d\n");
	end(recorder, &outcome);
	assert_content(place->path, "0 first\n0 empty\n3 c\n9 end\n0 again\n4 d\n9 end\n");
}

static void a_file_without_a_record_is_whole_and_not_rotated(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {
		.path = (char *)place->path, .flush = 1, .rotate_every = NS_PER_S};
	struct outcome outcome = {0};
	struct timespec old[2] = {{.tv_sec = SOME_TIME}, {.tv_sec = SOME_TIME}};
	void *recorder;

	for (unsigned run = 0; run < 3; run++) {
		recorder = open_recorder(&settings, &sections);
		recorder_start(recorder);
		assert_content(place->path, "0 first\n0 empty\n");
		recorder_rotate(recorder, &outcome);
		recorder_serve(recorder, &outcome);
		assert_int_equal(count_files(place, "news.", NULL), 1);
		recorder_close(recorder); /* as after a kill */
		assert_int_equal(utimensat(AT_FDCWD, place->path, old, 0), 0);
	}
	recorder = open_recorder(&settings, &sections);
	recorder_start(recorder);
	record_now(recorder, &outcome, "1 a\n");
	recorder_rotate(recorder, &outcome);
	assert_int_equal(count_files(place, "news.", NULL), 2);
	end(recorder, &outcome);
}

static void a_header_that_does_not_fit_is_written_with_the_first_record(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.path = (char *)place->path, .flush = 1};
	void *recorder = open_recorder(&settings, &sections);
	struct outcome outcome = {0};

	limit_files(9);
	recorder_start(recorder);
	assert_content(place->path, "");
	limit_files(RLIM_INFINITY);
	record_now(recorder, &outcome, "1 a\n");
	assert_content(place->path, "0 first\n1 a\n");
	assert_int_equal(outcome.delivered, 1);
	end(recorder, &outcome);
}

/* ---- Which time is in a name, and how long files stay ---- */

static void rotate_one(void *recorder, struct outcome *outcome, const char *record)
{
	record_now(recorder, outcome, record);
	recorder_rotate(recorder, outcome);
}

/* Records of the first time, one in a second from SOME_TIME on: "3 x" is of the fourth. */
static int first_second(int fd, uint64_t size, time_t *ret)
{
	char data[64];
	ssize_t n = pread(fd, data, size < sizeof(data) ? size : sizeof(data), 0);

	for (ssize_t i = 0; i + 1 < n; i++)
		if (data[i + 1] == ' ' && data[i + 2] == 'x') {
			*ret = SOME_TIME + data[i] - '0';
			return 0;
		}
	return -ENOENT;
}

static void files_are_named_by_their_first_record_when_wanted(void **state)
{
	static const char *const names[] = {"20261124T203350Z.log", "20261124T203353Z.log",
		"20261124T203353Z_001.log", "20261124T203353Z_002.log", "20261124T203359Z.log"};
	static const char *const records[] = {"0 x\n", "3 x\n", "3 x\n", "1 x\n", "9 x\n"};
	static const struct recorder_format in_seconds = {
		.measure = measure, .first = first_second};
	const struct place *place = *state;
	struct recorder_settings settings = {
		.path = (char *)place->path, .flush = 1, .name_time = RECORDER_NAME_BEGIN};
	struct outcome outcome = {0};

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		/* Another run each time; the clock was set back before the fourth. */
		void *recorder = open_recorder(&settings, &in_seconds);

		recorder_start(recorder);
		rotate_one(recorder, &outcome, records[i]);
		assert_int_equal(count_files(place, names[i], NULL), 1);
		end(recorder, &outcome);
	}
	assert_int_equal(count_files(place, "Z", NULL), ARRAY_SIZE(records));
}

/* ---- Files of a time ---- */

static const struct recorder_format timed = {.measure = measure, .first = first_second};

static void *start_seconds(const struct place *place)
{
	struct recorder_settings settings = {.path = (char *)place->path,
		.flush = 3600 * NS_PER_S,
		.rotate_every = NS_PER_S,
		.name_time = RECORDER_NAME_BEGIN};

	return open_recorder(&settings, &timed);
}

/* "3 x" of a place in the fourth second. */
static void record_in(void *recorder, struct outcome *outcome, const char *string, uint64_t ms)
{
	uint64_t second = SOME_TIME + (uint64_t)(*string - '0');

	record_at(recorder, outcome, second * NS_PER_S + ms * NS_PER_MS, string);
}

static void assert_file(const struct place *place, const char *stamp, const char *content)
{
	char name[160];

	snprintf(name, sizeof(name), "%s/news.%s.log", place->directory, stamp);
	assert_content(name, content);
}

static void wait_rotated(void *recorder, struct outcome *outcome, const struct place *place)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 10 * NS_PER_S;

	while (!count_files(place, "Z.log", NULL)) {
		assert_true(clock_ns(CLOCK_MONOTONIC) < until);
		assert_int_not_equal(recorder_deadline(recorder), 0);
		usleep(1000);
		if (clock_ns(CLOCK_MONOTONIC) >= recorder_deadline(recorder))
			recorder_serve(recorder, outcome);
	}
}

static void a_datagram_goes_into_the_file_of_its_own_time(void **state)
{
	const struct place *place = *state;
	void *recorder = start_seconds(place);
	struct outcome outcome = {0};

	record_in(recorder, &outcome, "0 x\n", 1);
	record_in(recorder, &outcome, "0 x\n", 999);
	record_in(recorder, &outcome, "1 x\n", 0);
	assert_file(place, SOME_STAMP, "0 x\n0 x\n");
	record_in(recorder, &outcome, "0 late\n", 999);
	record_in(recorder, &outcome, "3 x\n", 500);
	assert_file(place, "20261124T203351Z", "1 x\n0 late\n");
	end(recorder, &outcome);
	assert_content(place->path, "3 x\n");
	assert_int_equal(count_files(place, "Z", NULL), 2);
}

static void the_file_of_an_earlier_run_ends_with_its_own_time(void **state)
{
	const struct place *place = *state;
	void *recorder;
	struct outcome outcome = {0};

	write_file(place->path, "0 x\n", 4);
	recorder = start_seconds(place);
	recorder_start(recorder);
	record_in(recorder, &outcome, "0 x\n", 999);
	record_in(recorder, &outcome, "1 x\n", 0);
	assert_file(place, SOME_STAMP, "0 x\n0 x\n");
	end(recorder, &outcome);
}

static void a_file_is_not_named_before_its_time_for_a_late_datagram(void **state)
{
	const struct place *place = *state;
	void *recorder = start_seconds(place);
	struct outcome outcome = {0};

	record_in(recorder, &outcome, "0 x\n", 1);
	wait_rotated(recorder, &outcome, place);
	record_in(recorder, &outcome, "0 x\n", 999);
	record_in(recorder, &outcome, "1 y\n", 0);
	record_in(recorder, &outcome, "2 y\n", 0);
	assert_file(place, SOME_STAMP, "0 x\n");
	assert_file(place, "20261124T203351Z", "0 x\n1 y\n");
	end(recorder, &outcome);
}

/* They are of a time that is over, as the queue was long. */
static void the_clock_rotates_no_file_while_datagrams_come(void **state)
{
	const struct place *place = *state;
	void *recorder = start_seconds(place);
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 10 * NS_PER_S;
	struct outcome outcome = {0};

	recorder_start(recorder);
	record_in(recorder, &outcome, "0 x\n", 0);
	for (unsigned served = 0; served < 3; served++) {
		while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(recorder))
			assert_true(clock_ns(CLOCK_MONOTONIC) < until);
		record_in(recorder, &outcome, "0 x\n", 0);
		recorder_batch_end(recorder, &outcome);
		recorder_serve(recorder, &outcome);
		assert_int_equal(count_files(place, "Z.log", NULL), 0);
	}
	wait_rotated(recorder, &outcome, place);
	assert_file(place, SOME_STAMP, "0 x\n0 x\n0 x\n0 x\n");
	end(recorder, &outcome);
}

static void the_name_of_a_file_without_times_is_when_it_was_created(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {
		.path = (char *)place->path, .flush = 1, .name_time = RECORDER_NAME_BEGIN};
	void *recorder = open_recorder(&settings, &lines);
	struct outcome outcome = {0};
	struct recorder_path path = {0};
	char name[RECORDER_PATH_MAX];
	struct statx status;
	time_t begun;

	recorder_start(recorder);
	assert_int_equal(statx(AT_FDCWD, place->path, 0, STATX_BTIME, &status), 0);
	begun = status.stx_mask & STATX_BTIME ? (time_t)status.stx_btime.tv_sec : 0;
	do
		usleep(10000);
	while (time(NULL) <= begun + 1);
	rotate_one(recorder, &outcome, "1 a\n");
	assert_int_equal(recorder_path_init(&path, place->path), 0);
	recorder_path_rotated(&path, begun, 0, name);
	if (begun)
		assert_content(name, "1 a\n");
	recorder_path_clear(&path);
	end(recorder, &outcome);
}

/* A name that is older by this number of seconds. */
static void write_older(const struct place *place, time_t seconds, const char *suffix)
{
	struct recorder_path path = {0};
	char name[RECORDER_PATH_MAX + 8];

	assert_int_equal(recorder_path_init(&path, place->path), 0);
	recorder_path_rotated(&path, time(NULL) - seconds, 0, name);
	strcat(name, suffix);
	write_file(name, "1 old\n", 6);
	recorder_path_clear(&path);
}

static void files_are_removed_for_their_age_while_nothing_comes(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {
		.path = (char *)place->path, .flush = 1, .keep_for = 60 * NS_PER_S};
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 10 * NS_PER_S;
	struct outcome outcome = {0};
	void *recorder;

	write_older(place, 3600, "");
	write_older(place, 62, "");
	write_older(place, 62, ".zst"); /* not ours: there is no after_rotate */
	write_older(place, 57, "");
	write_older(place, 0, "");
	recorder = open_recorder(&settings, &lines);
	recorder_start(recorder);
	assert_int_equal(count_files(place, "Z.log", NULL), 3);
	while (count_files(place, "Z.log", NULL) == 3 && clock_ns(CLOCK_MONOTONIC) < until) {
		assert_int_not_equal(recorder_deadline(recorder), 0);
		usleep(10000);
		if (clock_ns(CLOCK_MONOTONIC) >= recorder_deadline(recorder))
			recorder_serve(recorder, &outcome);
	}
	assert_int_equal(count_files(place, "Z.log", NULL), 2);
	end(recorder, &outcome);
}

/* ---- A program for each file ---- */

static void *start_with_program(const struct place *place, struct recorder_settings settings,
	const char *const *command, size_t count)
{
	settings.path = (char *)place->path;
	settings.flush = 1;
	settings.after_rotate = (struct string_list){(char **)command, count};
	if (!settings.after_rotate_timeout)
		settings.after_rotate_timeout = 3600 * NS_PER_S;
	return open_recorder(&settings, &lines);
}

/* Serves it until so many programs have ended. */
static void serve_programs(void *recorder, struct outcome *outcome, uint64_t ended)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;

	while (outcome->counted[0] + outcome->counted[1] < ended) {
		assert_true(clock_ns(CLOCK_MONOTONIC) < until);
		recorder_serve(recorder, outcome);
		usleep(1000);
	}
}

#define SCRIPT(text) (const char *const[]){"/bin/sh", "-c", text, "sh"}, 4

static void a_program_runs_for_each_rotated_file_in_order(void **state)
{
	const struct place *place = *state;
	void *recorder = start_with_program(place, (struct recorder_settings){0},
		SCRIPT("test -f \"$1\" || exit 9; read x && exit 8; cat \"$1\" >>\"${1%/*}/all\""));
	struct outcome outcome = {0};
	char path[512];

	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	rotate_one(recorder, &outcome, "2 b\n");
	rotate_one(recorder, &outcome, "3 c\n");
	serve_programs(recorder, &outcome, 3);
	assert_int_equal(outcome.counted[0], 3);
	assert_int_equal(count_files(place, "all", path), 1);
	assert_content(path, "1 a\n2 b\n3 c\n");
	assert_int_equal(count_files(place, "Z", NULL), 3);
	recorder_serve(recorder, &outcome);
	assert_int_equal(recorder_deadline(recorder), 0);
	end(recorder, &outcome);
}

static void what_was_not_done_is_done_by_the_next_run(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder;
	char path[512];

	recorder = start_with_program(place, (struct recorder_settings){0}, SCRIPT("sleep 100"));
	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	rotate_one(recorder, &outcome, "2 b\n");
	recorder_serve(recorder, &outcome);
	end(recorder, &outcome);
	recorder = start_with_program(place, (struct recorder_settings){0}, SCRIPT("gzip \"$1\""));
	recorder_start(recorder);
	serve_programs(recorder, &outcome, 2);
	assert_int_equal(outcome.counted[0], 2);
	assert_int_equal(count_files(place, ".log.gz", path), 2);
	assert_int_equal(count_files(place, "news", path), 3);
	end(recorder, &outcome);
}

static void a_partial_file_of_a_killed_program_is_removed_before_it_runs_again(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder;
	char path[512];

	recorder = start_with_program(
		place, (struct recorder_settings){0}, SCRIPT("echo half >\"$1.gz\"; exit 3"));
	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	serve_programs(recorder, &outcome, 1);
	assert_int_equal(outcome.counted[1], 1);
	assert_int_equal(count_files(place, "Z.log", NULL), 2);
	end(recorder, &outcome);
	recorder = start_with_program(place, (struct recorder_settings){0}, SCRIPT("gzip \"$1\""));
	recorder_start(recorder);
	serve_programs(recorder, &outcome, 2);
	assert_int_equal(outcome.counted[0], 1);
	assert_int_equal(count_files(place, "Z.log", path), 1);
	assert_non_null(strstr(path, ".gz"));
	end(recorder, &outcome);
}

static void a_mark_without_its_file_is_removed(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder;

	write_beside(place, ".news." SOME_STAMP ".log.waits", "");
	write_beside(place, ".other." SOME_STAMP ".log.waits", "");
	write_beside(place, "news." SOME_STAMP ".log.gz", "whole");
	recorder = start_with_program(place, (struct recorder_settings){0}, SCRIPT("exit 1"));
	recorder_start(recorder);
	recorder_serve(recorder, &outcome);
	assert_int_equal(recorder_deadline(recorder), 0);
	assert_int_equal(outcome.counted[0] + outcome.counted[1], 0);
	assert_int_equal(count_marks(place), 1);
	assert_int_equal(count_files(place, "Z.log.gz", NULL), 1);
	end(recorder, &outcome);
}

static void a_failing_program_does_not_keep_others_from_running(void **state)
{
	const struct place *place = *state;
	void *recorder = start_with_program(place, (struct recorder_settings){0},
		SCRIPT("grep -q b \"$1\" && exit 1; rm \"$1\""));
	struct outcome outcome = {0};
	char path[512];

	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	rotate_one(recorder, &outcome, "2 b\n");
	rotate_one(recorder, &outcome, "3 c\n");
	serve_programs(recorder, &outcome, 3);
	assert_int_equal(outcome.counted[0], 2);
	assert_int_equal(outcome.counted[1], 1);
	recorder_serve(recorder, &outcome);
	assert_int_equal(count_files(place, "Z", path), 1);
	assert_content(path, "2 b\n");
	/* It is tried again, but not at once. */
	assert_true(recorder_deadline(recorder) > clock_ns(CLOCK_MONOTONIC) + 30 * NS_PER_S);
	end(recorder, &outcome);
}

static void a_program_that_hangs_is_ended_after_its_timeout(void **state)
{
	const struct place *place = *state;
	void *recorder = start_with_program(place,
		(struct recorder_settings){.after_rotate_timeout = 50 * NS_PER_MS},
		SCRIPT("sleep 100"));
	struct outcome outcome = {0};

	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	serve_programs(recorder, &outcome, 1);
	assert_int_equal(outcome.counted[1], 1);
	end(recorder, &outcome);
}

static void a_file_that_keep_removed_while_its_program_ran_has_not_failed(void **state)
{
	const struct place *place = *state;
	void *recorder = start_with_program(place, (struct recorder_settings){.keep = 1},
		SCRIPT("until test -e \"${1%/*}/go\"; do sleep 0.01; done; exec gzip \"$1\""));
	struct outcome outcome = {0};

	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	recorder_serve(recorder, &outcome);
	rotate_one(recorder, &outcome, "2 b\n");
	assert_int_equal(count_files(place, "Z", NULL), 1);
	write_beside(place, "go", "");
	serve_programs(recorder, &outcome, 1);
	assert_int_equal(outcome.counted[0], 1);
	assert_int_equal(outcome.counted[1], 0);
	assert_int_equal(count_marks(place), 0);
	end(recorder, &outcome);
}

static void a_mark_goes_with_its_file_also_when_there_is_no_program_any_more(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder;

	recorder = start_with_program(place, (struct recorder_settings){0}, SCRIPT("exit 1"));
	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	serve_programs(recorder, &outcome, 1);
	end(recorder, &outcome);
	assert_int_equal(count_marks(place), 1);
	recorder = start(place, (struct recorder_settings){.keep = 1, .rotate_size = 1});
	recorder_start(recorder);
	assert_int_equal(count_marks(place), 1);
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(count_files(place, "Z", NULL), 1);
	assert_int_equal(count_marks(place), 0);
	end(recorder, &outcome);
}

/* The program of a daemon that was killed goes on without it. */
static void a_file_that_another_runs_program_still_has_is_left_to_it(void **state)
{
	const struct place *place = *state;
	struct outcome outcome = {0};
	void *recorder, *next;
	char path[512];

	recorder = start_with_program(place, (struct recorder_settings){0},
		SCRIPT("until test -e \"${1%/*}/go\"; do sleep 0.01; done; mv \"$1\" \"$1.gz\""));
	recorder_start(recorder);
	rotate_one(recorder, &outcome, "1 a\n");
	recorder_serve(recorder, &outcome);
	recorder_close(recorder);
	next = start_with_program(place, (struct recorder_settings){0}, SCRIPT("exit 1"));
	recorder_start(next);
	recorder_serve(next, &outcome);
	assert_int_equal(count_files(place, "Z.log", path), 1);
	write_beside(place, "go", "");
	while (count_files(place, "Z.log.gz", NULL) == 0 || outcome.counted[1]) {
		assert_int_equal(outcome.counted[1], 0);
		recorder_serve(next, &outcome);
		usleep(1000);
	}
	while (clock_ns(CLOCK_MONOTONIC) < recorder_deadline(next))
		usleep(1000);
	recorder_serve(next, &outcome);
	assert_int_equal(outcome.counted[1], 0);
	assert_int_equal(recorder_deadline(next), 0);
	end(next, &outcome);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void what_programs_make_counts_for_keep_and_quota(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.keep = 2};
	struct outcome outcome = {0};
	void *recorder;

	write_older(place, 40, ".zst");
	write_older(place, 30, ".zst");
	write_older(place, 30, ""); /* one with the file above */
	write_older(place, 20, ".gz");
	write_older(place, 50, ".txt"); /* whose ever that is */
	recorder = start_with_program(place, settings, SCRIPT("true"));
	recorder_start(recorder);
	assert_int_equal(count_files(place, "Z.log", NULL), 4);
	assert_int_equal(count_files(place, ".zst", NULL), 1);
	end(recorder, &outcome);
	settings = (struct recorder_settings){.quota = 15};
	recorder = start_with_program(place, settings, SCRIPT("true"));
	recorder_start(recorder);
	assert_int_equal(count_files(place, "Z.log", NULL), 2);
	assert_int_equal(count_files(place, ".gz", NULL), 1);
	end(recorder, &outcome);
}

static void after_a_failure_a_section_begins_anew(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.path = (char *)place->path, .flush = 1};
	void *recorder = open_recorder(&settings, &sections);
	struct outcome outcome = {0};

	limit_files(14);
	record(recorder, &outcome, "1 a\n");
	record_now(recorder, &outcome, "2 b\n");
	assert_content(place->path, "0 first\n1 a\n");
	limit_files(RLIM_INFINITY);
	usleep(110000);
	record_now(recorder, &outcome, "3 c\n");
	assert_content(place->path, "0 first\n1 a\n0 again\n3 c\n");
	end(recorder, &outcome);
}

static void a_section_that_somebody_truncates_begins_anew_and_loses_nothing(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.path = (char *)place->path, .flush = 1};
	void *recorder = open_recorder(&settings, &sections);
	struct outcome outcome = {0};

	record(recorder, &outcome, "1 a\n"); /* the buffer begins a section */
	assert_int_equal(truncate(place->path, 0), 0);
	recorder_serve(recorder, &outcome);
	assert_content(place->path, "0 first\n1 a\n");
	record(recorder, &outcome, "2 b\n");
	assert_int_equal(truncate(place->path, 0), 0);
	recorder_serve(recorder, &outcome);
	assert_content(place->path, "0 first resumed\n2 b\n");
	record(recorder, &outcome, "3 c\n");
	assert_int_equal(truncate(place->path, 18), 0);
	recorder_serve(recorder, &outcome);
	assert_content(place->path, "0 first resumed\n0 resumed\n3 c\n");
	record_now(recorder, &outcome, "4 d\n");
	assert_content(place->path, "0 first resumed\n0 resumed\n3 c\n4 d\n");
	assert_int_equal(outcome.delivered, 4);
	end(recorder, &outcome);
}

static void a_section_begins_anew_behind_what_another_program_appends(void **state)
{
	const struct place *place = *state;
	struct recorder_settings settings = {.path = (char *)place->path, .flush = 1};
	void *recorder = open_recorder(&settings, &sections);
	struct outcome outcome = {0};

	record_now(recorder, &outcome, "1 a\n");
	append_elsewhere(place, "5 other\n");
	record_now(recorder, &outcome, "2 b\n");
	assert_content(place->path, "0 first\n1 a\n5 other\n0 resumed\n2 b\n");
	append_elsewhere(place, "notes");
	record_now(recorder, &outcome, "3 c\n");
	assert_content(place->path, "0 first resumed\n3 c\n");
	assert_int_equal(count_files(place, ".aside", NULL), 1);
	assert_int_equal(outcome.delivered, 3);
	end(recorder, &outcome);
}

static void count_free(void *owner)
{
	++*(unsigned *)owner;
}

static void a_recorder_frees_its_owner_once_whether_it_opens_or_not(void **state)
{
	static const struct recorder_format counting = {.free = count_free};
	struct recorder_settings settings = {.path = (char *)"/dev/null"};
	unsigned freed = 0;
	void *recorder = NULL;
	char why[WHY_MAX];

	(void)state;
	assert_int_equal(recorder_open(&settings, &counting, &freed, "test", 0, why, &recorder), 0);
	assert_ptr_equal(recorder_owner(recorder), &freed);
	assert_int_equal(freed, 0);
	recorder_close(recorder);
	assert_int_equal(freed, 1);
	settings.path = (char *)"/nonexistent/file";
	assert_int_equal(
		recorder_open(&settings, &counting, &freed, "test", 0, why, &recorder), -ENOENT);
	assert_int_equal(freed, 2);
}

static void settings_that_cannot_be_meant_are_refused(void **state)
{
	struct recorder_settings settings = {
		.path = (char *)"/tmp/x", .rotate_size = 4096, .quota = 8192};
	const char *key = NULL;
	char why[WHY_MAX];

	(void)state;
	assert_int_equal(recorder_check(&settings, &key, why), 0);
	settings.quota = 4095;
	assert_int_equal(recorder_check(&settings, &key, why), -EINVAL);
	assert_string_equal(key, "rotate_size");
}

#define WITH_PLACE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rotated_names_have_the_time_before_the_extension),
		cmocka_unit_test(only_exact_names_are_rotated_files),
		cmocka_unit_test(only_names_with_a_real_date_and_time_are_rotated_files),
		cmocka_unit_test(names_of_one_second_sort_in_the_order_of_their_numbers),
		cmocka_unit_test(names_of_what_programs_make_have_one_suffix_that_is_known),
		cmocka_unit_test(a_mark_tells_its_file),
		cmocka_unit_test(names_of_earlier_versions_are_rotated_files),
		cmocka_unit_test(no_name_is_a_rotated_file_of_two_paths),
		cmocka_unit_test(names_that_leave_no_room_are_refused),
		cmocka_unit_test(rotated_files_are_ordered_by_time_and_number),
		cmocka_unit_test(pauses_double_up_to_five_seconds),
		cmocka_unit_test(pauses_start_again_only_after_a_while_of_health),
		cmocka_unit_test(settings_that_cannot_be_meant_are_refused),
		cmocka_unit_test(a_recorder_frees_its_owner_once_whether_it_opens_or_not),
		WITH_PLACE(half_a_record_is_cut_off),
		WITH_PLACE(half_a_record_with_zeros_behind_is_cut_off),
		WITH_PLACE(zeros_with_something_behind_are_not_cut_off),
		WITH_PLACE(what_is_written_after_a_failure_is_not_cut_off),
		WITH_PLACE(half_a_record_is_cut_off_before_a_file_is_renamed),
		WITH_PLACE(half_a_record_is_cut_off_before_a_file_is_left),
		WITH_PLACE(what_is_not_ours_is_not_cut),
		WITH_PLACE(long_tails_are_found_but_not_endless_ones),
		WITH_PLACE(records_are_delivered_when_they_are_written),
		WITH_PLACE(a_full_buffer_is_written_at_once),
		WITH_PLACE(many_empty_records_are_written_too),
		WITH_PLACE(a_recorder_that_got_nothing_leaves_the_file_alone),
		WITH_PLACE(a_torn_file_is_repaired_before_anything_comes),
		WITH_PLACE(a_file_of_something_else_is_set_aside),
		WITH_PLACE(files_are_rotated_by_size_and_on_request),
		WITH_PLACE(files_are_rotated_by_time),
		WITH_PLACE(a_file_that_was_truncated_is_rotated_by_time),
		WITH_PLACE(nothing_is_due_for_a_file_that_could_not_be_written),
		WITH_PLACE(a_file_from_the_future_is_rotated_by_time),
		WITH_PLACE(a_file_is_named_after_the_time_at_which_it_is_rotated),
		WITH_PLACE(old_files_are_rotated_at_the_start),
		WITH_PLACE(only_our_own_oldest_files_are_removed),
		WITH_PLACE(later_names_sort_after_earlier_ones),
		WITH_PLACE(a_new_file_is_kept_however_far_ahead_the_last_name_lies),
		WITH_PLACE(a_new_file_is_kept_when_later_names_come_while_it_is_written),
		WITH_PLACE(names_sort_after_those_of_compressed_files_without_after_rotate),
		WITH_PLACE(names_of_the_last_year_are_no_rotated_files),
		WITH_PLACE(the_quota_takes_the_oldest_files_first_and_then_drops),
		WITH_PLACE(nothing_is_written_below_the_floor_of_free_space),
		WITH_PLACE(a_short_write_leaves_whole_records_only),
		WITH_PLACE(a_file_that_was_moved_away_is_begun_anew),
		WITH_PLACE(a_file_that_was_emptied_goes_on),
		WITH_PLACE(a_record_is_not_glued_to_what_another_program_appends),
		WITH_PLACE(a_section_begins_anew_behind_what_another_program_appends),
		WITH_PLACE(files_of_other_programs_are_refused),
		WITH_PLACE(a_new_recorder_waits_for_the_old_one_to_go),
		WITH_PLACE(two_recorders_never_write_to_one_file),
		WITH_PLACE(a_recorder_that_is_only_tried_does_not_disturb),
		WITH_PLACE(character_devices_are_written_to_and_never_rotated),
		WITH_PLACE(each_file_begins_and_ends_as_its_format_wants),
		WITH_PLACE(after_a_failure_a_section_begins_anew),
		WITH_PLACE(a_section_that_somebody_truncates_begins_anew_and_loses_nothing),
		WITH_PLACE(a_file_without_a_record_is_whole_and_not_rotated),
		WITH_PLACE(a_header_that_does_not_fit_is_written_with_the_first_record),
		WITH_PLACE(files_are_named_by_their_first_record_when_wanted),
		WITH_PLACE(a_datagram_goes_into_the_file_of_its_own_time),
		WITH_PLACE(the_file_of_an_earlier_run_ends_with_its_own_time),
		WITH_PLACE(a_file_is_not_named_before_its_time_for_a_late_datagram),
		WITH_PLACE(the_clock_rotates_no_file_while_datagrams_come),
		WITH_PLACE(the_name_of_a_file_without_times_is_when_it_was_created),
		WITH_PLACE(files_are_removed_for_their_age_while_nothing_comes),
		WITH_PLACE(a_program_runs_for_each_rotated_file_in_order),
		WITH_PLACE(what_was_not_done_is_done_by_the_next_run),
		WITH_PLACE(a_partial_file_of_a_killed_program_is_removed_before_it_runs_again),
		WITH_PLACE(a_mark_without_its_file_is_removed),
		WITH_PLACE(a_failing_program_does_not_keep_others_from_running),
		WITH_PLACE(a_program_that_hangs_is_ended_after_its_timeout),
		WITH_PLACE(a_file_that_keep_removed_while_its_program_ran_has_not_failed),
		WITH_PLACE(a_mark_goes_with_its_file_also_when_there_is_no_program_any_more),
		WITH_PLACE(a_file_that_another_runs_program_still_has_is_left_to_it),
		WITH_PLACE(what_programs_make_counts_for_keep_and_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
