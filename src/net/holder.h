/* Who holds a UDP port, as /proc/net/udp and /proc/net/udp6 tell it. */
#pragma once

#include "base/errors.h"
#include "net/address.h"

struct udp_holder {
	struct address address; /* that the socket is bound to */
	uint16_t port;
	unsigned uid;
	uint64_t inode; /* as fstat(2) tells it of the socket */
};

/* All bound UDP sockets of this network namespace, sorted by address. */
struct udp_holders {
	struct udp_holder *items;
	size_t count;
};

/* Fills in a zeroed list, which is shorter where a file cannot be read. Returns 0, or -ENOMEM and
 * the list is empty. */
int udp_holders_read(struct udp_holders *holders);
void udp_holders_clear(struct udp_holders *holders);

/* The first socket that is bound to the address, other than those of these inodes; or NULL. */
const struct udp_holder *udp_holders_find_other(const struct udp_holders *holders,
	const struct address *address, const uint64_t *own, size_t own_count);

/* Says why an address cannot be bound to. ss(8) is named only where it can show the program:
 * sockets of the kernel itself, such as VXLAN's, have none. Returns -EADDRINUSE. */
int holder_explain(const struct address *address, unsigned port, char why[static WHY_MAX]);
