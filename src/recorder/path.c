#include "recorder/path.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where the extension begins. A dot in front makes a hidden file, and no extension. */
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

static void format_stamp(time_t when, unsigned number, char ret[static 32])
{
	struct tm utc = {0};
	size_t length;

	gmtime_r(&when, &utc);
	length = strftime(ret, 32, "%Y%m%dT%H%M%SZ", &utc);
	if (number)
		snprintf(ret + length, 32 - length, ".%u", number);
}

void recorder_path_rotated(
	const struct recorder_path *path, time_t when, unsigned number, char ret[RECORDER_PATH_MAX])
{
	int before_name = (int)(path->name - path->path);
	char stamp[32];

	format_stamp(when, number, stamp);
	snprintf(ret, RECORDER_PATH_MAX, "%.*s%.*s.%s%s", before_name, path->path, (int)path->stem,
		path->name, stamp, path->name + path->stem);
}

void recorder_path_aside(
	const struct recorder_path *path, time_t when, unsigned number, char ret[RECORDER_PATH_MAX])
{
	char stamp[32];

	format_stamp(when, number, stamp);
	snprintf(ret, RECORDER_PATH_MAX, "%s.%s.aside", path->path, stamp);
}

/* Reads "20261124T203350Z". Returns what follows it, or NULL. */
static const char *read_stamp(const char *at, char ret[static RECORDER_STAMP_SIZE])
{
	static const char form[] = "ddddddddTddddddZ";

	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)at[i]) : at[i] != form[i])
			return NULL;
	memcpy(ret, at, sizeof(form) - 1);
	ret[sizeof(form) - 1] = '\0';
	return at + sizeof(form) - 1;
}

/* Reads ".1" to ".999", where it is there. Returns what follows. */
static const char *read_number(const char *at, unsigned *ret)
{
	size_t digits = *at == '.' ? strspn(at + 1, "0123456789") : 0;

	*ret = 0;
	if (!digits || digits > 3 || at[1] == '0')
		return at;
	*ret = (unsigned)strtoul(at + 1, NULL, 10);
	return at + 1 + digits;
}

bool recorder_path_is_rotated(
	const struct recorder_path *path, const char *name, struct recorder_rotated *ret)
{
	struct recorder_rotated rotated;
	const char *at;

	if (strncmp(name, path->name, path->stem) || name[path->stem] != '.')
		return false;
	at = read_stamp(name + path->stem + 1, rotated.stamp);
	if (!at)
		return false;
	at = read_number(at, &rotated.number);
	if (strcmp(at, path->name + path->stem))
		return false;
	*ret = rotated;
	return true;
}

time_t recorder_rotated_time(const struct recorder_rotated *rotated)
{
	struct tm utc = {0};

	sscanf(rotated->stamp, "%4d%2d%2dT%2d%2d%2d", &utc.tm_year, &utc.tm_mon, &utc.tm_mday,
		&utc.tm_hour, &utc.tm_min, &utc.tm_sec);
	utc.tm_year -= 1900;
	utc.tm_mon -= 1;
	return timegm(&utc);
}

int recorder_rotated_compare(const struct recorder_rotated *a, const struct recorder_rotated *b)
{
	int order = strcmp(a->stamp, b->stamp);

	return order ? order : (a->number > b->number) - (a->number < b->number);
}
