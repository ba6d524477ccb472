#include "net/holder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Lines such as "  411: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000
 * 1000        0 18231 2 ...": local address and port, five fields, the user, one field, and the
 * inode. An address is in words of this host's byte order. */
static bool read_line(const char *line, struct udp_holder *ret)
{
	unsigned port, words[4];
	unsigned long inode;
	char address[33];
	int count;

	if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %*s %*s %*s %*s %u %*u %lu", address, &port,
		    &ret->uid, &inode) != 4)
		return false;
	count = sscanf(address, "%8X%8X%8X%8X", &words[0], &words[1], &words[2], &words[3]);
	if (count != 1 && count != 4)
		return false;
	ret->address = (struct address){.family = count == 1 ? AF_INET : AF_INET6};
	memcpy(&ret->address.v6, words, (size_t)count * sizeof(*words));
	ret->port = (uint16_t)port;
	ret->inode = inode;
	return true;
}

static int read_file(struct udp_holders *holders, const char *path)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	struct udp_holder holder;
	size_t room = 0;
	int r = 0;

	while (file && r >= 0 && getline(&line, &room, file) > 0)
		if (read_line(line, &holder))
			r = array_add(holders, holder);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct udp_holder *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

int udp_holders_read(struct udp_holders *holders)
{
	int r = read_file(holders, "/proc/net/udp");

	r = r < 0 ? r : read_file(holders, "/proc/net/udp6");
	if (r < 0)
		udp_holders_clear(holders);
	else if (holders->count)
		qsort(holders->items, holders->count, sizeof(*holders->items), compare);
	return r;
}

void udp_holders_clear(struct udp_holders *holders)
{
	free(take(holders->items));
	holders->count = 0;
}

static int compare_address(const void *key, const void *item)
{
	return address_compare(key, &((const struct udp_holder *)item)->address);
}

static bool is_among(uint64_t inode, const uint64_t *inodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (inodes[i] == inode)
			return true;
	return false;
}

const struct udp_holder *udp_holders_find_other(const struct udp_holders *holders,
	const struct address *address, const uint64_t *own, size_t own_count)
{
	size_t i = lower_bound(
		address, holders->items, holders->count, sizeof(*holders->items), compare_address);

	for (; i < holders->count && address_equal(&holders->items[i].address, address); i++)
		if (!is_among(holders->items[i].inode, own, own_count))
			return &holders->items[i];
	return NULL;
}

/* A socket of IPv6 may hold the port of IPv4, too, as :: does. All others are in the way of any
 * address. */
static bool is_in_the_way(
	const struct udp_holder *holder, const struct address *address, unsigned port)
{
	return holder->port == port &&
	       (address_is_any(address) || address_is_any(&holder->address) ||
		       address_equal(&holder->address, address));
}

int holder_explain(const struct address *address, unsigned port, char why[static WHY_MAX])
{
	CLEANUP(udp_holders_clear) struct udp_holders holders = {0};
	const struct udp_holder *found = NULL;

	udp_holders_read(&holders);
	for (size_t i = 0; i < holders.count; i++)
		if (is_in_the_way(&holders.items[i], address, port))
			found = &holders.items[i];
	if (!found)
		return because(
			why, -EADDRINUSE, "port %u is held and not shared (SO_REUSEADDR)", port);
	return because(why, -EADDRINUSE,
		"port %u is held by uid %u, which does not share it (SO_REUSEADDR); ss -lunp "
		"sport = %u shows the program%s",
		port, found->uid, port,
		found->uid ? "" : ", or none where it is the kernel (VXLAN, WireGuard)");
}
