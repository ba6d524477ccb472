#include "net/udp_way.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "net/interface.h"
#include "net/rtnetlink.h"
#include "net/send_socket.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Finds the interface and the address to send from, where they are configured. */
static int resolve(const struct udp_way *way, struct send_socket *options, char why[static WHY_MAX])
{
	CLEANUP(interface_list_clear) struct interface_list list = {0};
	int r;

	if (!way->interface && !way->source.family)
		return 0;
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
	union endpoint from = {0};
	socklen_t length = sizeof(from);

	if (fd < 0)
		return -errno;
	if (ret->ifindex && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ret->interface,
				    (socklen_t)strlen(ret->interface)) < 0)
		return -errno;
	if (probe(fd, &ret->to, ret->to_length, &ret->is_broadcast) == 0 && ret->ifindex &&
		!way->source.family && getsockname(fd, &from.any, &length) == 0)
		options->source = endpoint_address(&from);
	return 0;
}

/* Reads whether what leaves may be segmented. Of the kernel's route the first link counts. */
static void update_splits_runs(struct udp_socket *socket)
{
	struct address to = endpoint_address(&socket->to);
	unsigned ifindex = socket->ifindex;

	if (!ifindex && rtnetlink_route(&to, &ifindex) < 0)
		return;
	socket->out.splits_runs = interface_splits_runs(ifindex);
}

int udp_way_open(const struct udp_way *way, struct udp_socket *ret, char why[static WHY_MAX])
{
	struct send_socket options = {.family = way->to.family,
		.source = way->source,
		.source_key = way->source_key,
		.port = way->source_port,
		.dscp = (uint8_t)way->dscp,
		.unicast = !address_is_multicast(&way->to)};
	struct udp_socket new = {.out.fd = -1};
	int r = resolve(way, &options, why);

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
	update_splits_runs(&new);
	*ret = new;
	return 0;
}

bool udp_way_is_current(struct udp_socket *socket)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, socket->interface, sizeof(request.ifr_name));
	if (socket->ifindex && (ioctl(socket->out.fd, SIOCGIFINDEX, &request) < 0 ||
				       (unsigned)request.ifr_ifindex != socket->ifindex))
		return false;
	update_splits_runs(socket);
	return true;
}
