/* Which rotated files are removed for their age. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "recorder/room.h"

#define DAY (24 * 3600)

struct place {
	char directory[64];
	struct recorder_path path;
	struct recorder_room room;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[80];

	snprintf(place->directory, sizeof(place->directory), "/tmp/test-room-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(path, sizeof(path), "%s/news.log", place->directory);
	assert_int_equal(recorder_path_init(&place->path, path), 0);
	place->room = (struct recorder_room){
		.handler = "a", .path = &place->path, .keep_for = 30 * DAY * NS_PER_S};
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;

	rmdir(place->directory);
	recorder_path_clear(&place->path);
	free(place);
	return 0;
}

/* A file with the name of a time and written at another one, both that many seconds from now. */
static void make(const struct place *place, time_t named, time_t written)
{
	char name[RECORDER_PATH_MAX];
	struct timespec times[2] = {
		{.tv_sec = time(NULL) + written}, {.tv_sec = time(NULL) + written}};
	FILE *file;

	recorder_path_rotated(&place->path, time(NULL) + named, 0, name);
	file = fopen(name, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

/* Whether such a file is there; it is removed. */
static bool take_file(const struct place *place, time_t named)
{
	char name[RECORDER_PATH_MAX];
	bool found = false;

	for (time_t late = 0; late < 5 && !found; late++) {
		recorder_path_rotated(&place->path, time(NULL) + named - late, 0, name);
		found = unlink(name) == 0;
	}
	return found;
}

/* As if the clock had been set ahead by that much since the files were looked at last. */
static void set_ahead(struct place *place, uint64_t seconds)
{
	place->room.clock.is_known = true;
	place->room.clock.offset_ns = (int64_t)(clock_ns(CLOCK_REALTIME) -
						clock_ns(CLOCK_BOOTTIME) - seconds * NS_PER_S);
}

static void what_is_too_old_is_removed(void **state)
{
	struct place *place = *state;

	make(place, -31 * DAY, -31 * DAY);
	make(place, -29 * DAY, -29 * DAY);
	set_ahead(place, 2);
	recorder_room_tidy(&place->room, 0);
	assert_false(take_file(place, -31 * DAY));
	assert_true(take_file(place, -29 * DAY));
}

static void a_clock_that_is_set_ahead_removes_nothing_for_an_hour(void **state)
{
	struct place *place = *state;

	make(place, -31 * DAY, -31 * DAY);
	set_ahead(place, 40 * DAY);
	recorder_room_tidy(&place->room, 0);
	recorder_room_tidy(&place->room, 0);
	assert_true(take_file(place, -31 * DAY));
	make(place, -31 * DAY, -31 * DAY);
	place->room.clock.doubted_ns = clock_ns(CLOCK_BOOTTIME) - 3601 * NS_PER_S;
	recorder_room_tidy(&place->room, 0);
	assert_false(take_file(place, -31 * DAY));
	assert_int_equal(place->room.clock.doubted_ns, 0);
}

static void a_clock_that_is_set_right_again_is_believed(void **state)
{
	struct place *place = *state;

	make(place, -31 * DAY, -31 * DAY);
	set_ahead(place, 40 * DAY);
	recorder_room_tidy(&place->room, 0);
	assert_int_not_equal(place->room.clock.doubted_ns, 0);
	assert_int_not_equal(place->room.oldest.when, 0);
	set_ahead(place, 0);
	recorder_room_tidy(&place->room, 0);
	assert_false(take_file(place, -31 * DAY));
}

/* As after a restart with a wrong clock. */
static void at_first_what_takes_all_files_waits_for_an_hour(void **state)
{
	struct place *place = *state;

	make(place, -33 * DAY, -33 * DAY);
	make(place, -31 * DAY, -31 * DAY);
	recorder_room_tidy(&place->room, 0);
	assert_true(take_file(place, -33 * DAY));
	assert_true(take_file(place, -31 * DAY));
	place->room.clock.doubted_ns = 0;
	make(place, -33 * DAY, -33 * DAY);
	make(place, -29 * DAY, -29 * DAY);
	recorder_room_tidy(&place->room, 0);
	assert_false(take_file(place, -33 * DAY));
	assert_true(take_file(place, -29 * DAY));
}

static void a_name_that_lies_ahead_is_as_old_as_its_file(void **state)
{
	struct place *place = *state;

	make(place, 1000 * DAY, 900 * DAY);
	make(place, 1001 * DAY, -31 * DAY);
	make(place, 1002 * DAY, -1 * DAY);
	recorder_room_tidy(&place->room, 0);
	assert_true(take_file(place, 1000 * DAY));
	assert_false(take_file(place, 1001 * DAY));
	assert_true(take_file(place, 1002 * DAY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_too_old_is_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_clock_that_is_set_ahead_removes_nothing_for_an_hour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_clock_that_is_set_right_again_is_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			at_first_what_takes_all_files_waits_for_an_hour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_name_that_lies_ahead_is_as_old_as_its_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
