/* A configuration is accepted, or refused with reasons that can be shown. Its warnings and what
 * changes with it can be shown, too, and it is the same when it is read again. A line of "####"
 * ends a file: those that follow are in conf.d. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "config/diff.h"
#include "fuzz.h"
#include "handlers/handlers.h"

#define MAIN "/fuzz/mcastd.conf"
#define DIRECTORY "/fuzz/conf.d"
#define END "\n####\n"
#define FILES_MAX 8

/* Main file first. */
static struct input files[FILES_MAX];
static size_t file_count;

static void split(struct input input)
{
	const uint8_t *end = NULL;

	for (file_count = 0; file_count < FILES_MAX && (!file_count || end); file_count++) {
		struct input *file = &files[file_count];

		*file = input;
		end = memmem(input.data, input.size, END, strlen(END));
		if (!end)
			continue;
		file->size = (size_t)(end - input.data) + 1;
		input.data += file->size + strlen(END) - 1;
		input.size -= file->size + strlen(END) - 1;
	}
}

/* Instead of the C library's, for what lies below /fuzz. */
int open(const char *path, int flags, ...)
{
	unsigned number = 0;
	va_list list;
	mode_t mode;
	int fd;

	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	if (strcmp(path, MAIN) && sscanf(path, DIRECTORY "/%u.conf", &number) != 1)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	CHECK(number < file_count);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(fd >= 0 && pwrite(fd, files[number].data, files[number].size, 0) ==
				 (ssize_t)files[number].size);
	return fd;
}

/* The directory that is read, one at a time. */
static struct {
	size_t next;
	struct dirent entry;
} listing;

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

DIR *opendir(const char *path)
{
	if (strcmp(path, DIRECTORY) != 0)
		return REAL(opendir)(path);
	errno = ENOENT;
	listing.next = 1;
	return file_count < 2 ? NULL : (DIR *)&listing;
}

/* Sorting is left to who reads: the last comes first. */
struct dirent *readdir(DIR *directory)
{
	if (directory != (DIR *)&listing)
		return REAL(readdir)(directory);
	if (listing.next == file_count)
		return NULL;
	snprintf(listing.entry.d_name, sizeof(listing.entry.d_name), "%zu.conf",
		file_count - listing.next++);
	return &listing.entry;
}

int closedir(DIR *directory)
{
	return directory == (DIR *)&listing ? 0 : REAL(closedir)(directory);
}

static void check_lines(const struct errors *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		CHECK(!has_controls(lines->lines[i], strlen(lines->lines[i])));
}

/* again is the same file, read once more. */
static void check_changes(const struct config *config, const struct config *again)
{
	AUTO_CHANGES struct config_changes none = {0}, all = {0};

	config_compare(config, again, &none);
	CHECK(errors_total(&none.lines) == 0);
	config_compare(NULL, config, &all);
	check_lines(&all.lines);
	for (size_t i = 0; i < config->group_count; i++)
		CHECK(config_group_equal(&config->groups[i], &again->groups[i]));
	for (size_t i = 0; i < config->handler_count; i++)
		CHECK(config_handler_equal(&config->handlers[i], &again->handlers[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERRORS struct errors errors = {0};
	struct config *config = NULL, *again;
	int r;

	split((struct input){data, size});
	r = config_load(MAIN, handler_config_kinds(), &errors, &config);
	CHECK(r == 0 ? config != NULL : errors.count > 0);
	check_lines(&errors);
	if (r < 0)
		return 0;
	config_find_warnings(config);
	check_lines(&config->warnings);
	CHECK(config_load(MAIN, handler_config_kinds(), &errors, &again) == 0);
	check_changes(config, again);
	config_free(again);
	config_free(config);
	return 0;
}
