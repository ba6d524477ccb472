/* Leave: a group that Join made. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "control/method.h"

static enum call_result call_leave(struct client *client, const struct call *call)
{
	const struct control_backend *backend = method_backend(client);
	const char *name;
	const struct parameter rows[] = {{"name", PARAMETER_NAME, true, &name}};
	int r;

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	r = groups_leave(backend->groups, name);
	if (r == -EBUSY) {
		client_wait_for_groups(client);
		return CALL_RETRY;
	}
	if (r == -ENOENT) {
		method_no_such_group(client, name);
	} else if (r < 0) {
		json_put_string(
			client_begin_error(client, "io.mcastd.GroupConfigured"), "group", name);
		client_end_message(client, "%s",
			!strcmp(name, EVENTS_GROUP)
				? "the group of the daemon's own events is always there"
				: "the configuration has this group; remove it there and reload");
	} else {
		client_begin_reply(client);
		client_end(client);
	}
	backend->changed(backend->daemon);
	return CALL_DONE;
}

const struct method leave_method = {
	.name = "io.mcastd.Leave", .acts = true, .privileged = true, .call = call_leave};
