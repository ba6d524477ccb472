/* Subscribe: every datagram of some groups, until the client disconnects. */
#include "base/json.h"
#include "control/methods/names.h"
#include "control/subscriber.h"

/* Whether there is a group that the client may receive, or none at all. Otherwise answers. */
static bool may_receive_any(struct client *client)
{
	const struct groups *groups = method_backend(client)->groups;
	const struct peer *peer = client_peer(client);
	const struct group *refused = NULL;

	if (!peer) {
		client_close(client);
		return false;
	}
	for (size_t i = 0; i < groups_count(groups); i++) {
		const struct group *group = groups_at(groups, i);

		if (group->config->is_events)
			continue;
		if (group_permits(group, peer, ACCESS_RECEIVE))
			return true;
		refused = group;
	}
	return !refused || method_permits(client, refused, ACCESS_RECEIVE);
}

static enum call_result call_subscribe(struct client *client, const struct call *call)
{
	CLEANUP(string_list_clear) struct string_list names = {0};
	json_t *array = NULL;
	const struct parameter rows[] = {{"groups", PARAMETER_NAMES, false, &array}};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (!call->more) {
		client_begin_error(client, "org.varlink.service.ExpectedMore");
		client_end(client);
	} else if (names_read(client, array, true, "the subscription gets all", &names) == 0 &&
		   !names_are_too_much(client) && (names.count || may_receive_any(client)) &&
		   subscriber_new(client, &names) < 0) {
		client_close(client);
	}
	return CALL_DONE;
}

const struct method subscribe_method = {.name = "io.mcastd.Subscribe", .call = call_subscribe};
