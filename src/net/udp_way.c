#include "net/udp_way.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/interface.h"
#include "net/send_socket.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

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

/* Finds the interface by its name. *ret_source is the address to send from; AF_UNSPEC: the kernel
 * chooses one of the interface. */
static int find_interface(const struct udp_way *way, const struct interface_list *list,
	struct udp_socket *socket, struct address *ret_source, char why[static WHY_MAX])
{
	const struct interface *interface = interface_find(list, way->interface);
	const struct address *address;
	bool v4 = is_v4(way);

	if (!interface)
		return because(why, -ENODEV, "there is no interface %s", way->interface);
	if (!(interface->flags & IFF_UP))
		return because(why, -ENETDOWN, "%s is down (ip link set %s up)", interface->name,
			interface->name);
	socket->ifindex = interface->index;
	memcpy(socket->interface, interface->name, sizeof(socket->interface));
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
		*ret_source = *address;
	return 0;
}

/* Finds the interface and the address to send from, where they are configured. */
static int resolve(const struct udp_way *way, struct udp_socket *socket, struct address *ret_source,
	char why[static WHY_MAX])
{
	CLEANUP(interface_list_clear) struct interface_list list = {0};
	char text[INET6_ADDRSTRLEN];
	int r;

	*ret_source = way->source;
	if (!way->interface && !way->source.family)
		return 0;
	if ((r = interface_list_read(&list)) < 0)
		return because(why, r, "listing interfaces: %s", strerror(-r));
	if (way->interface && (r = find_interface(way, &list, socket, ret_source, why)) < 0)
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
static int choose_source(const struct udp_way *way, struct udp_socket *ret, struct address *source)
{
	AUTO_CLOSE int fd = socket(way->to.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union endpoint from = {0};
	socklen_t length = sizeof(from);

	if (fd < 0)
		return -errno;
	if (ret->ifindex && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ret->interface,
				    (socklen_t)strlen(ret->interface)) < 0)
		return -errno;
	if (probe(fd, &ret->to, ret->to_length, &ret->is_broadcast) == 0 && source->family &&
		!way->source.family && getsockname(fd, &from.any, &length) == 0)
		*source = endpoint_address(&from);
	return 0;
}

int udp_way_open(const struct udp_way *way, struct udp_socket *ret, char why[static WHY_MAX])
{
	struct send_socket options = {.family = way->to.family,
		.port = way->source_port,
		.dscp = (uint8_t)way->dscp,
		.unicast = !address_is_multicast(&way->to)};
	struct udp_socket new = {.out.fd = -1};
	int r = resolve(way, &new, &options.source, why);

	if (r < 0)
		return r;
	new.to_length = address_to_endpoint(&way->to, way->port, new.ifindex, &new.to);
	options.ifindex = new.ifindex;
	memcpy(options.interface, new.interface, sizeof(options.interface));
	if (is_v4(way) && options.unicast && (r = choose_source(way, &new, &options.source)) < 0)
		return because(why, r, "finding the address to send from: %s", strerror(-r));
	if ((r = send_socket_open(&options, why, &new.out)) < 0)
		return r;
	new.source = options.source;
	new.source_port = send_socket_port(new.out.fd);
	*ret = new;
	return 0;
}

bool udp_way_is_current(const struct udp_socket *socket)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, socket->interface, sizeof(request.ifr_name));
	return !socket->ifindex || (ioctl(socket->out.fd, SIOCGIFINDEX, &request) == 0 &&
					   (unsigned)request.ifr_ifindex == socket->ifindex);
}
