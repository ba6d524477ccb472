#include "handlers/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More segments than any library has. */
#define SEGMENTS_MAX 64

/* Returns a descriptor and the size. O_NONBLOCK: opening a fifo would wait for its writer. */
static int open_regular(const char *path, uint64_t *ret_size, char why[static WHY_MAX])
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return because(why, -EINVAL, "%s is not a regular file", path);
	*ret_size = (uint64_t)status.st_size;
	return take_fd(fd);
}

static bool read_header(int fd, ElfW(Ehdr) * ret)
{
	return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) &&
	       !memcmp(ret->e_ident, ELFMAG, SELFMAG);
}

/* The running program is of the architecture that modules must be of; where it cannot be read,
 * dlopen() finds out. */
static bool is_of_this_machine(const ElfW(Ehdr) * header)
{
	AUTO_CLOSE int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) own;

	if (fd < 0 || !read_header(fd, &own))
		return true;
	return header->e_ident[EI_CLASS] == own.e_ident[EI_CLASS] &&
	       header->e_ident[EI_DATA] == own.e_ident[EI_DATA] &&
	       header->e_machine == own.e_machine;
}

/* Whether all that would be mapped is in the file. */
static bool is_whole(int fd, const ElfW(Ehdr) * header, uint64_t size)
{
	ElfW(Phdr) segments[SEGMENTS_MAX];
	size_t length = header->e_phnum * sizeof(*segments);

	if (header->e_phnum > SEGMENTS_MAX || header->e_phentsize != sizeof(*segments) ||
		pread(fd, segments, length, (off_t)header->e_phoff) != (ssize_t)length)
		return false;
	for (size_t i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD &&
			(segments[i].p_filesz > size ||
				segments[i].p_offset > size - segments[i].p_filesz))
			return false;
	return true;
}

int module_file_check(const char *path, char why[static WHY_MAX])
{
	ElfW(Ehdr) header;
	uint64_t size = 0;
	AUTO_CLOSE int fd = open_regular(path, &size, why);

	if (fd < 0)
		return fd;
	if (!read_header(fd, &header))
		return because(why, -ELIBBAD, "%s is no module", path);
	if (!is_of_this_machine(&header))
		return because(why, -ELIBBAD, "%s is for another architecture", path);
	if (!is_whole(fd, &header, size))
		return because(why, -ELIBBAD, "%s is not whole", path);
	return 0;
}
