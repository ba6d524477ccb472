/* GetStatus: the daemon as a whole, in a few numbers. */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "control/method.h"

/* By which programs tell whether they are in the same one (namespaces(7)). */
static uint64_t network_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/net", &status) < 0 ? 0 : (uint64_t)status.st_ino;
}

static enum call_result call_get_status(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	char started[TIMESTAMP_MAX];
	unsigned counts[MEMBERSHIP_STATES] = {0};
	struct text *text;

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	groups_count_memberships(backend->groups, counts);
	text = client_begin_reply(client);
	json_put_string(text, "version", backend->version);
	json_put_number(text, "pid", (uint64_t)getpid());
	json_put_string(text, "started", format_timestamp(backend->started_ns, started));
	json_put_string(text, "configuration", backend->configuration(backend->daemon));
	json_put_number(text, "groups", groups_count(backend->groups) - 1); /* not that of events */
	json_put_number(text, "handlers", handlers_count(backend->handlers));
	json_put_open(text, "memberships", '{');
	json_put_number(text, "joined", counts[MEMBERSHIP_JOINED]);
	json_put_number(text, "waiting", counts[MEMBERSHIP_WAITING]);
	json_put_number(text, "failed", counts[MEMBERSHIP_FAILED]);
	json_put_close(text, '}');
	json_put_number(text, "connections", client_set(client)->count);
	json_put_number(text, "subscribers", client_set(client)->streaming);
	json_put_number(text, "networkNamespace", network_namespace());
	client_end(client);
	return CALL_DONE;
}

const struct method get_status_method = {.name = "io.mcastd.GetStatus", .call = call_get_status};
