#include "net/spoof.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/compat.h"
#include "net/send_socket.h"
#include "net/socket_option.h"
#include "net/udp_header.h"
#include "net/udp_out.h"

#define SEND_BUFFER (1 << 20)

/* UDP sockets of a family. As each is opened at the start, they count against LimitNOFILE=. */
#define RESERVE 64

/* A sender must send this number of datagrams of one size at once to be given a UDP socket. */
#define RUN_MIN 4

/* A UDP socket that was not used for this long may be given to another port. */
#define IDLE_NS NS_PER_S

/* When idle ports are given back to programs of this host; those of fixed sockets later, as such a
 * socket has to be closed for it, and no other can be opened. */
#define RELEASE_NS (10 * NS_PER_S)
#define RELEASE_FIXED_NS (600 * NS_PER_S)

/* When to try again to bind to a port that could not be had. */
#define REFUSED_NS (10 * NS_PER_S)

/* Direct-mapped tables: by port, and by interface. */
#define REFUSALS 64
#define PATHS 64

struct sender {
	int fd; /* -1: there is none */
	bool loop; /* IP_MULTICAST_LOOP */
	bool fixed; /* bound to its port for ever */
	uint16_t port; /* UDP: 0 while it is not bound */
	unsigned ifindex; /* raw: the interface that it is bound to; 0: none */
	uint64_t used_ns;
};

struct refusal {
	uint16_t port; /* 0: none */
	uint64_t until_ns;
};

/* What sending by one interface has shown: whether it segments, and up to which size. */
struct path {
	unsigned ifindex;
	struct udp_out out; /* its descriptor is that of the sender at hand */
};

/* The sockets of one family. */
struct side {
	sa_family_t family;
	struct sender raw;
	struct sender raw_bound; /* IPv6, for hosts by a given interface */
	struct sender reserve[RESERVE];
	struct refusal refusals[REFUSALS];
	struct path paths[PATHS];
};

struct spoof {
	struct side v4, v6;
	bool shortage_logged;
};

/* ---- Opening ---- */

/* IPv4: routers may fragment what is sent, since their reports of a smaller MTU go to the sender
 * whose address it has. */
static int set_up(int fd, sa_family_t family)
{
	int r = socket_set_ip(fd, family, IP_TRANSPARENT, IPV6_TRANSPARENT, 1);

	r = r < 0 ? r : socket_set_ip(fd, family, IP_RECVERR, IPV6_RECVERR, 1);
	r = r < 0 ? r : socket_set_ip(fd, family, IP_MULTICAST_ALL, IPV6_MULTICAST_ALL, 0);
	r = r < 0 ? r : send_socket_set_loop(fd, family, 0);
	if (r >= 0 && family == AF_INET)
		r = socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (r < 0)
		return r;
	send_socket_stop_receiving(fd);
	socket_set(fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (socket_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER) < 0)
		socket_set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	return 0;
}

/* Bound to the reserved group, a raw socket is handed neither the datagrams of this host nor the
 * ICMP errors about them, each of which would fail a send. */
static int set_up_raw(int fd, sa_family_t family)
{
	union endpoint reserved;
	socklen_t length = send_socket_reserved(family, 0, &reserved);
	int r = set_up(fd, family);

	if (r >= 0 && family == AF_INET6)
		r = socket_set(fd, IPPROTO_IPV6, IPV6_CHECKSUM, offsetof(struct udphdr, check));
	if (r >= 0 && bind(fd, &reserved.any, length) < 0)
		r = -errno;
	return r;
}

static int set_up_udp(int fd, sa_family_t family)
{
	int r = set_up(fd, family);

	if (r >= 0 && family == AF_INET6)
		r = socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	r = r < 0 ? r : socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return r < 0 ? r : socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

static int open_sender(struct sender *sender, sa_family_t family, bool raw)
{
	int type = raw ? SOCK_RAW : SOCK_DGRAM, r;
	AUTO_CLOSE int fd = socket(
		family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, raw ? IPPROTO_UDP : 0);

	if (fd < 0)
		return -errno;
	r = raw ? set_up_raw(fd, family) : set_up_udp(fd, family);
	if (r < 0)
		return r;
	sender->fd = take_fd(fd);
	return 0;
}

static void init_side(struct side *side, sa_family_t family)
{
	side->family = family;
	side->raw.fd = side->raw_bound.fd = -1;
	for (unsigned i = 0; i < RESERVE; i++)
		side->reserve[i].fd = -1;
}

/* Fewer UDP sockets than there could be are no error. */
static int open_side(struct side *side)
{
	int r = open_sender(&side->raw, side->family, true);

	if (r >= 0 && side->family == AF_INET6)
		r = open_sender(&side->raw_bound, side->family, true);
	for (unsigned i = 0; i < RESERVE && r >= 0; i++)
		if (open_sender(&side->reserve[i], side->family, false) < 0)
			break;
	return r;
}

static void close_side(struct side *side)
{
	closep(&side->raw.fd);
	closep(&side->raw_bound.fd);
	for (unsigned i = 0; i < RESERVE; i++)
		closep(&side->reserve[i].fd);
}

int spoof_new(char why[static WHY_MAX], struct spoof **ret)
{
	struct spoof *spoof = calloc(1, sizeof(*spoof));
	int r;

	if (!spoof)
		return because(why, -ENOMEM, "out of memory");
	init_side(&spoof->v4, AF_INET);
	init_side(&spoof->v6, AF_INET6);
	r = open_side(&spoof->v4);
	if (r >= 0 && (r = open_side(&spoof->v6)) == -EAFNOSUPPORT)
		r = 0; /* a kernel without IPv6 */
	if (r < 0) {
		spoof_free(spoof);
		return because(
			why, r, r == -EPERM ? SPOOF_FIX : "opening raw sockets: %s", strerror(-r));
	}
	*ret = spoof;
	return 0;
}

void spoof_free(struct spoof *spoof)
{
	if (!spoof)
		return;
	close_side(&spoof->v4);
	close_side(&spoof->v6);
	free(spoof);
}

/* ---- UDP sockets for senders of runs ---- */

static bool has_run(const struct iovec *vectors, unsigned count)
{
	unsigned equal = 1;

	for (unsigned i = 1; i < count && equal < RUN_MIN; i++)
		equal = vectors[i].iov_len && vectors[i].iov_len == vectors[i - 1].iov_len
				? equal + 1
				: 1;
	return equal >= RUN_MIN;
}

static struct sender *find_bound(struct side *side, uint16_t port)
{
	for (unsigned i = 0; i < RESERVE; i++)
		if (side->reserve[i].port == port)
			return &side->reserve[i];
	return NULL;
}

/* One that is not bound, or was not used for the longest time. */
static struct sender *find_idle(struct side *side, uint64_t now)
{
	struct sender *idle = NULL;

	for (unsigned i = 0; i < RESERVE; i++) {
		struct sender *sender = &side->reserve[i];

		if (sender->fd < 0)
			continue;
		if (!sender->port)
			return sender;
		if (!sender->fixed && sender->used_ns + IDLE_NS <= now &&
			(!idle || sender->used_ns < idle->used_ns))
			idle = sender;
	}
	return idle;
}

/* Undoes a bind() to a port that the kernel has chosen (connect(2), AF_UNSPEC). */
static void unbind(struct sender *sender)
{
	static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	connect(sender->fd, &nobody, sizeof(nobody));
	sender->port = 0;
}

/* Only what the kernel has chosen can be unbound: so it may choose from one port. It does where the
 * port is among the ephemeral ones (since Linux 6.3; ip(7), IP_LOCAL_PORT_RANGE). Others stay. */
static int bind_port(struct sender *sender, sa_family_t family, uint16_t port)
{
	uint32_t range = (uint32_t)port << 16 | port;
	union endpoint reserved;
	socklen_t length = send_socket_reserved(family, 0, &reserved);

	if (socket_set(sender->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, (int)range) == 0 &&
		bind(sender->fd, &reserved.any, length) == 0) {
		sender->port = send_socket_port(sender->fd);
		if (sender->port == port)
			return 0;
		unbind(sender);
	}
	send_socket_reserved(family, port, &reserved);
	if (bind(sender->fd, &reserved.any, length) < 0)
		return -errno;
	sender->port = port;
	sender->fixed = true;
	return 0;
}

/* A socket for a port that has none yet; NULL: there is none to be had. */
static struct sender *acquire(struct spoof *spoof, struct side *side, uint16_t port, uint64_t now)
{
	struct refusal *refusal = &side->refusals[port % REFUSALS];
	struct sender *sender;

	if (port < IPPORT_RESERVED || (refusal->port == port && now < refusal->until_ns))
		return NULL;
	sender = find_idle(side, now);
	if (!sender && !spoof->shortage_logged) {
		spoof->shortage_logged = true;
		log_notice(
			"keep_source: all %d sockets for fast senders are in use; datagrams from "
			"further ports are sent one by one, which takes more CPU",
			RESERVE);
	}
	if (!sender)
		return NULL;
	if (sender->port)
		unbind(sender);
	if (bind_port(sender, side->family, port) == 0)
		return sender;
	*refusal = (struct refusal){port, now + REFUSED_NS};
	return NULL;
}

static void release_idle(struct side *side, uint64_t now)
{
	for (unsigned i = 0; i < RESERVE; i++) {
		struct sender *sender = &side->reserve[i];
		uint64_t wait = sender->fixed ? RELEASE_FIXED_NS : RELEASE_NS;

		if (!sender->port || now < sender->used_ns + wait)
			continue;
		if (sender->fixed)
			closep(&sender->fd);
		unbind(sender);
		sender->fixed = false;
	}
}

void spoof_release_idle(struct spoof *spoof, uint64_t now_ns)
{
	release_idle(&spoof->v4, now_ns);
	release_idle(&spoof->v6, now_ns);
}

/* The UDP socket to send with; NULL: the raw one. */
static struct sender *choose(struct spoof *spoof, struct side *side, const struct spoof_way *way,
	uint16_t port, const struct iovec *vectors, unsigned count)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
	struct sender *sender;

	if (!port || way->splits_runs)
		return NULL;
	sender = find_bound(side, port);
	if (!sender && has_run(vectors, count))
		sender = acquire(spoof, side, port, now);
	if (sender)
		sender->used_ns = now;
	return sender;
}

/* ---- Sending ---- */

static void set_loop(struct sender *sender, sa_family_t family, bool loop)
{
	if (sender->loop != loop && send_socket_set_loop(sender->fd, family, loop) == 0)
		sender->loop = loop;
}

static struct path *find_path(struct side *side, unsigned ifindex)
{
	struct path *path = &side->paths[ifindex % PATHS];

	if (path->ifindex != ifindex)
		*path = (struct path){.ifindex = ifindex};
	return path;
}

/* IPv6 takes the interface of a control message for a wish where the route to a host leads
 * elsewhere. A socket that is bound to the interface never leaves by another one. Only what is not
 * bound can be bound without CAP_NET_RAW (since Linux 5.7). */
static int bind_to_interface(struct sender *raw, unsigned ifindex)
{
	int r;

	if (raw->ifindex == ifindex)
		return 0;
	unbind(raw);
	raw->ifindex = 0;
	r = socket_set(raw->fd, SOL_SOCKET, SO_BINDTOIFINDEX, (int)ifindex);
	if (r >= 0)
		raw->ifindex = ifindex;
	return r;
}

static bool needs_bound(const struct spoof_way *way)
{
	return way->ifindex && way->to.any.sa_family == AF_INET6 &&
	       !IN6_IS_ADDR_MULTICAST(&way->to.v6.sin6_addr);
}

/* Each datagram with a header of ours, in one system call. */
static int send_raw(const struct sender *raw, const struct spoof_way *way,
	const struct udp_out *out, const union endpoint *from, const struct iovec *vectors,
	unsigned count)
{
	struct mmsghdr messages[UDP_OUT_MAX];
	struct udphdr headers[UDP_OUT_MAX];
	struct iovec parts[UDP_OUT_MAX][2];
	union endpoint to = way->to;
	int n;

	if (to.any.sa_family == AF_INET6)
		to.v6.sin6_port = 0; /* the protocol's place */
	for (unsigned i = 0; i < count; i++) {
		udp_header_write(
			&headers[i], from, &way->to, vectors[i].iov_base, vectors[i].iov_len);
		parts[i][0] = (struct iovec){&headers[i], sizeof(headers[i])};
		parts[i][1] = vectors[i];
		messages[i].msg_hdr = (struct msghdr){.msg_name = &to,
			.msg_namelen = way->to_length,
			.msg_iov = parts[i],
			.msg_iovlen = 2,
			.msg_control = (void *)out->control,
			.msg_controllen = out->control_size};
	}
	n = sendmmsg(raw->fd, messages, count, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static int send_by_raw(struct side *side, const struct spoof_way *way, const struct udp_out *out,
	const union endpoint *from, const struct iovec *vectors, unsigned count)
{
	struct sender *raw = needs_bound(way) ? &side->raw_bound : &side->raw;
	int r;

	if (raw->fd < 0)
		return -EAFNOSUPPORT;
	r = needs_bound(way) ? bind_to_interface(raw, way->ifindex) : 0;
	if (r < 0)
		return r;
	set_loop(raw, side->family, way->loop);
	r = send_raw(raw, way, out, from, vectors, count);
	if (r < 0 && r != -EAGAIN)
		send_socket_discard_errors(raw->fd);
	return r;
}

int spoof_send(struct spoof *spoof, const struct spoof_way *way, const union endpoint *from,
	const struct iovec *vectors, unsigned count, unsigned *ret_refused)
{
	sa_family_t family = way->to.any.sa_family;
	struct side *side = family == AF_INET ? &spoof->v4 : &spoof->v6;
	struct path *path = find_path(side, way->ifindex);
	struct address source = endpoint_address(from);
	struct sender *sender = NULL;
	int r;

	*ret_refused = 1;
	if (source.family != family)
		return -EAFNOSUPPORT;
	udp_out_set_header(&path->out, &source, way->ifindex, way->ttl, way->dscp);
	if (!needs_bound(way))
		sender = choose(spoof, side, way, endpoint_port(from), vectors, count);
	if (!sender)
		return send_by_raw(side, way, &path->out, from, vectors, count);
	set_loop(sender, family, way->loop);
	path->out.fd = sender->fd;
	r = udp_out_send(&path->out, &way->to, way->to_length, vectors, count);
	*ret_refused = path->out.refused;
	return r;
}
