/* udp: relays datagrams to a host, a group or a broadcast address, by one way (net/udp_way.h).
 * While it cannot be had, for want of the interface, an address or the port, datagrams are dropped
 * as absent: they never leave by another way.
 *
 * Relays to groups and broadcast addresses can form rings. A configuration that feeds itself is
 * refused (relays()); against other rings there are three guards. A datagram is sent with at most
 * one less than the TTL that it came with, as by a router (RFC 1812, section 5.3.1), so that none
 * circles for ever. What this relay has sent itself is known by its source; what a ring of relays
 * brings back, by its payload (data/loop_guard.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/loop_guard.h"
#include "handlers/handler.h"
#include "net/multicast.h"
#include "net/send_socket.h"
#include "net/udp_way.h"

/* How often the interface is looked up while it sends, and the pause before it is opened again. */
#define CHECK_NS NS_PER_S
#define RETRY_MIN_NS NS_PER_S
#define RETRY_MAX_NS (60 * NS_PER_S)

enum { COUNTED_UNREACHABLE };

static const char *const udp_counters[] = {"unreachable", NULL};

struct udp_settings {
	struct address address;
	int64_t port;
	char *interface;
	int64_t ttl;
	struct address source_address;
	int64_t source_port;
	int64_t dscp;
};

struct udp_handler {
	const char *name;
	struct udp_way way;
	char *interface; /* storage of way.interface */
	struct udp_socket socket;
	struct loop_guard *guard; /* NULL: to a host, from which nothing comes back (can_ring()) */
	uint64_t check_ns; /* when to look up the interface, CLOCK_MONOTONIC_COARSE */
	uint64_t retry_ns, pause_ns; /* when to try again to open the socket, and after how long */
	int failure; /* why it is not open, a negative errno that was logged; 0: it is */
	int ttl; /* the largest to send with */
	int ttl_set; /* of the socket, now */
	bool multicast;
	bool unreachable_logged;
	struct log_limit limit;
};

static const struct key udp_keys[] = {
	{.name = "address",
		.type = KEY_ADDRESS,
		.offset = offsetof(struct udp_settings, address),
		.required = true,
		.help = "Where to send: a host, a group or a broadcast address."},
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
		.help = "The interface to send out of, by name, alternative name or address. "
			"Default: the kernel's route."},
	{.name = "ttl",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, ttl),
		.min = 1,
		.max = 255,
		.fallback = "64",
		.help = "The largest TTL or hop limit to send with; to a group, never more than "
			"the received one less 1."},
	{.name = "source_address",
		.type = KEY_ADDRESS,
		.offset = offsetof(struct udp_settings, source_address),
		.help = "The address of this host to send from. Default: one of the interface."},
	{.name = "source_port",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, source_port),
		.min = 1,
		.max = 65535,
		.help = "The port to send from, also one that other programs share. Default: one "
			"that the kernel chooses."},
	{.name = "dscp",
		.type = KEY_NUMBER,
		.offset = offsetof(struct udp_settings, dscp),
		.min = 0,
		.max = 63,
		.fallback = "0",
		.help = "The DSCP in the IP header, like 46 (EF)."},
};

/* Whether what it sends may come back. An address may become a broadcast address at any time. Those
 * of subnets end in two bits of 1 (a subnet of one or two addresses has none). */
static bool can_ring(const struct address *to)
{
	return address_is_multicast(to) ||
	       (to->family == AF_INET && (ntohl(to->v4.s_addr) & 3) == 3);
}

static unsigned udp_needs(const void *settings)
{
	const struct udp_settings *wanted = settings;

	return can_ring(&wanted->address) ? NEED_TTL | NEED_SOURCE : 0;
}

static int set_ttl(struct udp_handler *udp, int ttl)
{
	int r = send_socket_set_ttl(udp->socket.out.fd, udp->way.to.family, !udp->multicast, ttl);

	if (r >= 0)
		udp->ttl_set = ttl;
	return r;
}

static int open_socket(struct udp_handler *udp, char why[static WHY_MAX])
{
	int r = udp_way_open(&udp->way, &udp->socket, why);

	if (r < 0)
		return r;
	udp->ttl_set = -1;
	r = set_ttl(udp, udp->ttl);
	if (r < 0) {
		closep(&udp->socket.out.fd);
		return because(why, r, "setting the TTL: %s", strerror(-r));
	}
	return 0;
}

/* Opens the socket, or says once why not. Looking for the interface is cheap, and it may come at
 * any time; what else is missing is tried less and less often. */
static void try_open(struct udp_handler *udp, uint64_t now)
{
	char why[WHY_MAX];
	int r = open_socket(udp, why);

	if (r >= 0 && udp->failure)
		log_notice("handler %s: sends now", udp->name);
	else if (r < 0 && r != udp->failure)
		log_warning(
			"handler %s: %s; datagrams are dropped until it can send", udp->name, why);
	if (r >= 0 || r == -ENODEV || r == -ENETDOWN || r == -EADDRNOTAVAIL || !udp->pause_ns)
		udp->pause_ns = RETRY_MIN_NS;
	else if ((udp->pause_ns *= 2) > RETRY_MAX_NS)
		udp->pause_ns = RETRY_MAX_NS;
	udp->failure = r < 0 ? r : 0;
	udp->retry_ns = now + udp->pause_ns;
	udp->check_ns = now + CHECK_NS;
}

/* Whether there is a socket to send from, and its interface still is the one. */
static bool is_open(struct udp_handler *udp, uint64_t now)
{
	if (udp->socket.out.fd >= 0 && now >= udp->check_ns) {
		udp->check_ns = now + CHECK_NS;
		if (!udp_way_is_current(&udp->socket))
			closep(&udp->socket.out.fd);
	}
	if (udp->socket.out.fd < 0 && now >= udp->retry_ns)
		try_open(udp, now);
	return udp->socket.out.fd >= 0;
}

static void udp_close(void *object)
{
	struct udp_handler *udp = object;

	if (!udp)
		return;
	closep(&udp->socket.out.fd);
	loop_guard_free(udp->guard);
	free(udp->interface);
	free(udp);
}

static struct udp_handler *make(const struct udp_settings *wanted, const char *name)
{
	struct udp_handler *udp = calloc(1, sizeof(*udp));
	bool is_guarded = can_ring(&wanted->address);

	if (!udp)
		return NULL;
	udp->name = name;
	udp->socket.out.fd = -1;
	udp->multicast = address_is_multicast(&wanted->address);
	udp->ttl = (int)wanted->ttl;
	udp->interface = wanted->interface ? strdup(wanted->interface) : NULL;
	udp->guard = is_guarded ? loop_guard_new() : NULL;
	udp->way = (struct udp_way){.to = wanted->address,
		.port = (uint16_t)wanted->port,
		.interface = udp->interface,
		.source = wanted->source_address,
		.source_port = (uint16_t)wanted->source_port,
		.dscp = (int)wanted->dscp};
	if ((wanted->interface && !udp->interface) || (is_guarded && !udp->guard)) {
		udp_close(udp);
		return NULL;
	}
	return udp;
}

/* What is missing may come later: it never keeps the daemon from starting. */
static int udp_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	struct udp_handler *udp = make(settings, context->name);

	(void)why;
	if (!udp)
		return -ENOMEM;
	try_open(udp, clock_ns(CLOCK_MONOTONIC_COARSE));
	*ret = udp;
	return 0;
}

static bool is_own(const struct udp_handler *udp, const struct datagram *datagram)
{
	return endpoint_port(&datagram->source) == udp->socket.source_port &&
	       endpoint_is_local(&datagram->source);
}

/* The TTL to send a datagram with; 0: not at all, and *ret_reason tells why. */
static int ttl_out(struct udp_handler *udp, const struct datagram *datagram, uint32_t now_ms,
	enum drop_reason *ret_reason)
{
	struct address source = endpoint_address(&datagram->source);
	int left = datagram->ttl - 1;

	*ret_reason = DROP_TTL;
	if (left <= 0)
		return 0;
	*ret_reason = DROP_LOOP;
	if (is_own(udp, datagram) || loop_guard_judge(udp->guard, datagram->payload, datagram->size,
					     &source, (uint64_t)now_ms * NS_PER_MS) != LOOP_NONE)
		return 0;
	return left < udp->ttl ? left : udp->ttl;
}

/* Errors after which the way has to be found again: the interface was deleted, or has lost the
 * address. */
static bool is_gone(const struct udp_handler *udp, int r)
{
	return r == -ENODEV || r == -ENXIO || r == -EADDRNOTAVAIL ||
	       (r == -EINVAL && udp->socket.out.control_size);
}

static enum drop_reason refused_reason(int r)
{
	switch (-r) {
	case EAGAIN:
	case ENOBUFS:
		return DROP_BUSY;
	case EMSGSIZE:
		return DROP_SIZE;
	case ENETUNREACH: /* there is no route, or the interface is down */
	case ENETDOWN:
		return DROP_ABSENT;
	default:
		return DROP_IO;
	}
}

static const char *refused_hint(const struct udp_handler *udp, int r)
{
	if (r == -EPERM)
		return "; a firewall on this host refuses it";
	if (r == -ENETUNREACH && udp->interface)
		return "; the interface is down, or has no route to there";
	return r == -ENETUNREACH ? "; there is no route to there, set interface or add one" : "";
}

/* Returns the number of datagrams that are dropped: all that are left when the socket's buffer is
 * full. */
static unsigned count_refused(
	struct udp_handler *udp, int r, unsigned left, struct outcome *outcome)
{
	enum drop_reason reason = is_gone(udp, r) ? DROP_ABSENT : refused_reason(r);
	unsigned count = r == -EAGAIN ? left : udp->socket.out.refused;

	outcome->dropped[reason] += count;
	if ((reason == DROP_IO || reason == DROP_ABSENT) && log_limit_pass(&udp->limit))
		log_warning(
			"handler %s: sending: %s%s", udp->name, strerror(-r), refused_hint(udp, r));
	if (is_gone(udp, r))
		closep(&udp->socket.out.fd);
	return count;
}

static void count_unreachable(struct udp_handler *udp, struct outcome *outcome)
{
	struct udp_out *out = &udp->socket.out;
	char to[ENDPOINT_STRING_MAX];

	outcome->counted[COUNTED_UNREACHABLE] += out->unreachable;
	out->unreachable = 0;
	if (udp->unreachable_logged)
		return;
	udp->unreachable_logged = true;
	log_warning(
		"handler %s: what was sent to %s did not arrive: %s (ICMP); see \"unreachable\" "
		"in its counters",
		udp->name, endpoint_format(&udp->socket.to, to), strerror(out->unreachable_errno));
}

/* Sends datagrams of one TTL; what is refused is counted, and the rest still sent. */
static void send_run(struct udp_handler *udp, int ttl, const struct datagram *datagrams,
	unsigned count, uint64_t now, struct outcome *outcome)
{
	struct udp_socket *socket = &udp->socket;
	struct iovec vectors[BATCH_MAX];

	for (unsigned i = 0; i < count; i++)
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
	for (unsigned i = 0; i < count;) {
		int r;

		if (!is_open(udp, now)) {
			outcome->dropped[DROP_ABSENT] += count - i;
			return;
		}
		if (ttl != udp->ttl_set)
			set_ttl(udp, ttl);
		r = udp_out_send(
			&socket->out, &socket->to, socket->to_length, vectors + i, count - i);
		if (r > 0)
			outcome->delivered += (unsigned)r;
		if (socket->out.unreachable)
			count_unreachable(udp, outcome);
		i += r > 0 ? (unsigned)r : count_refused(udp, r, count - i, outcome);
	}
}

/* Sends runs of one TTL. */
static void send_guarded(
	struct udp_handler *udp, const struct batch *batch, uint64_t now, struct outcome *outcome)
{
	uint32_t now_ms = (uint32_t)(now / NS_PER_MS);
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
			send_run(udp, run_ttl, first, (unsigned)(datagram - first), now, outcome);
		first = datagram;
		run_ttl = ttl;
	}
	if (run_ttl)
		send_run(udp, run_ttl, first, (unsigned)(end - first), now, outcome);
}

static void udp_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	struct udp_handler *udp = object;
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);

	if (!is_open(udp, now))
		outcome->dropped[DROP_ABSENT] += batch->count;
	else if (udp->multicast || udp->socket.is_broadcast)
		send_guarded(udp, batch, now, outcome);
	else
		send_run(udp, udp->ttl, batch->datagrams, batch->count, now, outcome);
}

static int udp_check(const void *settings, const char **ret_key, char why[static WHY_MAX])
{
	const struct udp_settings *wanted = settings;
	const struct address *source = &wanted->source_address;
	sa_family_t family = wanted->address.family;

	*ret_key = "interface";
	if (wanted->interface && strpbrk(wanted->interface, ",@*?[!/"))
		return because(why, -EINVAL,
			"\"%s\" cannot be an interface: write one name, alternative name or "
			"address",
			wanted->interface);
	if (!wanted->interface && !address_is_multicast(&wanted->address) &&
		address_needs_scope(&wanted->address))
		return because(why, -EINVAL, "must be set, since the address is link-local");
	*ret_key = "source_address";
	if (source->family && source->family != family)
		return because(why, -EINVAL, "is not of the address's family, use an IPv%d address",
			family == AF_INET ? 4 : 6);
	if (source->family && address_is_multicast(source))
		return because(why, -EINVAL, "is a group, use an address of this host");
	return 0;
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
		.check = udp_check,
		.relays = udp_relays},
	.counters = udp_counters,
	.needs = udp_needs,
	.open = udp_open,
	.deliver = udp_deliver,
	.close = udp_close,
};
