/* The table of values: whatever is counted of groups, memberships, handlers and the rest, one row
 * each. A row is a member of the answers of the control socket (describe.c), a metric (http/) and a
 * line of the manual (man/values.c), so that these cannot differ. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/control.h"
#include "data/account.h"
#include "data/intake.h"
#include "data/metric.h"
#include "groups/groups.h"
#include "handlers/handlers.h"

/* What is in the record, and how it is shown. */
enum value_unit {
	VALUE_NUMBER, /* as it is */
	VALUE_FLAG, /* true or false; 1 or 0 as a metric */
	VALUE_NS, /* milliseconds in answers, seconds as a metric */
	VALUE_NS_FINE, /* microseconds in answers, seconds as a metric */
	VALUE_MS, /* milliseconds in answers, seconds as a metric */
	VALUE_TIME, /* ns by CLOCK_REALTIME: a timestamp or null, 0 as a metric for none */
	VALUE_SECONDS, /* ns: seconds */
	VALUE_SINCE, /* ns by CLOCK_MONOTONIC: the age in seconds; null, 0 as a metric, for none */
	VALUE_PERCENT, /* from 0 to 1 as a metric */
};

struct value {
	const char *name; /* in answers; NULL: in none */
	struct metric metric; /* its name is NULL: none */
	enum value_unit unit;
	size_t offset; /* in the record, of an uint64_t */
	uint64_t (*read)(void *object); /* instead of offset */
	void (*read_all)(void *object, uint64_t *counts); /* the same of several: all of them */
	bool is_slow; /* read() asks the kernel, in a microsecond or more */
	/* There are several, at most VALUES_MAX, told apart by this label; NULL: there is one. */
	const char *by;
	const char *(*name_at)(unsigned index); /* of them: the label's value */
	unsigned count;
	/* Whether there is a sample of 0: not where the configuration does not let it be more. */
	bool (*applies)(const void *object);
	bool is_optional; /* where it does not apply, answers have null */
};

/* The rows of a kind of object, in the order of the answer. One without any name ends a section:
 * there the answer has members that are no values, or ends. */
struct value_table {
	const char *type; /* in io.mcastd.varlink, or a method, or a member; NULL: none */
	const char *labels; /* of the metrics, as the manual shows them */
	const struct value *rows;
	size_t count;
};

extern const struct value_table group_values; /* struct group, its counters */
extern const struct value_table membership_values; /* struct membership, its counters */
extern const struct value_table way_values; /* struct way, its counters */
extern const struct value_table numbered_values; /* struct group, its numbered.counters */
extern const struct value_table leg_values; /* struct merge_leg, its counters */
extern const struct value_table sender_values; /* struct known_sender, itself */
extern const struct value_table jitter_values; /* struct stream_numbers, itself */
extern const struct value_table stream_values; /* the same */
extern const struct value_table handler_values; /* struct handler_numbers, itself */
extern const struct value_table interface_values; /* the same of one interface: struct account */
extern const struct value_table input_values; /* struct intake_account */

/* Whatever a kind of handlers counts (handler_counters()), by its name there. */
extern const struct value_table counted_values; /* uint64_t */

extern const struct value_table status_values; /* struct status_numbers */

/* What a handler has lost, by reason: whatever it dropped, and did not send of what came in by it,
 * unless the configuration wants it so. */
#define HANDLER_LOSSES (DROP_REASONS + INTAKE_DROPS)

/* A handler at one moment. */
struct handler_numbers {
	struct account account;
	bool has_window;
	bool has_queue;
	uint64_t queue_used; /* percent */
	uint64_t is_failing;
	uint64_t lost[HANDLER_LOSSES];
};

void handler_numbers_read(struct handler *handler, struct handler_numbers *ret);

/* The daemon as a whole. */
struct status_numbers {
	uint64_t groups; /* without that of events */
	uint64_t handlers, failing;
	uint64_t memberships[MEMBERSHIP_STATES]; /* joined, waiting, failed */
	uint64_t connections, subscribers; /* of the control socket */
};

void status_numbers_read(const struct groups *groups, const struct handlers *handlers,
	struct control_count clients, struct status_numbers *ret);

#define VALUES_MAX 32

/* Those of a value with a label, by its index; counts has room for those that must be read. */
static inline const uint64_t *value_read_all(const struct value *value, void *object,
	const void *record, uint64_t counts[static VALUES_MAX])
{
	if (!value->read_all)
		return (const uint64_t *)((const char *)record + value->offset);
	value->read_all(object, counts);
	return counts;
}

static inline bool value_ends_section(const struct value *value)
{
	return !value->name && !value->metric.name;
}

static inline uint64_t value_read(const struct value *value, void *object, const void *record)
{
	return value->read ? value->read(object)
			   : *(const uint64_t *)((const char *)record + value->offset);
}
