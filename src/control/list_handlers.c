/* ListHandlers: every handler with its counters. */
#include "control/method.h"

static enum call_result call_list_handlers(struct client *client, const struct call *call)
{
	if (method_read_none(client, call) == 0)
		client_reply(client, json_pack("{so}", "handlers", describe_handlers(method_backend(client))));
	return CALL_DONE;
}

const struct method list_handlers_method = {.name = "io.mcastd.ListHandlers", .call = call_list_handlers};
