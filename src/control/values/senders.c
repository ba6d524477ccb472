/* Senders, and their numbers. */
#include "control/values/rows.h"
#include "data/known_senders.h"

#define STREAM_LABELS "group, interface, source, port, stream"
#define IN_STREAM(member) .offset = offsetof(struct stream_numbers, member)

static const struct value sender_rows[] = {
	{"received",
		{"mcastd_sender_received_total", METRIC_COUNTER,
			"Datagrams of a sender, of each of its streams, since the daemon keeps it. "
			"Only with http.senders."},
		.offset = offsetof(struct known_sender, received)},
	{"lastReceived",
		{"mcastd_sender_last_received_timestamp_seconds", METRIC_GAUGE,
			"When the last of these datagrams came in, in seconds since 1970. Only "
			"with http.senders."},
		VALUE_TIME, .offset = offsetof(struct known_sender, last_received_ns)},
	{"longestPause",
		{"mcastd_sender_longest_pause_seconds", METRIC_GAUGE,
			"The longest time between two datagrams of the sender, of each of its "
			"streams. Only with http.senders."},
		VALUE_SECONDS, .offset = offsetof(struct known_sender, longest_pause_ns)},
	SECTION_END,
};

const struct value_table sender_values = {
	"Sender", STREAM_LABELS, sender_rows, ARRAY_SIZE(sender_rows)};

static bool has_jitter(const void *object)
{
	return ((const struct stream_numbers *)object)->has_jitter;
}

static const struct value jitter_rows[] = {
	{"jitter",
		{"mcastd_stream_jitter_seconds", METRIC_GAUGE,
			"Interarrival jitter of the RTP stream of a sender (RFC 3550). Only with "
			"http.senders."},
		VALUE_SECONDS, IN_STREAM(jitter_ns), .applies = has_jitter, .is_optional = true},
	SECTION_END,
};

const struct value_table jitter_values = {
	"Sender", STREAM_LABELS, jitter_rows, ARRAY_SIZE(jitter_rows)};

static const struct value stream_rows[] = {
	{"unique",
		{"mcastd_stream_unique_total", METRIC_COUNTER,
			"Numbers of the stream of a sender that came, each counted once. Only with "
			"http.senders."},
		IN_STREAM(counts.unique)},
	{"lost",
		{"mcastd_stream_lost_total", METRIC_COUNTER,
			"Numbers of the stream that never came. Only with http.senders."},
		IN_STREAM(counts.lost)},
	{"open",
		{"mcastd_stream_open", METRIC_GAUGE,
			"Numbers of the stream that did not come yet. Only with http.senders."},
		IN_STREAM(open)},
	{"reordered",
		{"mcastd_stream_reordered_total", METRIC_COUNTER,
			"Numbers of the stream that came after a higher one. Only with "
			"http.senders."},
		IN_STREAM(counts.reordered)},
	{"duplicates",
		{"mcastd_stream_duplicates_total", METRIC_COUNTER,
			"Numbers of the stream that came once more. Only with http.senders."},
		IN_STREAM(counts.duplicates)},
	{"late",
		{"mcastd_stream_late_total", METRIC_COUNTER,
			"Numbers of the stream that came too late to tell what they are. Only with "
			"http.senders."},
		IN_STREAM(counts.late)},
	{"restarts",
		{"mcastd_stream_restarts_total", METRIC_COUNTER,
			"How often the stream began to number anew. Only with http.senders."},
		IN_STREAM(counts.restarts)},
	{"packets",
		{"mcastd_stream_packets_total", METRIC_COUNTER,
			"Packets of the transport stream of a sender. Only with http.senders."},
		IN_STREAM(packets)},
	{"discontinuities",
		{"mcastd_stream_discontinuities_total", METRIC_COUNTER,
			"How often packets of a PID were missing in it. Only with http.senders."},
		IN_STREAM(discontinuities)},
	SECTION_END,
};

const struct value_table stream_values = {
	"SenderSequence", STREAM_LABELS, stream_rows, ARRAY_SIZE(stream_rows)};
