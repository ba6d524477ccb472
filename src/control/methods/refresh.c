/* Refresh: reports memberships to the network again. The answer comes once it is decided which
 * ones, and what hinders the others: those may be many, and are written in pieces. */
#include "base/json.h"
#include "control/method.h"

/* Rows of a piece. */
#define PIECE_ROWS 64

struct refresh_call {
	struct refresh_request request;
	struct client_pending pending;
	struct answer answer;
	struct client *client; /* NULL: it has gone, and it is done all the same */
	char group[GROUP_NAME_MAX + 1];
	size_t at; /* the next row */
	bool begun;
};

static void call_free(struct refresh_call *call)
{
	refresh_request_clear(&call->request);
	free(call);
}

static void free_answer(struct answer *answer)
{
	call_free(container_of(answer, struct refresh_call, answer));
}

static void put_row(struct text *text, const struct refresh_obstacle *row)
{
	json_put_open(text, NULL, '{');
	json_put_string(text, "group", row->group);
	json_put_string(text, "interface", row->interface);
	json_put_string(text, "why", row->why);
	json_put_close(text, '}');
}

static bool next(struct answer *answer, struct text *text)
{
	struct refresh_call *call = container_of(answer, struct refresh_call, answer);
	const struct refresh_request *request = &call->request;
	size_t end = call->at + PIECE_ROWS;

	if (!call->begun) {
		json_put_number(text, "sent", request->sent);
		json_put_open(text, "impossible", '[');
	}
	call->begun = true;
	for (; call->at < request->impossible.count && call->at < end; call->at++) {
		if (call->at && !text->length)
			text_append(text, ",", 1); /* the row before is written already */
		put_row(text, &request->impossible.items[call->at]);
	}
	if (call->at < request->impossible.count)
		return false;
	json_put_close(text, ']');
	return true;
}

static void on_gone(struct client_pending *pending)
{
	container_of(pending, struct refresh_call, pending)->client = NULL;
}

static void on_done(struct refresh_request *request)
{
	struct refresh_call *call = container_of(request, struct refresh_call, request);
	struct client *client = call->client;

	if (!client) {
		call_free(call);
		return;
	}
	client_start_answer(client, &call->answer);
	client_resume(client);
}

static enum call_result call_refresh(struct client *client, const struct call *parameters)
{
	const struct control_backend *backend = method_backend(client);
	const char *group = NULL;
	const struct parameter rows[] = {{"group", PARAMETER_NAME, false, &group}};
	struct refresh_call *call;

	if (method_read(client, parameters, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (group && !groups_find(backend->groups, group)) {
		method_no_such_group(client, group);
		return CALL_DONE;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		client_close(client);
		return CALL_DONE;
	}
	if (group) {
		snprintf(call->group, sizeof(call->group), "%s", group);
		call->request.group = call->group;
	}
	call->request.done = on_done;
	call->answer = (struct answer){.next = next, .free = free_answer};
	call->pending.gone = on_gone;
	call->client = client;
	client_defer(client, &call->pending);
	groups_refresh(backend->groups, &call->request);
	return CALL_DONE;
}

const struct method refresh_method = {
	.name = "io.mcastd.Refresh", .acts = true, .privileged = true, .call = call_refresh};
