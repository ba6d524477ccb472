/* Groups. */
#include "control/values/rows.h"
#include "data/known_senders.h"
#include "groups/group_socket.h"

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
	const struct config_group *config = ((const struct group *)object)->config;

	return config->duplicates == DUPLICATES_DROP || config->merge.count;
}

static bool expects(const void *object)
{
	return ((const struct group *)object)->config->expect_within;
}

/* ---- What a group has lost ---- */

enum group_loss {
	LOST_KERNEL,
	LOST_TRUNCATED,
	LOST_UNREAD,
	LOST_SEND,
	LOST_INTERFACE,
	LOST_UNREACHABLE,
	LOST_SEQUENCE,
	GROUP_LOSSES,
};

static const char *group_loss_at(unsigned index)
{
	static const char *const names[GROUP_LOSSES] = {
		[LOST_KERNEL] = "kernel",
		[LOST_TRUNCATED] = "truncated",
		[LOST_UNREAD] = "unread",
		[LOST_SEND] = "send",
		[LOST_INTERFACE] = "interface",
		[LOST_UNREACHABLE] = "unreachable",
		[LOST_SEQUENCE] = "sequence",
	};

	return names[index];
}

/* A datagram that could not be sent has not left by any interface either: it is lost once. What the
 * kernel has dropped was read for a row before. */
static void read_group_losses(void *object, uint64_t *counts)
{
	const struct group *group = object;
	const struct group_counters *counters = group->counters;
	const struct numbered_counters *numbered = group->numbered.counters;

	counts[LOST_KERNEL] = counters->kernel_dropped;
	counts[LOST_TRUNCATED] = counters->truncated;
	counts[LOST_UNREAD] = counters->unread;
	counts[LOST_SEND] = counters->send_failed;
	counts[LOST_INTERFACE] = 0;
	counts[LOST_UNREACHABLE] = counters->unreachable;
	counts[LOST_SEQUENCE] = numbered ? numbered->lost + numbered->discontinuities : 0;
	for (size_t i = 0; i < group->outgoing.ways.count; i++) {
		const struct way_counters *way = group->outgoing.ways.items[i]->counters;

		if (way && way->not_sent > counters->send_failed)
			counts[LOST_INTERFACE] += way->not_sent - counters->send_failed;
	}
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
		IN_GROUP(echoed), .applies = value_never},
	{"unreachable",
		{"mcastd_group_unreachable_total", METRIC_COUNTER,
			"ICMP errors about datagrams that the group has sent."},
		IN_GROUP(unreachable), .applies = value_never},
	{"duplicates",
		{"mcastd_group_duplicates_total", METRIC_COUNTER,
			"Datagrams that were dropped because they had come by another interface, "
			"or by another leg, already."},
		IN_GROUP(duplicates), .applies = drops_duplicates},
	{"lost", {NULL}, .read_all = read_group_losses, .by = "reason", .name_at = group_loss_at,
		.count = GROUP_LOSSES},
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
		.read = read_forgotten, .applies = value_never},
	{NULL,
		{"mcastd_group_socket_programs", METRIC_GAUGE,
			"Programs that are connected to the group socket."},
		.read = read_programs, .applies = has_socket},
	SECTION_END,
};

const struct value_table group_values = {"Group", "group", group_rows, ARRAY_SIZE(group_rows)};
