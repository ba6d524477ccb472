#include "service/path_fix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/users.h"
#include "service/sandbox.h"

static const struct {
	const char *instead; /* comes before the directory */
	const char *variable; /* in which systemd passes the directory, or NULL */
	const char *directory; /* without the variable */
	const char *home; /* how a path in a home directory can stay */
	const char *permit; /* what lets the daemon's user use it */
	bool is_written;
} uses[] = {
	[PATH_RECORDING] = {"use", "LOGS_DIRECTORY", "/var/log/mcastd",
		", or the drop-in recordings-elsewhere.conf (systemd/examples) with "
		"ProtectHome=read-only",
		"chown or chmod it", true},
	[PATH_LISTENING] = {"use a path in", "RUNTIME_DIRECTORY", "/run/mcastd", "",
		"chown or chmod it", true},
	[PATH_CONNECTING] = {"use a socket in", NULL, "/run",
		", or ProtectHome=read-only, as in the drop-in handler-programs.conf "
		"(systemd/examples)",
		"chmod or chgrp it", false},
	[PATH_SECRET] = {"have systemd pass it on with", NULL, "LoadCredential=", "",
		"chmod or chgrp it, or have systemd pass it on with LoadCredential=", false},
	[PATH_PROGRAM] = {"install it in", NULL, "/usr/local/bin",
		", or the drop-in handler-programs.conf (systemd/examples) with "
		"ProtectHome=read-only",
		"chmod or chgrp it", false},
	[PATH_CONFIGURATION] = {"keep it in", NULL, "/etc/mcastd", "", "chmod or chgrp it", false},
};

/* ---- What this process sees ---- */

enum cover {
	COVER_NONE,
	COVER_OWN_TMP, /* PrivateTmp= */
	COVER_HOME, /* ProtectHome=, other than read-only */
	COVER_HIDDEN, /* InaccessiblePaths= */
};

struct view {
	/* The path, or the nearest directory above that can be reached, without symbolic links. */
	char reached[PATH_MAX];
	bool is_all; /* it is the path */
	enum cover cover;
	char at[PATH_MAX]; /* where that is mounted */
};

static void reach(const char *path, struct view *view)
{
	char left[PATH_MAX];

	snprintf(left, sizeof(left), "%s", path);
	view->is_all = realpath(left, view->reached);
	while (!view->is_all) {
		char *slash = strrchr(left, '/');

		if (!slash || slash == left)
			strcpy(left, slash ? "/" : ".");
		else
			*slash = '\0';
		if (realpath(left, view->reached))
			return;
		if (!strcmp(left, "/") || !strcmp(left, ".")) {
			strcpy(view->reached, "/");
			return;
		}
	}
}

static enum cover cover_of(const char *root, const char *at, const char *type)
{
	bool is_home = !strcmp(at, "/home") || !strcmp(at, "/root") || !strcmp(at, "/run/user");

	if (strstr(root, "/systemd-private-"))
		return COVER_OWN_TMP;
	if (strstr(root, "/systemd/inaccessible/"))
		return is_home ? COVER_HOME : COVER_HIDDEN;
	return is_home && !strcmp(type, "tmpfs") && systemd_started_this() ? COVER_HOME
									   : COVER_NONE;
}

static bool is_below(const char *path, const char *at)
{
	size_t length = strlen(at);

	return !strcmp(at, "/") ||
	       (!strncmp(path, at, length) && (!path[length] || path[length] == '/'));
}

/* By proc(5), /proc/PID/mountinfo: the innermost mount has the path, and the last one of a
 * place. */
static void look(const char *path, struct view *view)
{
	CLEANUP(fclosep) FILE *mounts = fopen("/proc/self/mountinfo", "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	*view = (struct view){0};
	reach(path, view);
	while (mounts && getline(&line, &size, mounts) >= 0) {
		char root[PATH_MAX], at[PATH_MAX], type[32] = "";
		const char *rest = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %*s %4095s %4095s", root, at) != 2 ||
			!is_below(view->reached, at) || strlen(at) < strlen(view->at))
			continue;
		if (rest)
			sscanf(rest, " - %31s", type);
		view->cover = cover_of(root, at, type);
		strcpy(view->at, at);
	}
}

static bool is_read_only(const struct view *view)
{
	struct statvfs status;

	return statvfs(view->reached, &status) == 0 && status.f_flag & ST_RDONLY;
}

static bool may(const struct view *view, int mode)
{
	return faccessat(AT_FDCWD, view->reached, mode, AT_EACCESS) == 0 || errno != EACCES;
}

/* ---- What to do ---- */

static const char *directory_for(enum path_use use, int *ret_length)
{
	const char *list = uses[use].variable ? getenv(uses[use].variable) : NULL;
	const char *directory = list && *list == '/' ? list : uses[use].directory;

	*ret_length = (int)strcspn(directory, ":");
	return directory;
}

static void say_covered(const struct view *view, enum path_use use, char fix[static PATH_FIX_MAX])
{
	int length;
	const char *directory = directory_for(use, &length);

	if (view->cover == COVER_OWN_TMP)
		because(fix, 0, "; the service has a %s of its own (PrivateTmp=): %s %.*s",
			view->at, uses[use].instead, length, directory);
	else
		because(fix, 0, "; the service does not see %s (%s): %s %.*s%s", view->at,
			view->cover == COVER_HOME ? "ProtectHome=" : "InaccessiblePaths=",
			uses[use].instead, length, directory,
			view->cover == COVER_HOME ? uses[use].home : "");
}

/* All that is to be done, as each of it is refused with an error of its own. */
static void say_read_only(enum path_use use, char fix[static PATH_FIX_MAX])
{
	char user[ACCOUNT_NAME_MAX];
	int length;
	const char *directory = directory_for(use, &length);

	name_user(geteuid(), user);
	if (!systemd_started_this())
		because(fix, 0, "; its file system is read-only here: use another path");
	else if (use == PATH_RECORDING)
		because(fix, 0,
			"; the service writes to %.*s; for another directory, make it, chown it to "
			"%s, and install the drop-in recordings-elsewhere.conf (systemd/examples)",
			length, directory, user);
	else
		because(fix, 0, "; the service makes sockets in %.*s: use a path there", length,
			directory);
}

static void say_denied(
	const struct view *view, const char *verb, enum path_use use, char fix[static PATH_FIX_MAX])
{
	char user[ACCOUNT_NAME_MAX], owner[ACCOUNT_NAME_MAX];
	struct stat status;

	if (stat(view->reached, &status) < 0)
		return;
	name_user(geteuid(), user);
	name_user(status.st_uid, owner);
	because(fix, 0, "; the daemon's user, %s, may not %s %s (of user %s, mode %04o): %s", user,
		verb, view->reached, owner, (unsigned)status.st_mode & 07777, uses[use].permit);
}

/* The unit has a directory for sockets: no other is to be given to the daemon's user. */
static bool is_place_for_sockets(const struct view *view)
{
	return !systemd_started_this() || may(view, W_OK);
}

static void say_own_permissions(
	const struct view *view, enum path_use use, char fix[static PATH_FIX_MAX])
{
	bool is_written = uses[use].is_written || use == PATH_CONNECTING;

	if (is_written && !may(view, W_OK))
		say_denied(view, "write to", use, fix);
	else if (use != PATH_CONNECTING && use != PATH_PROGRAM && !may(view, R_OK))
		say_denied(view, "read", use, fix);
}

static bool is_of_places(int r)
{
	return r == -ENOENT || r == -EACCES || r == -EPERM || r == -EROFS;
}

const char *path_covered_fix(
	int r, const char *path, enum path_use use, char fix[static PATH_FIX_MAX])
{
	struct view view;

	*fix = '\0';
	if (!is_of_places(r))
		return fix;
	look(path, &view);
	if (view.cover != COVER_NONE)
		say_covered(&view, use, fix);
	return fix;
}

const char *path_fix(int r, const char *path, enum path_use use, char fix[static PATH_FIX_MAX])
{
	bool is_written = uses[use].is_written;
	struct view view;

	if (*path_covered_fix(r, path, use, fix) || !is_of_places(r))
		return fix;
	look(path, &view);
	if (use == PATH_LISTENING && !is_place_for_sockets(&view))
		say_read_only(use, fix);
	else if (!view.is_all && !may(&view, X_OK))
		say_denied(&view, "enter", use, fix);
	else if (r == -ENOENT && is_below(path, "/dev") && systemd_started_this())
		because(fix, 0,
			"; the service has no other devices without PrivateDevices=no, see the "
			"drop-in handler-programs.conf");
	else if (r == -EROFS || (is_written && is_read_only(&view)))
		say_read_only(use, fix);
	else if (r == -ENOENT && is_written)
		because(fix, 0, "; create its directory, for the user that the daemon runs as");
	else if (r != -ENOENT)
		say_own_permissions(&view, use, fix);
	return fix;
}

bool path_is_private(const char *path, enum path_use use, char why[static WHY_MAX])
{
	int length;
	const char *directory = directory_for(use, &length);
	struct view view;

	look(path, &view);
	if (view.cover != COVER_OWN_TMP)
		return false;
	because(why, 0,
		uses[use].is_written ? "%s is seen by the service alone, which has a %s of its own "
				       "(PrivateTmp=), and is removed when it stops: %s %.*s"
				     : "%s is not seen by the service, which has a %s of its own "
				       "(PrivateTmp=): %s %.*s",
		path, view.at, uses[use].instead, length, directory);
	return true;
}
