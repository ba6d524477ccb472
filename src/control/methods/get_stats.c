/* GetStats: all counters, for checking that every datagram is accounted for. */
#include "control/listing.h"

static enum call_result call_get_stats(struct client *client, const struct call *call)
{
	return listing_reply(client, call, LIST_GROUPS | LIST_HANDLERS);
}

const struct method get_stats_method = {.name = "io.mcastd.GetStats", .call = call_get_stats};
