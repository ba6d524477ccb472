/* Handlers, and what comes in by them. */
#include "control/values/rows.h"
#include "data/intake.h"
#include "handlers/ledger.h"

#define IN_HANDLER(member) .offset = offsetof(struct handler_numbers, member)

static const char *drop_reason_at(unsigned index)
{
	return drop_reason_name((enum drop_reason)index);
}

/* NULL: the reason is none of a loss. */
static const char *handler_loss_at(unsigned index)
{
	static const char *const inputs[INTAKE_DROPS] = {
		[INTAKE_SIZE] = "inputSize",
		[INTAKE_SEND] = "inputSend",
		[INTAKE_SHUTDOWN] = "inputShutdown",
	};

	if (index >= DROP_REASONS)
		return inputs[index - DROP_REASONS];
	return drop_reason_is_wanted((enum drop_reason)index) ? NULL : drop_reason_at(index);
}

static void read_handler_losses(struct handler *handler, struct handler_numbers *numbers)
{
	struct intake_account input;

	for (unsigned i = 0; i < DROP_REASONS; i++)
		if (!drop_reason_is_wanted((enum drop_reason)i))
			numbers->lost[i] = numbers->account.outcome.dropped[i];
	if (!handler_intake(handler))
		return;
	intake_read_account(ledger_input(handler_ledger(handler)), &input);
	for (unsigned i = 0; i < INTAKE_DROPS; i++)
		if (!intake_drop_is_wanted((enum intake_drop)i))
			numbers->lost[DROP_REASONS + i] = input.dropped[i];
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
	{"lost", {NULL}, IN_HANDLER(lost), .by = "reason", .name_at = handler_loss_at,
		.count = HANDLER_LOSSES},
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
	{"acknowledgeMicroseconds",
		{"mcastd_handler_acknowledge_seconds_sum", METRIC_SUM,
			"How long a broker took to acknowledge datagrams, from the first time that "
			"each was sent."},
		VALUE_NS_FINE, IN_HANDLER(account.outcome.acknowledge_ns), .applies = has_window,
		.is_optional = true},
	{"acknowledged",
		{"mcastd_handler_acknowledge_seconds_count", METRIC_COUNT,
			"Of those that it has delivered, datagrams that a broker has acknowledged; "
			"none where it is not asked to."},
		IN_HANDLER(account.outcome.acknowledged), .applies = has_window,
		.is_optional = true},
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
	{"afterRotateSucceeded",
		{"mcastd_handler_after_rotate_succeeded_total", METRIC_COUNTER,
			"Programs for rotated files that ended with status 0."},
		.unit = VALUE_NUMBER},
	{"afterRotateFailed",
		{"mcastd_handler_after_rotate_failed_total", METRIC_COUNTER,
			"Programs for rotated files that failed: the files wait."},
		.unit = VALUE_NUMBER},
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
	{"notJson",
		{"mcastd_handler_not_json_total", METRIC_COUNTER,
			"Datagrams whose payload is not a JSON object."},
		.unit = VALUE_NUMBER},
	{"membersLeftOut",
		{"mcastd_handler_members_left_out_total", METRIC_COUNTER,
			"Members of JSON payloads that have not become fields of the journal."},
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

/* The queue may change between the readings: none of them is part of the account's identity. */
void handler_numbers_read(struct handler *handler, struct handler_numbers *ret)
{
	unsigned used = 0;

	*ret = (struct handler_numbers){.has_window = handler_has_window(handler),
		.has_queue = handler_queue_fill(handler, &used),
		.is_failing = handler_error(handler) ? 1 : 0};
	ret->queue_used = used;
	handler_account(handler, &ret->account);
	read_handler_losses(handler, ret);
}
