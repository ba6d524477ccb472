#include "ctl/transmitter.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "net/interface.h"
#include "net/joined.h"
#include "net/rtnetlink.h"
#include "net/send_socket.h"

/* How long one datagram is tried again when a full queue of the network drops it, and how often. */
#define BUSY_NS NS_PER_S
#define BUSY_MS 2

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

/* The kernel keeps a datagram of TTL 0 on this host only where a group is joined, or on lo. So the
 * socket joins as well, where another program has: nothing new is reported to the network. */
static int hold_here(
	struct udp_socket *socket, const struct target *target, char why[static WHY_MAX])
{
	CLEANUP(joined_clear) struct joined joined = {0};
	struct group_req request = {.gr_interface = socket->ifindex};
	int level = target->address.family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	if (!strcmp(socket->interface, "lo"))
		return 0;
	joined_read(&joined);
	if (!joined_contains(&joined, &target->address, socket->ifindex))
		return because(why, -EADDRNOTAVAIL,
			"with TTL 0 only this host would receive it, and nobody here has joined "
			"the group on %s",
			socket->interface);
	memcpy(&request.gr_group, &socket->to, socket->to_length);
	if (setsockopt(socket->out.fd, level, MCAST_JOIN_GROUP, &request, sizeof(request)) < 0)
		return because(why, -errno, "keeping TTL 0 on this host: %s", strerror(errno));
	return 0;
}

static int open_socket(struct udp_socket *socket, const struct target *target, const char *name,
	int ttl, char why[static WHY_MAX])
{
	struct udp_way way = {.to = target->address, .port = target->port, .interface = name};
	char string[INET6_ADDRSTRLEN], route[IF_NAMESIZE];
	unsigned ifindex;
	int r;

	if (target->sources.count)
		way.source = target->sources.items[0];
	if (ttl == 0 && !name && rtnetlink_route(&way.to, &ifindex) >= 0)
		way.interface = if_indextoname(ifindex, route);
	r = udp_way_open(&way, socket, why);
	if (r < 0)
		return r;
	if (!address_is_multicast(&way.to) && !socket->is_broadcast && !name &&
		address_is_everyone(&way.to))
		return because(why, -ENETUNREACH,
			"no route to it: name an interface, as in 255.255.255.255:5004%%eth0");
	if (!address_is_multicast(&way.to) && !socket->is_broadcast)
		return because(why, -EINVAL,
			"%s is neither a multicast address nor a broadcast address of this host",
			address_format(&way.to, string));
	ifindex = socket->ifindex;
	if (!ifindex)
		rtnetlink_route(&way.to, &ifindex);
	if (ifindex && !interface_has_carrier(ifindex))
		return because(why, -ENETDOWN, "%s has no carrier",
			socket->ifindex ? socket->interface : if_indextoname(ifindex, route));
	if (ttl == 0 && address_is_multicast(&way.to) && (r = hold_here(socket, target, why)) < 0)
		return r;
	r = ttl < 0 ? 0
		    : send_socket_set_ttl(socket->out.fd, way.to.family, socket->is_broadcast, ttl);
	return r < 0 ? because(why, r, "setting the TTL: %s", strerror(-r)) : 0;
}

int transmitter_open(struct transmitter *transmitter, const struct session *session,
	const struct target *target, const struct transmitter_options *options)
{
	char why[WHY_MAX], source[INET6_ADDRSTRLEN];
	const char *name = NULL;
	int code = choose_name(session, target, options, source, &name);

	if (!code && open_socket(&transmitter->socket, target, name, options->ttl, why) < 0)
		code = session_fail(session, EXIT_REFUSED, "%s: %s", target->name, why);
	return code;
}

void transmitter_close(struct transmitter *transmitter)
{
	closep(&transmitter->socket.out.fd);
}

/* Sends, or waits for room. Returns 0, or a negative errno. */
static int send_once(struct udp_socket *socket, const void *data, size_t size)
{
	const struct iovec vector = {(void *)data, size};
	struct pollfd poll_fd = {.fd = socket->out.fd, .events = POLLOUT};
	int r;

	while ((r = udp_out_send(&socket->out, &socket->to, socket->to_length, &vector, 1)) ==
		-EAGAIN)
		poll(&poll_fd, 1, -1);
	return r < 0 ? r : 0;
}

static int explain(
	const struct udp_socket *socket, int error, size_t size, char why[static WHY_MAX])
{
	switch (-error) {
	case EMSGSIZE:
		return because(why, error, "the payload has %zu bytes, a datagram holds at most %u",
			size, datagram_max(socket->to.any.sa_family));
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

int transmitter_send(
	struct transmitter *transmitter, const void *data, size_t size, char why[static WHY_MAX])
{
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + BUSY_NS;
	int r = send_once(&transmitter->socket, data, size);

	while (r == -ENOBUFS && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		poll(NULL, 0, BUSY_MS);
		r = send_once(&transmitter->socket, data, size);
	}
	return r < 0 ? explain(&transmitter->socket, r, size, why) : 0;
}
