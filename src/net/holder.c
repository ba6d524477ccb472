#include "net/holder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct holders {
	unsigned port;
	bool any; /* the address is 0.0.0.0 or ::, which all others are in the way of */
	char address[33]; /* as those files have it */
	bool found;
	unsigned uid; /* of the last one found */
};

/* Lines such as "  411: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000
 * 1000        0 18231 2 ...": local address and port, five fields, and the user. */
static void read_line(const char *line, struct holders *holders)
{
	unsigned local, uid;
	char address[33];

	if (sscanf(line, " %*u: %32[0-9A-F]:%x %*s %*s %*s %*s %*s %u", address, &local, &uid) !=
			3 ||
		local != holders->port)
		return;
	if (!holders->any && address[strspn(address, "0")] && strcmp(address, holders->address))
		return;
	holders->found = true;
	holders->uid = uid;
}

/* A socket of IPv6 may hold the port of IPv4, too. */
static void read_holders(const char *path, struct holders *holders)
{
	CLEANUP(fclosep) FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0)
		read_line(line, holders);
}

int holder_explain(const struct address *address, unsigned port, char why[static WHY_MAX])
{
	struct holders holders = {.port = port, .any = address_is_any(address)};
	size_t words = address->family == AF_INET ? 1 : 4;

	for (size_t i = 0; i < words; i++)
		snprintf(holders.address + 8 * i, 9, "%08X", address->v6.s6_addr32[i]);
	read_holders("/proc/net/udp", &holders);
	read_holders("/proc/net/udp6", &holders);
	if (!holders.found)
		return because(
			why, -EADDRINUSE, "port %u is held and not shared (SO_REUSEADDR)", port);
	return because(why, -EADDRINUSE,
		"port %u is held by uid %u, which does not share it (SO_REUSEADDR); ss -lunp "
		"sport = %u shows the program%s",
		port, holders.uid, port,
		holders.uid ? "" : ", or none where it is the kernel (VXLAN, WireGuard)");
}
