#include "recorder/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK ".waits"

/* No name is later than the year 9998: what follows it needs a year of four digits, too. */
#define YEAR_MAX 9998

const char *const recorder_path_suffixes[] = {
	".zst", ".gz", ".xz", ".bz2", ".lz4", ".gpg", ".age", NULL};

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where the extension begins. A dot at the start makes a hidden file, no extension. */
static size_t stem_of(const char *name)
{
	size_t length = strlen(name);
	const char *dot = strrchr(name, '.');

	if (!dot || dot == name || !dot[1] || dot[1 + strspn(dot + 1, "0123456789")] == '\0')
		return length;
	return (size_t)(dot - name);
}

bool recorder_path_fits(const char *string)
{
	return strlen(string) + RECORDER_ADDED_MAX < RECORDER_PATH_MAX &&
	       strlen(name_of(string)) + RECORDER_ADDED_MAX <= NAME_MAX;
}

int recorder_path_init(struct recorder_path *path, const char *string)
{
	size_t before = (size_t)(name_of(string) - string);

	if (!recorder_path_fits(string))
		return -ENAMETOOLONG;
	path->path = strdup(string);
	path->directory = before > 1 ? strndup(string, before - 1) : strdup(before ? "/" : ".");
	if (!path->path || !path->directory) {
		recorder_path_clear(path);
		return -ENOMEM;
	}
	path->name = name_of(path->path);
	path->stem = stem_of(path->name);
	return 0;
}

void recorder_path_clear(struct recorder_path *path)
{
	free(path->path);
	free(path->directory);
	*path = (struct recorder_path){0};
}

static void format_stamp(time_t when, unsigned number, char ret[static RECORDER_ADDED_MAX])
{
	struct tm utc = {0};
	size_t length;

	gmtime_r(&when, &utc);
	length = strftime(ret, RECORDER_ADDED_MAX, "%Y%m%dT%H%M%SZ", &utc);
	if (number)
		snprintf(ret + length, RECORDER_ADDED_MAX - length, "_%03u", number);
}

void recorder_path_rotated(
	const struct recorder_path *path, time_t when, unsigned number, char ret[RECORDER_PATH_MAX])
{
	int before_name = (int)(path->name - path->path);
	char stamp[RECORDER_ADDED_MAX];

	format_stamp(when, number, stamp);
	snprintf(ret, RECORDER_PATH_MAX, "%.*s%.*s.%s%s", before_name, path->path, (int)path->stem,
		path->name, stamp, path->name + path->stem);
}

void recorder_path_aside(
	const struct recorder_path *path, time_t when, unsigned number, char ret[RECORDER_PATH_MAX])
{
	char stamp[RECORDER_ADDED_MAX];

	format_stamp(when, number, stamp);
	snprintf(ret, RECORDER_PATH_MAX, "%s.%s.aside", path->path, stamp);
}

void recorder_path_mark(
	const struct recorder_path *path, time_t when, unsigned number, char ret[RECORDER_PATH_MAX])
{
	int before_name = (int)(path->name - path->path);
	char stamp[RECORDER_ADDED_MAX];

	format_stamp(when, number, stamp);
	snprintf(ret, RECORDER_PATH_MAX, "%.*s.%.*s.%s%s" MARK, before_name, path->path,
		(int)path->stem, path->name, stamp, path->name + path->stem);
}

/* Reads a time that exists. Returns what follows it, or NULL. */
static const char *read_stamp(const char *at, time_t *ret)
{
	struct tm utc = {0};
	char stamp[RECORDER_ADDED_MAX];
	size_t length;

	sscanf(at, "%4d%2d%2dT%2d%2d%2d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
		&utc.tm_min, &utc.tm_sec);
	if (utc.tm_year > YEAR_MAX)
		return NULL;
	utc.tm_year -= 1900;
	utc.tm_mon -= 1;
	*ret = timegm(&utc);
	format_stamp(*ret, 0, stamp);
	length = strlen(stamp);
	return strncmp(at, stamp, length) ? NULL : at + length;
}

/* Reads "_001" to "_999", or ".1" to ".999" as earlier versions wrote it, if it is there. Returns
 * what follows. */
static const char *read_number(const char *at, unsigned *ret)
{
	size_t digits = *at == '_' || *at == '.' ? strspn(at + 1, "0123456789") : 0;
	bool is_number = *at == '_' ? digits == 3 : digits && digits <= 3 && at[1] != '0';

	*ret = is_number ? (unsigned)strtoul(at + 1, NULL, 10) : 0;
	return *ret ? at + 1 + digits : at;
}

bool recorder_path_is_rotated(
	const struct recorder_path *path, const char *name, struct recorder_rotated *ret)
{
	struct recorder_rotated rotated;
	const char *at;

	if (strncmp(name, path->name, path->stem) || name[path->stem] != '.')
		return false;
	at = read_stamp(name + path->stem + 1, &rotated.when);
	if (!at)
		return false;
	at = read_number(at, &rotated.number);
	if (strcmp(at, path->name + path->stem))
		return false;
	*ret = rotated;
	return true;
}

/* Copies a name without what it ends with. Returns whether it ends so. */
static bool cut_suffix(const char *name, const char *suffix, char ret[static NAME_MAX + 1])
{
	size_t length = strlen(name), cut = strlen(suffix);

	if (length <= cut || length - cut > NAME_MAX || strcmp(name + length - cut, suffix))
		return false;
	memcpy(ret, name, length - cut);
	ret[length - cut] = '\0';
	return true;
}

bool recorder_path_is_processed(
	const struct recorder_path *path, const char *name, struct recorder_rotated *ret)
{
	char file[NAME_MAX + 1];

	for (const char *const *suffix = recorder_path_suffixes; *suffix; suffix++)
		if (cut_suffix(name, *suffix, file) && recorder_path_is_rotated(path, file, ret))
			return true;
	return false;
}

bool recorder_path_is_mark(const struct recorder_path *path, const char *name,
	struct recorder_rotated *ret, char ret_file[static NAME_MAX + 1])
{
	return *name == '.' && cut_suffix(name + 1, MARK, ret_file) &&
	       recorder_path_is_rotated(path, ret_file, ret);
}

int recorder_rotated_compare(const struct recorder_rotated *a, const struct recorder_rotated *b)
{
	int order = (a->when > b->when) - (a->when < b->when);

	return order ? order : (a->number > b->number) - (a->number < b->number);
}
