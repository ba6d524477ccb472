/* The daemon as a whole. */
#include "control/values/rows.h"

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
	{"handlersFailing",
		{"mcastd_handlers_failing", METRIC_GAUGE,
			"Of these, handlers that something keeps from delivering now."},
		IN_STATUS(failing)},
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
	for (size_t i = 0; i < handlers_count(handlers); i++)
		ret->failing += handler_error(handlers_at(handlers, i)) != NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		ret->memberships[i] = counts[states[i]];
}
