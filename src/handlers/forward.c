#include "handlers/forward.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "data/loop_guard.h"
#include "data/returned_copies.h"
#include "net/descriptors.h"
#include "net/interface.h"
#include "net/multicast.h"
#include "net/route_refusal.h"
#include "net/send_socket.h"
#include "net/spoof.h"

/* The TTL to a host. */
#define TTL_HOST 64

/* The pause before it is opened again. A change of the interfaces ends it. */
#define RETRY_MIN_NS NS_PER_S
#define RETRY_MAX_NS (60 * NS_PER_S)

enum { COUNTED_UNREACHABLE };

const char *const forward_counters[] = {"unreachable", NULL};

struct forward {
	struct link link; /* among all of the daemon */
	const char *name; /* of the handler */
	struct forward_options options;
	char *interface; /* storage of options.way.interface */
	struct spoof *spoof;
	struct loop_guard *guard;
	const struct interface_list *interfaces; /* of the daemon; NULL: it has not told yet */
	struct udp_socket socket; /* with keep_source it is not sent from */
	uint64_t retry_ns, pause_ns; /* when to try again to open the socket, and after how long */
	int failure; /* why it is not open, a negative errno that was logged; 0: it is */
	char error[WHY_MAX]; /* why it is not open; "": nothing is known of that */
	char refusal[2 * WHY_MAX]; /* why the kernel refuses what is sent */
	int refused; /* the error that refusal is about; 0: none yet */
	bool is_refused; /* the last datagram was */
	bool refusal_logged; /* since the last one that was not */
	int ttl_set; /* of the socket, now */
	bool multicast;
	bool is_cut_off; /* without a carrier nobody would receive anything; it was logged */
	bool unreachable_logged;
	struct log_limit limit;
};

/* Whether it may be a group or a broadcast address. An address may become a broadcast address at
 * any time. Those of subnets end in two bits of 1 (a subnet of one or two addresses has none). */
static bool may_be_many(const struct address *to)
{
	return address_is_multicast(to) ||
	       (to->family == AF_INET && (ntohl(to->v4.s_addr) & 3) == 3);
}

unsigned forward_needs(const struct forward_options *options)
{
	const struct address *to = &options->way.to;
	unsigned needs = options->keep_source ? NEED_SOURCE : 0;

	if (may_be_many(to))
		needs |= NEED_SOURCE | (options->ttl <= 0 ? NEED_TTL : 0);
	else if (multicast_reach(to) == REACH_UNICAST) /* of this host: a program may return it */
		needs |= NEED_SOURCE;
	return needs;
}

static int set_ttl(struct forward *forward, int ttl)
{
	int r = send_socket_set_ttl(
		forward->socket.out.fd, forward->options.way.to.family, !forward->multicast, ttl);

	if (r >= 0)
		forward->ttl_set = ttl;
	return r;
}

static int open_socket(struct forward *forward, char why[static WHY_MAX])
{
	const struct forward_options *options = &forward->options;
	struct udp_socket *socket = &forward->socket;
	int r;

	if (options->keep_source && !forward->spoof)
		return because(why, -EPERM, SPOOF_FIX);
	r = descriptors_check(1, why);
	r = r < 0 ? r : udp_way_open(&options->way, forward->interfaces, socket, why);
	if (r < 0)
		return r;
	forward->ttl_set = -1;
	if (forward->multicast)
		r = send_socket_set_loop(socket->out.fd, options->way.to.family, options->loop);
	if (r < 0) {
		closep(&socket->out.fd);
		return because(why, r, "setting whether this host receives it: %s", strerror(-r));
	}
	return 0;
}

static void log_sending(const struct forward *forward)
{
	log_notice("handler %s: sends%s%s now", forward->name, forward->interface ? " on " : "",
		forward->interface ? forward->interface : "");
}

/* The programs of this host receive what is sent to many with loop, and unicast to it. */
static bool is_heard_here(const struct forward *forward)
{
	const struct address *to = &forward->options.way.to;

	if (forward->multicast || forward->socket.is_broadcast)
		return forward->options.loop;
	return multicast_reach(to) == REACH_UNICAST;
}

/* What stays as it was is not logged again. */
static void read_carrier(struct forward *forward)
{
	const struct udp_socket *socket = &forward->socket;
	bool was_cut_off = forward->is_cut_off;

	forward->is_cut_off = socket->out.fd >= 0 && socket->has_no_carrier &&
			      !is_heard_here(forward);
	if (forward->is_cut_off == was_cut_off)
		return;
	if (forward->is_cut_off) {
		because(forward->error, 0, "%s has no carrier",
			forward->interface ? forward->interface : "the interface of the kernel's route");
		log_warning("handler %s: %s; nothing is sent there until it has one", forward->name,
			forward->error);
	} else if (socket->out.fd >= 0) {
		*forward->error = '\0';
		log_sending(forward);
	}
}

/* Opens the socket, or says once why not; what is missing is tried less and less often. */
static void try_open(struct forward *forward, uint64_t now)
{
	char why[WHY_MAX];
	int r = open_socket(forward, why);

	read_carrier(forward);
	if (r >= 0 && forward->failure && !forward->is_cut_off)
		log_sending(forward);
	else if (r < 0 &&
		 (r != forward->failure || (r == -EADDRNOTAVAIL && strcmp(why, forward->error))))
		log_warning(
			"handler %s: %s; nothing is sent until that changes", forward->name, why);
	if (r >= 0 || !forward->pause_ns)
		forward->pause_ns = RETRY_MIN_NS;
	else if ((forward->pause_ns *= 2) > RETRY_MAX_NS)
		forward->pause_ns = RETRY_MAX_NS;
	forward->failure = r < 0 ? r : 0;
	forward->is_refused = false; /* by the socket before */
	if (r < 0)
		memcpy(forward->error, why, sizeof(why));
	else if (!forward->is_cut_off)
		*forward->error = '\0';
	forward->retry_ns = now + forward->pause_ns;
}

bool forward_is_by(const struct forward *forward, const char *interface)
{
	return forward->interface && !strcmp(forward->interface, interface);
}

bool forward_has_link(const struct forward *forward)
{
	return !forward->is_cut_off &&
	       !interface_is_missing(forward->failure, &forward->options.way.source);
}

const char *forward_error(const struct forward *forward)
{
	if (*forward->error)
		return forward->error;
	return forward->is_refused ? forward->refusal : NULL;
}

/* Whether it can send now. */
static bool is_open(struct forward *forward, uint64_t now)
{
	if (forward->socket.out.fd < 0 && now >= forward->retry_ns)
		try_open(forward, now);
	return forward->socket.out.fd >= 0 && !forward->is_cut_off;
}

void forward_free(struct forward *forward)
{
	if (!forward)
		return;
	link_remove(&forward->link);
	closep(&forward->socket.out.fd);
	free(forward->interface);
	free(forward);
}

int forward_new(const struct forward_options *options, const struct handler_context *context,
	struct forward **ret)
{
	struct forward *forward = calloc(1, sizeof(*forward));

	if (!forward)
		return -ENOMEM;
	forward->name = context->name;
	forward->options = *options;
	forward->spoof = context->spoof;
	forward->guard = context->guard;
	forward->socket.out.fd = -1;
	forward->multicast = address_is_multicast(&options->way.to);
	if (options->keep_source && !context->spoof)
		forward->failure = -EPERM; /* which was logged for the handler */
	if (options->way.interface && !(forward->interface = strdup(options->way.interface))) {
		forward_free(forward);
		return -ENOMEM;
	}
	forward->options.way.interface = forward->interface;
	if (context->forwards)
		list_append(context->forwards, &forward->link);
	try_open(forward, clock_ns(CLOCK_MONOTONIC_COARSE));
	*ret = forward;
	return 0;
}

/* Why nothing can be sent now, a negative errno as of udp_way_open(), as far as the list of
 * interfaces tells. */
static int find_obstacle(const struct forward *forward, const struct interface_list *interfaces)
{
	const struct udp_way *way = &forward->options.way;
	const struct interface *interface;

	if (!way->interface)
		return 0;
	interface = interface_find(interfaces, way->interface);
	if (!interface)
		return -ENODEV;
	if (!(interface->flags & IFF_UP))
		return -ENETDOWN;
	if (!way->source.family && !interface_address(interfaces, interface, way->to.family))
		return -EADDRNOTAVAIL;
	return 0;
}

void forward_links_changed(struct forward *forward, const struct interface_list *interfaces)
{
	const struct udp_way *way = &forward->options.way;
	struct udp_socket *socket = &forward->socket;
	int obstacle = find_obstacle(forward, interfaces);
	enum reach reach;

	forward->interfaces = interfaces;
	if (socket->out.fd >= 0 && (obstacle || !udp_way_follow(way, socket, interfaces)))
		closep(&socket->out.fd);
	/* Of an address, the reason changes: it is checked for duplicates, and then is one. */
	if (obstacle && obstacle == forward->failure && obstacle != -EADDRNOTAVAIL)
		return;
	if (socket->out.fd < 0) {
		forward->pause_ns = 0;
		try_open(forward, clock_ns(CLOCK_MONOTONIC_COARSE));
		return;
	}
	if (!forward->multicast && may_be_many(&way->to) &&
		(reach = multicast_reach(&way->to)) != REACH_UNKNOWN)
		socket->is_broadcast = reach == REACH_BROADCAST;
	read_carrier(forward);
}

/* A broadcast always comes back to this host. */
static bool may_return(const struct forward *forward)
{
	return forward->socket.out.fd >= 0 && (forward->options.loop || !forward->multicast);
}

bool forwards_have_sent(const struct link *forwards, const union endpoint *source)
{
	uint16_t port = endpoint_port(source);
	const struct forward *forward;

	if (!forwards)
		return false;
	list_for_each(forward, forwards, link)
		if (may_return(forward) && forward->socket.source_port == port &&
			forward->options.way.to.family == source->any.sa_family)
			return true;
	return false;
}

bool forwards_send_from(
	const struct link *forwards, const union endpoint *source, const struct own_addresses *own)
{
	struct address address = endpoint_address(source);
	uint16_t port = endpoint_port(source);
	const struct forward *forward;

	if (!forwards)
		return false;
	list_for_each(forward, forwards, link)
		if (forward->socket.out.fd >= 0 && forward->socket.source_port == port &&
			forward->options.way.to.family == source->any.sa_family &&
			own_addresses_find(own, &address, forward->socket.ifindex) == OWNER_THIS)
			return true;
	return false;
}

bool forwards_keep_sources(const struct link *forwards)
{
	const struct forward *forward;

	if (!forwards)
		return false;
	list_for_each(forward, forwards, link)
		if (forward->options.keep_source && may_return(forward))
			return true;
	return false;
}

/* Errors after which the way has to be found again: the interface was deleted, or has lost the
 * address. */
static bool is_gone(const struct forward *forward, int r)
{
	return r == -ENODEV || r == -ENXIO || r == -EADDRNOTAVAIL ||
	       (r == -EINVAL && forward->socket.out.control_size);
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
		return route_may_refuse(r) ? DROP_ABSENT : DROP_IO;
	}
}

/* Empty, or with the separator in front; route is where it may be. */
static const char *refused_hint(
	const struct forward *forward, int r, char route[static WHY_MAX + 2])
{
	const struct address *to = &forward->options.way.to;
	const char *interface = forward->interface ? forward->socket.interface : NULL;

	if (interface ? route_explain_missing(to, interface, r, route + 2) < 0
		      : route_explain_refusal(to, r, route + 2) < 0)
		return memcpy(route, "; ", 2);
	if (r == -EPERM)
		return "; a firewall on this host refuses it";
	if (r == -ENETUNREACH && interface)
		return "; the interface is down, or has no route to there";
	return r == -ENETUNREACH ? "; there is no route to there, set interface or add one" : "";
}

/* How to fix it is not looked up for each datagram: some may be refused, and others not. */
static void tell_refused(struct forward *forward, int r)
{
	bool is_logged = log_limit_pass(&forward->limit);
	char route[WHY_MAX + 2];

	if (is_logged || r != forward->refused)
		snprintf(forward->refusal, sizeof(forward->refusal), "sending%s%s: %s%s",
			forward->interface ? " on " : "",
			forward->interface ? forward->interface : "", strerror(-r),
			refused_hint(forward, r, route));
	if (is_logged)
		log_warning("handler %s: %s", forward->name, forward->refusal);
	forward->refused = r;
	forward->is_refused = true;
	forward->refusal_logged |= is_logged;
}

static void end_refusal(struct forward *forward)
{
	if (forward->refusal_logged)
		log_sending(forward);
	forward->is_refused = forward->refusal_logged = false;
}

/* Returns the number of datagrams that are dropped: all that are left when the socket's buffer is
 * full. */
static unsigned count_refused(
	struct forward *forward, int r, unsigned refused, unsigned left, struct outcome *outcome)
{
	enum drop_reason reason = is_gone(forward, r) ? DROP_ABSENT : refused_reason(r);
	unsigned count = r == -EAGAIN ? left : refused;

	outcome->dropped[reason] += count;
	if (reason == DROP_IO || reason == DROP_ABSENT)
		tell_refused(forward, r);
	if (is_gone(forward, r))
		closep(&forward->socket.out.fd);
	return count;
}

static void count_unreachable(struct forward *forward, struct outcome *outcome)
{
	struct udp_out *out = &forward->socket.out;
	char to[ENDPOINT_STRING_MAX];

	outcome->counted[COUNTED_UNREACHABLE] += out->unreachable;
	out->unreachable = 0;
	if (forward->unreachable_logged)
		return;
	forward->unreachable_logged = true;
	log_warning(
		"handler %s: what was sent to %s did not arrive: %s (ICMP); see \"unreachable\" "
		"in its counters",
		forward->name, endpoint_format(&forward->socket.to, to),
		strerror(out->unreachable_errno));
}

/* Datagrams that are sent together: of one TTL, and with keep_source of one sender. */
struct run {
	int ttl;
	const union endpoint *source;
	const struct iovec *vectors;
	unsigned count;
};

static int send_plain(struct forward *forward, const struct run *run, unsigned *ret_refused,
	struct outcome *outcome)
{
	struct udp_socket *socket = &forward->socket;
	int r = run->ttl == forward->ttl_set ? 0 : set_ttl(forward, run->ttl);

	if (r < 0) {
		*ret_refused = run->count;
		return r;
	}
	r = udp_out_send(&socket->out, &socket->to, socket->to_length, run->vectors, run->count);
	*ret_refused = socket->out.refused;
	if (socket->out.unreachable)
		count_unreachable(forward, outcome);
	return r;
}

/* This host gets them back with the source of another host. */
static void expect_copies(struct forward *forward, const struct run *run, unsigned count)
{
	const struct udp_socket *socket = &forward->socket;
	struct returned_copies *copies;

	if (forward->multicast ? !forward->options.loop : !socket->is_broadcast)
		return;
	copies = loop_guard_make_copies(forward->guard);
	for (unsigned i = 0; i < count; i++)
		returned_copies_expect(copies, run->source, run->vectors[i].iov_base,
			run->vectors[i].iov_len, socket->ifindex, coarse_ms());
}

static int send_as_sender(struct forward *forward, const struct run *run, unsigned *ret_refused)
{
	const struct udp_socket *socket = &forward->socket;
	struct spoof_way way = {.to = socket->to,
		.to_length = socket->to_length,
		.ifindex = socket->ifindex,
		.ttl = run->ttl,
		.dscp = forward->options.way.dscp,
		.splits_runs = socket->out.splits_runs,
		.loop = forward->options.loop};
	int r = spoof_send(
		forward->spoof, &way, run->source, run->vectors, run->count, ret_refused);

	if (r > 0)
		expect_copies(forward, run, (unsigned)r);
	return r;
}

/* What is refused is counted, and the rest still sent. */
static void send_run(struct forward *forward, struct run run, uint64_t now, struct outcome *outcome)
{
	while (run.count) {
		unsigned refused = 0, done;
		int r;

		if (!is_open(forward, now)) {
			outcome->dropped[DROP_ABSENT] += run.count;
			return;
		}
		r = forward->options.keep_source ? send_as_sender(forward, &run, &refused)
						 : send_plain(forward, &run, &refused, outcome);
		if (r > 0)
			outcome->delivered += (unsigned)r;
		if (r > 0 && (forward->is_refused || forward->refusal_logged))
			end_refusal(forward);
		done = r > 0 ? (unsigned)r : count_refused(forward, r, refused, run.count, outcome);
		run.vectors += done;
		run.count -= done;
	}
}

/* The TTL to send all datagrams with; 0: it depends on theirs. */
static int ttl_of_all(const struct forward *forward)
{
	if (forward->options.ttl == FORWARD_TTL_HOST && !forward->socket.is_broadcast)
		return TTL_HOST;
	return forward->options.ttl > 0 ? forward->options.ttl : 0;
}

/* The TTL to send a datagram with that came with this one; 0: not at all. */
static int ttl_less(const struct forward *forward, uint8_t ttl)
{
	if (ttl == 1 && forward->options.ttl == FORWARD_TTL_MIN_1)
		return 1;
	return ttl ? ttl - 1 : 0;
}

/* Logs what to set, once for each source, whatever number of ways it should have left by. */
static void tell_ttl(struct forward *forward, const struct datagram *datagram, uint64_t now)
{
	struct address source = endpoint_address(&datagram->source);
	bool v4 = source.family == AF_INET;
	char text[INET6_ADDRSTRLEN];

	if (!told_is_new(forward->options.told, &source, now))
		return;
	log_warning(
		"handler %s: datagrams of %s arrive with %s %u and are not relayed; set ttl = 1 "
		"(or what receivers expect)",
		forward->name, address_format(&source, text), v4 ? "TTL" : "hop limit",
		datagram->ttl);
}

static bool is_same_source(const union endpoint *a, const union endpoint *b)
{
	struct address left = endpoint_address(a), right = endpoint_address(b);

	return endpoint_port(a) == endpoint_port(b) && address_equal(&left, &right);
}

/* How many datagrams from the first on are of one TTL, and with keep_source of one sender. */
static unsigned run_length(
	const struct forward *forward, const struct datagram *first, unsigned count)
{
	unsigned length = ttl_of_all(forward) ? count : 1;

	while (length < count && first[length].ttl == first->ttl)
		length++;
	if (!forward->options.keep_source)
		return length;
	for (unsigned i = 1; i < length; i++)
		if (!is_same_source(&first[i].source, &first->source))
			return i;
	return length;
}

void forward_send(struct forward *forward, const struct datagram *datagrams, unsigned count,
	struct outcome *outcome)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC_COARSE);
	struct iovec vectors[BATCH_MAX];

	if (!is_open(forward, now)) {
		outcome->dropped[DROP_ABSENT] += count;
		return;
	}
	for (unsigned i = 0; i < count; i++)
		vectors[i] = (struct iovec){(void *)datagrams[i].payload, datagrams[i].size};
	for (unsigned i = 0, length; i < count; i += length) {
		const struct datagram *first = &datagrams[i];
		int ttl = ttl_of_all(forward);

		length = run_length(forward, first, count - i);
		if (!ttl)
			ttl = ttl_less(forward, first->ttl);
		if (ttl) {
			send_run(forward, (struct run){ttl, &first->source, vectors + i, length},
				now, outcome);
		} else {
			outcome->dropped[DROP_TTL] += length;
			tell_ttl(forward, first, now);
		}
	}
}
