/* Walks the path as the kernel does (path_resolution(7)), one name at a time, and checks each file
 * through a descriptor, so that nobody can replace it meanwhile. */
#include "child/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/words.h"
#include "service/path_fix.h"

#define LINKS_MAX 40 /* the kernel's limit */
#define PATH_SHOWN 100
#define BLANKS " \t"

struct walk {
	int at; /* the directory that was reached, O_PATH */
	char where[PATH_MAX]; /* and its path, without symbolic links; "" for the root */
	char left[2 * PATH_MAX]; /* what is still to be walked */
	unsigned links; /* followed so far */
	char shown[SHOWN_MAX];
	char *why;
};

enum step { STEP_ON, STEP_ARRIVED };

/* A path as it can stand in a message; valid until the next call. */
static const char *show(struct walk *walk, const char *path)
{
	AUTO_TEXT struct text text = {0};

	text_append_escaped(&text, path, strlen(path));
	snprintf(walk->shown, SHOWN_MAX, "%.*s%s", PATH_SHOWN, text_string(&text),
		text.length > PATH_SHOWN ? "..." : "");
	return walk->shown;
}

static int failed(struct walk *walk, int r, const char *path)
{
	char fix[PATH_FIX_MAX];

	path_fix(r, path, PATH_PROGRAM, fix);
	return because(walk->why, r, "%s: %s%s", show(walk, path), strerror(-r), fix);
}

/* Refuses what others may write to. */
static int check_writers(struct walk *walk, const char *path, const struct stat *status)
{
	unsigned mode = status->st_mode & 07777;

	if (status->st_uid != 0 && status->st_uid != geteuid())
		return because(walk->why, -EPERM,
			"%s belongs to user %u, who could put another program there: let it belong "
			"to root",
			show(walk, path), (unsigned)status->st_uid);
	if (!(mode & (S_IWGRP | S_IWOTH)))
		return 0;
	return because(walk->why, -EPERM, "%s (mode %04o) lets %s put another program there: %s",
		show(walk, path), mode, mode & S_IWOTH ? "everybody" : "its group",
		mode & S_ISVTX ? "use one in a directory of root's" : "chmod go-w it");
}

static int check_program(
	struct walk *walk, const char *path, const char *name, const struct stat *status)
{
	if (S_ISDIR(status->st_mode))
		return because(walk->why, -EISDIR, "%s is a directory, name a program in it",
			show(walk, path));
	if (!S_ISREG(status->st_mode))
		return because(walk->why, -EACCES, "%s is no regular file, name a program",
			show(walk, path));
	if (faccessat(walk->at, name, X_OK, AT_EACCESS) < 0)
		return because(walk->why, -EACCES,
			"%s (mode %04o) may not be executed by the daemon's user: %s",
			show(walk, path), (unsigned)status->st_mode & 07777,
			status->st_mode & S_IXOTH ? "is its file system mounted noexec?"
						  : "chmod a+x it");
	return check_writers(walk, path, status);
}

/* Starts at the root, again after an absolute symbolic link. */
static int enter_root(struct walk *walk)
{
	struct stat status;

	closep(&walk->at);
	walk->at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	walk->where[0] = '\0';
	if (walk->at < 0 || fstat(walk->at, &status) < 0)
		return failed(walk, -errno, "/");
	return check_writers(walk, "/", &status);
}

/* Inserts the target of a symbolic link before the rest of the path. */
static int follow(struct walk *walk, int link, const char *path, const char *rest)
{
	char target[PATH_MAX], left[sizeof(walk->left)];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);

	if (length < 0)
		return failed(walk, -errno, path);
	target[length] = '\0';
	if (++walk->links > LINKS_MAX || (size_t)length + strlen(rest) >= sizeof(left))
		return because(walk->why, -ELOOP, "%s leads through too many symbolic links",
			show(walk, path));
	strcpy(stpcpy(left, target), rest);
	memcpy(walk->left, left, sizeof(left));
	return *target == '/' ? enter_root(walk) : 0;
}

static int enter_directory(
	struct walk *walk, int *fd, const char *path, const char *rest, const struct stat *status)
{
	int r;

	if (!S_ISDIR(status->st_mode))
		return because(walk->why, -ENOTDIR, "%s is not a directory", show(walk, path));
	r = check_writers(walk, path, status);
	if (r < 0)
		return r;
	closep(&walk->at);
	walk->at = take_fd(*fd);
	memmove(walk->where, path, strlen(path) + 1);
	memmove(walk->left, rest, strlen(rest) + 1);
	return 0;
}

/* The path of a name in the directory that was reached. */
static int join(const struct walk *walk, const char *name, char path[static PATH_MAX])
{
	const char *slash = strrchr(walk->where, '/');
	int n;

	if (!strcmp(name, "."))
		n = snprintf(path, PATH_MAX, "%s", walk->where);
	else if (!strcmp(name, ".."))
		n = snprintf(path, PATH_MAX, "%.*s", slash ? (int)(slash - walk->where) : 0,
			walk->where);
	else
		n = snprintf(path, PATH_MAX, "%s/%s", walk->where, name);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Takes one name of the path, in the directory that was reached; rest is what comes after it. */
static int descend(struct walk *walk, const char *name, const char *rest)
{
	AUTO_CLOSE int fd = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	char path[PATH_MAX];
	struct stat status;

	if (join(walk, name, path) < 0)
		return failed(walk, -ENAMETOOLONG, name);
	if (r < 0 || fstat(fd, &status) < 0)
		return failed(walk, r < 0 ? r : -errno, path);
	if (S_ISLNK(status.st_mode))
		return follow(walk, fd, path, rest);
	if (*rest)
		return enter_directory(walk, &fd, path, rest, &status);
	r = check_program(walk, path, name, &status);
	return r < 0 ? r : STEP_ARRIVED;
}

static int step(struct walk *walk)
{
	const char *start = walk->left + strspn(walk->left, "/");
	size_t length = strcspn(start, "/");
	char name[NAME_MAX + 1];

	if (!length)
		return because(walk->why, -EISDIR, "%s/ is a directory, name a program in it",
			show(walk, walk->where));
	if (length > NAME_MAX)
		return because(walk->why, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
	memcpy(name, start, length);
	name[length] = '\0';
	return descend(walk, name, start + length);
}

int child_trust(const char *path, char why[static WHY_MAX])
{
	struct walk walk = {.at = -1, .why = why};
	int r;

	if (*path != '/')
		return because(why, -EINVAL, "is not an absolute path, begin it with /");
	if (strlen(path) >= PATH_MAX)
		return because(why, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
	strcpy(walk.left, path);
	r = enter_root(&walk);
	while (r == STEP_ON)
		r = step(&walk);
	closep(&walk.at);
	return r < 0 ? r : 0;
}

/* Writes a command line as the list that it has to be: ["/usr/bin/logger", "-t", "feed"]. */
static void split(const char *line, char ret[static SHOWN_MAX])
{
	AUTO_TEXT struct text text = {0};

	for (size_t length; *(line += strspn(line, BLANKS)); line += length) {
		length = strcspn(line, BLANKS);
		text_append_string(&text, text.length ? ", \"" : "\"");
		text_append_escaped(&text, line, length);
		text_append_string(&text, "\"");
	}
	snprintf(ret, SHOWN_MAX, "%.*s%s", PATH_SHOWN, text_string(&text),
		text.length > PATH_SHOWN ? "..." : "");
}

int child_trust_command(const struct string_list *command, char why[static WHY_MAX])
{
	const char *program = command->items[0];
	int r = child_trust(program, why);
	char list[SHOWN_MAX];

	if (r != -ENOENT || command->count > 1 || !program[strcspn(program, BLANKS)])
		return r;
	split(program, list);
	return because(
		why, r, "there is no program of that name: no shell reads it, write [%s]", list);
}

int program_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	*ret_key = "command";
	return child_trust_command(settings, why);
}

/* The first line of a script names its interpreter, up to a blank or the end of the line
 * (execve(2)): a carriage return is part of its name, or of its argument. */
static bool doubt_script(struct walk *walk, const char *path, char *line)
{
	char *interpreter = line + 2 + strspn(line + 2, BLANKS), *end = strchrnul(line, '\n');
	int r;

	if (*end && end[-1] == '\r') {
		because(walk->why, 0,
			"%s cannot be started: its lines end in CR LF, save it with LF", path);
		return true;
	}
	interpreter[strcspn(interpreter, BLANKS "\n")] = '\0';
	r = *interpreter == '/' ? access(interpreter, X_OK) < 0 ? -errno : 0 : -ENOENT;
	if (r < 0)
		because(walk->why, r, "%s cannot be started: its interpreter, %s: %s", path,
			show(walk, interpreter), strerror(-r));
	return r < 0;
}

const char *program_fix(int r, const char *program, char fix[static WHY_MAX])
{
	path_fix(r, program, PATH_PROGRAM, fix);
	if (!*fix && (r == -ENOENT || r == -EACCES || r == -ENOEXEC))
		because(fix, 0, "; install it, or correct command");
	return fix;
}

bool program_doubt(const void *settings, char why[static WHY_MAX])
{
	const char *path = ((const struct string_list *)settings)->items[0];
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct walk walk = {.why = why};
	char shown[SHOWN_MAX], line[PATH_MAX] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

	memcpy(shown, show(&walk, path), sizeof(shown));
	if (n >= 2 && !strncmp(line, "#!", 2))
		return doubt_script(&walk, shown, line);
	if (fd < 0 || (n >= 4 && !memcmp(line, "\177ELF", 4)))
		return false; /* what may only be executed is no script, or fails as one */
	because(why, 0, "%s cannot be started: it is no program and does not begin with #!", shown);
	return true;
}
