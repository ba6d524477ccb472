/* A group's traffic: the outlets that get what arrives, and sending to the group by its ways. */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "groups/group.h"
#include "net/interface.h"
#include "net/route_refusal.h"
#include "net/rtnetlink.h"

void group_apply_needs(struct group *group)
{
	const struct outgoing *outgoing = &group->outgoing;
	const struct merge_leg *leg;
	unsigned needs = outgoing->echoes || outgoing->own
				 ? NEED_DATAGRAMS | NEED_PAYLOAD | NEED_SOURCE
				 : 0;

	for (size_t i = 0; i < group->outlets.count; i++)
		needs |= NEED_DATAGRAMS | NEED_PAYLOAD | group->outlets.items[i]->needs;
	/* Relays find rings of unicast by the sources (handlers/relayable.h). */
	if (needs && !group->merged && !address_is_multicast(&group->config->address))
		needs |= NEED_SOURCE;
	/* A merged group takes what it needs from its legs, and asks nobody who has sent it. */
	if (!group->merged)
		needs |= numbered_needs(&group->numbered);
	needs |= expected_needs(group->config);
	if (sender_watch_is_asked(&group->sender_watch))
		needs |= NEED_DATAGRAMS | NEED_SOURCE;
	list_for_each(leg, &group->feeds, link)
		needs |= merged_needs(leg);
	if (needs == group->needs)
		return;
	group->needs = needs;
	if (group->merged)
		merged_apply_needs(group->merged);
	if (!(needs & NEED_SOURCE))
		sender_watch_forget(group);
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_apply_needs(group->memberships.items[i], false);
	outgoing_apply_needs(group);
}

int group_attach(struct group *group, struct outlet *outlet)
{
	int r = array_add(&group->outlets, outlet);

	group_apply_needs(group);
	return r;
}

void group_detach(struct group *group, struct outlet *outlet)
{
	struct outlet **items = group->outlets.items;

	for (size_t i = 0; i < group->outlets.count; i++) {
		if (items[i] != outlet)
			continue;
		items[i] = items[--group->outlets.count];
		break;
	}
	group_apply_needs(group);
}

uint64_t group_kernel_dropped(struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		membership_count_drops(group->memberships.items[i]);
	group->counters->kernel_dropped += outgoing_count_drops(group);
	return group->counters->kernel_dropped;
}

/* Reasons that there are only where the kernel's route chooses the interface. Returns r, or 0 for
 * other errors. */
static int explain_route(const struct config_group *config, int r, char why[static WHY_MAX])
{
	char route[IF_NAMESIZE];

	if (route_explain_refusal(&config->address, r, why) < 0)
		return r;
	switch (-r) {
	case ENETUNREACH:
		return outgoing_explain_no_route(config, r, why);
	case EADDRNOTAVAIL:
		return because(why, r,
			"%s, to which the kernel's route leads, has no %s address to send from: "
			"give it one with ip addr add, or set send_interface",
			rtnetlink_route_name(&config->address, route),
			config->address.family == AF_INET ? "IPv4" : "IPv6");
	case EINVAL:
		if (!address_needs_scope(&config->address))
			return 0;
		return because(why, r,
			"%s: a link-local group needs an interface: set send_interface, or send "
			"with one",
			strerror(-r));
	default:
		return 0;
	}
}

int group_explain(
	const struct group *group, int r, const struct unsent *unsent, char why[static WHY_MAX])
{
	const struct way *way = unsent->way;
	const char *interface = way ? way->interface : NULL;
	char string[INET6_ADDRSTRLEN];

	if (way && way->failure < 0)
		return because(why, r, "%s", way->error ? way->error : strerror(-r));
	if (interface ? route_explain_missing(&group->config->address, interface, r, why) < 0
		      : explain_route(group->config, r, why) < 0)
		return r;
	switch (-r) {
	case ENETUNREACH:
		return because(why, r, "%s is down, or has no multicast route", interface);
	case ENONET:
		return because(why, r,
			"with TTL 0 it would leave this host by %s: the kernel keeps it here only "
			"where %s is joined, with loop = true, and takes what this host sends",
			interface ? interface : "the kernel's route",
			address_format(&group->config->address, string));
	case ENETDOWN:
		return because(why, r, "%s has no carrier",
			interface ? interface : "the interface of the kernel's route");
	case ENODEV:
	case ENXIO:
		return because(why, r, "there is no interface %s",
			interface ? interface : "to send out of");
	case EADDRNOTAVAIL:
		return because(why, r, "%s has no %s address to send from", interface,
			group->config->address.family == AF_INET ? "IPv4" : "IPv6");
	case EINVAL:
		return because(why, r, "%s: %s no longer has the address to send from",
			strerror(-r), interface ? interface : "this host");
	case EMSGSIZE:
		return because(why, r, "the datagram is larger than %u bytes, or than %s takes",
			datagram_max(group->config->address.family),
			interface ? interface : "the interface");
	case ENOBUFS:
		return because(
			why, r, "the queue of %s is full", interface ? interface : "the interface");
	case EPERM:
		return because(why, r, "%s: a firewall on this host refuses it", strerror(-r));
	default:
		return because(why, r, "%s", strerror(-r));
	}
}

const char *group_way_error(const struct way *way, char why[static WHY_MAX])
{
	const struct unsent unsent = {.way = way};

	if (way->error || !way->refused)
		return way->error;
	group_explain(way->group, way->refused, &unsent, why);
	return why;
}

/* A glob stands for the interfaces that can be sent on: the others miss nothing. */
static bool is_meant(const struct way *way)
{
	if (way->is_named)
		return true;
	return !way->has_no_carrier &&
	       !interface_is_missing(way->failure, &way->group->config->source_address);
}

static void count_not_sent(struct way *way, unsigned count)
{
	if (way->counters && is_meant(way))
		way->counters->not_sent += count;
}

/* The kernel keeps a multicast datagram of TTL 0 on this host only where a membership takes it and
 * IP_MULTICAST_LOOP is set; elsewhere it leaves like any other. */
static bool keeps_ttl_0(const struct way *way)
{
	const struct config_group *config = way->group->config;
	const struct send_socket *options = sender_options(way->sender);

	if (way->is_loopback)
		return true;
	if (options->unicast || !way->is_joined || !config->loop)
		return false;
	if (options->source.family == AF_UNSPEC)
		return !config->sources.count && !config->block_sources.count;
	return config_group_takes(config, &options->source);
}

/* How a datagram is sent. */
struct mode {
	int ttl;
	bool is_import; /* from import_port */
};

static struct sender *sender_of(const struct way *way, const struct mode *mode)
{
	return mode->is_import ? way->importer : way->sender;
}

/* How many datagrams the last error was about. */
static unsigned refused_by(const struct way *way, const struct mode *mode)
{
	return sender_out(sender_of(way, mode))->refused;
}

static int give_to(
	struct way *way, const struct mode *mode, const struct iovec *vectors, unsigned count)
{
	struct sender *sender = sender_of(way, mode);
	const struct udp_out *out;
	uint64_t before;
	int r;

	if (!sender)
		return way->failure < 0 ? way->failure : -ENODEV;
	if (mode->ttl == 0 && !keeps_ttl_0(way))
		return -ENONET;
	if (!way->ifindex && way->link_changes != way->group->context->link_changes)
		outgoing_read_carrier(way);
	if (way->has_no_carrier && !(way->is_joined && way->group->config->loop))
		return -ENETDOWN;
	out = sender_out(sender);
	before = out->unreachable;
	way->target.ttl = mode->ttl;
	way->target.loop = way->group->config->loop;
	r = sender_send(sender, &way->target, vectors, count);
	way->group->counters->unreachable += out->unreachable - before;
	if (r > 0 && way->has_no_carrier)
		count_not_sent(way, (unsigned)r);
	return r;
}

/* A full queue passes, and a size or a TTL is of these datagrams only. */
static int send_on(
	struct way *way, const struct mode *mode, const struct iovec *vectors, unsigned count)
{
	int r = give_to(way, mode, vectors, count);

	if (r > 0)
		way->refused = 0;
	else if (r != -EAGAIN && r != -ENOBUFS && r != -EMSGSIZE && r != -ENONET)
		way->refused = r;
	return r;
}

/* What left by a joined interface comes back, and the first copy is delivered. returned has a bit
 * for each datagram that one is expected of. */
static void expect_echoes(struct way *way, const struct iovec *vectors, unsigned first,
	unsigned count, uint64_t *returned)
{
	const struct outgoing *outgoing = &way->group->outgoing;

	if (!way->is_joined || (!outgoing->echoes && !outgoing->own))
		return;
	for (unsigned i = first; i < first + count; i++) {
		struct echoes *echoes = *returned & 1ull << i ? outgoing->echoes : outgoing->own;

		if (echoes)
			echoes_expect(echoes, vectors[i].iov_base, vectors[i].iov_len, way->ifindex,
				coarse_ms());
		*returned |= 1ull << i;
	}
}

/* Whether the way takes nothing now: then nothing was given to its socket. */
static bool is_refused(const struct way *way, const struct mode *mode, int r)
{
	return !sender_of(way, mode) || r == -ENONET || r == -ENETDOWN;
}

/* Sends on one more way what has left by the first one, and does not wait. Returns whether some of
 * it has left this host. */
static bool send_too(struct way *way, const struct mode *mode, const struct iovec *vectors,
	unsigned count, uint64_t *returned)
{
	bool left = false;
	unsigned done = 0;

	while (done < count) {
		int n = send_on(way, mode, vectors + done, count - done);

		if (n > 0) {
			expect_echoes(way, vectors, done, (unsigned)n, returned);
			done += (unsigned)n;
			left = !way->has_no_carrier;
		} else if (n == -EAGAIN || is_refused(way, mode, n)) {
			count_not_sent(way, count - done);
			break;
		} else {
			count_not_sent(way, refused_by(way, mode));
			done += refused_by(way, mode);
		}
	}
	return left;
}

/* Sends on the first way that takes something, and sets *ret_taken to it. What a way refuses, the
 * next ones may take: then it is about these datagrams only. */
static int send_first(const struct ways *ways, const struct mode *mode, const struct iovec *vectors,
	unsigned count, size_t *ret_taken, struct unsent *ret)
{
	int r = -ENODEV, failure = 0;

	for (*ret_taken = 0; *ret_taken < ways->count; ++*ret_taken) {
		struct way *way = ways->items[*ret_taken];

		r = send_on(way, mode, vectors, count);
		if (!failure || r == -EAGAIN)
			ret->way = way;
		if (r > 0 || r == -EAGAIN)
			return r;
		failure = failure ? failure : r;
		if (!is_refused(way, mode, r))
			ret->count = count = refused_by(way, mode);
	}
	return failure ? failure : r;
}

/* Sends on each of the ways. Returns as group_send_batch(). */
static int send_by(struct group *group, const struct ways *ways, struct mode mode,
	const struct iovec *vectors, unsigned count, struct unsent *ret)
{
	uint64_t returned = 0, bytes = 0;
	unsigned missed;
	size_t taken;
	int r;

	mode.ttl = mode.ttl < 0 ? (int)group->config->ttl : mode.ttl;
	*ret = (struct unsent){.count = 1};
	r = send_first(ways, &mode, vectors, count, &taken, ret);
	if (r == -EAGAIN)
		return r;
	missed = r > 0 ? (unsigned)r : ret->count;
	for (size_t i = 0; i < taken; i++)
		count_not_sent(ways->items[i], missed);
	if (r < 0)
		return r;
	expect_echoes(ways->items[taken], vectors, 0, (unsigned)r, &returned);
	ret->stayed_here = ways->items[taken]->has_no_carrier;
	for (size_t i = taken + 1; i < ways->count; i++)
		if (send_too(ways->items[i], &mode, vectors, (unsigned)r, &returned))
			ret->stayed_here = false;
	for (int i = 0; i < r; i++)
		bytes += vectors[i].iov_len;
	group->counters->sent_bytes += bytes;
	group->counters->sent += (uint64_t)r;
	return r;
}

/* By the ways that the configuration names. */
static int send_configured(struct group *group, struct mode mode, const struct iovec *vectors,
	unsigned count, struct unsent *ret)
{
	if (!group->outgoing.usable)
		outgoing_examine(group);
	return send_by(group, &group->outgoing.ways, mode, vectors, count, ret);
}

static int send_chosen(struct group *group, const struct send_options *options,
	const struct iovec *vector, struct unsent *ret)
{
	struct mode mode = {.ttl = options->ttl};
	struct way *way;
	int r = outgoing_choose(group, options->interface, &way);

	ret->way = NULL;
	return r < 0 ? r : send_by(group, &(struct ways){&way, 1}, mode, vector, 1, ret);
}

/* Whether no interface is chosen, neither by the configuration nor by what a datagram of TTL 0 or
 * answers need. */
static bool is_by_route(const struct group *group)
{
	const struct ways *ways = &group->outgoing.ways;

	return ways->count == 1 && !ways->items[0]->interface && !ways->items[0]->ifindex;
}

int group_send(struct group *group, const void *payload, size_t size,
	const struct send_options *options, struct unsent *ret)
{
	struct iovec vector = {(void *)payload, size};
	struct send_options chosen = *options;
	char route[IF_NAMESIZE];
	int r;

	/* What becomes of it depends on the interface. */
	if (!options->interface && options->ttl == 0 && is_by_route(group) &&
		outgoing_find_route(group->config, route) == 0)
		chosen.interface = route;
	r = chosen.interface ? send_chosen(group, &chosen, &vector, ret)
			     : send_configured(
				       group, (struct mode){.ttl = options->ttl}, &vector, 1, ret);
	if (r < 0 && r != -EAGAIN)
		group->counters->send_failed++;
	return r < 0 ? r : 0;
}

int group_send_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct unsent *ret)
{
	return send_configured(group, (struct mode){.ttl = -1}, vectors, count, ret);
}

int group_import_batch(
	struct group *group, const struct iovec *vectors, unsigned count, struct unsent *ret)
{
	return send_configured(
		group, (struct mode){.ttl = -1, .is_import = true}, vectors, count, ret);
}
