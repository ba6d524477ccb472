/* Memberships, and the ways that groups send by. */
#include "control/values/rows.h"

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
		VALUE_TIME, .read = read_refreshed, .applies = value_never},
	SECTION_END,
};

const struct value_table membership_values = {
	"Membership", "group, interface", membership_rows, ARRAY_SIZE(membership_rows)};

static uint64_t read_usable(void *object)
{
	const struct way *way = object;

	return !way->failure && !way->refused;
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
