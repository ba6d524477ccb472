#include "net/joined.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Lines of /proc/net/igmp: "4<tab>eth0      :     1      V3", followed for each of its groups by
 * "<tab>...010000E0 ...", the address as a number in this host's byte order. */
static int read_line_v4(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET};
	unsigned address, version;

	if (*line != '\t') {
		*ifindex = (unsigned)strtoul(line, NULL, 10);
		if (sscanf(line, "%*u %*[^:]: %*u V%u", &version) == 1 && version < 3)
			return array_add(&joined->version2, *ifindex);
		return 0;
	}
	if (sscanf(line, " %8x", &address) != 1)
		return 0;
	group.v4.s_addr = address;
	return array_add(joined, (struct joined_group){group, *ifindex});
}

/* Lines of /proc/net/igmp6: "4    eth0   ff020000000000000000000000000001     1 0000000C 0". */
static int read_line_v6(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET6};
	char digits[33];

	if (sscanf(line, "%u %*s %32[0-9a-f]", ifindex, digits) != 2 || strlen(digits) != 32)
		return 0;
	for (unsigned i = 0; i < 16; i++)
		if (sscanf(digits + 2 * i, "%2hhx", &group.v6.s6_addr[i]) != 1)
			return 0;
	return array_add(joined, (struct joined_group){group, *ifindex});
}

typedef int line_reader(struct joined *joined, const char *line, unsigned *ifindex);

static int read_file(struct joined *joined, const char *path, line_reader *read_line)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	unsigned ifindex = 0;
	size_t room = 0;
	int r = 0;

	/* A kernel without IPv6 has no such file. */
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (r >= 0 && getline(&line, &room, file) > 0)
		r = read_line(joined, line, &ifindex);
	return r < 0 ? r : ferror(file) ? -EIO : 0;
}

static int compare(const void *a, const void *b)
{
	const struct joined_group *left = a, *right = b;

	if (left->ifindex != right->ifindex)
		return left->ifindex < right->ifindex ? -1 : 1;
	return address_compare(&left->group, &right->group);
}

int joined_read(struct joined *joined)
{
	int r = read_file(joined, "/proc/net/igmp", read_line_v4);

	r = r < 0 ? r : read_file(joined, "/proc/net/igmp6", read_line_v6);
	/* Every host has joined 224.0.0.1: an empty list means that there is no /proc. */
	if (r >= 0 && !joined->count)
		r = -ENOENT;
	if (r < 0)
		joined_clear(joined);
	else
		qsort(joined->items, joined->count, sizeof(*joined->items), compare);
	return r;
}

void joined_clear(struct joined *joined)
{
	free(joined->items);
	free(joined->version2.items);
	*joined = (struct joined){0};
}

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	struct joined_group wanted = {.group = *group, .ifindex = ifindex};

	return bsearch(&wanted, joined->items, joined->count, sizeof(wanted), compare);
}

bool joined_is_version2(const struct joined *joined, unsigned ifindex)
{
	for (size_t i = 0; i < joined->version2.count; i++)
		if (joined->version2.items[i] == ifindex)
			return true;
	return false;
}
