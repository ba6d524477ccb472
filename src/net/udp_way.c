#include "net/udp_way.h"

#include <errno.h>
#include <string.h>

#include "net/interface.h"
#include "net/rtnetlink.h"
#include "net/send_socket.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Finds the interface and the address to send from, where they are configured. */
static int resolve(const struct udp_way *way, const struct interface_list *interfaces,
	struct send_socket *options, char why[static WHY_MAX])
{
	CLEANUP(interface_list_clear) struct interface_list list = {0};
	int r;

	if (!way->interface && !way->source.family)
		return 0;
	if (interfaces)
		return send_socket_choose(options, interfaces, way->interface, why);
	if ((r = interface_list_read(&list)) < 0)
		return because(why, r, "listing interfaces: %s", strerror(-r));
	return send_socket_choose(options, &list, way->interface, why);
}

/* Routes, without sending anything. Returns 0 or a negative errno; *ret_broadcast tells whether it
 * is a broadcast address: connect() refuses that without SO_BROADCAST (socket(7)). */
static int probe(int fd, const union endpoint *to, socklen_t to_length, bool *ret_broadcast)
{
	*ret_broadcast = false;
	if (connect(fd, &to->any, to_length) == 0)
		return 0;
	if (errno != EACCES || to->any.sa_family != AF_INET)
		return -errno;
	set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (connect(fd, &to->any, to_length) < 0)
		return -errno;
	*ret_broadcast = true;
	return 0;
}

/* The address that the kernel would send from to a host: the interface may have several. It is
 * fixed, so that the kernel takes no other interface's when this one loses it. Left as it is when
 * there is no route yet. */
static int fix_source(
	const struct udp_way *way, struct udp_socket *ret, struct send_socket *options)
{
	AUTO_CLOSE int fd = socket(way->to.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_given = way->source.family || options->source_is_named;
	union endpoint from = {0};
	socklen_t length = sizeof(from);

	if (fd < 0)
		return -errno;
	if (ret->ifindex && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ret->interface,
				    (socklen_t)strlen(ret->interface)) < 0)
		return -errno;
	if (probe(fd, &ret->to, ret->to_length, &ret->is_broadcast) == 0 && ret->ifindex &&
		!is_given && getsockname(fd, &from.any, &length) == 0)
		options->source = endpoint_address(&from);
	return 0;
}

/* Sets whether anything leaves, and whether it may be segmented. Of the kernel's route the first
 * link counts. */
static void read_link(struct udp_socket *socket, const struct interface_list *interfaces)
{
	struct address to = endpoint_address(&socket->to);
	const struct interface *interface;
	unsigned ifindex = socket->ifindex;

	if (!ifindex && rtnetlink_route(&to, &ifindex) < 0)
		return;
	interface = interfaces ? interface_by_index(interfaces, ifindex) : NULL;
	socket->out.splits_runs = interface ? interface->splits_runs
					    : interface_splits_runs(ifindex);
	socket->has_no_carrier = interface ? !(interface->flags & IFF_RUNNING)
					   : !interface_has_carrier(ifindex);
}

int udp_way_open(const struct udp_way *way, const struct interface_list *interfaces,
	struct udp_socket *ret, char why[static WHY_MAX])
{
	struct send_socket options = {.family = way->to.family,
		.source = way->source,
		.source_key = way->source_key,
		.port = way->source_port,
		.dscp = (uint8_t)way->dscp,
		.unicast = !address_is_multicast(&way->to)};
	struct udp_socket new = {.out.fd = -1};
	int r = resolve(way, interfaces, &options, why);

	if (r < 0)
		return r;
	new.ifindex = options.ifindex;
	memcpy(new.interface, options.interface, sizeof(new.interface));
	new.to_length = address_to_endpoint(&way->to, way->port, new.ifindex, &new.to);
	if (options.unicast && (r = fix_source(way, &new, &options)) < 0)
		return because(why, r, "finding the address to send from: %s", strerror(-r));
	if ((r = send_socket_open(&options, why, &new.out)) < 0)
		return r;
	new.source = options.source;
	new.source_port = send_socket_port(new.out.fd);
	read_link(&new, interfaces);
	*ret = new;
	return 0;
}

/* A link-local address, or one that was found on the interface, is of that one only. */
static bool has_source(const struct udp_way *way, const struct udp_socket *socket,
	const struct interface *interface, const struct interface_list *interfaces)
{
	bool is_own = interface && address_is_multicast(&way->to) && !way->source.family;

	if (interface && (is_own || address_needs_scope(&socket->source)))
		return interface_has_address(interfaces, interface, &socket->source);
	for (size_t i = 0; i < interfaces->addresses.count; i++)
		if (address_equal(&interfaces->addresses.items[i].address, &socket->source))
			return true;
	return false;
}

bool udp_way_follow(const struct udp_way *way, struct udp_socket *socket,
	const struct interface_list *interfaces)
{
	const struct interface *interface = way->interface ? interface_find(
								     interfaces, way->interface)
							   : NULL;

	if (way->interface && (!interface || interface->index != socket->ifindex ||
				      strcmp(interface->name, socket->interface) != 0))
		return false;
	read_link(socket, interfaces);
	return socket->source.family == AF_UNSPEC || has_source(way, socket, interface, interfaces);
}
