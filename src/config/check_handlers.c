/* Which handlers a group may have, and what may come in from them. */
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "config/checking.h"
#include "net/multicast.h"

static void refuse_handler(struct check *check, const char *key, const char *name)
{
	char buffer[SHOWN_MAX], meant[GUESS_MAX];
	struct guess guess = {.word = name};

	/* Past this many errors nobody reads the guesses, which take most of the time. */
	for (size_t i = 0; check->errors->count < ERRORS_MAX && i < check->config->handler_count;
		i++)
		guess_offer(&guess, check->config->handlers[i].name);
	complain(check, key, "there is no handler \"%s\"%s", shown(name, buffer),
		guess_or(&guess, ", define it in handlers: { ... };", meant));
}

/* Whether whoever reaches this host reaches the group: it is unicast, of any sender, on any
 * interface. */
static bool is_open_to_all(const struct config_group *group)
{
	if (group->address.family == AF_UNSPEC || address_is_multicast(&group->address) ||
		address_is_everyone(&group->address) || group->sources.count)
		return false;
	for (size_t i = 0; i < group->interfaces.count; i++)
		if (*group->interfaces.items[i] != '!')
			return false;
	return true;
}

static const struct interface_list *interfaces_now(struct check *check)
{
	if (!check->has_interfaces)
		interface_list_read(&check->interfaces);
	check->has_interfaces = true;
	return &check->interfaces;
}

/* Whether a group receives on an interface: by its names and addresses where it is there now, else
 * by the name that is given. */
static bool receives_on(struct check *check, const struct config_group *group, const char *name)
{
	const struct interface_list *interfaces = interfaces_now(check);
	const struct interface *interface = interface_find(interfaces, name);
	bool names_any = false, is_matched = false, is_left_out = false;

	for (size_t i = 0; i < group->interfaces.count; i++) {
		bool leaves_out = *group->interfaces.items[i] == '!';
		const char *pattern = group->interfaces.items[i] + leaves_out;

		names_any |= !leaves_out;
		if (fnmatch(pattern, name, 0) &&
			!(interface && interface_is_excluded(interfaces, interface, pattern)))
			continue;
		if (!leaves_out && !interface_is_glob(pattern))
			return true;
		is_left_out |= leaves_out;
		is_matched |= !leaves_out;
	}
	if (!names_any)
		is_matched = !interface || interface_matches(interfaces, interface, "*");
	return is_matched && !is_left_out;
}

/* Whether what is sent to an address arrives at the group's. */
static bool is_group_address(const struct config_group *group, const struct address *to)
{
	enum reach reach;

	if (address_equal(to, &group->address))
		return true;
	if (!address_is_any(&group->address) || to->family != group->address.family)
		return false;
	reach = multicast_reach(to);
	return reach == REACH_UNICAST || reach == REACH_BROADCAST;
}

/* A group that would hear its own handler. Whatever else relays do to each other shows only when
 * they run (handlers/relayable.h). */
static void check_echo(struct check *check, const struct config_handler *handler,
	const struct config_relay *relay, const struct config_group *group, const char *shown_group)
{
	char interface[SHOWN_MAX];

	if (any_failed(&check->parts[0]) || relay->port != group->port ||
		!is_group_address(group, &relay->address))
		return;
	if (!relay->interface)
		complain(check, "handlers",
			"\"%s\" sends to the address and port of %s; set its interface to one "
			"that %s does not receive on",
			handler->name, shown_group, shown_group);
	else if (receives_on(check, group, relay->interface))
		complain(check, "handlers",
			"\"%s\" sends to the address and port of %s on %s, where %s receives; "
			"let it send on another interface, or set interfaces without %s",
			handler->name, shown_group, shown(relay->interface, interface), shown_group,
			interface);
}

/* What a handler relays that is of this group: the one that has it, or a leg of that. */
static void check_relay_of(struct check *check, const struct config_handler *handler,
	const struct config_relay *relay, const struct config_group *group)
{
	char shown_group[GROUP_NAME_MAX + 10];
	bool is_leg = group != check->group;

	snprintf(shown_group, sizeof(shown_group), "%s%s", is_leg ? "its leg " : "the group",
		is_leg ? group->name : "");
	check_echo(check, handler, relay, group, shown_group);
	if (is_open_to_all(group) && !handler->filter.is.sources.count &&
		address_is_multicast(&relay->address))
		complain(check, "handlers",
			"\"%s\" would send to the network what anybody sends to %s%s%s; name the "
			"senders with sources, or where they are with interfaces",
			handler->name, is_leg ? shown_group : "", is_leg ? " on " : "",
			"this host");
}

static void check_relay(struct check *check, const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);
	const struct config_group *group = check->group, *leg;
	struct config_relay relay;

	if (!handler->kind || !handler->kind->relays || any_failed(&parts[count - 1]) ||
		!handler->kind->relays(handler->settings, &relay))
		return;
	if (!group->merge.count)
		check_relay_of(check, handler, &relay, group);
	for (size_t i = 0; i < group->merge.count; i++)
		if ((leg = config_find_group(check->config, group->merge.items[i])))
			check_relay_of(check, handler, &relay, leg);
}

/* What is sent as its sender leaves by the family of where it goes only. */
static void check_kept_source(struct check *check, const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);
	struct config_relay relay;
	bool is_v4;

	if (any_failed(&parts[count - 1]) || !config_handler_keeps_source(handler) ||
		!handler->kind->relays || !handler->kind->relays(handler->settings, &relay))
		return;
	is_v4 = relay.address.family == AF_INET;
	if (config_group_receives(check->config, check->group, is_v4 ? AF_INET6 : AF_INET))
		complain(check, "handlers",
			"\"%s\" has keep_source = true and sends to an IPv%d address, which no "
			"IPv%d sender of the group can send to; set keep_source = false in it, or "
			"an IPv%d address",
			handler->name, is_v4 ? 4 : 6, is_v4 ? 6 : 4, is_v4 ? 6 : 4);
}

/* The filter of a block is for its own group; that of a handler may be for others. */
static void check_filter_family(struct check *check, const struct config_handler *handler)
{
	struct check block = {.errors = check->errors, .subject = handler_subject(handler)};
	bool is_v4 = check->group->address.family == AF_INET;

	if (!handler->kind || !handler->kind->block.count ||
		!config_filter_misses(check->config, check->group, handler))
		return;
	block.part_count = config_handler_parts(handler, block.parts);
	complain(&block, "filter.sources",
		"names IPv%d senders only, and those of the group are IPv%d: no datagram is like "
		"that, name IPv%d addresses",
		is_v4 ? 6 : 4, is_v4 ? 4 : 6, is_v4 ? 4 : 6);
	check->found += block.found;
}

/* The handler of a block is for the group that the block stands in. */
static bool may_use(const struct config_group *group, const struct config_handler *handler)
{
	size_t length = strlen(group->name);

	if (!handler->kind || !handler->kind->block.count)
		return true;
	return !strncmp(handler->name, group->name, length) && handler->name[length] == '.' &&
	       !strcmp(handler->name + length + 1, handler->kind->name);
}

/* Whether the kind can be used by a group of this name. */
static bool may_have_group(
	struct check *check, const char *key, const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);
	char why[WHY_MAX];

	if (!handler->kind || !handler->kind->check_group || any_failed(&parts[count - 1]) ||
		handler->kind->check_group(handler->settings, check->group->name, why) >= 0)
		return true;
	complain(check, key, "\"%s\": the name of the group %s", handler->name, why);
	return false;
}

void check_handlers(struct check *check)
{
	const struct string_list *handlers = &check->group->handlers;
	const struct config_handler *handler;

	for (size_t i = 0; i < handlers->count && !check->is_partial; i++) {
		handler = config_find_handler(check->config, handlers->items[i]);
		if (!handler)
			refuse_handler(check, "handlers", handlers->items[i]);
		else if (check->group->merge.count && handler->kind && handler->kind->block.count)
			complain(check, handler->kind->name,
				"cannot be used with merge, as the group has no network of its "
				"own; send it on with a handler of type udp");
		else if (!may_use(check->group, handler))
			complain(check, "handlers", "\"%s\" is for its own group only, remove it",
				handler->name);
		else if (may_have_group(check, "handlers", handler)) {
			check_relay(check, handler);
			check_kept_source(check, handler);
			check_filter_family(check, handler);
		}
	}
}

/* ---- What comes in ---- */

/* What leaves from import_port is taken for what came in, also by the other daemons of the network:
 * it would never get to a broker. */
static void check_import_port(struct check *check)
{
	const struct config_group *group = check->group;
	int64_t port = check->config->import_port;

	if (!port)
		return;
	if (group->source_port == port)
		complain(check, "source_port",
			"%" PRId64 " is import_port, and what leaves from it is never given to a "
			"broker; use another port",
			port);
	if (group->port == port && group->inputs.count)
		complain(check, "port",
			"%" PRId64 " is import_port, and many programs send from the port of the "
			"group; use another import_port",
			port);
}

static bool is_sound(const struct config_handler *handler)
{
	struct config_part parts[HANDLER_PARTS];
	size_t count = config_handler_parts(handler, parts);

	return !any_failed(&parts[count - 1]);
}

/* Each message would come in twice: only by the names of groups and sites do two handlers share
 * what a broker has. before: how many inputs come before this one. */
static void check_other_inputs(
	struct check *check, const struct config_handler *handler, size_t before)
{
	const struct config_group *group = check->group;

	for (size_t i = 0; i < before; i++) {
		const struct config_handler *other = config_find_handler(
			check->config, group->inputs.items[i]);

		if (other && other != handler && other->kind == handler->kind && is_sound(other) &&
			is_sound(handler) && handler->kind->takes_in_same &&
			handler->kind->takes_in_same(
				handler->settings, other->settings, group->name))
			complain(check, "inputs",
				"\"%s\" and \"%s\" take in the same from one broker, and each "
				"datagram would be sent twice; remove one of them, or give them "
				"different sites",
				other->name, handler->name);
	}
}

static void check_input(struct check *check, const char *name, size_t before)
{
	const struct config_handler *handler = config_find_handler(check->config, name);

	if (!handler && !check->is_partial)
		refuse_handler(check, "inputs", name);
	if (!handler || !handler->kind)
		return;
	if (!handler->kind->imports)
		complain(check, "inputs",
			"nothing comes in by \"%s\", of type %s; name a handler that speaks to a "
			"broker, or move it to handlers",
			handler->name, handler->type);
	else if (may_have_group(check, "inputs", handler))
		check_other_inputs(check, handler, before);
}

void check_inputs(struct check *check)
{
	const struct string_list *inputs = &check->group->inputs;

	check_import_port(check);
	for (size_t i = 0; i < inputs->count; i++)
		check_input(check, inputs->items[i], i);
	/* Once: it is one mistake. */
	if (!inputs->count || check->config->import_port || check->is_partial ||
		check->has_no_import_port)
		return;
	check->has_no_import_port = true;
	complain(check, "inputs",
		"needs import_port, add it outside of groups: import_port = 5999; (a free port, "
		"the same in all daemons of this network)");
}

/* Events come from nobody, and are JSON. */
void check_handlers_of_events(struct check *check)
{
	const struct string_list *handlers = &check->group->handlers;

	for (size_t i = 0; i < handlers->count && !check->is_partial; i++) {
		const struct config_handler *handler = config_find_handler(
			check->config, handlers->items[i]);

		if (handler && config_handler_keeps_source(handler))
			complain(check, "handlers",
				"events have no sender, which \"%s\" would send from; remove "
				"it, or its keep_source",
				handler->name);
		if (handler && handler->strip)
			complain(check, "handlers",
				"no event has the header that \"%s\" takes away; remove it, or its "
				"strip",
				handler->name);
	}
}
