#include "net/joined.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/hash.h"
#include "net/interface.h"

#define BUFFER_SIZE 65536

/* From the kernel's net/if_inet6.h, MAF_LAST_REPORTER. */
#define LAST_REPORTER 2

/* Lines of /proc/net/igmp: "4<tab>eth0      :     1      V3", followed for each of its groups by
 * "<tab>...010000E0 ...", the address as a number in this host's byte order. There may be ten
 * thousand: sscanf(3) would take most of the time. */
static int read_line_v4(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET};
	unsigned version;

	if (*line == '\t') {
		group.v4.s_addr = (in_addr_t)strtoul(line, NULL, 16);
		if (!group.v4.s_addr)
			return 0;
		return array_add(joined, (struct joined_group){group, *ifindex, false});
	}
	*ifindex = (unsigned)strtoul(line, NULL, 10);
	if (sscanf(line, "%*u %*[^:]: %*u V%u", &version) == 1 && version < 3)
		return array_add(&joined->older, (struct joined_protocol){AF_INET, *ifindex});
	return 0;
}

int joined_forced_igmp(const char *interface)
{
	int all = interface_sysctl("ipv4", "all", "force_igmp_version");
	int own = interface_sysctl("ipv4", interface, "force_igmp_version");

	return !all || (own && own < all) ? own : all;
}

int joined_forced_mld(const char *interface)
{
	int all = interface_sysctl("ipv6", "all", "force_mld_version");

	return all ? all : interface_sysctl("ipv6", interface, "force_mld_version");
}

static int note_mld(struct joined *joined, const char *line, unsigned ifindex)
{
	char name[IF_NAMESIZE] = "";

	if (sscanf(line, "%*u %15s", name) != 1 || joined_forced_mld(name) != 1)
		return 0;
	return array_add(&joined->older, (struct joined_protocol){AF_INET6, ifindex});
}

/* Lines of /proc/net/igmp6: "4    eth0   ff020000000000000000000000000001     1 0000000C 0", with
 * the number of users and flags behind the address. */
static int read_line_v6(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct address group = {.family = AF_INET6};
	unsigned previous = *ifindex;
	const char *at = line;
	char *rest;

	*ifindex = (unsigned)strtoul(line, NULL, 10);
	if (*ifindex != previous && note_mld(joined, line, *ifindex) < 0)
		return -ENOMEM;
	for (int words = 0; words < 2 && *at; words++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	for (unsigned i = 0, byte; i < 16; i++, at += 2) {
		if ((byte = (unsigned)hex_byte(at)) > UINT8_MAX)
			return 0;
		group.v6.s6_addr[i] = (uint8_t)byte;
	}
	strtoul(at, &rest, 10); /* users */
	return array_add(joined,
		(struct joined_group){group, *ifindex, strtoul(rest, NULL, 16) & LAST_REPORTER});
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
	free(joined->older.items);
	*joined = (struct joined){0};
}

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	struct joined_group wanted = {.group = *group, .ifindex = ifindex};

	return joined->slots[find_slot(joined, &wanted)];
}

bool joined_is_older(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	struct joined_group wanted = {.group = *group, .ifindex = ifindex};
	uint32_t slot = joined->slots[find_slot(joined, &wanted)];

	if (slot && joined->items[slot - 1].is_reported_alone)
		return true;
	for (size_t i = 0; i < joined->older.count; i++)
		if (joined->older.items[i].family == group->family &&
			joined->older.items[i].ifindex == ifindex)
			return true;
	return false;
}
