#include "net/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

/* A part is one in this many, and at most RESERVED_MAX. */
#define RESERVED 16
#define RESERVED_MAX 512

/* As the comment at the top of the header has them. */
#define PARTS 3

unsigned descriptors_reserved(unsigned limit)
{
	unsigned reserved = limit / RESERVED;

	return reserved < RESERVED_MAX ? reserved : RESERVED_MAX;
}

unsigned descriptors_for_sockets(unsigned limit)
{
	return limit - PARTS * descriptors_reserved(limit);
}

bool descriptors_limit(unsigned *ret)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
		return false;
	*ret = (unsigned)limit.rlim_cur;
	return true;
}

unsigned descriptors_used(int fd, unsigned limit)
{
	int next = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (next < 0)
		return limit;
	close(next);
	return (unsigned)next;
}

int descriptors_check(unsigned more, char why[static WHY_MAX])
{
	unsigned limit;

	if (!descriptors_limit(&limit))
		return 0;
	if (descriptors_used(STDERR_FILENO, limit) + more <= descriptors_for_sockets(limit))
		return 0;
	return because(why, -EMFILE,
		"descriptors are short: of %u, the last %u are reserved for the control socket, "
		"reloads and programs; " DESCRIPTORS_FIX,
		limit, limit - descriptors_for_sockets(limit));
}
