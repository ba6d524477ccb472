#include "recorder/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "recorder/path.h"

#define ROTATE_SIZE_MIN 4096

const char *const recorder_sync_names[] = {"none", "interval", "each", NULL};

static int blame(const char *key, const char **ret_key)
{
	*ret_key = key;
	return -EINVAL;
}

int recorder_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct recorder_settings *wanted = settings;

	if (!recorder_path_fits(wanted->path)) {
		snprintf(why, WHY_MAX,
			"is too long a name to get a time added when it is rotated, use a shorter "
			"one");
		return blame("path", ret_key);
	}
	if (wanted->rotate_size && wanted->rotate_size < ROTATE_SIZE_MIN) {
		snprintf(why, WHY_MAX,
			"would make a file of every few datagrams, use 4K or more, or 0 for never");
		return blame("rotate_size", ret_key);
	}
	if (wanted->rotate_every && wanted->rotate_every < NS_PER_S) {
		snprintf(why, WHY_MAX, "is too often, use 1s or more, or 0 for never");
		return blame("rotate_every", ret_key);
	}
	if (wanted->quota && wanted->rotate_size > wanted->quota) {
		snprintf(why, WHY_MAX,
			"is more than quota, the file would be full before it is rotated");
		return blame("rotate_size", ret_key);
	}
	return 0;
}

const char *recorder_file(const void *settings)
{
	const char *path = ((const struct recorder_settings *)settings)->path;

	return path && strncmp(path, "/dev/", 5) ? path : NULL;
}
