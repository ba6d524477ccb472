#include "net/send_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/compat.h"
#include "net/socket_option.h"

#define SEND_BUFFER (1 << 20)

static const char *source_key(const struct send_socket *wanted)
{
	return wanted->source_key ? wanted->source_key : "source_address";
}

/* Why an address that this host has cannot be sent from: the first of the family that is tentative;
 * of an interface, if that is not 0, and a certain one, if that is not NULL. Returns whether there
 * is one. */
static bool explain_tentative(const struct interface_list *interfaces, sa_family_t family,
	unsigned ifindex, const struct address *address, char why[static WHY_MAX])
{
	for (size_t i = 0; i < interfaces->addresses.count; i++) {
		const struct interface_address *item = &interfaces->addresses.items[i];
		const struct interface *interface = interface_by_index(interfaces, item->ifindex);
		char string[INET6_ADDRSTRLEN];

		if (!item->is_tentative || item->address.family != family || !interface ||
			(ifindex && item->ifindex != ifindex) ||
			(address && !address_equal(&item->address, address)))
			continue;
		address_format(&item->address, string);
		if (!(interface->flags & INTERFACE_LOWER_UP))
			because(why, 0, "%s has no carrier", interface->name);
		else if (item->is_duplicate)
			because(why, 0,
				"another host has the address %s of %s (ip addr show dev %s): give "
				"one of them another address",
				string, interface->name, interface->name);
		else
			because(why, 0,
				"the address %s of %s is still checked for duplicates, for a "
				"second or two",
				string, interface->name);
		return true;
	}
	return false;
}

/* Whether the address that is configured is one of this host; a link-local one, of the interface.
 */
static int check_source(const struct send_socket *wanted, const struct interface_list *interfaces,
	const struct interface *interface, char why[static WHY_MAX])
{
	bool is_local = interface && address_needs_scope(&wanted->source), found = false;
	char string[INET6_ADDRSTRLEN];

	address_format(&wanted->source, string);
	for (size_t i = 0; i < interfaces->addresses.count && !found; i++) {
		const struct interface_address *item = &interfaces->addresses.items[i];

		found = address_equal(&item->address, &wanted->source) && !item->is_tentative &&
			(!is_local || item->ifindex == interface->index);
	}
	if (!found && explain_tentative(interfaces, wanted->family, is_local ? interface->index : 0,
			      &wanted->source, why))
		return -EADDRNOTAVAIL;
	if (!found && is_local)
		return because(why, -EADDRNOTAVAIL, "%s does not have the %s %s", interface->name,
			source_key(wanted), string);
	return found ? 0
		     : because(why, -EADDRNOTAVAIL, "no interface has the %s %s",
			       source_key(wanted), string);
}

/* The addresses are those of the master. */
static int explain_port(const struct interface_list *interfaces, const struct interface *port,
	char why[static WHY_MAX])
{
	const struct interface *master = interface_by_index(interfaces, port->port_of);

	if (!master)
		return because(why, -EADDRNOTAVAIL, "%s is a port of a %s, and has no address",
			port->name, port->port_kind);
	return because(why, -EADDRNOTAVAIL,
		"%s is a port of the %s %s, and has no address to send from: send on %s",
		port->name, port->port_kind, master->name, master->name);
}

/* IPv4 needs the interface's own address, else the kernel would take another interface's. */
static int choose_source(struct send_socket *wanted, const struct interface_list *interfaces,
	const struct interface *interface, char why[static WHY_MAX])
{
	const struct address *own = interface_address(interfaces, interface, wanted->family);
	bool v4 = wanted->family == AF_INET;

	if (!own && explain_tentative(interfaces, wanted->family, interface->index, NULL, why))
		return -EADDRNOTAVAIL;
	if (!own && interface->port_of)
		return explain_port(interfaces, interface, why);
	if (!own)
		return because(why, -EADDRNOTAVAIL,
			"%s has no %s address to send from (ip addr add ADDRESS/LENGTH dev %s); "
			"or set %s",
			interface->name, v4 ? "IPv4" : "IPv6", interface->name, source_key(wanted));
	if (v4 && interface->flags & IFF_LOOPBACK) /* takes multicast from 127/8 only */
		wanted->source = (struct address){
			.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};
	else if (v4)
		wanted->source = *own;
	return 0;
}

static int explain_missing(
	const struct interface_list *interfaces, const char *name, char why[static WHY_MAX])
{
	struct address address;

	if (interface_is_glob(name) && interface_any_matches(interfaces, name))
		return because(why, -ENODEV, "every interface that matches %s is left out", name);
	if (interface_is_glob(name))
		return because(why, -ENODEV, "no interface matches %s", name);
	if (address_parse(name, &address) == 0)
		return because(why, -ENODEV, "no interface of this host has the address %s", name);
	return because(why, -ENODEV, "there is no interface %s", name);
}

static int check_link(
	const struct interface *interface, sa_family_t family, char why[static WHY_MAX])
{
	const char *name = interface->name;

	if (!(interface->flags & IFF_UP))
		return because(why, -ENETDOWN, "%s is down (ip link set %s up)", name, name);
	if (family == AF_INET6 && interface->ipv6 == IPV6_DISABLED)
		return because(why, -EADDRNOTAVAIL,
			"IPv6 is disabled on %s (sysctl net.ipv6.conf.%s.disable_ipv6=0)", name,
			name);
	if (family == AF_INET6 && interface->ipv6 == IPV6_ABSENT)
		return because(why, -EADDRNOTAVAIL,
			"%s does no IPv6: its MTU is below 1280, or the kernel has none", name);
	return 0;
}

/* Of several addresses, one that names the interface is the one that is meant. */
static void take_address_of_name(
	struct send_socket *wanted, const struct interface *interface, const char *name)
{
	struct address address;

	if (wanted->source.family == AF_UNSPEC && !(interface->flags & IFF_LOOPBACK) &&
		interface_name_is_address(name, wanted->family, &address)) {
		wanted->source = address;
		wanted->source_is_named = true;
	}
}

int send_socket_choose(struct send_socket *wanted, const struct interface_list *interfaces,
	const char *name, char why[static WHY_MAX])
{
	const struct interface *interface = name ? interface_find(interfaces, name) : NULL;
	int r;

	wanted->splits_runs = interface ? interface->splits_runs : interfaces->splits_runs;
	if (name && !interface)
		return explain_missing(interfaces, name, why);
	if (interface) {
		if ((r = check_link(interface, wanted->family, why)) < 0)
			return r;
		wanted->ifindex = interface->index;
		memcpy(wanted->interface, interface->name, sizeof(wanted->interface));
		take_address_of_name(wanted, interface, name);
	}
	if (wanted->source.family != AF_UNSPEC)
		return check_source(wanted, interfaces, interface, why);
	return interface ? choose_source(wanted, interfaces, interface, why) : 0;
}

/* For groups. IPv4: with the interface's own address the kernel never takes another interface's,
 * and refuses when that address has gone. */
static int set_interface(int fd, const struct send_socket *wanted)
{
	struct ip_mreqn request = {.imr_ifindex = (int)wanted->ifindex};

	if (wanted->family == AF_INET6)
		return socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)wanted->ifindex);
	if (wanted->source.family == AF_INET)
		request.imr_address = wanted->source.v4;
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)) < 0 ? -errno
											  : 0;
}

/* SO_BINDTODEVICE takes CAP_NET_RAW before Linux 5.7, so groups do without. */
static int bind_to_interface(int fd, const struct send_socket *wanted)
{
	if (!wanted->ifindex || (!wanted->unicast && !wanted->receives))
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, wanted->interface,
		       (socklen_t)strlen(wanted->interface)) < 0
		       ? -errno
		       : 0;
}

void send_socket_stop_receiving(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {1, &nothing};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Groups that are reserved, and that nothing is ever sent to (RFC 5771, section 4; RFC 4291,
 * section 2.7.1). */
static const struct address reserved4 = {.family = AF_INET, .v6.s6_addr = {224}};
static const struct address reserved6 = {.family = AF_INET6, .v6.s6_addr = {0xff, 0x05}};

socklen_t send_socket_reserved(sa_family_t family, uint16_t port, union endpoint *ret)
{
	return address_to_endpoint(family == AF_INET ? &reserved4 : &reserved6, port, 0, ret);
}

/* The address to bind to. Bound to a group, a socket gets no unicast, and still sends from the
 * interface's address. */
static struct address own_address(const struct send_socket *wanted)
{
	if (wanted->receives && wanted->source.family != AF_UNSPEC)
		return wanted->source;
	if (wanted->receives || !wanted->port)
		return (struct address){.family = wanted->family};
	return wanted->family == AF_INET ? reserved4 : reserved6;
}

/* A holder of the port with SO_REUSEPORT alone refuses a binder with SO_REUSEADDR alone, and the
 * other way round. SO_REUSEPORT is set after the bind where possible: set before, the kernel would
 * distribute unicast among all holders of the port. */
static int bind_own(int fd, const struct send_socket *wanted)
{
	struct address address = own_address(wanted);
	union endpoint own;
	socklen_t length = address_to_endpoint(&address, wanted->port, wanted->ifindex, &own);

	if (wanted->port)
		socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, &own.any, length) == 0)
		return wanted->port ? socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
	if (errno != EADDRINUSE || !wanted->port)
		return -errno;
	socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return bind(fd, &own.any, length) < 0 ? -errno : 0;
}

static int explain(int r, const struct send_socket *wanted, char why[static WHY_MAX])
{
	const char *port_key = wanted->port_key ? wanted->port_key : "source_port";
	char address[INET6_ADDRSTRLEN];

	switch (-r) {
	case EADDRINUSE:
		return because(why, r,
			"%s %u is held by a program that does not share it "
			"(SO_REUSEADDR); ss -lunp may show which",
			port_key, wanted->port);
	case EACCES:
		return because(why, r,
			"%s %u is below net.ipv4.ip_unprivileged_port_start and "
			"needs CAP_NET_BIND_SERVICE",
			port_key, wanted->port);
	case EADDRNOTAVAIL:
		if (wanted->source.family != AF_UNSPEC)
			return because(why, r, "the address %s cannot be sent from",
				address_format(&wanted->source, address));
		return because(why, r, "there is no interface %s", wanted->interface);
	default:
		return because(why, r, "opening a socket to send with: %s%s", strerror(-r),
			r == -EMFILE || r == -ENFILE
				? "; raise the limit on open files (LimitNOFILE=, ulimit -n)"
				: "");
	}
}

/* Nothing of any group arrives: the socket joins none, and other programs' groups do not count. */
static int set_up(int fd, const struct send_socket *wanted)
{
	sa_family_t family = wanted->family;
	int r = wanted->unicast ? 0 : set_interface(fd, wanted);

	r = r < 0 ? r : bind_to_interface(fd, wanted);
	r = r < 0 ? r : socket_set_ip(fd, family, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, 0);
	r = r < 0 ? r : socket_set_ip(fd, family, IP_RECVERR, IPV6_RECVERR, 1);
	if (r >= 0 && family == AF_INET6)
		r = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r >= 0 && wanted->dscp)
		r = socket_set_ip(fd, family, IP_TOS, IPV6_TCLASS, wanted->dscp << 2);
	if (r < 0)
		return r;
	if (wanted->unicast)
		socket_set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (!wanted->receives)
		send_socket_stop_receiving(fd);
	if (socket_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER) < 0)
		socket_set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	return bind_own(fd, wanted);
}

int send_socket_open(
	const struct send_socket *wanted, char why[static WHY_MAX], struct udp_out *ret)
{
	AUTO_CLOSE int fd = socket(wanted->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : set_up(fd, wanted);

	if (r < 0)
		return explain(r, wanted, why);
	*ret = (struct udp_out){.fd = take_fd(fd), .splits_runs = wanted->splits_runs};
	/* For IPv4 groups IP_MULTICAST_IF says it, which costs less. */
	if (wanted->source.family == AF_INET6 ||
		(wanted->source.family == AF_INET && wanted->unicast))
		udp_out_set_source(ret, &wanted->source, wanted->ifindex);
	return 0;
}

bool send_socket_equal(const struct send_socket *a, const struct send_socket *b)
{
	return a->family == b->family && a->ifindex == b->ifindex &&
	       !strcmp(a->interface, b->interface) && address_equal(&a->source, &b->source) &&
	       a->port == b->port && a->dscp == b->dscp && a->unicast == b->unicast &&
	       a->receives == b->receives;
}

int send_socket_set_ttl(int fd, sa_family_t family, bool unicast, int ttl)
{
	return unicast ? socket_set_ip(fd, family, IP_TTL, IPV6_UNICAST_HOPS, ttl)
		       : socket_set_ip(fd, family, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

int send_socket_set_loop(int fd, sa_family_t family, int loop)
{
	return socket_set_ip(fd, family, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, loop);
}

uint16_t send_socket_port(int fd)
{
	union endpoint own = {0};
	socklen_t length = sizeof(own);

	return getsockname(fd, &own.any, &length) < 0 ? 0 : endpoint_port(&own);
}

void send_socket_discard_errors(int fd)
{
	struct msghdr message = {0};

	while (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
}
