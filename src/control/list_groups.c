/* ListGroups: every group with its counters and memberships. */
#include "control/method.h"

static enum call_result call_list_groups(struct client *client, const struct call *call)
{
	if (method_read_none(client, call) == 0)
		client_reply(client, json_pack("{so}", "groups", describe_groups(method_backend(client))));
	return CALL_DONE;
}

const struct method list_groups_method = {.name = "io.mcastd.ListGroups", .call = call_list_groups};
