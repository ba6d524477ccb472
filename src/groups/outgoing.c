#include "groups/outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "groups/group.h"
#include "groups/replies.h"
#include "net/multicast.h"
#include "net/route_refusal.h"
#include "net/rtnetlink.h"

/* Minimum time between two examinations that sends cause, in milliseconds. */
#define EXAMINE_MS 100

/* How many ways that the configuration does not name stay open for each group. */
#define EXTRAS_MAX 8

static void way_close(struct way *way)
{
	replies_close(way);
	sender_unref(take(way->sender));
	sender_unref(take(way->importer));
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

/* Whether what is sent without a configured interface is bound to the one of the kernel's route:
 * answers are received by interface, and what TTL 0 keeps on this host depends on it. */
static bool binds_to_route(const struct config_group *config)
{
	return config->replies || config->ttl == 0;
}

bool outgoing_follows_route(const struct group *group)
{
	const struct config_group *config = group->config;

	return !config_group_is_made_here(config) && !config->send_interface.count &&
	       !config->interfaces.count && binds_to_route(config);
}

int outgoing_explain_no_route(const struct config_group *config, int r, char why[static WHY_MAX])
{
	char address[INET6_ADDRSTRLEN];
	const char *hint =
		config->address.family == AF_INET
			? ", or add a multicast route (ip route add 224.0.0.0/4 dev IFACE)"
			: ", or add a multicast route (ip -6 route add " ROUTE_MULTICAST6 "IFACE)";

	if (route_explain_refusal(&config->address, r, why) < 0)
		return r;
	return because(why, -ENETUNREACH, "no route for %s: set send_interface%s",
		address_format(&config->address, address),
		address_is_multicast(&config->address) ? hint : "");
}

int outgoing_find_route(const struct config_group *config, char ret_name[static IF_NAMESIZE])
{
	unsigned ifindex;
	int r = rtnetlink_route(&config->address, &ifindex);

	if (route_may_refuse(r))
		return r;
	return r < 0 || !if_indextoname(ifindex, ret_name) ? -ENETUNREACH : 0;
}

/* Why nothing can be sent to an address that is not multicast; 0: it is the broadcast address of a
 * network of this host. */
static int check_broadcast(const struct way *way, char why[static WHY_MAX])
{
	const struct config_group *config = way->group->config;
	enum reach reach = multicast_reach(&config->address);
	char string[INET6_ADDRSTRLEN];

	/* What could not be asked is as it was. */
	if (reach == REACH_BROADCAST || (reach == REACH_UNKNOWN && way->sender))
		return 0;
	return because(why, -EDESTADDRREQ, "%s is %s: the group only receives",
		address_format(&config->address, string),
		reach == REACH_UNICAST ? "an address of this host"
				       : "neither a group nor a broadcast address of this host");
}

/* What the way's socket must be set to. Returns 0, or a negative errno with the reason in why. */
static int choose_options(const struct way *way, const struct interface_list *interfaces,
	struct send_socket *ret, char why[static WHY_MAX])
{
	const struct config_group *config = way->group->config;
	bool multicast = address_is_multicast(&config->address);
	const struct string_list *names = config->send_interface.count ? &config->send_interface
								       : &config->interfaces;
	const struct interface_patterns given = {names->items, names->count, .any_link = false};
	const char *name = interface_given_name(
		interfaces, &given, config->address.family, way->interface);
	char route[IF_NAMESIZE];
	int r = multicast ? 0 : check_broadcast(way, why);

	*ret = (struct send_socket){.family = config->address.family,
		.source = config->source_address,
		.dscp = (uint8_t)config->dscp,
		.port = (uint16_t)config->source_port,
		.unicast = !multicast};
	if (r < 0)
		return r;
	if (!name && binds_to_route(config)) {
		if ((r = outgoing_find_route(config, route)) < 0)
			return outgoing_explain_no_route(config, r, why);
		name = route;
	}
	r = send_socket_choose(ret, interfaces, name, why);
	ret->receives = config->replies && ret->ifindex;
	return r;
}

/* ---- Keeping the ways up to date ---- */

void outgoing_membership_changed(struct group *group)
{
	for (size_t i = 0; i < group->outgoing.ways.count; i++) {
		struct way *way = group->outgoing.ways.items[i];

		if (way->sender)
			way->is_joined = group_is_joined_on(
				group, sender_options(way->sender)->interface);
	}
}

/* What stays as it was is not logged again, and neither is what the membership there says already,
 * nor that a group of a unicast address does not send. */
static void set_failure(struct way *way, int failure, const char *error, bool say)
{
	struct transitions *transitions = way->group->context->transitions;
	const char *interface = way->interface ? way->interface : "the kernel's route";
	const char *group = way->group->config->name;
	bool failed = way->failure < 0 && way->error;

	say = say && failure != -EDESTADDRREQ;
	if (say && failure < 0 && (!way->error || strcmp(way->error, error)))
		transition_add(transitions, TRANSITION_NOT_SENDING, group, interface, error);
	else if (say && failure >= 0 && failed)
		transition_add(transitions, TRANSITION_SENDING, group, interface, NULL);
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

/* Opens what sends from import_port by the way, where the group has inputs. All groups share it. */
static int open_importer(
	struct way *way, const struct send_socket *options, char why[static WHY_MAX])
{
	const struct group *group = way->group;
	struct send_socket wanted = *options;

	wanted.port = group->config->inputs.count ? group->context->import_port : 0;
	wanted.port_key = "import_port";
	wanted.receives = false;
	if (way->importer && send_socket_equal(sender_options(way->importer), &wanted))
		return 0;
	sender_unref(take(way->importer));
	if (!wanted.port)
		return 0;
	return senders_get(group->context->senders, &wanted, true, why, &way->importer);
}

/* Without a carrier only this host can receive what is sent. */
static int check_carrier(const struct way *way, const char *name, char why[static WHY_MAX])
{
	if (!way->has_no_carrier)
		return 0;
	if (way->is_joined && way->group->config->loop)
		return because(
			why, 0, "%s has no carrier: only this host hears what is sent", name);
	return because(why, -ENETDOWN, "%s has no carrier", name);
}

void outgoing_read_carrier(struct way *way)
{
	const struct group *group = way->group;
	char route[IF_NAMESIZE];

	way->link_changes = group->context->link_changes;
	way->has_no_carrier = outgoing_find_route(group->config, route) == 0 &&
			      !interface_has_carrier(if_nametoindex(route));
	way->is_joined = way->has_no_carrier && group_is_joined_on(group, route);
}

static void way_update(struct way *way, const struct interface_list *interfaces, bool say)
{
	const struct membership *membership = NULL;
	const struct interface *interface;
	struct send_socket options;
	char why[WHY_MAX] = "";
	int r = choose_options(way, interfaces, &options, why);

	interface = options.ifindex ? interface_by_index(interfaces, options.ifindex) : NULL;
	if (interface || way->interface)
		membership = group_find_membership(
			way->group, interface ? interface->name : way->interface);
	way->is_joined = membership && membership->state == MEMBERSHIP_JOINED;
	way->is_loopback = interface && interface->flags & IFF_LOOPBACK;
	way->has_no_carrier = interface && !(interface->flags & IFF_RUNNING);
	way->link_changes = way->group->context->link_changes - 1; /* read again by the next send */
	way->refused = 0;
	r = r < 0 ? r : check_carrier(way, options.interface, why);
	if (r < 0 || !way->sender || !send_socket_equal(sender_options(way->sender), &options)) {
		way_close(way);
		r = r < 0 ? r : way_open(way, &options, why);
	}
	r = r < 0 ? r : open_importer(way, &options, why);
	if (r < 0)
		way_close(way);
	if (way->sender)
		sender_set_splits_runs(way->sender, options.splits_runs);
	if (way->importer)
		sender_set_splits_runs(way->importer, options.splits_runs);
	set_failure(way, r, why, say && (!membership || way->is_joined));
}

/* Adds the way by an interface to those that are wanted: the one that there is, or a new one. */
static int want(struct group *group, struct ways *wanted, const char *interface, bool is_named)
{
	struct way **running = ways_find(&group->outgoing.ways, interface);
	struct way *way;

	if (ways_find(wanted, interface))
		return 0;
	way = running ? take(*running) : way_new(group, interface, true);
	if (!way || array_add(wanted, way) < 0) {
		way_free(way);
		return -ENOMEM;
	}
	way->is_named = is_named;
	return 0;
}

static int want_configured(
	struct group *group, const struct interface_list *interfaces, struct ways *wanted)
{
	const struct config_group *config = group->config;
	const struct interface_patterns patterns = {
		config->interfaces.items, config->interfaces.count, .any_link = false};
	int r = 0;

	for (size_t i = 0; i < config->send_interface.count && r >= 0; i++) {
		const char *name = config->send_interface.items[i];
		const struct interface *interface = interface_find(interfaces, name);

		r = want(group, wanted, interface ? interface->name : name, true);
	}
	if (config->send_interface.count)
		return r;
	if (!config->interfaces.count)
		return want(group, wanted, NULL, true);
	for (size_t i = 0; i < group->memberships.count && r >= 0; i++) {
		const char *name = group->memberships.items[i]->interface;

		r = want(group, wanted, name, interface_is_named(interfaces, &patterns, name));
	}
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

/* Those that a program chose stay open for answers, while they can be sent on. */
static void update_extras(struct outgoing *outgoing, const struct interface_list *interfaces)
{
	struct ways old = outgoing->extras;

	outgoing->extras = (struct ways){0};
	for (size_t i = 0; i < old.count; i++) {
		struct way *way = old.items[i];

		way_update(way, interfaces, false);
		if (way->sender && !ways_find(&outgoing->ways, way->interface) &&
			array_add(&outgoing->extras, way) == 0)
			old.items[i] = NULL;
	}
	ways_clear(&old);
}

int outgoing_update(struct group *group, const struct interface_list *interfaces)
{
	struct outgoing *outgoing = &group->outgoing;
	struct ways wanted = {0};
	int r = want_configured(group, interfaces, &wanted);

	ways_clear(&outgoing->ways);
	outgoing->ways = wanted;
	outgoing->usable = 0;
	outgoing->examined_ms = coarse_ms();
	for (size_t i = 0; i < wanted.count; i++) {
		way_update(wanted.items[i], interfaces, true);
		outgoing->usable += wanted.items[i]->sender != NULL;
	}
	update_extras(outgoing, interfaces);
	schedule_retry(group);
	return r < 0 ? r : update_echoes(group);
}

void outgoing_examine(struct group *group)
{
	if (coarse_ms() - group->outgoing.examined_ms < EXAMINE_MS)
		return;
	group->context->look(group->context);
	if (!group->outgoing.usable)
		outgoing_update(group, group->context->interfaces);
}

static void move_ways(const struct ways *ways, struct group *group, bool is_resized)
{
	for (size_t i = 0; i < ways->count; i++) {
		ways->items[i]->group = group;
		if (is_resized)
			replies_apply_buffer(ways->items[i]);
	}
}

void outgoing_move(struct group *group, struct group *from)
{
	bool is_resized = group->config->receive_buffer != from->config->receive_buffer;
	bool is_same = address_equal(&group->config->address, &from->config->address) &&
		       group->config->port == from->config->port;

	retry_cancel(&from->outgoing.retry);
	if (!is_same)
		ways_clear(&from->outgoing.extras);
	group->outgoing = from->outgoing;
	from->outgoing = (struct outgoing){0};
	for (size_t i = 0; i < group->outgoing.ways.count && !is_same; i++)
		way_close(group->outgoing.ways.items[i]);
	move_ways(&group->outgoing.ways, group, is_resized);
	move_ways(&group->outgoing.extras, group, is_resized);
}

void outgoing_clear(struct group *group)
{
	struct outgoing *outgoing = &group->outgoing;

	retry_cancel(&outgoing->retry);
	ways_clear(&outgoing->extras);
	ways_clear(&outgoing->ways);
	set_echoes(&outgoing->echoes, false);
	set_echoes(&outgoing->own, false);
}

/* Adds a way by an interface that the configuration does not name, in the place of the oldest. */
static struct way *add_extra(struct outgoing *outgoing, struct group *group, const char *name)
{
	struct ways *extras = &outgoing->extras;
	struct way *way = way_new(group, name, false);

	if (extras->count == EXTRAS_MAX) {
		way_free(extras->items[0]);
		memmove(extras->items, extras->items + 1, --extras->count * sizeof(*extras->items));
	}
	if (way && array_add(extras, way) == 0)
		return way;
	way_free(way);
	return NULL;
}

static struct way *find_way(const struct outgoing *outgoing, const char *name)
{
	struct way **way = ways_find(&outgoing->ways, name);

	way = way ? way : ways_find(&outgoing->extras, name);
	return way ? *way : NULL;
}

/* Makes it, or tries again to open it. */
static int choose(struct group *group, const char *name, struct way **ret)
{
	const struct interface_list *interfaces = group->context->interfaces;
	const struct interface *interface = interface_find(interfaces, name);
	struct outgoing *outgoing = &group->outgoing;

	name = interface ? interface->name : name;
	*ret = find_way(outgoing, name);
	*ret = *ret ? *ret : add_extra(outgoing, group, name);
	if (!*ret)
		return -ENOMEM;
	if (!(*ret)->sender)
		way_update(*ret, interfaces, (*ret)->counters);
	return 0;
}

int outgoing_choose(struct group *group, const char *name, struct way **ret)
{
	int r = choose(group, name, ret);

	if (r < 0 || (*ret)->sender)
		return r;
	group->context->look(group->context);
	return choose(group, name, ret);
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
	uint16_t port = endpoint_port(&datagram->source);

	return echoes &&
	       (port == sender_port(way->sender) ||
		       (way->importer && port == sender_port(way->importer))) &&
	       echoes_take(echoes, datagram->payload, datagram->size, way->ifindex, coarse_ms()) &&
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
	for (size_t i = 0; i < group->outgoing.extras.count; i++)
		replies_apply_needs(group->outgoing.extras.items[i]);
}

uint64_t outgoing_count_drops(struct group *group)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < group->outgoing.ways.count; i++)
		dropped += replies_count_drops(group->outgoing.ways.items[i]);
	for (size_t i = 0; i < group->outgoing.extras.count; i++)
		dropped += replies_count_drops(group->outgoing.extras.items[i]);
	return dropped;
}
