/* udp: relays datagrams to another address, unicast or multicast.
 *
 * Relays to groups can form rings. A configuration that feeds itself is refused (relays()); against
 * other rings there are three guards. A datagram is sent with at most one less than the TTL that it
 * came with, as by a router (RFC 1812, section 5.3.1), so that none circles for ever. What this
 * relay has sent itself is known by its source; what a ring of relays brings back, by its payload
 * (data/loop_guard.h). */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/loop_guard.h"
#include "handlers/handler.h"
#include "net/multicast.h"
#include "net/udp_out.h"

#define RETRY_NS NS_PER_S

struct udp_settings {
	struct address address;
	int64_t port;
	char *interface;
	int64_t ttl;
	int64_t source_port;
};

struct udp_handler {
	const char *name;
	struct udp_out out;
	union endpoint to;
	socklen_t to_length;
	sa_family_t family;
	bool multicast;
	struct loop_guard *guard; /* NULL: to a host, from which nothing comes back */
	char *interface; /* NULL: the kernel's route */
	uint64_t retry_ns; /* when to try again to open the socket, CLOCK_MONOTONIC */
	int ttl; /* the largest to send with */
	int ttl_set; /* of the socket, now */
	uint16_t source_port; /* of the socket */
	struct log_limit limit;
};

static const struct key udp_keys[] = {
	{.name = "address",
		.type = KEY_ADDRESS,
		.offset = offsetof(struct udp_settings, address),
		.required = true,
		.help = "Where to send: a host or a group."},
	{.name = "port",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, port),
		.min = 1,
		.max = 65535,
		.required = true,
		.help = "The port to send to."},
	{.name = "interface",
		.type = KEY_STRING,
		.offset = offsetof(struct udp_settings, interface),
		.help = "The interface to send out of. Default: the kernel's route."},
	{.name = "ttl",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, ttl),
		.min = 1,
		.max = 255,
		.fallback = "64",
		.help = "The largest TTL or hop limit to send with; to a group, never more than "
			"the received one less 1."},
	{.name = "source_port",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, source_port),
		.min = 1,
		.max = 65535,
		.help = "The port to send from. Default: one that the kernel chooses."},
};

static unsigned udp_needs(const void *settings)
{
	const struct udp_settings *wanted = settings;

	return address_is_multicast(&wanted->address) ? NEED_TTL | NEED_SOURCE : 0;
}

/* Binds now, and not with the first datagram, so that is_own() knows the port. */
static int bind_port(struct udp_handler *udp, int fd, uint16_t port)
{
	union endpoint any = {.any = {.sa_family = udp->family}};
	socklen_t length = sizeof(any);
	int on = 1;

	any.v4.sin_port = htons(port);
	if (port && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, &any.any, udp->family == AF_INET ? sizeof(any.v4) : sizeof(any.v6)) < 0)
		return -errno;
	if (getsockname(fd, &any.any, &length) < 0)
		return -errno;
	udp->source_port = endpoint_port(&any);
	return 0;
}

static int configure_socket(struct udp_handler *udp, int fd)
{
	bool is_v4 = udp->family == AF_INET;
	const char *interface = udp->interface;

	udp->ttl_set = udp->ttl;
	if (udp->multicast)
		return multicast_set_ttl(fd, udp->family, udp->ttl);
	if (setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TTL : IPV6_UNICAST_HOPS,
		    &udp->ttl, sizeof(udp->ttl)) < 0)
		return -errno;
	if (interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				 (socklen_t)strlen(interface)) < 0)
		return -errno;
	return 0;
}

static int open_socket(struct udp_handler *udp)
{
	unsigned ifindex = udp->interface ? if_nametoindex(udp->interface) : 0;
	AUTO_CLOSE int fd = -1;
	int r;

	if (udp->interface && !ifindex)
		return -ENODEV;
	if (udp->family == AF_INET6)
		udp->to.v6.sin6_scope_id = ifindex;
	fd = multicast_open_sender(udp->family, udp->multicast ? ifindex : 0);
	if (fd < 0)
		return fd;
	r = configure_socket(udp, fd);
	r = r < 0 ? r : bind_port(udp, fd, udp->source_port);
	if (r < 0)
		return r;
	udp->out.fd = take_fd(fd);
	return 0;
}

static void udp_close(void *object)
{
	struct udp_handler *udp = object;

	if (!udp)
		return;
	closep(&udp->out.fd);
	loop_guard_free(udp->guard);
	free(udp->interface);
	free(udp);
}

static struct udp_handler *make(const struct udp_settings *wanted, const char *name)
{
	struct udp_handler *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return NULL;
	udp->name = name;
	udp->out.fd = -1;
	udp->to_length = address_to_endpoint(&wanted->address, (uint16_t)wanted->port, 0, &udp->to);
	udp->family = wanted->address.family;
	udp->multicast = address_is_multicast(&wanted->address);
	udp->ttl = (int)wanted->ttl;
	udp->source_port = (uint16_t)wanted->source_port;
	udp->interface = wanted->interface ? strdup(wanted->interface) : NULL;
	udp->guard = udp->multicast ? loop_guard_new() : NULL;
	if ((wanted->interface && !udp->interface) || (udp->multicast && !udp->guard)) {
		udp_close(udp);
		return NULL;
	}
	return udp;
}

static int udp_open(const void *settings, const char *name, char why[static WHY_MAX], void **ret)
{
	struct udp_handler *udp = make(settings, name);
	int r = udp ? open_socket(udp) : -ENOMEM;

	if (r < 0 && r != -ENODEV) {
		udp_close(udp);
		return because(why, r, "opening a socket to send from: %s%s", strerror(-r),
			r == -EADDRINUSE ? "; another program has source_port" : "");
	}
	if (r < 0)
		log_warning("handler %s: there is no interface %s yet; datagrams are dropped until "
			    "there is",
			name, udp->interface);
	*ret = udp;
	return 0;
}

/* Whether there is a socket to send from. Tries once a second to open one. */
static bool is_open(struct udp_handler *udp)
{
	uint64_t now;

	if (udp->out.fd >= 0)
		return true;
	now = clock_ns(CLOCK_MONOTONIC_COARSE);
	if (now < udp->retry_ns)
		return false;
	udp->retry_ns = now + RETRY_NS;
	return open_socket(udp) >= 0;
}

static bool is_own(const struct udp_handler *udp, const struct datagram *datagram)
{
	return endpoint_port(&datagram->source) == udp->source_port &&
	       endpoint_is_local(&datagram->source);
}

/* The TTL to send a datagram with; 0: not at all, and *ret_reason tells why. */
static int ttl_out(struct udp_handler *udp, const struct datagram *datagram, uint32_t now_ms,
	enum drop_reason *ret_reason)
{
	int left = datagram->ttl - 1;

	*ret_reason = DROP_TTL;
	if (left <= 0)
		return 0;
	*ret_reason = DROP_LOOP;
	if (is_own(udp, datagram) || loop_guard_has_seen(udp->guard, datagram, now_ms))
		return 0;
	return left < udp->ttl ? left : udp->ttl;
}

static enum drop_reason refused_reason(int r)
{
	return r == -EAGAIN || r == -ENOBUFS ? DROP_BUSY : r == -EMSGSIZE ? DROP_SIZE : DROP_IO;
}

/* Returns the number of datagrams that the error is about: all left when the network is busy. */
static unsigned count_refused(
	struct udp_handler *udp, int r, unsigned left, struct outcome *outcome)
{
	enum drop_reason reason = refused_reason(r);
	unsigned count = reason == DROP_BUSY ? left : 1;

	outcome->dropped[reason] += count;
	if (reason == DROP_IO && log_limit_pass(&udp->limit))
		log_warning("handler %s: sending: %s", udp->name, strerror(-r));
	return count;
}

/* Sends datagrams of one TTL; what is refused is counted, and the rest still sent. */
static void send_run(struct udp_handler *udp, int ttl, const struct datagram *datagrams,
	unsigned count, struct outcome *outcome)
{
	struct iovec vectors[BATCH_MAX];

	if (ttl != udp->ttl_set && multicast_set_ttl(udp->out.fd, udp->family, ttl) == 0)
		udp->ttl_set = ttl;
	for (unsigned i = 0; i < count; i++)
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
	for (unsigned i = 0; i < count;) {
		int r = udp_out_send(&udp->out, &udp->to, udp->to_length, vectors + i, count - i);

		if (r > 0)
			outcome->delivered += (unsigned)r;
		i += r > 0 ? (unsigned)r : count_refused(udp, r, count - i, outcome);
	}
}

/* Sends runs of one TTL. */
static void send_guarded(
	struct udp_handler *udp, const struct batch *batch, struct outcome *outcome)
{
	uint32_t now_ms = (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_MS);
	const struct datagram *first = batch->datagrams, *end = first + batch->count;
	int run_ttl = 0;

	for (const struct datagram *datagram = first; datagram < end; datagram++) {
		enum drop_reason reason = DROP_TTL;
		int ttl = ttl_out(udp, datagram, now_ms, &reason);

		if (!ttl)
			outcome->dropped[reason]++;
		if (ttl && ttl == run_ttl)
			continue;
		/* Another TTL, or a datagram that is left out, ends the run. */
		if (run_ttl)
			send_run(udp, run_ttl, first, (unsigned)(datagram - first), outcome);
		first = datagram;
		run_ttl = ttl;
	}
	if (run_ttl)
		send_run(udp, run_ttl, first, (unsigned)(end - first), outcome);
}

static void udp_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct udp_handler *udp = object;

	if (!is_open(udp)) {
		outcome->dropped[DROP_ABSENT] += batch->count;
		return;
	}
	if (udp->multicast)
		send_guarded(udp, batch, outcome);
	else
		send_run(udp, udp->ttl, batch->datagrams, batch->count, outcome);
	/* An interface that was re-created has another index; the socket is bound to the old one.
	 */
	if (udp->interface && outcome->dropped[DROP_IO])
		closep(&udp->out.fd);
}

static bool udp_relays(const void *settings, struct config_relay *ret)
{
	const struct udp_settings *wanted = settings;

	*ret = (struct config_relay){
		.address = wanted->address, .port = wanted->port, .interface = wanted->interface};
	return true;
}

const struct handler_kind udp_kind = {
	.config = {.name = "udp",
		.schema = {udp_keys, ARRAY_SIZE(udp_keys), sizeof(struct udp_settings)},
		.relays = udp_relays},
	.needs = udp_needs,
	.open = udp_open,
	.deliver = udp_deliver,
	.close = udp_close,
};
