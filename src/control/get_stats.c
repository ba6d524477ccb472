/* GetStats: all counters of one moment. */
#include "control/method.h"

static enum call_result call_get_stats(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);

	if (method_read_none(client, call) == 0)
		client_reply(client, json_pack("{soso}", "groups", describe_groups(backend), "handlers",
					     describe_handlers(backend)));
	return CALL_DONE;
}

const struct method get_stats_method = {.name = "io.mcastd.GetStats", .call = call_get_stats};
