#include "net/holder.h"

#include <errno.h>
#include <stdbool.h>

#include "net/udp_sockets.h"

/* Whether a socket is in the way of an address: 0.0.0.0 or :: is of all others. A socket of IPv6
 * may hold the port of IPv4, too. */
static bool is_in_the_way(const struct udp_socket *socket, const struct address *address)
{
	return address_is_any(address) || address_is_any(&socket->address) ||
	       address_equal(address, &socket->address);
}

/* The user of the last one found. */
static bool find_holder(const struct address *address, unsigned port, uid_t *ret)
{
	struct udp_sockets sockets = {0};
	bool found = false;

	udp_sockets_read(&sockets);
	for (size_t i = 0; i < sockets.count; i++) {
		if (sockets.items[i].port != port || !is_in_the_way(&sockets.items[i], address))
			continue;
		*ret = sockets.items[i].uid;
		found = true;
	}
	udp_sockets_clear(&sockets);
	return found;
}

int holder_explain(const struct address *address, unsigned port, char why[static WHY_MAX])
{
	uid_t uid;

	if (!find_holder(address, port, &uid))
		return because(
			why, -EADDRINUSE, "port %u is held and not shared (SO_REUSEADDR)", port);
	return because(why, -EADDRINUSE,
		"port %u is held by uid %u, which does not share it (SO_REUSEADDR); ss -lunp "
		"sport = %u shows the program%s",
		port, (unsigned)uid, port,
		uid ? "" : ", or none where it is the kernel (VXLAN, WireGuard)");
}
