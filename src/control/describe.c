#include "control/describe.h"

#include "base/clock.h"
#include "base/json.h"
#include "control/members.h"
#include "formats/numbers.h"
#include "handlers/ledger.h"

static void put_strings(struct text *text, const char *name, const struct string_list *list)
{
	json_put_open(text, name, '[');
	for (size_t i = 0; i < list->count; i++)
		json_put_string(text, NULL, list->items[i]);
	json_put_close(text, ']');
}

static void put_addresses(struct text *text, const char *name, const struct address_list *list)
{
	char string[INET6_ADDRSTRLEN];

	json_put_open(text, name, '[');
	for (size_t i = 0; i < list->count; i++)
		json_put_string(text, NULL, address_format(&list->items[i], string));
	json_put_close(text, ']');
}

static void put_time(struct text *text, const char *name, uint64_t ns)
{
	char string[TIMESTAMP_MAX];

	json_put_string(text, name, ns ? format_timestamp(ns, string) : NULL);
}

static void put_seconds(struct text *text, const char *name, uint64_t ns)
{
	if (!ns) {
		json_put_string(text, name, NULL);
		return;
	}
	json_put_member(text, name);
	text_printf(text, "%.3f", (double)ns / NS_PER_S);
}

/* Reading the group's kernelDropped updates that of the memberships. */
static void put_membership(struct text *text, struct membership *membership)
{
	const struct membership_counters *counters = membership->counters;
	const struct value *rows = membership_values.rows;

	json_put_open(text, NULL, '{');
	json_put_string(text, "interface", membership->interface);
	json_put_string(text, "state", membership_state_name(membership->state));
	put_time(text, "since", membership->since_ns);
	json_put_string(text, "error", membership->error);
	rows = members_put(text, rows, membership, counters);
	json_put_string(text, "lastError", membership->last_error);
	members_put(text, rows, membership, counters);
	json_put_string(text, "refreshImpossible", membership->refreshed.impossible);
	json_put_close(text, '}');
}

static void put_way(struct text *text, struct way *way)
{
	char why[WHY_MAX];

	json_put_open(text, NULL, '{');
	json_put_string(text, "interface", way->interface);
	members_put(text, way_values.rows, way, way->counters);
	json_put_string(text, "error", group_way_error(way, why));
	json_put_close(text, '}');
}

static void put_same_network(struct text *text, const struct same_network *same)
{
	if (!same || !same->is_found) {
		json_put_string(text, "sameNetworkTwice", NULL);
		return;
	}
	json_put_open(text, "sameNetworkTwice", '[');
	json_put_string(text, NULL, same->interfaces[0]);
	json_put_string(text, NULL, same->interfaces[1]);
	json_put_close(text, ']');
}

void describe_memberships(struct text *text, const struct group *group)
{
	json_put_open(text, "memberships", '[');
	for (size_t i = 0; i < group->memberships.count; i++)
		put_membership(text, group->memberships.items[i]);
	json_put_close(text, ']');
}

/* Null where they are not numbered. */
static void put_stream(
	struct text *text, const struct numbered *numbered, const struct known_sender *sender)
{
	AUTO_TEXT struct text stream = {0};
	struct stream_numbers numbers;
	bool is_numbered = numbered_read_stream(numbered, sender, &numbers);

	if (is_numbered)
		numbers_append_stream(&numbered->numbering, sender->stream, &stream);
	json_put_string(text, "stream", stream.length ? text_string(&stream) : NULL);
	members_put(text, jitter_values.rows, &numbers, &numbers);
	if (!is_numbered) {
		json_put_string(text, "sequence", NULL);
		return;
	}
	json_put_open(text, "sequence", '{');
	members_put(text, stream_values.rows, &numbers, &numbers);
	json_put_close(text, '}');
}

static void put_sender(
	struct text *text, const struct numbered *numbered, struct known_sender *sender)
{
	char address[INET6_ADDRSTRLEN];

	json_put_open(text, NULL, '{');
	json_put_string(text, "source", address_format(&sender->address, address));
	json_put_number(text, "sourcePort", sender->port);
	json_put_string(text, "interface", sender->interface);
	members_put(text, sender_values.rows, sender, sender);
	put_stream(text, numbered, sender);
	json_put_close(text, '}');
}

static void put_senders(struct text *text, const struct group *group, bool shows)
{
	const struct known_senders *senders = group->sender_watch.known;
	struct known_sender sender;
	unsigned cursor = 0;

	if (!shows) {
		json_put_string(text, "senders", NULL);
		return;
	}
	json_put_open(text, "senders", '[');
	while (known_senders_next(senders, &cursor, &sender))
		put_sender(text, &group->numbered, &sender);
	json_put_close(text, ']');
}

/* Null where the group has no sequence. */
static void put_numbered(struct text *text, struct group *group)
{
	if (!group->numbered.counters) {
		json_put_string(text, "sequence", NULL);
		return;
	}
	json_put_open(text, "sequence", '{');
	json_put_string(text, "format", group->config->sequence);
	members_put(text, numbered_values.rows, group, group->numbered.counters);
	json_put_close(text, '}');
}

/* Null where the group is not made of others. */
static void put_legs(struct text *text, const struct merged *merged)
{
	if (!merged) {
		json_put_string(text, "merge", NULL);
		return;
	}
	json_put_open(text, "merge", '[');
	for (unsigned i = 0; i < merged->leg_count; i++) {
		struct merge_leg *leg = (struct merge_leg *)&merged->legs[i];

		json_put_open(text, NULL, '{');
		json_put_string(text, "group", merge_leg_name(leg));
		members_put(text, leg_values.rows, leg, leg->counters);
		json_put_close(text, '}');
	}
	json_put_close(text, ']');
}

void describe_group(struct text *text, struct group *group, struct group_shows shows)
{
	const struct group_counters *counters = group->counters;
	const struct config_group *config = group->config;
	const struct value *rows = group_values.rows;
	char address[INET6_ADDRSTRLEN];

	json_put_open(text, NULL, '{');
	json_put_string(text, "name", config->name);
	json_put_flag(text, "byJoin", group->own_config);
	json_put_string(text, "address",
		config_group_is_made_here(config) ? "" : address_format(&config->address, address));
	json_put_number(text, "port", config->port);
	if (shows.sources)
		put_addresses(text, "sources", &config->sources);
	else
		json_put_string(text, "sources", NULL);
	if (shows.sources)
		put_addresses(text, "blockSources", &config->block_sources);
	else
		json_put_string(text, "blockSources", NULL);
	rows = members_put(text, rows, group, counters);
	put_same_network(text, group->same_network);
	put_seconds(text, "expectWithin", config->expect_within);
	rows = members_put(text, rows, group, counters);
	put_strings(text, "handlers", &config->handlers);
	put_strings(text, "inputs", &config->inputs);
	describe_memberships(text, group);
	json_put_open(text, "outgoing", '[');
	for (size_t i = 0; i < group->outgoing.ways.count; i++)
		put_way(text, group->outgoing.ways.items[i]);
	json_put_close(text, ']');
	put_numbered(text, group);
	put_legs(text, group->merged);
	put_senders(text, group, shows.senders);
	members_put(text, rows, group, counters);
	json_put_close(text, '}');
}

static void put_groups_of(struct text *text, const struct groups *groups, struct handler *handler)
{
	json_put_open(text, "groups", '[');
	for (size_t i = 0; i < groups_count(groups); i++)
		if (group_delivers_to(groups_at(groups, i), handler_outlet(handler)))
			json_put_string(text, NULL, groups_at(groups, i)->config->name);
	json_put_close(text, ']');
}

static void put_interface(
	struct text *text, const char *name, const char *error, struct account *account)
{
	json_put_open(text, NULL, '{');
	json_put_string(text, "interface", name);
	json_put_string(text, "error", error);
	members_put(text, interface_values.rows, account, account);
	json_put_close(text, '}');
}

/* For handlers that send copies by several interfaces; the rest, where there is any, is what went
 * to interfaces that are gone. */
static void put_interfaces(
	struct text *text, struct handler *handler, const struct account *account)
{
	const struct ledger *ledger = handler_ledger(handler);
	const struct ledger_interface *interface;
	struct account rest;

	if (!handler_has_interfaces(handler)) {
		json_put_string(text, "interfaces", NULL);
		return;
	}
	json_put_open(text, "interfaces", '[');
	list_for_each(interface, &ledger->interfaces, link)
		put_interface(text, interface->name,
			handler_interface_error(handler, interface->name), interface->account);
	ledger_other_interfaces(ledger, account, &rest);
	if (rest.received)
		put_interface(text, NULL, NULL, &rest);
	json_put_close(text, ']');
}

/* Counters of this kind of handler only; an empty object for most. */
static void put_counters(
	struct text *text, const struct handler *handler, const struct outcome *outcome)
{
	const char *const *names = handler_counters(handler);

	json_put_open(text, "counters", '{');
	for (size_t i = 0; names && names[i]; i++)
		json_put_number(text, names[i], outcome->counted[i]);
	json_put_close(text, '}');
}

static void put_taking_groups(struct text *text, const struct groups *groups, const char *handler)
{
	json_put_open(text, "groups", '[');
	for (size_t i = 0; i < groups_count(groups); i++)
		if (group_takes_input(groups_at(groups, i), handler))
			json_put_string(text, NULL, groups_at(groups, i)->config->name);
	json_put_close(text, ']');
}

/* What comes in, for handlers by which anything can. */
static void put_input(struct text *text, const struct groups *groups, struct handler *handler)
{
	struct intake_account account;

	if (!handler_intake(handler)) {
		json_put_string(text, "input", NULL);
		return;
	}
	intake_read_account(ledger_input(handler_ledger(handler)), &account);
	json_put_open(text, "input", '{');
	put_taking_groups(text, groups, handler_name(handler));
	members_put(text, input_values.rows, &account, &account);
	json_put_close(text, '}');
}

void describe_handler(struct text *text, const struct groups *groups, struct handler *handler)
{
	const struct value *rows = handler_values.rows;
	struct handler_numbers numbers;
	const struct account *account = &numbers.account;

	handler_numbers_read(handler, &numbers);
	json_put_open(text, NULL, '{');
	json_put_string(text, "name", handler_name(handler));
	json_put_string(text, "type", handler_type(handler));
	json_put_flag(text, "records", handler_records(handler));
	put_groups_of(text, groups, handler);
	json_put_string(text, "error", handler_error(handler));
	rows = members_put(text, rows, &numbers, &numbers);
	members_put(text, rows, &numbers, &numbers);
	put_counters(text, handler, &account->outcome);
	put_interfaces(text, handler, account);
	put_input(text, groups, handler);
	json_put_close(text, '}');
}
