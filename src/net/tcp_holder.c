#include "net/tcp_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

DEFINE_CLEANUP(DIR *, closedir)

#define LISTENING 0x0a /* TCP_LISTEN, in those files */

/* Lines such as "   0: 0100007F:23E0 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000
 * 0 18231 1 ...": local address and port, peer, state, four fields, the user, one field, and the
 * inode of the socket. Returns that, or 0. */
static unsigned long read_inode(const char *line, const char *wanted, unsigned port)
{
	unsigned local, state;
	unsigned long inode;
	char address[33];

	if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*s %*s %lu", address, &local,
		    &state, &inode) != 4 ||
		local != port || state != LISTENING || strcmp(address, wanted))
		return 0;
	return inode;
}

static unsigned long find_inode(const struct address *address, unsigned port)
{
	CLEANUP(fclosep)
	FILE *file = fopen(address->family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
	size_t words = address->family == AF_INET ? 1 : 4, room = 0;
	AUTO_FREE char *line = NULL;
	unsigned long inode = 0;
	char wanted[33];

	for (size_t i = 0; i < words; i++)
		snprintf(wanted + 8 * i, 9, "%08X", address->v6.s6_addr32[i]);
	while (file && !inode && getline(&line, &room, file) > 0)
		inode = read_inode(line, wanted, port);
	return inode;
}

bool tcp_holder_may_be(const struct address *address, unsigned port, pid_t process)
{
	unsigned long inode = find_inode(address, port);
	char path[32], wanted[48], target[48];
	CLEANUP(closedirp) DIR *directory = NULL;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)process);
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	directory = opendir(path);
	if (!directory)
		return true;
	while (inode && (entry = readdir(directory))) {
		ssize_t length = readlinkat(
			dirfd(directory), entry->d_name, target, sizeof(target) - 1);

		if (length > 0) {
			target[length] = '\0';
			if (!strcmp(target, wanted))
				return true;
		}
	}
	return false;
}
