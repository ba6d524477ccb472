/* GetStatus: what runs, in a few numbers. */
#include "base/clock.h"
#include "control/method.h"

static void count_memberships(struct groups *groups, unsigned counts[static 3])
{
	for (size_t i = 0; i < groups_count(groups); i++) {
		const struct group *group = groups_at(groups, i);

		for (size_t j = 0; j < group->memberships.count; j++)
			counts[group->memberships.items[j]->state]++;
	}
}

static enum call_result call_get_status(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	char started[TIMESTAMP_MAX];
	unsigned counts[3] = {0};

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	count_memberships(backend->groups, counts);
	client_reply(client,
		json_pack("{ss,si,ss,ss?,sI,sI,s{si,si,si},si,si}", "version", backend->version,
			"pid", (int)getpid(), "started",
			format_timestamp(backend->started_ns, started), "configuration",
			backend->configuration(backend->daemon), "groups",
			(json_int_t)groups_count(backend->groups), "handlers",
			(json_int_t)handlers_count(backend->handlers), "memberships", "joined",
			(int)counts[MEMBERSHIP_JOINED], "waiting", (int)counts[MEMBERSHIP_WAITING],
			"failed", (int)counts[MEMBERSHIP_FAILED], "connections",
			(int)client_set(client)->count, "subscribers",
			(int)client_set(client)->streaming));
	return CALL_DONE;
}

const struct method get_status_method = {.name = "io.mcastd.GetStatus", .call = call_get_status};
