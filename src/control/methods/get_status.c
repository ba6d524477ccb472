/* GetStatus: the daemon as a whole, in a few numbers. */
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "control/method.h"
#include "control/members.h"

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
	struct status_numbers numbers;
	struct text *text;

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	status_numbers_read(backend->groups, backend->handlers,
		(struct control_count){client_set(client)->count, client_set(client)->streaming},
		&numbers);
	text = client_begin_reply(client);
	json_put_string(text, "version", backend->version);
	json_put_number(text, "pid", (uint64_t)getpid());
	json_put_string(text, "started", format_timestamp(backend->started_ns, started));
	json_put_string(text, "configuration", backend->configuration(backend->daemon));
	members_put(text, status_values.rows, &numbers, &numbers);
	json_put_number(text, "networkNamespace", network_namespace());
	client_end(client);
	return CALL_DONE;
}

const struct method get_status_method = {.name = "io.mcastd.GetStatus", .call = call_get_status};
