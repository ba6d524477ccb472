/* Groups and handlers as the answers show them. */
#include "base/clock.h"
#include "control/method.h"

static json_t *describe_strings(const struct string_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *describe_addresses(const struct address_list *list)
{
	char string[INET6_ADDRSTRLEN];
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(address_format(&list->items[i], string)));
	return array;
}

static json_t *describe_time(uint64_t ns)
{
	char string[TIMESTAMP_MAX];

	return ns ? json_string(format_timestamp(ns, string)) : json_null();
}

static json_t *describe_memberships(const struct group *group)
{
	json_t *array = json_array();

	for (size_t i = 0; i < group->membership_count; i++) {
		struct membership *membership = group->memberships[i];

		json_array_append_new(array,
			json_pack("{ss,ss,so,ss?,sI,sI}", "interface", membership->interface, "state",
				membership_state_name(membership->state), "since",
				describe_time(membership->since_ns), "error", membership->error, "kernelDropped",
				(json_int_t)membership_kernel_dropped(membership), "receiveBuffer",
				(json_int_t)membership->receive_buffer));
	}
	return array;
}

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

static json_t *describe_group(struct group *group)
{
	const struct group_counters *counters = group->counters;
	const struct config_group *config = &group->config;
	char address[INET6_ADDRSTRLEN];
	json_t *object = json_pack("{ss,ss,sI,so}", "name", config->name, "address",
		address_format(&config->address, address), "port", (json_int_t)config->port, "sources",
		describe_addresses(&config->sources));

	set_number(object, "received", counters->received);
	set_number(object, "receivedBytes", counters->received_bytes);
	set_number(object, "truncated", counters->truncated);
	set_number(object, "kernelDropped", group_kernel_dropped(group));
	set_number(object, "sent", counters->sent);
	set_number(object, "sentBytes", counters->sent_bytes);
	set_number(object, "sendFailed", counters->send_failed);
	set_number(object, "unread", counters->unread);
	json_object_set_new(object, "lastReceived", describe_time(counters->last_received_ns));
	json_object_set_new(object, "handlers", describe_strings(&config->handlers));
	json_object_set_new(object, "memberships", describe_memberships(group));
	return object;
}

json_t *describe_groups(const struct control_backend *backend)
{
	struct groups *groups = backend->groups;
	json_t *array = json_array();

	for (size_t i = 0; i < groups_count(groups); i++)
		json_array_append_new(array, describe_group(groups_at(groups, i)));
	return array;
}

static bool delivers_to(const struct group *group, const struct outlet *outlet)
{
	for (size_t i = 0; i < group->outlet_count; i++)
		if (group->outlets[i] == outlet)
			return true;
	return false;
}

static json_t *describe_groups_of(struct groups *groups, struct handler *handler)
{
	json_t *array = json_array();

	for (size_t i = 0; i < groups_count(groups); i++)
		if (delivers_to(groups_at(groups, i), handler_outlet(handler)))
			json_array_append_new(array, json_string(groups_at(groups, i)->config.name));
	return array;
}

/* Every reason, also those that did not happen: whoever reads it need not know them beforehand. */
static json_t *describe_dropped(const struct outcome *outcome)
{
	json_t *object = json_object();

	for (int i = 0; i < DROP_REASONS; i++)
		set_number(object, drop_reason_name((enum drop_reason)i), outcome->dropped[i]);
	return object;
}

/* What only this kind counts; an empty object for most. */
static json_t *describe_counters(const struct handler *handler, const struct outcome *outcome)
{
	const char *const *names = handler_counters(handler);
	json_t *object = json_object();

	for (size_t i = 0; names && names[i]; i++)
		set_number(object, names[i], outcome->counted[i]);
	return object;
}

/* The age in seconds of the oldest datagram that waits; null when none does. */
static json_t *describe_age(uint64_t since_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	return since_ns ? json_real(now > since_ns ? (double)(now - since_ns) / NS_PER_S : 0) : json_null();
}

static json_t *describe_handler(struct groups *groups, struct handler *handler)
{
	struct account account;
	json_t *object = json_pack("{ss,ss,so}", "name", handler_name(handler), "type", handler_type(handler),
		"groups", describe_groups_of(groups, handler));

	handler_account(handler, &account);
	set_number(object, "received", account.received);
	set_number(object, "filtered", account.filtered);
	set_number(object, "delivered", account.outcome.delivered);
	json_object_set_new(object, "dropped", describe_dropped(&account.outcome));
	set_number(object, "queued", account.queued);
	set_number(object, "queuedBytes", account.queued_bytes);
	set_number(object, "queuedMax", account.queued_max);
	json_object_set_new(object, "oldestQueued", describe_age(account.oldest_ns));
	json_object_set_new(object, "counters", describe_counters(handler, &account.outcome));
	return object;
}

json_t *describe_handlers(const struct control_backend *backend)
{
	json_t *array = json_array();

	for (size_t i = 0; i < handlers_count(backend->handlers); i++)
		json_array_append_new(array, describe_handler(backend->groups, handlers_at(backend->handlers, i)));
	return array;
}
