#include "ctl/transmitter.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "net/interface.h"
#include "net/joined.h"
#include "net/route_refusal.h"
#include "net/rtnetlink.h"
#include "net/send_socket.h"

/* How long one datagram is tried again when a full queue of the network drops it, and how often. */
#define BUSY_NS NS_PER_S
#define BUSY_MS 2

/* Which interface to send on, by whatever names it; NULL: the kernel's route. Returns an exit code.
 */
static int choose_name(const struct session *session, const struct target *target,
	char source[static INET6_ADDRSTRLEN], const char **ret)
{
	const char *name = target->interface;

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

/* Without a carrier the kernel drops what is sent, and does not tell. */
static bool is_running(const struct udp_socket *socket, const char *interface)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return ioctl(socket->out.fd, SIOCGIFFLAGS, &request) < 0 ||
	       request.ifr_flags & IFF_RUNNING || !(request.ifr_flags & IFF_UP);
}

/* Where the kernel's route decides, it may lead elsewhere by now. */
static int check_carrier(struct transmitter *transmitter, char why[static WHY_MAX])
{
	const struct udp_socket *socket = &transmitter->socket;
	char *leaves_on = transmitter->leaves_on;

	if (is_running(socket, leaves_on))
		return 0;
	if (!socket->ifindex)
		rtnetlink_route_name(&transmitter->way.to, leaves_on);
	return is_running(socket, leaves_on)
		       ? 0
		       : because(why, -ENETDOWN, "%s has no carrier", leaves_on);
}

/* The kernel keeps a datagram of TTL 0 on this host only where a group is joined, or on lo. So the
 * socket joins as well, where another program has: nothing new is reported to the network. */
static int hold_here(
	const struct udp_socket *socket, const struct address *group, char why[static WHY_MAX])
{
	CLEANUP(joined_clear) struct joined joined = {0};
	struct group_req request = {.gr_interface = socket->ifindex};
	int level = group->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;

	if (!strcmp(socket->interface, "lo"))
		return 0;
	joined_read(&joined);
	if (!joined_contains(&joined, group, socket->ifindex))
		return because(why, -EADDRNOTAVAIL,
			"with TTL 0 only this host would receive it, and nobody here has joined "
			"the group on %s",
			socket->interface);
	memcpy(&request.gr_group, &socket->to, socket->to_length);
	if (setsockopt(socket->out.fd, level, MCAST_JOIN_GROUP, &request, sizeof(request)) < 0)
		return because(why, -errno, "keeping TTL 0 on this host: %s", strerror(errno));
	return 0;
}

/* Replaces the socket, if there is one. */
static int open_socket(struct transmitter *transmitter, char why[static WHY_MAX])
{
	const struct udp_way *way = &transmitter->way;
	struct udp_socket *socket = &transmitter->socket, new = {.out.fd = -1};
	char string[INET6_ADDRSTRLEN];
	bool is_group;
	int r = udp_way_open(way, NULL, &new, why);

	if (r < 0)
		return r;
	closep(&socket->out.fd);
	*socket = new;
	is_group = address_is_multicast(&way->to) || socket->is_broadcast;
	if (!is_group && !way->interface && address_is_everyone(&way->to))
		return because(why, -ENETUNREACH,
			"no route to it: name an interface, as in 255.255.255.255:5004%%eth0");
	if (!is_group)
		return because(why, -EINVAL,
			"%s is neither a multicast address nor a broadcast address of this host",
			address_format(&way->to, string));
	memcpy(transmitter->leaves_on, socket->interface, sizeof(transmitter->leaves_on));
	if (!socket->ifindex)
		rtnetlink_route_name(&way->to, transmitter->leaves_on);
	if (transmitter->ttl == 0 && socket->is_broadcast)
		return because(why, -EINVAL,
			"with TTL 0 only this host would receive it, and a broadcast leaves it");
	if (transmitter->ttl == 0 && (r = hold_here(socket, &way->to, why)) < 0)
		return r;
	r = transmitter->ttl < 0 ? 0
				 : send_socket_set_ttl(socket->out.fd, way->to.family,
					   socket->is_broadcast, transmitter->ttl);
	return r < 0 ? because(why, r, "setting the TTL: %s", strerror(-r))
		     : check_carrier(transmitter, why);
}

int transmitter_open(struct transmitter *transmitter, const struct session *session,
	const struct target *target, const struct transmitter_options *options)
{
	char why[WHY_MAX], source[INET6_ADDRSTRLEN], route[IF_NAMESIZE];
	const char *name = NULL;
	int code = choose_name(session, target, source, &name);

	if (code)
		return code;
	transmitter->ttl = options->ttl;
	transmitter->way = (struct udp_way){
		.to = target->address, .port = target->port, .source_key = options->source_key};
	if (target->sources.count)
		transmitter->way.source = target->sources.items[0];
	if (!name && options->ttl == 0) /* what becomes of it depends on the interface */
		name = rtnetlink_route_name(&target->address, route);
	if (name && !(transmitter->way.interface = transmitter->name = strdup(name)))
		return session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	return open_socket(transmitter, why) < 0
		       ? session_fail(session, EXIT_REFUSED, "%s: %s", target->name, why)
		       : EXIT_DONE;
}

void transmitter_close(struct transmitter *transmitter)
{
	closep(&transmitter->socket.out.fd);
	free(take(transmitter->name));
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

/* Whether another socket may do what this one cannot: its interface or its address has gone. */
static bool is_lost(const struct transmitter *transmitter, int error)
{
	return transmitter->way.interface && error < 0 && error != -EMSGSIZE && error != -ENOBUFS &&
	       error != -EPERM;
}

static int explain(
	const struct transmitter *transmitter, int error, size_t size, char why[static WHY_MAX])
{
	const struct udp_way *way = &transmitter->way;
	char to[ENDPOINT_STRING_MAX], interface[IF_NAMESIZE];

	endpoint_format(&transmitter->socket.to, to);
	if (way->interface ? route_explain_missing(&way->to, transmitter->leaves_on, error, why) < 0
			   : route_explain_refusal(&way->to, error, why) < 0)
		return error;
	switch (-error) {
	case EMSGSIZE:
		return because(why, error, "the payload has %zu bytes, a datagram holds at most %u",
			size, datagram_max(way->to.family));
	case ENOBUFS:
		return because(why, error, "the network's queue was full for a second");
	case ENETUNREACH:
		return because(
			why, error, "no route to the group: name an interface, as in %s%%eth0", to);
	case EADDRNOTAVAIL:
		return because(why, error,
			"%s, to which the kernel's route leads, has no address to send from: give "
			"it one with ip addr add, or name another interface, as in %s%%eth0",
			rtnetlink_route_name(&way->to, interface), to);
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
	int r = check_carrier(transmitter, why);

	if (r < 0)
		return r;
	r = send_once(&transmitter->socket, data, size);
	if (is_lost(transmitter, r)) {
		r = open_socket(transmitter, why);
		if (r < 0)
			return r;
		r = send_once(&transmitter->socket, data, size);
	}
	while (r == -ENOBUFS && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		poll(NULL, 0, BUSY_MS);
		r = send_once(&transmitter->socket, data, size);
	}
	return r < 0 ? explain(transmitter, r, size, why) : 0;
}
