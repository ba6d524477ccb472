#include "engines/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "service/path_fix.h"

#define SECRET_MAX 4096 /* bytes */

static int find_path(const char *file, char why[static WHY_MAX], char **ret)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");

	if (*file != '/' && (!directory || !*directory))
		return because(why, -ENOENT,
			"%s: is relative to $CREDENTIALS_DIRECTORY, which is not set: give the "
			"service LoadCredential=%s:FILE, or write a path that begins with /",
			file, file);
	if (*file == '/')
		*ret = strdup(file);
	else if (asprintf(ret, "%s/%s", directory, file) < 0)
		*ret = NULL;
	return *ret ? 0 : because(why, -ENOMEM, "out of memory");
}

/* A named pipe would wait for who writes it. */
static int open_file(const char *path, bool is_credential, char why[static WHY_MAX], int *ret_fd)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char fix[PATH_FIX_MAX];
	struct stat status;
	int r = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;

	if (r == -ENOENT && is_credential)
		return because(why, -ENOENT,
			"%s: %s: give the service LoadCredential=%s:FILE, or write a path that "
			"begins "
			"with /",
			path, strerror(ENOENT), strrchr(path, '/') + 1);
	if (r < 0)
		return because(why, r, "%s: %s%s", path, strerror(-r),
			path_fix(r, path, PATH_SECRET, fix));
	if (!S_ISREG(status.st_mode))
		return because(why, -EINVAL, "%s: is no regular file", path);
	*ret_fd = take_fd(fd);
	return 0;
}

/* Ends the string where the line ends. Returns 0, or -EINVAL when it is not one line. */
static int end_line(char *text, size_t size)
{
	size_t length = strcspn(text, "\r\n");

	for (size_t i = length; i < size; i++)
		if (!strchr("\r\n", text[i]) || !text[i])
			return -EINVAL;
	text[length] = '\0';
	return length ? 0 : -EINVAL;
}

int engine_read_secret(const char *file, char why[static WHY_MAX], char **ret)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	char text[SECRET_MAX + 1];
	int r = find_path(file, why, &path);
	ssize_t size;

	if (r >= 0)
		r = open_file(path, *file != '/', why, &fd);
	if (r < 0)
		return r;
	size = read(fd, text, SECRET_MAX);
	if (size < 0)
		return because(why, -errno, "%s: reading it: %s", path, strerror(errno));
	text[size] = '\0';
	if (size == SECRET_MAX || end_line(text, (size_t)size) < 0)
		r = because(why, -EINVAL,
			"%s: must have one line of at most %d bytes, and nothing else", path,
			SECRET_MAX - 1);
	else if (!(*ret = strdup(text)))
		r = because(why, -ENOMEM, "out of memory");
	explicit_bzero(text, sizeof(text));
	return r;
}

int engine_find_file(const char *file, char why[static WHY_MAX], char **ret)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	int r = find_path(file, why, &path);

	if (r >= 0)
		r = open_file(path, *file != '/', why, &fd);
	if (r >= 0)
		*ret = take(path);
	return r;
}

uint64_t engine_hash_file(const char *file, uint64_t hash)
{
	AUTO_FREE char *path = NULL;
	char why[WHY_MAX];
	struct stat status;

	if (find_path(file, why, &path) < 0 || stat(path, &status) < 0)
		return hash_bytes(hash, "", 1);
	hash = hash_bytes(hash, &status.st_dev, sizeof(status.st_dev));
	hash = hash_bytes(hash, &status.st_ino, sizeof(status.st_ino));
	hash = hash_bytes(hash, &status.st_size, sizeof(status.st_size));
	return hash_bytes(hash, &status.st_ctim, sizeof(status.st_ctim));
}
