#include "net/joined.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "net/interface.h"
#include "base/cleanup.h"
#include "base/codec.h"
#include "base/hash.h"

#define BUFFER_SIZE 65536

/* From the kernel's net/if_inet6.h, MAF_LAST_REPORTER. */
#define LAST_REPORTER 2

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

/* "4<tab>eth0      :     1      V3" */
static int read_interface_v4(struct joined *joined, const char *line, unsigned ifindex)
{
	char name[IF_NAMESIZE] = "";
	unsigned version;
	int forced;

	if (sscanf(line, "%*u %15[^: ] : %*u V%u", name, &version) != 2 || version >= 3)
		return 0;
	forced = joined_forced_igmp(name);
	return array_add(&joined->older,
		(struct joined_protocol){AF_INET, ifindex, forced == 1 || forced == 2});
}

/* Lines of /proc/net/igmp: that of an interface, followed for each of its groups by
 * "<tab>...010000E0     1 0:00000000<tab><tab>0", the address as a number in this host's byte
 * order, and the users. There may be ten thousand: sscanf(3) would take most of the time. */
static int read_line_v4(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct joined_group group = {.group.family = AF_INET, .ifindex = *ifindex};
	char *rest;

	if (*line != '\t') {
		*ifindex = (unsigned)strtoul(line, NULL, 10);
		return read_interface_v4(joined, line, *ifindex);
	}
	group.group.v4.s_addr = (in_addr_t)strtoul(line, &rest, 16);
	group.users = (unsigned)strtoul(rest, NULL, 10);
	return group.group.v4.s_addr ? array_add(joined, group) : 0;
}

static int note_mld(struct joined *joined, const char *line, unsigned ifindex)
{
	char name[IF_NAMESIZE] = "";

	if (sscanf(line, "%*u %15s", name) != 1 || joined_forced_mld(name) != 1)
		return 0;
	return array_add(&joined->older, (struct joined_protocol){AF_INET6, ifindex, true});
}

/* Lines of /proc/net/igmp6: "4    eth0   ff020000000000000000000000000001     1 0000000C 0", with
 * the number of users and flags behind the address. */
static int read_line_v6(struct joined *joined, const char *line, unsigned *ifindex)
{
	struct joined_group group = {.group.family = AF_INET6};
	unsigned previous = *ifindex;
	const char *at = line;
	char *rest;

	group.ifindex = *ifindex = (unsigned)strtoul(line, NULL, 10);
	if (*ifindex != previous && note_mld(joined, line, *ifindex) < 0)
		return -ENOMEM;
	for (int words = 0; words < 2 && *at; words++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	for (unsigned i = 0, byte; i < 16; i++, at += 2) {
		if ((byte = (unsigned)hex_byte(at)) > UINT8_MAX)
			return 0;
		group.group.v6.s6_addr[i] = (uint8_t)byte;
	}
	group.users = (unsigned)strtoul(at, &rest, 10);
	group.is_reported_alone = strtoul(rest, NULL, 16) & LAST_REPORTER;
	return array_add(joined, group);
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

static const struct joined_group *find(
	const struct joined *joined, const struct address *group, unsigned ifindex)
{
	struct joined_group wanted = {.group = *group, .ifindex = ifindex};
	uint32_t slot = joined->slots[find_slot(joined, &wanted)];

	return slot ? &joined->items[slot - 1] : NULL;
}

bool joined_contains(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	return find(joined, group, ifindex);
}

unsigned joined_users(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	const struct joined_group *found = find(joined, group, ifindex);

	return found ? found->users : 0;
}

static const struct joined_protocol *find_older(
	const struct joined *joined, sa_family_t family, unsigned ifindex)
{
	for (size_t i = 0; i < joined->older.count; i++)
		if (joined->older.items[i].family == family &&
			joined->older.items[i].ifindex == ifindex)
			return &joined->older.items[i];
	return NULL;
}

bool joined_is_older(const struct joined *joined, const struct address *group, unsigned ifindex)
{
	const struct joined_group *found = find(joined, group, ifindex);

	return (found && found->is_reported_alone) || find_older(joined, group->family, ifindex);
}

enum joined_reports joined_reports(
	const struct joined *joined, const struct address *group, unsigned ifindex)
{
	const struct joined_protocol *older = find_older(joined, group->family, ifindex);

	if (!older)
		return JOINED_REPORTS_CHANGES;
	return older->is_forced ? JOINED_REPORTS_JOINS : JOINED_REPORTS_ANSWERS;
}
