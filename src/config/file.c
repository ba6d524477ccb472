#include "config/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/io.h"
#include "base/users.h"
#include "base/words.h"
#include "service/path_fix.h"

DEFINE_CLEANUP(DIR *, closedir)

/* The first directory above a path that this user cannot search, or the path itself. */
static const char *find_closed(const char *path, char ret[static PATH_MAX])
{
	size_t length = strlen(path);

	for (size_t end = 1; end < length; end++) {
		if (path[end] != '/')
			continue;
		snprintf(ret, PATH_MAX, "%.*s", (int)end, path);
		if (faccessat(AT_FDCWD, ret, X_OK, AT_EACCESS) < 0)
			return ret;
	}
	return path;
}

/* Says that a file or directory cannot be opened, and who must be able to. A start as root could
 * read what a reload as another user cannot. Returns a negative errno. */
static int cannot_open(const char *path, bool is_directory, int error, char why[static WHY_MAX])
{
	const char *what = is_directory ? "cannot read the directory" : "cannot open it";
	char user[ACCOUNT_NAME_MAX], group[ACCOUNT_NAME_MAX], buffer[PATH_MAX], fix[PATH_FIX_MAX];
	const char *closed;

	if (*path_covered_fix(-error, path, PATH_CONFIGURATION, fix))
		return because(why, -error, "%s: %s%s", what, strerror(error), fix);
	if (error != EACCES)
		return because(why, -error, "%s: %s", what, strerror(error));
	name_user(geteuid(), user);
	name_group(getegid(), group);
	closed = find_closed(path, buffer);
	if (closed != path)
		return because(why, -error,
			"%s: %s for user %s, who runs the daemon: chgrp %s, and chmod g+x, the "
			"directory %s",
			what, strerror(error), user, group, closed);
	return because(why, -error,
		"%s: %s for user %s, who runs the daemon: chgrp %s, and chmod %s, this %s", what,
		strerror(error), user, group, is_directory ? "g+rx" : "g+r",
		is_directory ? "directory" : "file");
}

/* O_NONBLOCK: opening a fifo would wait for its writer. */
static int open_regular(const char *path, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return cannot_open(path, false, errno, why);
	if (fstat(fd, &status) < 0)
		return because(why, -errno, "cannot read its status: %s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return because(why, -EINVAL, "is not a regular file, replace or remove it");
	return take_fd(fd);
}

int file_read(const char *path, struct text *text, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = open_regular(path, why);
	int r = fd < 0 ? fd : read_all(fd, CONFIG_FILE_MAX, text);

	if (fd < 0 || r >= 0)
		return r;
	if (r == -ENOMEM)
		return because(why, r, "out of memory");
	if (r == -EFBIG)
		return because(why, r, "is larger than 16 MiB: is this the right file?");
	return because(why, r, "cannot read it: %s", strerror(-r));
}

static bool is_config(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return *entry->d_name != '.' && length > 5 && !strcmp(entry->d_name + length - 5, ".conf");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Paths stand in error messages without escapes. */
static bool can_be_shown(const char *name)
{
	AUTO_TEXT struct text escaped = {0};

	text_append_escaped(&escaped, name, strlen(name));
	return !strcmp(text_string(&escaped), name);
}

static int add_path(
	struct string_list *paths, const char *directory, const char *name, struct errors *errors)
{
	AUTO_TEXT struct text path = {0};
	char buffer[SHOWN_MAX];
	int r;

	if (!can_be_shown(name)) {
		errors_add(errors,
			"%s: the file name \"%s\" has characters that cannot be shown, rename it",
			directory, shown(name, buffer));
		return -EINVAL;
	}
	text_printf(&path, "%s/%s", directory, name);
	r = text_failed(&path) ? -ENOMEM : string_list_add(paths, text_string(&path));
	if (r < 0)
		errors_add(errors, "%s: out of memory", directory);
	return r;
}

/* Lists the names that are to be read, sorted. */
static int list_names(const char *directory, struct string_list *names, char why[static WHY_MAX])
{
	CLEANUP(closedirp) DIR *stream = opendir(directory);
	const struct dirent *entry;
	int r = 0;

	if (!stream)
		return errno == ENOENT ? 0 : cannot_open(directory, true, errno, why);
	while (r >= 0 && (errno = 0, entry = readdir(stream))) {
		if (!is_config(entry))
			continue;
		if (names->count == CONFIG_D_MAX)
			return because(why, -EFBIG,
				"has more than %d files that end in .conf: is this the right "
				"directory? Put many groups into one file",
				CONFIG_D_MAX);
		r = string_list_add(names, entry->d_name);
	}
	if (r < 0)
		return because(why, r, "out of memory");
	if (errno)
		return because(why, -errno, "cannot read the directory: %s", strerror(errno));
	if (names->count)
		qsort(names->items, names->count, sizeof(*names->items), compare_names);
	return 0;
}

int file_list(const char *directory, struct string_list *paths, struct errors *errors)
{
	CLEANUP(string_list_clear) struct string_list names = {0};
	char why[WHY_MAX];
	int failed = list_names(directory, &names, why);

	if (failed < 0) {
		errors_add(errors, "%s: %s", directory, why);
		return failed;
	}
	for (size_t i = 0; i < names.count; i++) {
		int r = add_path(paths, directory, names.items[i], errors);

		if (r < 0)
			failed = r;
	}
	return failed;
}
