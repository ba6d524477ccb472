/* ListGroups: every group with its counters and memberships. */
#include "control/listing.h"

static enum call_result call_list_groups(struct client *client, const struct call *call)
{
	return listing_reply(client, call, LIST_GROUPS);
}

const struct method list_groups_method = {.name = "io.mcastd.ListGroups", .call = call_list_groups};
