#include "ctl/transmitter.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/payload.h"
#include "net/interface.h"
#include "net/multicast.h"
#include "net/rtnetlink.h"

/* How long one datagram is tried again when a full queue of the network drops it, and how often. */
#define BUSY_NS NS_PER_S
#define BUSY_MS 2

#define AUTO_INTERFACES CLEANUP(interface_list_clear)

/* Which interface to send on, by whatever names it; NULL: the kernel's route. Returns an exit code.
 */
static int choose_name(const struct session *session, const struct target *target,
	const struct transmitter_options *options, char source[static INET6_ADDRSTRLEN],
	const char **ret)
{
	const char *name = options->interface ? options->interface : target->interface;

	if (options->interface && target->interface && strcmp(name, target->interface) != 0)
		return session_fail(session, EXIT_MISUSED,
			"the target says interface '%s', and --interface '%s'", target->interface,
			name);
	if (target->sources.count > 1)
		return session_fail(session, EXIT_MISUSED, "give one source to send from");
	if (name && interface_is_glob(name))
		return session_fail(session, EXIT_MISUSED,
			"'%s' is a glob: name the interface to send on", name);
	if (!name && target->sources.count && !address_needs_scope(target->sources.items))
		name = address_format(target->sources.items, source);
	else if (!name && (target->sources.count || address_needs_scope(&target->address)))
		return session_fail(session, EXIT_MISUSED,
			"a link-local address says nothing of the link: name the interface, as in "
			"[ff02::1]:5004%%eth0");
	*ret = name;
	return EXIT_DONE;
}

/* Why nothing of a family can leave on the interface; or 0. */
static int explain_interface(const struct interface_list *interfaces,
	const struct interface *interface, const struct target *target, char why[static WHY_MAX])
{
	const char *name = interface->name;
	sa_family_t family = target->address.family;

	if (!(interface->flags & IFF_UP))
		return because(why, -ENETDOWN, "%s is down", name);
	if (!(interface->flags & IFF_RUNNING))
		return because(why, -ENETDOWN, "%s has no carrier", name);
	if (family == AF_INET6 && interface->ipv6 != IPV6_ENABLED)
		return because(why, -EADDRNOTAVAIL, "IPv6 is off on %s%s%s%s", name,
			interface->ipv6 == IPV6_DISABLED ? ": sysctl net.ipv6.conf." : "",
			interface->ipv6 == IPV6_DISABLED ? name : "",
			interface->ipv6 == IPV6_DISABLED ? ".disable_ipv6=0" : "");
	if (!target->sources.count && !interface_address(interfaces, interface, family))
		return because(why, -EADDRNOTAVAIL,
			"%s has no IPv%d address to send from: give it one (ip addr add ADDRESS "
			"dev %s), or name one of another interface (--source)",
			name, family == AF_INET ? 4 : 6, name);
	return 0;
}

/* The interface of a name, which can send; name NULL: 0, the kernel's route. Returns 0 or a
 * negative errno with the reason in why. */
static int find_interface(const char *name, const struct target *target, unsigned *ret_ifindex,
	char why[static WHY_MAX])
{
	AUTO_INTERFACES struct interface_list interfaces = {0};
	const struct interface *interface;
	struct address address;
	int r = name ? interface_list_read(&interfaces) : 0;

	*ret_ifindex = 0;
	if (r < 0)
		return because(why, r, "listing the interfaces: %s", strerror(-r));
	if (!name)
		return 0;
	interface = interface_find(&interfaces, name);
	if (!interface && address_parse(name, &address) == 0)
		return because(why, -ENODEV, "no interface of this host has the address %s", name);
	if (!interface)
		return because(why, -ENODEV, "there is no interface %s", name);
	*ret_ifindex = interface->index;
	return explain_interface(&interfaces, interface, target, why);
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A broadcast address; it is not what multicast options are for. */
static int allow_broadcast(int fd, unsigned ifindex, int ttl)
{
	char name[IF_NAMESIZE];
	int r = set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);

	if (r >= 0 && ttl > 0)
		r = set_int(fd, IPPROTO_IP, IP_TTL, ttl);
	if (r >= 0 && ifindex && if_indextoname(ifindex, name))
		r = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, sizeof(name)) < 0 ? -errno
											: 0;
	return r;
}

/* Sets all but where it leaves. Returns 0 or a negative errno with the reason in why. */
static int set_up(
	int fd, const struct target *target, unsigned ifindex, int ttl, char why[static WHY_MAX])
{
	bool v4 = target->address.family == AF_INET;
	char string[INET6_ADDRSTRLEN];
	union endpoint from;
	socklen_t length;
	int r;

	if (target->sources.count) {
		length = address_to_endpoint(target->sources.items, 0, ifindex, &from);
		if (bind(fd, &from.any, length) < 0)
			return because(why, -errno, "sending from %s: %s",
				address_format(target->sources.items, string), strerror(errno));
	}
	/* What a queue of the network drops is an error then (ip(7)). */
	r = v4 ? set_int(fd, IPPROTO_IP, IP_RECVERR, 1)
	       : set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	if (r >= 0 && !address_is_multicast(&target->address))
		r = allow_broadcast(fd, ifindex, ttl);
	else if (r >= 0 && ttl >= 0)
		r = multicast_set_ttl(fd, target->address.family, ttl);
	return r < 0 ? because(why, r, "setting up the socket: %s", strerror(-r)) : 0;
}

static int open_socket(const struct target *target, const char *name, int ttl,
	struct transmitter *transmitter, char why[static WHY_MAX])
{
	const struct address *address = &target->address;
	char string[INET6_ADDRSTRLEN];
	unsigned ifindex;
	int r;

	if (!address_is_multicast(address) && rtnetlink_route_type(address) != RTN_BROADCAST)
		return because(why, -EINVAL,
			"%s is neither a multicast address nor a broadcast address of this host",
			address_format(address, string));
	r = find_interface(name, target, &ifindex, why);
	if (r < 0)
		return r;
	r = multicast_open_sender(address->family, ifindex);
	if (r < 0)
		return because(why, r, "opening a socket: %s", strerror(-r));
	transmitter->fd = r;
	transmitter->to_length = address_to_endpoint(
		address, target->port, ifindex, &transmitter->to);
	return set_up(transmitter->fd, target, ifindex, ttl, why);
}

int transmitter_open(struct transmitter *transmitter, const struct session *session,
	const struct target *target, const struct transmitter_options *options)
{
	char why[WHY_MAX], source[INET6_ADDRSTRLEN];
	const char *name = NULL;
	int code = choose_name(session, target, options, source, &name);

	if (code)
		return code;
	transmitter->size_max = target->address.family == AF_INET ? DATAGRAM_MAX : PAYLOAD_MAX;
	if (open_socket(target, name, options->ttl, transmitter, why) < 0)
		return session_fail(session, EXIT_REFUSED, "%s: %s", target->name, why);
	return EXIT_DONE;
}

/* Sends, or waits for room. Returns 0, or a negative errno. */
static int send_once(const struct transmitter *transmitter, const void *data, size_t size)
{
	struct pollfd poll_fd = {.fd = transmitter->fd, .events = POLLOUT};
	ssize_t n;

	do
		n = sendto(transmitter->fd, data, size, 0, &transmitter->to.any,
			transmitter->to_length);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && poll(&poll_fd, 1, -1) >= 0)));
	return n < 0 ? -errno : 0;
}

/* An ICMP error is about an earlier datagram, and the call that returns it has sent nothing. */
static bool is_of_earlier(int error)
{
	return error == -ECONNREFUSED || error == -EHOSTUNREACH || error == -ENETUNREACH ||
	       error == -ENOPROTOOPT;
}

static int explain(
	const struct transmitter *transmitter, int error, size_t size, char why[static WHY_MAX])
{
	switch (-error) {
	case EMSGSIZE:
		return because(why, error,
			"the payload has %zu bytes, a datagram holds at most %zu", size,
			transmitter->size_max);
	case ENOBUFS:
		return because(why, error, "the network's queue was full for a second");
	case ENETUNREACH:
		return because(why, error,
			"no route to the group: name an interface, as in 233.252.0.1:5004%%eth0");
	case EPERM:
		return because(why, error, "a firewall rule of this host refuses it");
	default:
		return because(why, error, "%s", strerror(-error));
	}
}

int transmitter_send(const struct transmitter *transmitter, const void *data, size_t size,
	char why[static WHY_MAX])
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + BUSY_NS;
	int r = send_once(transmitter, data, size);

	if (is_of_earlier(r))
		r = send_once(transmitter, data, size);
	while (r == -ENOBUFS && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		poll(NULL, 0, BUSY_MS);
		r = send_once(transmitter, data, size);
	}
	return r < 0 ? explain(transmitter, r, size, why) : 0;
}
