#include "control/values.h"

#include "base/cleanup.h"
#include "data/intake.h"
#include "data/known_senders.h"
#include "groups/group_socket.h"

/* Where the answer has members that are no values, and at the end of all. */
#define SECTION_END  \
	{            \
		NULL \
	}

/* ---- Groups ---- */

#define IN_GROUP(member) .offset = offsetof(struct group_counters, member)

static uint64_t read_kernel_dropped(void *object)
{
	return group_kernel_dropped(object);
}

static uint64_t read_silent(void *object)
{
	return ((struct group *)object)->silence.is_silent;
}

static uint64_t read_forgotten(void *object)
{
	return known_senders_forgotten(((struct group *)object)->sender_watch.known);
}

static uint64_t read_programs(void *object)
{
	return group_socket_count(((struct group *)object)->socket);
}

static bool has_sources(const void *object)
{
	const struct config_group *config = ((const struct group *)object)->config;

	return config->sources.count || config->block_sources.count;
}

static bool has_socket(const void *object)
{
	return ((const struct group *)object)->socket;
}

static bool takes_replies(const void *object)
{
	return ((const struct group *)object)->config->replies;
}

static bool drops_duplicates(const void *object)
{
	return ((const struct group *)object)->config->duplicates == DUPLICATES_DROP;
}

static bool expects(const void *object)
{
	return ((const struct group *)object)->config->expect_within;
}

/* There is a sample only once there is something. */
static bool never(const void *object)
{
	(void)object;
	return false;
}

/* The drops of memberships are read with those of the group, so they come later. */
static const struct value group_rows[] = {
	{"received",
		{"mcastd_group_received_total", METRIC_COUNTER, "Datagrams received of the group."},
		IN_GROUP(received)},
	{"receivedBytes",
		{"mcastd_group_received_bytes_total", METRIC_COUNTER,
			"Payload of the datagrams received of the group, in bytes."},
		IN_GROUP(received_bytes)},
	{"truncated",
		{"mcastd_group_truncated_total", METRIC_COUNTER,
			"Received datagrams that were larger than what is read of them."},
		IN_GROUP(truncated)},
	{"kernelDropped",
		{"mcastd_group_kernel_dropped_total", METRIC_COUNTER,
			"Datagrams that the kernel has dropped at all sockets that the group has "
			"had: a receive buffer was full, or a firewall of the service refused "
			"them."},
		.read = read_kernel_dropped, .is_slow = true},
	{"refused",
		{"mcastd_group_refused_total", METRIC_COUNTER,
			"Datagrams of senders that the group does not take, where the kernel does "
			"not refuse them."},
		IN_GROUP(refused), .applies = has_sources},
	{"sent",
		{"mcastd_group_sent_total", METRIC_COUNTER,
			"Datagrams of local programs that left by at least one interface."},
		IN_GROUP(sent)},
	{"sentBytes",
		{"mcastd_group_sent_bytes_total", METRIC_COUNTER,
			"Payload of the datagrams sent, in bytes."},
		IN_GROUP(sent_bytes)},
	{"sendFailed",
		{"mcastd_group_send_failed_total", METRIC_COUNTER,
			"Datagrams of local programs that could not be sent."},
		IN_GROUP(send_failed)},
	{"unread",
		{"mcastd_group_unread_total", METRIC_COUNTER,
			"Datagrams that programs at the group socket did not read fast enough, "
			"once for each program."},
		IN_GROUP(unread), .applies = has_socket},
	{"emptySkipped",
		{"mcastd_group_empty_skipped_total", METRIC_COUNTER,
			"Datagrams without payload that programs at the group socket do not get, "
			"once for each program."},
		IN_GROUP(empty_skipped), .applies = has_socket},
	{"replies",
		{"mcastd_group_replies_total", METRIC_COUNTER,
			"Received datagrams that came to the port that the group sends from."},
		IN_GROUP(replies), .applies = takes_replies},
	{"echoed",
		{"mcastd_group_echoed_total", METRIC_COUNTER,
			"Own datagrams that came back once more by another interface."},
		IN_GROUP(echoed), .applies = never},
	{"unreachable",
		{"mcastd_group_unreachable_total", METRIC_COUNTER,
			"ICMP errors about datagrams that the group has sent."},
		IN_GROUP(unreachable), .applies = never},
	{"duplicates",
		{"mcastd_group_duplicates_total", METRIC_COUNTER,
			"Datagrams that were dropped because they had come by another interface "
			"already."},
		IN_GROUP(duplicates), .applies = drops_duplicates},
	SECTION_END,
	{"lastReceived",
		{"mcastd_group_last_received_timestamp_seconds", METRIC_GAUGE,
			"When the last datagram was received, in seconds since 1970; 0: none was."},
		VALUE_TIME, IN_GROUP(last_received_ns)},
	{"silent",
		{"mcastd_group_silent", METRIC_GAUGE,
			"Whether nothing was received for longer than expect_within."},
		VALUE_FLAG, .read = read_silent, .applies = expects},
	SECTION_END,
	{"sendersForgotten",
		{"mcastd_group_senders_forgotten_total", METRIC_COUNTER,
			"How often a sender was forgotten for another one, since senders are "
			"kept."},
		.read = read_forgotten, .applies = never},
	{NULL,
		{"mcastd_group_socket_programs", METRIC_GAUGE,
			"Programs that are connected to the group socket."},
		.read = read_programs, .applies = has_socket},
	SECTION_END,
};

const struct value_table group_values = {"Group", "group", group_rows, ARRAY_SIZE(group_rows)};

/* ---- Memberships and ways ---- */

#define IN_MEMBERSHIP(member) .offset = offsetof(struct membership_counters, member)

static uint64_t read_joined(void *object)
{
	return ((struct membership *)object)->state == MEMBERSHIP_JOINED;
}

static uint64_t read_receive_buffer(void *object)
{
	return ((struct membership *)object)->receive_buffer;
}

static uint64_t read_not_sent(void *object)
{
	const struct membership *membership = object;

	return outgoing_not_sent(&membership->group->outgoing, membership->interface);
}

static uint64_t read_refreshed(void *object)
{
	return ((struct membership *)object)->refreshed.at_ns;
}

static const struct value membership_rows[] = {
	{NULL,
		{"mcastd_membership_joined", METRIC_GAUGE,
			"Whether the group is joined on the interface."},
		VALUE_FLAG, .read = read_joined},
	{"kernelDropped",
		{"mcastd_membership_kernel_dropped_total", METRIC_COUNTER,
			"Datagrams that the kernel has dropped at sockets of the membership."},
		IN_MEMBERSHIP(kernel_dropped)},
	SECTION_END,
	{"joins",
		{"mcastd_membership_joins_total", METRIC_COUNTER,
			"How often the group was joined on the interface."},
		IN_MEMBERSHIP(joins)},
	{"deafMilliseconds",
		{"mcastd_membership_unjoined_seconds_total", METRIC_COUNTER,
			"Total time that it was not joined, until it was last joined."},
		VALUE_NS, IN_MEMBERSHIP(unjoined_ns)},
	{"receiveBuffer",
		{"mcastd_membership_receive_buffer_bytes", METRIC_GAUGE,
			"Receive buffer that the kernel granted, in bytes."},
		.read = read_receive_buffer},
	{"notSent", {NULL}, .read = read_not_sent}, /* the way has it */
	{"received",
		{"mcastd_membership_received_total", METRIC_COUNTER,
			"Datagrams that came in by the interface."},
		IN_MEMBERSHIP(received)},
	{"receivedBytes",
		{"mcastd_membership_received_bytes_total", METRIC_COUNTER,
			"Payload of these datagrams, in bytes."},
		IN_MEMBERSHIP(received_bytes)},
	{"lastReceived",
		{"mcastd_membership_last_received_timestamp_seconds", METRIC_GAUGE,
			"When the last of these datagrams came in, in seconds since 1970; 0: none "
			"did."},
		VALUE_TIME, IN_MEMBERSHIP(last_received_ns)},
	{"refreshed",
		{"mcastd_membership_refreshed_timestamp_seconds", METRIC_GAUGE,
			"When the membership was last reported to the network again, in seconds "
			"since 1970."},
		VALUE_TIME, .read = read_refreshed, .applies = never},
	SECTION_END,
};

const struct value_table membership_values = {
	"Membership", "group, interface", membership_rows, ARRAY_SIZE(membership_rows)};

static uint64_t read_usable(void *object)
{
	return !((struct way *)object)->failure;
}

static const struct value way_rows[] = {
	{"notSent",
		{"mcastd_outgoing_not_sent_total", METRIC_COUNTER,
			"Datagrams of the group that did not leave by the interface."},
		.offset = offsetof(struct way_counters, not_sent)},
	{NULL,
		{"mcastd_outgoing_usable", METRIC_GAUGE,
			"Whether the group can send by the interface."},
		VALUE_FLAG, .read = read_usable},
	SECTION_END,
};

const struct value_table way_values = {
	"Outgoing", "group, interface", way_rows, ARRAY_SIZE(way_rows)};

/* ---- Senders ---- */

static const struct value sender_rows[] = {
	{"received",
		{"mcastd_sender_received_total", METRIC_COUNTER,
			"Datagrams of a sender, since the daemon keeps it. Only with "
			"http.senders."},
		.offset = offsetof(struct known_sender, received)},
	{"lastReceived",
		{"mcastd_sender_last_received_timestamp_seconds", METRIC_GAUGE,
			"When the last of these datagrams came in, in seconds since 1970. Only "
			"with http.senders."},
		VALUE_TIME, .offset = offsetof(struct known_sender, last_received_ns)},
	SECTION_END,
};

const struct value_table sender_values = {
	"Sender", "group, interface, source, port", sender_rows, ARRAY_SIZE(sender_rows)};

/* ---- Handlers ---- */

#define IN_HANDLER(member) .offset = offsetof(struct handler_numbers, member)

static const char *drop_reason_at(unsigned index)
{
	return drop_reason_name((enum drop_reason)index);
}

static bool has_window(const void *object)
{
	return ((const struct handler_numbers *)object)->has_window;
}

static bool has_queue(const void *object)
{
	return ((const struct handler_numbers *)object)->has_queue;
}

/* At any moment received = filtered + delivered + all of dropped + queued. */
static const struct value handler_rows[] = {
	{"received",
		{"mcastd_handler_received_total", METRIC_COUNTER,
			"Datagrams that the handler was given."},
		IN_HANDLER(account.received)},
	{"filtered",
		{"mcastd_handler_filtered_total", METRIC_COUNTER,
			"Of these, datagrams that its filter or sample kept out."},
		IN_HANDLER(account.filtered)},
	{"delivered",
		{"mcastd_handler_delivered_total", METRIC_COUNTER,
			"Of these, datagrams that it has delivered."},
		IN_HANDLER(account.outcome.delivered)},
	{"dropped",
		{"mcastd_handler_dropped_total", METRIC_COUNTER,
			"Of these, datagrams that it has dropped, by reason."},
		IN_HANDLER(account.outcome.dropped), .by = "reason", .name_at = drop_reason_at,
		.count = DROP_REASONS},
	SECTION_END,
	{"queued", {"mcastd_handler_queued", METRIC_GAUGE, "Of these, datagrams that wait now."},
		IN_HANDLER(account.queued)},
	{"queuedBytes",
		{"mcastd_handler_queued_bytes", METRIC_GAUGE,
			"Payload of the datagrams that wait, in bytes."},
		IN_HANDLER(account.queued_bytes)},
	{"queuedMax",
		{"mcastd_handler_queued_max", METRIC_GAUGE,
			"The largest number of datagrams that ever waited."},
		IN_HANDLER(account.queued_max)},
	{"oldestQueued",
		{"mcastd_handler_oldest_queued_seconds", METRIC_GAUGE,
			"How long the oldest datagram waits, for its turn or for its "
			"acknowledgement; 0: none waits."},
		VALUE_SINCE, IN_HANDLER(account.oldest_ns)},
	{"window",
		{"mcastd_handler_window", METRIC_GAUGE,
			"Of those that wait, datagrams that a broker has and did not "
			"acknowledge."},
		IN_HANDLER(account.held), .applies = has_window, .is_optional = true},
	SECTION_END,
	{NULL,
		{"mcastd_handler_queue_used_ratio", METRIC_GAUGE,
			"How full the queue is, from 0 to 1."},
		VALUE_PERCENT, IN_HANDLER(queue_used), .applies = has_queue},
	{NULL,
		{"mcastd_handler_failing", METRIC_GAUGE,
			"Whether something keeps the handler from delivering: mcastctl handlers "
			"has the reason."},
		VALUE_FLAG, IN_HANDLER(is_failing)},
	SECTION_END,
};

const struct value_table handler_values = {
	"Handler", "handler", handler_rows, ARRAY_SIZE(handler_rows)};

#define IN_ACCOUNT(member) .offset = offsetof(struct account, member)

static const struct value interface_rows[] = {
	{"received",
		{"mcastd_handler_interface_received_total", METRIC_COUNTER,
			"Copies that a relay was to send by the interface."},
		IN_ACCOUNT(received)},
	{"filtered",
		{"mcastd_handler_interface_filtered_total", METRIC_COUNTER,
			"Of these, copies that its filter or sample kept out."},
		IN_ACCOUNT(filtered)},
	{"delivered",
		{"mcastd_handler_interface_delivered_total", METRIC_COUNTER,
			"Of these, copies that were sent."},
		IN_ACCOUNT(outcome.delivered)},
	{"dropped",
		{"mcastd_handler_interface_dropped_total", METRIC_COUNTER,
			"Of these, copies that were dropped, by reason."},
		IN_ACCOUNT(outcome.dropped), .by = "reason", .name_at = drop_reason_at,
		.count = DROP_REASONS},
	SECTION_END,
};

const struct value_table interface_values = {
	"Interface", "handler, interface", interface_rows, ARRAY_SIZE(interface_rows)};

#define IN_INPUT(member) .offset = offsetof(struct intake_account, member)

static const char *input_reason_at(unsigned index)
{
	return intake_drop_name((enum intake_drop)index);
}

/* At any moment taken = sent + all of dropped + waiting. */
static const struct value input_rows[] = {
	{"taken",
		{"mcastd_handler_input_taken_total", METRIC_COUNTER,
			"Datagrams that came in by the handler from a broker."},
		IN_INPUT(taken)},
	{"sent",
		{"mcastd_handler_input_sent_total", METRIC_COUNTER,
			"Of these, datagrams that were sent to groups."},
		IN_INPUT(sent)},
	{"dropped",
		{"mcastd_handler_input_dropped_total", METRIC_COUNTER,
			"Of these, datagrams that were dropped, by reason."},
		IN_INPUT(dropped), .by = "reason", .name_at = input_reason_at,
		.count = INTAKE_DROPS},
	{"waiting",
		{"mcastd_handler_input_waiting", METRIC_GAUGE,
			"Of these, datagrams that wait now."},
		IN_INPUT(waiting)},
	{"waitingBytes",
		{"mcastd_handler_input_waiting_bytes", METRIC_GAUGE,
			"Payload of the datagrams that wait, in bytes."},
		IN_INPUT(waiting_bytes)},
	{"gaps",
		{"mcastd_handler_input_gaps", METRIC_GAUGE,
			"Datagrams of other sites that have not come; it falls where one comes "
			"late."},
		IN_INPUT(gaps)},
	SECTION_END,
};

const struct value_table input_values = {"Input", "handler", input_rows, ARRAY_SIZE(input_rows)};

static const struct value counted_rows[] = {
	{"exited0",
		{"mcastd_handler_exited_0_total", METRIC_COUNTER,
			"Programs of the handler that ended with status 0."},
		.unit = VALUE_NUMBER},
	{"exitedOther",
		{"mcastd_handler_exited_other_total", METRIC_COUNTER,
			"Programs of the handler that ended with another status."},
		.unit = VALUE_NUMBER},
	{"signalled",
		{"mcastd_handler_signalled_total", METRIC_COUNTER,
			"Programs of the handler that a signal ended."},
		.unit = VALUE_NUMBER},
	{"timedOut",
		{"mcastd_handler_timed_out_total", METRIC_COUNTER,
			"Programs of the handler that ran for too long, and were ended."},
		.unit = VALUE_NUMBER},
	{"spawnFailed",
		{"mcastd_handler_spawn_failed_total", METRIC_COUNTER,
			"How often the program could not be started."},
		.unit = VALUE_NUMBER},
	{"restarts",
		{"mcastd_handler_restarts_total", METRIC_COUNTER,
			"How often the program was started again after it had ended."},
		.unit = VALUE_NUMBER},
	{"backoffMilliseconds",
		{"mcastd_handler_backoff_seconds_total", METRIC_COUNTER,
			"Total time of the pauses before the program was started again."},
		.unit = VALUE_MS},
	{"containsNul",
		{"mcastd_handler_contains_nul_total", METRIC_COUNTER,
			"Datagrams that were dropped because they have a NUL byte."},
		.unit = VALUE_NUMBER},
	{"unreachable",
		{"mcastd_handler_unreachable_total", METRIC_COUNTER,
			"ICMP errors about datagrams that the handler has sent."},
		.unit = VALUE_NUMBER},
	{"resent",
		{"mcastd_handler_resent_total", METRIC_COUNTER,
			"Messages that were sent to the broker again."},
		.unit = VALUE_NUMBER},
	{"noSubscriber",
		{"mcastd_handler_no_subscriber_total", METRIC_COUNTER,
			"Messages that the broker had nobody for."},
		.unit = VALUE_NUMBER},
	{"unknownTopic",
		{"mcastd_handler_unknown_topic_total", METRIC_COUNTER,
			"Datagrams that were refused because the broker has no such topic."},
		.unit = VALUE_NUMBER},
	{"notAuthorized",
		{"mcastd_handler_not_authorized_total", METRIC_COUNTER,
			"Datagrams that were refused because the daemon may not write to the "
			"topic."},
		.unit = VALUE_NUMBER},
	{"tooLarge",
		{"mcastd_handler_too_large_total", METRIC_COUNTER,
			"Datagrams that were refused because they are larger than the broker "
			"takes."},
		.unit = VALUE_NUMBER},
	{"expired",
		{"mcastd_handler_expired_total", METRIC_COUNTER,
			"Datagrams that waited for longer than expire."},
		.unit = VALUE_NUMBER},
	{"producerRestarts",
		{"mcastd_handler_producer_restarts_total", METRIC_COUNTER,
			"How often the brokers did not know the producer any more."},
		.unit = VALUE_NUMBER},
};

const struct value_table counted_values = {
	"Handler.counters", "handler", counted_rows, ARRAY_SIZE(counted_rows)};

/* ---- The daemon ---- */

static const enum membership_state states[] = {
	MEMBERSHIP_JOINED, MEMBERSHIP_WAITING, MEMBERSHIP_FAILED};

static const char *state_at(unsigned index)
{
	return membership_state_name(states[index]);
}

#define IN_STATUS(member) .offset = offsetof(struct status_numbers, member)

static const struct value status_rows[] = {
	{"groups", {"mcastd_groups", METRIC_GAUGE, "Groups, but for that of events."},
		IN_STATUS(groups)},
	{"handlers", {"mcastd_handlers", METRIC_GAUGE, "Handlers."}, IN_STATUS(handlers)},
	{"memberships", {"mcastd_memberships", METRIC_GAUGE, "Memberships, by state."},
		IN_STATUS(memberships), .by = "state", .name_at = state_at,
		.count = MEMBERSHIP_STATES},
	{"connections",
		{"mcastd_control_connections", METRIC_GAUGE,
			"Open connections to the control socket."},
		IN_STATUS(connections)},
	{"subscribers",
		{"mcastd_control_subscribers", METRIC_GAUGE,
			"Of these, connections that receive datagrams."},
		IN_STATUS(subscribers)},
	SECTION_END,
};

const struct value_table status_values = {"GetStatus", "", status_rows, ARRAY_SIZE(status_rows)};

void status_numbers_read(const struct groups *groups, const struct handlers *handlers,
	struct control_count clients, struct status_numbers *ret)
{
	unsigned counts[MEMBERSHIP_STATES] = {0};

	groups_count_memberships(groups, counts);
	*ret = (struct status_numbers){.groups = groups_count(groups) - 1,
		.handlers = handlers_count(handlers),
		.connections = clients.connections,
		.subscribers = clients.subscribers};
	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		ret->memberships[i] = counts[states[i]];
}

/* The queue may change between the readings: none of them is part of the account's identity. */
void handler_numbers_read(struct handler *handler, struct handler_numbers *ret)
{
	unsigned used = 0;

	*ret = (struct handler_numbers){.has_window = handler_has_window(handler),
		.has_queue = handler_queue_fill(handler, &used),
		.is_failing = handler_error(handler) ? 1 : 0};
	ret->queue_used = used;
	handler_account(handler, &ret->account);
}
