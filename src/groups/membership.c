#include "groups/membership.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "data/notice.h"
#include "groups/group.h"
#include "groups/obstacle.h"
#include "groups/receive.h"
#include "net/descriptors.h"
#include "net/multicast.h"

const char *membership_state_name(enum membership_state state)
{
	static const char *const names[] = {"waiting", "joined", "failed"};

	return names[state];
}

/* The line of the log and the event of a new state. */
static void tell_state(const struct membership *membership)
{
	static const enum transition kinds[] = {
		TRANSITION_WAITING, TRANSITION_JOINED, TRANSITION_FAILED};
	const struct group_context *context = membership->group->context;
	const char *group = membership->group->config->name;
	enum transition kind = kinds[membership->state];

	if (kind == TRANSITION_JOINED && membership->error)
		kind = TRANSITION_JOINED_BUT;
	transition_add(context->transitions, kind, group, membership->interface, membership->error);
	notice_send(context->notices, &(struct notice){.kind = NOTICE_MEMBERSHIP,
					      .group = group,
					      .interface = membership->interface,
					      .detail = membership_state_name(membership->state),
					      .why = membership->error});
}

void membership_tell_left(const struct membership *membership, const char *why)
{
	const struct group_context *context = membership->group->context;
	const char *group = membership->group->config->name;

	transition_add(context->transitions, TRANSITION_LEFT, group, membership->interface, why);
	notice_send(context->notices, &(struct notice){.kind = NOTICE_MEMBERSHIP,
					      .group = group,
					      .interface = membership->interface,
					      .detail = "left",
					      .why = why});
}

/* What stays as it was is not told again. When joined, error is NULL, or what to know about it.
 */
static void set_state(struct membership *membership, enum membership_state state, const char *error)
{
	bool had_error = membership->error;

	if (state == MEMBERSHIP_FAILED)
		retry_add(membership->group->context->retries, &membership->retry);
	else
		retry_cancel(&membership->retry);
	if (membership->state == state &&
		(error ? had_error && !strcmp(error, membership->error) : !had_error))
		return;
	if (membership->state != state || !membership->since_ns)
		membership->since_ns = clock_ns(CLOCK_REALTIME);
	membership->state = state;
	if (had_error) {
		free(membership->last_error);
		membership->last_error = take(membership->error);
	}
	membership->error = error ? strdup(error) : NULL;
	if (state == MEMBERSHIP_JOINED)
		expected_watch(membership->group);
	/* Joining without any delay, as somebody wanted it, is not worth a line. */
	if (state != MEMBERSHIP_JOINED || error || had_error || membership->group->is_settled)
		tell_state(membership);
}

struct membership *membership_new(struct group *group, const char *interface)
{
	struct membership *membership = calloc(1, sizeof(*membership));
	char key[GROUP_NAME_MAX + 300];

	if (!membership)
		return NULL;
	snprintf(key, sizeof(key), "membership %s %s", group->config->name, interface);
	membership->group = group;
	membership->fd = -1;
	membership->interface = strdup(interface);
	membership->counters = counters_take(group->context->counters, key,
		sizeof(*membership->counters), membership_counters_members());
	if (!membership->interface || !membership->counters) {
		membership_free(membership);
		return NULL;
	}
	if (!membership->counters->unjoined_since_ns)
		membership->counters->unjoined_since_ns = clock_ns(CLOCK_BOOTTIME);
	return membership;
}

static bool is_multicast(const struct membership *membership)
{
	return address_is_multicast(&membership->group->config->address);
}

/* The prefix of the fd store's names of this membership's sockets, whatever they are joined to. */
static void name_membership(const struct membership *membership, char name[static STORE_NAME_MAX])
{
	const char *group = membership->group->config->name;
	uint64_t hash = hash_bytes(HASH_BEGIN, group, strlen(group) + 1);

	hash = hash_bytes(hash, membership->interface, strlen(membership->interface));
	snprintf(name, STORE_NAME_MAX, STORED_PREFIX "%016" PRIx64 "-", hash);
}

static uint64_t hash_addresses(uint64_t hash, const struct address_list *list)
{
	hash = hash_bytes(hash, &list->count, sizeof(list->count));
	for (size_t i = 0; i < list->count; i++)
		hash = address_hash(hash, &list->items[i]);
	return hash;
}

/* The fd store's name of the socket that is joined on an interface. It depends on all that the
 * socket is joined to, so that a socket found under it is the right one. */
static void name_socket(
	const struct membership *membership, unsigned ifindex, char name[static STORE_NAME_MAX])
{
	const struct config_group *config = membership->group->config;
	uint64_t hash = hash_bytes(HASH_BEGIN, &ifindex, sizeof(ifindex));
	size_t length;

	hash = address_hash(hash, &config->address);
	hash = hash_bytes(hash, &config->port, sizeof(config->port));
	hash = hash_bytes(hash, &config->coalesce, sizeof(config->coalesce));
	hash = hash_addresses(hash, &config->sources);
	hash = hash_addresses(hash, &config->block_sources);
	if (!is_multicast(membership))
		hash = hash_bytes(hash, &(bool){config->interfaces.count}, sizeof(bool));
	name_membership(membership, name);
	length = strlen(name);
	snprintf(name + length, STORE_NAME_MAX - length, "%016" PRIx64, hash);
}

static void forget_arrivals(struct membership *membership)
{
	for (size_t i = 0; i < membership->arrivals.count; i++)
		origin_unref(membership->arrivals.items[i]);
	free(membership->arrivals.items);
	memset(&membership->arrivals, 0, sizeof(membership->arrivals));
}

/* Leaves, and reads the socket to its end: what the kernel has accepted is to be accounted for. */
static void leave(struct membership *membership)
{
	struct arena_received received;
	char name[STORE_NAME_MAX];
	int r;

	if (membership->is_stored) {
		name_socket(membership, membership->origin->ifindex, name);
		store_remove(membership->group->context->store, STORE_MEMBERSHIPS, name);
	}
	membership_count_drops(membership);
	multicast_leave(
		membership->fd, &membership->group->config->address, membership->origin->ifindex);
	membership->counters->unjoined_since_ns = clock_ns(CLOCK_BOOTTIME);
	/* A pending error of the socket (ENETDOWN) is cleared by the call that returns it. */
	do
		r = membership_receive(membership, &received);
	while (r >= 0 || r == -ENETDOWN);
}

static void close_socket(struct membership *membership)
{
	report_cancel(&membership->report);
	membership->refreshed.is_asked = false;
	if (membership->fd < 0)
		return;
	if (!membership->is_stored || !membership->group->context->stopping)
		leave(membership);
	/* Else what comes after leaving counts as dropped. */
	if (is_multicast(membership))
		membership_count_drops(membership);
	membership_stop_listening(membership);
	close(membership->fd);
	same_groups_remove(membership->group->context->same_groups, membership);
	link_remove(&membership->unicast);
	membership->fd = -1;
	membership->asked = 0;
	membership->is_unread = false;
	membership->is_stored = false;
	membership->receive_buffer = 0;
	forget_arrivals(membership);
	origin_unref(take(membership->origin));
}

void membership_free(struct membership *membership)
{
	if (!membership)
		return;
	close_socket(membership);
	retry_cancel(&membership->retry);
	link_remove(&membership->postponed);
	counters_release(membership->group->context->counters, membership->counters);
	free(membership->interface);
	free(membership->error);
	free(membership->last_error);
	refresh_forget(membership);
	free(membership);
}

/* Whether a report gets to where it is of use: there is a carrier, and the address that many
 * switches want as its source. */
static bool is_heard(const struct membership *membership, const struct interface *interface)
{
	return interface->flags & INTERFACE_LOWER_UP &&
	       (interface->has_ipv4 || membership->group->config->address.family == AF_INET6);
}

/* It has just been joined, which the kernel reports. */
static void note_reported(struct membership *membership, const struct interface *interface)
{
	membership->touched = forgotten_now(membership->group->context->forgotten);
	membership->is_reported = is_heard(membership, interface);
	membership->attachment = interface->attachment;
}

/* Reports it again where switches may have forgotten it, or never knew. */
static void follow_link(struct membership *membership, const struct interface *interface)
{
	const struct group_context *context = membership->group->context;
	bool is_heard_now = is_heard(membership, interface);

	if (!is_multicast(membership))
		return;
	if (membership->attachment != interface->attachment)
		membership->is_reported = false;
	if (is_heard_now && !membership->is_reported)
		report_add(context->reports, &membership->report,
			&membership->group->config->address, interface->index,
			forgotten_is_older(context->forgotten, &membership->group->config->address,
				interface->index));
	if (!is_heard_now && !membership->report.is_running)
		report_cancel(&membership->report);
	membership->is_reported = is_heard_now;
	membership->attachment = interface->attachment;
}

/* One of this host's addresses alone is received on whatever interface it comes in: also from the
 * host itself. */
static struct multicast_membership describe(
	const struct membership *membership, const char *interface, unsigned ifindex)
{
	const struct config_group *config = membership->group->config;
	const struct address_list *sources = config->block_sources.count ? &config->block_sources
									 : &config->sources;
	enum reach reach = multicast_reach(&config->address);

	return (struct multicast_membership){
		.group = config->address,
		.reach = reach,
		.any_interface = reach == REACH_UNICAST && !config->interfaces.count &&
				 !address_is_any(&config->address),
		.port = (uint16_t)config->port,
		.interface = interface,
		.ifindex = ifindex,
		.sources = sources->items,
		.source_count = sources->count,
		.exclude = config->block_sources.count > 0,
	};
}

/* Makes fd the membership's socket, joined on the interface. On failure it is closed. */
static int adopt(struct membership *membership, const char *interface, unsigned ifindex, int fd)
{
	const struct config_group *config = membership->group->config;

	membership->origin = origin_new(
		config->name, &config->address, (uint16_t)config->port, interface, ifindex);
	if (!membership->origin) {
		close(fd);
		return -ENOMEM;
	}
	membership->fd = fd;
	hint_begin(&membership->hint, membership->counters->received);
	membership->any_interface = describe(membership, interface, ifindex).any_interface;
	membership->check_sources = CHECK_NEVER;
	if (!is_multicast(membership) && (config->sources.count || config->block_sources.count))
		membership->check_sources = CHECK_ALWAYS;
	if (membership_listen(membership) < 0) {
		close_socket(membership);
		return -ENOMEM;
	}
	if (is_multicast(membership))
		same_groups_add(membership->group->context->same_groups, membership);
	else
		list_append(&membership->group->context->unicasts, &membership->unicast);
	return 0;
}

/* Gives a socket of any origin the receive buffer that is wanted. It may have a larger one. */
static uint64_t raise_receive_buffer(int fd, uint64_t wanted)
{
	uint64_t granted = socket_receive_buffer(fd);

	return granted < wanted ? socket_set_receive_buffer(fd, wanted) : granted;
}

void membership_apply_buffer(struct membership *membership)
{
	if (membership->fd >= 0)
		membership->receive_buffer = socket_set_receive_buffer(
			membership->fd, membership->group->config->receive_buffer);
	membership_listen(membership);
}

/* The socket that a socket unit of systemd has opened for the membership, named GROUP%INTERFACE or
 * GROUP; or -ENOENT. */
static int claim_listening(const struct membership *membership, const struct interface *interface)
{
	struct store *store = membership->group->context->store;
	const char *group = membership->group->config->name;
	char name[GROUP_NAME_MAX + IF_NAMESIZE + 2];
	int fd;

	snprintf(name, sizeof(name), "%s%%%s", group, interface->name);
	fd = store_listening(store, name);
	return fd < 0 ? store_listening(store, group) : fd;
}

static int open_socket(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	const struct config_group *config = membership->group->config;
	struct multicast_membership wanted = describe(
		membership, interface->name, interface->index);
	AUTO_CLOSE int fd = -1;
	int r;

	if (wanted.reach == REACH_UNKNOWN)
		return because(why, -ENOBUFS,
			"no memory or descriptors to ask the kernel whose address that is");
	fd = claim_listening(membership, interface);
	if (fd >= 0) {
		r = multicast_adopt_receiver(fd, &wanted, why);
		if (r < 0)
			return r;
		membership->receive_buffer = raise_receive_buffer(fd, config->receive_buffer);
		return take_fd(fd);
	}
	r = descriptors_check(1, why);
	r = r < 0 ? r : multicast_open_receiver(&wanted, why);
	/* After joining: the default buffer holds what arrives in those microseconds. */
	if (r >= 0)
		membership->receive_buffer = socket_set_receive_buffer(r, config->receive_buffer);
	return r;
}

/* Joins on the interface with a new socket. Returns 0, or a negative errno with the reason in why.
 */
static int join(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	struct membership_counters *counters = membership->counters;
	int fd = open_socket(membership, interface, why), r;
	char name[STORE_NAME_MAX];
	uint64_t now;

	if (fd < 0)
		return fd;
	counters->socket_dropped = 0;
	membership->coalesces = membership->group->config->coalesce;
	r = adopt(membership, interface->name, interface->index, fd);
	if (r < 0)
		return because(why, r, "out of memory");
	now = clock_ns(CLOCK_BOOTTIME);
	counters->joins++;
	if (now > counters->unjoined_since_ns)
		counters->unjoined_ns += now - counters->unjoined_since_ns;
	counters->unjoined_since_ns = 0;
	membership_apply_needs(membership, membership->coalesces || membership->any_interface);
	note_reported(membership, interface);
	name_socket(membership, interface->index, name);
	membership->is_stored = store_add(
		membership->group->context->store, STORE_MEMBERSHIPS, name, fd);
	same_network_expect(membership->group);
	return 0;
}

/* Makes a restored socket this membership's. On failure it is closed. */
static int adopt_restored(struct membership *membership, const char *interface, unsigned ifindex,
	const char *name, int fd)
{
	struct membership_counters *counters = membership->counters;
	uint32_t dropped = 0;
	int r;

	/* A new record: the counters of the earlier run are lost, and what they had counted is not
	 * to be counted again. */
	if (!counters->joins) {
		socket_drops(fd, &dropped);
		counters->socket_dropped = dropped;
		counters->joins = 1;
	}
	/* The limit may be higher now than when it was opened. */
	membership->receive_buffer = raise_receive_buffer(
		fd, membership->group->config->receive_buffer);
	counters->unjoined_since_ns = 0;
	r = adopt(membership, interface, ifindex, fd);
	if (r < 0)
		store_remove(membership->group->context->store, STORE_MEMBERSHIPS, name);
	else
		membership_apply_needs(membership, true);
	return r;
}

/* Whether the kernel still has the restored socket as joined, for the senders that are wanted. */
static bool is_still_joined(const struct membership *membership, const struct interface *interface)
{
	struct multicast_membership wanted = describe(
		membership, interface->name, interface->index);

	return !forgotten_is_left(
		       membership->group->context->forgotten, &wanted.group, interface->index, 0) &&
	       multicast_restore_filter(membership->fd, &wanted) >= 0;
}

/* Restores the socket that is joined exactly as wanted. One that the kernel no longer has as joined
 * is left before it is closed, as any other: else the kernel would remove the next membership of
 * that index when the fd store's copy is closed, some time later. */
static bool restore_same(struct membership *membership, const struct interface *interface)
{
	struct group_context *context = membership->group->context;
	char name[STORE_NAME_MAX];
	int fd;

	name_socket(membership, interface->index, name);
	fd = store_restore(context->store, STORE_MEMBERSHIPS, name);
	membership->coalesces = membership->group->config->coalesce;
	if (fd < 0 || adopt_restored(membership, interface->name, interface->index, name, fd) < 0)
		return false;
	membership->is_stored = true;
	if (is_multicast(membership) && !is_still_joined(membership, interface)) {
		close_socket(membership);
		return false;
	}
	context->restored.sockets++;
	context->restored.kernel_dropped += membership_count_drops(membership);
	note_reported(membership, interface);
	set_state(membership, MEMBERSHIP_JOINED, NULL);
	return true;
}

/* Reads sockets that were joined otherwise to their end, and releases them. They may coalesce,
 * whatever is configured now. */
static void drain_others(struct membership *membership, unsigned ifindex)
{
	const struct config_group *config = membership->group->config;
	struct group_context *context = membership->group->context;
	char prefix[STORE_NAME_MAX], name[STORE_NAME_MAX];
	int fd;

	name_membership(membership, prefix);
	while ((fd = store_restore_next(context->store, STORE_MEMBERSHIPS, prefix, name)) >= 0) {
		store_remove(context->store, STORE_MEMBERSHIPS, name);
		if (!socket_is_bound_to(fd, &config->address, (uint16_t)config->port)) {
			context->restored.lost += stored_socket_discard(fd, context->interfaces);
			continue;
		}
		membership->coalesces = true;
		if (adopt_restored(membership, membership->interface, ifindex, name, fd) >= 0)
			close_socket(membership);
	}
}

void membership_restore(struct membership *membership, const struct interface *interface)
{
	if (!interface || !restore_same(membership, interface))
		drain_others(membership, interface ? interface->index : 0);
}

uint64_t stored_socket_discard(int fd, const struct interface_list *interfaces)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < interfaces->count; i++)
		multicast_leave_bound(fd, interfaces->items[i].index);
	while (recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		lost++;
	close(fd);
	return lost;
}

/* Whether the socket is still joined on this interface. A membership survives that its interface
 * goes down, but not everything else, and the kernel does not tell the socket. */
static bool is_joined_on(const struct membership *membership, const struct interface *interface)
{
	const struct config_group *config = membership->group->config;
	struct group_context *context = membership->group->context;

	if (membership->fd < 0 || membership->origin->ifindex != interface->index ||
		forgotten_is_gone(context->forgotten, interface->index, membership->touched))
		return false;
	/* While it is reported, it may be left for a moment. */
	if (!is_multicast(membership) || membership->report.is_running ||
		!forgotten_is_left(context->forgotten, &config->address, interface->index,
			membership->touched))
		return true;
	transition_add(context->transitions, TRANSITION_FORGOTTEN, config->name, interface->name,
		"joining again");
	return false;
}

/* What a port receives, its master takes. While an interface is down the kernel keeps the
 * membership, and reports it again when it is up. */
static void set_joined(struct membership *membership, const struct interface_list *interfaces,
	const struct interface *interface)
{
	const struct interface *master = interface->port_of ? interface_by_index(interfaces,
								      interface->port_of)
							    : NULL;
	char note[WHY_MAX] = "";

	if (!(interface->flags & IFF_UP))
		snprintf(note, sizeof(note), "the interface is down");
	else if (master)
		snprintf(note, sizeof(note),
			"%s is a port of the %s %s: datagrams arrive there, join %s",
			interface->name, interface->port_kind, master->name, master->name);
	set_state(membership, MEMBERSHIP_JOINED, *note ? note : NULL);
}

/* Whether a socket of the daemon is in the way of what is wanted, as net/holder.c says of others.
 */
static bool is_in_the_way(const struct membership *other, const struct multicast_membership *wanted)
{
	const struct config_group *config = other->group->config;

	return config->port == wanted->port && config->address.family == wanted->group.family &&
	       (address_equal(&config->address, &wanted->group) ||
		       address_is_any(&config->address) || address_is_any(&wanted->group)) &&
	       (other->any_interface || wanted->any_interface ||
		       other->origin->ifindex == wanted->ifindex);
}

/* Names the group of this daemon that has the port, if it is one. */
static void explain_held(const struct membership *membership, const struct interface *interface,
	char why[static WHY_MAX])
{
	struct multicast_membership wanted = describe(
		membership, interface->name, interface->index);
	const struct membership *other;
	char string[INET6_ADDRSTRLEN];

	list_for_each(other, &membership->group->context->unicasts, unicast) {
		if (!is_in_the_way(other, &wanted))
			continue;
		snprintf(why, WHY_MAX,
			"port %u is held by group %s of this daemon, which receives %s: leave one "
			"of the two out, or give both interfaces of their own",
			wanted.port, other->group->config->name,
			address_format(&other->group->config->address, string));
		return;
	}
}

/* Joins. While a reload goes on, a group that is not changed yet may have the port: it is tried
 * again at the end. */
static void try_join(struct membership *membership, const struct interface_list *interfaces,
	const struct interface *interface)
{
	struct group_context *context = membership->group->context;
	char why[WHY_MAX];
	int r = join(membership, interface, why);

	if (r == -EADDRINUSE && context->is_changing) {
		list_append(&context->postponed, &membership->postponed);
		return;
	}
	if (r == -EADDRINUSE && !is_multicast(membership))
		explain_held(membership, interface, why);
	if (r < 0)
		set_state(membership, MEMBERSHIP_FAILED, why);
	else
		set_joined(membership, interfaces, interface);
}

/* Whether its socket is read, or is again from now on. */
static bool is_read(struct membership *membership)
{
	char why[WHY_MAX];

	if (!membership->is_unread)
		return true;
	if (socket_check_read(membership->fd, why) < 0)
		return false;
	membership->is_unread = false;
	return membership_listen(membership) >= 0;
}

void membership_update(struct membership *membership, const struct interface_list *interfaces)
{
	const struct interface *interface = interface_find(interfaces, membership->interface);
	char why[WHY_MAX];
	const char *obstacle = obstacle_find(
		membership->group->config, membership->interface, interfaces, interface, why);

	if (interface &&
		interface_has_family(interface, membership->group->config->address.family) &&
		(!obstacle || is_multicast(membership)) && is_joined_on(membership, interface) &&
		is_read(membership)) {
		forget_arrivals(membership);
		follow_link(membership, interface);
		set_joined(membership, interfaces, interface);
		return;
	}
	close_socket(membership);
	link_remove(&membership->postponed);
	/* A new socket is told as one: its interface may have come back in between. */
	if (!obstacle && membership->state == MEMBERSHIP_JOINED)
		membership->state = MEMBERSHIP_WAITING;
	if (obstacle)
		set_state(membership, MEMBERSHIP_WAITING, obstacle);
	else
		try_join(membership, interfaces, interface);
}

void membership_retry(struct retry *retry, const struct interface_list *interfaces)
{
	struct membership *membership = container_of(retry, struct membership, retry);

	membership_update(membership, interfaces);
	same_network_update(membership->group);
	outgoing_membership_changed(membership->group);
}

static int begin_report(struct report *report, struct multicast_membership *ret)
{
	struct membership *membership = container_of(report, struct membership, report);

	if (membership->check_sources != CHECK_ALWAYS)
		membership->check_sources = CHECK_WHILE_REPORTED;
	*ret = describe(membership, membership->origin->interface, membership->origin->ifindex);
	return membership->fd;
}

static void end_report(struct report *report, const struct report_result *result)
{
	struct membership *membership = container_of(report, struct membership, report);
	char why[WHY_MAX];

	if (membership->check_sources == CHECK_WHILE_REPORTED)
		membership->check_sources = CHECK_UNTIL_DRAINED;
	membership->touched = forgotten_now(membership->group->context->forgotten);
	if (result->is_reported && result->back_r >= 0) {
		refresh_reported(membership, NULL);
	} else if (result->there_r < 0) {
		snprintf(why, sizeof(why), "the kernel does not change its sources: %s",
			strerror(-result->there_r));
		refresh_reported(membership, why);
	}
	if (result->back_r >= 0)
		return;
	close_socket(membership);
	set_state(membership, MEMBERSHIP_FAILED,
		"the kernel took its sources, and could not set them again; joining again");
}

const struct report_callbacks membership_report_callbacks = {begin_report, end_report};
