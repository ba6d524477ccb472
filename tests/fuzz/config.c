/* A configuration is accepted, or refused with reasons that can be shown. Its warnings and what
 * changes with it can be shown, too, and it is the same when it is read again. A line of "####"
 * ends a file: those that follow are in conf.d. A file of "!13" cannot be opened, by that errno,
 * and one of "!0" is no regular file. */
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

/* Why a file cannot be opened, 0 where it is no regular one; -1: it can be read. */
static int find_failure(const struct input *file)
{
	char text[8] = "";
	int error;

	if (file->size >= sizeof(text))
		return -1;
	if (file->size)
		memcpy(text, file->data, file->size);
	return sscanf(text, "!%3d", &error) == 1 && error >= 0 && error < 134 ? error : -1;
}

/* Instead of the C library's, for what lies below /fuzz. */
int open(const char *path, int flags, ...)
{
	unsigned number = 0;
	va_list list;
	mode_t mode;
	int fd, error;

	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	if (strcmp(path, MAIN) && sscanf(path, DIRECTORY "/%u.conf", &number) != 1)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	CHECK(number < file_count);
	error = find_failure(&files[number]);
	if (!error)
		return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", flags, mode);
	if (error > 0) {
		errno = error;
		return -1;
	}
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

static void check_group(const struct config_group *group)
{
	CLEANUP(config_group_clear) struct config_group copy = {0};

	CHECK(config_group_copy(&copy, group) == 0 && config_group_equal(&copy, group));
	for (size_t i = 0; i < group->sources.count; i++)
		CHECK(config_group_takes(group, &group->sources.items[i]));
	for (size_t i = 0; i < group->block_sources.count; i++)
		CHECK(!config_group_takes(group, &group->block_sources.items[i]));
}

/* again is the same file, read once more. */
static void check_changes(const struct config *config, const struct config *again)
{
	AUTO_CHANGES struct config_changes none = {0}, all = {0};

	config_compare(config, again, &none);
	CHECK(errors_total(&none.lines) == 0);
	config_compare(NULL, config, &all);
	check_lines(&all.lines);
	for (size_t i = 0; i < config->group_count; i++) {
		CHECK(config_group_equal(&config->groups[i], &again->groups[i]));
		check_group(&config->groups[i]);
	}
	for (size_t i = 0; i < config->handler_count; i++)
		CHECK(config_handler_equal(&config->handlers[i], &again->handlers[i]));
}

/* What changes when the files of conf.d are removed, and when they come back. */
static void check_fewer_files(const struct config *config)
{
	AUTO_CHANGES struct config_changes removed = {0}, added = {0};
	AUTO_ERRORS struct errors errors = {0};
	struct config *fewer;

	file_count = 1;
	if (config_load(MAIN, handler_config_kinds(), &errors, &fewer) < 0)
		return;
	config_compare(config, fewer, &removed);
	config_compare(fewer, config, &added);
	CHECK(errors_total(&removed.lines) == errors_total(&added.lines));
	check_lines(&removed.lines);
	check_lines(&added.lines);
	config_free(fewer);
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
	if (file_count > 1)
		check_fewer_files(config);
	config_free(config);
	return 0;
}
