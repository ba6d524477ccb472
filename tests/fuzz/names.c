/* Names of files beside a recorder's: what is taken for a rotated one is exactly what rotating
 * gives, and so are what a program has made of it, and its mark. */
#include "fuzz.h"
#include "recorder/path.h"

#define DIRECTORY "/var/log/"

/* An earlier version wrote a number in another way, which is read and not written. */
static bool is_written(const char *name, const struct recorder_rotated *rotated)
{
	return !rotated->number || strchr(name, '_');
}

static void check_rotated(const struct recorder_path *path, const char *name)
{
	char again[RECORDER_PATH_MAX];
	struct recorder_rotated rotated;

	if (!recorder_path_is_rotated(path, name, &rotated))
		return;
	recorder_path_rotated(path, rotated.when, rotated.number, again);
	CHECK(rotated.number <= RECORDER_NUMBER_MAX);
	CHECK(!is_written(name, &rotated) || !strcmp(again + strlen(DIRECTORY), name));
	CHECK(!recorder_path_is_processed(path, name, &rotated));
}

static void check_mark(const struct recorder_path *path, const char *name)
{
	char file[NAME_MAX + 1], again[RECORDER_PATH_MAX];
	struct recorder_rotated rotated;

	if (!recorder_path_is_mark(path, name, &rotated, file))
		return;
	CHECK(recorder_path_is_rotated(path, file, &rotated));
	recorder_path_mark(path, rotated.when, rotated.number, again);
	CHECK(!is_written(file, &rotated) || !strcmp(again + strlen(DIRECTORY), name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recorder_rotated rotated;
	struct recorder_path path;
	char name[NAME_MAX + 1] = "";

	if (size >= sizeof(name))
		return 0;
	memcpy(name, data, size);
	CHECK(recorder_path_init(&path, DIRECTORY "news.ndjson") == 0);
	check_rotated(&path, name);
	check_mark(&path, name);
	if (recorder_path_is_processed(&path, name, &rotated))
		CHECK(!recorder_path_is_rotated(&path, name, &rotated));
	recorder_path_clear(&path);
	return 0;
}
