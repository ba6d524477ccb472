#include "net/send_socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/compat.h"

#define SEND_BUFFER (1 << 20)

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_option(int fd, sa_family_t family, int v4, int v6, int value)
{
	return family == AF_INET ? set_int(fd, IPPROTO_IP, v4, value)
				 : set_int(fd, IPPROTO_IPV6, v6, value);
}

/* For groups. IPv4: with the interface's own address the kernel never takes another interface's,
 * and refuses when that address has gone. */
static int set_interface(int fd, const struct send_socket *wanted)
{
	struct ip_mreqn request = {.imr_ifindex = (int)wanted->ifindex};

	if (wanted->family == AF_INET6)
		return set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)wanted->ifindex);
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
		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, &own.any, length) == 0)
		return wanted->port ? set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) : 0;
	if (errno != EADDRINUSE || !wanted->port)
		return -errno;
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	return bind(fd, &own.any, length) < 0 ? -errno : 0;
}

static int explain(int r, const struct send_socket *wanted, char why[static WHY_MAX])
{
	char address[INET6_ADDRSTRLEN];

	switch (-r) {
	case EADDRINUSE:
		return because(why, r,
			"source_port %u is held by a program that does not share it "
			"(SO_REUSEADDR); ss -lunp may show which",
			wanted->port);
	case EACCES:
		return because(why, r,
			"source_port %u is below net.ipv4.ip_unprivileged_port_start and "
			"needs CAP_NET_BIND_SERVICE",
			wanted->port);
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
	r = r < 0 ? r : set_option(fd, family, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, 0);
	r = r < 0 ? r : set_option(fd, family, IP_RECVERR, IPV6_RECVERR, 1);
	if (r >= 0 && family == AF_INET6)
		r = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r >= 0 && wanted->dscp)
		r = set_option(fd, family, IP_TOS, IPV6_TCLASS, wanted->dscp << 2);
	if (r < 0)
		return r;
	if (wanted->unicast)
		set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (!wanted->receives)
		send_socket_stop_receiving(fd);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER) < 0)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	return bind_own(fd, wanted);
}

int send_socket_open(
	const struct send_socket *wanted, char why[static WHY_MAX], struct udp_out *ret)
{
	AUTO_CLOSE int fd = socket(wanted->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : set_up(fd, wanted);

	if (r < 0)
		return explain(r, wanted, why);
	*ret = (struct udp_out){.fd = take_fd(fd)};
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
	return unicast ? set_option(fd, family, IP_TTL, IPV6_UNICAST_HOPS, ttl)
		       : set_option(fd, family, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

int send_socket_set_loop(int fd, sa_family_t family, int loop)
{
	return set_option(fd, family, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, loop);
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
