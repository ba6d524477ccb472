/* What sequence and merge count of groups. */
#include "control/values/rows.h"

/* ---- Numbers of groups with sequence ---- */

#define IN_NUMBERED(member) .offset = offsetof(struct numbered_counters, member)

static uint64_t read_open(void *object)
{
	return numbered_open(object);
}

static uint64_t read_numbered_received(void *object)
{
	return numbered_received(object);
}

static const struct value numbered_rows[] = {
	{"received",
		{"mcastd_sequence_received_total", METRIC_COUNTER,
			"Datagrams of the group since it has sequence, without replies."},
		.read = read_numbered_received},
	{"numbered",
		{"mcastd_sequence_numbered_total", METRIC_COUNTER,
			"Datagrams of the group that are numbered as sequence says."},
		IN_NUMBERED(numbered)},
	{"unnumbered",
		{"mcastd_sequence_unnumbered_total", METRIC_COUNTER,
			"Datagrams of the group that are not."},
		IN_NUMBERED(unnumbered)},
	{"unique",
		{"mcastd_sequence_unique_total", METRIC_COUNTER,
			"Numbers that came, each counted once."},
		IN_NUMBERED(unique)},
	{"lost", {"mcastd_sequence_lost_total", METRIC_COUNTER, "Numbers that never came."},
		IN_NUMBERED(lost)},
	{"open",
		{"mcastd_sequence_open", METRIC_GAUGE,
			"Numbers that did not come yet, and are lost unless they come soon."},
		.read = read_open},
	{"reordered",
		{"mcastd_sequence_reordered_total", METRIC_COUNTER,
			"Of the unique numbers, those that came after a higher one."},
		IN_NUMBERED(reordered)},
	{"duplicates",
		{"mcastd_sequence_duplicates_total", METRIC_COUNTER,
			"Numbers that came once more."},
		IN_NUMBERED(duplicates)},
	{"late",
		{"mcastd_sequence_late_total", METRIC_COUNTER,
			"Numbers that came too late to tell whether they came once more, or from "
			"before a restart."},
		IN_NUMBERED(late)},
	{"restarts",
		{"mcastd_sequence_restarts_total", METRIC_COUNTER,
			"How often a stream began to number anew."},
		IN_NUMBERED(restarts)},
	{"packets",
		{"mcastd_sequence_packets_total", METRIC_COUNTER,
			"Packets of transport streams, with sequence = \"mpeg-ts\"."},
		IN_NUMBERED(packets)},
	{"discontinuities",
		{"mcastd_sequence_discontinuities_total", METRIC_COUNTER,
			"How often packets of a PID were missing, of such streams."},
		IN_NUMBERED(discontinuities)},
	SECTION_END,
};

const struct value_table numbered_values = {
	"GroupSequence", "group", numbered_rows, ARRAY_SIZE(numbered_rows)};

/* ---- Legs of merged groups ---- */

#define IN_LEG(member) .offset = offsetof(struct merge_leg_counters, member)

static uint64_t read_leg_open(void *object)
{
	const struct merge_leg *leg = object;

	return merge_leg_open(leg->merged->merge, leg->number);
}

static uint64_t read_leg_silent(void *object)
{
	return ((struct merge_leg *)object)->is_silent;
}

static uint64_t read_skew_p50(void *object)
{
	const struct merge_leg *leg = object;

	return merge_leg_skew_ns(leg->merged->merge, leg->number, 0.5);
}

static uint64_t read_skew_p99(void *object)
{
	const struct merge_leg *leg = object;

	return merge_leg_skew_ns(leg->merged->merge, leg->number, 0.99);
}

/* At any moment taken = passed + duplicates + apart. */
static const struct value leg_rows[] = {
	{"taken",
		{"mcastd_merge_leg_taken_total", METRIC_COUNTER,
			"Datagrams that a leg of a merged group brought."},
		IN_LEG(taken)},
	{"passed",
		{"mcastd_merge_leg_passed_total", METRIC_COUNTER,
			"Of these, datagrams that no other leg had brought before."},
		IN_LEG(passed)},
	{"duplicates",
		{"mcastd_merge_leg_duplicates_total", METRIC_COUNTER,
			"Of these, copies of what another leg had brought."},
		IN_LEG(duplicates)},
	{"apart",
		{"mcastd_merge_leg_apart_total", METRIC_COUNTER,
			"Of these, datagrams that were dropped as their numbers are far from those "
			"of the other legs."},
		IN_LEG(apart)},
	{"lost",
		{"mcastd_merge_leg_lost_total", METRIC_COUNTER,
			"Numbers that never came by the leg."},
		IN_LEG(lost)},
	{"open",
		{"mcastd_merge_leg_open", METRIC_GAUGE,
			"Numbers that did not come by the leg yet, and are lost unless they come "
			"soon."},
		.read = read_leg_open},
	{"reordered",
		{"mcastd_merge_leg_reordered_total", METRIC_COUNTER,
			"Numbers that came by the leg after a higher one."},
		IN_LEG(reordered)},
	{"repeated",
		{"mcastd_merge_leg_repeated_total", METRIC_COUNTER,
			"Numbers that came by the leg once more."},
		IN_LEG(repeated)},
	{"late",
		{"mcastd_merge_leg_late_total", METRIC_COUNTER,
			"Numbers that came by the leg too late to tell what they are."},
		IN_LEG(late)},
	{"restarts",
		{"mcastd_merge_leg_restarts_total", METRIC_COUNTER,
			"How often a stream of the leg began to number anew."},
		IN_LEG(restarts)},
	{"silent",
		{"mcastd_merge_leg_silent", METRIC_GAUGE,
			"Whether the leg brings nothing while others do."},
		VALUE_FLAG, .read = read_leg_silent},
	{"skewP50",
		{"mcastd_merge_leg_skew_p50_seconds", METRIC_GAUGE,
			"How far half of the leg's copies were behind at most."},
		VALUE_SECONDS, .read = read_skew_p50},
	{"skewP99",
		{"mcastd_merge_leg_skew_p99_seconds", METRIC_GAUGE,
			"How far 99 of 100 of the leg's copies were behind at most."},
		VALUE_SECONDS, .read = read_skew_p99},
	SECTION_END,
};

const struct value_table leg_values = {"MergeLeg", "group, leg", leg_rows, ARRAY_SIZE(leg_rows)};
