#include "net/multicast.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/compat.h"
#include "net/holder.h"
#include "net/rtnetlink.h"
#include "net/socket_option.h"

/* Whether reading is refused: errors of a socket that are pending come first. */
#define READ_TRIES 8

enum reach multicast_reach(const struct address *address)
{
	if (address_is_multicast(address))
		return REACH_MULTICAST;
	if (address_is_everyone(address))
		return REACH_BROADCAST;
	if (address_is_any(address) || address_needs_scope(address))
		return REACH_UNICAST;
	switch (rtnetlink_route_type(address)) {
	case RTN_BROADCAST:
		return REACH_BROADCAST;
	case RTN_LOCAL:
		return REACH_UNICAST;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
		return REACH_UNKNOWN;
	default:
		return REACH_NONE;
	}
}

static int ip_level(sa_family_t family)
{
	return family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

/* Needs CAP_NET_RAW before Linux 5.7. */
static int bind_to_interface(int fd, const char *name)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0
		       ? -errno
		       : 0;
}

/* Binding to the group keeps other groups out; IP_MULTICAST_ALL=0 keeps other interfaces and other
 * processes' joins out. IPV6_MULTICAST_ALL=0 ignores the interface, so an IPv6 socket is bound to
 * it; so is one that joins nothing. */
static int isolate(int fd, const struct multicast_membership *membership)
{
	bool v4 = membership->group.family == AF_INET;
	int r;

	if (v4)
		r = socket_set(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
	else if ((r = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) >= 0)
		r = socket_set(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
	if (r < 0 || membership->any_interface || (v4 && membership->reach == REACH_MULTICAST))
		return r;
	return bind_to_interface(fd, membership->interface);
}

/* Whether a socket bound to all addresses has the port: then it receives what comes to an address
 * that nobody has. */
static bool is_held_for_all(const struct multicast_membership *membership)
{
	bool v4 = membership->group.family == AF_INET;
	AUTO_CLOSE int fd = socket(membership->group.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct address nobody;
	union endpoint endpoint;
	socklen_t length;

	address_parse(v4 ? "192.0.2.1" : "2001:db8::1", &nobody);
	length = address_to_endpoint(&nobody, membership->port, 0, &endpoint);
	if (fd < 0 || isolate(fd, membership) < 0 ||
		socket_set_ip(fd, nobody.family, IP_FREEBIND, IPV6_FREEBIND, 1) < 0)
		return true;
	return bind(fd, &endpoint.any, length) < 0;
}

/* Binds so that no unicast is taken from other sockets: of two on one address with SO_REUSEADDR,
 * the later one gets it. On the wildcard address the port is shared with sockets that are bound to
 * one address, such as a group's: they go before. */
static int bind_alone(int fd, const struct multicast_membership *membership,
	const struct sockaddr *address, socklen_t length)
{
	bool shares = address_is_any(&membership->group) && !is_held_for_all(membership);
	int r = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, shares);

	if (r < 0)
		return r;
	return bind(fd, address, length) < 0 ? -errno : 0;
}

/* Binds beside other programs. A holder of the port with SO_REUSEPORT alone refuses a binder with
 * SO_REUSEADDR alone, and the other way round, so the socket ends up with both. SO_REUSEPORT is set
 * after the bind where possible: set before, the kernel compares the socket with every other one of
 * the port, which takes quadratic time for many groups. Set before, it also puts sockets of one
 * group on different interfaces into one reuseport group, where they get each other's datagrams;
 * binding to the interface keeps them apart. */
static int bind_shared(int fd, const struct multicast_membership *membership)
{
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(
		&membership->group, membership->port, membership->ifindex, &endpoint);
	int r;

	if (membership->reach == REACH_UNICAST)
		return bind_alone(fd, membership, &endpoint.any, length);
	r = socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r < 0)
		return r;
	if (bind(fd, &endpoint.any, length) == 0)
		return socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (errno != EADDRINUSE)
		return -errno;
	r = socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* isolate() has done that for IPv6, and only root may do it again. */
	if (r == 0 && membership->group.family == AF_INET)
		r = bind_to_interface(fd, membership->interface);
	if (r < 0)
		return r;
	return bind(fd, &endpoint.any, length) < 0 ? -errno : 0;
}

uint64_t socket_set_receive_buffer(int fd, uint64_t bytes)
{
	int value = bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)bytes;

	/* Only CAP_NET_ADMIN may pass net.core.rmem_max. */
	if (socket_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, value) >= 0)
		return (uint64_t)value;
	socket_set(fd, SOL_SOCKET, SO_RCVBUF, value);
	return socket_receive_buffer(fd);
}

static void put_address(
	struct sockaddr_storage *storage, const struct address *address, unsigned ifindex)
{
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(address, 0, ifindex, &endpoint);

	memcpy(storage, &endpoint, length);
}

/* Joins for one source, or blocks one after an any-source join. */
static int join_source(int fd, const struct multicast_membership *membership, int option, size_t i)
{
	struct group_source_req request = {.gsr_interface = membership->ifindex};

	put_address(&request.gsr_group, &membership->group, membership->ifindex);
	put_address(&request.gsr_source, &membership->sources[i], membership->ifindex);
	if (setsockopt(fd, ip_level(membership->group.family), option, &request, sizeof(request)) <
		0)
		return -errno;
	return 0;
}

static int join_group(int fd, const struct multicast_membership *membership)
{
	struct group_req request = {.gr_interface = membership->ifindex};

	put_address(&request.gr_group, &membership->group, membership->ifindex);
	if (setsockopt(fd, ip_level(membership->group.family), MCAST_JOIN_GROUP, &request,
		    sizeof(request)) < 0)
		return -errno;
	return 0;
}

static int explain_join(
	int r, const struct multicast_membership *membership, char why[static WHY_MAX])
{
	bool v4 = membership->group.family == AF_INET;

	if (r == -ENOBUFS && membership->source_count)
		return because(why, r,
			"joining: the kernel takes fewer than %zu sources a group, raise the "
			"sysctl %s",
			membership->source_count,
			v4 ? "net.ipv4.igmp_max_msf" : "net.ipv6.mld_max_msf");
	if (r == -ENOBUFS)
		return because(why, r, "joining: too many memberships, raise the sysctl %s",
			v4 ? "net.ipv4.igmp_max_memberships" : "net.core.optmem_max");
	if (r == -ENOMEM)
		return because(why, r,
			"joining: no memory for the socket's options, raise the sysctl "
			"net.core.optmem_max");
	return because(why, r, "joining: %s", strerror(-r));
}

int multicast_join(int fd, const struct multicast_membership *membership, char why[static WHY_MAX])
{
	bool any_source = membership->exclude || !membership->source_count;
	int option = membership->exclude ? MCAST_BLOCK_SOURCE : MCAST_JOIN_SOURCE_GROUP;
	int r = any_source ? join_group(fd, membership) : 0;

	for (size_t i = 0; r >= 0 && i < membership->source_count; i++)
		r = join_source(fd, membership, option, i);
	return r < 0 ? explain_join(r, membership, why) : 0;
}

int multicast_set_filter(int fd, const struct multicast_membership *membership)
{
	size_t size = GROUP_FILTER_SIZE(membership->source_count);
	AUTO_FREE struct group_filter *filter = calloc(1, size);

	if (!filter)
		return -ENOMEM;
	filter->gf_interface = membership->ifindex;
	filter->gf_fmode = membership->exclude ? MCAST_EXCLUDE : MCAST_INCLUDE;
	filter->gf_numsrc = (uint32_t)membership->source_count;
	put_address(&filter->gf_group, &membership->group, membership->ifindex);
	for (size_t i = 0; i < membership->source_count; i++)
		put_address(&filter->gf_slist[i], &membership->sources[i], membership->ifindex);
	if (setsockopt(fd, ip_level(membership->group.family), MCAST_MSFILTER, filter,
		    (socklen_t)size) < 0)
		return -errno;
	return 0;
}

int multicast_restore_filter(int fd, const struct multicast_membership *membership)
{
	struct multicast_membership wanted = *membership;
	struct group_filter filter = {.gf_interface = membership->ifindex};
	socklen_t size = GROUP_FILTER_SIZE(0);

	wanted.exclude = membership->exclude || !membership->source_count;
	put_address(&filter.gf_group, &membership->group, membership->ifindex);
	if (getsockopt(fd, ip_level(membership->group.family), MCAST_MSFILTER, &filter, &size) < 0)
		return -errno;
	if (filter.gf_fmode == (wanted.exclude ? MCAST_EXCLUDE : MCAST_INCLUDE) &&
		filter.gf_numsrc == wanted.source_count)
		return 0;
	return multicast_set_filter(fd, &wanted);
}

static int explain_bind(
	int r, const struct multicast_membership *membership, char why[static WHY_MAX])
{
	if (r == -EADDRINUSE)
		return holder_explain(&membership->group, membership->port, why);
	if (r == -EADDRNOTAVAIL)
		return because(why, r, "the address cannot be received on yet");
	if (r == -EACCES)
		return because(why, r,
			"port %u is below net.ipv4.ip_unprivileged_port_start and needs "
			"CAP_NET_BIND_SERVICE",
			membership->port);
	return because(why, r, "binding: %s", strerror(-r));
}

int socket_check_read(int fd, char why[static WHY_MAX])
{
	struct mmsghdr message = {0};
	int error = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		if (recvmmsg(fd, &message, 1, MSG_PEEK | MSG_DONTWAIT, NULL) >= 0 ||
			errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)
			return 0;
		error = errno;
	}
	return because(why, -error, "what arrives cannot be read (recvmmsg(2)): %s%s",
		strerror(error),
		error == EPERM || error == EACCES || error == ENOSYS
			? "; a seccomp filter or a security module (SELinux, AppArmor) forbids it: "
			  "allow it there"
			: "");
}

int multicast_open_receiver(const struct multicast_membership *membership, char why[static WHY_MAX])
{
	sa_family_t family = membership->group.family;
	AUTO_CLOSE int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return because(why, -errno, "opening a socket: %s%s", strerror(errno),
			errno == EMFILE || errno == ENFILE
				? "; raise the limit on open files (LimitNOFILE=, ulimit -n)"
				: "");
	if ((r = socket_check_read(fd, why)) < 0)
		return r;
	if ((r = isolate(fd, membership)) < 0)
		return because(why, r, "binding to the interface: %s", strerror(-r));
	if ((r = bind_shared(fd, membership)) < 0)
		return explain_bind(r, membership, why);
	if (membership->reach == REACH_MULTICAST && (r = multicast_join(fd, membership, why)) < 0)
		return r;
	return take_fd(fd);
}

bool socket_is_bound_to(int fd, const struct address *address, uint16_t port)
{
	union endpoint bound = {0};
	socklen_t length = sizeof(bound), size = sizeof(int);
	struct address bound_address;
	int protocol = 0;

	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	if (protocol != IPPROTO_UDP || getsockname(fd, &bound.any, &length) < 0)
		return false;
	bound_address = endpoint_address(&bound);
	return address_equal(&bound_address, address) && endpoint_port(&bound) == port;
}

int multicast_adopt_receiver(
	int fd, const struct multicast_membership *membership, char why[static WHY_MAX])
{
	int r;

	if (!socket_is_bound_to(fd, &membership->group, membership->port))
		return because(why, -EADDRNOTAVAIL,
			"the socket unit of that name has another address or port than the group");
	if ((r = socket_check_read(fd, why)) < 0)
		return r;
	if ((r = isolate(fd, membership)) < 0)
		return because(why, r, "binding to the interface: %s", strerror(-r));
	if (membership->reach != REACH_MULTICAST)
		return 0;
	/* An earlier run may have joined it, possibly on another interface of the same index. */
	multicast_leave(fd, &membership->group, membership->ifindex);
	return multicast_join(fd, membership, why);
}

/* Where there is nothing to leave: a filter that takes no datagram. What it refuses counts as
 * dropped at the socket. */
static void refuse_all(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &nothing};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

void multicast_leave(int fd, const struct address *group, unsigned ifindex)
{
	struct group_req request = {.gr_interface = ifindex};

	if (!address_is_multicast(group)) {
		refuse_all(fd);
		return;
	}
	/* Also removes the sources, whichever way the group was joined. Fails when the interface is
	 * gone, and its membership with it. */
	put_address(&request.gr_group, group, ifindex);
	setsockopt(fd, ip_level(group->family), MCAST_LEAVE_GROUP, &request, sizeof(request));
}

void multicast_leave_bound(int fd, unsigned ifindex)
{
	union endpoint bound = {0};
	socklen_t length = sizeof(bound);
	struct address group;

	if (getsockname(fd, &bound.any, &length) < 0)
		return;
	group = endpoint_address(&bound);
	multicast_leave(fd, &group, ifindex);
}

uint64_t socket_receive_buffer(int fd)
{
	int value = 0;
	socklen_t length = sizeof(value);

	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length);
	return (uint64_t)value / 2;
}

static int read_memory_info(int fd, unsigned index, uint32_t *ret)
{
	uint32_t values[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(values);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) < 0)
		return -errno;
	*ret = values[index];
	return 0;
}

int socket_drops(int fd, uint32_t *ret)
{
	return read_memory_info(fd, SK_MEMINFO_DROPS, ret);
}

uint64_t socket_backlog(int fd)
{
	uint32_t bytes = 0;

	read_memory_info(fd, SK_MEMINFO_RMEM_ALLOC, &bytes);
	return bytes;
}
