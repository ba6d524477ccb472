#include "daemon/keep_source.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "config/report.h"
#include "daemon/identity.h"

static bool is_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->handler_count; i++)
		if (config_handler_keeps_source(&config->handlers[i]))
			return true;
	return false;
}

int keep_source_open(const struct config *config, char why[static WHY_MAX], struct spoof **ret)
{
	int r;

	if (!is_wanted(config))
		return 0;
	r = spoof_new(why, ret);
	if (r < 0)
		log_warning("no handler can send with the address of the sender: %s", why);
	r = identity_drop_net_raw();
	if (r < 0)
		return because(why, r,
			"dropping CAP_NET_RAW: %s; the unit needs SystemCallFilter=capset, as in "
			"the drop-in relay-keeps-source.conf",
			strerror(-r));
	return 0;
}

/* ---- What a unit gives ---- */

/* The unit that runs the daemon with this configuration, as the units of systemd/ say. False: none.
 */
static bool find_unit(const char *path, char unit[static NAME_MAX + 1])
{
	static const char suffix[] = ".conf";
	size_t directory = (size_t)(strrchr(MCASTD_CONFIG, '/') + 1 - MCASTD_CONFIG);
	size_t length = strlen(path);

	if (!strcmp(path, MCASTD_CONFIG)) {
		strcpy(unit, "mcastd.service");
		return true;
	}
	if (strncmp(path, MCASTD_CONFIG, directory) || strchr(path + directory, '/') ||
		length < directory + sizeof(suffix) ||
		strcmp(path + length + 1 - sizeof(suffix), suffix))
		return false;
	return snprintf(unit, NAME_MAX + 1, "mcastd@%.*s.service",
		       (int)(length + 1 - sizeof(suffix) - directory),
		       path + directory) <= NAME_MAX;
}

/* Whether a file has a line AmbientCapabilities= with CAP_NET_RAW. */
static bool file_gives(const char *path)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) >= 0)
		if (!strncmp(line, "AmbientCapabilities=", strlen("AmbientCapabilities=")) &&
			strcasestr(line, "CAP_NET_RAW"))
			return true;
	return false;
}

/* Whether a drop-in of the unit does (systemd.unit(5)): of mcastd@lab.service those of
 * mcastd@.service count as well. */
static bool unit_gives(const char *unit)
{
	static const char *const directories[] = {"/etc", "/run", "/usr/local/lib", "/usr/lib"};
	const char *at = strchr(unit, '@');
	char pattern[PATH_MAX];
	glob_t found = {0};
	bool gives = false;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		int append = i ? GLOB_APPEND : 0;

		snprintf(pattern, sizeof(pattern), "%s/systemd/system/%s.d/*.conf", directories[i],
			unit);
		glob(pattern, append, NULL, &found);
		snprintf(pattern, sizeof(pattern), "%s/systemd/system/mcastd@.service.d/*.conf",
			directories[i]);
		if (at)
			glob(pattern, GLOB_APPEND, NULL, &found);
	}
	for (size_t i = 0; i < found.gl_pathc && !gives; i++)
		gives = file_gives(found.gl_pathv[i]);
	globfree(&found);
	return gives;
}

static void warn(struct config *config, const char *why)
{
	for (size_t i = 0; i < config->handler_count; i++) {
		struct subject subject = handler_subject(&config->handlers[i]);

		if (config_handler_keeps_source(&config->handlers[i]))
			config_report(
				&config->warnings, &subject, 0, "keep_source", "warning: %s", why);
	}
}

void keep_source_warn(struct config *config, const char *path)
{
	char unit[NAME_MAX + 1], text[2 * WHY_MAX];

	if (!is_wanted(config) || !path)
		return;
	if (find_unit(path, unit)) {
		if (unit_gives(unit))
			return;
		snprintf(text, sizeof(text),
			"no drop-in of %s gives CAP_NET_RAW, without which all datagrams are "
			"dropped: " SPOOF_FIX,
			unit);
		warn(config, text);
	} else if (!identity_has_net_raw()) {
		warn(config,
			"all datagrams are dropped if the daemon has no more capabilities than "
			"this check: " SPOOF_FIX);
	}
}
