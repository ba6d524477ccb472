#include "groups/outgoing.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "groups/group.h"
#include "groups/replies.h"
#include "net/multicast.h"

/* Minimum time between two examinations that sends cause, in milliseconds. */
#define EXAMINE_MS 100

uint32_t outgoing_now_ms(void)
{
	return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_MS);
}

static void way_close(struct way *way)
{
	replies_close(way);
	sender_unref(take(way->sender));
}

static void way_free(struct way *way)
{
	if (!way)
		return;
	way_close(way);
	counters_release(way->group->context->counters, way->counters);
	free(way->interface);
	free(way->error);
	free(way);
}

/* Frees the ways that are left in the list. */
static void ways_clear(struct ways *ways)
{
	for (size_t i = 0; i < ways->count; i++)
		way_free(ways->items[i]);
	free(ways->items);
	*ways = (struct ways){0};
}

/* interface as in struct way. */
static struct way *way_new(struct group *group, const char *interface, bool is_configured)
{
	struct way *way = calloc(1, sizeof(*way));
	char key[GROUP_NAME_MAX + 2 * INTERFACE_NAME_MAX];

	if (!way)
		return NULL;
	way->group = group;
	way->failure = -ENODEV;
	way->interface = interface ? strdup(interface) : NULL;
	if (is_configured) {
		snprintf(key, sizeof(key), "way %s %s", group->config->name,
			interface ? interface : "");
		way->counters = counters_take(group->context->counters, key, sizeof(*way->counters),
			way_counters_members());
	}
	if (!way->interface != !interface || !way->counters != !is_configured) {
		way_free(way);
		return NULL;
	}
	return way;
}

/* The way by an interface, or NULL. */
static struct way **ways_find(const struct ways *ways, const char *interface)
{
	for (size_t i = 0; i < ways->count; i++) {
		const struct way *way = ways->items[i];

		if (!way || !way->interface != !interface)
			continue;
		if (!interface || !strcmp(way->interface, interface))
			return &ways->items[i];
	}
	return NULL;
}

/* ---- What a way needs ---- */

/* The interface that the kernel's route to the group leads to now, or NULL. */
static const struct interface *find_route(
	const struct group *group, const struct interface_list *interfaces)
{
	const struct config_group *config = group->config;
	AUTO_CLOSE int fd = socket(config->address.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union endpoint endpoint;
	socklen_t length = address_to_endpoint(
		&config->address, (uint16_t)config->port, 0, &endpoint);
	struct address source;
	char string[INET6_ADDRSTRLEN];

	if (fd < 0 || connect(fd, &endpoint.any, length) < 0 ||
		getsockname(fd, &endpoint.any, &length) < 0)
		return NULL;
	if (endpoint.any.sa_family == AF_INET6 && endpoint.v6.sin6_scope_id)
		return interface_by_index(interfaces, endpoint.v6.sin6_scope_id);
	source = endpoint_address(&endpoint);
	return interface_find(interfaces, address_format(&source, string));
}

/* Why nothing can be sent to an address that is not multicast; 0: it is the broadcast address of a
 * network of this host. */
static int check_broadcast(const struct config_group *config, char why[static WHY_MAX])
{
	enum reach reach = multicast_reach(&config->address);
	char string[INET6_ADDRSTRLEN];

	if (reach == REACH_BROADCAST)
		return 0;
	return because(why, -EDESTADDRREQ, "%s is %s: the group only receives",
		address_format(&config->address, string),
		reach == REACH_UNICAST ? "an address of this host"
				       : "neither a group nor a broadcast address of this host");
}

/* A source_address of another interface is for links without an address of their own, and at the
 * user's word. */
static int choose_source(const struct way *way, const struct interface_list *interfaces,
	const struct interface *interface, struct address *ret, char why[static WHY_MAX])
{
	const struct address *wanted = &way->group->config->source_address;
	char string[INET6_ADDRSTRLEN];
	const struct interface *owner;

	if (wanted->family == AF_UNSPEC)
		return 0;
	address_format(wanted, string);
	owner = interface_find(interfaces, string);
	if (owner && interface && address_needs_scope(wanted) &&
		!interface_has_address(interfaces, interface, wanted))
		return because(why, -EADDRNOTAVAIL, "%s does not have the source_address %s",
			interface->name, string);
	if (!owner)
		return because(
			why, -EADDRNOTAVAIL, "no interface has the source_address %s", string);
	*ret = *wanted;
	return 0;
}

/* IPv4 needs the interface's own address, else the kernel would take another interface's. */
static int choose_source4(const struct interface_list *interfaces,
	const struct interface *interface, struct address *ret, char why[static WHY_MAX])
{
	const struct address *own = interface_address(interfaces, interface, AF_INET);

	if (ret->family != AF_UNSPEC)
		return 0;
	if (interface->flags & IFF_LOOPBACK) { /* takes multicast from 127/8 only */
		*ret = (struct address){.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};
		return 0;
	}
	if (!own)
		return because(why, -EADDRNOTAVAIL,
			"%s has no IPv4 address: give it one with ip addr add ADDRESS/LENGTH dev "
			"%s, or set source_address",
			interface->name, interface->name);
	*ret = *own;
	return 0;
}

static int check_ipv6(const struct interface_list *interfaces, const struct interface *interface,
	const struct address *source, char why[static WHY_MAX])
{
	if (interface->ipv6 == IPV6_DISABLED)
		return because(why, -EADDRNOTAVAIL,
			"IPv6 is disabled on %s; sysctl -w net.ipv6.conf.%s.disable_ipv6=0 enables "
			"it",
			interface->name, interface->name);
	if (interface->ipv6 == IPV6_ABSENT)
		return because(why, -EADDRNOTAVAIL,
			"%s does no IPv6: its MTU is below 1280, or the kernel has none",
			interface->name);
	if (source->family == AF_UNSPEC && !interface_address(interfaces, interface, AF_INET6))
		return because(why, -EADDRNOTAVAIL, "%s has no IPv6 address yet", interface->name);
	return 0;
}

static int check_interface(
	const struct way *way, const struct interface *interface, char why[static WHY_MAX])
{
	struct address address;

	if (!interface && interface_is_glob(way->interface))
		return because(why, -ENODEV, "no interface matches %s", way->interface);
	if (!interface && address_parse(way->interface, &address) == 0)
		return because(why, -ENODEV, "no interface has the address %s", way->interface);
	if (!interface)
		return because(why, -ENODEV, "there is no interface %s", way->interface);
	if (!(interface->flags & IFF_UP))
		return because(why, -ENETDOWN, "%s is down", interface->name);
	/* Programs of this host still hear it. */
	if (!(interface->flags & IFF_RUNNING) && !way->group->config->loop)
		return because(why, -ENETDOWN, "%s is down: it has no carrier", interface->name);
	return 0;
}

/* What the way's socket must be set to. Returns 0, or a negative errno with the reason in why. */
static int choose_options(const struct way *way, const struct interface_list *interfaces,
	const struct interface *interface, struct send_socket *ret, char why[static WHY_MAX])
{
	const struct config_group *config = way->group->config;
	bool multicast = address_is_multicast(&config->address);
	int r = way->interface ? check_interface(way, interface, why) : 0;

	*ret = (struct send_socket){.family = config->address.family,
		.dscp = (uint8_t)config->dscp,
		.port = (uint16_t)config->source_port,
		.unicast = !multicast,
		.receives = config->replies && interface && way != way->group->outgoing.extra};
	if (r >= 0 && !multicast)
		r = check_broadcast(config, why);
	if (r >= 0)
		r = choose_source(way, interfaces, interface, &ret->source, why);
	if (r < 0 || !interface)
		return r;
	ret->ifindex = interface->index;
	memcpy(ret->interface, interface->name, sizeof(ret->interface));
	if (ret->family == AF_INET)
		return choose_source4(interfaces, interface, &ret->source, why);
	return check_ipv6(interfaces, interface, &ret->source, why);
}

/* ---- Keeping the ways up to date ---- */

static const struct membership *find_membership(const struct way *way)
{
	for (size_t i = 0; way->interface && i < way->group->memberships.count; i++)
		if (!strcmp(way->group->memberships.items[i]->interface, way->interface))
			return way->group->memberships.items[i];
	return NULL;
}

static bool is_joined(const struct membership *membership)
{
	return membership && membership->state == MEMBERSHIP_JOINED;
}

void outgoing_membership_changed(struct group *group)
{
	for (size_t i = 0; i < group->outgoing.ways.count; i++) {
		struct way *way = group->outgoing.ways.items[i];

		way->is_joined = is_joined(find_membership(way));
	}
}

/* What stays as it was is not logged again, and neither is what the membership there says already,
 * nor that a group of a unicast address does not send. */
static void set_failure(struct way *way, int failure, const char *error, bool say)
{
	const char *group = way->group->config->name;
	bool failed = way->failure < 0 && way->error;

	say = say && failure != -EDESTADDRREQ;
	if (say && failure < 0 && (!way->error || strcmp(way->error, error)))
		log_notice("group %s: nothing can be sent on %s: %s", group,
			way->interface ? way->interface : "the kernel's route", error);
	else if (say && failure >= 0 && failed)
		log_info("group %s: sending on %s", group,
			way->interface ? way->interface : "the kernel's route");
	free(way->error);
	way->error = *error ? strdup(error) : NULL;
	way->failure = failure;
}

static int way_open(struct way *way, const struct send_socket *options, char why[static WHY_MAX])
{
	const struct config_group *config = way->group->config;
	bool share = !config->replies && !config->source_port &&
		     config->source_address.family == AF_UNSPEC;
	int r = senders_get(way->group->context->senders, options, share, why, &way->sender);

	if (r < 0)
		return r;
	way->out = sender_out(way->sender);
	way->ifindex = options->ifindex;
	way->target.to_length = address_to_endpoint(
		&config->address, (uint16_t)config->port, way->ifindex, &way->target.to);
	return options->receives ? replies_open(way, why) : 0;
}

static void way_update(struct way *way, const struct interface_list *interfaces)
{
	const struct membership *membership = find_membership(way);
	const struct interface *interface = NULL;
	struct send_socket options;
	char why[WHY_MAX] = "";
	int r;

	if (way->interface)
		interface = interface_find(interfaces, way->interface);
	else if (way->group->config->replies)
		interface = find_route(way->group, interfaces);
	r = choose_options(way, interfaces, interface, &options, why);
	if (r < 0 || !way->sender || !send_socket_equal(sender_options(way->sender), &options)) {
		way_close(way);
		r = r < 0 ? r : way_open(way, &options, why);
		if (r < 0)
			way_close(way);
	}
	if (r >= 0 && interface && !(interface->flags & IFF_RUNNING))
		because(why, 0, "%s has no carrier: only this host hears what is sent",
			interface->name);
	way->is_joined = is_joined(membership);
	set_failure(
		way, r, why, way != way->group->outgoing.extra && (!membership || way->is_joined));
}

/* Adds the way by an interface to those that are wanted: the one that there is, or a new one. */
static int want(struct group *group, struct ways *wanted, const char *interface)
{
	struct way **running = ways_find(&group->outgoing.ways, interface);
	struct way *way;

	if (ways_find(wanted, interface))
		return 0;
	way = running ? take(*running) : way_new(group, interface, true);
	if (way && array_add(wanted, way) == 0)
		return 0;
	way_free(way);
	return -ENOMEM;
}

static int want_configured(
	struct group *group, const struct interface_list *interfaces, struct ways *wanted)
{
	const struct config_group *config = group->config;
	int r = 0;

	for (size_t i = 0; i < config->send_interface.count && r >= 0; i++) {
		const char *name = config->send_interface.items[i];
		const struct interface *interface = interface_find(interfaces, name);

		r = want(group, wanted, interface ? interface->name : name);
	}
	if (config->send_interface.count)
		return r;
	if (!config->interfaces.count)
		return want(group, wanted, NULL);
	for (size_t i = 0; i < group->memberships.count && r >= 0; i++)
		r = want(group, wanted, group->memberships.items[i]->interface);
	return r;
}

void outgoing_retry(struct retry *retry, const struct interface_list *interfaces)
{
	outgoing_update(container_of(retry, struct group, outgoing.retry), interfaces);
}

/* Tries again where a port could not be had: nothing tells when it is free. */
static void schedule_retry(struct group *group)
{
	struct outgoing *outgoing = &group->outgoing;
	bool is_waiting = false;

	for (size_t i = 0; i < outgoing->ways.count; i++)
		is_waiting |= outgoing->ways.items[i]->failure == -EADDRINUSE;
	if (!is_waiting)
		retry_cancel(&outgoing->retry);
	else if (!link_is_used(&outgoing->retry.link))
		retry_add(group->context->send_retries, &outgoing->retry);
}

static int set_echoes(struct echoes **echoes, bool wanted)
{
	if (!wanted)
		free(take(*echoes));
	else if (!*echoes && !(*echoes = echoes_new()))
		return -ENOMEM;
	return 0;
}

/* Only with several ways more than one copy of a datagram comes back. */
static int update_echoes(struct group *group)
{
	struct outgoing *outgoing = &group->outgoing;
	bool loop = group->config->loop;
	int r = set_echoes(&outgoing->echoes, loop && outgoing->ways.count > 1);

	return r < 0 ? r : set_echoes(&outgoing->own, loop && group->needs & NEED_OWN);
}

int outgoing_update(struct group *group, const struct interface_list *interfaces)
{
	struct outgoing *outgoing = &group->outgoing;
	struct ways wanted = {0};
	int r = want_configured(group, interfaces, &wanted);

	way_free(take(outgoing->extra));
	ways_clear(&outgoing->ways);
	outgoing->ways = wanted;
	outgoing->usable = 0;
	outgoing->examined_ms = outgoing_now_ms();
	for (size_t i = 0; i < wanted.count; i++) {
		way_update(wanted.items[i], interfaces);
		outgoing->usable += wanted.items[i]->sender != NULL;
	}
	schedule_retry(group);
	return r < 0 ? r : update_echoes(group);
}

void outgoing_examine(struct group *group)
{
	struct interface_list interfaces = {0};

	if (group->outgoing.ways.count &&
		outgoing_now_ms() - group->outgoing.examined_ms < EXAMINE_MS)
		return;
	if (interface_list_read(&interfaces) == 0)
		outgoing_update(group, &interfaces);
	interface_list_clear(&interfaces);
}

void outgoing_move(struct group *group, struct group *from)
{
	bool is_same = address_equal(&group->config->address, &from->config->address) &&
		       group->config->port == from->config->port;

	retry_cancel(&from->outgoing.retry);
	way_free(take(from->outgoing.extra));
	group->outgoing = from->outgoing;
	from->outgoing = (struct outgoing){0};
	for (size_t i = 0; i < group->outgoing.ways.count; i++) {
		if (!is_same)
			way_close(group->outgoing.ways.items[i]);
		group->outgoing.ways.items[i]->group = group;
	}
}

void outgoing_clear(struct group *group)
{
	struct outgoing *outgoing = &group->outgoing;

	retry_cancel(&outgoing->retry);
	way_free(take(outgoing->extra));
	ways_clear(&outgoing->ways);
	set_echoes(&outgoing->echoes, false);
	set_echoes(&outgoing->own, false);
}

/* The way by an interface that the configuration does not name, until the next update. */
static int choose_extra(struct group *group, const struct interface_list *interfaces,
	const char *name, struct way **ret)
{
	const struct interface *interface = interface_find(interfaces, name);
	struct outgoing *outgoing = &group->outgoing;
	struct way **configured;

	way_free(take(outgoing->extra));
	configured = interface ? ways_find(&outgoing->ways, interface->name) : NULL;
	if (configured) {
		*ret = *configured;
		return 0;
	}
	outgoing->extra = way_new(group, interface ? interface->name : name, false);
	if (!outgoing->extra)
		return -ENOMEM;
	way_update(outgoing->extra, interfaces);
	*ret = outgoing->extra;
	return 0;
}

int outgoing_choose(struct group *group, const char *interface, struct way **ret)
{
	struct outgoing *outgoing = &group->outgoing;
	struct way **configured = ways_find(&outgoing->ways, interface);
	struct interface_list interfaces = {0};
	int r;

	if (outgoing->extra && !strcmp(outgoing->extra->interface, interface) &&
		outgoing->extra->sender)
		*ret = outgoing->extra;
	else if (configured)
		*ret = *configured;
	else
		*ret = NULL;
	if (*ret && (*ret)->sender)
		return 0;
	if ((r = interface_list_read(&interfaces)) < 0)
		return r;
	if (configured)
		way_update(*configured, &interfaces);
	else
		r = choose_extra(group, &interfaces, interface, ret);
	interface_list_clear(&interfaces);
	return r;
}

uint64_t outgoing_not_sent(const struct outgoing *outgoing, const char *interface)
{
	struct way **way = ways_find(&outgoing->ways, interface);

	return way ? (*way)->counters->not_sent : 0;
}

/* ---- What comes back ---- */

static const struct way *way_by_index(const struct ways *ways, unsigned ifindex)
{
	for (size_t i = 0; i < ways->count; i++)
		if (ways->items[i]->sender && ways->items[i]->ifindex == ifindex)
			return ways->items[i];
	return NULL;
}

static bool is_expected(
	struct echoes *echoes, const struct way *way, const struct datagram *datagram)
{
	return echoes && endpoint_port(&datagram->source) == sender_port(way->sender) &&
	       echoes_take(echoes, datagram->payload, datagram->size, way->ifindex,
		       outgoing_now_ms()) &&
	       endpoint_is_local(&datagram->source);
}

void outgoing_find_own(struct group *group, unsigned ifindex, struct arena_received *received)
{
	const struct outgoing *outgoing = &group->outgoing;
	const struct way *way = way_by_index(&outgoing->ways, ifindex);
	struct datagram *datagrams = group->context->arena->datagrams;
	unsigned rest = 0;

	for (unsigned i = 0; way && i < received->count; i++) {
		if (is_expected(outgoing->echoes, way, &datagrams[i])) {
			group->counters->echoed++;
			received->bytes -= datagrams[i].size;
			received->truncated -= datagrams[i].truncated;
		} else {
			datagrams[i].is_own = is_expected(outgoing->own, way, &datagrams[i]);
			datagrams[rest++] = datagrams[i];
		}
	}
	if (way)
		received->count = rest;
}

void outgoing_apply_needs(struct group *group)
{
	for (size_t i = 0; i < group->outgoing.ways.count; i++)
		replies_apply_needs(group->outgoing.ways.items[i]);
}

uint64_t outgoing_count_drops(struct group *group)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < group->outgoing.ways.count; i++)
		dropped += replies_count_drops(group->outgoing.ways.items[i]);
	return dropped;
}
