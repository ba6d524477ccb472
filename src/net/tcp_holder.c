#include "net/tcp_holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "net/udp_sockets.h"

DEFINE_CLEANUP(DIR *, closedir)

#define FILE_MAX (64u << 20)

/* A line of /proc/net/tcp has the columns of one of /proc/net/udp, up to the inode. */
static void read_sockets(sa_family_t family, struct udp_sockets *ret)
{
	AUTO_TEXT struct text text = {0};
	const char *path = family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6";

	if (read_file(path, FILE_MAX, &text) >= 0)
		udp_sockets_parse(ret, family, text_string(&text));
}

static bool has_inode(int directory, const char *name, uint64_t inode)
{
	char wanted[48], target[48];
	ssize_t length = readlinkat(directory, name, target, sizeof(target) - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
	return !strcmp(target, wanted);
}

static bool has_one(int directory, const char *name, const struct address *address, unsigned port,
	const struct udp_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].port == port &&
			address_equal(&sockets->items[i].address, address) &&
			has_inode(directory, name, sockets->items[i].inode))
			return true;
	return false;
}

bool tcp_holder_may_be(const struct address *address, unsigned port, pid_t process)
{
	struct udp_sockets sockets = {0};
	CLEANUP(closedirp) DIR *directory = NULL;
	const struct dirent *entry;
	bool found = false;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)process);
	directory = opendir(path);
	if (!directory)
		return true;
	read_sockets(address->family, &sockets);
	while (!found && (entry = readdir(directory)))
		found = has_one(dirfd(directory), entry->d_name, address, port, &sockets);
	udp_sockets_clear(&sockets);
	return found;
}
