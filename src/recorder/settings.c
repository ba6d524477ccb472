#include "recorder/settings.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "child/trust.h"
#include "recorder/path.h"
#include "service/path_fix.h"

const char *const recorder_sync_names[] = {"none", "interval", "each", NULL};
const char *const recorder_name_times[] = {"end", "begin", NULL};

int recorder_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct recorder_settings *wanted = settings;

	*ret_key = "path";
	if (!recorder_path_fits(wanted->path))
		return because(why, -EINVAL,
			"is too long a name to get a time added when it is rotated, use a shorter "
			"one");
	*ret_key = "rotate_size";
	if (wanted->quota && wanted->rotate_size > wanted->quota)
		return because(why, -EINVAL,
			"is more than quota, the file would be full before it is rotated");
	*ret_key = "keep_for";
	if (wanted->keep_for && wanted->name_time == RECORDER_NAME_BEGIN &&
		wanted->keep_for < wanted->rotate_every)
		return because(why, -EINVAL,
			"is less than rotate_every, and counts from the beginning of a file "
			"(name_time): it would be removed as soon as it is rotated, use more");
	*ret_key = "after_rotate";
	return wanted->after_rotate.count ? child_trust_command(&wanted->after_rotate, why) : 0;
}

const char *recorder_file(const void *settings)
{
	return ((const struct recorder_settings *)settings)->path;
}

/* Only rotated files make room. */
static bool quota_doubt(const struct recorder_settings *wanted, char why[static WHY_MAX])
{
	char quota[UNIT_STRING_MAX];

	if (!wanted->quota || wanted->rotate_size || wanted->rotate_every)
		return false;
	because(why, 0,
		"quota: without rotate_size or rotate_every no file is rotated that could make "
		"room, and recording stops when %s has %s; set rotate_size to a part of quota",
		wanted->path, format_size(wanted->quota, quota));
	return true;
}

/* They remove rotated files only. */
static bool keep_doubt(const struct recorder_settings *wanted, char why[static WHY_MAX])
{
	const char *key = wanted->keep_for ? "keep_for" : "keep";

	if ((!wanted->keep && !wanted->keep_for) || wanted->rotate_size || wanted->rotate_every)
		return false;
	because(why, 0,
		"%s: without rotate_size or rotate_every only mcastctl rotate and SIGUSR1 begin a "
		"new file: until then the file grows, and nothing is removed; unless something "
		"does that regularly, set rotate_every",
		key);
	return true;
}

bool recorder_doubt(const void *settings, char why[static WHY_MAX])
{
	const struct recorder_settings *wanted = settings;

	return path_is_private(wanted->path, PATH_RECORDING, why) ||
	       (wanted->after_rotate.count && program_doubt(&wanted->after_rotate, why)) ||
	       quota_doubt(wanted, why) || keep_doubt(wanted, why);
}
