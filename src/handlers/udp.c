/* udp: relays datagrams to another address, unicast or multicast.
 *
 * To a group, a datagram goes out with at most one less than the TTL that it came with, as a router would send it: whatever
 * the relays on a network point at, nothing circles for ever (RFC 1812, section 5.3.1). */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "handlers/handler.h"
#include "net/multicast.h"

struct udp_settings {
	struct address address;
	int64_t port;
	char *interface;
	int64_t ttl;
};

struct udp_handler {
	int fd;
	bool multicast;
	sa_family_t family;
	int ttl; /* the most a datagram goes out with */
	int ttl_set; /* what the socket sends with now */
	union endpoint to;
	socklen_t to_length;
	struct log_limit limit;
};

static const struct key udp_keys[] = {
	{.name = "address", .type = KEY_ADDRESS, .offset = offsetof(struct udp_settings, address), .required = true,
		.help = "Where to send: a host or a group."},
	{.name = "port", .type = KEY_NUMBER, .offset = offsetof(struct udp_settings, port), .min = 1, .max = 65535,
		.required = true, .help = "The port to send to."},
	{.name = "interface", .type = KEY_STRING, .offset = offsetof(struct udp_settings, interface),
		.help = "The interface to send out of. Default: the kernel's route."},
	{.name = "ttl", .type = KEY_NUMBER, .offset = offsetof(struct udp_settings, ttl), .min = 1, .max = 255,
		.fallback = "64", .help = "The largest TTL or hop limit to send with; to a group, never more than the received one less 1."},
};

static unsigned udp_needs(const void *settings)
{
	const struct udp_settings *wanted = settings;

	return address_is_multicast(&wanted->address) ? NEED_TTL : 0;
}

static int set_unicast_ttl(int fd, sa_family_t family, int ttl)
{
	int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int option = family == AF_INET ? IP_TTL : IPV6_UNICAST_HOPS;

	return setsockopt(fd, level, option, &ttl, sizeof(ttl)) < 0 ? -errno : 0;
}

static int bind_to_interface(int fd, const char *name)
{
	if (!name)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ? -errno : 0;
}

/* Opens the socket and sets what is the same for all datagrams. */
static int open_socket(struct udp_handler *udp, const char *interface)
{
	unsigned ifindex = interface ? if_nametoindex(interface) : 0;
	int r;

	if (interface && !ifindex)
		return -ENODEV;
	udp->to.v6.sin6_scope_id = udp->family == AF_INET6 ? ifindex : udp->to.v6.sin6_scope_id;
	udp->fd = multicast_open_sender(udp->family, udp->multicast ? ifindex : 0);
	if (udp->fd < 0)
		return udp->fd;
	udp->ttl_set = udp->ttl;
	r = multicast_set_ttl(udp->fd, udp->family, udp->ttl);
	if (!udp->multicast && r >= 0)
		r = set_unicast_ttl(udp->fd, udp->family, udp->ttl);
	if (!udp->multicast && r >= 0)
		r = bind_to_interface(udp->fd, interface);
	return r;
}

static void udp_close(void *object)
{
	struct udp_handler *udp = object;

	if (!udp)
		return;
	closep(&udp->fd);
	free(udp);
}

static int udp_open(const void *settings, char why[static WHY_MAX], void **ret)
{
	const struct udp_settings *wanted = settings;
	struct udp_handler *udp = calloc(1, sizeof(*udp));
	int r;

	if (!udp)
		return -ENOMEM;
	udp->fd = -1;
	udp->family = wanted->address.family;
	udp->multicast = address_is_multicast(&wanted->address);
	udp->ttl = (int)wanted->ttl;
	udp->to_length = address_to_endpoint(&wanted->address, (uint16_t)wanted->port, 0, &udp->to);
	r = open_socket(udp, wanted->interface);
	if (r < 0) {
		snprintf(why, WHY_MAX, "opening a socket to send out of %s: %s",
			wanted->interface ? wanted->interface : "any interface", strerror(-r));
		udp_close(udp);
		return r;
	}
	*ret = udp;
	return 0;
}

static int ttl_out(const struct udp_handler *udp, const struct datagram *datagram)
{
	int left = datagram->ttl - 1;

	return !udp->multicast || left > udp->ttl ? udp->ttl : left < 0 ? 0 : left;
}

static enum drop_reason reason(int r)
{
	return r == -EAGAIN || r == -ENOBUFS ? DROP_BUSY : r == -EMSGSIZE ? DROP_SIZE : DROP_IO;
}

/* Sends datagrams that all go out with the same TTL. A datagram that is refused is counted, and the rest still
 * sent. */
static void send_run(struct udp_handler *udp, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec vectors[BATCH_MAX];
	uint64_t suppressed;
	int r;

	for (unsigned i = 0; i < count; i++) {
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &udp->to,
						       .msg_namelen = udp->to_length,
						       .msg_iov = &vectors[i],
						       .msg_iovlen = 1}};
	}
	for (unsigned i = 0; i < count;) {
		int n = sendmmsg(udp->fd, messages + i, count - i, MSG_DONTWAIT);

		if (n > 0) {
			outcome->delivered += (unsigned)n;
			i += (unsigned)n;
			continue;
		}
		r = -errno;
		outcome->dropped[reason(r)]++;
		i++;
		if (reason(r) == DROP_IO && log_limit_pass(&udp->limit, &suppressed))
			log_warning("udp handler: sending: %s", strerror(-r));
	}
}

static void udp_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct udp_handler *udp = object;
	unsigned first = 0, next;

	for (; first < batch->count; first = next) {
		int ttl = ttl_out(udp, &batch->datagrams[first]);

		for (next = first + 1; next < batch->count && ttl_out(udp, &batch->datagrams[next]) == ttl; next++)
			;
		if (ttl == 0) {
			outcome->dropped[DROP_TTL] += next - first;
			continue;
		}
		if (ttl != udp->ttl_set && multicast_set_ttl(udp->fd, udp->family, ttl) == 0)
			udp->ttl_set = ttl;
		send_run(udp, batch->datagrams + first, next - first, outcome);
	}
}

const struct handler_kind udp_kind = {
	.config = {.name = "udp", .schema = {udp_keys, ARRAY_SIZE(udp_keys), sizeof(struct udp_settings)}},
	.needs = udp_needs,
	.open = udp_open,
	.deliver = udp_deliver,
	.close = udp_close,
};
