#include "net/udp_way.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/interface.h"

static bool is_v4(const struct udp_way *way)
{
	return way->to.family == AF_INET;
}

/* Whether some interface has the address. */
static bool is_ours(const struct interface_list *list, const struct address *address)
{
	for (size_t i = 0; i < list->addresses.count; i++)
		if (address_equal(&list->addresses.items[i].address, address) &&
			!list->addresses.items[i].is_tentative)
			return true;
	return false;
}

/* Finds the interface by its name, and for IPv4 an address of it to send from. */
static int find_interface(const struct udp_way *way, const struct interface_list *list,
	struct send_socket *options, char why[static WHY_MAX])
{
	const struct interface *interface = interface_find(list, way->interface);
	const struct address *address;
	bool v4 = is_v4(way);

	if (!interface)
		return because(why, -ENODEV, "there is no interface %s", way->interface);
	if (!(interface->flags & IFF_UP))
		return because(why, -ENETDOWN, "%s is down (ip link set %s up)", interface->name,
			interface->name);
	options->ifindex = interface->index;
	memcpy(options->interface, interface->name, sizeof(options->interface));
	if (way->source.family)
		return 0;
	address = interface_address(list, interface, way->to.family);
	if (!address && !v4 && interface->ipv6 == IPV6_DISABLED)
		return because(why, -EADDRNOTAVAIL,
			"IPv6 is disabled on %s (sysctl net.ipv6.conf.%s.disable_ipv6=0)",
			interface->name, interface->name);
	if (!address)
		return because(why, -EADDRNOTAVAIL,
			"%s has no %s address to send from (ip addr add ADDRESS/LENGTH dev %s); or "
			"set source_address",
			interface->name, v4 ? "IPv4" : "IPv6", interface->name);
	if (v4)
		options->source = *address;
	return 0;
}

/* Finds the interface and the address to send from, where they are configured. */
static int resolve(const struct udp_way *way, struct send_socket *options, char why[static WHY_MAX])
{
	CLEANUP(interface_list_clear) struct interface_list list = {0};
	char text[INET6_ADDRSTRLEN];
	int r;

	options->source = way->source;
	if (!way->interface && !way->source.family)
		return 0;
	if ((r = interface_list_read(&list)) < 0)
		return because(why, r, "listing interfaces: %s", strerror(-r));
	if (way->interface && (r = find_interface(way, &list, options, why)) < 0)
		return r;
	if (way->source.family && !is_ours(&list, &way->source))
		return because(why, -EADDRNOTAVAIL, "no interface has the source_address %s",
			address_format(&way->source, text));
	return 0;
}

/* Routes, without sending anything. Returns 0 or a negative errno; *ret_broadcast tells whether it
 * is a broadcast address: connect() refuses that without SO_BROADCAST (socket(7)). */
static int probe(int fd, const union endpoint *to, socklen_t to_length, bool *ret_broadcast)
{
	int on = 1;

	*ret_broadcast = false;
	if (connect(fd, &to->any, to_length) == 0)
		return 0;
	if (errno != EACCES || to->any.sa_family != AF_INET)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	if (connect(fd, &to->any, to_length) < 0)
		return -errno;
	*ret_broadcast = true;
	return 0;
}

/* The address that the kernel would send from to a host: the interface may have several. It is
 * fixed, so that the kernel takes no other interface's when this one loses it. Left as it is when
 * there is no route yet. */
static int choose_source(const struct udp_way *way, struct udp_socket *ret)
{
	AUTO_CLOSE int fd = socket(way->to.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct send_socket *options = &ret->options;
	union endpoint from = {0};
	socklen_t length = sizeof(from);

	if (fd < 0 ||
		(options->ifindex && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->interface,
					     (socklen_t)strlen(options->interface)) < 0))
		return -errno;
	if (probe(fd, &ret->to, ret->to_length, &ret->is_broadcast) == 0 &&
		options->source.family && !way->source.family &&
		getsockname(fd, &from.any, &length) == 0)
		options->source = endpoint_address(&from);
	return 0;
}

int udp_way_open(const struct udp_way *way, struct udp_socket *ret, char why[static WHY_MAX])
{
	bool multicast = address_is_multicast(&way->to);
	struct udp_socket new = {.options = {.family = way->to.family,
					 .port = way->source_port,
					 .dscp = (uint8_t)way->dscp,
					 .unicast = !multicast}};
	int r = resolve(way, &new.options, why);

	if (r < 0)
		return r;
	new.to_length = address_to_endpoint(&way->to, way->port, new.options.ifindex, &new.to);
	if (is_v4(way) && !multicast && (r = choose_source(way, &new)) < 0)
		return because(why, r, "finding the address to send from: %s", strerror(-r));
	if ((r = send_socket_open(&new.options, why, &new.out)) < 0)
		return r;
	new.source_port = send_socket_port(new.out.fd);
	*ret = new;
	return 0;
}

bool udp_way_is_current(const struct udp_socket *socket)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, socket->options.interface, sizeof(request.ifr_name));
	return !socket->options.ifindex ||
	       (ioctl(socket->out.fd, SIOCGIFINDEX, &request) == 0 &&
		       (unsigned)request.ifr_ifindex == socket->options.ifindex);
}
