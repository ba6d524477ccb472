/* ListHandlers: every handler with its counters. */
#include "control/listing.h"

static enum call_result call_list_handlers(struct client *client, const struct call *call)
{
	return listing_reply(client, call, LIST_HANDLERS);
}

const struct method list_handlers_method = {
	.name = "io.mcastd.ListHandlers", .call = call_list_handlers};
