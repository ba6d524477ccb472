#include "net/udp_way.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/compat.h"
#include "net/interface.h"
#include "net/multicast.h"

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

/* Out of one interface. Groups do not need SO_BINDTODEVICE, which takes CAP_NET_RAW before Linux
 * 5.7. */
static int set_interface(const struct udp_way *way, const struct udp_socket *socket, int fd)
{
	if (!socket->ifindex || address_is_multicast(&way->to))
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, socket->interface,
		       (socklen_t)strlen(socket->interface)) < 0
		       ? -errno
		       : 0;
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
	int r;

	if (fd < 0 || (r = set_interface(way, ret, fd)) < 0)
		return fd < 0 ? -errno : r;
	if (probe(fd, &ret->to, ret->to_length, &ret->is_broadcast) == 0 && source->family &&
		!way->source.family && getsockname(fd, &from.any, &length) == 0)
		*source = endpoint_address(&from);
	return 0;
}

/* Groups that are reserved, and that nothing is ever sent to (RFC 5771, section 4; RFC 4291,
 * section 2.7.1). */
static const struct address reserved_v4 = {.family = AF_INET, .v6.s6_addr = {224}};
static const struct address reserved_v6 = {.family = AF_INET6, .v6.s6_addr = {0xff, 0x05}};

/* Bound to a group, a socket gets no unicast, and still sends from an address of the host. It must
 * not be the group that it sends to: with SO_REUSEPORT the kernel would give it what memberships of
 * that group should get. A socket that sends to a host from any port is bound to no group, since
 * ICMP errors would not reach it; the filter drops what it receives. */
static int bind_send_only(const struct udp_way *way, struct udp_socket *ret, int fd)
{
	static struct sock_filter drop_all = {BPF_RET | BPF_K, 0, 0, 0};
	const struct sock_fprog filter = {.len = 1, .filter = &drop_all};
	bool takes_icmp = !way->source_port && !address_is_multicast(&way->to);
	struct address address = takes_icmp   ? (struct address){.family = way->to.family}
				 : is_v4(way) ? reserved_v4
					      : reserved_v6;
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(&address, way->source_port, 0, &endpoint);
	int r;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	if (way->source_port && ((r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1)) < 0 ||
					(r = set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1)) < 0))
		return r;
	if (bind(fd, &endpoint.any, length) < 0)
		return -errno;
	length = sizeof(endpoint);
	if (getsockname(fd, &endpoint.any, &length) < 0)
		return -errno;
	ret->source_port = endpoint_port(&endpoint);
	return 0;
}

static int configure(const struct udp_way *way, int fd)
{
	int r;

	if (is_v4(way)) {
		r = set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
		r = r < 0 ? r : set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
		r = r < 0 ? r : set_int(fd, IPPROTO_IP, IP_TOS, way->dscp << 2);
		return r < 0 ? r : set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	}
	r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	r = r < 0 ? r : set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	r = r < 0 ? r : set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	return r < 0 ? r : set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, way->dscp << 2);
}

static int explain_bind(const struct udp_way *way, int r, char why[static WHY_MAX])
{
	if (r == -EADDRINUSE)
		return because(why, r,
			"source_port %u is held by a program that does not share it (SO_REUSEADDR)",
			way->source_port);
	if (r == -EACCES)
		return because(why, r,
			"source_port %u is below net.ipv4.ip_unprivileged_port_start and needs "
			"CAP_NET_BIND_SERVICE",
			way->source_port);
	return because(why, r, "binding: %s", strerror(-r));
}

int udp_way_open(const struct udp_way *way, struct udp_socket *ret, char why[static WHY_MAX])
{
	struct udp_socket new = {.out.fd = -1};
	struct address source;
	AUTO_CLOSE int fd = -1;
	int r = resolve(way, &new, &source, why);

	if (r < 0)
		return r;
	new.to_length = address_to_endpoint(&way->to, way->port, new.ifindex, &new.to);
	fd = multicast_open_sender(
		way->to.family, address_is_multicast(&way->to) ? new.ifindex : 0);
	if (fd < 0)
		return because(why, fd, "opening a socket: %s", strerror(-fd));
	if ((r = set_interface(way, &new, fd)) < 0)
		return because(why, r, "binding to %s: %s", new.interface, strerror(-r));
	if ((r = configure(way, fd)) < 0)
		return because(why, r, "setting the socket's options: %s", strerror(-r));
	if ((r = bind_send_only(way, &new, fd)) < 0)
		return explain_bind(way, r, why);
	if (is_v4(way) && !address_is_multicast(&way->to) &&
		(r = choose_source(way, &new, &source)) < 0)
		return because(why, r, "finding the address to send from: %s", strerror(-r));
	if (source.family)
		udp_out_set_source(&new.out, &source, new.ifindex);
	new.out.fd = take_fd(fd);
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
