#include "net/joined.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/hash.h"

#define BUFFER_SIZE 65536

/* Lines of /proc/net/igmp: "4<tab>eth0      :     1      V3", followed for each of its groups by
 * "<tab>...010000E0 ...", the address as a number in this host's byte order. There may be ten
 * thousand: sscanf(3) would take most of the time. */
static int read_line_v4(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET};
	unsigned version;

	if (*line == '\t') {
		group.v4.s_addr = (in_addr_t)strtoul(line, NULL, 16);
		return group.v4.s_addr ? array_add(joined, (struct joined_group){group, *ifindex})
				       : 0;
	}
	*ifindex = (unsigned)strtoul(line, NULL, 10);
	if (sscanf(line, "%*u %*[^:]: %*u V%u", &version) == 1 && version < 3)
		return array_add(&joined->version2, *ifindex);
	return 0;
}

/* Lines of /proc/net/igmp6: "4    eth0   ff020000000000000000000000000001     1 0000000C 0". */
static int read_line_v6(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET6};
	const char *at = line;

	*ifindex = (unsigned)strtoul(line, NULL, 10);
	for (int words = 0; words < 2 && *at; words++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	for (unsigned i = 0, byte; i < 16; i++, at += 2) {
		if ((byte = (unsigned)hex_byte(at)) > UINT8_MAX)
			return 0;
		group.v6.s6_addr[i] = (uint8_t)byte;
	}
	return array_add(joined, (struct joined_group){group, *ifindex});
}

typedef int line_reader(struct joined *joined, const char *line, unsigned *ifindex);

static int read_file(struct joined *joined, const char *path, line_reader *read_line)
{
	AUTO_FREE char *buffer = malloc(BUFFER_SIZE); /* outlives file */
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	unsigned ifindex = 0;
	size_t room = 0;
	int r = 0;

	/* A kernel without IPv6 has no such file. */
	if (!file)
		return errno == ENOENT ? 0 : -errno;
	/* Each read(2) has the kernel count through the list from its start. */
	if (buffer)
		setvbuf(file, buffer, _IOFBF, BUFFER_SIZE);
	while (r >= 0 && getline(&line, &room, file) > 0)
		r = read_line(joined, line, &ifindex);
	return r < 0 ? r : ferror(file) ? -EIO : 0;
}

/* The slot of a group, or the free one where it would be. */
static size_t find_slot(const struct joined *joined, const struct joined_group *wanted)
{
	uint64_t hash = hash_bytes(HASH_BEGIN, &wanted->ifindex, sizeof(wanted->ifindex));
	size_t slot = address_hash(hash, &wanted->group) & (joined->slot_count - 1);

	for (; joined->slots[slot]; slot = (slot + 1) & (joined->slot_count - 1)) {
		const struct joined_group *found = &joined->items[joined->slots[slot] - 1];

		if (found->ifindex == wanted->ifindex &&
			address_equal(&found->group, &wanted->group))
			break;
	}
	return slot;
}

static int index_groups(struct joined *joined)
{
	joined->slot_count = 1;
	while (joined->slot_count < 2 * joined->count)
		joined->slot_count *= 2;
	joined->slots = calloc(joined->slot_count, sizeof(*joined->slots));
	if (!joined->slots)
		return -ENOMEM;
	for (size_t i = 0; i < joined->count; i++)
		joined->slots[find_slot(joined, &joined->items[i])] = (uint32_t)i + 1;
	return 0;
}

int joined_read(struct joined *joined)
{
	int r = read_file(joined, "/proc/net/igmp", read_line_v4);

	r = r < 0 ? r : read_file(joined, "/proc/net/igmp6", read_line_v6);
	/* Every host has joined 224.0.0.1: an empty list means that there is no /proc. */
	if (r >= 0 && !joined->count)
		r = -ENOENT;
	r = r < 0 ? r : index_groups(joined);
	if (r < 0)
		joined_clear(joined);
	return r;
}

void joined_clear(struct joined *joined)
{
	free(joined->items);
	free(joined->slots);
	free(joined->version2.items);
	*joined = (struct joined){0};
}

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	struct joined_group wanted = {.group = *group, .ifindex = ifindex};

	return joined->slots[find_slot(joined, &wanted)];
}

bool joined_is_version2(const struct joined *joined, unsigned ifindex)
{
	for (size_t i = 0; i < joined->version2.count; i++)
		if (joined->version2.items[i] == ifindex)
			return true;
	return false;
}
